// Package openai makes vectors of texts at OpenAI, or at whatever speaks its protocol of embeddings.
//
// A request that fails for a passing reason is repeated a few times, how long the service wants to be left alone is kept to by all requests of
// the process, and a service that fails again and again is not asked at all for a while. Neither the key nor a word of a text is in any
// error: the service's own messages are not read.
package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// Options say which model, and how it is asked.
type Options struct {
	Key     *secret.Value
	BaseURL string // …/v1
	Model   string

	// Dimension is how long the vectors are to be; 0 for as long as the model makes them. Shorter ones say less and take less room.
	Dimension int

	// Timeout is how long the service may take for one request.
	Timeout time.Duration

	// Pause waits between two attempts; nil sleeps. For tests.
	Pause func(ctx context.Context, d time.Duration) error
}

// PricesAsOf is the day of the price list below.
const PricesAsOf = "2025-06-01"

type spec struct {
	dimension int
	price     int64 // dollars per billion tokens, which is nanodollars a token
}

var models = map[string]spec{
	"text-embedding-3-small": {1536, 20},
	"text-embedding-3-large": {3072, 130},
}

const (
	attempts  = 3                      // of one request
	firstWait = 500 * time.Millisecond // after the first attempt; doubled after each
	patience  = 20 * time.Second       // whoever is told to wait longer comes back later

	tripsAfter = 5                // failures in a row after which the service is left alone
	coolDown   = 30 * time.Second // for so long

	maxInputs = 2048    // texts of one request
	maxBytes  = 300_000 // of one request: at most as many tokens, and that many it may have
	maxAnswer = 256 << 20
)

// Embedder makes vectors at OpenAI.
type Embedder struct {
	options Options
	spec    spec
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[answer]
	quiet   atomic.Int64 // Unix milliseconds before which the service does not want to be asked
	denied  atomic.Bool  // whether it did not take our requests the last time that it answered
}

var _ embed.Embedder = (*Embedder)(nil)

// New returns the embedder. It asks the service nothing.
func New(o Options) (*Embedder, error) {
	s, known := models[o.Model]
	if !known {
		return nil, fault.Invalid("", "the prices of the model %q are not known: take one of %s", o.Model, strings.Join(slices.Sorted(maps.Keys(models)), ", "))
	}
	if o.Dimension < 0 || o.Dimension > s.dimension {
		return nil, fault.Invalid("", "vectors of %s are at most %d long", o.Model, s.dimension)
	}
	if o.Dimension == 0 {
		o.Dimension = s.dimension
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	return &Embedder{
		options: o, spec: s,
		client: &http.Client{
			Transport:     http.DefaultTransport.(*http.Transport).Clone(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key goes nowhere else
		},
		breaker: gobreaker.NewCircuitBreaker[answer](gobreaker.Settings{
			Name: "openai embeddings", Timeout: coolDown,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripsAfter },
			// That it is busy, or does not take our requests, says nothing about how it is; nor do we who hang up.
			IsExcluded: func(err error) bool {
				var s *statusError
				return errors.Is(err, context.Canceled) || errors.As(err, &s) && s.status < 500
			},
		}),
	}, nil
}

// Name implements embed.Embedder.
func (e *Embedder) Name() string { return fmt.Sprintf("%s/%d", e.options.Model, e.options.Dimension) }

// Dimension implements embed.Embedder.
func (e *Embedder) Dimension() int { return e.options.Dimension }

// Fits implements embed.Embedder: the models read 8,191 tokens, which is more than MaxText bytes can be.
func (*Embedder) Fits(text string) bool { return len(text) <= embed.MaxText }

// Estimate implements embed.Embedder: no byte is more than a token.
func (e *Embedder) Estimate(texts []string) llm.Usage {
	n := 0
	for _, text := range texts {
		n += len(text)
	}
	return e.usage(n)
}

func (e *Embedder) usage(tokens int) llm.Usage {
	return llm.Usage{InputTokens: tokens, CostMicros: (int64(tokens)*e.spec.price + 999) / 1000}
}

// Embed implements embed.Embedder. A text without a word is not sent: the service takes none.
func (e *Embedder) Embed(ctx context.Context, texts []string) (_ [][]float32, used llm.Usage, err error) {
	for _, text := range texts {
		if len(text) > embed.MaxText {
			return nil, used, &llm.Error{Kind: llm.TooLong, Reason: "a text is too long"}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, used, err
	}
	vectors := make([][]float32, len(texts))
	var batch []int // of texts
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		found, more, err := e.ask(ctx, texts, batch)
		used.Add(more)
		for i, v := range found {
			vectors[batch[i]] = v
		}
		batch, size = nil, 0
		return err
	}
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			vectors[i] = make([]float32, e.options.Dimension)
			continue
		}
		if len(batch) == maxInputs || size+len(text) > maxBytes {
			if err := flush(); err != nil {
				return nil, used, err
			}
		}
		batch, size = append(batch, i), size+len(text)
	}
	if err := flush(); err != nil {
		return nil, used, err
	}
	return vectors, used, nil
}

