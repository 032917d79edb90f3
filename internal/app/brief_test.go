package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

type found struct {
	ID, Kind, Status string
	Citations        []struct{ Quote string }
}

type recurring struct {
	Label        string
	SessionCount int
}

// briefed is what a brief says.
type briefed struct {
	Client                             struct{ Name string }
	NextSession, LastSession           *struct{ Number int }
	DaysSinceLastContact, SessionsLeft *int
	OpenActions                        []struct {
		Title     string
		Overdue   bool
		Assignees []struct{ User, Client *struct{ Name string } }
	}
	Commitments, ToReview []found
	CarriedOver           []struct{ Title string }
	SlippingGoals         []struct{ Title, Progress string }
	Themes                []recurring
	ToReviewCount         int
}

const briefFields = `client {name} nextSession {number} lastSession {number} daysSinceLastContact sessionsLeft
	openActions {title overdue assignees {user {name} client {name}}} commitments {id kind status citations {quote}} toReview {id kind status citations {quote}} toReviewCount
	carriedOver {title} slippingGoals {title progress} themes {label sessionCount}`

// brief asks for a client's brief; nil if there is none for whoever asks. With it comes the id of the request.
func brief(t *testing.T, c *apptest.Client, client string) (*briefed, string) {
	t.Helper()
	r := c.Do(t, `query($id: ID!) {clientBrief(clientId: $id) {`+briefFields+`}}`, apptest.Vars{"id": client})
	if len(r.Errors) > 0 {
		t.Fatalf("%s", r.Body)
	}
	var out struct{ ClientBrief *briefed }
	r.Into(t, &out)
	return out.ClientBrief, r.Header.Get("X-Request-Id")
}

// parts are the lists of a brief in a few words.
func (b *briefed) parts() (actions, topics, goals string) {
	var a, tp, g []string
	for _, x := range b.OpenActions {
		a = append(a, fmt.Sprintf("%s %t", x.Title, x.Overdue))
	}
	for _, x := range b.CarriedOver {
		tp = append(tp, x.Title)
	}
	for _, x := range b.SlippingGoals {
		g = append(g, x.Title+" "+x.Progress)
	}
	return strings.Join(a, ", "), strings.Join(tp, ", "), strings.Join(g, ", ")
}

