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
		start := -1
		for i, r := range text {
			switch {
			case isWordRune(r):
				if start < 0 {
					start = i
				}
			case start >= 0 && isJoiner(r) && followedByWord(text[i+utf8.RuneLen(r):]):
			case start >= 0:
				if !yield(text[start:i]) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(text[start:])
		}
	}
}

// CountWords counts the words that Words yields.
func CountWords(text string) int {
	n := 0
	for range Words(text) {
		n++
	}
	return n
}

// asciiWord makes the common case cheap: measuring spends most of its time finding words.
var asciiWord = func() (set [utf8.RuneSelf]bool) {
	for r := range set {
		set[r] = 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return set
}()

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return asciiWord[r]
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func isJoiner(r rune) bool { return r == '\'' || r == '’' || r == '-' || r == '‑' }

func followedByWord(rest string) bool {
	r, _ := utf8.DecodeRuneInString(rest)
	return rest != "" && isWordRune(r)
}

// Sentences yields the sentences of a text as they stand in it, without surrounding white space. A sentence ends with
// . ! ? or … before white space, with a line break, or where a speaker breaks off ("--") and starts anew.
func Sentences(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := 0
		for i, r := range text {
			if i < start {
				continue
			}
			end := i + utf8.RuneLen(r)
			switch r {
			case '.', '!', '?', '…', '。', '？', '！':
				end += len(text[end:]) - len(strings.TrimLeft(text[end:], `.!?…"'”’)]`))
				if !endsSentence(text[start:end], text[end:]) {
					continue
				}
			case '\n':
			case '-', '—':
				if !breaksOff(text[i:]) {
					continue
				}
				end += len(text[end:]) - len(strings.TrimLeft(text[end:], "-—"))
			default:
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

// breaksOff tells whether a dash is a break: doubled, and followed by a capital that starts something new.
func breaksOff(text string) bool {
	rest := strings.TrimLeft(text, "-—")
	if len(text)-len(rest) < 2 || rest == "" || rest[0] != ' ' {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest[1:])
	return unicode.IsUpper(r)
}

// isBackchannel tells whether a run only signals "I am listening" (Yngve 1970): at most three words, all of them ones
// that hearers use so.
func isBackchannel(t turn) bool {
	if t.words > 3 {
		return false
	}
	for _, text := range t.text {
		if strings.ContainsRune(text, '?') {
			return false
		}
		for w := range Words(text) {
			if !slices.Contains(backchannels, strings.ToLower(w)) {
				return false
			}
		}
	}
	return true
}

// backchannels are single words; "uh" "huh" and "i" "see" are those that come in twos.
var backchannels = []string{
	"mm", "mmm", "mhm", "mmhm", "mm-hm", "mm-hmm", "mmm-hmm", "mhmm", "hm", "hmm", "uh-huh", "uh", "huh", "um-hum", "um-hmm",
	"ah", "oh", "aha", "yeah", "yes", "yep", "yup", "ya", "right", "ok", "okay", "sure", "exactly", "absolutely",
	"totally", "true", "wow", "great", "good", "nice", "cool", "gotcha", "i", "see", "really", "indeed", "interesting",
}
