package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

const listen = `subscription($session: ID, $client: ID, $after: String) {
	insightEvents(sessionId: $session, clientId: $client, after: $after) {
		__typename cursor occurredAt
		... on InsightAdded {insight {id title status citations {quote}}}
		... on InsightRevised {insight {id title status}}
		... on InsightRetracted {insightId}
		... on AnalysisProgressed {analysisRun {status}}
		... on TranscriptStateChanged {transcript {id status}}
	}
}`

type event struct {
	Typename   string `json:"__typename"`
	Cursor     string
	OccurredAt time.Time
	Insight    struct {
		ID, Title, Status string
		Citations         []struct{ Quote string }
	}
	InsightID   string
	AnalysisRun struct{ Status string }
	Transcript  struct{ ID, Status string }
}

func next(t testing.TB, s *apptest.Subscription) event {
	t.Helper()
	r := s.Next(t)
	if len(r.Errors) > 0 {
		t.Fatalf("an error instead of an event: %+v", r.Errors)
	}
	var out struct{ InsightEvents event }
	r.Into(t, &out)
	return out.InsightEvents
}

// published is how many events a session has.
func published(t testing.TB, env *apptest.Env, session string) int {
	t.Helper()
	return value[int](t, env, `SELECT count(*) FROM stream_events WHERE topic = $1`, session)
}

// several reads n events.
func several(t testing.TB, s *apptest.Subscription, n int) (all []event) {
	t.Helper()
	for range n {
		all = append(all, next(t, s))
	}
	return all
}

func cursors(events []event) (all []string) {
	for _, e := range events {
		all = append(all, e.Cursor)
	}
	return all
}

func ready(t testing.TB, env *apptest.Env, transcript string) {
	t.Helper()
	testkit.Eventually(t, recovery, func() error {
		if status := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, uuid(t, transcript)); status != "READY" {
			return fmt.Errorf("the transcript is %s", status)
		}
		return nil
	})
}

// begun is the statement by which a subscription without a cursor finds where it begins.
const begun = "SELECT last_cursor FROM stream_topics"

type transport func(c *apptest.Client, t testing.TB, query string, vars apptest.Vars) *apptest.Subscription

var streaming = map[string]transport{"WebSocket": (*apptest.Client).Subscribe, "SSE": (*apptest.Client).SubscribeSSE}

// gate stops whoever is about to do something to a table until it is opened.
type gate struct {
	t       testing.TB
	env     *apptest.Env
	release func()
}

