// Package textsearchtest holds what every textsearch.Index must do, whatever it is made of.
package textsearchtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Schema is what the suite's indexes are made for.
var Schema = textsearch.Schema{
	Texts: []textsearch.Text{{Name: "title", Weight: 2}, {Name: "text", Weight: 1}},
	Keywords: []textsearch.Keyword{
		{Name: "client"}, {Name: "session"}, {Name: "speaker"}, {Name: "tag", Many: true},
	},
}

// Fixture is an empty index of Schema, and two organizations that there are.
type Fixture struct {
	Index     textsearch.Index
	Org, Org2 id.UUID
}

// Run runs the suite. setup is called for each test; the indexes may share a server.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	for name, run := range map[string]func(*testing.T, Fixture){
		"finds words in any case and accents":          findsWords,
		"knows the forms of words by language":         knowsForms,
		"finds phrases":                                findsPhrases,
		"finds beginnings of words":                    findsPrefixes,
		"finds what is spelled nearly so":              findsNearly,
		"finds nothing nearly beside the word itself":  findsNoneNearly,
		"combines conditions":                          combines,
		"looks in one field where that is asked":       looksInOneField,
		"filters":                                      filters,
		"takes many values":                            takesManyValues,
		"keeps organizations apart":                    keepsOrganizationsApart,
		"never replaces newer by older":                neverReplacesNewer,
		"replaces all of a document":                   replacesAll,
		"says which documents it does not take":        rejects,
		"prunes what is older":                         prunes,
		"tells what it holds":                          tellsWhatItHolds,
		"counts values under all other restrictions":   counts,
		"makes histograms":                             makesHistograms,
		"ranks what fits better first":                 ranks,
		"orders by time":                               ordersByTime,
		"turns pages while documents come and go":      turnsPages,
		"finds many at once":                           findsManyAtOnce,
		"refuses cursors that lead nowhere":            refusesCursors,
		"shows where it was found":                     highlights,
		"groups":                                       groups,
		"completes":                                    completes,
		"refuses requests that are none":               refusesRequests,
		"takes any text":                               takesAnyText,
		"is used by many at once":                      isUsedByMany,
		"is made anew while it is used":                isMadeAnew,
		"stays what it is when making it anew fails":   staysWhenRebuildFails,
		"ends with its context":                        endsWithContext,
		"finds nothing in what is empty":               findsNothingInNothing,
		"answers queries of many words in little time": answersLongQueries,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, setup(t))
		})
	}
}

func filters(t *testing.T, f Fixture) {
	day := 24 * time.Hour
	f.put(t,
		doc("a", "word", with("client", "c1"), with("tag", "x", "y"), at(noon)),
		doc("b", "word", with("client", "c2"), with("tag", "y"), at(noon.Add(day)), kind("note")),
		doc("c", "word", with("client", "c1"), at(noon.Add(2*day)), group("g-a")),
		doc("d", "other", with("client", "C1")))
	only := func(filter textsearch.Expr, want ...string) {
		t.Helper()
		f.findsIn(t, textsearch.Request{Query: word("word"), Filter: filter}, want...)
	}
	only(nil, "a", "b", "c")
	only(is("client", "c1"), "a", "c")
	only(is("client", "c1", "c2", "none"), "a", "b", "c")
	only(is("client"))
	only(is("client", "C1"))
	only(is("client", "c"))
	only(is("tag", "x"), "a")
	only(is("tag", "y"), "a", "b")
	only(is("tag", "x", "y"), "a", "b")
	only(textsearch.Not{Of: is("tag", "y")}, "c")
	only(textsearch.Not{Of: is("tag", "x")}, "b", "c")
	only(is(textsearch.FieldID, "a", "d"), "a")
	only(is(textsearch.FieldKind, "note"), "b")
	only(is(textsearch.FieldGroup, "g-a"), "a", "c")
	only(textsearch.Between{From: noon.Add(day)}, "b", "c")
	only(textsearch.Between{To: noon.Add(day)}, "a")
	only(textsearch.Between{From: noon, To: noon.Add(2 * day)}, "a", "b")
	only(textsearch.Between{}, "a", "b", "c")
	only(textsearch.All{is("client", "c1"), textsearch.Any{Of: []textsearch.Expr{is("tag", "x"), textsearch.Between{From: noon.Add(day)}}}}, "a", "c")
	only(textsearch.Any{Of: []textsearch.Expr{is("client", "c1"), is("tag", "y"), is(textsearch.FieldKind, "note")}, AtLeast: 2}, "a", "b")
	only(textsearch.All{}, "a", "b", "c")
	only(textsearch.Any{})
	f.findsIn(t, textsearch.Request{Filter: is("client", "C1")}, "d")
}

