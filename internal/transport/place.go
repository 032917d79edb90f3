package transport

import (
	"context"
	"sync"
)

// place is where the client of an event stream is.
type place struct {
	last string // the id of the last event it has seen, if it comes back

	mu    sync.Mutex
	ahead []string // the cursors of what has left the resolver and not been sent yet
}

type placeKey struct{}

// After is the cursor from which a subscription goes on: that of the Last-Event-ID with which a client comes back, else the
// one in its arguments. The header counts for more, because an EventSource comes back with the arguments of its first request.
func After(ctx context.Context, argument *string) *string {
	if p, ok := ctx.Value(placeKey{}).(*place); ok && p.last != "" {
		return &p.last
	}
	return argument
}

// Reached gives the event that a resolver sends next its cursor, a text of one line. A resolver that calls it calls it once before
// each event.
func Reached(ctx context.Context, cursor string) {
	if p, ok := ctx.Value(placeKey{}).(*place); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ahead = append(p.ahead, cursor)
	}
}

// next is the cursor of the oldest event that has not been sent, "" if it has none.
func (p *place) next() (cursor string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ahead) > 0 {
		cursor, p.ahead = p.ahead[0], p.ahead[1:]
	}
	return cursor
}
