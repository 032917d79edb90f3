package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// A statement that fails tells the client nothing but where to look.
func TestUnknownErrorsAreMasked(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	sql(t, env, `ALTER TABLE session_metrics RENAME TO hidden_metrics`)
	sql(t, env, `ALTER TABLE participants RENAME TO hidden_participants`)
	for name, query := range map[string]string{
		"nullable":  `query($id: ID!) {session(id: $id) {id metrics {id}}}`,
		"required":  `query($id: ID!) {session(id: $id) {id participants {name}}}`,
		"mutation":  `mutation($id: ID!) {updateSession(input: {id: $id, title: "x"}) {session {participants {id}} userErrors {code}}}`,
		"two lists": `query($id: ID!) {a: session(id: $id) {participants {name}} b: session(id: $id) {metrics {id}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := coach.Do(t, query, apptest.Vars{"id": session})
			if len(r.Errors) == 0 {
				t.Fatalf("got %s", r.Body)
			}
			for _, e := range r.Errors {
				if e.Code != "INTERNAL" || e.RequestID == "" || e.RequestID != r.Header.Get("X-Request-Id") || len(e.Path) == 0 {
					t.Errorf("got %+v", e)
				}
			}
			for _, leak := range []string{"SQL", "relation", "metrics\" does", "42P01", "postgres", "pgx", ".go:"} {
				if strings.Contains(string(r.Body), leak) {
					t.Errorf("%s leaks %q", r.Body, leak)
				}
			}
		})
	}
}

func TestErrorCodesAndFields(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for _, tc := range []struct{ query, code, field string }{
		{`{session(id: "session_01h455vb4pex5vsknk084sn02q") {id}}`, "NOT_FOUND", ""},
		{`{transcript(id: "transcript_01h455vb4pex5vsknk084sn02q") {id}}`, "NOT_FOUND", ""},
		{fmt.Sprintf(`{session(id: %q) {id}}`, theo2.id(t, env)), "NOT_FOUND", ""},
		{fmt.Sprintf(`{session(id: %q) {id}}`, sofia2.id(t, env)), "NOT_FOUND", ""},
		{`{session(id: "client_01h455vb4pex5vsknk084sn02q") {id}}`, "INVALID", "id"},
		{`{session(id: "nonsense") {id}}`, "INVALID", "id"},
		{`{session(id: "session_zzzz") {id}}`, "INVALID", "id"},
		{`{sessions(first: -1) {nodes {id}}}`, "INVALID", "first"},
		{`{sessions(first: 10000) {nodes {id}}}`, "INVALID", "first"},
		{`{sessions(last: 101) {nodes {id}}}`, "INVALID", "last"},
		{`{clients(filter: {tagIds: ["client_01h455vb4pex5vsknk084sn02q"]}) {nodes {id}}}`, "INVALID", "filter.tagIds.0"},
		{`{sessions(filter: {startsAfter: "yesterday"}) {nodes {id}}}`, "INVALID", "filter.startsAfter"},
		{`{node(id: "unicorn_01h455vb4pex5vsknk084sn02q") {id}}`, "INVALID", "id"},
		{`{node(id: 5) {id}}`, "INVALID", "id"},
		{`{nodes(ids: ["session_01h455vb4pex5vsknk084sn02q", 5]) {id}}`, "INVALID", "ids.1"},
		{`{nothing}`, "GRAPHQL_VALIDATION_FAILED", ""},
		{`{viewer {user {name}}`, "GRAPHQL_PARSE_FAILED", ""},
		{`query($id: ID!) {session(id: $id) {id}}`, "GRAPHQL_VALIDATION_FAILED", ""},
		{``, "GRAPHQL_VALIDATION_FAILED", ""},
	} {
		r := coach.Do(t, tc.query, nil)
		if r.Code() != tc.code || r.Errors[0].Field != tc.field {
			t.Errorf("%s\ngot  %s\nwant %s %s", tc.query, r.Body, tc.code, tc.field)
		}
		if r.Status >= 500 {
			t.Errorf("%s: status %d", tc.query, r.Status)
		}
	}
	if r := env.Anonymous().Do(t, `{viewer {user {name}}}`, nil); r.Code() != "UNAUTHENTICATED" || r.Data != nil && string(r.Data) != "null" {
		t.Errorf("nobody: %s", r.Body)
	}
	if r := env.With("no.good.token").Do(t, `{viewer {user {name}}}`, nil); r.Code() != "UNAUTHENTICATED" || r.Status != http.StatusUnauthorized {
		t.Errorf("a bad token: %d %s", r.Status, r.Body)
	}
	if r := env.With(env.Token(t, apptest.Coach, -time.Minute)).Do(t, `{viewer {user {name}}}`, nil); r.Status != http.StatusUnauthorized {
		t.Errorf("an expired token: %d %s", r.Status, r.Body)
	}
	if r := env.With(env.Token(t, apptest.Coach, time.Minute)).Do(t, `{viewer {user {name}}}`, nil); len(r.Errors) > 0 {
		t.Errorf("a good token: %d %s", r.Status, r.Body)
	}
}

// What is wrong with a request is said in GraphQL's words: what was expected, and what kind of thing was given.
func TestWrongRequestsAreSaidInGraphQLsWords(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	const list, one = `query($first: Int, $after: String) {sessions(first: $first, after: $after) {nodes {id}}}`, `query($id: ID!) {node(id: $id) {id}}`
	const filtered = `query($f: SessionFilter) {sessions(filter: $f) {nodes {id}}}`
	const started = `mutation($in: AppendLiveUtterancesInput!) {appendLiveUtterances(input: $in) {added}}`
	chunks := func(chunk apptest.Vars) apptest.Vars {
		return apptest.Vars{"in": apptest.Vars{"sessionId": amara5.id(t, env), "chunks": []any{apptest.Vars{"chunkId": "1", "text": "a", "startMs": 1, "endMs": 2}, chunk}}}
	}
	for _, tc := range []struct {
		query   string
		vars    apptest.Vars
		message string
	}{
		{list, apptest.Vars{"first": 1.5}, "expected Int, got a number with a fraction"},
		{list, apptest.Vars{"first": "marzipan"}, "expected Int, got a string"},
		{list, apptest.Vars{"after": []any{}}, "expected String, got a list"},
		{list, apptest.Vars{"after": "marzipan"}, "after: is not a cursor of this list"},
		{filtered, apptest.Vars{"f": []any{1}}, "expected SessionFilter, got a list"},
		{filtered, apptest.Vars{"f": apptest.Vars{"includeArchived": "yes"}}, "expected Boolean, got a string"},
		{filtered, apptest.Vars{"f": apptest.Vars{"statuses": []any{"COMPLETED", true}}}, "expected a value of an enum, got a boolean"},
		{started, chunks(apptest.Vars{"chunkId": "2", "text": "b", "startMs": 1.5, "endMs": 2}), "expected Int, got a number with a fraction"},
		{started, chunks(apptest.Vars{"chunkId": 1.5, "text": "b", "startMs": 1, "endMs": 2}), "an id is a string or a whole number"},
		{one, apptest.Vars{"id": 5}, "expected an id like session_…"},
		{`query A {viewer {user {id}}} query B {viewer {user {id}}}`, nil, "the document has 2 operations: operationName must say which"},
	} {
		for range 2 { // the second time the document is known
			if r := coach.Do(t, tc.query, tc.vars); len(r.Errors) != 1 || r.Errors[0].Message != tc.message {
				t.Errorf("%v: got %s, want %s", tc.vars, r.Body, tc.message)
			}
		}
	}
	for _, cursor := range []string{"", "marzipan", env.Beginning(t, amara2.id(t, env))} {
		rest := coach.SubscribeSSE(t, listen, apptest.Vars{"session": amara5.id(t, env), "after": cursor}).End(t)
		if len(rest) != 1 || len(rest[0].Errors) != 1 || rest[0].Errors[0].Message != "after: is not a cursor of this subscription" {
			t.Errorf("%q: got %+v", cursor, rest)
		}
	}
	r := coach.Do(t, started, chunks(apptest.Vars{"chunkId": true, "text": "b", "startMs": 1, "endMs": 2}))
	if r.Code() != "GRAPHQL_VALIDATION_FAILED" || r.Errors[0].Message != "expected ID, got a boolean" || fmt.Sprint(r.Errors[0].Path) != "[variable in chunks 1 chunkId]" {
		t.Errorf("got %s", r.Body)
	}
	if r := coach.Do(t, started, chunks(apptest.Vars{"chunkId": 1.5, "text": "b", "startMs": 1, "endMs": 2})); r.Errors[0].Field != "input.chunks.1.chunkId" {
		t.Errorf("got %s", r.Body)
	}
}

// Queries made to hurt are answered soon and briefly.
func TestHostileQueries(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Production(t))
	coach := env.Login(t, apptest.Coach)
	fragments := func(levels int) string {
		var b strings.Builder
		b.WriteString("{viewer {user {...F0}}}")
		for i := range levels {
			fmt.Fprintf(&b, " fragment F%d on User {...F%d ...F%d}", i, i+1, i+1)
		}
		fmt.Fprintf(&b, " fragment F%d on User {name}", levels)
		return b.String()
	}
	aliased := func(n int, of func(i int) string) string {
		var b strings.Builder
		b.WriteString("{")
		for i := range n {
			b.WriteString(of(i))
		}
		return b.String() + "}"
	}
	// Times are printed and fail nothing: what is meant to be caught takes minutes, and then the test run ends by itself.
	const brief = 20_000
	for name, query := range map[string]string{
		"4,000 fields":            "{" + strings.Repeat("viewer{user{name}} ", 4000) + "}",
		"1,990 fields":            "{viewer{user{" + strings.Repeat("name ", 1990) + "}}}",
		"600 objects":             "{viewer{" + strings.Repeat("user{name} ", 490) + "}}",
		"1 MB of [":               strings.Repeat("[", 1_000_000),
		"1 MB of {":               strings.Repeat("{", 1_000_000),
		"a list of lists":         `{sessions(first: ` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `) {totalCount}}`,
		"fragments":               fragments(20),
		"many fragments":          fragments(180),
		"10,000 directives":       "{viewer" + strings.Repeat(" @a", 10_000) + " {user{name}}}",
		"600 directives":          "{viewer" + strings.Repeat(" @a", 600) + " {user{name}}}",
		"600 unknown fields":      aliased(600, func(i int) string { return fmt.Sprintf("f%d ", i) }),
		"600 unknown arguments":   "{sessions(" + strings.Repeat("a:1 ", 600) + "){totalCount}}",
		"a fragment in a circle":  "{viewer{user{...A}}} fragment A on User {...B} fragment B on User {...A}",
		"a long name":             "{" + strings.Repeat("a", 900_000) + "}",
		"a long string":           `{node(id: "` + strings.Repeat("a", 900_000) + `") {id}}`,
		"400 wrong values":        aliased(250, func(i int) string { return fmt.Sprintf("a%d:sessions(first:\"x\"){totalCount}", i) }),
		"180 failing fields":      aliased(180, func(i int) string { return fmt.Sprintf("a%d:node(id:\"unicorn_01h455vb4pex5vsknk084sn02q\"){id}", i) }),
		"unused variables":        "query(" + aliasedVariables(300) + "){viewer{user{name}}}",
		"introspection in depth":  "{__schema{types{" + strings.Repeat("fields{type{", 50) + "name" + strings.Repeat("}}", 50) + "}}}",
		"overlapping sub-selects": "{viewer{" + strings.Repeat("user{...on User{name}}", 200) + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			r := coach.Do(t, query, nil)
			took := time.Since(began)
			t.Logf("%s, %d bytes, status %d, %d errors", took.Round(time.Millisecond), len(r.Body), r.Status, len(r.Errors))
			if r.Status >= 500 {
				t.Errorf("status %d", r.Status)
			}
			if len(r.Errors) > 0 && len(r.Body) > brief && (r.Data == nil || string(r.Data) == "null") {
				t.Errorf("%d bytes: %.300s", len(r.Body), r.Body)
			}
			if len(r.Errors) > 21 && (r.Data == nil || string(r.Data) == "null") {
				t.Errorf("%d errors", len(r.Errors))
			}
		})
	}
	if r := coach.Do(t, "{viewer"+strings.Repeat(" @a", 600)+" {user{name}}}", nil); len(r.Errors) != 21 || !strings.Contains(r.Errors[20].Message, "more") {
		t.Errorf("%d errors, the last: %+v", len(r.Errors), r.Errors[len(r.Errors)-1])
	}
	if r := coach.Do(t, `{viewer {user {name}}}`, nil); len(r.Errors) > 0 {
		t.Errorf("afterwards: %s", r.Body)
	}
}

// Documents that gqlparser would check for long are refused unchecked, and large ones of a real front end are not.
func TestLongValidationIsRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.NewReplacer("#", fmt.Sprint(i), "+", fmt.Sprint(i+1)).Replace(format))
		}
		return b.String()
	}
	const long = "takes too long to check"
	for name, tc := range map[string]struct {
		query   string
		refused string // "" is not refused
	}{
		"identical fields":         {"{viewer{user{" + strings.Repeat("name ", 1990) + "}}}", long},
		"identical objects":        {"{viewer{" + strings.Repeat("user{name} ", 490) + "}}", long},
		"within inline fragments":  {"{viewer{user{" + strings.Repeat("...{", 220) + strings.Repeat("name ", 1300) + strings.Repeat("}", 220) + "}}}", long},
		"inline fragments, a comb": {"{viewer{user{" + strings.Repeat("...on User{name ", 280) + strings.Repeat("}", 280) + "}}}", long},
		"spreads within inline":    {"{viewer{user{" + strings.Repeat("...{", 220) + strings.Repeat("...A ...B ", 300) + strings.Repeat("}", 220) + "}}} fragment A on User{name} fragment B on User{id}", long},
		"names in a chain":         {"{viewer{user{" + strings.Repeat("...{", 150) + numbered(500, "n# ") + "...F0" + strings.Repeat("}", 150) + "}}}" + numbered(100, " fragment F# on User{...F+}") + " fragment F100 on User{name}", long},
		"a chain of fragments":     {"{viewer{user{...F0}}}" + numbered(120, " fragment F# on User{...F+ a b c d e f g h}") + " fragment F120 on User{name}", long},
		"many operations":          {numbered(120, "query Q#{viewer{user{...A}}} ") + "fragment A on User{" + numbered(300, "n# ") + "name}", long},
		"doubling fragments":       {"{viewer{user{...F0}}}" + numbered(40, " fragment F# on User{...F+ ...F+}") + " fragment F40 on User{name}", "may answer 10995"}, // 2^40, weighed at once
		"a front end of many components": {"{sessions{nodes{...F0 " + numbered(39, "...F+ ") + "}}}" +
			numbered(40, " fragment F# on Session{id title client{id name} coach{id name} t#:tags{id name}}"), ""},
		"aliases": {"{viewer{user{" + numbered(600, "n#:name ") + "}}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			request := map[string]string{"query": tc.query}
			if strings.HasPrefix(tc.query, "query Q0") {
				request["operationName"] = "Q0"
			}
			body, err := json.Marshal(request)
			if err != nil {
				t.Fatal(err)
			}
			_, answer := env.Send(t, http.MethodPost, "/graphql", coach.Header(), string(body))
			t.Logf("%s, %d bytes of query", time.Since(began).Round(100*time.Microsecond), len(tc.query))
			if refused := strings.Contains(string(answer), `"COST_LIMIT_EXCEEDED"`); refused != (tc.refused != "") || !strings.Contains(string(answer), tc.refused) {
				t.Errorf("%.500s, want %q", answer, tc.refused)
			}
		})
	}
}

func aliasedVariables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "$v%d: Int ", i)
	}
	return b.String()
}

// A body that is no request is answered with a position, never with its own words, and never logged.
func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for name, body := range map[string]string{
		"cut":           `{"query": "{ viewer { user { name } } }", "variables": {"secret": "marzipan"`,
		"no JSON":       `marzipan`,
		"a list":        `[{"query": "{ marzipan }"}]`,
		"query no text": `{"query": {"marzipan": 1}}`,
		"garbage after": `{"query": "{viewer{user{name}}}"} marzipan`,
		"two":           `{"query": "{viewer{user{name}}}"}{"query": "{marzipan}"}`,
		"variables":     `{"query": "{viewer{user{name}}}", "variables": ["marzipan"]}`,
		"null":          `null`,
		"nothing":       ``,
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			t.Run(name+" "+accept, func(t *testing.T) {
				h := coach.Header()
				h.Set("Accept", accept)
				status, answer := env.Send(t, http.MethodPost, "/graphql", h, body)
				var r apptest.Response
				if err := json.Unmarshal(answer, &r); err != nil || len(r.Errors) != 1 || status != http.StatusBadRequest {
					t.Errorf("%d %s", status, answer)
				}
				if strings.Contains(string(answer), "marzipan") {
					t.Errorf("the answer quotes the body: %s", answer)
				}
			})
		}
	}
	if strings.Contains(env.Log.String(), "marzipan") {
		t.Error("the log quotes a body")
	}
}
