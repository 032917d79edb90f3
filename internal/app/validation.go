package app

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// stepsPerToken is what validating a document may take for each token that a document may have. A step takes 0.1 to 0.6 µs,
// so that with 2,000 tokens no document is validated for longer than about 50 ms.
const stepsPerToken = 50

// limitDocuments lets srv take documents of so many tokens, as long as they can be validated soon. Documents that it has seen
// and found valid are kept.
func limitDocuments(srv *handler.Server, tokens int) {
	known := lru.New[*ast.QueryDocument](1000)
	srv.SetQueryCache(known)
	srv.SetParserTokenLimit(tokens)
	srv.Use(validationLimit{known, tokens})
}

// validationLimit refuses documents before gqlgen validates them, which nothing else can: rules cannot stop one another.
// What is new is therefore parsed twice.
type validationLimit struct {
	known  graphql.Cache[*ast.QueryDocument]
	tokens int
}

// ExtensionName implements graphql.HandlerExtension.
func (validationLimit) ExtensionName() string { return "ValidationLimit" }

// Validate implements graphql.HandlerExtension.
func (validationLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator.
func (l validationLimit) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	if doc, known := l.known.Get(ctx, request.Query); known {
		return unnamed(doc, request.OperationName)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: request.Query}, l.tokens)
	if err != nil {
		return nil // gqlgen says so
	}
	if err := unnamed(doc, request.OperationName); err != nil {
		return err
	}
	most := stepsPerToken * l.tokens
	if validationSteps(doc, most) <= most {
		return nil
	}
	return gqlerror.Wrap(fault.Limited("the query takes too long to check: repeat fewer fields, or ask in several queries").
		WithCode("COST_LIMIT_EXCEEDED"))
}

// unnamed refuses a document of several operations of which none is named, and says what is missing. One in which some have no name is the validator's.
func unnamed(doc *ast.QueryDocument, name string) *gqlerror.Error {
	if name != "" || len(doc.Operations) < 2 || doc.Operations.ForName("") != nil {
		return nil
	}
	err := gqlerror.Errorf("the document has %d operations: operationName must say which", len(doc.Operations))
	errcode.Set(err, errcode.ValidationFailed)
	return err
}

// validationSteps estimates how many steps validating a document takes, from above; when it has counted more than most it
// stops. gqlparser walks a fragment again for every definition that reaches it, compares any two fields of one response name,
// does so again for every inline fragment around them, and looks for the names of a selection in every fragment beside
// it: 2 kB of `...{...{...{name name name}}}` would keep a processor busy for a minute. So
//
//	Σ reached + Σ fragments·(1+inline) over the selections, + Σ n·Σ again over the response names
//
// where reached counts the definitions that a selection is reached from, inline the inline fragments around it, n the
// fields of the name (with their arguments; all spreads count as one name), and again how often they are compared.
func validationSteps(doc *ast.QueryDocument, most int) int {
	fragments := make(map[string]*definition, len(doc.Fragments))
	all := make([]*definition, 0, len(doc.Fragments)+len(doc.Operations))
	for _, f := range doc.Fragments {
		d := newDefinition(f.SelectionSet)
		fragments[f.Name] = d
		all = append(all, d)
	}
	for _, o := range doc.Operations {
		d := newDefinition(o.SelectionSet)
		d.operation = true
		all = append(all, d)
	}
	c := stepCounter{fragments: len(doc.Fragments), names: map[string]*occurrences{}}
	for _, d := range all {
		if c.steps += d.reach(fragments); c.steps > most { // each has a selection at least
			return c.steps
		}
	}
	c.steps = 0
	for _, d := range all {
		c.count(d, d.set, 0)
	}
	for _, o := range c.names {
		c.steps = add(c.steps, times(o.n, o.again))
	}
	return c.steps
}

// definition is an operation or a fragment.
type definition struct {
	operation bool
	set       ast.SelectionSet
	spreads   map[string]struct{} // names of the fragments in it
	reached   int                 // how many definitions it is reached from, itself included
	asked     int                 // how many of those are operations
}

func newDefinition(set ast.SelectionSet) *definition {
	d := &definition{set: set, spreads: map[string]struct{}{}}
	d.collect(set)
	return d
}

func (d *definition) collect(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			d.collect(s.SelectionSet)
		case *ast.InlineFragment:
			d.collect(s.SelectionSet)
		case *ast.FragmentSpread:
			d.spreads[s.Name] = struct{}{}
		}
	}
}

// reach tells all that d reaches, and returns how many they are.
func (d *definition) reach(fragments map[string]*definition) int {
	seen := map[*definition]bool{d: true}
	found := []*definition{d}
	for i := 0; i < len(found); i++ {
		at := found[i]
		at.reached++
		if d.operation {
			at.asked++
		}
		for name := range at.spreads {
			if f := fragments[name]; f != nil && !seen[f] {
				seen[f] = true
				found = append(found, f)
			}
		}
	}
	return len(found)
}

type stepCounter struct {
	fragments int
	names     map[string]*occurrences
	steps     int
}

type occurrences struct{ n, again int }

func (c *stepCounter) count(d *definition, set ast.SelectionSet, inline int) {
	for _, s := range set {
		c.steps = add(c.steps, d.reached)
		switch s := s.(type) {
		case *ast.Field:
			c.steps = add(c.steps, c.fragments*(1+inline))
			c.compare(d, s.Alias, 1+len(s.Arguments), inline)
			c.count(d, s.SelectionSet, inline)
		case *ast.InlineFragment:
			c.count(d, s.SelectionSet, inline+1)
		case *ast.FragmentSpread:
			c.compare(d, "", 1, inline)
		}
	}
}

// compare counts a field that is compared with the others of its name: once, by each operation that asks for it, or, within
// inline fragments, by each of those in each walk.
func (c *stepCounter) compare(d *definition, name string, size, inline int) {
	o := c.names[name]
	if o == nil {
		o = &occurrences{}
		c.names[name] = o
	}
	again := max(1, d.asked)
	if inline > 0 {
		again = d.reached * (1 + inline)
	}
	o.n += size
	o.again = add(o.again, times(size, again))
}
