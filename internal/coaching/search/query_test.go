package search

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

func TestQueriesAreReadAsPeopleMeanThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "",
		"burnout":               "burnout",
		"Burnout  WEEKEND":      "burnout weekend",
		`"not enough" time`:     `"not enough" time`,
		"„nicht genug“ zeit":    `"nicht genug" zeit`,
		`say -weekend`:          "say -weekend",
		"say NOT weekend":       "say -weekend",
		"--x":                   "x",
		"-(-x)":                 "x",
		"-(-(a OR b) -c)":       "-(-(a OR b) -c)",
		"-(-(-x))":              "-x",
		"a OR b c":              "a OR b c",
		"a AND b":               "a b",
		"a (b OR c) d":          "a b OR c d",
		"a OR (b c)":            "a OR (b c)",
		"-(a b)":                "-(a b)",
		"procrast*":             "procrast*",
		"p*":                    "p",
		"follow-up":             "follow-up",
		"speaker:client x":      "speaker:client x",
		`client:"Maria Lopez"`:  `client:"Maria Lopez"`,
		"-tag:burnout x":        "-tag:burnout x",
		"TAG:burnout":           "tag:burnout",
		"foo:bar":               "foo bar",
		"10:30":                 "10-30",
		"Müller’s café":         "muller's cafe",
		`"unbalanced quote`:     "unbalanced quote",
		"(a b":                  "(a b)",
		"a) b":                  "a b",
		"OR a OR":               "a",
		"a OR OR b":             "a OR b",
		"after:2026-01 x":       "after:2026-01 x",
		"tag: x":                "x",
		"C++ / c# :-)":          "c c",
		"a\x00b\u202ec":         "a b c",
		"'; DROP TABLE x; --":   "drop table x",
		"(a+)+$ .* [a-z]{1,99}": "a a-z-1-99",
	} {
		p, err := parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := p.text(); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"open`: "not closed", "(a": "not closed", "a)": "closes nothing", "a OR": "nothing on one side", "foo:bar": "no field", "a tag:": "nothing stands after", "a ***": "two letters",
		"a " + strings.Repeat("x", 201): "more than 200 letters",
	} {
		p, err := parse(text)
		if err != nil || len(p.notes) != 1 || !strings.Contains(p.notes[0], want) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
	for text, want := range map[string]string{
		"***": "no word", "-": "no word", `""`: "no word", "()": "no word", "?!": "no word",
		strings.Repeat("x", maxQuery+1): "at most 4000 characters, has 4001", strings.Repeat("tag:x ", 600): "at most 100", "\xff": "UTF-8",
		"x" + strings.Repeat(" (-(a OR b) OR (c", 12): "too many parentheses",
		strings.Repeat("x", 1000):                     "words have at most 200 letters", "client:a client:b client:c client:d client:e coach:a coach:b coach:c coach:d coach:e coach:f": "at most 10 clients and coaches, names 11",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for _, text := range []string{"notes --", strings.Repeat("ö", maxQuery/2-1) + strings.Repeat(" ö", 50), strings.Repeat("client:a coach:b ", 50)} {
		if p, err := parse(text); err != nil || len(p.notes) != 0 && !strings.HasPrefix(text, "ö") {
			t.Errorf("%.20q: %+v, %v", text, p, err)
		}
	}
}

func TestWordsThatMayBeMissing(t *testing.T) {
	t.Parallel()
	w := func(text string) textsearch.Expr {
		return textsearch.Word{Text: text, Fuzzy: utf8.RuneCountInString(text) >= 4}
	}
	for text, want := range map[string]textsearch.Expr{
		"one two":                     textsearch.Any{Of: []textsearch.Expr{w("one"), w("two")}, AtLeast: 2},
		"one two six":                 textsearch.Any{Of: []textsearch.Expr{w("one"), w("two"), w("six")}, AtLeast: 2},
		"what did she say of burnout": textsearch.Any{Of: []textsearch.Expr{w("say"), w("burnout")}, AtLeast: 2},
		"who is it":                   textsearch.Any{Of: []textsearch.Expr{w("who"), w("is"), w("it")}, AtLeast: 2},
		"one -two":                    textsearch.All{textsearch.Not{Of: w("two")}, textsearch.Any{Of: []textsearch.Expr{w("one")}, AtLeast: 1}},
		"three -(four OR five)": textsearch.All{
			textsearch.Not{Of: textsearch.Any{Of: []textsearch.Expr{textsearch.Word{Text: "four"}, textsearch.Word{Text: "five"}}}}, textsearch.Any{Of: []textsearch.Expr{w("three")}, AtLeast: 1},
		},
		`"a b"`: textsearch.Phrase{Text: "a b"},
	} {
		p, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.root.expr(nil)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

// Whatever somebody types is read in little time, makes what an index takes, and is read the same when it is typed as it was read.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`a "b c" -d OR (e f*) tag:"x y" after:2026`, `"`, "((((((((((((((", "-----", "-(-a)", "a -(b -(c -(d -(e -(f -(g -(h -(i", "x (-(a OR b) OR (c (-(a OR b) OR (c (-(a OR b) OR (c (-(a OR b) OR (c (-(a OR b) OR (c", "a:b:c", "“x”", "OR OR", "+a -b", strings.Repeat("a/", 150)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		p, err := parse(text)
		if err != nil {
			return
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("took %s", took)
		}
		resolved := map[*queryNode]textsearch.Expr{}
		for _, c := range p.conditions() {
			resolved[c] = textsearch.Terms{Field: fieldTag, Values: []string{"x"}}
		}
		if err := Schema.CheckRequest(textsearch.Request{Query: p.root.expr(resolved)}); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !utf8.ValidString(p.text()) {
			t.Fatalf("%q is read as %q", text, p.text())
		}
		again, err := parse(p.text())
		if err != nil || again.text() != p.text() {
			t.Fatalf("%q is read as %q, and that as %v, %v", text, p.text(), again, err)
		}
	})
}
