package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

// A file is there at once and complete; the jobs then do the rest. Nobody of this session speaks in the samples: the coach is
// asked who is who.
func TestImportFormats(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	for version, tc := range []struct{ file, format string }{
		{"zoom.vtt", "WEBVTT"}, {"teams.vtt", "WEBVTT"}, {"subrip.srt", "SUBRIP"}, {"plain.txt", "TEXT"},
		{"otter.txt", "TEXT"}, {"aws.json", "JSON"}, {"table.csv", "CSV"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			in := importInto(t, coach, session, sample(t, tc.file), apptest.Vars{"filename": tc.file})
			if in.AlreadyImported || len(in.UserErrors) > 0 || in.Transcript == nil {
				t.Fatalf("got %+v", in)
			}
			tr := in.Transcript
			if tr.Status != "PARSED" || tr.Format != tc.format || tr.Version != version+1 || *tr.Filename != tc.file || tr.Utterances.TotalCount == 0 {
				t.Errorf("at once: %+v", tr)
			}
			env.Work(t)
			var out struct {
				Session struct {
					Transcript struct {
						ID, Status   string
						Metrics      *struct{ Speakers []struct{ WordCount int } }
						Speakers     []struct{ Label, Role string }
						AnalysisRuns struct {
							Nodes []struct{ Status, Engine string }
						}
					}
				}
			}
			coach.Must(t, `query($id: ID!) {session(id: $id) {transcript {id status metrics {speakers {wordCount}}
				speakers {label role} analysisRuns {nodes {status engine}}}}}`, apptest.Vars{"id": session}, &out)
			now := out.Session.Transcript
			if now.ID != tr.ID || now.Status != "NEEDS_SPEAKERS" || now.Metrics == nil || len(now.Speakers) < 2 || len(now.Metrics.Speakers) != len(now.Speakers) {
				t.Errorf("afterwards: %+v", now)
			}
			if runs := now.AnalysisRuns.Nodes; len(runs) != 1 || runs[0].Status != "SUCCEEDED" {
				t.Errorf("runs: %+v", runs)
			}
		})
	}
}

func TestImportSaysWhatWasOdd(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	whole := sample(t, "zoom.vtt")
	for name, tc := range map[string]struct {
		content string
		code    string
		line    int
	}{
		"NUL":       {strings.Replace(whole, "Good morning", "Good\x00 morning", 1), "NUL_REMOVED", 5},
		"truncated": {"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nA: One.\n\n00:00:03.000 --> 00:0", "TRUNCATED", 6},
		"backwards": {"WEBVTT\n\n00:00:09.000 --> 00:00:02.000\nA: One.\n\n00:00:10.000 --> 00:00:12.000\nB: Two.\n", "TIMES_BACKWARDS", 3},
		"unsorted":  {"WEBVTT\n\n00:00:09.000 --> 00:00:10.000\nA: One.\n\n00:00:01.000 --> 00:00:02.000\nB: Two.\n", "TIMES_UNSORTED", 6},
	} {
		t.Run(name, func(t *testing.T) {
			in := importInto(t, coach, session, tc.content, nil)
			if in.Transcript == nil {
				t.Fatalf("got %+v", in.UserErrors)
			}
			for _, w := range in.Transcript.Warnings {
				if w.Code == tc.code && w.Line == tc.line {
					return
				}
			}
			t.Errorf("no %s at line %d: %+v", tc.code, tc.line, in.Transcript.Warnings)
		})
	}
	env.Work(t)
	if n := value[int](t, env, `SELECT count(*) FROM transcripts WHERE status NOT IN ('READY', 'NEEDS_SPEAKERS')`); n > 0 {
		t.Errorf("%d transcripts are not done", n)
	}
}

