package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
)

type mergedAnswer struct {
	Search struct {
		Nodes []struct {
			Kind   string
			Cursor string
			Entity struct {
				Typename string `json:"__typename"`
				ID, Text string
				Speaker  struct{ Role string }
			}
			Session *struct{ ID string }
			Explain struct {
				KeywordRank  int
				SemanticRank *int
				FusedScore   *float64
			}
		}
		PageInfo   struct{ HasNextPage bool }
		TotalCount *int
		Degraded   *string
	}
}

const mergedQuery = `query($q: String!, $mode: SearchMode!, $first: Int, $after: String) {search(query: $q, mode: $mode, first: $first, after: $after) {
	nodes {kind cursor entity {__typename ... on Utterance {id text speaker {role}} ... on Insight {id} ... on Note {id} ... on Goal {id} ... on ActionItem {id} ... on Session {id}}
		session {id} explain {keywordRank semanticRank fusedScore}}
	pageInfo {hasNextPage} totalCount degraded}}`

func merges(t *testing.T, c *apptest.Client, vars apptest.Vars) (out mergedAnswer) {
	t.Helper()
	c.Must(t, mergedQuery, vars, &out)
	return out
}

// Words and meaning are one list, for those who may read what was said, page by page without a hit twice; conditions hold for both.
func TestHybridSearch(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	key := uuid(t, one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, session)))
	said := value[string](t, env, `SELECT regexp_replace(string_agg(text, ' ' ORDER BY index), '[^A-Za-z ]', ' ', 'g') FROM utterances WHERE transcript_id = $1 AND index = (SELECT index FROM utterances WHERE transcript_id = $1 ORDER BY length(text) DESC, index LIMIT 1)`, key)
	if words := strings.Fields(said); len(words) > 12 { // of one utterance, so that words find it, too
		said = strings.Join(words[:12], " ")
	}
	for _, mode := range []string{"SEMANTIC", "HYBRID"} {
		got := merges(t, coach, apptest.Vars{"q": said, "mode": mode, "first": 20}).Search
		if len(got.Nodes) == 0 || got.Nodes[0].Session == nil || got.Nodes[0].Session.ID != session || got.TotalCount != nil || got.Degraded != nil {
			t.Fatalf("%s: %+v", mode, got)
		}
		both := 0
		for i, h := range got.Nodes {
			if h.Explain.FusedScore == nil || h.Explain.SemanticRank == nil && h.Explain.KeywordRank == 0 || i > 0 && *h.Explain.FusedScore > *got.Nodes[i-1].Explain.FusedScore {
				t.Errorf("%s: %d: %+v", mode, i, h.Explain)
			}
			if h.Explain.SemanticRank != nil && h.Explain.KeywordRank > 0 {
				both++
			}
		}
		if (mode == "HYBRID") != (both > 0) {
			t.Errorf("%s: %d hits are in both lists", mode, both)
		}
		for _, who := range []string{apptest.Owner, apptest.Coach2, apptest.Sponsor, apptest.Lumen} {
			for _, h := range merges(t, env.Login(t, who), apptest.Vars{"q": said, "mode": mode, "first": 100}).Search.Nodes {
				if h.Session != nil && h.Session.ID == session && h.Kind == "UTTERANCE" {
					t.Errorf("%s: %s finds %+v", mode, who, h)
				}
			}
		}
		for _, h := range merges(t, coach, apptest.Vars{"q": said + " speaker:client", "mode": mode, "first": 50}).Search.Nodes {
			if h.Kind != "UTTERANCE" || h.Entity.Speaker.Role != "CLIENT" {
				t.Errorf("%s: of the client: %+v", mode, h)
			}
		}

		seen, pages, after := map[string]bool{}, 0, any(nil)
		for more := true; more && pages < 60; pages++ {
			page := merges(t, coach, apptest.Vars{"q": said, "mode": mode, "first": 9, "after": after}).Search
			for _, h := range page.Nodes {
				if seen[h.Entity.ID] {
					t.Fatalf("%s: %s is on two pages", mode, h.Entity.ID)
				}
				seen[h.Entity.ID] = true
				after = h.Cursor
			}
			more = page.PageInfo.HasNextPage
		}
		if len(seen) < 20 || pages >= 60 {
			t.Errorf("%s: %d hits on %d pages", mode, len(seen), pages)
		}
	}
	for args, want := range map[string]string{
		`mode: HYBRID, orderBy: NEWEST`:     "INVALID",
		`mode: SEMANTIC, groupBy: SESSION`:  "INVALID",
		`mode: HYBRID, after: "nonsense"`:   "CURSOR_LOST",
		`mode: SEMANTIC, kinds: [NOTE]`:     "",
		`mode: HYBRID, filter: {types: []}`: "",
	} {
		if r := coach.Do(t, fmt.Sprintf(`{search(query: "the team", %s) {totalCount}}`, args), nil); r.Code() != want {
			t.Errorf("%s: %s", args, r.Body)
		}
	}

	away := env.Another(t, apptest.AppOptions(app.WithEmbedder(failing{})))
	got := merges(t, away.Login(t, apptest.Coach), apptest.Vars{"q": "team", "mode": "SEMANTIC", "first": 5}).Search
	if got.Degraded == nil || len(got.Nodes) == 0 || got.Nodes[0].Explain.KeywordRank == 0 {
		t.Errorf("without a model: %+v", got)
	}
}
