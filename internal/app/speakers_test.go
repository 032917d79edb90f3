package app_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// corrected is a transcript that is being corrected by its coach.
type corrected struct {
	t       testing.TB
	env     *apptest.Env
	coach   *apptest.Client
	session string
	id      string
}

// correcting imports a conversation for the coach to correct.
func correcting(t testing.TB, env *apptest.Env, content string) *corrected {
	t.Helper()
	c := &corrected{t: t, env: env, coach: env.Login(t, apptest.Coach), session: amara5.id(t, env)}
	c.id = imports(t, c.coach, c.session, content)
	env.Work(t)
	return c
}

// voices is a conversation of the demo in which the client's lines are written down as several speakers' in turn, and nobody
// has a name: "Speaker 1" is the coach.
func voices(t testing.TB, clients int) string {
	t.Helper()
	text, n := strings.ReplaceAll(conversation(t), "Ruth C. (Harbor Coaching):", "Speaker 1:"), 0
	for before, after, more := strings.Cut(text, "Jonas Lindqvist:"); more; before, after, more = strings.Cut(text, "Jonas Lindqvist:") {
		text = fmt.Sprintf("%sSpeaker %d:%s", before, 2+n/5%clients, after)
		n++
	}
	return text
}

// speaker is the id of the speaker of that ordinal.
func (c *corrected) speaker(ordinal int) string {
	c.t.Helper()
	return one(c.t, c.env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 AND ordinal = $2`, uuid(c.t, c.id), ordinal)
}

// lines are the ids of the first lines of a speaker.
func (c *corrected) lines(speaker string, n int) (ids []string) {
	c.t.Helper()
	for i := range n {
		ids = append(ids, one(c.t, c.env, "utterance", `SELECT id FROM utterances WHERE speaker_id = $1 ORDER BY index OFFSET $2 LIMIT 1`, uuid(c.t, speaker), i))
	}
	return ids
}

// do makes an edit and returns its id.
func (c *corrected) do(name string, input apptest.Vars) string {
	c.t.Helper()
	return does(c.t, c.coach, name, "edit", "id", input)["id"].(string)
}

func (c *corrected) undo(edit string) {
	c.t.Helper()
	c.do("undoTranscriptEdit", apptest.Vars{"editId": edit})
}

// refused makes an edit that must not be made, and compares code and field.
func (c *corrected) refused(name string, input apptest.Vars, want string) changed {
	c.t.Helper()
	got := change(c.t, c.coach, name, "edit", "id", input)
	answer := got.response.Code()
	if answer == "" {
		answer = briefly(got.userErrors)
	}
	if answer != want {
		c.t.Errorf("%s %.200v: %.500s, want %s", name, input, got.response.Body, want)
	}
	return got
}

// words is all that edits can change.
func (c *corrected) words() string {
	c.t.Helper()
	return value[string](c.t, c.env, `SELECT concat_ws(E'\n',
		(SELECT string_agg(to_jsonb(s)::text, E'\n' ORDER BY ordinal) FROM speakers s WHERE transcript_id = $1),
		(SELECT string_agg(to_jsonb(u)::text, E'\n' ORDER BY index) FROM utterances u WHERE transcript_id = $1),
		(SELECT string_agg(to_jsonb(r)::text, E'\n' ORDER BY r.id) FROM utterance_revisions r JOIN utterances u ON u.id = r.utterance_id WHERE u.transcript_id = $1))`,
		uuid(c.t, c.id))
}

// results is all that is found in it, and in which state it is.
func (c *corrected) results() string {
	c.t.Helper()
	return value[string](c.t, c.env, `SELECT concat_ws(E'\n', (SELECT status FROM transcripts WHERE id = $1),
		(SELECT measures FROM session_metrics m JOIN analysis_runs r ON r.id = m.run_id AND r.status = 'SUCCEEDED' WHERE m.transcript_id = $1),
		(SELECT string_agg(to_jsonb(i)::text, E'\n' ORDER BY ordinal, id) FROM insights i WHERE transcript_id = $1 AND retracted_at IS NULL),
		(SELECT string_agg(to_jsonb(c)::text, E'\n' ORDER BY c.id) FROM citations c JOIN insights i ON i.id = c.insight_id WHERE c.transcript_id = $1 AND i.retracted_at IS NULL))`,
		uuid(c.t, c.id))
}

func (c *corrected) same(what, got, want string) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("%s:\n%.3000s", what, difference(got, want))
	}
}

// view is a transcript as its coach sees it.
type view struct {
	Status   string
	Speakers []struct {
		ID, Label, DisplayName, Role string
		RoleConfidence               *float64
		RoleReason                   *string
		Remembered                   bool
	}
	SpeakerQuestion *struct {
		Message  string
		Speakers []struct {
			Speaker       struct{ ID string }
			SuggestedRole string
			Confidence    *float64
			Reason        *string
		}
	}
	Metrics struct {
		Coach, Client *struct{ WordCount int }
		Speakers      []struct {
			Speaker   *struct{ ID string }
			Role      string
			WordCount int
		}
	}
	Edits struct {
		TotalCount int
		Nodes      []struct {
			ID, Kind, At   string
			Undone         bool
			UndoneAt       *string
			Author         struct{ Name string }
			Speakers       []struct{ ID string }
			UtteranceCount int
			Transcript     struct{ ID string }
		}
	}
	AnalysisRuns struct{ Nodes []struct{ Status string } }
}

func (c *corrected) view() (v view) {
	c.t.Helper()
	var out struct{ Transcript view }
	c.coach.Must(c.t, `query($id: ID!) {transcript(id: $id) {
		status speakers {id label displayName role roleConfidence roleReason remembered}
		speakerQuestion {message speakers {speaker {id} suggestedRole confidence reason}}
		metrics {coach {wordCount} client {wordCount} speakers {speaker {id} role wordCount}}
		edits(first: 100) {totalCount nodes {id kind at undone undoneAt author {name} speakers {id} utteranceCount transcript {id}}}
		analysisRuns(first: 100) {nodes {status}}
	}}`, apptest.Vars{"id": c.id}, &out)
	return out.Transcript
}

func (v view) roles() string {
	var all []string
	for _, s := range v.Speakers {
		all = append(all, s.Role)
	}
	return strings.Join(all, " ")
}

// kinds are those of the insights that stand.
func (c *corrected) kinds() []string {
	c.t.Helper()
	return strings.Fields(value[string](c.t, c.env, `SELECT coalesce(string_agg(DISTINCT kind, ' ' ORDER BY kind), '') FROM insights
		WHERE transcript_id = $1 AND retracted_at IS NULL`, uuid(c.t, c.id)))
}

// Where nobody can tell who is who, the coach is asked, and what depends on it waits. The answer starts a run that ends in READY.
func TestSpeakersAreAskedAbout(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	c := correcting(t, env, voices(t, 2))
	asked := c.view()
	if asked.Status != "NEEDS_SPEAKERS" || asked.roles() != "UNKNOWN UNKNOWN UNKNOWN" || asked.SpeakerQuestion == nil || len(asked.SpeakerQuestion.Speakers) != 3 || asked.SpeakerQuestion.Message == "" {
		t.Fatalf("asked: %+v", asked)
	}
	for i, s := range asked.SpeakerQuestion.Speakers {
		if s.Speaker.ID != asked.Speakers[i].ID || s.SuggestedRole != "UNKNOWN" || s.Confidence == nil || *s.Confidence != 0 || s.Reason == nil {
			t.Errorf("asked about %+v", s)
		}
	}
	// What needs no roles is there, and nothing that needs them.
	if m := asked.Metrics; m.Coach != nil || m.Client != nil || len(m.Speakers) != 3 || m.Speakers[1].WordCount == 0 || m.Speakers[1].Speaker.ID != asked.Speakers[1].ID {
		t.Errorf("measures without roles: %+v", m)
	}
	roleFree := []string{"COMMITMENT", "RISK_FLAG", "THEME"}
	before := c.kinds()
	if len(before) == 0 || slices.ContainsFunc(before, func(k string) bool { return !slices.Contains(roleFree, k) }) {
		t.Errorf("found without roles: %v", before)
	}
	without := c.results()

	// The answer.
	roles := []apptest.Vars{{"speakerId": c.speaker(0), "role": "COACH"}, {"speakerId": c.speaker(1), "role": "CLIENT"}, {"speakerId": c.speaker(2), "role": "CLIENT"}}
	edit := c.do("confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": roles})
	env.Work(t)
	answered := c.view()
	if answered.Status != "READY" || answered.roles() != "COACH CLIENT CLIENT" || answered.SpeakerQuestion != nil || answered.Metrics.Coach == nil || answered.Metrics.Client == nil {
		t.Errorf("answered: %+v", answered)
	}
	for _, s := range answered.Speakers {
		if s.RoleConfidence != nil || s.RoleReason != nil {
			t.Errorf("a person's word is not a suggestion: %+v", s)
		}
	}
	if after := c.kinds(); !slices.ContainsFunc(after, func(k string) bool { return !slices.Contains(roleFree, k) }) {
		t.Errorf("found with roles: %v", after)
	}
	with := c.results()
	if got := change(t, c.coach, "confirmSpeakerRoles", "transcript", "status", apptest.Vars{"transcriptId": c.id, "roles": roles}); got.entity["status"] != "READY" || c.view().Edits.TotalCount != 1 {
		t.Errorf("said twice: %s", got.response.Body)
	}
	// Taken back, it is as it was, and so it is said again.
	c.undo(edit)
	env.Work(t)
	c.same("after the undo", c.results(), without)
	c.do("confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": roles})
	env.Work(t)
	c.same("said again", c.results(), with)
}

// Of two speakers, one's role tells the other's; of three, once two of them are one.
func TestRolesFollow(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	flat := transcriptText(12, func(i int) string { return fmt.Sprintf("This is sentence %d about the garden.", i) })
	flat = strings.NewReplacer("Ruth:", "Speaker 1:", "Amara:", "Speaker 2:").Replace(flat)
	c := correcting(t, env, flat)
	if v := c.view(); v.Status != "NEEDS_SPEAKERS" || v.roles() != "UNKNOWN UNKNOWN" {
		t.Fatalf("at first: %+v", v)
	}
	original := c.words()
	edit := c.do("setSpeakerRole", apptest.Vars{"speakerId": c.speaker(1), "role": "CLIENT"})
	env.Work(t)
	if v := c.view(); v.Status != "READY" || v.roles() != "COACH CLIENT" || v.Speakers[0].RoleConfidence == nil || *v.Speakers[0].RoleConfidence != 0.9 {
		t.Errorf("with one role set: %+v", v)
	}
	c.undo(edit)
	c.same("undone", c.words(), original)
	// A name says it too, and so does the merging of a third.
	c.do("renameSpeaker", apptest.Vars{"speakerId": c.speaker(0), "displayName": "Ruth Calloway"})
	if v := c.view(); v.roles() != "COACH CLIENT" {
		t.Errorf("with the coach's name: %+v", v)
	}
	third := correcting(t, env, voices(t, 2))
	if v := third.view(); v.Status != "NEEDS_SPEAKERS" {
		t.Errorf("three speakers: %+v", v)
	}
	third.do("mergeSpeakers", apptest.Vars{"intoId": third.speaker(1), "ids": []string{third.speaker(2)}})
	env.Work(t)
	if v := third.view(); v.Status != "READY" || v.roles() != "COACH CLIENT" {
		t.Errorf("two of three are one: %+v", v)
	}
}

// The organization may let roles be decided.
func TestSpeakerRolesSetting(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	org := one(t, env, "org", `SELECT id FROM organizations WHERE slug = 'harbor'`)
	owner := env.Login(t, apptest.Owner)
	has(t, does(t, owner, "updateOrganization", "organization", "speakerRoles", apptest.Vars{"id": org}), apptest.Vars{"speakerRoles": "ASK"})
	has(t, does(t, owner, "updateOrganization", "organization", "speakerRoles", apptest.Vars{"id": org, "speakerRoles": "DECIDE"}), apptest.Vars{"speakerRoles": "DECIDE"})
	has(t, does(t, owner, "updateOrganization", "organization", "speakerRoles", apptest.Vars{"id": org}), apptest.Vars{"speakerRoles": "DECIDE"})
	if got := change(t, owner, "updateOrganization", "organization", "id", apptest.Vars{"id": org, "speakerRoles": nil}); briefly(got.userErrors) != "INVALID speakerRoles" {
		t.Errorf("cleared: %s", got.response.Body)
	}
	for who, want := range map[string]string{apptest.Coach: "FORBIDDEN", apptest.Lumen: "NOT_FOUND", "": "UNAUTHENTICATED"} {
		client := env.Anonymous()
		if who != "" {
			client = env.Login(t, who)
		}
		if got := change(t, client, "updateOrganization", "organization", "id", apptest.Vars{"id": org, "speakerRoles": "ASK"}); got.response.Code() != want {
			t.Errorf("by %s: %s", who, got.response.Body)
		}
	}
	c := correcting(t, env, voices(t, 2))
	if v := c.view(); v.Status != "READY" || v.roles() != "UNKNOWN UNKNOWN UNKNOWN" || v.SpeakerQuestion != nil {
		t.Errorf("nothing to decide by: %+v", v)
	}
	// Back to asking, the next analysis asks, although what it reads is the same.
	does(t, owner, "updateOrganization", "organization", "id", apptest.Vars{"id": org, "speakerRoles": "ASK"})
	c.undo(c.do("renameSpeaker", apptest.Vars{"speakerId": c.speaker(0), "displayName": "Somebody"}))
	env.Work(t)
	if v := c.view(); v.Status != "NEEDS_SPEAKERS" || len(v.AnalysisRuns.Nodes) != 1 {
		t.Errorf("asking again: %+v", v)
	}
}

// Each edit does what it says, is in the history, and can be undone.
func TestSpeakerEdits(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	c := correcting(t, env, voices(t, 3))
	original := c.words()
	coach, a, b, d := c.speaker(0), c.speaker(1), c.speaker(2), c.speaker(3)
	total := func(speaker string) int {
		return value[int](t, env, `SELECT count(*) FROM utterances WHERE speaker_id = $1`, uuid(t, speaker))
	}
	inA, inB, inD := total(a), total(b), total(d)

	renamed := c.do("renameSpeaker", apptest.Vars{"speakerId": a, "displayName": " Jonas "})
	merged := change(t, c.coach, "mergeSpeakers", "speaker", "id displayName mergedInto {id}", apptest.Vars{"intoId": a, "ids": []string{b, d, b}})
	has(t, merged.entity, apptest.Vars{"id": a, "displayName": "Jonas", "mergedInto": nil})
	if total(a) != inA+inB+inD || total(b) != 0 || len(c.view().Speakers) != 2 {
		t.Errorf("merged: %d lines, want %d", total(a), inA+inB+inD)
	}
	var node struct {
		Node struct{ MergedInto struct{ ID string } }
	}
	c.coach.Must(t, `query($id: ID!) {node(id: $id) {... on Speaker {mergedInto {id}}}}`, apptest.Vars{"id": b}, &node)
	if node.Node.MergedInto.ID != a {
		t.Errorf("whom it became: %+v", node)
	}
	lines := c.lines(a, 3)
	split := does(t, c.coach, "splitSpeaker", "speaker", "id label displayName role", apptest.Vars{"speakerId": a, "utteranceIds": lines, "displayName": "Petter"})
	has(t, split, apptest.Vars{"label": "Speaker 2", "displayName": "Petter"})
	petter := split["id"].(string)
	if total(petter) != 3 || total(a) != inA+inB+inD-3 {
		t.Errorf("split: %d and %d lines", total(petter), total(a))
	}
	reassigned := c.do("reassignUtterances", apptest.Vars{"speakerId": coach, "utteranceIds": append(lines[:1:1], lines[0])})
	roles := c.do("setSpeakerRole", apptest.Vars{"speakerId": petter, "role": "OTHER"})
	if got := change(t, c.coach, "setSpeakerRole", "speaker", "role", apptest.Vars{"speakerId": petter, "role": "OTHER"}); got.entity["role"] != "OTHER" || c.view().Edits.TotalCount != 5 {
		t.Errorf("what is so already is no edit: %s", got.response.Body)
	}

	v := c.view()
	var kinds []string
	for _, e := range v.Edits.Nodes {
		kinds = append(kinds, fmt.Sprintf("%s %d %d", e.Kind, len(e.Speakers), e.UtteranceCount))
		if e.Undone || e.UndoneAt != nil || e.At == "" || e.Author.Name != "Ruth Calloway" || e.Transcript.ID != c.id {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{"ROLES 1 0", "REASSIGN 2 1", "SPLIT 2 3", fmt.Sprintf("MERGE 3 %d", inB+inD), "RENAME 1 0"}; !slices.Equal(kinds, want) {
		t.Errorf("history %q, want %q", kinds, want)
	}
	env.Work(t)
	if m := c.view().Metrics; len(m.Speakers) != 3 || m.Speakers[2].Speaker == nil || m.Speakers[2].Speaker.ID != petter || m.Speakers[2].Role != "OTHER" {
		t.Errorf("measured: %+v", m)
	}

	for _, e := range []string{roles, reassigned, v.Edits.Nodes[2].ID, v.Edits.Nodes[3].ID, renamed} {
		c.undo(e)
	}
	c.same("all undone", c.words(), original)
	for _, e := range c.view().Edits.Nodes {
		if !e.Undone || e.UndoneAt == nil {
			t.Errorf("undone: %+v", e)
		}
	}
	var gone struct{ Node any }
	if c.coach.Must(t, `query($id: ID!) {node(id: $id) {id}}`, apptest.Vars{"id": petter}, &gone); gone.Node != nil {
		t.Errorf("who was split off is still there: %v", gone)
	}
}

// What cannot be done is told with the field; nothing is written.
func TestSpeakerEditsRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	other := correcting(t, env, conversation(t)) // the coach's own, too
	c := correcting(t, env, voices(t, 2))
	a, b, third := c.speaker(0), c.speaker(1), c.speaker(2)
	foreign := one(t, env, "speaker", `SELECT sp.id FROM speakers sp JOIN transcripts t ON t.id = sp.transcript_id WHERE t.session_id = $1 LIMIT 1`, uuid(t, sofia2.id(t, env)))
	theirs := one(t, env, "utterance", `SELECT id FROM utterances WHERE speaker_id = $1 LIMIT 1`, uuid(t, foreign))
	mine := c.lines(b, 2)
	many := slices.Repeat(mine, 2501)
	gone := c.do("mergeSpeakers", apptest.Vars{"intoId": b, "ids": []string{third}})
	all := c.lines(b, value[int](t, env, `SELECT count(*) FROM utterances WHERE speaker_id = $1`, uuid(t, b)))
	before, was := rowCounts(t, env), c.words()
	for _, tc := range []struct {
		name  string
		input apptest.Vars
		want  string
	}{
		{"renameSpeaker", apptest.Vars{"speakerId": a, "displayName": " "}, "INVALID displayName"},
		{"renameSpeaker", apptest.Vars{"speakerId": a, "displayName": "", "remember": true}, "INVALID displayName, INVALID remember"},
		{"renameSpeaker", apptest.Vars{"speakerId": foreign, "displayName": "x"}, "NOT_FOUND"},
		{"renameSpeaker", apptest.Vars{"speakerId": third, "displayName": "x"}, "MERGED speakerId"},
		{"setSpeakerRole", apptest.Vars{"speakerId": third, "role": "COACH"}, "MERGED speakerId"},
		{"confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": []any{}}, "INVALID roles"},
		{"confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": []apptest.Vars{{"speakerId": a, "role": "COACH"}, {"speakerId": a, "role": "OTHER"}}}, "INVALID roles"},
		{"confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": []apptest.Vars{{"speakerId": a, "role": "COACH"}, {"speakerId": other.speaker(0), "role": "OTHER"}}}, "INVALID roles"},
		{"confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": []apptest.Vars{{"speakerId": a, "role": "COACH"}, {"speakerId": foreign, "role": "OTHER"}}}, "NOT_FOUND"},
		{"confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": []apptest.Vars{{"speakerId": third, "role": "COACH"}}}, "MERGED roles"},
		{"mergeSpeakers", apptest.Vars{"intoId": a, "ids": []string{}}, "INVALID ids"},
		{"mergeSpeakers", apptest.Vars{"intoId": a, "ids": []string{b, a}}, "INVALID ids"},
		{"mergeSpeakers", apptest.Vars{"intoId": a, "ids": []string{b, other.speaker(0)}}, "INVALID ids"},
		{"mergeSpeakers", apptest.Vars{"intoId": a, "ids": []string{foreign}}, "NOT_FOUND"},
		{"mergeSpeakers", apptest.Vars{"intoId": foreign, "ids": []string{a}}, "NOT_FOUND"},
		{"mergeSpeakers", apptest.Vars{"intoId": a, "ids": []string{third}}, "MERGED ids"},
		{"mergeSpeakers", apptest.Vars{"intoId": third, "ids": []string{a}}, "MERGED intoId"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": []string{}, "displayName": "x"}, "INVALID utteranceIds"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": mine, "displayName": ""}, "INVALID displayName"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": append(mine[:1:1], c.lines(a, 1)...), "displayName": "x"}, "INVALID utteranceIds"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": append(mine[:1:1], other.lines(other.speaker(0), 1)...), "displayName": "x"}, "INVALID utteranceIds"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": append(mine[:1:1], theirs), "displayName": "x"}, "NOT_FOUND"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": all, "displayName": "x"}, "INVALID utteranceIds"},
		{"splitSpeaker", apptest.Vars{"speakerId": b, "utteranceIds": many, "displayName": "x"}, "INVALID utteranceIds"},
		{"splitSpeaker", apptest.Vars{"speakerId": third, "utteranceIds": mine, "displayName": "x"}, "MERGED speakerId"},
		{"reassignUtterances", apptest.Vars{"speakerId": a, "utteranceIds": []string{}}, "INVALID utteranceIds"},
		{"reassignUtterances", apptest.Vars{"speakerId": a, "utteranceIds": many}, "INVALID utteranceIds"},
		{"reassignUtterances", apptest.Vars{"speakerId": a, "utteranceIds": []string{theirs}}, "NOT_FOUND"},
		{"reassignUtterances", apptest.Vars{"speakerId": other.speaker(0), "utteranceIds": mine}, "INVALID utteranceIds"},
		{"reassignUtterances", apptest.Vars{"speakerId": third, "utteranceIds": mine}, "MERGED speakerId"},
		{"reviseUtterance", apptest.Vars{"utteranceId": mine[0], "text": "\t"}, "INVALID text"},
		{"reviseUtterance", apptest.Vars{"utteranceId": mine[0], "text": "two\nlines"}, "INVALID text"},
		{"reviseUtterance", apptest.Vars{"utteranceId": mine[0], "text": strings.Repeat("x", 100_001)}, "INVALID text"},
		{"reviseUtterance", apptest.Vars{"utteranceId": theirs, "text": "x"}, "NOT_FOUND"},
		{"undoTranscriptEdit", apptest.Vars{"editId": "edit_01h455vb4pex5vsknk084sn02q"}, "NOT_FOUND"},
		{"undoTranscriptEdit", apptest.Vars{"editId": a}, "INVALID"},
	} {
		c.refused(tc.name, tc.input, tc.want)
	}
	sameRows(t, before, rowCounts(t, env))
	c.same("refused", c.words(), was)
	// With the merge undone, its speaker can be changed again.
	c.undo(gone)
	c.do("renameSpeaker", apptest.Vars{"speakerId": third, "displayName": "x"})
	if log := env.Log.String(); strings.Contains(log, "two\\nlines") || strings.Contains(log, "as his own") {
		t.Error("words are in the log")
	}
}

// A later edit that stands in the way is named, and nothing is undone; one that does not is no obstacle.
func TestUndoConflicts(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	c := correcting(t, env, voices(t, 3))
	coach, a, b, d := c.speaker(0), c.speaker(1), c.speaker(2), c.speaker(3)
	line := c.lines(b, 1)[0]
	n := 0
	fresh := func() string { n++; return fmt.Sprint("New ", n) }
	merge := func(into, from string) string {
		return c.do("mergeSpeakers", apptest.Vars{"intoId": into, "ids": []string{from}})
	}
	rename := func(speaker string) string {
		return c.do("renameSpeaker", apptest.Vars{"speakerId": speaker, "displayName": fresh()})
	}
	role := func(speaker, role string) string {
		return c.do("setSpeakerRole", apptest.Vars{"speakerId": speaker, "role": role})
	}
	give := func(to string) string {
		return c.do("reassignUtterances", apptest.Vars{"speakerId": to, "utteranceIds": []string{line}})
	}
	split := func() (edit, speaker string) {
		edit = c.do("splitSpeaker", apptest.Vars{"speakerId": a, "utteranceIds": c.lines(a, 2), "displayName": "Split"})
		return edit, one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 ORDER BY ordinal DESC LIMIT 1`, uuid(t, c.id))
	}
	revise := func() string {
		return c.do("reviseUtterance", apptest.Vars{"utteranceId": line, "text": fresh()})
	}
	original := c.words()
	for name, sequence := range map[string]func() (first, second string, free bool){
		"renamed twice":                    func() (string, string, bool) { return rename(a), rename(a), false },
		"renamed, then given a role":       func() (string, string, bool) { return rename(a), role(a, "OTHER"), true },
		"two speakers renamed":             func() (string, string, bool) { return rename(a), rename(b), true },
		"a role set twice":                 func() (string, string, bool) { return role(a, "OTHER"), role(a, "CLIENT"), false },
		"roles of two speakers":            func() (string, string, bool) { return role(coach, "COACH"), role(a, "CLIENT"), true },
		"merged, then renamed the one":     func() (string, string, bool) { return merge(a, b), rename(a), true },
		"merged, then merged another":      func() (string, string, bool) { return merge(a, b), merge(a, d), true },
		"merged, then merged on":           func() (string, string, bool) { return merge(a, b), merge(d, a), false },
		"renamed, then merged away":        func() (string, string, bool) { return rename(b), merge(a, b), false },
		"renamed, then merged into":        func() (string, string, bool) { return rename(a), merge(a, b), true },
		"a line given away, then merged":   func() (string, string, bool) { return give(coach), merge(a, b), false }, // b would get it back
		"merged, then a line given away":   func() (string, string, bool) { return merge(a, b), give(coach), false },
		"a line given away twice":          func() (string, string, bool) { return give(coach), give(d), false },
		"a line given away, then revised":  func() (string, string, bool) { return give(coach), revise(), true },
		"revised twice":                    func() (string, string, bool) { return revise(), revise(), false },
		"split, then the new one renamed":  func() (string, string, bool) { e, s := split(); return e, rename(s), false },
		"split, then the new one given to": func() (string, string, bool) { e, s := split(); return e, give(s), false },
		"split, then the old one renamed":  func() (string, string, bool) { e, _ := split(); return e, rename(a), true },
		"split, then merged back":          func() (string, string, bool) { e, s := split(); return e, merge(a, s), false },
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			first, second, free := sequence()
			was := c.words()
			if free {
				c.undo(first)
			} else {
				got := c.refused("undoTranscriptEdit", apptest.Vars{"editId": first}, "CONFLICT editId")
				if len(got.userErrors) == 1 && !strings.Contains(got.userErrors[0].Message, second) {
					t.Errorf("%s does not name %s", got.userErrors[0].Message, second)
				}
				c.same("refused", c.words(), was)
			}
			c.undo(second)
			if !free {
				c.undo(first)
			}
			c.refused("undoTranscriptEdit", apptest.Vars{"editId": first}, "ALREADY_UNDONE editId")
			c.same("both undone", c.words(), original)
		})
	}
	c.t = t
}

