package openai_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
	"github.com/rapporthq/rapport/internal/platform/llm/openai"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// keys is where the key is kept.
type keys struct{ key atomic.Value }

func (k *keys) Fetch(context.Context, string) (string, error) { return k.key.Load().(string), nil }

// The key is replaced while the program runs, and the old one ends at once: the next request is answered all the same, by the new
// one. A key that nobody accepts is not sent twice.
func TestTheKeyIsReplaced(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, func(llmtest.Request) llmtest.Answer {
		return llmtest.Answer{Calls: []llmtest.Call{{Tool: "note", Arguments: "{}"}}}
	})
	at0, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	var valid atomic.Value
	var asked atomic.Int32
	valid.Store("sk-one")
	forward := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: at0.Scheme, Host: at0.Host})
		r.Out.Header.Set("Authorization", "Bearer "+llmtest.Key)
	}}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+valid.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(gate.Close)

	vault := &keys{}
	vault.key.Store("sk-one")
	key, err := secret.NewKeeper(slog.New(slog.DiscardHandler), map[string]secret.Source{secret.SecretsManager: vault}).
		Open(t.Context(), "RAPPORT_OPENAI_API_KEY", "secretsmanager:openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := at(t, openai.Options{BaseURL: gate.URL + at0.Path, Key: key})
	if err := ask(t, m); err != nil || asked.Load() != 1 {
		t.Fatalf("with the first key: %v, %d requests", err, asked.Load())
	}
	valid.Store("sk-two")
	vault.key.Store("sk-two")
	if err := ask(t, m); err != nil || asked.Load() != 3 {
		t.Errorf("with the second key: %v, %d requests", err, asked.Load())
	}
	valid.Store("sk-three")
	if err := ask(t, m); llm.Failure(err) == nil || llm.Failure(err).Kind != llm.Denied || asked.Load() != 4 {
		t.Errorf("with a key that has ended: %v, %d requests", err, asked.Load())
	}
}
