package live

import (
	"context"
	"sync"
	"time"
)

// recent remembers what was loaded lately, so that many who ask for the same at once have it loaded once. It holds at most so many, for as long
// as they live.
type recent[K comparable, V any] struct {
	most int
	life time.Duration

	mu    sync.Mutex
	known map[K]*loaded[V]
	order []K // in which they came, oldest first
}

// loaded is a value, or one that is on its way.
type loaded[V any] struct {
	done  chan struct{}
	at    time.Time
	value V
	err   error
}

func newRecent[K comparable, V any](most int, life time.Duration) *recent[K, V] {
	return &recent[K, V]{most: most, life: life, known: map[K]*loaded[V]{}}
}

// get returns the value of key, and has it loaded unless it is there. One load serves all who ask meanwhile; it is not given up when the first of
// them is, and a failure is remembered for nobody who asks later.
func (r *recent[K, V]) get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	l, mine := r.claim(key)
	if mine {
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			l.value, l.err = load(ctx)
			if l.err != nil {
				r.forget(key, l)
			}
			close(l.done)
		}()
	}
	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// put has key loaded already.
func (r *recent[K, V]) put(key K, value V) {
	l := &loaded[V]{done: make(chan struct{}), at: time.Now(), value: value}
	close(l.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(key, l)
}

// claim finds the value of key, or a place for it that the caller is to fill.
func (r *recent[K, V]) claim(key K) (l *loaded[V], mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.known[key]; ok && time.Since(l.at) < r.life {
		return l, false
	}
	l = &loaded[V]{done: make(chan struct{}), at: time.Now()}
	r.keep(key, l)
	return l, true
}

func (r *recent[K, V]) keep(key K, l *loaded[V]) {
	if _, there := r.known[key]; !there {
		r.order = append(r.order, key)
	}
	r.known[key] = l
	for len(r.order) > 0 {
		oldest := r.order[0]
		if len(r.order) <= r.most && time.Since(r.known[oldest].at) < r.life {
			return
		}
		delete(r.known, oldest)
		r.order = r.order[1:]
	}
}

func (r *recent[K, V]) forget(key K, l *loaded[V]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] == l {
		l.at = time.Time{} // its place in the order goes with its turn
	}
}