// Whatever is edited, undoing all of it, the latest first or as far as it goes in any order, gives exactly what there was;
// and the analysis finds exactly what it had found.
func TestEditsAreUndone(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := correcting(t, env, voices(t, 3)+fmt.Sprintf("\nNOTE copy %d\n", seed))
			random := rand.New(rand.NewPCG(seed, 4711))
			original, results := c.words(), c.results()
			pick := func(all []string) string { return all[random.IntN(len(all))] }
			ids := func(prefix, sql string) (all []string) {
				for _, key := range strings.Fields(value[string](t, env, `SELECT string_agg(x::text, ' ' ORDER BY x) FROM (`+sql+`) q (x)`, uuid(t, c.id))) {
					all = append(all, one(t, env, prefix, `SELECT $1::uuid`, key))
				}
				return all
			}
			lines := ids("utterance", `SELECT id FROM utterances WHERE transcript_id = $1`)
			some := func() (chosen []string) {
				for range 1 + random.IntN(5) {
					chosen = append(chosen, pick(lines))
				}
				return chosen
			}
			var edits []string
			count := map[string]int{}
			for range 25 {
				speakers := ids("speaker", `SELECT id FROM speakers WHERE transcript_id = $1`) // merged ones, too
				name, input := "", apptest.Vars{}
				switch random.IntN(6) {
				case 0:
					name, input = "renameSpeaker", apptest.Vars{"speakerId": pick(speakers), "displayName": pick([]string{"Ruth", "Jonas", "Ada", "Ruth Calloway"})}
				case 1:
					name, input = "setSpeakerRole", apptest.Vars{"speakerId": pick(speakers), "role": pick([]string{"COACH", "CLIENT", "OTHER", "UNKNOWN"})}
				case 2:
					name, input = "mergeSpeakers", apptest.Vars{"intoId": pick(speakers), "ids": []string{pick(speakers)}}
				case 3:
					from := pick(speakers)
					if n := value[int](t, env, `SELECT count(*) FROM utterances WHERE speaker_id = $1`, uuid(t, from)); n > 3 {
						name, input = "splitSpeaker", apptest.Vars{"speakerId": from, "utteranceIds": c.lines(from, 1+random.IntN(3)), "displayName": "New"}
					}
				case 4:
					name, input = "reassignUtterances", apptest.Vars{"speakerId": pick(speakers), "utteranceIds": some()}
				case 5:
					name, input = "reviseUtterance", apptest.Vars{"utteranceId": pick(lines[:3]), "text": pick([]string{"One.", "Another one.", "A third."})}
				}
				if name == "" {
					continue
				}
				r := c.coach.Do(t, fmt.Sprintf(`mutation($input: %sInput!) {made: %s(input: $input) {edit {id} userErrors {code}}}`, strings.ToUpper(name[:1])+name[1:], name), apptest.Vars{"input": input})
				var out struct {
					Made struct{ Edit *struct{ ID string } }
				}
				if r.Into(t, &out); r.Code() != "" {
					t.Fatalf("%s: %s", name, r.Body)
				}
				if out.Made.Edit != nil {
					edits = append(edits, out.Made.Edit.ID)
					count[name]++
				}
				if n := value[int](t, env, `SELECT count(*) FROM utterances u JOIN speakers s ON s.id = u.speaker_id WHERE u.transcript_id = $1 AND s.merged_into IS NOT NULL`, uuid(t, c.id)); n > 0 {
					t.Fatalf("after %s %v: %d lines are of merged speakers", name, input, n)
				}
				if random.IntN(8) == 0 {
					env.Work(t)
				}
			}
			if len(edits) < 10 || len(count) < 4 {
				t.Errorf("little was edited: %v", count)
			}
			inOrder := seed%2 == 0
			for refused := 0; len(edits) > 0; {
				i := len(edits) - 1
				if !inOrder {
					i = random.IntN(len(edits))
				}
				got := change(t, c.coach, "undoTranscriptEdit", "edit", "id", apptest.Vars{"editId": edits[i]})
				if got.entity == nil {
					if refused++; inOrder || refused > 1000 {
						t.Fatalf("undo %d of %d: %s", i, len(edits), got.response.Body)
					}
					continue
				}
				edits = slices.Delete(edits, i, i+1)
			}
			c.same("undone", c.words(), original)
			env.Work(t)
			c.same("analysed again", c.results(), results)
		})
	}
}

