package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/testkit"
)

const key = `8e03978e-40d5-43e8-bc93-6894a57f9324`

// shelf is a store that forgets nothing.
type shelf struct {
	mu     sync.Mutex
	values map[once.Key][]byte
}

func (s *shelf) Claim(_ context.Context, key once.Key, value []byte, _ time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.values[key]
	if there == nil {
		s.values[key] = value
	}
	return there, nil
}

func (s *shelf) Put(_ context.Context, key once.Key, value []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	return nil
}

func (s *shelf) Forget(_ context.Context, key once.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
	return nil
}

// keyedServer counts how often its mutation runs, each time until goOn.
func keyedServer(t *testing.T, goOn <-chan struct{}, answer func(n int64) *graphql.Response) (server, *atomic.Int64) {
	t.Helper()
	ran := &atomic.Int64{}
	f := standard()
	f["change"] = func(context.Context) graphql.ResponseHandler {
		n := ran.Add(1)
		<-goOn
		return graphql.OneShot(answer(n))
	}
	requests := once.New(&shelf{values: map[once.Key][]byte{}}, slog.New(slog.DiscardHandler), time.Hour)
	return serve(t, f, func(_ *WebSocket, web *HTTP) { web.Once = requests }), ran
}

// posted sends a mutation, and returns its status, its body and the headers of the answer.
func posted(t *testing.T, s server, query string, header http.Header) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(fmt.Sprintf(`{"query":%q}`, query)))
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Viewer", "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(raw), res.Header
}

func done(n int64) *graphql.Response {
	return &graphql.Response{Data: json.RawMessage(fmt.Sprintf(`{"change":"%d"}`, n))}
}

func withKey(values ...string) http.Header { return http.Header{"Idempotency-Key": values} }

// Fifty at once run the mutation once, and all get its answer.
func TestFiftyAtOnceRunOnce(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s, ran := keyedServer(t, goOn, done)
	var all sync.WaitGroup
	var replayed atomic.Int64
	for range 50 {
		all.Go(func() {
			status, body, header := posted(t, s, "mutation {change}", withKey(key))
			if status != http.StatusOK || body != `{"data":{"change":"1"}}` {
				t.Errorf("%d %s", status, body)
			}
			if header.Get("Idempotency-Replayed") != "" {
				replayed.Add(1)
			}
		})
	}
	testkit.Eventually(t, patience, func() error {
		if ran.Load() == 0 {
			return fmt.Errorf("nothing runs")
		}
		return nil
	})
	close(goOn)
	all.Wait()
	if n, again := ran.Load(), replayed.Load(); n != 1 || again != 49 {
		t.Errorf("it ran %d times, and %d got the answer of another", n, again)
	}
	for _, values := range [][]string{{key}, {`"` + key + `"`}} { // the same, however it is written
		if _, body, _ := posted(t, s, "mutation {change}", withKey(values...)); body != `{"data":{"change":"1"}}` {
			t.Errorf("%q: %s", values, body)
		}
	}
	if status, body, _ := posted(t, s, "mutation {other: change}", withKey(key)); status != http.StatusUnprocessableEntity || !strings.Contains(body, once.CodeReused) {
		t.Errorf("another document with the same key: %d %s", status, body)
	}
}

// Who comes while the first runs waits for a moment, and is told when to come back.
func TestKeyInUse(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s, ran := keyedServer(t, goOn, done)
	first := make(chan string)
	go func() { _, body, _ := posted(t, s, "mutation {change}", withKey(key)); first <- body }()
	testkit.Eventually(t, patience, func() error {
		if ran.Load() == 0 {
			return fmt.Errorf("nothing runs")
		}
		return nil
	})
	status, body, header := posted(t, s, "mutation {change}", withKey(key))
	if status != http.StatusConflict || !strings.Contains(body, once.CodeInUse) || header.Get("Retry-After") != "1" {
		t.Errorf("%d %q %s", status, header.Get("Retry-After"), body)
	}
	close(goOn)
	if got := <-first; got != `{"data":{"change":"1"}}` {
		t.Error(got)
	}
}

