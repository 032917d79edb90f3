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
	if f, ok := ctx.Value(failureKey{}).(*failure); ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.err == nil {
			f.err = gqlerror.WrapPath(graphql.GetPath(ctx), err)
		}
	}
}

// failure is written by a resolver's goroutine and read by a transport's.
type failure struct {
	mu  sync.Mutex
	err *gqlerror.Error
}

type failureKey struct{}

// execute runs an operation and hands each of its results to send. It returns the errors with which the operation was
// refused before there was a result, or failed after some; none of one that is complete. When ctx ends, what is going on
// is given up: no further result is sent, and what execute returns means nothing.
func execute(ctx context.Context, exec graphql.GraphExecutor, op *graphql.OperationContext, send func(*graphql.Response)) (refused gqlerror.List) {
	var failed failure
	ctx = context.WithValue(ctx, failureKey{}, &failed)
	defer func() { // the executor recovers what resolvers throw; this is for what lies between
		if v := recover(); v != nil {
			refused = present(ctx, exec, op, wrap(op.Recover(ctx, v)))
		}
	}()
	next, ctx := exec.DispatchOperation(ctx, op)
	for {
		r := next(ctx)
		switch {
		case r == nil || ctx.Err() != nil:
			failed.mu.Lock()
			defer failed.mu.Unlock()
			if failed.err != nil {
				return present(ctx, exec, op, failed.err)
			}
			return nil
		case r.Data == nil: // not null: an answer without data is none to an executed operation
			return r.Errors
		}
		send(r)
		if op.Operation.Operation != ast.Subscription {
			return nil
		}
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
