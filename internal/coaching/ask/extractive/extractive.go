// Package extractive is the answerer without a language model: it shows what was said that is likest to an answer, word for word, and writes
// nothing of its own.
package extractive

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
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

// How much is shown, and what speaks for it: docs/ask.md says how the numbers were found.
const (
	most       = 3    // quotes
	pieceWords = 50   // of a quote, about
	tailWords  = 25   // of what was said before, which a quote is understood by
	compared   = 40   // quotes whose vectors are compared: the likeliest by their words
	enough     = 1.11 // of the best, or there is no evidence
	besides    = 0.35 // how far behind the best another one may be

	byMeaning, byContext, byWords = 0.5, 0.7, 1.5
)

// piece is a part of what somebody said, as it may be quoted.
type piece struct {
	passage, utterance int
	text, context      string // the words, and with what was said before
	covered, score     float64
}

// Answer implements ask.Answerer.
func (a *Answerer) Answer(ctx context.Context, q ask.Question, to ask.Report) error {
	pieces := cut(q.Passages)
	if len(pieces) == 0 {
		return nil
	}
	cover(q, pieces)
	slices.SortStableFunc(pieces, func(x, y *piece) int { return cmp.Compare(y.covered, x.covered) })
	pieces = pieces[:min(len(pieces), compared)]
	if err := a.compare(ctx, meant(q), pieces); err != nil {
		return err
	}
	slices.SortStableFunc(pieces, func(x, y *piece) int { return cmp.Compare(y.score, x.score) })
	best := pieces[0].score
	if best < enough {
		return nil
	}
	shown := map[[2]int]bool{} // utterances
	for _, p := range pieces {
		if p.score < best-besides || len(shown) == most {
			break
		}
		at := [2]int{p.passage, p.utterance}
		if shown[at] {
			continue
		}
		shown[at] = true
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

// cut makes pieces of what was said: from each sentence on as many as have room. A question is no answer: it stands in the context of what was
// answered.
func cut(passages []ask.Passage) (all []*piece) {
	for p, of := range passages {
		before := ""
		for u, said := range of.Utterances {
			sentences := search.Sentences(said.Text)
			for i, text := range sentences {
				n := len(strings.Fields(text))
				for _, more := range sentences[i+1:] {
					if n += len(strings.Fields(more)); n > pieceWords {
						break
					}
					text += " " + more
				}
				if !search.IsQuestion(text) && len(strings.Fields(text)) >= 3 {
					all = append(all, &piece{passage: p, utterance: u, text: text, context: strings.TrimSpace(before + " " + text)})
				}
			}
			words := strings.Fields(said.Text)
			before = strings.Join(words[max(0, len(words)-tailWords):], " ")
		}
	}
	return all
}

// cover says of each piece how much of what is asked about stands in it or its context, or is who takes part: rare words are much of it.
func cover(q ask.Question, pieces []*piece) {
	sets := make([]map[string]bool, len(pieces))
	among := map[string]int{}
	for i, p := range pieces {
		sets[i] = wordsOf(p.context)
		for w := range wordsOf(names(q.Passages[p.passage].Speakers)) {
			sets[i][w] = true
		}
		for w := range sets[i] {
			among[w]++
		}
	}
	rare := func(w string) float64 {
		return math.Log((float64(len(pieces)) + 1) / (float64(among[w]) + 0.5))
	}
	asked, all := wordsOf(q.Text), 0.0
	for w := range asked {
		all += rare(w)
	}
	for i, p := range pieces {
		for w := range asked {
			if sets[i][w] {
				p.covered += rare(w) / all
			}
		}
	}
}

func names(speakers []conversation.Speaker) string {
	var all []string
	for _, s := range speakers {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

// meant is the question without the names of those who speak: they are said to each other, and not by themselves.
func meant(q ask.Question) string {
	called := map[string]bool{}
	for _, p := range q.Passages {
		for w := range wordsOf(names(p.Speakers)) {
			called[w] = true
		}
	}
	words := strings.Fields(q.Text)
	for i, w := range words {
		for stem := range wordsOf(w) {
			if called[stem] {
				words[i] = "she"
			}
		}
	}
	return strings.Join(words, " ")
}

// empty are words that say nothing about where to look.
var empty = strings.Fields(`a an and any are as at be been but by did do does for from had has have he her him his how i i'm if in into is it it's its just long many me much my no not of on or our
	said say she should so that the their them then there they this to us use used want was we were what when where which who whom why will with would you your about`)

// wordsOf are the words of a text that say something, without their endings.
func wordsOf(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range textsearch.Words(textsearch.Fold(text)) {
		if slices.Contains(empty, w) {
			continue
		}
		for _, ending := range []string{"ings", "ing", "edly", "ed", "es", "s", "ly", "e"} {
			if cut, ok := strings.CutSuffix(w, ending); ok && len(cut) > 2 {
				w = cut
				break
			}
		}
		all[w] = true
	}
	return all
}

// compare gives each piece its score, by its words and by the cosines of the vectors of the question and of the piece, alone and in its context.
func (a *Answerer) compare(ctx context.Context, question string, pieces []*piece) error {
	texts := []string{question}
	for _, p := range pieces {
		texts = append(texts, p.text, p.context)
	}
	vectors, _, err := a.embedder.Embed(ctx, texts)
	if err != nil {
		return err
	}
	for i, p := range pieces {
		p.score = byMeaning*cosine(vectors[0], vectors[1+2*i]) + byContext*cosine(vectors[0], vectors[2+2*i]) + byWords*p.covered
	}
	return nil
}

func cosine(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
