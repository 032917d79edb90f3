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
	"github.com/rapporthq/rapport/internal/coaching/live"
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

// A session that is over is not recorded any more: what was said becomes a transcript with its end, and the recorder is told.
func TestLiveEndsWithItsSession(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	for name, ends := range map[string]func(session string){
		"completed by an admin": func(session string) {
			does(t, env.Login(t, apptest.Owner), "completeSession", "session", "id", apptest.Vars{"id": session})
		},
		"put away": func(session string) {
			does(t, coach, "archiveSession", "session", "id", apptest.Vars{"id": session})
		},
		"missed": func(session string) {
			does(t, coach, "markSessionMissed", "session", "id", apptest.Vars{"id": session})
		},
		"begun by mistake": func(session string) {
			does(t, coach, "rescheduleSession", "session", "id", apptest.Vars{"id": session, "startsAt": time.Now().Add(48 * time.Hour)})
		},
	} {
		session := listening(t, env)
		utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2), provisional(chunk("b", "Amara Okafor", "I think that", 3, 5)))
		ends(session)
		got := value[string](t, env, `SELECT l.status || ' ' || l.end_reason || ' ' || t.utterance_count FROM live_sessions l JOIN transcripts t ON t.id = l.transcript_id WHERE l.session_id = $1`, uuid(t, session))
		if got != "ENDED BY_COACH 2" {
			t.Errorf("%s: %s", name, got)
		}
		for what, got := range map[string]string{
			"append": briefly(utter(t, coach, session, chunk("c", "Ruth Calloway", "More.", 6, 7)).UserErrors),
			"resume": briefly(change(t, coach, "resumeLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session}).userErrors),
		} {
			if got != "LIVE_SESSION_ENDED " {
				t.Errorf("%s, then %s: %q", name, what, got)
			}
		}
	}

	// Where somebody was not asked, what was said waits for them, and nothing is added meanwhile.
	session := listening(t, env)
	utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2))
	guest := does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": "Ottoline"})["id"]
	does(t, coach, "completeSession", "session", "id", apptest.Vars{"id": session})
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": guest, "scopes": []string{"TRANSCRIPTION"}})
	if got := utter(t, coach, session, chunk("b", "Ruth Calloway", "More.", 6, 7)); briefly(got.UserErrors) != "LIVE_SESSION_ENDED " {
		t.Errorf("after the end of the session: %+v", got)
	}
	if end := does(t, coach, "endLiveSession", "liveSession", "transcript {status}", apptest.Vars{"sessionId": session}); end["transcript"] == nil {
		t.Error("there is no transcript of what waited")
	}
}

// What was said before a session was put off, while somebody had not consented, becomes a transcript of its own: nothing of another beginning comes
// into it. Nobody has to end it by hand.
func TestLiveWordsWaitForAConsent(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	waiting := func(end string, vars apptest.Vars) (session string) {
		t.Helper()
		session = listening(t, env)
		utter(t, coach, session, chunk("1", "Ruth Calloway", "Monday words.", 0, 2), chunk("2", "Ruth Calloway", "Monday again.", 2, 4))
		guest := does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": "Ottoline"})["id"]
		vars["id"] = session
		does(t, coach, end, "session", "id", vars)
		watched := func() {
			t.Helper()
			sql(t, env, `UPDATE jobs SET run_at = now(), due_at = now() WHERE kind = $1 AND state = 'PENDING'`, live.JobWatch)
			env.Work(t)
		}
		watched()
		if got := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1`, uuid(t, session)); got != 0 {
			t.Errorf("%s: %d transcripts without the guest's consent", end, got)
		}
		does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": guest, "scopes": []string{"TRANSCRIPTION"}})
		if end == "completeSession" {
			watched()
		}
		return session
	}
	over := waiting("completeSession", apptest.Vars{})
	if got := value[string](t, env, `SELECT l.status || ' ' || l.end_reason || ' ' || t.utterance_count FROM live_sessions l JOIN transcripts t ON t.id = l.transcript_id WHERE l.session_id = $1`, uuid(t, over)); got != "ENDED BY_COACH 2" {
		t.Errorf("after the consent: %s", got)
	}

	session := waiting("rescheduleSession", apptest.Vars{"startsAt": time.Now().Add(20 * time.Minute)})
	does(t, coach, "startSession", "session", "id", apptest.Vars{"id": session})
	if got := utter(t, coach, session, chunk("1", "Ruth Calloway", "Tuesday words.", 0, 2)); briefly(got.UserErrors) != "LIVE_SESSION_ENDED " {
		t.Errorf("before it is started again: %+v", got)
	}
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	utter(t, coach, session, chunk("1", "Ruth Calloway", "Tuesday words.", 0, 2), chunk("5", "Ruth Calloway", "Tuesday again.", 2, 4))
	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	if got := value[string](t, env, `SELECT string_agg(said, ' | ' ORDER BY version) FROM (SELECT t.version, string_agg(u.text, ' ' ORDER BY u.start_ms) AS said
		FROM transcripts t JOIN utterances u ON u.transcript_id = t.id WHERE t.session_id = $1 GROUP BY t.version) each`, uuid(t, session)); got != "Monday words. Monday again. | Tuesday words. Tuesday again." {
		t.Errorf("the transcripts are %q", got)
	}
}

// The same words again are the same transcript, which is in sight again if it was put away.
func TestLiveAgainIsTheSameTranscript(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	ended := func() string {
		t.Helper()
		utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2))
		does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
		return one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1 AND archived_at IS NULL`, uuid(t, session))
	}
	first := ended()
	does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": first})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	if again := ended(); again != first {
		t.Errorf("%s, and then %s", first, again)
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

