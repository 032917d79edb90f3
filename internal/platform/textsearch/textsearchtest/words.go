package textsearchtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

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
	f.put(t, doc("f", "burnaut burnaut burnaut"))
	f.findsIn(t, textsearch.Request{Query: textsearch.Any{Of: []textsearch.Expr{nearly("burnuot"), nearly("negotation")}}}, "a", "b")
	if got := f.search(t, textsearch.Request{Query: textsearch.Any{Of: []textsearch.Expr{word("form"), nearly("burnot")}}, Size: 10}).Hits; len(got) != 2 || got[0].ID != "d" {
		t.Errorf("the word itself does not come first: %v", names(got))
	}

	for _, is := range []struct{ why, asked, within, id, marked string }{
		{"nothing else stands there", "burnout", "", "f", "burnaut burnaut burnaut"},
		{"in one of several hits", "burnout", "", "b", "burnout"},
		{"a form of the word stands there, too", "negotiation", "finanse", "a", "negotiation"},
	} {
		query := textsearch.Any{Of: []textsearch.Expr{nearly(is.asked)}}
		if is.within != "" {
			query.Of = append(query.Of, nearly(is.within))
		}
		_, marked := marks(f.highlights(t, query, "b", "f", "a")[is.id])
		if strings.Join(marked[:min(len(marked), strings.Count(is.marked, " ")+1)], " ") != is.marked {
			t.Errorf("%s: marks %q", is.why, marked)
		}
	}
}

// Who writes a word that is there means it, and who means another one does not mean "they".
func findsNoneNearly(t *testing.T, f Fixture) {
	f.put(t,
		doc("thu", "We meet on Thursday.", at(noon)), doc("thus", "She is away on Thursdays.", at(noon.Add(time.Hour))), doc("tue", "We meet on Tuesday.", at(noon.Add(2*time.Hour))),
		doc("hope", "Hoping for the best"), doc("home", "At home, that is"), doc("jose", "José agreed"), doc("joss", "a joss stick"),
		doc("they", "They said that them there then, and the rest"), doc("boys", "Boys will be boys"), doc("has", "She has a hat", with("client", "c1")),
		doc("kovalski", "Kovalski", with("client", "mine")), doc("kowalski", "Kowalski", with("client", "theirs")))
	nearly := func(w string) textsearch.Expr { return textsearch.Word{Text: w, Fuzzy: true} }
	for _, w := range []string{"Thursday", "thursdays", "THURSDAY"} {
		f.findsIn(t, textsearch.Request{Query: nearly(w), Order: textsearch.Newest}, "thu", "thus")
	}
	f.finds(t, nearly("hope"), "hope") // in some form
	f.finds(t, nearly("jose"), "jose")
	f.finds(t, nearly("Theo"))
	f.finds(t, nearly("thst"))
	f.finds(t, nearly("tehre"))
	f.finds(t, nearly("hast")) // not "has", nor "hat"
	if !f.Index.Capabilities().Fuzzy {
		return
	}
	f.finds(t, nearly("hoem"), "home")
	f.finds(t, nearly("boss"), "boys") // nobody has said it
	r := textsearch.Request{Query: nearly("boss"), Size: 10, Total: true, Facets: []textsearch.Facet{{Field: "client", Size: 10}}}
	first := f.search(t, r)
	if _, marked := marks(f.highlights(t, first.Query, "boys", "home")["boys"]); len(marked) != 2 {
		t.Errorf("marks %q", marked)
	}
	f.put(t, doc("boss", "My boss", with("client", "c2")))
	second := f.search(t, r)
	if diff := differ([]string{"boss"}, names(second.Hits)); diff != "" || second.Total != 1 || len(second.Facets["client"]) != 1 {
		t.Errorf("beside the word itself: %+v", second)
	}
	if all := f.highlights(t, second.Query, "boss", "boys"); len(all) != 1 || all["boss"] == nil {
		t.Errorf("marks %+v", all)
	}

	// What is not to be seen tells nothing.
	f.findsIn(t, textsearch.Request{Query: nearly("Kowalski"), Filter: is("client", "mine")}, "kovalski")
	f.findsIn(t, textsearch.Request{Query: nearly("Kowalski"), Filter: is("client", "mine", "theirs")}, "kowalski")
	f.findsIn(t, textsearch.Request{Query: nearly("Kowalski"), Narrow: map[string]textsearch.Expr{"client": is("client", "mine")}})

	// A page goes on as it began, whoever says the word meanwhile.
	f.put(t, doc("p1", "plaan"), doc("p2", "plaan"), doc("p3", "plaan"))
	for _, order := range []textsearch.Order{textsearch.ByScore, textsearch.Newest} {
		name := strings.ToLower(string(order))
		page := textsearch.Request{Query: nearly("plaann"), Order: order, Size: 1, Filter: is(textsearch.FieldID, "p1", "p2", "p3", name)}
		page.After = f.search(t, page).Hits[0].Cursor
		f.put(t, doc(name, "plaann", at(noon.Add(-time.Hour))))
		page.Size = 2
		f.ordered(t, page, "p2", "p3")
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
	if got := f.search(t, textsearch.Request{Query: word("anchor"), Total: true, Size: 100}); got.Total != len(hostile) {
		t.Errorf("%d of %d are found", got.Total, len(hostile))
	}
	for _, letter := range []string{"x", "щ", "日"} {
		w := textsearch.Word{Text: strings.Repeat(letter, textsearch.MaxQueryWord), Fuzzy: true}
		if _, err := f.Index.Search(t.Context(), f.Org, textsearch.Request{Query: w, Size: 5}); err != nil {
			t.Errorf("a word of so many %s as may be: %v", letter, err)
		}
	}
	for _, h := range hostile {
		for _, q := range []textsearch.Expr{
			word(h), phrase(h), textsearch.Word{Text: h, Prefix: true}, textsearch.Word{Text: h, Fuzzy: true}, textsearch.Not{Of: word(h)}, is("client", h),
			textsearch.All{word("anchor"), word(h)}, textsearch.Any{Of: []textsearch.Expr{phrase(h), word(h)}, AtLeast: 2}, textsearch.Word{Text: h, Prefix: true, Fuzzy: true, Field: "title"},
		} {
			if _, err := f.Index.Search(t.Context(), f.Org, textsearch.Request{Query: q, Size: 5}); err != nil {
				t.Errorf("%#v: %v", q, err)
			}
			if _, err := f.Index.Highlight(t.Context(), f.Org, q, 1, []string{"d00", "d01", "none"}); err != nil {
				t.Errorf("mark %#v: %v", q, err)
			}
		}
		if _, err := f.Index.Suggest(t.Context(), f.Org, textsearch.SuggestRequest{Prefix: h, Size: 5}); err != nil {
			t.Errorf("suggest %q: %v", h, err)
		}
	}
	f.finds(t, textsearch.All{word("fine"), word("fish")}, fmt.Sprintf("d%02d", slices.Index(hostile, "ﬁne ﬁsh")))
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
