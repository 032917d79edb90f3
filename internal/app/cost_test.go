package app

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

func TestCost(t *testing.T) {
	source, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: string(source)})
	weigh := func(query string, vars map[string]any) int {
		t.Helper()
		doc, err := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules())
		if err != nil {
			t.Fatal(err)
		}
		return cost(doc.Operations[0], vars)
	}
	for _, c := range []struct {
		name, query string
		vars        map[string]any
		want        int
	}{
		{"fields", `{ viewer { user { id name } } }`, nil, 4},
		{"default page", `{ sessions { nodes { id } } }`, nil, 1 + 20*2},
		{"page", `{ sessions(first: 50) { nodes { id } pageInfo { endCursor } } }`, nil, 1 + 50*4},
		{"page by variable", `query($n: Int) { sessions(last: $n) { edges { node { id } } } }`, map[string]any{"n": 7}, 1 + 7*3},
		{"page within page", `{ sessions(first: 10) { nodes { insights(first: 3) { nodes { id } } } } }`, nil, 1 + 10*(1+1+3*2)},
		{"a list without pages", `{ sessions(first: 2) { nodes { tags { id } } } }`, nil, 1 + 2*(1+1+40)},
		{"such a list within itself", `{ sessions(first: 70) { nodes { overlaps { overlaps { id } } } } }`, nil, 1 + 70*(1+1+10*(1+10))},
		{"scalars", `{ sessions(first: 2) { nodes { consents } } }`, nil, 1 + 2*(1+1)},
		{"nodes", `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": []any{"a", "b"}}, 3},
		{"fragments", `{ viewer { user { ...f ... on User { id } } } } fragment f on User { id name }`, nil, 5},
		{"out of range", `{ sessions(first: 10000) { nodes { id } } }`, nil, 1 + 100*2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := weigh(c.query, c.vars); got != c.want {
				t.Errorf("cost %d, want %d", got, c.want)
			}
		})
	}

	// Each fragment spreads the next twice: 2^40 ways through, and pages that overflow any integer.
	var b strings.Builder
	b.WriteString("{ sessions { nodes { ...F0 } } }\n")
	for i := range 40 {
		fmt.Fprintf(&b, "fragment F%d on Session { a: client { sessions(first: 100) { nodes { ...F%d } } } b: client { sessions(first: 99) { nodes { ...F%d } } } }\n", i, i+1, i+1)
	}
	b.WriteString("fragment F40 on Session { id }")
	doc, errs := gqlparser.LoadQueryWithRules(schema, b.String(), rules.NewDefaultRules())
	if errs != nil {
		t.Fatal(errs)
	}
	began := time.Now()
	if got := cost(doc.Operations[0], nil); got < 1<<62 {
		t.Errorf("nested pages cost only %d", got)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("weighing took %s", took)
	}
}

// TestListsAreBounded: each list of things that has no pages has a most, and no most is of nothing.
func TestListsAreBounded(t *testing.T) {
	source, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: string(source)})
	lists := map[string]bool{}
	for name, d := range schema.Types {
		if d.Kind != ast.Object || d.BuiltIn || strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Payload") {
			continue
		}
		for _, f := range d.Fields {
			if f.Type.Elem == nil || !schema.Types[f.Type.Name()].IsCompositeType() || strings.HasPrefix(f.Name, "__") || f.Arguments.ForName("ids") != nil {
				continue
			}
			lists[name+"."+f.Name] = true
			if most[name+"."+f.Name] == 0 {
				t.Errorf("%s.%s: how many are there at most?", name, f.Name)
			}
		}
	}
	for name := range most {
		if !lists[name] {
			t.Errorf("%s is no list without pages", name)
		}
	}
}
