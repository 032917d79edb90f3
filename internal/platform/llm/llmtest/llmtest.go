package llmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Setup returns a model at the server of the given base URL that waits so long for a silent one, and does not really pause between its
// attempts.
type Setup func(t *testing.T, url string, silence time.Duration) llm.Model

// Long is a silence that no test lasts.
const Long = 5 * time.Minute

// Run runs the suite.
func Run(t *testing.T, setup Setup) {
	for name, test := range map[string]func(*testing.T, Setup){
		"hands calls on while the answer goes on": handsOnEarly,
		"puts arguments together from any pieces": putsTogether,
		"drops calls that cannot be read":         dropsUnreadable,
		"repeats what has failed":                 repeats,
		"does not repeat what was handed on":      doesNotRepeat,
		"says what can be done":                   classifies,
		"tells what was used whatever happens":    tellsUsage,
		"ends with its context":                   endsWithContext,
		"returns the caller's own error":          returnsTheCallersError,
		"is patient with a slow answer":           isPatient,
		"refuses what does not fit":               refusesGiants,
		"quotes nothing in its errors":            quotesNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup)
		})
	}
}

// Ask is a request that offers the tools note and mark.
func Ask() llm.Request {
	schema := json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`)
	return llm.Request{Instructions: "Note what there is.", Material: `{"n":0,"text":"Hello"}`, Tools: []llm.Tool{
		{Name: "note", Description: "Notes something.", Parameters: schema}, {Name: "mark", Description: "Marks something.", Parameters: schema},
	}}
}

func note(text string) Call {
	b, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		panic(err)
	}
	return Call{"note", string(b)}
}

// answer collects an answer.
func answer(t *testing.T, m llm.Model) (texts []string, used llm.Usage, err error) {
	t.Helper()
	used, err = m.Answer(t.Context(), Ask(), func(c llm.Call) error {
		var arguments struct{ Text string }
		if err := json.Unmarshal(c.Arguments, &arguments); err != nil {
			t.Errorf("arguments of %s: %v", c.Tool, err)
		}
		texts = append(texts, c.Tool+" "+arguments.Text)
		return nil
	})
	return texts, used, err
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// The second call waits until the first was handed on: it would never come from a model that reads to the end first.
func handsOnEarly(t *testing.T, setup Setup) {
	first := make(chan struct{})
	calls := []Call{note("one"), note("two")}
	s := Serve(t, InTurn(Answer{Calls: calls, Each: func(event int) {
		if event == 3 { // the role, the name, the arguments; then the second's name
			select {
			case <-first:
			case <-time.After(20 * time.Second):
			}
		}
	}}))
	var got int
	_, err := setup(t, s.URL, Long).Answer(t.Context(), Ask(), func(llm.Call) error {
		if got++; got == 1 {
			close(first)
		}
		return nil
	})
	want(t, "calls and error", fmt.Sprint(got, err), "2 <nil>")
}

func putsTogether(t *testing.T, setup Setup) {
	text := "Say \"é\" or \\ to 世界 🙂👩‍👩‍👧: {[}] \t\n\u2028 done"
	for _, escape := range []bool{false, true} {
		for split := 1; split < 12; split++ {
			for _, write := range []int{0, 1, 7} {
				if write > 0 && split > 2 {
					continue
				}
				s := Serve(t, InTurn(Answer{Calls: []Call{note(text), {"mark", "{ \"text\" : \"\\u00e9\\ud83d\\ude42\" }\n"}}, Split: split, Escape: escape, Write: write}))
				got, used, err := answer(t, setup(t, s.URL, Long))
				want(t, fmt.Sprintf("split %d, escape %t, write %d", split, escape, write), fmt.Sprintf("%q %v %d", got, err, used.Unreadable),
					fmt.Sprintf("%q <nil> 0", []string{"note " + text, "mark é🙂"}))
			}
		}
	}
}

func dropsUnreadable(t *testing.T, setup Setup) {
	s := Serve(t, InTurn(Answer{Calls: []Call{
		note("one"), {"note", `{"text": "cut`}, {"note", `{"text": nothing}`}, {"note", `["text"]`}, {"note", `never`}, {"delete_everything", `{"text": "x"}`},
		note("one"), {"note", `{"text": "\ud83d half"}`},
	}}))
	got, used, err := answer(t, setup(t, s.URL, Long))
	want(t, "answer", fmt.Sprintf("%q %v %d", got, err, used.Unreadable), fmt.Sprintf("%q <nil> 5", []string{"note one", "note one", "note \ufffd half"}))
}

