package insight

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"unicode"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
)

// found is a quote that stands in the transcript.
type found struct {
	text        string // verbatim
	normalized  string
	first, last int // the utterances it does stand in
	startMs     *int64
	endMs       *int64
}

// Stands tells whether a quote stands in the utterances it cites, as each quote of a finding must. White space, case and
// the shape of quotation marks, apostrophes and dashes do not matter; words do, and a quote does not begin or end inside a
// word.
func Stands(utterances []conversation.Utterance, q Quote) bool {
	_, _, _, ok := locate(utterances, q)
	return ok
}

// locate finds where a quote stands: its first and last character, and itself as quotes are compared.
func locate(utterances []conversation.Utterance, q Quote) (from, to place, normalized string, ok bool) {
	if q.First < 0 || q.Last < q.First || q.Last >= len(utterances) {
		return from, to, "", false
	}
	var hay folded
	for i := q.First; i <= q.Last; i++ {
		hay.add(i, utterances[i].Text)
	}
	var needle folded
	needle.add(0, q.Text)
	if len(needle.runes) == 0 {
		return from, to, "", false
	}
	at := hay.index(needle.runes)
	if at < 0 {
		return from, to, "", false
	}
	return hay.places[at], hay.places[at+len(needle.runes)-1], string(needle.runes), true
}

// Find looks for a quote in what was said, as each is looked up before it is shown: false if it does not stand there. What it returns has the
// transcript's words.
func Find(c *transcript.Content, q Quote) (Passage, bool) {
	f, ok := find(c, q)
	return Passage{Span: transcript.Span{TranscriptID: c.ID, First: f.first, Last: f.last}, Quote: f.text, StartMs: f.startMs, EndMs: f.endMs}, ok
}

// find looks for a quote in the transcript, and says what stands there and when it was said.
func find(c *transcript.Content, q Quote) (found, bool) {
	from, to, normalized, ok := locate(c.Utterances, q)
	if !ok {
		return found{}, false
	}
	f := found{normalized: normalized, first: from.utterance, last: to.utterance}
	var parts []string
	for i := f.first; i <= f.last; i++ {
		text := []rune(c.Utterances[i].Text)
		begin, end := 0, len(text)
		if i == f.first {
			begin = from.offset
		}
		if i == f.last {
			end = to.offset + 1
		}
		parts = append(parts, strings.TrimSpace(string(text[begin:end])))
	}
	f.text = strings.Join(parts, " ")
	f.startMs, f.endMs = times(c, from, to)
	return f, true
}

// times are those of the cue that the quote begins in and of the one it ends in.
func times(c *transcript.Content, from, to place) (start, end *int64) {
	start, end = c.Utterances[from.utterance].StartMs, c.Utterances[to.utterance].EndMs
	for _, cue := range c.Cues[from.utterance] {
		if cue.Offset <= from.offset {
			start = &cue.StartMs
		}
	}
	for _, cue := range c.Cues[to.utterance] {
		if cue.Offset <= to.offset {
			end = &cue.EndMs
		}
	}
	return start, end
}

// folded is text as quotes are compared, each rune with the place it came from.
type folded struct {
	runes  []rune
	places []place
}

type place struct {
	utterance int
	offset    int // in code points
}

func (f *folded) add(utterance int, text string) {
	space := len(f.runes) > 0 // utterances are joined by a space
	offset := -1
	for _, r := range text {
		offset++
		if unicode.IsSpace(r) {
			space = len(f.runes) > 0
			continue
		}
		if space {
			f.runes = append(f.runes, ' ')
			f.places = append(f.places, place{utterance, offset})
			space = false
		}
		f.runes = append(f.runes, fold(r))
		f.places = append(f.places, place{utterance, offset})
	}
}

func fold(r rune) rune {
	switch r {
	case '‘', '’', '‚', '‛', '′', '`', '´':
		return '\''
	case '“', '”', '„', '‟', '«', '»', '″':
		return '"'
	case '‐', '‑', '‒', '–', '—', '―', '−':
		return '-'
	}
	return unicode.ToLower(r)
}

// index is the first occurrence of needle that does not begin or end inside a word, -1 if there is none.
func (f *folded) index(needle []rune) int {
	for at := 0; at+len(needle) <= len(f.runes); at++ {
		if equal(f.runes[at:at+len(needle)], needle) &&
			(at == 0 || !joined(f.runes[at-1], needle[0])) &&
			(at+len(needle) == len(f.runes) || !joined(needle[len(needle)-1], f.runes[at+len(needle)])) {
			return at
		}
	}
	return -1
}

func equal(a, b []rune) bool {
	for i := range b {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func joined(a, b rune) bool { return wordRune(a) && wordRune(b) }

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// fingerprint identifies a finding by its kind and the words it rests on, so that the same finding of a repeated or later
// run is the same insight, whatever its title says.
func fingerprint(kind Kind, quotes []found) [32]byte {
	var b strings.Builder
	b.WriteString(string(kind))
	for _, q := range quotes {
		b.WriteString("\x00" + strconv.Itoa(q.first) + "\x00" + strconv.Itoa(q.last) + "\x00" + q.normalized)
	}
	return sha256.Sum256([]byte(b.String()))
}
