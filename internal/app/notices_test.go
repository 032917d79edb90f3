package app_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// office is the demo with a clock of its own, everybody in Berlin.
type office struct {
	*apptest.Env
	clock   atomic.Pointer[time.Time]
	berlin  *time.Location
	noon    time.Time // of a Wednesday, within a week after now
	session id.UUID   // of the coach with the client who has a login
	org     id.UUID
	coach   id.UUID
	client  id.UUID
}

func newOffice(t *testing.T, opts ...apptest.Option) *office {
	t.Helper()
	o := &office{}
	var err error
	if o.berlin, err = time.LoadLocation("Europe/Berlin"); err != nil {
		t.Fatal(err)
	}
	day := time.Now().In(o.berlin).AddDate(0, 0, 1)
	for day.Weekday() != time.Wednesday {
		day = day.AddDate(0, 0, 1)
	}
	o.noon = time.Date(day.Year(), day.Month(), day.Day(), 12, 0, 0, 0, o.berlin)
	o.at(o.noon)
	o.Env = apptest.Demo(t, append(opts, apptest.AppOptions(app.WithClock(func() time.Time { return *o.clock.Load() })))...)
	sql(t, o.Env, `UPDATE users SET time_zone = 'Europe/Berlin'`)
	sql(t, o.Env, `UPDATE sessions SET status = 'COMPLETED'`) // nothing of the demo's own is to come
	sql(t, o.Env, `UPDATE action_items SET due_on = NULL, due_at = NULL`)
	sql(t, o.Env, `DELETE FROM notifications`) // and nothing was told, or announced
	sql(t, o.Env, `DELETE FROM stream_events WHERE topic LIKE 'notifications-of-%'`)
	o.session = uuid(t, amara2.id(t, o.Env))
	o.org = value[id.UUID](t, o.Env, `SELECT org_id FROM sessions WHERE id = $1`, o.session)
	o.coach = value[id.UUID](t, o.Env, `SELECT id FROM users WHERE email = $1`, apptest.Coach)
	o.client = value[id.UUID](t, o.Env, `SELECT id FROM users WHERE email = $1`, apptest.ClientUser)
	return o
}

func (o *office) at(t time.Time) { o.clock.Store(&t) }

// notify tells of the session, as the coach, unless change says otherwise.
func (o *office) notify(t testing.TB, what notice.Type, key string, change ...func(*notice.Event)) {
	t.Helper()
	e := notice.Event{Org: o.org, Type: what, Actor: o.coach, Recipients: []id.UUID{o.client, o.coach},
		Subject: "session", SubjectID: o.session, SessionID: o.session, Key: key}
	for _, c := range change {
		c(&e)
	}
	if err := postgres.InTx(t.Context(), o.DB, func(tx pgx.Tx) error { return notice.Notify(t.Context(), tx, e) }); err != nil {
		t.Error(err)
	}
}

// work does what is due by the clock of the office: what waits for it is made due.
func (o *office) work(t *testing.T) {
	t.Helper()
	o.App.Remind(t.Context())
	if _, err := o.DB.Exec(t.Context(), `UPDATE jobs SET run_at = now(), due_at = now() WHERE state = 'PENDING'`); err != nil {
		t.Fatal(err)
	}
	o.Work(t)
}

