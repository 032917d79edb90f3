package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

func limited(person, organization int) apptest.Option {
	return apptest.Config(func(c *config.Config) { c.Mail.PersonLimit, c.Mail.OrganizationLimit = person, organization })
}

// burst tells the client of many cancelled sessions in one transaction.
func (o *office) burst(t *testing.T, n int, name string) {
	t.Helper()
	if err := postgres.InTx(t.Context(), o.DB, func(tx pgx.Tx) error {
		for i := range n {
			if err := notice.Notify(t.Context(), tx, notice.Event{Org: o.org, Type: notice.SessionCancelled, Actor: o.coach, Recipients: []id.UUID{o.client},
				Subject: "session", SubjectID: o.session, SessionID: o.session, Key: fmt.Sprint(name, i)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// counts are how many mails are in which state, and why.
func (o *office) counts(t *testing.T) string {
	t.Helper()
	return value[string](t, o.Env, `SELECT coalesce(string_agg(n || ' ' || type || ' ' || what, ', ' ORDER BY type, what), '') FROM (
		SELECT type, state || coalesce(' ' || reason, '') AS what, count(*) AS n FROM email_deliveries GROUP BY 1, 2) x`)
}

// Of a thousand notifications at once a person is mailed as many as may be, and all others are in the next digest.
func TestABurstOfMailsToOnePerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t, limited(5, 0))
	o.burst(t, 1000, "a")
	o.work(t)
	sql(t, o.Env, `UPDATE notifications SET created_at = $1`, o.noon)
	if got, n := o.counts(t), len(o.mails(t, apptest.ClientUser)); n != 5 || got != "5 SESSION_CANCELLED SENT, 995 SESSION_CANCELLED SUPPRESSED DIGEST" {
		t.Fatalf("%d mails: %s", n, got)
	}
	if n := notices(t, o.Login(t, apptest.ClientUser), "").Viewer.UnreadNotificationCount; n != 1000 {
		t.Errorf("%d are told in the app", n)
	}
	// What ends at a time would be too late tomorrow, and has more room.
	for i := range 7 {
		o.notify(t, notice.SessionReminder, fmt.Sprint(i), func(e *notice.Event) { e.Until = o.noon.Add(time.Hour) })
	}
	sql(t, o.Env, `UPDATE sessions SET status = 'SCHEDULED', starts_at = $2 WHERE id = $1`, o.session, o.noon.Add(time.Hour))
	o.Work(t)
	if got := o.counts(t); !strings.HasSuffix(got, ", 5 SESSION_REMINDER SENT, 2 SESSION_REMINDER SUPPRESSED DIGEST") {
		t.Errorf("reminders: %s", got)
	}
	sql(t, o.Env, `UPDATE sessions SET status = 'CANCELLED' WHERE id = $1`, o.session)
	// A digest is never too many. It tells of the newest thirty, of which two are over, and how many more there are.
	sql(t, o.Env, `UPDATE notifications SET created_at = $1`, o.noon)
	o.at(o.noon.Add(20 * time.Hour))
	o.work(t)
	got := o.mails(t, apptest.ClientUser)
	if len(got) != 11 || !strings.HasPrefix(got[0].Subject, "Your day at") || strings.Count(got[0].Text, "cancelled:") != 28 || !strings.Contains(got[0].Text, "And 967 more.") {
		t.Errorf("%d mails, the last: %d of %s", len(got), strings.Count(got[0].Text, "cancelled:"), got[0].Text)
	}
	// A day later there is room again.
	o.at(o.noon.Add(25 * time.Hour))
	o.burst(t, 6, "b")
	o.work(t)
	if n := value[int](t, o.Env, `SELECT count(*) FROM email_deliveries WHERE type = 'SESSION_CANCELLED' AND state = 'SENT'`); n != 9 { // the digest was one of five
		t.Errorf("%d were sent by the next day", n)
	}
}

// Of two mails that are sent at the same moment one is too many: the second counts when the first is let through, and not before.
func TestMailsAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t, limited(1, 0))
	o.burst(t, 2, "a")
	held, err := o.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := held.Exec(t.Context(), `SELECT id FROM email_deliveries FOR UPDATE`); err != nil { // whichever is first stops when it has counted
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := o.App.Runner().Drain(t.Context())
		done <- err
	}()
	testkit.Eventually(t, 30*time.Second, func() error {
		if got := value[string](t, o.Env, `SELECT count(*) FILTER (WHERE wait_event = 'advisory') || ' waits, ' || count(*) FILTER (WHERE wait_event = 'transactionid') || ' has counted'
			FROM pg_stat_activity WHERE datname = current_database()`); got != "1 waits, 1 has counted" {
			return errors.New(got)
		}
		return nil
	})
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := o.counts(t); got != "1 SESSION_CANCELLED SENT, 1 SESSION_CANCELLED SUPPRESSED DIGEST" {
		t.Error(got)
	}
}

// An organization that has sent enough waits for the next hour, and invites all the same. Nothing is lost, and a mail that was let through
// and has nothing to say takes nobody's place.
func TestAnOrganizationsMailsWait(t *testing.T) {
	t.Parallel()
	o := newOffice(t, limited(0, 20))
	o.burst(t, 25, "a")
	o.work(t)
	if got := o.counts(t); got != "7 SESSION_CANCELLED QUEUED LIMITED, 18 SESSION_CANCELLED SENT" {
		t.Fatal(got)
	}
	waits := value[float64](t, o.Env, `SELECT extract(epoch FROM min(run_at) - now())::float8 / 60 FROM jobs WHERE kind = $1 AND state = 'PENDING'`, notice.JobDeliver)
	if waits < 59 || waits > 60 {
		t.Errorf("wait for %.1f minutes, from noon on", waits)
	}
	owner := o.Login(t, apptest.Owner)
	for i := range 3 {
		owner.Must(t, fmt.Sprintf(`mutation {inviteMember(input: {email: "new%d@nowhere.example", roles: [COACH]}) {userErrors {code}}}`, i), nil, nil)
	}
	o.work(t)
	if got := o.counts(t); got != "1 INVITATION QUEUED LIMITED, 2 INVITATION SENT, 7 SESSION_CANCELLED QUEUED LIMITED, 18 SESSION_CANCELLED SENT" {
		t.Error(got)
	}
	o.at(o.noon.Add(time.Hour))
	o.work(t)
	if got, n := o.counts(t), len(o.mails(t, apptest.ClientUser)); n != 25 || got != "3 INVITATION SENT, 25 SESSION_CANCELLED SENT" {
		t.Errorf("%d mails: %s", n, got)
	}
	// What has nothing to say was not sent, and does not count.
	o.at(o.noon.Add(2 * time.Hour))
	if err := postgres.InTx(t.Context(), o.DB, func(tx pgx.Tx) error {
		return notice.Notify(t.Context(), tx, notice.Event{Org: o.org, Type: notice.SessionCancelled, Recipients: []id.UUID{o.client}, Subject: "note", SubjectID: id.New(), Key: "gone"})
	}); err != nil {
		t.Fatal(err)
	}
	o.work(t)
	if n := value[int](t, o.Env, `SELECT count(*) FROM email_deliveries WHERE reason = 'NOTHING' AND admitted_at IS NULL`); n != 1 {
		t.Errorf("%d say nothing: %s", n, o.counts(t))
	}
}

// A digest whose hour lies in quiet hours waits until they end where the person is.
func TestDigestsKeepQuietHours(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sql(t, o.Env, `UPDATE users SET time_zone = 'America/New_York' WHERE id = $1`, o.client)
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	o.Login(t, apptest.ClientUser).Must(t, `mutation {updateNotificationPreferences(input: {digestHour: 5, quietHours: {from: "22:00", until: "06:30"}}) {userErrors {code}}}`, nil, nil)
	o.burst(t, 1, "at once")
	o.notify(t, notice.SessionScheduled, "in a digest", func(e *notice.Event) { e.Recipients = []id.UUID{o.client} })
	sql(t, o.Env, `UPDATE notifications SET created_at = $1`, o.noon)
	day := o.noon.AddDate(0, 0, 1).In(newYork)
	clock := func(hour, minute int) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, newYork)
	}
	for _, c := range []struct {
		at   time.Time
		want int
	}{{clock(4, 59), 0}, {clock(5, 1), 0}, {clock(6, 29), 0}, {clock(6, 31), 2}, {clock(8, 0), 2}} {
		o.at(c.at)
		o.work(t)
		if n := len(o.mails(t, apptest.ClientUser)); n != c.want {
			t.Errorf("%d mails at %s: %s", n, c.at, o.counts(t))
		}
	}
}
