// Package openai is the language model at OpenAI, or at whatever speaks its protocol of chat completions.
//
// Answers are streamed, and a call of a tool is handed on when its last brace has come. A request that fails for a passing reason is
// repeated a few times as long as nothing of its answer has come; how long the service wants to be left alone is kept to by all
// requests of the process; and a service that fails again and again is not asked at all for a while. Neither the key nor a word of a
// request or an answer is in any error: the service's own messages quote both, and are dropped.
package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	api "github.com/sashabaranov/go-openai"
	"github.com/sony/gobreaker/v2"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// Options say which model, and how it is asked.
type Options struct {
	Key     *secret.Value
	BaseURL string // …/v1
	Model   string

	// InputPrice and OutputPrice are what a million tokens cost, in dollars, where the price list is no longer right; 0 for what it says.
	InputPrice, OutputPrice float64

	// Silence is how long the service may take for the first word of an answer, and be silent within one.
	Silence time.Duration

	// Pause waits between two attempts; nil sleeps. For tests.
	Pause func(ctx context.Context, d time.Duration) error
}

const (
	attempts  = 3                      // of one request
	firstWait = 500 * time.Millisecond // after the first attempt; doubled after each
	patience  = 20 * time.Second       // whoever is told to wait longer comes back later, and does not keep a worker waiting

	tripsAfter = 5                // failures in a row after which the service is left alone
	coolDown   = 30 * time.Second // for so long

	maxOutput = 4096     // tokens of one answer
	maxStream = 16 << 20 // bytes of one answer: 4,096 tokens as events are about a megabyte
)

// Model is a model at OpenAI.
type Model struct {
	client  *api.Client
	options Options
	spec    spec
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	quiet   atomic.Int64 // Unix milliseconds before which the service does not want to be asked
	denied  atomic.Bool  // whether it did not take the key the last time that it answered
}

var _ llm.Model = (*Model)(nil)

// New returns the model. It asks the service nothing.
func New(o Options) (*Model, error) {
	s, known := models[o.Model]
	if !known {
		return nil, fault.Invalid("", "the prices of the model %q are not known: take one of %s", o.Model, strings.Join(Models(), ", "))
	}
	if o.InputPrice > 0 {
		s.in, s.out = int64(math.Round(o.InputPrice*1000)), int64(math.Round(o.OutputPrice*1000))
	}
	if o.Silence <= 0 {
		o.Silence = time.Minute
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	c := api.DefaultConfig("") // the key is added to each request
	if o.BaseURL != "" {
		c.BaseURL = o.BaseURL
	}
	c.EmptyMessagesLimit = math.MaxInt32 // comments that keep a connection alive; maxStream is the limit
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = 10 * time.Second
	c.HTTPClient = doer{o.Key, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key goes nowhere else
	}}
	return &Model{
		client: api.NewClientWithConfig(c), options: o, spec: s,
		breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Name: "openai", Timeout: coolDown,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripsAfter },
			IsExcluded:  func(err error) bool { return errors.Is(err, errNoVerdict) },
		}),
	}, nil
}

// errNoVerdict tells the breaker that an attempt says nothing about how the service is.
var errNoVerdict = errors.New("no verdict")

// Name implements llm.Model.
func (m *Model) Name() string { return m.options.Model }

// Tokens implements llm.Model.
func (m *Model) Tokens(text string) int { return m.spec.tokens(text) }

// Estimate implements llm.Model.
func (m *Model) Estimate(r llm.Request) llm.Usage { return m.usage(m.input(r), maxOutput) }

// input counts a request as the service is going to, give or take a few tokens.
func (m *Model) input(r llm.Request) int {
	const message, tool = 4, 12 // what the service puts around each
	n := m.Tokens(r.Instructions) + m.Tokens(r.Material) + 2*message + 3
	for _, t := range r.Tools {
		n += tool + m.Tokens(t.Name) + m.Tokens(t.Description) + m.Tokens(string(t.Parameters))
	}
	return n
}

func (m *Model) usage(input, output int) llm.Usage {
	return llm.Usage{InputTokens: input, OutputTokens: output, CostMicros: m.spec.cost(input, output)}
}

