// Package oncetest is the conformance suite of package once.
package oncetest

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/testkit"
)

const patience = 20 * time.Second

// Run checks a store that open returns, in which nothing is.
func Run(t *testing.T, open func(*testing.T) once.Store) {
	key, other := once.Key{Org: id.New(), Name: "aa"}, once.Key{Org: id.New(), Name: "aa"}
	t.Run("the first claim holds until it is forgotten", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, k := range []once.Key{key, other} {
			if got := claim(t, s, k, "first", time.Minute); got != nil {
				t.Fatalf("%q is there", got)
			}
		}
		if got := claim(t, s, key, "second", time.Minute); string(got) != "first" {
			t.Errorf("%q is there", got)
		}
		value := bytes.Repeat([]byte{0, 255, '\n'}, 1<<17)
		if err := s.Put(t.Context(), key, value, time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := claim(t, s, key, "third", time.Minute); !bytes.Equal(got, value) {
			t.Errorf("%d bytes came back as %d", len(value), len(got))
		}
		for range 2 { // the second time nothing is there
			if err := s.Forget(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if got := claim(t, s, key, "fourth", time.Minute); got != nil {
			t.Errorf("%d bytes are there still", len(got))
		}
		if got := claim(t, s, other, "fifth", time.Minute); string(got) != "first" {
			t.Errorf("of another organization %q is there", got)
		}
	})
	t.Run("what was put without a claim is there", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		if err := s.Put(t.Context(), key, []byte("kept"), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := claim(t, s, key, "late", time.Minute); string(got) != "kept" {
			t.Errorf("%q is there", got)
		}
	})
	t.Run("what is over is not there", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		claim(t, s, key, "brief", 100*time.Millisecond)
		testkit.Eventually(t, patience, func() error {
			if claim(t, s, key, "next", time.Minute) != nil {
				return errors.New("it is there still")
			}
			return nil
		})
		if got := claim(t, s, key, "last", time.Minute); string(got) != "next" {
			t.Errorf("%q is there", got)
		}
	})
	t.Run("one of many claims is the first", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var first atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if there, err := s.Claim(t.Context(), key, []byte("mine"), time.Minute); err != nil {
					t.Error(err)
				} else if there == nil {
					first.Add(1)
				}
			})
		}
		all.Wait()
		if n := first.Load(); n != 1 {
			t.Errorf("%d are the first", n)
		}
	})
	t.Run("a request runs once, for each person", func(t *testing.T) {
		t.Parallel()
		requests(t, open(t))
	})
}

// requests checks once.Requests over a store.
func requests(t *testing.T, s once.Store) {
	r := once.New(s, slog.New(slog.DiscardHandler), time.Minute)
	ruth := once.Request{Org: id.New(), User: id.New(), Key: "d8a4b51c-8f4e-4c7e", Payload: []byte("create Amara")}
	begin := func(q once.Request, code string) (*once.Turn, string) {
		t.Helper()
		turn, answer, err := r.Begin(t.Context(), q)
		var f *fault.Error
		if errors.As(err, &f); f == nil && err != nil || f != nil && f.Code != code || f == nil && code != "" {
			t.Fatalf("%v, not %q", err, code)
		}
		return turn, string(answer)
	}
	turn, _ := begin(ruth, "")
	if turn == nil {
		t.Fatal("the first does not run")
	}
	begin(ruth, once.CodeInUse)
	turn.Forget(t.Context())
	turn, _ = begin(ruth, "")
	if turn == nil {
		t.Fatal("what was forgotten does not run again")
	}
	turn.Keep(t.Context(), []byte("done"))
	if again, answer := begin(ruth, ""); again != nil || answer != "done" {
		t.Errorf("the second is answered %q", answer)
	}
	changed, cory, lumen := ruth, ruth, ruth
	changed.Payload, cory.User, lumen.Org = []byte("create Ben"), id.New(), id.New()
	begin(changed, once.CodeReused)
	for _, q := range []once.Request{cory, lumen} {
		mine, answer := begin(q, "")
		if mine == nil {
			t.Fatalf("somebody else is answered %q", answer)
		}
		mine.Keep(t.Context(), []byte(strings.Repeat("x", 1<<20))) // too large
		begin(q, once.CodeLost)
	}
}

func claim(t *testing.T, s once.Store, key once.Key, value string, keep time.Duration) []byte {
	t.Helper()
	there, err := s.Claim(t.Context(), key, []byte(value), keep)
	if err != nil {
		t.Fatal(err)
	}
	return there
}
