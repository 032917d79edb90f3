package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

type pageOf struct {
	Edges []struct {
		Cursor string
		Node   struct{ ID, Name string }
	}
	Nodes    []struct{ ID, Name string }
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       *string
	}
	TotalCount int
}

const clientsPage = `query($first: Int, $after: String, $last: Int, $before: String, $order: ClientOrder, $filter: ClientFilter) {
	clients(first: $first, after: $after, last: $last, before: $before, orderBy: $order, filter: $filter) {
		edges {cursor node {id name}} nodes {id name} totalCount
		pageInfo {hasNextPage hasPreviousPage startCursor endCursor}
	}
}`

func clients(t testing.TB, c *apptest.Client, vars apptest.Vars) pageOf {
	t.Helper()
	var out struct{ Clients pageOf }
	c.Must(t, clientsPage, vars, &out)
	p := out.Clients
	for i, e := range p.Edges {
		if e.Node != p.Nodes[i] {
			t.Fatalf("edges and nodes differ: %+v", p)
		}
	}
	if n := len(p.Edges); n > 0 && (*p.PageInfo.StartCursor != p.Edges[0].Cursor || *p.PageInfo.EndCursor != p.Edges[n-1].Cursor) ||
		n == 0 && (p.PageInfo.StartCursor != nil || p.PageInfo.EndCursor != nil) || len(p.Nodes) != n {
		t.Fatalf("page info does not fit: %+v", p)
	}
	return p
}

// addClient adds a client of the demo's coach at a chosen moment.
func addClient(t testing.TB, env *apptest.Env, name string, minute int) {
	t.Helper()
	sql(t, env, `INSERT INTO clients (id, org_id, coach_id, name, created_at)
		SELECT $1, m.org_id, m.user_id, $2, timestamptz '2020-01-01' + $3 * interval '1 minute'
		FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = 'coach@harbor.example'`, id.New(), name, minute)
}

// Whoever walks a list while others insert and delete sees every row that was there all the time, once and in order; in
// both directions and in every order, many names and moments being equal.
func TestPagesStayRightUnderChanges(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		order   apptest.Vars
		forward bool
		size    int
	}{
		"name forward":            {apptest.Vars{"field": "NAME", "direction": "ASC"}, true, 3},
		"name down":               {apptest.Vars{"field": "NAME", "direction": "DESC"}, true, 4},
		"name backward":           {apptest.Vars{"field": "NAME", "direction": "ASC"}, false, 3},
		"name down backward":      {apptest.Vars{"field": "NAME", "direction": "DESC"}, false, 7},
		"created at forward":      {apptest.Vars{"field": "CREATED_AT", "direction": "DESC"}, true, 1},
		"created at backward":     {apptest.Vars{"field": "CREATED_AT", "direction": "ASC"}, false, 5},
		"created at, a page each": {apptest.Vars{"field": "CREATED_AT", "direction": "ASC"}, true, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t)
			coach := env.Login(t, apptest.Coach)
			for i := range 30 {
				addClient(t, env, fmt.Sprintf("Stays %c", 'A'+i%4), i%5)
				addClient(t, env, fmt.Sprintf("Goes %c", 'A'+i%4), i%5)
			}
			all := clients(t, coach, apptest.Vars{"first": 100, "order": tc.order})
			want := idsOf(all, "Stays")
			if len(want) != 30 {
				t.Fatalf("%d clients", len(want))
			}
			if !tc.forward {
				slices.Reverse(want)
			}
			var seen []string
			vars := apptest.Vars{"order": tc.order}
			size, cursor := "first", "after"
			if !tc.forward {
				size, cursor = "last", "before"
			}
			vars[size] = tc.size
			for n := 0; ; n++ {
				p := clients(t, coach, vars)
				if len(p.Nodes) > tc.size || n > 100 {
					t.Fatalf("page %d has %d of %d", n, len(p.Nodes), tc.size)
				}
				found := idsOf(p, "Stays")
				more, next := p.PageInfo.HasNextPage, p.PageInfo.EndCursor
				if !tc.forward {
					slices.Reverse(found)
					more, next = p.PageInfo.HasPreviousPage, p.PageInfo.StartCursor
				}
				seen = append(seen, found...)
				if before := vars[cursor] != nil; before != map[bool]bool{true: p.PageInfo.HasPreviousPage, false: p.PageInfo.HasNextPage}[tc.forward] {
					t.Errorf("page %d: %+v with a cursor: %t", n, p.PageInfo, before)
				}
				if !more {
					break
				}
				vars[cursor] = *next
				// Before, on and behind the page just read; the row of the cursor itself may go too.
				addClient(t, env, fmt.Sprintf("Comes %c", 'A'+n%4), n%5)
				addClient(t, env, "Aaron", 0)
				addClient(t, env, "Zoe", 9)
				sql(t, env, `DELETE FROM clients WHERE id IN (SELECT id FROM clients WHERE name LIKE 'Goes%' OR name LIKE 'Comes%' ORDER BY random() LIMIT 2)`)
			}
			if !slices.Equal(seen, want) {
				t.Errorf("%d seen of %d:\n%q\n%q", len(seen), len(want), seen, want)
			}
		})
	}
}

