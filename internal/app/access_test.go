package app_test

import (
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Who loses the right to what they listen to is cut off within a second, on whichever server: the socket with 4403, the event stream
// without being called complete. Who listens to something else goes on.
func TestLostRightsCloseStreams(t *testing.T) {
	t.Parallel()
	const ofSession = `subscription($of: ID) {insightEvents(sessionId: $of) {__typename}}`
	const revoked = "a membership is revoked"            // then nothing goes on
	const last = "SELECT last_cursor FROM stream_topics" // by which a subscription begins
	const live = `subscription($of: ID!) {liveSession(sessionId: $of) {__typename}}`
	const ofClient = `subscription($of: ID) {insightEvents(clientId: $of) {__typename}}`
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
		"the client is another coach's": {apptest.Coach, ofClient, func(t testing.TB, env *apptest.Env) string { return clientOf(t.(*testing.T), env, amara2.id(t, env)) }, func(t *testing.T, env *apptest.Env) {
			key := uuid(t, clientOf(t, env, amara2.id(t, env)))
			sql(t, env, `UPDATE clients SET coach_id = (SELECT id FROM users WHERE email = $2) WHERE id = $1`, key, apptest.Coach2)
			sql(t, env, `UPDATE engagements SET coach_id = (SELECT id FROM users WHERE email = $2) WHERE client_id = $1`, key, apptest.Coach2)
		}},
		"the session is erased": {apptest.Coach, ofSession, amara5.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `DELETE FROM sessions WHERE id = $1`, uuid(t, amara5.id(t, env)))
		}},
		"the supervision is of another": {apptest.Supervisor, ofSession, jonas3.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `UPDATE supervisions SET supervisor_id = coach_id`)
		}},
		"the supervision ends": {apptest.Supervisor, ofSession, jonas3.id, func(t *testing.T, env *apptest.Env) {
			sql(t, env, `DELETE FROM supervisions`)
		}},
	}
	cut := func(t *testing.T, name string, through ...apptest.Option) {
		tc := cases[name]
		here := apptest.Demo(t, through...)
		there := here.Another(t, through...)
		of := tc.of(t, here)
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
		if took > time.Second {
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
