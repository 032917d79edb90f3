package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
	"github.com/rapporthq/rapport/internal/platform/vector/pinecone/pineconetest"
)

const vectorModel = "text-embedding-3-small/32"

// vectorsAtOpenAI has vectors made at a scripted server.
func vectorsAtOpenAI(s *llmtest.Server) apptest.Option {
	return apptest.Config(func(c *config.Config) {
		c.Meaning.Embedder, c.Meaning.OpenAIDimension, c.Analysis.OpenAIKey, c.Analysis.OpenAIURL = config.EmbedderOpenAI, 32, llmtest.Key, s.URL
	})
}

// switched has all organizations searched with OpenAI's vectors, as they are once those of the model before are replaced.
func switched(t testing.TB, env *apptest.Env) {
	t.Helper()
	sql(t, env, `UPDATE search_models SET model = $1`, vectorModel)
}

// backlog is what an owner sees of what waits for vectors.
type backlog struct {
	Waiting                      int
	Since, WaitingFor, ResumesAt *string
}

func backlogOf(t testing.TB, c *apptest.Client) *backlog {
	t.Helper()
	var out struct {
		Viewer struct {
			Organization struct{ VectorBacklog *backlog }
		}
	}
	c.Must(t, `{viewer {organization {vectorBacklog {waiting since waitingFor resumesAt}}}}`, nil, &out)
	return out.Viewer.Organization.VectorBacklog
}

// degradedOf searches, and returns how many hits there are and why no more; "" if nothing is wrong.
func degradedOf(t testing.TB, c *apptest.Client, mode, query string) (hits int, degraded string) {
	t.Helper()
	var out struct {
		Search struct {
			Nodes    []struct{ Score float64 }
			Degraded *string
		}
	}
	c.Must(t, `query($q: String!, $mode: SearchMode!) {search(query: $q, mode: $mode, first: 5) {nodes {score} degraded}}`, apptest.Vars{"q": query, "mode": mode}, &out)
	if out.Search.Degraded != nil {
		degraded = *out.Search.Degraded
	}
	return len(out.Search.Nodes), degraded
}

// embedding is how the job stands that makes a transcript's vectors.
func embedding(t testing.TB, env *apptest.Env, key id.UUID) string {
	t.Helper()
	return value[string](t, env, `SELECT concat(state, ' ', attempt) FROM jobs WHERE kind = $1 AND entity_id = $2 ORDER BY created_at DESC LIMIT 1`, transcript.JobEmbed, key)
}

// resumed has the time come that vectors wait for.
func resumed(t testing.TB, env *apptest.Env) {
	t.Helper()
	sql(t, env, `UPDATE search_waits SET resumes_at = now()`)
	sql(t, env, `UPDATE jobs SET run_at = now(), due_at = now() WHERE state = 'PENDING'`)
	env.Index(t)
}

