package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// screens are the queries of docs/operations that a front end shows a screen by, and how many statements each takes at most,
// identity included.
var screens = map[string]int{"home": 10, "client": 25, "client-brief": 12, "session": 18, "programme": 17, "settings": 9, "ask": 16, "ask-threads": 6, "ask-events": 7,
	"dashboard": 8, "search": 20, "saved-searches": 4, "import-transcript": 23, "review-insight": 12, "insight-events": 5}

func operation(t testing.TB, name string) string {
	t.Helper()
	return read(t, "docs", "operations", name+".graphql")
}

// holes are the paths of an answer at which there is nothing: null, or an empty list.
func holes(path string, v any) (found []string) {
	switch v := v.(type) {
	case nil:
		return []string{path}
	case []any:
		if len(v) == 0 {
			return []string{path}
		}
		return holes(path, v[0])
	case map[string]any:
		for name, e := range v {
			found = append(found, holes(path+"."+name, e)...)
		}
	}
	return found
}

// Every operation that front ends begin with runs for the demo's coach, and shows something wherever a screen lists things.
func TestOperations(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	ruth := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	day := value[time.Time](t, env, `SELECT starts_at FROM sessions WHERE id = $1`, uuid(t, session)).Truncate(24 * time.Hour)
	does(t, ruth, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": client, "title": "Send the reading list", "dueOn": time.Now().AddDate(0, 0, 2).Format(time.DateOnly),
		"assigneeIds": []string{id.Format("user", value[id.UUID](t, env, `SELECT id FROM users WHERE email = $1`, apptest.Coach))}})
	vars := map[string]apptest.Vars{
		"home":              {"today": day, "tomorrow": day.Add(24 * time.Hour), "soon": time.Now().AddDate(0, 0, 8)},
		"client":            {"id": client},
		"client-brief":      {"clientId": client},
		"session":           {"id": session},
		"programme":         {"from": day.AddDate(0, -3, 0).Format(time.DateOnly), "to": day.Format(time.DateOnly)},
		"settings":          {},
		"ask":               {"input": apptest.Vars{"question": "What did the client decide?", "scope": apptest.Vars{"clientId": client}}},
		"ask-threads":       {},
		"dashboard":         {},
		"saved-searches":    {},
		"search":            {"query": "delegating speaker:client"},
		"import-transcript": {"input": apptest.Vars{"sessionId": amara5.id(t, env), "filename": "sample.vtt", "content": transcriptText(6, func(int) string { return "I will call Tomasz." })}},
		"review-insight":    {"input": apptest.Vars{"insightId": one(t, env, "insight", `SELECT id FROM insights WHERE session_id = $1 LIMIT 1`, uuid(t, session)), "decision": "ACCEPT"}},
	}
	does(t, ruth, "ask", "thread", "id", apptest.Vars{"question": "What was decided?"}) // for the list of threads
	does(t, ruth, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": "Weekends", "query": "boundary weekend", "mode": "HYBRID"})
	files, err := filepath.Glob(filepath.Join(testkit.RepoRoot(t), "docs", "operations", "*.graphql"))
	if err != nil || len(files) < len(vars) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".graphql")
		given, known := vars[name]
		if !known {
			if name != "insight-events" && name != "live-session" && name != "ask-events" { // TestSubscriptions has more of them
				t.Errorf("%s is not tried: say with which variables", name)
			}
			continue
		}
		r := ruth.Do(t, operation(t, name), given)
		if len(r.Errors) > 0 {
			t.Errorf("%s: %s", name, r.Body)
			continue
		}
		var data any
		if err := json.Unmarshal(r.Data, &data); err != nil {
			t.Fatal(err)
		}
		for _, hole := range holes(name, data) {
			if strings.HasSuffix(hole, ".nodes") || strings.HasSuffix(hole, ".groups") || strings.Count(hole, ".") == 1 {
				t.Errorf("%s is empty", hole)
			}
		}
	}
	// The same queries serve everybody, and show each their own.
	for _, who := range []string{apptest.Owner, apptest.Supervisor, apptest.ClientUser, apptest.Sponsor, apptest.Lumen} {
		c := env.Login(t, who)
		for name, given := range vars {
			text := operation(t, name)
			if r := c.Do(t, text, given); r.Code() != "" && r.Code() != "NOT_FOUND" && !(strings.Contains(text, "mutation ") && r.Code() == "FORBIDDEN") {
				t.Errorf("%s as %s: %.300s", name, who, r.Body)
			}
		}
	}
	// The explorer shows these very files.
	shown, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "graphiql", "src", "examples.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.Contains(string(shown), "'../../docs/operations/"+filepath.Base(file)+"'") {
			t.Errorf("the explorer has no tab for %s", filepath.Base(file))
		}
	}
}

