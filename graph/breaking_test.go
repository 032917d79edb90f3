package graph_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/testkit"
)

// breaking lists what a client written for the schema before may trip over in the schema after: what was taken away, what
// must be given now, and what may be something else than it was. What is only added breaks nobody, an enum value or a member
// of a union included: docs/guides/api.md tells clients to expect those.
func breaking(before, after *ast.Schema) []string {
	c := &comparison{after: after}
	for name, was := range before.Types {
		if was.BuiltIn {
			continue
		}
		is := after.Types[name]
		switch {
		case is == nil:
			c.add("%s was removed", name)
		case is.Kind != was.Kind:
			c.add("%s was %s and is %s", name, was.Kind, is.Kind)
		default:
			c.definition(was, is)
		}
	}
	slices.Sort(c.found)
	return c.found
}

type comparison struct {
	after *ast.Schema
	found []string
}

func (c *comparison) add(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *comparison) definition(was, is *ast.Definition) {
	for _, v := range was.EnumValues {
		if is.EnumValues.ForName(v.Name) == nil {
			c.add("%s.%s was removed", was.Name, v.Name)
		}
	}
	for _, member := range was.Types {
		if !slices.Contains(is.Types, member) {
			c.add("%s is no %s any more", member, was.Name)
		}
	}
	for _, i := range was.Interfaces {
		if !slices.Contains(is.Interfaces, i) {
			c.add("%s is no %s any more", was.Name, i)
		}
	}
	for _, f := range was.Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		where := was.Name + "." + f.Name
		now := is.Fields.ForName(f.Name)
		switch {
		case now == nil:
			c.add("%s was removed", where)
		case was.Kind == ast.InputObject:
			c.given(where, f.Type, now.Type, f.DefaultValue, now.DefaultValue)
		default:
			if !c.answers(now.Type, f.Type) {
				c.add("%s was %s and is %s", where, f.Type, now.Type)
			}
			c.arguments(where, f.Arguments, now.Arguments)
		}
	}
	if was.Kind != ast.InputObject {
		return
	}
	for _, f := range is.Fields {
		if was.Fields.ForName(f.Name) == nil && f.Type.NonNull && f.DefaultValue == nil {
			c.add("%s.%s must be given now", was.Name, f.Name)
		}
	}
}

func (c *comparison) arguments(where string, was, is ast.ArgumentDefinitionList) {
	for _, a := range was {
		at := where + "(" + a.Name + ")"
		if now := is.ForName(a.Name); now == nil {
			c.add("%s was removed", at)
		} else {
			c.given(at, a.Type, now.Type, a.DefaultValue, now.DefaultValue)
		}
	}
	for _, a := range is {
		if was.ForName(a.Name) == nil && a.Type.NonNull && a.DefaultValue == nil {
			c.add("%s(%s) must be given now", where, a.Name)
		}
	}
}

// given compares what a client gives: whatever was right to give must still be, and leaving it out must mean the same.
func (c *comparison) given(where string, was, is *ast.Type, byDefault, nowByDefault *ast.Value) {
	if !takes(is, was) {
		c.add("%s was %s and is %s", where, was, is)
	}
	if before, now := text(byDefault), text(nowByDefault); before != now {
		c.add("%s was %s if left out and is %s", where, before, now)
	}
}

func text(v *ast.Value) string {
	if v == nil {
		return "nothing"
	}
	return v.String()
}

// answers says whether every answer of type is was possible as was: the same, or what is never null, or one kind of it.
func (c *comparison) answers(is, was *ast.Type) bool {
	if was.NonNull && !is.NonNull || (was.Elem == nil) != (is.Elem == nil) {
		return false
	}
	if was.Elem != nil {
		return c.answers(is.Elem, was.Elem)
	}
	if is.NamedType == was.NamedType {
		return true
	}
	kind := c.after.Types[was.NamedType]
	return kind != nil && kind.IsAbstractType() && slices.ContainsFunc(c.after.GetPossibleTypes(kind), func(d *ast.Definition) bool { return d.Name == is.NamedType })
}

// takes says whether everything that could be given as was can be given as is.
func takes(is, was *ast.Type) bool {
	if is.NonNull && !was.NonNull || (was.Elem == nil) != (is.Elem == nil) {
		return false
	}
	if was.Elem != nil {
		return takes(is.Elem, was.Elem)
	}
	return is.NamedType == was.NamedType
}

// changesFile lists the changes that were meant to break, one a line: what changed as this test says it, and why.
const changesFile = "../docs/schema-changes.md"

