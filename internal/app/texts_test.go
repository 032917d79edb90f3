package app_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// texts are fields of inputs that hold several lines, and keep all that a text can hold.
var texts = strings.Fields(`question query body description note notes PublishConsentTextInput.text`)

// notWords are fields of inputs that hold no words of people: what is no such thing is refused.
var notWords = strings.Fields(`email timeZone sha256 color slug language quietFrom quietUntil confirm token`)

// untargeted are the mutations that change nothing there is already, and that take words: who may make them, and what else they need.
var untargeted = map[string][2]string{
	"createClient":       {apptest.Coach, `name: "Nadia Berg"`},
	"ask":                {apptest.Coach, `question: "What was said?"`},
	"createSavedFilter":  {apptest.Coach, `name: "Held", filter: {statuses: [COMPLETED]}`},
	"createSavedSearch":  {apptest.Coach, `name: "Sundays", query: "boundary"`},
	"publishConsentText": {apptest.Owner, `scope: RECORDING, text: "As agreed."`},
	"updateProfile":      {apptest.Coach, ``},
	"inviteMember":       {apptest.Owner, `email: "nadia@berg.example", roles: [COACH]`},
	"acceptInvitation":   {apptest.Coach, `token: "none"`},
}

// answersAnyway are mutations that cannot be made again and again, and say so whatever the text: theirs are read back in tests of their own.
var answersAnyway = strings.Fields(`startLiveSession appendLiveUtterances acceptInvitation reopenEngagement cancelSession acceptInsightAsAction splitSpeaker updateTag`)

// versions finds the version that a change must name.
var versions = map[string]string{
	"goal": `SELECT version FROM goals WHERE id = $1`, "action": `SELECT version FROM action_items WHERE id = $1`, "note": `SELECT version FROM notes WHERE id = $1`,
}

// TestTextsOfEveryInput writes into every text of every mutation what nobody expects there, as somebody who may do it. Either
// it is refused with the name of the field, or it is kept; markup is text like any other, and nothing is ever half-written.
func TestTextsOfEveryInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	schema := readSchema(t)
	const big = 900_000 // just below what a request may hold
	hostile := []struct {
		name, text string
		refused    bool // in one line of words
		anywhere   bool // and in several; else it is kept
	}{
		{"markup", `<script>alert("x")</script> & 'b' \ %s {{.}}`, false, false},
		{"right-to-left and emoji", "میخواهم 👩‍💻 שלום", false, false},
		{"NUL", "a\x00b", true, true},
		{"control characters", "a\x07\x1b[1m\tb", false, false},
		{"text turned round", "safe\u202efdp.exe", false, false},
		{"two lines", "a\r\nBcc: b", true, false},
		{"a megabyte", strings.Repeat("long ", big/5), true, true},
	}
	tried, kept := 0, 0
	// A guest, who has not consented, comes last.
	order := slices.Clone(schema.Mutation.Fields)
	slices.SortStableFunc(order, func(a, b *ast.FieldDefinition) int {
		return strings.Compare(map[bool]string{true: "last"}[a.Name == "addParticipant"], map[bool]string{true: "last"}[b.Name == "addParticipant"])
	})
	for _, mutation := range order {
		m := mutations[mutation.Name]
		input := schema.Types[mutation.Arguments.ForName("input").Type.Name()]
		for _, field := range input.Fields {
			if field.Type.Name() != "String" || field.Type.Elem != nil || input.Name == "ImportTranscriptInput" && field.Name == "content" {
				continue
			}
			v, key := w.mayDo(mutation.Name)
			if free, ok := untargeted[mutation.Name]; ok {
				v = w.viewers[slices.IndexFunc(w.viewers, func(v *viewer) bool { return v.who == free[0] })]
				m.input = free[1]
			}
			if v == nil {
				t.Errorf("nobody may %s anything: say who in untargeted", mutation.Name)
				continue
			}
			tried++
			several := slices.Contains(texts, field.Name) || slices.Contains(texts, input.Name+"."+field.Name)
			rest := regexp.MustCompile(`\b`+field.Name+`: ("[^"]*"|[A-Z]+),? *`).ReplaceAllString(m.input, "")
			for n, h := range hostile {
				rest := rest
				search := strings.HasSuffix(input.Name, "SavedSearchInput") // whose names are taken by the filters before
				if search {
					rest = regexp.MustCompile(`\bname: "[^"]*"`).ReplaceAllString(rest, fmt.Sprintf("name: \"%s %d\"", field.Name, n))
				}
				if strings.Contains(rest, "expectedVersion") {
					prefix, u, err := id.Parse(key)
					if err != nil {
						t.Fatal(err)
					}
					rest = regexp.MustCompile(`expectedVersion: \d+`).ReplaceAllString(rest, fmt.Sprint("expectedVersion: ", value[int](t, w.env, versions[prefix], u)))
				}
				target := ""
				if strings.Contains(rest, "$id") {
					target = "$id: ID!, "
				}
				query := fmt.Sprintf("mutation("+target+"$text: String!) { %s(input: {%s %s: $text}) { __typename userErrors { code field message } } }", mutation.Name, rest, field.Name)
				h.refused = h.anywhere || h.refused && !several
				var before map[string]int
				if h.refused {
					before = rowCounts(t, w.env)
				}
				r := v.client.Do(t, query, apptest.Vars{"id": key, "text": h.text})
				var out map[string]struct{ UserErrors []userError }
				if r.Code() == "" {
					r.Into(t, &out)
				}
				errs := out[mutation.Name].UserErrors
				named := slices.ContainsFunc(errs, func(e userError) bool {
					return e.Field == field.Name && e.Message != "" && e.Code != "NAME_TAKEN" // which is a name that was understood
				})
				switch {
				case r.Code() != "":
					t.Errorf("%s in %s.%s: %.300s", h.name, input.Name, field.Name, r.Body)
				case h.refused && !named:
					t.Errorf("%s in %s.%s is not refused by name: %.300s", h.name, input.Name, field.Name, r.Body)
				case !h.refused && named && !slices.Contains(notWords, field.Name):
					t.Errorf("%s in %s.%s is refused: %.300s", h.name, input.Name, field.Name, r.Body)
				case search && field.Name == "name" && len(errs) == 1 && errs[0].Code == "NAME_TAKEN":
				case !h.refused && len(errs) > 0 && !named && !slices.Contains(answersAnyway, mutation.Name):
					t.Errorf("%s in %s.%s does not come to be kept: %s", h.name, input.Name, field.Name, briefly(errs))
				case !named:
					kept++
				}
				if h.refused {
					sameRows(t, before, rowCounts(t, w.env))
				}
			}
		}
	}
	if tried < 15 || kept < 15 {
		t.Errorf("only %d texts were tried, %d kept", tried, kept)
	}
	t.Logf("%d texts, %d kept", tried, kept)
}

