package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestOpenAppliesDefaultsAndOptions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := testkit.DatabaseURL(t)
	pool, err := postgres.Open(ctx, url, postgres.WithMaxConns(3), postgres.WithApplicationName("open-test"), postgres.WithStatementTimeout(1500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for name, want := range map[string]string{
		"application_name": "open-test", "timezone": "UTC", "statement_timeout": "1500ms",
		"idle_in_transaction_session_timeout": "1min", "server_encoding": "UTF8",
	} {
		var got string
		if err := pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := pool.Config().MaxConns; got != 3 {
		t.Errorf("max conns = %d, want 3", got)
	}
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	pool := testkit.DB(t)
	var one time.Time
	var many []time.Time
	if err := pool.QueryRow(t.Context(), "SELECT now(), ARRAY[now()]").Scan(&one, &many); err != nil {
		t.Fatal(err)
	}
	if one.Location() != time.UTC || many[0].Location() != time.UTC {
		t.Errorf("locations %s and %s, want UTC", one.Location(), many[0].Location())
	}
}

func TestOpenDoesNotTellThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://me:sesame@127.0.0.1:1/db?connect_timeout=1",
		"postgres://me:sesame@127.0.0.1:notaport/db",
	} {
		_, err := postgres.Open(t.Context(), url)
		if err == nil {
			t.Fatal("opened nothing")
		}
		if got := err.Error(); containsFold(got, "sesame") {
			t.Errorf("the error tells the password: %s", got)
		}
	}
}

func TestInTx(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testkit.DB(t)
	exec(t, pool, `CREATE TABLE thing (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)`)
	insert := func(tx pgx.Tx, id int) error {
		_, err := tx.Exec(ctx, `INSERT INTO thing VALUES ($1)`, id)
		return err
	}
	wantRows := func(t *testing.T, want int) {
		t.Helper()
		var n int
		if err := pool.QueryRow(ctx, `SELECT count(*) FROM thing`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != want {
			t.Errorf("%d rows, want %d", n, want)
		}
		if n := pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections still in use", n)
		}
	}

	if err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { return insert(tx, 1) }); err != nil {
		t.Fatal(err)
	}
	wantRows(t, 1)

	t.Run("an error rolls back and comes through", func(t *testing.T) {
		boom := errors.New("boom")
		err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { return errors.Join(insert(tx, 2), boom) })
		if !errors.Is(err, boom) {
			t.Errorf("err = %v, want boom", err)
		}
		wantRows(t, 1)
	})
	t.Run("a panic rolls back and goes on", func(t *testing.T) {
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("recovered %v, want boom", p)
				}
			}()
			_ = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				if err := insert(tx, 3); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		wantRows(t, 1)
	})
	t.Run("what waits for the commit", func(t *testing.T) {
		var done []string
		after := func(tx pgx.Tx, what string) {
			hooked := postgres.AfterCommit(tx, func() {
				wantRows(t, 2)
				done = append(done, what)
			})
			if !hooked {
				t.Error("it will not run")
			}
		}
		boom := errors.New("boom")
		if err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { after(tx, "rolled back"); return boom }); !errors.Is(err, boom) {
			t.Error(err)
		}
		err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			after(tx, "first")
			after(tx, "second")
			inner, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			if postgres.AfterCommit(inner, func() { done = append(done, "of a savepoint") }) {
				t.Error("a savepoint may be rolled back alone")
			}
			return errors.Join(inner.Commit(ctx), insert(tx, 5))
		})
		if err != nil || !slices.Equal(done, []string{"first", "second"}) {
			t.Errorf("%q ran, %v", done, err)
		}
		exec(t, pool, `DELETE FROM thing WHERE id = 5`)
	})
	t.Run("a failed commit is an error", func(t *testing.T) {
		err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { return insert(tx, 1) }) // checked at commit only
		if err == nil {
			t.Error("a violated deferred constraint was not reported")
		}
		wantRows(t, 1)
	})
	t.Run("a swallowed error is an error", func(t *testing.T) {
		err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, `SELECT 1/0`)
			return nil
		})
		if !errors.Is(err, pgx.ErrTxCommitRollback) {
			t.Errorf("err = %v, want ErrTxCommitRollback", err)
		}
		wantRows(t, 1)
	})
	t.Run("a cancelled context rolls back", func(t *testing.T) {
		short, cancel := context.WithCancel(ctx)
		err := postgres.InTx(short, pool, func(tx pgx.Tx) error {
			defer cancel()
			return insert(tx, 4)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", err)
		}
		testkit.Eventually(t, 5*time.Second, func() error {
			if n := pool.Stat().AcquiredConns(); n != 0 {
				return errors.New("connection still in use")
			}
			return nil
		})
		wantRows(t, 1)
	})
}

// Two transactions that lock the same two rows in opposite orders: the server gives one up, and it is run again.
func TestInTxRunsAgainAfterADeadlock(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testkit.DB(t)
	exec(t, pool, `CREATE TABLE thing (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)`)
	exec(t, pool, `INSERT INTO thing VALUES (1), (2)`)
	add := func(tx pgx.Tx, id int) error {
		_, err := tx.Exec(ctx, `UPDATE thing SET n = n + 1 WHERE id = $1`, id)
		return err
	}
	var both, done sync.WaitGroup
	both.Add(2)
	var runs atomic.Int32
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		done.Go(func() {
			first := true
			err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				runs.Add(1)
				if err := add(tx, order[0]); err != nil {
					return err
				}
				if first { // each holds its first row before it asks for the other's
					first = false
					both.Done()
					both.Wait()
				}
				if err := add(tx, order[1]); err != nil {
					return fmt.Errorf("wrapped: %w", err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n := runs.Load(); n < 3 {
		t.Fatalf("%d runs: there was no deadlock", n)
	}
	var sum string
	if err := pool.QueryRow(ctx, `SELECT string_agg(n::text, ' ' ORDER BY id) FROM thing`).Scan(&sum); err != nil || sum != "2 2" {
		t.Errorf("the rows were counted up to %s: %v", sum, err)
	}

	gone, cancel := context.WithCancel(ctx)
	defer cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		code string
		want int32
	}{"again and again": {ctx, "40001", 6}, "by who has gone": {gone, "40P01", 1}, "another error": {ctx, "40002", 1}} {
		runs.Store(0)
		err := postgres.InTx(c.ctx, pool, func(pgx.Tx) error {
			runs.Add(1)
			if c.ctx == gone {
				cancel()
			}
			return &pgconn.PgError{Code: c.code}
		})
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != c.code || runs.Load() != c.want {
			t.Errorf("%s: %d runs, want %d, and then %v", name, runs.Load(), c.want, err)
		}
	}
}
