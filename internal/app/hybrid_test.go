package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
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
	if words := strings.Fields(said); len(words) > 40 { // of one utterance, so that words find it, too
		said = strings.Join(words[:40], " ")
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
		`mode: HYBRID, orderBy: NEWEST`:                     "INVALID",
		`mode: SEMANTIC, groupBy: SESSION`:                  "",
		`mode: HYBRID, groupBy: SESSION, after: "nonsense"`: "CURSOR_LOST",
		`mode: HYBRID, after: "nonsense"`:                   "CURSOR_LOST",
		`mode: SEMANTIC, kinds: [NOTE]`:                     "",
		`mode: HYBRID, filter: {types: []}`:                 "",
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

// What is noted, agreed and found out is found by what it is about, too: by those who see it, as it is now.
func TestMeaningOfAllKinds(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	coach := env.Login(t, apptest.Coach)
	finds := func(who, text, kind, more string) (found []string) {
		t.Helper()
		var out mergedAnswer
		env.Login(t, who).Must(t, fmt.Sprintf(`{search(query: %q, mode: SEMANTIC, kinds: [%s], first: 10%s) {nodes {kind entity {__typename
			... on Utterance {id} ... on Insight {id} ... on Note {id} ... on Goal {id} ... on ActionItem {id} ... on Session {id}} explain {keywordRank semanticRank fusedScore}}}}`, text, kind, more), nil, &out)
		for _, h := range out.Search.Nodes {
			if h.Kind != kind || h.Explain.SemanticRank == nil {
				t.Errorf("%s: %+v", kind, h)
			}
			found = append(found, h.Entity.ID)
		}
		return found
	}
	for kind, of := range map[string][3]string{
		"INSIGHT": {"insight", "(SELECT i.*, s.client_id FROM insights i JOIN sessions s ON s.id = i.session_id WHERE i.retracted_at IS NULL)", "concat_ws(' ', title, body)"},
		"GOAL":    {"goal", "goals", "concat_ws(' ', title, description)"}, "ACTION": {"action", "action_items", "title"}, "NOTE": {"note", "notes", "body"},
	} {
		var key id.UUID
		var text string
		if err := env.DB.QueryRow(t.Context(), `SELECT x.id, regexp_replace(`+of[2]+`, '[^A-Za-z ]', ' ', 'g') FROM `+of[1]+` x
			WHERE x.client_id IN (SELECT c.id FROM clients c JOIN users u ON u.id = c.coach_id WHERE u.email = $1) ORDER BY length(`+of[2]+`) DESC, x.id LIMIT 1`, apptest.Coach).Scan(&key, &text); err != nil {
			t.Fatal(kind, err)
		}
		typed := id.Format(of[0], key)
		if found := finds(apptest.Coach, text, kind, ""); !slices.Contains(found, typed) {
			t.Errorf("%s: %s is not among %v", kind, typed, found)
		}
		for _, who := range []string{apptest.Owner, apptest.Coach2, apptest.Lumen} {
			if found := finds(who, text, kind, ""); slices.Contains(found, typed) {
				t.Errorf("%s: %s finds it", kind, who)
			}
		}
	}

	// A note as it changes.
	client := one(t, env, "client", `SELECT c.id FROM clients c JOIN users u ON u.id = c.user_id WHERE u.email = $1`, apptest.ClientUser)
	note := does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": client, "body": "Zanzibar marmalade", "visibility": "PRIVATE"})["id"].(string)
	if found := finds(apptest.Coach, "Zanzibar marmalade", "NOTE", ""); slices.Contains(found, note) {
		t.Error("found before it was embedded")
	}
	env.Index(t)
	vectors := func() int {
		return value[int](t, env, `SELECT count(*) FROM vectors WHERE group_id = $1`, note)
	}
	if found := finds(apptest.Coach, "marmalade from Zanzibar", "NOTE", ""); len(found) == 0 || found[0] != note || vectors() != 1 {
		t.Errorf("new: %v, %d vectors", found, vectors())
	}
	if found := finds(apptest.Coach, "marmalade from Zanzibar -marmalade", "NOTE", ""); slices.Contains(found, note) {
		t.Error("what must not be there is there")
	}
	if found := finds(apptest.ClientUser, "Zanzibar marmalade", "NOTE", ""); slices.Contains(found, note) {
		t.Error("the client finds a private note")
	}
	does(t, coach, "saveNote", "note", "id", apptest.Vars{"id": note, "expectedVersion": 1, "body": "Zanzibar trombone", "visibility": "SHARED_WITH_CLIENT"})
	env.Index(t)
	if found := finds(apptest.ClientUser, "Zanzibar trombone", "NOTE", ""); len(found) == 0 || found[0] != note {
		t.Errorf("shared: the client finds %v", found)
	}
	if found := finds(apptest.Coach, "Zanzibar trombone", "NOTE", fmt.Sprintf(", filter: {clientIds: [%q]}", clientOf(t, env, jonas3.id(t, env)))); slices.Contains(found, note) {
		t.Error("found among another client's")
	}
	_, _ = consents(t, env.Login(t, apptest.ClientUser), "withdrawConsent", apptest.Vars{"subjectId": client, "scopes": []string{"AI_ANALYSIS"}})
	env.Index(t)
	if vectors() != 0 {
		t.Error("without consent it still has vectors")
	}
	_, _ = consents(t, env.Login(t, apptest.ClientUser), "giveConsent", apptest.Vars{"subjectId": client, "scopes": []string{"AI_ANALYSIS"}})
	env.Index(t)
	if vectors() != 1 {
		t.Error("with consent it has none")
	}
	if _, errs := ask(t, env.Login(t, apptest.Owner), "requestErasure", apptest.Vars{"clientId": client, "confirm": "Amara Okafor"}); len(errs) > 0 {
		t.Fatal(briefly(errs))
	}
	env.Work(t)
	if vectors() != 0 {
		t.Error("erased: its vector is there")
	}
}

// By session, each is there once, with its best hit and some of the others, page by page.
func TestMeaningBySession(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	coach := env.Login(t, apptest.Coach)
	for _, mode := range []string{"SEMANTIC", "HYBRID"} {
		seen, others := map[string]bool{}, 0
		var after any
		for more, pages := true, 0; more && pages < 20; pages++ {
			var out struct {
				Search struct {
					Nodes []struct {
						Cursor  string
						Session struct{ ID string }
						Others  []struct {
							Session struct{ ID string }
							Explain struct{ FusedScore *float64 }
						}
						Explain struct{ FusedScore *float64 }
					}
					PageInfo struct{ HasNextPage bool }
				}
			}
			coach.Must(t, `query($mode: SearchMode!, $after: String) {search(query: "the team and the budget", mode: $mode, groupBy: SESSION, first: 2, after: $after) {
				nodes {cursor session {id} explain {fusedScore} others {session {id} explain {fusedScore}}} pageInfo {hasNextPage}}}`, apptest.Vars{"mode": mode, "after": after}, &out)
			for _, h := range out.Search.Nodes {
				if seen[h.Session.ID] || h.Explain.FusedScore == nil {
					t.Errorf("%s: %+v", mode, h)
				}
				seen[h.Session.ID], after = true, h.Cursor
				others += len(h.Others)
				for _, o := range h.Others {
					if o.Session.ID != h.Session.ID || o.Explain.FusedScore == nil || *o.Explain.FusedScore > *h.Explain.FusedScore {
						t.Errorf("%s: %+v beside %+v", mode, o, h)
					}
				}
			}
			more = out.Search.PageInfo.HasNextPage
		}
		if len(seen) < 5 || others == 0 {
			t.Errorf("%s: %d sessions, %d others", mode, len(seen), others)
		}
	}
}