// Answer implements llm.Model.
func (m *Model) Answer(ctx context.Context, r llm.Request, call func(llm.Call) error) (used llm.Usage, err error) {
	input := m.input(r)
	if input+maxOutput > m.spec.window {
		return used, &llm.Error{Kind: llm.TooLong, Reason: fmt.Sprintf("%d tokens do not fit", input)}
	}
	for attempt := 1; ; attempt++ {
		a := answer{model: m, request: r, input: input, call: call}
		err := m.attempt(ctx, &a)
		used.Add(a.usage())
		failed := llm.Failure(err)
		if failed == nil || failed.Kind != llm.Unavailable || a.handedOn || attempt == attempts {
			return used, err
		}
		wait := firstWait << (attempt - 1)
		wait = wait/2 + rand.N(wait) // so that what failed together is not tried together
		if wait = max(wait, failed.After); wait > patience {
			return used, err
		}
		if err := m.options.Pause(ctx, wait); err != nil {
			return used, err
		}
	}
}

// attempt asks once.
func (m *Model) attempt(ctx context.Context, a *answer) (err error) {
	if left := time.Until(time.UnixMilli(m.quiet.Load())); left > 0 {
		return &llm.Error{Kind: llm.Unavailable, After: left, Reason: "it wants to be left alone"}
	}
	settle, err := m.breaker.Allow()
	if err != nil {
		return &llm.Error{Kind: llm.Unavailable, After: coolDown, Reason: "it has failed again and again, and is left alone"}
	}
	verdict := errNoVerdict // for a panic of call, too
	defer func() { settle(verdict) }()

	asking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(m.options.Silence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	var head header
	err = a.read(context.WithValue(asking, headerKey{}, &head), func() { watchdog.Reset(m.options.Silence) })
	if a.called != nil {
		return a.called
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && errors.Is(context.Cause(asking), errSilent) {
		err = &llm.Error{Kind: llm.Unavailable, Reason: "it was silent for " + m.options.Silence.String()}
	}
	var failed *llm.Error
	if err != nil {
		failed = classify(err, head)
		if failed.After > 0 {
			m.quiet.Store(time.Now().Add(failed.After).UnixMilli())
		}
		err = failed
	}
	if failed == nil || failed.Kind != llm.Unavailable {
		m.denied.Store(failed != nil && failed.Kind == llm.Denied)
	}
	switch {
	case failed == nil || failed.Kind == llm.Refused || failed.Kind == llm.TooLong:
		verdict = nil
	case failed.Kind == llm.Unavailable && head.status != http.StatusTooManyRequests, failed.Kind == llm.Malformed:
		verdict = failed
	}
	return err
}

var errSilent = errors.New("silent")

// read sends the request and reads the answer. heard is called for each event.
func (a *answer) read(ctx context.Context, heard func()) error {
	stream, err := a.model.client.CreateChatCompletionStream(ctx, a.model.body(a.request))
	if err != nil {
		return err
	}
	defer stream.Close()
	a.begun = true
	for {
		event, err := stream.RecvRaw()
		if errors.Is(err, io.EOF) {
			return a.end()
		} else if err != nil {
			return err
		}
		heard()
		if err := a.event(event); err != nil {
			return err
		}
	}
}

func (m *Model) body(r llm.Request) api.ChatCompletionRequest {
	tools := make([]api.Tool, len(r.Tools))
	for i, t := range r.Tools {
		tools[i] = api.Tool{Type: api.ToolTypeFunction, Function: &api.FunctionDefinition{
			Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: true,
		}}
	}
	return api.ChatCompletionRequest{
		Model: m.options.Model,
		Messages: []api.ChatCompletionMessage{
			{Role: api.ChatMessageRoleSystem, Content: r.Instructions},
			{Role: api.ChatMessageRoleUser, Content: r.Material},
		},
		Tools: tools, ToolChoice: "required",
		Temperature:         math.SmallestNonzeroFloat32, // the client leaves 0 out, and left out it is 1
		MaxCompletionTokens: maxOutput,
		Stream:              true,
		StreamOptions:       &api.StreamOptions{IncludeUsage: true},
	}
}

// pause sleeps.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Probe says why the service would not be asked now, nil if it would.
func (m *Model) Probe(context.Context) error {
	if m.denied.Load() {
		return fault.Unavailable("the service does not take the key")
	}
	if m.breaker.State() == gobreaker.StateOpen {
		return fault.Unavailable("has failed again and again, and is left alone")
	}
	return nil
}
