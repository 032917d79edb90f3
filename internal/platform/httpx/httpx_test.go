package httpx

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/testkit"
)

func newLog() (*slog.Logger, *testkit.Log) {
	l := &testkit.Log{}
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type problem struct {
	Errors []struct {
		Message    string
		Extensions struct {
			Code      string
			RequestID string
			Limit     int64
		}
	}
}

func readProblem(t *testing.T, body []byte) (p problem) {
	t.Helper()
	if err := json.Unmarshal(body, &p); err != nil || len(p.Errors) != 1 {
		t.Fatalf("not one error in GraphQL's shape: %s", body)
	}
	return p
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	var seen string
	h := RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = RequestIDFrom(r.Context()) }))
	for sent, kept := range map[string]bool{
		"01JABCDEF-req.1=": true, "Root=1-67891233-abcdef": true,
		"": false, "short": false, strings.Repeat("x", 65): false, "with space 1": false,
		"line\nbreak-1234": false, `quote"12345678`: false, "ümlaut-12345": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", sent)
		w := do(h, r)
		if echoed := w.Header().Get("X-Request-Id"); echoed != seen || seen == "" || (seen == sent) != kept {
			t.Errorf("sent %q: in the context %q, sent back %q", sent, seen, echoed)
		}
	}
	if got := RequestIDFrom(t.Context()); got != "" {
		t.Errorf("outside a request: %q", got)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	log, out := newLog()
	for name, v := range map[string]any{"error": errors.New("she said hello"), "text": "she said hello"} {
		t.Run(name, func(t *testing.T) {
			h := Chain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "3")
				panic(v)
			}), RequestID, AccessLog(log), Recover(log))
			w := do(h, httptest.NewRequest(http.MethodPost, "/graphql", nil))
			p := readProblem(t, w.Body.Bytes())
			if w.Code != 500 || p.Errors[0].Extensions.Code != "INTERNAL" ||
				p.Errors[0].Extensions.RequestID != w.Header().Get("X-Request-Id") || w.Header().Get("Content-Length") == "3" {
				t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
	if s := out.String(); strings.Contains(s, "she said") || !strings.Contains(s, "httpx_test.go") || !strings.Contains(s, `"status":500`) {
		t.Errorf("log: %s", s)
	}

	t.Run("a runtime error says which", func(t *testing.T) {
		log, out := newLog()
		var none []int
		do(Recover(log)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = none[len(none)] })), httptest.NewRequest(http.MethodGet, "/", nil))
		if !strings.Contains(out.String(), "index out of range") {
			t.Errorf("log: %s", out)
		}
	})
	t.Run("an answer that had begun is cut off", func(t *testing.T) {
		srv := httptest.NewServer(Recover(quiet())(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("x")
		})))
		defer srv.Close()
		res, err := http.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("the client took %q for the whole", body)
		}
	})
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	log, out := newLog()
	inner, mux := http.NewServeMux(), http.NewServeMux()
	inner.HandleFunc("/graphql", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "12345")
	})
	inner.HandleFunc("GET /files/{name}", func(_ http.ResponseWriter, r *http.Request) { Note(r.Context(), slog.String("user", "u1")) })
	mux.HandleFunc("POST /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.Handle("/graphql", BodyCap(100)(inner))
	mux.Handle("/files/", inner)
	h := Chain(mux, RequestID, AccessLog(log), Recover(log), CORS(nil))
	for _, target := range []string{"/graphql?query=secretquery", "/secretpath/" + strings.Repeat("x", 500), "/readyz"} {
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader("secretbody"))
		r.Header.Set("Authorization", "Bearer secrettoken")
		do(h, r)
	}
	do(h, httptest.NewRequest(http.MethodGet, "/files/secretname", nil))
	do(h, httptest.NewRequest("SECRETMETHOD", "/graphql", nil))
	for _, leak := range []string{"secretquery", "secretbody", "secrettoken", "secretpath", "xxx", "secretname", "SECRETMETHOD"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the log tells %s", leak)
		}
	}
	want := []string{
		`"level":"INFO","msg":"request","method":"POST","route":"/graphql","status":418,"bytes":5,"ms":`,
		`"level":"INFO","msg":"request","method":"POST","route":"-","status":404,"bytes":19,"ms":`,
		`"level":"DEBUG","msg":"request","method":"POST","route":"/readyz","status":503,"bytes":0,"ms":`,
		`"level":"INFO","msg":"request","method":"GET","route":"/files/{name}","status":200,"bytes":0,"ms":`, // and what was noted, below
		`"level":"INFO","msg":"request","method":"-","route":"/graphql","status":418,"bytes":5,"ms":`,
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, w := range want {
		if i >= len(got) || !strings.Contains(got[i], w) {
			t.Errorf("line %d: got %v, want %s", i, got, w)
		}
		if i < len(got) && strings.Contains(got[i], `"user":"u1"`) != strings.Contains(w, "/files/") {
			t.Errorf("line %d: noted in %s", i, got[i])
		}
	}
}

