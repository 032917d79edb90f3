package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/queue"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	"github.com/rapporthq/rapport/internal/platform/queue/queuetest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func TestRunWaitsForRunningHandlers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	running, finish := make(chan struct{}), make(chan struct{})
	stop := b.start(t, jobs.Config{}, func(ctx context.Context, _ jobs.Job) error {
		close(running)
		<-finish
		return ctx.Err() // not ended: it may finish in peace
	})
	b.enqueue(t, j)
	wait(t, "the job runs", running)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	never(t, "Run returns while a handler runs", stopped)
	late := b.job()
	b.enqueue(t, late)
	close(finish)
	if err := wait(t, "Run returns", stopped); err != nil {
		t.Error(err)
	}
	b.expect(t, j.Entity, "DONE 1")
	b.expect(t, late.Entity, "PENDING 0")
}

func TestRunInterruptsWhatTakesLongerThanTheDrain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	running := make(chan struct{})
	stop := b.start(t, jobs.Config{Drain: 50 * time.Millisecond}, func(ctx context.Context, _ jobs.Job) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	b.enqueue(t, j)
	wait(t, "the job runs", running)
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.expect(t, j.Entity, "PENDING 0") // not an attempt, and due at once
	r := b.runner(jobs.Config{})
	r.Handle("test", func(context.Context, jobs.Job) error { return nil })
	b.drain(t, r)
	b.expect(t, j.Entity, "DONE 1")
}

func TestALimitPerOrganizationHoldsAcrossRunners(t *testing.T) {
	t.Parallel()
	const limit, n = 3, 40
	for name, opts := range map[string]pgqueue.Options{"kept by the queue too": {PerOrg: limit}, "unknown to the queue": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			orgs := []id.UUID{b.org, b.addOrg(t)}
			var mu sync.Mutex
			running, most := map[id.UUID]int{}, map[id.UUID]int{}
			full := map[id.UUID]chan struct{}{orgs[0]: make(chan struct{}), orgs[1]: make(chan struct{})}
			for range 3 {
				b.startOver(t, opts, jobs.Config{Concurrency: 8, PerOrg: limit}, func(_ context.Context, j jobs.Job) error {
					mu.Lock()
					running[j.Org]++
					if running[j.Org] == limit && most[j.Org] < limit {
						close(full[j.Org])
					}
					first := most[j.Org] < limit
					most[j.Org] = max(most[j.Org], running[j.Org])
					mu.Unlock()
					if first { // the first ones wait until there are as many as there may be, and for one too many
						<-full[j.Org]
						<-time.After(quiet)
					}
					mu.Lock()
					running[j.Org]--
					mu.Unlock()
					return nil
				})
			}
			var all []jobs.Job
			for i := range n {
				all = append(all, jobs.Job{Org: orgs[i%2], Kind: "test", Entity: id.New()})
			}
			b.enqueue(t, all...)
			b.expectDone(t, n)
			mu.Lock()
			defer mu.Unlock()
			for _, org := range orgs {
				if most[org] != limit {
					t.Errorf("%d jobs of one organization ran at a time, want %d", most[org], limit)
				}
			}
		})
	}
}

