package app_test

import (
	"reflect"
	"testing"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
	"github.com/rapporthq/rapport/internal/platform/telemetry/telemetrytest"
)

// Measures are lines as CloudWatch wants them: of the jobs how many wait, for how long, and how many were given up; of each analysis, once,
// how long it was waited for, or by which code it has failed; of each answer of the model what it has cost, whatever became of it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var out apptest.Log
	s := llmtest.Serve(t, good)
	env := apptest.Demo(t, atOpenAI(s), apptest.AppOptions(app.WithMetrics(&out)), apptest.Config(func(c *config.Config) {
		c.Metrics = config.Metrics{Format: config.MetricsEMF, Namespace: "Harbor/Rapport"}
	}))
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	env.Work(t)
	sql(t, env, `DELETE FROM jobs`)
	before := len(telemetrytest.Read(t, out.String()))
	transcript := imports(t, coach, session, evenings(1))
	sql(t, env, `DELETE FROM jobs WHERE kind <> 'transcript.analyse'`)
	sql(t, env, `UPDATE jobs SET run_at = now() - interval '90 seconds', created_at = now() - interval '90 seconds' WHERE state = 'PENDING'`)
	sql(t, env, `INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, run_at, state, finished_at, last_error_code)
		SELECT gen_random_uuid(), id, 'transcript.parse', gen_random_uuid(), 1, now(), 'DEAD', now(), 'INTERNAL' FROM organizations`)
	if err := env.App.MeasureJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	env.Work(t)
	env.Work(t)
	lines := telemetrytest.Read(t, out.String())[before:]
	if len(lines) != 4 {
		t.Fatalf("%d lines: %+v", len(lines), lines)
	}
	stand, analysis := lines[0], lines[3]
	if age := stand.Values["JobAge"]; age < 90 || age > 150 {
		t.Errorf("the oldest job waits for %v s", age)
	}
	delete(stand.Values, "JobAge")
	if want := map[string]float64{"PendingJobs": 1, "RunningJobs": 0, "DeadJobs": 2}; !reflect.DeepEqual(stand.Values, want) || stand.Namespace != "Harbor/Rapport" || len(stand.Dimensions) > 0 {
		t.Errorf("jobs: %+v", stand)
	}
	costs := func(lines []telemetrytest.Line) (sum float64) {
		for _, l := range lines {
			if sum += l.Values["AnalysisCost"]; l.Values["AnalysisCost"] > 0 && (!reflect.DeepEqual(l.Dimensions, map[string]string{"Engine": "openai"}) || l.Units["AnalysisCost"] != "None") {
				t.Errorf("a cost: %+v", l)
			}
		}
		return sum
	}
	booked := func() float64 {
		return float64(value[int64](t, env, `SELECT sum(cost_micros)::bigint FROM model_spending`))
	}
	if got := costs(lines); got != booked() || got == 0 {
		t.Errorf("costs %v, and %v was booked", got, booked())
	}
	if waited := analysis.Values["AnalysisLatency"]; waited < 90 || waited > 150 || !reflect.DeepEqual(analysis.Dimensions, map[string]string{"Engine": "openai"}) {
		t.Errorf("analysis: %+v", analysis)
	}
	if want := map[string]string{"AnalysisLatency": "Seconds"}; !reflect.DeepEqual(analysis.Units, want) {
		t.Errorf("units: %v", analysis.Units)
	}

	// A job that finds its analysis done has nothing to tell. Without the setting nothing is written.
	sql(t, env, `UPDATE analysis_runs SET finished_at = now() - interval '1 hour'`)
	sql(t, env, `UPDATE jobs SET state = 'PENDING', due_at = now(), run_at = now(), finished_at = NULL WHERE kind = 'transcript.analyse' AND entity_id = $1`, uuid(t, transcript))
	env.Work(t)
	if n := len(telemetrytest.Read(t, out.String())) - before; n != 4 {
		t.Errorf("%d lines", n)
	}

	// One that fails is told by why, once, and by what it has cost all the same.
	s.Answers(of(llmtest.Answer{Refusal: "I would rather not.", InputTokens: 900, OutputTokens: 5}))
	imports(t, coach, session, evenings(3))
	sql(t, env, `DELETE FROM jobs WHERE kind <> 'transcript.analyse'`)
	env.Work(t)
	failed := telemetrytest.Read(t, out.String())[before+4:]
	var deaths []telemetrytest.Line
	for _, l := range failed {
		if _, is := l.Values["FailedAnalyses"]; is {
			deaths = append(deaths, l)
		}
	}
	if len(deaths) != 1 || deaths[0].Values["FailedAnalyses"] != 1 || !reflect.DeepEqual(deaths[0].Dimensions, map[string]string{"Engine": "openai", "Code": "ANALYSIS_REFUSED"}) {
		t.Errorf("failed: %+v", failed)
	}
	if got := costs(lines) + costs(failed); got != booked() || costs(failed) < 9_150 {
		t.Errorf("costs %v, and %v was booked", got, booked())
	}
	// And one whose worker has died.
	s.Answers(good)
	another := imports(t, coach, session, evenings(4))
	sql(t, env, `UPDATE jobs SET state = 'RUNNING', attempt = max_attempts, lease = gen_random_uuid(), lease_until = now(), due_at = now() WHERE kind = 'transcript.analyse' AND entity_id = $1`, uuid(t, another))
	env.Work(t)
	lines = telemetrytest.Read(t, out.String())
	if last := lines[len(lines)-1]; last.Values["FailedAnalyses"] != 1 || last.Dimensions["Code"] != "ANALYSIS_FAILED" {
		t.Errorf("its worker has died: %+v", last)
	}
	var silent apptest.Log
	off := env.Another(t, apptest.AppOptions(app.WithMetrics(&silent)))
	imports(t, coach, session, evenings(2))
	off.Work(t)
	if silent.String() != "" {
		t.Errorf("without the setting: %s", silent.String())
	}
}