// TestClientBrief prepares the demo's coach for a session with Amara, and has things happen until there is nothing to prepare for.
func TestClientBrief(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	amara := clientOf(t, env, amara2.id(t, env))
	sql(t, env, `DELETE FROM action_items`)
	sql(t, env, `DELETE FROM goals`)
	sql(t, env, `UPDATE insights SET status = 'PROPOSED', reviewed_by = NULL, reviewed_at = NULL WHERE kind = 'COMMITMENT'`)
	coach := one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.Coach)
	action := func(title, status string, due any, assignees ...string) string {
		return does(t, ruth, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": amara, "title": title, "status": status, "dueOn": due, "assigneeIds": append([]string{}, assignees...)})["id"].(string)
	}
	day := func(in int) string { return time.Now().AddDate(0, 0, in).Format(time.DateOnly) }
	action("someday", "OPEN", nil)
	action("soon", "IN_PROGRESS", day(3), amara)
	late := action("late", "OPEN", day(2), coach, amara)
	later := action("later", "OPEN", day(2))
	done := action("done", "OPEN", day(2))
	action("not agreed", "PROPOSED", day(2))
	does(t, ruth, "updateActionItem", "actionItem", "id", apptest.Vars{"id": done, "expectedVersion": 1, "status": "DONE"})
	sql(t, env, `UPDATE action_items SET due_on = due_on - 20, due_at = due_at - interval '20 days' WHERE id = $1`, uuid(t, late))
	sql(t, env, `UPDATE action_assignees SET due_at = due_at - interval '20 days' WHERE action_id = $1`, uuid(t, late))
	sql(t, env, `UPDATE action_items SET due_on = due_on - 10, due_at = due_at - interval '10 days' WHERE id = $1`, uuid(t, later))
	goal := func(title string, target any) string {
		return does(t, ruth, "createGoal", "goal", "id", apptest.Vars{"clientId": amara, "title": title, "targetDate": target})["id"].(string)
	}
	goal("drifting", nil)
	missed := goal("missed", day(1))
	goal("stuck", day(40))
	closed := goal("closed", nil)
	sql(t, env, `UPDATE goals SET created_at = created_at - interval '60 days'`)
	sql(t, env, `UPDATE goals SET target_on = target_on - 10 WHERE id = $1`, uuid(t, missed))
	sql(t, env, `UPDATE action_items SET goal_id = $1 WHERE id = $2`, uuid(t, missed), uuid(t, late))
	does(t, ruth, "updateGoal", "goal", "id", apptest.Vars{"id": closed, "expectedVersion": 1, "status": "ACHIEVED"})
	goal("fresh", nil)

	b, request := brief(t, ruth, amara)
	if b == nil || b.Client.Name != "Amara Okafor" || b.NextSession.Number != 7 || b.LastSession.Number != 6 || *b.SessionsLeft != 3 || *b.DaysSinceLastContact < 6 || *b.DaysSinceLastContact > 7 {
		t.Fatalf("%+v", b)
	}
	actions, topics, goals := b.parts()
	if actions != "late true, later true, soon false, someday false" || topics != "Do I want the bigger team?" ||
		goals != "missed LETS_REFOCUS, stuck NEEDS_ATTENTION, drifting NEEDS_ATTENTION" {
		t.Errorf("%s; %s; %s", actions, topics, goals)
	}
	if !slices.ContainsFunc(b.Themes, func(x recurring) bool { return x == recurring{"Tomasz", 2} }) || slices.ContainsFunc(b.Themes, func(x recurring) bool { return x.SessionCount < 2 }) {
		t.Errorf("themes are %v", b.Themes)
	}
	if who := b.OpenActions[0].Assignees; len(who) != 2 || who[0].Client.Name != "Amara Okafor" || who[1].User.Name != "Ruth Calloway" {
		t.Errorf("%+v is to do it", who)
	}
	// What is cited was read: of each transcript one trace.
	read := map[string]string{}
	for _, i := range slices.Concat(b.Commitments, b.ToReview) {
		if len(i.Citations) == 0 {
			t.Errorf("%+v cites nothing", i)
		}
		read[one(t, env, "transcript", `SELECT transcript_id FROM insights WHERE id = $1`, uuid(t, i.ID))] = "citations"
	}
	if got := traced(t, env, request); fmt.Sprint(got) != fmt.Sprint(read) || len(read) == 0 {
		t.Errorf("%v was read, and %v is in the trail", read, got)
	}
	// The last commitments are those of the latest session with any; the others wait, and so do they until somebody decides.
	last := uuid(t, demoSession{"First year as an engineering manager", 6}.id(t, env))
	const holds = ` FROM insights i JOIN sessions s ON s.id = i.session_id WHERE i.retracted_at IS NULL AND s.client_id = $1`
	if n, count := len(b.Commitments), value[int](t, env, `SELECT count(*)`+holds+` AND s.id = $2 AND kind = 'COMMITMENT'`, uuid(t, amara), last); n != count || n < 2 {
		t.Errorf("%d commitments, of %d", n, count)
	}
	waiting := value[int](t, env, `SELECT count(*)`+holds+` AND i.status = 'PROPOSED'`, uuid(t, amara))
	if b.ToReviewCount != waiting || len(b.ToReview) != 5 {
		t.Errorf("%d of %d to review, want 5 of %d", len(b.ToReview), b.ToReviewCount, waiting)
	}
	risk := one(t, env, "insight", `SELECT i.id`+holds+` AND s.number = 2 AND i.status = 'PROPOSED' AND kind <> 'COMMITMENT' LIMIT 1`, uuid(t, amara))
	sql(t, env, `UPDATE insights SET kind = 'RISK_FLAG', audience = 'COACH_ONLY' WHERE id = $1`, uuid(t, risk))
	unreviewed := b.Commitments[slices.IndexFunc(b.Commitments, func(i found) bool { return i.Status == "PROPOSED" })].ID
	does(t, ruth, "reviewInsight", "insight", "id", apptest.Vars{"insightId": unreviewed, "decision": "DISMISS"})
	before := len(b.Commitments)
	if b, _ = brief(t, ruth, amara); len(b.Commitments) != before-1 || b.ToReviewCount != waiting-1 || b.ToReview[0].ID != risk {
		t.Errorf("after a look at one: %+v", b)
	}
	for _, i := range b.ToReview {
		if slices.ContainsFunc(b.Commitments, func(c found) bool { return c.ID == i.ID }) {
			t.Errorf("%s is there twice", i.ID)
		}
	}

	// Who is briefed: the coach's supervisor, of what the policy lets supervisors see, and nobody else.
	ines, _ := brief(t, env.Login(t, apptest.Supervisor), amara)
	if ines == nil || len(ines.OpenActions) != 4 || len(ines.Commitments) != before-1 || ines.ToReviewCount >= b.ToReviewCount {
		t.Errorf("the supervisor is told %+v", ines)
	}
	for _, who := range []string{apptest.Owner, apptest.Coach2, apptest.ClientUser, apptest.Sponsor, apptest.Lumen} {
		if got, _ := brief(t, env.Login(t, who), amara); got != nil {
			t.Errorf("%s is told %+v", who, got)
		}
	}
	if got, _ := brief(t, ruth, id.Format("client", id.New())); got != nil {
		t.Errorf("of nobody: %+v", got)
	}
	if r := ruth.Do(t, `{clientBrief(clientId: "`+coach+`") {toReviewCount}}`, nil); r.Code() != "INVALID" {
		t.Errorf("of what is no client: %s", r.Body)
	}
	// A client with whom nothing has happened yet.
	nadia, _ := brief(t, ruth, does(t, ruth, "createClient", "client", "id", apptest.Vars{"name": "Nadia Berg"})["id"].(string))
	if nadia == nil || nadia.NextSession != nil || nadia.LastSession != nil || nadia.DaysSinceLastContact != nil || nadia.SessionsLeft != nil || nadia.ToReviewCount != 0 ||
		nadia.OpenActions == nil || nadia.Commitments == nil || nadia.CarriedOver == nil || nadia.SlippingGoals == nil || nadia.ToReview == nil || nadia.Themes == nil ||
		len(nadia.OpenActions)+len(nadia.Commitments)+len(nadia.CarriedOver)+len(nadia.SlippingGoals)+len(nadia.ToReview)+len(nadia.Themes) != 0 {
		t.Errorf("of a new client: %+v", nadia)
	}

	// What is on another day's agenda now; and without a plan: what would go on it. What was held and is archived does not count.
	plan := func(number int) string { return demoSession{"First year as an engineering manager", number}.id(t, env) }
	const both = "Do I want the bigger team?, Feedback for the two new leads"
	does(t, ruth, "cancelSession", "session", "id", apptest.Vars{"id": plan(7), "by": "COACH"})
	b, _ = brief(t, ruth, amara)
	if _, topics, _ := b.parts(); b.NextSession == nil || b.NextSession.Number != 8 || topics != both {
		t.Errorf("next is %+v, with %s", b.NextSession, topics)
	}
	does(t, ruth, "cancelSession", "session", "id", apptest.Vars{"id": plan(8), "by": "COACH"})
	does(t, ruth, "archiveSession", "session", "id", apptest.Vars{"id": plan(6), "archived": true})
	b, _ = brief(t, ruth, amara)
	if _, topics, _ := b.parts(); b.NextSession != nil || b.LastSession.Number != 5 || *b.SessionsLeft != 3 || topics != both {
		t.Errorf("without a plan: %+v, waiting are %s", b, topics)
	}
	if len(b.Commitments) == 0 || b.Commitments[0].ID == unreviewed {
		t.Errorf("the commitments before: %+v", b.Commitments)
	}
	// Without consent nothing that an analysis found.
	consents(t, env.Login(t, apptest.ClientUser), "withdrawConsent", apptest.Vars{"subjectId": amara, "scopes": []string{"AI_ANALYSIS"}})
	if b, _ = brief(t, ruth, amara); len(b.Commitments) != 0 || len(b.ToReview)+len(b.Themes) != 0 || b.ToReviewCount != 0 || len(b.OpenActions) != 4 {
		t.Errorf("without consent: %+v", b)
	}
	does(t, ruth, "archiveClient", "client", "id", apptest.Vars{"id": amara, "archived": true})
	if b, _ = brief(t, ruth, amara); b != nil {
		t.Errorf("of who is archived: %+v", b)
	}
}

