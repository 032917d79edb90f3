package textsearchtest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

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
func (f Fixture) highlights(t *testing.T, query textsearch.Expr, documents ...string) map[string][]textsearch.Highlight {
	t.Helper()
	all, err := f.Index.Highlight(t.Context(), f.Org, query, 2, documents)
	if err != nil {
		t.Fatalf("Highlight: %v", err)
	}
	return all
}

// marks are the words that are marked in pieces, and the pieces as one.
func marks(pieces []textsearch.Highlight) (whole string, words []string) {
	for _, p := range pieces {
		for _, s := range p.Segments {
			whole += s.Text
			if s.Match {
				words = append(words, s.Text)
			}
		}
	}
	return whole, words
}

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
