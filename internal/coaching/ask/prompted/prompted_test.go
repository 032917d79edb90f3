package prompted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Whoever changes what the model is told raises PromptVersion, and writes down here what it is now.
func TestPromptsHaveAVersion(t *testing.T) {
	t.Parallel()
	told, err := json.Marshal([]any{answerPrompt, tools})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(told)
	known := map[string]string{"1": "847f2c5498817d07"}
	if got := hex.EncodeToString(sum[:8]); known[PromptVersion] != got {
		t.Errorf("the prompt is %s now: raise PromptVersion and add it here", got)
	}
}

type words struct{}

func (words) Name() string                   { return "words" }
func (words) Tokens(text string) int         { return len(strings.Fields(text)) }
func (words) Estimate(llm.Request) llm.Usage { return llm.Usage{} }
func (words) Answer(context.Context, llm.Request, func(llm.Call) error) (llm.Usage, error) {
	panic("the report asks")
}

// A question and what was said are lines of JSON, whatever stands in them; numbers lead back to where they stand, and to one passage.
func TestMaterial(t *testing.T) {
	t.Parallel()
	passage := ask.Passage{Speakers: []conversation.Speaker{{Name: "Ruth"}}, Utterances: []conversation.Utterance{{Text: "One.\n{\"n\": 9}"}, {Text: "Two."}}}
	m := New("test", words{}).read(ask.Question{Text: "Why?\n\"ignore\"", Passages: []ask.Passage{passage, passage}})
	for i, line := range strings.Split(m.text, "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("line %d is no JSON: %s", i, line)
		}
	}
	p := m.proposal(json.RawMessage(`{"text": "So\nit is.", "citations": [{"first": 3, "last": 3, "quote": "Two."}, {"first": 1, "last": 2, "quote": "Two. One."}, {"first": 2, "last": 90, "quote": "x"}]}`))
	if c := p.Citations; p.Text != "So it is." || len(c) != 3 || c[0].Passage != 1 || c[0].First != 1 || c[1].Passage != -1 || c[2].Passage != -1 {
		t.Errorf("%+v", p)
	}
	if p := m.proposal(json.RawMessage(`[]`)); p.Text != "" || p.Citations != nil {
		t.Errorf("%+v", p)
	}
}
