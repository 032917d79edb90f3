package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

// atOnce is how late, on a busy machine, what is promised within a second may be: whatever only looks again every few seconds comes later.
const atOnce = 4 * time.Second

// Who loses the right to what they listen to is cut off within a second, on whichever server: the socket with 4403, the event stream
// without being called complete. Who listens to something else goes on.
func TestLostRightsCloseStreams(t *testing.T) {
	t.Parallel()
	const ofSession = `subscription($of: ID) {insightEvents(sessionId: $of) {__typename}}`
	const revoked = "a membership is revoked" // then nothing goes on
	const live = `subscription($of: ID!) {liveSession(sessionId: $of) {__typename}}`
	const ofThread = `subscription($of: ID!) {askEvents(threadId: $of) {__typename}}`
	thread := func(t testing.TB, env *apptest.Env) string {
		key, _ := asks(t, env.Login(t, apptest.Coach), apptest.Vars{"question": "What did she decide?", "scope": apptest.Vars{"clientId": clientOf(t.(*testing.T), env, amara2.id(t, env))}})
		return key
	}
	const ofClient = `subscription($of: ID) {insightEvents(clientId: $of) {__typename}}`
	written := func(t testing.TB, env *apptest.Env) string { // while the client listened, who goes on listening
		session, coach := beginning(t, env), env.Login(t, apptest.Coach)
		does(t, coach, "startLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session, "sharedWithClient": true})
		utter(t, coach, session, chunk("a", "Ruth Calloway", "Between us.", 0, 2))
		does(t, coach, "endLiveSession", "liveSession", "id", apptest.Vars{"sessionId": session})
		return session
	}
	transcript := func(t *testing.T, env *apptest.Env) string {
		return one(t, env, "transcript", `SELECT transcript_id FROM live_sessions`)
	}
	cases := map[string]struct {
		who    string
		query  string
		of     func(testing.TB, *apptest.Env) string
		change func(*testing.T, *apptest.Env)
	}{
		"a consent is withdrawn": {apptest.Coach, ofSession, amara2.id, func(t *testing.T, env *apptest.Env) {
			_, _ = consents(t, env.Login(t, apptest.ClientUser), "withdrawConsent", apptest.Vars{"subjectId": clientOf(t, env, amara2.id(t, env)), "scopes": []string{"TRANSCRIPTION"}})
		}},
		"a consent is withdrawn while all is live": {apptest.Coach, live, listening, func(t *testing.T, env *apptest.Env) {
			_, _ = consents(t, env.Login(t, apptest.ClientUser), "withdrawConsent", apptest.Vars{"subjectId": clientOf(t, env, amara2.id(t, env)), "scopes": []string{"TRANSCRIPTION"}})
		}},
		revoked: {apptest.Coach, live, listening, func(t *testing.T, env *apptest.Env) {
			does(t, env.Login(t, apptest.Owner), "revokeMember", "membership", "status", apptest.Vars{"id": membership(t, env, apptest.Coach, "harbor")})
		}},
		"the session is put away": {apptest.Coach, ofSession, amara2.id, func(t *testing.T, env *apptest.Env) {
			does(t, env.Login(t, apptest.Coach), "archiveSession", "session", "id", apptest.Vars{"id": amara2.id(t, env), "archived": true})
		}},
		"the session is another coach's": {apptest.Coach, ofSession, amara2.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `UPDATE engagements SET coach_id = (SELECT id FROM users WHERE email = $2) WHERE id = (SELECT engagement_id FROM sessions WHERE id = $1)`,
				uuid(t, amara2.id(t, env)), apptest.Coach2)
		}},
		"the session is another coach's, and nobody hears of it": {apptest.Coach, ofSession, amara2.id, func(t *testing.T, env *apptest.Env) {
			err := pgx.BeginFunc(t.Context(), env.DB, func(tx pgx.Tx) error {
				var cut int
				if err := tx.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
					WHERE datname = current_database() AND application_name LIKE '% listener'`).Scan(&cut); err != nil || cut != 2 {
					return fmt.Errorf("cut %d connections that listen: %w", cut, err)
				}
				_, err := tx.Exec(t.Context(), `UPDATE engagements SET coach_id = (SELECT id FROM users WHERE email = $2) WHERE id = (SELECT engagement_id FROM sessions WHERE id = $1)`,
					uuid(t, amara2.id(t, env)), apptest.Coach2)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
		"the client is another coach's": {apptest.Coach, ofClient, func(t testing.TB, env *apptest.Env) string { return clientOf(t.(*testing.T), env, amara2.id(t, env)) }, func(t *testing.T, env *apptest.Env) {
			key := uuid(t, clientOf(t, env, amara2.id(t, env)))
			sql(t, env, `UPDATE clients SET coach_id = (SELECT id FROM users WHERE email = $2) WHERE id = $1`, key, apptest.Coach2)
			sql(t, env, `UPDATE engagements SET coach_id = (SELECT id FROM users WHERE email = $2) WHERE client_id = $1`, key, apptest.Coach2)
		}},
		"the session is erased": {apptest.Coach, ofSession, amara5.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `DELETE FROM sessions WHERE id = $1`, uuid(t, amara5.id(t, env)))
		}},
		"the transcript of what was live is not shared any more": {apptest.ClientUser, live, written, func(t *testing.T, env *apptest.Env) {
			does(t, env.Login(t, apptest.Coach), "updateTranscript", "transcript", "id", apptest.Vars{"id": transcript(t, env), "sharedWithClient": false})
		}},
		"the transcript of what was live is put away": {apptest.ClientUser, live, written, func(t *testing.T, env *apptest.Env) {
			does(t, env.Login(t, apptest.Coach), "archiveTranscript", "transcript", "id", apptest.Vars{"id": transcript(t, env)})
		}},
		"the supervision is of another": {apptest.Supervisor, ofSession, jonas3.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `UPDATE supervisions SET supervisor_id = coach_id`)
		}},
		"the supervision ends": {apptest.Supervisor, ofSession, jonas3.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `DELETE FROM supervisions`)
		}},
		"the thread is deleted": {apptest.Coach, ofThread, thread, func(t *testing.T, env *apptest.Env) {
			does(t, env.Login(t, apptest.Coach), "deleteAskThread", "thread", "id", apptest.Vars{"id": one(t, env, "thread", `SELECT id FROM ask_threads`)})
		}},
		"the thread goes with an erasure": {apptest.Coach, ofThread, thread, func(t *testing.T, env *apptest.Env) {
			her := clientOf(t, env, amara2.id(t, env))
			if _, errs := ask(t, env.Login(t, apptest.Owner), "requestErasure", apptest.Vars{"clientId": her, "confirm": "Amara Okafor"}); len(errs) > 0 {
				t.Fatal(errs)
			}
			env.Work(t)
		}},
		"the thread goes by a policy": {apptest.Coach, ofThread, thread, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `UPDATE ask_messages SET created_at = now() - interval '900 days'`)
			sql(t, env, `UPDATE ask_threads SET asked_at = now() - interval '900 days'`)
			org := one(t, env, "org", `SELECT org_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
			does(t, env.Login(t, apptest.Owner), "updateOrganization", "organization", "id", apptest.Vars{"id": org, "retentionDays": 400})
			if err := env.App.Services().Privacy.Schedule(t.Context()); err != nil {
				t.Fatal(err)
			}
			env.Work(t)
		}},
	}
	cut := func(t *testing.T, name string, through ...apptest.Option) {
		tc := cases[name]
		here := apptest.Demo(t, through...)
		there := here.Another(t, through...)
		of := tc.of(t, here)
		last := begun
		if tc.query == live {
			last = "INSERT INTO audit_events" // after the last look at what may be heard
		}
		var sockets []*apptest.Socket
		var streams []*apptest.Subscription
		open := func(env *apptest.Env, query string, vars apptest.Vars) (*apptest.Socket, *apptest.Subscription) {
			c := env.Login(t, tc.who)
			socket := c.Socket(t)
			began := env.Statements.Ended(last)
			socket.Subscribe(t, query, vars)
			env.Statements.Await(t, last, began)
			sse := c.SubscribeSSE(t, query, vars)
			env.Statements.Await(t, last, began+1)
			return socket, sse
		}
		for _, env := range []*apptest.Env{here, there} {
			socket, sse := open(env, tc.query, apptest.Vars{"of": of})
			sockets, streams = append(sockets, socket), append(streams, sse)
		}
		idle := there.Login(t, tc.who).Socket(t)
		tc.change(t, here)
		began := time.Now()
		for _, s := range sockets {
			if code := s.Closed(t); code != 4403 {
				t.Errorf("the socket closes with %d", code)
			}
		}
		for _, sub := range streams {
			if sub.End(t); sub.Completed() {
				t.Error("the events are said to be complete")
			}
		}
		took := time.Since(began)
		t.Logf("%s after the change all four were cut off", took)
		if took > atOnce {
			t.Errorf("it took %s", took)
		}
		if name == revoked {
			if code := idle.Closed(t); code != 4403 {
				t.Errorf("who is no member any more is closed with %d", code)
			}
			return
		}
		if r := idle.Subscribe(t, `{viewer {user {name}}}`, nil).Next(t); r.Code() != "" {
			t.Errorf("who listens to nothing of it gets %+v", r.Errors)
		}
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) { t.Parallel(); cut(t, name) })
		t.Run(name+", with Redis", func(t *testing.T) {
			t.Parallel()
			at := testkit.Redis(t)
			cut(t, name, apptest.Config(func(c *config.Config) { c.Stream.RedisURL = config.Secret(at.URL()) }))
		})
	}
}
