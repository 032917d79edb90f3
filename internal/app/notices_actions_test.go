package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
)

// tasks are the actions of an office, added by the coach for the client who has a login.
type tasks struct {
	*office
	ruth, amara *apptest.Client
	client      string // the client whom amara is
	coachID     string
}

func newTasks(t *testing.T) *tasks {
	t.Helper()
	o := newOffice(t)
	return &tasks{o, o.Login(t, apptest.Coach), o.Login(t, apptest.ClientUser),
		one(t, o.Env, "client", `SELECT client_id FROM sessions WHERE id = $1`, o.session), id.Format("user", o.coach)}
}

// add adds an action of the coach's that is for the client, unless change says otherwise.
func (o *tasks) add(t *testing.T, title string, change apptest.Vars) string {
	t.Helper()
	in := apptest.Vars{"clientId": o.client, "title": title, "assigneeIds": []string{o.client}}
	for name, v := range change {
		in[name] = v
	}
	return does(t, o.ruth, "createActionItem", "actionItem", "id", in)["id"].(string)
}

// update changes an action at the version it has.
func (o *tasks) update(t *testing.T, c *apptest.Client, action string, change apptest.Vars) {
	t.Helper()
	in := apptest.Vars{"id": action, "expectedVersion": value[int](t, o.Env, `SELECT version FROM action_items WHERE id = $1`, uuid(t, action))}
	for name, v := range change {
		in[name] = v
	}
	does(t, c, "updateActionItem", "actionItem", "id", in)
}

func (o *tasks) assign(t *testing.T, action string, to ...string) {
	t.Helper()
	does(t, o.ruth, "assignActionItem", "actionItem", "id", apptest.Vars{"actionItemId": action,
		"expectedVersion": value[int](t, o.Env, `SELECT version FROM action_items WHERE id = $1`, uuid(t, action)), "assigneeIds": append([]string{}, to...)})
}

// toldOf are the titles of what a person is told of a type.
func toldOf(t *testing.T, c *apptest.Client, typ string) (titles []string) {
	t.Helper()
	for _, n := range notices(t, c, "types: ["+typ+"]").Viewer.Notifications.Nodes {
		titles = append(titles, n.Title)
	}
	return titles
}

// mailed are the mails to the client that begin with a subject, the newest first.
func (o *tasks) mailed(t *testing.T, subject string) []devbox.Mail {
	t.Helper()
	return slices.DeleteFunc(o.mails(t, apptest.ClientUser), func(m devbox.Mail) bool { return !strings.HasPrefix(m.Subject, subject) })
}

