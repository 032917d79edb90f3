package textsearch

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                          nil,
		"…—?!":                      nil,
		"I’d call it NAÏVE!":        {"i'd", "call", "it", "naive"},
		"'quoted' o'Neill's":        {"quoted", "o'neill's"},
		"follow-up and/or e-mail":   {"follow", "up", "and", "or", "e", "mail"},
		"Straße, Ørsted, Łódź, ﬁne": {"strasse", "orsted", "lodz", "fine"},
		"a\x00b\xffc":               {"a", "b", "c"},
		"10:30, 3.5 and ½":          {"10", "30", "3", "5", "and", "12"},
		"e\u0301te\u0301 日本語 ＦＵＬＬ":  {"ete", "日本語", "full"},
		"' ' ''":                    nil,
	} {
		if diff := cmp.Diff(want, Words(text)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("I’d call — it NAÏVE!\x00\xff ﬁ ½")
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, token := range Tokens(text) {
			if token.Start < last || token.End <= token.Start || token.End > len(text) {
				t.Fatalf("%+v after %d", token, last)
			}
			last = token.End
			if token.Word == "" || !utf8.ValidString(token.Word) || strings.ContainsAny(token.Word, " \x00") {
				t.Fatalf("%+v", token)
			}
			if again := Words(token.Word); len(again) != 1 || again[0] != token.Word {
				t.Fatalf("%q is read as %q", token.Word, again)
			}
		}
	})
}