// TestTextsOfEveryQuestion asks with texts that nothing can match, in every argument and filter that takes text.
func TestTextsOfEveryQuestion(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	schema := readSchema(t)
	coach := env.Login(t, apptest.Coach)
	asked := 0
	ask := func(field *ast.FieldDefinition, argument, text string) {
		asked++
		selection := "{__typename}"
		if !schema.Types[field.Type.Name()].IsCompositeType() {
			selection = ""
		}
		r := coach.Do(t, fmt.Sprintf("query($text: String!) { %s(%s) %s }", field.Name, argument, selection), apptest.Vars{"text": text})
		if code := r.Code(); code != "" && code != "INVALID" && code != "NOT_FOUND" && code != "CURSOR_LOST" {
			t.Errorf("%s(%s) with %.100q: %.300s", field.Name, argument, text, r.Body)
		}
	}
	for _, field := range schema.Query.Fields {
		for _, argument := range field.Arguments {
			d := schema.Types[argument.Type.Name()]
			for _, text := range []string{"\x00", "a\x00b", "\u202e", "%", `\`, "'", "", strings.Repeat("x", 900_000)} {
				if d.Name == "String" {
					ask(field, argument.Name+": $text"+beside(field, argument), text)
				}
				for _, f := range d.Fields {
					if d.Kind == ast.InputObject && f.Type.Name() == "String" && !demands(d, f.Name) {
						value := "$text"
						if f.Type.Elem != nil {
							value = "[$text]"
						}
						ask(field, fmt.Sprintf("%s: {%s: %s}", argument.Name, f.Name, value), text)
					}
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d questions were asked", asked)
	}
}

// beside writes the other arguments that a field must have, where they are texts.
func beside(field *ast.FieldDefinition, argument *ast.ArgumentDefinition) (others string) {
	for _, a := range field.Arguments {
		if a.Name != argument.Name && a.Type.String() == "String!" && a.DefaultValue == nil {
			others += ", " + a.Name + `: "x"`
		}
	}
	return others
}

// demands says whether an input needs another field beside this one.
func demands(d *ast.Definition, name string) bool {
	return slices.ContainsFunc(d.Fields, func(f *ast.FieldDefinition) bool {
		return f.Name != name && f.Type.NonNull && f.DefaultValue == nil
	})
}

// mayDo finds somebody who may make a change, and the id of what they may change.
func (w *world) mayDo(mutation string) (*viewer, string) {
	m := mutations[mutation]
	for _, v := range w.viewers {
		for _, f := range w.facts {
			if f = w.of(v, f.id); slices.Contains(strings.Fields(m.target), f.typ) &&
				slices.ContainsFunc(grants(v, f), func(r relation) bool { return slices.Contains(m.may, r) }) {
				return v, f.id
			}
		}
	}
	return nil, ""
}
