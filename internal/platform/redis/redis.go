// Package redis is the way to a Redis or Valkey server, for the adapters that keep something there.
//
// Nothing that Rapport promises rests on it: what is asked of it is asked in a moment or not at all, and whoever asks has another way.
package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/sony/gobreaker/v2"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

const (
	dialing    = 2 * time.Second
	answering  = 500 * time.Millisecond // until a server that is asked in passing counts as away
	tripsAfter = 3                      // failures in a row
	leftAlone  = time.Second            // then; after it one question finds out whether it is back
)

// Lines is a set of lines to a server.
type Lines = goredis.UniversalClient

// silent keeps the library from writing lines of its own to standard error: they name hosts, one for each question that is not answered.
var silent = sync.OnceFunc(logging.Disable)

// Connect returns what makes lines to the server at url, redis:// or rediss://. They sign in as url says at that moment; where the
// server is stays. Each asks once: whoever asks knows better when to ask again.
func Connect(ctx context.Context, url func(context.Context) string) (func() Lines, error) {
	silent()
	opts, err := goredis.ParseURL(url(ctx))
	if err != nil {
		return nil, errors.New("must be a URL like redis://user:password@host:6379/0, or rediss:// for TLS") // the library's error may quote it
	}
	opts.MaxRetries, opts.DialerRetries, opts.DialTimeout = -1, 1, dialing
	opts.ContextTimeoutEnabled = true
	opts.CredentialsProviderContext = func(ctx context.Context) (user, password string, err error) {
		now, err := goredis.ParseURL(url(ctx))
		if err != nil {
			return opts.Username, opts.Password, nil
		}
		return now.Username, now.Password, nil
	}
	return func() Lines { return goredis.NewClient(opts) }, nil
}

// Server is asked in passing: by somebody who has little time, and another way if there is no answer. All methods are safe for
// concurrent use.
type Server struct {
	lines   Lines
	breaker *gobreaker.CircuitBreaker[struct{}]
}

// ErrAway says that the server is not asked, because it did not answer just before.
var ErrAway = fault.Unavailable("Redis does not answer")

// NewServer returns the server at the end of lines, which Close closes. It need not be there.
func NewServer(lines Lines) *Server {
	return &Server{lines: lines, breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "redis", Timeout: leftAlone,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripsAfter },
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, goredis.Nil) || errors.Is(err, errLeft) },
	})}
}

// errLeft says that who asked did not wait for the answer, which is no fault of the server's.
var errLeft = errors.New("the caller has left")

// Ask has do ask the server, within half a second. It returns do's error, or an Unavailable fault if there was no answer, or nobody was
// asked because there was none just before.
func (s *Server) Ask(ctx context.Context, do func(context.Context, Lines) error) error {
	asked := ctx
	_, err := s.breaker.Execute(func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, answering)
		defer cancel()
		err := do(ctx, s.lines)
		if err != nil && asked.Err() != nil {
			err = errors.Join(errLeft, asked.Err())
		}
		return struct{}{}, err
	})
	switch {
	case err == nil, errors.Is(err, goredis.Nil):
		return err
	case errors.Is(err, errLeft):
		return asked.Err()
	}
	return ErrAway.Because(err)
}

// Probe says whether the server answers.
func (s *Server) Probe(ctx context.Context) error {
	return s.Ask(ctx, func(ctx context.Context, lines Lines) error { return lines.Ping(ctx).Err() })
}

// Close closes the lines.
func (s *Server) Close() { _ = s.lines.Close() }
