package coding

import (
	_ "embed"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

//go:embed lexicon/words.txt
var wordsFile string

var sets = parseSets(wordsFile)

var (
	hedges    = sets["hedges"]
	openers   = sets["openers"]
	listening = sets["listening"]
	common    = sets["common"]
)

// parseSets reads words in named groups.
func parseSets(file string) map[string]map[string]bool {
	sets := map[string]map[string]bool{}
	name := ""
	for line := range strings.Lines(file) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "["); ok {
			name = strings.TrimSuffix(head, "]")
			sets[name] = map[string]bool{}
			continue
		}
		for w := range strings.FieldsSeq(line) {
			sets[name][w] = true
		}
	}
	return sets
}

// sentence is made ready for matching.
type sentence struct {
	text  string
	words []string // in the one form that phrases are written in
	start int      // the first word after openers such as "okay, so"
}

func newSentence(text string) sentence {
	s := sentence{text: text, words: wordsOf(text)}
	for s.start < len(s.words)-1 && openers[s.words[s.start]] {
		s.start++
	}
	return s
}

// opens tells whether w is one of the openers, as "so" in "okay, so you want to leave".
func (s *sentence) opens(w string) bool {
	for _, o := range s.words[:s.start] {
		if o == w {
			return true
		}
	}
	return false
}

// wordsOf puts words into the form that phrases are written in: lower case, contractions spelled out ("I'll" is "i",
// "will"), without hedges, fillers, false starts and what a transcriber put in brackets.
func wordsOf(text string) []string {
	words := make([]string, 0, 16)
	add := func(w string) {
		if n := len(words); w != "" && (n == 0 || words[n-1] != w) {
			words = append(words, w)
		}
	}
	for w := range conversation.Words(withoutBrackets(text)) {
		w = strings.ReplaceAll(strings.ToLower(w), "’", "'")
		if head, tail, ok := strings.Cut(w, "-"); ok && strings.HasPrefix(tail, head) {
			w = tail // "th-that", "you-you're"
		}
		// "It is just a drink" plays down; elsewhere "just" is a hedge.
		if hedges[w] && !(w == "just" && len(words) > 0 && words[len(words)-1] == "is") {
			continue
		}
		if known, ok := contractions[w]; ok {
			for part := range strings.FieldsSeq(known) {
				add(part)
			}
			continue
		}
		stem, tail, ok := strings.Cut(w, "'")
		verb, known := endings[tail]
		switch {
		case ok && known:
			add(stem)
			add(verb)
		case ok && tail == "t" && strings.HasSuffix(stem, "n"):
			add(strings.TrimSuffix(stem, "n"))
			add("not")
		default:
			add(w)
		}
	}
	return withoutFillers(words)
}

var contractions = map[string]string{
	"gonna": "going to", "wanna": "want to", "gotta": "got to", "can't": "can not", "cannot": "can not", "won't": "will not", "let's": "let us",
	"dunno": "do not know", "lemme": "let me", "gimme": "give me", "ain't": "is not", "y'know": "you know", "cos": "because", "'cause": "because",
	"it's": "it is", "that's": "that is", "what's": "what is", "there's": "there is", "he's": "he is", "she's": "she is", "here's": "here is",
	"how's": "how is", "where's": "where is", "who's": "who is",
}

var endings = map[string]string{"m": "am", "ll": "will", "ve": "have", "re": "are", "d": "would"}

// withoutBrackets drops "[laughter]" and the like.
func withoutBrackets(text string) string {
	if !strings.Contains(text, "[") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "[")
		_, after, closed := strings.Cut(rest, "]")
		if !ok || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before + " ")
		text = after
	}
}

// withoutFillers drops, in place, "kind of", "sort of", and "you know" where nothing that can be known follows.
func withoutFillers(words []string) []string {
	out := words[:0]
	for i := 0; i < len(words); i++ {
		if i+1 < len(words) {
			switch {
			case words[i+1] == "of" && (words[i] == "kind" || words[i] == "sort"):
				if n := len(out); n == 0 || !namesAKind(out[n-1]) {
					i++
					continue
				}
			case words[i] == "you" && words[i+1] == "know":
				if i+2 == len(words) || !isKnown(words[i+2]) {
					i++
					continue
				}
			}
		}
		out = append(out, words[i])
	}
	return out
}

// namesAKind is for what stands before "kind of" where it is no filler.
func namesAKind(w string) bool {
	switch w {
	case "a", "any", "some", "that", "this", "the", "what", "which", "same":
		return true
	}
	return false
}

// isKnown is for what stands after "you know" where it is no filler.
func isKnown(w string) bool {
	switch w {
	case "what", "how", "that", "who", "where", "why", "when", "if", "whether", "better", "best", "which", "about", "yourself":
		return true
	}
	return false
}

// stem takes off the commonest endings, so that "quitting" echoes "quit". It need not be right, only the same for both.
func stem(w string) string {
	for _, end := range []string{"ing", "ed", "es", "s", "ly", "e"} {
		if s, ok := strings.CutSuffix(w, end); ok && len(s) >= 3 {
			w = s
			break
		}
	}
	if n := len(w); n > 3 && w[n-1] == w[n-2] {
		w = w[:n-1]
	}
	return w
}

// carries tells whether the word carries meaning by itself.
func carries(w string) bool { return len(w) > 2 && !common[w] && !openers[w] }

func isAddress(w string) bool { return w == "you" || w == "your" || w == "yourself" }

func isDigit(w string) bool { return '0' <= w[0] && w[0] <= '9' }
