package search

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is an utterance, as passages are made of it.
type Line struct {
	Index    int
	Text     string
	Question bool // whether an answer belongs to it
}

// Chunk is a passage of a conversation: consecutive utterances, or a part of a long one.
type Chunk struct {
	First, Last int    // indices of utterances, inclusive
	Key         string // names the passage in its transcript
	Text        string
}

const (
	// chunkWords is how many words a passage is to have: enough to say what it is about, few enough to be about one thing.
	chunkWords = 60
	// overlapWords is how many words the last utterance of a passage may have that begins the next one, too.
	overlapWords = 25
)

// Chunks cuts a conversation into passages for which fits holds. Each utterance with words is in one, in the order of the conversation. A question stands in one with what follows
// it, however many words that has, as long as both fit; what ends a passage begins the next one, if it is short or a question. An utterance that is too long by itself is
// cut between sentences, or else words. The same lines make the same passages.
func Chunks(lines []Line, fits func(text string) bool) []Chunk {
	room := room(fits)
	var units []unit
	for _, l := range lines {
		parts := split(strings.TrimSpace(l.Text), room)
		for i, text := range parts {
			u := unit{index: l.Index, text: text, words: len(strings.Fields(text)), key: strconv.Itoa(l.Index), question: l.Question && i == len(parts)-1}
			if len(parts) > 1 {
				u.key += "." + strconv.Itoa(i+1)
			}
			units = append(units, u)
		}
	}
	var chunks []Chunk
	for from := 0; from < len(units); {
		text, to := units[from].text, from
		for to+1 < len(units) {
			longer := text + "\n" + units[to+1].text
			answered := to == from && units[from].question && fits(longer)
			if !answered && !room(longer) {
				break
			}
			to, text = to+1, longer
		}
		chunks = append(chunks, Chunk{First: units[from].index, Last: units[to].index, Key: units[from].key + "-" + units[to].key, Text: text})
		if last := units[to]; to > from && to+1 < len(units) && (last.question || last.words <= overlapWords) {
			from = to
		} else {
			from = to + 1
		}
	}
	return chunks
}

// room says whether a text can be one passage.
func room(fits func(text string) bool) func(text string) bool {
	return func(text string) bool { return len(strings.Fields(text)) <= chunkWords && fits(text) }
}

// unit is what is not cut any further.
type unit struct {
	index, words int
	text, key    string
	question     bool
}

// IsQuestion says whether somebody who says this waits for an answer.
func IsQuestion(text string) bool {
	return strings.HasSuffix(strings.TrimRight(text, " \t\n\"'”’)…."), "?")
}

// split cuts a text into parts that have room, as few as that takes: between sentences, else between words, else anywhere.
func split(text string, room func(string) bool) []string {
	if text == "" {
		return nil
	}
	if room(text) {
		return []string{text}
	}
	pieces := Sentences(text)
	if len(pieces) == 1 {
		pieces = strings.Fields(text)
	}
	if len(pieces) == 1 {
		half := len(text) / 2
		for half > 0 && !utf8.RuneStart(text[half]) {
			half--
		}
		if half == 0 {
			return []string{text} // one rune: nothing is smaller
		}
		pieces = []string{text[:half], text[half:]}
		return append(split(pieces[0], room), split(pieces[1], room)...)
	}
	var parts []string
	current := ""
	for _, piece := range pieces {
		if joined := strings.TrimSpace(current + " " + piece); room(joined) {
			current = joined
			continue
		}
		if current != "" {
			parts = append(parts, current)
		}
		current = ""
		if room(piece) {
			current = piece
		} else {
			parts = append(parts, split(piece, room)...)
		}
	}
	if current != "" {
		parts = append(parts, current)
	}
	return parts
}

// Sentences cuts after marks that end a sentence.
func Sentences(text string) []string {
	var all []string
	start, ended := 0, false
	for i, r := range text {
		switch {
		case strings.ContainsRune(".!?…。！？", r):
			ended = true
		case ended && unicode.IsSpace(r):
			all = append(all, strings.TrimSpace(text[start:i]))
			start, ended = i, false
		case !strings.ContainsRune("\"'”’)", r):
			ended = false
		}
	}
	if rest := strings.TrimSpace(text[start:]); rest != "" {
		all = append(all, rest)
	}
	return all
}