func repeats(t *testing.T, setup Setup) {
	for name, failing := range map[string]Answer{
		"busy":           {Status: 429, RetryAfter: "0", Code: "rate_limit_exceeded"},
		"broken":         {Status: 500, Code: "server_error"},
		"overloaded":     {Status: 503},
		"a broken line":  {Calls: []Call{note("never")}, Stop: Drop, At: 2},
		"a closed line":  {Calls: []Call{note("never")}, Stop: Close, At: 2},
		"an error event": {Calls: []Call{note("never")}, Stop: Fail, At: 1},
	} {
		s := Serve(t, InTurn(failing, failing, Answer{Calls: []Call{note("third")}}))
		got, _, err := answer(t, setup(t, s.URL, Long))
		want(t, name, fmt.Sprint(got, err, len(s.Requests())), "[note third] <nil> 3")
		s = Serve(t, InTurn(failing))
		_, _, err = answer(t, setup(t, s.URL, Long))
		if f := llm.Failure(err); f == nil || f.Kind != llm.Unavailable || len(s.Requests()) != 3 {
			t.Errorf("%s for good: %v after %d requests", name, err, len(s.Requests()))
		}
	}
}

func doesNotRepeat(t *testing.T, setup Setup) {
	for name, a := range map[string]Answer{
		"broken": {Stop: Drop, At: 4}, "closed": {Stop: Close, At: 4}, "failed": {Stop: Fail, At: 4},
	} {
		a.Calls = []Call{note("one"), note("two")}
		s := Serve(t, InTurn(a))
		got, _, err := answer(t, setup(t, s.URL, Long))
		f := llm.Failure(err)
		if f == nil || f.Kind != llm.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		want(t, name, fmt.Sprint(got, len(s.Requests())), "[note one] 1")
	}
}