// shut puts a gate before what condition says: "INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = 3)".
func shut(t testing.TB, env *apptest.Env, condition string) *gate {
	t.Helper()
	sql(t, env, `CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN coalesce(NEW, OLD); END $$`)
	sql(t, env, `CREATE OR REPLACE TRIGGER gate BEFORE `+condition+` EXECUTE FUNCTION gate()`)
	conn, err := env.DB.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT pg_advisory_lock(4711)`); err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, env: env}
	g.release = sync.OnceFunc(func() {
		_, _ = conn.Exec(background(t), `SELECT pg_advisory_unlock(4711)`)
		conn.Release()
	})
	t.Cleanup(g.release)
	return g
}

// somebody waits until somebody stands before the gate.
func (g *gate) somebody() {
	g.t.Helper()
	testkit.Eventually(g.t, 30*time.Second, func() error {
		if value[int](g.t, g.env, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 0 {
			return errors.New("nobody is at the gate")
		}
		return nil
	})
}

// Insights are on the screen while the rest is still looked for, in the order in which they are found; whoever loses the
// connection in the middle goes on where they were.
func TestInsightsArriveAsTheyAreFound(t *testing.T) {
	t.Parallel()
	for name, open := range streaming {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t, apptest.Running())
			coach := env.Login(t, apptest.Coach)
			session := amara5.id(t, env)
			vars := apptest.Vars{"session": session, "after": env.Beginning(t, session)}
			sub := open(coach, t, listen, vars)
			gate := shut(t, env, `INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = 3)`)
			transcript := imports(t, coach, session, conversation(t))
			gate.somebody()

			var got []event
			for added := 0; added < 2; {
				e := next(t, sub)
				got = append(got, e)
				if e.Typename == "InsightAdded" {
					added++
					if len(e.Insight.Citations) == 0 || e.Insight.Title == "" {
						t.Errorf("an empty insight: %+v", e)
					}
				}
				if e.AnalysisRun.Status != "" && e.AnalysisRun.Status != "RUNNING" || e.Transcript.Status == "READY" {
					t.Errorf("too far already: %+v", e)
				}
			}
			sub.Close() // in the middle

			gate.release()
			ready(t, env, transcript)
			all := published(t, env, session)
			rest := open(coach, t, listen, apptest.Vars{"session": session, "after": got[len(got)-1].Cursor})
			got = append(got, several(t, rest, all-len(got))...)

			undisturbed := several(t, open(coach, t, listen, vars), all)
			if !slices.Equal(cursors(got), cursors(undisturbed)) {
				t.Errorf("got  %q\nwant %q", cursors(got), cursors(undisturbed))
			}
			var added []string
			for _, e := range got {
				if e.Typename == "InsightAdded" {
					added = append(added, e.Insight.ID)
				}
			}
			if want := insightsInOrder(t, env, transcript); !slices.Equal(added, want) || len(added) < 4 {
				t.Errorf("added %q\nfound %q", added, want)
			}
			if last := got[len(got)-1]; last.Transcript.Status != "READY" || got[len(got)-2].AnalysisRun.Status != "SUCCEEDED" {
				t.Errorf("the end is %+v", got[len(got)-2:])
			}
		})
	}
}

func insightsInOrder(t testing.TB, env *apptest.Env, transcript string) (all []string) {
	t.Helper()
	rows, err := env.DB.Query(t.Context(), `SELECT id FROM insights WHERE transcript_id = $1 AND retracted_at IS NULL ORDER BY ordinal`, uuid(t, transcript))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key id.UUID
		if err := rows.Scan(&key); err != nil {
			t.Fatal(err)
		}
		all = append(all, id.Format("insight", key))
	}
	return all
}

// Resuming gives exactly the rest, from any event.
func TestResume(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	imports(t, coach, session, conversation(t))
	env.Work(t)
	n := published(t, env, session)
	for name, open := range streaming {
		t.Run(name, func(t *testing.T) {
			all := several(t, open(coach, t, listen, apptest.Vars{"session": session, "after": env.Beginning(t, session)}), n)
			if len(slices.Compact(slices.Sorted(slices.Values(cursors(all))))) != n {
				t.Fatalf("cursors are not unique: %q", cursors(all))
			}
			for i := 0; i < n-1; i += 1 + n/5 {
				sub := open(coach, t, listen, apptest.Vars{"session": session, "after": all[i].Cursor})
				if got, want := cursors(several(t, sub, n-1-i)), cursors(all[i+1:]); !slices.Equal(got, want) {
					t.Errorf("after %d: got %q, want %q", i, got, want)
				}
				sub.Close()
			}
			// From the last one nothing comes but what happens next.
			sub := open(coach, t, listen, apptest.Vars{"session": session, "after": all[n-1].Cursor})
			insight := all[slices.IndexFunc(all, func(e event) bool { return e.Typename == "InsightAdded" })].Insight.ID
			coach.Must(t, `mutation($id: ID!) {reviewInsight(input: {insightId: $id, decision: ACCEPT}) {insight {id}}}`, apptest.Vars{"id": insight}, nil)
			if e := next(t, sub); e.Typename != "InsightRevised" || e.Insight.ID != insight || e.Insight.Status != "ACCEPTED" {
				t.Errorf("got %+v", e)
			}
			n++
		})
	}
}

func TestSubscriptionsRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	session, other := amara2.id(t, env), jonas3.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	for name, tc := range map[string]struct {
		who         string
		vars        apptest.Vars
		code, field string
	}{
		"a cursor of another session": {apptest.Coach, apptest.Vars{"session": session, "after": env.Beginning(t, other)}, "INVALID", "after"},
		"no cursor":                   {apptest.Coach, apptest.Vars{"session": session, "after": "marzipan"}, "INVALID", "after"},
		"an empty cursor":             {apptest.Coach, apptest.Vars{"session": session, "after": ""}, "INVALID", "after"},
		"session and client":          {apptest.Coach, apptest.Vars{"session": session, "client": client}, "INVALID", "clientId"},
		"a client as session":         {apptest.Coach, apptest.Vars{"session": client}, "INVALID", "sessionId"},
		"unknown":                     {apptest.Coach, apptest.Vars{"session": "session_01h455vb4pex5vsknk084sn02q"}, "NOT_FOUND", ""},
		"of another tenant":           {apptest.Coach, apptest.Vars{"session": theo2.id(t, env)}, "NOT_FOUND", ""},
		"of another coach":            {apptest.Coach, apptest.Vars{"session": sofia2.id(t, env)}, "NOT_FOUND", ""},
		"the other coach":             {apptest.Coach2, apptest.Vars{"session": session}, "NOT_FOUND", ""},
		"the other coach's client":    {apptest.Coach2, apptest.Vars{"client": client}, "NOT_FOUND", ""},
		"everything, by a client":     {apptest.ClientUser, nil, "INVALID", "sessionId"},
		"everything, by the owner":    {apptest.Owner, nil, "INVALID", "sessionId"},
	} {
		for transport, open := range streaming {
			t.Run(name+" "+transport, func(t *testing.T) {
				t.Parallel()
				sub := open(env.Login(t, tc.who), t, listen, tc.vars)
				rest := sub.End(t)
				if len(rest) != 1 || rest[0].Code() != tc.code || rest[0].Errors[0].Field != tc.field {
					t.Errorf("got %+v", rest)
				}
			})
		}
	}
}

// A subscription to more or less than one field is a mistake of who asks, and said with its place: over a WebSocket, as events, and by a plain POST.
func TestSubscriptionsToOneField(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	from := apptest.Vars{"b": true, "s": session, "after": env.Beginning(t, session)}
	for name, tc := range map[string]struct {
		query string
		vars  apptest.Vars
		place string // "" where there is nothing wrong
	}{
		"two fields":             {`subscription {notificationEvents {cursor} insightEvents {cursor}}`, nil, "1:43"},
		"one, twice":             {"subscription {\n  a: notificationEvents {cursor}\n  b: notificationEvents {cursor}\n}", nil, "3:3"},
		"one, twice, by spreads": {`subscription {...F b: notificationEvents {cursor}} fragment F on Subscription {notificationEvents {cursor}}`, nil, "1:20"},
		"one, skipped":           {`subscription {notificationEvents @skip(if: true) {cursor}}`, nil, "1:1"},
		"one, not included":      {`subscription($b: Boolean!) {notificationEvents @include(if: $b) {cursor}}`, apptest.Vars{"b": false}, "1:1"},
		"one, included":          {`subscription($b: Boolean!, $s: ID, $after: String) {insightEvents(sessionId: $s, after: $after) @include(if: $b) {cursor}}`, from, ""},
		"one, said twice": {`subscription($b: Boolean!, $s: ID, $after: String) {
			insightEvents(sessionId: $s, after: $after) {cursor @include(if: $b)} insightEvents(sessionId: $s, after: $after) {occurredAt}}`, from, ""},
	} {
		for transport, open := range streaming {
			t.Run(name+" "+transport, func(t *testing.T) {
				sub := open(coach, t, tc.query, tc.vars)
				if tc.place == "" {
					if r := sub.Next(t); r.Code() != "" || !strings.Contains(string(r.Data), "cursor") {
						t.Errorf("got %s %+v", r.Data, r.Errors)
					}
					sub.Close()
					return
				}
				rest := sub.End(t)
				if len(rest) != 1 || rest[0].Code() != "GRAPHQL_VALIDATION_FAILED" || rest[0].Errors[0].Place != tc.place {
					t.Errorf("got %+v", rest)
				}
			})
		}
	}
	if r := coach.Do(t, `subscription {a: notificationEvents {cursor} b: notificationEvents {cursor}}`, nil); r.Status != http.StatusUnprocessableEntity || r.Code() != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("by POST: %d %s", r.Status, r.Body)
	}
	if strings.Contains(env.Log.String(), "level=ERROR") {
		t.Errorf("the log:\n%s", env.Log.Tail(3))
	}
}

// Events are kept for a while. Who comes back later is told so, before anything else.
func TestResumeTooLate(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	sql(t, env, `UPDATE stream_events SET created_at = now() - interval '25 hours'`)
	env.Another(t, apptest.Running()) // sweeps when it starts
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := published(t, env, session); n > 0 {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	for name, open := range streaming {
		t.Run(name, func(t *testing.T) {
			rest := open(coach, t, listen, apptest.Vars{"session": session, "after": env.Beginning(t, session)}).End(t)
			if len(rest) != 1 || rest[0].Code() != "RESUME_WINDOW_LOST" {
				t.Errorf("got %+v", rest)
			}
		})
	}
}

// A client is shown what the coach has accepted for a client, and nothing before that.
func TestClientHearsOfAcceptedInsightsOnly(t *testing.T) {
	t.Parallel()
	for name, open := range streaming {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t)
			coach, client := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
			session := amara5.id(t, env)
			sub := open(client, t, listen, apptest.Vars{"session": session, "after": env.Beginning(t, session)})
			transcript := imports(t, coach, session, conversation(t))
			env.Work(t)
			sql(t, env, `UPDATE insights SET audience = CASE WHEN ordinal % 2 = 0 THEN 'COACH_ONLY' ELSE 'BOTH' END WHERE transcript_id = $1`, uuid(t, transcript))
			all := insightsInOrder(t, env, transcript)
			for _, insight := range all[:4] {
				coach.Must(t, `mutation($id: ID!) {reviewInsight(input: {insightId: $id, decision: ACCEPT}) {insight {id}}}`, apptest.Vars{"id": insight}, nil)
			}
			coach.Must(t, `mutation($id: ID!) {reviewInsight(input: {insightId: $id, decision: DISMISS}) {insight {id}}}`, apptest.Vars{"id": all[4]}, nil)
			coach.Must(t, `mutation($id: ID!) {reviewInsight(input: {insightId: $id, decision: EDIT, title: "In other words"}) {insight {id}}}`, apptest.Vars{"id": all[0]}, nil)
			var heard []string
			for {
				e := next(t, sub)
				if e.Typename != "InsightAdded" && e.Typename != "InsightRevised" || e.Insight.ID == "" {
					t.Fatalf("the client hears %+v", e)
				}
				if e.Insight.ID != all[0] && e.Insight.ID != all[2] {
					t.Errorf("the client hears of %s", e.Insight.ID)
				}
				heard = append(heard, e.Insight.ID)
				if e.Typename == "InsightRevised" && e.Insight.Title == "In other words" && heard[len(heard)-1] == all[0] && slices.Contains(heard, all[2]) {
					break
				}
			}
		})
	}
}

// Processes share the stream: who listens here hears what happens there, live.
func TestEventsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	here := apptest.Demo(t)
	there := here.Another(t)
	session := amara5.id(t, here)
	client := one(t, here, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	coach := here.Login(t, apptest.Coach)
	subs := map[string]*apptest.Subscription{}
	for i, name := range []string{"session", "client", "coach"} {
		vars := map[string]apptest.Vars{"session": {"session": session}, "client": {"client": client}, "coach": nil}[name]
		subs[name] = coach.Subscribe(t, listen, vars)
		here.Statements.Await(t, begun, i)
	}
	transcript := imports(t, there.Login(t, apptest.Coach), session, conversation(t))
	there.Work(t)
	n := published(t, here, session)
	for name, sub := range subs {
		got := several(t, sub, n)
		if got[0].Transcript.ID != transcript || got[n-1].Transcript.Status != "READY" || got[1].Typename != "AnalysisProgressed" && got[2].Typename != "AnalysisProgressed" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSocketsNeedAToken(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	for name, payload := range map[string]any{
		"no payload":     nil,
		"nothing in it":  map[string]any{},
		"a bad token":    map[string]any{"Authorization": "Bearer no.good.token"},
		"another scheme": map[string]any{"Authorization": "Basic Y29hY2g6"},
		"no text":        map[string]any{"Authorization": []string{"Bearer"}},
		"an old token":   map[string]any{"Authorization": "Bearer " + env.Token(t, apptest.Coach, -time.Minute)},
		"nobody's token": map[string]any{"Authorization": "Bearer " + env.Token(t, "nobody@harbor.example", time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := env.Dial(t, nil)
			if err := s.Init(t, payload); err == nil {
				t.Fatal("connection_ack")
			} else if strings.Contains(err.Error(), "no.good.token") {
				t.Errorf("the answer quotes the token: %v", err)
			}
			if code := s.Closed(t); code != 4403 { // with an ordinary code a client comes back at once, for ever
				t.Errorf("closed with %d", code)
			}
		})
	}
	t.Run("subscribe before connection_init", func(t *testing.T) {
		t.Parallel()
		s := env.Dial(t, nil)
		s.Subscribe(t, `subscription {insightEvents {cursor}}`, nil)
		if code := websocket.CloseStatus(s.Rest(t)); code != 4401 {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("a token in the header", func(t *testing.T) {
		t.Parallel()
		s := env.Dial(t, http.Header{"Authorization": {"Bearer " + env.Login(t, apptest.Coach).Token}})
		if err := s.Init(t, nil); err != nil {
			t.Fatal(err)
		}
		if r := s.Subscribe(t, `{viewer {user {name}}}`, nil).Next(t); !strings.Contains(string(r.Data), "Ruth") {
			t.Errorf("got %s %+v", r.Data, r.Errors)
		}
	})
	t.Run("by server-sent events", func(t *testing.T) {
		t.Parallel()
		header := env.Anonymous().Header()
		header.Set("Accept", "text/event-stream")
		for _, query := range []string{`subscription {insightEvents {cursor}}`, `{viewer {user {name}}}`} {
			status, body := env.Send(t, http.MethodPost, "/graphql", header, fmt.Sprintf(`{"query": %q}`, query))
			if status != http.StatusUnauthorized || !strings.Contains(string(body), `"code":"UNAUTHENTICATED"`) {
				t.Errorf("%s: %d %s", query, status, body)
			}
		}
		if status, body := env.Send(t, http.MethodPost, "/graphql", header, `{"query": "{__schema {queryType {name}}}"}`); status != http.StatusOK || !strings.HasPrefix(string(body), ":\n\nevent: next\n") {
			t.Errorf("what needs nobody signed in: %d %s", status, body)
		}
	})
}

// A socket and a stream end with the token they were opened with.
func TestStreamsEndWithTheToken(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	session := amara2.id(t, env)
	const life = 2 * time.Second
	intime := func(t *testing.T, began time.Time) {
		t.Helper()
		if took := time.Since(began); took > life+atOnce {
			t.Errorf("%s after it was made, a token of %s ends it", took, life)
		}
	}
	t.Run("WebSocket", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		s := env.With(env.Token(t, apptest.Coach, life)).Socket(t)
		sub := s.Subscribe(t, listen, apptest.Vars{"session": session, "after": env.Beginning(t, session)})
		next(t, sub)
		if code := s.Closed(t); code != 4403 {
			t.Errorf("closed with %d", code)
		}
		intime(t, began)
		if rest := sub.End(t); len(rest) > 0 && rest[len(rest)-1].Code() != "" || sub.Completed() {
			t.Errorf("the subscription ends with %+v", rest)
		}
	})
	t.Run("WebSocket, token in the header", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		s := env.Dial(t, http.Header{"Authorization": {"Bearer " + env.Token(t, apptest.Coach, life)}})
		if err := s.Init(t, nil); err != nil {
			t.Fatal(err)
		}
		if code := s.Closed(t); code != 4403 {
			t.Errorf("closed with %d", code)
		}
		intime(t, began)
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		sub := env.With(env.Token(t, apptest.Coach, life)).SubscribeSSE(t, listen, apptest.Vars{"session": session})
		if rest := sub.End(t); len(rest) > 0 || sub.Completed() {
			t.Errorf("the subscription ends with %+v", rest)
		}
		intime(t, began)
	})
}

// Where a source ends with an error, its subscribers get to know it, and everybody else goes on.
func TestSubscriptionsThatFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  func(t *testing.T, env *apptest.Env, session string)
		code string
	}{
		"the stream closes": {func(_ *testing.T, env *apptest.Env, _ string) { env.App.Close() }, "STREAM_CLOSED"},
		"events are lost": {func(t *testing.T, env *apptest.Env, session string) { // as if trimmed before they were read
			sql(t, env, `UPDATE stream_topics SET last_cursor = last_cursor + 5, trimmed_to = last_cursor + 5 WHERE topic = $1`, session)
			env.Login(t, apptest.Coach).Must(t, `mutation($id: ID!) {reviewInsight(input: {insightId: $id, decision: ACCEPT}) {insight {id}}}`,
				apptest.Vars{"id": one(t, env, "insight", `SELECT id FROM insights WHERE session_id = $1 AND retracted_at IS NULL ORDER BY id LIMIT 1`, uuid(t, session))}, nil)
		}, "RESUME_WINDOW_LOST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t)
			coach := env.Login(t, apptest.Coach)
			session := amara2.id(t, env)
			vars := apptest.Vars{"session": session, "after": env.Beginning(t, session)}
			subs := map[string]*apptest.Subscription{}
			n := published(t, env, session)
			for transport, open := range streaming {
				subs[transport] = open(coach, t, listen, vars)
				several(t, subs[transport], n)
			}
			tc.end(t, env, session)
			for transport, sub := range subs {
				if rest := sub.End(t); len(rest) != 1 || rest[0].Code() != tc.code {
					t.Errorf("%s: got %+v", transport, rest)
				}
			}
			coach.Must(t, `{viewer {user {name}}}`, nil, nil)
		})
	}
}

func TestSubscriptionsPerSocket(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.MaxSubscriptionsPerSocket = 3 }))
	session := amara2.id(t, env)
	vars := apptest.Vars{"session": session, "after": env.Beginning(t, session)}
	s := env.Login(t, apptest.Coach).Socket(t)
	var subs []*apptest.Subscription
	for range 3 {
		sub := s.Subscribe(t, listen, vars)
		next(t, sub)
		subs = append(subs, sub)
	}
	if rest := s.Subscribe(t, listen, vars).End(t); len(rest) != 1 || rest[0].Code() != "LIMITED" {
		t.Errorf("the fourth: %+v", rest)
	}
	// Queries are no subscriptions, and other sockets count by themselves.
	if r := s.Subscribe(t, `{viewer {user {name}}}`, nil).Next(t); len(r.Errors) > 0 {
		t.Errorf("a query: %+v", r.Errors)
	}
	next(t, env.Login(t, apptest.Coach).Subscribe(t, listen, vars))
	subs[0].Close()
	testkit.Eventually(t, 10*time.Second, func() error {
		sub := s.Subscribe(t, listen, vars)
		if r := sub.Next(t); r.Code() != "" {
			return errors.New(r.Code())
		}
		return nil
	})
}

// Told to stop, the server ends its streams and exits in time; what was missed is there for whoever comes back.
func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Running())
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	vars := apptest.Vars{"session": session, "after": env.Beginning(t, session)}
	var sockets []*apptest.Socket
	var subs []*apptest.Subscription
	for range 5 {
		s := coach.Socket(t)
		sockets = append(sockets, s)
		subs = append(subs, s.Subscribe(t, listen, vars), coach.SubscribeSSE(t, listen, vars))
	}
	for _, sub := range subs {
		next(t, sub)
	}
	began := time.Now()
	if err := env.Stop(); err != nil {
		t.Errorf("Run returns %v", err)
	}
	if took := time.Since(began); took > env.Config.HTTP.ShutdownTimeout {
		t.Errorf("stopping took %s", took)
	}
	for _, s := range sockets {
		if code := s.Closed(t); code != 1001 { // after a 1000 a client does not come back
			t.Errorf("closed with %d", code)
		}
	}
	for _, sub := range subs {
		for _, r := range sub.End(t) {
			if len(r.Errors) > 0 {
				t.Errorf("got %s %+v", r.Data, r.Errors)
			}
		}
		if sub.Completed() {
			t.Error("the client believes that all has been said")
		}
	}
	again := env.Another(t)
	next(t, again.Login(t, apptest.Coach).Subscribe(t, listen, vars))
}

// One person, or one organization, cannot take all the sockets and subscriptions of a server.
func TestStreamsPerPersonAndOrganization(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) {
		c.HTTP.MaxStreamsPerUser, c.HTTP.MaxStreamsPerOrganization = 2, 3
		c.HTTP.MaxSubscriptionsPerUser, c.HTTP.MaxSubscriptionsPerOrganization = 3, 100
	}))
	coach, owner, stranger := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner), env.Login(t, apptest.Lumen)
	session := amara2.id(t, env)
	vars := apptest.Vars{"session": session, "after": env.Beginning(t, session)}
	bearer := func(c *apptest.Client) map[string]string {
		return map[string]string{"Authorization": "Bearer " + c.Token}
	}
	refused := func(c *apptest.Client) {
		t.Helper()
		s := env.Dial(t, nil)
		if err := s.Init(t, bearer(c)); err == nil {
			t.Error("connection_ack")
		} else if code := s.Closed(t); code != 4429 {
			t.Errorf("closed with %d", code)
		}
		for _, header := range []string{"Accept: text/event-stream", "Upgrade: websocket"} {
			name, value, _ := strings.Cut(header, ": ")
			h := c.Header()
			h.Set(name, value)
			if status, body := env.Send(t, http.MethodGet, "/graphql?query=subscription%7BinsightEvents%7Bcursor%7D%7D", h, ""); status != http.StatusTooManyRequests || !strings.Contains(string(body), `"LIMITED"`) {
				t.Errorf("%s: %d %s", header, status, body)
			}
		}
	}
	first, sse := coach.Socket(t), coach.SubscribeSSE(t, listen, vars)
	next(t, sse)
	refused(coach)
	for range 2 { // with the one over SSE that makes three
		next(t, first.Subscribe(t, listen, vars))
	}
	if rest := first.Subscribe(t, listen, vars).End(t); len(rest) != 1 || rest[0].Code() != "LIMITED" {
		t.Errorf("the fourth subscription: %+v", rest)
	}
	owner.Socket(t)
	refused(owner)
	stranger.Socket(t)
	coach.Must(t, `{viewer {user {name}}}`, nil, nil) // no stream

	sse.Close()
	testkit.Eventually(t, 10*time.Second, func() error {
		s := env.Dial(t, nil)
		return s.Init(t, bearer(coach))
	})
}
