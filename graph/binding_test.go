package graph_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/graph"
)

// unresolved lists the fields of a schema that need a resolver and are not in resolvers, which has Type.field.
//
// gqlgen binds a field to a struct field of a like name without a word. For an edge that would skip the scope and the
// batching of its domain: so every field that leads to another row, or takes arguments, is marked `resolver: true`. So is
// every field of an update: bound to a struct field, null would be the same as left out.
func unresolved(schema *ast.Schema, resolvers map[string]bool) (missing []string) {
	for _, d := range schema.Types {
		if d.Kind == ast.InputObject && strings.HasPrefix(d.Name, "Update") {
			for _, f := range d.Fields {
				if !f.Type.NonNull && !resolvers[d.Name+"."+strings.ToLower(f.Name)] {
					missing = append(missing, d.Name+"."+f.Name)
				}
			}
		}
		if d.Kind != ast.Object || d.BuiltIn || carrier(d) {
			continue
		}
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			if name := d.Name + "." + strings.ToLower(f.Name); (len(f.Arguments) > 0 || leadsToRows(schema, f.Type)) && !resolvers[name] {
				missing = append(missing, d.Name+"."+f.Name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// carrier: what only carries rows that a service has read already with the viewer's scope.
func carrier(d *ast.Definition) bool {
	return strings.HasSuffix(d.Name, "Connection") || strings.HasSuffix(d.Name, "Edge") || strings.HasSuffix(d.Name, "Payload") ||
		slices.Contains(d.Interfaces, "InsightEvent") || slices.Contains(d.Interfaces, "NotificationEvent") || slices.Contains(d.Interfaces, "AskEvent")
}

func leadsToRows(schema *ast.Schema, t *ast.Type) bool {
	if strings.HasSuffix(t.Name(), "Connection") {
		return true
	}
	d := schema.Types[t.Name()]
	return d.IsCompositeType() && slices.ContainsFunc(schema.GetPossibleTypes(d), func(p *ast.Definition) bool {
		return slices.Contains(p.Interfaces, "Node")
	})
}

// resolved are the fields that the generated code has resolvers for.
func resolved() map[string]bool {
	fields := map[string]bool{}
	root := reflect.TypeFor[graph.ResolverRoot]()
	for i := range root.NumMethod() {
		of := root.Method(i)
		for j := range of.Type.Out(0).NumMethod() {
			fields[of.Name+"."+strings.ToLower(of.Type.Out(0).Method(j).Name)] = true
		}
	}
	return fields
}

func TestEdgesHaveResolvers(t *testing.T) {
	t.Parallel()
	schema := parse(t, readSchema(t))
	for _, f := range unresolved(schema, resolved()) {
		t.Errorf("%s has no resolver: mark it `resolver: true` in gqlgen.yml", f)
	}
	// The test can fail: without its resolver each edge is missed.
	edges := 0
	for f := range resolved() {
		some := resolved()
		delete(some, f)
		if missing := unresolved(schema, some); len(missing) == 1 && strings.EqualFold(missing[0], f) {
			edges++
		} else if len(missing) > 0 {
			t.Errorf("without a resolver for %s these are missed: %v", f, missing)
		}
	}
	if edges < 60 {
		t.Errorf("only %d of %d resolvers are of edges", edges, len(resolved()))
	}
}