// What cannot be read, and what is not the viewer's to do, leaves no trace in any table.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.MaxBodyBytes = 16 << 20 }))
	session, good := amara5.id(t, env), sample(t, "zoom.vtt")
	before := rowCounts(t, env)

	coach := env.Login(t, apptest.Coach)
	for name, tc := range map[string]struct {
		content string
		more    apptest.Vars
		want    string
	}{
		"empty":            {"", nil, "EMPTY content"},
		"white":            {" \n\t\r\n ", nil, "EMPTY content"},
		"only NUL":         {strings.Repeat("\x00", 100), nil, "BINARY content"},
		"binary":           {"PK\x03\x04" + strings.Repeat("\x01\x02\x07\x1f\x0e", 200), nil, "BINARY content"},
		"no cues":          {"WEBVTT\n\nNOTE nothing here\n", nil, "NO_CUES content"},
		"prose":            {"Dear all\n\nthank you\n", nil, "UNKNOWN_FORMAT content"},
		"cut in a time":    {"WEBVTT\n\n00:00:01.000 --> 00:0", nil, "NO_CUES content"},
		"over 5 MB":        {"A: " + strings.Repeat("so it goes ", 6<<20/11), nil, "TOO_LARGE content"},
		"too many cues":    {strings.Repeat("A: b\n", 100_001), nil, "TOO_MANY_CUES content"},
		"a name of lines":  {good, apptest.Vars{"filename": "a\nb.vtt"}, "INVALID filename"},
		"a name too long":  {good, apptest.Vars{"filename": strings.Repeat("a", 256)}, "INVALID filename"},
		"a name with NUL":  {good, apptest.Vars{"filename": "a\x00.vtt"}, "INVALID filename"},
		"a filename alone": {"", apptest.Vars{"filename": "a.vtt"}, "EMPTY content"},
	} {
		t.Run(name, func(t *testing.T) {
			in := importInto(t, coach, session, tc.content, tc.more)
			if in.Transcript != nil || in.AlreadyImported || briefly(in.UserErrors) != tc.want || in.UserErrors[0].Message == "" {
				t.Errorf("got %+v, want %s", in, tc.want)
			}
		})
	}
	for name, tc := range map[string]struct{ who, session, want string }{
		"unknown session":     {apptest.Coach, "session_01h455vb4pex5vsknk084sn02q", "NOT_FOUND"},
		"not an id":           {apptest.Coach, "session", "INVALID"},
		"a client's id":       {apptest.Coach, "client_01h455vb4pex5vsknk084sn02q", "INVALID"},
		"of another tenant":   {apptest.Coach, theo1.id(t, env), "NOT_FOUND"},
		"of another coach":    {apptest.Coach, felix1.id(t, env), "NOT_FOUND"},
		"other coach":         {apptest.Coach2, session, "NOT_FOUND"},
		"other tenant":        {apptest.Lumen, session, "NOT_FOUND"},
		"client":              {apptest.ClientUser, session, "FORBIDDEN"},
		"sponsor":             {apptest.Sponsor, session, "FORBIDDEN"},
		"owner":               {apptest.Owner, session, "FORBIDDEN"},
		"supervisor":          {apptest.Supervisor, session, "FORBIDDEN"},
		"nobody":              {"", session, "UNAUTHENTICATED"},
		"owner, other tenant": {apptest.Owner, theo1.id(t, env), "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			c := env.Anonymous()
			if tc.who != "" {
				c = env.Login(t, tc.who)
			}
			r := c.Do(t, importMutation, apptest.Vars{"session": tc.session, "content": good})
			if r.Code() != tc.want {
				t.Errorf("got %s, want %s", r.Body, tc.want)
			}
		})
	}
	sameRows(t, before, rowCounts(t, env))
}

func TestImportOverTheBodyCap(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	before := rowCounts(t, env)
	coach := env.Login(t, apptest.Coach)
	r := coach.Do(t, importMutation, apptest.Vars{"session": amara5.id(t, env), "content": strings.Repeat("A: word\n", 1<<17)})
	if r.Status != http.StatusRequestEntityTooLarge || r.Code() != "BODY_TOO_LARGE" || !strings.Contains(r.Errors[0].Message, "1048576") ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		t.Errorf("got %d %s", r.Status, r.Body)
	}
	if !strings.Contains(env.Log.String(), "route=/graphql status=413") {
		t.Error("the log does not say what was too large")
	}
	sameRows(t, before, rowCounts(t, env))
}

// A larger cap takes a larger file: three megabytes of one conversation, tens of thousands of utterances.
func TestImportLarge(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.MaxBodyBytes = 6 << 20 }))
	coach := env.Login(t, apptest.Coach)
	const cues = 24_000
	text := transcriptText(cues, func(i int) string {
		return fmt.Sprintf("This is sentence %d, and there is a second half to it, which says more of the same.", i)
	})
	in := importInto(t, coach, amara5.id(t, env), text, nil)
	if in.Transcript == nil || in.Transcript.Utterances.TotalCount != cues {
		t.Fatalf("%d bytes: %+v", len(text), in)
	}
}

