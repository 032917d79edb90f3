// Package transport carries GraphQL operations: over HTTP as one JSON document or as server-sent events, and over
// WebSockets. Beside HTTP's own rules it keeps to GraphQL over HTTP, graphql-sse (distinct connections mode) and
// graphql-transport-ws.
//
// Whatever the transport, an operation has one of four ends. It completes, and the client is told so. It is refused before
// it is executed, or fails later (Fail), and the client is told why. Its client leaves, and is told nothing more. Or the
// stream that carries it ends, because its viewer's token does or the server stops: then nothing says that the operation is
// complete, so that the client knows to come back.
package transport

import (
	"cmp"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/aside"
)

// Timing is how patient the transports are; zero values are the defaults.
type Timing struct {
	Init      time.Duration // until a WebSocket is signed in: 10 s
	KeepAlive time.Duration // between the signs of life of an idle stream: 15 s
	Write     time.Duration // until a client has taken in what is sent to it, or is given up: 10 s
}

func (t Timing) withDefaults() Timing {
	return Timing{cmp.Or(t.Init, 10*time.Second), cmp.Or(t.KeepAlive, 15*time.Second), cmp.Or(t.Write, 10*time.Second)}
}

// Fail ends the subscription that ctx belongs to with an error, in place of completing it. A resolver calls it before it
// closes its channel; ctx is the one that the resolver was called with. The client hears of the first call only, and of none
// once it has left. Outside a subscription Fail does nothing.
func Fail(ctx context.Context, err error) {
	if c, ok := ctx.Value(courseKey{}).(*course); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.failed == nil {
			c.failed = gqlerror.WrapPath(graphql.GetPath(ctx), err)
		}
	}
}

// Feeder puts events into the channel of a subscription's resolver, one at a time.
type Feeder interface {
	// Wait returns when there is something to hand over. An event that it returns may be answered by what an equal one was answered with to
	// somebody else, of the same operation, and is not handed over then: it holds all that can be asked of it, and is comparable.
	// nil is an event for this subscriber alone, or the end.
	Wait() (whole any)
	// Hand puts what Wait has found into the channel, without waiting, or closes it. It may be called twice after one Wait for an event.
	Hand()
}

// Feed has the channel of the subscription that ctx belongs to fed from. So an idle subscription has one goroutine, and that waits where its
// stack is small. A resolver calls Feed at most once, before it returns, with the ctx that it was called with.
func Feed(ctx context.Context, from Feeder) {
	if c, ok := ctx.Value(courseKey{}).(*course); ok {
		c.feed = from
	}
}

// course is what an operation's resolver and its transport tell each other.
type course struct {
	feed Feeder // nil if the resolver fills its channel by itself

	mu     sync.Mutex // a resolver may fail in a goroutine of its own
	failed *gqlerror.Error
}

type courseKey struct{}

// result is what an operation is answered, as it is sent, and what went wrong with parts of it.
type result struct {
	body   []byte // JSON without line breaks; may be shared: read only
	errors gqlerror.List
}

// execute runs an operation and hands each of its results to send. It returns the errors with which the operation was
// refused before there was a result, or failed after some; none of one that is complete. When ctx ends, what is going on
// is given up: no further result is sent, and what execute returns means nothing.
func execute(ctx context.Context, exec graphql.GraphExecutor, op *graphql.OperationContext, send func(result)) (refused gqlerror.List) {
	c := &course{}
	x := execution{ctx: context.WithValue(ctx, courseKey{}, c), exec: exec, op: op, course: c, send: send}
	if op.Operation.Operation != ast.Subscription {
		x.step(x.begin)
		x.step(x.result)
		return x.refused
	}
	aside.Do(func() { x.step(x.begin) })
	for !x.over {
		if c.feed != nil {
			x.step(x.fed)
		} else {
			aside.Do(func() { x.step(x.result) })
		}
	}
	return x.refused
}

// execution is an operation that is being executed.
type execution struct {
	ctx    context.Context
	exec   graphql.GraphExecutor
	op     *graphql.OperationContext
	course *course
	send   func(result)

	next     graphql.ResponseHandler
	question question // what is fed answers
	over     bool
	refused  gqlerror.List
}

func (x *execution) step(do func()) {
	defer x.recover()
	if !x.over {
		do()
	}
}

// recover is deferred. The executor recovers what resolvers throw; this is for what lies between.
func (x *execution) recover() {
	if v := recover(); v != nil {
		x.end(present(x.ctx, x.exec, x.op, wrap(x.op.Recover(x.ctx, v))))
	}
}

func (x *execution) end(refused gqlerror.List) { x.over, x.refused = true, refused }

// begin has a subscription's resolver called; that of any other operation is called by result.
func (x *execution) begin() {
	x.next, x.ctx = x.exec.DispatchOperation(x.ctx, x.op)
	if x.course.feed != nil { // what it keeps, it keeps for hours, and so do thousands
		x.question = questionOf(x.op)                     // now, because that needs a larger stack than who waits has
		x.op.RawQuery = x.op.Operation.Position.Src.Input // the same words, of which all who ask share the one copy
	}
}

// fed sends the next result of what is fed: that of an equal event, or its own.
func (x *execution) fed() {
	if whole := x.course.feed.Wait(); whole != nil {
		if body := x.told(whole); body != nil {
			x.send(result{body: body})
			return
		}
	}
	x.course.feed.Hand()
	aside.Do(func() { x.step(x.result) })
}

// result sends the next result, of which only a subscription has a second one.
func (x *execution) result() {
	r := x.next(x.ctx)
	switch {
	case r == nil || x.ctx.Err() != nil:
		x.course.mu.Lock()
		defer x.course.mu.Unlock()
		x.end(nil)
		if x.course.failed != nil {
			x.end(present(x.ctx, x.exec, x.op, x.course.failed))
		}
	case r.Data == nil: // not null: an answer without data is none to an executed operation
		x.end(r.Errors)
	default:
		x.send(result{encode(answerOf(r)), r.Errors})
		x.over = x.op.Operation.Operation != ast.Subscription
	}
}

// present turns errors into what a client may see.
func present(ctx context.Context, exec graphql.GraphExecutor, op *graphql.OperationContext, errs ...*gqlerror.Error) gqlerror.List {
	return exec.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors
}

func wrap(err error) *gqlerror.Error {
	if g, ok := err.(*gqlerror.Error); ok {
		return g
	}
	return gqlerror.Wrap(err)
}

// answer is a response as it is sent: a refused operation has no data, while the data of an executed one may be null.
type answer struct {
	Errors     gqlerror.List   `json:"errors,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any  `json:"extensions,omitempty"`
}

func answerOf(r *graphql.Response) answer { return answer{r.Errors, r.Data, r.Extensions} }
