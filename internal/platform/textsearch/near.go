package textsearch

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxNearly is how many words of a query near spellings are looked for of.
const maxNearly = 20

// Tolerance is how many letters a word of so many may be spelled otherwise: in a short one every letter counts.
func Tolerance(letters int) int {
	switch {
	case letters < 4:
		return 0
	case letters < 8:
		return 1
	}
	return 2
}

// Common are words, folded, that nobody means who has written another one: they are everywhere, and would be most of what is found. They have at most five
// letters, so that none is spelled nearly as a word that two letters may be wrong of.
var Common = strings.Fields(`about above after again also been being both could does doing done down each else even ever every from have here hers
	into just many more most much must none once only other ours over same shall since some such than that their them then there these they this those
	unto upon very were what when where which while whom whose will with would your yours`)

// Telling says whether a word, folded, can be the near spelling of another one, and have such.
func Telling(word string) bool {
	return Tolerance(utf8.RuneCountInString(word)) > 0 && !slices.Contains(Common, word)
}

// Nearly are the words of a query that near spellings may be looked for of, as it writes them, each once.
func Nearly(e Expr) (all []string) {
	_ = eachWord(e, func(w Word) Word {
		words := Words(w.Text)
		if w.Fuzzy && !w.Prefix && len(words) == 1 && Telling(words[0]) && len(all) < maxNearly && !slices.Contains(all, w.Text) {
			all = append(all, w.Text)
		}
		return w
	})
	return all
}

// OnlyNearly is a query of which near spellings are looked for of these words alone.
func OnlyNearly(e Expr, these []string) Expr {
	return eachWord(e, func(w Word) Word {
		w.Fuzzy = w.Fuzzy && slices.Contains(these, w.Text)
		return w
	})
}

// eachWord is e with its words changed.
func eachWord(e Expr, change func(Word) Word) Expr {
	several := func(of []Expr) []Expr {
		changed := make([]Expr, len(of))
		for i, part := range of {
			changed[i] = eachWord(part, change)
		}
		return changed
	}
	switch e := e.(type) {
	case Word:
		return change(e)
	case All:
		return All(several(e))
	case Any:
		e.Of = several(e.Of)
		return e
	case Not:
		e.Of = eachWord(e.Of, change)
		return e
	}
	return e
}
