package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Keys finds the public keys of an issuer.
type Keys interface {
	// find returns the keys that a token naming kid and alg may be verified with: none is no error. It returns an
	// Unavailable fault if the keys have never been seen and cannot be had now.
	find(ctx context.Context, kid string, alg jwa.SignatureAlgorithm) ([]key, error)
}

// The pace of asking an issuer for its keys.
const (
	refreshAfter  = 10 * time.Minute // keys this old are renewed behind the request that notices
	distrustAfter = time.Hour        // keys this old are renewed before they are used: nobody has signed in for that long
	refetchPause  = 10 * time.Second // between fetches, whoever asks: unknown kids cost the sender nothing
	firstPause    = time.Second      // between fetches as long as there are no keys at all
	fetchTimeout  = 3 * time.Second
	maxSetBytes   = 512 << 10
)

// RemoteKeys are the keys at a JWKS URL. They are fetched when first needed, renewed while they are used, and fetched
// at once, but rarely, when a token names a key that is not among them: that is how a rotation looks. While the issuer
// cannot be reached the last keys stay. It has no goroutine of its own and needs no closing.
//
// It is not jwk.Cache, whose Refresh neither shares nor rates the fetches that unknown kids ask for, and in httprc 3.0.1
// ends one of its five workers whenever it fails (lestrrat-go/jwx#1551): after five failures it waits for ever. Nor can
// that cache be given a clock.
type RemoteKeys struct {
	url    string
	client *http.Client
	log    *slog.Logger
	now    func() time.Time

	mu        sync.Mutex
	keys      staticKeys
	fetchedAt time.Time     // of keys
	triedAt   time.Time     // when the last fetch began
	lastErr   error         // of the last fetch that ended
	inFlight  chan struct{} // closed when the fetch in flight ends; nil if none is
}

// RemoteOption changes how keys are fetched.
type RemoteOption func(*RemoteKeys)

// WithHTTPClient replaces the client (default: 3 s in all, no redirects).
func WithHTTPClient(c *http.Client) RemoteOption { return func(r *RemoteKeys) { r.client = c } }

// WithLogger is told when the keys cannot be fetched (default: slog.Default).
func WithLogger(l *slog.Logger) RemoteOption { return func(r *RemoteKeys) { r.log = l } }

// WithKeysClock replaces the clock.
func WithKeysClock(now func() time.Time) RemoteOption { return func(r *RemoteKeys) { r.now = now } }

// NewRemoteKeys returns the keys at a JWKS URL, which must be https, or http on this machine. It fetches nothing yet.
func NewRemoteKeys(jwksURL string, opts ...RemoteOption) (*RemoteKeys, error) {
	u, err := url.Parse(jwksURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("auth: the JWKS URL is not an absolute URL")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopbackHost(u.Host)) {
		return nil, errors.New("auth: the JWKS URL must be https: whoever can change the answer can sign in as anybody")
	}
	r := &RemoteKeys{
		url: jwksURL, log: slog.Default(), now: time.Now,
		client: &http.Client{
			Timeout: fetchTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the configured place is the trusted one
			},
		},
	}
	for _, o := range opts {
		o(r)
	}
	return r, nil
}

func (r *RemoteKeys) find(ctx context.Context, kid string, alg jwa.SignatureAlgorithm) ([]key, error) {
	keys, fetching := r.current()
	if keys == nil || fetching != nil {
		if err := wait(ctx, fetching); err != nil {
			return nil, err
		}
		keys, _ = r.current()
		if keys == nil {
			return nil, fault.Unavailable("sign-in cannot be checked now: the issuer's keys cannot be fetched").Because(r.err())
		}
	}
	found, err := keys.find(ctx, kid, alg)
	if err != nil || len(found) > 0 || kid == "" {
		return found, err
	}
	if err := wait(ctx, r.refetch()); err != nil {
		return nil, err
	}
	keys, _ = r.current()
	return keys.find(ctx, kid, alg)
}

// current returns the keys, and the fetch to wait for before they may be used: nil if they may be used as they are.
func (r *RemoteKeys) current() (staticKeys, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := r.now().Sub(r.fetchedAt)
	switch {
	case r.keys == nil:
		return nil, r.startLocked(firstPause)
	case age >= distrustAfter && r.lastErr == nil: // unused for long; in an outage there would be an error
		return r.keys, r.startLocked(refetchPause)
	case age >= refreshAfter:
		r.startLocked(refetchPause)
	}
	return r.keys, nil
}

// refetch starts a fetch, or joins the one in flight; nil means that the last one was too short ago.
func (r *RemoteKeys) refetch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.startLocked(refetchPause)
}

func (r *RemoteKeys) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastErr
}

func (r *RemoteKeys) startLocked(pause time.Duration) <-chan struct{} {
	if r.inFlight != nil {
		return r.inFlight
	}
	now := r.now()
	if !r.triedAt.IsZero() && now.Sub(r.triedAt) < pause {
		return nil
	}
	done := make(chan struct{})
	r.triedAt, r.inFlight = now, done
	go func() { // detached: the first caller's cancellation must not fail the others
		defer close(done)
		keys, err := r.fetch()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inFlight, r.lastErr = nil, err
		if err == nil {
			r.keys, r.fetchedAt = keys, now
			return
		}
		r.log.Warn("the issuer's keys cannot be fetched", "error", err, "have", len(r.keys))
	}()
	return done
}

// fetch asks the issuer once. jwk.Fetch would read an answer of any size, and cannot be told to go on past a key that it
// does not know.
func (r *RemoteKeys) fetch() (staticKeys, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the JWKS URL answers %s", res.Status)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, res.Body, maxSetBytes))
	if err != nil {
		return nil, err
	}
	set, err := jwk.Parse(body, jwk.WithIgnoreParseError(true))
	if err != nil {
		return nil, err
	}
	return usableKeys(set)
}

// wait waits for a fetch; nil is over already.
func wait(ctx context.Context, fetch <-chan struct{}) error {
	if fetch == nil {
		return nil
	}
	select {
	case <-fetch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
