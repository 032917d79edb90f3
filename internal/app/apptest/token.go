package apptest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What the development issuer calls itself. The demo's people are known by its name, in production mode too.
const (
	devIssuer   = "http://rapport.localhost/dev"
	devAudience = "rapport"
)

const providerKey = "test-provider-key.pem"

// Token signs a token for a person that lasts as long as given; a negative duration makes one that is expired.
func (e *Env) Token(t testing.TB, email string, life time.Duration) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": devIssuer, "aud": devAudience, "sub": email, "email": email,
		"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(life).Unix(),
	}
	file := "dev-signing-key.pem"
	if e.Config.Auth.Enabled() {
		file = providerKey
	}
	return Sign(t, readKey(t, filepath.Join(e.Config.Home, file)), claims)
}

// Sign signs claims with the key; its id is left out, for the verifier knows only one.
func Sign(t testing.TB, key ed25519.PrivateKey, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "." + b64.EncodeToString(payload)
	return signed + "." + b64.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

func readKey(t testing.TB, path string) ed25519.PrivateKey {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(ed25519.PrivateKey)
}

// provider serves the keys of an identity provider, and keeps its private key in home.
func provider(t testing.TB, home string) *httptest.Server {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(home, providerKey), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":%q}]}`,
			base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(server.Close)
	return server
}
