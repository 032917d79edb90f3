package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// as is a context of somebody of the demo, for what has no field of the schema.
func as(t testing.TB, env *apptest.Env, email string) context.Context {
	t.Helper()
	v := auth.Viewer{
		User: value[id.UUID](t, env, `SELECT id FROM users WHERE email = $1`, email),
		Org:  value[id.UUID](t, env, `SELECT m.org_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = $1`, email),
	}
	for _, role := range value[[]string](t, env, `SELECT roles FROM memberships WHERE user_id = $1`, v.User) {
		v.Roles = append(v.Roles, auth.Role(role))
	}
	return auth.WithViewer(t.Context(), v)
}

// meant looks for a text, and says at which place the passage is that holds the line, from 1; 0 if it is in none.
func meant(t testing.TB, env *apptest.Env, email, text string, key id.UUID, line int) int {
	t.Helper()
	found, err := env.App.Services().Meaning.Near(as(t, env, email), text, nil, 20)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range found {
		if i > 0 && p.Score > found[i-1].Score {
			t.Errorf("not the nearest first: %+v", found)
		}
		if p.TranscriptID.UUID == key && p.First <= line && line <= p.Last {
			return i + 1
		}
	}
	return 0
}

// vectorsOf counts a transcript's vectors, and checks that they are those that are noted.
func vectorsOf(t testing.TB, env *apptest.Env, key id.UUID) int {
	t.Helper()
	n := value[int](t, env, `SELECT count(*) FROM vectors WHERE group_id = $1::uuid::text`, key)
	if noted := value[int](t, env, `SELECT coalesce(sum(cardinality(ids)), 0)::int FROM search_embeddings WHERE transcript_id = $1`, key); noted != n {
		t.Errorf("%d vectors, %d noted", n, noted)
	}
	return n
}