func idsOf(p pageOf, prefix string) (ids []string) {
	for _, n := range p.Nodes {
		if strings.HasPrefix(n.Name, prefix) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

func TestPageSizes(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for i := range 106 {
		addClient(t, env, fmt.Sprintf("C%03d", i), i)
	}
	filter := apptest.Vars{"nameStartsWith": "C"}
	for name, tc := range map[string]struct {
		vars        apptest.Vars
		first, last string
		next, prior bool
	}{
		"default":        {apptest.Vars{}, "C000", "C019", true, false},
		"first":          {apptest.Vars{"first": 5}, "C000", "C004", true, false},
		"first 100":      {apptest.Vars{"first": 100}, "C000", "C099", true, false},
		"last":           {apptest.Vars{"last": 5}, "C101", "C105", false, true},
		"last 100":       {apptest.Vars{"last": 100}, "C006", "C105", false, true},
		"first 0":        {apptest.Vars{"first": 0}, "", "", true, false},
		"prefix, small":  {apptest.Vars{"first": 3, "filter": apptest.Vars{"nameStartsWith": "c10"}}, "C100", "C102", true, false},
		"prefix, all":    {apptest.Vars{"first": 6, "filter": apptest.Vars{"nameStartsWith": "c10"}}, "C100", "C105", false, false},
		"nothing":        {apptest.Vars{"filter": apptest.Vars{"nameStartsWith": "no such name"}}, "", "", false, false},
		"nothing, last":  {apptest.Vars{"last": 3, "filter": apptest.Vars{"nameStartsWith": "no such name"}}, "", "", false, false},
		"a wild card":    {apptest.Vars{"filter": apptest.Vars{"nameStartsWith": "%"}}, "", "", false, false},
		"another":        {apptest.Vars{"filter": apptest.Vars{"nameStartsWith": "C_0"}}, "", "", false, false},
		"a quote":        {apptest.Vars{"filter": apptest.Vars{"nameStartsWith": `C'; DROP TABLE clients; --`}}, "", "", false, false},
		"an empty list":  {apptest.Vars{"filter": apptest.Vars{"coachIds": []string{}}}, "", "", false, false},
		"an empty start": {apptest.Vars{"first": 1, "filter": apptest.Vars{"nameStartsWith": "C000"}}, "C000", "C000", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.vars["filter"] == nil {
				tc.vars["filter"] = filter
			}
			p := clients(t, coach, tc.vars)
			first, last := "", ""
			if n := len(p.Nodes); n > 0 {
				first, last = p.Nodes[0].Name, p.Nodes[n-1].Name
			}
			if first != tc.first || last != tc.last || p.PageInfo.HasNextPage != tc.next || p.PageInfo.HasPreviousPage != tc.prior {
				t.Errorf("got %s to %s, %+v", first, last, p.PageInfo)
			}
		})
	}
	if p := clients(t, coach, apptest.Vars{"filter": filter, "first": 1}); p.TotalCount != 106 {
		t.Errorf("%d in all", p.TotalCount)
	}
	// Between two cursors.
	all := clients(t, coach, apptest.Vars{"filter": filter, "first": 20})
	p := clients(t, coach, apptest.Vars{"filter": filter, "first": 10, "after": all.Edges[2].Cursor, "before": all.Edges[6].Cursor})
	if len(p.Nodes) != 3 || p.Nodes[0].Name != "C003" || p.PageInfo.HasNextPage || p.TotalCount != 106 {
		t.Errorf("between two cursors: %+v", p)
	}
}

// Every list refuses what is no page, by name of the argument.
func TestBadPages(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	byName := *clients(t, coach, apptest.Vars{"first": 1}).PageInfo.EndCursor
	down := *clients(t, coach, apptest.Vars{"first": 1, "order": apptest.Vars{"field": "NAME", "direction": "DESC"}}).PageInfo.EndCursor
	lists := map[string]string{ // %s is for the arguments
		"clients":      `{clients%s {nodes {id} totalCount}}`,
		"engagements":  `{engagements%s {nodes {id}}}`,
		"sessions":     `{sessions%s {nodes {id}}}`,
		"insights":     `{insights%s {nodes {id}}}`,
		"tags":         `{tags%s {nodes {id}}}`,
		"members":      `{viewer {organization {members%s {nodes {id}}}}}`,
		"of client":    `{session(id: "` + session + `") {client {sessions%s {nodes {id}}}}}`,
		"engagements2": `{session(id: "` + session + `") {client {engagements%s {nodes {id}}}}}`,
		"insights2":    `{session(id: "` + session + `") {client {insights%s {nodes {id}}}}}`,
		"insights3":    `{session(id: "` + session + `") {insights%s {nodes {id}}}}`,
		"transcripts":  `{session(id: "` + session + `") {transcripts%s {nodes {id}}}}`,
		"utterances":   `{session(id: "` + session + `") {transcript {utterances%s {nodes {id}}}}}`,
		"runs":         `{session(id: "` + session + `") {transcript {analysisRuns%s {nodes {id}}}}}`,
		"of programme": `{session(id: "` + session + `") {engagement {sessions%s {nodes {id}}}}}`,
	}
	bad := []struct{ args, field string }{
		{`(first: -1)`, "first"},
		{`(first: 101)`, "first"},
		{`(first: 10000)`, "first"},
		{`(last: -1)`, "last"},
		{`(last: 10000)`, "last"},
		{`(first: 1, last: 1)`, "last"},
		{`(after: "garbage")`, "after"},
		{`(after: "")`, "after"},
		{`(before: "%%%")`, "before"},
		{`(last: 2, before: "")`, "before"},
		{`(after: "WyJub25zZW5zZSIsIngiLCJ5Il0")`, "after"},
		{`(after: "bnVsbA")`, "after"},
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range append(slices.Clone(bad), struct{ args, field string }{fmt.Sprintf(`(after: %q)`, down), "after"}) {
				r := coach.Do(t, strings.Replace(list, "%s", tc.args, 1), nil)
				if r.Code() != "INVALID" || r.Errors[0].Field != tc.field {
					t.Errorf("%s: got %s", tc.args, r.Body)
				}
			}
			if r := coach.Do(t, strings.Replace(list, "%s", "", 1), nil); len(r.Errors) > 0 {
				t.Errorf("without arguments: %s", r.Body)
			}
		})
	}
	t.Run("another order", func(t *testing.T) {
		for what, vars := range map[string]apptest.Vars{
			"direction": {"after": byName, "order": apptest.Vars{"field": "NAME", "direction": "DESC"}},
			"field":     {"after": byName, "order": apptest.Vars{"field": "CREATED_AT", "direction": "ASC"}},
		} {
			if r := coach.Do(t, clientsPage, vars); r.Code() != "INVALID" || r.Errors[0].Field != "after" {
				t.Errorf("%s: %s", what, r.Body)
			}
		}
	})
	t.Run("NUL", func(t *testing.T) {
		if r := coach.Do(t, clientsPage, apptest.Vars{"filter": apptest.Vars{"nameStartsWith": "a\x00"}}); r.Code() != "INVALID" || r.Errors[0].Field != "filter" {
			t.Errorf("got %s", r.Body)
		}
	})
	t.Run("an edited cursor", func(t *testing.T) {
		for _, parts := range [][]string{
			{"client-created", "yesterday", id.New().String()}, {"client-created", "2020-01-01T00:00:00Z", "no uuid"},
			{"client-created", "2020-01-01T00:00:00Z"}, {"client-created", "292277-01-01T00:00:00Z", id.New().String()},
			{"client-created", "\x00", id.New().String()}, {"client-created", "infinity", id.New().String()},
			{"client-created", "2020-01-01T00:00:00Z'; DROP TABLE clients; --", id.New().String()},
		} {
			raw, _ := json.Marshal(parts)
			r := coach.Do(t, clientsPage, apptest.Vars{"after": b64(raw), "order": apptest.Vars{"field": "CREATED_AT", "direction": "ASC"}})
			if r.Code() != "INVALID" || r.Errors[0].Field != "after" {
				t.Errorf("%q: %s", parts, r.Body)
			}
			back := coach.Do(t, clientsPage, apptest.Vars{"last": 2, "before": b64(raw), "order": apptest.Vars{"field": "CREATED_AT", "direction": "ASC"}})
			if back.Code() != "INVALID" || back.Errors[0].Field != "before" {
				t.Errorf("before %q: %s", parts, back.Body)
			}
		}
	})
}

