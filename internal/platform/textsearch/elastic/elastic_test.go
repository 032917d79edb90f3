package elastic_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic"
	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic/local"
	"github.com/rapporthq/rapport/internal/platform/textsearch/textsearchtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func open(t testing.TB, url string, change ...func(*elastic.Options)) *elastic.Index {
	t.Helper()
	o := elastic.Options{URLs: []string{url}, Prefix: testkit.IndexPrefix(t, url), Timeout: time.Minute} // on a busy machine
	for _, c := range change {
		c(&o)
	}
	x, err := elastic.New(textsearchtest.Schema, o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func conforms(t *testing.T, url string) {
	textsearchtest.Run(t, func(t *testing.T) textsearchtest.Fixture {
		return textsearchtest.Fixture{Index: open(t, url), Org: id.New(), Org2: id.New()}
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conforms(t, testkit.Elasticsearch(t))
}

// The exact version that production runs, without most of its modules, does all of it, and outlives what a server must.
func TestProduction(t *testing.T) {
	t.Parallel()
	s := testkit.OwnElasticsearch(t, local.Core)
	t.Run("conformance", func(t *testing.T) { conforms(t, s.URL()) })
	t.Run("deep", func(t *testing.T) { goesDeep(t, s.URL()) })
	t.Run("killed", func(t *testing.T) { isKilled(t, s) })
	t.Run("frozen", func(t *testing.T) { isFrozen(t, s) })
}

func TestDeep(t *testing.T) {
	t.Parallel()
	goesDeep(t, testkit.Elasticsearch(t))
}

// What the port allows is not too much for the server.
func goesDeep(t *testing.T, url string) {
	x := open(t, url)
	org := id.New()
	put(t, x, org, doc("a", "word"))
	var e textsearch.Expr = textsearch.Phrase{Text: "a word"}
	for depth := range textsearch.MaxDepth {
		other := textsearch.Word{Text: "word", Fuzzy: true}
		if depth == textsearch.MaxDepth-1 {
			e = textsearch.Not{Of: e}
		} else if depth%2 == 0 {
			e = textsearch.Any{Of: []textsearch.Expr{e, other}}
		} else {
			e = textsearch.All{e, other}
		}
	}
	if _, err := x.Search(t.Context(), org, textsearch.Request{Query: e, Size: 1}); err != nil {
		t.Errorf("as deep as may be: %v", err)
	}
	if _, err := x.Highlight(t.Context(), org, e, 1, []string{"a"}); err != nil {
		t.Errorf("marked as deep as may be: %v", err)
	}
	many := textsearch.Any{}
	for i := range textsearch.MaxNodes - 1 {
		many.Of = append(many.Of, textsearch.Word{Text: fmt.Sprintf("word%d", i)})
	}
	// Of so many words the server may say that they are too many for its memory, and that is told.
	if _, err := x.Search(t.Context(), org, textsearch.Request{Query: many, Size: 1}); err != nil && fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("as many as may be: %v", err)
	}
	many.Of = many.Of[:100]
	if _, err := x.Search(t.Context(), org, textsearch.Request{Query: many, Size: 1}); err != nil {
		t.Errorf("more than anybody types: %v", err)
	}
	values := make([]string, textsearch.MaxTerms)
	for i := range values {
		values[i] = fmt.Sprintf("value%d", i)
	}
	if _, err := x.Search(t.Context(), org, textsearch.Request{Filter: textsearch.Terms{Field: "client", Values: values}, Size: 1}); err != nil {
		t.Errorf("as many values as may be: %v", err)
	}
}

func doc(name, text string) textsearch.Document {
	return textsearch.Document{ID: name, Kind: "utterance", Group: "g", Version: 1, Language: "en", At: time.Unix(1, 0), Texts: map[string]string{"text": text}}
}

func put(t *testing.T, x *elastic.Index, org id.UUID, docs ...textsearch.Document) {
	t.Helper()
	if err := x.Put(t.Context(), org, docs); err != nil {
		t.Fatal(err)
	}
	if err := x.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// total is how many documents an organization has.
func total(ctx context.Context, x *elastic.Index, org id.UUID) (int, error) {
	found, err := x.Search(ctx, org, textsearch.Request{Total: true})
	return found.Total, err
}

func want(t *testing.T, x *elastic.Index, org id.UUID, n int) {
	t.Helper()
	if err := x.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := total(t.Context(), x, org); err != nil || got != n {
		t.Errorf("%d documents, want %d (%v)", got, n, err)
	}
}

// While a server is killed, whoever asks is told at once that it is away; what was taken is there afterwards, and what was not can be
// written again. Nobody has to be told that it is back.
func isKilled(t *testing.T, s *local.Server) {
	x := open(t, s.URL(), func(o *elastic.Options) { o.CoolDown = 100 * time.Millisecond })
	org := id.New()
	put(t, x, org, doc("first", "word"))

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var taken, refused, answered, away atomic.Int64
	pace := time.Tick(time.Millisecond) // of loops that would else only spin
	wg.Go(func() {                      // writes until each is taken, as a job does
		for i := 0; ctx.Err() == nil; i++ {
			batch := make([]textsearch.Document, 50)
			for j := range batch {
				batch[j] = doc(fmt.Sprintf("d%d-%d", i, j), "word of the import")
			}
			for {
				err := x.Put(t.Context(), org, batch)
				if err == nil {
					taken.Add(int64(len(batch)))
					break
				}
				if fault.KindOf(err) != fault.KindUnavailable {
					t.Errorf("Put: %v", err)
					return
				}
				refused.Add(1)
				<-pace
			}
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			_, err := x.Search(t.Context(), org, textsearch.Request{Query: textsearch.Word{Text: "word"}, Size: 5})
			switch {
			case err == nil:
				answered.Add(1)
			case fault.KindOf(err) != fault.KindUnavailable:
				t.Errorf("Search: %v", err)
			default:
				if away.Add(1) > 10 && time.Since(began) > 4*time.Second {
					t.Errorf("told after %s that the server is away", time.Since(began))
				}
				<-pace
			}
		}
	})
	testkit.Eventually(t, time.Minute, func() error { return least(&taken, 500) })
	s.Kill()
	testkit.Eventually(t, time.Minute, func() error { return errors.Join(least(&refused, 20), least(&away, 20)) })
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, seen := taken.Load(), answered.Load()
	testkit.Eventually(t, time.Minute, func() error { return errors.Join(least(&taken, before+200), least(&answered, seen+5)) })
	stop()
	wg.Wait()
	want(t, x, org, int(taken.Load())+1)
}

func least(n *atomic.Int64, want int64) error {
	if got := n.Load(); got < want {
		return fmt.Errorf("%d, want at least %d", got, want)
	}
	return nil
}

// A server that hangs is given up after the timeout, and not asked again and again.
func isFrozen(t *testing.T, s *local.Server) {
	x := open(t, s.URL(), func(o *elastic.Options) { o.CoolDown, o.Timeout = 200*time.Millisecond, 2*time.Second })
	org := id.New()
	put(t, x, org, doc("a", "word"))
	x = open(t, s.URL(), func(o *elastic.Options) { o.CoolDown, o.Timeout = time.Hour, time.Second })
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := total(t.Context(), x, org); fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("frozen: %v", err)
		}
	}
	began := time.Now()
	for range 100 {
		if _, err := total(t.Context(), x, org); fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("left alone: %v", err)
		}
	}
	if took := time.Since(began); took > 50*time.Second { // a hundred that ask it take a second each
		t.Errorf("100 searches took %s: the server was asked", took)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
}

// proxy stands before a server and spoils some of its answers.
func proxy(t *testing.T, to string, spoil func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !spoil(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func noPause(o *elastic.Options) {
	o.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
}

// A server that is too busy is asked again, for all or for some of what it was given.
func TestTooBusy(t *testing.T) {
	t.Parallel()
	server := testkit.Elasticsearch(t)
	var asked, items atomic.Int32
	url := proxy(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/_bulk" {
			return false
		}
		switch asked.Add(1) {
		case 1:
			http.Error(w, `{"error":{"type":"es_rejected_execution_exception"},"status":429}`, http.StatusTooManyRequests)
			return true
		case 2: // one of them
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
			_, _ = io.WriteString(w, `{"items":[{"index":{"_id":"x","status":429,"error":{"type":"es_rejected_execution_exception"}}},{"index":{"_id":"y","status":201}}]}`)
			return true
		}
		body, _ := io.ReadAll(r.Body)
		items.Store(int32(strings.Count(string(body), "require_alias")))
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		return false
	})
	x := open(t, url, noPause)
	if err := x.Reach(t.Context()); err != nil { // makes the index
		t.Fatal(err)
	}
	org := id.New()
	put(t, x, org, doc("busy", "word"), doc("lucky", "word"))
	if asked.Load() != 3 || items.Load() != 1 {
		t.Errorf("asked %d times, and last for %d documents; want 3 and 1", asked.Load(), items.Load())
	}
	want(t, x, org, 1) // the lucky one was only said to be written
}

// One that stays too busy is an UNAVAILABLE index, and its documents are named.
func TestAlwaysTooBusy(t *testing.T) {
	t.Parallel()
	url := proxy(t, testkit.Elasticsearch(t), func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/_bulk" {
			return false
		}
		_, _ = io.WriteString(w, `{"items":[{"index":{"_id":"x","status":429,"error":{"type":"es_rejected_execution_exception"}}}]}`)
		return true
	})
	x := open(t, url, noPause)
	err := x.Put(t.Context(), id.New(), []textsearch.Document{doc("busy", "word")})
	var rejected *textsearch.Rejected
	if !errors.As(err, &rejected) || len(rejected.Documents) != 1 || rejected.Documents[0].ID != "busy" || fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("Put: %v", err)
	}
}

