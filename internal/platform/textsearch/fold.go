package textsearch

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold is a text as words are compared: in lower case, without accents, with straight apostrophes, ligatures and widths undone,
// and blanks for control characters. It keeps what is between words.
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case apostrophe(r):
			b.WriteByte('\'')
		case unicode.IsControl(r) || r == unicode.ReplacementChar:
			b.WriteByte(' ')
		default:
			if s, ok := plain[r]; ok {
				b.WriteString(s)
				continue
			}
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// plain are letters that no decomposition takes apart.
var plain = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'ø': "o", 'Ø': "o", 'ł': "l", 'Ł': "l", 'đ': "d", 'Đ': "d", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe",
	'ı': "i", 'þ': "th", 'Þ': "th", 'ð': "d", 'Ð': "d",
}

// Token is a word where it stands in a text.
type Token struct {
	Start, End int    // in bytes
	Word       string // folded: letters and digits, with apostrophes inside
}

// Tokens are the words of a text.
func Tokens(text string) []Token {
	var tokens []Token
	start := -1
	end := func(at int) {
		if start < 0 {
			return
		}
		word := strings.Map(func(r rune) rune {
			if r == '\'' || wordRune(r) {
				return r
			}
			return -1
		}, Fold(text[start:at]))
		if word = strings.Trim(word, "'"); word != "" {
			tokens = append(tokens, Token{start, at, word})
		}
		start = -1
	}
	for i, r := range text {
		switch inside := wordRune(r) || unicode.Is(unicode.Mn, r); {
		case inside && start < 0:
			start = i
		case !inside && !(start >= 0 && apostrophe(r)):
			end(i)
		}
	}
	end(len(text))
	return tokens
}

// Words are the folded words of a text.
func Words(text string) []string {
	var words []string
	for _, t := range Tokens(text) {
		words = append(words, t.Word)
	}
	return words
}

func wordRune(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Mc, r)) && r != unicode.ReplacementChar
}

func apostrophe(r rune) bool { return strings.ContainsRune("'’‘ʼ`´", r) }