// mails are those in the box to an address, the newest first.
func (o *office) mails(t *testing.T, to string) (found []devbox.Mail) {
	t.Helper()
	box, err := devbox.Open(o.Config.Home, mail.Address{Email: "rapport@localhost"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := box.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.To.Email == to {
			found = append(found, m)
		}
	}
	return found
}

func (o *office) deliveries(t *testing.T) string {
	t.Helper()
	return value[string](t, o.Env, `SELECT coalesce(string_agg(type || ' ' || state || coalesce(' ' || reason, ''), ', ' ORDER BY created_at, type, state, reason), '') FROM email_deliveries`)
}

type notified struct {
	Viewer struct {
		UnreadNotificationCount int
		Notifications           struct {
			TotalCount int
			Nodes      []struct {
				ID, Type, Title, EmailState string
				ReadAt                      *string
				Subject, Session, Client    *struct{ ID string }
				Actor                       *struct{ Name string }
			}
		}
	}
}

func notices(t *testing.T, c *apptest.Client, filter string) (out notified) {
	t.Helper()
	c.Must(t, `{viewer {unreadNotificationCount notifications(filter: {`+filter+`}) {totalCount nodes {
		id type title emailState readAt subject {id} session {id} client {id} actor {name}}}}}`, nil, &out)
	return out
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	clients := o.Login(t, apptest.ClientUser)
	// The one who does it, strangers, and people of other organizations are not told.
	everybody := func(e *notice.Event) {
		rows, err := o.DB.Query(t.Context(), `SELECT id FROM users`)
		if err != nil {
			t.Fatal(err)
		}
		if e.Recipients, err = pgx.CollectRows(rows, pgx.RowTo[id.UUID]); err != nil {
			t.Fatal(err)
		}
	}
	o.notify(t, notice.SessionScheduled, "a", everybody)
	o.notify(t, notice.SessionRescheduled, "b", everybody)
	for _, who := range []string{apptest.Coach, apptest.Coach2, apptest.Lumen} {
		if got := notices(t, o.Login(t, who), ""); got.Viewer.UnreadNotificationCount != 0 || got.Viewer.Notifications.TotalCount != 0 {
			t.Errorf("%s: %+v", who, got)
		}
	}
	got := notices(t, clients, "").Viewer
	if got.UnreadNotificationCount != 2 || got.Notifications.TotalCount != 2 || len(got.Notifications.Nodes) != 2 {
		t.Fatalf("%+v", got)
	}
	n := got.Notifications.Nodes[0]
	session := id.Format("session", o.session)
	if n.Type != "SESSION_RESCHEDULED" || !strings.HasPrefix(n.Title, "Session with Ruth") || n.Subject == nil || n.Subject.ID != session || n.Session.ID != session || n.Actor == nil {
		t.Errorf("%+v", n)
	}
	if got := notices(t, clients, "types: [SESSION_SCHEDULED], unreadOnly: true").Viewer.Notifications; got.TotalCount != 1 || got.Nodes[0].Type != "SESSION_SCHEDULED" {
		t.Errorf("%+v", got)
	}

	// Read, twice, and together with one that is nobody's.
	const mark = `mutation($ids: [ID!]!) {markNotificationsRead(input: {ids: $ids}) {viewer {unreadNotificationCount} userErrors {code field}}}`
	for range 2 {
		var out struct {
			MarkNotificationsRead struct {
				Viewer struct{ UnreadNotificationCount int }
			}
		}
		clients.Must(t, mark, apptest.Vars{"ids": []string{n.ID}}, &out)
		if out.MarkNotificationsRead.Viewer.UnreadNotificationCount != 1 {
			t.Errorf("%+v", out)
		}
	}
	other := got.Notifications.Nodes[1].ID
	if r := clients.Do(t, mark, apptest.Vars{"ids": []string{other, id.Format("notification", id.New())}}); r.Code() != "NOT_FOUND" || notices(t, clients, "").Viewer.UnreadNotificationCount != 1 {
		t.Errorf("%s", r.Body)
	}
	if audits := value[int](t, o.Env, `SELECT count(*) FROM audit_events WHERE action = 'notification.read'`); audits != 1 {
		t.Errorf("%d audit events", audits)
	}
	clients.Must(t, `mutation {markAllNotificationsRead(input: {until: "2020-01-01T00:00:00Z"}) {userErrors {code}}}`, nil, nil)
	if notices(t, clients, "").Viewer.UnreadNotificationCount != 1 {
		t.Error("what came later is read")
	}
	clients.Must(t, `mutation {markAllNotificationsRead(input: {}) {userErrors {code}}}`, nil, nil)
	if got := notices(t, clients, "unreadOnly: true").Viewer; got.UnreadNotificationCount != 0 || got.Notifications.TotalCount != 0 {
		t.Errorf("%+v", got)
	}

	// Who is no longer in the session is told nothing of it any more: not in the list, by id, or by mail.
	sql(t, o.Env, `UPDATE clients SET user_id = NULL WHERE user_id = $1`, o.client)
	if got := notices(t, clients, "").Viewer; got.Notifications.TotalCount != 0 {
		t.Errorf("%+v", got)
	}
	var node struct{ Node *struct{ ID string } }
	if clients.Must(t, `query($id: ID!) {node(id: $id) {id}}`, apptest.Vars{"id": n.ID}, &node); node.Node != nil {
		t.Errorf("%+v", node)
	}
	o.work(t)
	if got := o.mails(t, apptest.ClientUser); len(got) != 0 || !strings.Contains(o.deliveries(t), "SESSION_RESCHEDULED SUPPRESSED NOTHING") {
		t.Errorf("%d mails, %s", len(got), o.deliveries(t))
	}
}

func TestNotificationEvents(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const events = `subscription($after: String) {notificationEvents(after: $after) {__typename cursor
		... on NotificationAdded {notification {type title}} ... on NotificationsRead {unreadCount}}}`
	type event struct {
		NotificationEvents struct {
			Typename     string `json:"__typename"`
			Cursor       string
			Notification struct{ Type, Title string }
			UnreadCount  int
		}
	}
	next := func(s *apptest.Subscription) (e event) {
		t.Helper()
		r := s.Next(t)
		r.Into(t, &e)
		return e
	}
	clients := o.Login(t, apptest.ClientUser)
	sub, strangers := clients.Subscribe(t, events, nil), o.Login(t, apptest.Coach2).Subscribe(t, events, nil)
	o.Statements.Await(t, begun, 1) // both have begun, and only what is new comes
	coach2 := value[id.UUID](t, o.Env, `SELECT id FROM users WHERE email = $1`, apptest.Coach2)
	o.notify(t, notice.SessionScheduled, "a", func(e *notice.Event) { e.Recipients = append(e.Recipients, coach2) })
	o.Work(t)
	first := next(sub).NotificationEvents
	if first.Typename != "NotificationAdded" || first.Notification.Type != "SESSION_SCHEDULED" || first.Notification.Title == "" {
		t.Errorf("%+v", first)
	}
	sub.Close()
	o.notify(t, notice.SessionCancelled, "b")
	o.Work(t)
	clients.Must(t, `mutation {markAllNotificationsRead(input: {}) {userErrors {code}}}`, nil, nil)
	sub = clients.Subscribe(t, events, apptest.Vars{"after": first.Cursor})
	if e := next(sub).NotificationEvents; e.Notification.Type != "SESSION_CANCELLED" {
		t.Errorf("%+v", e)
	}
	if e := next(sub).NotificationEvents; e.Typename != "NotificationsRead" || e.UnreadCount != 0 {
		t.Errorf("%+v", e)
	}
	sub.Close()
	strangers.Close()
	if rest := strangers.End(t); len(rest) != 0 {
		t.Errorf("who may not see the session hears %v", rest)
	}
	if r := clients.SubscribeSSE(t, events, apptest.Vars{"after": ""}).End(t); len(r) != 1 || r[0].Code() != "INVALID" {
		t.Errorf("%v", r)
	}
}

// However many say it at once, a person is told once, and gets one mail.
func TestNotifyOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { o.notify(t, notice.SessionRescheduled, "one") })
	}
	all.Wait()
	o.work(t)
	o.notify(t, notice.SessionRescheduled, "one")
	o.work(t)
	if n := value[int](t, o.Env, `SELECT count(*) FROM notifications`); n != 1 || len(o.mails(t, apptest.ClientUser)) != 1 {
		t.Errorf("told %d times, by %d mails", n, len(o.mails(t, apptest.ClientUser)))
	}
	if n := value[int](t, o.Env, `SELECT count(*) FROM stream_events WHERE topic LIKE 'notifications-of-%'`); n != 1 {
		t.Errorf("announced %d times", n)
	}
}