// A request that is too large is divided, and what the server refuses is told without a word of it.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	var sizes []int
	var mu sync.Mutex
	url := proxy(t, testkit.Elasticsearch(t), func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/_bulk" {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		n := strings.Count(string(body), "require_alias")
		mu.Lock()
		sizes = append(sizes, n)
		mu.Unlock()
		if n > 3 {
			http.Error(w, "", http.StatusRequestEntityTooLarge)
			return true
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		return false
	})
	x := open(t, url, noPause)
	if err := x.Reach(t.Context()); err != nil { // makes the index
		t.Fatal(err)
	}
	org := id.New()
	var docs []textsearch.Document
	for i := range 10 {
		docs = append(docs, doc(fmt.Sprintf("d%d", i), "word"))
	}
	put(t, x, org, docs...)
	want(t, x, org, 10)
	if slices.Max(sizes) != 10 || len(sizes) != 7 {
		t.Errorf("requests of %v", sizes)
	}
}

// Requests are bounded in bytes and in documents.
func TestBulkIsBounded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var requests, largest, most int
	url := proxy(t, testkit.Elasticsearch(t), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/_bulk" {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		requests, largest, most = requests+1, max(largest, len(body)), max(most, strings.Count(string(body), "require_alias"))
		mu.Unlock()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		return false
	})
	x := open(t, url)
	org := id.New()
	var docs []textsearch.Document
	for i := range textsearch.MaxBatch {
		text := "word"
		if i < 50 {
			text = strings.Repeat("word ", textsearch.MaxText/5)
		}
		docs = append(docs, doc(fmt.Sprintf("d%d", i), text))
	}
	put(t, x, org, docs...)
	want(t, x, org, len(docs))
	if requests < 4 || largest > 5<<20 || most > 500 {
		t.Errorf("%d requests, the largest of %d bytes, and of %d documents", requests, largest, most)
	}
}

