package app_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// walk goes through the whole schema in everybody's name.
type walk struct {
	*world
	schema   *ast.Schema
	full     map[string]map[string]any             // what all viewers see of a row together, by field
	seen     map[*viewer]map[string]map[string]any // what one sees
	listed   map[string]map[string]bool            // what all viewers see of a list together
	listedTo map[*viewer]map[string]map[string]bool
	said     map[*viewer]map[string]bool // every string that came back
	counting map[string][2]bool          // whether the transcript of an insight counts, for who may see all, and for the client
	requests int
	bytes    int
}

type (
	// ref stands for a row where another leads to it.
	ref string
	// page stands for a connection.
	page struct {
		Nodes []ref
		Total int
		More  bool
	}
)

// ask sends a query, keeps what was said, and returns the answer.
func (k *walk) ask(t *testing.T, v *viewer, query string, vars apptest.Vars) apptest.Response {
	t.Helper()
	r := v.client.Do(t, query, vars)
	k.requests++
	k.bytes += len(r.Body)
	var body any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Fatal(err)
	}
	if k.said == nil {
		k.said = map[*viewer]map[string]bool{}
	}
	if k.said[v] == nil {
		k.said[v] = map[string]bool{}
	}
	hear(body, k.said[v])
	return r
}

// must is ask for what has no errors.
func (k *walk) must(t *testing.T, v *viewer, query string, vars apptest.Vars, out any) {
	t.Helper()
	r := k.ask(t, v, query, vars)
	if len(r.Errors) > 0 {
		t.Fatalf("%s: %.1000s\nfor %.2000s", v.who, r.Body, query)
	}
	r.Into(t, out)
}

// hear collects the strings of an answer; of a cursor also what is in it.
func hear(v any, said map[string]bool) {
	switch v := v.(type) {
	case string:
		if said[v] {
			return
		}
		said[v] = true
		var inside []any
		if raw, err := base64.RawURLEncoding.DecodeString(v); err == nil && json.Unmarshal(raw, &inside) == nil {
			hear(inside, said)
		}
	case []any:
		for _, e := range v {
			hear(e, said)
		}
	case map[string]any:
		for name, e := range v {
			if !strings.HasSuffix(name, "entityId") { // the audit trail names, to admins, what nobody shows them
				hear(e, said)
			}
		}
	}
}

// short selects what says which rows a field leads to.
func (k *walk) short(f *ast.FieldDefinition) string {
	d := k.schema.Types[f.Type.Name()]
	switch {
	case !d.IsCompositeType():
		return ""
	case strings.HasSuffix(d.Name, "Connection"):
		return "{totalCount pageInfo{hasNextPage hasPreviousPage startCursor endCursor} edges{cursor node{__typename id}} nodes{__typename id}}"
	case slices.Contains(d.Interfaces, "Node"):
		return "{__typename id}"
	case d.Name == "SearchResults": // whom a search shows what: TestSearchShowsNobodyMore
		return "{totalCount}"
	}
	return "{" + k.fields(d, "") + "}" // a part of the row
}

// fields selects every field of a type, connections also with what is archived.
func (k *walk) fields(d *ast.Definition, prefix string) string {
	var b strings.Builder
	for _, f := range d.Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		args := ""
		if strings.HasSuffix(f.Type.Name(), "Connection") {
			args = "(first: 100)"
			if k.archivable(f) {
				fmt.Fprintf(&b, "%s%s__all: %s(first: 100, filter: {includeArchived: true})%s ", prefix, f.Name, f.Name, k.short(f))
			}
		}
		fmt.Fprintf(&b, "%s%s: %s%s%s ", prefix, f.Name, f.Name, args, k.short(f))
	}
	return b.String()
}

func (k *walk) archivable(f *ast.FieldDefinition) bool {
	a := f.Arguments.ForName("filter")
	return a != nil && k.schema.Types[a.Type.Name()].Fields.ForName("includeArchived") != nil
}