// One list several times in one query, with other arguments each: every one is answered for itself.
func TestNestedPages(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	type list struct {
		Nodes      []struct{ Number int }
		TotalCount int
		PageInfo   struct{ HasNextPage, HasPreviousPage bool }
	}
	var out struct {
		Clients struct {
			Nodes []struct {
				Name                         string
				A, B, C, D, E                list
				InsightsA, InsightsB, Tagged struct{ TotalCount int }
			}
		}
	}
	const fields = `{nodes {number} totalCount pageInfo {hasNextPage hasPreviousPage}}`
	coach.Must(t, `{clients {nodes {name
		A: sessions(first: 2, orderBy: {field: STARTS_AT, direction: ASC}) `+fields+`
		B: sessions(first: 2) `+fields+`
		C: sessions(last: 2) `+fields+`
		D: sessions(filter: {statuses: [CANCELLED]}) `+fields+`
		E: sessions(first: 0) `+fields+`
		insightsA: insights(filter: {statuses: [PROPOSED]}) {totalCount} insightsB: insights(filter: {statuses: [ACCEPTED, EDITED, DISMISSED]}) {totalCount}
		tagged: insights {totalCount}
	}}}`, nil, &out)
	if len(out.Clients.Nodes) < 4 {
		t.Fatalf("%+v", out)
	}
	numbers := func(l list) string {
		var ns []int
		for _, n := range l.Nodes {
			ns = append(ns, n.Number)
		}
		return fmt.Sprint(ns)
	}
	insights := 0
	for _, c := range out.Clients.Nodes {
		insights += c.Tagged.TotalCount
		if c.Tagged.TotalCount != c.InsightsA.TotalCount+c.InsightsB.TotalCount {
			t.Errorf("%s: insights %d are not %d and %d", c.Name, c.Tagged.TotalCount, c.InsightsA.TotalCount, c.InsightsB.TotalCount)
		}
		if c.Name != "Amara Okafor" {
			continue
		}
		for what, got := range map[string]string{
			"A [1 2] 8 true false": fmt.Sprint("A ", numbers(c.A), c.A.TotalCount, c.A.PageInfo.HasNextPage, c.A.PageInfo.HasPreviousPage),
			"B [8 7] 8 true false": fmt.Sprint("B ", numbers(c.B), c.B.TotalCount, c.B.PageInfo.HasNextPage, c.B.PageInfo.HasPreviousPage),
			"C [2 1] 8 false true": fmt.Sprint("C ", numbers(c.C), c.C.TotalCount, c.C.PageInfo.HasNextPage, c.C.PageInfo.HasPreviousPage),
			"D [3] 1 false false":  fmt.Sprint("D ", numbers(c.D), c.D.TotalCount, c.D.PageInfo.HasNextPage, c.D.PageInfo.HasPreviousPage),
			"E [] 8 true false":    fmt.Sprint("E ", numbers(c.E), c.E.TotalCount, c.E.PageInfo.HasNextPage, c.E.PageInfo.HasPreviousPage),
		} {
			if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(what, " ", "") {
				t.Errorf("got %s, want %s", got, what)
			}
		}
	}
	if insights == 0 {
		t.Error("no insights anywhere")
	}
}

