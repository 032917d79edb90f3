package rules

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// stopwords are English words that say nothing about what a conversation is about, as they come out of tokensOf.
//
//go:embed stopwords.txt
var stopwordList string

var stopwords = func() map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(stopwordList) {
		set[w] = true
	}
	return set
}()

const (
	minMentions = 3
	minTalk     = 8 // utterances; in a shorter conversation everything comes up again
	parts       = 4 // of the conversation; a theme comes up in at least minParts of them
	minParts    = 3
)

// topic is a word or a pair of words and where it was said.
type topic struct {
	words  []string
	places []place // one for each utterance
	parts  int
}

// salience favours what comes up often, throughout, and as a phrase.
func (p topic) salience() float64 {
	s := float64(len(p.places)) * float64(p.parts) / parts
	if len(p.words) > 1 {
		s *= 2
	}
	return s
}

// themes finds what clients come back to: words and pairs that they say in at least three utterances over at least three
// quarters of the conversation. Without roles, what anyone says counts but what the coach says.
func (t *talk) themes() []candidate {
	if len(t.Utterances) < minTalk {
		return nil
	}
	known := slices.ContainsFunc(t.Speakers, func(s conversation.Speaker) bool { return s.Role == conversation.RoleClient })
	topics := map[string]*topic{}
	var order []string // of first mention: keeps the result the same in every run
	mention := func(at place, words ...string) {
		key := strings.Join(words, " ")
		p := topics[key]
		if p == nil {
			p = &topic{words: words}
			topics[key] = p
			order = append(order, key)
		}
		if n := len(p.places); n > 0 && p.places[n-1].s.utterance == at.s.utterance {
			return
		}
		p.places = append(p.places, at)
	}
	for i := range t.sentences {
		s := &t.sentences[i]
		if known && s.role != conversation.RoleClient || s.role == conversation.RoleCoach {
			continue
		}
		previous := ""
		for j := range s.tokens {
			w := t.content(s.tokens[j].word)
			if w != "" {
				mention(place{s, j}, w)
				if previous != "" && previous != w {
					mention(place{s, j - 1}, previous, w)
				}
			}
			previous = w
		}
	}

	var found []*topic
	for _, key := range order {
		p := topics[key]
		p.parts = t.partsOf(p.places)
		if len(p.places) >= minMentions && p.parts >= minParts {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b *topic) int { return cmp.Compare(b.salience(), a.salience()) })
	var out []candidate
	var taken []string
	for _, p := range found {
		if len(out) == maxPerKind {
			break
		}
		if slices.ContainsFunc(p.words, func(w string) bool {
			return slices.ContainsFunc(taken, func(other string) bool { return related(w, other) })
		}) {
			continue
		}
		taken = append(taken, p.words...)
		out = append(out, t.theme(p))
	}
	return out
}

// name is the topic in lower case, unless it is always said with a capital, as names and German nouns are.
func (p topic) name() string {
	for _, at := range p.places {
		tokens := at.s.tokens[at.at : at.at+len(p.words)]
		said := at.s.text[tokens[0].start:tokens[len(tokens)-1].end]
		if r, _ := utf8.DecodeRuneInString(said); !unicode.IsUpper(r) {
			return strings.Join(p.words, " ")
		}
	}
	first := p.places[0]
	last := first.s.tokens[first.at+len(p.words)-1]
	return first.s.text[first.s.tokens[first.at].start:last.end]
}

func (t *talk) theme(p *topic) candidate {
	name := p.name()
	speaker := "The client"
	if p.places[0].s.role != conversation.RoleClient {
		speaker = "The conversation"
	}
	confidence := min(0.75, 0.5+0.03*float64(len(p.places)-minMentions))
	if len(p.words) > 1 {
		confidence += 0.1
	}
	if !english(t.Language) {
		confidence = 0.3 // without a list of the language's function words
	}
	return candidate{topic: name, Finding: insight.Finding{
		Topic: name,
		Kind:  insight.KindTheme, Audience: insight.AudienceBoth,
		Title:      "Comes up again and again: " + name,
		Body:       fmt.Sprintf("%s came back to “%s” in %d utterances, in %d of %d parts of the conversation.", speaker, name, len(p.places), p.parts, parts),
		Confidence: confidence,
		Citations:  cite(telling(p.places)),
	}}
}

// telling prefers the places whose sentences can be understood alone.
func telling(places []place) []place {
	long := slices.Clone(places)
	long = slices.DeleteFunc(long, func(p place) bool { return len(p.s.tokens) < minStatement })
	if len(long) < 2 {
		return places
	}
	return long
}

func (t *talk) partsOf(places []place) int {
	var seen [parts]bool
	n := 0
	for _, p := range places {
		if i := p.s.utterance * parts / len(t.Utterances); !seen[i] {
			seen[i] = true
			n++
		}
	}
	return n
}

// foreignWord is the least length of a theme in a language whose function words are not known.
const foreignWord = 8

// content is the word as a topic, or "" if it says nothing about what is talked about.
func (t *talk) content(w string) string {
	if !english(t.Language) {
		if utf8.RuneCountInString(w) < foreignWord {
			return ""
		}
		return w
	}
	if len(w) < 4 || stopwords[w] || w[0] >= '0' && w[0] <= '9' {
		return ""
	}
	if one := singular(w); !stopwords[one] {
		return one
	}
	return ""
}

// related tells whether two words are most likely forms of one: "smoke" and "smoking".
func related(a, b string) bool {
	shorter := min(len(a), len(b))
	common := 0
	for common < shorter && a[common] == b[common] {
		common++
	}
	return common >= 4 && common >= shorter-1
}

func singular(w string) string {
	switch {
	case len(w) > 5 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 4 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is"):
		return w[:len(w)-1]
	}
	return w
}