// Corrected words count everywhere; what was imported is kept, with who corrected it. Insights follow, and what a person has
// decided stays decided.
func TestReviseUtterance(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	c := correcting(t, env, read(t, "internal", "app", "demo", "data", "mei-02-two-boxes.vtt"))
	type cited struct {
		Insight, Utterance, Text, Quote string
		Index                           int
	}
	// Insights that rest on one passage of one line each.
	var found []cited
	rows, err := env.DB.Query(t.Context(), `SELECT 'insight ' || i.id, u.id::text, u.text, c.quote, u.index FROM insights i JOIN citations c ON c.insight_id = i.id
		JOIN utterances u ON u.transcript_id = c.transcript_id AND u.index = c.first_index
		WHERE i.transcript_id = $1 AND i.retracted_at IS NULL AND c.first_index = c.last_index
		AND (SELECT count(*) FROM citations o WHERE o.insight_id = i.id) = 1 ORDER BY u.index`, uuid(t, c.id))
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var f cited
		if err := rows.Scan(&f.Insight, &f.Utterance, &f.Text, &f.Quote, &f.Index); err != nil {
			t.Fatal(err)
		}
		f.Insight, f.Utterance = one(t, env, "insight", `SELECT $1::uuid`, strings.TrimPrefix(f.Insight, "insight ")), one(t, env, "utterance", `SELECT $1::uuid`, f.Utterance)
		if !slices.ContainsFunc(found, func(o cited) bool { return o.Utterance == f.Utterance }) {
			found = append(found, f)
		}
	}
	if len(found) < 4 {
		t.Fatalf("only %d insights to try", len(found))
	}
	accepted, dismissed, open, edited := found[0], found[1], found[2], found[3]
	for key, input := range map[string]apptest.Vars{
		accepted.Insight: {"decision": "ACCEPT"}, dismissed.Insight: {"decision": "DISMISS"}, edited.Insight: {"decision": "EDIT", "title": "As I say"},
	} {
		input["insightId"] = key
		does(t, c.coach, "reviewInsight", "insight", "id", input)
	}
	original, results := c.words(), c.results()
	heard := published(t, env, c.session)

	// A word is put in before each quote's last word: what was flagged is still there to be flagged.
	revised := func(f cited) string {
		head, last, _ := strings.Cut(f.Text, f.Quote)
		cut := strings.LastIndexByte(f.Quote, ' ')
		return head + f.Quote[:cut] + " surely" + f.Quote[cut:] + last
	}
	var edits []string
	for _, f := range []cited{accepted, dismissed, open, edited} {
		out := does(t, c.coach, "reviseUtterance", "utterance", "text originalText revisions {text at author {name}} cues {startMs}", apptest.Vars{"utteranceId": f.Utterance, "text": revised(f)})
		revisions := out["revisions"].([]any)
		if out["text"] != revised(f) || out["originalText"] != f.Text || len(revisions) != 1 || revisions[0].(map[string]any)["author"].(map[string]any)["name"] != "Ruth Calloway" {
			t.Errorf("revised: %v", out)
		}
		edits = append(edits, c.view().Edits.Nodes[0].ID)
	}
	if got := change(t, c.coach, "reviseUtterance", "utterance", "text", apptest.Vars{"utteranceId": open.Utterance, "text": revised(open) + " "}); got.entity == nil || c.view().Edits.TotalCount != 4 {
		t.Errorf("the same words are no edit: %s", got.response.Body)
	}
	env.Work(t)
	if runs := c.view().AnalysisRuns.Nodes; len(runs) != 2 {
		t.Errorf("%d runs: quick edits share one", len(runs))
	}
	type state struct {
		Node struct {
			Status      string
			RetractedAt *string
			Citations   []struct {
				Quote        string
				WordsChanged bool
			}
		}
	}
	look := func(key string) (s state) {
		c.coach.Must(t, `query($id: ID!) {node(id: $id) {... on Insight {status retractedAt citations {quote wordsChanged}}}}`, apptest.Vars{"id": key}, &s)
		return s
	}
	for _, tc := range []struct {
		cited
		status  string
		retired bool
	}{{accepted, "ACCEPTED", false}, {dismissed, "DISMISSED", false}, {edited, "EDITED", false}, {open, "PROPOSED", true}} {
		got := look(tc.Insight).Node
		if got.Status != tc.status || (got.RetractedAt != nil) != tc.retired || !got.Citations[0].WordsChanged || got.Citations[0].Quote != tc.Quote {
			t.Errorf("%s after the correction: %+v", tc.status, got)
		}
		anew := value[int](t, env, `SELECT count(*) FROM insights i JOIN citations c ON c.insight_id = i.id WHERE i.transcript_id = $1 AND i.status = 'PROPOSED'
			AND i.retracted_at IS NULL AND c.first_index = $2 AND NOT c.words_changed AND c.quote LIKE '%surely%'
			AND i.kind = (SELECT kind FROM insights WHERE id = $3)`, uuid(t, c.id), tc.Index, uuid(t, tc.Insight))
		if (anew > 0) != tc.retired {
			t.Errorf("%s: %d proposals with the corrected words", tc.status, anew)
		}
	}
	var told []string
	sub := c.coach.Subscribe(t, listen, apptest.Vars{"session": c.session, "after": env.Beginning(t, c.session)})
	for _, e := range several(t, sub, published(t, env, c.session))[heard:] {
		if e.Typename == "InsightRevised" {
			told = append(told, e.Insight.ID)
		}
	}
	slices.Sort(told)
	if want := slices.Sorted(slices.Values([]string{accepted.Insight, dismissed.Insight, edited.Insight})); !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
	// The words as they were and who changed them are the coach's business.
	var theirs struct {
		Transcript *struct {
			Edits      struct{ TotalCount int }
			Utterances struct {
				Nodes []struct {
					Text         string
					OriginalText *string
					Revisions    []any
				}
			}
		}
	}
	does(t, c.coach, "updateTranscript", "transcript", "id", apptest.Vars{"id": c.id, "sharedWithClient": true})
	env.Login(t, apptest.ClientUser).Must(t, `query($id: ID!) {transcript(id: $id) {edits {totalCount} utterances(first: 100) {nodes {text originalText revisions {id}}}}}`, apptest.Vars{"id": c.id}, &theirs)
	if theirs.Transcript == nil || theirs.Transcript.Edits.TotalCount != 0 {
		t.Fatalf("the client sees %+v", theirs)
	}
	seen := false
	for _, u := range theirs.Transcript.Utterances.Nodes {
		seen = seen || u.Text == revised(accepted)
		if u.OriginalText != nil || len(u.Revisions) > 0 || u.Text == accepted.Text {
			t.Errorf("the client sees %+v", u)
		}
	}
	if !seen {
		t.Error("the client does not see the corrected words")
	}

	for _, e := range edits {
		c.undo(e)
	}
	env.Work(t)
	c.same("undone", c.words(), original)
	c.same("found again", c.results(), results)
	if got := look(open.Insight).Node; got.RetractedAt != nil || got.Citations[0].WordsChanged {
		t.Errorf("undone: %+v", got)
	}
	if log := env.Log.String(); strings.Contains(log, "surely") {
		t.Error("corrected words are in the log")
	}
	if n := value[int](t, env, `SELECT count(*) FROM stream_events WHERE data::text LIKE '%surely%'`) + value[int](t, env, `SELECT count(*) FROM transcript_edit_changes WHERE concat(before, after) LIKE '%surely%'`); n > 0 {
		t.Errorf("corrected words are in %d events or changes", n)
	}
}

