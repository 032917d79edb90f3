package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

const themesQuery = `query($id: ID!, $filter: ThemeFilter) {node(id: $id) {... on Client {themes(first: 100, filter: $filter) {totalCount nodes
	{id label topic sessionCount insightCount trend mergedThemes {id} insights {totalCount nodes {id title status session {number}}}}}}}}`

type seenTheme struct {
	ID, Label                  string
	Topic, Trend               *string
	SessionCount, InsightCount int
	MergedThemes               []struct{ ID string }
	Insights                   struct {
		TotalCount int
		Nodes      []struct{ ID, Title string }
	}
}

// themesOf are the themes that somebody sees of a client, by their labels.
func themesOf(t *testing.T, c *apptest.Client, client string, filter apptest.Vars) map[string]seenTheme {
	t.Helper()
	var out struct {
		Node struct {
			Themes struct {
				TotalCount int
				Nodes      []seenTheme
			}
		}
	}
	c.Must(t, themesQuery, apptest.Vars{"id": client, "filter": filter}, &out)
	found := map[string]seenTheme{}
	for _, th := range out.Node.Themes.Nodes {
		if th.InsightCount != th.Insights.TotalCount || th.InsightCount != len(th.Insights.Nodes) || th.InsightCount == 0 {
			t.Errorf("%s has %d insights, and shows %d", th.Label, th.InsightCount, th.Insights.TotalCount)
		}
		found[th.Label] = th
	}
	if out.Node.Themes.TotalCount != len(found) {
		t.Errorf("%d themes are counted, %d shown", out.Node.Themes.TotalCount, len(found))
	}
	return found
}

// What comes up in several of the demo's conversations is one theme of them. Everybody sees what rests on the insights they see, and with
// every change of an insight, a session or a consent it is as if it had never been otherwise.
func TestThemesAreOfWhatIsSeen(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	client := clientOf(t, env, amara2.id(t, env))
	wants := func(c *apptest.Client, why, want string) {
		t.Helper()
		var got []string
		for label, th := range themesOf(t, c, client, apptest.Vars{"minSessions": 1}) {
			if label == "Tomasz" || label == "Priya" {
				trend := "null"
				if th.Trend != nil {
					trend = *th.Trend
				}
				got = append(got, fmt.Sprintf("%s %d %s", label, th.SessionCount, trend))
			}
		}
		slices.Sort(got)
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("%s: %q, want %q", why, g, want)
		}
	}
	sql(t, env, `UPDATE insights SET status = 'PROPOSED', audience = 'BOTH' WHERE kind = 'THEME'`)
	wants(ruth, "in the demo", "Priya 2 STEADY, Tomasz 2 NEW")
	wants(amara, "with nothing accepted", "")
	tomasz := themesOf(t, ruth, client, nil)["Tomasz"]
	if two := themesOf(t, ruth, client, apptest.Vars{"minSessions": 2}); len(two) != 2 {
		t.Errorf("%d themes recur", len(two))
	}
	if late := themesOf(t, ruth, client, apptest.Vars{"seenAfter": "2099-01-01T00:00:00Z"}); len(late) != 0 {
		t.Errorf("%d themes of the future", len(late))
	}

	// The client sees what was accepted, and nothing of the rest.
	does(t, ruth, "reviewInsight", "insight", "id", apptest.Vars{"insightId": tomasz.Insights.Nodes[0].ID, "decision": "ACCEPT"})
	for _, th := range themesOf(t, amara, client, nil) {
		if th.Label != "Tomasz" || th.SessionCount != 1 || th.InsightCount != 1 || th.Topic != nil {
			t.Errorf("the client sees %+v", th)
		}
	}
	sql(t, env, `UPDATE insights SET audience = 'COACH_ONLY' WHERE kind = 'THEME'`)
	wants(amara, "for the coach only", "")
	wants(ruth, "for the coach only", "Priya 2 STEADY, Tomasz 2 NEW")
	for _, who := range []string{apptest.Owner, apptest.Sponsor, apptest.Coach2} {
		if r := env.Login(t, who).Do(t, `query($id: ID!) {node(id: $id) {id}}`, apptest.Vars{"id": tomasz.ID}); string(r.Data) != `{"node":null}` {
			t.Errorf("%s sees %s", who, r.Body)
		}
	}

	// Dismissed, and not.
	for decision, want := range map[string]string{"DISMISS": "Priya 2 STEADY, Tomasz 1 NEW", "ACCEPT": "Priya 2 STEADY, Tomasz 2 NEW"} {
		does(t, ruth, "reviewInsight", "insight", "id", apptest.Vars{"insightId": tomasz.Insights.Nodes[0].ID, "decision": decision})
		wants(ruth, decision, want)
	}
	does(t, ruth, "reviewInsight", "insight", "id", apptest.Vars{"insightId": tomasz.Insights.Nodes[0].ID, "decision": "ACCEPT"})
	sql(t, env, `UPDATE insights SET retracted_at = now() WHERE id = $1`, uuid(t, tomasz.Insights.Nodes[1].ID))
	wants(ruth, "retracted", "Priya 2 STEADY, Tomasz 1 NEW")
	sql(t, env, `UPDATE insights SET retracted_at = NULL`)
	does(t, ruth, "archiveSession", "session", "id", apptest.Vars{"id": amara2.id(t, env)})
	wants(ruth, "session archived", "Priya 1 null, Tomasz 2 null")
	does(t, ruth, "archiveSession", "session", "id", apptest.Vars{"id": amara2.id(t, env), "archived": false})

	// Withdrawn: hidden at once, and removed with every word. Given again, found again.
	does(t, ruth, "renameTheme", "theme", "id", apptest.Vars{"id": tomasz.ID, "label": "The quiet one"})
	_, _ = consents(t, amara, "withdrawConsent", apptest.Vars{"subjectId": client, "scopes": []string{"AI_ANALYSIS"}})
	if left := themesOf(t, ruth, client, nil); len(left) > 0 {
		t.Errorf("after the withdrawal the coach sees %v", left)
	}
	env.Work(t)
	if n := value[int](t, env, `SELECT count(*) FROM themes WHERE client_id = $1`, uuid(t, client)); n != 0 {
		t.Errorf("%d themes are kept after the withdrawal", n)
	}
	_, _ = consents(t, amara, "giveConsent", apptest.Vars{"subjectId": client, "scopes": []string{"AI_ANALYSIS"}})
	env.Work(t)
	wants(ruth, "given again", "Priya 2 STEADY, Tomasz 2 NEW")
}