// A source that vanishes ends its live session, with all that it said; one that is paused has longer.
func TestLiveSourceVanishes(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2), provisional(chunk("b", "Amara Okafor", "I think that", 3, 5)))
	ago := func(interval string) {
		t.Helper()
		sql(t, env, `UPDATE live_sessions SET heard_at = clock_timestamp() - $1::interval`, interval)
		sql(t, env, `UPDATE jobs SET run_at = now(), due_at = now() WHERE kind = $1 AND state = 'PENDING'`, live.JobWatch)
		env.Work(t)
	}
	for _, step := range []struct{ before, silence, status string }{
		{"", "9 minutes", "LIVE"}, {"pauseLiveSession", "11 minutes", "PAUSED"}, {"resumeLiveSession", "11 minutes", "ENDED"},
	} {
		if step.before != "" {
			does(t, coach, step.before, "liveSession", "id", apptest.Vars{"sessionId": session})
		}
		ago(step.silence)
		if status, _ := heard(t, coach, session); status != step.status {
			t.Fatalf("%s after %s of silence, want %s", status, step.silence, step.status)
		}
	}
	var out struct {
		Session struct {
			LiveSession struct{ EndReason string }
			Transcript  struct {
				Status     string
				Utterances struct{ Nodes []struct{ Text string } }
			}
		}
	}
	coach.Must(t, `query($id: ID!) {session(id: $id) {liveSession {endReason} transcript {status utterances {nodes {text}}}}}`, apptest.Vars{"id": session}, &out)
	if got := fmt.Sprint(out.Session); got != "{{SOURCE_LOST} {READY {[{What would help?} {I think that}]}}}" {
		t.Errorf("%s", got)
	}
	// It may come back, as another stretch of the same session.
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "source": "another"})
}

// Without everybody's consent nobody is listened to; with one taken back all words are gone, and there is no transcript.
func TestLiveConsent(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	client := clientOf(t, env, session)
	guest := does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": "Ottoline"})["id"]
	if got := change(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session}); briefly(got.userErrors) != "CONSENT_MISSING sessionId" {
		t.Errorf("without a guest's consent: %s", got.response.Body)
	}
	does(t, coach, "removeParticipant", "session", "id", apptest.Vars{"id": guest})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	utter(t, coach, session, chunk("a", "Amara Okafor", "Between us.", 0, 2))

	does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"TRANSCRIPTION"}})
	if got := utter(t, coach, session, chunk("b", "Amara Okafor", "More.", 2, 3)); briefly(got.UserErrors) != "CONSENT_MISSING sessionId" {
		t.Errorf("after the withdrawal: %+v", got)
	}
	if status, lines := heard(t, coach, session); status != "" || lines != nil {
		t.Errorf("after the withdrawal it is still seen: %s %v", status, lines)
	}
	env.Work(t)
	if got := value[string](t, env, `SELECT status || ' ' || end_reason || ' ' || (transcript_id IS NULL) || ' ' || (SELECT count(*) FROM live_utterances) FROM live_sessions`); got != "ENDED CONSENT_WITHDRAWN true 0" {
		t.Errorf("after the withdrawal: %s", got)
	}
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"TRANSCRIPTION"}})
	if status, _ := heard(t, coach, session); status != "ENDED" {
		t.Errorf("given again, it goes on as %q", status)
	}

	over := listening(t, env)
	utter(t, coach, over, chunk("a", "Amara Okafor", "Between us, too.", 0, 2))
	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": over})
	does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"TRANSCRIPTION"}})
	env.Work(t)
	if got := value[string](t, env, `SELECT string_agg(DISTINCT speakers::text, ', ') || (SELECT count(*) FROM live_utterances) FROM live_sessions`); got != "[]0" {
		t.Errorf("of one that had ended before the withdrawal there is %s", got)
	}
}

