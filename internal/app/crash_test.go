package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// asServer makes this test binary the server: TestMain calls it, and a test can then kill a whole process.
const asServer = "RAPPORT_TEST_AS_SERVER"

func serve() int {
	if os.Getenv(asServer) == "lambda" {
		fmt.Fprintln(os.Stderr, app.Lambda(context.Background(), os.LookupEnv))
		return 1
	}
	if err := app.Serve(context.Background(), os.LookupEnv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a server in a process of its own.
type process struct {
	*apptest.Env // over the same database, at the process's address
	cmd          *exec.Cmd
	log          *bytes.Buffer // what it wrote to stderr; to be read when it has ended
	block        string        // what it printed when it was ready
}

var readyAt = regexp.MustCompile(`Rapport.* is ready.*(http://\S+)`)

func startProcess(t testing.TB, env *apptest.Env, more ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asServer+"=1", "DATABASE_URL="+env.DatabaseURL, "RAPPORT_HOME="+env.Config.Home,
		"RAPPORT_DEMO=false", "RAPPORT_ADDR=127.0.0.1:0", "RAPPORT_LOG_LEVEL=warn", "DATABASE_MAX_CONNS=6")
	cmd.Env = append(cmd.Env, more...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, log: &stderr}
	t.Cleanup(p.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.block += lines.Text() + "\n"
		if m := readyAt.FindStringSubmatch(lines.Text()); m != nil {
			at := *env
			at.URL = m[1]
			p.Env = &at
		}
		if strings.Contains(lines.Text(), "Ctrl-C stops it") {
			go func() {
				for lines.Scan() {
				}
			}()
			return p
		}
	}
	p.kill()
	t.Fatalf("the server does not start: %s", stderr.String())
	return nil
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// request imports and does not mind if there is no answer: its server may be killed meanwhile.
func (p *process) request(ctx context.Context, token, session, content string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		body, _ := json.Marshal(map[string]any{"query": importMutation, "variables": apptest.Vars{"session": session, "content": content}})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header = p.With(token).Header()
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	return done
}

// outcome is all that an import leaves, without ids and moments.
func outcome(t testing.TB, env *apptest.Env, transcript string) string {
	t.Helper()
	key := uuid(t, transcript)
	var b strings.Builder
	for _, query := range []string{
		`SELECT jsonb_build_array('transcript', status, format, utterance_count, duration_ms, warnings, failure_code) FROM transcripts WHERE id = $1`,
		`SELECT jsonb_build_array('original', blob_key IS NOT NULL, EXISTS (SELECT FROM transcript_originals WHERE transcript_id = $1)) FROM transcripts WHERE id = $1`,
		`SELECT jsonb_build_array('speaker', ordinal, label, display_name, role, role_confidence) FROM speakers WHERE transcript_id = $1 ORDER BY ordinal`,
		`SELECT jsonb_build_array('utterance', u.index, s.ordinal, u.start_ms, u.end_ms, u.text, u.cues) FROM utterances u JOIN speakers s ON s.id = u.speaker_id WHERE u.transcript_id = $1 ORDER BY u.index`,
		`SELECT jsonb_build_array('metrics', definition_version, measures) FROM session_metrics WHERE transcript_id = $1`,
		`SELECT jsonb_build_array('run', status, insight_count, rejected_count, error_code) FROM analysis_runs WHERE transcript_id = $1 ORDER BY created_at`,
		`SELECT jsonb_build_array('insight', ordinal, kind, audience, title, body, confidence, status, retracted_at IS NULL, encode(fingerprint, 'hex')) FROM insights WHERE transcript_id = $1 ORDER BY ordinal, fingerprint`,
		`SELECT jsonb_build_array('citation', i.ordinal, c.ordinal, c.first_index, c.last_index, c.quote, c.start_ms, c.end_ms) FROM citations c JOIN insights i ON i.id = c.insight_id WHERE c.transcript_id = $1 ORDER BY i.ordinal, c.ordinal`,
		`SELECT jsonb_build_array('told', i.ordinal, count(*)) FROM stream_events e JOIN insights i ON i.id::text = e.data->>'insightId' JOIN sessions s ON s.id = i.session_id
			WHERE i.transcript_id = $1 AND e.kind = 'insight.added' AND e.topic LIKE 'session_%' GROUP BY i.ordinal ORDER BY i.ordinal`,
		`SELECT jsonb_build_array('announced', e.type, count(DISTINCT e.id)) FROM (
			SELECT id, type, data::jsonb AS data FROM outbox UNION ALL SELECT id, document->>'type', (document->'data')::jsonb FROM dev_events) e
			WHERE $1::uuid IS NOT NULL AND e.data->>'transcriptId' = '` + transcript + `' GROUP BY e.type ORDER BY e.type`,
		`SELECT jsonb_build_array('job', state, count(*)) FROM jobs WHERE entity_id = $1 AND kind NOT LIKE 'search.%' AND kind NOT LIKE 'embed.%' AND kind <> 'transcript.embed' GROUP BY state ORDER BY state`, // those come as often as they are needed
	} {
		rows, err := env.DB.Query(t.Context(), query, key)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			b.WriteString(line + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	return b.String()
}

// The server is killed at every step of an import. After a restart the import completes by itself, or, if it had not been
// confirmed, when it is sent again; and there is nothing to tell it from an import that nobody disturbed.
func TestKilledDuringAnImport(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	token, session := env.Login(t, apptest.Coach).Token, amara5.id(t, env)
	// A comment makes another file of it, with the same words.
	file := func(n int) string { return conversation(t) + fmt.Sprintf("\nNOTE copy %d\n", n) }

	p := startProcess(t, env)
	undisturbed := imports(t, p.With(token), session, file(0))
	settled(t, env, undisturbed)
	want := outcome(t, env, undisturbed)
	if strings.Count(want, `["insight"`) < 4 || strings.Count(want, `["told"`) != strings.Count(want, `["insight"`) || strings.Count(want, `["utterance"`) < 20 {
		t.Fatalf("not much to compare with:\n%s", want)
	}
	last := strings.Count(want, `["insight"`)
	whole := t

	for n, tc := range []struct {
		before    string
		confirmed bool // whether the client had its answer
	}{
		{`INSERT ON transcripts FOR EACH ROW`, false},
		{`INSERT ON transcript_originals FOR EACH ROW`, false},
		{`INSERT ON utterances FOR EACH ROW WHEN (NEW.index = 7)`, false},
		{`INSERT ON jobs FOR EACH ROW WHEN (NEW.kind = 'transcript.analyse')`, false},
		{`INSERT ON stream_events FOR EACH ROW WHEN (NEW.kind LIKE 'transcript%')`, false},
		{`UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'RUNNING' AND NEW.kind = 'transcript.analyse')`, true},
		{`INSERT ON analysis_runs FOR EACH ROW`, true},
		{`UPDATE ON transcripts FOR EACH ROW WHEN (NEW.status = 'ANALYZING')`, true},
		{`INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = 1)`, true},
		{`INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = 2)`, true},
		{`INSERT ON citations FOR EACH ROW`, true},
		{fmt.Sprintf(`INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = %d)`, last), true},
		{`UPDATE ON analysis_runs FOR EACH ROW WHEN (NEW.status = 'SUCCEEDED')`, true},
		{`UPDATE ON transcripts FOR EACH ROW WHEN (NEW.status = 'READY')`, true},
		{`UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'DONE' AND NEW.kind = 'transcript.analyse')`, true},
		{`DELETE ON outbox FOR EACH ROW WHEN (OLD.type = 'transcript.ready')`, true}, // published, and not known to be
		{`UPDATE ON transcripts FOR EACH ROW WHEN (OLD.blob_key IS NULL AND NEW.blob_key IS NOT NULL)`, true},
		{`DELETE ON transcript_originals FOR EACH ROW`, true},
		{`UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'DONE' AND NEW.kind = 'transcript.keep')`, true},
	} {
		done := t.Run(tc.before, func(t *testing.T) {
			content := file(n + 1)
			table := strings.Fields(tc.before)[2]
			gate := shut(t, env, tc.before)
			answered := p.request(t.Context(), token, session, content)
			if tc.confirmed {
				<-answered
			}
			gate.somebody()
			p.kill()
			<-answered
			gate.release()
			buried(t, env)
			sql(t, env, `DROP TRIGGER gate ON `+table)
			p = startProcess(whole, env)
			find := `SELECT id FROM transcripts WHERE session_id = $1 ORDER BY version DESC LIMIT 1`
			before := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1`, uuid(t, session))
			if kept := before == n+2; kept != tc.confirmed || !kept && before != n+1 {
				t.Fatalf("%d transcripts after the restart", before)
			}
			if !tc.confirmed {
				imports(t, p.With(token), session, content)
			}
			transcript := one(t, env, "transcript", find, uuid(t, session))
			settled(t, env, transcript)
			if got := outcome(t, env, transcript); got != want {
				t.Errorf("another outcome:\n%s", difference(got, want))
			}
			if got := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1`, uuid(t, session)); got != n+2 {
				t.Errorf("%d transcripts", got)
			}
		})
		if !done {
			return // the next ones stand on this one
		}
	}
}

// oneAttempt makes the first attempt of every job the last, but of those that move an original on, or copy for searching.
func oneAttempt(t testing.TB, env *apptest.Env) {
	t.Helper()
	sql(t, env, `CREATE FUNCTION one_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.max_attempts = 1; RETURN NEW; END $$`)
	sql(t, env, `CREATE TRIGGER one_attempt BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.kind NOT IN ('transcript.keep', 'transcript.embed') AND NEW.kind NOT LIKE 'search.%') EXECUTE FUNCTION one_attempt()`)
}

// A server that dies in the last attempt of a job says nothing more; the next one tells that the analysis will not come.
// Replayed, it comes.
func TestKilledInTheLastAttempt(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	oneAttempt(t, env)
	p, whole := startProcess(t, env), t
	undisturbed := imports(t, p.With(coach.Token), session, conversation(t))
	settled(t, env, undisturbed)
	want := outcome(t, env, undisturbed)

	for n, tc := range []struct {
		before string
		runs   string // their states, after the death
		end    string // the transcript's state
	}{
		{`INSERT ON analysis_runs FOR EACH ROW`, "", "FAILED"},
		{`INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = 3)`, "FAILED", "FAILED"},
		{`UPDATE ON transcripts FOR EACH ROW WHEN (NEW.status = 'READY')`, "FAILED", "FAILED"},
		{`UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'DONE' AND NEW.kind = 'transcript.analyse')`, "SUCCEEDED", "READY"}, // it has done all but say so
	} {
		done := t.Run(tc.before, func(t *testing.T) {
			gate := shut(t, env, tc.before)
			transcript := imports(t, p.With(coach.Token), session, conversation(t)+fmt.Sprintf("\nNOTE copy %d\n", n))
			gate.somebody()
			p.kill()
			// It is all over with what it had sent, too: PostgreSQL would go on with it.
			sql(t, env, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rapport'`)
			gate.release()
			buried(t, env)
			sql(t, env, `DROP TRIGGER gate ON `+strings.Fields(tc.before)[2])
			sub := coach.Subscribe(t, listen, apptest.Vars{"session": session, "after": env.Beginning(t, session)})
			several(t, sub, published(t, env, session))
			p = startProcess(whole, env)
			testkit.Eventually(t, 30*time.Second, func() error {
				if state := value[string](t, env, `SELECT state || ' ' || coalesce(last_error_code, '') FROM jobs WHERE entity_id = $1 AND kind = 'transcript.analyse'`, uuid(t, transcript)); state != "DEAD LEASE_LOST" {
					return fmt.Errorf("the job is %s", state)
				}
				return nil
			})
			var out struct {
				Transcript struct {
					Status       string
					Failure      *struct{ Code, Message string }
					AnalysisRuns struct {
						Nodes []struct{ Status, ErrorCode, FinishedAt string }
					}
				}
			}
			coach.Must(t, `query($id: ID!) {transcript(id: $id) {status failure {code message} analysisRuns {nodes {status errorCode finishedAt}}}}`, apptest.Vars{"id": transcript}, &out)
			got, runs := out.Transcript, ""
			for _, r := range out.Transcript.AnalysisRuns.Nodes {
				runs += r.Status
				if r.FinishedAt == "" || (r.Status == "FAILED") != (r.ErrorCode == "ANALYSIS_FAILED") {
					t.Errorf("a run: %+v", r)
				}
			}
			if failed := tc.end == "FAILED"; got.Status != tc.end || runs != tc.runs ||
				failed != (got.Failure != nil) || failed && (got.Failure.Code != "ANALYSIS_FAILED" || got.Failure.Message == "") {
				t.Fatalf("after the death: %+v", got)
			}
			if tc.runs == "FAILED" {
				if e := next(t, sub); e.AnalysisRun.Status != "FAILED" {
					t.Errorf("told %+v", e)
				}
			}
			if tc.end == "FAILED" {
				if e := next(t, sub); e.Transcript.ID != transcript || e.Transcript.Status != "FAILED" {
					t.Errorf("told %+v", e)
				}
			}

			if err := postgres.InTx(t.Context(), env.DB, func(tx pgx.Tx) error {
				org := value[id.UUID](t, env, `SELECT org_id FROM jobs WHERE entity_id = $1 AND kind = 'transcript.analyse'`, uuid(t, transcript))
				job := value[id.UUID](t, env, `SELECT id FROM jobs WHERE entity_id = $1 AND kind = 'transcript.analyse'`, uuid(t, transcript))
				return jobs.Replay(t.Context(), tx, org, job)
			}); err != nil {
				t.Fatal(err)
			}
			settled(t, env, transcript)
			replayed := strings.NewReplacer(`["job", "DONE", 3]`, `["job", "DONE", 2]`, `["announced", "transcript.failed", 1]`+"\n", "")
			if got := replayed.Replace(outcome(t, env, transcript)); got != want {
				t.Errorf("replayed, another outcome:\n%s", difference(got, want))
			}
		})
		if !done {
			return // the next ones stand on this one
		}
	}
}

// Killed again and again wherever it happens to be, an import still completes.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	token, session := env.Login(t, apptest.Coach).Token, amara5.id(t, env)
	file := func(n int) string { return conversation(t) + fmt.Sprintf("\nNOTE copy %d\n", n) }
	p := startProcess(t, env)
	undisturbed := imports(t, p.With(token), session, file(0))
	settled(t, env, undisturbed)
	want := outcome(t, env, undisturbed)
	events := published(t, env, session)
	for n := range 6 {
		content := file(n + 1)
		base := published(t, env, session)
		answered := p.request(t.Context(), token, session, content)
		testkit.Eventually(t, 30*time.Second, func() error { // progress, as far as others can see it
			if got := published(t, env, session); got < base+n*events/6 {
				return fmt.Errorf("%d events", got-base)
			}
			return nil
		})
		p.kill()
		<-answered
		buried(t, env)
		p = startProcess(t, env)
		transcript := imports(t, p.With(token), session, content)
		settled(t, env, transcript)
		if got := outcome(t, env, transcript); got != want {
			t.Errorf("killed after %d events, another outcome:\n%s", n*events/6, difference(got, want))
		}
		if got := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1`, uuid(t, session)); got != n+2 {
			t.Errorf("%d transcripts", got)
		}
	}
}

// buried waits until PostgreSQL, too, has done with a process that was killed: it finishes what it was sent, and may commit
// it, before it notices. Then the leases of the dead end: they would in their time, but nobody has to wait for that here.
func buried(t testing.TB, env *apptest.Env) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := value[int](t, env, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rapport'`); n > 0 {
			return fmt.Errorf("%d connections of the dead", n)
		}
		return nil
	})
	sql(t, env, `UPDATE jobs SET lease_until = now(), due_at = now() WHERE state = 'RUNNING'`)
}

// settled waits until a transcript is READY and its job over.
func settled(t testing.TB, env *apptest.Env, transcript string) {
	t.Helper()
	ready(t, env, transcript)
	quiet(t, env, transcript)
}

// recovery is how long a job may take that somebody has let go of: its lease of 30 s, and the work.
const recovery = 90 * time.Second

// quiet waits until nothing is to be done about a transcript.
func quiet(t testing.TB, env *apptest.Env, transcript string) {
	t.Helper()
	testkit.Eventually(t, recovery, func() error {
		if n := value[int](t, env, `SELECT count(*) FROM jobs WHERE entity_id = $1 AND state <> 'DONE'`, uuid(t, transcript)); n > 0 {
			return fmt.Errorf("%d jobs are not done", n)
		}
		return nil
	})
}

// difference is the lines that only one of the two has.
func difference(got, want string) string {
	var b strings.Builder
	count := map[string]int{}
	for line := range strings.Lines(got) {
		count[line]++
	}
	for line := range strings.Lines(want) {
		count[line]--
	}
	for line, n := range count {
		switch {
		case n > 0:
			fmt.Fprintf(&b, "+%d %s", n, line)
		case n < 0:
			fmt.Fprintf(&b, "%d %s", n, line)
		}
	}
	return b.String()
}

// The database's clock is an hour ahead of the server's, or behind: what is due is due by the database's alone, a lease that ends in an hour by
// one clock is not over by the other, and an import ends as ever, also when its server is killed in the midst of it.
func TestAClockThatIsAnHourOff(t *testing.T) {
	t.Parallel()
	for _, off := range []string{"1 hour", "-1 hour"} {
		t.Run(off, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t)
			coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
			here := imports(t, coach, session, conversation(t))
			env.Work(t)
			settled(t, env, here)
			want := outcome(t, env, here)
			// For whoever connects from now on. What a table fills in by itself keeps the right time, which is off the more.
			sql(t, env, `CREATE SCHEMA skew`)
			for _, clock := range []string{"now", "clock_timestamp"} {
				sql(t, env, `CREATE FUNCTION skew.`+clock+`() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT pg_catalog.`+clock+`() + interval '`+off+`' $$`)
			}
			sql(t, env, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, skew, pg_catalog', current_database()); END $$`)
			p := startProcess(t, env, "RAPPORT_JOB_LEASE=5s")
			copied := func(n int) string { return conversation(t) + fmt.Sprintf("\nNOTE copy %d\n", n) }
			undisturbed := imports(t, p.With(coach.Token), session, copied(1))
			settled(t, env, undisturbed)
			if got := outcome(t, env, undisturbed); got != want {
				t.Errorf("another outcome:\n%s", difference(got, want))
			}
			gate := shut(t, env, `INSERT ON citations FOR EACH ROW`)
			killed := imports(t, p.With(coach.Token), session, copied(2))
			gate.somebody()
			p.kill()
			gate.release()
			sql(t, env, `DROP TRIGGER gate ON citations`)
			startProcess(t, env, "RAPPORT_JOB_LEASE=5s") // which waits for the end of the lease
			settled(t, env, killed)
			if got := outcome(t, env, killed); got != want {
				t.Errorf("another outcome after a kill:\n%s", difference(got, want))
			}
		})
	}
}
