package app_test

import (
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// The demo's practice works: each state of progress and of an action is to be seen, and something is overdue.
func TestTheDemoShowsAPractice(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	var out struct {
		Goals struct {
			Nodes []struct {
				Progress    string
				LatestScore int
				CheckIns    struct{ Nodes []struct{ Score int } }
				Sessions    []struct{ ID string }
				Client      struct{ Name string }
			}
		}
		ActionItems struct {
			Nodes []struct {
				Title, Status string
				Overdue       bool
				Assignees     []struct{ User, Client *struct{ Name string } }
				SourceInsight *struct{ ID string }
			}
		}
		Notes struct{ Nodes []struct{ Visibility string } }
	}
	ruth.Must(t, `{
		goals { nodes { progress latestScore checkIns { nodes { score } } sessions { id } client { name } } }
		actionItems(first: 100) { nodes { title status overdue assignees { user { name } client { name } } sourceInsight { id } } }
		notes { nodes { visibility } } }`, nil, &out)
	seen := map[string]int{}
	for _, g := range out.Goals.Nodes {
		seen[g.Progress]++
		seen[g.Client.Name]++
		if g.LatestScore == 0 || len(g.CheckIns.Nodes) == 0 || len(g.Sessions) == 0 {
			t.Errorf("a goal of %s stands alone: %+v", g.Client.Name, g)
		}
	}
	for _, a := range out.ActionItems.Nodes {
		seen[a.Status]++
		if a.Overdue {
			seen["overdue"]++
		}
		if a.SourceInsight != nil {
			seen["said"]++
		}
		if len(a.Assignees) == 0 {
			t.Errorf("%s is nobody's to do", a.Title)
		}
		if len(a.Assignees) == 2 {
			seen["both"]++
		}
		if a.Assignees[0].User != nil {
			seen["coach"]++
		}
	}
	for _, n := range out.Notes.Nodes {
		seen[n.Visibility]++
	}
	for _, want := range []string{
		"SOLID_MOMENTUM", "NEEDS_ATTENTION", "LETS_REFOCUS", "", "Amara Okafor", "Jonas Lindqvist", "Mei Tanaka",
		"PROPOSED", "OPEN", "IN_PROGRESS", "DONE", "WONT_DO", "overdue", "said", "both", "coach", "PRIVATE", "SHARED_WITH_CLIENT", "SHARED_WITH_ORG",
	} {
		if seen[want] == 0 {
			t.Errorf("the demo has no %q: %v", want, seen)
		}
	}
	var hers struct {
		Viewer struct {
			ActionItems struct{ TotalCount int }
		}
		Goals struct{ Nodes []struct{ Progress string } }
	}
	amara.Must(t, `{ viewer { actionItems(filter: {overdue: true}) { totalCount } } goals { nodes { progress } } }`, nil, &hers)
	if hers.Viewer.ActionItems.TotalCount == 0 || len(hers.Goals.Nodes) != 4 {
		t.Errorf("Amara sees %+v", hers)
	}
	// A topic that was put off goes on in the session to come.
	if n := value[int](t, env, `SELECT count(*) FROM agenda_topics a JOIN agenda_topics was ON was.id = a.carried_from JOIN sessions s ON s.id = a.session_id
		WHERE was.status = 'DEFERRED' AND s.status = 'SCHEDULED'`); n == 0 {
		t.Error("no topic was carried over")
	}
}

// What people make of the demo stays as they have made it.
func TestTheDemoIsLoadedOnce(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	note := one(t, env, "note", `SELECT n.id FROM notes n JOIN users u ON u.id = n.author_id WHERE u.email = $1 AND visibility = 'PRIVATE' ORDER BY n.id LIMIT 1`, apptest.Coach)
	does(t, ruth, "deleteNote", "note", "id", apptest.Vars{"id": note})
	goal := one(t, env, "goal", `SELECT id FROM goals WHERE title LIKE 'A Thursday%'`)
	does(t, ruth, "updateGoal", "goal", "id", apptest.Vars{"id": goal, "expectedVersion": 1, "title": "Any evening"})
	sql(t, env, `DELETE FROM action_items WHERE title LIKE 'Write to Marcus%'`)
	before := rowCounts(t, env)
	if err := env.App.LoadDemo(t.Context(), func(line string) { t.Errorf("%s", line) }); err != nil {
		t.Fatal(err)
	}
	sameRows(t, before, rowCounts(t, env))
}

// A load that is interrupted goes on where it was, and comes to the same end.
func TestTheDemoGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	whole, env := apptest.Demo(t), apptest.New(t)
	sql(t, env, `CREATE FUNCTION interrupt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'interrupted'; END $$`)
	quietly := func(string) {}
	for _, at := range []struct{ table, when string }{
		{"goal_check_ins", "NEW.score = 7"}, {"action_items", "NEW.title LIKE 'Write to Marcus%'"}, {"notes", "NEW.visibility = 'SHARED_WITH_ORG'"},
		{"audit_events", "NEW.action = 'demo.write'"},
	} {
		sql(t, env, `CREATE TRIGGER interrupt BEFORE INSERT ON `+at.table+` FOR EACH ROW WHEN (`+at.when+`) EXECUTE FUNCTION interrupt()`)
		if err := env.App.LoadDemo(t.Context(), quietly); err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Fatalf("at %s: %v", at.table, err)
		}
		sql(t, env, `DROP TRIGGER interrupt ON `+at.table)
	}
	if err := env.App.LoadDemo(t.Context(), quietly); err != nil {
		t.Fatal(err)
	}
	want, got := rowCounts(t, whole), rowCounts(t, env)
	for _, table := range []string{"goals", "goal_check_ins", "goal_links", "action_items", "action_assignees", "notes", "note_versions", "agenda_topics", "insights"} {
		if want[table] != got[table] || got[table] == 0 {
			t.Errorf("%s has %d rows, and %d without interruptions", table, got[table], want[table])
		}
	}
	const states = `SELECT coalesce(string_agg(title || ' ' || status || ' ' || date_trunc('day', created_at), ', ' ORDER BY title), '') FROM `
	for _, table := range []string{"goals", "action_items"} {
		if a, b := value[string](t, whole, states+table), value[string](t, env, states+table); a != b {
			t.Errorf("%s: %s\nwithout interruptions %s", table, b, a)
		}
	}
}
