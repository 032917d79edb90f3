package check

import (
	"strings"
	"unicode"
)

// lineBreaks are what Unicode breaks lines at.
const lineBreaks = "\n\v\f\r\u0085\u2028\u2029"

// invisible reports what is there without showing: zero-width spaces, soft hyphens, marks of direction, fillers, tag characters.
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