// A consent that is taken back and given again at once, before any job has run, has ended the live session all the same: nothing that was said
// before comes back, not even to who goes on from an event that the server remembers.
func TestLiveConsentIsGivenAgain(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	client := clientOf(t, env, session)
	again := func(scope string) {
		t.Helper()
		input := apptest.Vars{"subjectId": client, "scopes": []string{scope}}
		does(t, coach, "withdrawConsent", "subject", "__typename", input)
		does(t, coach, "giveConsent", "subject", "__typename", input)
	}
	follow := func(after any) *apptest.Subscription {
		return coach.Subscribe(t, liveSubscription, apptest.Vars{"session": session, "after": after})
	}
	before := follow(nil)
	cursor := awaits(t, before, "LIVE").Cursor
	utter(t, coach, session, chunk("a", "Amara Okafor", "I will write to Tomasz by Friday.", 0, 2))
	awaits(t, before, "a I will write to Tomasz by Friday.")
	before.Close()
	if got := nudgesOf(t, coach, session); len(got) != 1 {
		t.Fatalf("nudges: %v", got)
	}
	again("AI_ANALYSIS")
	if got := nudgesOf(t, coach, session); len(got) != 0 {
		t.Errorf("after a consent to analysis was taken back and given again there are nudges: %v", got)
	}
	if n := value[int](t, env, `SELECT count(measures) FROM live_sessions`); n != 0 {
		t.Error("and measures")
	}

	again("TRANSCRIPTION")
	if status, lines := heard(t, coach, session); status != "ENDED" || lines != nil {
		t.Errorf("taken back and given again: %s, %v", status, lines)
	}
	if got := value[string](t, env, `SELECT end_reason || ' ' || (transcript_id IS NULL) || ' ' || (SELECT count(*) FROM live_utterances) FROM live_sessions`); got != "CONSENT_WITHDRAWN true 0" {
		t.Errorf("kept is: %s", got)
	}
	if got := utter(t, coach, session, chunk("b", "Amara Okafor", "More.", 2, 3)); briefly(got.UserErrors) != "LIVE_SESSION_ENDED " {
		t.Errorf("the recorder is told: %+v", got)
	}
	awaits(t, follow(cursor), "ENDED")
	env.Work(t)
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	utter(t, coach, session, chunk("a", "Amara Okafor", "Something else.", 0, 2))
	status, lines := heard(t, coach, session)
	sameLines(t, "begun anew, "+status, lines, "Amara Okafor CLIENT: Something else.")

	// So it is with one that had ended.
	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	if again("TRANSCRIPTION"); value[int](t, env, `SELECT count(*) FROM live_utterances`) != 0 {
		t.Error("live words of a session that had ended are there")
	}
}

// Whoever may not see the transcript that came of a live session does not see the live words beside it.
func TestLiveWordsAreSharedAsTheTranscriptIs(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, amara := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	session := beginning(t, env)
	first := does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "sharedWithClient": true})["id"]
	events := amara.Subscribe(t, liveSubscription, apptest.Vars{"session": session})
	cursor := awaits(t, events, "LIVE").Cursor
	utter(t, coach, session, chunk("a", "Ruth Calloway", "Between us.", 0, 2))
	awaits(t, events, "a Between us.")
	events.Close()
	ended := does(t, coach, "endLiveSession", "liveSession", "sharedWithClient transcript {id}", apptest.Vars{"sessionId": session})
	transcript := ended["transcript"].(map[string]any)["id"]
	sees := func(what string, want bool) {
		t.Helper()
		if status, lines := heard(t, amara, session); (status == "ENDED") != want || (len(lines) > 0) != want {
			t.Errorf("%s, the client reads: %q %v", what, status, lines)
		}
		var out struct{ Node *struct{ ID string } }
		amara.Must(t, `query($id: ID!) {node(id: $id) {id}}`, apptest.Vars{"id": first}, &out)
		if (out.Node != nil) != want {
			t.Errorf("%s, the client gets the node %v", what, out.Node)
		}
		again := amara.Subscribe(t, liveSubscription, apptest.Vars{"session": session, "after": cursor})
		if r := again.Next(t); (r.Code() == "") != want || r.Code() != "" && r.Code() != "NOT_FOUND" {
			t.Errorf("%s, who listens again gets %s", what, r.Body)
		}
		again.Close()
		if status, lines := heard(t, coach, session); status != "ENDED" || len(lines) != 1 {
			t.Errorf("%s, the coach reads: %q %v", what, status, lines)
		}
	}
	share := func(shared bool) {
		t.Helper()
		does(t, coach, "updateTranscript", "transcript", "id", apptest.Vars{"id": transcript, "sharedWithClient": shared})
	}
	archive := func(archived bool) {
		t.Helper()
		does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": transcript, "archived": archived})
	}
	sees("shared", true)
	share(false)
	sees("no longer shared", false)
	share(true)
	sees("shared again", true)
	archive(true)
	sees("archived", false)
	archive(false)
	sees("brought back", true)

	// A later one that is shared opens nothing of the first.
	share(false)
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "sharedWithClient": true})
	utter(t, coach, session, chunk("a", "Ruth Calloway", "For both of us.", 0, 2))
	later := amara.Subscribe(t, liveSubscription, apptest.Vars{"session": session, "after": cursor})
	for seen := ""; seen != "a For both of us."; {
		if seen = nextLive(t, later).String(); strings.Contains(seen, "Between us") {
			t.Errorf("the client hears %q of the first", seen)
		}
	}
}

