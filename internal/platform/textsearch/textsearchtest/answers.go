package textsearchtest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

func counts(t *testing.T, f Fixture) {
	f.put(t,
		doc("1", "word", with("client", "c1"), with("tag", "x", "y"), with("speaker", "CLIENT")),
		doc("2", "word", with("client", "c1"), with("tag", "x"), with("speaker", "COACH")),
		doc("3", "word", with("client", "c2"), with("tag", "z"), with("speaker", "CLIENT"), kind("note")),
		doc("4", "other", with("client", "c3"), with("tag", "x")),
		doc("5", "word", with("client", "hidden"), with("tag", "secret")))
	visible := is("client", "c1", "c2", "c3")
	check := func(r textsearch.Request, want map[string][]textsearch.Bucket) {
		t.Helper()
		got := f.search(t, r).Facets
		if diff := differ(want, got); diff != "" {
			t.Errorf("%+v: -want +got:\n%s", r, diff)
		}
	}
	all := []textsearch.Facet{{Field: "client", Size: 10}, {Field: "tag", Size: 10}, {Field: "speaker", Size: 10}, {Field: textsearch.FieldKind, Size: 10}}
	check(textsearch.Request{Query: word("word"), Filter: visible, Facets: all}, map[string][]textsearch.Bucket{
		"client": {{Value: "c1", Count: 2}, {Value: "c2", Count: 1}}, "tag": {{Value: "x", Count: 2}, {Value: "y", Count: 1}, {Value: "z", Count: 1}},
		"speaker": {{Value: "CLIENT", Count: 2}, {Value: "COACH", Count: 1}}, "kind": {{Value: "utterance", Count: 2}, {Value: "note", Count: 1}},
	})
	// Each obeys the restrictions of the others, and not its own.
	narrow := map[string]textsearch.Expr{"client": is("client", "c1"), "tag": is("tag", "x"), "speaker": is("speaker", "CLIENT")}
	r := textsearch.Request{Query: word("word"), Filter: visible, Narrow: narrow, Facets: all}
	check(r, map[string][]textsearch.Bucket{
		"client": {{Value: "c1", Count: 1}}, "tag": {{Value: "x", Count: 1}, {Value: "y", Count: 1}},
		"speaker": {{Value: "CLIENT", Count: 1}, {Value: "COACH", Count: 1}}, "kind": {{Value: "utterance", Count: 1}},
	})
	f.findsIn(t, r, "1")
	// The page does not matter, nor is anything counted that nobody asked for.
	check(textsearch.Request{Query: word("word"), Filter: visible, Facets: []textsearch.Facet{{Field: "tag", Size: 1}}}, map[string][]textsearch.Bucket{"tag": {{Value: "x", Count: 2}}})
	check(textsearch.Request{Query: word("word"), Filter: visible, Facets: []textsearch.Facet{{Field: "tag", Size: 10, Only: []string{"z", "y", "secret"}}}},
		map[string][]textsearch.Bucket{"tag": {{Value: "y", Count: 1}, {Value: "z", Count: 1}}})
	check(textsearch.Request{Query: word("word"), Filter: visible, Facets: []textsearch.Facet{{Field: "tag", Size: 10, Only: []string{}}}}, map[string][]textsearch.Bucket{"tag": {}})
	check(textsearch.Request{Query: word("nowhere"), Filter: visible, Facets: []textsearch.Facet{{Field: "tag", Size: 10}}}, map[string][]textsearch.Bucket{"tag": {}})
}