func classifies(t *testing.T, setup Setup) {
	one := []Call{note("one")}
	for name, c := range map[string]struct {
		a        Answer
		kind     llm.Kind
		after    time.Duration
		requests int
	}{
		"a long Retry-After":  {Answer{Status: 429, RetryAfter: "90"}, llm.Unavailable, 90 * time.Second, 1},
		"no money":            {Answer{Status: 429, Code: "insufficient_quota"}, llm.Denied, 0, 1},
		"a wrong key":         {Answer{Status: 401, Code: "invalid_api_key"}, llm.Denied, 0, 1},
		"an unknown model":    {Answer{Status: 404, Code: "model_not_found"}, llm.Denied, 0, 1},
		"a refusal":           {Answer{Refusal: "I would rather not."}, llm.Refused, 0, 1},
		"an answer in words":  {Answer{Text: "I'm sorry, I can't assist with that."}, llm.Refused, 0, 1},
		"a filter":            {Answer{Calls: one, Finish: "content_filter"}, llm.Refused, 0, 1},
		"a filtered request":  {Answer{Status: 400, Code: "content_filter"}, llm.Refused, 0, 1},
		"an answer cut off":   {Answer{Calls: one, Finish: "length"}, llm.TooLong, 0, 1},
		"a request too long":  {Answer{Status: 400, Code: "context_length_exceeded"}, llm.TooLong, 0, 1},
		"nothing at all":      {Answer{}, llm.Malformed, 0, 1},
		"something else":      {Answer{Calls: one, Stop: Garbage, At: 1}, llm.Malformed, 0, 1},
		"an answer like HTML": {Answer{Raw: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Sign in</html>")) }}, llm.Unavailable, 0, 3},
	} {
		s := Serve(t, InTurn(c.a))
		_, _, err := answer(t, setup(t, s.URL, Long))
		f := llm.Failure(err)
		if f == nil || f.Kind != c.kind || f.After.Round(time.Second) != c.after || len(s.Requests()) != c.requests {
			t.Errorf("%s: %+v after %d requests, want %s", name, err, len(s.Requests()), c.kind)
		}
	}
	s := Serve(t, InTurn(Answer{Calls: one, Stop: Hang, At: 1}))
	_, _, err := answer(t, setup(t, s.URL, 50*time.Millisecond))
	if f := llm.Failure(err); f == nil || f.Kind != llm.Unavailable {
		t.Errorf("silence: %v", err)
	}
	s = Serve(t, InTurn(Answer{Raw: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}))
	_, _, err = answer(t, setup(t, s.URL, 50*time.Millisecond))
	if f := llm.Failure(err); f == nil || f.Kind != llm.Unavailable {
		t.Errorf("silence from the beginning: %v", err)
	}
	_, _, err = answer(t, setup(t, "http://127.0.0.1:1/v1", Long))
	if f := llm.Failure(err); f == nil || f.Kind != llm.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
}

func tellsUsage(t *testing.T, setup Setup) {
	one := []Call{note("one")}
	for name, c := range map[string]struct {
		a        Answer
		in, out  int // at least
		attempts int
	}{
		"told":             {Answer{Calls: one, InputTokens: 1000, OutputTokens: 200}, 1000, 200, 1},
		"told of a cut":    {Answer{Calls: one, Finish: "length", InputTokens: 1000, OutputTokens: 200}, 1000, 200, 1},
		"not told":         {Answer{Calls: one, NoUsage: true}, 20, 5, 1},
		"broken off":       {Answer{Calls: append(one, note("two")), Stop: Drop, At: 4}, 20, 5, 1},
		"broken off early": {Answer{Calls: one, Stop: Drop, At: 1}, 60, 0, 3}, // three attempts, each of which the service has read
		"refused":          {Answer{Refusal: "No."}, 0, 0, 1},
	} {
		s := Serve(t, InTurn(c.a))
		_, used, _ := answer(t, setup(t, s.URL, Long))
		if used.InputTokens < c.in || used.OutputTokens < c.out || (c.in > 0) != (used.CostMicros > 0) || len(s.Requests()) != c.attempts {
			t.Errorf("%s: %+v after %d requests", name, used, len(s.Requests()))
		}
	}
	s := Serve(t, InTurn(Answer{Status: 500}))
	if _, used, _ := answer(t, setup(t, s.URL, Long)); used != (llm.Usage{}) {
		t.Errorf("an error costs %+v", used)
	}
}

func endsWithContext(t *testing.T, setup Setup) {
	reached := make(chan struct{})
	s := Serve(t, InTurn(Answer{Calls: []Call{note("one")}, Stop: Hang, At: 1, Each: func(int) { close(reached) }}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	_, err := setup(t, s.URL, Long).Answer(ctx, Ask(), func(llm.Call) error { return nil })
	if !errors.Is(err, context.Canceled) || len(s.Requests()) != 1 {
		t.Errorf("%v after %d requests", err, len(s.Requests()))
	}
}

func returnsTheCallersError(t *testing.T, setup Setup) {
	mine := errors.New("enough")
	s := Serve(t, InTurn(Answer{Calls: []Call{note("one"), note("two")}}))
	n := 0
	_, err := setup(t, s.URL, Long).Answer(t.Context(), Ask(), func(llm.Call) error { n++; return mine })
	want(t, "calls and error", fmt.Sprint(n, errors.Is(err, mine)), "1 true")
}

// Each event comes within the silence that is allowed, all of them together do not.
func isPatient(t *testing.T, setup Setup) {
	const silence = 400 * time.Millisecond
	began := time.Now()
	s := Serve(t, InTurn(Answer{Calls: []Call{note("slowly")}, Split: 1, Each: func(int) {
		t := time.NewTimer(silence / 16)
		<-t.C
	}}))
	got, _, err := answer(t, setup(t, s.URL, silence))
	if took := time.Since(began); took < silence {
		t.Fatalf("the answer took only %s", took)
	}
	want(t, "answer", fmt.Sprint(got, err), "[note slowly] <nil>")
}

func refusesGiants(t *testing.T, setup Setup) {
	s := Serve(t, InTurn(Answer{}))
	m := setup(t, s.URL, Long)
	r := Ask()
	r.Material = strings.Repeat("word ", 200_000)
	_, err := m.Answer(t.Context(), r, func(llm.Call) error { return nil })
	if f := llm.Failure(err); f == nil || f.Kind != llm.TooLong || len(s.Requests()) != 0 {
		t.Errorf("%v after %d requests", err, len(s.Requests()))
	}
	small, large := m.Estimate(Ask()), m.Estimate(r)
	if small.InputTokens < 10 || small.CostMicros < 1 || large.InputTokens < 200_000 || large.CostMicros <= small.CostMicros {
		t.Errorf("estimates: %+v and %+v", small, large)
	}
}

func quotesNothing(t *testing.T, setup Setup) {
	for _, a := range []Answer{
		{Status: 401, Code: "invalid_api_key"}, {Status: 400, Code: "Private: " + Key}, {Status: 500}, {Refusal: "something private"}, {Stop: Fail},
		{Stop: Garbage}, {Raw: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("something private " + Key))
		}},
	} {
		s := Serve(t, InTurn(a))
		_, _, err := answer(t, setup(t, s.URL, Long))
		if text := fmt.Sprintf("%v %+v %#v", err, err, llm.Failure(err)); err == nil || strings.Contains(strings.ToLower(text), "private") || strings.Contains(text, Key) {
			t.Errorf("an error quotes: %s", text)
		}
	}
}
