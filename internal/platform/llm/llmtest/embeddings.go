package llmtest

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
)

// embeddings answers requests for vectors. A script that says nothing answers with vectors of its own, the same for the same text, and
// counts a token a text.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Model      string   `json:"model"`
		Input      []string `json:"input"`
		Dimensions int      `json:"dimensions"`
	}
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil || len(b.Input) == 0 || len(b.Input) > 2048 || b.Dimensions < 1 {
		fail(w, http.StatusBadRequest, "invalid_request")
		return
	}
	for _, text := range b.Input {
		if text == "" {
			fail(w, http.StatusBadRequest, "empty_input")
			return
		}
	}
	a := s.note(Request{Model: b.Model, Inputs: b.Input})
	switch {
	case a.Raw != nil:
		a.Raw(w, r)
		return
	case a.Stop == Garbage:
		_, _ = io.WriteString(w, "<html>Bad gateway</html>")
		return
	case a.Stop != Never:
		a.stop(w, r)
		return
	case a.RetryAfter != "":
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	if a.Status != 0 {
		fail(w, a.Status, a.Code)
		return
	}
	if a.Vectors == nil {
		a.InputTokens = len(b.Input)
		for _, text := range b.Input {
			a.Vectors = append(a.Vectors, vectorOf(text, b.Dimensions))
		}
	}
	type item struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	data := make([]item, len(a.Vectors))
	for i, v := range a.Vectors {
		data[len(data)-1-i] = item{"embedding", i, v} // in another order: the index counts
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "model": b.Model, "data": data,
		"usage": map[string]int{"prompt_tokens": a.InputTokens, "total_tokens": a.InputTokens}})
}

func vectorOf(text string, dimensions int) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = float32(r.Float64() - 0.5)
	}
	return v
}