// A worker that dies after it has sent, and before it has said so, has sent.
func TestMailOfAKilledWorker(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.notify(t, notice.SessionCancelled, "a")
	o.work(t)
	if got := o.deliveries(t); got != "SESSION_CANCELLED SENT" {
		t.Fatal(got)
	}
	sql(t, o.Env, `UPDATE email_deliveries SET state = 'QUEUED', finished_at = NULL`)
	job := jobs.Job{Org: o.org, Kind: notice.JobDeliver, Entity: value[id.UUID](t, o.Env, `SELECT id FROM email_deliveries`)}
	for range 2 {
		if err := o.App.Services().Notices.Deliver(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.mails(t, apptest.ClientUser); len(got) != 1 || o.deliveries(t) != "SESSION_CANCELLED SENT" {
		t.Errorf("%d mails, %s", len(got), o.deliveries(t))
	}
}

var tokenInMail = regexp.MustCompile(`<(http[^>]+)>`)

// unsubscribe sends what is sent to the link of a mail.
func unsubscribe(t *testing.T, o *office, m devbox.Mail, method, body string) (int, string) {
	t.Helper()
	link, err := url.Parse(tokenInMail.FindStringSubmatch(m.Headers["List-Unsubscribe"])[1])
	if err != nil {
		t.Fatal(err)
	}
	status, answer := o.Send(t, method, link.Path+"?"+link.RawQuery, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body)
	return status, string(answer)
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.notify(t, notice.SessionRescheduled, "a")
	o.work(t)
	sent := o.mails(t, apptest.ClientUser)
	if len(sent) != 1 || sent[0].Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" || !strings.Contains(sent[0].Text, "Session with Ruth") {
		t.Fatalf("%+v", sent)
	}
	// A program that follows links changes nothing.
	if status, page := unsubscribe(t, o, sent[0], http.MethodGet, ""); status != http.StatusOK || !strings.Contains(page, `<form method="post">`) {
		t.Errorf("%d %s", status, page)
	}
	o.notify(t, notice.SessionRescheduled, "b")
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 2 {
		t.Errorf("%d mails after a GET", n)
	}
	// One of this kind is on its way when they are stopped.
	o.notify(t, notice.SessionRescheduled, "c")
	for range 2 {
		if status, page := unsubscribe(t, o, sent[0], http.MethodPost, "List-Unsubscribe=One-Click"); status != http.StatusOK || !strings.Contains(page, "Done") {
			t.Errorf("%d %s", status, page)
		}
	}
	o.notify(t, notice.SessionRescheduled, "d")
	o.notify(t, notice.SessionCancelled, "e")
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 3 || !strings.Contains(o.deliveries(t), "SESSION_RESCHEDULED SUPPRESSED PREFERENCE") {
		t.Errorf("%d mails, want one more of another type; %s", n, o.deliveries(t))
	}
	// All.
	if status, page := unsubscribe(t, o, sent[0], http.MethodPost, "all=yes"); status != http.StatusOK || !strings.Contains(page, "No more mails") {
		t.Errorf("%d %s", status, page)
	}
	o.notify(t, notice.SessionCancelled, "f")
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 3 || !strings.Contains(o.deliveries(t), "SESSION_CANCELLED SUPPRESSED UNSUBSCRIBED") {
		t.Errorf("%d mails, %s", n, o.deliveries(t))
	}
	// In the app all is told, and asking for mails again lifts it.
	clients := o.Login(t, apptest.ClientUser)
	if got := notices(t, clients, "").Viewer.UnreadNotificationCount; got != 6 {
		t.Errorf("%d are told in the app", got)
	}
	clients.Must(t, `mutation {updateNotificationPreferences(input: {types: [{type: SESSION_CANCELLED, email: IMMEDIATE}]}) {userErrors {code}}}`, nil, nil)
	o.notify(t, notice.SessionCancelled, "g")
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 4 {
		t.Errorf("%d mails after asking for them", n)
	}
	if n := value[int](t, o.Env, `SELECT count(*) FROM audit_events WHERE action = 'notification.unsubscribe' AND actor_id = $1`, o.client); n != 3 {
		t.Errorf("%d audit events", n)
	}
	// A link that was changed, or is another organization's, opens nothing.
	link := tokenInMail.FindStringSubmatch(sent[0].Headers["List-Unsubscribe"])[1]
	_, token, _ := strings.Cut(link, "?t=")
	forgeries := []string{"", "x", token[1:], token[:len(token)-1], "B" + token[1:], strings.Repeat("A", len(token)), token + "A"}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw { // another organization, person, type or signature
		other := slices.Clone(raw)
		other[i] ^= 1
		forgeries = append(forgeries, b64(other))
	}
	for _, forged := range forgeries {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status, page := o.Send(t, method, notice.UnsubscribePath+"?t="+forged, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "all=yes"); status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", method, forged, status, page)
			}
		}
	}
	if status, _ := o.Send(t, http.MethodPut, notice.UnsubscribePath+"?t="+token, http.Header{}, ""); status != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", status)
	}
	if log := o.Log.String(); strings.Contains(log, token) || strings.Contains(log, apptest.ClientUser) {
		t.Error("the log holds a token or an address")
	}
	// Bounces and complaints hold, whatever is asked for.
	if _, err := notice.Suppress(t.Context(), o.DB, []id.UUID{o.org}, strings.ToUpper(apptest.ClientUser), notice.Bounced, time.Now()); err != nil {
		t.Fatal(err)
	}
	clients.Must(t, `mutation {updateNotificationPreferences(input: {types: [{type: SESSION_CANCELLED, email: IMMEDIATE}]}) {userErrors {code}}}`, nil, nil)
	o.notify(t, notice.SessionCancelled, "h")
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 4 || !strings.Contains(o.deliveries(t), "SUPPRESSED BOUNCED") {
		t.Errorf("%d mails, %s", n, o.deliveries(t))
	}
}

