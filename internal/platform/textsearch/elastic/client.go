package elastic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/sony/gobreaker/v2"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// object is JSON on its way to the server.
type object = map[string]any

// tripsAfter is how many failures in a row there must be for a server to be left alone.
const tripsAfter = 3

const maxAnswer = 64 << 20

// connect returns the way to the servers: one attempt a request, each signed in, through a breaker.
func connect(nodes []*url.URL, o Options) (esapi.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	if o.CA != nil {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(o.CA) {
			return nil, fault.Invalid("ca", "holds no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	pool, err := elastictransport.New(elastictransport.Config{URLs: nodes, Transport: transport, DisableRetry: true, UserAgent: "rapport"})
	if err != nil {
		return nil, err
	}
	return &guarded{
		pool: pool, key: o.APIKey, user: o.Username, password: o.Password,
		breaker: gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
			Name: "elasticsearch", Timeout: o.CoolDown,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripsAfter },
			// What it refuses says nothing about how it is; nor do we who hang up.
			IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
			IsSuccessful: func(err error) bool { return err == nil || !unwell(status(err)) && status(err) != 0 },
		}),
	}, nil
}

// guarded signs in, and leaves a server alone that fails again and again.
type guarded struct {
	pool     *elastictransport.Client
	key      *secret.Value
	user     string
	password *secret.Value
	breaker  *gobreaker.CircuitBreaker[*http.Response]
	last     atomic.Pointer[error] // that counted against the server
}

// Perform implements esapi.Transport.
func (g *guarded) Perform(r *http.Request) (*http.Response, error) {
	res, err := g.breaker.Execute(func() (*http.Response, error) {
		ctx := r.Context()
		switch {
		case g.key != nil:
			r.Header.Set("Authorization", "ApiKey "+g.key.Within(ctx, time.Minute))
		case g.user != "":
			r.SetBasicAuth(g.user, g.password.Within(ctx, time.Minute))
		}
		res, err := g.pool.Perform(r)
		if err != nil {
			return nil, err
		}
		if res.StatusCode == http.StatusUnauthorized {
			g.key.Refused()
			g.password.Refused()
		}
		if unwell(res.StatusCode) { // counted as a failure, and its answer is of no use
			_ = res.Body.Close()
			return nil, &statusError{status: res.StatusCode}
		}
		return res, nil
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		if last := g.last.Load(); last != nil {
			err = fmt.Errorf("left alone for a while: %w", *last)
		}
	} else if err != nil && !errors.Is(err, context.Canceled) {
		g.last.Store(&err)
	}
	return res, err
}

// unwell says whether a status is of a server that cannot serve, and not of one that is busy or does not like the request.
func unwell(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// statusError is an answer that is none. It holds the kind of the server's error and not its words, which quote documents.
type statusError struct {
	status int
	kind   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d %s", e.status, e.kind) }

func status(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		return s.status
	}
	return 0
}

// refusal says whether the server has refused for a reason of this kind.
func refusal(err error, kind string) bool {
	var s *statusError
	return errors.As(err, &s) && s.kind == kind
}

// request is any of esapi's.
type request interface {
	Do(ctx context.Context, transport esapi.Transport) (*esapi.Response, error)
}

// call does one request within the time and decodes its answer into out, if that is not nil. What may succeed later is an
// UNAVAILABLE fault.
func (x *Index) call(ctx context.Context, within time.Duration, r request, out any) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	res, err := r.Do(limited, x.server)
	if err == nil {
		defer func() {
			_, _ = io.CopyN(io.Discard, res.Body, 1<<20) // so that the connection can be used again
			_ = res.Body.Close()
		}()
		if res.IsError() {
			err = readError(res)
		} else if out != nil {
			err = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out)
		}
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return classify(err)
}

func readError(res *esapi.Response) error {
	var told struct {
		Error json.RawMessage `json:"error"`
	}
	var detail struct {
		Type      string `json:"type"`
		RootCause []struct {
			Type string `json:"type"`
		} `json:"root_cause"`
	}
	_ = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&told)
	_ = json.Unmarshal(told.Error, &detail) // of a missing alias it is a text
	kind := detail.Type
	if len(detail.RootCause) > 0 && detail.RootCause[0].Type != "" {
		kind = detail.RootCause[0].Type
	}
	return &statusError{status: res.StatusCode, kind: kind}
}

// classify says what can be done about an error: what the server refuses stays what it is.
func classify(err error) error {
	s := status(err)
	switch {
	case err == nil:
		return nil
	case refusal(err, "too_many_nested_clauses"), refusal(err, "too_many_clauses"):
		return fault.Invalid("query", "has too many words for the search index").Because(err)
	case s == 0, unwell(s), s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusUnauthorized, s == http.StatusForbidden:
		return textsearch.Unavailable(err)
	}
	return err
}

func encode(v any) io.Reader {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps, texts and numbers
	}
	return bytes.NewReader(body)
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

const (
	attempts  = 6 // of what the server is too busy for
	firstWait = 100 * time.Millisecond
)

// backoff waits before the given attempt, longer each time, and not in step with others.
func (x *Index) backoff(ctx context.Context, attempt int) error {
	wait := firstWait << (attempt - 1)
	return x.options.Pause(ctx, wait/2+rand.N(wait))
}