var change = regexp.MustCompile("(?m)^- `([^`]+)`(.*)$")

// meant reads the list. An entry without a reason is none.
func meant(file string) (listed map[string]bool, bare []string) {
	listed = map[string]bool{}
	for _, m := range change.FindAllStringSubmatch(file, -1) {
		if len(strings.TrimLeft(m[2], ":—- ")) < 10 {
			bare = append(bare, m[1])
			continue
		}
		listed[m[1]] = true
	}
	return listed, bare
}

// The schema breaks no client of what has landed, unless somebody said that it should and why. RAPPORT_SCHEMA_BASE names the
// commit to compare with; else it is where this branch left main, and on main itself the commit before.
func TestNothingBreaks(t *testing.T) {
	t.Parallel()
	base, ok := baseline(git)
	if !ok {
		testkit.RequireComponent(t, "git-history", "there is nothing to compare schema.graphqls with: a clone of two commits has enough (git fetch --depth 2)")
	}
	old, err := git("show", base+":schema.graphqls")
	if err != nil {
		t.Fatalf("%s has no schema.graphqls to compare with: %v", base, err)
	}
	file, err := os.ReadFile(changesFile)
	if err != nil {
		t.Fatal(err)
	}
	listed, bare := meant(string(file))
	for _, b := range bare {
		t.Errorf("docs/schema-changes.md: %q stands there without a reason", b)
	}
	now, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range breaking(parse(t, old), parse(t, string(now))) {
		if !listed[c] {
			t.Errorf("%s. That breaks clients of %.10s: deprecate it first, or say why in docs/schema-changes.md:\n- `%s`: …", c, base, c)
		}
	}
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	return string(out), err
}

// baseline is the commit whose schema is out there.
func baseline(git func(args ...string) (string, error)) (string, bool) {
	commit := func(args ...string) string {
		out, err := git(args...)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(out)
	}
	if named := os.Getenv("RAPPORT_SCHEMA_BASE"); named != "" {
		return named, true
	}
	head := commit("rev-parse", "--verify", "--quiet", "HEAD")
	landed := cmp.Or(commit("rev-parse", "--verify", "--quiet", "refs/remotes/origin/main"), commit("rev-parse", "--verify", "--quiet", "refs/heads/main"))
	if fork := commit("merge-base", cmp.Or(landed, head), "HEAD"); fork != "" && fork != head {
		return fork, true
	}
	if commit("status", "--porcelain", "--", "../schema.graphqls") != "" {
		return head, head != ""
	}
	before := commit("rev-parse", "--verify", "--quiet", "HEAD~1")
	return before, before != ""
}

const before = `
interface Node { id: ID! }
type Query { client(id: ID!, deep: Boolean = false): Client clients(first: Int = 20, tags: [String!]): [Client!]! thing: Thing any: Node }
type Client implements Node { id: ID! name: String! email: String stage: Stage! tags: [String!]! }
type Robot implements Node { id: ID! }
union Thing = Client | Robot
enum Stage { LEAD ACTIVE }
input Change { id: ID! name: String depth: Int! = 1 }
type Mutation { change(input: Change!): Client }
scalar Day
`

