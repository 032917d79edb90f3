package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/jobs"
)

// notes makes a table, and an OnDead that writes into it what it is told.
func (b *bundle) notes(t *testing.T) func(ctx context.Context, tx pgx.Tx, j jobs.Job) error {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), `CREATE TABLE told (job uuid, text text)`); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, tx pgx.Tx, j jobs.Job) error {
		_, err := tx.Exec(ctx, `INSERT INTO told SELECT $1, state || ' ' || $2::text FROM jobs WHERE id = $1`,
			j.ID, fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempts))
		return err
	}
}

func (b *bundle) noted(t *testing.T) []string {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), `SELECT text FROM told ORDER BY text`)
	if err != nil {
		t.Fatal(err)
	}
	notes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

// Whatever a job dies of, what depends on it is told once; and of no other end.
func TestTheDeathOfAJobIsTold(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		handler  jobs.Handler
		orphaned int // the attempt that its process died in
		want     string
		note     string
	}{
		"errors":       {func(context.Context, jobs.Job) error { return boom }, 0, "DEAD 3 INTERNAL", "DEAD 3 of 3"},
		"panics":       {func(context.Context, jobs.Job) error { panic("boom") }, 0, "DEAD 3 PANIC", "DEAD 3 of 3"},
		"permanent":    {func(context.Context, jobs.Job) error { return jobs.Permanent(boom, "NO") }, 0, "DEAD 1 NO", "DEAD 1 of 3"},
		"lost":         {func(context.Context, jobs.Job) error { t.Error("ran"); return nil }, 3, "DEAD 3 LEASE_LOST", "DEAD 3 of 3"},
		"lost earlier": {func(context.Context, jobs.Job) error { return nil }, 2, "DONE 3", ""},
		"the last works": {func(_ context.Context, j jobs.Job) error {
			if j.Attempt < 3 {
				return boom
			}
			return nil
		}, 0, "DONE 3 INTERNAL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			j := b.job()
			j.MaxAttempts = 3
			b.enqueue(t, j)
			if test.orphaned > 0 {
				b.orphan(t, j, test.orphaned)
			}
			tell := b.notes(t)
			r := b.runner(jobs.Config{})
			r.Handle("test", test.handler, jobs.OnDead(func(ctx context.Context, tx pgx.Tx, told jobs.Job) error {
				if told.Org != j.Org || told.Kind != j.Kind || told.Entity != j.Entity || told.CreatedAt.IsZero() {
					t.Errorf("told of %+v", told)
				}
				if rows := b.rows(t, j.Entity); rows[0].State != "RUNNING" {
					t.Errorf("told when the job was %s to all", rows[0].State)
				}
				return tell(ctx, tx, told)
			}))
			b.drain(t, r)
			b.expect(t, j.Entity, test.want)
			if got := strings.Join(b.noted(t), ", "); got != test.note {
				t.Errorf("told %q, want %q", got, test.note)
			}
		})
	}
}

// A job is dead only with what depends on it knowing: who cannot be told now is told later, once.
func TestWhoCannotBeToldIsToldAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		orphaned int
		want     string
		note     string
	}{
		"by who ran it": {0, "DEAD 1 NO", "DEAD 1 of 10"}, "of a dead process": {10, "DEAD 10 LEASE_LOST", "DEAD 10 of 10"},
	} {
		for how, fail := range map[string]func() error{
			"error": func() error { return errors.New("not now") }, "no rows": func() error { return pgx.ErrNoRows }, "panic": func() error { panic("what she said") },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				j := b.job()
				b.enqueue(t, j)
				if test.orphaned > 0 {
					b.orphan(t, j, test.orphaned)
				}
				tell := b.notes(t)
				var log bytes.Buffer
				var calls atomic.Int32
				stop := b.start(t, jobs.Config{Lease: 2 * time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))},
					func(context.Context, jobs.Job) error { return jobs.Permanent(errors.New("boom"), "NO") },
					jobs.OnDead(func(ctx context.Context, tx pgx.Tx, told jobs.Job) error {
						if err := tell(ctx, tx, told); err != nil || calls.Add(1) > 1 {
							return err
						}
						return fail()
					}))
				b.expect(t, j.Entity, test.want)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if got := strings.Join(b.noted(t), ", "); got != test.note || calls.Load() != 2 {
					t.Errorf("told %q in %d calls, want %q in 2", got, calls.Load(), test.note)
				}
				if strings.Contains(log.String(), "she said") || test.orphaned > 0 && !strings.Contains(log.String(), "declaring a job dead failed") {
					t.Errorf("logged %s", log.String())
				}
			})
		}
	}
}