func TestImportTheSameFileTwice(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	first := importInto(t, coach, session, sample(t, "zoom.vtt"), apptest.Vars{"filename": "first.vtt"})
	env.Work(t)
	before := rowCounts(t, env)
	again := importInto(t, coach, session, sample(t, "zoom.vtt"), apptest.Vars{"filename": "second.vtt"})
	if !again.AlreadyImported || first.AlreadyImported || again.Transcript.ID != first.Transcript.ID ||
		*again.Transcript.Filename != "first.vtt" || again.Transcript.Status != "NEEDS_SPEAKERS" || again.Transcript.Version != 1 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	after := rowCounts(t, env)
	after["audit_events"] = before["audit_events"] // the second answer shows the transcript, which is written down a moment later
	sameRows(t, before, after)

	other := importInto(t, coach, session, sample(t, "teams.vtt"), nil)
	if other.AlreadyImported || other.Transcript.Version != 2 || other.Transcript.ID == first.Transcript.ID {
		t.Errorf("another file: %+v", other)
	}
	elsewhere := importInto(t, coach, amara1.id(t, env), sample(t, "zoom.vtt"), nil)
	if elsewhere.AlreadyImported || elsewhere.Transcript.Version != 1 {
		t.Errorf("another session: %+v", elsewhere)
	}
}

// Imports at the same moment: the same file becomes one transcript, different files become versions without gaps.
func TestImportAtTheSameMoment(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for name, tc := range map[string]struct {
		session string
		content func(i int) string
		want    int
	}{
		"same file":   {amara5.id(t, env), func(int) string { return sample(t, "zoom.vtt") }, 1},
		"other files": {amara1.id(t, env), func(i int) string { return fmt.Sprintf("Ruth: %d?\nAmara: Yes.\n", i) }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 6
			results := make([]apptest.Response, n)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					results[i] = coach.Do(t, importMutation, apptest.Vars{"session": tc.session, "content": tc.content(i)})
				})
			}
			wg.Wait()
			transcripts, versions, fresh := map[string]bool{}, map[int]bool{}, 0
			for _, r := range results {
				var out struct{ ImportTranscript imported }
				r.Into(t, &out)
				if len(r.Errors) > 0 || out.ImportTranscript.Transcript == nil {
					t.Fatalf("got %s", r.Body)
				}
				transcripts[out.ImportTranscript.Transcript.ID] = true
				versions[out.ImportTranscript.Transcript.Version] = true
				if !out.ImportTranscript.AlreadyImported {
					fresh++
				}
			}
			if len(transcripts) != tc.want || fresh != tc.want || len(versions) != tc.want || !versions[1] || !versions[tc.want] {
				t.Errorf("%d transcripts, %d new, versions %v; want %d", len(transcripts), fresh, versions, tc.want)
			}
			if jobs := value[int](t, env, `SELECT count(*) FROM jobs WHERE kind = 'transcript.analyse' AND entity_id IN (SELECT id FROM transcripts WHERE session_id = $1)`, uuid(t, tc.session)); jobs != tc.want {
				t.Errorf("%d jobs", jobs)
			}
		})
	}
}

var (
	cueTimes = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d\d\d --> \d\d:\d\d:\d\d\.\d\d\d\r?\n(.*)$`)
	named    = regexp.MustCompile(`^[^:]{1,80}: `)
)

// Real exports go in and come out with every cue and every word.
func TestImportRealZoomFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testkit.SharedData(t), "zoom", "*.vtt"))
	if err != nil || len(files) != 9 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantCues, wantWords := 0, 0
		for _, m := range cueTimes.FindAllStringSubmatch(string(raw), -1) {
			wantCues++
			wantWords += len(strings.Fields(named.ReplaceAllString(strings.TrimSpace(m[1]), "")))
		}
		in := importInto(t, coach, session, string(raw), apptest.Vars{"filename": filepath.Base(file)})
		if in.Transcript == nil || len(in.Transcript.Warnings) > 0 {
			t.Fatalf("%s: %+v", file, in)
		}
		utterances, cues, words, after := 0, 0, 0, (*string)(nil)
		for {
			var out struct {
				Transcript struct {
					Utterances struct {
						Nodes []struct {
							Index int
							Text  string
							Cues  []struct{ StartMs int }
						}
						PageInfo struct {
							HasNextPage bool
							EndCursor   *string
						}
					}
				}
			}
			coach.Must(t, `query($id: ID!, $after: String) {transcript(id: $id) {utterances(first: 100, after: $after) {
				nodes {index text cues {startMs}} pageInfo {hasNextPage endCursor}}}}`, apptest.Vars{"id": in.Transcript.ID, "after": after}, &out)
			for _, u := range out.Transcript.Utterances.Nodes {
				if u.Index != utterances {
					t.Fatalf("%s: utterance %d comes at place %d", file, u.Index, utterances)
				}
				utterances++
				cues += len(u.Cues)
				words += len(strings.Fields(u.Text))
			}
			if !out.Transcript.Utterances.PageInfo.HasNextPage {
				break
			}
			after = out.Transcript.Utterances.PageInfo.EndCursor
		}
		if cues != wantCues || words != wantWords || utterances != in.Transcript.Utterances.TotalCount || cues < 100 {
			t.Errorf("%s: %d cues of %d, %d words of %d, %d utterances of %d", filepath.Base(file),
				cues, wantCues, words, wantWords, utterances, in.Transcript.Utterances.TotalCount)
		}
	}
	env.Work(t)
	if n := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1 AND status = 'NEEDS_SPEAKERS'`, uuid(t, session)); n != 9 {
		t.Errorf("%d of 9 are done, and ask who is who", n)
	}
	if n := value[int](t, env, `SELECT count(*) FROM insights i LEFT JOIN citations c ON c.insight_id = i.id WHERE c.id IS NULL`); n > 0 {
		t.Errorf("%d insights cite nothing", n)
	}
}

