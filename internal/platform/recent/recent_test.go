package recent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// loads is a load that says how often it was called.
type loads struct {
	mu  sync.Mutex
	n   int
	err error
}

func (l *loads) load(context.Context) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.n, l.err
}

func get(t *testing.T, v *Values[string, int], key string, l *loads) int {
	t.Helper()
	n, err := v.Get(t.Context(), key, l.load)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Many who ask at once have it loaded once, also those that come while it is under way, and whoever leaves takes it from nobody.
func TestLoadedOnce(t *testing.T) {
	t.Parallel()
	v, began, goOn := New[string, int](10, time.Hour), make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context) (int, error) { close(began); <-goOn; return 7, ctx.Err() }
	hasty, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := v.Get(hasty, "a", slow); left <- err }()
	<-began
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves gets %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if n, err := v.Get(t.Context(), "a", slow); n != 7 || err != nil {
				t.Error(n, err)
			}
		})
	}
	close(goOn)
	all.Wait()
}

// A failure is remembered for nobody; a value for as long as it lives; and what is put or renewed takes the place of what was known.
func TestWhatIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, l := New[string, int](10, time.Minute), &loads{err: errors.New("away")}
		if _, err := v.Get(t.Context(), "a", l.load); err == nil {
			t.Error("a failure is no failure")
		}
		l.err = nil
		if n := get(t, v, "a", l); n != 2 {
			t.Errorf("a failure is remembered: %d", n)
		}
		time.Sleep(59 * time.Second)
		if n := get(t, v, "a", l); n != 2 {
			t.Errorf("forgotten while it lives: %d", n)
		}
		time.Sleep(2 * time.Second)
		if n := get(t, v, "a", l); n != 3 {
			t.Errorf("remembered beyond its life: %d", n)
		}
		if n, err := v.Renew(t.Context(), "a", l.load); n != 4 || err != nil {
			t.Error(n, err)
		}
		v.Put("a", 100)
		if n := get(t, v, "a", l); n != 100 {
			t.Errorf("what was put is %d", n)
		}
		if n, ok := v.Known("a"); n != 100 || !ok {
			t.Errorf("known is %d, %t", n, ok)
		}
		time.Sleep(time.Hour)
		if n, ok := v.Known("a"); n != 0 || ok {
			t.Errorf("known beyond its life is %d, %t", n, ok)
		}
	})
}

// A load that began before a renewal is not what is known after it, however late it comes.
func TestRenewalsWin(t *testing.T) {
	t.Parallel()
	v, began, goOn := New[string, int](10, time.Hour), make(chan struct{}), make(chan struct{})
	old := make(chan int)
	go func() {
		n, _ := v.Get(t.Context(), "a", func(context.Context) (int, error) { close(began); <-goOn; return 1, nil })
		old <- n
	}()
	<-began
	renewed := &loads{n: 1}
	if n, err := v.Renew(t.Context(), "a", renewed.load); n != 2 || err != nil {
		t.Error(n, err)
	}
	close(goOn)
	if n := <-old; n != 1 {
		t.Errorf("who waited for the old one gets %d", n)
	}
	if n := get(t, v, "a", renewed); n != 2 {
		t.Errorf("the old one counts: %d", n)
	}
}

// At most so many are remembered: the oldest go.
func TestBounded(t *testing.T) {
	t.Parallel()
	v, l := New[string, int](3, time.Hour), &loads{}
	for _, key := range []string{"a", "b", "c", "d"} {
		get(t, v, key, l)
	}
	if len(v.known) != 3 || len(v.order) != 3 {
		t.Errorf("%d are remembered, in %d places", len(v.known), len(v.order))
	}
	if n := get(t, v, "d", l); n != 4 {
		t.Errorf("the last is forgotten: %d", n)
	}
	if n := get(t, v, "a", l); n != 5 {
		t.Errorf("the first is remembered: %d", n)
	}
}
