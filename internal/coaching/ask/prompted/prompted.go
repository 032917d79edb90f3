// Package prompted is the answerer that asks a language model.
//
// The model answers by calling tools, and by nothing else: what it says is read, checked and reported as a proposal, sentence by sentence, and it
// has no way of doing anything. The question and what was said go to it as data, never among its instructions.
package prompted

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

const (
	// Version is raised whenever a change of this package, beside the prompt, can change an answer.
	Version = "1"
	// PromptVersion is raised whenever anything changes that the model is told: the file of prompts/, or a tool. A test keeps it.
	PromptVersion = "1"

	materialTokens = 12_000 // of passages
	maxQuotes      = 5      // of one sentence
)

//go:embed prompts/answer.md
var answerPrompt string

// The tools.
const (
	answerSentence       = "answer_sentence"
	insufficientEvidence = "insufficient_evidence"
)

var tools = []llm.Tool{
	{Name: answerSentence, Description: "Adds one sentence to the answer.", Parameters: json.RawMessage(`{"type":"object","properties":{` +
		`"citations":{"type":"array","items":{"type":"object","properties":{"first":{"type":"integer"},"last":{"type":"integer"},"quote":{"type":"string"}},` +
		`"required":["first","last","quote"],"additionalProperties":false}},"text":{"type":"string"}},"required":["citations","text"],"additionalProperties":false}`)},
	{Name: insufficientEvidence, Description: "Says that the passages do not answer the question.",
		Parameters: json.RawMessage(`{"type":"object","properties":{},"required":[],"additionalProperties":false}`)},
}

// Answerer asks a model. It is safe for concurrent use.
type Answerer struct {
	name  string
	model llm.Model
}

var _ ask.Answerer = (*Answerer)(nil)

// New returns an Answerer over a model of the named service.
func New(service string, m llm.Model) *Answerer { return &Answerer{service, m} }

// Engine implements ask.Answerer.
func (a *Answerer) Engine() insight.Engine {
	return insight.Engine{Name: a.name, Version: Version, Model: a.model.Name(), PromptVersion: PromptVersion}
}

// Answer implements ask.Answerer. If the answer is too long, what was said of it stands; if nothing was, half of the passages are asked about.
func (a *Answerer) Answer(ctx context.Context, q ask.Question, to ask.Report) error {
	for {
		m := a.read(q)
		said := 0
		err := to.Ask(ctx, a.model, llm.Request{Instructions: answerPrompt, Material: m.text, Tools: tools}, func(c llm.Call) error {
			if c.Tool != answerSentence {
				return nil
			}
			said++
			return to.Sentence(m.proposal(c.Arguments))
		})
		failed := llm.Failure(err)
		switch {
		case failed == nil || failed.Kind != llm.TooLong:
			return err
		case said > 0:
			return nil
		case len(q.Passages) < 2:
			return err
		}
		q.Passages = q.Passages[:len(q.Passages)/2]
	}
}

// material is what the model sees, and where its lines stand.
type material struct {
	text  string
	lines []line
}

type line struct{ passage, utterance int }

// read writes a question and its passages, as many as have room, as lines of JSON, so that no word of them can pass for anything but a word.
func (a *Answerer) read(q ask.Question) material {
	var m material
	earlier := q.Earlier
	if earlier == nil {
		earlier = []string{}
	}
	parts := []string{encode(struct {
		Question string   `json:"question"`
		Earlier  []string `json:"earlier"`
	}{q.Text, earlier})}
	tokens := 0
	for i, p := range q.Passages {
		part, lines := passage(i, p, len(m.lines))
		if tokens += a.model.Tokens(part); tokens > materialTokens && i > 0 {
			break
		}
		parts, m.lines = append(parts, part), append(m.lines, lines...)
	}
	m.text = strings.Join(parts, "\n")
	return m
}

func passage(i int, p ask.Passage, from int) (text string, lines []line) {
	type speaker struct {
		Speaker string            `json:"speaker"`
		Name    string            `json:"name"`
		Role    conversation.Role `json:"role"`
	}
	head := struct {
		Passage  int       `json:"passage"`
		On       string    `json:"on"`
		Speakers []speaker `json:"speakers"`
	}{Passage: i + 1, Speakers: []speaker{}}
	if !p.On.IsZero() {
		head.On = p.On.Format(time.DateOnly)
	}
	for j, s := range p.Speakers {
		head.Speakers = append(head.Speakers, speaker{label(j), s.Name, s.Role})
	}
	parts := []string{encode(head)}
	for j, u := range p.Utterances {
		role := conversation.RoleUnknown
		if u.Speaker >= 0 && u.Speaker < len(p.Speakers) {
			role = p.Speakers[u.Speaker].Role
		}
		parts = append(parts, encode(struct {
			N       int               `json:"n"`
			Speaker string            `json:"speaker"`
			Role    conversation.Role `json:"role"`
			Text    string            `json:"text"`
		}{from + j, label(u.Speaker), role, u.Text}))
		lines = append(lines, line{i, j})
	}
	return strings.Join(parts, "\n"), lines
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain strings
	}
	return string(b)
}

// label is what a speaker is called in the material.
func label(speaker int) string { return fmt.Sprintf("S%d", speaker+1) }

// proposal reads a sentence of the model. What cannot be read so is one without words, which is dropped and counted by whoever takes it.
func (m material) proposal(arguments json.RawMessage) (p ask.Proposal) {
	var in struct {
		Text      string `json:"text"`
		Citations []struct {
			First int    `json:"first"`
			Last  int    `json:"last"`
			Quote string `json:"quote"`
		} `json:"citations"`
	}
	if json.Unmarshal(arguments, &in) != nil {
		return p
	}
	p.Text = oneLine(in.Text, 600)
	for _, c := range in.Citations[:min(len(in.Citations), maxQuotes)] {
		q := ask.Quote{Passage: -1} // which is none
		if c.First >= 0 && c.First <= c.Last && c.Last < len(m.lines) && m.lines[c.First].passage == m.lines[c.Last].passage {
			q = ask.Quote{Passage: m.lines[c.First].passage, Quote: insight.Quote{Text: c.Quote, First: m.lines[c.First].utterance, Last: m.lines[c.Last].utterance}}
		}
		p.Citations = append(p.Citations, q)
	}
	return p
}

// oneLine is a text of the model without line breaks and control characters, and not longer than so many characters.
func oneLine(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }), " ")
	if r := []rune(s); len(r) > most {
		s = strings.TrimSpace(string(r[:most-1])) + "…"
	}
	return s
}
