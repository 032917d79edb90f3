package conversation

import "strings"

// IsQuestion tells whether an English sentence asks something.
func IsQuestion(sentence string) bool {
	return strings.HasSuffix(sentence, "?")
}

// CountQuestions counts the sentences of a text that are questions.
func CountQuestions(text string) int {
	n := 0
	for s := range Sentences(text) {
		if IsQuestion(s) {
			n++
		}
	}
	return n
}

// EndsInQuestion tells whether the last sentence of a text is a question.
func EndsInQuestion(text string) bool {
	last := ""
	for s := range Sentences(text) {
		last = s
	}
	return IsQuestion(last)
}
