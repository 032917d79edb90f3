package app_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// measures are what a coach reads of a session.
type measures struct {
	DefinitionVersion  int
	SilenceShare       *float64
	ReflectionEvidence *string
	PatienceMs         *struct{ Median int }
	Dyad               struct {
		PatienceMs                                 *struct{ Median int }
		ThinkingPauses                             *struct{ Count int }
		CoachInterruptions, ClientInterruptions    *int
		LanguageStyleMatch, CoachEcho, TurnEntropy *float64
	}
	Coach *struct {
		QuestionCount, StackedQuestions, ReflectionCount, Interruptions *int
		FillerRate, BackchannelRate                                     *float64
		Advice                                                          *struct{ WithPermission, WithoutPermission int }
	}
	Timeline []struct {
		StartMs, EndMs int
		SilenceShare   *float64
		Coach          *struct {
			TalkMs        int
			QuestionCount *int
		}
	}
	Quality struct{ OverlapsAvailable, WordingAvailable, FillersAvailable bool }
}

const measuresQuery = `query($id: ID!) {session(id: $id) {metrics {definitionVersion silenceShare reflectionEvidence patienceMs {median}
	dyad {patienceMs {median} thinkingPauses {count} coachInterruptions clientInterruptions languageStyleMatch coachEcho turnEntropy}
	coach {questionCount stackedQuestions reflectionCount interruptions fillerRate backchannelRate advice {withPermission withoutPermission}}
	timeline {startMs endMs silenceShare coach {talkMs questionCount}}
	quality {overlapsAvailable wordingAvailable fillersAvailable}}}}`

func measuresOf(t *testing.T, c *apptest.Client, session string) *measures {
	t.Helper()
	var out struct{ Session struct{ Metrics *measures } }
	c.Must(t, measuresQuery, apptest.Vars{"id": session}, &out)
	if out.Session.Metrics == nil {
		t.Fatal("no measures")
	}
	return out.Session.Metrics
}

// The demo has everything that can be measured: times, overlaps, filled pauses, roles.
func TestMeasuresOfTheDemo(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	m := measuresOf(t, env.Login(t, apptest.Coach), amara2.id(t, env))
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var fields any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	for _, at := range nulls("metrics", fields) {
		t.Errorf("%s is null", at)
	}
	if m.DefinitionVersion != 2 || !m.Quality.OverlapsAvailable || !m.Quality.WordingAvailable || !m.Quality.FillersAvailable {
		t.Errorf("got %s", raw)
	}
	if n := len(m.Timeline); n != 11 || m.Timeline[0].EndMs != m.Timeline[1].StartMs { // 11 and a half minutes
		t.Errorf("%d buckets", n)
	}
	if *m.PatienceMs != *m.Dyad.PatienceMs {
		t.Error("patienceMs is not what it is in dyad")
	}
}

// What an older version has measured can still be read, and a new analysis measures anew.
func TestMeasuresOfVersionOne(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, session := env.Login(t, apptest.Coach), amara2.id(t, env)
	now := measuresOf(t, coach, session)
	sql(t, env, `UPDATE session_metrics SET definition_version = 1, measures = '{"definitionVersion": 1, "basis": "TIME", "durationMs": 60000,
		"silenceShare": 0.35, "interactivityPerMin": 3, "patienceMs": {"count": 1, "median": 4000, "p90": 4000}, "responseLatencyMs": null, "client": null,
		"speakers": [], "coach": {"speakerCount": 1, "turnCount": 2, "wordCount": 15, "questionCount": 2},
		"quality": {"utteranceCount": 7, "overlapsAvailable": false, "pausesAvailable": true}}' WHERE session_id = $1`, uuid(t, session))
	old := measuresOf(t, coach, session)
	if old.DefinitionVersion != 1 || *old.SilenceShare != 0.35 || old.Dyad.PatienceMs.Median != 4000 || *old.Coach.QuestionCount != 2 {
		t.Errorf("what version 1 had measured: %+v", old)
	}
	if old.Timeline == nil || len(old.Timeline) > 0 || old.Dyad.ThinkingPauses != nil || old.Coach.Advice != nil || old.Coach.Interruptions != nil || old.ReflectionEvidence != nil {
		t.Errorf("what version 1 did not know: %+v", old)
	}

	// The run of version 1 had another input, which is how a new one knows that it has something to do.
	sql(t, env, `UPDATE analysis_runs SET input_hash = sha256('') WHERE session_id = $1`, uuid(t, session))
	var job jobs.Job
	if err := env.DB.QueryRow(t.Context(), `SELECT org_id, $2::text, id FROM transcripts WHERE session_id = $1`, uuid(t, session), transcript.JobAnalyse).
		Scan(&job.Org, &job.Kind, &job.Entity); err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(t.Context(), env.DB, func(tx pgx.Tx) error { return jobs.Enqueue(t.Context(), tx, job) }); err != nil {
		t.Fatal(err)
	}
	env.Work(t)
	if again := measuresOf(t, coach, session); !reflect.DeepEqual(again, now) {
		t.Errorf("analysed anew: got %+v, want %+v", again, now)
	}
}

// nulls lists where a JSON value is null.
func nulls(at string, v any) (found []string) {
	switch v := v.(type) {
	case nil:
		return []string{at}
	case map[string]any:
		for k, e := range v {
			found = append(found, nulls(at+"."+k, e)...)
		}
	case []any:
		for _, e := range v {
			found = append(found, nulls(at+"[]", e)...)
		}
	}
	return found
}