// nodes asks for every row there is by its id.
func (k *walk) nodes(t *testing.T, v *viewer) {
	t.Helper()
	var query strings.Builder
	query.WriteString("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ")
	for _, d := range k.schema.PossibleTypes["Node"] {
		fmt.Fprintf(&query, "... on %s { %s} ", d.Name, k.fields(d, d.Name+"__"))
	}
	query.WriteString("} }")
	k.seen[v] = map[string]map[string]any{}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(k.world.byID)), 100) {
		var out struct{ Nodes []map[string]any }
		k.must(t, v, query.String(), apptest.Vars{"ids": ids}, &out)
		for i, row := range out.Nodes {
			f := k.of(v, ids[i])
			through := grants(v, f)
			if (row != nil) != (len(through) > 0) {
				t.Errorf("%s, who sees %s %s through %v: node(id) gives it: %t", v.who, f.typ, ids[i], through, row != nil)
			}
			if row == nil {
				continue
			}
			if row["__typename"] != f.typ || row["id"] != ids[i] {
				t.Errorf("%s: asked for %s %s, got %v %v", v.who, f.typ, ids[i], row["__typename"], row["id"])
			}
			fields := map[string]any{}
			for name, value := range row {
				if name, ok := strings.CutPrefix(name, f.typ+"__"); ok {
					fields[name] = condense(t, value)
				}
			}
			k.seen[v][ids[i]] = fields
		}
	}
}

// condense writes rows as ref and connections as page.
func condense(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = condense(t, e)
		}
		return out
	case map[string]any:
		if key, ok := v["id"].(string); ok && v["__typename"] != nil {
			return ref(key)
		}
		if total, ok := v["totalCount"].(float64); ok && v["pageInfo"] != nil { // a connection
			p := &page{Total: int(total), More: v["pageInfo"].(map[string]any)["hasNextPage"].(bool)}
			edges := v["edges"].([]any)
			for i, n := range v["nodes"].([]any) {
				p.Nodes = append(p.Nodes, condense(t, n).(ref))
				if edge := condense(t, edges[i].(map[string]any)["node"]); edge != p.Nodes[i] {
					t.Errorf("edge %d leads to %v, node %d is %v", i, edge, i, p.Nodes[i])
				}
			}
			later := v["pageInfo"].(map[string]any)["hasPreviousPage"] == true // list sums up
			if !p.More && !later && p.Total != len(p.Nodes) {
				t.Errorf("totalCount is %d, and %d nodes came", p.Total, len(p.Nodes))
			}
			return p
		}
		out := map[string]any{}
		for name, e := range v {
			out[name] = condense(t, e)
		}
		return out
	}
	return v
}

// merge puts together what everybody sees.
func (k *walk) merge() {
	for _, v := range k.viewers {
		for key, fields := range k.seen[v] {
			if k.full[key] == nil {
				k.full[key] = map[string]any{}
			}
			for name, value := range fields {
				k.full[key][name] = union(k.full[key][name], value)
			}
		}
	}
}

func union(a, b any) any {
	switch a := a.(type) {
	case nil:
		return b
	case []any:
		b, ok := b.([]any)
		if !ok { // null: not this viewer's
			return a
		}
		if len(a) == 0 {
			return b
		}
		if _, part := a[0].(map[string]any); part && len(a) == len(b) {
			a = slices.Clone(a)
			for i := range a {
				a[i] = union(a[i], b[i])
			}
			return a
		}
		if _, rows := a[0].(ref); rows {
			a = slices.Clone(a)
			for _, e := range b {
				if !slices.Contains(a, e) {
					a = append(a, e)
				}
			}
		}
		return a
	case *page:
		b, ok := b.(*page)
		if !ok {
			return a
		}
		sum := &page{Nodes: slices.Clone(a.Nodes), Total: max(a.Total, b.Total), More: a.More || b.More}
		for _, n := range b.Nodes {
			if !slices.Contains(sum.Nodes, n) {
				sum.Nodes = append(sum.Nodes, n)
			}
		}
		return sum
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			return a
		}
		out := map[string]any{}
		for name := range a {
			out[name] = union(a[name], b[name])
		}
		return out
	}
	return a
}

