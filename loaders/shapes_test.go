package loaders

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// batches records what was asked for together.
type batches[K any] struct {
	mu   sync.Mutex
	keys [][]K
}

func (b *batches[K]) add(keys []K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys = append(b.keys, slices.Clone(keys))
}

func tenfold(seen *batches[int]) *ByKey[int, int] {
	return byKey(&Loaders{ctx: context.Background()}, func(_ context.Context, keys []int) ([]int, error) {
		seen.add(keys)
		values := make([]int, len(keys))
		for i, k := range keys {
			values[i] = 10 * k
		}
		return values, nil
	})
}

func TestSiblingsShareAStatement(t *testing.T) {
	for name, every := range map[string]time.Duration{"at once": 0, "slowly, as on a busy server": quiet / 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen batches[int]
				l := tenfold(&seen)
				var wg sync.WaitGroup
				for key := range 100 {
					wg.Go(func() {
						time.Sleep(time.Duration(key) * every)
						for range 2 { // the second time it is known
							if v, err := l.Load(t.Context(), key); v != 10*key || err != nil {
								t.Errorf("%d: %d, %v", key, v, err)
							}
						}
					})
				}
				wg.Wait()
				if len(seen.keys) != 1 || len(seen.keys[0]) != 100 {
					t.Errorf("%d statements, the first for %d keys; want 1 for 100", len(seen.keys), len(seen.keys[0]))
				}
			})
		})
	}
}

func TestNoKeyTwiceAndLateKeysApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen batches[int]
		l := tenfold(&seen)
		for range 2 {
			for _, key := range []int{1, 2} {
				if v, err := l.Load(t.Context(), key); v != 10*key || err != nil {
					t.Errorf("%d: %d, %v", key, v, err)
				}
			}
		}
		if len(seen.keys) != 2 || !slices.Equal(seen.keys[0], []int{1}) || !slices.Equal(seen.keys[1], []int{2}) {
			t.Errorf("asked for %v", seen.keys)
		}
	})
}

// A group that is full does not wait, and what comes after it is another.
func TestCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen batches[int]
		l := tenfold(&seen)
		var wg sync.WaitGroup
		for key := range capacity + 1 {
			wg.Go(func() {
				if v, err := l.Load(t.Context(), key); v != 10*key || err != nil {
					t.Errorf("%d: %d, %v", key, v, err)
				}
			})
		}
		wg.Wait()
		if len(seen.keys) != 2 || len(seen.keys[0])+len(seen.keys[1]) != capacity+1 || max(len(seen.keys[0]), len(seen.keys[1])) != capacity {
			t.Errorf("%d statements, the first for %d keys", len(seen.keys), len(seen.keys[0]))
		}
	})
}

func TestWidenedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen batches[int]
		l := tenfold(&seen)
		l.bundle.wait = time.Second
		var wg sync.WaitGroup
		for key := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(key) * 400 * time.Millisecond)
				_, _ = l.Load(t.Context(), key)
			})
		}
		wg.Wait()
		if len(seen.keys) != 1 {
			t.Errorf("asked for %v", seen.keys)
		}
	})
}

// The group runs under the response's context: whoever came first may leave.
func TestFirstCallerMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := byKey(&Loaders{ctx: context.Background()}, func(ctx context.Context, keys []int) ([]int, error) { return keys, ctx.Err() })
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = l.Load(gone, 1) })
		leave()
		if v, err := l.Load(t.Context(), 2); v != 2 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		wg.Wait()
	})
}

func TestFailures(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		batch func(context.Context, []int) ([]int, error)
		want  string
	}{
		"an error is everybody's": {func(context.Context, []int) ([]int, error) { return nil, broken }, "broken"},
		"a panic, without its value": {func(context.Context, []int) ([]int, error) {
			panic("what somebody said")
		}, "loader: panic: string"},
		"a value too few": {func(_ context.Context, keys []int) ([]int, error) { return keys[1:], nil }, "1 values for 2 keys"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := byKey(&Loaders{ctx: context.Background()}, c.batch)
				var wg sync.WaitGroup
				for key := range 2 {
					wg.Go(func() {
						_, err := l.Load(t.Context(), key)
						if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "somebody") {
							t.Errorf("%d: %v", key, err)
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

func TestEntities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there, hidden := id.New(), id.New()
		name := "there"
		l := entity(&Loaders{ctx: context.Background()}, func(context.Context, []id.UUID) (map[id.UUID]*string, error) {
			return map[id.UUID]*string{there: &name}, nil
		})
		if v, err := l.Load(t.Context(), there); v != &name || err != nil {
			t.Errorf("%v, %v", v, err)
		}
		if v, err := l.Load(t.Context(), hidden); v != nil || err != nil {
			t.Errorf("hidden: %v, %v", v, err)
		}
		if _, err := l.Find(t.Context(), hidden, "thing"); fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("hidden: %v", err)
		}
	})
}

// Equal queries of different parents are one statement, others are not.
func TestPagesByQuery(t *testing.T) {
	type query struct{ Kinds []string }
	synctest.Test(t, func(t *testing.T) {
		type call struct {
			query   query
			window  page.Window
			parents int
		}
		var mu sync.Mutex
		var calls []call
		l := pages(&Loaders{ctx: context.Background()},
			func(_ context.Context, parents []id.UUID, q query, w page.Window) ([]*page.Connection[string], error) {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, call{q, w, len(parents)})
				found := make([]*page.Connection[string], len(parents))
				for i := range found {
					found[i] = &page.Connection[string]{}
				}
				return found, nil
			},
			func(_ context.Context, parents []id.UUID, q query) ([]int, error) {
				return slices.Repeat([]int{len(q.Kinds)}, len(parents)), nil
			})
		three, four := 3, 4
		var wg sync.WaitGroup
		for range 5 {
			parent := id.New()
			for _, q := range []struct {
				query query
				args  page.Args
			}{{query{}, page.Args{First: &three}}, {query{[]string{"A"}}, page.Args{First: &three}}, {query{}, page.Args{First: &four}}} {
				wg.Go(func() {
					c, err := l.Load(t.Context(), parent, q.query, q.args)
					if err != nil {
						t.Error(err)
						return
					}
					if n, err := c.TotalCount(t.Context()); n != len(q.query.Kinds) || err != nil {
						t.Errorf("%v: %d in all, %v", q, n, err)
					}
				})
			}
		}
		wg.Wait()
		if len(calls) != 3 {
			t.Fatalf("%d statements: %v", len(calls), calls)
		}
		for _, c := range calls {
			if c.parents != 5 {
				t.Errorf("%v: for %d parents", c.query, c.parents)
			}
		}
	})
}
