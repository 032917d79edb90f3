package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
)

const liveSubscription = `subscription($session: ID!, $after: String) {liveSession(sessionId: $session, after: $after) {
	__typename cursor
	... on LiveStateChanged {liveSession {status endReason transcript {status}}}
	... on LiveUtterancesSaid {utterances {chunkId text final revision role} metrics {elapsedMs sinceClientMs questionRun coach {talkMs talkShareOfSpeech} client {wordCount}}}
	... on LiveInsightChanged {insight {kind}}
}}`

type liveEvent struct {
	Typename    string `json:"__typename"`
	Cursor      string
	LiveSession struct {
		Status     string
		EndReason  *string
		Transcript *struct{ Status string }
	}
	Utterances []struct {
		ChunkID, Text, Role string
		Final               bool
		Revision            int
	}
	Metrics *struct {
		ElapsedMs, QuestionRun int
		SinceClientMs          *int
		Coach                  *struct {
			TalkMs            int
			TalkShareOfSpeech *float64
		}
		Client *struct{ WordCount int }
	}
	Insight *struct{ Kind string }
}

// String is an event in a few words.
func (e liveEvent) String() string {
	switch e.Typename {
	case "LiveStateChanged":
		if t := e.LiveSession.Transcript; t != nil {
			return e.LiveSession.Status + " " + t.Status
		}
		return e.LiveSession.Status
	case "LiveUtterancesSaid":
		var said []string
		for _, u := range e.Utterances {
			mark := ""
			if !u.Final {
				mark = "…"
			}
			said = append(said, u.ChunkID+" "+u.Text+mark)
		}
		return strings.Join(said, " | ")
	case "LiveInsightChanged":
		return "insight " + e.Insight.Kind
	}
	return e.Typename
}

func nextLive(t testing.TB, s *apptest.Subscription) (e liveEvent) {
	t.Helper()
	r := s.Next(t)
	var out struct{ LiveSession liveEvent }
	r.Into(t, &out)
	return out.LiveSession
}

func awaits(t testing.TB, s *apptest.Subscription, want ...string) (last liveEvent) {
	t.Helper()
	for _, w := range want {
		last = nextLive(t, s)
		if last.String() != w {
			t.Fatalf("got %q, want %q", last, w)
		}
	}
	return last
}

// Who follows a session hears how it stands, then each word with the measures, and what comes of it; who was away for a while hears what was
// said meanwhile, once.
func TestLiveIsFollowed(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	follow := func(c *apptest.Client, after any) *apptest.Subscription {
		t.Helper()
		return c.Subscribe(t, liveSubscription, apptest.Vars{"session": session, "after": after})
	}
	early := follow(coach, nil)
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "nudges": []string{}})
	awaits(t, early, "LIVE")
	utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2), provisional(chunk("b", "Amara Okafor", "I", 3, 3.5)))
	if m := awaits(t, early, "a What would help? | b I…").Metrics; m == nil || m.ElapsedMs != 2000 || m.QuestionRun != 1 || m.SinceClientMs != nil || *m.Coach.TalkShareOfSpeech != 1 {
		t.Errorf("measures: %+v", m)
	}
	late := follow(coach, nil)
	left := awaits(t, late, "LIVE").Cursor
	late.Close()

	utter(t, coach, session, provisional(chunk("b", "Amara Okafor", "I will", 3, 4)))
	awaits(t, early, "b I will…")
	utter(t, coach, session, chunk("b", "Amara Okafor", "I will ask Tomasz on Monday.", 3, 6))
	utter(t, coach, session, chunk("c", "Ruth Calloway", "Good.", 10, 11))
	if m := awaits(t, early, "b I will ask Tomasz on Monday.", "c Good.").Metrics; *m.SinceClientMs != 5000 || m.Client.WordCount != 6 || m.Coach.TalkMs != 3000 {
		t.Errorf("measures: %+v", m)
	}
	// What has changed twice comes once to who was away meanwhile, also in the process that has written it and remembers both.
	back := follow(coach, left)
	awaits(t, back, "b I will ask Tomasz on Monday.", "c Good.")
	back.Close()
	other := env.Another(t)
	again := other.Login(t, apptest.Coach).Subscribe(t, liveSubscription, apptest.Vars{"session": session, "after": left})
	awaits(t, again, "b I will ask Tomasz on Monday.", "c Good.")

	does(t, coach, "pauseLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	awaits(t, again, "PAUSED")
	does(t, coach, "resumeLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	awaits(t, again, "LIVE")
	utter(t, other.Login(t, apptest.Coach), session, provisional(chunk("d", "Amara Okafor", "And then", 12, 13)))
	awaits(t, again, "d And then…")
	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	awaits(t, again, "d And then", "ENDED PARSED")
	env.Work(t)
	heard := map[string]bool{}
	for !heard["ENDED READY"] || !heard["insight COMMITMENT"] { // a state that is read late is the latest, and may come before the insight
		heard[nextLive(t, again).String()] = true
	}
	got := value[string](t, env, `SELECT measures::text FROM live_sessions`)
	var live struct {
		Coach, Client struct {
			TalkMs            int
			TalkShareOfSpeech float64
			WordsPerMinute    float64
		}
	}
	if err := json.Unmarshal([]byte(got), &live); err != nil {
		t.Fatal(err)
	}
	batch := live
	if err := json.Unmarshal([]byte(value[string](t, env, `SELECT m.measures::text FROM session_metrics m JOIN live_sessions l ON l.transcript_id = m.transcript_id`)), &batch); err != nil {
		t.Fatal(err)
	}
	if live != batch {
		t.Errorf("at the end: %+v, of the transcript: %+v", live, batch)
	}
}

// Who begins to listen at the moment a session begins hears it all: what is looked at and what is listened to leave no gap between them.
func TestLiveBeginsWhileSomebodyBeginsToListen(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	const gate = 4711 // whoever listens waits here, in the midst of it
	sql(t, env, fmt.Sprintf(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(%d); RETURN NEW; END $$`, gate))
	sql(t, env, `CREATE TRIGGER wait BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.action = 'live.read') EXECUTE FUNCTION wait()`)
	held, err := env.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := held.Exec(t.Context(), `SELECT pg_advisory_xact_lock($1)`, gate); err != nil {
		t.Fatal(err)
	}
	events := coach.Subscribe(t, liveSubscription, apptest.Vars{"session": session})
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := value[int](t, env, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`); n != 1 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "nudges": []string{}})
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaits(t, events, "LIVE")
	utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2))
	awaits(t, events, "a What would help?")
}

