package rules

import (
	"strings"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// sentence is one sentence of one utterance, made ready for matching.
type sentence struct {
	utterance int
	speaker   int
	role      conversation.Role
	text      string // as it stands in the utterance
	tokens    []token
	asks      bool
	quotes    bool // holds a quotation mark: part of it is somebody else's words, or another time's
}

// token is a word in the one form that phrases are written in: lower case, contractions spelled out ("I'll" is "i",
// "will"), British spelling folded. start and end are its bytes in the sentence.
type token struct {
	word       string
	start, end int
}

func newSentence(utterance, speaker int, role conversation.Role, text string) sentence {
	return sentence{
		utterance: utterance, speaker: speaker, role: role, text: text,
		tokens: tokensOf(text),
		asks:   conversation.IsQuestion(text),
		quotes: strings.ContainsAny(text, `"“”`),
	}
}

func tokensOf(text string) []token {
	tokens := make([]token, 0, 24)
	from := 0
	for w := range conversation.Words(text) {
		start := from + strings.Index(text[from:], w)
		from = start + len(w)
		w = strings.ToLower(w)
		if strings.Contains(w, "’") {
			w = strings.ReplaceAll(w, "’", "'")
		}
		if head, tail, ok := strings.Cut(w, "-"); ok && strings.HasPrefix(tail, head) {
			w = tail // a stutter: "th-that"
		}
		if isHedge(w) {
			continue
		}
		for part := range strings.FieldsSeq(spellOut(w)) {
			if n := len(tokens); n > 0 && tokens[n-1].word == part {
				continue // a false start: "I, I"
			}
			tokens = append(tokens, token{part, start, from})
		}
	}
	return tokens
}

// isHedge is for words that may stand in the middle of any phrase without changing what it says.
func isHedge(w string) bool {
	switch w {
	case "um", "uh", "er", "erm", "uhm", "hmm", "just", "really", "actually", "basically", "literally", "honestly",
		"definitely", "totally", "absolutely", "certainly", "truly", "simply", "so", "very", "pretty", "quite":
		return true
	}
	return false
}

// spellOut writes a contraction as its words.
func spellOut(w string) string {
	switch w {
	case "gonna":
		return "going to"
	case "wanna":
		return "want to"
	case "gotta":
		return "got to"
	case "can't", "cannot":
		return "can not"
	case "won't":
		return "will not"
	case "realise", "realised", "realising", "realises":
		return strings.Replace(w, "is", "iz", 1)
	case "burned", "burned-out", "burnt-out":
		return strings.ReplaceAll(strings.Replace(w, "burned", "burnt", 1), "-", " ")
	case "let's":
		return "let us"
	}
	stem, tail, ok := strings.Cut(w, "'")
	if !ok {
		return w
	}
	switch tail {
	case "m":
		return stem + " am"
	case "ll":
		return stem + " will"
	case "ve":
		return stem + " have"
	case "re":
		return stem + " are"
	case "d":
		return stem + " would"
	case "s":
		switch stem {
		case "it", "that", "what", "there", "he", "she", "here", "how", "where":
			return stem + " is"
		}
	case "t":
		if n, ok := strings.CutSuffix(stem, "n"); ok {
			return n + " not"
		}
	}
	return w
}

// before tells whether one of the words stands among the up to `within` tokens before position at.
func (s *sentence) before(at, within int, words func(string) bool) bool {
	for i := max(0, at-within); i < at; i++ {
		if words(s.tokens[i].word) {
			return true
		}
	}
	return false
}

// contains tells whether any token is one of the words.
func (s *sentence) contains(words func(string) bool) bool {
	return s.before(len(s.tokens), len(s.tokens), words)
}

func (s *sentence) word(i int) string {
	if i < 0 || i >= len(s.tokens) {
		return ""
	}
	return s.tokens[i].word
}

// maxQuote is the longest quote in bytes; a longer sentence is cut at word boundaries around what was matched.
const maxQuote = 240

// quote cites the sentence, cut to what stands around the token at if it is long.
func (s *sentence) quote(at int) insight.Quote {
	return insight.Quote{Text: excerpt(s.text, s.tokens[at].start, maxQuote), First: s.utterance, Last: s.utterance}
}

// excerpt cuts text to at most limit bytes, on word boundaries, so that it holds the word that begins at byte focus. A
// third of the room is left for what led up to it.
func excerpt(text string, focus, limit int) string {
	if len(text) <= limit {
		return text
	}
	start := 0
	if focus > limit/3 {
		start = min(focus-limit/3, len(text)-limit)
		if i := strings.IndexByte(text[start:focus], ' '); i >= 0 {
			start += i + 1
		} else {
			start = focus
		}
	}
	end := min(start+limit, len(text))
	if end < len(text) {
		if i := strings.LastIndexByte(text[start:end], ' '); i > 0 {
			end = start + i
		}
		for end > start && !utf8.RuneStart(text[end]) {
			end-- // one word longer than the limit
		}
	}
	return strings.TrimSpace(text[start:end])
}

// headline is the sentence from the token at on, short enough for a title and without the closing mark.
func (s *sentence) headline(at int) string {
	const limit = 72
	text := s.text[s.tokens[at].start:]
	short := strings.TrimRight(excerpt(text, 0, limit), " .,;:!?-—–\"”")
	if len(short) < len(strings.TrimRight(text, " .,;:!?-—–\"”")) {
		short += " …"
	}
	return "“" + short + "”"
}

func isNegation(w string) bool {
	switch w {
	case "not", "never", "no", "nothing", "nobody", "without", "doubt", "hardly", "neither", "nor":
		return true
	}
	return false
}

// isReporting is for verbs that hand on what was said or thought by someone, or at another time.
func isReporting(w string) bool {
	switch w {
	case "said", "says", "say", "saying", "tell", "told", "tells", "telling", "asked", "asks", "asking", "claims", "claimed", "goes",
		"heard", "promised", "thinks", "thought", "wants":
		return true
	}
	return false
}

// reported tells whether what begins at the token at is somebody else's words: "he said …" before it, or "…, she said" at
// the end.
func (s *sentence) reported(at int) bool {
	if s.before(at, at, isReporting) {
		return true
	}
	if !isReporting(s.word(len(s.tokens) - 1)) {
		return false
	}
	switch s.word(len(s.tokens) - 2) {
	case "he", "she", "they":
		return true
	}
	return false
}

func isHypothetical(w string) bool {
	switch w {
	case "if", "unless", "suppose", "supposing", "imagine", "imagining", "whether", "wish", "pretend", "hypothetically", "whatever":
		return true
	}
	return false
}