func takesManyValues(t *testing.T, f Fixture) {
	f.put(t, doc("a", "word", with("session", "s-19999")), doc("b", "word", with("session", "s-20001")))
	values := make([]string, 20_000)
	for i := range values {
		values[i] = fmt.Sprintf("s-%d", i)
	}
	f.findsIn(t, textsearch.Request{Query: word("word"), Filter: is("session", values...)}, "a")
	f.findsIn(t, textsearch.Request{Query: word("word"), Filter: textsearch.Not{Of: is("session", values...)}}, "b")
}

func keepsOrganizationsApart(t *testing.T, f Fixture) {
	f.put(t, doc("same", "secret alpha", with("client", "mine"), completing("Alpha one")))
	f.putFor(t, f.Org2, doc("same", "secret bravo", with("client", "theirs"), completing("Alpha two"), version(5), group("g-same")), doc("other", "secret"))
	r := textsearch.Request{Query: word("secret"), Size: 10, Total: true, Facets: []textsearch.Facet{{Field: "client", Size: 10}}}
	found := f.search(t, r)
	if len(found.Hits) != 1 || found.Total != 1 || !reflect.DeepEqual(found.Facets["client"], []textsearch.Bucket{{Value: "mine", Count: 1}}) {
		t.Errorf("found %+v", found)
	}
	f.finds(t, word("bravo"))
	got, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: "alpha", Size: 10})
	if err != nil || len(got) != 1 || got[0].Text != "Alpha one" {
		t.Errorf("suggests %+v, %v", got, err)
	}
	f.prune(t, 100, "g-same", "g-other")
	f.finds(t, nil)
	theirs, err := f.Index.Search(t.Context(), f.Org2, r)
	if err != nil || theirs.Total != 2 {
		t.Errorf("pruning reached another organization: %+v, %v", theirs, err)
	}
	if tallies, err := f.Index.Groups(t.Context(), f.Org2, "", 10); err != nil || len(tallies) != 2 {
		t.Errorf("groups of the other: %+v, %v", tallies, err)
	}
}

