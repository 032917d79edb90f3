package format

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWordsBytes is when a cue that is made of words ends at the latest.
const maxWordsBytes = 400

// wordJoiner makes records of single words: one a sentence, so that a citation has times of its own.
type wordJoiner struct {
	to      *recordReader
	rec     record
	words   strings.Builder
	last    moment // when the last word ended
	endRune rune   // of the last word
}

// add takes the next word. Its times are in milliseconds, or not known. mark says that it is punctuation, which belongs to
// the word before.
func (j *wordJoiner) add(line int, speaker, word string, start, end moment, mark bool) {
	word = collapse(word)
	if word == "" {
		return
	}
	first, _ := utf8.DecodeRuneInString(word)
	switch {
	case j.words.Len() == 0:
	case mark:
	case speaker != j.rec.speaker, isSentenceEnd(j.endRune), j.words.Len() > maxWordsBytes,
		start.kind == momentExact && j.last.kind == momentExact && start.value-j.last.value > mergeGapMs:
		j.flush()
	case !spaceless(j.endRune) || !spaceless(first):
		j.words.WriteByte(' ')
	}
	if j.words.Len() == 0 {
		if start.kind != momentExact {
			start = j.last
		}
		j.rec = record{line: line, speaker: speaker, start: start, end: start}
	}
	j.words.WriteString(word)
	j.endRune, _ = utf8.DecodeLastRuneInString(word)
	if end.kind == momentExact {
		j.rec.end, j.last = end, end
	}
}

// flush ends the sentence.
func (j *wordJoiner) flush() {
	if j.words.Len() > 0 {
		j.rec.text = j.words.String()
		j.to.records = append(j.to.records, j.rec)
		j.words.Reset()
	}
}

func isSentenceEnd(r rune) bool { return strings.ContainsRune(".?!…。？！", r) }

// spaceless tells the letters of languages that write no spaces between words.
func spaceless(r rune) bool {
	return r > 0x0E00 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) || strings.ContainsRune("。、？！", r))
}
