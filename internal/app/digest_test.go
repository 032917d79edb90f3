package app_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

type passage struct {
	Quote      string
	Utterances []struct{ Text string }
}

type digest struct {
	Summary *struct {
		Sections []struct {
			Heading string
			Points  []struct {
				Text      string
				Citations []passage
			}
		}
	}
	SkillEvidence []struct {
		Skill, Level, Paragraph string
		Citations               []passage
	}
	Utterances struct {
		Nodes []struct {
			Text  string
			Codes []struct {
				Scheme, Code, Source string
				Main                 bool
				Confidence           float64
				Rule                 *string
			}
		}
	}
}

func digestOf(t *testing.T, c *apptest.Client, session string) (d *digest) {
	t.Helper()
	var out struct{ Session struct{ Transcript *digest } }
	c.Must(t, `query($id: ID!) {session(id: $id) {transcript {
		summary {sections {heading points {text citations {quote utterances {text}}}}}
		skillEvidence {skill level paragraph citations {quote utterances {text}}}
		utterances(first: 100) {nodes {text codes {scheme code main confidence source rule}}}
	}}}`, apptest.Vars{"id": session}, &out)
	return out.Session.Transcript
}

// check proves that a passage stands in the utterances that the API gives for it.
func (p passage) check(t *testing.T) {
	t.Helper()
	said := ""
	for _, u := range p.Utterances {
		said += u.Text + " "
	}
	if p.Quote == "" || !strings.Contains(said, p.Quote) {
		t.Errorf("%q does not stand in %q", p.Quote, said)
	}
}

// The summary, the evidence of skills and the codes are the coach's and the supervisor's: a client to whom the transcript is
// shared reads the words and none of these.
func TestDigest(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	session := id.Format("session", value[id.UUID](t, env, `
		SELECT s.id FROM transcripts t JOIN sessions s ON s.org_id = t.org_id AND s.id = t.session_id
		JOIN clients c ON c.org_id = s.org_id AND c.id = s.client_id JOIN users u ON u.id = c.user_id
		WHERE t.shared_with_client AND u.email = 'client@harbor.example' ORDER BY s.starts_at LIMIT 1`))
	coach := digestOf(t, env.Login(t, apptest.Coach), session)
	if coach == nil || coach.Summary == nil || len(coach.Summary.Sections) == 0 || len(coach.SkillEvidence) != 5 {
		t.Fatalf("the coach gets %+v", coach)
	}
	for _, section := range coach.Summary.Sections {
		for _, p := range section.Points {
			if p.Text == "" || len(p.Citations) == 0 {
				t.Errorf("%s: %+v", section.Heading, p)
			}
			for _, c := range p.Citations {
				c.check(t)
			}
		}
	}
	observed := 0
	for _, e := range coach.SkillEvidence {
		if e.Level == "OBSERVED" {
			observed++
		}
		for _, c := range e.Citations {
			c.check(t)
		}
	}
	coded := 0
	for _, u := range coach.Utterances.Nodes {
		for i, c := range u.Codes {
			coded++
			if c.Main != (i == 0) || c.Source != "RULE" || c.Scheme != "rapport.v1" || c.Rule == nil {
				t.Errorf("%q: %+v", u.Text, c)
			}
		}
	}
	if observed == 0 || coded == 0 {
		t.Errorf("%d skills observed, %d codes", observed, coded)
	}

	client := digestOf(t, env.Login(t, apptest.ClientUser), session)
	if client == nil || len(client.Utterances.Nodes) == 0 {
		t.Fatalf("the client gets %+v", client)
	}
	if client.Summary != nil || len(client.SkillEvidence) > 0 {
		t.Errorf("the client gets %+v, %+v", client.Summary, client.SkillEvidence)
	}
	for _, u := range client.Utterances.Nodes {
		if len(u.Codes) > 0 {
			t.Errorf("the client is told %+v", u.Codes)
		}
	}
}

// A later run replaces what an earlier one said, and without AI there is nothing of it.
func TestDigestFollowsTheRun(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	count := func() (rows int) {
		return value[int](t, env, `SELECT (SELECT count(*) FROM digests) + (SELECT count(*) FROM utterance_codes)`)
	}
	before := count()
	reanalyse := func(change string) {
		t.Helper()
		if _, err := env.DB.Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		err := postgres.InTx(t.Context(), env.DB, func(tx pgx.Tx) error {
			rows, err := tx.Query(t.Context(), `SELECT org_id, id FROM transcripts`)
			if err != nil {
				return err
			}
			all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j jobs.Job, err error) {
				j.Kind = transcript.JobAnalyse
				return j, row.Scan(&j.Org, &j.Entity)
			})
			if err != nil {
				return err
			}
			return jobs.Enqueue(t.Context(), tx, all...)
		})
		if err != nil {
			t.Fatal(err)
		}
		env.Work(t)
	}
	reanalyse(`UPDATE users SET time_zone = 'Pacific/Kiritimati'`) // another day, so another input
	if after := count(); after != before {
		t.Errorf("%d rows after a second run, %d before", after, before)
	}
	reanalyse(`UPDATE organizations SET ai_enabled = false`)
	if after := count(); after != 0 {
		t.Errorf("%d rows without AI", after)
	}
	reanalyse(`UPDATE organizations SET ai_enabled = true`)
	if after := count(); after != before {
		t.Errorf("%d rows with AI again, %d before", after, before)
	}
}