// A client that goes away while its mutation runs finds the answer when it comes again.
func TestWhoGoesAwayFindsTheAnswer(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s, ran := keyedServer(t, goOn, done)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(`{"query":"mutation {change}"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Viewer": {"1"}, "Idempotency-Key": {key}}
	left := make(chan error)
	go func() { _, err := http.DefaultClient.Do(req); left <- err }() //nolint:bodyclose // there is none
	testkit.Eventually(t, patience, func() error {
		if ran.Load() == 0 {
			return fmt.Errorf("nothing runs")
		}
		return nil
	})
	leave()
	if err := <-left; err == nil {
		t.Fatal("it has not left")
	}
	close(goOn)
	status, body, header := posted(t, s, "mutation {change}", withKey(key))
	if status != http.StatusOK || body != `{"data":{"change":"1"}}` || header.Get("Idempotency-Replayed") != "true" || ran.Load() != 1 {
		t.Errorf("%d %s, it ran %d times", status, body, ran.Load())
	}
}

// What did nothing is run again; what did something is not, whatever else went wrong.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	at := func(path ...string) gqlerror.List {
		e := &gqlerror.Error{Message: "no"}
		for _, name := range path {
			e.Path = append(e.Path, ast.PathName(name))
		}
		return gqlerror.List{e}
	}
	null := json.RawMessage("null")
	for name, tc := range map[string]struct {
		query  string
		answer *graphql.Response
		kept   bool
	}{
		"refused":                {"mutation {change}", &graphql.Response{Errors: at()}, false},
		"its field failed":       {"mutation {change}", &graphql.Response{Data: null, Errors: at("change")}, false},
		"under another name":     {"mutation {__typename a: change}", &graphql.Response{Data: null, Errors: at("a")}, false},
		"in a fragment":          {"mutation {...f} fragment f on Mutation {a: change}", &graphql.Response{Data: null, Errors: at("a")}, false},
		"something below failed": {"mutation {change}", &graphql.Response{Data: null, Errors: at("change", "client")}, true},
		"one of two failed":      {"mutation {a: change b: change}", &graphql.Response{Data: null, Errors: at("b")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goOn := make(chan struct{})
			close(goOn)
			s, ran := keyedServer(t, goOn, func(int64) *graphql.Response { return tc.answer })
			_, first, _ := posted(t, s, tc.query, withKey(key))
			_, second, _ := posted(t, s, tc.query, withKey(key))
			if first != second || (ran.Load() == 1) != tc.kept {
				t.Errorf("it ran %d times: %s, %s", ran.Load(), first, second)
			}
		})
	}
}

// Keys that are none are refused before anything runs, and those of what may be repeated anyway are no concern.
func TestBadKeys(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	close(goOn)
	s, ran := keyedServer(t, goOn, done)
	for _, values := range [][]string{{""}, {"short"}, {strings.Repeat("x", 129)}, {key, key}, {key + ", " + key}, {`"` + key}, {"8e03978e 40d5 43e8 bc93"}, {"é" + key}} {
		if status, body, _ := posted(t, s, "mutation {change}", withKey(values...)); status != http.StatusBadRequest || !strings.Contains(body, "Idempotency-Key must be") {
			t.Errorf("%q: %d %s", values, status, body)
		}
	}
	events := withKey(key)
	events.Set("Accept", "text/event-stream")
	if status, body, _ := posted(t, s, "mutation {change}", events); status != http.StatusBadRequest {
		t.Errorf("as events: %d %s", status, body)
	}
	if status, body, _ := posted(t, s, "{hello}", withKey("short")); status != http.StatusOK {
		t.Errorf("a query: %d %s", status, body)
	}
	if n := ran.Load(); n != 0 {
		t.Errorf("%d have run", n)
	}
}