// Conversations are found by what they are about: by those who may read them, as they are now, and by nobody else.
func TestMeaning(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	of := amara2.id(t, env)
	typed := one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, of))
	key := uuid(t, typed)
	org := value[id.UUID](t, env, `SELECT org_id FROM transcripts WHERE id = $1`, key)
	const line = 5
	said := value[string](t, env, `SELECT string_agg(text, ' ' ORDER BY index) FROM utterances WHERE transcript_id = $1 AND index BETWEEN $2 AND $2 + 2`, key, line)

	// What everybody finds. The conversation is shared with the client, and those in it agree to supervision.
	who := func(when, text string, want ...string) {
		t.Helper()
		for _, email := range []string{apptest.Owner, apptest.Coach, apptest.Coach2, apptest.Supervisor, apptest.ClientUser, apptest.Sponsor, apptest.Lumen} {
			place := meant(t, env, email, text, key, line)
			if slices.Contains(want, email) != (place > 0 && place <= 3) || !slices.Contains(want, email) && place > 0 {
				t.Errorf("%s: %s finds it at place %d", when, email, place)
			}
		}
	}
	everybody := []string{apptest.Coach, apptest.ClientUser}
	if supervised := value[bool](t, env, `SELECT 'SUPERVISION' = ANY(consents) FROM sessions WHERE id = $1`, uuid(t, of)); supervised {
		everybody = append(everybody, apptest.Supervisor)
	}
	who("at first", said, everybody...)
	if vectorsOf(t, env, key) < 3 {
		t.Fatal("the test says little")
	}

	// Within sessions only.
	elsewhere := uuid(t, jonas3.id(t, env))
	found, err := env.App.Services().Meaning.Near(as(t, env, apptest.Coach), said, &session.Filter{Statuses: []session.Status{"SCHEDULED"}}, 10)
	if err != nil || len(found) > 0 {
		t.Errorf("in sessions that were not held: %+v, %v", found, err)
	}
	found, err = env.App.Services().Meaning.Near(as(t, env, apptest.Coach), said, nil, 200)
	if err != nil || !slices.ContainsFunc(found, func(p search.Passage) bool {
		return p.TranscriptID.UUID == value[id.UUID](t, env, `SELECT id FROM transcripts WHERE session_id = $1`, elsewhere)
	}) {
		t.Errorf("far away is not found at all: %v", err)
	}
	for _, text := range []string{"", " \n", "…"} {
		if found, err := env.App.Services().Meaning.Near(as(t, env, apptest.Coach), text, nil, 10); err != nil || len(found) > 0 && text != "…" {
			t.Errorf("%q: %+v, %v", text, found, err)
		}
	}

	// Doing it again does nothing.
	changes := func() int64 { return value[int64](t, env, `SELECT changes FROM vector_spaces WHERE org_id = $1`, org) }
	before := changes()
	if err := env.App.Services().Meaning.Embed(t.Context(), search.SubjectTranscript, jobs.Job{Org: org, Entity: key}); err != nil || changes() != before {
		t.Errorf("again: %v, %d changes", err, changes()-before)
	}

	// A correction is followed, and its undoing.
	other := strings.Repeat("Zanzibar marmalade trombone. ", 12)
	utterance := one(t, env, "utterance", `SELECT id FROM utterances WHERE transcript_id = $1 AND index = $2`, key, line)
	edit := does(t, coach, "reviseUtterance", "edit", "id", apptest.Vars{"utteranceId": utterance, "text": other})["id"]
	env.Work(t)
	who("corrected", other, everybody...)
	vectorsOf(t, env, key)
	does(t, coach, "undoTranscriptEdit", "edit", "id", apptest.Vars{"editId": edit})
	env.Work(t)
	if place := meant(t, env, apptest.Coach, said, key, line); place == 0 || place > 3 {
		t.Errorf("undone: place %d", place)
	}
	if n := value[int](t, env, `SELECT count(*) FROM search_embeddings WHERE transcript_id = $1 AND hash IS NULL`, key); n != 0 {
		t.Error("not finished")
	}

	// What is archived, not shared any more or not to be analysed is not found from that moment; without consent the vectors go.
	does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": typed})
	who("archived", said)
	does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": typed, "archived": false})
	does(t, coach, "updateTranscript", "transcript", "id", apptest.Vars{"id": typed, "sharedWithClient": false})
	who("not shared", said, slices.DeleteFunc(slices.Clone(everybody), func(e string) bool { return e == apptest.ClientUser })...)
	her := clientOf(t, env, of)
	_, _ = consents(t, amara, "withdrawConsent", apptest.Vars{"subjectId": her, "scopes": []string{"AI_ANALYSIS"}})
	who("withdrawn", said)
	env.Work(t)
	if n := vectorsOf(t, env, key); n != 0 {
		t.Errorf("withdrawn: %d vectors", n)
	}
	_, _ = consents(t, amara, "giveConsent", apptest.Vars{"subjectId": her, "scopes": []string{"AI_ANALYSIS"}})
	env.Work(t)
	if meant(t, env, apptest.Coach, said, key, line) == 0 || vectorsOf(t, env, key) < 3 {
		t.Error("given again: not found")
	}

	// Erased, nothing of it is left.
	if _, errs := ask(t, env.Login(t, apptest.Owner), "requestErasure", apptest.Vars{"clientId": her, "confirm": "Amara Okafor"}); len(errs) > 0 {
		t.Fatal(briefly(errs))
	}
	env.Work(t)
	if place := meant(t, env, apptest.Coach, said, key, line); place > 0 {
		t.Errorf("erased: at place %d", place)
	}
	if n := vectorsOf(t, env, key); n != 0 {
		t.Errorf("erased: %d vectors", n)
	}
	if n := value[int](t, env, `SELECT count(*) FROM vectors v WHERE v.group_id NOT LIKE '%\_%' AND NOT EXISTS (SELECT FROM transcripts t WHERE t.id::text = v.group_id)`); n != 0 {
		t.Errorf("%d vectors of nothing", n)
	}
}

