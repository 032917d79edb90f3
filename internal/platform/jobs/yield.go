package jobs

import (
	"context"
	"sync"
	"time"
)

// Yield is called by handlers of Yielding kinds between the steps of long work: it waits while handlers of other kinds run in this process, but
// not longer than maxYield, so that the work goes on however much there is to do. In any other context it returns at once.
//
// What is heavy for minutes and waited for by nobody thus takes the processor only when it is free, whatever began first.
func Yield(ctx context.Context) {
	o, ok := ctx.Value(othersKey{}).(*others)
	if !ok {
		return
	}
	timer := time.NewTimer(maxYield)
	defer timer.Stop()
	select {
	case <-o.gone():
	case <-timer.C:
	case <-ctx.Done():
	}
}

const maxYield = 2 * time.Second

type othersKey struct{}

// others are the handlers at work in a process that Yield waits for.
type others struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when the last of them leaves; nil if nobody has asked
}

// enter counts one until leave is called.
func (o *others) enter() (leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.n--; o.n == 0 && o.idle != nil {
			close(o.idle)
			o.idle = nil
		}
	}
}

var nobody = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// gone returns a channel that is closed when none of them is at work.
func (o *others) gone() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n == 0 {
		return nobody
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	return o.idle
}
