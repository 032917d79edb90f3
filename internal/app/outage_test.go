package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

// ownServer is a PostgreSQL that a test may stop and start again; it keeps its address and its data.
type ownServer struct {
	*local.Server
	config local.Config
}

func startOwnServer(t *testing.T) *ownServer {
	t.Helper()
	programs, err := local.Install(t.Context(), testkit.Home(testkit.RepoRoot(t)), func(string) {})
	if errors.Is(err, local.ErrUnavailable) {
		testkit.RequireComponent(t, "postgresql", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "rapport-outage-") // t.TempDir is closed to the user that PostgreSQL runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &ownServer{config: local.Config{Home: home, Binaries: programs}}
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *ownServer) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	if s.Server, err = local.Start(ctx, s.config); err != nil {
		t.Fatal(err)
	}
}

func (s *ownServer) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(t), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// While the database is away, everybody is told to come back later, the log says it once a request, and strangers learn
// nothing of where it is. When it is back, everything goes on: queries, the import that was under way, subscriptions.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	server := startOwnServer(t)
	db, err := postgres.Open(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	err = postgres.Migrate(t.Context(), db)
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	env := (&apptest.Env{DatabaseURL: server.URL(), Config: config.Config{Home: t.TempDir()}}).
		Another(t, apptest.Running())
	if err := env.App.LoadDemo(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	socket := coach.Socket(t)
	heard := socket.Subscribe(t, listen, apptest.Vars{"session": session})
	env.Statements.Await(t, "stream_topics", 0)

	// A job that is running and a query that has signed in already: both are at it when the server goes.
	gate := shut(t, env, `INSERT ON insights FOR EACH ROW`)
	transcript := imports(t, coach, session, conversation(t))
	gate.somebody()
	sql(t, env, `ALTER TABLE tags RENAME TO slow_tags`)
	sql(t, env, `CREATE VIEW tags AS SELECT t.* FROM slow_tags t, pg_sleep(20)`)
	underWay := make(chan apptest.Response, 1)
	go func() { underWay <- coach.Do(t, `{tags {nodes {name}} more: tags {nodes {id}}}`, nil) }()
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := value[int](t, env, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`); n == 0 {
			return errors.New("nobody reads the tags")
		}
		return nil
	})
	before := len(env.Log.String())
	server.stop(t)

	unavailable := func(what string, r apptest.Response) {
		t.Helper()
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, %v", what, r.Status, r.Header)
		}
		told(t, what, r)
	}
	first := <-underWay
	unavailable("a query under way", first)
	signingIn := coach.Do(t, `{viewer {user {name}}}`, nil)
	unavailable("a query that has to sign in", signingIn)
	if status, body := env.Send(t, http.MethodPost, "/dev/login", http.Header{"Content-Type": {"application/json"}}, `{"email": "coach@harbor.example"}`); status != http.StatusServiceUnavailable {
		t.Errorf("the development sign-in: %d %s", status, body)
	}
	within := socket.Subscribe(t, `query($id: ID!) {session(id: $id) {id} node(id: $id) {id}}`, apptest.Vars{"id": session}).Next(t)
	told(t, "a query over a socket", within)
	if len(within.Errors) != 2 {
		t.Errorf("%d errors for two fields over a socket", len(within.Errors))
	}

	another := env.Dial(t, nil)
	if err := another.Init(t, map[string]string{"Authorization": "Bearer " + coach.Token}); err == nil {
		t.Error("a socket signed in")
	}
	if code := another.Closed(t); code != 1013 { // clients try again, unlike after a 4403
		t.Errorf("a socket that has to sign in: closed with %d", code)
	}
	status, body := env.Send(t, http.MethodGet, "/readyz", nil, "")
	var health struct {
		Status string
		Checks []struct{ Name, Adapter, Error string }
	}
	if err := json.Unmarshal(body, &health); err != nil || status != http.StatusServiceUnavailable || health.Status != "unready" {
		t.Errorf("/readyz: %d %s", status, body)
	}
	for _, c := range health.Checks {
		if (c.Error == "cannot connect") != (c.Adapter == "postgres") || c.Adapter == "disk" && c.Error != "" {
			t.Errorf("/readyz: %+v", c)
		}
	}

	log := env.Log.String()[before:]
	if strings.Contains(log, "level=ERROR") {
		t.Errorf("an outage is nobody's mistake:\n%s", log)
	}
	if n := strings.Count(log, `msg="answered without`); n != 2 { // the one under way, the one over the socket
		t.Errorf("%d lines about responses:\n%s", n, log)
	}
	if n := strings.Count(log, `level=WARN msg="sign-in refused"`); n != 1 {
		t.Errorf("%d lines about who could not sign in:\n%s", n, log)
	}
	if !strings.Contains(log, "failed to connect to") {
		t.Errorf("the log does not tell what failed:\n%s", log)
	}

	gate.release()
	server.start(t)
	testkit.Eventually(t, 30*time.Second, func() error {
		if r := coach.Do(t, `{viewer {user {name}}}`, nil); r.Status != http.StatusOK || len(r.Errors) > 0 {
			return fmt.Errorf("%d %s", r.Status, r.Body)
		}
		return nil
	})
	sql(t, env, `DROP TRIGGER gate ON insights`)
	settled(t, env, transcript)
	for {
		if e := next(t, heard); e.Transcript.Status == "READY" {
			break
		}
	}
	if status, body := env.Send(t, http.MethodGet, "/readyz", nil, ""); status != http.StatusOK {
		t.Errorf("/readyz afterwards: %d %s", status, body)
	}
}

// told checks that all that is wrong with r is an outage, in words without details.
func told(t *testing.T, what string, r apptest.Response) {
	t.Helper()
	if len(r.Errors) == 0 {
		t.Errorf("%s: no error: %s", what, r.Body)
	}
	for _, e := range r.Errors {
		if e.Code != "UNAVAILABLE" || !strings.Contains(e.Message, "database cannot be reached") {
			t.Errorf("%s: %+v", what, e)
		}
	}
}
