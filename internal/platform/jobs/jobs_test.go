package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

const (
	patience = 20 * time.Second // for what must happen, on a busy machine
	quiet    = 150 * time.Millisecond
)

type bundle struct {
	pool     *pgxpool.Pool
	listener *postgres.Listener
	org      id.UUID
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{pool: testkit.DB(t)}
	b.listener = postgres.Listen(context.Background(), b.pool, slog.New(slog.DiscardHandler))
	t.Cleanup(b.listener.Close)
	b.org = b.addOrg(t)
	return b
}

func (b *bundle) addOrg(t *testing.T) id.UUID {
	t.Helper()
	org := id.New()
	_, err := b.pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, org, "o-"+org.String())
	if err != nil {
		t.Fatal(err)
	}
	return org
}

func (b *bundle) job() jobs.Job { return jobs.Job{Org: b.org, Kind: "test", Entity: id.New()} }

func (b *bundle) enqueue(t *testing.T, j ...jobs.Job) {
	t.Helper()
	if err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error { return jobs.Enqueue(t.Context(), tx, j...) }); err != nil {
		t.Fatal(err)
	}
}

// runner returns a runner that retries at once.
func (b *bundle) runner(conf jobs.Config) *jobs.Runner {
	conf.DB = b.pool
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	if conf.Backoff == nil {
		conf.Backoff = func(int) time.Duration { return 0 }
	}
	return jobs.NewRunner(conf)
}

// start runs a runner over a PostgreSQL queue until the test ends or stop is called, which returns Run's error.
func (b *bundle) start(t *testing.T, conf jobs.Config, h jobs.Handler, more ...jobs.Option) (stop func() error) {
	t.Helper()
	return b.startOver(t, pgqueue.Options{PerOrg: conf.PerOrg}, conf, h, more...)
}

func (b *bundle) startOver(t *testing.T, opts pgqueue.Options, conf jobs.Config, h jobs.Handler, more ...jobs.Option) (stop func() error) {
	t.Helper()
	opts.Poll = time.Hour // nothing here may depend on it
	q := pgqueue.New(b.pool, b.listener, opts)
	conf.Queue = q
	r := b.runner(conf)
	r.Handle("test", h, more...)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-result
		q.Close()
		return err
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

func (b *bundle) drain(t *testing.T, r *jobs.Runner) int {
	t.Helper()
	n, err := r.Drain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type row struct {
	State   string
	Attempt int
	Code    string
	Error   string
	In      time.Duration // until run_at
}

// rows are the jobs about an entity, the oldest first.
func (b *bundle) rows(t *testing.T, entity id.UUID) []row {
	t.Helper()
	got, err := b.query(t, entity)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (b *bundle) query(t *testing.T, entity id.UUID) ([]row, error) {
	rows, err := b.pool.Query(t.Context(), `
		SELECT state, attempt, coalesce(last_error_code, ''), coalesce(last_error, ''), run_at - now()
		FROM jobs WHERE entity_id = $1 ORDER BY id`, entity)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[row])
}

func (b *bundle) expect(t *testing.T, entity id.UUID, want ...string) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		rows, err := b.query(t, entity)
		if err != nil {
			return err
		}
		var got []string
		for _, r := range rows {
			s := fmt.Sprintf("%s %d", r.State, r.Attempt)
			if r.Code != "" {
				s += " " + r.Code
			}
			got = append(got, s)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("jobs are %v, want %v", got, want)
		}
		return nil
	})
}

func wait[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
		panic("unreachable")
	}
}

func never[T any](t *testing.T, what string, ch <-chan T) {
	t.Helper()
	select {
	case <-ch:
		t.Fatal(what)
	case <-time.After(quiet):
	}
}

func TestRunsWhatWasEnqueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran := make(chan jobs.Job, 1)
	b.start(t, jobs.Config{}, func(_ context.Context, j jobs.Job) error { ran <- j; return nil })
	want := b.job()
	want.TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	b.enqueue(t, want)
	got := wait(t, "the job runs", ran)
	if got.Org != want.Org || got.Kind != want.Kind || got.Entity != want.Entity || got.TraceContext != want.TraceContext ||
		got.Attempt != 1 || got.MaxAttempts != jobs.DefaultMaxAttempts || got.ID.IsZero() || got.CreatedAt.IsZero() {
		t.Errorf("ran %+v, want %+v", got, want)
	}
	b.expect(t, want.Entity, "DONE 1")
}

func TestEnqueueBelongsToItsTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.runner(jobs.Config{})
	r.Handle("test", func(context.Context, jobs.Job) error { return nil })
	cancelled := errors.New("changed my mind")
	err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		if err := jobs.Enqueue(t.Context(), tx, b.job()); err != nil {
			return err
		}
		if n := b.drain(t, r); n != 0 {
			t.Error("ran before the commit")
		}
		return cancelled
	})
	if err != cancelled {
		t.Fatal(err)
	}
	if n := b.drain(t, r); n != 0 {
		t.Error("ran what was rolled back")
	}
}

func TestEnqueueRefusesWhatNamesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, j := range []jobs.Job{{}, {Org: b.org, Kind: "test"}, {Org: b.org, Entity: id.New()}, {Kind: "test", Entity: id.New()}} {
		err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error { return jobs.Enqueue(t.Context(), tx, b.job(), j) })
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("enqueueing %+v returns %v, want an Invalid fault", j, err)
		}
	}
}

func TestOneWaitsForASubject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	b.enqueue(t, j, j)
	b.enqueue(t, j)
	b.expect(t, j.Entity, "PENDING 0")
	other := j
	other.Kind = "other"
	elsewhere := j
	elsewhere.Org = b.addOrg(t)
	b.enqueue(t, other, elsewhere)
	b.expect(t, j.Entity, "PENDING 0", "PENDING 0", "PENDING 0")
}

func TestOneQueuesBehindTheRunningOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	running, finish := make(chan int, 10), make(chan struct{})
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { running <- 1; <-finish; return nil })
	j := b.job()
	b.enqueue(t, j)
	wait(t, "the first one runs", running)
	b.enqueue(t, j)
	b.enqueue(t, j)
	b.expect(t, j.Entity, "RUNNING 1", "PENDING 0")
	never(t, "two jobs about one entity run at a time", running)
	finish <- struct{}{}
	wait(t, "the second one runs", running)
	b.expect(t, j.Entity, "DONE 1", "RUNNING 1")
	finish <- struct{}{}
	b.expect(t, j.Entity, "DONE 1", "DONE 1")
}

// The enqueue that adds nothing is the dangerous one: its transaction has written something that the waiting job is to
// see, so that job must not start before the transaction has committed.
func TestAnEnqueueIsNeverCoveredByARunThatCannotSeeIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	b.enqueue(t, j)
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if err := jobs.Enqueue(t.Context(), tx, j); err != nil {
		t.Fatal(err)
	}
	h := func(context.Context, jobs.Job) error { return nil }
	r := b.runner(jobs.Config{})
	r.Handle("test", h)
	if n := b.drain(t, r); n != 0 {
		t.Fatal("the job ran before the transaction it covers had committed")
	}
	b.start(t, jobs.Config{}, h)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.expect(t, j.Entity, "DONE 1")
}

// Nor does the one that ends wait for the one that enqueues.
func TestAnOpenEnqueueHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	running, finish := make(chan struct{}, 2), make(chan struct{})
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { running <- struct{}{}; <-finish; return nil })
	b.enqueue(t, j)
	wait(t, "the first one runs", running)
	b.enqueue(t, j)
	testkit.Eventually(t, patience, func() error { // the runner has seen it, and put it off until the first one is done
		var put bool
		err := b.pool.QueryRow(t.Context(), `
			SELECT receipt IS NULL AND due_at > now() + interval '10 s' FROM jobs WHERE state = 'PENDING'`).Scan(&put)
		if err == nil && !put {
			err = errors.New("not put off")
		}
		return err
	})
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if err := jobs.Enqueue(t.Context(), tx, j); err != nil {
		t.Fatal(err)
	}
	close(finish)
	b.expect(t, j.Entity, "DONE 1", "PENDING 0")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	wait(t, "the second one runs", running)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("only %s after the commit", took)
	}
	b.expect(t, j.Entity, "DONE 1", "DONE 1")
}

func TestConcurrentBatchesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := make([]jobs.Job, 20)
	for i := range batch {
		batch[i] = b.job()
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			mine := make([]jobs.Job, len(batch))
			for k := range batch {
				mine[k] = batch[(k*(1+2*i)+i)%len(batch)]
			}
			for range 10 {
				err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error { return jobs.Enqueue(t.Context(), tx, mine...) })
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	var n int
	if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM jobs`).Scan(&n); err != nil || n != len(batch) {
		t.Errorf("%d jobs (%v), want %d", n, err, len(batch))
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		handler func(attempt int) error
		want    string
	}{
		"done":              {func(int) error { return nil }, "DONE 1"},
		"third time lucky":  {func(n int) error { return map[bool]error{true: boom}[n < 3] }, "DONE 3 INTERNAL"},
		"never":             {func(int) error { return boom }, "DEAD 4 INTERNAL"},
		"permanent":         {func(int) error { return jobs.Permanent(boom, "NO_SPEECH") }, "DEAD 1 NO_SPEECH"},
		"panic":             {func(int) error { panic("boom") }, "DEAD 4 PANIC"},
		"snooze":            {func(int) error { return jobs.Snooze(time.Hour) }, "PENDING 0"},
		"snooze after fail": {func(n int) error { return map[bool]error{true: boom, false: jobs.Snooze(time.Hour)}[n < 3] }, "PENDING 2 INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.runner(jobs.Config{})
			r.Handle("test", func(_ context.Context, j jobs.Job) error { return test.handler(j.Attempt) })
			j := b.job()
			j.MaxAttempts = 4
			b.enqueue(t, j)
			b.drain(t, r)
			b.expect(t, j.Entity, test.want)
		})
	}
}

func TestSnoozeComesBackOnTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const pause = 300 * time.Millisecond
	ran := make(chan time.Time, 2)
	b.start(t, jobs.Config{}, func(_ context.Context, j jobs.Job) error {
		ran <- time.Now()
		if len(ran) == 1 {
			return jobs.Snooze(pause)
		}
		return nil
	})
	j := b.job()
	b.enqueue(t, j)
	b.expect(t, j.Entity, "DONE 1")
	first, second := <-ran, <-ran
	if took := second.Sub(first); took < pause {
		t.Errorf("came back after %s, snoozed for %s", took, pause)
	}
}

func TestRetryWaitsForItsBackoff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.runner(jobs.Config{Backoff: func(n int) time.Duration { return time.Duration(n) * time.Hour }})
	r.Handle("test", func(context.Context, jobs.Job) error { return errors.New("boom") })
	j := b.job()
	b.enqueue(t, j)
	if n := b.drain(t, r); n != 1 {
		t.Errorf("ran %d times", n)
	}
	if got := b.rows(t, j.Entity)[0]; got.State != "PENDING" || got.Error != "boom" || got.In < 59*time.Minute || got.In > time.Hour {
		t.Errorf("job is %+v, want PENDING for an hour", got)
	}
}

// What would come back while a newer job about the same entity waits makes way for it.
func TestARetryMakesWayForTheOneThatWaits(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"retry": errors.New("boom"), "snooze": jobs.Snooze(0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.runner(jobs.Config{})
			j := b.job()
			runs := 0
			r.Handle("test", func(context.Context, jobs.Job) error {
				if runs++; runs > 1 {
					return nil
				}
				later := j
				later.RunAt = time.Now().Add(time.Hour) // but the retry would have been sooner
				b.enqueue(t, later)
				return failure
			})
			b.enqueue(t, j)
			b.drain(t, r)
			rows := b.rows(t, j.Entity)
			if len(rows) != 2 || rows[0].State != "DONE" || rows[0].Code != jobs.CodeSuperseded ||
				rows[1].State != "DONE" || rows[1].Attempt != 1 || runs != 2 {
				t.Errorf("jobs are %+v after %d runs", rows, runs)
			}
		})
	}
}

func TestRunAtIsNotBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran := make(chan time.Time, 1)
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { ran <- time.Now(); return nil })
	j := b.job()
	j.RunAt = time.Now().Add(300 * time.Millisecond)
	b.enqueue(t, j)
	if at := wait(t, "the job runs", ran); at.Before(j.RunAt) {
		t.Errorf("ran %s early", j.RunAt.Sub(at))
	}
}

func TestHandlersMustBeUnambiguous(t *testing.T) {
	t.Parallel()
	r := jobs.NewRunner(jobs.Config{})
	h := func(context.Context, jobs.Job) error { return nil }
	r.Handle("test", h)
	defer func() {
		if recover() == nil {
			t.Error("a second handler for one kind is accepted")
		}
	}()
	r.Handle("test", h)
}

func TestMain(m *testing.M) {
	if os.Getenv(victimURL) != "" {
		victim()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")) // testkit's server, which is for the process
}
