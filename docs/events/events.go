// Package events holds the JSON Schemas of the events that other systems can subscribe to: a file for the data of each type, and one for
// the CloudEvent that carries it.
package events

import (
	"embed"
	"net/http"
)

// Files are the schemas, by name.
//
//go:embed *.schema.json
var Files embed.FS

// Handler serves the schemas by their names, to everybody.
func Handler() http.Handler {
	files := http.FileServerFS(Files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" || r.URL.Path == "/" { // no list of files
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/schema+json")
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(w, r)
	})
}
