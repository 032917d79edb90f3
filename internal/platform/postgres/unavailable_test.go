package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, cancelled := pgx.Connect(gone, "postgres://me@127.0.0.1:1/db")
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	state := func(code string) error { return fmt.Errorf("x: %w", &pgconn.PgError{Code: code}) }
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":              {nil, false},
		"something else":       {errors.New("x"), false},
		"no connection":        {connectError(t, "postgres://me@127.0.0.1:1/db"), true},
		"no such host":         {connectError(t, "postgres://me@nowhere.invalid/db"), true},
		"no socket":            {connectError(t, "postgres://me@/db?host=/nowhere"), true},
		"a caller who left":    {cancelled, false},
		"a deadline":           {late.Err(), false},
		"broken connection":    {state("08006"), true},
		"shutdown":             {state("57P01"), true},
		"crash":                {state("57P02"), true},
		"start":                {state("57P03"), true},
		"too many connections": {state("53300"), true},
		"cancelled statement":  {state("57014"), false},
		"dropped database":     {state("57P04"), false},
		"unique":               {state("23505"), false},
		"disk full":            {state("53100"), false},
		"among others":         {errors.Join(errors.New("x"), io.ErrUnexpectedEOF), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := postgres.Unavailable(tc.err); got != tc.want {
				t.Errorf("%v: %t", tc.err, got)
			}
			mapped := postgres.Fault(tc.err)
			if tc.want && (fault.KindOf(mapped) != fault.KindUnavailable || !errors.Is(mapped, tc.err)) || !tc.want && mapped != tc.err {
				t.Errorf("as a fault: %v", mapped)
			}
		})
	}
	known := fault.Unavailable("the keys cannot be fetched").Because(io.ErrUnexpectedEOF)
	if got := postgres.Fault(known); got != error(known) {
		t.Errorf("a fault of somebody else's became %v", got)
	}
}

func connectError(t *testing.T, url string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_ = conn.Close(t.Context())
		t.Fatalf("connected to %s", url)
	}
	return err
}

// Whatever a connection is doing when its server goes, and whichever way it goes, the error says so.
func TestUnavailableWhenTheServerGoes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server, err := local.Start(ctx, local.Config{Home: testkit.Home(testkit.RepoRoot(t)), Throwaway: true})
	if errors.Is(err, local.ErrUnavailable) {
		testkit.RequireComponent(t, "postgresql", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(ctx, server.URL(), postgres.WithMaxConns(20))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	idle, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Release()
	inTx := make(chan struct{})
	doing := map[string]func() error{
		"a statement": func() error { _, err := pool.Exec(ctx, "SELECT pg_sleep(60)"); return err },
		"rows": func() error {
			rows, err := pool.Query(ctx, "SELECT n, pg_sleep(0.1) FROM generate_series(1, 1000) n")
			if err != nil {
				return err
			}
			_, err = pgx.CollectRows(rows, func(pgx.CollectableRow) (int, error) { return 0, nil })
			return err
		},
		"a batch": func() error {
			b := &pgx.Batch{}
			b.Queue("SELECT 1")
			b.Queue("SELECT pg_sleep(60)")
			return pool.SendBatch(ctx, b).Close()
		},
		"a transaction": func() error {
			return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				<-inTx // the server goes meanwhile
				_, err := tx.Exec(ctx, "SELECT 1")
				return err
			})
		},
	}
	failed := make(chan error, len(doing))
	for what, do := range doing {
		go func() {
			if err := do(); !postgres.Unavailable(err) {
				failed <- fmt.Errorf("%s: %w", what, err)
				return
			}
			failed <- nil
		}()
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		var n int
		err := idle.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() AND datname = current_database()").Scan(&n)
		if err == nil && n < len(doing) {
			err = fmt.Errorf("%d of %d are at it", n, len(doing))
		}
		return err
	})
	stop, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := server.Stop(stop); err != nil {
		t.Fatal(err)
	}
	close(inTx)
	for range doing {
		if err := <-failed; err != nil {
			t.Errorf("%v: %#v", err, errors.Unwrap(err))
		}
	}
	for what, err := range map[string]error{
		"a connection that was idle": func() error { _, err := idle.Exec(ctx, "SELECT 1"); return err }(),
		"and again":                  func() error { _, err := idle.Exec(ctx, "SELECT 1"); return err }(),
		"a new connection":           pool.Ping(ctx),
		"a begin":                    postgres.InTx(ctx, pool, func(pgx.Tx) error { return nil }),
	} {
		if !postgres.Unavailable(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A role that may not connect, a database that is not there: what a server is configured with is wrong, and nobody can work.
func TestUnavailableWhenTheServerRefuses(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.DatabaseURL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/missing"
	if err := connectError(t, u.String()); !postgres.Unavailable(err) {
		t.Errorf("no such database: %v", err)
	}
}