func TestDigests(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	// Thursday: what came before eight is in the digest of eight, once; what was read is not.
	thursday := o.noon.AddDate(0, 0, 1)
	o.at(time.Date(thursday.Year(), thursday.Month(), thursday.Day(), 7, 59, 0, 0, o.berlin))
	for i := range 3 {
		o.notify(t, notice.SessionScheduled, fmt.Sprint(i))
	}
	sql(t, o.Env, `UPDATE notifications SET read_at = now() WHERE dedup_key = '2'`)
	sql(t, o.Env, `UPDATE notifications SET created_at = $1`, o.clock.Load().Add(-time.Hour))
	o.work(t)
	if got := o.mails(t, apptest.ClientUser); len(got) != 0 {
		t.Fatalf("%d mails before the hour", len(got))
	}
	o.at(o.clock.Load().Add(time.Minute))
	var all sync.WaitGroup
	for range 8 { // several processes
		all.Go(func() { o.App.Remind(t.Context()) })
	}
	all.Wait()
	o.work(t)
	got := o.mails(t, apptest.ClientUser)
	if len(got) != 1 || strings.Count(got[0].Text, "New session with") != 2 || !strings.HasPrefix(got[0].Subject, "Your day at ") {
		t.Fatalf("%d mails: %+v", len(got), got)
	}
	o.at(o.clock.Load().Add(time.Hour))
	o.notify(t, notice.SessionScheduled, "later")
	sql(t, o.Env, `UPDATE notifications SET created_at = $1 WHERE dedup_key = 'later'`, *o.clock.Load())
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 1 {
		t.Errorf("%d mails for what waits for tomorrow", n)
	}
	// What is turned off meanwhile is not in it, and a digest of nothing is not sent.
	if status, _ := unsubscribe(t, o, got[0], http.MethodPost, "List-Unsubscribe=One-Click"); status != http.StatusOK {
		t.Error(status)
	}
	o.at(o.clock.Load().AddDate(0, 0, 1))
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 1 || !strings.Contains(o.deliveries(t), "DAILY_DIGEST SUPPRESSED NOTHING") {
		t.Errorf("%d mails, %s", n, o.deliveries(t))
	}

	// Monday: the week ahead, for those who have one; once.
	next := o.noon.AddDate(0, 0, 5)
	o.at(time.Date(next.Year(), next.Month(), next.Day(), 8, 30, 0, 0, o.berlin))
	sql(t, o.Env, `UPDATE sessions SET status = 'SCHEDULED', starts_at = $2 WHERE id = $1`, o.session, next.Add(48*time.Hour))
	sql(t, o.Env, `UPDATE notifications SET read_at = now()`)
	for range 2 {
		o.work(t)
	}
	for _, who := range []string{apptest.Coach, apptest.ClientUser} {
		weekly := 0
		for _, m := range o.mails(t, who) {
			if strings.HasPrefix(m.Subject, "Your week at") && strings.Contains(m.Text, "Session with") {
				weekly++
			}
		}
		if weekly != 1 {
			t.Errorf("%s got %d weekly digests", who, weekly)
		}
	}
	if got := o.mails(t, apptest.Lumen); len(got) != 0 {
		t.Errorf("%s, who has no sessions, got %+v", apptest.Lumen, got[0].Message)
	}
}

