// Package limit counts how often something happens, and how much of it there is at a time, so that nobody takes everything.
//
// Local counts in one process. An adapter beside it counts over all processes. What is counted has a key: a name that says what and
// whose, like "operations:user:…", and holds ids only.
package limit

import (
	"context"
	"sync"
	"time"
)

// Rate is how often something may happen: Count times within Per, all of them at once if it was quiet before, and then again as that
// time goes by. The zero value is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Limits says whether it is one.
func (r Rate) Limits() bool { return r.Count > 0 && r.Per > 0 }

// Limiter counts. All methods are safe for concurrent use. They return an Unavailable fault only where nobody can count, and it has
// been decided that nothing is allowed then.
type Limiter interface {
	// Allow counts one more of key, if that is not one too many; else it returns after which time it will not be.
	Allow(ctx context.Context, key string, r Rate) (wait time.Duration, err error)

	// Hold counts one more of key until release is called, if there are then no more than most; else release is nil. What a process
	// holds that has died is forgotten after a while. release may be called more than once.
	Hold(ctx context.Context, key string, most int) (release func(), err error)
}

// Local is a Limiter of what happens in this process.
type Local struct {
	mu   sync.Mutex
	due  map[string]time.Time // by when what was allowed would have happened, had it come evenly
	next int                  // Allows until those of the past are forgotten
	held map[string]int
}

// NewLocal returns a Local of which nothing is counted yet.
func NewLocal() *Local { return &Local{due: map[string]time.Time{}, held: map[string]int{}} }

var _ Limiter = (*Local)(nil)

// Allow implements Limiter.
func (l *Local) Allow(_ context.Context, key string, r Rate) (wait time.Duration, _ error) {
	if !r.Limits() {
		return 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.forget(now)
	due := l.due[key]
	if due.Before(now) {
		due = now
	}
	due = due.Add(r.Per / time.Duration(r.Count))
	if wait = due.Sub(now) - r.Per; wait > 0 {
		return wait, nil
	}
	l.due[key] = due
	return 0, nil
}

// forget drops, now and then, the keys of which nothing is left to count, so that they are as many as there is traffic.
func (l *Local) forget(now time.Time) {
	if l.next--; l.next > 0 {
		return
	}
	for key, due := range l.due {
		if due.Before(now) {
			delete(l.due, key)
		}
	}
	l.next = max(1024, len(l.due))
}

// Hold implements Limiter.
func (l *Local) Hold(_ context.Context, key string, most int) (release func(), _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[key] >= most {
		return nil, nil
	}
	l.held[key]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held[key]--; l.held[key] == 0 {
			delete(l.held, key)
		}
	}), nil
}
