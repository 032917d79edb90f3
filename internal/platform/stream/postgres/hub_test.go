package pgstream

import (
	"context"
	"log/slog"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Races that a test from outside meets only by luck, step by step.

func open(t *testing.T) *Stream {
	pool := testkit.DB(t)
	l := postgres.Listen(context.Background(), pool, slog.New(slog.DiscardHandler))
	t.Cleanup(l.Close)
	s := New(pool, l, slog.New(slog.DiscardHandler), Options{})
	t.Cleanup(s.Close)
	return s
}

func (s *Stream) has(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics[k] != nil
}

func TestASubscriptionThatEndsWhileItJoinsLeaves(t *testing.T) {
	t.Parallel()
	s := open(t)
	sub := &subscription{stream: s, key: key{id.New(), "a"}, ended: make(chan struct{})}
	sub.end(stream.ErrClosed)
	sub.join(0)
	if s.has(sub.key) {
		t.Error("its topic still has a reader")
	}
}

func TestAFailedTopicTakesNobodyIn(t *testing.T) {
	t.Parallel()
	s := open(t)
	nobody := id.New()
	s.keys.Store(nobody, stream.Key{})
	sub, err := s.Subscribe(t.Context(), nobody, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	inner := sub.(*subscription)
	ended := false
	inner.release = func() bool { // called while the failure is on its way to the subscribers
		ended = true
		if s.has(inner.key) {
			t.Error("who joins now gets a reader that reads no more")
		}
		return true
	}
	inner.topic.fail(stream.ErrWindowLost)
	if !ended {
		t.Error("the failure did not reach the subscriber")
	}
}