func TestErrorsHoldNoWords(t *testing.T) {
	t.Parallel()
	const words = "whatwassaid"
	url := proxy(t, testkit.Elasticsearch(t), func(w http.ResponseWriter, r *http.Request) bool {
		const failure = `{"type":"document_parsing_exception","reason":"Preview of field's value: 'whatwassaid'"}`
		switch {
		case r.URL.Path == "/_bulk":
			_, _ = io.WriteString(w, `{"items":[{"index":{"_id":"x","status":400,"error":`+failure+`}}]}`)
			return true
		case strings.HasSuffix(r.URL.Path, "/_search"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":`+failure+`,"status":400}`)
			return true
		}
		return false
	})
	x := open(t, url)
	err := x.Put(t.Context(), id.New(), []textsearch.Document{doc("a", words)})
	var rejected *textsearch.Rejected
	if !errors.As(err, &rejected) || fault.KindOf(err) != fault.KindInvalid {
		t.Fatalf("Put: %v", err)
	}
	_, failed := x.Search(t.Context(), id.New(), textsearch.Request{Order: textsearch.Newest, Filter: textsearch.Terms{Field: "client", Values: []string{words}}, Size: 1})
	if failed == nil {
		t.Fatal("the search succeeded")
	}
	for _, err := range []error{err, failed} {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), words) {
			t.Errorf("%v says what was said", err)
		}
	}
}

func TestSignsIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*elastic.Options)
		want   string
	}{
		"key":      {func(o *elastic.Options) { o.APIKey = secret.Fixed("a2V5") }, "ApiKey a2V5"},
		"password": {func(o *elastic.Options) { o.Username, o.Password = "rapport", secret.Fixed("pw") }, "Basic cmFwcG9ydDpwdw=="},
		"neither":  {func(*elastic.Options) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got atomic.Value
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got.Store(r.Header.Get("Authorization"))
				http.Error(w, `{"error":{"type":"security_exception","reason":"no"},"status":401}`, http.StatusUnauthorized)
			}))
			defer s.Close()
			o := elastic.Options{URLs: []string{s.URL}, Prefix: "x"}
			c.change(&o)
			stranger, err := elastic.New(textsearchtest.Schema, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := stranger.Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable || got.Load() != nil {
				t.Errorf("a server that nobody vouches for was told %v: %v", got.Load(), err)
			}
			o.CA = pemOf(s)
			x, err := elastic.New(textsearchtest.Schema, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := x.Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
				t.Errorf("refused: %v", err)
			}
			if got.Load() != c.want {
				t.Errorf("signed in with %q, want %q", got.Load(), c.want)
			}
		})
	}
}

func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]elastic.Options{
		"no address":   {Prefix: "x"},
		"no host":      {URLs: []string{"here"}, Prefix: "x"},
		"no prefix":    {URLs: []string{"http://here"}},
		"bad prefix":   {URLs: []string{"http://here"}, Prefix: "X*"},
		"no authority": {URLs: []string{"https://here"}, Prefix: "x", CA: []byte("none")},
	} {
		if _, err := elastic.New(textsearchtest.Schema, o); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
