package postgres_test

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

// who is a login whose password changes.
type who struct {
	mu       sync.Mutex
	password string
	next     string // what it is once it was refused
	refused  int
}

func (w *who) Login(context.Context) (user, password string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "", w.password
}

func (w *who) Refused() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused++
	w.password = w.next
}

// The role's password is changed under a pool, a listener and a migration: connections that there are go on, and new ones use the new
// password. Who comes with the old one in the moment of the change learns it by the refusal.
func TestLogin(t *testing.T) {
	t.Parallel()
	server, err := local.Start(t.Context(), local.Config{Home: testkit.Home(testkit.RepoRoot(t)), Throwaway: true})
	if err != nil {
		testkit.RequireComponent(t, "postgresql", err.Error())
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	at, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := at.User.Password()
	at.User = url.User(at.User.Username())
	w := &who{password: password, next: password}
	pool, err := postgres.Open(t.Context(), at.String(), postgres.WithLogin(w), postgres.WithMaxConns(2))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	l := postgres.Listen(t.Context(), pool, slog.New(slog.DiscardHandler))
	defer l.Close()
	wake, cancel := l.Subscribe("test")
	defer cancel()
	settle(t, wake)

	ask := func(db interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}) (pid int) {
		t.Helper()
		if err := db.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		return pid
	}
	old := ask(pool)
	if _, err := pool.Exec(t.Context(), "ALTER ROLE CURRENT_USER PASSWORD 'another'"); err != nil {
		t.Fatal(err)
	}
	if pid := ask(pool); pid != old {
		t.Error("the connection did not go on")
	}
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if err := pool.Ping(t.Context()); !postgres.Unavailable(err) || w.refused != 1 {
		t.Errorf("with the old password: %v, refused %d times", err, w.refused)
	}
	w.next = "another"
	if err := pool.Ping(t.Context()); err == nil {
		t.Error("the old password was accepted")
	}
	ask(pool) // by the new one
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Errorf("migrations: %v", err)
	}
	if _, err := held.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listener'"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, wake); got != "" { // it is back, and may have missed something
		t.Errorf("woken with %q", got)
	}
	if _, err := held.Exec(t.Context(), "NOTIFY test, 'hello'"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, wake); got != "hello" {
		t.Errorf("heard %q", got)
	}
}
