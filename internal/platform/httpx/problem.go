// Package httpx is what stands between the network and a handler: the middleware chain, health, and a server that
// drains. It knows nothing of GraphQL but the shape of an error, so that a client needs one error path.
package httpx

import (
	"encoding/json"
	"maps"
	"net/http"
)

// Problem is an error answer in GraphQL's shape:
//
//	{"errors":[{"message":"…","extensions":{"code":"…","requestId":"…"}}]}
type Problem struct {
	Status     int
	Code       string
	Message    string
	Extensions map[string]any // beside code and requestId
}

// Write sends the problem. Headers of an answer that a handler had begun to prepare are dropped.
func (p Problem) Write(w http.ResponseWriter) {
	ext := make(map[string]any, len(p.Extensions)+2)
	maps.Copy(ext, p.Extensions)
	ext["code"] = p.Code
	h := w.Header()
	if rid := h.Get(requestIDHeader); rid != "" {
		ext["requestId"] = rid
	}
	type item struct {
		Message    string         `json:"message"`
		Extensions map[string]any `json:"extensions"`
	}
	body, err := json.Marshal(map[string][]item{"errors": {{p.Message, ext}}})
	if err != nil { // an extension that is no JSON is a mistake of ours; the answer stays an answer
		body = []byte(`{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]}`)
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "ETag", "Last-Modified"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client has gone: nobody to tell
}
