package jobs_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// worker runs a runner on a database of the benchmark's own.
func worker(b *testing.B, conf jobs.Config, h jobs.Handler) (enqueue func(...jobs.Job), org id.UUID) {
	b.Helper()
	pool := testkit.DB(b)
	log := slog.New(slog.DiscardHandler)
	l := postgres.Listen(context.Background(), pool, log)
	b.Cleanup(l.Close)
	q := pgqueue.New(pool, l, pgqueue.Options{PerOrg: conf.PerOrg})
	b.Cleanup(q.Close)
	conf.DB, conf.Queue, conf.Log = pool, q, log
	r := jobs.NewRunner(conf)
	r.Handle("test", h)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			b.Error(err)
		}
	})
	org = id.New()
	if _, err := pool.Exec(b.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, 'bench', 'Bench')`, org); err != nil {
		b.Fatal(err)
	}
	return func(j ...jobs.Job) {
		b.Helper()
		if err := postgres.InTx(b.Context(), pool, func(tx pgx.Tx) error { return jobs.Enqueue(b.Context(), tx, j...) }); err != nil {
			b.Fatal(err)
		}
	}, org
}

// From the return of the enqueuing commit to the first line of the handler.
func BenchmarkEnqueueToStart(b *testing.B) {
	started := make(chan time.Time)
	enqueue, org := worker(b, jobs.Config{}, func(context.Context, jobs.Job) error { started <- time.Now(); return nil })
	var took []time.Duration
	for b.Loop() {
		enqueue(jobs.Job{Org: org, Kind: "test", Entity: id.New()})
		committed := time.Now()
		took = append(took, (<-started).Sub(committed))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
}

// A backlog of one organization, handlers that do nothing.
func BenchmarkThroughput(b *testing.B) {
	for name, perOrg := range map[string]int{"no limit": 0, "8 an organization": 8} {
		b.Run(name, func(b *testing.B) {
			done := make(chan struct{}, 1024)
			enqueue, org := worker(b, jobs.Config{Concurrency: 8, PerOrg: perOrg}, func(context.Context, jobs.Job) error {
				done <- struct{}{}
				return nil
			})
			const backlog = 1000
			all := make([]jobs.Job, backlog)
			for b.Loop() {
				for i := range all {
					all[i] = jobs.Job{Org: org, Kind: "test", Entity: id.New()}
				}
				enqueue(all...)
				for range backlog {
					<-done
				}
			}
			b.ReportMetric(float64(b.N*backlog)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}