// What is deep inside turns the answer into a 503, whichever way the handler sends it; an answer that has begun stays.
func TestRetryLater(t *testing.T) {
	t.Parallel()
	log, out := newLog()
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, later func())
		status int
	}{
		"without a status": {func(w http.ResponseWriter, later func()) { later(); _, _ = io.WriteString(w, "{}") }, 503},
		"with a status":    {func(w http.ResponseWriter, later func()) { later(); w.WriteHeader(200); _, _ = io.WriteString(w, "{}") }, 503},
		"flushed": {func(w http.ResponseWriter, later func()) {
			later()
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "{}")
		}, 503},
		"too late": {func(w http.ResponseWriter, later func()) { _, _ = io.WriteString(w, "{}"); later() }, 200},
		"never":    {func(w http.ResponseWriter, _ func()) { _, _ = io.WriteString(w, "{}") }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tc.answer(w, func() { RetryLater(r.Context()) })
			}), AccessLog(log), BodyCap(100)), httptest.NewRequest(http.MethodGet, "/graphql", nil))
			if w.Code != tc.status || w.Body.String() != "{}" || (w.Header().Get("Retry-After") != "") != (tc.status == 503) {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
	if got := strings.Count(out.String(), `"level":"INFO","msg":"request","method":"GET","route":"-","status":503`); got != 3 {
		t.Errorf("%d lines of 503 at info level:\n%s", got, out)
	}
	RetryLater(t.Context()) // outside a request: nothing
}

