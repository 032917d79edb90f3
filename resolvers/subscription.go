package resolvers

import (
	"context"

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

// listen hands the events of a source on, one by one, until the subscriber leaves. If the source ends by itself, the
// subscriber is told why before the subscription completes. If the right to it is lost, the stream that carries it ends.
func listen[E placed](ctx context.Context, from source[E]) <-chan E {
	if g, ok := from.(guarded); ok {
		transport.Guard(ctx, g.About(), g.Check)
	}
	events := make(chan E, 1)
	transport.Feed(ctx, func() {
		e, err := from.Next(ctx)
		if err == nil {
			transport.Reached(ctx, e.Position())
			events <- e // which is empty: what was in it has been sent
			return
		}
		if ctx.Err() == nil {
			transport.Fail(ctx, err)
		}
		from.Close()
		close(events)
	})
	return events
}

func optional[T any](arg, prefix string, key *id.Any, of func(id.UUID) T) (*T, error) {
	if key == nil {
		return nil, nil
	}
	typed := of(key.UUID)
	return &typed, expect(arg, *key, prefix)
}
