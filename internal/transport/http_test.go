package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/auth"
)

// request is a GET of a query, or a POST of one that begins with "POST ".
func request(t *testing.T, s server, query, accept string) *http.Response {
	t.Helper()
	method, target, body := http.MethodGet, s.URL+"/?query="+url.QueryEscape(query), ""
	if q, found := strings.CutPrefix(query, "POST "); found {
		method, target, body = http.MethodPost, s.URL, fmt.Sprintf(`{"query":%q}`, q)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	f := standard()
	f["change"] = func(context.Context) graphql.ResponseHandler {
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{{Message: "sign in", Extensions: map[string]any{"code": "UNAUTHENTICATED"}}}})
	}
	f["slow"] = func(context.Context) graphql.ResponseHandler {
		return graphql.OneShot(&graphql.Response{Data: json.RawMessage("null"), Errors: gqlerror.List{{Message: "null all the way up"}}})
	}
	s := serve(t, f)
	const (
		plain  = "application/json; charset=utf-8"
		result = "application/graphql-response+json; charset=utf-8"
		stream = "text/event-stream; charset=utf-8"
		wants  = "application/graphql-response+json, application/json;q=0.9, text/event-stream;q=0.8" // as urql sends it
	)
	for _, tc := range []struct {
		query, accept string
		status        int
		kind, answer  string // the answer begins so
	}{
		{"{hello}", "", 200, plain, `{"data":{"hello":"you"}}`},
		{"POST {hello}", "*/*", 200, plain, `{"data":{"hello":"you"}}`},
		{"POST {hello}", "text/html, application/*;q=0.1", 200, plain, `{"data":{"hello":"you"}}`},
		{"POST {hello}", "image/png", 200, plain, `{"data":{"hello":"you"}}`},
		{"POST {hello}", wants, 200, result, `{"data":{"hello":"you"}}`},
		{"POST {slow}", wants, 200, result, `{"errors":[{"message":"null all the way up"}],"data":null}`},
		{"POST {hello", "application/json", 422, plain, `{"errors":[{"message":"Expected Name`},
		{"{nothing}", "application/json", 422, plain, `{"errors":[{"message":"Cannot query field`},
		{"POST {nothing}", wants, 400, result, `{"errors":[{"message":"Cannot query field`},
		{"POST mutation {change}", "application/json", 401, plain, `{"errors":[{"message":"sign in","extensions":{"code":"UNAUTHENTICATED"}}]}`},
		{"POST mutation {change}", wants, 401, result, `{"errors":[{"message":"sign in"`},
		{"POST {broken}", "application/json", 200, plain, `{"errors":[{"message":"it broke"`},
		{"mutation {change}", "application/json", 405, plain, `{"errors":[{"message":"send a mutation by POST","extensions":{"code":"INVALID"}}]}`},
		{"mutation {change}", "text/event-stream", 405, plain, `{"errors":[{"message":"send a mutation by POST"`},
		{"subscription {count}", "application/json", 200, plain, `{"errors":[{"message":"a subscription needs a WebSocket (graphql-transport-ws) or Accept: text/event-stream"}]}`},
		{"POST subscription {count}", "application/graphql-response+json", 400, result, `{"errors":[{"message":"a subscription needs`},

		{"POST subscription {count}", wants, 200, stream,
			":\n\nevent: next\ndata: {\"data\":{\"count\":1}}\n\nevent: next\ndata: {\"data\":{\"count\":2}}\n\nevent: complete\ndata:\n\n"},
		{"subscription {count}", "text/event-stream", 200, stream, ":\n\nevent: next\ndata: {\"data\":{\"count\":1}}\n\nevent: next\n"},
		{"{hello}", "text/event-stream", 200, stream, ":\n\nevent: next\ndata: {\"data\":{\"hello\":\"you\"}}\n\nevent: complete\ndata:\n\n"},
		{"POST {slow}", "text/event-stream, application/json", 200, stream,
			":\n\nevent: next\ndata: {\"errors\":[{\"message\":\"null all the way up\"}],\"data\":null}\n\nevent: complete\ndata:\n\n"},
		{"POST {nothing}", "text/event-stream", 200, stream, ":\n\nevent: next\ndata: {\"errors\":[{\"message\":\"Cannot query field"},
		{"POST mutation {change}", "text/event-stream", 401, plain, `{"errors":[{"message":"sign in","extensions":{"code":"UNAUTHENTICATED"}}]}`},
		{"POST subscription {refused}", "text/event-stream", 200, stream, ":\n\nevent: next\ndata: {\"errors\":[{\"message\":\"it not found\"}]}\n\nevent: complete\n"},
		{"POST subscription {failing}", "text/event-stream", 200, stream,
			":\n\nevent: next\ndata: {\"data\":{\"failing\":1}}\n\nevent: next\ndata: {\"errors\":[{\"message\":\"too slow\"}]}\n\nevent: complete\ndata:\n\n"},
		{"POST {broken}", "text/event-stream", 200, stream, ":\n\nevent: next\ndata: {\"errors\":[{\"message\":\"it broke\"}]}\n\nevent: complete\ndata:\n\n"},
	} {
		t.Run(tc.query+" "+tc.accept, func(t *testing.T) {
			t.Parallel()
			res := request(t, s, tc.query, tc.accept)
			got := body(t, res)
			if res.StatusCode != tc.status || res.Header.Get("Content-Type") != tc.kind || !strings.HasPrefix(got, tc.answer) {
				t.Errorf("got  %d %s\n%q\nwant %d %s\n%q", res.StatusCode, res.Header.Get("Content-Type"), got, tc.status, tc.kind, tc.answer)
			}
			if got := res.Header.Get("Allow"); tc.status == 405 && got != "POST" {
				t.Errorf("Allow: %q", got)
			}
			if got := res.Header.Get("WWW-Authenticate"); (tc.status == 401) != (got == `Bearer realm="rapport"`) {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			if res.Header.Get("Cache-Control") != "no-store" {
				t.Error("an answer may be stored")
			}
		})
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, standard())
	for name, tc := range map[string]struct {
		method, query, kind, body string
		status                    int
		message                   string
	}{
		"no JSON":            {"POST", "", "application/json", "marzipan", 400, "the body is not JSON: it goes wrong at byte 1"},
		"no UTF-8":           {"POST", "", "application/json", "{\"query\":\"{a\xff}\"}", 400, "the body is not Unicode: half a character is at byte 12"},
		"half a character":   {"POST", "", "application/json", `{"query":"{hello}","variables":{"a":"\\ud83d","b":"A\ud800B"}}`, 400, "the body is not Unicode: half a character is at byte 52"},
		"the wrong half":     {"POST", "", "application/json", `{"query":"{hello}","variables":{"a":"\ude00"}}`, 400, "the body is not Unicode: half a character is at byte 37"},
		"half, in the query": {"POST", "", "application/json", `{"query":"{hello(name: \"A\\ud800B\")}"}`, 400, "the body is not Unicode: half a character is at byte 15 of the query"},
		"cut":                {"POST", "", "application/json", `{"query":"{hello}"`, 400, "the body is not JSON: it ends too early"},
		"more behind":        {"POST", "", "application/json", `{"query":"{hello}"} marzipan`, 400, "the body is not JSON: it goes on after its end at byte 20"},
		"two":                {"POST", "", "application/json", `{"query":"{hello}"}{"query":"{hello}"}`, 400, "the body is not JSON: it goes on after its end at byte 20"},
		"a list":             {"POST", "", "application/json", `[{"query":"{hello}"}]`, 400, "the body is wrong at byte 1: it must be an object"},
		"no query":           {"POST", "", "application/json", `{"variables":{"marzipan":1}}`, 400, "the body must be " + shape},
		"variables":          {"POST", "", "application/json", `{"query":"{hello}","variables":"marzipan"}`, 400, "the body is wrong at byte 41: variables must be an object"},
		"a form":             {"POST", "", "application/x-www-form-urlencoded", "query={hello}", 415, "send Content-Type: application/json"},
		"text":               {"POST", "", "text/plain", `{"query":"{hello}"}`, 415, "send Content-Type: application/json"},
		"no type":            {"POST", "", "", `{"query":"{hello}"}`, 415, "send Content-Type: application/json"},
		"no parameter":       {"GET", "", "", "", 400, "the URL has no parameter query"},
		"a wrong escape":     {"GET", "?query=%7Bhello%7D&x=%zz", "", "", 400, "the query of the URL is malformed"},
		"variables no JSON":  {"GET", "?query=%7Bhello%7D&variables=%7Bmarzipan", "", "", 400, "the parameter variables of the URL is not a JSON object"},
		"variables a list":   {"GET", "?query=%7Bhello%7D&variables=%5B%5D", "", "", 400, "the parameter variables of the URL is not a JSON object"},
		"variables and more": {"GET", "?query=%7Bhello%7D&variables=%7B%7D%7B%7D", "", "", 400, "the parameter variables of the URL is not a JSON object"},
		"extensions":         {"GET", "?query=%7Bhello%7D&extensions=1", "", "", 400, "the parameter extensions of the URL is not a JSON object"},
		"PUT":                {"PUT", "", "application/json", `{"query":"{hello}"}`, 405, "send a GET or a POST"},
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			t.Run(name+" "+accept, func(t *testing.T) {
				t.Parallel()
				req, err := http.NewRequestWithContext(t.Context(), tc.method, s.URL+"/"+tc.query, strings.NewReader(tc.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", tc.kind)
				req.Header.Set("Accept", accept)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				var got struct {
					Errors []struct {
						Message    string
						Extensions struct{ Code string }
					}
				}
				if err := json.NewDecoder(res.Body).Decode(&got); err != nil || len(got.Errors) != 1 {
					t.Fatalf("%v: %+v", err, got)
				}
				if res.StatusCode != tc.status || got.Errors[0].Message != tc.message || got.Errors[0].Extensions.Code != "INVALID" {
					t.Errorf("got %d %+v, want %d %q", res.StatusCode, got, tc.status, tc.message)
				}
				if (res.StatusCode == 405) != (res.Header.Get("Allow") == "GET, POST") {
					t.Errorf("Allow: %q", res.Header.Get("Allow"))
				}
			})
		}
	}
}

func TestLargeNumbersStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	p, err := decode([]byte(`{"query":"{hello}","variables":{"n":9007199254740993}}`))
	if err != nil || p.Variables["n"] != json.Number("9007199254740993") {
		t.Errorf("got %v, %v", p, err)
	}
	p, err = query("query=%7Bhello%7D&variables=%7B%22n%22%3A9007199254740993%7D")
	if err != nil || p.Variables["n"] != json.Number("9007199254740993") {
		t.Errorf("got %v, %v", p, err)
	}
}