func makesHistograms(t *testing.T, f Fixture) {
	on := func(year int, month time.Month, day, hour int) func(*textsearch.Document) {
		return at(time.Date(year, month, day, hour, 30, 0, 0, time.UTC))
	}
	f.put(t,
		doc("1", "word", on(2025, 12, 31, 23)), doc("2", "word", on(2026, 1, 1, 0)), doc("3", "word", on(2026, 1, 1, 23)),
		doc("4", "word", on(2026, 1, 5, 0)), doc("5", "word", on(2026, 3, 1, 12)), doc("6", "other", on(2026, 2, 1, 12)))
	for every, want := range map[textsearch.Interval][]textsearch.Bucket{
		textsearch.Day:   {{Value: "2025-12-31", Count: 1}, {Value: "2026-01-01", Count: 2}, {Value: "2026-01-05", Count: 1}, {Value: "2026-03-01", Count: 1}},
		textsearch.Week:  {{Value: "2025-12-29", Count: 3}, {Value: "2026-01-05", Count: 1}, {Value: "2026-02-23", Count: 1}},
		textsearch.Month: {{Value: "2025-12-01", Count: 1}, {Value: "2026-01-01", Count: 3}, {Value: "2026-03-01", Count: 1}},
		textsearch.Year:  {{Value: "2025-01-01", Count: 1}, {Value: "2026-01-01", Count: 4}},
	} {
		got := f.search(t, textsearch.Request{Query: word("word"), Facets: []textsearch.Facet{{Field: textsearch.FieldTime, Size: 10, Every: every}}})
		if diff := differ(want, got.Facets[textsearch.FieldTime]); diff != "" {
			t.Errorf("%s: -want +got:\n%s", every, diff)
		}
	}
	r := textsearch.Request{
		Query: word("word"), Narrow: map[string]textsearch.Expr{textsearch.FieldTime: textsearch.Between{From: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}},
		Facets: []textsearch.Facet{{Field: textsearch.FieldTime, Size: 2, Every: textsearch.Month}},
	}
	if diff := differ([]textsearch.Bucket{{Value: "2026-01-01", Count: 3}, {Value: "2026-03-01", Count: 1}}, f.search(t, r).Facets[textsearch.FieldTime]); diff != "" {
		t.Errorf("the last two: -want +got:\n%s", diff)
	}
	f.findsIn(t, r, "4", "5")
}

func ranks(t *testing.T, f Fixture) {
	f.put(t,
		doc("both", "We spoke of the boundary and of the board."),
		doc("one", "We spoke of the boundary and of the weather."),
		doc("title", "Something else altogether was said here.", titled("The boundary")),
		doc("long", "boundary "+strings.Repeat("and then we went on and on about much else ", 20)))
	var filler []textsearch.Document
	for i := range 30 {
		filler = append(filler, doc(fmt.Sprintf("filler%02d", i), "We spoke of the weather and of the board."))
	}
	f.put(t, filler...)
	first := func(query textsearch.Expr) string {
		t.Helper()
		hits := f.search(t, textsearch.Request{Query: query, Size: 5}).Hits
		if len(hits) == 0 {
			return ""
		}
		if !slices.IsSortedFunc(hits, func(a, b textsearch.Hit) int { return int((b.Score - a.Score) * 1e6) }) || hits[0].Score <= 0 {
			t.Errorf("scores do not fall: %+v", hits)
		}
		return hits[0].ID
	}
	if got := first(textsearch.Any{Of: []textsearch.Expr{textsearch.Word{Text: "boundary", Field: "text"}, textsearch.Word{Text: "board", Field: "text"}}}); got != "both" {
		t.Errorf("what has both words does not come first, but %q", got)
	}
	if got := first(word("boundary")); got != "title" {
		t.Errorf("what has it in the title does not come first, but %q", got)
	}
	// A rare word says more than one that is everywhere.
	hits := f.search(t, textsearch.Request{Query: textsearch.Any{Of: []textsearch.Expr{word("weather"), word("boundary")}}, Size: 4, Filter: textsearch.Not{Of: is("id", "both", "title", "long")}}).Hits
	if len(hits) < 2 || hits[0].ID != "one" {
		t.Errorf("what has both does not come first: %v", names(hits))
	}
	hits = f.search(t, textsearch.Request{Query: textsearch.Any{Of: []textsearch.Expr{word("board"), word("altogether")}}, Size: 2}).Hits
	if len(hits) < 2 || hits[0].ID != "title" {
		t.Errorf("the rare word does not come first: %v", names(hits))
	}
	// What is only filtered is equally good, in the order of ids.
	f.ordered(t, textsearch.Request{Filter: is("id", "one", "both", "long")}, "both", "long", "one")
}

