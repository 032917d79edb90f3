package graphiql_test

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapporthq/rapport/graphiql"
)

const script = "console.log('hello')"

func built(t *testing.T) fs.FS {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(script)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		".gitkeep":             {},
		".stamp":               {Data: []byte("abc")},
		"index.html":           {Data: []byte("<title>explorer</title>")},
		"explorer-AAAA.js.gz":  {Data: packed.Bytes()},
		"font-BBBB.woff2":      {Data: []byte("font")},
		"explorer-BAD.css.gz":  {Data: []byte("not gzip")},
		"surprise-CCCC.sqlite": {Data: []byte("secret")},
	}
}

func unbuilt() fs.FS { return fstest.MapFS{".gitkeep": {}} }

func get(files fs.FS, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	graphiql.Handler(graphiql.Options{Files: files}).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageIsAskedForEveryTime(t *testing.T) {
	t.Parallel()
	files := built(t)
	first := get(files, http.MethodGet, "/?query=%7Bviewer%7D")
	if got := body(t, first); first.StatusCode != http.StatusOK || got != "<title>explorer</title>" {
		t.Fatalf("got %d %q", first.StatusCode, got)
	}
	for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"} {
		if got := first.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	again := get(files, http.MethodGet, "/", "If-None-Match", first.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("the same page again: got %d, want 304", again.StatusCode)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	files := built(t)
	tests := []struct {
		name, target, accept     string
		status                   int
		mediaType, encoding, say string
	}{
		{"packed for who reads gzip", "explorer-AAAA.js", "br, gzip;q=0.8", 200, "text/javascript; charset=utf-8", "gzip", ""},
		{"unpacked for who does not", "explorer-AAAA.js", "", 200, "text/javascript; charset=utf-8", "", script},
		{"unpacked for who refuses gzip", "explorer-AAAA.js", "gzip;q=0", 200, "text/javascript; charset=utf-8", "", script},
		{"what does not compress is stored as it is", "font-BBBB.woff2", "gzip", 200, "font/woff2", "", "font"},
		{"a broken file is missing", "explorer-BAD.css", "", 404, "", "", ""},
		{"missing", "explorer-ZZZZ.js", "gzip", 404, "", "", ""},
		{"the packed name is not a name", "explorer-AAAA.js.gz", "gzip", 404, "", "", ""},
		{"the stamp is nobody's business", ".stamp", "", 404, "", "", ""},
		{"only the types a build makes", "surprise-CCCC.sqlite", "", 404, "", "", ""},
		{"no way out", "../index.js", "", 404, "", "", ""},
		{"no name", "", "", 404, "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := get(files, http.MethodGet, graphiql.Prefix+test.target, "Accept-Encoding", test.accept)
			if r.StatusCode != test.status {
				t.Fatalf("got %d, want %d", r.StatusCode, test.status)
			}
			if test.status != http.StatusOK {
				return
			}
			if got := r.Header.Get("Content-Type"); got != test.mediaType {
				t.Errorf("Content-Type: got %q, want %q", got, test.mediaType)
			}
			if got := r.Header.Get("Content-Encoding"); got != test.encoding {
				t.Errorf("Content-Encoding: got %q, want %q", got, test.encoding)
			}
			if got := r.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
				t.Errorf("Cache-Control: got %q, want immutable", got)
			}
			if got := body(t, r); test.say != "" && got != test.say {
				t.Errorf("got %q, want %q", got, test.say)
			}
			again := get(files, http.MethodGet, graphiql.Prefix+test.target,
				"Accept-Encoding", test.accept, "If-None-Match", r.Header.Get("ETag"))
			if again.StatusCode != http.StatusNotModified {
				t.Errorf("the same file again: got %d, want 304", again.StatusCode)
			}
		})
	}
}

func TestEncodingsHaveTagsOfTheirOwn(t *testing.T) {
	t.Parallel()
	files := built(t)
	packed := get(files, http.MethodGet, graphiql.Prefix+"explorer-AAAA.js", "Accept-Encoding", "gzip").Header
	plain := get(files, http.MethodGet, graphiql.Prefix+"explorer-AAAA.js").Header
	if packed.Get("ETag") == plain.Get("ETag") {
		t.Errorf("both are tagged %s", packed.Get("ETag"))
	}
	for _, h := range []http.Header{packed, plain} {
		if h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Vary: got %q, want Accept-Encoding", h.Get("Vary"))
		}
	}
}

func TestUnbuiltPageSaysHowToBuild(t *testing.T) {
	t.Parallel()
	r := get(unbuilt(), http.MethodGet, "/")
	page := body(t, r)
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
	for _, want := range []string{"make graphiql", "/graphql"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http://") || strings.Contains(page, "https://") {
		t.Error("the page asks for something")
	}
	if r := get(unbuilt(), http.MethodGet, graphiql.Prefix+"explorer-AAAA.js"); r.StatusCode != http.StatusNotFound {
		t.Errorf("a file of no build: got %d, want 404", r.StatusCode)
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	files := built(t)
	if r := get(files, http.MethodGet, "/elsewhere.js"); r.StatusCode != http.StatusNotFound {
		t.Errorf("another path: got %d, want 404", r.StatusCode)
	}
	if r := get(files, http.MethodHead, "/"); r.StatusCode != http.StatusOK || body(t, r) != "" {
		t.Errorf("HEAD: got %d", r.StatusCode)
	}
	r := get(files, http.MethodPost, "/")
	if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

// The embedded bundle may be built or not; either way there is a page.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	if r := get(nil, http.MethodGet, "/"); r.StatusCode != http.StatusOK || !strings.Contains(body(t, r), "Rapport") {
		t.Errorf("got %d", r.StatusCode)
	}
}
