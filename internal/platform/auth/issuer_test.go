package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// signer is a private key of the test's issuer.
type signer struct {
	kid, alg string
	private  crypto.Signer
}

var rsaOnce = sync.OnceValue(func() *rsa.PrivateKey { // slow to make, so all tests share one
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newSigner(t *testing.T, kid, alg string) signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg[:2] {
	case "RS", "PS":
		private = rsaOnce()
	case "ES":
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
		private, err = ecdsa.GenerateKey(curve, rand.Reader)
	default:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, alg, private}
}

// jwk is the public key as an issuer publishes it.
func (s signer) jwk() map[string]any {
	j := map[string]any{"kid": s.kid, "use": "sig"}
	switch k := s.private.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"] = "RSA", b64.EncodeToString(k.N.Bytes())
		j["e"] = b64.EncodeToString(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		raw, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(raw) - 1) / 2
		j["kty"], j["crv"] = "EC", k.Params().Name
		j["x"], j["y"] = b64.EncodeToString(raw[1:1+half]), b64.EncodeToString(raw[1+half:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64.EncodeToString(k)
	}
	return j
}

// token signs claims. Members of header replace the usual ones; nil removes one.
func (s signer) token(t *testing.T, claims, header map[string]any) string {
	t.Helper()
	h := map[string]any{"alg": s.alg, "kid": s.kid, "typ": "JWT"}
	for name, value := range header {
		if h[name] = value; value == nil {
			delete(h, name)
		}
	}
	signed := part(t, h) + "." + part(t, claims)
	return signed + "." + b64.EncodeToString(s.sign(t, signed))
}

func (s signer) sign(t *testing.T, signed string) []byte {
	t.Helper()
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[s.alg[2:]] // none for EdDSA
	msg := []byte(signed)
	if hash != 0 {
		h := hash.New()
		h.Write(msg)
		msg = h.Sum(nil)
	}
	var opts crypto.SignerOpts = hash
	if s.alg[:2] == "PS" {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	if k, ok := s.private.(*ecdsa.PrivateKey); ok {
		r, ss, err := ecdsa.Sign(rand.Reader, k, msg)
		if err != nil {
			t.Fatal(err)
		}
		size := (k.Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		ss.FillBytes(out[size:])
		return out
	}
	sig, err := s.private.Sign(rand.Reader, msg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func part(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64.EncodeToString(raw)
}

func hs256(secret []byte, signed string) string {
	mac := hmac.New(crypto.SHA256.New, secret)
	mac.Write([]byte(signed))
	return b64.EncodeToString(mac.Sum(nil))
}

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// provider is an identity provider: a real HTTP server that publishes keys.
type provider struct {
	url   string
	asked atomic.Int64

	mu     sync.Mutex
	keys   []signer
	broken http.HandlerFunc // answers instead of the keys while set
}

func newProvider(t *testing.T, keys ...signer) *provider {
	t.Helper()
	p := &provider{keys: keys}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	p.url = srv.URL + "/jwks"
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	p.mu.Lock()
	broken := p.broken
	jwks := make([]map[string]any, 0, len(p.keys))
	for _, k := range p.keys {
		jwks = append(jwks, k.jwk())
	}
	p.mu.Unlock()
	if broken != nil {
		broken(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": jwks})
}

func (p *provider) publish(keys ...signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *provider) fail(with http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = with
}

func down(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }

const (
	testIssuer   = "https://id.example.com/"
	testAudience = "https://api.rapport.example"
)

// setup returns a verifier that believes p, and its keys and clock.
func setup(t *testing.T, p *provider) (*Verifier, *RemoteKeys, *clock) {
	t.Helper()
	c := newClock()
	keys, err := NewRemoteKeys(p.url, WithKeysClock(c.now), WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier([]Issuer{{Name: testIssuer, Audience: testAudience, OrganizationClaim: "https://rapport/org", Keys: keys}},
		WithClock(c.now))
	if err != nil {
		t.Fatal(err)
	}
	return v, keys, c
}

// claimsAt are good claims; members of with replace some, nil removes one.
func claimsAt(c *clock, with map[string]any) map[string]any {
	claims := map[string]any{
		"iss": testIssuer, "aud": []string{"other", testAudience}, "sub": "coach-1", "email": "ana@example.com",
		"https://rapport/org": "acme", "exp": c.now().Add(time.Hour).Unix(), "nbf": c.now().Unix(),
	}
	for name, value := range with {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// quiesce waits until no fetch is in flight.
func (r *RemoteKeys) quiesce() {
	r.mu.Lock()
	fetch := r.inFlight
	r.mu.Unlock()
	if fetch != nil {
		<-fetch
	}
}

// parseKeys fetches a key set whose text is body.
func parseKeys(t *testing.T, body []byte) (staticKeys, error) {
	t.Helper()
	p := newProvider(t)
	p.fail(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	keys, err := NewRemoteKeys(p.url)
	if err != nil {
		t.Fatal(err)
	}
	return keys.fetch()
}

// tamper changes one character in the middle of a part of a token.
func tamper(token string, i int) string {
	parts := strings.Split(token, ".")
	b := []byte(parts[i])
	at := len(b) / 2
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	parts[i] = string(b)
	return strings.Join(parts, ".")
}
