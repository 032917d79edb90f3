package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/live"
)

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