// Whoever gets something to do is told, once for each time, and nobody of what they took upon themselves or is not agreed on.
func TestAssignedActionsAreTold(t *testing.T) {
	t.Parallel()
	o := newTasks(t)
	expect := func(when string, c *apptest.Client, want ...string) {
		t.Helper()
		if got := toldOf(t, c, "ACTION_ASSIGNED"); !slices.Equal(got, want) {
			t.Errorf("%s: told %q, want %q", when, got, want)
		}
	}
	board := o.add(t, "Write to the board", apptest.Vars{"dueOn": "2190-07-09", "description": "The Wexcombe matter", "assigneeIds": []string{o.client, o.coachID}})
	expect("given", o.amara, "Action for you: Write to the board (due Friday, 9 July 2190)")
	expect("given to oneself", o.ruth)
	n := notices(t, o.amara, "").Viewer.Notifications.Nodes[0]
	if n.Subject == nil || n.Subject.ID != board || n.Client == nil || n.Client.ID != o.client || n.Actor == nil {
		t.Errorf("%+v", n)
	}
	o.update(t, o.ruth, board, apptest.Vars{"title": "Write to the whole board", "dueOn": "2190-07-10"})
	o.update(t, o.amara, board, apptest.Vars{"status": "IN_PROGRESS"})
	o.assign(t, board, o.client)
	expect("changed", o.amara, "Action for you: Write to the whole board (due Saturday, 10 July 2190)")

	// Relieved of it: nothing of it is left, unless they see it anyway; given it again: told again.
	mei := value[id.UUID](t, o.Env, `SELECT id FROM users WHERE email = $1`, apptest.Coach2)
	sql(t, o.Env, `INSERT INTO participants (id, org_id, session_id, role, user_id, name) SELECT gen_random_uuid(), org_id, id, 'OBSERVER', $2, 'O' FROM sessions WHERE id = $1`, o.session, mei)
	coach2 := o.Login(t, apptest.Coach2)
	o.assign(t, board, o.client, id.Format("user", mei))
	expect("another is given it", coach2, "Action for you: Write to the whole board (due Saturday, 10 July 2190)")
	mail := apptest.Vars{"types": []apptest.Vars{{"type": "ACTION_ASSIGNED", "email": "IMMEDIATE"}}}
	does(t, coach2, "updateNotificationPreferences", "preferences", "digestHour", mail)
	o.assign(t, board, o.client)
	expect("relieved", coach2)
	o.assign(t, board, o.client, id.Format("user", mei))
	expect("given it again", coach2, slices.Repeat([]string{"Action for you: Write to the whole board (due Saturday, 10 July 2190)"}, 2)...)
	o.assign(t, board, o.client)
	expect("relieved again", coach2)
	o.work(t)
	if got := o.mails(t, apptest.Coach2); len(got) != 0 || !strings.Contains(o.deliveries(t), "ACTION_ASSIGNED SUPPRESSED NOTHING") {
		t.Errorf("%d mails to who was relieved, %s", len(got), o.deliveries(t))
	}

	// A proposal is told when it is agreed on; what is given up by then never.
	does(t, o.amara, "updateNotificationPreferences", "preferences", "digestHour", mail)
	before := toldOf(t, o.amara, "ACTION_ASSIGNED")
	proposal := o.add(t, "Ring Tomasz", apptest.Vars{"status": "PROPOSED"})
	given := o.add(t, "Ring the bell", apptest.Vars{"status": "PROPOSED"})
	o.update(t, o.ruth, given, apptest.Vars{"status": "WONT_DO"})
	expect("proposed", o.amara, before...)
	o.update(t, o.ruth, proposal, apptest.Vars{"status": "OPEN", "dueOn": "2190-07-10"})
	expect("agreed on", o.amara, append([]string{"Action for you: Ring Tomasz (due Saturday, 10 July 2190)"}, before...)...)
	o.update(t, o.ruth, proposal, apptest.Vars{"status": "DONE"})
	o.update(t, o.ruth, proposal, apptest.Vars{"status": "OPEN"})
	expect("taken up again", o.amara, append([]string{"Action for you: Ring Tomasz (due Saturday, 10 July 2190)"}, before...)...)
	o.add(t, "Thank Tomasz", nil)
	o.work(t)
	mails := o.mailed(t, "Action for you")
	if len(mails) != 2 || len(o.mailed(t, "Action for you: Thank Tomasz")) != 1 || len(o.mailed(t, "Action for you: Ring Tomasz (due Saturday, 10 July 2190)")) != 1 {
		t.Fatalf("%d mails, %s", len(mails), o.deliveries(t))
	}
	// What is done by the time the mail leaves needs no mail; and what is stopped is not sent.
	done := o.add(t, "Pay Tomasz", nil)
	o.update(t, o.amara, done, apptest.Vars{"status": "DONE"})
	o.work(t)
	if status, page := unsubscribe(t, o.office, mails[0], "POST", "List-Unsubscribe=One-Click"); status != 200 {
		t.Errorf("%d %s", status, page)
	}
	o.add(t, "Meet Tomasz", nil)
	o.work(t)
	if n := len(o.mailed(t, "Action for you")); n != 2 {
		t.Errorf("%d mails of what was done or unsubscribed from; %s", n, o.deliveries(t))
	}
	if got := toldOf(t, o.amara, "ACTION_ASSIGNED"); len(got) != 5 || got[0] != "Action for you: Meet Tomasz" {
		t.Errorf("in the app: %q", got)
	}

	// A commitment that becomes an action tells who has made it.
	o.update(t, o.ruth, board, apptest.Vars{"status": "DONE"})
	insight := one(t, o.Env, "insight", `SELECT i.id FROM insights i JOIN sessions s ON s.id = i.session_id
		WHERE i.kind = 'COMMITMENT' AND s.client_id = $1 AND i.retracted_at IS NULL
		AND NOT EXISTS (SELECT FROM action_items a WHERE a.source_insight_id = i.id) LIMIT 1`, uuid(t, o.client))
	accept := apptest.Vars{"insightId": insight, "title": "Answer Petra", "assigneeIds": []string{o.client}}
	for range 2 {
		does(t, o.ruth, "acceptInsightAsAction", "actionItem", "id", accept)
	}
	if got := toldOf(t, o.amara, "ACTION_ASSIGNED"); len(got) != 6 || !strings.HasPrefix(got[0], "Action for you: Answer Petra") {
		t.Errorf("of a commitment: %q", got)
	}
}