// project leaves of a full value what the viewer may see.
func (k *walk) project(v *viewer, value any) any {
	switch value := value.(type) {
	case ref:
		if k.sees(v, string(value)) {
			return value
		}
		return nil
	case []any:
		out := []any{}
		for _, e := range value {
			if p := k.project(v, e); p != nil {
				out = append(out, p)
			}
		}
		return out
	case *page:
		p := &page{More: value.More, Total: value.Total}
		for _, n := range value.Nodes {
			if k.sees(v, string(n)) {
				p.Nodes = append(p.Nodes, n)
			}
		}
		if !p.More {
			p.Total = len(p.Nodes)
		}
		return p
	case map[string]any:
		out := map[string]any{}
		for name, e := range value {
			out[name] = k.project(v, e)
		}
		return out
	}
	return value
}

// canonical is a value as text, in which rows have an order of their own.
func canonical(v any) string {
	switch v := v.(type) {
	case []any:
		if len(v) > 0 {
			if _, rows := v[0].(ref); rows {
				v = slices.Clone(v)
				slices.SortFunc(v, func(a, b any) int { return strings.Compare(text(a), text(b)) })
			}
		}
		return text(v)
	case *page:
		return fmt.Sprintf("%d %t %v", v.Total, v.More, slices.Sorted(slices.Values(v.Nodes)))
	}
	return text(v)
}

// compare checks every field of every row that a viewer sees, and returns how many.
func (k *walk) compare(t *testing.T, v *viewer) (n int) {
	t.Helper()
	for key, fields := range k.seen[v] {
		typ := k.world.byID[key].typ
		for name, got := range fields {
			n++
			field, _, _ := strings.Cut(name, "__")
			var want any
			switch {
			case typ+"."+field == "Session.transcript":
				if p := fields["transcripts"].(*page); len(p.Nodes) > 0 {
					want = p.Nodes[0]
				}
			case typ+"."+field == "Session.metrics":
				if at, ok := fields["transcript"].(ref); ok {
					want = k.project(v, k.full[string(at)]["metrics"])
				}
			case typ == "Theme" && slices.Contains([]string{"insightCount", "sessionCount", "firstSeenAt", "lastSeenAt", "trend"}, field):
				want = k.ofTheme(t, v, key, field)
			case field == "insights" && typ != "Goal":
				p := k.project(v, k.full[key][name]).(*page)
				p.Nodes = slices.DeleteFunc(p.Nodes, func(r ref) bool { return !k.counts(t, v, string(r)) })
				p.Total = len(p.Nodes)
				want = p
			case k.open(v, key, field):
				want = k.project(v, k.full[key][name])
			}
			if w, g := canonical(want), canonical(got); w != g {
				t.Errorf("%s, who sees %s %s through %v: %s is %.300s, want %.300s", v.who, typ, key, grants(v, k.of(v, key)), name, g, w)
			}
		}
	}
	return n
}

// ofTheme is what a theme says of the insights of it that the viewer sees.
func (k *walk) ofTheme(t *testing.T, v *viewer, key, field string) any {
	t.Helper()
	sessionsOf := func(of string) (n int, starts map[string]string) {
		starts = map[string]string{}
		for _, r := range k.project(v, k.full[of]["insights"]).(*page).Nodes {
			session := string(k.full[string(r)]["session"].(ref))
			if k.counts(t, v, string(r)) && k.full[session]["coach"] == k.full[key]["coach"] {
				n++
				starts[session] = k.full[session]["startsAt"].(string)
			}
		}
		return n, starts
	}
	n, in := sessionsOf(key)
	switch field {
	case "insightCount":
		return n
	case "sessionCount":
		return len(in)
	case "firstSeenAt":
		return slices.Min(slices.Collect(maps.Values(in)))
	case "lastSeenAt":
		return slices.Max(slices.Collect(maps.Values(in)))
	}
	_, looked := sessionsOf(string(k.full[key]["client"].(ref)))
	var came []bool
	for _, session := range slices.SortedFunc(maps.Keys(looked), func(a, b string) int { return cmp.Or(cmp.Compare(looked[a], looked[b]), cmp.Compare(a, b)) }) {
		came = append(came, in[session] != "")
	}
	if trend := theme.TrendOf(came); trend != nil {
		return *trend
	}
	return nil
}

