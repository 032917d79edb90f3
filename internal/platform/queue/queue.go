// Package queue says which work is due: it carries kinds and ids, and the trace that they belong to.
//
// A message is a hint that a row wants a worker. What the work is, whether it still has to be done and who does it is
// the row's business (package jobs), so losing, doubling or reordering messages never loses, doubles or reorders work.
package queue

import (
	"context"
	"errors"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
)

// Message names a row that is due.
type Message struct {
	Kind         string
	ID           id.UUID
	TraceContext string // W3C traceparent of what caused it; "" is none
}

// Delivery is a message held by one receiver, until it is acknowledged or released or its visibility has run out.
type Delivery struct {
	Message
	Receipt string // names this delivery; the next delivery of the same message has another one
}

// ErrLost says that a delivery is no longer held: its visibility ran out, or its row has moved on.
var ErrLost = errors.New("queue: delivery is no longer held")

// Queue hands out messages.
//
// Delivery is at least once and in no order. While a delivery is held nobody else receives its message; afterwards
// it comes again, unless it was acknowledged. A receiver that dies therefore costs its visibility and nothing else.
// How long a delivery is held unless extended is a property of the adapter.
//
// Errors are the adapter's own and mean "try again"; a context's error is returned as it is. All methods are safe
// for concurrent use.
type Queue interface {
	// Receive waits until at least one message is due and returns up to limit of them (a batch: an adapter may return
	// fewer than are due), or returns ctx's error soon after ctx has ended. It never returns (nil, nil). Messages that
	// were on their way when ctx ended come again when their visibility has run out.
	Receive(ctx context.Context, limit int) ([]Delivery, error)

	// Extend holds d until the given time from now, however much of its visibility is left. It returns ErrLost if d is
	// not held any more.
	Extend(ctx context.Context, d Delivery, by time.Duration) error

	// Release gives d back: its message is due again after delay. Nothing happens if d is not held any more.
	// An adapter may shorten a delay that is longer than it can remember.
	Release(ctx context.Context, d Delivery, delay time.Duration) error

	// Ack says that the message needs no further delivery. Nothing happens if d is not held any more. A row that
	// becomes due anew is a new message.
	Ack(ctx context.Context, d Delivery) error
}

// Source is a Queue that a relay carries from.
type Source interface {
	Queue

	// ExtendAll is Extend for many deliveries in one go. Those that are not held any more are passed over.
	ExtendAll(ctx context.Context, ds []Delivery, by time.Duration) error
}

// Sender puts messages into a queue. An adapter has one only if its messages are not rows already: where they are,
// committing the row is the sending.
type Sender interface {
	// Send puts all of messages into the queue, or returns an error after having sent none, some or all of them:
	// repeating the whole call is always right. It splits what is more than the service takes at once.
	Send(ctx context.Context, messages []Message) error
}
