package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// header is what the client does not keep of an answer that is an error.
type header struct {
	status     int
	retryAfter time.Duration
}

type headerKey struct{}

// doer signs in, notes down the header, and caps the answer.
type doer struct {
	key    *secret.Value
	client *http.Client
}

// Do implements api.HTTPDoer.
func (d doer) Do(r *http.Request) (*http.Response, error) {
	res, err := d.send(r)
	if err != nil {
		return nil, err
	}
	if h, ok := r.Context().Value(headerKey{}).(*header); ok {
		h.status, h.retryAfter = res.StatusCode, retryAfter(res.Header, time.Now())
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxStream), res.Body}
	return res, nil
}

// send sends the request with the key as it is now. One that is refused may have been replaced a moment ago: then it is sent once more.
func (d doer) send(r *http.Request) (*http.Response, error) {
	const age = time.Minute
	key := d.key.Within(r.Context(), age)
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := d.client.Do(r)
	if err != nil || res.StatusCode != http.StatusUnauthorized || r.GetBody == nil {
		return res, err
	}
	d.key.Refused()
	now := d.key.Within(r.Context(), age)
	if now == key {
		return res, nil
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	if again.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	again.Header.Set("Authorization", "Bearer "+now)
	return d.client.Do(again)
}

// retryAfter reads how long the service wants to be left alone: Retry-After-Ms, as OpenAI writes it, or Retry-After, in seconds or as
// a date. More than an hour is an hour.
func retryAfter(h http.Header, now time.Time) (d time.Duration) {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		d = time.Duration(min(max(ms, 0), 3.6e6) * float64(time.Millisecond))
	} else if s, err := strconv.ParseFloat(h.Get("Retry-After"), 64); err == nil {
		d = time.Duration(min(max(s, 0), 3600) * float64(time.Second))
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), time.Hour)
}

// classify says what can be done about an error of the client. Of what the service says only its code is kept: its messages quote
// the key and the request.
func classify(err error, head header) *llm.Error {
	if known := llm.Failure(err); known != nil {
		return known
	}
	status, code := head.status, ""
	var answered *api.APIError
	if errors.As(err, &answered) {
		code, _ = answered.Code.(string)
		if code == "" {
			code = answered.Type
		}
	}
	e := &llm.Error{Kind: llm.Unavailable, After: head.retryAfter, Reason: "the connection broke"}
	switch {
	case status >= 300:
		e.Reason = fmt.Sprintf("status %d", status)
	case answered != nil:
		e.Reason = "an error within the answer"
	case errors.Is(err, context.DeadlineExceeded):
		e.Reason = "it took too long"
	}
	if codes.MatchString(code) {
		e.Reason += ", " + code
	}
	switch {
	case code == "context_length_exceeded", code == "string_above_max_length", status == http.StatusRequestEntityTooLarge:
		e.Kind = llm.TooLong
	case code == "content_filter", code == "content_policy_violation":
		e.Kind = llm.Refused
	case code == "insufficient_quota", status >= 300 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout && status != http.StatusConflict:
		e.Kind = llm.Denied
	}
	if e.Kind != llm.Unavailable {
		e.After = 0
	}
	return e
}

// codes are names, and nothing else gets into an error by way of one.
var codes = regexp.MustCompile(`^[a-z][a-z_]{0,39}$`)
