package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

type nudged struct {
	ID, Kind, Message string
	AtMs              int
	Value, Threshold  float64
	Evidence          []struct{ ChunkID, Text string }
	Topics            []struct{ Title string }
	DismissedAt       *string
}

func (n nudged) String() string {
	out := n.Kind
	for _, e := range n.Evidence {
		out += " " + e.ChunkID
	}
	for _, topic := range n.Topics {
		out += " " + topic.Title
	}
	return out
}

func nudgesOf(t testing.TB, c *apptest.Client, session string) (all []nudged) {
	t.Helper()
	var out struct {
		Session struct{ LiveSession struct{ Nudges []nudged } }
	}
	c.Must(t, `query($id: ID!) {session(id: $id) {liveSession {nudges {id kind message atMs value threshold evidence {chunkId text} topics {title} dismissedAt}}}}`,
		apptest.Vars{"id": session}, &out)
	return out.Session.LiveSession.Nudges
}

// A coach is told, at most once in two minutes of the session, what there is evidence for, with the words that it rests on; and nobody else is.
func TestLiveNudges(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	for _, title := range []string{"The salary talk with Tomasz", "Holidays"} {
		does(t, coach, "addAgendaTopic", "topic", "id", apptest.Vars{"sessionId": session, "title": title})
	}
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": clientOf(t, env, session), "scopes": []string{"SUPERVISION"}})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "sharedWithClient": true, "language": "en"})
	subscribe := func(email string) *apptest.Subscription {
		s := env.Login(t, email).Subscribe(t, `subscription($session: ID!) {liveSession(sessionId: $session) {__typename ... on LiveNudgeGiven {nudge {kind dismissedAt}}}}`, apptest.Vars{"session": session})
		s.Next(t)
		return s
	}
	ruth, others := subscribe(apptest.Coach), []*apptest.Subscription{subscribe(apptest.ClientUser), subscribe(apptest.Supervisor)}

	const minute = 60.0
	say := func(key, who, text string, from float64) {
		t.Helper()
		if got := utter(t, coach, session, chunk(key, who, text, from, from+4)); got.Added != 1 {
			t.Fatalf("%s: %+v", key, got)
		}
	}
	say("1", "Ruth Calloway", "How are you? What is on your mind? Where shall we begin?", 0) // stacked, which is quiet
	say("2", "Amara Okafor", "The salary talk with Tomasz, most of all.", 5)
	say("3", "Amara Okafor", "I will write to him by Friday.", 1*minute)
	say("4", "Amara Okafor", "I will also call Mei tomorrow.", 2*minute)  // too soon after the one before
	say("5", "Amara Okafor", "I will call the bank on Monday.", 4*minute) // not
	say("6", "Ruth Calloway", "What would that change?", 51*minute)
	want := []string{"COMMITMENT_HEARD 3", "COMMITMENT_HEARD 5", "AGENDA_ITEM_OPEN 6 Holidays"}
	all := nudgesOf(t, coach, session)
	if got := fmt.Sprint(all); got != fmt.Sprint(want) {
		t.Errorf("nudges: %s, want %s", got, want)
	}
	for _, n := range all {
		if n.Message == "" || strings.Contains(n.Message, "Friday") || n.Value < n.Threshold {
			t.Errorf("%+v", n)
		}
	}
	has(t, does(t, coach, "dismissNudge", "nudge", "kind", apptest.Vars{"id": all[0].ID}), apptest.Vars{"kind": "COMMITMENT_HEARD"})
	does(t, coach, "dismissNudge", "nudge", "kind", apptest.Vars{"id": all[0].ID})
	if all := nudgesOf(t, coach, session); all[0].DismissedAt == nil || all[1].DismissedAt != nil {
		t.Errorf("dismissed: %+v", all)
	}
	does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	kinds := func(s *apptest.Subscription) (all []string) {
		for {
			r := s.Next(t)
			if strings.Contains(string(r.Data), "LiveStateChanged") {
				return all
			}
			if strings.Contains(string(r.Data), "LiveNudgeGiven") {
				all = append(all, string(r.Data))
			}
		}
	}
	if got := kinds(ruth); len(got) != 4 || !strings.Contains(got[0], "COMMITMENT_HEARD") || !strings.Contains(got[2], "AGENDA_ITEM_OPEN") || strings.Contains(got[3], "null") {
		t.Errorf("the coach heard %v", got)
	}
	for _, other := range others {
		if got := kinds(other); got != nil {
			t.Errorf("somebody else heard %v", got)
		}
	}
	for _, email := range []string{apptest.ClientUser, apptest.Supervisor} {
		if got := nudgesOf(t, env.Login(t, email), session); got != nil {
			t.Errorf("%s sees %v", email, got)
		}
		if r := env.Login(t, email).Do(t, `mutation($id: ID!) {dismissNudge(input: {id: $id}) {nudge {id}}}`, apptest.Vars{"id": all[1].ID}); r.Code() != "NOT_FOUND" {
			t.Errorf("%s dismisses: %s", email, r.Body)
		}
	}
}

