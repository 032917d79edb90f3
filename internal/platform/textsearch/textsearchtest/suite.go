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

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// doc is a document of English text with defaults for what the test does not care about.
func doc(name, text string, change ...func(*textsearch.Document)) textsearch.Document {
	d := textsearch.Document{
		ID: name, Kind: "utterance", Group: "g-" + name, Version: 1, Language: "en", At: noon,
		Texts: map[string]string{"text": text},
	}
	for _, c := range change {
		c(&d)
	}
	return d
}

func with(field string, values ...string) func(*textsearch.Document) {
	return func(d *textsearch.Document) {
		if d.Keywords == nil {
			d.Keywords = map[string][]string{}
		}
		d.Keywords[field] = values
	}
}

func titled(title string) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.Texts["title"] = title }
}

func at(when time.Time) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.At = when }
}

func in(language string) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.Language = language }
}

func kind(k string) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.Kind = k }
}

func group(g string) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.Group = g }
}

func version(v int64) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.Version = v }
}

func completing(texts ...string) func(*textsearch.Document) {
	return func(d *textsearch.Document) { d.Complete = texts }
}

func word(text string) textsearch.Expr   { return textsearch.Word{Text: text} }
func phrase(text string) textsearch.Expr { return textsearch.Phrase{Text: text} }
func is(field string, values ...string) textsearch.Expr {
	return textsearch.Terms{Field: field, Values: values}
}

// put writes documents and waits until they can be found.
func (f Fixture) put(t *testing.T, docs ...textsearch.Document) {
	t.Helper()
	f.putFor(t, f.Org, docs...)
}

func (f Fixture) putFor(t *testing.T, org id.UUID, docs ...textsearch.Document) {
	t.Helper()
	for part := range slices.Chunk(docs, textsearch.MaxBatch) {
		if err := f.Index.Put(t.Context(), org, part); err != nil {
			t.Fatal(err)
		}
	}
	f.refresh(t)
}

func (f Fixture) prune(t *testing.T, before int64, groups ...string) {
	t.Helper()
	if err := f.Index.Prune(t.Context(), f.Org, before, groups...); err != nil {
		t.Fatal(err)
	}
	f.refresh(t)
}