// Names are remembered for the same client and coach, by the label, until they are forgotten or the client is erased.
func TestRememberedSpeakers(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	talk := func(n int) string {
		text := transcriptText(30, func(i int) string { return fmt.Sprintf("This is sentence %d.%d about the garden.", n, i) })
		return strings.NewReplacer("Ruth:", " IPHONE  of a:", "Amara:", "Back Office:").Replace(text)
	}
	c := correcting(t, env, strings.ReplaceAll(talk(0), " IPHONE  of a:", "iPhone of A:"))
	if v := c.view(); v.Status != "NEEDS_SPEAKERS" || v.Speakers[0].Remembered {
		t.Fatalf("at first: %+v", v)
	}
	has(t, does(t, c.coach, "renameSpeaker", "speaker", "displayName remembered", apptest.Vars{"speakerId": c.speaker(0), "displayName": "Tom", "remember": true}),
		apptest.Vars{"displayName": "Tom", "remembered": true})
	c.do("setSpeakerRole", apptest.Vars{"speakerId": c.speaker(0), "role": "OTHER"}) // after the name: the memory follows
	next := correcting(t, env, talk(1))
	if v := next.view(); v.Speakers[0].DisplayName != "Tom" || v.Speakers[0].Label != "IPHONE of a" || v.Speakers[0].Role != "OTHER" || *v.Speakers[0].RoleConfidence != 0.9 ||
		*v.Speakers[0].RoleReason != "Remembered from an earlier session." || v.Speakers[1].DisplayName != "Back Office" || v.Speakers[1].Role != "UNKNOWN" {
		t.Errorf("the next session: %+v", v.Speakers)
	}
	// Renamed without a word about memory, it stays, and what is remembered is of the name.
	next.do("renameSpeaker", apptest.Vars{"speakerId": next.speaker(0), "displayName": "Somebody"})
	if v := next.view(); !v.Speakers[0].Remembered || v.Speakers[0].Role != "UNKNOWN" {
		t.Errorf("renamed: %+v", v.Speakers[0])
	}
	// Not for another client of the same coach, nor for another coach.
	for who, session := range map[string]string{apptest.Coach: jonas3.id(t, env), apptest.Coach2: felix1.id(t, env)} {
		in := imports(t, env.Login(t, who), session, talk(2))
		if name := value[string](t, env, `SELECT display_name FROM speakers WHERE transcript_id = $1 AND ordinal = 0`, uuid(t, in)); name == "Tom" {
			t.Errorf("%s is given the name", who)
		}
	}
	// What only numbers a speaker cannot be remembered.
	numbered := correcting(t, env, voices(t, 1))
	numbered.refused("renameSpeaker", apptest.Vars{"speakerId": numbered.speaker(0), "displayName": "Ruth", "remember": true}, "INVALID remember")
	// Forgotten.
	has(t, does(t, c.coach, "renameSpeaker", "speaker", "displayName remembered", apptest.Vars{"speakerId": next.speaker(0), "displayName": "Somebody", "remember": false}),
		apptest.Vars{"displayName": "Somebody", "remembered": false})
	if v := correcting(t, env, talk(3)).view(); v.Speakers[0].DisplayName != "IPHONE of a" {
		t.Errorf("forgotten: %+v", v.Speakers)
	}
	// It goes with the client.
	client := uuid(t, does(t, c.coach, "createClient", "client", "id", apptest.Vars{"name": "Gone Soon"})["id"].(string))
	sql(t, env, `INSERT INTO remembered_speakers (org_id, client_id, coach_id, label, display_name, role) SELECT org_id, id, coach_id, 'ipad', 'Gone', 'CLIENT' FROM clients WHERE id = $1`, client)
	sql(t, env, `DELETE FROM clients WHERE id = $1`, client)
	if n := value[int](t, env, `SELECT count(*) FROM remembered_speakers`); n != 0 {
		t.Errorf("%d names are still remembered", n)
	}
}

