package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
	"github.com/rapporthq/rapport/internal/testkit/balancer"
)

// The clients that front ends use understand our streams (graphql-ws, graphql-sse, urql, Apollo Client, EventSource), and come
// back when a connection is cut and when servers are replaced, with nothing lost and nothing doubled. The checks themselves are in
// streams.test.mjs.
func TestStreamClients(t *testing.T) {
	checks := filepath.Join(testkit.RepoRoot(t), "tools", "browser")
	for _, name := range []string{"graphql-ws", "graphql-sse", "urql", "@apollo/client", "eventsource"} {
		if _, err := os.Stat(filepath.Join(checks, "node_modules", name)); err != nil {
			testkit.RequireComponent(t, "browser checks", "their packages are not installed: make browser")
		}
	}
	running := apptest.Together(apptest.Running(), apptest.AppOptions(app.WithTiming(time.Second, 500*time.Millisecond)))
	env := apptest.Demo(t, running)
	before, after := []*apptest.Env{env, env.Another(t, running)}, []*apptest.Env{env.Another(t, running), env.Another(t, running)}
	front, err := balancer.Start(before[0].URL, before[1].URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)

	coach := env.Login(t, apptest.Coach)
	type row struct {
		ID       string
		Insights struct{ Nodes []struct{ ID string } }
	}
	var found struct{ Sessions struct{ Nodes []row } }
	coach.Must(t, `{sessions(first: 50) {nodes {id insights(first: 1) {nodes {id}}}}}`, nil, &found)
	i := slices.IndexFunc(found.Sessions.Nodes, func(s row) bool { return len(s.Insights.Nodes) > 0 })
	analysed := found.Sessions.Nodes[i]

	control := http.NewServeMux()
	does := func(path string, what func(r *http.Request) (string, error)) {
		control.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			answer, err := what(r)
			if err != nil {
				answer = err.Error()
			}
			_, _ = io.WriteString(w, answer)
		})
	}
	does("/token", func(*http.Request) (string, error) { return env.Token(t, apptest.Coach, 3*time.Second), nil })
	does("/cut", func(*http.Request) (string, error) { front.Cut(); return "", nil })
	does("/roll", func(*http.Request) (string, error) {
		for i := range before {
			front.Replace(before[i].URL, after[i].URL)
			if err := before[i].Stop(); err != nil {
				return "", err
			}
		}
		return "", nil
	})
	does("/published", func(r *http.Request) (string, error) {
		var n int
		err := after[1].DB.QueryRow(r.Context(), `SELECT count(*) FROM stream_events WHERE topic = $1`, analysed.ID).Scan(&n)
		return fmt.Sprint(n), err
	})
	controls := httptest.NewServer(control)
	defer controls.Close()

	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-force-exit", "--test-reporter=spec", "streams.test.mjs")
	cmd.Dir = checks
	cmd.Env = append(os.Environ(), "RAPPORT_URL=http://"+front.Addr, "CONTROL="+controls.URL, "TOKEN="+coach.Token,
		"SESSION="+analysed.ID, "AFTER="+env.Beginning(t, analysed.ID), "INSIGHT="+analysed.Insights.Nodes[0].ID)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}
