package theme

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// little are the words that do not tell one topic from another.
var little = map[string]bool{
	"a": true, "an": true, "the": true, "this": true, "that": true, "and": true, "or": true, "of": true, "for": true, "to": true, "in": true, "on": true, "at": true,
	"about": true, "with": true, "my": true, "your": true, "his": true, "her": true, "our": true, "their": true,
	"s": true, // what the apostrophe of "the board's" leaves
}

// maxTopic is how many characters a topic has at most; what is longer is a sentence, and no topic.
const maxTopic = 80

// Key is what topics have in common that are one: the words in lower case and in the singular, without those that say nothing, each once
// and in the order of the alphabet. "The board's meetings" is "Meeting of the boards". It is "" for what is no topic.
//
// Only what can be explained to who wonders why two topics are one or are not: no meaning, no distance between words. What belongs together
// beyond that, a person merges.
func Key(topic string) string {
	if utf8.RuneCountInString(topic) > maxTopic {
		return ""
	}
	var kept []string
	for _, w := range strings.FieldsFunc(norm.NFKC.String(strings.ToLower(norm.NFKC.String(topic))), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
	}) {
		if w = singular(w); !little[w] {
			kept = append(kept, w)
		}
	}
	slices.Sort(kept)
	return strings.Join(slices.Compact(kept), " ")
}

// singular takes the plural's ending off an English word. In other languages it does the same to every form that ends so, and at worst
// makes one of two words.
func singular(w string) string {
	ends := func(suffixes ...string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(w, s) })
	}
	switch {
	case len(w) < 4 || !ends("s") || ends("ss", "us", "is"):
		return w
	case len(w) > 4 && ends("ies"):
		return w[:len(w)-3] + "y"
	case ends("sses", "shes", "ches", "xes", "zes"):
		return w[:len(w)-2]
	}
	return w[:len(w)-1]
}

// shown is a topic as it is shown: as it was said, and with a capital.
func shown(topic string) string {
	topic = strings.TrimSpace(topic)
	first, n := utf8.DecodeRuneInString(topic)
	return string(unicode.ToUpper(first)) + topic[n:]
}