// What is to be reviewed comes from the latest conversation first, whenever it was analysed, over all pages.
func TestInsightsBySession(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	sql(t, env, `UPDATE insights i SET created_at = now() + (now() - s.starts_at) FROM sessions s WHERE s.id = i.session_id`) // the oldest was found last
	var out struct {
		Insights struct {
			Nodes []struct {
				ID      string
				Session struct{ StartsAt time.Time }
			}
			TotalCount int
			PageInfo   struct {
				HasNextPage bool
				EndCursor   *string
			}
		}
	}
	var after *string
	seen, starts := map[string]bool{}, []time.Time{}
	for {
		coach.Must(t, `query($after: String) { insights(first: 7, after: $after, orderBy: {field: SESSION_STARTS_AT, direction: DESC}) {
			nodes { id session { startsAt } } totalCount pageInfo { hasNextPage endCursor } } }`, apptest.Vars{"after": after}, &out)
		for _, i := range out.Insights.Nodes {
			seen[i.ID], starts = true, append(starts, i.Session.StartsAt)
		}
		if after = out.Insights.PageInfo.EndCursor; !out.Insights.PageInfo.HasNextPage {
			break
		}
	}
	latestFirst := slices.IsSortedFunc(starts, func(a, b time.Time) int { return b.Compare(a) })
	if !latestFirst || len(seen) != out.Insights.TotalCount || len(starts) != len(seen) || starts[0].Equal(starts[len(starts)-1]) {
		t.Errorf("%d of %d, %d of them different: %v", len(starts), out.Insights.TotalCount, len(seen), starts)
	}
}

