package seed

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// How unevenly frequent words are: of 30,000 the ten most frequent make a fifth of what is said, and most come a few times in a million.
const (
	vocabulary = 30_000
	exponent   = 1.08
	shift      = 4.0
)

// NewTalk returns words of a number that are as unevenly frequent as those of a language. What is said has no meaning.
func NewTalk(number uint64) *Words {
	w := NewWords(number)
	w.spoken = rand.NewZipf(w.r, exponent, shift, vocabulary-1)
	return w
}

// lexicon are the words, the most frequent first: those of the sentences, and made-up ones.
var lexicon = sync.OnceValue(func() []string {
	var words []string
	seen := map[string]bool{}
	add := func(word string) {
		if word != "" && !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	for _, of := range [][]string{answered, asked, subjects, places, people, verbs, times, feelings} {
		for _, sentence := range of {
			for word := range strings.FieldsSeq(strings.ToLower(sentence)) {
				if !strings.Contains(word, "%") {
					add(strings.Trim(word, `.,?"`))
				}
			}
		}
	}
	heads, middles, tails := strings.Fields("b br c cl d dr f fl g gr h l m n p pl r s st t tr v w"), strings.Fields("a e i o u ai ea ou"), strings.Fields("l m n nd r rm s st t ck")
	r := rand.New(rand.NewPCG(5, 5))
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	for len(words) < vocabulary {
		add(pick(heads) + pick(middles) + pick(tails) + pick(middles) + pick(tails))
	}
	return words
})

func (w *Words) word() string { return lexicon()[w.spoken.Uint64()] }

// talk is what is said in one breath: nine and a half words on average; a fifth of what coaches say is a question.
func (w *Words) talk(coach bool) string {
	words := make([]string, 3+w.r.IntN(14))
	for i := range words {
		words[i] = w.word()
	}
	end := "."
	if coach && w.r.IntN(5) == 0 {
		end = "?"
	}
	return strings.Join(words, " ") + end
}

// Query is what somebody looks for by what she half remembers: two to four different words that were said somewhere, the common ones among them.
func (w *Words) Query() string {
	var words []string
	for n := 2 + w.r.IntN(3); len(words) < n; {
		if word := w.word(); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
