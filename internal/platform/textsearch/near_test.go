package textsearch

import (
	"testing"
	"unicode/utf8"
)

func TestCommonWordsAreShort(t *testing.T) {
	t.Parallel()
	const tolerant = 8 // letters of a word that two may be wrong of
	for _, w := range Common {
		if n := utf8.RuneCountInString(w); Tolerance(n) == 0 || Tolerance(tolerant-1) != 1 || n >= tolerant-Tolerance(tolerant) || w != Fold(w) {
			t.Errorf("%q does not belong here", w)
		}
	}
}
