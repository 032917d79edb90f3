package openai_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
	"github.com/rapporthq/rapport/internal/platform/embed/openai"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// dimension is small: a vector is a long text on its way.
const dimension = 32

func at(t *testing.T, o openai.Options) *openai.Embedder {
	t.Helper()
	o.Key, o.Model, o.Dimension = secret.Fixed(llmtest.Key), "text-embedding-3-small", dimension
	if o.Pause == nil {
		o.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	e, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func embeds(llmtest.Request) llmtest.Answer { return llmtest.Answer{} }

func TestConformance(t *testing.T) {
	t.Parallel()
	embedtest.Run(t, func(t *testing.T) embed.Embedder { return at(t, openai.Options{BaseURL: llmtest.Serve(t, embeds).URL}) })
}

// A request holds what the service takes at once, and what was used is told to the token.
func TestBatches(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, embeds)
	e := at(t, openai.Options{BaseURL: s.URL})
	many := make([]string, 2049)
	for i := range many {
		many[i] = "word"
	}
	many[7] = " "
	long := strings.Repeat("x", embed.MaxText)
	for range 40 {
		many = append(many, long)
	}
	_, used, err := e.Embed(t.Context(), many)
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, r := range s.Requests() {
		size := 0
		for _, text := range r.Inputs {
			size += len(text)
		}
		if sent += len(r.Inputs); len(r.Inputs) > 2048 || size > 300_000 {
			t.Errorf("a request of %d texts, %d bytes", len(r.Inputs), size)
		}
	}
	if sent != len(many)-1 || len(s.Requests()) != 3 || used.InputTokens != sent || used.CostMicros < 1 {
		t.Errorf("%d texts in %d requests: %+v", sent, len(s.Requests()), used)
	}
}

// What passes is tried again, what does not is said, and no error quotes a word.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers  []llmtest.Answer
		want     llm.Kind
		requests int
	}{
		"busy for a moment":  {[]llmtest.Answer{{Status: 429, RetryAfter: "0"}, {Status: 503}, {}}, "", 3},
		"busy for long":      {[]llmtest.Answer{{Status: 429, RetryAfter: "90"}}, llm.Unavailable, 1},
		"down":               {[]llmtest.Answer{{Status: 500}}, llm.Unavailable, 3},
		"a wrong key":        {[]llmtest.Answer{{Status: 401}}, llm.Denied, 1},
		"a broken line":      {[]llmtest.Answer{{Stop: llmtest.Drop}, {}}, "", 2},
		"no answer":          {[]llmtest.Answer{{Stop: llmtest.Garbage}}, llm.Unavailable, 3},
		"silent":             {[]llmtest.Answer{{Stop: llmtest.Hang}}, llm.Unavailable, 3},
		"another dimension":  {[]llmtest.Answer{{Vectors: [][]float32{{1, 2}, {1, 2}}}}, llm.Malformed, 1},
		"too few":            {[]llmtest.Answer{{Vectors: [][]float32{make([]float32, dimension)}}}, llm.Malformed, 1},
		"nothing but zeroes": {[]llmtest.Answer{{Vectors: [][]float32{make([]float32, dimension), make([]float32, dimension)}}}, llm.Malformed, 1},
		"another service": {[]llmtest.Answer{{Raw: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}}}, llm.Denied, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.Serve(t, llmtest.InTurn(c.answers...))
			patience := time.Minute
			if name == "silent" { // which is waited for
				patience = 300 * time.Millisecond
			}
			e := at(t, openai.Options{BaseURL: s.URL, Timeout: patience})
			v, _, err := e.Embed(t.Context(), []string{"kitchen", "phone"})
			failed := llm.Failure(err)
			switch {
			case c.want == "" && (err != nil || len(v) != 2), c.want != "" && (failed == nil || failed.Kind != c.want || v != nil):
				t.Errorf("%v", err)
			case len(s.Requests()) != c.requests:
				t.Errorf("%d requests", len(s.Requests()))
			case err != nil && (strings.Contains(err.Error(), "kitchen") || strings.Contains(err.Error(), llmtest.Key) || strings.Contains(err.Error(), "private")):
				t.Errorf("it quotes: %v", err)
			}
		})
	}
	s := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Status: 500}))
	e := at(t, openai.Options{BaseURL: s.URL})
	for range 3 {
		_, _, _ = e.Embed(t.Context(), []string{"x"})
	}
	if n := len(s.Requests()); n != 5 {
		t.Errorf("a service that is down is asked %d times", n)
	}
	for _, o := range []openai.Options{{Model: "gpt-4-turbo"}, {Model: "text-embedding-3-small", Dimension: 1537}} {
		if _, err := openai.New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if whole, err := openai.New(openai.Options{Model: "text-embedding-3-large"}); err != nil || whole.Dimension() != 3072 {
		t.Errorf("by itself: %v", err)
	}
}
