// Package vectortest holds what every vector.Store must do.
package vectortest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/vector"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Dimension of the suite's vectors.
const Dimension = 8

// World is a store that is empty, with two organizations that it may know.
type World struct {
	Store vector.Store
	Orgs  [2]id.UUID
}

// Run runs the suite. setup returns a world of its own for each test.
func Run(t *testing.T, setup func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, World){
		"finds the nearest first":                   finds,
		"replaces and removes":                      replaces,
		"removes groups":                            removesGroups,
		"keeps organizations and models apart":      keepsApart,
		"filters as a plain reading of the filter":  filters,
		"refuses what breaks a limit":               refuses,
		"takes the largest batch and the rarest id": takesLarge,
		"is safe for use at the same time":          concurrent,
		"is ready": func(t *testing.T, w World) {
			if err := w.Store.Ready(t.Context(), Dimension); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Direction is the unit vector at so many degrees between the first two axes.
func Direction(degrees float64) []float32 {
	v := make([]float32, Dimension)
	v[0], v[1] = float32(math.Cos(degrees*math.Pi/180)), float32(math.Sin(degrees*math.Pi/180))
	return v
}

func record(id, group string, degrees float64) vector.Record {
	return vector.Record{ID: group + "/" + id, At: monday, Keywords: map[string][]string{"coach": {"ann"}}, Values: Direction(degrees)}
}

func put(t *testing.T, w World, s vector.Space, records ...vector.Record) {
	t.Helper()
	if err := w.Store.Put(t.Context(), s, records); err != nil {
		t.Fatal(err)
	}
}

// expect looks until a search finds these ids, without their groups, in this order; a fresh store finds them at once.
func expect(t *testing.T, w World, s vector.Space, r vector.Request, ids ...string) []vector.Match {
	t.Helper()
	var found []vector.Match
	look := func() bool {
		var err error
		if found, err = w.Store.Search(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
		return slices.EqualFunc(found, ids, func(m vector.Match, id string) bool { return strings.HasSuffix(m.ID, "/"+id) })
	}
	if w.Store.Fresh() {
		if !look() {
			t.Fatalf("found %+v, want %v", found, ids)
		}
	} else {
		eventually(t, look, fmt.Sprint("a search that finds ", ids))
	}
	return found
}

// eventually waits for what takes a store time.
func eventually(t *testing.T, done func() bool, what string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if !done() {
			return errors.New(what)
		}
		return nil
	})
}

func counts(t *testing.T, w World, s vector.Space, want int) {
	t.Helper()
	n := -1
	look := func() bool {
		var err error
		if n, err = w.Store.Count(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return n == want
	}
	if w.Store.Fresh() {
		if !look() {
			t.Fatalf("%d are counted, want %d", n, want)
		}
	} else {
		eventually(t, look, fmt.Sprintf("%d are counted", want))
	}
}

func near(degrees float64) vector.Request {
	return vector.Request{Vector: Direction(degrees), Nearest: 10}
}

func finds(t *testing.T, w World) {
	s := vector.Space{Org: w.Orgs[0], Model: "m-1"}
	expect(t, w, s, near(0)) // nothing is there, and no space either
	put(t, w, s, record("east", "a", 0), record("north", "a", 90), record("west", "b", 180), record("c-twin", "b", 30), record("b-twin", "c", 30))
	found := expect(t, w, s, near(10), "east", "c-twin", "b-twin", "north", "west")
	for i, want := range []float64{10, 20, 20, 80, 170} {
		if got := found[i].Score; math.Abs(got-math.Cos(want*math.Pi/180)) > 1e-3 {
			t.Errorf("%s: score %f for %f degrees", found[i].ID, got, want)
		}
	}
	if vector.GroupOf(found[1].ID) != "b" || vector.GroupOf(found[2].ID) != "c" {
		t.Errorf("groups of %+v", found)
	}
	few := near(100)
	few.Nearest = 2
	expect(t, w, s, few, "north", "c-twin")
	counts(t, w, s, 5)
}

func replaces(t *testing.T, w World) {
	s := vector.Space{Org: w.Orgs[0], Model: "m-1"}
	put(t, w, s, record("one", "a", 0), record("two", "a", 40), record("three", "b", 80))
	expect(t, w, s, near(0), "one", "two", "three")
	moved := record("one", "a", 90)
	moved.Keywords = map[string][]string{"coach": {"ben"}}
	put(t, w, s, moved)
	expect(t, w, s, near(0), "two", "three", "one")
	bens := near(0)
	bens.Filter = vector.Terms{Field: "coach", Values: []string{"ben"}}
	expect(t, w, s, bens, "one")
	put(t, w, s, moved) // again
	counts(t, w, s, 3)
	if err := w.Store.Delete(t.Context(), s, []string{"a/one", "a/nobody"}); err != nil {
		t.Fatal(err)
	}
	expect(t, w, s, near(0), "two", "three")
	if err := w.Store.DeleteGroup(t.Context(), s, "a"); err != nil {
		t.Fatal(err)
	}
	expect(t, w, s, near(0), "three")
	counts(t, w, s, 1)
	for range 2 { // what is gone can go again
		if err := w.Store.Drop(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, w, s, near(0))
	put(t, w, s, record("anew", "a", 5))
	expect(t, w, s, near(0), "anew")
}

func removesGroups(t *testing.T, w World) {
	s := vector.Space{Org: w.Orgs[0], Model: "m-1"}
	if err := w.Store.DeleteGroup(t.Context(), s, "a"); err != nil { // of no space
		t.Fatal(err)
	}
	var all []vector.Record
	for i := range 300 { // more than services remove at once
		all = append(all, record(fmt.Sprintf("a-%03d", i), "a", float64(i%90)))
	}
	put(t, w, s, append(all, record("other", "aa", 3))...)
	counts(t, w, s, 301)
	if err := w.Store.DeleteGroup(t.Context(), s, "a"); err != nil {
		t.Fatal(err)
	}
	expect(t, w, s, near(0), "other")
	counts(t, w, s, 1)
}

func keepsApart(t *testing.T, w World) {
	one, other := vector.Space{Org: w.Orgs[0], Model: "m-1"}, vector.Space{Org: w.Orgs[1], Model: "m-1"}
	next := vector.Space{Org: w.Orgs[0], Model: "m-2"}
	put(t, w, one, record("same", "g", 0))
	put(t, w, other, record("same", "g", 90), record("mine", "g", 45))
	put(t, w, next, record("same", "g", 45))
	expect(t, w, one, near(0), "same")
	expect(t, w, other, near(0), "mine", "same")
	models := func(org id.UUID, want ...string) {
		t.Helper()
		eventually(t, func() bool {
			got, err := w.Store.Models(t.Context(), org)
			return err == nil && slices.Equal(got, want)
		}, fmt.Sprint("models ", want))
	}
	models(w.Orgs[0], "m-1", "m-2")
	if err := w.Store.DeleteGroup(t.Context(), other, "g"); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.Drop(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	expect(t, w, other, near(0))
	expect(t, w, next, near(0))
	expect(t, w, one, near(0), "same")
	models(w.Orgs[0], "m-1")
}

// filters compares random filters over random records with the plainest reading of a filter.
func filters(t *testing.T, w World) {
	s := vector.Space{Org: w.Orgs[0], Model: "m-1"}
	random := rand.New(rand.NewPCG(7, 7))
	some := func(prefix string, n int) (values []string) {
		for range n {
			if v := fmt.Sprint(prefix, random.IntN(4)); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		return values
	}
	var all []vector.Record
	for i := range 60 {
		r := vector.Record{ID: fmt.Sprintf("g%d/r%02d", random.IntN(4), i), At: monday.AddDate(0, 0, random.IntN(5)), Keywords: map[string][]string{}, Values: Direction(float64(i))}
		for _, field := range []string{"coach", "client", "topic"} {
			if v := some(field, random.IntN(3)); len(v) > 0 { // some have no value at all
				r.Keywords[field] = v
			}
		}
		all = append(all, r)
	}
	put(t, w, s, all...)
	counts(t, w, s, len(all))
	var expr func(depth int) vector.Expr
	expr = func(depth int) vector.Expr {
		switch k := random.IntN(8); {
		case k < 3 || depth > 3:
			field := []string{"coach", "client", "topic", vector.FieldGroup}[random.IntN(4)]
			prefix := field
			if field == vector.FieldGroup {
				prefix = "g"
			}
			return vector.Terms{Field: field, Values: some(prefix, random.IntN(3))}
		case k == 3:
			b := vector.Between{From: monday.AddDate(0, 0, random.IntN(4)), To: monday.AddDate(0, 0, 2+random.IntN(4))}
			if random.IntN(2) == 0 {
				b.To = time.Time{}
			}
			return b
		case k == 4:
			return vector.Not{Of: expr(depth + 1)}
		case k == 5:
			return vector.All{} // everything
		case k == 6:
			return vector.All{expr(depth + 1), expr(depth + 1)}
		default:
			any := vector.Any{}
			for range random.IntN(3) { // of nothing: nothing
				any.Of = append(any.Of, expr(depth+1))
			}
			return any
		}
	}
	for range 80 {
		r := vector.Request{Vector: Direction(0), Nearest: 100, Filter: expr(0)}
		var want []string
		for _, rec := range all { // in the order of their distance
			if holds(r.Filter, rec) {
				want = append(want, rec.ID)
			}
		}
		found, err := w.Store.Search(t.Context(), s, r)
		if err != nil {
			t.Fatalf("%#v: %v", r.Filter, err)
		}
		if !slices.EqualFunc(found, want, func(m vector.Match, id string) bool { return m.ID == id }) {
			t.Fatalf("%#v: found %+v, want %v", r.Filter, found, want)
		}
	}
}

func holds(e vector.Expr, r vector.Record) bool {
	switch e := e.(type) {
	case vector.Terms:
		has := r.Keywords[e.Field]
		if e.Field == vector.FieldGroup {
			has = []string{vector.GroupOf(r.ID)}
		}
		return slices.ContainsFunc(has, func(v string) bool { return slices.Contains(e.Values, v) })
	case vector.Between:
		return !r.At.Before(e.From) && (e.To.IsZero() || r.At.Before(e.To))
	case vector.All:
		return !slices.ContainsFunc(e, func(part vector.Expr) bool { return !holds(part, r) })
	case vector.Any:
		return slices.ContainsFunc(e.Of, func(part vector.Expr) bool { return holds(part, r) })
	case vector.Not:
		return !holds(e.Of, r)
	}
	return e == nil
}

func refuses(t *testing.T, w World) {
	s := vector.Space{Org: w.Orgs[0], Model: "m-1"}
	put(t, w, s, record("there", "g", 0))
	with := func(change func(*vector.Record)) []vector.Record {
		r := record("bad", "g", 0)
		change(&r)
		return []vector.Record{record("good", "g", 0), r}
	}
	many := make([]vector.Record, vector.MaxBatch+1)
	for i := range many {
		many[i] = record(fmt.Sprint("m", i), "g", 0)
	}
	deep := vector.Expr(vector.Terms{Field: "coach"})
	for range 50 {
		deep = vector.Not{Of: deep}
	}
	refused := func(what string, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, records := range map[string][]vector.Record{
		"no id":                  with(func(r *vector.Record) { r.ID = "" }),
		"an id that is no ASCII": with(func(r *vector.Record) { r.ID = "g/é" }),
		"a long id":              with(func(r *vector.Record) { r.ID = "g/" + strings.Repeat("x", vector.MaxCode) }),
		"the same id twice":      with(func(r *vector.Record) { r.ID = "g/good" }),
		"no group":               with(func(r *vector.Record) { r.ID = "/x" }),
		"no values":              with(func(r *vector.Record) { r.Values = nil }),
		"another dimension":      with(func(r *vector.Record) { r.Values = r.Values[:Dimension-1] }),
		"nothing but zeros":      with(func(r *vector.Record) { r.Values = make([]float32, Dimension) }),
		"not a number":           with(func(r *vector.Record) { r.Values[3] = float32(math.NaN()) }),
		"a control character":    with(func(r *vector.Record) { r.Keywords = map[string][]string{"coach": {"a\nb"}} }),
		"a name that is ours":    with(func(r *vector.Record) { r.Keywords = map[string][]string{vector.FieldGroup: {"x"}} }),
		"much to be asked": with(func(r *vector.Record) {
			r.Keywords = map[string][]string{"a": slices.Repeat([]string{strings.Repeat("x", 190)}, 190)}
		}),
		"a large batch":        many,
		"other than the space": {{ID: "g/bad", At: monday, Values: append(Direction(1), 1)}},
	} {
		refused(what, w.Store.Put(t.Context(), s, records))
	}
	for what, r := range map[string]vector.Request{
		"no direction":      {Vector: make([]float32, Dimension), Nearest: 1},
		"no vector":         {Nearest: 1},
		"another dimension": {Vector: append(Direction(1), 1), Nearest: 1},
		"nothing wanted":    {Vector: Direction(0)},
		"too much":          {Vector: Direction(0), Nearest: vector.MaxNearest + 1},
		"a deep filter":     {Vector: Direction(0), Nearest: 1, Filter: deep},
		"a wide filter":     {Vector: Direction(0), Nearest: 1, Filter: vector.All(slices.Repeat([]vector.Expr{vector.All{}}, vector.MaxNodes))},
		"a filter of nil":   {Vector: Direction(0), Nearest: 1, Filter: vector.Not{}},
		"two of several":    {Vector: Direction(0), Nearest: 1, Filter: vector.Any{Of: []vector.Expr{vector.All{}, vector.All{}}, AtLeast: 2}},
		"words":             {Vector: Direction(0), Nearest: 1, Filter: textsearch.Word{Text: "there"}},
		"many values":       {Vector: Direction(0), Nearest: 1, Filter: vector.Terms{Field: "a", Values: make([]string, vector.MaxTerms+1)}},
	} {
		_, err := w.Store.Search(t.Context(), s, r)
		refused(what, err)
	}
	refused("no organization", w.Store.Put(t.Context(), vector.Space{Model: "m"}, []vector.Record{record("x", "g", 0)}))
	refused("many ids", w.Store.Delete(t.Context(), s, make([]string, vector.MaxBatch+1)))
	counts(t, w, s, 1)
	expect(t, w, s, near(0), "there")
}

func takesLarge(t *testing.T, w World) {
	s := vector.Space{Org: w.Orgs[0], Model: "a model/with-1.5"}
	many := make([]vector.Record, vector.MaxBatch)
	for i := range many { // 4 MB of keywords: more than services take at once
		many[i] = record(fmt.Sprintf("m%03d", i), "g", float64(i)/20)
		many[i].Keywords["topic"] = slices.Repeat([]string{strings.Repeat("x", 190)}, 20)
	}
	put(t, w, s, many...)
	counts(t, w, s, len(many))
	r := near(0)
	r.Nearest, r.Filter = 2, vector.Terms{Field: "topic", Values: slices.Repeat([]string{"y"}, 500)}
	expect(t, w, s, r)
	put(t, w, s, vector.Record{ID: "g h/~ !/#", At: monday, Keywords: map[string][]string{"wort": {"Größe 世界 $in"}}, Values: Direction(120)})
	r = near(120)
	r.Filter = vector.Terms{Field: "wort", Values: []string{"Größe 世界 $in"}}
	expect(t, w, s, r, "~ !/#")
	ids := make([]string, 0, len(many))
	for _, m := range many {
		ids = append(ids, m.ID)
	}
	if err := w.Store.Delete(t.Context(), s, ids); err != nil {
		t.Fatal(err)
	}
	counts(t, w, s, 1)
}

func concurrent(t *testing.T, w World) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s := vector.Space{Org: w.Orgs[i%2], Model: "m-1"}
			for round := range 4 {
				if err := w.Store.Put(t.Context(), s, []vector.Record{record(fmt.Sprint(i), "g", float64(i)), record(fmt.Sprint(i, "-", round), fmt.Sprint("g", i), 50)}); err != nil {
					t.Error(err)
				}
				if _, err := w.Store.Search(t.Context(), s, near(0)); err != nil {
					t.Error(err)
				}
				remove := w.Store.DeleteGroup(t.Context(), s, fmt.Sprint("g", i))
				if !w.Store.Fresh() { // what was put just now may not be listed
					remove = w.Store.Delete(t.Context(), s, []string{fmt.Sprint("g", i, "/", i, "-", round)})
				}
				if remove != nil {
					t.Error(remove)
				}
			}
		})
	}
	all.Wait()
	for i, org := range w.Orgs {
		want := []string{"0", "2", "4", "6"}
		if i == 1 {
			want = []string{"1", "3", "5", "7"}
		}
		expect(t, w, vector.Space{Org: org, Model: "m-1"}, near(0), want...)
	}
}

// Random returns so many random records of a dimension, for measuring.
func Random(n, dimension, groups int) []vector.Record {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	all := make([]vector.Record, n)
	for i := range all {
		values, length := make([]float32, dimension), 0.0
		for j := range values {
			values[j] = float32(random.NormFloat64())
			length += float64(values[j]) * float64(values[j])
		}
		for j := range values {
			values[j] /= float32(math.Sqrt(length))
		}
		g := i * groups / max(n, 1)
		all[i] = vector.Record{ID: fmt.Sprintf("g%d/%d", g, i), At: monday.AddDate(0, 0, g), Values: values,
			Keywords: map[string][]string{"coach": {fmt.Sprint("coach", g%20)}, "role": {[]string{"COACH", "CLIENT"}[i%2]}}}
	}
	return all
}
