package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/transport"
)

// source is what a subscription listens to.
type source[E placed] interface {
	Next(ctx context.Context) (E, error)
	Close()
}

// placed is an event of which it is known where it is in its stream.
type placed interface{ Position() string }

// guarded is a source that rests on a right that its listener may lose.
type guarded interface {
	// About is what the right is about: sessions, clients.
	About() []id.UUID
	// Check returns a NOT_FOUND or FORBIDDEN fault if the right is lost.
	Check(ctx context.Context) error
}

// whole is an event that holds all that can be asked of it, and is comparable: those who may see equal ones see the same.
type whole interface{ IsWhole() }

// listen hands the events of a source on, one by one, until the subscriber leaves. If the source ends by itself, the
// subscriber is told why before the subscription completes. If the right to it is lost, the stream that carries it ends.
func listen[E placed](ctx context.Context, from source[E]) <-chan E {
	if g, ok := from.(guarded); ok {
		transport.Guard(ctx, g.About(), g.Check)
	}
	f := &feeder[E]{ctx: ctx, from: from, events: make(chan E, 1)}
	transport.Feed(ctx, f)
	return f.events
}

// feeder implements transport.Feeder.
type feeder[E placed] struct {
	ctx    context.Context
	from   source[E]
	events chan E
	next   E
	over   bool
}

// Wait implements transport.Feeder.
func (f *feeder[E]) Wait() any {
	var err error
	if f.next, err = f.from.Next(f.ctx); err != nil {
		if f.ctx.Err() == nil && !(f.isLost(err) && transport.Forbid(f.ctx)) {
			transport.Fail(f.ctx, err)
		}
		f.from.Close()
		f.over = true
		return nil
	}
	transport.Reached(f.ctx, f.next.Position())
	if w, ok := any(f.next).(whole); ok {
		return w
	}
	return nil
}

// isLost tells whether the source has ended because the right to it is lost.
func (f *feeder[E]) isLost(err error) bool {
	_, ok := f.from.(guarded)
	kind := fault.KindOf(err)
	return ok && (kind == fault.KindNotFound || kind == fault.KindForbidden)
}

// Hand implements transport.Feeder.
func (f *feeder[E]) Hand() {
	if f.over {
		close(f.events)
		return
	}
	f.events <- f.next // which is empty: what was in it has been sent
}

func optional[T any](arg, prefix string, key *id.Any, of func(id.UUID) T) (*T, error) {
	if key == nil {
		return nil, nil
	}
	typed := of(key.UUID)
	return &typed, expect(arg, *key, prefix)
}
