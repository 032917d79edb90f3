package check

import (
	"strings"
	"unicode"
)

// lineBreaks are what Unicode breaks lines at.
const lineBreaks = "\n\v\f\r\u0085\u2028\u2029"

// unwanted names the kind of a character that no line of text may hold, and is "" for all others.
//
// A line that people see beside other lines, as a name or a title, must be what it looks like. So it may hold whatever can be seen, in any script,
// and of what cannot be seen only what writing needs:
//
//   - U+200D and U+200C, which join and part letters in Persian, Malayalam and other scripts, and make one emoji of several;
//   - variation selectors, which choose between forms of a character;
//   - U+200E, U+200F and U+061C, which put a sign on its side in right-to-left text.
//
// Refused are control characters; embeddings, overrides and isolates (U+202A to U+202E, U+2066 to U+2069), which show the
// text after them in another order; and everything that is there without showing: zero-width spaces, soft hyphens, fillers,
// tag characters (the price are the flags of England, Scotland and Wales, which are spelled with them).
//
// At the ends, where copying leaves them behind, marks of direction and zero-width spaces are trimmed as spaces are.
func unwanted(r rune) string {
	switch {
	case unicode.IsControl(r):
		return "control"
	case unicode.Is(unicode.Join_Control, r), directionMark(r):
		return ""
	case unicode.Is(unicode.Bidi_Control, r):
		return "text-reordering"
	case invisible(r):
		return "invisible"
	}
	return ""
}

// directionMark reports the marks of direction, which move their neighbours and turn nothing round.
func directionMark(r rune) bool { return r == '\u200e' || r == '\u200f' || r == '\u061c' }

func invisible(r rune) bool {
	return unicode.In(r, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) ||
		unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) ||
		r == '\u2800' // BRAILLE PATTERN BLANK, a symbol by name
}

// Trim removes white space, and what cannot be seen but may stand there by an accident of copying, from both ends. A text
// with nothing to see in it is empty.
func Trim(value string) string {
	value = strings.TrimFunc(value, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune("\u200b\u2060\ufeff", r)
	})
	shows := func(r rune) bool {
		return unicode.IsControl(r) || !invisible(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
	}
	if !strings.ContainsFunc(value, shows) {
		return ""
	}
	return value
}
