package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
)

const whoAmI = `{"query": "{viewer{user{name}}}"}`

func TestTransports(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.CORSOrigins = []string{"https://app.example"} }))
	coach := env.Login(t, apptest.Coach)
	with := func(pairs ...string) http.Header {
		h := coach.Header()
		for i := 0; i < len(pairs); i += 2 {
			h.Del(pairs[i])
			if pairs[i+1] != "" {
				h.Set(pairs[i], pairs[i+1])
			}
		}
		return h
	}
	nobody := func(accept string) http.Header { return with("Authorization", "", "Accept", accept) }
	preflight := func(origin string) http.Header {
		return http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"}}
	}
	const listening = "/graphql?query=subscription%7BinsightEvents%7Bcursor%7D%7D"
	rename := url.QueryEscape(fmt.Sprintf(`mutation {updateSession(input: {id: %q, title: "changed"}) {session {id}}}`, amara2.id(t, env)))
	changing := fmt.Sprintf(`{"query": "mutation {updateSession(input: {id: \"%s\", title: \"changed\"}) {session {id}}}"}`, amara2.id(t, env))
	multipart := "--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" + changing + "\r\n--b--\r\n"
	for name, tc := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		status       int
		contains     string
	}{
		"POST":                  {"POST", "/graphql", with(), whoAmI, 200, "Ruth Calloway"},
		"POST, a charset":       {"POST", "/graphql", with("Content-Type", "application/json; charset=utf-8"), whoAmI, 200, "Ruth Calloway"},
		"POST, graphql+json":    {"POST", "/graphql", with("Accept", "application/graphql-response+json"), whoAmI, 200, "Ruth Calloway"},
		"GET":                   {"GET", "/graphql?query=%7Bviewer%7Buser%7Bname%7D%7D%7D", with("Content-Type", ""), "", 200, "Ruth Calloway"},
		"GET, a mutation":       {"GET", "/graphql?query=" + rename, with("Content-Type", ""), "", 405, `"code":"INVALID"`},
		"GET, bad variables":    {"GET", "/graphql?query=%7Bviewer%7Buser%7Bname%7D%7D%7D&variables=%7Bmarzipan", with("Content-Type", ""), "", 400, "errors"},
		"text/plain":            {"POST", "/graphql", with("Content-Type", "text/plain"), changing, 415, `"code":"INVALID"`},
		"form":                  {"POST", "/graphql", with("Content-Type", "application/x-www-form-urlencoded"), "query=" + rename, 415, `"code":"INVALID"`},
		"multipart":             {"POST", "/graphql", with("Content-Type", "multipart/form-data; boundary=b"), multipart, 415, `"code":"INVALID"`},
		"no content type":       {"POST", "/graphql", with("Content-Type", ""), changing, 415, `"code":"INVALID"`},
		"PUT":                   {"PUT", "/graphql", with(), changing, 405, `"code":"INVALID"`},
		"POST, a subscription":  {"POST", "/graphql", with(), `{"query": "subscription {insightEvents {cursor}}"}`, 200, "needs a WebSocket"},
		"another origin":        {"POST", "/graphql", with("Origin", "https://evil.example"), changing, 403, "FORBIDDEN"},
		"cross-site":            {"POST", "/graphql", with("Sec-Fetch-Site", "cross-site"), changing, 403, "FORBIDDEN"},
		"cross-site text/plain": {"POST", "/graphql", with("Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"), changing, 403, "FORBIDDEN"},
		"a configured origin":   {"POST", "/graphql", with("Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"), whoAmI, 200, "Ruth Calloway"},
		"same origin":           {"POST", "/graphql", with("Sec-Fetch-Site", "same-origin"), whoAmI, 200, "Ruth Calloway"},
		"WebSocket from evil":   {"GET", "/graphql", with("Origin", "https://evil.example", "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13"), "", 403, "FORBIDDEN"},
		"listening from evil":   {"GET", listening, with("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Accept", "text/event-stream"), "", 403, "FORBIDDEN"},
		"GET, a subscription":   {"GET", listening, with("Content-Type", ""), "", 200, "needs a WebSocket"},
		"GET, no query":         {"GET", "/graphql", with("Content-Type", ""), "", 400, `"code":"INVALID"`},
		"SSE, a mutation":       {"GET", "/graphql?query=" + rename, with("Accept", "text/event-stream"), "", 405, `"code":"INVALID"`},
		"SSE, a query":          {"POST", "/graphql", with("Accept", "text/event-stream"), whoAmI, 200, "event: complete\ndata:\n\n"},
		"nobody":                {"POST", "/graphql", nobody("application/json"), whoAmI, 401, "UNAUTHENTICATED"},
		"nobody, graphql+json":  {"POST", "/graphql", nobody("application/graphql-response+json"), whoAmI, 401, "UNAUTHENTICATED"},
		"nobody, GET":           {"GET", "/graphql?query=%7Bviewer%7Buser%7Bname%7D%7D%7D", nobody("application/json"), "", 401, "UNAUTHENTICATED"},
		"nobody, the schema":    {"POST", "/graphql", nobody("application/json"), `{"query": "{__schema{queryType{name}}}"}`, 200, `"Query"`},
		"preflight":             {"OPTIONS", "/graphql", preflight("https://app.example"), "", 204, ""},
		"preflight of evil":     {"OPTIONS", "/graphql", preflight("https://evil.example"), "", 403, "FORBIDDEN"},
		"login from evil":       {"POST", "/dev/login", with("Origin", "https://evil.example"), `{"email": "coach@harbor.example"}`, 403, "FORBIDDEN"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := env.Send(t, tc.method, tc.path, tc.header, tc.body)
			if status != tc.status || !strings.Contains(string(answer), tc.contains) {
				t.Errorf("got %d %s, want %d", status, answer, tc.status)
			}
			if strings.Contains(string(answer), "marzipan") {
				t.Errorf("the answer quotes the request: %s", answer)
			}
		})
	}
	if title := value[string](t, env, `SELECT title FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env))); title == "changed" {
		t.Error("one of them was executed")
	}
	if r := env.Anonymous().Do(t, `{viewer {user {name}}}`, nil); r.Header.Get("WWW-Authenticate") != `Bearer realm="rapport"` {
		t.Errorf("nobody is asked to sign in: %v", r.Header)
	}
	if status, answer := env.Send(t, "POST", "/graphql", with(), changing); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if title := value[string](t, env, `SELECT title FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env))); title != "changed" {
		t.Error("what should have been refused would not have worked anyway")
	}
}

