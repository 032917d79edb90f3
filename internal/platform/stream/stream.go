// Package stream tells whoever looks that something has just happened, and lets those who were away catch up.
//
// Events carry ids and kinds, never content: a receiver loads what it may see. Every event of a topic has a cursor, and
// a subscriber that resumes with the last one it got misses nothing and sees nothing twice, as long as the event after it
// has not been trimmed.
package stream

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/aside"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Event is what happened: a kind, and the ids it happened to.
type Event struct {
	Kind string
	Data json.RawMessage // a JSON value of ids and other facts that are no content; nil is null

	// Key, unless it is "", makes earlier events of its topic with the same key superfluous: a subscriber that is behind, or resumes, may
	// be handed the last of them only. For what is provisional and soon said anew.
	Key string
}

// Delivery is an event at its place in a topic. Subscribers of one topic share its Data: read only.
type Delivery struct {
	Event
	Cursor Cursor
	At     time.Time // when it was published; of two events of a topic the later cursor is not earlier
}

// Errors that end a subscription. They are faults and mean what their codes say to a client.
var (
	// ErrWindowLost: the events after the cursor are gone. Fetch the present state anew and subscribe without a cursor.
	ErrWindowLost = fault.Conflict("the events after this cursor are no longer kept: fetch anew and subscribe without a cursor").
			WithCode("RESUME_WINDOW_LOST")
	// ErrSlow: the subscriber was too far behind. It can resume with its last cursor.
	ErrSlow = fault.Limited("the subscriber is too slow: resume with the last cursor").WithCode("SUBSCRIBER_TOO_SLOW")
	// ErrClosed: this process stops serving the stream. Resume with the last cursor elsewhere.
	ErrClosed = fault.Unavailable("the stream closes: resume with the last cursor").WithCode("STREAM_CLOSED")
)

// Stream is topics of events.
//
// A topic is a name within an organization and needs no declaration; equal names in two organizations are two topics.
// All methods are safe for concurrent use.
type Stream interface {
	// Publish appends e to each of the topics as part of tx: it happens if and when tx commits, in every topic at once.
	// The order of a topic is the order in which its publishers commit. Until tx ends its topics are locked for other
	// publishers, so publish last in a transaction; and name all topics in one call, which locks them in one order for
	// everybody, or two transactions may lock each other out (PostgreSQL then fails one of them). Many hundreds of
	// events in one transaction are slow: say once that many things have changed.
	//
	// Subscribers in every process receive it soon after the commit. A topic's name is 1 to 200 bytes.
	Publish(ctx context.Context, tx pgx.Tx, org id.UUID, e Event, topics ...string) error

	// Subscribe returns the events of a topic after the given cursor, or, without one, those whose publishers commit after
	// Subscribe has returned (and possibly some that commit while it runs). The subscription ends with ctx.
	//
	// It returns ErrWindowLost if events after the cursor have been trimmed, and an Invalid fault if the cursor is not one
	// of this topic. Whether the caller may see the topic is the caller's business.
	Subscribe(ctx context.Context, org id.UUID, topic string, after Cursor) (Subscription, error)

	// Trim removes events older than the given age, in every topic, and returns how many. Nothing newer is affected, and
	// a topic's cursors go on where they were.
	Trim(ctx context.Context, olderThan time.Duration) (removed int64, err error)
}

// Subscription is a position in a topic. One goroutine at a time may call Next.
type Subscription interface {
	// Next waits for the next event. Events come in the order of their cursors, each once and without gaps, but for those that a
	// later one with their Key makes superfluous. It returns the error of ctx or of Subscribe's context, ErrSlow if the subscriber fell behind by more than the
	// adapter buffers, ErrWindowLost or ErrClosed; after any but the error of its own ctx the subscription has ended.
	// Failures of the store are not reported: it waits until they are over.
	Next(ctx context.Context) (Delivery, error)

	// Cursor is that of the event Next returned last, or where the subscription began: resuming with it continues
	// where this subscription stands, also if nothing has happened yet. Not to be called while Next runs.
	Cursor() Cursor

	// Close ends the subscription: Next returns ErrClosed. It may be called more than once and at any time.
	Close()
}

// Seen waits for the next event of which see makes something; events of which it makes nil, because they are not for who looks, are passed over.
// E is an interface. Errors are those of Next and of see, which is called on the stack of who waits: see Aside.
func Seen[E any](ctx context.Context, from Subscription, see func(context.Context, Delivery) (E, error)) (E, error) {
	for {
		d, err := from.Next(ctx)
		if err != nil {
			var none E
			return none, err
		}
		event, err := see(ctx, d)
		if err != nil || any(event) != nil {
			return event, err
		}
	}
}

// Aside is see for Seen where it calls deep, a database for one: on a stack that goes with it.
func Aside[E any](see func(context.Context, Delivery) (E, error)) func(context.Context, Delivery) (E, error) {
	return func(ctx context.Context, d Delivery) (event E, err error) {
		aside.Do(func() { event, err = see(ctx, d) })
		return event, err
	}
}

// Carrier takes events that have just been committed to the other processes, sooner and cheaper than each of these can read them.
// It may lose, repeat and reorder them: a Stream finds the rest by itself.
type Carrier interface {
	// Up says whether what is given to Carry is likely to arrive.
	Up() bool

	// Carry must not wait for anything.
	Carry(events []Entry)
}

// Entry is an event at its place, as it goes from process to process.
type Entry struct {
	Org   id.UUID
	Topic string
	N     int64 // of the event in its topic: 1, 2, 3, …
	Event
	At time.Time // to the microsecond, UTC
}
