package graph_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const schemaFile = "../schema.graphqls"

// unusual are the names that break a rule on purpose.
var unusual = map[string]string{
	"Mutation.ask":        "the noun is the verb",
	"Mutation.tag":        "the noun is the verb",
	"Mutation.untag":      "the noun is the verb",
	"Query.nodes":         "null stands for what does not exist, in the order asked for",
	"Query.search":        "hits are ranked: there is no way back, and much beside them",
	"SavedSearch.results": "as of search",
}

var (
	pascalCase     = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	camelCase      = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	screamingSnake = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
	verbNoun       = regexp.MustCompile(`^[a-z]+[A-Z]`)
	sentence       = regexp.MustCompile(`(?s)\S.*[.!?]\s*$`)
	paging         = []string{"first: Int", "after: String", "last: Int", "before: String"}
)

// linter collects what in a schema breaks docs/conventions.md.
type linter struct {
	schema   *ast.Schema
	problems []string
}

func lint(schema *ast.Schema) []string {
	l := &linter{schema: schema}
	for name, d := range schema.Directives {
		if d.Position.Src.BuiltIn {
			continue
		}
		l.described("@"+name, d.Description)
		l.arguments("@"+name, d.Arguments)
	}
	for name, d := range schema.Types {
		if !d.BuiltIn {
			l.definition(name, d)
		}
	}
	slices.Sort(l.problems)
	return l.problems
}

func (l *linter) fail(where, format string, args ...any) {
	l.problems = append(l.problems, where+": "+fmt.Sprintf(format, args...))
}

func (l *linter) described(where, text string) {
	if !sentence.MatchString(text) {
		l.fail(where, "has no description that is a sentence with its full stop")
	}
}

func (l *linter) definition(name string, d *ast.Definition) {
	l.described(name, d.Description)
	if !pascalCase.MatchString(name) {
		l.fail(name, "types are written LikeThis")
	}
	for _, v := range d.EnumValues {
		where := name + "." + v.Name
		l.described(where, v.Description)
		l.deprecated(where, v.Directives)
		if !screamingSnake.MatchString(v.Name) {
			l.fail(where, "enum values are written LIKE_THIS")
		}
	}
	for _, f := range d.Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		where := name + "." + f.Name
		l.described(where, f.Description)
		l.deprecated(where, f.Directives)
		l.value(where, f.Name, f.Type)
		l.arguments(where, f.Arguments)
		if d.Kind == ast.InputObject {
			l.choice(where, f.Type, f.DefaultValue)
			continue
		}
		if f.Type.Elem != nil && !f.Type.NonNull && f.Directives.ForName("access") == nil {
			l.fail(where, "an empty list says it: lists are not null, unless @access hides them")
		}
		l.paged(where, f)
		l.guarded(where, d, f)
	}
	if d.Kind != ast.Object {
		return
	}
	l.node(name, d)
	switch {
	case name == "Mutation":
		for _, f := range d.Fields {
			l.mutation(f)
		}
	case strings.HasSuffix(name, "Payload"):
		l.payload(name, d)
	case strings.HasSuffix(name, "Connection"):
		of := strings.TrimSuffix(name, "Connection")
		l.exactly(name, d, "edges: ["+of+"Edge!]!", "nodes: ["+of+"!]!", "pageInfo: PageInfo!", "totalCount: Int!")
	case strings.HasSuffix(name, "Edge"):
		l.exactly(name, d, "cursor: String!", "node: "+strings.TrimSuffix(name, "Edge")+"!")
	}
}

func (l *linter) deprecated(where string, ds ast.DirectiveList) {
	if d := ds.ForName("deprecated"); d != nil {
		if r := d.Arguments.ForName("reason"); r == nil || strings.TrimSpace(r.Value.Raw) == "" {
			l.fail(where, "@deprecated says what to use instead")
		}
	}
}

// value checks the type of a field or argument.
func (l *linter) value(where, name string, t *ast.Type) {
	if !camelCase.MatchString(name) {
		l.fail(where, "fields and arguments are written likeThis")
	}
	for elem := t.Elem; elem != nil; elem = elem.Elem {
		if _, ok := unusual[where]; !ok && !elem.NonNull {
			l.fail(where, "no list has holes")
		}
	}
	isID := name == "id" || name == "ids" || strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "Ids")
	isList := name == "ids" || strings.HasSuffix(name, "Ids")
	switch {
	case isID != (t.Name() == "ID"):
		l.fail(where, "what is named id, …Id or …Ids is an ID, and nothing else is one")
	case isID && isList != (t.Elem != nil):
		l.fail(where, "one is an id, several are ids")
	}
}

func (l *linter) arguments(where string, args ast.ArgumentDefinitionList) {
	for _, a := range args {
		at := where + "(" + a.Name + ")"
		l.described(at, a.Description)
		l.value(at, a.Name, a.Type)
		l.choice(at, a.Type, a.DefaultValue)
	}
}