// Vectors at OpenAI are made within the organization's limit, for conversations and for what is looked for, and are booked as analyses are. When it is spent
// search finds words and says so, the owner sees what waits, and with more to spend all of it is made.
func TestVectorsOnTheAccount(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, func(llmtest.Request) llmtest.Answer { return llmtest.Answer{} })
	env := apptest.Demo(t, vectorsAtOpenAI(s))
	switched(t, env)
	owner, coach, session := env.Login(t, apptest.Owner), env.Login(t, apptest.Coach), amara5.id(t, env)
	org := value[id.UUID](t, env, `SELECT org_id FROM sessions WHERE id = $1`, uuid(t, session))
	calls := func() int {
		t.Helper()
		if n := value[int](t, env, `SELECT count(*) FROM model_calls`); n != 0 {
			t.Errorf("%d calls are still open", n)
		}
		return value[int](t, env, `SELECT coalesce(sum(calls), 0)::int FROM model_spending WHERE model = $1 AND input_tokens > 0 AND cost_micros > 0`, vectorModel)
	}

	first := uuid(t, imports(t, coach, session, evenings(1)))
	env.Index(t)
	embedded := calls()
	if embedded == 0 || vectorsOf(t, env, first) == 0 || embedded != len(s.Requests()) {
		t.Fatalf("%d calls are booked, %d were made, %d vectors", embedded, len(s.Requests()), vectorsOf(t, env, first))
	}
	if hits, degraded := degradedOf(t, coach, "SEMANTIC", "nightly mails"); hits == 0 || degraded != "" || calls() != embedded+1 {
		t.Errorf("%d hits, degraded %q, %d calls", hits, degraded, calls())
	}
	if b := backlogOf(t, owner); b == nil || b.Waiting != 0 || b.Since != nil || b.WaitingFor != nil {
		t.Errorf("nothing waits: %+v", b)
	}

	// The month is spent.
	sql(t, env, `UPDATE organizations SET model_monthly_limit_micros = 0 WHERE id = $1`, org)
	asked := len(s.Requests())
	second := uuid(t, imports(t, coach, session, evenings(2)))
	env.Index(t)
	if status := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, second); status != "READY" {
		t.Errorf("the transcript is %s", status)
	}
	for range 12 { // more often than a job may fail
		resumed(t, env)
	}
	if got := embedding(t, env, second); got != "PENDING 0" || len(s.Requests()) != asked || value[int](t, env, `SELECT count(*) FROM vectors WHERE group_id = $1::uuid::text`, second) != 0 {
		t.Errorf("the job is %s after %d requests", got, len(s.Requests())-asked)
	}
	for _, mode := range []string{"SEMANTIC", "HYBRID"} {
		if hits, degraded := degradedOf(t, coach, mode, "mails"); hits == 0 || !strings.Contains(degraded, "has spent") || len(s.Requests()) != asked {
			t.Errorf("%s: %d hits, degraded %q, %d requests", mode, hits, degraded, len(s.Requests())-asked)
		}
	}
	if b := backlogOf(t, owner); b == nil || b.Waiting == 0 || b.Since == nil || b.WaitingFor == nil || *b.WaitingFor != "SPENDING_LIMIT" || b.ResumesAt == nil {
		t.Errorf("the owner sees %+v", b)
	}
	if b := backlogOf(t, coach); b != nil {
		t.Errorf("a coach sees %+v", b)
	}

	// There is more.
	sql(t, env, `UPDATE organizations SET model_monthly_limit_micros = NULL WHERE id = $1`, org)
	resumed(t, env)
	if vectorsOf(t, env, second) == 0 || value[int](t, env, `SELECT count(*) FROM search_waits`) != 0 || backlogOf(t, owner).Waiting != 0 {
		t.Errorf("with more to spend the job is %s, and %+v waits", embedding(t, env, second), backlogOf(t, owner))
	}
	if _, degraded := degradedOf(t, coach, "SEMANTIC", "nightly mails"); degraded != "" {
		t.Errorf("degraded: %s", degraded)
	}

	// What is looked for may name somebody: it is kept in, where names are.
	sql(t, env, `UPDATE organizations SET model_sees = 'PLACEHOLDERS' WHERE id = $1`, org)
	asked = len(s.Requests())
	if hits, degraded := degradedOf(t, coach, "HYBRID", "mails"); hits == 0 || !strings.Contains(degraded, "see names") || len(s.Requests()) != asked {
		t.Errorf("with placeholders: %d hits, degraded %q, %d requests", hits, degraded, len(s.Requests())-asked)
	}
}