func neverReplacesNewer(t *testing.T, f Fixture) {
	f.put(t, doc("a", "newer", version(7)))
	f.put(t, doc("a", "older", version(6)))
	f.finds(t, word("newer"), "a")
	f.finds(t, word("older"))
	f.put(t, doc("a", "newest", version(8)))
	f.finds(t, word("newest"), "a")
	f.finds(t, word("newer"))

	// An older one among others holds nobody up.
	f.put(t, doc("a", "older", version(2)), doc("b", "beside"))
	f.finds(t, word("beside"), "b")
	f.finds(t, word("newest"), "a")

	// Whoever comes last of many at once, the newest stays.
	var wg sync.WaitGroup
	for v := range int64(20) {
		wg.Go(func() {
			if err := f.Index.Put(t.Context(), f.Org, []textsearch.Document{doc("c", fmt.Sprintf("version%d", v), version(v+1))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.refresh(t)
	f.finds(t, word("version19"), "c")
}

func replacesAll(t *testing.T, f Fixture) {
	first := doc("a", "before", titled("Headline"), with("tag", "x", "y"), with("client", "c1"), completing("Before"))
	f.put(t, first)
	f.put(t, first) // again, which changes nothing
	f.put(t, doc("a", "after", version(2), kind("note"), at(noon.Add(time.Hour)), group("moved")))
	f.finds(t, word("before"))
	f.finds(t, word("headline"))
	f.finds(t, is("tag", "x"))
	f.finds(t, is("client", "c1"))
	f.finds(t, is(textsearch.FieldKind, "utterance"))
	f.finds(t, textsearch.All{word("after"), is(textsearch.FieldKind, "note"), is(textsearch.FieldGroup, "moved"), textsearch.Between{From: noon.Add(time.Hour)}}, "a")
	if got, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: "bef", Size: 5}); err != nil || len(got) != 0 {
		t.Errorf("still suggests %+v, %v", got, err)
	}
	f.prune(t, 100, "g-a")
	f.finds(t, word("after"), "a")
}

func rejects(t *testing.T, f Fixture) {
	f.put(t, doc("kept", "kept"))
	err := f.Index.Put(t.Context(), f.Org, []textsearch.Document{
		doc("good", "good"),
		doc("bad1", "bad", with("nofield", "x")),
		doc("bad2", "bad", with("client", "two", "values")),
		doc("bad3", strings.Repeat("x", textsearch.MaxText+1)),
		doc("", "bad"),
		doc("bad5", "bad", func(d *textsearch.Document) { d.Texts["notext"] = "x" }),
		doc("bad6", "bad", version(0)),
		doc("bad7", "bad", with("tag", "a\x00b")),
		doc("good2", "good"),
	})
	var rejected *textsearch.Rejected
	if !errors.As(err, &rejected) {
		t.Fatalf("Put: %v", err)
	}
	var got []string
	for _, r := range rejected.Documents {
		got = append(got, r.ID)
		if fault.KindOf(r.Err) != fault.KindInvalid {
			t.Errorf("%q: %v is not INVALID", r.ID, r.Err)
		}
	}
	slices.Sort(got)
	if diff := differ([]string{"", "bad1", "bad2", "bad3", "bad5", "bad6", "bad7"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	f.refresh(t)
	f.finds(t, word("good"), "good", "good2")
	f.finds(t, word("bad"))
	if err := f.Index.Put(t.Context(), f.Org, make([]textsearch.Document, textsearch.MaxBatch+1)); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("too many: %v", err)
	}
	if err := f.Index.Put(t.Context(), f.Org, nil); err != nil {
		t.Errorf("none: %v", err)
	}
}

func prunes(t *testing.T, f Fixture) {
	f.put(t,
		doc("a1", "word", group("a"), version(3)), doc("a2", "word", group("a"), version(4)), doc("a3", "word", group("a"), version(5)),
		doc("b1", "word", group("b"), version(3)), doc("c1", "word", group("c"), version(3)))
	f.prune(t, 4, "a")
	f.finds(t, word("word"), "a2", "a3", "b1", "c1")
	f.prune(t, 100, "b", "c", "nothing there")
	f.finds(t, word("word"), "a2", "a3")
	f.prune(t, 100)
	f.finds(t, word("word"), "a2", "a3")
	f.put(t, doc("b1", "word", group("b"), version(101)))
	f.finds(t, word("word"), "a2", "a3", "b1")
}

func tellsWhatItHolds(t *testing.T, f Fixture) {
	f.put(t, doc("1", "x", group("a"), version(3)), doc("2", "x", group("b"), version(4)), doc("3", "x", group("b"), version(9)), doc("4", "x", group("c"), version(2)))
	f.prune(t, 5, "c")
	all := []textsearch.Tally{{Group: "a", Documents: 1, Oldest: 3, Newest: 3}, {Group: "b", Documents: 2, Oldest: 4, Newest: 9}}
	for after, want := range map[string][]textsearch.Tally{"": all, "a": all[1:], "b": {}} {
		got, err := f.Index.Groups(t.Context(), f.Org, after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := differ(want, append([]textsearch.Tally{}, got...)); diff != "" {
			t.Errorf("after %q: -want +got:\n%s", after, diff)
		}
	}
	if got, err := f.Index.Groups(t.Context(), f.Org, "", 1); err != nil || !reflect.DeepEqual(got, all[:1]) {
		t.Errorf("the first: %+v, %v", got, err)
	}
	full := doc("5", "What is held, \"as it is\": größer\n", group("d"), version(7))
	full.At = full.At.Add(1234567 * time.Microsecond)
	bare := doc("6", "", group("d"), version(7))
	f.put(t, full, bare)
	if got, err := f.Index.Sums(t.Context(), f.Org, "d"); err != nil || !maps.Equal(got, map[string]uint32{full.ID: full.Sum(), bare.ID: bare.Sum()}) {
		t.Errorf("sums: %v, want %d and %d (%v)", got, full.Sum(), bare.Sum(), err)
	}
	if got, err := f.Index.Sums(t.Context(), f.Org2, "d"); err != nil || len(got) > 0 {
		t.Errorf("sums of the other organization: %v, %v", got, err)
	}
}

func isUsedByMany(t *testing.T, f Fixture) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for round := range 5 {
				var docs []textsearch.Document
				for i := range 40 {
					docs = append(docs, doc(fmt.Sprintf("d%d-%d", w, i), fmt.Sprintf("shared words of writer%d", w), version(int64(round+1)), group(fmt.Sprintf("g%d", w)), with("client", "c")))
				}
				if err := f.Index.Put(t.Context(), f.Org, docs); err != nil {
					t.Error(err)
				}
				if err := f.Index.Prune(t.Context(), f.Org, int64(round+1), fmt.Sprintf("g%d", w)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 10 {
				if _, err := f.Index.Search(t.Context(), f.Org, textsearch.Request{Query: word("shared"), Size: 10, Total: true, Facets: []textsearch.Facet{{Field: "client", Size: 3}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f.refresh(t)
	found := f.search(t, textsearch.Request{Query: word("shared"), Total: true})
	if found.Total != 160 {
		t.Errorf("%d are there, want 160", found.Total)
	}
}

func isMadeAnew(t *testing.T, f Fixture) {
	f.put(t, doc("stale", "word of before"), doc("kept", "word of before"))
	err := f.Index.Rebuild(t.Context(), func(ctx context.Context, w textsearch.Writer) error {
		f.finds(t, word("before"), "stale", "kept") // until it is done
		// Somebody writes meanwhile, and what fill knows of it is older.
		f.put(t, doc("meanwhile", "word written meanwhile", version(9)))
		f.finds(t, word("meanwhile"), "meanwhile")
		if err := w.Put(ctx, f.Org, []textsearch.Document{doc("kept", "word of after", version(2)), doc("meanwhile", "word of long ago", version(2))}); err != nil {
			return err
		}
		return w.Put(ctx, f.Org2, []textsearch.Document{doc("theirs", "word")})
	})
	if err != nil {
		t.Fatal(err)
	}
	f.refresh(t)
	f.finds(t, word("word"), "kept", "meanwhile")
	f.finds(t, word("after"), "kept")
	f.finds(t, word("written"), "meanwhile")
	f.put(t, doc("later", "word"))
	f.finds(t, word("word"), "kept", "meanwhile", "later")
	if found, err := f.Index.Search(t.Context(), f.Org2, textsearch.Request{Query: word("word"), Total: true}); err != nil || found.Total != 1 {
		t.Errorf("the other organization: %+v, %v", found, err)
	}
}

func staysWhenRebuildFails(t *testing.T, f Fixture) {
	f.put(t, doc("a", "word"), doc("b", "word"))
	broken := errors.New("broken")
	err := f.Index.Rebuild(t.Context(), func(ctx context.Context, w textsearch.Writer) error {
		f.put(t, doc("c", "word"))
		if err := w.Put(ctx, f.Org, []textsearch.Document{doc("b", "word", version(2))}); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("Rebuild: %v", err)
	}
	f.refresh(t)
	f.finds(t, word("word"), "a", "b", "c")
}

func endsWithContext(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Index.Search(ctx, f.Org, textsearch.Request{Query: word("x"), Size: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("Search: %v", err)
	}
	if err := f.Index.Put(ctx, f.Org, []textsearch.Document{doc("a", "x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if err := f.Index.Prune(ctx, f.Org, 5, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Prune: %v", err)
	}
}

func findsNothingInNothing(t *testing.T, f Fixture) {
	f.finds(t, nil)
	f.finds(t, word("anything"))
	found := f.search(t, textsearch.Request{Query: word("x"), Size: 10, Facets: []textsearch.Facet{{Field: "tag", Size: 3}, {Field: "time", Size: 3, Every: textsearch.Day}}})
	if found.More || len(found.Facets["tag"]) != 0 || len(found.Facets["time"]) != 0 {
		t.Errorf("found %+v", found)
	}
	if got, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: "x", Size: 3}); err != nil || len(got) != 0 {
		t.Errorf("suggests %v, %v", got, err)
	}
	if got, err := f.Index.Groups(t.Context(), f.Org, "", 10); err != nil || len(got) != 0 {
		t.Errorf("groups %v, %v", got, err)
	}
}