func TestQuietHoursOfMails(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	night := time.Date(o.noon.Year(), o.noon.Month(), o.noon.Day(), 23, 0, 0, 0, o.berlin)
	o.at(night)
	o.notify(t, notice.SessionCancelled, "a")
	o.notify(t, notice.SessionReminder, "b", func(e *notice.Event) { e.Until = night.Add(time.Hour) })
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 0 || o.deliveries(t) != "SESSION_CANCELLED QUEUED, SESSION_REMINDER QUEUED" {
		t.Fatalf("%d mails at night, %s", n, o.deliveries(t))
	}
	waits := value[float64](t, o.Env, `SELECT extract(epoch FROM max(run_at) - now())::float8 / 3600 FROM jobs WHERE kind = $1 AND state = 'PENDING'`, notice.JobDeliver)
	if waits < 7.9 || waits > 8 {
		t.Errorf("waits %.2f hours, want 8", waits)
	}
	o.at(night.Add(8 * time.Hour))
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 1 || o.deliveries(t) != "SESSION_CANCELLED SENT, SESSION_REMINDER SUPPRESSED LATE" {
		t.Errorf("%d mails in the morning, %s", n, o.deliveries(t))
	}
	// Who has no quiet hours is told by night.
	o.Login(t, apptest.ClientUser).Must(t, `mutation {updateNotificationPreferences(input: {quietHours: null}) {userErrors {code}}}`, nil, nil)
	o.at(night)
	o.notify(t, notice.SessionCancelled, "c")
	o.work(t)
	if n := len(o.mails(t, apptest.ClientUser)); n != 2 {
		t.Errorf("%d mails without quiet hours", n)
	}
}