// briefs asks for everybody's brief of everybody: it is for coaches and supervisors, holds only rows that they see, and counts
// no others.
func (k *walk) briefs(t *testing.T) {
	t.Helper()
	held := map[string]bool{}
	for _, v := range k.viewers {
		var query strings.Builder
		var asked []string
		for key, f := range k.world.byID {
			if f.typ == "Client" {
				fmt.Fprintf(&query, "c%d: clientBrief(clientId: %q) {%s} ", len(asked), key, k.fields(k.schema.Types["ClientBrief"], ""))
				asked = append(asked, key)
			}
		}
		var out map[string]map[string]any
		k.must(t, v, "{"+query.String()+"}", nil, &out)
		for i, key := range asked {
			got := out[fmt.Sprintf("c%d", i)]
			through := grants(v, k.of(v, key))
			want := empty(k.full[key]["archivedAt"]) && (slices.Contains(through, coach) || slices.Contains(through, supervisor))
			if (got != nil) != want {
				t.Errorf("%s, to %s %v: has a brief: %t", v.who, key, through, got != nil)
			}
			for field, value := range got {
				switch value := condense(t, value).(type) {
				case ref:
					held[field] = true
					if !k.sees(v, string(value)) {
						t.Errorf("%s: %s of the brief of %s is %s", v.who, field, key, value)
					}
				case []any:
					for _, row := range value {
						held[field] = true
						if !k.sees(v, string(row.(ref))) {
							t.Errorf("%s: %s of the brief of %s has %s", v.who, field, key, row)
						}
					}
				}
			}
			n := 0
			for insight := range k.listedTo[v]["insights"] {
				if session, _ := k.full[insight]["session"].(ref); k.full[insight]["status"] == "PROPOSED" && k.full[string(session)]["client"] == ref(key) {
					n++
				}
			}
			if got != nil && got["toReviewCount"] != float64(n) {
				t.Errorf("%s: %v to review with %s, and sees %d", v.who, got["toReviewCount"], key, n)
			}
		}
	}
	for _, field := range strings.Fields("client nextSession lastSession openActions commitments carriedOver slippingGoals themes toReview") {
		if !held[field] {
			t.Errorf("nobody's brief has %s", field)
		}
	}
}