// lines are those of an event stream as they come; the channel is closed at its end.
func lines(t *testing.T, res *http.Response) <-chan string {
	t.Helper()
	all := make(chan string, 1000)
	go func() {
		defer close(all)
		for r := bufio.NewScanner(res.Body); r.Scan(); {
			all <- r.Text()
		}
	}()
	return all
}

func expect(t *testing.T, all <-chan string, want string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, open := <-all:
			if line == want {
				return
			}
			if !open {
				t.Fatalf("the stream ends before %q", want)
			}
		case <-late:
			t.Fatalf("no %q comes", want)
		}
	}
}

func idle() fields {
	return fields{"forever": each(func(ctx context.Context, out chan<- string) {
		emit(ctx, out, `{"forever":1}`)
		<-ctx.Done()
	})}
}

func TestIdleEventStreamsAreKeptAlive(t *testing.T) {
	t.Parallel()
	s := serve(t, idle(), func(_ *WebSocket, web *HTTP) { web.Timing.KeepAlive = 5 * time.Millisecond })
	all := lines(t, request(t, s, "subscription {forever}", "text/event-stream"))
	expect(t, all, `data: {"data":{"forever":1}}`)
	for range 3 {
		expect(t, all, ":")
	}
}

// A stream that is cut off ends without complete: its client is not done, and comes back.
func TestEventStreamsThatAreCutOff(t *testing.T) {
	t.Parallel()
	for name, runsOut := range map[string]bool{"the server stops": false, "the token expires": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan struct{})
			s := serve(t, fields{"forever": each(func(ctx context.Context, out chan<- string) {
				emit(ctx, out, `{"forever":1}`)
				<-ctx.Done()
				Fail(ctx, ctx.Err())
				close(left)
			})})
			if runsOut {
				inner := s.Config.Handler
				s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					inner.ServeHTTP(w, r.WithContext(auth.WithViewer(r.Context(), auth.Viewer{Until: time.Now().Add(100 * time.Millisecond)})))
				})
			}
			all := lines(t, request(t, s, "subscription {forever}", "text/event-stream"))
			if !runsOut {
				expect(t, all, `data: {"data":{"forever":1}}`)
				go s.streams.Close(t.Context())
			}
			<-left
			for line := range all {
				if line == "event: complete" || strings.Contains(line, "errors") {
					t.Errorf("then comes %q", line)
				}
			}
		})
	}
}

