package openai_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/embed/openai"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/secret"
)

// keys is where the key is kept.
type keys struct{ key atomic.Value }

func (k *keys) Fetch(context.Context, string) (string, error) { return k.key.Load().(string), nil }

// The key is replaced while the program runs, and the old one ends at once: the next request is answered all the same, by the new
// one. A key that nobody accepts is not sent twice, and shows until another is accepted.
func TestTheKeyIsReplaced(t *testing.T) {
	t.Parallel()
	var valid atomic.Value
	var asked atomic.Int32
	valid.Store("sk-one")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+valid.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"data":[{"index":0,"embedding":[3` + strings.Repeat(",0", dimension-1) + `]}],"usage":{"prompt_tokens":1}}`))
	}))
	t.Cleanup(s.Close)
	vault := &keys{}
	vault.key.Store("sk-one")
	key, err := secret.NewKeeper(slog.New(slog.DiscardHandler), map[string]secret.Source{secret.SecretsManager: vault}).
		Open(t.Context(), "RAPPORT_OPENAI_API_KEY", "secretsmanager:openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := openai.New(openai.Options{BaseURL: s.URL, Key: key, Model: "text-embedding-3-small", Dimension: dimension})
	if err != nil {
		t.Fatal(err)
	}
	embed := func() *llm.Error {
		_, _, err := e.Embed(t.Context(), []string{"kitchen"})
		return llm.Failure(err)
	}
	if failed := embed(); failed != nil || asked.Load() != 1 {
		t.Fatalf("with the first key: %v, %d requests", failed, asked.Load())
	}
	valid.Store("sk-two")
	vault.key.Store("sk-two")
	if failed := embed(); failed != nil || asked.Load() != 3 || e.Probe(t.Context()) != nil {
		t.Errorf("with the second key: %v, %d requests, %v", failed, asked.Load(), e.Probe(t.Context()))
	}
	valid.Store("sk-three")
	if failed := embed(); failed == nil || failed.Kind != llm.Denied || asked.Load() != 4 || e.Probe(t.Context()) == nil {
		t.Errorf("with a key that has ended: %v, %d requests, %v", failed, asked.Load(), e.Probe(t.Context()))
	}
	valid.Store("sk-two")
	if failed := embed(); failed != nil || e.Probe(t.Context()) != nil {
		t.Errorf("with a key that is taken again: %v, %v", failed, e.Probe(t.Context()))
	}
}
