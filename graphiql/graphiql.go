// Package graphiql serves the explorer: the page on which a developer meets the API, runs real operations and imports
// a transcript. The page is built by build.mjs from src/ and embedded; nothing it needs comes from elsewhere.
package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Prefix is where the page's files are, beside the page itself at /.
const Prefix = "/graphiql/"

//go:embed all:dist
var embedded embed.FS

// unbuilt stands in for the page when the binary was built without it.
//
//go:embed unbuilt.html
var unbuilt []byte

// Options says what Handler serves.
type Options struct {
	// Files is the built page with index.html at its root. A file whose name ends in .gz is served under the name
	// without it. nil is the page embedded in this binary.
	Files fs.FS
}

// Handler serves the page at / and its files below Prefix; every other path is a 404. Without a built page it serves at
// / how to build one. It sets no security headers: httpx.PageHeaders has the ones that fit.
func Handler(o Options) http.Handler {
	files := o.Files
	if files == nil {
		files, _ = fs.Sub(embedded, "dist") // fails on an invalid name only
	}
	return page{files}
}

type page struct{ files fs.FS }

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "send a GET", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/" {
		p.index(w, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, Prefix)
	mediaType := mediaTypes[path.Ext(name)]
	if !ok || mediaType == "" { // which hides the build's stamp too
		http.NotFound(w, r)
		return
	}
	p.asset(w, r, name, mediaType)
}

// index serves the page itself, which names its files by their hashes and so must be asked for every time.
func (p page) index(w http.ResponseWriter, r *http.Request) {
	body, err := fs.ReadFile(p.files, "index.html")
	if err != nil {
		body = unbuilt
	}
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", strconv.Quote(hex.EncodeToString(sum[:8])))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// asset serves a file that never changes under its name. The build stores compressed what compresses, which keeps the
// binary small; the rare client that cannot read that gets it unpacked.
func (p page) asset(w http.ResponseWriter, r *http.Request, name, mediaType string) {
	h := w.Header()
	etag := name
	body, err := fs.ReadFile(p.files, name+".gz")
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid):
		body, err = fs.ReadFile(p.files, name)
	case err == nil && acceptsGzip(r.Header.Get("Accept-Encoding")):
		etag += ".gz" // another representation, so another tag
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding")
	case err == nil:
		h.Set("Vary", "Accept-Encoding")
		body, err = gunzip(body)
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", strconv.Quote(etag))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// mediaTypes are those of the files a build makes. The operating system's table is not asked: it differs.
var mediaTypes = map[string]string{
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".svg":   "image/svg+xml",
	".txt":   "text/plain; charset=utf-8",
	".ttf":   "font/ttf",
	".woff":  "font/woff",
	".woff2": "font/woff2",
}

func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, weighted := strings.Cut(weight, "=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || err == nil && value > 0
	}
	return false
}

func gunzip(packed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}