// A key that OpenAI does not take: vectors wait and ask seldom, an analysis is given up after a day, a question after two minutes; each says why, and goes on or can be
// tried again when the key is right.
func TestAWrongKey(t *testing.T) {
	t.Parallel()
	denies := func(llmtest.Request) llmtest.Answer {
		return llmtest.Answer{Status: http.StatusUnauthorized, Code: "invalid_api_key"}
	}
	s := llmtest.Serve(t, denies)
	env := apptest.Demo(t, atOpenAI(s), vectorsAtOpenAI(s))
	switched(t, env)
	owner, coach, session := env.Login(t, apptest.Owner), env.Login(t, apptest.Coach), amara5.id(t, env)
	typed := imports(t, coach, session, evenings(1))
	key := uuid(t, typed)
	env.Index(t)
	if got := seen(t, coach, typed).brief(); got != "ANALYZING, RUNNING ACCESS 0/0" {
		t.Fatalf("the analysis: %s", got)
	}
	if _, body := env.Send(t, http.MethodGet, "/readyz", nil, ""); !strings.Contains(string(body), "does not take the key") {
		t.Errorf("/readyz: %s", body)
	}
	sql(t, env, `UPDATE jobs SET created_at = now() - interval '25 hours' WHERE state = 'PENDING' AND kind = 'transcript.analyse'`)
	comeBack(t, env)
	got := seen(t, coach, typed)
	if got.brief() != "FAILED ANALYSIS_DENIED, FAILED ANALYSIS_DENIED 0/0" || !strings.Contains(got.Failure.Message, "the key") {
		t.Errorf("the analysis after a day: %s", got.brief())
	}

	thread, message := asks(t, coach, apptest.Vars{"question": "What word does she use in her head for delegation?", "scope": apptest.Vars{"sessionId": amara2.id(t, env)}})
	env.Work(t)
	if got := answer(t, coach, message).brief(); got != "WAITING" {
		t.Errorf("the question %s: %s", thread, got)
	}
	sql(t, env, `UPDATE jobs SET created_at = now() - interval '3 minutes', run_at = now(), due_at = now() WHERE kind = 'ask.answer' AND state = 'PENDING'`)
	env.Work(t)
	if got := answer(t, coach, message); got.brief() != "FAILED ASK_DENIED" || !strings.Contains(*got.FailureMessage, "the key") {
		t.Errorf("the question after two minutes: %s", got.brief())
	}

	// The vectors of what is there already: many jobs, of which one asks.
	s.Answers(good)
	does(t, coach, "retryAnalysis", "transcript", "id", apptest.Vars{"transcriptId": typed})
	env.Work(t)
	s.Answers(denies)
	sql(t, env, `UPDATE search_models SET model = 'another'`)
	sql(t, env, `DELETE FROM search_waits`)
	if err := env.App.Services().Meaning.Review(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := len(s.Requests())
	env.Index(t)
	waiting := backlogOf(t, owner)
	orgs := value[int](t, env, `SELECT count(*) FROM search_waits`)
	if n := len(s.Requests()) - asked; waiting.Waiting < 5 || waiting.WaitingFor == nil || *waiting.WaitingFor != "ACCESS" || n != orgs {
		t.Fatalf("%d requests for %d organizations, while %+v waits", n, orgs, waiting)
	}
	for range 12 {
		resumed(t, env)
	}
	if n := len(s.Requests()) - asked; n != 13*orgs || embedding(t, env, key) != "PENDING 0" {
		t.Errorf("%d requests in 13 rounds of %d organizations; the job is %s", n, orgs, embedding(t, env, key))
	}
	if hits, degraded := degradedOf(t, coach, "HYBRID", "mails"); hits == 0 || !strings.Contains(degraded, "does not take our requests") {
		t.Errorf("%d hits, degraded %q", hits, degraded)
	}
	if _, body := env.Send(t, http.MethodGet, "/readyz", nil, ""); !strings.Contains(string(body), "does not take our requests") {
		t.Errorf("/readyz: %s", body)
	}

	// The right key.
	s.Answers(func(r llmtest.Request) llmtest.Answer {
		if r.Inputs != nil {
			return llmtest.Answer{}
		}
		if r.Offers("answer_sentence") {
			return llmtest.Answer{Calls: []llmtest.Call{{Tool: "insufficient_evidence", Arguments: `{}`}}}
		}
		return good(r)
	})
	resumed(t, env)
	if vectorsOf(t, env, key) == 0 || value[int](t, env, `SELECT count(*) FROM jobs WHERE state = 'DEAD'`) != 0 || backlogOf(t, owner).Waiting != 0 {
		t.Errorf("the vectors: %s, %+v", embedding(t, env, key), backlogOf(t, owner))
	}
	does(t, coach, "retryAsk", "message", "status", apptest.Vars{"messageId": message})
	env.Work(t)
	if got := answer(t, coach, message).brief(); got != "ANSWERED insufficient" {
		t.Errorf("the question, asked again: %s", got)
	}
	if got := seen(t, coach, typed).Status; got != "READY" {
		t.Errorf("the transcript is %s", got)
	}
	if _, body := env.Send(t, http.MethodGet, "/readyz", nil, ""); strings.Contains(string(body), "does not take") {
		t.Errorf("/readyz: %s", body)
	}
}

// While Pinecone is away, busy, or breaks off, vectors wait, which is no attempt, and searches find words; when it is back every vector is there.
func TestPineconeAway(t *testing.T) {
	t.Parallel()
	dimension := embedtest.Words{}.Dimension()
	server := pineconetest.New(t, dimension)
	server.Lag = 0
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) {
		c.Meaning.PineconeKey, c.Meaning.PineconeIndex, c.Meaning.PineconeURL = config.Secret(server.Key), server.Index, server.URL
	}))
	owner, coach, session := env.Login(t, apptest.Owner), env.Login(t, apptest.Coach), amara5.id(t, env)
	env.Index(t)
	server.FailOften(1, 3)
	key := uuid(t, imports(t, coach, session, evenings(1)))
	env.Index(t)
	for range 2 {
		resumed(t, env)
	}
	if got := embedding(t, env, key); got != "PENDING 0" || server.Failed() == 0 {
		t.Errorf("after %d faults the job is %s", server.Failed(), got)
	}
	if b := backlogOf(t, owner); b.Waiting == 0 || b.WaitingFor == nil || *b.WaitingFor != "SERVICE" {
		t.Errorf("the owner sees %+v", b)
	}
	if hits, degraded := degradedOf(t, coach, "HYBRID", "mails"); hits == 0 || !strings.Contains(degraded, "cannot be looked for now") {
		t.Errorf("%d hits, degraded %q", hits, degraded)
	}

	server.FailOften(0, 3)
	resumed(t, env)
	ids := value[[]string](t, env, `SELECT ids FROM search_embeddings WHERE transcript_id = $1 AND hash IS NOT NULL`, key)
	if b := backlogOf(t, owner); len(ids) == 0 || b.Waiting != 0 || value[int](t, env, `SELECT count(*) FROM jobs WHERE state = 'DEAD'`) != 0 {
		t.Fatalf("it is back, and %+v waits; %d vectors", b, len(ids))
	}
	said := value[string](t, env, `SELECT string_agg(text, ' ' ORDER BY index) FROM utterances WHERE transcript_id = $1 AND index < 4`, key)
	if place := meant(t, env, apptest.Coach, said, key, 2); place == 0 {
		t.Error("what waited is not found")
	}
}
