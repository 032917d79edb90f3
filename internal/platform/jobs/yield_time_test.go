package jobs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Yield waits for the others, and for so long, to the nanosecond of a clock that only it moves.
func TestYieldWaitsSoLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all others
		ctx := context.WithValue(t.Context(), othersKey{}, &all)
		waits := func(what string, ctx context.Context, want time.Duration) {
			t.Helper()
			began := time.Now()
			Yield(ctx)
			if took := time.Since(began); took != want {
				t.Errorf("%s: waited %s, want %s", what, took, want)
			}
		}
		waits("nobody is at work", ctx, 0)
		first, second := all.enter(), all.enter()
		time.AfterFunc(300*time.Millisecond, first)
		time.AfterFunc(time.Second, second)
		waits("two are at work", ctx, time.Second)
		waits("they have left", ctx, 0)
		defer all.enter()()
		waits("one stays", ctx, maxYield)
		waits("one stays, for who does not yield", t.Context(), 0)
		ending, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		waits("it ends", ending, time.Millisecond)
	})
}