// A nudge whose words are taken back is shown no more, and none is an empty list for the coach: null is for whom nudges are not.
func TestLiveNudgeIsTakenBack(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := listening(t, env)
	if got := nudgesOf(t, coach, session); got == nil {
		t.Error("without a nudge the coach gets null")
	}
	said := chunk("1", "Amara Okafor", "I will write to Tomasz by Friday.", 0, 4)
	utter(t, coach, session, said)
	all := nudgesOf(t, coach, session)
	if fmt.Sprint(all) != "[COMMITMENT_HEARD 1]" {
		t.Fatalf("nudges: %v", all)
	}
	said["text"] = ""
	utter(t, coach, session, said)
	if got := nudgesOf(t, coach, session); got == nil || len(got) != 0 {
		t.Errorf("taken back: %v", got)
	}
	does(t, coach, "dismissNudge", "nudge", "kind", apptest.Vars{"id": all[0].ID}) // where it is on the screen
}

// A chunk whose time is far ahead, of a clock that jumped, is taken back as docs/guides/live.md says: then measures and nudges are what they would
// be without it.
func TestLiveClockJumps(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := beginning(t, env)
	does(t, coach, "addAgendaTopic", "topic", "id", apptest.Vars{"sessionId": session, "title": "Holidays"})
	does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
	utter(t, coach, session, chunk("1", "Ruth Calloway", "Shall we begin?", 0, 4))
	ahead := chunk("2", "Ruth Calloway", "Good.", 80_000, 80_001)
	utter(t, coach, session, ahead)
	ahead["text"], ahead["startMs"], ahead["endMs"] = "", 4000, 4000
	utter(t, coach, session, ahead)
	utter(t, coach, session, chunk("3", "Amara Okafor", "I will write to Tomasz by Friday.", 300, 304))
	var kinds []string
	for _, n := range nudgesOf(t, coach, session) {
		kinds = append(kinds, n.Kind)
	}
	if !slices.Contains(kinds, "COMMITMENT_HEARD") {
		t.Errorf("nudges: %v", kinds)
	}
	if got := value[int](t, env, `SELECT (measures ->> 'elapsedMs')::int FROM live_sessions`); got != 304_000 {
		t.Errorf("the session is %d ms long", got)
	}
}

// Quiet is quiet until it is asked for; without consent to analysis, without the organization's word, or with none asked for, there is none.
func TestLiveNudgesThatAreAskedFor(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	heard := func(input apptest.Vars, before func(session string)) string {
		t.Helper()
		session := beginning(t, env)
		if before != nil {
			before(session)
		}
		input["sessionId"] = session
		does(t, coach, "startLiveSession", "liveSession", "id", input)
		utter(t, coach, session, chunk("1", "Ruth Calloway", "How are you? What is on your mind? Where shall we begin? And why?", 0, 4))
		utter(t, coach, session, chunk("2", "Amara Okafor", "I will write to Tomasz by Friday.", 200, 204))
		return fmt.Sprint(nudgesOf(t, coach, session))
	}
	if got := heard(apptest.Vars{"nudges": []string{"STACKED_QUESTIONS"}}, nil); got != "[STACKED_QUESTIONS 1]" {
		t.Errorf("asked for: %s", got)
	}
	if got := heard(apptest.Vars{"nudges": []string{}}, nil); got != "[]" {
		t.Errorf("none asked for: %s", got)
	}
	// Who stacks questions in every session is told only of more of them.
	sql(t, env, `UPDATE session_metrics SET measures = jsonb_set(measures, '{coach,stackedQuestions}', '9') WHERE jsonb_typeof(measures -> 'coach') = 'object'`)
	if n := value[int](t, env, `SELECT count(*) FROM session_metrics m JOIN sessions s ON s.id = m.session_id JOIN users u ON u.id = s.coach_id WHERE u.email = $1`, apptest.Coach); n >= 5 {
		session := beginning(t, env)
		does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
		if got := value[int](t, env, `SELECT (rules ->> 'questions')::int FROM live_sessions WHERE session_id = $1`, uuid(t, session)); got != 4 {
			t.Errorf("told of %d questions", got)
		}
	} else {
		t.Errorf("only %d sessions are measured", n)
	}
	if got := heard(apptest.Vars{}, func(string) { sql(t, env, `UPDATE organizations SET ai_enabled = false`) }); got != "[]" {
		t.Errorf("without the organization's word: %s", got)
	}
	sql(t, env, `UPDATE organizations SET ai_enabled = true`)
	if got := heard(apptest.Vars{}, func(session string) {
		does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": clientOf(t, env, session), "scopes": []string{"AI_ANALYSIS"}})
	}); got != "[]" {
		t.Errorf("without consent to analysis: %s", got)
	}
}
