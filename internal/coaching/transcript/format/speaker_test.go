package format

import (
	"fmt"
	"strings"
	"testing"
)

// TestNames says of prefixes how many lines of a conversation must begin so before they are names: 1, 2 or 3; 0 is never.
func TestNames(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]int{
		"Ann": 1, "ann": 1, "ANN": 1, "Ann Lee (Coach)": 1, "Ann | Acme": 1, "Lee, Ann": 1, "A. Lee": 1, "Dr. Ann Lee": 1,
		"Ann Lee Jr.": 1, "Ann's iPhone": 1, "ann 🌱": 1, "Ann/Bob": 1, "Ann [Acme]": 1, "[Host] Ann": 1, "ab123": 1, "O'Neil": 1,
		"Mary Ann van der Berg": 1, "Ann and Bob": 1, "House of Work": 1, "Anne-Marie": 1, "Ann_Lee": 1, "ann@acme.example": 1,
		"山田": 1, "Ann \"Annie\" Lee": 1, "Jean-François d’Arc": 1, "Speaker 1": 1, "Team:Ann": 1, "T": 1,

		"3Box": 2, "+1 (415) 555-0100": 2, "14155550100": 2, "🌱": 2, "1": 2, "...": 2,

		"So here is the thing": 3, "The question is": 3, "And then": 3, "Question": 3, "So": 3, "One more thing": 3,
		"Leonardo da vinci": 3, "what I think": 3,

		"Note": 0, "note": 0, "PS": 0, "P.S.": 0, "http": 0, "see https://a.example/b": 0, "10:30 Meeting": 0, "At 10:30": 0,
		"00:01:02 Ann": 0, "[00:03] Ann": 0, "Really? Yes": 0, "Oh no! Well": 0, "All right. Ann": 0, "All good… and": 0,
		"\"speaker\"": 0, "{ a": 0, "<p style": 0, "a = b": 0, "one two three four five six seven": 0,
		strings.Repeat("x", maxNameRunes+1): 0, "x; y": 0,
	} {
		got := 0
		for n := 3; n >= 1; n-- {
			f := newNameFinder()
			for range 10 {
				f.see("Zed: and so on")
			}
			for i := range n {
				f.see(fmt.Sprintf("%s: word %d", prefix, i))
			}
			f.decide()
			if name, words, named := f.split(prefix + ": word"); named {
				got = n
				if name != prefix || words != "word" {
					t.Errorf("%q is split into %q and %q", prefix, name, words)
				}
			}
		}
		if got != want {
			t.Errorf("%q is a name from %d lines on, want %d", prefix, got, want)
		}
	}
}

func TestNamesWithColons(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lines []string
		want  []string // the name that each line is split into
	}{
		{"a later prefix recurs and the first never stands alone",
			[]string{"Acme: Ann: Hi.", "Acme: Bob: Hi.", "Acme: Ann: So.", "Acme: Cy: Ah."},
			[]string{"Acme: Ann", "Acme: Bob", "Acme: Ann", "Acme: Cy"}},
		{"somebody announces twice, but says other things too",
			[]string{"Ann: Rule one: rest.", "Ann: Rule one: I said rest.", "Ann: Good.", "Bob: Yes."},
			[]string{"Ann", "Ann", "Ann", "Bob"}},
		{"announcements that differ",
			[]string{"Ann: First: rest.", "Ann: Second: eat.", "Bob: Yes."},
			[]string{"Ann", "Ann", "Bob"}},
		{"a remark is no part of a name",
			[]string{"Ann: Note: rest.", "Ann: Note: eat.", "Bob: Yes."},
			[]string{"Ann", "Ann", "Bob"}},
		{"no space after the colon",
			[]string{"Acme:Ann: Hi.", "Bob: see http://a.example: there"},
			[]string{"Acme:Ann", "Bob"}},
	} {
		f := newNameFinder()
		for _, l := range test.lines {
			f.see(l)
		}
		f.decide()
		for i, l := range test.lines {
			if got, _, _ := f.split(l); got != test.want[i] {
				t.Errorf("%s: %q is said by %q, want %q", test.name, l, got, test.want[i])
			}
		}
	}
}

// TestFewNamesAreNone: film subtitles with one `The end: …` must not have a person called The end.
func TestFewNamesAreNone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		named, all int
		want       bool
	}{{1, 20, true}, {1, 21, false}, {5, 100, true}, {4, 100, false}} {
		f := newNameFinder()
		for i := range test.all {
			if i < test.named {
				f.see("Ann: Yes.")
			} else {
				f.see("And so on.")
			}
		}
		f.decide()
		if f.some != test.want {
			t.Errorf("%d of %d lines: named %t", test.named, test.all, f.some)
		}
	}
}