// ask makes vectors of some of the texts, in one request.
func (e *Embedder) ask(ctx context.Context, texts []string, batch []int) ([][]float32, llm.Usage, error) {
	inputs := make([]string, len(batch))
	for i, at := range batch {
		inputs[i] = strings.ToValidUTF8(texts[at], "\ufffd")
	}
	body, err := json.Marshal(map[string]any{"model": e.options.Model, "input": inputs, "encoding_format": "float", "dimensions": e.options.Dimension})
	if err != nil {
		panic(err) // plain strings
	}
	for attempt := 1; ; attempt++ {
		got, err := e.attempt(ctx, body)
		used := e.usage(got.Usage.PromptTokens)
		if err == nil {
			e.denied.Store(false)
			vectors, ok := got.vectors(len(inputs), e.options.Dimension)
			if !ok {
				return nil, used, &llm.Error{Kind: llm.Malformed, Reason: "the vectors are not those that were asked for"}
			}
			return vectors, used, nil
		}
		if ctx.Err() != nil {
			return nil, used, ctx.Err()
		}
		failed := classify(err)
		if failed.Kind == llm.Denied {
			e.denied.Store(true)
		}
		if failed.After > 0 {
			e.quiet.Store(time.Now().Add(failed.After).UnixMilli())
		}
		wait := firstWait << (attempt - 1)
		wait = max(wait/2+rand.N(wait), failed.After) // so that what failed together is not tried together
		if failed.Kind != llm.Unavailable || attempt == attempts || wait > patience {
			return nil, used, failed
		}
		if err := e.options.Pause(ctx, wait); err != nil {
			return nil, used, err
		}
	}
}

// answer is what the service answers.
type answer struct {
	Data []struct {
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	} `json:"data"`
	Usage struct {
		PromptTokens int `json:"prompt_tokens"`
	} `json:"usage"`
}

// statusError is an answer that is none.
type statusError struct {
	status int
	after  time.Duration
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d", e.status) }

// attempt asks once.
func (e *Embedder) attempt(ctx context.Context, body []byte) (answer, error) {
	if left := time.Until(time.UnixMilli(e.quiet.Load())); left > 0 {
		return answer{}, &llm.Error{Kind: llm.Unavailable, After: left, Reason: "it wants to be left alone"}
	}
	return e.breaker.Execute(func() (answer, error) {
		ctx, cancel := context.WithTimeout(ctx, e.options.Timeout)
		defer cancel()
		key := e.options.Key.Within(ctx, time.Minute)
		out, err := e.post(ctx, body, key)
		var s *statusError
		if errors.As(err, &s) && s.status == http.StatusUnauthorized {
			e.options.Key.Refused()
			if now := e.options.Key.Within(ctx, time.Minute); now != key { // replaced a moment ago
				return e.post(ctx, body, now)
			}
		}
		return out, err
	})
}

// post sends a request with a key.
func (e *Embedder) post(ctx context.Context, body []byte, key string) (out answer, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.options.BaseURL+"/embeddings", bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := e.client.Do(r)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return out, &statusError{res.StatusCode, retryAfter(res.Header)}
	}
	return out, json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&out)
}

// Probe says why the service would not be asked now, or would not answer; nil if it would.
func (e *Embedder) Probe(context.Context) error {
	if e.denied.Load() {
		return fault.Unavailable("the service does not take our requests: the key, the account or the model is not right")
	}
	if e.breaker.State() == gobreaker.StateOpen {
		return fault.Unavailable("has failed again and again, and is left alone")
	}
	return nil
}

// retryAfter reads how long the service wants to be left alone; more than an hour is an hour.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return time.Duration(min(max(ms, 0), 3.6e6) * float64(time.Millisecond))
	}
	if s, err := strconv.ParseFloat(h.Get("Retry-After"), 64); err == nil {
		return time.Duration(min(max(s, 0), 3600) * float64(time.Second))
	}
	return 0
}

// classify says what can be done about an error.
func classify(err error) *llm.Error {
	if known := llm.Failure(err); known != nil {
		return known
	}
	var s *statusError
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return &llm.Error{Kind: llm.Unavailable, After: coolDown, Reason: "it has failed again and again, and is left alone"}
	case !errors.As(err, &s):
		return &llm.Error{Kind: llm.Unavailable, Reason: "the connection broke, or what came is no answer"}
	case s.status == http.StatusTooManyRequests, s.status == http.StatusRequestTimeout, s.status == http.StatusConflict, s.status >= 500:
		return &llm.Error{Kind: llm.Unavailable, After: s.after, Reason: s.Error()}
	}
	return &llm.Error{Kind: llm.Denied, Reason: s.Error()}
}

// vectors are those of the texts in their order, of length 1; false if they are not.
func (a answer) vectors(n, dimension int) ([][]float32, bool) {
	if len(a.Data) != n {
		return nil, false
	}
	all := make([][]float32, n)
	for _, d := range a.Data {
		if d.Index < 0 || d.Index >= n || all[d.Index] != nil || len(d.Embedding) != dimension {
			return nil, false
		}
		length := 0.0
		for _, x := range d.Embedding {
			length += float64(x) * float64(x)
		}
		if length == 0 {
			return nil, false
		}
		for i, x := range d.Embedding {
			d.Embedding[i] = float32(float64(x) / math.Sqrt(length))
		}
		all[d.Index] = d.Embedding
	}
	return all, true
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
