// Package limittest is the conformance suite of package limit.
package limittest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/limit"
	"github.com/rapporthq/rapport/internal/testkit"
)

const patience = 20 * time.Second

// Run checks a limiter that open returns, on which nothing is counted yet.
func Run(t *testing.T, open func(*testing.T) limit.Limiter) {
	t.Run("a rate allows its count at once, and then as time goes by", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		r := limit.Rate{Count: 3, Per: 3 * time.Second}
		for i := range 3 {
			if wait := allow(t, l, "a", r); wait != 0 {
				t.Fatalf("the %d. must wait for %s", i+1, wait)
			}
		}
		wait := allow(t, l, "a", r)
		if wait <= 0 || wait > time.Second {
			t.Fatalf("the 4. must wait for %s, not for a part of a second", wait)
		}
		if other := allow(t, l, "b", r); other != 0 {
			t.Errorf("another key must wait for %s", other)
		}
		began := time.Now()
		testkit.Eventually(t, patience, func() error {
			if again := allow(t, l, "a", r); again != 0 {
				return fmt.Errorf("it must wait for another %s", again)
			}
			return nil
		})
		if took := time.Since(began); took > wait+500*time.Millisecond {
			t.Errorf("it said %s, and it took %s", wait, took)
		}
	})
	t.Run("no rate is no limit", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		for range 1000 {
			if wait := allow(t, l, "a", limit.Rate{}); wait != 0 {
				t.Fatal(wait)
			}
		}
	})
	t.Run("of many at once as many are allowed as may be", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		var allowed atomic.Int64
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if wait, err := l.Allow(t.Context(), "a", limit.Rate{Count: 10, Per: time.Hour}); err != nil {
					t.Error(err)
				} else if wait == 0 {
					allowed.Add(1)
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != 10 {
			t.Errorf("%d of 40 were allowed, not 10", n)
		}
	})
	t.Run("what is held counts until it is given back", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		first, second := hold(t, l, "a", 2), hold(t, l, "a", 2)
		if first == nil || second == nil {
			t.Fatal("two do not fit into two")
		}
		if hold(t, l, "a", 2) != nil {
			t.Fatal("three fit into two")
		}
		if hold(t, l, "b", 2) == nil {
			t.Error("another key is counted with it")
		}
		first()
		first() // once more changes nothing
		if hold(t, l, "a", 2) == nil {
			t.Error("what was given back is still held")
		}
		if hold(t, l, "a", 2) != nil {
			t.Error("giving back twice makes two of one")
		}
		second()
	})
	t.Run("of many at once as many are held as may be", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		var got atomic.Int64
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				release, err := l.Hold(t.Context(), "a", 10)
				if err != nil {
					t.Error(err)
				} else if release != nil {
					got.Add(1)
				}
			})
		}
		all.Wait()
		if n := got.Load(); n != 10 {
			t.Errorf("%d are held, not 10", n)
		}
	})
	t.Run("nothing is asked for who has left", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if release, err := l.Hold(ctx, "a", 1); err != nil && release != nil {
			t.Errorf("held, and %v", err)
		} else if release != nil {
			release()
		}
		if hold(t, l, "a", 1) == nil {
			t.Error("who has left holds it for ever")
		}
	})
}

func allow(t *testing.T, l limit.Limiter, key string, r limit.Rate) time.Duration {
	t.Helper()
	wait, err := l.Allow(t.Context(), key, r)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

func hold(t *testing.T, l limit.Limiter, key string, most int) func() {
	t.Helper()
	release, err := l.Hold(t.Context(), key, most)
	if err != nil {
		t.Fatal(err)
	}
	return release
}
