package redislimit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/limit"
	"github.com/rapporthq/rapport/internal/platform/limit/limittest"
	redislimit "github.com/rapporthq/rapport/internal/platform/limit/redis"
	"github.com/rapporthq/rapport/internal/platform/redis"
	"github.com/rapporthq/rapport/internal/testkit"
)

const patience = 20 * time.Second

func open(t *testing.T, at *testkit.RedisServer, opts redislimit.Options) *redislimit.Limiter {
	t.Helper()
	connect, err := redis.Connect(t.Context(), func(context.Context) string { return at.URL() })
	if err != nil {
		t.Fatal(err)
	}
	server := redis.NewServer(connect())
	l := redislimit.New(server, opts)
	t.Cleanup(func() { l.Close(); server.Close() })
	return l
}

func TestConformance(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(t *testing.T) limit.Limiter { return open(t, testkit.Redis(t), redislimit.Options{}) })
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		limittest.Run(t, func(t *testing.T) limit.Limiter {
			at := testkit.Redis(t)
			l := open(t, at, redislimit.Options{})
			at.Kill()
			return l
		})
	})
}

// Processes count together, and what one of them holds that has died is over when its lease is.
func TestProcessesCountTogether(t *testing.T) {
	t.Parallel()
	at := testkit.Redis(t)
	here, there := open(t, at, redislimit.Options{Lease: 2 * time.Second}), open(t, at, redislimit.Options{})
	rate := limit.Rate{Count: 2, Per: time.Hour}
	for i, l := range []limit.Limiter{here, there, here} {
		wait, err := l.Allow(t.Context(), "a", rate)
		if err != nil || (wait > 0) != (i == 2) {
			t.Errorf("the %d. of 2 must wait for %s, %v", i+1, wait, err)
		}
	}
	one, two := held(t, here, "a", 2), held(t, there, "a", 2)
	if one == nil || two == nil || held(t, here, "a", 2) != nil || held(t, there, "a", 2) != nil {
		t.Fatal("two processes do not count together what they hold")
	}
	one()
	eventually(t, there, 2) // it has been told within a moment
	if held(t, here, "b", 1) == nil || held(t, there, "b", 1) != nil {
		t.Fatal("two fit into one")
	}
	here.Close()
	testkit.Eventually(t, patience, func() error {
		if held(t, there, "b", 1) == nil {
			return errors.New("who has died holds it still")
		}
		return nil
	})
}

func eventually(t *testing.T, l *redislimit.Limiter, most int) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if held(t, l, "a", most) == nil {
			return fmt.Errorf("%d are held", most)
		}
		return nil
	})
}

// A Redis that is away and comes back empty is told what is held.
func TestRedisComesBackEmpty(t *testing.T) {
	t.Parallel()
	at := testkit.Redis(t)
	here, there := open(t, at, redislimit.Options{Lease: time.Second}), open(t, at, redislimit.Options{Lease: time.Second})
	if held(t, here, "a", 1) == nil || held(t, there, "a", 1) != nil {
		t.Fatal("two fit into one")
	}
	at.Kill()
	release := held(t, there, "a", 1)
	if release == nil {
		t.Fatal("a process does not count for itself while Redis is away")
	}
	if held(t, there, "a", 1) != nil {
		t.Fatal("while Redis is away nothing is counted")
	}
	release()
	at.Start(t)
	testkit.Eventually(t, patience, func() error {
		if got := held(t, there, "a", 1); got != nil {
			got()
			return errors.New("nobody knows what the other holds")
		}
		return nil
	})
}

// What is configured to be refused while nobody can count is refused, within a moment also if Redis hangs, and not for longer.
func TestRefusal(t *testing.T) {
	t.Parallel()
	at := testkit.Redis(t)
	l := open(t, at, redislimit.Options{Refuse: true})
	if held(t, l, "a", 1) == nil {
		t.Fatal("nothing can be held")
	}
	goOn := at.Hang(t)
	for range 5 {
		began := time.Now()
		if _, err := l.Hold(t.Context(), "b", 1); fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("while Redis hangs: %v", err)
		}
		if _, err := l.Allow(t.Context(), "b", limit.Rate{Count: 1, Per: time.Second}); fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("while Redis hangs: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("to refuse took %s", took)
		}
	}
	goOn()
	testkit.Eventually(t, patience, func() error {
		_, err := l.Hold(t.Context(), "b", 1)
		return err
	})
}

func held(t *testing.T, l *redislimit.Limiter, key string, most int) func() {
	t.Helper()
	release, err := l.Hold(t.Context(), key, most)
	if err != nil {
		t.Fatal(err)
	}
	return release
}
