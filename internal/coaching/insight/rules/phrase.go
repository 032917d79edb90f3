package rules

import (
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// cue is a phrase that speaks for a kind of finding.
type cue struct {
	kind   insight.Kind
	weight float64 // the confidence that the phrase alone is worth
	reason string  // completes "flagged because …"
	words  []string
}

// lexicon finds cues in a sentence; it is keyed by their first words.
type lexicon map[string][]cue

// match is a cue found at a token.
type match struct {
	cue
	at int // the token it begins with
}

func (m match) after() int { return m.at + len(m.words) }

func newLexicon(groups ...[]cue) lexicon {
	l := lexicon{}
	for _, g := range groups {
		for _, c := range g {
			l[c.words[0]] = append(l[c.words[0]], c)
		}
	}
	return l
}

// cues makes a group of phrases with one meaning. Phrases are written as tokens are: contractions spelled out.
func cues(kind insight.Kind, weight float64, reason string, phrases ...string) []cue {
	out := make([]cue, len(phrases))
	for i, p := range phrases {
		out[i] = cue{kind, weight, reason, strings.Fields(p)}
	}
	return out
}

// each calls found for every cue in the sentence, in order.
func (l lexicon) each(s *sentence, found func(match)) {
	for i := range s.tokens {
		for _, c := range l[s.tokens[i].word] {
			if s.has(i, c.words) {
				found(match{c, i})
			}
		}
	}
}

// has tells whether the phrase stands at the token i.
func (s *sentence) has(i int, phrase []string) bool {
	if len(s.tokens)-i < len(phrase) {
		return false
	}
	for j, w := range phrase {
		if s.tokens[i+j].word != w {
			return false
		}
	}
	return true
}

// find returns the first cue in the sentence.
func (l lexicon) find(s *sentence) (match, bool) {
	for i := range s.tokens {
		for _, c := range l[s.tokens[i].word] {
			if s.has(i, c.words) {
				return match{c, i}, true
			}
		}
	}
	return match{}, false
}