// An action that is due is told when its day begins where its assignee is, once, whoever sweeps; anew if it is moved; not any more
// once it is closed or its client archived.
func TestDueActionsAreTold(t *testing.T) {
	t.Parallel()
	o := newTasks(t)
	sql(t, o.Env, `UPDATE users SET time_zone = 'America/Los_Angeles' WHERE id = $1`, o.coach)
	angeles, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	day := o.noon.AddDate(0, 0, 2)
	on := func(days int) string { return day.AddDate(0, 0, days).Format(time.DateOnly) }
	midnight := func(days int, in *time.Location) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day()+days, 0, 0, 0, 0, in)
	}
	due := func(title string) int {
		return value[int](t, o.Env, `SELECT count(*) FROM notifications n JOIN action_items a ON a.id = n.subject_id WHERE n.type = 'ACTION_DUE' AND a.title = $1`, title)
	}
	sweep := func(at time.Time) {
		t.Helper()
		o.at(at)
		var all sync.WaitGroup
		for range 4 { // several processes
			all.Go(func() { o.App.Remind(t.Context()) })
		}
		all.Wait()
	}
	expect := func(when, title string, want int) {
		t.Helper()
		if n := due(title); n != want {
			t.Errorf("%s: told %d times, want %d", when, n, want)
		}
	}
	both := o.add(t, "Both", apptest.Vars{"dueOn": on(0), "assigneeIds": []string{o.client, o.coachID}})
	moved := o.add(t, "Moved", apptest.Vars{"dueOn": on(0)})
	for title, change := range map[string]apptest.Vars{"Done": {"status": "DONE"}, "Given up": {"status": "WONT_DO"}, "No day any more": {"dueOn": nil}} {
		o.update(t, o.ruth, o.add(t, title, apptest.Vars{"dueOn": on(0)}), change)
	}
	o.add(t, "Proposed", apptest.Vars{"dueOn": on(0), "status": "PROPOSED"})
	o.add(t, "Nobody's", apptest.Vars{"dueOn": on(0), "assigneeIds": []string{}})
	o.add(t, "Late", apptest.Vars{"dueOn": on(0)})
	sql(t, o.Env, `UPDATE action_items SET due_on = due_on - 3 WHERE title = 'Late'`)
	today := o.add(t, "Given that day", apptest.Vars{"dueOn": on(0)})
	sql(t, o.Env, `UPDATE action_assignees SET created_at = $2 WHERE action_id = $1`, uuid(t, today), midnight(0, o.berlin).Add(time.Hour))

	sweep(midnight(0, o.berlin).Add(-time.Minute))
	expect("the day before", "Both", 0)
	sweep(midnight(0, o.berlin))
	expect("in Berlin", "Both", 1)
	expect("in Berlin", "Moved", 1)
	sweep(midnight(0, angeles).Add(-time.Minute))
	expect("before midnight in Los Angeles", "Both", 1)
	sweep(midnight(0, angeles))
	expect("in Los Angeles", "Both", 2)
	for _, title := range []string{"Done", "Given up", "No day any more", "Proposed", "Nobody's", "Late", "Given that day"} {
		expect(title, title, 0)
	}
	if got := toldOf(t, o.ruth, "ACTION_DUE"); !slices.Equal(got, []string{"Action due " + day.Format("Monday, 2 January 2006") + ": Both"}) {
		t.Errorf("the coach is told %q", got)
	}

	// Moved, to a later day and back, while the server is away for a day.
	o.update(t, o.ruth, moved, apptest.Vars{"dueOn": on(3)})
	sweep(midnight(2, o.berlin))
	expect("moved", "Moved", 1)
	sweep(midnight(4, o.berlin).Add(time.Hour))
	expect("its new day was yesterday", "Moved", 2)
	expect("long over", "Both", 2)
	o.update(t, o.ruth, moved, apptest.Vars{"dueOn": on(6)})
	o.update(t, o.ruth, moved, apptest.Vars{"dueOn": on(3)})
	sweep(midnight(4, o.berlin).Add(2 * time.Hour))
	expect("moved and back", "Moved", 2)
	o.update(t, o.ruth, both, apptest.Vars{"dueOn": on(6)})
	sql(t, o.Env, `UPDATE clients SET archived_at = now() WHERE id = $1`, uuid(t, o.client))
	o.update(t, o.ruth, moved, apptest.Vars{"dueOn": on(6)})
	sweep(midnight(6, o.berlin))
	expect("archived", "Moved", 2)
	sql(t, o.Env, `UPDATE clients SET archived_at = NULL WHERE id = $1`, uuid(t, o.client))
	sweep(midnight(6, o.berlin).Add(time.Hour))
	expect("not archived any more", "Moved", 3)

	// By mail in the digest of that morning, if it is still to be done.
	sql(t, o.Env, `DELETE FROM notifications WHERE type <> 'ACTION_DUE' OR dedup_key NOT LIKE '%' || $1`, on(6))
	sql(t, o.Env, `UPDATE notifications SET created_at = $1`, midnight(6, o.berlin))
	o.update(t, o.amara, both, apptest.Vars{"status": "DONE"})
	o.at(midnight(6, o.berlin).Add(8 * time.Hour))
	o.work(t)
	digests := o.mailed(t, "Your day at")
	if len(digests) != 1 || !strings.Contains(digests[0].Text, "Action due "+day.AddDate(0, 0, 6).Format("Monday, 2 January 2006")+": Moved") || strings.Contains(digests[0].Text, "Both") {
		t.Errorf("%d digests, %s", len(digests), o.deliveries(t))
	}
}