// A mail that has waited does not tell what is over, and one thing that is over does not take a digest with it.
func TestMailsTellNoOldNews(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	night := time.Date(o.noon.Year(), o.noon.Month(), o.noon.Day(), 23, 0, 0, 0, o.berlin)
	morning, starts := night.Add(8*time.Hour), night.Add(12*time.Hour)
	remind := func(key string) {
		t.Helper()
		sql(t, o.Env, `UPDATE sessions SET status = 'SCHEDULED', starts_at = $2 WHERE id = $1`, o.session, starts)
		o.notify(t, notice.SessionReminder, key, func(e *notice.Event) { e.Until = starts })
	}
	for key, happens := range map[string]string{
		"moved":     `UPDATE sessions SET starts_at = starts_at + interval '7 days' WHERE id = $1`,
		"cancelled": `UPDATE sessions SET status = 'CANCELLED' WHERE id = $1`,
		"nothing":   `UPDATE sessions SET updated_at = now() WHERE id = $1`,
	} {
		o.at(night)
		remind(key)
		sql(t, o.Env, happens, o.session)
		o.at(morning)
		o.work(t)
	}
	if got := value[string](t, o.Env, `SELECT string_agg(n.dedup_key || ' ' || d.state, ', ' ORDER BY n.dedup_key) FROM notifications n JOIN email_deliveries d ON d.id = n.delivery_id
		WHERE n.dedup_key IN ('moved', 'cancelled', 'nothing')`); got != "cancelled SUPPRESSED, moved SUPPRESSED, nothing SENT" {
		t.Error(got)
	}
	sql(t, o.Env, `DELETE FROM email_deliveries`)
	sql(t, o.Env, `DELETE FROM notifications`)
	o.Login(t, apptest.ClientUser).Must(t, `mutation {updateNotificationPreferences(input: {types: [{type: SESSION_REMINDER, email: DIGEST}]}) {userErrors {code}}}`, nil, nil)
	remind("in a digest")
	o.notify(t, notice.SessionScheduled, "in a digest")
	sql(t, o.Env, `UPDATE notifications SET created_at = $1`, starts.Add(-time.Minute))
	o.at(morning.AddDate(0, 0, 1).Add(time.Hour))
	o.work(t)
	for _, m := range o.mails(t, apptest.ClientUser) {
		if strings.HasPrefix(m.Subject, "Your day at") && (strings.Count(m.Text, "* ") != 1 || !strings.Contains(m.Text, "New session")) {
			t.Errorf("%s", m.Text)
		}
	}
	if got := o.deliveries(t); !strings.Contains(got, "DAILY_DIGEST SENT") {
		t.Error(got)
	}
}

func TestReminders(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	starts := o.noon.AddDate(0, 0, 2)
	move := func(to time.Time) {
		sql(t, o.Env, `UPDATE sessions SET status = 'SCHEDULED', starts_at = $2 WHERE id = $1`, o.session, to)
	}
	move(starts)
	count := func(when string, want int) {
		t.Helper()
		var all sync.WaitGroup
		for range 4 { // several processes
			all.Go(func() { o.App.Remind(t.Context()) })
		}
		all.Wait()
		for _, who := range []id.UUID{o.coach, o.client} {
			if n := value[int](t, o.Env, `SELECT count(*) FROM notifications WHERE type = 'SESSION_REMINDER' AND user_id = $1`, who); n != want {
				t.Errorf("%s: reminded %d times, want %d", when, n, want)
			}
		}
	}
	o.at(starts.Add(-25 * time.Hour))
	count("more than a day before", 0)
	o.at(starts.Add(-24 * time.Hour))
	count("a day before", 1)
	o.at(starts.Add(-2 * time.Hour))
	count("two hours before", 1)
	o.at(starts.Add(-time.Hour))
	count("an hour before", 2)
	o.at(starts.Add(-time.Minute))
	count("a minute before", 2)
	// Moved: all anew.
	starts = starts.AddDate(0, 0, 7)
	move(starts)
	count("moved", 2)
	o.at(starts.Add(-30 * time.Minute)) // the process was away a day before
	count("half an hour before", 3)
	// Cancelled, held, or archived: no more.
	starts = starts.AddDate(0, 0, 7)
	move(starts)
	o.at(starts.Add(-3 * time.Hour))
	sql(t, o.Env, `UPDATE sessions SET status = 'CANCELLED' WHERE id = $1`, o.session)
	count("cancelled", 3)
	sql(t, o.Env, `UPDATE sessions SET status = 'SCHEDULED', archived_at = now() WHERE id = $1`, o.session)
	count("archived", 3)
	// Scheduled within the day: told of it, so not reminded until an hour before.
	sql(t, o.Env, `UPDATE sessions SET archived_at = NULL, created_at = $2 WHERE id = $1`, o.session, starts.Add(-5*time.Hour))
	count("scheduled today", 3)
	o.at(starts.Add(-time.Hour))
	count("an hour before", 4)
	testkit.Eventually(t, 20*time.Second, func() error { // mails of one moment may wait for one another
		o.work(t)
		if got := o.mails(t, apptest.ClientUser); len(got) == 0 || !strings.HasPrefix(got[0].Subject, "Reminder: Session with ") {
			return fmt.Errorf("%+v, deliveries %s", got, o.deliveries(t))
		}
		return nil
	})
}

