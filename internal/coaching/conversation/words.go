package conversation

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words yields the words of a text as they stand in it. A word is a run of letters, marks and digits, with apostrophes
// and hyphens inside it. Scripts that write without spaces come out as few, long words.
func Words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for start, end := nextWord(text, 0); start < end; start, end = nextWord(text, end) {
			if !yield(text[start:end]) {
				return
			}
		}
	}
}

// CountWords counts the words that Words yields.
func CountWords(text string) int {
	n := 0
	for start, end := nextWord(text, 0); start < end; start, end = nextWord(text, end) {
		n++
	}
	return n
}

// nextWord finds the first word that begins at or after i: text[start:end], empty if there is none. Measuring spends most
// of its time here, and most of what it finds is ASCII.
func nextWord(text string, i int) (start, end int) {
	for i < len(text) && !asciiWord[text[i]] {
		if text[i] < utf8.RuneSelf {
			i++
		} else if n, ok := foreignRune(text[i:]); !ok {
			i += n
		} else {
			break
		}
	}
	start = i
	for i < len(text) {
		c := text[i]
		switch {
		case asciiWord[c]:
			i++
			continue
		case c == '\'' || c == '-':
			if beginsWord(text[i+1:]) {
				i++
				continue
			}
		case c >= utf8.RuneSelf:
			n, ok := foreignRune(text[i:])
			if ok || isJoiner(text[i:i+n]) && beginsWord(text[i+n:]) {
				i += n
				continue
			}
		}
		break
	}
	return start, i
}

var asciiWord = func() (set [256]bool) {
	for c := range set {
		set[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	return set
}()

// foreignRune returns the length of the text's first rune, which is not ASCII, and whether it belongs in words.
func foreignRune(text string) (int, bool) {
	r, n := utf8.DecodeRuneInString(text)
	return n, unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func isJoiner(r string) bool { return r == "’" || r == "‑" }

func beginsWord(text string) bool {
	if text == "" {
		return false
	}
	if text[0] < utf8.RuneSelf {
		return asciiWord[text[0]]
	}
	_, ok := foreignRune(text)
	return ok
}

// Sentences yields the sentences of a text as they stand in it, without surrounding white space. A sentence ends with
// . ! ? or … before white space, with a line break, or where a speaker breaks off ("--") and starts anew.
func Sentences(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := 0
		for i := 0; i < len(text); {
			if !mayEndSentence[text[i]] {
				i++
				continue
			}
			r, n := utf8.DecodeRuneInString(text[i:])
			end, ends := i+n, false
			switch r {
			case '.', '!', '?', '…', '。', '？', '！':
				end += len(text[end:]) - len(strings.TrimLeft(text[end:], `.!?…"'”’)]`))
				ends = endsSentence(text[start:end], text[end:])
			case '\n':
				ends = true
			case '-', '—':
				end += len(text[end:]) - len(strings.TrimLeft(text[end:], "-—"))
				ends = breaksOff(text[i:end], text[end:])
			}
			i = end
			if !ends {
				continue
			}
			if s := strings.TrimSpace(text[start:end]); s != "" && !yield(s) {
				return
			}
			start = end
		}
		if s := strings.TrimSpace(text[start:]); s != "" {
			yield(s)
		}
	}
}

// mayEndSentence has the first bytes of what Sentences looks at.
var mayEndSentence = func() (set [256]bool) {
	for _, mark := range []string{".", "!", "?", "…", "。", "？", "！", "\n", "-", "—"} {
		set[mark[0]] = true
	}
	return set
}()

// endsSentence is for a candidate that ends with a mark, and what follows it.
func endsSentence(sentence, rest string) bool {
	if rest == "" {
		return true
	}
	if r, _ := utf8.DecodeRuneInString(rest); !unicode.IsSpace(r) && r < 0x3000 {
		return false // 3.5, example.org, "e.g.,"
	}
	if !strings.HasSuffix(sentence, ".") {
		return true
	}
	last := sentence[strings.LastIndexAny(sentence, " \n\t")+1:]
	return !slices.Contains(abbreviations, strings.ToLower(last))
}

var abbreviations = []string{"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "e.g.", "i.e.", "vs."}

// breaksOff tells whether dashes are a break: doubled, or long, and followed by a capital that starts something new.
func breaksOff(dashes, rest string) bool {
	if len(dashes) < 2 || rest == "" || rest[0] != ' ' {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest[1:])
	return unicode.IsUpper(r)
}
