package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// TestFiftyWritersOfAGoal lets fifty people change one goal at once, each trying until it is done: no change is lost, and who
// comes late is shown the goal as it is.
func TestFiftyWritersOfAGoal(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	goal := does(t, coach, "createGoal", "goal", "id", apptest.Vars{"clientId": client, "title": "0"})["id"].(string)
	const query = `mutation($id: ID!, $seen: Int!, $title: String!) { updateGoal(input: {id: $id, expectedVersion: $seen, title: $title}) { goal { version title } userErrors { code field } } }`
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			seen, title := 1, "0"
			for {
				var n int
				if _, err := fmt.Sscan(title, &n); err != nil {
					t.Error(err)
					return
				}
				var out struct {
					UpdateGoal struct {
						Goal *struct {
							Version int
							Title   string
						}
						UserErrors []struct{ Code string }
					}
				}
				r := coach.Do(t, query, apptest.Vars{"id": goal, "seen": seen, "title": fmt.Sprint(n + 1)})
				if len(r.Errors) > 0 {
					t.Errorf("%s", r.Body)
					return
				}
				r.Into(t, &out)
				if out.UpdateGoal.Goal == nil {
					t.Errorf("no goal: %s", r.Body)
					return
				}
				if len(out.UpdateGoal.UserErrors) == 0 {
					return
				}
				if out.UpdateGoal.UserErrors[0].Code != "CONFLICT" {
					t.Errorf("%s", r.Body)
					return
				}
				seen, title = out.UpdateGoal.Goal.Version, out.UpdateGoal.Goal.Title
			}
		})
	}
	all.Wait()
	if title, version := value[string](t, env, `SELECT title FROM goals WHERE id = $1`, uuid(t, goal)), value[int](t, env, `SELECT version FROM goals WHERE id = $1`, uuid(t, goal)); title != "50" || version != 51 {
		t.Errorf("title is %s, version %d: an update is lost", title, version)
	}
}

