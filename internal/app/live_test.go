package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// beginning is a session of Amara's with Ruth whose time has come.
func beginning(t testing.TB, env *apptest.Env) string {
	t.Helper()
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	return does(t, env.Login(t, apptest.Coach), "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": time.Now()})["id"].(string)
}

// listening is beginning, and listened to.
func listening(t testing.TB, env *apptest.Env) string {
	t.Helper()
	key := beginning(t, env)
	does(t, env.Login(t, apptest.Coach), "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": key})
	return key
}

// chunk is said by somebody from a second to another.
func chunk(key, speaker, text string, from, to float64) apptest.Vars {
	return apptest.Vars{"chunkId": key, "speaker": speaker, "text": text, "startMs": int(from * 1000), "endMs": int(to * 1000), "final": true}
}

// A source that counts its pieces may send their numbers.
func TestLiveChunksAreNumbered(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	numbered := chunk("", "Ruth Calloway", "What would help?", 0, 2)
	numbered["chunkId"] = 17
	if a := utter(t, coach, session, numbered); a.Added != 1 {
		t.Fatalf("got %+v", a)
	}
	again := fmt.Sprintf(`mutation {appendLiveUtterances(input: {sessionId: %q, chunks: [{chunkId: 17, speaker: "Ruth Calloway", text: "What would help?", startMs: 0, endMs: 2000, final: true}]}) {unchanged}}`, session)
	if r := coach.Do(t, again, nil); !strings.Contains(string(r.Body), `"unchanged":1`) {
		t.Errorf("written into the query: %s", r.Body)
	}
	if key := value[string](t, env, `SELECT chunk_id FROM live_utterances`); key != "17" {
		t.Errorf("it is called %q", key)
	}
}

func provisional(c apptest.Vars) apptest.Vars {
	c["final"] = false
	return c
}

type appended struct {
	LiveSession               *struct{ Status string }
	Added, Revised, Unchanged int
	UserErrors                []userError
}

const appendMutation = `mutation($in: AppendLiveUtterancesInput!) {out: appendLiveUtterances(input: $in) {liveSession {status} added revised unchanged userErrors {code field message}}}`

func utter(t testing.TB, c *apptest.Client, session string, chunks ...apptest.Vars) appended {
	t.Helper()
	var out struct{ Out appended }
	if chunks == nil {
		chunks = []apptest.Vars{} // no null
	}
	c.Must(t, appendMutation, apptest.Vars{"in": apptest.Vars{"sessionId": session, "chunks": chunks}}, &out)
	return out.Out
}

// heard is what a viewer sees of a live session: "speaker role: text", provisional ones with a mark.
func heard(t testing.TB, c *apptest.Client, session string) (status string, lines []string) {
	t.Helper()
	var out struct {
		Session *struct {
			LiveSession *struct {
				Status     string
				Utterances struct {
					Nodes []struct {
						Speaker    *string
						Role, Text string
						Final      bool
					}
				}
			}
		}
	}
	c.Must(t, `query($id: ID!) {session(id: $id) {liveSession {status utterances(first: 100) {nodes {speaker role text final}}}}}`, apptest.Vars{"id": session}, &out)
	if out.Session == nil || out.Session.LiveSession == nil {
		return "", nil
	}
	for _, u := range out.Session.LiveSession.Utterances.Nodes {
		line := "nobody"
		if u.Speaker != nil {
			line = *u.Speaker
		}
		line += " " + u.Role + ": " + u.Text
		if !u.Final {
			line += " …"
		}
		lines = append(lines, line)
	}
	return out.Session.LiveSession.Status, lines
}