// node and nodes give everything that has an id, by that id, and nothing else.
func TestNodes(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	coach.Must(t, `mutation($id: ID!) {tag(input: {entityId: $id, name: "x"}) {tag {id}}}`, apptest.Vars{"id": session}, nil)
	line := one(t, env, "utterance", `SELECT u.id FROM utterances u JOIN transcripts t ON t.id = u.transcript_id WHERE t.session_id = $1 AND u.index = 0`, uuid(t, session))
	does(t, coach, "reviseUtterance", "edit", "id", apptest.Vars{"utteranceId": line, "text": "As it should have been."})
	var out map[string]any
	coach.Must(t, `query($id: ID!) {
		viewer {user {id __typename} organization {id __typename} membership {id __typename}}
		session(id: $id) {id __typename client {id __typename consents {id __typename}} engagement {id __typename} participants {id __typename} tags {id __typename}
			metrics {id __typename}
			transcript {id __typename speakers {id __typename} utterances(first: 1) {nodes {id __typename revisions {id __typename}}} edits {nodes {id __typename}} analysisRuns {nodes {id __typename}}}
			insights(first: 1) {nodes {id __typename citations {id __typename}}}}
	}`, apptest.Vars{"id": session}, &out)
	found := map[string]string{} // type → id
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if key, ok := v["id"].(string); ok {
				found[v["__typename"].(string)] = key
			}
			for _, child := range v {
				collect(child)
			}
		case []any:
			for _, child := range v {
				collect(child)
			}
		}
	}
	collect(out)
	types := possibleNodes(t, coach)
	var ids []string
	for _, name := range types {
		key := found[name]
		if key == "" {
			continue // TestPolicy asks for every row of every type
		}
		ids = append(ids, key)
		var got struct {
			Node struct {
				ID       string
				Typename string `json:"__typename"`
			}
		}
		coach.Must(t, `query($id: ID!) {node(id: $id) {id __typename}}`, apptest.Vars{"id": key}, &got)
		if got.Node.ID != key || got.Node.Typename != name {
			t.Errorf("%s %s: got %+v", name, key, got.Node)
		}
		// The same key under another name is nothing.
		for _, other := range found {
			prefix, _, _ := id.Parse(other)
			wrong := id.Format(prefix, uuid(t, key))
			if wrong == key || other == found["User"] || name == "User" {
				continue
			}
			if r := coach.Do(t, `query($id: ID!) {node(id: $id) {id}}`, apptest.Vars{"id": wrong}); string(r.Data) != `{"node":null}` {
				t.Errorf("%s for %s: %s", wrong, name, r.Body)
			}
		}
	}
	if len(ids) < 18 {
		t.Errorf("only %d types were found to ask for", len(ids))
	}
	// Many at once: in the order asked for, null where there is nothing, equal ones twice.
	asked := append(slices.Clone(ids), "client_01h455vb4pex5vsknk084sn02q", theo2.id(t, env), sofia2.id(t, env), ids[0])
	var many struct{ Nodes []*struct{ ID string } }
	coach.Must(t, `query($ids: [ID!]!) {nodes(ids: $ids) {id}}`, apptest.Vars{"ids": asked}, &many)
	for i, n := range many.Nodes {
		if hidden := i >= len(ids) && i < len(asked)-1; hidden != (n == nil) || n != nil && n.ID != asked[i] {
			t.Errorf("place %d: %+v for %s", i, n, asked[i])
		}
	}
	if len(many.Nodes) != len(asked) {
		t.Errorf("%d for %d ids", len(many.Nodes), len(asked))
	}
	for what, vars := range map[string]apptest.Vars{
		"101":       {"ids": slices.Repeat([]string{session}, 101)},
		"malformed": {"ids": []string{session, "nonsense"}},
		"no base32": {"ids": []string{"session_01h455vb4pex5vsknk084snuuu"}},
		"too long":  {"ids": []string{"session_" + strings.Repeat("0", 27)}},
		"overflow":  {"ids": []string{"session_8zzzzzzzzzzzzzzzzzzzzzzzzz"}},
		"prefix":    {"ids": []string{"unicorn_01h455vb4pex5vsknk084sn02q"}},
	} {
		r := coach.Do(t, `query($ids: [ID!]!) {nodes(ids: $ids) {id}}`, vars)
		if len(r.Errors) == 0 || r.Errors[0].Code != "INVALID" || !strings.HasPrefix(r.Errors[0].Field, "ids") && r.Errors[0].Field != "id" {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	if r := coach.Do(t, `query($ids: [ID!]!) {nodes(ids: $ids) {id}}`, apptest.Vars{"ids": []string{}}); string(r.Data) != `{"nodes":[]}` {
		t.Errorf("none: %s", r.Body)
	}
	coach.Must(t, `query($ids: [ID!]!) {nodes(ids: $ids) {id}}`, apptest.Vars{"ids": slices.Repeat([]string{session}, 100)}, nil)
}

func possibleNodes(t testing.TB, c *apptest.Client) (names []string) {
	t.Helper()
	var out struct {
		Type struct{ PossibleTypes []struct{ Name string } } `json:"__type"`
	}
	c.Must(t, `{__type(name: "Node") {possibleTypes {name}}}`, nil, &out)
	for _, p := range out.Type.PossibleTypes {
		names = append(names, p.Name)
	}
	if len(names) < 14 {
		t.Fatalf("only %q", names)
	}
	return names
}