// list pages through a list of Query and returns what it shows.
func (k *walk) list(t *testing.T, v *viewer, name, args string) []ref {
	t.Helper()
	f := k.schema.Query.Fields.ForName(name)
	if name == "auditEvents" && !strings.Contains(args, "{before:") { // the test itself is written down
		args = strings.TrimSuffix(cmp.Or(args, "filter: {}"), "}") + fmt.Sprintf(" before: %q}", k.looked.Format(time.RFC3339Nano))
	}
	var found []ref
	var after *string
	for {
		var out map[string]map[string]any
		query := fmt.Sprintf("query($after: String) { list: %s(first: 100, after: $after, %s)%s }", name, args, k.short(f))
		if args == "" {
			query = strings.Replace(query, ", )", ")", 1)
		}
		k.must(t, v, query, apptest.Vars{"after": after}, &out)
		p := condense(t, any(out["list"])).(*page)
		found = append(found, p.Nodes...)
		if !p.More {
			if p.Total != len(found) {
				t.Errorf("%s: %s(%s) counts %d and shows %d", v.who, name, args, p.Total, len(found))
			}
			break
		}
		end := out["list"]["pageInfo"].(map[string]any)["endCursor"].(string)
		after = &end
	}
	for _, r := range found {
		if !k.sees(v, string(r)) {
			t.Errorf("%s: %s(%s) shows %s", v.who, name, args, r)
		}
	}
	return found
}

// lists asks for every list in every order, with and without what is archived.
func (k *walk) lists(t *testing.T, v *viewer) (n int) {
	t.Helper()
	if k.listed == nil {
		k.listed, k.listedTo = map[string]map[string]bool{}, map[*viewer]map[string]map[string]bool{}
	}
	k.listedTo[v] = map[string]map[string]bool{}
	for _, f := range k.schema.Query.Fields {
		if !strings.HasSuffix(f.Type.Name(), "Connection") {
			continue
		}
		variants := []string{""}
		if k.archivable(f) {
			variants = append(variants, "filter: {includeArchived: true}")
		}
		if f.Name == "insights" {
			variants = append(variants, fmt.Sprintf("filter: {transcriptIds: %s}", k.ids(t, "Transcript")))
		}
		if o := f.Arguments.ForName("orderBy"); o != nil {
			for _, by := range k.schema.Types[k.schema.Types[o.Type.Name()].Fields.ForName("field").Type.Name()].EnumValues {
				variants = append(variants, "orderBy: {field: "+by.Name+"}")
			}
		}
		for _, args := range variants {
			n++
			name := f.Name
			if strings.HasPrefix(args, "filter") {
				name += "__all"
			}
			if k.listed[name] == nil {
				k.listed[name] = map[string]bool{}
			}
			found := map[string]bool{}
			for _, r := range k.list(t, v, f.Name, args) {
				k.listed[name][string(r)], found[string(r)] = true, true
			}
			if before := k.listedTo[v][name]; before != nil && !maps.Equal(before, found) {
				t.Errorf("%s: %s(%s) shows %d rows, in another order %d", v.who, f.Name, args, len(found), len(before))
			}
			k.listedTo[v][name] = found
		}
	}
	return n
}