// A theme is its coach's to name and to merge; what was merged can be split, and what is found later goes to where it belongs.
func TestThemesAreMergedAndSplit(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	client := clientOf(t, env, amara2.id(t, env))
	all := themesOf(t, ruth, client, nil)
	tomasz, priya, lena := all["Tomasz"].ID, all["Priya"].ID, all["Lena"].ID
	jonas := themesOf(t, ruth, clientOf(t, env, jonas3.id(t, env)), nil)["Petter"].ID
	for want, input := range map[string]apptest.Vars{
		"INVALID ids": {"intoId": tomasz, "ids": []string{}}, "INVALID ids.1": {"intoId": tomasz, "ids": []string{priya, tomasz}},
		"INVALID ids.2": {"intoId": tomasz, "ids": []string{priya, lena, priya}}, "INVALID ids.0": {"intoId": tomasz, "ids": []string{jonas}},
	} {
		if got := change(t, ruth, "mergeThemes", "theme", "id", input); briefly(got.userErrors) != want {
			t.Errorf("%v: %s, want %s", input, got.response.Body, want)
		}
	}
	if got := change(t, ruth, "renameTheme", "theme", "id", apptest.Vars{"id": tomasz, "label": " "}); briefly(got.userErrors) != "INVALID label" {
		t.Errorf("an empty label: %s", got.response.Body)
	}
	trail := func() int {
		return value[int](t, env, `SELECT count(*) FROM audit_events WHERE action LIKE 'theme.%' AND client_id = $1`, uuid(t, client))
	}
	for range 2 { // twice is once
		has(t, does(t, ruth, "renameTheme", "theme", "label topic", apptest.Vars{"id": tomasz, "label": " The team "}), apptest.Vars{"label": "The team", "topic": "Tomasz"})
		has(t, does(t, ruth, "mergeThemes", "theme", "id label sessionCount insightCount", apptest.Vars{"intoId": tomasz, "ids": []string{priya, lena}}),
			apptest.Vars{"id": tomasz, "label": "The team", "sessionCount": 3, "insightCount": 5})
	}
	if n := trail(); n != 4 { // renamed, merged, and each of the two
		t.Errorf("%d entries in the trail", n)
	}
	has(t, does(t, ruth, "mergeThemes", "theme", "id", apptest.Vars{"intoId": lena, "ids": []string{tomasz}}), apptest.Vars{"id": tomasz}) // they are one
	if now := themesOf(t, ruth, client, nil); len(now) != len(all)-2 || len(now["The team"].MergedThemes) != 2 {
		t.Errorf("merged: %v", now)
	}
	if whole := themesOf(t, ruth, client, apptest.Vars{"includeMerged": true}); len(whole) != len(all) {
		t.Errorf("with what was merged there are %d", len(whole))
	}
	// Found anew, it is where it was put.
	insight := all["Priya"].Insights.Nodes[0].ID
	sql(t, env, `UPDATE insights SET theme_id = NULL WHERE id = $1`, uuid(t, insight))
	sql(t, env, `UPDATE analysis_runs SET input_hash = sha256(input_hash) WHERE transcript_id = (SELECT transcript_id FROM insights WHERE id = $1)`, uuid(t, insight))
	sql(t, env, `INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, run_at, due_at)
		SELECT gen_random_uuid(), org_id, 'transcript.analyse', transcript_id, 10, now(), now() FROM insights WHERE id = $1`, uuid(t, insight))
	env.Work(t)
	if now := themesOf(t, ruth, client, nil)["The team"]; now.InsightCount != 5 {
		t.Errorf("analysed anew, the theme has %d insights", now.InsightCount)
	}
	for range 2 {
		has(t, does(t, ruth, "splitTheme", "theme", "id label sessionCount", apptest.Vars{"id": priya}), apptest.Vars{"id": priya, "label": "Priya", "sessionCount": 2})
	}
	has(t, does(t, ruth, "renameTheme", "theme", "label", apptest.Vars{"id": tomasz}), apptest.Vars{"label": "Tomasz"})
	if now := themesOf(t, ruth, client, nil)["Tomasz"]; now.InsightCount != 3 {
		t.Errorf("split, the theme has %d insights", now.InsightCount)
	}
}

