package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// The clients that front ends use, graphql-ws and graphql-sse, understand our streams, and come back when a server stops.
// The checks themselves are in streams.test.mjs.
func TestStreamClients(t *testing.T) {
	checks := filepath.Join(testkit.RepoRoot(t), "tools", "browser")
	if _, err := os.Stat(filepath.Join(checks, "node_modules", "graphql-sse")); err != nil {
		testkit.RequireComponent(t, "browser checks", "their packages are not installed: make browser")
	}
	env := apptest.Demo(t, apptest.Running())
	next := env.Another(t, apptest.Running())

	// A load balancer with one server behind it, and then the other.
	var serves atomic.Pointer[url.URL]
	serves.Store(parse(t, env.URL))
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(serves.Load()) }, FlushInterval: -1})
	defer front.Close()
	restart := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		serves.Store(parse(t, next.URL))
		if err := env.Stop(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer restart.Close()

	coach := env.Login(t, apptest.Coach)
	type session struct {
		ID       string
		Insights struct{ Nodes []struct{ ID string } }
	}
	var found struct{ Sessions struct{ Nodes []session } }
	coach.Must(t, `{sessions(first: 50) {nodes {id insights(first: 1) {nodes {id}}}}}`, nil, &found)
	i := slices.IndexFunc(found.Sessions.Nodes, func(s session) bool { return len(s.Insights.Nodes) > 0 })
	analysed := found.Sessions.Nodes[i]

	cmd := exec.CommandContext(t.Context(), "node", "--test", "streams.test.mjs")
	cmd.Dir = checks
	cmd.Env = append(os.Environ(), "RAPPORT_URL="+front.URL, "RESTART="+restart.URL, "TOKEN="+coach.Token,
		"SESSION="+analysed.ID, "AFTER="+env.Beginning(t, analysed.ID), "INSIGHT="+analysed.Insights.Nodes[0].ID)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

func parse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
