package transport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/auth"
)

// stream answers with server-sent events: a next event for each result, or for the errors with which the operation was
// refused or failed, and then complete. As graphql-sse wants it, errors of the request come as events, too: a client that
// listens to events gets to see nothing else. But who must sign in first gets a 401, as with any other answer.
//
// A stream that ends without complete was cut off, and the client comes back: its token has expired, or the server stops. An
// event of a subscription has the cursor that Reached gave it as its id, which an EventSource that comes back sends by itself.
func (h HTTP) stream(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, op *graphql.OperationContext, errs gqlerror.List) {
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	at := &place{last: r.Header.Get("Last-Event-ID")}
	ctx = context.WithValue(ctx, placeKey{}, at)
	if op != nil && op.Operation.Operation == ast.Subscription {
		ctx = carriedBy(ctx, h.Streams, func(Standing) { cut() })
		defer h.Streams.begin(func(context.Context) { cut() })()
		if v, err := auth.FromContext(ctx); err == nil {
			for _, hold := range []func(context.Context, auth.Viewer) (func(), error){h.Streams.limits.stream, h.Streams.limits.subscription} {
				give, err := hold(ctx, v)
				if err != nil {
					turnAway(w, err)
					return
				}
				defer give()
			}
			defer h.Streams.signIn(v, func(Standing) { cut() })()
			if !v.Until.IsZero() {
				defer time.AfterFunc(time.Until(v.Until), cut).Stop()
			}
		}
	}
	out := &events{out: http.NewResponseController(w), w: w, timing: h.Timing.withDefaults(), broken: cut}
	defer out.close()
	if _, err := auth.FromContext(ctx); err == nil { // else it may have to be a 401
		out.open()
	}
	if op != nil {
		errs = execute(ctx, exec, op, func(r result) {
			out.open()
			out.next(at.next(), r.body)
		})
	}
	if ctx.Err() != nil {
		return
	}
	if out.beacon == nil && unauthenticated(errs) {
		refuse(w, jsonType, errs)
		return
	}
	out.open()
	if errs != nil {
		out.next("", encode(answer{Errors: errs}))
	}
	out.write("event: complete\ndata:\n\n") // without data a browser's EventSource does not dispatch it
}

// events is an answer of server-sent events.
type events struct {
	out    *http.ResponseController
	timing Timing
	broken func() // called when the client takes nothing in any more

	mu     sync.Mutex
	w      http.ResponseWriter // nil when the answer is over
	beacon *time.Timer         // keeps an idle stream alive; nil before it is open
}

// open begins the answer, unless it has begun.
func (e *events) open() {
	if e.beacon != nil {
		return
	}
	h := e.w.Header()
	h.Set("Content-Type", streamType+"; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects before it hands on would hold events back
	e.mu.Lock()
	e.beacon = time.AfterFunc(e.timing.KeepAlive, func() { e.write(":\n\n") })
	e.mu.Unlock()
	e.write(":\n\n") // the client learns at once that it is heard
}

func (e *events) next(id string, body []byte) {
	if id != "" {
		id = "\nid: " + id
	}
	e.write("event: next" + id + "\ndata: " + string(body) + "\n\n")
}

func (e *events) write(frame string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.w == nil {
		return
	}
	_ = e.out.SetWriteDeadline(time.Now().Add(e.timing.Write)) // net/http resets it after the answer
	_, err := e.w.Write([]byte(frame))
	if err == nil {
		err = e.out.Flush()
	}
	if err != nil {
		e.w = nil
		e.broken()
		return
	}
	e.beacon.Reset(e.timing.KeepAlive)
}

// close leaves the answer to net/http: nothing is written any more.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.w = nil
	if e.beacon != nil {
		e.beacon.Stop()
	}
}
