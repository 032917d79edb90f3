package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

type noteSaved struct {
	Note *struct {
		ID, Body, Visibility string
		Version              *int
	}
	Conflict *struct {
		Yours, Theirs, Base string
		Version             int
	}
	UserErrors []userError
}

func saveNote(t testing.TB, c *apptest.Client, input apptest.Vars) noteSaved {
	t.Helper()
	var out struct{ SaveNote noteSaved }
	c.Must(t, `mutation($input: SaveNoteInput!) { saveNote(input: $input) {
		note {id body visibility version} conflict {yours theirs base version} userErrors {code field message} } }`, apptest.Vars{"input": input}, &out)
	return out.SaveNote
}

// bodies are the words of a note's versions that somebody sees, latest first.
func bodies(t testing.TB, c *apptest.Client, note string) (words []string) {
	t.Helper()
	var out struct {
		Node *struct {
			Versions struct {
				TotalCount int
				Nodes      []struct{ Body string }
			}
		}
	}
	c.Must(t, `query($id: ID!) { node(id: $id) { ... on Note { versions(first: 100) { totalCount nodes { body } } } } }`, apptest.Vars{"id": note}, &out)
	if out.Node == nil {
		return nil
	}
	for _, v := range out.Node.Versions.Nodes {
		words = append(words, v.Body)
	}
	if len(words) != out.Node.Versions.TotalCount {
		t.Errorf("%d versions came, and %d are counted", len(words), out.Node.Versions.TotalCount)
	}
	return words
}

// A note keeps every version; what stands against a save comes back with it, and an earlier version can be brought back.
func TestNoteVersions(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	note := does(t, ruth, "createNote", "note", "id", apptest.Vars{"entityId": amara2.id(t, env), "body": "  one *word*\n"})["id"].(string)
	if got := saveNote(t, ruth, apptest.Vars{"id": note, "expectedVersion": 1, "body": "two words"}); got.Note == nil || *got.Note.Version != 2 {
		t.Fatalf("saved %+v", got)
	}
	stale := saveNote(t, ruth, apptest.Vars{"id": note, "expectedVersion": 1, "body": "other words", "visibility": "SHARED_WITH_ORG"})
	if stale.Note != nil || briefly(stale.UserErrors) != "CONFLICT " || stale.Conflict == nil {
		t.Fatalf("a save from version 1 gives %+v", stale)
	}
	if c := *stale.Conflict; c.Yours != "other words" || c.Theirs != "two words" || c.Base != "  one *word*\n" || c.Version != 2 {
		t.Errorf("the conflict is %+v", c)
	}
	if got := saveNote(t, ruth, apptest.Vars{"id": note, "expectedVersion": 2, "body": "two words"}); *got.Note.Version != 2 {
		t.Errorf("saving what is there makes version %d", *got.Note.Version)
	}
	for _, wrong := range []int{0, 3, -1} {
		if got := saveNote(t, ruth, apptest.Vars{"id": note, "expectedVersion": wrong, "body": "x"}); briefly(got.UserErrors) != "INVALID expectedVersion" || got.Conflict != nil {
			t.Errorf("expecting %d gives %+v", wrong, got)
		}
	}
	first := one(t, env, "noteversion", `SELECT id FROM note_versions WHERE note_id = $1 AND number = 1`, uuid(t, note))
	does(t, ruth, "restoreNoteVersion", "note", "id", apptest.Vars{"versionId": first, "expectedVersion": 2})
	if got := bodies(t, ruth, note); !slices.Equal(got, []string{"  one *word*\n", "two words", "  one *word*\n"}) {
		t.Errorf("the versions are %q", got)
	}
	if got := change(t, ruth, "restoreNoteVersion", "note", "id", apptest.Vars{"versionId": first, "expectedVersion": 1}); got.entity != nil {
		t.Error("a version is restored over one that was not expected")
	}
	does(t, ruth, "deleteNote", "note", "id body", apptest.Vars{"id": note})
	if n := value[int](t, env, `SELECT count(*) FROM note_versions WHERE note_id = $1`, uuid(t, note)); n != 0 || bodies(t, ruth, note) != nil {
		t.Errorf("%d versions of the deleted note are left", n)
	}
	if r := ruth.Do(t, `mutation($input: SaveNoteInput!) { saveNote(input: $input) { note { id } } }`,
		apptest.Vars{"input": apptest.Vars{"id": note, "expectedVersion": 3, "body": "x"}}); r.Code() != "NOT_FOUND" {
		t.Errorf("saving the deleted note gives %s", r.Body)
	}
}

