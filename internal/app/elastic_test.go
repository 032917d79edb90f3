package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// inElasticsearch searches in an index of the test's own.
func inElasticsearch(t *testing.T, through string) apptest.Option {
	t.Helper()
	prefix := testkit.IndexPrefix(t, testkit.Elasticsearch(t))
	return apptest.Config(func(c *config.Config) {
		c.Search = config.Search{ElasticsearchURLs: []string{through}, ElasticsearchPrefix: prefix, ElasticsearchShards: 1, ElasticsearchTimeout: 20 * time.Second}
	})
}

func fill(t *testing.T, env *apptest.Env) {
	t.Helper()
	if done, err := env.App.FillSearch(t.Context()); err != nil || !done {
		t.Fatalf("filled %t: %v", done, err)
	}
	if done, err := env.App.FillSearch(t.Context()); err != nil || done {
		t.Fatalf("filled again %t: %v", done, err)
	}
}

// What is kept from whom does not depend on who searches.
func TestElasticsearchShowsNobodyMore(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, inElasticsearch(t, testkit.Elasticsearch(t)))
	fill(t, env)
	showsNobodyMore(t, env)
	if got := finds(t, env.Login(t, apptest.Coach), "the", ""); got.Degraded != nil {
		t.Errorf("it was PostgreSQL: %s", *got.Degraded)
	}
}

// Whatever happens to an index behind Rapport's back is named: what is gone, what is another one, and what should not be there.
func TestIndexesAreCompared(t *testing.T) {
	t.Parallel()
	url := testkit.Elasticsearch(t)
	env := apptest.Demo(t, inElasticsearch(t, url))
	env.Index(t)
	fill(t, env)
	differences := func() (all []search.Difference) {
		t.Helper()
		if err := env.App.Services().Search.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		held, err := env.App.Services().Search.Compare(t.Context(), func(d search.Difference) { all = append(all, d) })
		if err != nil || held.Documents < 500 || held.Organizations != 2 {
			t.Fatalf("%+v, %v", held, err)
		}
		return all
	}
	if found := differences(); len(found) > 0 {
		t.Fatalf("at first: %+v", found)
	}
	group := value[string](t, env, `SELECT group_key FROM search_documents WHERE kind = 'UTTERANCE' ORDER BY group_key LIMIT 1`)
	documents := value[[]string](t, env, `SELECT array_agg(id ORDER BY id) FROM search_documents WHERE group_key = $1`, group)
	org := value[id.UUID](t, env, `SELECT org_id FROM search_documents WHERE id = $1`, documents[0])
	gone, altered := documents[0], documents[1]
	sql(t, env, `DELETE FROM search_documents WHERE id = $1`, gone)
	sql(t, env, `UPDATE search_documents SET texts = '{"text": "what nobody said"}' WHERE id = $1`, altered)
	sql(t, env, `INSERT INTO search_documents (org_id, generation, id, kind, group_key, version, language, at, length, keywords, texts, words)
		SELECT org_id, generation, 'note_x', 'NOTE', 'note_gone', version, language, at, length, keywords, texts, words FROM search_documents WHERE id = $1`, altered)
	index := url + "/" + env.Config.Search.ElasticsearchPrefix + "-write"
	at := func(method, path, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, index+path+"?routing="+org.String(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s", method, path, answer.Status)
		}
	}
	at(http.MethodDelete, "/_doc/"+org.String()+"%2F"+gone, "")
	at(http.MethodPost, "/_update/"+org.String()+"%2F"+altered, `{"doc": {"t": {"text": {"en": "what nobody said"}}}}`)
	want := []search.Difference{
		{Index: "postgres", Org: org, Group: group, Missing: 1, Altered: 1}, {Index: "elasticsearch", Org: org, Group: group, Missing: 1, Altered: 1},
		{Index: "postgres", Org: org, Group: "note_gone", Surplus: 1},
	}
	if found := differences(); !slices.Equal(found, want) {
		t.Errorf("afterwards: %+v, want %+v", found, want)
	}
	if err := env.App.Services().Search.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := differences(); len(found) > 0 {
		t.Errorf("made anew: %+v", found)
	}
}

// While Elasticsearch is away, PostgreSQL answers and says so. What changes meanwhile is in the index when it is back, and nobody has to
// do anything for it.
func TestElasticsearchAway(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(testkit.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	forward := httputil.NewSingleHostReverseProxy(target)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	env := apptest.Demo(t, inElasticsearch(t, between.URL))
	coach := env.Login(t, apptest.Coach)
	env.Index(t)
	before := finds(t, coach, "", "")
	if before.Degraded == nil || before.TotalCount == 0 {
		t.Errorf("an index that nobody has filled answers: %+v", before.Degraded)
	}
	fill(t, env)
	if now := finds(t, coach, "", ""); now.Degraded != nil || now.TotalCount != before.TotalCount {
		t.Errorf("filled: %d hits, want %d (degraded: %v)", now.TotalCount, before.TotalCount, now.Degraded)
	}

	away.Store(true)
	for range 20 {
		if got := finds(t, coach, "", ""); got.Degraded == nil || !strings.Contains(*got.Degraded, "cannot be reached") || got.TotalCount != before.TotalCount {
			t.Errorf("away: %d hits, want %d (degraded: %v)", got.TotalCount, before.TotalCount, got.Degraded)
		}
	}
	client := one(t, env, "client", `SELECT c.id FROM clients c JOIN users u ON u.id = c.user_id WHERE u.email = $1`, apptest.ClientUser)
	coach.Must(t, `mutation($id: ID!) {createNote(input: {entityId: $id, body: "Wombat"}) {userErrors {code}}}`, apptest.Vars{"id": client}, nil)
	env.Index(t)
	if got := finds(t, coach, "wombat", ""); got.TotalCount != 1 || got.Degraded == nil {
		t.Errorf("%d of what was written meanwhile (degraded: %v)", got.TotalCount, got.Degraded)
	}
	var state string
	var attempts int
	if err := env.DB.QueryRow(t.Context(), `SELECT state, attempt FROM jobs WHERE kind = 'search.note' ORDER BY created_at DESC LIMIT 1`).Scan(&state, &attempts); err != nil || state != "PENDING" || attempts != 0 {
		t.Errorf("the job is %s after %d attempts (%v): being away is no failed attempt", state, attempts, err)
	}

	away.Store(false)
	testkit.Eventually(t, time.Minute, func() error {
		if got := finds(t, coach, "", ""); got.Degraded != nil {
			return fmt.Errorf("degraded: %s", *got.Degraded)
		}
		return nil
	})
	if _, err := env.DB.Exec(t.Context(), `UPDATE jobs SET run_at = now(), due_at = now() WHERE state = 'PENDING'`); err != nil {
		t.Fatal(err)
	}
	env.Index(t)
	testkit.Eventually(t, time.Minute, func() error {
		if got := finds(t, coach, "wombat", ""); got.TotalCount != 1 || got.Degraded != nil {
			return fmt.Errorf("%d of what was written meanwhile (degraded: %v)", got.TotalCount, got.Degraded)
		}
		return nil
	})
	held, err := env.App.Services().Search.Verify(t.Context())
	if err != nil || held.Repaired != 0 || held.Documents <= before.TotalCount {
		t.Errorf("the indexes differ: %+v, %v", held, err)
	}
}
