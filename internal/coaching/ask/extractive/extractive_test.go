package extractive

import (
	"context"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// flat knows no meaning: every text is like every other.
type flat struct{}

func (flat) Name() string                { return "flat" }
func (flat) Dimension() int              { return 1 }
func (flat) Estimate([]string) llm.Usage { return llm.Usage{} }
func (flat) Fits(string) bool            { return true }
func (flat) Embed(_ context.Context, texts []string) ([][]float32, llm.Usage, error) {
	all := make([][]float32, len(texts))
	for i := range all {
		all[i] = []float32{0.1}
	}
	return all, llm.Usage{}, nil
}

type report struct{ said []ask.Proposal }

func (r *report) Sentence(p ask.Proposal) error { r.said = append(r.said, p); return nil }
func (r *report) Ask(context.Context, llm.Model, llm.Request, func(llm.Call) error) error {
	panic("nobody is asked")
}

// What is said stands word for word where it is cited, a question is no answer, and what has nothing to do with the question is none.
func TestAnswer(t *testing.T) {
	t.Parallel()
	p := ask.Passage{
		Speakers: []conversation.Speaker{{Name: "Ruth Calloway"}, {Name: "Amara Okafor"}},
		Utterances: []conversation.Utterance{
			{Speaker: 0, Text: "What did you cook on Thursday, Amara?"},
			{Speaker: 1, Text: "Fish. Chidi and I cooked fish on Thursday, with music on."},
			{Speaker: 0, Text: "And the phone was in the hall all evening, was it?"},
			{Speaker: 1, Text: "It was, next to the laptop and the umbrella."},
		},
	}
	var r report
	q := ask.Question{Text: "What did Amara cook on Thursday?", Passages: []ask.Passage{p}}
	if err := New(flat{}).Answer(t.Context(), q, &r); err != nil || len(r.said) == 0 {
		t.Fatalf("%+v, %v", r.said, err)
	}
	if first := r.said[0]; first.Citations[0].First != 1 || first.Text != "Amara Okafor: "+first.Citations[0].Text {
		t.Errorf("the answer is %+v", first)
	}
	for _, s := range r.said {
		for _, c := range s.Citations {
			if !insight.Stands(p.Utterances, c.Quote) {
				t.Errorf("%q does not stand where it is cited", c.Text)
			}
		}
	}
	r = report{}
	q.Text = "Which submarine did the admiral sink near Gibraltar?"
	if err := New(flat{}).Answer(t.Context(), q, &r); err != nil || len(r.said) > 0 {
		t.Errorf("%+v, %v", r.said, err)
	}
	if err := New(flat{}).Answer(t.Context(), ask.Question{Text: "What?"}, &r); err != nil || len(r.said) > 0 {
		t.Errorf("from nothing: %+v, %v", r.said, err)
	}
}
