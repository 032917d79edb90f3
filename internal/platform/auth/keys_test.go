package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

func TestParseKeysLeavesOutWhatCannotVerify(t *testing.T) {
	t.Parallel()
	rsaOf := func(bytes []byte) map[string]any {
		return map[string]any{"kty": "RSA", "kid": "k", "n": b64.EncodeToString(bytes), "e": "AQAB"}
	}
	with := func(j map[string]any, name string, value any) map[string]any { j[name] = value; return j }
	es := func() map[string]any { return newSigner(t, "k", "ES256").jwk() }
	for name, jwk := range map[string]any{
		"symmetric":        map[string]any{"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
		"for encryption":   with(es(), "use", "enc"),
		"for signing only": with(es(), "key_ops", []string{"sign"}),
		"weak RSA":         rsaOf(bytes.Repeat([]byte{0xc1}, 128)),
		"giant RSA":        rsaOf(bytes.Repeat([]byte{0xc1}, 2048)),
		"RSA exponent 1":   with(newSigner(t, "k", "RS256").jwk(), "e", "AQ"),
		"huge exponent":    with(newSigner(t, "k", "RS256").jwk(), "e", strings.Repeat("AQAB", 4)),
		"off the curve":    with(es(), "x", b64.EncodeToString(bytes.Repeat([]byte{7}, 32))),
		"other curve":      with(es(), "crv", "secp256k1"),
		"alg of HMAC":      with(es(), "alg", "HS256"),
		"alg of RSA":       with(es(), "alg", "RS256"),
		"x of 40 bytes":    with(es(), "x", b64.EncodeToString(bytes.Repeat([]byte{7}, 40))),
		"short Ed25519":    with(newSigner(t, "k", "EdDSA").jwk(), "x", "AQ"),
		"X25519":           with(newSigner(t, "k", "EdDSA").jwk(), "crv", "X25519"),
		"no object":        "key",
	} {
		t.Run(name, func(t *testing.T) {
			raw, _ := b64.DecodeString(part(t, map[string]any{"keys": []any{jwk}}))
			if keys, err := parseKeys(t, raw); err == nil {
				t.Errorf("alone: kept %d keys", len(keys))
			}
			raw, _ = b64.DecodeString(part(t, map[string]any{"keys": []any{jwk, es()}}))
			if keys, err := parseKeys(t, raw); err != nil || len(keys) != 1 {
				t.Errorf("beside a good one: %d keys, %v", len(keys), err)
			}
		})
	}
}

func TestParseKeysRefusesALongSet(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{maxKeys: true, maxKeys + 1: false} {
		jwks := slices.Repeat([]any{newSigner(t, "k", "EdDSA").jwk()}, n)
		raw, _ := b64.DecodeString(part(t, map[string]any{"keys": jwks}))
		if keys, err := parseKeys(t, raw); (err == nil) != ok {
			t.Errorf("%d keys: kept %d, %v", n, len(keys), err)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := newSigner(t, "one", "ES256"), newSigner(t, "two", "EdDSA")
	p := newProvider(t, first)
	v, keys, c := setup(t, p)
	verify := func(s signer) error {
		_, err := v.Verify(t.Context(), s.token(t, claimsAt(c, nil), nil))
		return err
	}
	if err := verify(first); err != nil {
		t.Fatal(err)
	}

	p.publish(first, second)
	if err := verify(second); err == nil {
		t.Error("a fetch so soon after the last: anybody could make us hammer the issuer")
	}
	c.advance(refetchPause)
	if err := verify(second); err != nil {
		t.Errorf("the new key was not fetched: %v", err)
	}

	asked := p.asked.Load()
	for range 50 {
		if err := verify(newSigner(t, "unknown", "ES256")); fault.KindOf(err) != fault.KindUnauthenticated {
			t.Fatal(err)
		}
	}
	if got := p.asked.Load() - asked; got != 0 {
		t.Errorf("%d fetches for unknown kids within the pause", got)
	}

	// A key that is withdrawn goes with the periodic renewal, behind the request that notices …
	p.publish(second)
	c.advance(refreshAfter)
	if err := verify(second); err != nil {
		t.Fatal(err)
	}
	keys.quiesce()
	if err := verify(first); err == nil {
		t.Error("the withdrawn key is still believed")
	}
	// … and before it, if nobody has come for long.
	p.publish(first)
	c.advance(distrustAfter)
	if err := verify(second); err == nil {
		t.Error("a key withdrawn an hour ago was believed without asking")
	}
}

func TestOutageKeepsTheKeys(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "one", "ES256")
	for name, broken := range map[string]http.HandlerFunc{
		"down": down,
		"an error with keys": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{s.jwk()}})
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>maintenance</html>"))
		},
		"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{s.jwk()}, "x": strings.Repeat("x", maxSetBytes)})
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{s.jwk()}})
				return
			}
			http.Redirect(w, r, "/moved", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, s)
			v, keys, c := setup(t, p)
			verify := func() error {
				_, err := v.Verify(t.Context(), s.token(t, claimsAt(c, nil), nil))
				return err
			}
			if err := verify(); err != nil {
				t.Fatal(err)
			}
			p.fail(broken)
			for _, d := range []time.Duration{refreshAfter, refetchPause, distrustAfter, 24 * time.Hour} {
				c.advance(d)
				if err := verify(); err != nil {
					t.Fatalf("%s into the outage: %v", d, err)
				}
				keys.quiesce()
			}
			if keys.err() == nil {
				t.Fatal("no fetch was tried during the outage, so this test tests nothing")
			}
			p.fail(nil)
			c.advance(refetchPause)
			if err := verify(); err != nil {
				t.Fatal(err)
			}
			keys.quiesce()
			if err := keys.err(); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		})
	}
}