// choice: a Boolean that must be given is a question without an answer at hand.
func (l *linter) choice(where string, t *ast.Type, byDefault *ast.Value) {
	if t.Name() == "Boolean" && t.NonNull && byDefault == nil {
		l.fail(where, "a Boolean that must be given has a default, or is an enum")
	}
}

// paged: connections and paging arguments come together.
func (l *linter) paged(where string, f *ast.FieldDefinition) {
	var given []string
	for _, a := range f.Arguments {
		if slices.ContainsFunc(paging, func(p string) bool { return strings.HasPrefix(p, a.Name+":") }) {
			given = append(given, a.Name+": "+a.Type.String())
		}
	}
	connection := strings.HasSuffix(f.Type.Name(), "Connection")
	switch {
	case connection && !f.Type.NonNull:
		l.fail(where, "a list that shows nothing is empty, not null")
	case connection && !slices.Equal(given, paging):
		l.fail(where, "a connection takes %s", strings.Join(paging, ", "))
	case unusual[where] != "":
	case !connection && len(given) > 0 && !strings.HasPrefix(where, "Subscription."):
		l.fail(where, "what takes %s returns a connection", strings.Join(given, ", "))
	}
}

// node: rows have an id and a @scope; what has neither is a part of a row.
func (l *linter) node(name string, d *ast.Definition) {
	is := slices.Contains(d.Interfaces, "Node")
	if is != (d.Fields.ForName("id") != nil) {
		l.fail(name, "what has an id implements Node, and the other way round")
	}
	scope := d.Directives.ForName("scope")
	if is != (scope != nil) {
		l.fail(name, "rows, which implement Node, say with @scope who sees them; what is no row is seen with its row")
	}
	l.relations(name, scope)
}

// guarded: @access narrows the @scope of its type.
func (l *linter) guarded(where string, d *ast.Definition, f *ast.FieldDefinition) {
	access := f.Directives.ForName("access")
	if access == nil {
		return
	}
	if f.Type.NonNull {
		l.fail(where, "is null for who may not see it, so that @access needs a nullable type")
	}
	rows, open := l.relations(where, d.Directives.ForName("scope")), l.relations(where, access)
	if len(open) >= len(rows) || slices.ContainsFunc(open, func(r string) bool { return !slices.Contains(rows, r) }) {
		l.fail(where, "@access%v narrows the type's @scope%v", open, rows)
	}
}

// relations are those that a @scope or @access names.
func (l *linter) relations(where string, d *ast.Directive) (names []string) {
	if d == nil {
		return nil
	}
	for _, c := range d.Arguments.ForName("to").Value.Children {
		if slices.Contains(names, c.Value.Raw) {
			l.fail(where, "@%s names %s twice", d.Name, c.Value.Raw)
		}
		names = append(names, c.Value.Raw)
	}
	if len(names) == 0 {
		l.fail(where, "@%s opens it to nobody", d.Name)
	}
	return names
}

func (l *linter) mutation(f *ast.FieldDefinition) {
	where := "Mutation." + f.Name
	if _, ok := unusual[where]; !ok && !verbNoun.MatchString(f.Name) {
		l.fail(where, "mutations are named verbNoun")
	}
	title := strings.ToUpper(f.Name[:1]) + f.Name[1:]
	if len(f.Arguments) != 1 || f.Arguments[0].Name != "input" || f.Arguments[0].Type.String() != title+"Input!" || f.Type.String() != title+"Payload!" {
		l.fail(where, "is written %s(input: %sInput!): %sPayload!", f.Name, title, title)
	}
}

func (l *linter) payload(name string, d *ast.Definition) {
	entities := 0
	for _, f := range d.Fields {
		if f.Name == "userErrors" {
			if f.Type.String() != "[UserError!]!" {
				l.fail(name+".userErrors", "is [UserError!]!")
			}
			continue
		}
		if l.schema.Types[f.Type.Name()].IsCompositeType() {
			entities++
			if f.Type.NonNull || f.Type.Elem != nil {
				l.fail(name+"."+f.Name, "is null when there are userErrors")
			}
		}
	}
	if d.Fields.ForName("userErrors") == nil || entities == 0 {
		l.fail(name, "a payload has what was changed, and userErrors")
	}
	if l.schema.Mutation.Fields.ForName(strings.ToLower(name[:1])+strings.TrimSuffix(name[1:], "Payload")) == nil {
		l.fail(name, "is the payload of no mutation")
	}
}

func (l *linter) exactly(name string, d *ast.Definition, want ...string) {
	var got []string
	for _, f := range d.Fields {
		got = append(got, f.Name+": "+f.Type.String())
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		l.fail(name, "has %s; got %s", strings.Join(want, ", "), strings.Join(got, ", "))
	}
}

func readSchema(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parse(t *testing.T, text string) *ast.Schema {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: text})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSchema(t *testing.T) {
	t.Parallel()
	for _, p := range lint(parse(t, readSchema(t))) {
		t.Error(p)
	}
}