// Live words are among what is copied and erased, go with their transcript when that is too old, and are gone a day after the end anyway.
func TestLiveWordsGo(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	said := func() (session string) {
		session = listening(t, env)
		utter(t, coach, session, chunk("a", "Amara Okafor", "The Zennor mine.", 0, 2))
		does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
		env.Work(t)
		return session
	}
	left := func() int { return value[int](t, env, `SELECT count(*) FROM live_utterances`) }
	names := func() string {
		return value[string](t, env, `SELECT string_agg(DISTINCT speakers::text, ', ') FROM live_sessions`)
	}

	said()
	prune := func() {
		t.Helper()
		if _, err := env.App.Services().Live.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if prune(); left() != 1 || !strings.Contains(names(), "Amara Okafor") {
		t.Error("words are gone at once")
	}
	sql(t, env, `UPDATE live_sessions SET ended_at = now() - interval '25 hours'`)
	if prune(); left() != 0 || names() != "[]" {
		t.Errorf("a day later %d are there, said by %s", left(), names())
	}

	session := said()
	sql(t, env, `UPDATE organizations SET retention_days = 30 WHERE slug = 'harbor'`)
	sql(t, env, `UPDATE sessions SET starts_at = now() - interval '60 days' WHERE id = $1`, uuid(t, session))
	if err := env.App.Services().Privacy.Schedule(t.Context()); err != nil {
		t.Fatal(err)
	}
	if env.Work(t); left() != 0 {
		t.Error("the words of a session that is too old are there")
	}
	sql(t, env, `UPDATE organizations SET retention_days = NULL`)

	session = said()
	going := listening(t, env)
	utter(t, coach, going, chunk("a", "Amara Okafor", "The Zennor mine, too.", 0, 2))
	client := clientOf(t, env, session)
	owner, amara := env.Login(t, apptest.Owner), env.Login(t, apptest.ClientUser)
	asked := does(t, amara, "requestDataExport", "dataRequest", "id", apptest.Vars{"clientId": client})
	env.Work(t)
	files := fetched(t, amara, asked["id"].(string))
	for file, words := range map[string][]string{"live_utterances.json": {"The Zennor mine.", "The Zennor mine, too."}, "live_sessions.json": {"Amara Okafor"}} {
		for _, word := range words {
			if !strings.Contains(files[file], word) {
				t.Errorf("the copy has no %q in %s: %s", word, file, files[file])
			}
		}
	}
	does(t, owner, "requestErasure", "dataRequest", "id", apptest.Vars{"clientId": client, "confirm": "Amara Okafor"})
	env.Work(t)
	if got := value[string](t, env, `SELECT string_agg(DISTINCT status || ' ' || source || ' ' || speakers::text, ', ') FROM live_sessions`); left() != 0 || got != "ENDED erased []" {
		t.Errorf("after the erasure: %d utterances, %s", left(), got)
	}
	if n := value[int](t, env, `SELECT (counts ->> 'live_utterances')::int FROM data_requests WHERE client_id = $1 AND kind = 'ERASURE'`, uuid(t, client)); n != 2 {
		t.Errorf("the receipt counts %d", n)
	}
}
