package browser_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
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
	front := balance(t, before...)

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
	does("/cut", func(*http.Request) (string, error) { front.cut(); return "", nil })
	does("/roll", func(*http.Request) (string, error) {
		for i := range before {
			front.replace(before[i], after[i])
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
	cmd.Env = append(os.Environ(), "RAPPORT_URL=http://"+front.Addr().String(), "CONTROL="+controls.URL, "TOKEN="+coach.Token,
		"SESSION="+analysed.ID, "AFTER="+env.Beginning(t, analysed.ID), "INSIGHT="+analysed.Insights.Nodes[0].ID)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

// balancer hands connections to servers in turn, and knows nothing of what goes over them.
type balancer struct {
	net.Listener

	mu      sync.Mutex
	servers []string // addresses
	taken   int
	open    map[net.Conn]struct{}
}

func balance(t *testing.T, servers ...*apptest.Env) *balancer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: ln, open: map[net.Conn]struct{}{}}
	for _, s := range servers {
		b.servers = append(b.servers, address(s))
	}
	t.Cleanup(func() { _ = ln.Close(); b.cut() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go b.carry(conn)
		}
	}()
	return b
}

func address(server *apptest.Env) string { return strings.TrimPrefix(server.URL, "http://") }

func (b *balancer) carry(from net.Conn) {
	b.mu.Lock()
	server := b.servers[b.taken%len(b.servers)]
	b.taken++
	b.mu.Unlock()
	defer b.keep(from)()
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer b.keep(to)()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

func (b *balancer) keep(conn net.Conn) (forget func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[conn] = struct{}{}
	return func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, conn)
	}
}

// cut ends all connections without a word.
func (b *balancer) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.open {
		_ = conn.Close()
	}
}

// replace gives new connections to another server.
func (b *balancer) replace(server, by *apptest.Env) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers[slices.Index(b.servers, address(server))] = address(by)
}
