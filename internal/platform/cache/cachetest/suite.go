// Package cachetest is the conformance suite of package cache.
package cachetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/cache"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Run checks a store that open returns, in which nothing is.
func Run(t *testing.T, open func(*testing.T) cache.Store) {
	get := func(t *testing.T, s cache.Store, key string) []byte {
		t.Helper()
		got, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	put := func(t *testing.T, s cache.Store, key string, value []byte, keep time.Duration) {
		t.Helper()
		if err := s.Put(t.Context(), key, value, keep); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("returns what was put last", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		if got := get(t, s, "a"); got != nil {
			t.Errorf("%q is there", got)
		}
		large := bytes.Repeat([]byte{0, 255, '\n'}, 1<<18)
		for _, value := range [][]byte{[]byte("1"), []byte(""), large, []byte("2")} {
			put(t, s, "a", value, time.Minute)
			put(t, s, "b", []byte("other"), time.Minute)
			if got := get(t, s, "a"); got == nil || !bytes.Equal(got, value) {
				t.Errorf("%d bytes came back as %d", len(value), len(got))
			}
		}
	})
	t.Run("forgets what is over", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "a", []byte("1"), 100*time.Millisecond)
		put(t, s, "b", []byte("2"), time.Minute)
		testkit.Eventually(t, 20*time.Second, func() error {
			if get(t, s, "a") != nil {
				return errors.New("it is still there")
			}
			return nil
		})
		if string(get(t, s, "b")) != "2" {
			t.Error("it forgets what is not over")
		}
	})
	t.Run("serves many at once", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var all sync.WaitGroup
		for n := range 16 {
			all.Go(func() {
				for i := range 50 {
					key, value := fmt.Sprint(n%4, i), fmt.Append(nil, n%4, i)
					if err := s.Put(t.Context(), key, value, time.Minute); err != nil {
						t.Error(err)
					}
					if got, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(got, value) {
						t.Errorf("%q %v", got, err)
					}
				}
			})
		}
		all.Wait()
	})
}