// Edits at the same moment, while analyses run, wait for each other: none fails, and all can be undone.
func TestEditsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Running())
	coach := env.Login(t, apptest.Coach)
	c := &corrected{t: t, env: env, coach: coach, session: amara5.id(t, env)}
	c.id = imports(t, coach, c.session, conversation(t))
	ready(t, env, c.id)
	original := c.words()
	a, b := c.speaker(0), c.speaker(1)
	line := c.lines(b, 4)
	var wg sync.WaitGroup
	for i := range 4 {
		for name, input := range map[string]apptest.Vars{
			"renameSpeaker":      {"speakerId": a, "displayName": fmt.Sprintf("Ruth %d", i)},
			"setSpeakerRole":     {"speakerId": b, "role": []string{"OTHER", "CLIENT"}[i%2]},
			"reassignUtterances": {"speakerId": a, "utteranceIds": line[i : i+1]},
			"reviseUtterance":    {"utteranceId": line[i], "text": "Said at the same moment."},
			"updateTranscript":   {"id": c.id, "title": fmt.Sprint(i)},
		} {
			wg.Go(func() {
				r := coach.Do(t, fmt.Sprintf(`mutation($input: %sInput!) {%s(input: $input) {userErrors {message}}}`, strings.ToUpper(name[:1])+name[1:], name), apptest.Vars{"input": input})
				if r.Code() != "" || !strings.Contains(string(r.Data), `"userErrors":[]`) {
					t.Errorf("%s: %s", name, r.Body)
				}
			})
		}
	}
	wg.Wait()
	for _, e := range c.view().Edits.Nodes {
		c.undo(e.ID)
	}
	c.same("undone", c.words(), original)
	settled(t, env, c.id)
	numbers := value[string](t, env, `SELECT string_agg(number::text, ' ' ORDER BY number) FROM transcript_edits WHERE transcript_id = $1`, uuid(t, c.id))
	if n := len(strings.Fields(numbers)); n < 13 || n > 16 {
		t.Errorf("edits %s", numbers)
	}
}