// Who is cut off by a TCP reset, which leaves no time for a close code, goes on from the last cursor: nothing is lost and nothing comes twice.
func TestLiveAfterAReset(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "nudges": []string{}})
	socket := coach.Socket(t)
	before := socket.Subscribe(t, liveSubscription, apptest.Vars{"session": session})
	awaits(t, before, "LIVE")
	said := 0
	say := func(n int) (want []string) {
		for range n {
			said++
			key := fmt.Sprint(said)
			utter(t, coach, session, chunk(key, "Ruth Calloway", "What would help?", float64(3*said), float64(3*said+2)))
			want = append(want, key+" What would help?")
		}
		return want
	}
	cursor := awaits(t, before, say(3)...).Cursor
	socket.Reset(t)
	if code := socket.Closed(t); code != -1 {
		t.Errorf("closed with %d", code)
	}
	meanwhile := say(4)
	back := coach.Subscribe(t, liveSubscription, apptest.Vars{"session": session, "after": cursor})
	awaits(t, back, append(meanwhile, say(2)...)...)
	testkit.Eventually(t, 10*time.Second, func() error { // the server has noticed, and holds on to nothing
		if !strings.Contains(env.Log.String(), "code=1006") {
			return errors.New("the server does not know that the socket is closed")
		}
		return nil
	})
}

// Each hears what they may: the client, if it is shared, the words and no measure; the supervisor, with the consent, the measures too; others
// nothing. Who may not any more is told so.
func TestLiveEventsOfOthers(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	client := clientOf(t, env, session)
	does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"SUPERVISION"}})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	vars := apptest.Vars{"session": session}
	refused := func(what string, emails ...string) {
		t.Helper()
		for _, email := range emails {
			if r := env.Login(t, email).Subscribe(t, liveSubscription, vars).Next(t); r.Code() != "NOT_FOUND" {
				t.Errorf("%s, %s: %s", what, email, r.Body)
			}
		}
	}
	refused("not shared, without supervision", apptest.Owner, apptest.Coach2, apptest.Supervisor, apptest.ClientUser, apptest.Sponsor, apptest.Lumen)

	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "sharedWithClient": true})
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"SUPERVISION"}})
	refused("shared, with supervision", apptest.Owner, apptest.Coach2, apptest.Sponsor, apptest.Lumen)
	follow := func(email string) *apptest.Subscription {
		s := env.Login(t, email).Subscribe(t, liveSubscription, vars)
		awaits(t, s, "LIVE")
		return s
	}
	amara, ines, ruth := follow(apptest.ClientUser), follow(apptest.Supervisor), follow(apptest.Coach)
	type listener struct {
		who      string
		events   *apptest.Subscription
		measures bool
	}
	all := []listener{{"client", amara, false}, {"supervisor", ines, true}, {"coach", ruth, true}}
	for range 3 { // all ask the same, and whoever comes first is answered for who sees the same, and for nobody else
		all = append(all, listener{"client", follow(apptest.ClientUser), false}, listener{"coach", follow(apptest.Coach), true}, listener{"supervisor", follow(apptest.Supervisor), true})
	}
	utter(t, coach, session, chunk("a", "Ruth Calloway", "What would help?", 0, 2))
	for _, l := range all {
		if e := awaits(t, l.events, "a What would help?"); (e.Metrics != nil) != l.measures {
			t.Errorf("%s: measures %v", l.who, e.Metrics)
		}
	}

	does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"AI_ANALYSIS"}})
	utter(t, coach, session, chunk("b", "Ruth Calloway", "Well.", 3, 4))
	if e := awaits(t, ruth, "b Well."); e.Metrics != nil {
		t.Errorf("without consent to analysis: %+v", e.Metrics)
	}
	env.Work(t)
	if n := value[int](t, env, `SELECT count(measures) FROM live_sessions`); n != 0 {
		t.Errorf("%d measures are kept without consent to analysis", n)
	}
	does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": client, "scopes": []string{"TRANSCRIPTION"}})
	at := time.Now()
	env.Work(t)
	for who, events := range map[string]*apptest.Subscription{"client": amara, "supervisor": ines, "coach": ruth} {
		for _, r := range events.End(t) {
			if !strings.Contains(string(r.Data), `"b"`) && r.Code() != "NOT_FOUND" {
				t.Errorf("%s, after the withdrawal: %s", who, r.Body)
			}
		}
	}
	took := time.Since(at)
	t.Logf("all have been told %s after the withdrawal", took)
	if took > atOnce {
		t.Errorf("told %s after the withdrawal", took)
	}
}