// A cost past counting is not told as the largest number there is.
func TestCostPastCounting(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	const levels = 6
	query := "{clients(first: 100) {nodes {" + strings.Repeat("sessions(first: 100) {nodes {client {sessions(first: 100) {nodes {client {", levels) + "id" +
		strings.Repeat("}}}}}}", levels) + "}}}"
	r := env.Login(t, apptest.Coach).Do(t, query, nil)
	if want := fmt.Sprintf("may answer more than %d fields", env.Config.HTTP.MaxQueryCost); r.Code() != "COST_LIMIT_EXCEEDED" || !strings.Contains(r.Errors[0].Message, want) {
		t.Errorf("got %s", r.Body)
	}
}

func TestDeferIsRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for name, query := range map[string]string{
		"inline":        `{viewer {... @defer {user {name}}}}`,
		"spread":        `{viewer {...F @defer}} fragment F on Viewer {user {name}}`,
		"in a fragment": `{viewer {...F}} fragment F on Viewer {user {... @defer {name}}}`,
		"labelled":      `{viewer {... @defer(label: "x", if: true) {user {name}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if r := coach.Do(t, query, nil); len(r.Errors) == 0 || r.Data != nil && string(r.Data) != "null" {
				t.Errorf("got %s", r.Body)
			}
		})
	}
}

// Names are told by introspection in development, to those who are signed in, and to nobody else.
func TestIntrospectionAndSuggestions(t *testing.T) {
	t.Parallel()
	const schema, wrong = `{__schema {queryType {name}}}`, `{viewr {usr {nam}} sessions(frst: 1, filter: {statuss: HELD}) {nodes {id}}}`
	for name, tc := range map[string]struct {
		opts      []apptest.Option
		anonymous bool
		suggests  bool
	}{
		"development": {nil, true, true},
		"production":  {[]apptest.Option{apptest.Production(t)}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t, tc.opts...)
			coach := env.Login(t, apptest.Coach)
			if r := env.Anonymous().Do(t, schema, nil); (len(r.Errors) == 0) != tc.anonymous || strings.Contains(string(r.Body), `"Query"`) != tc.anonymous {
				t.Errorf("nobody: %s", r.Body)
			}
			for what, query := range map[string]string{
				"more than the schema": `{__schema {queryType {name}} viewer {user {name}}}`,
				"by a fragment":        `{...F} fragment F on Query {viewer {user {name}}}`,
				"by an inline one":     `{... on Query {viewer {user {name}}}}`,
				"by an alias":          `{__schema: viewer {user {name}}}`,
			} {
				if r := env.Anonymous().Do(t, query, nil); len(r.Errors) == 0 || strings.Contains(string(r.Body), "Ruth") {
					t.Errorf("nobody, %s: %s", what, r.Body)
				}
			}
			if r := coach.Do(t, schema, nil); len(r.Errors) > 0 {
				t.Errorf("coach: %s", r.Body)
			}
			r := coach.Do(t, wrong, nil)
			if len(r.Errors) == 0 || strings.Contains(string(r.Body), "Did you mean") != tc.suggests {
				t.Errorf("suggestions: %s", r.Body)
			}
			for what, query := range map[string]string{
				"enum":       `{sessions(orderBy: {field: STARTS}) {nodes {id}}}`,
				"variable":   `query($f: SessionFiltr) {sessions(filter: $f) {nodes {id}}}`,
				"type":       `{node(id: "x") {... on Sesion {id}}}`,
				"fragment":   `{viewer {...Vie}} fragment View on Viewer {user {name}}`,
				"directive":  `{viewer @includ(if: true) {user {name}}}`,
				"subfields":  `{viewer}`,
				"input":      `mutation {createClient(input: {nam: "x"}) {client {id}}}`,
				"dev/login?": `{viewer {user {id(x: 1)}}}`,
			} {
				r := coach.Do(t, query, nil)
				if len(r.Errors) == 0 || !tc.suggests && strings.Contains(string(r.Body), "Did you mean") {
					t.Errorf("%s: %s", what, r.Body)
				}
			}
			status, _ := env.Send(t, "POST", "/dev/login", http.Header{"Content-Type": {"application/json"}}, `{"email": "coach@harbor.example"}`)
			people, _ := env.Send(t, "GET", "/dev/people", http.Header{}, "")
			if (status == 200) != tc.suggests || strings.HasPrefix(fmt.Sprint(people), "2") && !tc.suggests && !isPage(t, env) {
				t.Errorf("the development sign-in answers %d, its people %d", status, people)
			}
		})
	}
}

// isPage says that unknown paths are answered by the explorer's page.
func isPage(t *testing.T, env *apptest.Env) bool {
	t.Helper()
	_, body := env.Send(t, "GET", "/dev/people", http.Header{}, "")
	return !strings.Contains(string(body), "@harbor.example")
}