// listsHaveAll checks that lists leave out nothing that a viewer sees by its id, but what is archived or retracted, of
// tags those of others, and of insights those of transcripts that do not count, unless they are asked for.
func (k *walk) listsHaveAll(t *testing.T) {
	t.Helper()
	for name, want := range map[string]string{
		"clients__all": `SELECT id FROM clients`, "engagements__all": `SELECT id FROM engagements`, "sessions__all": `SELECT id FROM sessions`, "tags": `SELECT id FROM tags`,
		"notes__all": `SELECT id FROM notes`, "notes": `SELECT id FROM notes WHERE archived_at IS NULL`,
		"clients": `SELECT id FROM clients WHERE archived_at IS NULL`, "engagements": `SELECT id FROM engagements WHERE archived_at IS NULL`,
		"sessions":      `SELECT id FROM sessions WHERE archived_at IS NULL`,
		"insights__all": holding, "insights": holding,
		"goals":       `SELECT g.id FROM goals g JOIN clients c ON c.id = g.client_id WHERE c.archived_at IS NULL`,
		"actionItems": `SELECT a.id FROM action_items a JOIN clients c ON c.id = a.client_id WHERE c.archived_at IS NULL`,
	} {
		rows, err := k.env.DB.Query(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		base, _, _ := strings.Cut(name, "__")
		all := map[string]bool{}
		for rows.Next() {
			var key id.UUID
			if err := rows.Scan(&key); err != nil {
				t.Fatal(err)
			}
			row := id.Format(strings.TrimSuffix(strings.TrimSuffix(base, "s"), "Item"), key)
			if slices.ContainsFunc(k.viewers, func(v *viewer) bool { return k.sees(v, row) && (name != "insights" || k.counts(t, v, row)) }) {
				all[row] = true
			}
		}
		if !maps.Equal(all, k.listed[name]) {
			t.Errorf("%s shows %d rows to somebody, there are %d", name, len(k.listed[name]), len(all))
		}
		for _, v := range k.viewers {
			mine := map[string]bool{}
			for key := range all {
				if k.sees(v, key) && (base != "tags" || slices.Contains(k.of(v, key).coaches, v.user)) && (name != "insights" || k.counts(t, v, key)) {
					mine[key] = true
				}
			}
			got := k.listedTo[v][name]
			if !maps.Equal(mine, got) {
				t.Errorf("%s: %s shows %d rows, and by their ids the viewer sees %d", v.who, name, len(got), len(mine))
			}
		}
	}
}

// holding are the insights that lists may show.
const holding = `SELECT i.id FROM insights i JOIN sessions s ON s.id = i.session_id JOIN transcripts t ON t.id = i.transcript_id
	WHERE i.retracted_at IS NULL AND s.archived_at IS NULL AND t.archived_at IS NULL`

// counts says whether the transcript of an insight counts: to a client the latest that is shared, unless none is.
func (k *walk) counts(t *testing.T, v *viewer, insight string) bool {
	t.Helper()
	if k.counting == nil {
		k.counting = map[string][2]bool{}
		rows, err := k.env.DB.Query(t.Context(), `
			SELECT i.id, t.version = t.latest, t.version = coalesce(t.shared, t.latest)
			FROM (SELECT id, version, max(version) OVER session AS latest, max(version) FILTER (WHERE shared_with_client) OVER session AS shared
				FROM transcripts WHERE archived_at IS NULL WINDOW session AS (PARTITION BY session_id)) t
			JOIN insights i ON i.transcript_id = t.id`)
		if err != nil {
			t.Fatal(err)
		}
		var key id.UUID
		var latest, shared bool
		if _, err := pgx.ForEachRow(rows, []any{&key, &latest, &shared}, func() error {
			k.counting[id.Format("insight", key)] = [2]bool{latest, shared}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	through := grants(v, k.of(v, insight))
	if slices.Contains(through, coach) || slices.Contains(through, supervisor) {
		return k.counting[insight][0]
	}
	return k.counting[insight][1]
}

// filters tries every condition of every list on every value there is: none may find what the viewer does not see, or
// tell what is in a field that the viewer does not see.
func (k *walk) filters(t *testing.T, v *viewer) {
	t.Helper()
	for _, f := range k.schema.Query.Fields {
		arg := f.Arguments.ForName("filter")
		if arg == nil || !strings.HasSuffix(f.Type.Name(), "Connection") { // what is no list has a test of its own
			continue
		}
		input := k.schema.Types[arg.Type.Name()]
		archived := ""
		if k.archivable(f) {
			archived = ", includeArchived: true"
		}
		for _, c := range input.Fields {
			for _, value := range k.values(t, c) {
				args := fmt.Sprintf("filter: {%s: %s%s}", c.Name, value, archived)
				if c.Name == "includeArchived" {
					args = fmt.Sprintf("filter: {%s: %s}", c.Name, value)
				}
				found := k.list(t, v, f.Name, args)
				for _, r := range found {
					open := true
					switch guard := filters[input.Name+"."+c.Name]; guard {
					case "":
					case "tags":
						open = len(k.seen[v][string(r)]["tags"].([]any)) > 0 // which of them: tagged
					case "participants":
						open = len(k.seen[v][string(r)]["participants"].([]any)) > 0
					case "transcripts":
						p := k.project(v, k.full[string(r)]["transcripts"]).(*page)
						open = (len(p.Nodes) > 0) == (value == "true")
					default:
						open = k.open(v, string(r), guard)
					}
					if !open {
						t.Errorf("%s: %s(%s) finds %s by what the viewer does not see", v.who, f.Name, args, r)
					}
				}
			}
		}
	}
}

// tagged checks that each list by each tag there is shows exactly the rows on which the viewer is shown that tag, and
// returns how many such pairs there are.
func (k *walk) tagged(t *testing.T, v *viewer) (n int) {
	t.Helper()
	var query strings.Builder
	want := map[string][]string{} // by the alias
	for _, of := range []string{"clients", "sessions", "insights", "notes"} {
		listed, archived := of, ""
		if k.archivable(k.schema.Query.Fields.ForName(of)) {
			listed, archived = of+"__all", ", includeArchived: true"
		}
		for key, f := range k.world.byID {
			if f.typ != "Tag" {
				continue
			}
			alias := of + "__" + key
			want[alias] = nil
			for row := range k.listedTo[v][listed] {
				if slices.Contains(k.seen[v][row]["tags"].([]any), any(ref(key))) {
					want[alias] = append(want[alias], row)
				}
			}
			n += len(want[alias])
			fmt.Fprintf(&query, "%s: %s(first: 100, filter: {tagIds: [%q]%s}) {nodes {id}} ", alias, of, key, archived)
		}
	}
	var out map[string]struct{ Nodes []struct{ ID string } }
	k.must(t, v, "{"+query.String()+"}", nil, &out)
	for alias, rows := range want {
		var got []string
		for _, row := range out[alias].Nodes {
			got = append(got, row.ID)
		}
		slices.Sort(rows)
		slices.Sort(got)
		if !slices.Equal(got, rows) {
			t.Errorf("%s: %s finds %v, and the tag shows on %v", v.who, alias, got, rows)
		}
	}
	return n
}

// ids are those of all rows of a type.
func (k *walk) ids(t *testing.T, typ string) string {
	t.Helper()
	var ids []string
	for key, f := range k.world.byID {
		if f.typ == typ {
			ids = append(ids, key)
		}
	}
	if len(ids) == 0 {
		t.Fatalf("there is no %s", typ)
	}
	return text(ids)
}

// values are values for a condition.
func (k *walk) values(t *testing.T, c *ast.FieldDefinition) (values []string) {
	t.Helper()
	switch name := c.Type.Name(); {
	case name == "ID":
		typ := map[string]string{"clientIds": "Client", "coachIds": "User", "engagementIds": "Engagement", "sessionIds": "Session", "transcriptIds": "Transcript", "tagIds": "Tag", "participantUserIds": "User", "authorIds": "User", "actorIds": "User", "entityIds": "Transcript", "goalIds": "Goal"}[c.Name]
		return []string{k.ids(t, typ)}
	case c.Name == "actions":
		return []string{`["transcript.read"]`, `["client.create", "session.create"]`}
	case c.Name == "kinds" && name == "String":
		return []string{`["client"]`, `["member", "org"]`}
	case name == "String":
		for _, f := range k.facts {
			if f.typ == "Client" && len(values) < 4 {
				values = append(values, text(f.text["name"][:4]))
			}
		}
		return values
	case name == "Boolean":
		return []string{"true", "false"}
	case name == "Float":
		return []string{"0"}
	case name == "DateTime":
		return []string{`"2026-01-01T00:00:00Z"`}
	case k.schema.Types[name].Kind == ast.Enum:
		for _, e := range k.schema.Types[name].EnumValues {
			values = append(values, "["+e.Name+"]")
		}
		return values
	}
	t.Fatalf("no values for %s", c.Name)
	return nil
}

// byID asks for single things by the ids of everybody's.
func (k *walk) byID(t *testing.T, v *viewer) {
	t.Helper()
	for _, f := range k.schema.Query.Fields {
		if len(f.Arguments) != 1 || f.Arguments[0].Name != "id" || f.Name == "node" {
			continue
		}
		var query strings.Builder
		n := 0
		for key, row := range k.world.byID {
			if row.typ == f.Type.Name() && !k.sees(v, key) {
				fmt.Fprintf(&query, "a%d: %s(id: %q) { id } ", n, f.Name, key)
				n++
			}
		}
		if n == 0 {
			continue
		}
		r := k.ask(t, v, "{ "+query.String()+"}", nil)
		var out map[string]any
		r.Into(t, &out)
		found := slices.DeleteFunc(slices.Collect(maps.Values(out)), func(found any) bool { return found == nil })
		if want := strings.TrimSuffix(strings.Repeat("NOT_FOUND ", n), " "); r.Code() != want || len(out) != n || len(found) > 0 {
			t.Errorf("%s: %d times %s(id) of what is not to be seen: %s", v.who, n, f.Name, r.Body)
		}
	}
	var me struct {
		Viewer struct {
			User, Organization struct{ ID string }
			Membership         struct{ User struct{ ID string } }
		}
	}
	k.must(t, v, "{viewer{user{id} organization{id} membership{user{id}}}}", nil, &me)
	if got, u := me.Viewer, id.Format("user", v.user); got.User.ID != u || got.Membership.User.ID != u || got.Organization.ID != id.Format("org", v.org) {
		t.Errorf("%s is %+v", v.who, got)
	}
}

// deep asks for everything that everything leads to, in one query.
func (k *walk) deep(t *testing.T, v *viewer) {
	t.Helper()
	var out map[string]any
	k.must(t, v, "{"+k.nested(k.schema.Query, 3)+"}", nil, &out)
}

func (k *walk) nested(d *ast.Definition, depth int) string {
	var b strings.Builder
	b.WriteString("__typename ")
	for _, f := range d.Fields {
		to := k.schema.Types[f.Type.Name()]
		if f.Name == "verifyAuditTrail" { // refused to most, see TestAuditTrail
			continue
		}
		needs := slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil })
		switch {
		case strings.HasPrefix(f.Name, "__") || needs:
		case !to.IsCompositeType():
			b.WriteString(f.Name + " ")
		case strings.HasSuffix(to.Name, "Connection"):
			if depth > 0 {
				of := k.schema.Types[strings.TrimSuffix(to.Name, "Connection")]
				fmt.Fprintf(&b, "%s(first: 3) { totalCount pageInfo { startCursor endCursor } nodes { %s } } ", f.Name, k.nested(of, depth-1))
			}
		case slices.Contains(to.Interfaces, "Node"):
			if depth > 0 {
				fmt.Fprintf(&b, "%s { %s } ", f.Name, k.nested(to, depth-1))
			}
		case to.Name == "SearchResults": // its hits lead to hits without end
			fmt.Fprintf(&b, "%s %s ", f.Name, k.short(f))
		default:
			fmt.Fprintf(&b, "%s { %s } ", f.Name, k.nested(to, depth))
		}
	}
	return b.String()
}

// leaks looks in all that was said to a viewer for ids and words that are not the viewer's to see.
func (k *walk) leaks(t *testing.T, v *viewer) {
	t.Helper()
	said := strings.Join(slices.Sorted(maps.Keys(k.said[v])), "\n")
	var mine strings.Builder
	for _, f := range k.facts {
		for field, words := range f.text {
			if f.org == v.org && k.open(v, f.id, field) {
				mine.WriteString(words + "\n")
			}
		}
	}
	visible, looked := mine.String(), 0
	for _, f := range k.facts {
		if !k.sees(v, f.id) {
			_, key, err := id.Parse(f.id)
			if err != nil {
				t.Fatal(err)
			}
			looked++
			if strings.Contains(said, f.id) || strings.Contains(said, key.String()) {
				t.Errorf("%s has been told of %s %s", v.who, f.typ, f.id)
			}
		}
		for field, words := range f.text {
			if len(words) < 4 || f.org == v.org && k.open(v, f.id, field) || strings.Contains(visible, words) {
				continue
			}
			looked++
			if strings.Contains(said, words) {
				t.Errorf("%s has been told %q: %s of %s %s", v.who, words, field, f.typ, f.id)
			}
		}
	}
	if looked < 300 {
		t.Errorf("%s: only %d words and ids were looked for", v.who, looked)
	}
}