func TestBreakingIsSeen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"a type goes":                    {"scalar Day", "", []string{"Day was removed"}},
		"a type becomes another":         {"scalar Day", "enum Day { MONDAY }", []string{"Day was SCALAR and is ENUM"}},
		"a field goes":                   {"email: String", "", []string{"Client.email was removed"}},
		"a field is renamed":             {"email: String", "mail: String", []string{"Client.email was removed"}},
		"a field may be null":            {"name: String! email", "name: String email", []string{"Client.name was String! and is String"}},
		"an element may be null":         {"tags: [String!]!", "tags: [String]!", []string{"Client.tags was [String!]! and is [String]!"}},
		"a field has another type":       {"email: String", "email: Int", []string{"Client.email was String and is Int"}},
		"one becomes several":            {"email: String", "email: [String!]", []string{"Client.email was String and is [String!]"}},
		"an argument goes":               {", deep: Boolean = false", "", []string{"Query.client(deep) was removed"}},
		"an argument must be given":      {"tags: [String!])", "tags: [String!]!)", []string{"Query.clients(tags) was [String!] and is [String!]!"}},
		"a new argument must be given":   {"first: Int = 20", "first: Int = 20, org: ID!", []string{"Query.clients(org) must be given now"}},
		"a default is another":           {"first: Int = 20", "first: Int = 50", []string{"Query.clients(first) was 20 if left out and is 50"}},
		"a default goes":                 {"deep: Boolean = false", "deep: Boolean", []string{"Query.client(deep) was false if left out and is nothing"}},
		"an input goes":                  {"name: String depth", "depth", []string{"Change.name was removed"}},
		"an input must be given":         {"name: String depth", "name: String! depth", []string{"Change.name was String and is String!"}},
		"a new input must be given":      {"depth: Int! = 1", "depth: Int! = 1 why: String!", []string{"Change.why must be given now"}},
		"an enum value goes":             {"enum Stage { LEAD ACTIVE }", "enum Stage { ACTIVE }", []string{"Stage.LEAD was removed"}},
		"a member of a union goes":       {"Client | Robot", "Client", []string{"Robot is no Thing any more"}},
		"an interface goes":              {"Robot implements Node", "Robot", []string{"Robot is no Node any more"}},
		"a mutation goes, with its type": {"type Mutation { change(input: Change!): Client }", "", []string{"Mutation was removed"}},

		"an optional input is new":     {"depth: Int! = 1", "depth: Int! = 1 why: String", nil},
		"an input with a default":      {"depth: Int! = 1", "depth: Int! = 1 why: String! = \"\"", nil},
		"an optional argument is new":  {"first: Int = 20", "first: Int = 20, after: String", nil},
		"an argument may be left out":  {"client(id: ID!", "client(id: ID", nil},
		"a field is never null now":    {"email: String", "email: String!", nil},
		"a field answers one kind":     {"any: Node", "any: Robot!", nil},
		"a value, a member and a type": {"enum Stage { LEAD ACTIVE }", "enum Stage { LEAD ACTIVE GONE } type Extra { a: Int }", nil},
		"a field is deprecated":        {"email: String", "email: String @deprecated(reason: \"use name\")", nil},
	} {
		if strings.Count(before, tc.old) != 1 {
			t.Fatalf("%s: %q stands %d times in the schema", name, tc.old, strings.Count(before, tc.old))
		}
		got := breaking(parse(t, before), parse(t, strings.Replace(before, tc.old, tc.new, 1)))
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestMeantChanges(t *testing.T) {
	t.Parallel()
	listed, bare := meant("# Changes\n\n- `Client.email was removed`: an address says who somebody is.\n- `Day was removed`\n- `Stage.LEAD was removed`: \n")
	if !listed["Client.email was removed"] || len(listed) != 1 || !slices.Equal(bare, []string{"Day was removed", "Stage.LEAD was removed"}) {
		t.Errorf("listed %v, without a reason %v", listed, bare)
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	if os.Getenv("RAPPORT_SCHEMA_BASE") != "" {
		t.Skip("RAPPORT_SCHEMA_BASE is set")
	}
	for name, tc := range map[string]struct {
		answers map[string]string
		want    string
	}{
		"a branch":                  {map[string]string{"HEAD": "b2", "refs/heads/main": "m3", "merge-base m3 HEAD": "m1"}, "m1"},
		"a branch of a clone":       {map[string]string{"HEAD": "b2", "refs/remotes/origin/main": "m3", "refs/heads/main": "m0", "merge-base m3 HEAD": "m1"}, "m1"},
		"main, and nothing else":    {map[string]string{"HEAD": "m3", "refs/remotes/origin/main": "m3", "merge-base m3 HEAD": "m3", "HEAD~1": "m2"}, "m2"},
		"main, changed":             {map[string]string{"HEAD": "m3", "refs/heads/main": "m3", "merge-base m3 HEAD": "m3", "HEAD~1": "m2", "status": " M schema.graphqls"}, "m3"},
		"a commit without a branch": {map[string]string{"HEAD": "m3", "merge-base m3 HEAD": "m3", "HEAD~1": "m2"}, "m2"},
		"a clone of one commit":     {map[string]string{"HEAD": "m3", "refs/heads/main": "m3", "merge-base m3 HEAD": "m3"}, ""},
		"no history":                {nil, ""},
	} {
		got, ok := baseline(func(args ...string) (string, error) {
			asked := map[string]string{"rev-parse": args[len(args)-1], "status": "status"}[args[0]]
			if answer, ok := tc.answers[cmp.Or(asked, strings.Join(args, " "))]; ok {
				return answer + "\n", nil
			}
			return "", os.ErrNotExist
		})
		if got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: compared with %q, want %q", name, got, tc.want)
		}
	}
}
