package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/once"
)

const keyHeader = "Idempotency-Key"

// A key must be long enough that nobody guesses it.
const shortestKey, longestKey = 16, 128

// keyed says whether a request has a key, good or bad.
func keyed(r *http.Request) bool { return len(r.Header.Values(keyHeader)) > 0 }

// keyOf reads the key of a request that has one: a string of structured fields ("…"), or its characters alone, as most clients send it.
func keyOf(r *http.Request) (string, error) {
	values := r.Header.Values(keyHeader)
	key := values[0]
	if inner, quoted := strings.CutPrefix(key, `"`); quoted && strings.HasSuffix(inner, `"`) {
		key = inner[:len(inner)-1]
	}
	odd := strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' })
	if len(values) > 1 || odd || len(key) < shortestKey || len(key) > longestKey {
		return "", fault.Invalid("", "%s must be one random text of %d to %d letters, digits and signs, like a UUID", keyHeader, shortestKey, longestKey)
	}
	return key, nil
}

// once runs a mutation that has a key, or answers what it was answered before. A client that goes away meanwhile does not end it: that
// is who comes again.
func (h HTTP) once(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, op *graphql.OperationContext, kind string) {
	key, err := keyOf(r)
	if err == nil && kind == streamType {
		err = fault.Invalid("", "a mutation with an %s is answered as JSON, not as %s", keyHeader, streamType)
	}
	if err != nil {
		turnAway(w, err)
		return
	}
	v, err := auth.FromContext(r.Context())
	if err != nil { // a refusal, or an invitation, which accepted twice is accepted once
		h.run(w, r, exec, op, kind)
		return
	}
	payload, err := json.Marshal([]any{op.RawQuery, op.OperationName, op.Variables})
	if err != nil {
		panic(err) // they were read as JSON
	}
	turn, before, err := h.Once.Begin(r.Context(), once.Request{Org: v.Org, User: v.User, Key: key, Payload: payload})
	switch {
	case fault.All(err) != nil:
		turnAway(w, err)
		return
	case err != nil:
		refuse(w, kind, present(r.Context(), exec, op, wrap(err)))
		return
	case before != nil:
		w.Header().Set("Idempotency-Replayed", "true")
		send(w, kind, http.StatusOK, before)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), once.Running)
	defer cancel()
	var answered result
	errs := execute(ctx, exec, op, func(r result) { answered = r })
	switch {
	case errs != nil:
		turn.Forget(ctx)
		refuse(w, kind, errs)
	case answered.body == nil: // it took too long, and nobody knows how far it came
		turnAway(w, fault.Conflict("this took too long and was given up: look how far it came").WithCode(once.CodeLost))
	default:
		if ran(op, answered.errors) {
			turn.Keep(ctx, answered.body)
		} else {
			turn.Forget(ctx)
		}
		send(w, kind, http.StatusOK, answered.body)
	}
}

// ran says whether one of an operation's fields was executed: of one that was not, the error is the field's own, and none below it.
func ran(op *graphql.OperationContext, errs gqlerror.List) bool {
	refused := map[string]bool{}
	for _, e := range errs {
		if len(e.Path) == 1 {
			refused[e.Path.String()] = true
		}
	}
	for _, f := range graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Mutation"}) {
		if f.Name != "__typename" && !refused[f.Alias] {
			return true
		}
	}
	return false
}
