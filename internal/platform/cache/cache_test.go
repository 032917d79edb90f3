package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/cache"
	"github.com/rapporthq/rapport/internal/platform/cache/cachetest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(*testing.T) cache.Store { return cache.NewMemory(64 << 20) })
}

// A memory forgets what was not asked for in the longest time, and never holds more than it may.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := cache.NewMemory(2000)
	for _, key := range []string{"a", "b", "c"} {
		_ = m.Put(t.Context(), key, make([]byte, 500), time.Minute)
		_, _ = m.Get(t.Context(), "a")
	}
	for key, want := range map[string]bool{"a": true, "b": false, "c": true} {
		_ = m.Put(t.Context(), "d"+key, nil, time.Minute)
		if got, _ := m.Get(t.Context(), key); key != "b" && (got != nil) != want {
			t.Errorf("%s is there: %t", key, got != nil)
		}
	}
	_ = m.Put(t.Context(), "e", make([]byte, 5000), time.Minute)
	if got, _ := m.Get(t.Context(), "e"); got != nil {
		t.Error("it holds more than it may")
	}
}

func state(t *testing.T, db *pgxpool.Pool, org id.UUID, tables ...string) (state string) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT "+cache.StateOf("$1", "$2"), org, tables).Scan(&state); err != nil {
		t.Error(err)
	}
	return state
}

func organization(t *testing.T, db *pgxpool.Pool) id.UUID {
	t.Helper()
	org, user := id.New(), id.New()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, []any{org, "o-" + org.String()}},
		{`INSERT INTO users (id, name, email) VALUES ($1, 'Ruth', $2)`, []any{user, user.String() + "@harbor.example"}},
		{`INSERT INTO memberships (id, org_id, user_id, roles) VALUES ($1, $2, $1, '{COACH}')`, []any{user, org}},
	} {
		if _, err := db.Exec(t.Context(), q.sql, q.args...); err != nil {
			t.Fatal(err)
		}
	}
	return org
}

// An answer is kept until something is written to one of its tables in its organization, and for nobody longer: what a transaction writes
// counts from its commit on, and what it takes back never.
func TestAnswersFollowWhatIsWritten(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	org, other := organization(t, db), organization(t, db)
	a := cache.New(cache.NewMemory(1<<20), slog.New(slog.DiscardHandler), time.Hour)
	computed := 0
	ask := func(org id.UUID, tables ...string) bool {
		t.Helper()
		before := computed
		got, err := cache.Through(t.Context(), a, cache.Question{Org: org, State: state(t, db, org, tables...), Of: tables}, func(context.Context) (int, error) {
			computed++
			return 7, nil
		})
		if err != nil || got != 7 {
			t.Fatal(got, err)
		}
		return computed > before
	}
	write := func(org id.UUID) string {
		return `INSERT INTO clients (id, org_id, coach_id, name) SELECT gen_random_uuid(), org_id, user_id, 'x' FROM memberships WHERE org_id = '` + org.String() + `'`
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if !ask(org, "clients") || ask(org, "clients") {
		t.Fatal("it is not computed once")
	}
	if !ask(other, "clients") || !ask(org, "clients", "memberships") {
		t.Error("what is not the same is answered alike")
	}
	exec(write(other))
	exec(`UPDATE memberships SET roles = roles WHERE org_id = '` + org.String() + `'`)
	if ask(org, "clients") {
		t.Error("what is written elsewhere makes it superfluous")
	}
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), write(org)); err != nil {
		t.Fatal(err)
	}
	if ask(org, "clients") {
		t.Error("what is not committed counts")
	}
	exec(write(org)) // which waits for nobody
	if !ask(org, "clients") {
		t.Error("it is older than what was committed")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ask(org, "clients") {
		t.Error("what was taken back counts")
	}
	exec(`DELETE FROM stamps`)
	ask(org, "clients")
	exec(write(org))
	if !ask(org, "clients") {
		t.Error("after the stamps were pruned nothing is noticed")
	}
}

// Transactions that overlap and commit in another order than they began in are each noticed.
func TestEachCommitIsNoticed(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	org := organization(t, db)
	a := cache.New(cache.NewMemory(1<<20), slog.New(slog.DiscardHandler), time.Hour)
	var committed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				tx, err := db.Begin(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				client := id.New()
				_, err = tx.Exec(t.Context(), `INSERT INTO clients (id, org_id, coach_id, name) SELECT $1, $2, user_id, 'x' FROM memberships WHERE org_id = $2`, client, org)
				if err := errors.Join(err, tx.Commit(t.Context())); err != nil {
					t.Error(err)
					return
				}
				least := committed.Add(1)
				got, err := cache.Through(t.Context(), a, cache.Question{Org: org, State: state(t, db, org, "clients")}, func(ctx context.Context) (n int64, err error) {
					return n, db.QueryRow(ctx, `SELECT count(*) FROM clients WHERE org_id = $1`, org).Scan(&n)
				})
				if err != nil || got < least {
					t.Errorf("%d clients of %d that are committed, %v", got, least, err)
				}
			}
		})
	}
	all.Wait()
}

// Who asks the same at the same time waits for one computation, which goes on when who asked first has left.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	a := cache.New(cache.NewMemory(1<<20), slog.New(slog.DiscardHandler), time.Hour)
	var computed atomic.Int64
	began, goOn := make(chan struct{}), make(chan struct{})
	ask := func(ctx context.Context) (string, error) {
		return cache.Through(ctx, a, cache.Question{Of: "slow"}, func(context.Context) (string, error) {
			if computed.Add(1) == 1 {
				close(began)
			}
			<-goOn
			return "done", nil
		})
	}
	hasty, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := ask(hasty); left <- err }()
	<-began
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves gets %v", err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if got, err := ask(t.Context()); got != "done" || err != nil {
				t.Error(got, err)
			}
		})
	}
	close(goOn)
	all.Wait()
	if n := computed.Load(); n != 1 {
		t.Errorf("it was computed %d times", n)
	}
}

// Errors are not kept, and a store that cannot be asked is done without.
func TestWithoutAStore(t *testing.T) {
	t.Parallel()
	a := cache.New(away{}, slog.New(slog.DiscardHandler), time.Hour)
	n := 0
	for i := range 4 {
		_, err := cache.Through(t.Context(), a, cache.Question{Of: "x"}, func(context.Context) (int, error) {
			if n++; n%2 == 1 {
				return 0, errors.New("no")
			}
			return n, nil
		})
		if (err != nil) != (i%2 == 0) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got, err := cache.Through(t.Context(), nil, cache.Question{}, func(context.Context) (int, error) { return 1, nil }); got != 1 || err != nil {
		t.Error(got, err)
	}
}

type away struct{}

func (away) Get(context.Context, string) ([]byte, error)              { return nil, errors.New("away") }
func (away) Put(context.Context, string, []byte, time.Duration) error { return errors.New("away") }
