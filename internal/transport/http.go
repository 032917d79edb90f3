package transport

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/once"
)

// The types of answers.
const (
	jsonType   = "application/json"
	resultType = "application/graphql-response+json"
	streamType = "text/event-stream"
)

// HTTP answers POST and GET: with one JSON document, or, where the client accepts text/event-stream, with server-sent
// events. Whatever the request, it answers; so it is the last of a server's transports.
//
// A client that lists text/event-stream first gets everything that way. For one that lists it after JSON it is for
// subscriptions, which no JSON document can carry.
type HTTP struct {
	Streams *Streams
	Timing  Timing
	Once    *once.Requests // mutations that are sent again with their key
}

// Supports implements graphql.Transport.
func (HTTP) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (h HTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	params, ok := read(w, r)
	if !ok {
		return
	}
	params.Headers = r.Header
	ctx := r.Context()
	if v, err := auth.FromContext(ctx); err == nil { // else all that can be had is a refusal, and an invitation accepted
		if err := h.Streams.limits.operation(ctx, v); err != nil {
			turnAway(w, err)
			return
		}
	}
	op, errs := create(ctx, exec, params)
	best, streams := accepted(r)
	if errs != nil {
		errs = present(ctx, exec, op, errs...)
		if best == streamType {
			h.stream(w, r, exec, nil, errs)
			return
		}
		status := http.StatusUnprocessableEntity
		if best == resultType {
			status = http.StatusBadRequest
		}
		reply(w, best, status, answer{Errors: errs})
		return
	}
	kind := op.Operation.Operation
	switch {
	case kind == ast.Mutation && r.Method == http.MethodGet: // anything may prefetch or repeat a GET
		w.Header().Set("Allow", http.MethodPost)
		httpx.Problem{Status: http.StatusMethodNotAllowed, Code: string(fault.KindInvalid), Message: "send a mutation by POST"}.Write(w)
	case kind == ast.Mutation && keyed(r):
		h.once(w, r, exec, op, best)
	case best == streamType, kind == ast.Subscription && streams:
		h.stream(w, r, exec, op, nil)
	case kind == ast.Subscription:
		refuse(w, best, present(ctx, exec, op, wrap(fault.Invalid("", "a subscription needs a WebSocket (%s) or Accept: %s", protocol, streamType))))
	default:
		h.run(w, r, exec, op, best)
	}
}

// run answers with the one result of an operation.
func (h HTTP) run(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, op *graphql.OperationContext, kind string) {
	var answered result
	if errs := execute(r.Context(), exec, op, func(r result) { answered = r }); errs != nil {
		refuse(w, kind, errs)
		return
	}
	if answered.body != nil { // else the client has gone
		send(w, kind, http.StatusOK, answered.body)
	}
}

// refuse answers an operation that was not executed. With application/json that is a 200, as clients of that type are used
// to, but for who must sign in first.
func refuse(w http.ResponseWriter, kind string, errs gqlerror.List) {
	status := http.StatusOK
	if kind == resultType {
		status = http.StatusBadRequest
	}
	if unauthenticated(errs) {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", auth.Challenge)
	}
	reply(w, kind, status, answer{Errors: errs})
}

// unauthenticated says of the errors of an operation that somebody must sign in for it.
func unauthenticated(errs gqlerror.List) bool {
	return len(errs) > 0 && errs[0].Extensions["code"] == string(fault.KindUnauthenticated)
}

func reply(w http.ResponseWriter, kind string, status int, a answer) {
	send(w, kind, status, encode(a))
}

func encode(a answer) []byte {
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // data and extensions are the executor's
	}
	return body
}

func send(w http.ResponseWriter, kind string, status int, body []byte) {
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: nobody to tell
}

// accepted reads the Accept header: the first of its types that we have, and whether event streams are among them. Weights
// are not looked at: GraphQL clients list what they like best first.
func accepted(r *http.Request) (best string, streams bool) {
	for _, header := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(header, ",") {
			kind, _, err := mime.ParseMediaType(item)
			switch {
			case err != nil:
				continue
			case kind == "*/*" || kind == "application/*":
				kind = jsonType
			case kind == streamType:
				streams = true
			}
			if best == "" && (kind == jsonType || kind == resultType || kind == streamType) {
				best = kind
			}
		}
	}
	if best == "" {
		best = jsonType
	}
	return best, streams
}
