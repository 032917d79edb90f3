package conversation

import "strings"

// wording is what a turn's words say about it.
type wording struct {
	questions     int
	open          int   // questions
	asked         []int // for each question, how many words the turn has up to its end
	asks          bool  // the last sentence does
	function      int   // words of any class
	classes       [functionClasses]int
	fillers       int
	advice        int  // phrases before which the turn does not ask permission
	allowedAdvice int  // phrases after it has
	permits       bool // it asks permission, or for advice
	reflects      bool
	content       int // content words, if another speaker's turn came right before
	echoed        int // those that are in that turn
}

// reader reads turns, in order: each knows what was said right before.
type reader struct {
	unknown map[string]int32 // ids of words that the lexicon does not know
	said    []int32          // by word id: the number of the last turn with that word
	turn    int32            // the number of the turn at hand
	words   []word           // of the turn at hand
	buf     []byte
}

// read fills in the wording of turns. A back-channel that is a turn of its own comes between no two turns.
func read(turns []turn) {
	r := reader{unknown: map[string]int32{}, said: make([]int32, len(english.words))}
	before := none
	for i := range turns {
		t := &turns[i]
		t.before = before
		r.turn++
		r.read(t, before != none && turns[before].speaker != t.speaker)
		if t.backchannel {
			r.turn--
			continue
		}
		for _, w := range r.words {
			r.said[w.id] = r.turn
		}
		before = i
	}
}

func (r *reader) read(t *turn, answers bool) {
	t.wording = wording{}
	r.words = r.words[:0]
	for s := range Sentences(strings.Join(t.text, " ")) {
		from := len(r.words)
		for start, end := nextWord(s, 0); start < end; start, end = nextWord(s, end) {
			r.words = append(r.words, r.word(s[start:end]))
		}
		if len(r.words) == from {
			continue
		}
		t.asks = IsQuestion(s)
		if t.asks {
			t.questions++
			t.asked = append(t.asked, len(r.words))
			if opens(s) {
				t.open++
			}
		}
		t.sentence(r.words[from:])
	}
	t.reflects = t.reflects && len(r.words) <= maxReflection
	huh := english.words["huh"].id
	for i, w := range r.words {
		if w.isFunction() {
			t.function++
			for c := range functionClasses {
				if w.in(c) {
					t.classes[c]++
				}
			}
		}
		if w.is(filledPause) && !(i+1 < len(r.words) && r.words[i+1].id == huh) {
			t.fillers++
		}
		if answers && w.isContent() {
			t.content++
			if r.said[w.id] == r.turn-1 {
				t.echoed++
			}
		}
	}
}

// word finds out what is known of a word: in lower case, with plain apostrophes.
func (r *reader) word(text string) word {
	r.buf = r.buf[:0]
	for i := range len(text) {
		c := text[i]
		if c >= 0x80 {
			r.buf = append(r.buf[:0], strings.ReplaceAll(strings.ToLower(text), "’", "'")...)
			break
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		r.buf = append(r.buf, c)
	}
	if w, ok := english.words[string(r.buf)]; ok {
		return w
	}
	id, ok := r.unknown[string(r.buf)]
	if !ok {
		id = int32(len(r.said))
		r.unknown[string(r.buf)] = id
		r.said = append(r.said, 0)
	}
	return word{id: id}
}

const (
	minReflection = 4  // words that a sentence needs to give something back
	maxReflection = 40 // words of a turn, beyond which it is not given back but told
)

// sentence looks for phrases in a sentence, whose words are given.
func (w *wording) sentence(words []word) {
	advised := w.advice + w.allowedAdvice
	asking := 0 // up to where the sentence asks permission
	for i := range words {
		for _, p := range english.opening(words[i]) {
			if p.kind == mirroring || !p.opens(words[i:]) {
				continue
			}
			switch {
			case p.kind == permitting:
				w.permits = true
				asking = i + len(p.words)
			case i < asking || !isAdvice(words, i, len(p.words), w.asks):
			case w.permits:
				w.allowedAdvice++
			default:
				w.advice++
			}
		}
	}
	if w.advice+w.allowedAdvice > advised {
		return
	}
	w.reflects = w.reflects || reflects(words)
}

// reflects tells a statement about the other, or a phrase that opens a reflection, from what asks, presses or informs.
func reflects(words []word) bool {
	for len(words) > 0 && words[0].is(leadIn) {
		words = words[1:]
	}
	if len(words) < minReflection {
		return false
	}
	for _, p := range english.opening(words[0]) {
		if p.kind == mirroring && p.opens(words) {
			return true
		}
	}
	addresses := false
	for i, w := range words[:min(len(words), 6)] {
		if i < 4 && w.is(pressing) {
			return false
		}
		addresses = addresses || w.is(addressing)
	}
	return addresses
}

// isAdvice tells the speaker's own advice, words[at:at+n], from a question about what is needed, from advice against, and
// from what somebody else thinks or said.
func isAdvice(words []word, at, n int, asks bool) bool {
	you, i, why, think := english.words["you"].id, english.words["i"].id, english.words["why"].id, english.words["think"].id
	first := words[at].id
	if asks && first == you {
		return false
	}
	if first == why && at+n < len(words) && words[at+n].is(handingOver) {
		return false
	}
	for back := 1; back <= 4 && back <= at; back++ {
		w := words[at-back]
		if w.is(denying|quoting) || back <= 2 && w.is(recounting) {
			return false
		}
		if back <= 2 && w.id == think && (at == back || words[at-back-1].id != i) {
			return false
		}
	}
	return true
}