// However many are due at one midnight, all are told by one sweep.
func TestManyDueActions(t *testing.T) {
	t.Parallel()
	o := newTasks(t)
	day := o.noon.AddDate(0, 0, 2)
	o.add(t, "One of many", apptest.Vars{"dueOn": day.Format(time.DateOnly)})
	sql(t, o.Env, `WITH more AS (
			INSERT INTO action_items (id, org_id, client_id, coach_id, title, status, due_on, due_at, created_by)
			SELECT gen_random_uuid(), org_id, client_id, coach_id, title, status, due_on, due_at, created_by FROM action_items, generate_series(1, 499) WHERE title = 'One of many'
			RETURNING *)
		INSERT INTO action_assignees (id, org_id, action_id, client_id, due_at) SELECT gen_random_uuid(), org_id, id, client_id, due_at FROM more`)
	o.at(day)
	if n, err := o.App.Services().Goals.TellDue(t.Context(), day); n != 500 || err != nil {
		t.Errorf("told of %d, %v", n, err)
	}
	if n, err := o.App.Services().Goals.TellDue(t.Context(), day); n != 0 || err != nil {
		t.Errorf("told of %d again, %v", n, err)
	}
	if n := value[int](t, o.Env, `SELECT count(*) FROM notifications WHERE type = 'ACTION_DUE'`); n != 500 {
		t.Error(fmt.Sprint(n, " notifications"))
	}
}
