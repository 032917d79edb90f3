package devbox

import (
	_ "embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

// Path is where Handler belongs.
const Path = "/dev/mail"

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

// Handler shows the box: the list, a mail as text and as HTML. It shows private things and asks for no login, so whoever
// mounts it lets in this machine alone. No script runs on the page, nor in a mail, which lies in a frame of its own.
func (b *Box) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, b.list)
	mux.HandleFunc("GET "+Path+"/{id}", b.list)
	mux.HandleFunc("GET "+Path+"/{id}/html", b.html)
	return mux
}

type view struct {
	Path  string
	Mails []Mail
	Open  *Mail
}

func (b *Box) list(w http.ResponseWriter, r *http.Request) {
	v := view{Path: Path}
	var err error
	if v.Mails, err = b.List(); err != nil {
		http.Error(w, "the mails cannot be read now", http.StatusServiceUnavailable)
		return
	}
	if key := r.PathValue("id"); key != "" {
		m, err := b.Get(key)
		if errors.Is(err, fs.ErrNotExist) {
			http.Error(w, "there is no such mail", http.StatusNotFound)
			return
		}
		if err != nil {
			http.Error(w, "the mail cannot be read", http.StatusServiceUnavailable)
			return
		}
		v.Open = &m
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	headers(w)
	var out strings.Builder
	if err := page.Execute(&out, v); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(out.String())) // a client gone is no matter
}

func (b *Box) html(w http.ResponseWriter, r *http.Request) {
	m, err := b.Get(r.PathValue("id"))
	if err != nil {
		http.Error(w, "there is no such mail", http.StatusNotFound)
		return
	}
	// sandbox without a word: no scripts, no forms, an origin of its own. A link opens beside the page.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-popups; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	headers(w)
	_, _ = w.Write([]byte(m.HTML))
}

func headers(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