func TestNotificationPreferences(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	clients := o.Login(t, apptest.ClientUser)
	const fields = `types {type inApp email} quietHours {from until} digestHour emailSuppression`
	type preferences struct {
		Types []struct {
			Type, Email string
			InApp       bool
		}
		QuietHours *struct{ From, Until string }
		DigestHour int
	}
	var out struct {
		Viewer struct{ NotificationPreferences preferences }
	}
	get := func() preferences {
		t.Helper()
		out.Viewer.NotificationPreferences = preferences{}
		clients.Must(t, `{viewer {notificationPreferences {`+fields+`}}}`, nil, &out)
		return out.Viewer.NotificationPreferences
	}
	if p := get(); len(p.Types) != 9 || p.DigestHour != 8 || p.QuietHours == nil || p.QuietHours.From != "21:00" || p.QuietHours.Until != "07:00" || p.Types[1].Email != "IMMEDIATE" || !p.Types[0].InApp {
		t.Errorf("%+v", p)
	}
	const update = `mutation($in: UpdateNotificationPreferencesInput!) {updateNotificationPreferences(input: $in) {preferences {` + fields + `} userErrors {code field}}}`
	set := func(in apptest.Vars) (errs string) {
		t.Helper()
		var out struct {
			UpdateNotificationPreferences struct {
				Preferences *preferences
				UserErrors  []userError
			}
		}
		clients.Must(t, update, apptest.Vars{"in": in}, &out)
		if u := out.UpdateNotificationPreferences; (u.Preferences == nil) != (len(u.UserErrors) > 0) {
			t.Errorf("%+v", u)
		}
		return briefly(out.UpdateNotificationPreferences.UserErrors)
	}
	// Each field by itself, and nothing by nothing.
	for _, in := range []apptest.Vars{
		{"types": []apptest.Vars{{"type": "MENTION", "email": "OFF"}}}, {"types": []apptest.Vars{{"type": "MENTION", "inApp": false}}},
		{"digestHour": 17}, {"quietHours": apptest.Vars{"from": "22:15", "until": "06:45"}}, {},
	} {
		if errs := set(in); errs != "" {
			t.Errorf("%v: %s", in, errs)
		}
	}
	p := get()
	if p.DigestHour != 17 || p.QuietHours == nil || p.QuietHours.From != "22:15" || p.QuietHours.Until != "06:45" {
		t.Errorf("%+v", p)
	}
	for _, x := range p.Types {
		if x.Type == "MENTION" && (x.InApp || x.Email != "OFF") || x.Type == "ACTION_DUE" && (!x.InApp || x.Email != "DIGEST") {
			t.Errorf("%+v", x)
		}
	}
	if set(apptest.Vars{"quietHours": nil}); get().QuietHours != nil || get().DigestHour != 17 {
		t.Errorf("%+v", get())
	}
	// Who wants nothing of a type is told nothing of it.
	o.notify(t, notice.Mention, "a")
	if n := value[int](t, o.Env, `SELECT count(*) FROM notifications`); n != 0 {
		t.Errorf("told %d times", n)
	}
	for want, in := range map[string]apptest.Vars{
		"INVALID types":            {"types": nil},
		"INVALID digestHour":       {"digestHour": 24},
		"INVALID quietHours.until": {"quietHours": apptest.Vars{"from": "07:00", "until": "07:00"}},
		"INVALID types.0.type":     {"types": []apptest.Vars{{"type": "INVITATION", "email": "OFF"}}},
		"INVALID types.1.type":     {"types": []apptest.Vars{{"type": "MENTION"}, {"type": "MENTION", "inApp": true}}},
		"INVALID types.0.inApp":    {"types": []apptest.Vars{{"type": "WEEKLY_DIGEST", "inApp": true}}},
		"INVALID types.0.email":    {"types": []apptest.Vars{{"type": "WEEKLY_DIGEST", "email": "IMMEDIATE"}}, "quietHours": nil},
	} {
		if got := set(in); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	for _, bad := range []string{"7:00", "24:00", "07:60", "noon", "", "07:00:00"} {
		if r := clients.Do(t, update, apptest.Vars{"in": apptest.Vars{"quietHours": apptest.Vars{"from": bad, "until": "07:00"}}}); r.Code() != "INVALID" {
			t.Errorf("%q: %s", bad, r.Body)
		}
	}
	if get().DigestHour != 17 {
		t.Error("half of a bad change was made")
	}
	// Another person's stay as they are.
	o.Login(t, apptest.Coach).Must(t, `{viewer {notificationPreferences {`+fields+`}}}`, nil, &out)
	if out.Viewer.NotificationPreferences.DigestHour != 8 {
		t.Errorf("%+v", out)
	}
}

func TestMailboxPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.notify(t, notice.SessionCancelled, "a")
	o.work(t)
	key := o.mails(t, apptest.ClientUser)[0].ID
	for path, want := range map[string]string{"": "Session with", "/" + key: "List-Unsubscribe", "/" + key + "/html": "<!doctype html>"} {
		if status, page := o.Send(t, http.MethodGet, devbox.Path+path, http.Header{}, ""); status != http.StatusOK || !strings.Contains(string(page), want) {
			t.Errorf("%s: %d %s", path, status, page)
		}
		if status, _ := o.Send(t, http.MethodGet, devbox.Path+path, http.Header{"X-Forwarded-For": {"203.0.113.7"}}, ""); status != http.StatusForbidden {
			t.Errorf("%s from elsewhere: %d", path, status)
		}
	}
	production := apptest.New(t, apptest.Production(t))
	if status, _ := production.Send(t, http.MethodGet, devbox.Path, http.Header{}, ""); status == http.StatusOK {
		t.Error("the page is there in production")
	}
}

