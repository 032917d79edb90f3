package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
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