// Undoing what a person said of a role brings back what a person had said before, and not a suggestion.
func TestAnEarlierRoleComesBack(t *testing.T) {
	t.Parallel()
	c := correcting(t, apptest.Demo(t), conversation(t))
	speaker := c.speaker(1)
	said := func() string {
		s := c.view().Speakers[1]
		return fmt.Sprintf("%s %t", s.Role, s.RoleConfidence == nil)
	}
	suggested := said()
	first := c.do("setSpeakerRole", apptest.Vars{"speakerId": speaker, "role": "OTHER"})
	second := c.do("setSpeakerRole", apptest.Vars{"speakerId": speaker, "role": "CLIENT"})
	c.same("set twice", said(), "CLIENT true")
	c.undo(second)
	c.same("undone once", said(), "OTHER true")
	c.undo(first)
	c.same("undone twice", said(), suggested)
}

// Fifty who merge the same eight speakers in all directions, and undo merges, at the same moment: each merge happens whole
// or is refused with words, every line belongs to somebody who is there, and all of it can be undone.
func TestMergesAtTheSameMoment(t *testing.T) {
	t.Parallel()
	const clients, writers = 8, 50
	env := apptest.Demo(t, apptest.Running())
	c := &corrected{t: t, env: env, coach: env.Login(t, apptest.Coach), session: amara5.id(t, env)}
	c.id = imports(t, c.coach, c.session, voices(t, clients))
	quiet(t, env, c.id)
	original := c.words()
	var speakers []string
	for i := range clients {
		speakers = append(speakers, c.speaker(1+i))
	}
	var mu sync.Mutex
	answers := map[string]int{}
	var wg sync.WaitGroup
	for i := range writers {
		into, from := speakers[i%clients], speakers[(i+1+i/clients)%clients]
		if into == from {
			continue
		}
		wg.Go(func() {
			got := change(t, c.coach, "mergeSpeakers", "edit", "id", apptest.Vars{"intoId": into, "ids": []string{from}})
			answer := "merged"
			if got.entity == nil {
				answer = got.response.Code() + briefly(got.userErrors)
			} else if i%3 == 0 {
				got := change(t, c.coach, "undoTranscriptEdit", "edit", "id", apptest.Vars{"editId": got.entity["id"]})
				if answer = "undone"; got.entity == nil {
					answer = got.response.Code() + briefly(got.userErrors)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			answers[answer]++
		})
	}
	wg.Wait()
	if answers["merged"]+answers["undone"] == 0 {
		t.Errorf("nobody merged anything: %v", answers)
	}
	for answer := range answers {
		if !slices.Contains([]string{"merged", "undone", "MERGED ids", "MERGED intoId", "CONFLICT editId"}, answer) {
			t.Errorf("answers: %v", answers)
			break
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM utterances u JOIN speakers s ON s.id = u.speaker_id WHERE u.transcript_id = $1 AND s.merged_into IS NOT NULL`, uuid(t, c.id)); n > 0 {
		t.Errorf("%d lines of speakers who have been merged", n)
	}
	for _, e := range c.view().Edits.Nodes { // latest first
		if !e.Undone {
			c.undo(e.ID)
		}
	}
	c.same("undone", c.words(), original)
	quiet(t, env, c.id)
}

// Whoever listens hears of each edit and of each undo.
func TestEditsAreTold(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	c := correcting(t, env, conversation(t))
	sub := c.coach.Subscribe(t, listen, apptest.Vars{"session": c.session, "after": env.Beginning(t, c.session)})
	several(t, sub, published(t, env, c.session))
	heard := func(what string) {
		t.Helper()
		if e := next(t, sub); e.Typename != "TranscriptStateChanged" || e.Transcript.ID != c.id {
			t.Errorf("%s: %+v", what, e)
		}
	}
	speaker, other := c.speaker(0), c.speaker(1)
	for _, tc := range []struct {
		name  string
		input apptest.Vars
	}{
		{"renameSpeaker", apptest.Vars{"speakerId": speaker, "displayName": "x"}},
		{"setSpeakerRole", apptest.Vars{"speakerId": other, "role": "OTHER"}},
		{"confirmSpeakerRoles", apptest.Vars{"transcriptId": c.id, "roles": []apptest.Vars{{"speakerId": other, "role": "CLIENT"}}}},
		{"splitSpeaker", apptest.Vars{"speakerId": other, "utteranceIds": c.lines(other, 1), "displayName": "x"}},
		{"reassignUtterances", apptest.Vars{"speakerId": speaker, "utteranceIds": c.lines(other, 1)}},
		{"reviseUtterance", apptest.Vars{"utteranceId": c.lines(other, 1)[0], "text": "x"}},
		{"mergeSpeakers", apptest.Vars{"intoId": speaker, "ids": []string{other}}},
	} {
		edit := c.do(tc.name, tc.input)
		heard(tc.name)
		c.undo(edit)
		heard(tc.name + " undone")
	}
	// Eight edits and eight undos, and one job.
	if n := value[int](t, env, `SELECT count(*) FROM jobs WHERE entity_id = $1 AND state = 'PENDING'`, uuid(t, c.id)); n != 1 {
		t.Errorf("%d jobs wait", n)
	}
	env.Work(t)
	if runs := c.view().AnalysisRuns.Nodes; len(runs) != 1 {
		t.Errorf("%d runs of one input", len(runs))
	}
}