// Fifty merge, split and name the same few themes in all directions: no insight is lost, no chain gets longer than one, and nobody hears of a
// deadlock.
func TestThemeMergesAtTheSameMoment(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	client := clientOf(t, env, amara2.id(t, env))
	var keys []string
	insights := 0
	for _, th := range themesOf(t, ruth, client, nil) {
		keys = append(keys, th.ID)
		insights += th.InsightCount
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			into, a, b := keys[i%len(keys)], keys[(i+1+i/len(keys)%(len(keys)-1))%len(keys)], keys[(i+3)%len(keys)]
			var got changed
			switch {
			case i%10 == 0:
				got = change(t, ruth, "splitTheme", "theme", "id", apptest.Vars{"id": into})
			case i%10 == 5:
				got = change(t, ruth, "renameTheme", "theme", "id", apptest.Vars{"id": into, "label": fmt.Sprint("called ", i)})
			default:
				ids := slices.DeleteFunc(slices.Compact([]string{a, b}), func(k string) bool { return k == into })
				got = change(t, ruth, "mergeThemes", "theme", "id", apptest.Vars{"intoId": into, "ids": ids})
			}
			if got.entity == nil {
				t.Errorf("%d: %s", i, got.response.Body)
			}
		})
	}
	wg.Wait()
	left := 0
	for _, th := range themesOf(t, ruth, client, nil) {
		left += th.InsightCount
	}
	if left != insights {
		t.Errorf("%d insights are of themes, and were %d", left, insights)
	}
	if n := value[int](t, env, `SELECT count(*) FROM themes t JOIN themes o ON o.id = t.merged_into_id WHERE o.merged_into_id IS NOT NULL`); n > 0 {
		t.Errorf("%d chains", n)
	}
	// At last all are one.
	does(t, ruth, "mergeThemes", "theme", "id", apptest.Vars{"intoId": keys[0], "ids": keys[1:]})
	for _, th := range themesOf(t, ruth, client, nil) {
		if th.InsightCount != insights || len(th.MergedThemes) != len(keys)-1 {
			t.Errorf("of all in one: %+v", th)
		}
	}
}

// Two who merge along one way at the same moment both have what they wanted, whoever comes first: the first theme is the second, so what is
// merged into the first is the second, too.
func TestNoThemeMergeUndoesAnother(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	client := clientOf(t, env, amara2.id(t, env))
	var keys []string
	for _, th := range themesOf(t, ruth, client, nil) {
		keys = append(keys, th.ID)
	}
	for range 20 {
		var wg sync.WaitGroup
		for _, pair := range [][2]string{{keys[1], keys[0]}, {keys[0], keys[2]}} {
			wg.Go(func() {
				if got := change(t, ruth, "mergeThemes", "theme", "id", apptest.Vars{"intoId": pair[0], "ids": pair[1:]}); got.entity == nil {
					t.Errorf("%s", got.response.Body)
				}
			})
		}
		wg.Wait()
		if n := value[int](t, env, `SELECT count(*) FROM themes WHERE merged_into_id = $1 AND id IN ($2, $3)`, uuid(t, keys[1]), uuid(t, keys[0]), uuid(t, keys[2])); n != 2 {
			t.Fatalf("%d of two are merged", n)
		}
		for _, key := range []string{keys[0], keys[2]} {
			does(t, ruth, "splitTheme", "theme", "id", apptest.Vars{"id": key})
		}
	}
}
