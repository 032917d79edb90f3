// Package extractive is the answerer without a language model: it shows what was said that is likest to an answer, word for word, and writes
// nothing of its own.
package extractive

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/embed"
)

// Version is raised whenever a change of this package can change an answer.
const Version = "1"

// Answerer selects. It is safe for concurrent use.
type Answerer struct{ embedder embed.Embedder }

var _ ask.Answerer = (*Answerer)(nil)

// New returns an Answerer that compares by the embedder's vectors. It shows the embedder everything, so this must be one in the program.
func New(e embed.Embedder) *Answerer { return &Answerer{e} }

// Engine implements ask.Answerer.
func (a *Answerer) Engine() insight.Engine {
	return insight.Engine{Name: "extractive", Version: Version}
}

// How much is shown, and how like the question it must be: see docs/ask.md for how the numbers were found.
const (
	most      = 3    // quotes
	enough    = 0.50 // of the best, or there is no evidence
	besides   = 0.08 // how far behind the best another one may be
	longest   = 400  // bytes of a quote
	maxPieces = 120  // that are compared
)

// piece is a part of what somebody said, as it may be quoted.
type piece struct {
	passage, utterance int
	text               string
	like               string // what is compared: the piece, with the question that it answers
	score              float64
}

// Answer implements ask.Answerer.
func (a *Answerer) Answer(ctx context.Context, q ask.Question, to ask.Report) error {
	pieces := cut(q.Passages)
	if len(pieces) == 0 {
		return nil
	}
	if err := a.compare(ctx, q.Text, pieces); err != nil {
		return err
	}
	slices.SortStableFunc(pieces, func(x, y *piece) int { return cmp.Compare(y.score, x.score) })
	best := pieces[0].score
	if best < enough {
		return nil
	}
	shown := 0
	said := map[string]bool{}
	for _, p := range pieces {
		if p.score < max(enough, best-besides) || shown == most {
			break
		}
		if said[p.text] {
			continue
		}
		said[p.text] = true
		shown++
		if err := to.Sentence(ask.Proposal{Text: sentence(q.Passages[p.passage], p), Citations: []ask.Quote{{
			Passage: p.passage, Quote: insight.Quote{Text: p.text, First: p.utterance, Last: p.utterance},
		}}}); err != nil {
			return err
		}
	}
	return nil
}

// sentence says who said what, in the very words.
func sentence(of ask.Passage, p *piece) string {
	who := "Somebody"
	if s := of.Utterances[p.utterance].Speaker; s >= 0 && s < len(of.Speakers) {
		who = of.Speakers[s].Name
	}
	if of.On.IsZero() {
		return fmt.Sprintf("%s: %s", who, p.text)
	}
	return fmt.Sprintf("%s, %s: %s", who, of.On.Format("2 January 2006"), p.text)
}

// cut makes pieces of what was said: whole utterances, or as many sentences of a long one as have room. A question is no answer: it stands
// with what was answered.
func cut(passages []ask.Passage) (all []*piece) {
	for p, of := range passages {
		for u, said := range of.Utterances {
			asked := ""
			if u > 0 && search.IsQuestion(of.Utterances[u-1].Text) && of.Utterances[u-1].Speaker != said.Speaker {
				asked = of.Utterances[u-1].Text + "\n"
			}
			for _, text := range quotes(said.Text) {
				if len(all) == maxPieces {
					return all
				}
				if search.IsQuestion(text) || len(strings.Fields(text)) < 3 {
					continue
				}
				all = append(all, &piece{passage: p, utterance: u, text: text, like: asked + text})
			}
		}
	}
	return all
}

// quotes are the parts of a text that are quoted: all of it, or sentences in a row.
func quotes(text string) (all []string) {
	if len(text) <= longest {
		return []string{strings.TrimSpace(text)}
	}
	current := ""
	for _, s := range search.Sentences(text) {
		if joined := strings.TrimSpace(current + " " + s); len(joined) <= longest {
			current = joined
			continue
		}
		if current != "" {
			all = append(all, current)
		}
		if current = s; len(current) > longest {
			current = strings.TrimRightFunc(current[:strings.LastIndexFunc(current[:longest], unicode.IsSpace)+1], unicode.IsSpace)
		}
	}
	if current != "" {
		all = append(all, current)
	}
	return all
}

// compare gives each piece its likeness to the question: the cosine of their vectors, of the piece alone or with what it answers.
func (a *Answerer) compare(ctx context.Context, question string, pieces []*piece) error {
	texts := []string{question}
	for _, p := range pieces {
		texts = append(texts, p.text)
		if p.like != p.text {
			texts = append(texts, p.like)
		}
	}
	vectors, _, err := a.embedder.Embed(ctx, texts)
	if err != nil {
		return err
	}
	at := 1
	for _, p := range pieces {
		p.score = cosine(vectors[0], vectors[at])
		at++
		if p.like != p.text {
			p.score = max(p.score, cosine(vectors[0], vectors[at]))
			at++
		}
	}
	return nil
}

func cosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