// What was private stays private when the note is shared, and what was withdrawn does not come back.
func TestNoteSharing(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth, amara, helen, ines := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser), env.Login(t, apptest.Owner), env.Login(t, apptest.Supervisor)
	const unnamed = `SELECT count(*) FROM audit_events WHERE action LIKE 'note.%' AND kind = 'user' AND client_id IS NULL`
	before := value[int](t, env, unnamed)
	note := does(t, ruth, "createNote", "note", "id", apptest.Vars{"entityId": amara2.id(t, env), "body": "draft"})["id"].(string)
	for i, step := range []struct {
		body, visibility   string
		client, supervisor []string // that they see then
	}{
		{"draft", "SHARED_WITH_CLIENT", []string{"draft"}, nil}, // the same words, from now on for the client too
		{"better", "SHARED_WITH_ORG", []string{"better", "draft"}, []string{"better"}},
		{"best", "SHARED_WITH_CLIENT", []string{"best", "better", "draft"}, nil},
		{"best", "SHARED_WITH_ORG", []string{"best", "best", "better", "draft"}, []string{"best"}},
		{"regret", "PRIVATE", nil, nil},
		{"afterthought", "PRIVATE", nil, nil},
		{"clean", "SHARED_WITH_ORG", []string{"clean"}, []string{"clean"}},
	} {
		if got := saveNote(t, ruth, apptest.Vars{"id": note, "expectedVersion": i + 1, "body": step.body, "visibility": step.visibility}); got.Note == nil || got.Note.Visibility != step.visibility {
			t.Fatalf("step %d: %+v", i, got)
		}
		for who, see := range map[string][]string{"client": step.client, "supervisor": step.supervisor, "owner": step.supervisor} {
			c := map[string]*apptest.Client{"client": amara, "supervisor": ines, "owner": helen}[who]
			if got := bodies(t, c, note); !slices.Equal(got, see) {
				t.Errorf("step %d: the %s sees %q, want %q", i, who, got, see)
			}
		}
		if got := bodies(t, ruth, note); len(got) != i+2 {
			t.Errorf("step %d: the author sees %q", i, got)
		}
	}
	// The trail tells of no note while it is private.
	if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE entity_id = $1`, uuid(t, note)); n != 5 {
		t.Errorf("%d of the changes name the note, the 5 that leave it shared should", n)
	}
	if n := value[int](t, env, unnamed) - before; n != 3 {
		t.Errorf("%d of the changes name their author alone, the 3 that leave it private should", n)
	}
	// The client's next coach gets what was shared, and not the rest.
	sql(t, env, `UPDATE engagements SET coach_id = $1 WHERE title = $2`, uuid(t, one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.Coach2)), amara2.engagement)
	if got := bodies(t, env.Login(t, apptest.Coach2), note); !slices.Equal(got, []string{"clean"}) {
		t.Errorf("the next coach sees %q", got)
	}
	// And who has lost the client has nothing more to share, but keeps their own.
	own := does(t, amara, "createNote", "note", "id", apptest.Vars{"entityId": amara2.id(t, env), "body": "mine"})["id"].(string)
	sql(t, env, `UPDATE clients SET user_id = NULL WHERE user_id IS NOT NULL`)
	if got := saveNote(t, amara, apptest.Vars{"id": own, "expectedVersion": 1, "body": "ours", "visibility": "SHARED_WITH_CLIENT"}); briefly(got.UserErrors) != "INVALID visibility" {
		t.Errorf("who is no client any more shares: %+v", got)
	}
	if got := bodies(t, amara, own); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("the author sees %q", got)
	}
}

func TestNoteInput(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth, amara, ines := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser), env.Login(t, apptest.Supervisor)
	session := amara2.id(t, env)
	stranger := one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.Lumen)
	known := one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.ClientUser)
	before := rowCounts(t, env)
	for name, tc := range map[string]struct {
		c     *apptest.Client
		input apptest.Vars
		want  string
	}{
		"nothing":                      {ruth, apptest.Vars{"body": " \u200b\n"}, "INVALID body"},
		"too long":                     {ruth, apptest.Vars{"body": strings.Repeat("x", 100_001)}, "INVALID body"},
		"far too long":                 {ruth, apptest.Vars{"body": strings.Repeat("ü", 400_000)}, "INVALID body"},
		"a control character":          {ruth, apptest.Vars{"body": "a\x00b"}, "INVALID body"},
		"a client to the organization": {amara, apptest.Vars{"body": "x", "visibility": "SHARED_WITH_ORG"}, "INVALID visibility"},
		"a supervisor to the client":   {ines, apptest.Vars{"body": "x", "visibility": "SHARED_WITH_CLIENT"}, "INVALID visibility"},
		"a stranger named":             {ruth, apptest.Vars{"body": "x", "mentionIds": []string{known, stranger}}, "INVALID mentionIds.1"},
		"too many named":               {ruth, apptest.Vars{"body": "x", "mentionIds": slices.Repeat([]string{known}, 21)}, "INVALID mentionIds"},
		"about nothing":                {ruth, apptest.Vars{"body": "x", "entityId": known}, "INVALID entityId"},
		"all at once":                  {amara, apptest.Vars{"body": "", "visibility": "SHARED_WITH_ORG", "mentionIds": []string{stranger}}, "INVALID body, INVALID visibility, INVALID mentionIds.0"},
	} {
		if tc.input["entityId"] == nil {
			tc.input["entityId"] = session
		}
		var out struct{ CreateNote noteSaved }
		tc.c.Must(t, `mutation($input: CreateNoteInput!) { createNote(input: $input) { note {id} userErrors {code field message} } }`, apptest.Vars{"input": tc.input}, &out)
		if got := briefly(out.CreateNote.UserErrors); got != tc.want || out.CreateNote.Note != nil {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		for _, e := range out.CreateNote.UserErrors {
			if len(e.Message) > 120 {
				t.Errorf("%s: %.200s", name, e.Message)
			}
		}
	}
	sameRows(t, before, rowCounts(t, env))
	// What is right is kept to the byte.
	body := "\n    code <script>alert('x')</script>\r\n\tשלום \u200f👩\u200d💻 \u202e\x07\v\u00ad " + strings.Repeat("ü", 49_900) + "  \n"
	got := does(t, ruth, "createNote", "note", "id body mentions {id} session {id} author {name}",
		apptest.Vars{"entityId": session, "body": body, "mentionIds": []string{known, known}})
	if got["body"] != body || len(got["mentions"].([]any)) != 1 {
		t.Errorf("%d bytes came back of %d, %v are named", len(got["body"].(string)), len(body), got["mentions"])
	}
	// Mentions stay unless others are given.
	note := got["id"].(string)
	for i, step := range []struct {
		mentions any
		want     int
	}{{nil, 1}, {[]string{}, 0}, {[]string{known}, 1}} {
		input := apptest.Vars{"id": note, "expectedVersion": i + 1, "body": fmt.Sprint(i)}
		if step.mentions != nil {
			input["mentionIds"] = step.mentions
		}
		saveNote(t, ruth, input)
		if n := value[int](t, env, `SELECT count(*) FROM note_mentions WHERE note_id = $1`, uuid(t, note)); n != step.want {
			t.Errorf("step %d: %d are named, want %d", i, n, step.want)
		}
	}
}

// Of fifty who save at once from the same version each either makes a version or is told of what is there: none is lost.
func TestNoteWriters(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth := env.Login(t, apptest.Coach)
	note := does(t, ruth, "createNote", "note", "id", apptest.Vars{"entityId": amara2.id(t, env), "body": "begun"})["id"].(string)
	const writers = 50
	saved, told := make([]bool, writers), make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			// Each goes on from what stands in the way until its words are in.
			body, version := fmt.Sprintf("words of %d", i), 1
			for !saved[i] {
				visibility := []string{"PRIVATE", "SHARED_WITH_CLIENT", "SHARED_WITH_ORG"}[i%3]
				got := saveNote(t, ruth, apptest.Vars{"id": note, "expectedVersion": version, "body": body, "visibility": visibility})
				switch {
				case got.Note != nil && got.Conflict == nil: // which shows the words of whoever came next, perhaps
					saved[i] = true
				case got.Conflict != nil && got.Conflict.Yours == body && got.Conflict.Version > version:
					version = got.Conflict.Version
					told[i]++
				default:
					t.Errorf("writer %d: %+v", i, got)
					return
				}
			}
		})
	}
	wg.Wait()
	got := bodies(t, ruth, note)
	if len(got) != writers+1 {
		t.Errorf("there are %d versions of %d writers", len(got), writers)
	}
	conflicts := 0
	for i := range writers {
		conflicts += told[i]
		if !slices.Contains(got, fmt.Sprintf("words of %d", i)) {
			t.Errorf("the words of %d are lost", i)
		}
	}
	if conflicts == 0 {
		t.Error("nobody was ever in another's way: the test says nothing")
	}
	// No version is shared more widely than the note.
	if n := value[int](t, env, `SELECT count(*) FROM note_versions nv JOIN notes n ON n.id = nv.note_id
		WHERE array_position(ARRAY['PRIVATE', 'SHARED_WITH_CLIENT', 'SHARED_WITH_ORG'], nv.visibility)
			> array_position(ARRAY['PRIVATE', 'SHARED_WITH_CLIENT', 'SHARED_WITH_ORG'], n.visibility)`); n != 0 {
		t.Errorf("%d versions are shared more widely than their note", n)
	}
	if top := value[int](t, env, `SELECT version FROM notes WHERE id = $1`, uuid(t, note)); top != writers+1 {
		t.Errorf("the note is at version %d", top)
	}
}
