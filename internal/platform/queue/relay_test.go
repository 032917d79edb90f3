package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
	"github.com/rapporthq/rapport/internal/platform/queue/queuetest"
)

// sender fails first and then passes on what it gets.
type sender struct {
	failures int
	sent     chan queue.Message
}

func (s *sender) Send(_ context.Context, messages []queue.Message) error {
	if s.failures > 0 {
		s.failures--
		return errors.New("away")
	}
	for _, m := range messages {
		s.sent <- m
	}
	return nil
}

func relay(t *testing.T, to queue.Sender, again time.Duration) *queuetest.Memory {
	t.Helper()
	from := queuetest.NewMemory(100 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() {
		if err := queue.Relay(ctx, from, to, again, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	return from
}

func expect(t *testing.T, s *sender, want queue.Message) {
	t.Helper()
	select {
	case got := <-s.sent:
		if got != want {
			t.Fatalf("sent %v, want %v", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was sent")
	}
}

func TestRelaySendsAgainWhatNobodyTakesCareOf(t *testing.T) {
	t.Parallel()
	to := &sender{sent: make(chan queue.Message, 100)}
	const again = 400 * time.Millisecond
	from := relay(t, to, again)
	m := queue.Message{Kind: "test", ID: id.New()}
	start := time.Now()
	if err := from.Send(t.Context(), []queue.Message{m}); err != nil {
		t.Fatal(err)
	}
	expect(t, to, m)
	expect(t, to, m)
	if took := time.Since(start); took < again {
		t.Errorf("sent again after %s, want %s", took, again)
	}
}

func TestRelayOutwaitsAFailingSender(t *testing.T) {
	t.Parallel()
	to := &sender{failures: 2, sent: make(chan queue.Message, 100)}
	from := relay(t, to, time.Hour)
	m := queue.Message{Kind: "test", ID: id.New()}
	if err := from.Send(t.Context(), []queue.Message{m}); err != nil {
		t.Fatal(err)
	}
	expect(t, to, m)
}

// counting counts the calls by which what was sent is held.
type counting struct {
	*queuetest.Memory
	extended chan int
}

func (c counting) Extend(context.Context, queue.Delivery, time.Duration) error {
	return errors.New("one by one")
}

func (c counting) ExtendAll(ctx context.Context, ds []queue.Delivery, by time.Duration) error {
	c.extended <- len(ds)
	return c.Memory.ExtendAll(ctx, ds, by)
}

func TestRelayHoldsABatchInOneGo(t *testing.T) {
	t.Parallel()
	from := counting{queuetest.NewMemory(time.Minute), make(chan int, 10)}
	all := make([]queue.Message, 60)
	for i := range all {
		all[i] = queue.Message{Kind: "test", ID: id.New()}
	}
	if err := from.Send(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- queue.Relay(ctx, from, &sender{sent: make(chan queue.Message, 100)}, time.Minute, slog.New(slog.DiscardHandler))
	}()
	if n := <-from.extended; n != len(all) {
		t.Errorf("%d of %d were held in one go", n, len(all))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
