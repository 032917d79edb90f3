package app

import (
	"math"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/platform/page"
)

// shortList is how many items a list without paging is taken to have.
const shortList = 5

// cost estimates how many fields an operation answers at most: each field counts one, times the sizes of the pages and lists
// it lies in. It is what protects the server from pages within pages within pages, which the token limit lets through.
//
// Fragments are weighed once each, so that the walk is linear in the document however often they are spread; a validated
// document has no fragment cycles. The result saturates.
func cost(op *ast.OperationDefinition, vars map[string]any) int {
	w := weigher{vars: vars, fragments: map[*ast.FragmentDefinition]int{}}
	return w.set(op.SelectionSet)
}

type weigher struct {
	vars      map[string]any
	fragments map[*ast.FragmentDefinition]int
}

func (w *weigher) set(set ast.SelectionSet) (sum int) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			sum = add(sum, add(1, times(w.size(s), w.set(s.SelectionSet))))
		case *ast.InlineFragment:
			sum = add(sum, w.set(s.SelectionSet))
		case *ast.FragmentSpread:
			weight, known := w.fragments[s.Definition]
			if !known {
				weight = w.set(s.Definition.SelectionSet)
				w.fragments[s.Definition] = weight
			}
			sum = add(sum, weight)
		}
	}
	return sum
}

// size is how many items a field's children are answered for.
func (w *weigher) size(f *ast.Field) int {
	d := f.Definition
	switch {
	case d == nil:
		return 1
	case d.Arguments.ForName("first") != nil: // a connection; its nodes and edges are not counted again
		return w.pageSize(f)
	case d.Arguments.ForName("ids") != nil:
		ids, _ := w.value(f, "ids").([]any)
		return len(ids)
	case d.Type.Elem != nil && f.Name != "nodes" && f.Name != "edges":
		return shortList
	}
	return 1
}

func (w *weigher) pageSize(f *ast.Field) int {
	for _, arg := range []string{"first", "last"} {
		switch n := w.value(f, arg).(type) {
		case int64:
			return bounded(int(n))
		case int:
			return bounded(n)
		case float64:
			return bounded(int(n))
		case interface{ Int64() (int64, error) }: // json.Number
			if n, err := n.Int64(); err == nil {
				return bounded(int(n))
			}
		}
	}
	return page.DefaultSize
}

// bounded: a size out of range is refused before anything is read.
func bounded(n int) int { return min(max(n, 0), page.MaxSize) }

func (w *weigher) value(f *ast.Field, arg string) any {
	a := f.Arguments.ForName(arg)
	if a == nil {
		return nil
	}
	v, err := a.Value.Value(w.vars)
	if err != nil {
		return nil
	}
	return v
}

func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

func times(a, b int) int {
	if a != 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}