// TestFiftyPeopleAtAGoal lets fifty people check in, correct one check-in, link and do an action and change the goal, all at once:
// what is added is there, one correction counts, and nobody hears of a deadlock.
func TestFiftyPeopleAtAGoal(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	goal := does(t, coach, "createGoal", "goal", "id", apptest.Vars{"clientId": client, "title": "Together"})["id"].(string)
	wrong := does(t, coach, "addCheckIn", "checkIn", "id", apptest.Vars{"goalId": goal, "score": 1})["id"]
	action := does(t, coach, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": client, "title": "Together"})["id"].(string)
	var mu sync.Mutex
	answers := map[string]int{}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			var what string
			var got changed
			switch i % 5 {
			case 0, 1:
				what, got = "checkIn", change(t, coach, "addCheckIn", "checkIn", "id", apptest.Vars{"goalId": goal, "score": i % 11})
			case 2:
				what, got = "correct", change(t, coach, "addCheckIn", "checkIn", "id", apptest.Vars{"goalId": goal, "score": 9, "correctsId": wrong})
			case 3:
				mutation := []string{"linkGoal", "unlinkGoal"}[i%2]
				what, got = "link", change(t, coach, mutation, "goal", "id", apptest.Vars{"goalId": goal, "entityId": action})
			default:
				if i%2 == 0 {
					what, got.response = "do", coach.Do(t, `mutation($id: ID!) { updateActionItem(input: {id: $id, expectedVersion: 1, status: IN_PROGRESS}) { userErrors { code } } }`,
						apptest.Vars{"id": action})
				} else {
					what, got.response = "update", coach.Do(t, `mutation($id: ID!, $title: String) { updateGoal(input: {id: $id, expectedVersion: 1, title: $title}) { userErrors { code } } }`,
						apptest.Vars{"id": goal, "title": fmt.Sprint(i)})
				}
				if strings.Contains(string(got.response.Data), "CONFLICT") { // the payload carries what is there now, too
					what += " CONFLICT"
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if answer := got.response.Code() + briefly(got.userErrors); answer != "" {
				what += " " + answer
			}
			answers[what]++
		})
	}
	all.Wait()
	if answers["checkIn"] != 20 || answers["correct"] != 1 || answers["correct INVALID correctsId"] != 9 || answers["link"] != 10 ||
		answers["update"] != 1 || answers["update CONFLICT"] != 4 || answers["do"]+answers["do CONFLICT"] != 5 {
		t.Errorf("answers: %v", answers)
	}
	if n := value[int](t, env, `SELECT count(*) FROM goal_check_ins WHERE goal_id = $1`, uuid(t, goal)); n != 22 {
		t.Errorf("%d check-ins of 22", n)
	}
	if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE action = 'goal.checkIn' AND entity_id = $1`, uuid(t, goal)); n != 22 {
		t.Errorf("the trail knows %d check-ins of 22", n)
	}
	if n := value[int](t, env, `SELECT version FROM goals WHERE id = $1`, uuid(t, goal)); n != 2 {
		t.Errorf("the goal is at version %d", n)
	}
}

// TestCheckInsAreOnlyAdded corrects a check-in: the first stays, the second counts in its place.
func TestCheckInsAreOnlyAdded(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	goal := does(t, coach, "createGoal", "goal", "id", apptest.Vars{"clientId": client, "title": "Thursdays"})["id"].(string)
	add := func(c *apptest.Client, score int, corrects any) changed {
		return change(t, c, "addCheckIn", "checkIn", "id at", apptest.Vars{"goalId": goal, "score": score, "correctsId": corrects})
	}
	first := add(amara, 2, nil).entity
	later := add(coach, 7, nil).entity
	second := add(amara, 3, first["id"])
	if second.entity["at"] != first["at"] {
		t.Errorf("the correction stands at %v, what it corrects at %v", second.entity["at"], first["at"])
	}
	for _, wrong := range []changed{add(amara, 4, first["id"]), add(amara, 4, later["id"])} {
		if briefly(wrong.userErrors) != "INVALID correctsId" {
			t.Errorf("%s", wrong.response.Body)
		}
	}
	if got := add(amara, 11, nil); briefly(got.userErrors) != "INVALID score" {
		t.Errorf("%s", got.response.Body)
	}
	score := func(want int) {
		t.Helper()
		var out struct{ Goal struct{ LatestScore int } }
		coach.Must(t, `query($id: ID!) { goal(id: $id) { latestScore } }`, apptest.Vars{"id": goal}, &out)
		if out.Goal.LatestScore != want {
			t.Errorf("the latest score is %d, want %d", out.Goal.LatestScore, want)
		}
	}
	score(7)
	add(coach, 6, later["id"])
	score(6)
	does(t, coach, "updateGoal", "goal", "id", apptest.Vars{"id": goal, "expectedVersion": 1, "status": "ABANDONED"})
	if got := add(amara, 4, nil); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("%s", got.response.Body)
	}
	if got := change(t, coach, "updateGoal", "goal", "version", apptest.Vars{"id": goal, "expectedVersion": 2, "status": "ACHIEVED"}); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("%s", got.response.Body)
	}
}

// TestActionsAreDueWherePeopleAre: a day ends for each assignee at their midnight, and a day that is over is no day to plan for.
func TestActionsAreDueWherePeopleAre(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	ruth := value[id.UUID](t, env, `SELECT id FROM users WHERE email = $1`, apptest.Coach)
	sql(t, env, `UPDATE users SET time_zone = CASE id WHEN '`+ruth.String()+`' THEN 'America/Los_Angeles' ELSE 'Pacific/Auckland' END`)
	both := []string{client, id.Format("user", ruth)}
	action := does(t, coach, "createActionItem", "actionItem", "id dueAt", apptest.Vars{"clientId": client, "title": "Ask", "dueOn": "2031-01-15", "assigneeIds": both})
	if action["dueAt"] != "2031-01-16T08:00:00Z" {
		t.Errorf("to the coach it is due at %v", action["dueAt"])
	}
	var out struct {
		Viewer struct {
			ActionItems struct{ Nodes []struct{ ID, DueAt string } }
		}
	}
	amara.Must(t, `{ viewer { actionItems(filter: {dueAfter: "2031-01-01T00:00:00Z", dueBefore: "2031-01-15T11:00:01Z"}) { nodes { id dueAt } } } }`, nil, &out)
	if n := out.Viewer.ActionItems.Nodes; len(n) != 1 || n[0].DueAt != "2031-01-15T11:00:00Z" {
		t.Errorf("to the client it is due as %+v", n)
	}
	past := time.Now().AddDate(0, 0, -3).Format(time.DateOnly)
	for field, input := range map[string]apptest.Vars{
		"dueOn":         {"clientId": client, "title": "Ask", "dueOn": past},
		"assigneeIds.1": {"clientId": client, "title": "Ask", "assigneeIds": []string{client, id.Format("user", id.New())}},
		"goalId":        {"clientId": client, "title": "Ask", "goalId": id.Format("goal", id.New())},
		"sessionId":     {"clientId": client, "title": "Ask", "sessionId": id.Format("session", id.New())},
		"status":        {"clientId": client, "title": "Ask", "status": "DONE"},
	} {
		before := rowCounts(t, env)
		if got := change(t, coach, "createActionItem", "actionItem", "id", input); briefly(got.userErrors) != "INVALID "+field {
			t.Errorf("%s: %s", field, got.response.Body)
		}
		sameRows(t, before, rowCounts(t, env))
	}
	// The client says how far it has come, and changes nothing else of what the coach has added.
	if got := change(t, amara, "updateActionItem", "actionItem", "id", apptest.Vars{"id": action["id"], "expectedVersion": 1, "title": "Other"}); got.response.Code() != "FORBIDDEN" {
		t.Errorf("%s", got.response.Body)
	}
	has(t, does(t, amara, "updateActionItem", "actionItem", "status version", apptest.Vars{"id": action["id"], "expectedVersion": 1, "status": "DONE"}), apptest.Vars{"status": "DONE", "version": 2})
	if got := change(t, amara, "updateActionItem", "actionItem", "id", apptest.Vars{"id": action["id"], "expectedVersion": 2, "status": "WONT_DO"}); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("%s", got.response.Body)
	}
	own := does(t, amara, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": client, "title": "My own"})["id"]
	does(t, amara, "updateActionItem", "actionItem", "title", apptest.Vars{"id": own, "expectedVersion": 1, "title": "My very own"})
}

// TestOverdueFarFromHome: an action is overdue for who lives where the day is over, a day before it is for the last of all.
func TestOverdueFarFromHome(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	action := does(t, coach, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": client, "title": "Far", "dueOn": "2031-01-15", "assigneeIds": []string{client}})["id"]
	sql(t, env, `UPDATE action_items SET due_at = now() + interval '25 hours 59 minutes' WHERE title = 'Far'`)
	sql(t, env, `UPDATE action_assignees SET due_at = now() - interval '1 second' FROM action_items a WHERE a.id = action_id AND a.title = 'Far'`)
	for _, filter := range []string{`{overdue: true}`, fmt.Sprintf(`{dueBefore: %q}`, time.Now().Format(time.RFC3339Nano)), `{overdue: false}`} {
		for who, c := range map[string]*apptest.Client{"the client": amara, "the coach": coach} {
			r := c.Do(t, `{ actionItems(first: 100, filter: `+filter+`) { nodes { id overdue } } }`, nil)
			if got, want := strings.Contains(string(r.Data), fmt.Sprint(action)), (who == "the client") != (filter == `{overdue: false}`); got != want || len(r.Errors) > 0 {
				t.Errorf("%s for %s: it is there: %t", filter, who, got)
			}
		}
	}
}

// TestACommitmentIsWhoseItIs accepts what several people in one session have committed to.
func TestACommitmentIsWhoseItIs(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := one(t, env, "session", `SELECT s.id FROM sessions s JOIN clients c ON c.id = s.client_id WHERE c.name = 'Jonas Lindqvist'
		AND NOT EXISTS (SELECT FROM transcripts t WHERE t.session_id = s.id) ORDER BY s.number LIMIT 1`)
	amara, mei := clientOf(t, env, amara2.id(t, env)), one(t, env, "client", `SELECT id FROM clients WHERE name = 'Mei Tanaka'`)
	for _, who := range []string{amara, mei} {
		does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "clientId": who, "role": "CLIENT"})
	}
	imports(t, coach, session, `WEBVTT

00:00.000 --> 00:05.000
Ruth Calloway: What would each of you like to take with you from today?

00:06.000 --> 00:10.000
Amara Okafor: I feel much clearer now. I will write to the landlord on Monday.

00:11.000 --> 00:15.000
jonas  LINDQVIST: I think that helps me. I will call the accountant on Tuesday.

00:16.000 --> 00:20.000
Mei Tanaka: I feel ready for it. I will write to the partners about the partnership letter on Thursday.
`)
	sql(t, env, `UPDATE speakers sp SET role = CASE WHEN label = 'Ruth Calloway' THEN 'COACH' ELSE 'CLIENT' END, role_confidence = 1, role_reason = NULL
		FROM transcripts t WHERE t.id = sp.transcript_id AND t.session_id = $1`, uuid(t, session))
	env.Work(t)
	said := func(words string) string {
		t.Helper()
		return one(t, env, "insight", `SELECT i.id FROM insights i JOIN citations c ON c.insight_id = i.id WHERE i.session_id = $1 AND i.kind = 'COMMITMENT' AND i.committed_speaker_id IS NOT NULL
			AND c.quote LIKE '%' || $2 || '%' LIMIT 1`, uuid(t, session), words)
	}
	accept := func(insight string, more apptest.Vars) (string, changed) {
		t.Helper()
		in := apptest.Vars{"insightId": insight}
		maps.Copy(in, more)
		got := change(t, coach, "acceptInsightAsAction", "actionItem", "assignees { client { name } user { name } }", in)
		raw, _ := json.Marshal(got.entity["assignees"])
		return string(raw), got
	}
	for words, want := range map[string]string{
		"the landlord":   `[{"client":null,"user":{"name":"Amara Okafor"}}]`,
		"the accountant": `[{"client":{"name":"Jonas Lindqvist"},"user":null}]`,
	} {
		if got, answer := accept(said(words), nil); got != want {
			t.Errorf("%s: assigned to %s, want %s: %s", words, got, want, answer.response.Body)
		}
	}
	// Of whom nobody knows who they are, and of whom the action cannot be: the coach says, or leaves it open.
	insight := said("the partnership letter")
	for _, tc := range []struct{ name, saying string }{{"iPhone", "is not certain"}, {"Ruth Calloway", "is not certain"}, {"Mei Tanaka", "has no login"}} {
		sql(t, env, `UPDATE speakers SET display_name = $2 WHERE label = 'Mei Tanaka' AND transcript_id = (SELECT transcript_id FROM insights WHERE id = $1)`, uuid(t, insight), tc.name)
		_, got := accept(insight, nil)
		if briefly(got.userErrors) != "INVALID assigneeIds" || !strings.Contains(got.userErrors[0].Message, tc.saying) {
			t.Errorf("%s: %s", tc.name, got.response.Body)
		}
		if n := value[int](t, env, `SELECT count(*) FROM insights WHERE id = $1 AND status = 'PROPOSED'`, uuid(t, insight)); n != 1 {
			t.Errorf("%s: accepted by halves", tc.name)
		}
	}
	for _, more := range []apptest.Vars{{"assigneeIds": []string{}}, nil} { // and what there is stays
		if to, got := accept(insight, more); to != `[]` {
			t.Errorf("left open: %s", got.response.Body)
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM action_assignees x JOIN action_items a ON a.id = x.action_id WHERE a.session_id = $1 AND x.client_id IS NOT NULL`, uuid(t, session)); n != 1 {
		t.Errorf("%d of the commitments are the client's", n)
	}
}