func TestCommitment(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	var out struct {
		Insights struct {
			Nodes []struct {
				Title      string
				Commitment *struct {
					Speaker    *struct{ Role string }
					Due, DueOn *string
				}
			}
		}
	}
	coach := env.Login(t, apptest.Coach)
	coach.Must(t, `{insights(first: 100, filter: {kinds: [COMMITMENT]}) {nodes {title commitment {speaker {role} due dueOn}}}}`, nil, &out)
	dated, days := 0, 0
	for _, i := range out.Insights.Nodes {
		if i.Commitment == nil || i.Commitment.Speaker == nil || i.Commitment.Speaker.Role != "CLIENT" && i.Commitment.Speaker.Role != "COACH" {
			t.Errorf("%s: %+v", i.Title, i.Commitment)
			continue
		}
		if i.Commitment.Due != nil {
			dated++
		}
		if i.Commitment.DueOn != nil {
			days++
		}
	}
	if dated == 0 || days == 0 || days > dated {
		t.Errorf("of %d commitments %d say when, %d on which day", len(out.Insights.Nodes), dated, days)
	}
	coach.Must(t, `{insights(first: 1, filter: {kinds: [THEME]}) {nodes {title commitment {due}}}}`, nil, &out)
	if got := out.Insights.Nodes[0]; got.Commitment != nil {
		t.Errorf("a theme commits somebody: %+v", got)
	}
}

// inventing is an analyser that backs each kind of proposal once by what was said, once by that and by what was not, once by
// what was said elsewhere, and once by nothing.
type inventing struct{ insight.Analyser }

func (inventing) Analyse(_ context.Context, c insight.Conversation, to insight.Report) error {
	said := insight.Quote{Text: c.Utterances[0].Text}
	for what, citations := range map[string][]insight.Quote{
		"said":      {said},
		"invented":  {said, {Text: "Nobody has said this."}},
		"misplaced": {{Text: said.Text, First: 1, Last: 1}},
		"unfounded": nil,
	} {
		if err := to.Insight(insight.Finding{Kind: insight.KindTheme, Audience: insight.AudienceBoth, Title: what, Body: what, Confidence: 1, Citations: citations}); err != nil {
			return err
		}
		if err := to.Point(insight.Point{Heading: insight.HeadingTopics, Text: what, Citations: citations}); err != nil {
			return err
		}
		if err := to.Evidence(insight.Evidence{Skill: insight.SkillReflections, Level: insight.Observed, Paragraph: what, Citations: citations}); err != nil {
			return err
		}
	}
	return nil
}

// Whatever an analyser cites is looked up before it is stored: what nobody said there is in no insight, no summary and no evidence.
func TestInventedWordsAreRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.AppOptions(app.WithAnalyser(inventing{rules.Analyser{}})))
	coach := env.Login(t, apptest.Coach)
	key := uuid(t, imports(t, coach, amara5.id(t, env), conversation(t)))
	env.Work(t)
	if got := value[string](t, env, `SELECT string_agg(title, ' ') FROM insights WHERE transcript_id = $1`, key); got != "said" {
		t.Errorf("insights: %q", got)
	}
	stored := value[string](t, env, `SELECT to_jsonb(d)::text FROM digests d WHERE transcript_id = $1`, key)
	if strings.Count(stored, `"said"`) != 2 {
		t.Errorf("one point and one skill have been said: %s", stored)
	}
	for _, lie := range []string{"invented", "misplaced", "unfounded", "Nobody has said this"} {
		if strings.Contains(stored, lie) {
			t.Errorf("%q is in the digest: %s", lie, stored)
		}
	}
	if n := value[int](t, env, `SELECT rejected_count FROM analysis_runs WHERE transcript_id = $1`, key); n != 9 {
		t.Errorf("%d proposals were rejected, want 9", n)
	}
}

// counting is an analyser that is counted.
type counting struct {
	insight.Analyser
	runs *atomic.Int32
}

func (c counting) Analyse(ctx context.Context, what insight.Conversation, to insight.Report) error {
	c.runs.Add(1)
	return c.Analyser.Analyse(ctx, what, to)
}

// What was analysed before is not analysed again, and gives the same rows, byte for byte: summary, evidence and codes, too.
func TestASecondRunIsFree(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	env := apptest.Demo(t, apptest.AppOptions(app.WithAnalyser(counting{rules.Analyser{}, &runs})))
	c := correcting(t, env, conversation(t))
	found := func() string {
		return value[string](t, env, `SELECT concat_ws(E'\n',
			(SELECT to_jsonb(d)::text FROM digests d WHERE transcript_id = $1),
			(SELECT string_agg(to_jsonb(u)::text, E'\n' ORDER BY utterance_id, scheme, code) FROM utterance_codes u WHERE transcript_id = $1))`, uuid(t, c.id)) + c.results()
	}
	before := found()
	if n := runs.Load(); n != 1 || len(before) < 1000 {
		t.Fatalf("%d runs, found %s", n, before)
	}
	c.undo(c.do("renameSpeaker", apptest.Vars{"speakerId": c.speaker(0), "displayName": "Somebody"}))
	env.Work(t)
	c.same("after an edit that was undone", found(), before)
	if n := runs.Load(); n != 1 {
		t.Errorf("analysed %d times", n)
	}
	c.do("renameSpeaker", apptest.Vars{"speakerId": c.speaker(0), "displayName": "Somebody"})
	env.Work(t)
	if n := runs.Load(); n != 2 {
		t.Errorf("after an edit analysed %d times", n)
	}
}