// An analysis that fails for good leaves a transcript that says so, whatever it had come to; the next one, of the same words
// or of others, makes it READY.
func TestAnalysisGivenUp(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	oneAttempt(t, env)
	sql(t, env, `CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$`)
	transcript := ""
	state := func(t *testing.T, want string) {
		t.Helper()
		got := value[string](t, env, `SELECT concat_ws(' ', status, failure_code, (SELECT string_agg(concat_ws(' ', status, error_code), ', ' ORDER BY created_at)
			FROM analysis_runs r WHERE r.transcript_id = t.id)) FROM transcripts t WHERE id = $1`, uuid(t, transcript))
		if got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
	// broken works on the jobs while nothing can be written into a table.
	broken := func(t *testing.T, table string) {
		t.Helper()
		sql(t, env, `CREATE TRIGGER broken BEFORE INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION broken()`)
		env.Work(t)
		sql(t, env, `DROP TRIGGER broken ON `+table)
	}
	role := func(t *testing.T, to string) {
		t.Helper()
		speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 AND ordinal = 0`, uuid(t, transcript))
		does(t, coach, "setSpeakerRole", "speaker", "role", apptest.Vars{"speakerId": speaker, "role": to})
	}

	transcript = imports(t, coach, session, conversation(t))
	sub := coach.Subscribe(t, listen, apptest.Vars{"session": session})
	env.Statements.Await(t, begun, 0)
	broken(t, "insights")
	state(t, "FAILED ANALYSIS_FAILED FAILED ANALYSIS_FAILED")
	if all := several(t, sub, 4); all[2].AnalysisRun.Status != "FAILED" || all[3].Transcript.Status != "FAILED" {
		t.Errorf("told %+v", all)
	}
	role(t, "CLIENT")
	state(t, "ANALYZING FAILED ANALYSIS_FAILED") // at once: what was is over
	env.Work(t)
	state(t, "READY FAILED ANALYSIS_FAILED, SUCCEEDED")

	role(t, "CLIENT") // the same again: there is nothing to do
	env.Work(t)
	state(t, "READY FAILED ANALYSIS_FAILED, SUCCEEDED")

	role(t, "COACH") // given up before it began: what is there is of other roles
	broken(t, "session_metrics")
	state(t, "FAILED ANALYSIS_FAILED FAILED ANALYSIS_FAILED, SUCCEEDED")
	role(t, "COACH") // the same, after a failure: it is tried again
	state(t, "ANALYZING FAILED ANALYSIS_FAILED, SUCCEEDED")
	role(t, "CLIENT")
	env.Work(t)
	state(t, "READY FAILED ANALYSIS_FAILED, SUCCEEDED")

	// Erased meanwhile: there is nobody to tell.
	other := imports(t, coach, session, sample(t, "zoom.vtt"))
	sql(t, env, `DELETE FROM transcripts WHERE id = $1`, uuid(t, other))
	env.Work(t)
	if n := value[int](t, env, `SELECT count(*) FROM jobs WHERE entity_id = $1 AND state = 'DONE'`, uuid(t, other)); n != 2 {
		t.Errorf("of the jobs about nothing %d are done", n)
	}
}