func ordersByTime(t *testing.T, f Fixture) {
	f.put(t,
		doc("b", "word", at(noon)), doc("a", "word", at(noon)), doc("old", "word word", at(noon.Add(-time.Hour))), doc("new", "word", at(noon.Add(time.Hour))))
	f.ordered(t, textsearch.Request{Query: word("word"), Order: textsearch.Newest}, "new", "a", "b", "old")
	f.ordered(t, textsearch.Request{Query: word("word"), Order: textsearch.Oldest}, "old", "a", "b", "new")
	f.ordered(t, textsearch.Request{Order: textsearch.Oldest, Size: 2}, "old", "a")
}

func turnsPages(t *testing.T, f Fixture) {
	for _, order := range []textsearch.Order{textsearch.ByScore, textsearch.Newest, textsearch.Oldest} {
		prefix := strings.ToLower(string(order))
		var docs []textsearch.Document
		for i := range 57 {
			text := "found" + strings.Repeat(" found", i%5) + strings.Repeat(" filler", i%7)
			docs = append(docs, doc(fmt.Sprintf("%s-%02d", prefix, i), text, at(noon.Add(time.Duration(i%9)*time.Hour)), with("client", prefix)))
		}
		f.put(t, docs...)
		r := textsearch.Request{Query: word("found"), Filter: is("client", prefix), Order: order, Size: 57}
		want := names(f.search(t, r).Hits)
		if len(want) != 57 {
			t.Fatalf("%s: %d found", order, len(want))
		}
		once := r
		once.Once = true
		if found := f.search(t, once).Hits; !slices.Equal(names(found), want) || slices.ContainsFunc(found, func(h textsearch.Hit) bool { return h.Cursor != "" }) {
			t.Errorf("%s: without cursors these are found: %+v", order, found)
		}

		// Between any two pages documents come, which change how rare words are, and go.
		r.Size = 10
		removed := map[string]bool{}
		var got []string
		for page := 0; ; page++ {
			found := f.search(t, r)
			for _, h := range found.Hits {
				if slices.Contains(want, h.ID) {
					got = append(got, h.ID)
				}
			}
			if !found.More {
				break
			}
			if len(found.Hits) == 0 || page > 30 {
				t.Fatalf("%s: more, but nothing is there", order)
			}
			r.After = found.Hits[len(found.Hits)-1].Cursor
			var more []textsearch.Document
			for i := range 20 {
				more = append(more, doc(fmt.Sprintf("%s-new-%d-%02d", prefix, page, i), "found found found", with("client", prefix), at(noon.Add(time.Duration(i)*time.Hour))))
			}
			f.put(t, more...)
			if page == 0 {
				gone := want[len(want)-1]
				f.prune(t, 100, "g-"+gone)
				removed[gone] = true
			}
		}
		// What is gone may still be seen, or not.
		keep := func(ids []string) []string {
			return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return removed[id] })
		}
		if diff := differ(keep(want), keep(got)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", order, diff)
		}
	}
	// A cursor from the middle of a page leads on from there, and filters may change.
	hits := f.search(t, textsearch.Request{Query: word("found"), Filter: is("client", "newest"), Order: textsearch.Newest, Size: 10}).Hits
	f.ordered(t, textsearch.Request{
		Query: word("found"), Filter: textsearch.All{is("client", "newest"), textsearch.Not{Of: is("id", hits[5].ID)}}, Order: textsearch.Newest, Size: 4, After: hits[4].Cursor,
	}, names(hits[6:10])...)
}

