package conversation

import "strings"

// Line is what the words of one utterance say, read by themselves.
type Line struct {
	Words     int
	Questions int  // sentences that IsQuestion finds
	Asks      bool // the last sentence is one
	Advice    int  // phrases of advice before which the utterance itself does not ask permission
	Permits   bool // it asks permission, or for advice
	Signals   bool // it says no more than that somebody listens
}

// ReadLine reads an utterance as Measure reads a turn that consists of it alone.
func ReadLine(text string) Line {
	t := turn{text: []string{text}, words: CountWords(text)}
	r := reader{unknown: map[string]int32{}, said: make([]int32, len(english.words))}
	r.read(&t, false)
	return Line{Words: t.words, Questions: t.questions, Asks: t.asks, Advice: t.advice, Permits: t.permits, Signals: t.signals()}
}

// ContentWords are the words of a text that say what it is about, in lower case and in their order: neither function words, nor fillers, nor
// what hearers say.
func ContentWords(text string) []string {
	r := reader{unknown: map[string]int32{}, said: make([]int32, len(english.words))}
	var out []string
	for w := range Words(text) {
		if r.word(w).isContent() {
			out = append(out, strings.ToLower(w))
		}
	}
	return out
}