func sameLines(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A session is listened to, out of order and with second thoughts; its end makes a transcript that is analysed like any other.
func TestLiveSessionBecomesATranscript(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	start := apptest.Vars{"sessionId": session, "source": "recorder", "language": "en", "speakers": []apptest.Vars{{"label": "mic 1", "role": "COACH"}}}
	const fields = "id status source language sharedWithClient endReason speakers {label role} session {status}"
	l := does(t, coach, "startLiveSession", "liveSession", fields, start)
	has(t, l, apptest.Vars{"status": "LIVE", "source": "recorder", "language": "en", "sharedWithClient": false, "endReason": nil, "session": apptest.Vars{"status": "IN_PROGRESS"},
		"speakers": []any{apptest.Vars{"label": "mic 1", "role": "COACH"}}})
	if again := does(t, coach, "startLiveSession", "liveSession", fields, start); again["id"] != l["id"] {
		t.Errorf("started twice by one source: %v and %v", l["id"], again["id"])
	}

	if got := utter(t, coach, session, chunk("b", "Amara Okafor", "I will write to Tomasz by Friday.", 6, 9), provisional(chunk("a", "mic 1", "What would", 1, 2))); got.Added != 2 {
		t.Errorf("%+v", got)
	}
	if got := utter(t, coach, session, chunk("a", "mic 1", "What would you like to leave with today?", 1, 5), chunk("b", "Amara Okafor", "I will write to Tomasz by Friday.", 6, 9)); got.Revised != 1 || got.Unchanged != 1 {
		t.Errorf("%+v", got)
	}
	late := utter(t, coach, session, provisional(chunk("a", "mic 1", "What wood", 1, 4)), chunk("c", "Amara Okafor", "Um.", 9, 10), chunk("c", "Amara Okafor", "", 9, 10), provisional(chunk("d", "", "Mm", 11, 12)))
	if late.Unchanged != 1 || late.Added != 2 {
		t.Errorf("%+v", late)
	}
	status, lines := heard(t, coach, session)
	sameLines(t, "heard, "+status, lines, "mic 1 COACH: What would you like to leave with today?", "Amara Okafor CLIENT: I will write to Tomasz by Friday.", "Amara Okafor CLIENT: ", "nobody UNKNOWN: Mm …")

	does(t, coach, "pauseLiveSession", "liveSession", "status", apptest.Vars{"sessionId": session})
	if got := utter(t, coach, session, chunk("e", "mic 1", "Off the record.", 13, 14)); briefly(got.UserErrors) != "LIVE_SESSION_PAUSED " {
		t.Errorf("said in a pause: %+v", got)
	}
	if got := utter(t, coach, session, provisional(chunk("d", "", "Mm-hmm.", 11, 13))); got.Revised != 1 {
		t.Errorf("what was begun before the pause is not brought to its end: %+v", got)
	}
	has(t, does(t, coach, "resumeLiveSession", "liveSession", "status pausedAt", apptest.Vars{"sessionId": session}), apptest.Vars{"status": "LIVE", "pausedAt": nil})

	const ended = "status endReason transcript {id status language sharedWithClient utterances(first: 10) {nodes {text startMs endMs speaker {label role roleConfidence}}}}"
	end := does(t, coach, "endLiveSession", "liveSession", ended, apptest.Vars{"sessionId": session})
	transcript := end["transcript"].(map[string]any)
	delete(end, "transcript")
	has(t, end, apptest.Vars{"status": "ENDED", "endReason": "BY_COACH"})
	voice := func(label, role string, confidence any) apptest.Vars {
		return apptest.Vars{"label": label, "role": role, "roleConfidence": confidence}
	}
	has(t, transcript, apptest.Vars{"status": "PARSED", "language": "en", "sharedWithClient": false, "utterances": apptest.Vars{"nodes": []any{
		apptest.Vars{"text": "What would you like to leave with today?", "startMs": 1000, "endMs": 5000, "speaker": voice("mic 1", "COACH", nil)},
		apptest.Vars{"text": "I will write to Tomasz by Friday.", "startMs": 6000, "endMs": 9000, "speaker": voice("Amara Okafor", "CLIENT", 0.95)},
		apptest.Vars{"text": "Mm-hmm.", "startMs": 11000, "endMs": 13000, "speaker": voice("Unknown speaker", "UNKNOWN", 0)},
	}}})
	if again := does(t, coach, "endLiveSession", "liveSession", "transcript {id}", apptest.Vars{"sessionId": session}); again["transcript"].(map[string]any)["id"] != transcript["id"] {
		t.Errorf("ended twice: %v", again)
	}
	for name, got := range map[string]string{
		"append after the end": briefly(utter(t, coach, session, chunk("f", "mic 1", "Too late.", 20, 21)).UserErrors),
		"pause after the end":  briefly(change(t, coach, "pauseLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session}).userErrors),
	} {
		if got != "LIVE_SESSION_ENDED " {
			t.Errorf("%s: %q", name, got)
		}
	}

	env.Work(t)
	var out struct {
		Session struct {
			Transcript struct{ Status string }
			Metrics    *struct{ Coach struct{ WordCount int } }
			Insights   struct{ Nodes []struct{ Kind string } }
		}
	}
	coach.Must(t, `query($id: ID!) {session(id: $id) {transcript {status} metrics {coach {wordCount}} insights {nodes {kind}}}}`, apptest.Vars{"id": session}, &out)
	if s := out.Session; s.Transcript.Status != "READY" || s.Metrics == nil || s.Metrics.Coach.WordCount != 8 || len(s.Insights.Nodes) == 0 {
		t.Errorf("the pipeline: %+v", s)
	}
	if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE action LIKE 'live.%' AND client_id IS NOT NULL`); n < 5 {
		t.Errorf("%d lines of the audit trail", n)
	}
}

// What a source may get wrong is refused by its field, and nothing of the call is kept.
func TestLiveChunksThatAreRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	utter(t, coach, session, chunk("kept", "Ruth Calloway", "Kept.", 0, 1))
	good := chunk("good", "Ruth Calloway", "Good.", 1, 2)
	with := func(field string, v any) apptest.Vars {
		c := chunk("bad", "Ruth Calloway", "Bad.", 1, 2)
		c[field] = v
		return c
	}
	for field, bad := range map[string]apptest.Vars{
		"chunks.1.chunkId":  with("chunkId", " "),
		"chunks.1.chunkId ": with("chunkId", strings.Repeat("k", 101)),
		"chunks.1.text":     with("text", strings.Repeat("long ", 200_000)[:950_000]),
		"chunks.1.text ":    with("text", "a\x00b"),
		"chunks.1.speaker":  with("speaker", strings.Repeat("s", 201)),
		"chunks.1.startMs":  with("startMs", -1),
		"chunks.1.startMs ": with("startMs", 1<<40),
		"chunks.1.endMs":    with("endMs", 0),
		"chunks.1.endMs ":   with("endMs", 1<<40),
	} {
		if got := utter(t, coach, session, good, bad); briefly(got.UserErrors) != "INVALID "+strings.TrimSpace(field) {
			t.Errorf("%s: %+v", field, got.UserErrors)
		}
	}
	many := make([]apptest.Vars, 101)
	for i := range many {
		many[i] = chunk(fmt.Sprint(i), "Ruth Calloway", "Much.", 1, 2)
	}
	if got := utter(t, coach, session, many...); briefly(got.UserErrors) != "INVALID chunks" {
		t.Errorf("101 chunks: %+v", got.UserErrors)
	}
	if got := utter(t, coach, session); briefly(got.UserErrors) != "INVALID chunks" {
		t.Errorf("none: %+v", got.UserErrors)
	}
	for i := range many[:60] {
		many[i]["speaker"] = fmt.Sprint("Voice ", i)
	}
	if got := utter(t, coach, session, many[:60]...); briefly(got.UserErrors) != "INVALID chunks" {
		t.Errorf("60 speakers: %+v", got.UserErrors)
	}
	_, lines := heard(t, coach, session)
	sameLines(t, "kept", lines, "Ruth Calloway COACH: Kept.")

	for name, c := range map[string]struct{ mutation, want string }{
		"another source appends": {"appendLiveUtterances", "LIVE_SESSION_SOURCE "},
		"another source starts":  {"startLiveSession", "LIVE_SESSION_SOURCE "},
	} {
		input := apptest.Vars{"sessionId": session, "source": "another"}
		fields := "id"
		if c.mutation == "appendLiveUtterances" {
			input["chunks"] = []apptest.Vars{good}
		}
		if got := change(t, coach, c.mutation, "liveSession", fields, input); briefly(got.userErrors) != c.want {
			t.Errorf("%s: %s", name, got.response.Body)
		}
	}
	if got := utter(t, coach, beginning(t, env), good); briefly(got.UserErrors) != "LIVE_SESSION_NONE " {
		t.Errorf("nobody listens: %+v", got)
	}
	if got := change(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": amara2.id(t, env)}); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("a session that was held: %s", got.response.Body)
	}
}

// A source whose clock is wrong is believed as to what came before what, and one that sends too much at once is refused; the session is whole.
func TestLiveBadSource(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	hour := 3600.0
	for _, c := range []apptest.Vars{
		chunk("ahead", "Amara Okafor", "Two hours ahead.", 2*hour, 2*hour+1), chunk("back", "Ruth Calloway", "Set back.", 1, 2),
		chunk("same", "Amara Okafor", "At the same time.", 1, 2), chunk("around", "Ruth Calloway", "Around the others.", 0, 3*hour),
	} {
		if got := utter(t, coach, session, c); got.Added != 1 || len(got.UserErrors) > 0 {
			t.Errorf("%v: %+v", c, got)
		}
	}
	if got := utter(t, coach, session, chunk("back", "Ruth Calloway", "Set back.", 5, 6)); got.Revised != 1 {
		t.Errorf("a time that is corrected: %+v", got)
	}
	big, err := json.Marshal(apptest.Vars{"query": appendMutation, "variables": apptest.Vars{"in": apptest.Vars{"sessionId": session,
		"chunks": []apptest.Vars{chunk("big", "Ruth Calloway", strings.Repeat("x", 1<<20), 7, 8)}}}})
	if err != nil {
		t.Fatal(err)
	}
	if status, raw := env.Send(t, http.MethodPost, "/graphql", coach.Header(), string(big)); status != http.StatusRequestEntityTooLarge || !strings.Contains(string(raw), "BODY_TOO_LARGE") {
		t.Errorf("a chunk of 1 MB: %d %s", status, raw)
	}
	_, lines := heard(t, coach, session)
	sameLines(t, "heard", lines, "Ruth Calloway COACH: Around the others.", "Amara Okafor CLIENT: At the same time.", "Ruth Calloway COACH: Set back.", "Amara Okafor CLIENT: Two hours ahead.")
	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	env.Work(t)
	var out struct {
		Session struct {
			Transcript struct {
				Status     string
				Utterances struct{ TotalCount int }
			}
		}
	}
	coach.Must(t, `query($id: ID!) {session(id: $id) {transcript {status utterances {totalCount}}}}`, apptest.Vars{"id": session}, &out)
	if got := fmt.Sprint(out.Session.Transcript); got != "{READY {4}}" {
		t.Errorf("the transcript: %s", got)
	}
}

// Two who start at the same moment start once.
func TestLiveStartsOnce(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	var wg sync.WaitGroup
	started := make([]string, 8)
	for i := range started {
		wg.Go(func() {
			got := change(t, coach, "startLiveSession", "liveSession", "source", apptest.Vars{"sessionId": session, "source": fmt.Sprint("source ", i%2)})
			if got.entity != nil {
				started[i] = got.entity["source"].(string)
			}
		})
	}
	wg.Wait()
	names := map[string]bool{}
	for _, name := range started {
		names[name] = true
	}
	if delete(names, ""); len(names) != 1 || value[int](t, env, `SELECT count(*) FROM live_sessions`) != 1 {
		t.Errorf("started: %v", started)
	}
}

// Who starts the same at the same moment starts it once, and each is told so: the session, and what listens to it.
func TestLiveIsStartedManyTimes(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for mutation, entity := range map[string]string{"startLiveSession": "liveSession", "startSession": "session"} {
		input := apptest.Vars{"id": beginning(t, env)}
		if entity == "liveSession" {
			input = apptest.Vars{"sessionId": input["id"], "sharedWithClient": true, "language": "en", "speakers": []apptest.Vars{{"label": "mic 1", "role": "COACH"}}, "nudges": []string{"STACKED_QUESTIONS"}}
		}
		var wg sync.WaitGroup
		started := make([]any, 8)
		for i := range started {
			wg.Go(func() {
				if got := change(t, coach, mutation, entity, "id", input); got.entity != nil {
					started[i] = got.entity["id"]
				} else {
					t.Errorf("%s: %s", mutation, got.response.Body)
				}
			})
		}
		wg.Wait()
		if all := slices.Compact(started); len(all) != 1 {
			t.Errorf("%s: %v", mutation, all)
		}
	}
}

// What goes on is not made another by being started again: who asks for that is told, and who leaves it out, or says the same, has it as it is.
func TestLiveIsStartedAsItWas(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	voice := func(label, role string) []apptest.Vars { return []apptest.Vars{{"label": label, "role": role}} }
	start := func(options apptest.Vars) string {
		options["sessionId"] = session
		got := change(t, coach, "startLiveSession", "liveSession", "sharedWithClient language", options)
		if got.entity != nil {
			return fmt.Sprint(got.entity["sharedWithClient"], " ", got.entity["language"])
		}
		return briefly(got.userErrors)
	}
	start(apptest.Vars{"language": "en", "speakers": voice("mic 1", "COACH"), "nudges": []string{"STACKED_QUESTIONS", "LONG_MONOLOGUE"}})
	for name, tc := range map[string]struct {
		options apptest.Vars
		want    string
	}{
		"nothing":          {apptest.Vars{}, "false en"},
		"the same":         {apptest.Vars{"language": "en", "speakers": voice("mic 1", "COACH"), "nudges": []string{"LONG_MONOLOGUE", "STACKED_QUESTIONS"}, "sharedWithClient": false}, "false en"},
		"shared":           {apptest.Vars{"sharedWithClient": true}, "CONFLICT "},
		"another language": {apptest.Vars{"language": "de"}, "CONFLICT "},
		"another role":     {apptest.Vars{"speakers": voice("mic 1", "CLIENT")}, "CONFLICT "},
		"another voice":    {apptest.Vars{"speakers": voice("mic 2", "CLIENT")}, "CONFLICT "},
		"fewer nudges":     {apptest.Vars{"nudges": []string{"LONG_MONOLOGUE"}}, "CONFLICT "},
		"other nudges":     {apptest.Vars{"nudges": []string{"STACKED_QUESTIONS", "LONG_MONOLOGUE", "COMMITMENT_HEARD"}}, "CONFLICT "},
	} {
		if got := start(tc.options); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// What is refused begins nothing.
func TestLiveRefusedBeginsNoSession(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": "Ottoline"})
	if got := change(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session}); briefly(got.userErrors) != "CONSENT_MISSING sessionId" {
		t.Errorf("without a guest's consent: %s", got.response.Body)
	}
	if got := one(t, env, "session", `SELECT id FROM sessions WHERE id = $1 AND status = 'SCHEDULED'`, uuid(t, session)); got != session {
		t.Errorf("the session has begun")
	}
}

// A flood is told to wait, by code and header, and spoils nothing.
func TestLiveFlood(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	body, sent := []byte(nil), 0
	for ; sent < 20; sent++ {
		chunks := make([]apptest.Vars, 100)
		for i := range chunks {
			chunks[i] = chunk(fmt.Sprint(sent, "-", i), "Ruth Calloway", "More.", float64(sent), float64(sent+1))
		}
		request, err := json.Marshal(apptest.Vars{"query": appendMutation, "variables": apptest.Vars{"in": apptest.Vars{"sessionId": session, "chunks": chunks}}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", env.URL+"/graphql", strings.NewReader(string(request)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = coach.Header()
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var out apptest.Response
		if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		body, _ = json.Marshal(out.Errors)
		if out.Code() == "" {
			continue
		}
		if out.Code() != "RATE_LIMITED" || answer.StatusCode != 429 || answer.Header.Get("Retry-After") == "" {
			t.Errorf("a flood: %d, Retry-After %q, %s", answer.StatusCode, answer.Header.Get("Retry-After"), body)
		}
		break
	}
	if sent < 6 || sent == 20 {
		t.Errorf("%d calls of 100 chunks were taken: %s", sent, body)
	}
	if n := value[int](t, env, `SELECT count(*) FROM live_utterances`); n != 100*sent {
		t.Errorf("%d utterances of %d calls", n, sent)
	}
	sql(t, env, `UPDATE live_sessions SET heard_at = heard_at - interval '30 seconds'`)
	if got := utter(t, coach, session, chunk("after", "Ruth Calloway", "Calm.", 99, 100)); got.Added != 1 {
		t.Errorf("after a while: %+v", got)
	}
}