func findsManyAtOnce(t *testing.T, f Fixture) {
	var docs []textsearch.Document
	for i := range textsearch.MaxSize + 50 {
		docs = append(docs, doc(fmt.Sprintf("m-%03d", i), "many"))
	}
	f.put(t, docs...)
	found := f.search(t, textsearch.Request{Query: word("many"), Size: textsearch.MaxOnce, Once: true})
	if len(found.Hits) != len(docs) || found.More {
		t.Errorf("%d of %d found, more: %t", len(found.Hits), len(docs), found.More)
	}
}

func refusesCursors(t *testing.T, f Fixture) {
	f.put(t, doc("a", "alpha bravo"), doc("b", "alpha bravo"), doc("c", "alpha bravo"))
	cursor := f.search(t, textsearch.Request{Query: word("alpha"), Size: 1}).Hits[0].Cursor
	byTime := f.search(t, textsearch.Request{Query: word("alpha"), Size: 1, Order: textsearch.Newest}).Hits[0].Cursor
	for name, r := range map[string]textsearch.Request{
		"another query": {Query: word("bravo"), After: cursor},
		"another order": {Query: word("alpha"), After: cursor, Order: textsearch.Newest},
		"score by time": {Query: word("alpha"), After: byTime},
		"garbage":       {Query: word("alpha"), After: "x"},
		"more garbage":  {Query: word("alpha"), After: "eyJhIjoxfQ"},
		"cut off":       {Query: word("alpha"), After: cursor[:len(cursor)/2]},
		"control":       {Query: word("alpha"), After: "\x00"},
		"huge":          {Query: word("alpha"), After: strings.Repeat("A", 100_000)},
	} {
		r.Size = 5
		if _, err := f.Index.Search(t.Context(), f.Org, r); !errors.Is(err, textsearch.ErrCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.ordered(t, textsearch.Request{Query: word("alpha"), After: cursor}, "b", "c")
}

func highlights(t *testing.T, f Fixture) {
	long := strings.Repeat("Nothing of interest was said for quite a while. ", 40)
	f.put(t,
		doc("a", "<b>I</b> was delegating & “delegated” \ue000 the <em>tasks</em>", titled("On delegation")),
		doc("b", long+"Then José spoke of the promotion at last. "+long),
		doc("c", "tasks without any title"))
	one := func(query textsearch.Expr, want string) []textsearch.Highlight {
		t.Helper()
		all := f.highlights(t, query, "a", "b", "c", "d")
		if len(all) != 1 || len(all[want]) == 0 {
			t.Fatalf("%+v: marks %+v, want %s", query, all, want)
		}
		return all[want]
	}
	got := one(textsearch.Word{Text: "delegate", Field: "text"}, "a")
	if len(got) != 1 || got[0].Field != "text" {
		t.Fatalf("highlights are %+v", got)
	}
	whole, matches := marks(got)
	if !reflect.DeepEqual(matches, []string{"delegating", "delegated"}) {
		t.Errorf("marks %q", matches)
	}
	if !strings.Contains("<b>I</b> was delegating & “delegated” \ue000 the <em>tasks</em>", whole) || !strings.Contains(whole, "& “delegated”") {
		t.Errorf("the piece is not as the text has it: %q", whole)
	}

	whole, matches = marks(one(textsearch.All{word("jose"), word("promotion")}, "b")[:1])
	if !reflect.DeepEqual(matches, []string{"José", "promotion"}) || len(whole) > 600 || len(whole) < 60 {
		t.Errorf("marks %q in %d bytes", matches, len(whole))
	}
	if _, matches = marks(one(phrase("the promotion at"), "b")[:1]); strings.Join(matches, " ") != "the promotion at" {
		t.Errorf("marks %q of a phrase", matches)
	}
	if _, matches = marks(one(textsearch.All{textsearch.Word{Text: "promo", Prefix: true}, textsearch.Not{Of: word("tasks")}}, "b")); !reflect.DeepEqual(matches, []string{"promotion"}) {
		t.Errorf("marks %q of a prefix", matches)
	}

	// What is only filtered has nothing to show, nor is what nobody named shown, nor what is another organization's.
	if all := f.highlights(t, is("id", "c"), "c"); len(all) != 0 {
		t.Errorf("marks %+v without a word", all)
	}
	if all := f.highlights(t, word("tasks"), "c"); len(all) != 1 || len(all["c"]) != 1 {
		t.Errorf("marks %+v in c", all)
	}
	if all := f.highlights(t, word("tasks")); len(all) != 0 {
		t.Errorf("marks %+v in nothing", all)
	}
	if all, err := f.Index.Highlight(t.Context(), id.New(), word("tasks"), 2, []string{"a", "c"}); err != nil || len(all) != 0 {
		t.Errorf("marks %+v for others, %v", all, err)
	}
	if all, err := f.Index.Highlight(t.Context(), f.Org, word("nothing"), 3, []string{"b"}); err != nil || len(all["b"]) != 3 {
		t.Errorf("marks %d pieces, want 3, %v", len(all["b"]), err)
	}
	for why, of := range map[string]struct {
		most      int
		documents []string
	}{
		"no piece": {0, []string{"a"}}, "too many pieces": {textsearch.MaxPieces + 1, []string{"a"}}, "too many documents": {1, make([]string, textsearch.MaxHighlight+1)},
	} {
		if _, err := f.Index.Highlight(t.Context(), f.Org, word("tasks"), of.most, of.documents); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func groups(t *testing.T, f Fixture) {
	f.put(t,
		doc("a1", "boundary boundary boundary", with("session", "a")), doc("a2", "boundary and much more that was said then", with("session", "a")),
		doc("a3", "boundary and very, very, very much more that was said then, and went on and on and on for long", with("session", "a")),
		doc("b1", "boundary and more", with("session", "b"), with("tag", "x")), doc("none", "boundary"), doc("c1", "weather", with("session", "c")))
	r := textsearch.Request{Query: word("boundary"), GroupBy: "session", PerGroup: 2, Size: 10, Total: true}
	found := f.search(t, r)
	type groupOf struct {
		Key, Best string
		Also      int
	}
	var got []groupOf
	for _, h := range found.Hits {
		got = append(got, groupOf{h.Key, h.ID, len(h.Also)})
		for _, a := range append([]textsearch.Hit{h}, h.Also...) {
			if a.Cursor != "" || a.Score <= 0 || a.Score > h.Score {
				t.Errorf("%+v in the group of %+v", a, h)
			}
		}
	}
	if diff := differ([]groupOf{{"a", "a1", 2}, {"b", "b1", 0}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := differ([]string{"a2", "a3"}, names(found.Hits[0].Also)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if found.More || found.Total != 4 {
		t.Errorf("%d are in groups, and there are more: %t", found.Total, found.More)
	}
	r.Size = 1
	if found = f.search(t, r); len(found.Hits) != 1 || !found.More {
		t.Errorf("of two groups one: %+v", found)
	}
	r.Filter = textsearch.Not{Of: is("session", "a")}
	if found = f.search(t, r); len(found.Hits) != 1 || found.Hits[0].Key != "b" || found.More {
		t.Errorf("the other one: %+v", found)
	}
	r.Filter, r.Narrow = nil, map[string]textsearch.Expr{"tag": is("tag", "x")}
	if found = f.search(t, r); len(found.Hits) != 1 || found.Hits[0].Key != "b" {
		t.Errorf("narrowed: %+v", found)
	}
	r.Narrow, r.PerGroup, r.Size = nil, 0, 10
	if found = f.search(t, r); len(found.Hits) != 2 || len(found.Hits[0].Also) != 0 {
		t.Errorf("the best alone: %+v", found)
	}
}

func completes(t *testing.T, f Fixture) {
	f.put(t,
		doc("1", "", kind("goal"), completing("Delegate more"), with("client", "c1")),
		doc("2", "", kind("insight"), completing("delegate more", "Naming what drains her"), with("client", "c1")),
		doc("3", "", kind("insight"), completing("Décide sooner"), with("client", "c1")),
		doc("4", "", kind("insight"), completing("Deliberate practice"), with("client", "c2")),
		doc("5", "delegated work", with("client", "c1")))
	visible := is("client", "c1")
	suggests := func(prefix string, want ...string) {
		t.Helper()
		found, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: prefix, Filter: visible, Size: 5})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, s := range found {
			got = append(got, strings.ToLower(s.Text))
		}
		if diff := differ(append([]string{}, want...), got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", prefix, diff)
		}
	}
	suggests("de", "delegate more", "décide sooner")
	suggests("DELEG", "delegate more")
	suggests("deci", "décide sooner")
	suggests("sooner", "décide sooner") // any word of it
	suggests("what dr", "naming what drains her")
	suggests("more d")
	suggests("elegate")
	suggests("zzz")
	suggests("%")
	found, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: "dele", Filter: visible, Size: 1})
	if err != nil || len(found) != 1 || found[0].Kind != "goal" {
		t.Errorf("suggests %+v, %v", found, err)
	}
}

func refusesRequests(t *testing.T, f Fixture) {
	var deep textsearch.Expr = word("x")
	for range textsearch.MaxDepth + 1 {
		deep = textsearch.Not{Of: deep}
	}
	many := make(textsearch.All, textsearch.MaxNodes+1)
	for i := range many {
		many[i] = word("x")
	}
	for name, r := range map[string]textsearch.Request{
		"too deep":               {Query: deep},
		"too many":               {Query: many},
		"a word in a filter":     {Filter: word("x")},
		"a word in narrow":       {Narrow: map[string]textsearch.Expr{"client": textsearch.Not{Of: phrase("x")}}},
		"narrow of nothing":      {Narrow: map[string]textsearch.Expr{"nothing": is("client", "x")}},
		"unknown keyword":        {Filter: is("nothing", "x")},
		"a text as a keyword":    {Filter: is("title", "x")},
		"unknown text":           {Query: textsearch.Word{Text: "x", Field: "client"}},
		"a long word":            {Query: word(strings.Repeat("x", textsearch.MaxQueryWord+1))},
		"a hole":                 {Query: textsearch.All{nil}},
		"not of nothing":         {Query: textsearch.Not{}},
		"too large":              {Size: textsearch.MaxSize + 1},
		"too large once":         {Size: textsearch.MaxOnce + 1, Once: true},
		"negative":               {Size: -1},
		"unknown order":          {Order: "RANDOM"},
		"facet of nothing":       {Facets: []textsearch.Facet{{Field: "nothing", Size: 1}}},
		"facet of a text":        {Facets: []textsearch.Facet{{Field: "title", Size: 1}}},
		"facet twice":            {Facets: []textsearch.Facet{{Field: "tag", Size: 1}, {Field: "tag", Size: 1}}},
		"facet without size":     {Facets: []textsearch.Facet{{Field: "tag"}}},
		"time without interval":  {Facets: []textsearch.Facet{{Field: "time", Size: 1}}},
		"interval without time":  {Facets: []textsearch.Facet{{Field: "tag", Size: 1, Every: textsearch.Day}}},
		"groups of many values":  {GroupBy: "tag"},
		"groups in order":        {GroupBy: "session", Order: textsearch.Newest},
		"groups with a cursor":   {GroupBy: "session", After: "x"},
		"groups of unknown":      {GroupBy: "nothing"},
		"an unknown interval":    {Facets: []textsearch.Facet{{Field: "time", Size: 1, Every: "CENTURY"}}},
		"too many terms, deeply": {Filter: textsearch.Not{Of: is("client", make([]string, textsearch.MaxTerms+1)...)}},
	} {
		if _, err := f.Index.Search(t.Context(), f.Org, r); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range []textsearch.SuggestRequest{{Prefix: "x"}, {Prefix: "x", Size: 1000}, {Prefix: "x", Size: 1, Filter: word("x")}, {Prefix: strings.Repeat("x", 1000), Size: 1}} {
		if _, err := f.Index.Suggest(t.Context(), f.Org, r); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
