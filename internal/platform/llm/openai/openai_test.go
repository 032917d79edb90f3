package openai_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
	"github.com/rapporthq/rapport/internal/platform/llm/openai"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

func at(t *testing.T, o openai.Options) *openai.Model {
	t.Helper()
	o.Model = "gpt-4-turbo"
	if o.Key == nil {
		o.Key = secret.Fixed(llmtest.Key)
	}
	if o.Pause == nil {
		o.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	m, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConformance(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, func(t *testing.T, url string, silence time.Duration) llm.Model {
		return at(t, openai.Options{BaseURL: url, Silence: silence})
	})
}

func ask(t *testing.T, m llm.Model) error {
	t.Helper()
	_, err := m.Answer(t.Context(), llmtest.Ask(), func(llm.Call) error { return nil })
	return err
}

// A wait that the service asks for is kept to, the others grow and vary; and a long one is the caller's.
func TestPauses(t *testing.T) {
	t.Parallel()
	var waits []time.Duration
	pause := func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	s := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Status: 500}))
	_ = ask(t, at(t, openai.Options{BaseURL: s.URL, Pause: pause}))
	if len(waits) != 2 || waits[0] < 250*time.Millisecond || waits[0] > 750*time.Millisecond || waits[1] < 500*time.Millisecond || waits[1] > 1500*time.Millisecond {
		t.Errorf("waits without Retry-After: %v", waits)
	}
	waits = nil
	s.Answers(llmtest.InTurn(llmtest.Answer{Status: 503, RetryAfter: "7"}))
	_ = ask(t, at(t, openai.Options{BaseURL: s.URL, Pause: pause}))
	if len(waits) == 0 || waits[0] != 7*time.Second {
		t.Errorf("waits with Retry-After: %v", waits)
	}
	mine := errors.New("cancelled")
	if err := ask(t, at(t, openai.Options{BaseURL: s.URL, Pause: func(context.Context, time.Duration) error { return mine }})); !errors.Is(err, mine) {
		t.Errorf("an interrupted pause gives %v", err)
	}
}

// Who is told to wait tells everybody: the next request of the process is not sent.
func TestQuiet(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Status: 429, RetryAfter: "3000"}))
	m := at(t, openai.Options{BaseURL: s.URL})
	for range 3 {
		f := llm.Failure(ask(t, m))
		if f == nil || f.Kind != llm.Unavailable || f.After < 2900*time.Second || f.After > 3000*time.Second {
			t.Fatalf("got %+v", f)
		}
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Status: 500}))
	m := at(t, openai.Options{BaseURL: s.URL})
	if err := m.Probe(t.Context()); err != nil {
		t.Errorf("a new one: %v", err)
	}
	for range 4 {
		_ = ask(t, m)
	}
	if n := len(s.Requests()); n != 5 {
		t.Errorf("%d requests before it is left alone", n)
	}
	if f := llm.Failure(ask(t, m)); f == nil || f.Kind != llm.Unavailable || f.After <= 0 {
		t.Errorf("left alone: %+v", f)
	}
	if err := m.Probe(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("probe: %v", err)
	}

	// What says nothing about the service does not count against it.
	for _, a := range []llmtest.Answer{{Status: 429, RetryAfter: "0"}, {Refusal: "No."}, {Calls: []llmtest.Call{{Tool: "note", Arguments: "{}"}}, Finish: "length"}} {
		s.Answers(llmtest.InTurn(a))
		m := at(t, openai.Options{BaseURL: s.URL})
		for range 8 {
			_ = ask(t, m)
		}
		if err := m.Probe(t.Context()); err != nil {
			t.Errorf("after %+v: %v", a, err)
		}
	}

	// A key that is not taken is told, until it is.
	s.Answers(llmtest.InTurn(llmtest.Answer{Status: 401, Code: "invalid_api_key"}))
	m = at(t, openai.Options{BaseURL: s.URL})
	_ = ask(t, m)
	if err := m.Probe(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("with a wrong key: %v", err)
	}
	s.Answers(llmtest.InTurn(llmtest.Answer{Refusal: "No."}))
	_ = ask(t, m)
	if err := m.Probe(t.Context()); err != nil {
		t.Errorf("with a right key: %v", err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	turbo := at(t, openai.Options{})
	omni, err := openai.New(openai.Options{Model: "gpt-4o-mini"})
	if err != nil {
		t.Fatal(err)
	}
	// As OpenAI's own tokenizer counts them.
	for text, n := range map[string][2]int{
		"": {0, 0}, "hello world": {2, 2}, "tiktoken is great!": {6, 6}, "antidisestablishmentarianism": {6, 6}, "お誕生日おめでとう": {9, 8}, "<|endoftext|>": {7, 7},
	} {
		if got := [2]int{turbo.Tokens(text), omni.Tokens(text)}; got != n {
			t.Errorf("%q: %v tokens, want %v", text, got, n)
		}
	}
	began := time.Now()
	if n := turbo.Tokens(strings.Repeat("a", 1<<18)); n < 1<<14 {
		t.Errorf("a word of 256 KiB has %d tokens", n)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("which took %s to count", took)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Calls: []llmtest.Call{{Tool: "note", Arguments: "{}"}}, InputTokens: 12_345, OutputTokens: 678}))
	used, err := at(t, openai.Options{BaseURL: s.URL}).Answer(t.Context(), llmtest.Ask(), func(llm.Call) error { return nil })
	// 12,345 at $10 and 678 at $30 for a million.
	if want := (llm.Usage{InputTokens: 12_345, OutputTokens: 678, CostMicros: 123_450 + 20_340}); err != nil || used != want {
		t.Errorf("got %+v, %v, want %+v", used, err, want)
	}
	if _, err := time.Parse(time.DateOnly, openai.PricesAsOf); err != nil {
		t.Error(err)
	}
	if _, err := openai.New(openai.Options{Model: "gpt-unknown"}); err == nil || !strings.Contains(err.Error(), "gpt-4-turbo") {
		t.Errorf("a model without a price: %v", err)
	}
}

// The key is sent to where it belongs only.
func TestNoRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Calls: []llmtest.Call{{Tool: "note", Arguments: "{}"}}}))
	s := llmtest.Serve(t, llmtest.InTurn(llmtest.Answer{Raw: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/chat/completions", http.StatusTemporaryRedirect)
	}}))
	if err := ask(t, at(t, openai.Options{BaseURL: s.URL})); err == nil || len(elsewhere.Requests()) > 0 {
		t.Errorf("followed: %v", err)
	}
}

func TestOptionsDoNotShowTheKey(t *testing.T) {
	t.Parallel()
	m := at(t, openai.Options{})
	if text := fmt.Sprintf("%v %+v", m, m); strings.Contains(text, llmtest.Key) {
		t.Errorf("printed: %s", text)
	}
}
