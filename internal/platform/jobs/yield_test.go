package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/queue/postgres"
)

// startBoth starts a runner of one job an organization in which "index" yields to "test". Each says when it begins and
// ends when it is told to; "index" does a step of its work whenever it is asked for one, and says so.
func (b *bundle) startBoth(t *testing.T) (entered chan string, leave map[string]chan struct{}, step, stepped chan struct{}) {
	t.Helper()
	entered, leave = make(chan string, 4), map[string]chan struct{}{"index": make(chan struct{}), "test": make(chan struct{})}
	step, stepped = make(chan struct{}), make(chan struct{})
	yielding := []string{"index"}
	q := pgqueue.New(b.pool, b.listener, pgqueue.Options{PerOrg: 1, Lanes: []pgqueue.Lane{{Kinds: yielding}}, Poll: time.Hour})
	r := b.runner(jobs.Config{Queue: q, Concurrency: 4, PerOrg: 1, Yielding: yielding})
	r.Handle("test", func(context.Context, jobs.Job) error {
		entered <- "test"
		<-leave["test"]
		return nil
	})
	r.Handle("index", func(ctx context.Context, _ jobs.Job) error {
		entered <- "index"
		for {
			select {
			case <-step:
				jobs.Yield(ctx)
				stepped <- struct{}{}
			case <-leave["index"]:
				return nil
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
		q.Close()
	})
	return entered, leave, step, stepped
}

// What nobody waits for takes no place of its organization's from what somebody does, nor waits for one.
func TestYieldingKindsDoNotCount(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"index", "test"}, {"test", "index"}} {
		b := setup(t)
		entered, leave, _, _ := b.startBoth(t)
		for _, kind := range order {
			b.enqueue(t, jobs.Job{Org: b.org, Kind: kind, Entity: id.New()})
			if got := <-entered; got != kind {
				t.Fatalf("%s began, not %s", got, kind)
			}
		}
		for _, end := range leave {
			close(end)
		}
		b.expectDone(t, 2)
	}
}

func TestYieldWaitsForTheOthers(t *testing.T) {
	t.Parallel()
	const longest = 2 * time.Second // as Yield waits for others that stay
	b := setup(t)
	entered, leave, step, stepped := b.startBoth(t)
	b.enqueue(t, jobs.Job{Org: b.org, Kind: "index", Entity: id.New()})
	<-entered
	began := time.Now()
	step <- struct{}{}
	<-stepped
	if took := time.Since(began); took >= longest {
		t.Errorf("waited %v for nobody", took)
	}
	b.enqueue(t, jobs.Job{Org: b.org, Kind: "test", Entity: id.New()})
	<-entered
	began = time.Now()
	step <- struct{}{}
	select {
	case <-stepped:
		t.Fatalf("did not wait while another kind was at work")
	case <-time.After(quiet):
	}
	close(leave["test"])
	<-stepped
	if took := time.Since(began); took >= longest {
		t.Errorf("waited %v, although nobody else was at work", took)
	}
	close(leave["index"])
	b.expectDone(t, 2)
}
