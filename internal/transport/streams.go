package transport

import (
	"context"
	"sync/atomic"
)

// Streams are the responses that do not end by themselves: WebSockets, and event streams of subscriptions. net/http does not
// wait for the first and waits for ever for the second.
type Streams struct {
	stopping context.Context
	stop     context.CancelFunc
	limit    context.Context // Close's, once stopping
	open     atomic.Int64
	none     chan struct{} // receives when the last one has ended after stop
}

// NewStreams returns streams of which none is open.
func NewStreams() *Streams {
	ctx, stop := context.WithCancel(context.Background())
	return &Streams{stopping: ctx, stop: stop, none: make(chan struct{}, 1)}
}

// Close tells all streams to end, those that begin from now on too, and returns when they have ended, or ctx has. Sockets
// close with 1001, after the queries and mutations under way have been answered; what ctx does not wait for is given up. To
// be called once.
func (s *Streams) Close(ctx context.Context) {
	s.limit = ctx
	s.stop()
	for s.open.Load() > 0 {
		select {
		case <-s.none:
		case <-ctx.Done():
			return
		}
	}
}

// begin counts one more stream until end is called; stop is called, in a goroutine of its own, when the stream should end,
// with the context that ends when it must.
func (s *Streams) begin(stop func(limit context.Context)) (end func()) {
	s.open.Add(1)
	forget := context.AfterFunc(s.stopping, func() { stop(s.limit) })
	return func() {
		forget()
		if s.open.Add(-1) == 0 && s.stopping.Err() != nil {
			select {
			case s.none <- struct{}{}:
			default:
			}
		}
	}
}