// Another model makes new vectors beside the old, which are searched until all are there; corrections meanwhile reach both.
func TestAnotherModel(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	key := uuid(t, one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, amara2.id(t, env))))
	org := value[id.UUID](t, env, `SELECT org_id FROM transcripts WHERE id = $1`, key)
	searched := func() string {
		return value[string](t, env, `SELECT coalesce((SELECT model FROM search_models WHERE org_id = $1), '')`, org)
	}
	models := func() []string {
		return value[[]string](t, env, `SELECT array_agg(model ORDER BY model) FROM vector_spaces WHERE org_id = $1`, org)
	}
	review := func(env *apptest.Env) {
		t.Helper()
		if err := env.App.Services().Meaning.Review(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	due := func(env *apptest.Env) {
		t.Helper()
		sql(t, env, `UPDATE jobs SET run_at = now(), due_at = now() WHERE kind = 'search.switch' AND state = 'PENDING'`)
		env.Work(t)
	}
	review(env)
	env.Work(t)
	due(env)
	if searched() != "words-1" {
		t.Fatalf("at first %q is searched", searched())
	}
	next := env.Another(t, apptest.AppOptions(app.WithEmbedder(embedtest.Words{Model: "words-2"}, embedtest.Words{})))
	review(next)
	const line = 5
	said := value[string](t, env, `SELECT string_agg(text, ' ' ORDER BY index) FROM utterances WHERE transcript_id = $1 AND index BETWEEN $2 AND $2 + 2`, key, line)
	if meant(t, next, apptest.Coach, said, key, line) != 1 || searched() != "words-1" {
		t.Error("before the new vectors are there the old ones are not searched")
	}
	next.Work(t) // the switch sees that they are missing, and the jobs make them
	if got := models(); searched() != "words-1" || !slices.Equal(got, []string{"words-1", "words-2"}) {
		t.Errorf("meanwhile %s is searched of %v", searched(), got)
	}
	utterance := one(t, env, "utterance", `SELECT id FROM utterances WHERE transcript_id = $1 AND index = $2`, key, line)
	does(t, next.Login(t, apptest.Coach), "reviseUtterance", "edit", "id", apptest.Vars{"utteranceId": utterance, "text": strings.Repeat("Zanzibar marmalade trombone. ", 12)})
	next.Work(t)
	if meant(t, next, apptest.Coach, "Zanzibar marmalade trombone", key, line) != 1 {
		t.Error("a correction does not reach the vectors that are searched")
	}
	due(next)
	if got := models(); searched() != "words-2" || !slices.Equal(got, []string{"words-2"}) {
		t.Errorf("in the end %s is searched of %v", searched(), got)
	}
	if meant(t, next, apptest.Coach, "Zanzibar marmalade trombone", key, line) != 1 || vectorsOf(t, env, key) == 0 {
		t.Error("the new vectors are not searched")
	}
}

// failing makes no vectors.
type failing struct{ embedtest.Words }

func (failing) Embed(context.Context, []string) ([][]float32, llm.Usage, error) {
	return nil, llm.Usage{}, &llm.Error{Kind: llm.Unavailable, Reason: "away"}
}

// Whatever becomes of the vectors, a transcript is finished without them.
func TestReadyWithoutVectors(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.AppOptions(app.WithEmbedder(failing{})))
	coach := env.Login(t, apptest.Coach)
	typed := imports(t, coach, amara5.id(t, env), conversation(t))
	env.Work(t)
	if status := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, uuid(t, typed)); status != "READY" {
		t.Errorf("the transcript is %s", status)
	}
	if state := value[string](t, env, `SELECT concat(state, ' ', attempt) FROM jobs WHERE kind = $1 AND entity_id = $2`, transcript.JobEmbed, uuid(t, typed)); state != "PENDING 0" {
		t.Errorf("the job is %s", state)
	}
	if _, err := env.App.Services().Meaning.Near(as(t, env, apptest.Coach), "anything", nil, 3); err == nil || errors.Is(err, context.Canceled) {
		t.Error("a search without a model succeeds: " + fmt.Sprint(err))
	}
}

// Vectors of something very long are made in stints: what comes after it does not wait for all of them, and none is made twice.
func TestLongConversationsGetVectorsInStints(t *testing.T) {
	t.Parallel()
	model := &passages{}
	embedder := apptest.AppOptions(app.WithEmbedder(model))
	env := apptest.Demo(t, embedder)
	coach := env.Login(t, apptest.Coach)
	var talk strings.Builder
	talk.WriteString("WEBVTT\n")
	for i := range 4000 {
		at := func(ms int) string {
			return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
		}
		fmt.Fprintf(&talk, "\n%s --> %s\n%s: The number %d is what I thought of when the %d others had left the room yesterday.\n",
			at(3000*i), at(3000*i+2500), []string{"Ruth Calloway", "Amara Okafor"}[i%2], i, i*7)
	}
	long := imports(t, coach, amara5.id(t, env), talk.String())
	short := imports(t, coach, amara2.id(t, env), conversation(t)+"\nNOTE copy\n")
	if _, err := env.App.Runner().Drain(t.Context(), transcript.JobEmbed); err != nil {
		t.Fatal(err)
	}
	sql(t, env, `UPDATE jobs SET run_at = run_at - interval '1 minute', due_at = due_at - interval '1 minute' WHERE entity_id = $1`, uuid(t, long)) // it comes first
	env.Another(t, embedder, apptest.Running())
	quiet(t, env, long)
	quiet(t, env, short)
	done := func(of string) time.Time {
		return value[time.Time](t, env, `SELECT updated_at FROM search_embeddings WHERE transcript_id = $1 AND hash IS NOT NULL AND making IS NULL`, uuid(t, of))
	}
	n := vectorsOf(t, env, uuid(t, long))
	if n < 700 {
		t.Fatalf("%d passages are no more than a stint", n)
	}
	if first, last := done(short), done(long); !first.Before(last) {
		t.Errorf("the short one was done at %s, the long one at %s", first, last)
	}
	if got := int(model.n.Load()); got != n {
		t.Errorf("%d passages were embedded for %d vectors", got, n)
	}
}

// passages counts the passages of the long conversation that get vectors.
type passages struct {
	embedtest.Words
	n atomic.Int64
}

func (p *passages) Embed(ctx context.Context, texts []string) ([][]float32, llm.Usage, error) {
	for _, text := range texts {
		if strings.Contains(text, "had left the room") {
			p.n.Add(1)
		}
	}
	return p.Words.Embed(ctx, texts)
}