// A screen takes as many statements for twenty times the data.
func TestScreensStatements(t *testing.T) {
	t.Parallel()
	sizes := []seed.Size{
		{Clients: 4, Sessions: 5, Utterances: 12, Insights: 5, Goals: 1, Actions: 4},
		{Clients: 16, Sessions: 25, Utterances: 24, Insights: 5, Goals: 5, Actions: 20},
	}
	counts := map[string][]int{}
	for _, size := range sizes {
		env := apptest.New(t, apptest.AppOptions(app.WithLoaderWait(200*time.Millisecond)))
		issuer, err := auth.OpenDevIssuer(env.Config.Home)
		if err != nil {
			t.Fatal(err)
		}
		p, err := seed.Load(t.Context(), env.DB, issuer.Issuer().Name, size)
		if err != nil {
			t.Fatal(err)
		}
		sql(t, env, `UPDATE clients SET lifecycle = 'AT_RISK'`)
		sql(t, env, `UPDATE sessions SET status = 'SCHEDULED', starts_at = now() + interval '1 day' WHERE number = $1`, size.Sessions)
		sql(t, env, `WITH t AS (INSERT INTO themes (id, org_id, client_id, coach_id, key, topic) SELECT gen_random_uuid(), org_id, id, coach_id, 'board', 'Board' FROM clients RETURNING *)
			UPDATE insights i SET theme_id = t.id FROM t, sessions s WHERE s.id = i.session_id AND s.client_id = t.client_id AND i.kind = 'THEME'`)
		for range size.Sessions {
			sql(t, env, `INSERT INTO goals (id, org_id, client_id, coach_id, title, target_on, created_at)
				SELECT gen_random_uuid(), org_id, id, coach_id, 'A goal', '2026-03-01', '2026-01-05Z' FROM clients`)
			sql(t, env, `WITH a AS (INSERT INTO action_items (id, org_id, client_id, coach_id, title, due_on, due_at, created_by)
					SELECT gen_random_uuid(), org_id, id, coach_id, 'An action', '2026-03-01', '2026-03-02Z', coach_id FROM clients RETURNING *)
				INSERT INTO action_assignees (id, org_id, action_id, user_id, client_id, due_at)
				SELECT gen_random_uuid(), a.org_id, a.id, k.coach, k.client, a.due_at FROM a CROSS JOIN LATERAL (VALUES (a.coach_id, NULL), (NULL, a.client_id)) AS k (coach, client)`)
			sql(t, env, `WITH late AS (SELECT DISTINCT ON (engagement_id) * FROM sessions WHERE status = 'COMPLETED' ORDER BY engagement_id, number DESC),
				old AS (INSERT INTO agenda_topics (id, org_id, session_id, position, title, added_by, carried_at)
					SELECT gen_random_uuid(), org_id, id, 1, 'A topic', coach_id, now() FROM late RETURNING *)
				INSERT INTO agenda_topics (id, org_id, session_id, position, title, added_by, carried_from)
				SELECT gen_random_uuid(), o.org_id, n.id, 1, o.title, o.added_by, o.id
				FROM old o JOIN late l ON l.id = o.session_id JOIN sessions n ON n.engagement_id = l.engagement_id AND n.status = 'SCHEDULED'`)
		}
		sql(t, env, `INSERT INTO taggings (id, org_id, tag_id, client_id) SELECT gen_random_uuid(), c.org_id, t.id, c.id FROM clients c JOIN tags t ON t.owner_id = c.coach_id AND t.name = 'board'`)
		sql(t, env, `INSERT INTO session_metrics (id, org_id, transcript_id, session_id, run_id, definition_version, measures)
			SELECT gen_random_uuid(), org_id, transcript_id, session_id, id, 2, '{"definitionVersion": 2, "basis": "TIME", "dyad": {}, "coach": {"talkShareOfSpeech": 0.4}}' FROM analysis_runs`)
		sql(t, env, `INSERT INTO themes (id, org_id, client_id, coach_id, key, topic) SELECT gen_random_uuid(), org_id, client_id, coach_id, 'key ' || n, 'Topic ' || n
			FROM (SELECT DISTINCT org_id, client_id, coach_id FROM sessions) s CROSS JOIN generate_series(0, 2) n`)
		sql(t, env, `UPDATE insights i SET theme_id = t.id FROM sessions s JOIN themes t ON t.client_id = s.client_id AND t.coach_id = s.coach_id
			WHERE s.id = i.session_id AND i.kind = 'THEME' AND t.key = 'key ' || s.number % 3`)
		sql(t, env, `INSERT INTO notes (id, org_id, author_id, client_id, engagement_id, session_id, visibility, version, body)
			SELECT gen_random_uuid(), org_id, coach_id, client_id, engagement_id, id, 'PRIVATE', 1, 'Noted.' FROM sessions`)
		// What the coach has to do first is for one client, who is in none of the insights to review: so both have clients of their own to load.
		sql(t, env, `WITH made AS (
				INSERT INTO action_items (id, org_id, client_id, coach_id, title, due_on, due_at, created_by)
				SELECT gen_random_uuid(), s.org_id, s.client_id, s.coach_id, 'Write to the board', '2026-01-01', '2026-01-02Z', s.coach_id
				FROM (SELECT * FROM sessions WHERE coach_id = $1 ORDER BY starts_at LIMIT 1) s, generate_series(1, 10 + $2::int) RETURNING *)
			INSERT INTO action_assignees (id, org_id, action_id, user_id, due_at) SELECT gen_random_uuid(), org_id, id, coach_id, due_at FROM made`, p.Viewer.User, size.Clients)
		// Settings show members, tags and saved filters.
		sql(t, env, `WITH u AS (INSERT INTO users (id, email, name) SELECT gen_random_uuid(), 'member' || n || '@bench.example', 'Member ' || n FROM generate_series(1, 4 * $1::int) n RETURNING *)
			INSERT INTO memberships (id, org_id, user_id, roles) SELECT gen_random_uuid(), $2, id, '{COACH}' FROM u`, size.Sessions, p.Viewer.Org)
		sql(t, env, `INSERT INTO tags (id, org_id, owner_id, name, color) SELECT gen_random_uuid(), $2, $3, 'tag ' || n, '#123456' FROM generate_series(1, 4 * $1::int) n`, size.Sessions, p.Viewer.Org, p.Viewer.User)
		coach := env.With(env.Token(t, seed.Coach, time.Hour))
		client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, p.Session.UUID)
		day := value[time.Time](t, env, `SELECT starts_at FROM sessions WHERE coach_id = $1 ORDER BY starts_at OFFSET 2 LIMIT 1`, p.Viewer.User)
		vars := map[string]apptest.Vars{
			"home":         {"today": day.Add(-24 * time.Hour), "tomorrow": day.Add(time.Hour), "soon": time.Now()},
			"client":       {"id": client},
			"client-brief": {"clientId": client},
			"session":      {"id": p.Session.String()},
			"programme":    {"from": day.Format(time.DateOnly), "to": day.AddDate(0, 6, 0).Format(time.DateOnly)},
			"settings":     {},
			"dashboard":    {},
			"search":       {"query": "kind:utterance"},
			"ask":          {"input": apptest.Vars{"question": "What was said?", "scope": apptest.Vars{"sessionId": p.Session.String()}}},
			"import-transcript": {"input": apptest.Vars{"sessionId": p.Session.String(), "filename": "sample.vtt",
				"content": transcriptText(size.Sessions, func(i int) string { return fmt.Sprint("I will call Tomasz about number ", i) })}},
			"review-insight": {"input": apptest.Vars{"insightId": p.Insight.String(), "decision": "ACCEPT"}},
		}
		thread := does(t, coach, "ask", "thread", "id", apptest.Vars{"question": "What was said?"})["id"]
		for _, name := range slices.Sorted(maps.Keys(screens)) { // what reads before what changes something
			most := screens[name]
			ran := env.Statements.Of(func() {
				if name == "ask-events" {
					several(t, coach.Subscribe(t, operation(t, name), apptest.Vars{"threadId": thread}), 1)
					return
				}
				if name == "insight-events" {
					sub := coach.Subscribe(t, operation(t, name), apptest.Vars{"sessionId": p.Session.String(), "after": env.Beginning(t, p.Session.String())})
					several(t, sub, 1)
					return
				}
				r := coach.Do(t, operation(t, name), vars[name])
				if len(r.Errors) > 0 {
					t.Errorf("%s: %.500s", name, r.Body)
				}
				if name == "client-brief" && strings.Contains(string(r.Data), "[]") { // or less would be counted than there is
					t.Errorf("something is empty in %s", r.Data)
				}
			})
			if len(ran) > most {
				t.Errorf("%s: %d statements, at most %d are allowed", name, len(ran), most)
				for _, s := range ran {
					t.Logf("%s: about %s", name, tableOf(s))
				}
			}
			counts[name] = append(counts[name], len(ran))
		}
	}
	for name, n := range counts {
		// One more or less it may be, where two loads came to go together; one for each of anything would be many.
		if n[1] > n[0]+1 {
			t.Errorf("%s takes %d statements, and %d of twenty times the data", name, n[0], n[1])
		}
	}
	t.Logf("statements of the screens: %v", counts)
}
