package transport

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/recent"
)

// tellings are the answers that subscribers of equal events share: docs/adr/0045-equal-events-are-told-once.md.
type tellings = recent.Values[telling, []byte]

// telling is an event that is whole, and what is asked of it.
type telling struct {
	question question
	event    any
}

const (
	maxTellings = 4096 // some 4 MB
	tellingLife = 5 * time.Second
)

func newTellings() *tellings { return recent.New[telling, []byte](maxTellings, tellingLife) }

// told is what an event is answered with to everybody who has an equal one and asks the same of it; nil if that is not known without knowing who asks.
func (x *execution) told(event any) []byte {
	b, ok := x.ctx.Value(bearerKey{}).(bearer)
	if !ok {
		return nil
	}
	// Whoever comes first executes, and is waited for even by who leaves: it takes no longer than a processor does.
	body, err := b.streams.tellings.Get(context.WithoutCancel(x.ctx), telling{x.question, event}, func(ctx context.Context) ([]byte, error) {
		return x.tellAnybody(ctx), nil
	})
	if err != nil {
		return nil
	}
	return body
}

// tellAnybody executes without a viewer, so that nothing in an answer can depend on who gets it. What cannot be answered so, in whole or in
// part, is nil: each has it executed for themselves, and the errors, if that has any.
func (x *execution) tellAnybody(ctx context.Context) (body []byte) {
	defer func() {
		if recover() != nil { // it is thrown again where it is executed for somebody
			body = nil
		}
	}()
	x.course.feed.Hand()
	r := x.next(auth.WithoutViewer(ctx))
	if r == nil || r.Data == nil || len(r.Errors) > 0 {
		return nil
	}
	return encode(answerOf(r))
}

// question is what a subscription asks of each event: its document, its operation and those variables that its selection names. What only the arguments of
// its root field name decides which events come, and nothing about what is said of them: clients that come back, each with a cursor of its own, ask the same.
type question [sha256.Size]byte

func questionOf(op *graphql.OperationContext) question {
	names := variables{named: map[string]bool{}, seen: map[*ast.FragmentDefinition]bool{}}
	names.selection(op.Operation.SelectionSet, true)
	given := map[string]any{}
	for name := range names.named {
		given[name] = op.Variables[name]
	}
	raw, err := json.Marshal([]any{op.RawQuery, op.OperationName, given})
	if err != nil {
		panic(err) // they were read as JSON
	}
	return sha256.Sum256(raw)
}

// variables are those that a selection names.
type variables struct {
	named map[string]bool
	seen  map[*ast.FragmentDefinition]bool
}

// selection looks through a selection; at the root the arguments of fields do not count.
func (v variables) selection(set ast.SelectionSet, root bool) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if !root {
				v.arguments(s.Arguments)
			}
			v.directives(s.Directives)
			v.selection(s.SelectionSet, false)
		case *ast.InlineFragment:
			v.directives(s.Directives)
			v.selection(s.SelectionSet, root)
		case *ast.FragmentSpread:
			v.directives(s.Directives)
			if !v.seen[s.Definition] {
				v.seen[s.Definition] = true
				v.selection(s.Definition.SelectionSet, root)
			}
		}
	}
}

func (v variables) directives(all ast.DirectiveList) {
	for _, d := range all {
		v.arguments(d.Arguments)
	}
}

func (v variables) arguments(all ast.ArgumentList) {
	for _, a := range all {
		v.value(a.Value)
	}
}

func (v variables) value(given *ast.Value) {
	if given.Kind == ast.Variable {
		v.named[given.Raw] = true
	}
	for _, c := range given.Children {
		v.value(c.Value)
	}
}