func (f Fixture) refresh(t *testing.T) {
	t.Helper()
	if err := f.Index.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (f Fixture) search(t *testing.T, r textsearch.Request) textsearch.Result {
	t.Helper()
	found, err := f.Index.Search(t.Context(), f.Org, r)
	if err != nil {
		t.Fatalf("Search: %v", err)
	}
	return found
}

// differ says how got is not what is wanted, "" if it is.
func differ(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return fmt.Sprintf("-%+v\n+%+v", want, got)
}

func names(hits []textsearch.Hit) []string {
	found := []string{}
	for _, h := range hits {
		found = append(found, h.ID)
	}
	return found
}

// finds checks what is found, in any order, and that it is counted.
func (f Fixture) finds(t *testing.T, query textsearch.Expr, want ...string) {
	t.Helper()
	f.findsIn(t, textsearch.Request{Query: query}, want...)
}

func (f Fixture) findsIn(t *testing.T, r textsearch.Request, want ...string) {
	t.Helper()
	r.Size, r.Total = textsearch.MaxSize, true
	found := f.search(t, r)
	got := names(found.Hits)
	slices.Sort(got)
	slices.Sort(want)
	if diff := differ(append([]string{}, want...), got); diff != "" {
		t.Errorf("%+v: -want +got:\n%s", r, diff)
	}
	if found.Total != len(want) {
		t.Errorf("%+v: total is %d, want %d", r, found.Total, len(want))
	}
}

// ordered checks what is found, in this order.
func (f Fixture) ordered(t *testing.T, r textsearch.Request, want ...string) {
	t.Helper()
	if r.Size == 0 {
		r.Size = textsearch.MaxSize
	}
	if diff := differ(append([]string{}, want...), names(f.search(t, r).Hits)); diff != "" {
		t.Errorf("%+v: -want +got:\n%s", r, diff)
	}
}

func findsWords(t *testing.T, f Fixture) {
	f.put(t,
		doc("a", "I was so tired, and José noticed."),
		doc("b", "A NAÏVE plan — I’d call it naive!"),
		doc("c", "We talked about the follow-up with Ms. O'Neill.", titled("Résumé")),
		doc("d", "Straße und Gemüse", in("de")))
	f.finds(t, word("tired"), "a")
	f.finds(t, word("TIRED"), "a")
	f.finds(t, word("jose"), "a")
	f.finds(t, word("JOSÉ"), "a")
	f.finds(t, word("naive"), "b")
	f.finds(t, word("naïve"), "b")
	f.finds(t, word("I'd"), "b")
	f.finds(t, word("I’d"), "b")
	f.finds(t, word("o'neill"), "c")
	f.finds(t, word("resume"), "c")
	f.finds(t, word("follow-up"), "c")
	f.finds(t, word("follow"), "c")
	f.finds(t, word("strasse"), "d")
	f.finds(t, word("gemuse"), "d")
	f.finds(t, word("tire"), "a") // a form of the same word
	f.finds(t, word("exhausted"))
	f.finds(t, word("tir")) // no word of these
}

func knowsForms(t *testing.T, f Fixture) {
	f.put(t,
		doc("en", "She keeps delegating decisions."),
		doc("de", "Sie trifft Entscheidungen und delegierte Aufgaben.", in("de-AT")),
		doc("none", "delegating decisions", in("tlh")),
		doc("unknown", "keeps decisions", in("")))
	languages := f.Index.Capabilities().Languages
	if !slices.Contains(languages, "en") || !slices.IsSorted(languages) {
		t.Fatalf("languages are %q: English is everybody's, and the list is sorted", languages)
	}
	f.finds(t, word("delegate"), "en")
	f.finds(t, word("delegated"), "en")
	f.finds(t, word("delegating"), "en", "none")
	f.finds(t, word("decision"), "en")
	f.finds(t, word("decisions"), "en", "none", "unknown")
	if slices.Contains(languages, "de") {
		f.finds(t, word("Entscheidung"), "de")
		f.finds(t, word("Aufgabe"), "de")
	}
	f.finds(t, word("Entscheidungen"), "de")
}

func findsPhrases(t *testing.T, f Fixture) {
	f.put(t,
		doc("a", "To be or not to be, that is the question."),
		doc("b", "The question is that it is not easy to be here."),
		doc("c", "I will ask my manager for help", titled("A new plan")),
		doc("d", "My help: ask for manager"))
	f.finds(t, phrase("to be or not to be"), "a")
	f.finds(t, phrase("that is the question"), "a")
	f.finds(t, phrase("To Be"), "a", "b")
	f.finds(t, phrase("ask my manager"), "c")
	f.finds(t, phrase("asked my managers"), "c") // in some form
	f.finds(t, phrase("manager ask"))
	f.finds(t, phrase("plan I will")) // not across fields
	f.finds(t, phrase("help"), "c", "d")
	f.finds(t, word("the"), "a", "b") // no word is too common to be looked for
}

func findsPrefixes(t *testing.T, f Fixture) {
	f.put(t,
		doc("a", "procrastination again"), doc("b", "she procrastinates"), doc("c", "the pro and the con"),
		doc("d", "Überforderung im Team", in("de")))
	prefix := func(p string) textsearch.Expr { return textsearch.Word{Text: p, Prefix: true} }
	f.finds(t, prefix("procrast"), "a", "b")
	f.finds(t, prefix("procrastination"), "a")
	f.finds(t, prefix("PROCRASTINATI"), "a")
	f.finds(t, prefix("pro"), "a", "b", "c")
	f.finds(t, prefix("uberford"), "d")
	f.finds(t, prefix("crast"))
	f.finds(t, word("procrast"))
}

func findsNearly(t *testing.T, f Fixture) {
	f.put(t, doc("a", "the negotiation with finance"), doc("b", "burnout"), doc("c", "nation"))
	nearly := func(w string) textsearch.Expr { return textsearch.Word{Text: w, Fuzzy: true} }
	f.finds(t, nearly("negotiation"), "a")
	if !f.Index.Capabilities().Fuzzy {
		f.finds(t, nearly("negotation"))
		return
	}
	f.finds(t, nearly("negotation"), "a")
	f.finds(t, nearly("negotiatoin"), "a")
	f.finds(t, nearly("burnuot"), "b")
	f.finds(t, nearly("brunout"), "b")
	f.finds(t, nearly("cat")) // in a short word every letter counts
	f.finds(t, word("negotation"))

	f.put(t, doc("d", "form"), doc("e", "from one to another, and so on and on and on"))
	f.ordered(t, textsearch.Request{Query: nearly("burnout")}, "b")
	f.put(t, doc("f", "burnaut burnaut burnaut"))
	if got := f.search(t, textsearch.Request{Query: nearly("burnout"), Size: 10}).Hits; len(got) < 2 || got[0].ID != "b" {
		t.Errorf("the word itself does not come first: %v", names(got))
	}
}

func combines(t *testing.T, f Fixture) {
	f.put(t,
		doc("ab", "alpha bravo"), doc("bc", "bravo charlie"), doc("ac", "alpha charlie", kind("note")), doc("abc", "alpha bravo charlie"), doc("d", "delta"))
	a, b, c := word("alpha"), word("bravo"), word("charlie")
	f.finds(t, nil, "ab", "bc", "ac", "abc", "d")
	f.finds(t, textsearch.All{}, "ab", "bc", "ac", "abc", "d")
	f.finds(t, textsearch.Any{})
	f.finds(t, textsearch.All{a, b}, "ab", "abc")
	f.finds(t, textsearch.Any{Of: []textsearch.Expr{a, b}}, "ab", "bc", "ac", "abc")
	f.finds(t, textsearch.Any{Of: []textsearch.Expr{a, b, c}, AtLeast: 2}, "ab", "bc", "ac", "abc")
	f.finds(t, textsearch.Any{Of: []textsearch.Expr{a, b, c}, AtLeast: 3}, "abc")
	f.finds(t, textsearch.Any{Of: []textsearch.Expr{a, b}, AtLeast: 3})
	f.finds(t, textsearch.All{a, textsearch.Not{Of: b}}, "ac")
	f.finds(t, textsearch.Not{Of: a}, "bc", "d")
	f.finds(t, textsearch.Not{Of: textsearch.Any{Of: []textsearch.Expr{a, b}}}, "d")
	f.finds(t, textsearch.All{textsearch.Any{Of: []textsearch.Expr{a, word("delta")}}, textsearch.Not{Of: textsearch.All{b, c}}}, "ab", "ac", "d")
	f.finds(t, textsearch.Not{Of: textsearch.Not{Of: a}}, "ab", "ac", "abc")
	f.finds(t, textsearch.All{a, is(textsearch.FieldKind, "note")}, "ac")
	f.finds(t, textsearch.Any{Of: []textsearch.Expr{is(textsearch.FieldKind, "note"), word("delta")}}, "ac", "d")
	f.finds(t, textsearch.All{a, textsearch.Not{Of: phrase("alpha charlie")}}, "ab", "abc")
	// What is no word is as if it were left out.
	f.finds(t, textsearch.All{a, word("…"), phrase("?!")}, "ab", "ac", "abc")
	f.finds(t, textsearch.Any{Of: []textsearch.Expr{word("delta"), word("--")}}, "d")
	f.finds(t, word("!!!"), "ab", "bc", "ac", "abc", "d")
}

func looksInOneField(t *testing.T, f Fixture) {
	f.put(t, doc("a", "promotion"), doc("b", "something", titled("Promotion and what else")))
	f.finds(t, word("promotion"), "a", "b")
	f.finds(t, textsearch.Word{Text: "promotion", Field: "title"}, "b")
	f.finds(t, textsearch.Word{Text: "promot", Field: "text", Prefix: true}, "a")
	f.finds(t, textsearch.Phrase{Text: "what else", Field: "title"}, "b")
	f.finds(t, textsearch.Phrase{Text: "what else", Field: "text"})
	// All of the words need not be in one field.
	f.finds(t, textsearch.All{word("something"), word("promotion")}, "b")
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
	marked := func(h textsearch.Highlight) (whole string, matches []string) {
		for _, s := range h.Segments {
			whole += s.Text
			if s.Match {
				matches = append(matches, s.Text)
			}
		}
		return whole, matches
	}
	one := func(query textsearch.Expr, want string) []textsearch.Highlight {
		t.Helper()
		hits := f.search(t, textsearch.Request{Query: query, Size: 5, Highlights: 2}).Hits
		if len(hits) != 1 || hits[0].ID != want {
			t.Fatalf("%+v: found %v, want %s", query, names(hits), want)
		}
		return hits[0].Highlights
	}
	got := one(textsearch.Word{Text: "delegate", Field: "text"}, "a")
	if len(got) != 1 || got[0].Field != "text" {
		t.Fatalf("highlights are %+v", got)
	}
	whole, matches := marked(got[0])
	if !reflect.DeepEqual(matches, []string{"delegating", "delegated"}) {
		t.Errorf("marks %q", matches)
	}
	if !strings.Contains("<b>I</b> was delegating & “delegated” \ue000 the <em>tasks</em>", whole) || !strings.Contains(whole, "& “delegated”") {
		t.Errorf("the piece is not as the text has it: %q", whole)
	}

	got = one(textsearch.All{word("jose"), word("promotion")}, "b")
	whole, matches = marked(got[0])
	if !reflect.DeepEqual(matches, []string{"José", "promotion"}) || len(whole) > 600 || len(whole) < 60 {
		t.Errorf("marks %q in %d bytes", matches, len(whole))
	}
	got = one(phrase("the promotion at"), "b")
	if _, matches = marked(got[0]); strings.Join(matches, " ") != "the promotion at" {
		t.Errorf("marks %q of a phrase", matches)
	}
	if got = one(textsearch.All{textsearch.Word{Text: "promo", Prefix: true}, textsearch.Not{Of: word("tasks")}}, "b"); len(got) == 0 {
		t.Fatal("no highlight of a prefix")
	}
	if _, matches = marked(got[0]); !reflect.DeepEqual(matches, []string{"promotion"}) {
		t.Errorf("marks %q of a prefix", matches)
	}
	// What is only filtered has nothing to show, nor does who asks for none get any.
	for _, r := range []textsearch.Request{{Filter: is("id", "c"), Highlights: 2}, {Query: word("tasks")}} {
		r.Size = 5
		for _, h := range f.search(t, r).Hits {
			if len(h.Highlights) != 0 {
				t.Errorf("%+v: highlights are %+v", r, h.Highlights)
			}
		}
	}
}

func groups(t *testing.T, f Fixture) {
	f.put(t,
		doc("a1", "boundary boundary boundary", with("session", "a")), doc("a2", "boundary and much more that was said then", with("session", "a")),
		doc("a3", "boundary and very, very, very much more that was said then, and went on and on and on for long", with("session", "a")),
		doc("b1", "boundary and more", with("session", "b"), with("tag", "x")), doc("none", "boundary"), doc("c1", "weather", with("session", "c")))
	r := textsearch.Request{Query: word("boundary"), GroupBy: "session", PerGroup: 2, Size: 10, Total: true, Highlights: 1}
	found := f.search(t, r)
	type groupOf struct {
		Key, Best string
		Also      int
	}
	var got []groupOf
	for _, h := range found.Hits {
		got = append(got, groupOf{h.Key, h.ID, len(h.Also)})
		for _, a := range append([]textsearch.Hit{h}, h.Also...) {
			if a.Cursor != "" || a.Score <= 0 || a.Score > h.Score || len(a.Highlights) != 1 {
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
	if found.More {
		t.Error("there are more groups")
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

// hostile are texts that have a meaning to somebody.
var hostile = []string{
	"\x00", "a\x00b", "'; DROP TABLE x; --", `a & b | !c <-> (d:*)`, `"`, `'`, `\`, `\u0000`, "*", "?", "~", "^", "a:b", "(((", ")))", "{", "/.*/", "[a-z]+", "%", "_",
	"\xff\xfe", "\u202e\u2066x", "👩‍👩‍👧 🇩🇪", strings.Repeat("a", 190), "AND OR NOT", "+ -", "&& ||", "<script>", "a'b''c", ":*", "<->", "日本語のテキスト", "ﬁne ﬁsh", "ё й",
}

func takesAnyText(t *testing.T, f Fixture) {
	var docs []textsearch.Document
	for i, h := range hostile {
		docs = append(docs, doc(fmt.Sprintf("d%02d", i), "anchor "+h, titled(h), completing(strings.ToValidUTF8(h, "")), with("client", "c"+strings.ToValidUTF8(strings.ReplaceAll(h, "\x00", ""), ""))))
	}
	docs = append(docs, doc("long", strings.Repeat("x", textsearch.MaxText)), doc("words", strings.Repeat("lorem ipsum ", textsearch.MaxText/12)))
	f.put(t, docs...)
	if got := f.search(t, textsearch.Request{Query: word("anchor"), Total: true, Size: 100, Highlights: 3}); got.Total != len(hostile) {
		t.Errorf("%d of %d are found", got.Total, len(hostile))
	}
	for _, h := range hostile {
		for _, q := range []textsearch.Expr{
			word(h), phrase(h), textsearch.Word{Text: h, Prefix: true}, textsearch.Word{Text: h, Fuzzy: true}, textsearch.Not{Of: word(h)}, is("client", h),
			textsearch.All{word("anchor"), word(h)}, textsearch.Any{Of: []textsearch.Expr{phrase(h), word(h)}, AtLeast: 2}, textsearch.Word{Text: h, Prefix: true, Fuzzy: true, Field: "title"},
		} {
			if _, err := f.Index.Search(t.Context(), f.Org, textsearch.Request{Query: q, Size: 5, Highlights: 1}); err != nil {
				t.Errorf("%#v: %v", q, err)
			}
		}
		if _, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: h, Size: 5}); err != nil {
			t.Errorf("suggest %q: %v", h, err)
		}
	}
	f.finds(t, textsearch.All{word("fine"), word("fish")}, fmt.Sprintf("d%02d", slices.Index(hostile, "ﬁne ﬁsh")))
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

func answersLongQueries(t *testing.T, f Fixture) {
	var docs []textsearch.Document
	for i := range 500 {
		docs = append(docs, doc(fmt.Sprintf("d%03d", i), fmt.Sprintf("common words and word%d beside word%d", i, i+1)))
	}
	f.put(t, docs...)
	var of []textsearch.Expr
	for i := range 200 {
		of = append(of, word(fmt.Sprintf("word%d", i)), textsearch.Word{Text: fmt.Sprintf("wor%d", i), Fuzzy: true})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // on a busy machine; without a bound it is hours
	defer cancel()
	for _, least := range []int{1, 2, 100} {
		if _, err := f.Index.Search(ctx, f.Org, textsearch.Request{Query: textsearch.Any{Of: of, AtLeast: least}, Size: 10, Total: true}); err != nil {
			t.Errorf("at least %d: %v", least, err)
		}
	}
}