// What a coach does with a session is told to the client, once for each time; what was held already is no news.
func TestSessionsAreTold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	coach, clients := o.Login(t, apptest.Coach), o.Login(t, apptest.ClientUser)
	engagement := one(t, o.Env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, o.session)
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	made := does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": at(72 * time.Hour)})
	does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": at(-72 * time.Hour)})
	for _, to := range []time.Duration{96 * time.Hour, 72 * time.Hour, 96 * time.Hour} {
		does(t, coach, "rescheduleSession", "session", "id", apptest.Vars{"id": made["id"], "startsAt": at(to)})
	}
	does(t, coach, "updateSession", "session", "id", apptest.Vars{"id": made["id"], "title": "Halfway"})
	does(t, coach, "cancelSession", "session", "id", apptest.Vars{"id": made["id"], "by": "COACH"})
	var types []string
	for _, n := range notices(t, clients, "").Viewer.Notifications.Nodes {
		types = append(types, n.Type)
	}
	if got := strings.Join(types, " "); got != "SESSION_CANCELLED SESSION_RESCHEDULED SESSION_RESCHEDULED SESSION_RESCHEDULED SESSION_SCHEDULED" {
		t.Error(got)
	}
	if n := notices(t, coach, "").Viewer.Notifications.TotalCount; n != 0 {
		t.Errorf("who did it is told of %d", n)
	}
}

// Who is named in a note is told once, if they may read it; and when it is shared with them, if not.
func TestMentionsAreTold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	coach, clients := o.Login(t, apptest.Coach), o.Login(t, apptest.ClientUser)
	clients.Must(t, `mutation {updateNotificationPreferences(input: {types: [{type: MENTION, email: IMMEDIATE}]}) {userErrors {code}}}`, nil, nil)
	note := does(t, coach, "createNote", "note", "id version", apptest.Vars{"entityId": id.Format("session", o.session),
		"visibility": "PRIVATE", "body": "Ask about the Wexcombe orchard", "mentionIds": []string{id.Format("user", o.client)}})
	if n := notices(t, clients, "").Viewer; n.UnreadNotificationCount != 0 || n.Notifications.TotalCount != 0 {
		t.Errorf("told of a private note: %+v", n)
	}
	o.work(t)
	mailed := func() (n int) {
		var out struct {
			Viewer struct{ EmailDeliveries struct{ TotalCount int } }
		}
		clients.Must(t, `{viewer {emailDeliveries {totalCount}}}`, nil, &out)
		return out.Viewer.EmailDeliveries.TotalCount
	}
	if !strings.Contains(o.deliveries(t), "SUPPRESSED NOTHING") || mailed() != 0 {
		t.Errorf("%d mails are in the log, of %s", mailed(), o.deliveries(t))
	}
	does(t, coach, "saveNote", "note", "id", apptest.Vars{"id": note["id"], "expectedVersion": note["version"], "visibility": "SHARED_WITH_CLIENT", "body": "Ask about the Wexcombe orchard"})
	n := notices(t, clients, "").Viewer.Notifications
	if n.TotalCount != 1 || n.Nodes[0].Type != "MENTION" || n.Nodes[0].Title != "You are mentioned in a note" || n.Nodes[0].Subject == nil || n.Nodes[0].Subject.ID != note["id"] {
		t.Errorf("%+v", n)
	}
}

// The coach is told of an analysis once, however often it is repeated.
func TestInsightsReadyIsTold(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	transcripts := value[int](t, env, `SELECT count(*) FROM transcripts WHERE status = 'READY'`)
	if n := value[int](t, env, `SELECT count(*) FROM notifications n JOIN sessions s ON s.id = n.subject_id AND s.coach_id = n.user_id WHERE n.type = 'INSIGHTS_READY'`); n != transcripts {
		t.Errorf("%d are told of %d transcripts", n, transcripts)
	}
	coach := env.Login(t, apptest.Coach)
	speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = (SELECT id FROM transcripts WHERE session_id = $1) AND role = 'CLIENT'`, uuid(t, amara2.id(t, env)))
	before := notices(t, coach, "types: [INSIGHTS_READY]").Viewer.Notifications.TotalCount
	does(t, coach, "setSpeakerRole", "edit", "id", apptest.Vars{"speakerId": speaker, "role": "OTHER"})
	env.Work(t)
	if after := notices(t, coach, "types: [INSIGHTS_READY]").Viewer.Notifications.TotalCount; after != before || before == 0 {
		t.Errorf("told %d times, then %d", before, after)
	}
}