// A client that leaves ends its operation.
func TestLeavingAnEventStream(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	s := serve(t, fields{"forever": each(func(ctx context.Context, out chan<- string) {
		emit(ctx, out, `{"forever":1}`)
		<-ctx.Done()
		close(left)
	})})
	res := request(t, s, "POST subscription {forever}", "text/event-stream")
	expect(t, lines(t, res), `data: {"data":{"forever":1}}`)
	_ = res.Body.Close()
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the operation goes on")
	}
}

// Nothing can be written to an answer that is over, however late the timer of its keep-alive runs.
func TestNoKeepAliveAfterTheEnd(t *testing.T) {
	t.Parallel()
	streams := NewStreams(Limits{})
	h := handler.New(standard())
	h.AddTransport(HTTP{Streams: streams, Timing: Timing{KeepAlive: time.Microsecond}})
	for range 200 {
		r := httptest.NewRequest(http.MethodGet, "/?query=subscription%7Bcount%7D", nil)
		r.Header.Set("Accept", "text/event-stream")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Body.String(); !strings.Contains(got, "event: complete\ndata:\n\n") { // or a race is found
			t.Fatalf("got %q", got)
		}
	}
}

// An EventSource that comes back says by a header where it was, and asks with the arguments of its first request.
func TestEventSourcesGoOnWhereTheyWere(t *testing.T) {
	t.Parallel()
	cursors := []string{"a", "b", "c"}
	s := serve(t, fields{"count": each(func(ctx context.Context, out chan<- string) {
		given := "a"
		after := *After(ctx, &given)
		for _, c := range cursors[slices.Index(cursors, after)+1:] {
			Reached(ctx, c)
			if !emit(ctx, out, fmt.Sprintf(`{"count":%q}`, c)) {
				return
			}
		}
	})})
	for last, want := range map[string]string{
		"":  "event: next\nid: b\ndata: {\"data\":{\"count\":\"b\"}}\n\nevent: next\nid: c\ndata: {\"data\":{\"count\":\"c\"}}\n\n",
		"b": "event: next\nid: c\ndata: {\"data\":{\"count\":\"c\"}}\n\n",
		"c": "",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"?query="+url.QueryEscape("subscription {count}"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Last-Event-ID", last)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := body(t, res)
		_ = res.Body.Close()
		if want = ":\n\n" + want + "event: complete\ndata:\n\n"; got != want {
			t.Errorf("after %q comes %q, want %q", last, got, want)
		}
	}
}
