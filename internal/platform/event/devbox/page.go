package eventbox

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"github.com/rapporthq/rapport/internal/platform/event"
)

// Path is where Handler belongs.
const Path = "/dev/events"

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

type view struct {
	Events []shown
	Status event.Status
}

type shown struct {
	At            time.Time
	Type, Subject string
	Document      string
}

// Handler shows the box. It asks for no login, so whoever mounts it lets in this machine alone. No script runs on the page.
func (b *Box) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived, err := b.List(r.Context())
		if err != nil {
			http.Error(w, "the events cannot be read now", http.StatusServiceUnavailable)
			return
		}
		var v view
		if v.Status, err = event.StatusOf(r.Context(), b.db); err != nil {
			http.Error(w, "the outbox cannot be read now", http.StatusServiceUnavailable)
			return
		}
		for _, a := range arrived {
			s := shown{At: a.At}
			var indented bytes.Buffer
			var head struct{ Type, Subject string }
			if json.Unmarshal(a.Document, &head) == nil && json.Indent(&indented, a.Document, "", "  ") == nil {
				s.Type, s.Subject, s.Document = head.Type, head.Subject, indented.String()
			}
			v.Events = append(v.Events, s)
		}
		var out bytes.Buffer
		if err := page.Execute(&out, v); err != nil {
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(out.Bytes()) // a client gone is no matter
	})
}
