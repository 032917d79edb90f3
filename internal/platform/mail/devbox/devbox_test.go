package devbox_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
	"github.com/rapporthq/rapport/internal/platform/mail/mailtest"
)

var sender = mail.Address{Name: "Rapport", Email: "rapport@example.com"}

func open(t *testing.T, home string) *devbox.Box {
	t.Helper()
	b, err := devbox.Open(home, sender)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	t.Parallel()
	mailtest.Run(t, func(t *testing.T) mailtest.Fixture {
		home := t.TempDir()
		b := open(t, home)
		return mailtest.Fixture{
			Sender: b,
			Reopen: func(t *testing.T) mail.Sender { return open(t, home) },
			Sent: func(t *testing.T) (sent []mail.Message) {
				t.Helper()
				all, err := b.List()
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range all {
					sent = append(sent, m.Message)
				}
				return sent
			},
		}
	})
}

func get(t *testing.T, b *devbox.Box, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// Whatever a mail holds, no script runs on the page, and its HTML stays in its frame.
func TestThePageIsSafe(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	if w := get(t, b, devbox.Path); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "No mail yet") {
		t.Errorf("empty: %d %s", w.Code, w.Body)
	}
	m := mailtest.Message("evil")
	m.Subject = `<script>alert(1)</script>`
	m.To.Name = `"><img src=x onerror=alert(1)>`
	m.Text, m.HTML = m.Subject+"\n", `<p>Hello</p><script>alert(1)</script>`+"\n"
	if err := b.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{devbox.Path, devbox.Path + "/evil"} {
		w := get(t, b, path)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script") || strings.Contains(w.Body.String(), "<img") || !strings.Contains(w.Body.String(), "&lt;script&gt;") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: %s", path, csp)
		}
	}
	w := get(t, b, devbox.Path+"/evil/html")
	if csp := w.Header().Get("Content-Security-Policy"); w.Body.String() != m.HTML || !strings.Contains(csp, "sandbox") || strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "script-src") {
		t.Errorf("%s: %s", csp, w.Body)
	}
	for _, path := range []string{"/none", "/none/html", "/..%2fx", "/.incoming/html"} {
		if w := get(t, b, devbox.Path+path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	b := open(t, home)
	for _, id := range []string{"one", "two"} {
		m := mailtest.Message(id)
		m.To.Email = id + "@example.com"
		if err := b.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Forget(func(text string) bool { return strings.EqualFold(text, "ONE@example.com") }); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(home, "mail"))
	if err != nil || len(files) != 1 || files[0].Name() != "two.eml" {
		t.Errorf("left: %v, %v", files, err)
	}
}
