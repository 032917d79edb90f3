// Package recent remembers what was made lately, so that many who ask for the same at once have it made once.
package recent

import (
	"context"
	"sync"
	"time"
)

// Values are at most so many, each for as long as it lives. All methods are safe for concurrent use. Values are shared: read only.
type Values[K comparable, V any] struct {
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

// New returns room for so many values, none of which is older than life.
func New[K comparable, V any](most int, life time.Duration) *Values[K, V] {
	return &Values[K, V]{most: most, life: life, known: map[K]*loaded[V]{}}
}

// loading is how long a load may take.
const loading = 10 * time.Second

// Get returns the value of key, and has it loaded unless it is there. One load serves all who ask meanwhile; it is not given up when the first of
// them is, and a failure is remembered for nobody who asks later. load runs in a goroutine of its own, whose panics are its own to recover, with the
// values of ctx and ten seconds' time.
func (r *Values[K, V]) Get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	l, mine := r.claim(key)
	if mine {
		go r.fill(ctx, key, l, load)
	}
	return l.await(ctx)
}

// Known returns the value of key if it is there.
func (r *Values[K, V]) Known(key K) (value V, ok bool) {
	r.mu.Lock()
	l := r.known[key]
	alive := l != nil && time.Since(l.at) < r.life
	r.mu.Unlock()
	if !alive {
		return value, false
	}
	select {
	case <-l.done:
		return l.value, l.err == nil
	default:
		return value, false
	}
}

// Renew is Get of a value that is loaded from now on: whatever is known already, or on its way, is of the past.
func (r *Values[K, V]) Renew(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	l := &loaded[V]{done: make(chan struct{}), at: time.Now()}
	r.mu.Lock()
	r.keep(key, l)
	r.mu.Unlock()
	go r.fill(ctx, key, l, load)
	return l.await(ctx)
}

func (r *Values[K, V]) fill(ctx context.Context, key K, l *loaded[V], load func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loading)
	defer cancel()
	l.value, l.err = load(ctx)
	if l.err != nil {
		r.forget(key, l)
	}
	close(l.done)
}

func (l *loaded[V]) await(ctx context.Context) (V, error) {
	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// Put has key loaded already. A load that is under way serves those who wait for it, and nobody else.
func (r *Values[K, V]) Put(key K, value V) {
	l := &loaded[V]{done: make(chan struct{}), at: time.Now(), value: value}
	close(l.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(key, l)
}

// claim finds the value of key, or a place for it that the caller is to fill.
func (r *Values[K, V]) claim(key K) (l *loaded[V], mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.known[key]; ok && time.Since(l.at) < r.life {
		return l, false
	}
	l = &loaded[V]{done: make(chan struct{}), at: time.Now()}
	r.keep(key, l)
	return l, true
}

func (r *Values[K, V]) keep(key K, l *loaded[V]) {
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

func (r *Values[K, V]) forget(key K, l *loaded[V]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] == l {
		l.at = time.Time{} // its place in the order goes with its turn
	}
}