// Each rule is tried on the schema with one mistake in it.
func TestSchemaLint(t *testing.T) {
	t.Parallel()
	text := readSchema(t)
	clean := lint(parse(t, text))
	for _, c := range []struct{ was, is, want string }{
		{"\"A person.\"\ntype User ", "type User ", "User: has no description"},
		{"\"The person's name.\"\n", "", "User.name: has no description"},
		{"\"The person's name.\"", `"The person's name"`, "User.name: has no description"},
		{"\"Coaches clients.\"\n", "", "Role.COACH: has no description"},
		{"\"The session's id.\"\n", "", "Query.session(id): has no description"},
		{"\"The format; recognised by content if left out.\"\n", "", "ImportTranscriptInput.format: has no description"},
		{"\"The relations that open the field.\"\n", "", "@access(to): has no description"},
		{"\"A day of the calendar: 2026-03-02.\"\n", "", "Date: has no description"},
		{"\nscalar Date\n", "\nscalar Date \"x.\" scalar date_time\n", "date_time: types are written LikeThis"},
		{"  timeZone: String", "  time_zone: String", "User.time_zone: fields and arguments are written likeThis"},
		{"  COACH_ONLY\n", "  coachOnly\n", "InsightAudience.coachOnly: enum values are written LIKE_THIS"},
		{"  createClient(", "  create(", "Mutation.create: mutations are named verbNoun"},
		{"): UpdateClientPayload!", "): UpdateClientPayload", "Mutation.updateClient: is written updateClient(input: UpdateClientInput!): UpdateClientPayload!"},
		{"  \"What to change.\"\n    input: UpdateClientInput!", "  \"What to change.\"\n    client: UpdateClientInput!", "Mutation.updateClient: is written"},
		{"type ArchiveClientPayload {\n  \"The client as it is now; null if there are userErrors.\"\n  client: Client\n", "type ArchiveClientPayload {\n  \"It.\"\n  client: Client!\n", "ArchiveClientPayload.client: is null when"},
		{"type ArchiveClientPayload {\n  \"The client as it is now; null if there are userErrors.\"\n  client: Client\n", "type ArchiveClientPayload {\n", "ArchiveClientPayload: a payload has what was changed"},
		{"  nodes: [Client!]!", "  nodes: [Client!]", "ClientConnection: has edges"},
		{"  nodes: [Client!]!", "  nodes: [Client]!", "ClientConnection.nodes: no list has holes"},
		{"  participants: [Participant!]!", "  participants: [Participant!]", "Session.participants: an empty list says it"},
		{"  tags: [Tag!]!", "  tags(\"Of.\" first: Int): [Tag!]!", "Client.tags: what takes first: Int returns a connection"},
		{"  ): TranscriptConnection!", "  ): TranscriptConnection", "Session.transcripts: a list that shows nothing is empty"},
		{"    \"Only what comes before this cursor.\"\n    before: String\n  ): TranscriptConnection!", "  ): TranscriptConnection!", "Session.transcripts: a connection takes first"},
		{"  coachId: ID\n", "  coachId: String\n", "CreateClientInput.coachId: what is named id"},
		{"  coachIds: [ID!]\n", "  coachIds: ID\n", "ClientFilter.coachIds: one is an id, several are ids"},
		{"  slug: String!", "  slug: ID!", "Organization.slug: what is named id"},
		{"type Tag implements Node @scope(to: [COACH, SUPERVISOR])", "type Tag implements Node", "Tag: rows, which implement Node"},
		{"type Tag implements Node @scope(to: [COACH, SUPERVISOR])", "type Tag @scope(to: [COACH, SUPERVISOR])", "Tag: what has an id implements Node"},
		{"type Tag implements Node @scope(to: [COACH, SUPERVISOR])", "type Tag implements Node @scope(to: [])", "Tag: @scope opens it to nobody"},
		{"email: String @access(to: [SELF, ADMIN])", "email: String! @access(to: [SELF, ADMIN])", "User.email: is null for who may not see it"},
		{"confidence: Float @access(to: [COACH, SUPERVISOR])", "confidence: Float @access(to: [COACH, ADMIN])", "Insight.confidence: @access[COACH ADMIN] narrows"},
		{"confidence: Float @access(to: [COACH, SUPERVISOR])", "confidence: Float @access(to: [COACH, SUPERVISOR, CLIENT])", "Insight.confidence: @access[COACH SUPERVISOR CLIENT] narrows"},
		{"confidence: Float @access(to: [COACH, SUPERVISOR])", "confidence: Float @access(to: [COACH, COACH])", "Insight.confidence: @access names COACH twice"},
		{"  archived: Boolean! = true", "  archived: Boolean!", "ArchiveClientInput.archived: a Boolean that must be given"},
		{"  slug: String!", "  slug: String! @deprecated", "Organization.slug: @deprecated says what"},
	} {
		broken := strings.Replace(text, c.was, c.is, 1)
		if broken == text && c.want != "" {
			t.Errorf("the schema has no %q any more", c.was)
			continue
		}
		got := slices.DeleteFunc(lint(parse(t, broken)), func(p string) bool { return slices.Contains(clean, p) })
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, c.want) }) {
			t.Errorf("with %q: got %q, want %q", c.is, got, c.want)
		}
	}
}