// Whatever a handler makes of a body over the limit, the client gets the one 413.
func TestBodyCap(t *testing.T) {
	t.Parallel()
	const limit = 1000
	read := func(r *http.Request) error { _, err := io.ReadAll(r.Body); return err }
	handlers := map[string]http.HandlerFunc{
		"answers 400": func(w http.ResponseWriter, r *http.Request) {
			if err := read(r); err != nil {
				http.Error(w, "cannot read", http.StatusBadRequest)
			}
		},
		"answers 500 with headers": func(w http.ResponseWriter, r *http.Request) {
			if err := read(r); err != nil {
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Set("Content-Length", "4")
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, "oops")
			}
		},
		"says nothing": func(_ http.ResponseWriter, r *http.Request) { _ = read(r) },
		"writes 200": func(w http.ResponseWriter, r *http.Request) {
			_ = read(r)
			_, _ = io.WriteString(w, `{"data":null}`)
		},
		"flushes": func(w http.ResponseWriter, r *http.Request) {
			_ = read(r)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, `data`)
		},
		"reads in another goroutine": func(w http.ResponseWriter, r *http.Request) {
			done := make(chan error)
			go func() { done <- read(r) }()
			if err := <-done; err != nil {
				http.Error(w, "cannot read", http.StatusBadRequest)
			}
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called := false
			srv := httptest.NewServer(Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				called = true
				handler(w, r)
			}), RequestID, AccessLog(quiet()), Recover(quiet()), BodyCap(limit)))
			defer srv.Close()
			for _, tc := range []struct {
				size     int
				declared bool
			}{{limit + 1, true}, {limit + 1, false}, {50 * limit, false}} {
				var body io.Reader = strings.NewReader(strings.Repeat("x", tc.size))
				if !tc.declared {
					body = io.MultiReader(body) // no length: sent in chunks
				}
				called = false
				res, err := http.Post(srv.URL, "application/json", body)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				p := readProblem(t, raw)
				e := p.Errors[0]
				if res.StatusCode != 413 || e.Extensions.Code != "BODY_TOO_LARGE" || e.Extensions.Limit != limit ||
					!strings.Contains(e.Message, "1000") || e.Extensions.RequestID == "" {
					t.Errorf("%+v: got %d %s", tc, res.StatusCode, raw)
				}
				if called == tc.declared {
					t.Errorf("%+v: handler called: %t", tc, called)
				}
			}
			res, err := http.Post(srv.URL, "application/json", strings.NewReader(strings.Repeat("x", limit)))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("a body of exactly the limit: %d", res.StatusCode)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	const app = "https://app.example.com"
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	preflight := func(h http.Handler, origin string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodOptions, "/graphql", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		return do(h, r)
	}
	w := preflight(CORS([]string{app})(ok), app)
	if w.Code != http.StatusNoContent {
		t.Errorf("the app: %d", w.Code)
	}
	if got := w.Header(); got.Get("Access-Control-Allow-Origin") != app || got.Get("Access-Control-Allow-Headers") == "" || got.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the app: %v", got)
	}
	for name, h := range map[string]http.Handler{"others": CORS([]string{app})(ok), "nobody allowed": CORS(nil)(ok)} {
		w := preflight(h, "https://evil.example.com")
		if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		} else if readProblem(t, w.Body.Bytes()).Errors[0].Extensions.Code != "FORBIDDEN" {
			t.Errorf("%s: %s", name, w.Body)
		}
		if w := do(h, httptest.NewRequest(http.MethodOptions, "/graphql", nil)); w.Code != http.StatusOK {
			t.Errorf("%s: an OPTIONS that is no preflight gets %d", name, w.Code)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	protect, err := SameOrigin([]string{"https://app.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	h := protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, tc := range map[string]struct {
		method, origin, site string
		stream               string
		status               int
	}{
		"program":                     {"POST", "", "", "", 200},
		"own page":                    {"POST", "http://api.example.com", "same-origin", "", 200},
		"own page, old browser":       {"POST", "http://api.example.com", "", "", 200},
		"allowed page":                {"POST", "https://app.example.com", "cross-site", "", 200},
		"other page":                  {"POST", "https://evil.example.com", "cross-site", "", 403},
		"other page, old browser":     {"POST", "https://evil.example.com", "", "", 403},
		"other page hides its origin": {"POST", "null", "cross-site", "", 403},
		"other page without origin":   {"POST", "", "cross-site", "", 403},
		"allowed page over http":      {"POST", "http://app.example.com", "cross-site", "", 403},
		"other page reads":            {"GET", "https://evil.example.com", "cross-site", "", 200},
		"other page opens a socket":   {"GET", "https://evil.example.com", "cross-site", "socket", 403},
		"own page opens a socket":     {"GET", "http://api.example.com", "same-origin", "socket", 200},
		"allowed page opens a socket": {"GET", "https://app.example.com", "cross-site", "socket", 200},
		"program opens a socket":      {"GET", "", "", "socket", 200},
		"other page listens":          {"GET", "https://evil.example.com", "cross-site", "events", 403},
		"own page listens":            {"GET", "http://api.example.com", "same-origin", "events", 200},
		"allowed page listens":        {"GET", "https://app.example.com", "cross-site", "events", 200},
		"program listens":             {"GET", "", "", "events", 200},
	} {
		r := httptest.NewRequest(tc.method, "http://api.example.com/graphql", nil)
		for header, value := range map[string]string{"Origin": tc.origin, "Sec-Fetch-Site": tc.site} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		switch tc.stream {
		case "socket":
			r.Header.Set("Upgrade", "WebSocket")
		case "events":
			r.Header.Set("Accept", "text/event-stream")
		}
		if w := do(h, r); w.Code != tc.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tc.status)
		} else if w.Code == 403 && readProblem(t, w.Body.Bytes()).Errors[0].Extensions.Code != "FORBIDDEN" {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
	if _, err := SameOrigin([]string{"app.example.com"}); err == nil {
		t.Error("accepted an origin without a scheme")
	}
}

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	h := PageHeaders(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "http://localhost:8080/", nil)
	csp := do(h, r).Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none';", "script-src 'self';", "worker-src 'self' blob:;", "style-src 'self' 'unsafe-inline';",
		"font-src 'self' data:;", "img-src 'self' data:;", "connect-src 'self' ws://localhost:8080 wss://localhost:8080;", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy lacks %s: %s", want, csp)
		}
	}
	r.Host = "x; script-src *"
	if csp := do(h, r).Header().Get("Content-Security-Policy"); strings.Contains(csp, "script-src *") {
		t.Errorf("the Host header changed the policy: %s", csp)
	}
}