func (b *bundle) expectDone(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var done int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM jobs WHERE state = 'DONE'`).Scan(&done)
		if err == nil && done != n {
			err = errors.New("not all done")
		}
		return err
	})
}

func TestABulkImportDoesNotStarveTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const bulk = 300
	var all []jobs.Job
	for range bulk {
		all = append(all, b.job())
	}
	b.enqueue(t, all...)
	other := jobs.Job{Org: b.addOrg(t), Kind: "test", Entity: id.New()}
	var before atomic.Int32
	ran := make(chan struct{})
	var once sync.Once
	b.start(t, jobs.Config{Concurrency: 4, PerOrg: 3}, func(_ context.Context, j jobs.Job) error {
		if j.Org == other.Org {
			close(ran)
			return nil
		}
		if before.Add(1) == 10 {
			once.Do(func() { b.enqueue(t, other) })
		}
		return nil
	})
	wait(t, "the other organization's job runs", ran)
	if n := before.Load(); n > 40 {
		t.Errorf("%d jobs of the bulk import ran first", n)
	}
}

func TestARedeliveryDoesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := queuetest.NewMemory(200 * time.Millisecond)
	r := b.runner(jobs.Config{Queue: q, Concurrency: 4})
	var runs atomic.Int32
	running, finish := make(chan struct{}), make(chan struct{})
	r.Handle("test", func(context.Context, jobs.Job) error {
		if runs.Add(1) == 1 {
			close(running)
		}
		<-finish
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Run(ctx) }()

	j := b.job()
	b.enqueue(t, j)
	m := b.message(t, j)
	send(t, q, m, m)
	wait(t, "the job runs", running)
	send(t, q, m, m)
	expectEmpty(t, q)
	close(finish)
	b.expect(t, j.Entity, "DONE 1")
	send(t, q, m, queue.Message{Kind: "test", ID: id.New()}) // done, and never heard of
	expectEmpty(t, q)
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := runs.Load(); n != 1 {
		t.Errorf("ran %d times", n)
	}
}

func (b *bundle) message(t *testing.T, j jobs.Job) queue.Message {
	t.Helper()
	m := queue.Message{Kind: j.Kind}
	if err := b.pool.QueryRow(t.Context(), `SELECT id FROM jobs WHERE entity_id = $1`, j.Entity).Scan(&m.ID); err != nil {
		t.Fatal(err)
	}
	return m
}

func send(t *testing.T, q *queuetest.Memory, messages ...queue.Message) {
	t.Helper()
	if err := q.Send(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
}

func expectEmpty(t *testing.T, q *queuetest.Memory) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if n := q.Len(); n > 0 {
			return errors.New("messages are left in the queue")
		}
		return nil
	})
}

// What a queue outside the database will be: jobs does not notice the difference.
func TestJobsTravelThroughARelay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := pgqueue.New(b.pool, b.listener, pgqueue.Options{})
	t.Cleanup(rows.Close)
	outside := &leaky{Memory: queuetest.NewMemory(time.Minute)}
	r := b.runner(jobs.Config{Queue: outside, Lease: shortLease})
	r.Handle("test", func(_ context.Context, j jobs.Job) error {
		if j.Attempt == 1 {
			return errors.New("boom")
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() {
		if err := queue.Relay(ctx, rows, outside, shortLease, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	const n = 30
	var all []jobs.Job
	for range n {
		all = append(all, b.job())
	}
	b.enqueue(t, all...)
	orphan := b.job()
	b.enqueue(t, orphan)
	b.orphan(t, orphan, 1)
	b.expectDone(t, n+1)
	if outside.lost.Load() == 0 {
		t.Error("no message was lost: this test shows less than it should")
	}
}

// leaky loses every third message, as a queue does whose dead-letter queue nobody reads.
type leaky struct {
	*queuetest.Memory
	sent, lost atomic.Int32
}

func (l *leaky) Send(ctx context.Context, messages []queue.Message) error {
	for _, m := range messages {
		if l.sent.Add(1)%3 == 0 {
			l.lost.Add(1)
			continue
		}
		if err := l.Memory.Send(ctx, []queue.Message{m}); err != nil {
			return err
		}
	}
	return nil
}

func TestRunSurvivesTheLossOfAllConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stop := b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { return nil })
	first := b.job()
	b.enqueue(t, first)
	b.expect(t, first.Entity, "DONE 1")
	_, err := b.pool.Exec(t.Context(), `
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	second := b.job()
	testkit.Eventually(t, patience, func() error { // the pool may hand out a dead connection first
		tx, err := b.pool.Begin(t.Context())
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		if err := jobs.Enqueue(t.Context(), tx, second); err != nil {
			return err
		}
		return tx.Commit(t.Context())
	})
	b.expect(t, second.Entity, "DONE 1")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownKindIsLeftForOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ran := make(chan struct{}, 1)
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { ran <- struct{}{}; return nil })
	unknown, known := b.job(), b.job()
	unknown.Kind = "from the next release"
	b.enqueue(t, unknown)
	b.enqueue(t, known)
	wait(t, "the known job runs", ran)
	b.expect(t, unknown.Entity, "PENDING 0")
	r := b.runner(jobs.Config{})
	r.Handle(unknown.Kind, func(context.Context, jobs.Job) error { return nil })
	b.drain(t, r)
	b.expect(t, unknown.Entity, "DONE 1")
}

func TestAroundWrapsEveryHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var log []string
	r := b.runner(jobs.Config{Around: func(h jobs.Handler) jobs.Handler {
		return func(ctx context.Context, j jobs.Job) error {
			log = append(log, "before "+j.Kind)
			err := h(ctx, j)
			log = append(log, "after "+err.Error())
			return err
		}
	}})
	r.Handle("test", func(context.Context, jobs.Job) error { return jobs.Permanent(errors.New("boom"), "NO") })
	b.enqueue(t, b.job())
	b.drain(t, r)
	if len(log) != 2 || log[0] != "before test" || log[1] != "after boom" {
		t.Errorf("log is %q", log)
	}
}
