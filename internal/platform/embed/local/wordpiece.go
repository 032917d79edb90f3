package local

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The pieces with a meaning of their own, by their line in the vocabulary.
const (
	unknown = 100 // [UNK]
	begin   = 101 // [CLS]
	end     = 102 // [SEP]
)

// longest is how many runes a word may have that is looked at; longer ones are unknown.
const longest = 100

//go:embed vocab.txt
var vocabulary string

// lookup gives the number of a piece. Pieces that do not begin a word stand in it with "##" before them.
var lookup = sync.OnceValue(func() map[string]int32 {
	lines := strings.Split(strings.TrimSuffix(vocabulary, "\n"), "\n")
	m := make(map[string]int32, len(lines))
	for i, line := range lines {
		m[line] = int32(i)
	}
	return m
})

// pieces cuts a text into what the model knows, at most so many, the marks of its ends included. It does exactly what the model was trained
// with: no controls, each Chinese character and each mark of punctuation for itself, no accents, lower case; then the longest piece that begins
// each word, the longest that goes on, and so forth.
func pieces(text string, most int) []int32 {
	known := lookup()
	all := []int32{begin}
	for _, word := range words(text) {
		all = cut(all, word, known)
		if len(all) >= most-1 {
			all = all[:most-1]
			break
		}
	}
	return append(all, end)
}

func cut(all []int32, word string, known map[string]int32) []int32 {
	if utf8.RuneCountInString(word) > longest {
		return append(all, unknown)
	}
	from := len(all)
	for rest, lead := word, ""; rest != ""; lead = "##" {
		n := len(rest)
		for n > 0 {
			if piece, ok := known[lead+rest[:n]]; ok {
				all = append(all, piece)
				break
			}
			_, size := utf8.DecodeLastRuneInString(rest[:n])
			n -= size
		}
		if n == 0 {
			return append(all[:from], unknown) // a word is known as a whole or not at all
		}
		rest = rest[n:]
	}
	return all
}

// words normalizes a text and cuts it at white space and punctuation.
func words(text string) []string {
	var cleaned strings.Builder
	cleaned.Grow(len(text))
	for _, r := range text {
		switch {
		case r == utf8.RuneError || r == 0:
		case r == '\t' || r == '\n' || r == '\r' || unicode.IsSpace(r):
			cleaned.WriteByte(' ')
		case unicode.Is(unicode.C, r):
		case chinese(r):
			cleaned.WriteByte(' ')
			cleaned.WriteRune(r)
			cleaned.WriteByte(' ')
		default:
			cleaned.WriteRune(r)
		}
	}
	var all []string
	for _, field := range strings.Fields(norm.NFD.String(cleaned.String())) {
		var word strings.Builder
		flush := func() {
			if word.Len() > 0 {
				all = append(all, word.String())
				word.Reset()
			}
		}
		for _, r := range field {
			switch {
			case unicode.Is(unicode.Mn, r):
			case punctuation(r):
				flush()
				all = append(all, string(r))
			default:
				word.WriteString(strings.ToLower(string(r)))
			}
		}
		flush()
	}
	return all
}

func punctuation(r rune) bool {
	return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~' || unicode.IsPunct(r)
}

func chinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