// The whole chain leaves Flusher, Hijacker and ResponseController to the handler.
func TestChainKeepsStreamsAndSockets(t *testing.T) {
	t.Parallel()
	log, out := newLog()
	protect, err := SameOrigin(nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/sse", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-seen
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.Write(r.Context(), websocket.MessageText, []byte("hello"))
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	srv := httptest.NewServer(Chain(mux, RequestID, AccessLog(log), Recover(log), CORS([]string{"https://app.example.com"}), protect, BodyCap(100)))
	defer srv.Close()

	for _, body := range []io.Reader{strings.NewReader("{}"), nil} { // with the cap's writer between, and without
		res, err := http.Post(srv.URL+"/sse", "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(res.Body).ReadString('\n')
		seen <- struct{}{} // only now may the handler end: the line came because it was flushed
		_ = res.Body.Close()
		if err != nil || line != "data: 1\n" {
			t.Errorf("got %q, %v", line, err)
		}
	}

	c, _, err := websocket.Dial(t.Context(), srv.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, msg, err := c.Read(t.Context()); err != nil || string(msg) != "hello" {
		t.Errorf("got %q, %v", msg, err)
	}
	_ = c.CloseNow()
	srv.Close() // waits for the handlers, and so for their lines
	if !strings.Contains(out.String(), `"route":"/sse","status":200`) {
		t.Errorf("log: %s", out)
	}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	w := record(hijackable{httptest.NewRecorder()})
	if _, _, err := w.Hijack(); err != nil || w.status != http.StatusSwitchingProtocols {
		t.Errorf("status %d, %v", w.status, err)
	}
	if _, _, err := record(httptest.NewRecorder()).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("where it cannot be: %v", err)
	}
	hints := record(hijackable{httptest.NewRecorder()})
	if hints.WriteHeader(http.StatusEarlyHints); hints.status != 0 {
		t.Errorf("early hints taken for the answer: %d", hints.status)
	}
	if record(w) != w {
		t.Error("a second recorder around the first")
	}
}

type hijackable struct{ http.ResponseWriter }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

func TestLogAttrs(t *testing.T) {
	t.Parallel()
	if got := LogAttrs(t.Context()); got != nil {
		t.Errorf("outside a request: %v", got)
	}
	ctx := context.WithValue(t.Context(), requestIDKey{}, "abc")
	if got := fmt.Sprint(LogAttrs(ctx)); got != "[request=abc]" {
		t.Errorf("got %s", got)
	}
}
