package app_test

import (
	"fmt"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// A cursor leads on in its own search and in no other, in each mode and grouping: what another search has shown is not skipped in silence.
func TestCursorsBelongToTheirSearch(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	ruth, daniel := env.Login(t, apptest.Coach), env.Login(t, apptest.Coach2)
	const query, another = "why can she not sleep", "budget round"
	for _, how := range []string{"mode: KEYWORD", "mode: KEYWORD, groupBy: SESSION", "mode: HYBRID", "mode: HYBRID, groupBy: SESSION", "mode: SEMANTIC"} {
		first := finds(t, ruth, query, ", first: 2, "+how)
		if len(first.Nodes) != 2 || !first.PageInfo.HasNextPage {
			t.Fatalf("%s: %+v", how, first)
		}
		after := fmt.Sprintf(", first: 2, after: %q, ", first.Nodes[1].Cursor)
		next := finds(t, ruth, query, after+how+", facets: [{field: KIND}]")
		if len(next.Nodes) == 0 || next.Nodes[0].Entity.ID == first.Nodes[0].Entity.ID || next.Nodes[0].Entity.ID == first.Nodes[1].Entity.ID {
			t.Errorf("%s: the next page is %+v", how, next.Nodes)
		}
		for name, search := range map[string]struct {
			by          *apptest.Client
			query, args string
		}{
			"another query":  {ruth, another, after + how},
			"another filter": {ruth, query, after + how + ", filter: {includeArchived: true}"},
			"other kinds":    {ruth, query, after + how + ", kinds: [UTTERANCE]"},
			"somebody else":  {daniel, query, after + how},
			"nothing of it":  {ruth, query, ", after: " + fmt.Sprintf("%q, ", first.Nodes[1].Cursor[:12]) + how},
			"random bytes":   {ruth, query, `, after: "AAAAAAAAAAAAAAAAAAAAAA", ` + how},
		} {
			r := search.by.Do(t, `query($q: String!) {search(query: $q`+search.args+`) {nodes {cursor}}}`, apptest.Vars{"q": search.query})
			if r.Code() != "CURSOR_LOST" {
				t.Errorf("%s, %s: %.300s", how, name, r.Body)
			}
		}
	}
}

// What is archived comes to what is found, and takes nothing away.
func TestArchivedComesToTheRest(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	ruth := env.Login(t, apptest.Coach)
	does(t, ruth, "archiveSession", "session", "id", apptest.Vars{"id": amara2.id(t, env)})
	env.Index(t)
	without, with := finds(t, ruth, "", ""), finds(t, ruth, "", ", filter: {includeArchived: true}, facets: [{field: KIND}]")
	if with.TotalCount <= without.TotalCount {
		t.Errorf("%d with what is archived, %d without", with.TotalCount, without.TotalCount)
	}
	kinds := map[string]int{}
	for _, b := range with.Facets[0].Buckets {
		kinds[b.Value] = b.Count
	}
	for _, kind := range []string{"GOAL", "NOTE", "ACTION", "UTTERANCE"} {
		if got := finds(t, ruth, "", ", kinds: ["+kind+"]"); got.TotalCount > kinds[kind] || kinds[kind] == 0 {
			t.Errorf("%s: %d with what is archived, %d without", kind, kinds[kind], got.TotalCount)
		}
	}
}

// A word that stands nowhere is said to be looked for by near spellings; one that stands somewhere is not.
func TestNearSpellingsAreSaid(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	ruth := env.Login(t, apptest.Coach)
	for _, mode := range []string{"KEYWORD", "HYBRID"} {
		if got := finds(t, ruth, "delegatiom", ", mode: "+mode); len(got.Nodes) == 0 || len(got.Interpretation.Notes) != 1 {
			t.Errorf("%s: %d hits, notes %q", mode, len(got.Nodes), got.Interpretation.Notes)
		}
		if got := finds(t, ruth, "delegation", ", mode: "+mode); len(got.Nodes) == 0 || len(got.Interpretation.Notes) != 0 {
			t.Errorf("%s: %d hits, notes %q", mode, len(got.Nodes), got.Interpretation.Notes)
		}
	}
}