// In an outage that hangs, requests do not wait for it: only who comes after a long silence does.
func TestOutageDoesNotHoldRequestsUp(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "one", "ES256")
	p := newProvider(t, s)
	v, keys, c := setup(t, p)
	verify := func() {
		t.Helper()
		if _, err := v.Verify(t.Context(), s.token(t, claimsAt(c, nil), nil)); err != nil {
			t.Fatal(err)
		}
	}
	verify()
	p.fail(down)
	c.advance(refreshAfter)
	verify()
	keys.quiesce()

	release := make(chan struct{})
	p.fail(func(http.ResponseWriter, *http.Request) { <-release })
	c.advance(distrustAfter)
	verify()
	keys.mu.Lock()
	if keys.inFlight == nil {
		t.Error("the request waited for the fetch")
	}
	keys.mu.Unlock()
	close(release)
	keys.quiesce()
}

func TestNoKeysYet(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "one", "ES256")
	p := newProvider(t, s)
	p.fail(down)
	v, _, c := setup(t, p)
	token := s.token(t, claimsAt(c, nil), nil)
	for range 5 {
		if _, err := v.Verify(t.Context(), token); fault.KindOf(err) != fault.KindUnavailable {
			t.Fatalf("got %v, want Unavailable: the token may well be good", err)
		}
	}
	if got := p.asked.Load(); got != 1 {
		t.Errorf("%d fetches at once", got)
	}
	p.fail(nil)
	c.advance(firstPause)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestCancelledCallerDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "one", "ES256")
	p := newProvider(t, s)
	arrived, release := make(chan struct{}), make(chan struct{})
	p.fail(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		p.fail(nil)
		p.ServeHTTP(w, r)
	})
	v, _, c := setup(t, p)
	token := s.token(t, claimsAt(c, nil), nil)

	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { _, err := v.Verify(ctx, token); gone <- err }()
	<-arrived
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled caller got %v", err)
	}
	stays := make(chan error, 1)
	go func() { _, err := v.Verify(t.Context(), token); stays <- err }()
	close(release)
	if err := <-stays; err != nil {
		t.Errorf("the other caller got %v", err)
	}
}

func TestConcurrentCallersShareAFetch(t *testing.T) {
	t.Parallel()
	s, next := newSigner(t, "one", "ES256"), newSigner(t, "two", "RS256")
	p := newProvider(t, s)
	v, keys, c := setup(t, p)
	all := func(token string) {
		t.Helper()
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		keys.quiesce()
	}
	all(s.token(t, claimsAt(c, nil), nil))
	if got := p.asked.Load(); got != 1 {
		t.Errorf("%d fetches at the start, want 1", got)
	}
	p.publish(s, next)
	c.advance(refetchPause)
	all(next.token(t, claimsAt(c, nil), nil))
	if got := p.asked.Load(); got != 2 {
		t.Errorf("%d fetches after a rotation, want 2", got)
	}
}

func TestNewRemoteKeysRefusesPlainHTTP(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"http://id.example.com/jwks", "ftp://localhost/", "/jwks", "", "http://localhost.evil.example/"} {
		if _, err := NewRemoteKeys(u); err == nil {
			t.Errorf("accepted %q", u)
		}
	}
}
