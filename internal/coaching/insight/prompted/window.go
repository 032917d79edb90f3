package prompted

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// line is a piece of an utterance as the model sees it: JSON, so that no word of it can pass for anything but a word.
type line struct {
	utterance int
	json      string
	tokens    int
}

// longest is how many bytes of an utterance stand in one line: about a thousand words.
const longest = 6000

// lines writes what was said, one line an utterance; a monologue that would fill a window gets several of the same number.
func lines(c insight.Conversation, tokens func(string) int) []line {
	var all []line
	for i, u := range c.Utterances {
		for _, piece := range pieces(u.Text, longest) {
			b, err := json.Marshal(struct {
				N       int               `json:"n"`
				Speaker string            `json:"speaker"`
				Role    conversation.Role `json:"role"`
				Text    string            `json:"text"`
			}{i, label(u.Speaker), role(c, u.Speaker), piece})
			if err != nil {
				panic(err) // plain strings
			}
			all = append(all, line{i, string(b), tokens(string(b)) + 1})
		}
	}
	return all
}

// pieces cuts a text into parts of at most so many bytes, at spaces where there are any.
func pieces(text string, most int) []string {
	var all []string
	for len(text) > most {
		end := strings.LastIndexByte(text[:most], ' ')
		if end <= 0 {
			for end = most; !utf8.RuneStart(text[end]); end-- {
			}
		}
		all = append(all, text[:end])
		text = text[end:]
	}
	return append(all, text)
}

// window is a part of a conversation that the model sees at once. The first of its lines are the last of the part before: they are
// there to be understood by.
type window struct {
	first int // line
	own   int // line that is the first of its own
	end   int // line after its last
}

// windows cuts a conversation so that the lines of each part have at most so many tokens and are at most so many, with so many lines
// of the part before. Every line is some window's own, and one only.
func windows(all []line, tokens, most, overlap int) []window {
	var cut []window
	for own := 0; own < len(all); {
		w := window{first: own, own: own, end: own}
		used := 0
		for w.first > 0 && own-w.first < overlap && used+all[w.first-1].tokens <= tokens/4 {
			w.first--
			used += all[w.first].tokens
		}
		for w.end < len(all) && (w.end == own || used+all[w.end].tokens <= tokens && w.end-own < most) {
			used += all[w.end].tokens
			w.end++
		}
		cut = append(cut, w)
		own = w.end
	}
	return cut
}

// halves are a window's two halves, the second with the end of the first; false if it is one line.
func (w window) halves(overlap int) (a, b window, ok bool) {
	if w.end-w.own < 2 {
		return w, w, false
	}
	middle := (w.own + w.end) / 2
	return window{w.first, w.own, middle}, window{max(w.first, middle-overlap), middle, w.end}, true
}