// TestAnInsightGivesOneAction accepts one commitment many times at once.
func TestAnInsightGivesOneAction(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	insight := one(t, env, "insight", `SELECT i.id FROM insights i JOIN sessions s ON s.id = i.session_id JOIN users u ON u.id = s.coach_id JOIN speakers p ON p.id = i.committed_speaker_id
		WHERE u.email = $1 AND p.role = 'CLIENT' AND i.due_on IS NOT NULL AND i.status = 'PROPOSED' AND i.retracted_at IS NULL ORDER BY i.id LIMIT 1`, apptest.Coach)
	made := make([]map[string]any, 20)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			made[i] = change(t, coach, "acceptInsightAsAction", "actionItem", "id dueOn assignees { client { id } } sourceInsight { status }", apptest.Vars{"insightId": insight}).entity
		})
	}
	all.Wait()
	for _, a := range made {
		if a == nil || a["id"] != made[0]["id"] {
			t.Errorf("%v is not %v", a, made[0])
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM action_items WHERE source_insight_id = $1`, uuid(t, insight)); n != 1 {
		t.Errorf("%d actions", n)
	}
	if said := value[time.Time](t, env, `SELECT due_on FROM insights WHERE id = $1`, uuid(t, insight)); made[0]["dueOn"] != said.Format(time.DateOnly) {
		t.Errorf("due on %v, said was %v", made[0]["dueOn"], said)
	}
	has(t, made[0], apptest.Vars{"sourceInsight": apptest.Vars{"status": "ACCEPTED"}})
	if who := made[0]["assignees"].([]any); len(who) != 1 || who[0].(map[string]any)["client"] == nil {
		t.Errorf("assigned to %v", who)
	}
}
