package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// changed is what came of a mutation: what it is about as JSON, and the user's errors.
type changed struct {
	entity     map[string]any
	userErrors []userError
	response   apptest.Response
}

// change calls mutation name with its input and asks for the given fields of the payload's entity.
func change(t testing.TB, c *apptest.Client, name, entity, fields string, input apptest.Vars) changed {
	t.Helper()
	r := c.Do(t, fmt.Sprintf(`mutation($input: %sInput!) {%s(input: $input) {%s {%s} userErrors {code field message}}}`,
		strings.ToUpper(name[:1])+name[1:], name, entity, fields), apptest.Vars{"input": input})
	out := changed{response: r}
	if len(r.Errors) > 0 {
		return out
	}
	var data map[string]map[string]json.RawMessage
	r.Into(t, &data)
	if err := json.Unmarshal(data[name]["userErrors"], &out.userErrors); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	if err := json.Unmarshal(data[name][entity], &out.entity); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	if (out.entity == nil) != (len(out.userErrors) > 0) {
		t.Errorf("%s: an entity with errors, or neither: %s", name, r.Body)
	}
	return out
}

// does is change for what must work.
func does(t testing.TB, c *apptest.Client, name, entity, fields string, input apptest.Vars) map[string]any {
	t.Helper()
	got := change(t, c, name, entity, fields, input)
	if got.entity == nil {
		t.Fatalf("%s %v: %s", name, input, got.response.Body)
	}
	return got.entity
}

func has(t testing.TB, got map[string]any, want apptest.Vars) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		g, _ := json.Marshal(got[name])
		w, _ := json.Marshal(want[name])
		if string(g) != string(w) {
			t.Errorf("%s is %s, want %s", name, g, w)
		}
	}
}

// A login finds its client by the e-mail address: a coach gives each to one client, whoever writes at the same moment. What
// another coach's clients have is nobody's business.
func TestAnAddressIsOneClients(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, coach2 := env.Login(t, apptest.Coach), env.Login(t, apptest.Coach2)
	add := func(by *apptest.Client, name, email string) changed {
		return change(t, by, "createClient", "client", "id", apptest.Vars{"name": name, "email": email})
	}
	var wg sync.WaitGroup
	var made, taken atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			switch got := add(coach, fmt.Sprint("Nadia ", i), "Nadia@Berg.example"); briefly(got.userErrors) {
			case "":
				made.Add(1)
			case "EMAIL_TAKEN email":
				taken.Add(1)
			default:
				t.Errorf("%s", got.response.Body)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || taken.Load() != 19 {
		t.Errorf("%d were added, %d refused", made.Load(), taken.Load())
	}
	nadia := one(t, env, "client", `SELECT id FROM clients WHERE lower(email) = 'nadia@berg.example'`)
	if got := add(coach, "Nadia", "nadia@BERG.example"); !strings.Contains(string(got.response.Body), nadia) {
		t.Errorf("it is not said whose it is: %s", got.response.Body)
	}
	if got := add(coach2, "Nadia, too", "nadia@berg.example"); len(got.userErrors) > 0 {
		t.Errorf("another coach's client is told of: %s", got.response.Body)
	}
	other := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "Other", "email": "other@berg.example"})["id"]
	if got := change(t, coach, "updateClient", "client", "id", apptest.Vars{"id": other, "email": "nadia@berg.example"}); briefly(got.userErrors) != "EMAIL_TAKEN email" {
		t.Errorf("an update: %s", got.response.Body)
	}
	does(t, coach, "updateClient", "client", "id", apptest.Vars{"id": nadia, "email": "NADIA@berg.example"}) // its own
	does(t, coach, "archiveClient", "client", "id", apptest.Vars{"id": nadia, "archived": true})
	does(t, coach, "updateClient", "client", "id", apptest.Vars{"id": other, "email": "nadia@berg.example"})
	if got := change(t, coach, "archiveClient", "client", "id", apptest.Vars{"id": nadia, "archived": false}); briefly(got.userErrors) != "EMAIL_TAKEN archived" {
		t.Errorf("an archived one came back: %s", got.response.Body)
	}
}

func TestClientsEngagementsSessions(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)

	const clientFields = "id name email lifecycle archivedAt coach {name}"
	c := does(t, coach, "createClient", "client", clientFields, apptest.Vars{"name": "  Nadia Berg ", "email": "nadia@berg.example"})
	has(t, c, apptest.Vars{"name": "Nadia Berg", "email": "nadia@berg.example", "lifecycle": "ACTIVE", "archivedAt": nil, "coach": apptest.Vars{"name": "Ruth Calloway"}})
	client := c["id"].(string)
	has(t, does(t, coach, "updateClient", "client", clientFields, apptest.Vars{"id": client, "lifecycle": "DORMANT"}),
		apptest.Vars{"name": "Nadia Berg", "email": "nadia@berg.example", "lifecycle": "DORMANT"})
	has(t, does(t, coach, "updateClient", "client", clientFields, apptest.Vars{"id": client, "name": "Nadia B.", "email": ""}),
		apptest.Vars{"name": "Nadia B.", "email": nil, "lifecycle": "DORMANT"})

	const engagementFields = "id title status sessionsIncluded startsOn endsOn archivedAt client {id} coach {name}"
	e := does(t, coach, "createEngagement", "engagement", engagementFields, apptest.Vars{"clientId": client, "title": "A start", "sessionsIncluded": 6, "startsOn": "2026-03-02", "endsOn": "2026-09-30"})
	has(t, e, apptest.Vars{"title": "A start", "status": "DRAFT", "sessionsIncluded": 6, "startsOn": "2026-03-02", "endsOn": "2026-09-30", "client": apptest.Vars{"id": client}, "coach": apptest.Vars{"name": "Ruth Calloway"}})
	engagement := e["id"].(string)

	const sessionFields = "id number type status title startsAt durationMinutes archivedAt participants {name role} client {id}"
	s := does(t, coach, "createSession", "session", sessionFields, apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-02T10:30:00+01:00"})
	has(t, s, apptest.Vars{"number": 1, "type": "COACHING", "status": "SCHEDULED", "title": nil, "startsAt": "2026-03-02T09:30:00Z", "durationMinutes": 60, "client": apptest.Vars{"id": client},
		"participants": []any{apptest.Vars{"name": "Ruth Calloway", "role": "COACH"}, apptest.Vars{"name": "Nadia B.", "role": "CLIENT"}}})
	has(t, does(t, coach, "createSession", "session", sessionFields, apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-09T09:30:00Z", "type": "INTAKE", "title": "Second", "durationMinutes": 90}),
		apptest.Vars{"number": 2, "type": "INTAKE", "title": "Second", "durationMinutes": 90})
	session := s["id"].(string)
	has(t, does(t, coach, "updateSession", "session", sessionFields, apptest.Vars{"id": session, "status": "COMPLETED", "title": "Held", "startsAt": "2026-03-03T09:30:00Z"}),
		apptest.Vars{"number": 1, "status": "COMPLETED", "title": "Held", "startsAt": "2026-03-03T09:30:00Z", "durationMinutes": 60})
	has(t, does(t, coach, "updateSession", "session", sessionFields, apptest.Vars{"id": session, "title": ""}),
		apptest.Vars{"title": nil, "status": "COMPLETED"})

	second := one(t, env, "session", `SELECT id FROM sessions WHERE engagement_id = $1 AND number = 2`, uuid(t, engagement))
	has(t, does(t, coach, "completeSession", "session", "status", apptest.Vars{"id": second}), apptest.Vars{"status": "COMPLETED"})
	if got := change(t, coach, "updateSession", "session", "id", apptest.Vars{"id": second, "startsAt": time.Now().AddDate(0, 1, 0)}); briefly(got.userErrors) != "INVALID startsAt" {
		t.Errorf("a session that was held is yet to come: %s", got.response.Body)
	}

	// The states of an engagement: the only way back from an end is a reopening.
	for _, step := range []struct{ to, want string }{
		{"COMPLETED", "CONFLICT"}, {"PAUSED", "CONFLICT"}, {"DRAFT", ""}, {"ACTIVE", ""}, {"DRAFT", "CONFLICT"}, {"PAUSED", ""}, {"ACTIVE", ""}, {"COMPLETED", ""},
		{"ACTIVE", "CONFLICT"}, {"CANCELLED", "CONFLICT"}, {"PAUSED", "CONFLICT"}, {"DRAFT", "CONFLICT"}, {"COMPLETED", ""},
	} {
		got := change(t, coach, "updateEngagement", "engagement", engagementFields, apptest.Vars{"id": engagement, "status": step.to})
		if strings.TrimSpace(briefly(got.userErrors)) != step.want || len(got.response.Errors) > 0 {
			t.Errorf("to %s: %s", step.to, got.response.Body)
		}
	}
	if got := change(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-02T09:30:00Z"}); strings.TrimSpace(briefly(got.userErrors)) != "CONFLICT" {
		t.Errorf("a session after the end: %s", got.response.Body)
	}

	// Archived is out of the lists and not out of the world; twice is once; and back again.
	for _, tc := range []struct{ name, entity, key, list string }{
		{"archiveClient", "client", client, "clients"}, {"archiveEngagement", "engagement", engagement, "engagements"}, {"archiveSession", "session", session, "sessions"},
	} {
		listed := func(all bool) bool {
			r := coach.Do(t, fmt.Sprintf(`{%s(first: 100, filter: {includeArchived: %t}) {nodes {id}}}`, tc.list, all), nil)
			return strings.Contains(string(r.Data), tc.key)
		}
		first := does(t, coach, tc.name, tc.entity, "id archivedAt", apptest.Vars{"id": tc.key})
		again := does(t, coach, tc.name, tc.entity, "id archivedAt", apptest.Vars{"id": tc.key, "archived": true})
		if first["archivedAt"] == nil || first["archivedAt"] != again["archivedAt"] || listed(false) || !listed(true) {
			t.Errorf("%s: %v, then %v", tc.name, first, again)
		}
		if r := coach.Do(t, `query($id: ID!) {node(id: $id) {id}}`, apptest.Vars{"id": tc.key}); !strings.Contains(string(r.Data), tc.key) {
			t.Errorf("%s: %s", tc.name, r.Body)
		}
		if back := does(t, coach, tc.name, tc.entity, "id archivedAt", apptest.Vars{"id": tc.key, "archived": false}); back["archivedAt"] != nil || !listed(false) {
			t.Errorf("%s, back: %v", tc.name, back)
		}
	}
	does(t, coach, "archiveClient", "client", "id", apptest.Vars{"id": client})
	if got := change(t, coach, "createEngagement", "engagement", "id", apptest.Vars{"clientId": client, "title": "x"}); briefly(got.userErrors) != "INVALID clientId" {
		t.Errorf("with an archived client: %s", got.response.Body)
	}

	// An owner may name the coach, and only one who is a coach.
	owner := env.Login(t, apptest.Owner)
	coach2 := one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.Coach2)
	lumen := one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.Lumen)
	sponsor := one(t, env, "user", `SELECT id FROM users WHERE email = $1`, apptest.Sponsor)
	has(t, does(t, owner, "createClient", "client", "coach {name}", apptest.Vars{"name": "x", "coachId": coach2}), apptest.Vars{"coach": apptest.Vars{"name": "Daniel Ferreira"}})
	for who, key := range map[string]string{"another tenant's": lumen, "a sponsor": sponsor, "nobody": "user_01h455vb4pex5vsknk084sn02q"} {
		if got := change(t, owner, "createClient", "client", "id", apptest.Vars{"name": "x", "coachId": key}); briefly(got.userErrors) != "INVALID coachId" {
			t.Errorf("%s: %s", who, got.response.Body)
		}
	}
	if got := change(t, coach, "createClient", "client", "id", apptest.Vars{"name": "x", "coachId": coach2}); got.response.Code() != "FORBIDDEN" {
		t.Errorf("for another coach: %s", got.response.Body)
	}
}

// What a person can correct comes as userErrors that name the field; nothing is written.
func TestUserErrors(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, session))
	transcript := one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, session))
	speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 LIMIT 1`, uuid(t, transcript))
	insight := one(t, env, "insight", `SELECT id FROM insights WHERE transcript_id = $1 LIMIT 1`, uuid(t, transcript))
	long := strings.Repeat("x", 201)
	before := rowCounts(t, env)
	dump := func() string {
		return value[string](t, env, `SELECT concat((SELECT jsonb_agg(c ORDER BY id) FROM clients c), (SELECT jsonb_agg(e ORDER BY id) FROM engagements e),
			(SELECT jsonb_agg(s ORDER BY id) FROM sessions s), (SELECT jsonb_agg(t ORDER BY id) FROM transcripts t), (SELECT jsonb_agg(p ORDER BY id) FROM speakers p),
			(SELECT jsonb_agg(i ORDER BY id) FROM insights i))`)
	}
	was := dump()
	for _, tc := range []struct {
		name, entity string
		input        apptest.Vars
		want         string
	}{
		{"createClient", "client", apptest.Vars{"name": " "}, "INVALID name"},
		{"createClient", "client", apptest.Vars{"name": long, "email": "nowhere"}, "INVALID name, INVALID email"},
		{"createClient", "client", apptest.Vars{"name": "a\nb"}, "INVALID name"},
		{"createClient", "client", apptest.Vars{"name": "a\x00b"}, "INVALID name"},
		{"updateClient", "client", apptest.Vars{"id": client, "name": ""}, "INVALID name"},
		{"updateClient", "client", apptest.Vars{"id": client, "email": "a b@c"}, "INVALID email"},
		{"createEngagement", "engagement", apptest.Vars{"clientId": client, "title": "", "sessionsIncluded": 0, "startsOn": "2026-03-02", "endsOn": "2026-03-01"}, "INVALID title, INVALID sessionsIncluded, INVALID endsOn"},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "title": long}, "INVALID title"},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "endsOn": "1999-01-01"}, "INVALID endsOn"},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-02T09:30:00Z", "durationMinutes": 1441}, "INVALID durationMinutes"},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-02T09:30:00Z", "title": long}, "INVALID title"},
		{"updateSession", "session", apptest.Vars{"id": session, "durationMinutes": 0}, "INVALID durationMinutes"},
		{"updateTranscript", "transcript", apptest.Vars{"id": transcript, "title": long, "language": "not a language"}, "INVALID title, INVALID language"},
		{"renameSpeaker", "speaker", apptest.Vars{"speakerId": speaker, "displayName": ""}, "INVALID displayName"},
		{"reviewInsight", "insight", apptest.Vars{"insightId": insight, "decision": "ACCEPT", "title": "x", "body": "y"}, "INVALID title, INVALID body"},
		{"reviewInsight", "insight", apptest.Vars{"insightId": insight, "decision": "EDIT"}, "INVALID title"},
		{"reviewInsight", "insight", apptest.Vars{"insightId": insight, "decision": "EDIT", "title": " "}, "INVALID title"},
		{"reviewInsight", "insight", apptest.Vars{"insightId": insight, "decision": "EDIT", "body": strings.Repeat("x", 4001)}, "INVALID body"},
		{"tag", "entity", apptest.Vars{"entityId": session, "name": strings.Repeat("x", 61), "color": "red"}, "INVALID name, INVALID color"},
		{"tag", "entity", apptest.Vars{"entityId": session, "name": "  "}, "INVALID name"},
		{"tag", "entity", apptest.Vars{"entityId": transcript, "name": "x"}, "INVALID entityId"},
	} {
		got := change(t, coach, tc.name, tc.entity, "__typename", tc.input)
		if briefly(got.userErrors) != tc.want {
			t.Errorf("%s %v: %s", tc.name, tc.input, got.response.Body)
		}
	}
	sameRows(t, before, rowCounts(t, env))
	if dump() != was {
		t.Error("something has changed")
	}
	// Moments and days that no database holds.
	for _, bad := range []apptest.Vars{{"startsAt": "0000-00-00T00:00:00Z"}, {"startsAt": "2026-02-30T10:00:00Z"}, {"startsAt": "99999-01-01T00:00:00Z"}, {"startsAt": 5}} {
		if got := change(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": bad["startsAt"]}); got.response.Code() != "INVALID" || got.response.Errors[0].Field == "" {
			t.Errorf("%v: %s", bad, got.response.Body)
		}
	}
}

// Who sees but may not change is told so; who does not see learns nothing.
func TestWhoMayChange(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, session))
	transcript := one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, session))
	speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 LIMIT 1`, uuid(t, transcript))
	insight := one(t, env, "insight", `SELECT id FROM insights WHERE transcript_id = $1 AND status = 'ACCEPTED' AND audience <> 'COACH_ONLY' LIMIT 1`, uuid(t, transcript))
	const sees, blind, may = "FORBIDDEN", "NOT_FOUND", ""
	type verdicts struct{ owner, supervisor, client, sponsor, other, tenant string }
	before := rowCounts(t, env)
	for _, tc := range []struct {
		name, entity string
		input        apptest.Vars
		verdicts
	}{
		{"updateClient", "client", apptest.Vars{"id": client, "lifecycle": "ACTIVE"}, verdicts{may, sees, sees, sees, blind, blind}},
		{"archiveClient", "client", apptest.Vars{"id": client, "archived": false}, verdicts{may, sees, sees, sees, blind, blind}},
		{"createEngagement", "engagement", apptest.Vars{"clientId": client, "title": ""}, verdicts{"INVALID", sees, sees, sees, blind, blind}},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "status": "ACTIVE"}, verdicts{may, sees, sees, sees, blind, blind}},
		{"archiveEngagement", "engagement", apptest.Vars{"id": engagement, "archived": false}, verdicts{may, sees, sees, sees, blind, blind}},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-02T09:30:00Z", "durationMinutes": 0}, verdicts{"INVALID", sees, sees, sees, blind, blind}},
		{"updateSession", "session", apptest.Vars{"id": session, "status": "COMPLETED"}, verdicts{may, sees, sees, sees, blind, blind}},
		{"archiveSession", "session", apptest.Vars{"id": session, "archived": false}, verdicts{may, sees, sees, sees, blind, blind}},
		{"updateTranscript", "transcript", apptest.Vars{"id": transcript, "sharedWithClient": true}, verdicts{blind, sees, sees, blind, blind, blind}},
		{"archiveTranscript", "transcript", apptest.Vars{"id": transcript, "archived": false}, verdicts{blind, sees, sees, blind, blind, blind}},
		{"retryAnalysis", "transcript", apptest.Vars{"transcriptId": transcript}, verdicts{blind, sees, sees, blind, blind, blind}},
		{"renameSpeaker", "speaker", apptest.Vars{"speakerId": speaker, "displayName": "x"}, verdicts{blind, sees, sees, blind, blind, blind}},
		{"setSpeakerRole", "speaker", apptest.Vars{"speakerId": speaker, "role": "OTHER"}, verdicts{blind, sees, sees, blind, blind, blind}},
		{"reviewInsight", "insight", apptest.Vars{"insightId": insight, "decision": "DISMISS"}, verdicts{blind, sees, sees, blind, blind, blind}},
		{"tag", "entity", apptest.Vars{"entityId": session, "name": "x"}, verdicts{sees, sees, sees, sees, blind, blind}},
		{"untag", "entity", apptest.Vars{"entityId": session, "name": "x"}, verdicts{sees, sees, sees, sees, blind, blind}},
		{"tag", "entity", apptest.Vars{"entityId": insight, "name": "x"}, verdicts{blind, sees, sees, blind, blind, blind}},
	} {
		for who, want := range map[string]string{
			apptest.Owner: tc.owner, apptest.Supervisor: tc.supervisor, apptest.ClientUser: tc.client, apptest.Sponsor: tc.sponsor, apptest.Coach2: tc.other, apptest.Lumen: tc.tenant,
		} {
			got := change(t, env.Login(t, who), tc.name, tc.entity, "__typename", tc.input)
			code := got.response.Code()
			if code == "" && len(got.userErrors) > 0 {
				code = got.userErrors[0].Code
			}
			if code != want {
				t.Errorf("%s by %s: got %s, want %q", tc.name, who, got.response.Body, want)
			}
		}
	}
	if got := change(t, env.Login(t, apptest.Sponsor), "createClient", "client", "id", apptest.Vars{"name": "x"}); got.response.Code() != "FORBIDDEN" {
		t.Errorf("createClient by a sponsor: %s", got.response.Body)
	}
	if got := change(t, env.Anonymous(), "createClient", "client", "id", apptest.Vars{"name": "x"}); got.response.Code() != "UNAUTHENTICATED" {
		t.Errorf("createClient by nobody: %s", got.response.Body)
	}
	before["audit_events"] += 3 // the three changes that the owner may make, and that change nothing
	after := rowCounts(t, env)
	before["stamps"] = after["stamps"] // as many as connections have written
	sameRows(t, before, after)
}

func TestTags(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	insight := one(t, env, "insight", `SELECT i.id FROM insights i WHERE session_id = $1 AND retracted_at IS NULL LIMIT 1`, uuid(t, amara2.id(t, env)))
	const on = `__typename ... on Session {id tags {name}} ... on Client {id tags {name}} ... on Insight {id tags {name}}`
	for _, tc := range []struct{ entity, kind string }{{session, "Session"}, {client, "Client"}, {insight, "Insight"}} {
		first := does(t, coach, "tag", "entity", on, apptest.Vars{"entityId": tc.entity, "name": " Grit ", "color": "#AABBCC"})
		again := does(t, coach, "tag", "entity", on, apptest.Vars{"entityId": tc.entity, "name": "gRIT", "color": "#000000"})
		for _, got := range []map[string]any{first, again} {
			if got["__typename"] != tc.kind || strings.Count(fmt.Sprint(got["tags"]), "Grit") != 1 || strings.Contains(fmt.Sprint(got["tags"]), "gRIT") {
				t.Errorf("%s: %v", tc.kind, got)
			}
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM tags WHERE lower(name) = 'grit' AND color = '#aabbcc'`); n != 1 {
		t.Errorf("%d tags", n)
	}
	// The other coach's tag of the same name is another one.
	coach2 := env.Login(t, apptest.Coach2)
	does(t, coach2, "tag", "entity", on, apptest.Vars{"entityId": felix1.id(t, env), "name": "grit"})
	if n := value[int](t, env, `SELECT count(*) FROM tags WHERE lower(name) = 'grit'`); n != 2 {
		t.Errorf("%d tags", n)
	}
	grit := one(t, env, "tag", `SELECT id FROM tags WHERE lower(name) = 'grit' AND color = '#aabbcc'`)
	var out struct {
		Sessions struct{ Nodes []struct{ ID string } }
	}
	coach.Must(t, `query($tags: [ID!]) {sessions(filter: {tagIds: $tags}) {nodes {id}}}`, apptest.Vars{"tags": []string{grit}}, &out)
	if len(out.Sessions.Nodes) != 1 || out.Sessions.Nodes[0].ID != session {
		t.Errorf("by the tag: %+v", out)
	}
	coach2.Must(t, `query($tags: [ID!]) {sessions(filter: {tagIds: $tags}) {nodes {id}}}`, apptest.Vars{"tags": []string{grit}}, &out)
	if len(out.Sessions.Nodes) != 0 {
		t.Errorf("by somebody else's tag: %+v", out)
	}
	for range 2 { // twice is once
		if got := does(t, coach, "untag", "entity", on, apptest.Vars{"entityId": session, "name": "GRIT"}); strings.Contains(fmt.Sprint(got["tags"]), "Grit") {
			t.Errorf("still there: %v", got)
		}
	}
	if got := does(t, coach, "untag", "entity", on, apptest.Vars{"entityId": client, "name": "never heard of"}); !strings.Contains(fmt.Sprint(got["tags"]), "Grit") {
		t.Errorf("another tag is gone: %v", got)
	}
}

// Decisions replace each other; what the analyser said first is kept through all of them: as the original of an edit, and
// as the text itself where nobody's edit stands.
func TestReviews(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	insight := one(t, env, "insight", `SELECT id FROM insights WHERE session_id = $1 AND status = 'PROPOSED' ORDER BY ordinal LIMIT 1`, uuid(t, jonas3.id(t, env)))
	const fields = "title body originalTitle originalBody status reviewedBy {name} reviewedAt"
	title := value[string](t, env, `SELECT title FROM insights WHERE id = $1`, uuid(t, insight))
	body := value[string](t, env, `SELECT body FROM insights WHERE id = $1`, uuid(t, insight))
	for _, step := range []struct {
		input apptest.Vars
		want  apptest.Vars
	}{
		{apptest.Vars{"decision": "ACCEPT"}, apptest.Vars{"status": "ACCEPTED", "title": title, "body": body, "originalTitle": nil, "originalBody": nil}},
		{apptest.Vars{"decision": "EDIT", "title": "First edit"}, apptest.Vars{"status": "EDITED", "title": "First edit", "body": body, "originalTitle": title, "originalBody": body}},
		{apptest.Vars{"decision": "EDIT", "body": "Second edit\nin two lines"}, apptest.Vars{"status": "EDITED", "title": "First edit", "body": "Second edit\nin two lines", "originalTitle": title, "originalBody": body}},
		{apptest.Vars{"decision": "DISMISS"}, apptest.Vars{"status": "DISMISSED", "title": title, "body": body, "originalTitle": nil, "originalBody": nil}},
		{apptest.Vars{"decision": "EDIT", "title": "Third edit"}, apptest.Vars{"status": "EDITED", "title": "Third edit", "body": body, "originalTitle": title, "originalBody": body}},
		{apptest.Vars{"decision": "ACCEPT"}, apptest.Vars{"status": "ACCEPTED", "title": title, "body": body, "originalTitle": nil, "originalBody": nil}},
	} {
		step.input["insightId"] = insight
		step.want["reviewedBy"] = apptest.Vars{"name": "Ruth Calloway"}
		got := does(t, coach, "reviewInsight", "insight", fields, step.input)
		has(t, got, step.want)
		if got["reviewedAt"] == nil {
			t.Errorf("%v: %v", step.input, got)
		}
	}
	sql(t, env, `UPDATE insights SET retracted_at = now(), status = 'PROPOSED', reviewed_by = NULL, reviewed_at = NULL WHERE id = $1`, uuid(t, insight))
	if got := change(t, coach, "reviewInsight", "insight", "id", apptest.Vars{"insightId": insight, "decision": "ACCEPT"}); strings.TrimSpace(briefly(got.userErrors)) != "RETRACTED" {
		t.Errorf("a retracted one: %s", got.response.Body)
	}
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, client := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	session := amara5.id(t, env)
	first := imports(t, coach, session, sample(t, "zoom.vtt"))
	second := imports(t, coach, session, conversation(t))
	env.Work(t)
	current := func(c *apptest.Client) string {
		var out struct {
			Session struct{ Transcript *struct{ ID string } }
		}
		c.Must(t, `query($id: ID!) {session(id: $id) {transcript {id}}}`, apptest.Vars{"id": session}, &out)
		if out.Session.Transcript == nil {
			return ""
		}
		return out.Session.Transcript.ID
	}
	insights := func() int {
		var out struct{ Insights struct{ TotalCount int } }
		coach.Must(t, `query($id: ID!) {insights(filter: {sessionIds: [$id]}) {totalCount}}`, apptest.Vars{"id": session}, &out)
		return out.Insights.TotalCount
	}
	if current(coach) != second || current(client) != "" {
		t.Errorf("the coach reads %s, the client %s", current(coach), current(client))
	}
	has(t, does(t, coach, "updateTranscript", "transcript", "title language sharedWithClient", apptest.Vars{"id": first, "title": "Copy", "language": "EN-gb", "sharedWithClient": true}),
		apptest.Vars{"title": "Copy", "language": "en-GB", "sharedWithClient": true})
	if current(client) != first || current(coach) != second {
		t.Errorf("the coach reads %s, the client %s", current(coach), current(client))
	}
	has(t, does(t, coach, "updateTranscript", "transcript", "title language sharedWithClient", apptest.Vars{"id": first, "title": "", "sharedWithClient": false}),
		apptest.Vars{"title": nil, "language": "en-GB", "sharedWithClient": false})
	if current(client) != "" {
		t.Error("the client still reads it")
	}
	with := insights()
	does(t, coach, "archiveTranscript", "transcript", "archivedAt", apptest.Vars{"id": second})
	if current(coach) != first || insights() >= with {
		t.Errorf("the current one is %s, %d insights of %d", current(coach), insights(), with)
	}
	does(t, coach, "archiveTranscript", "transcript", "archivedAt", apptest.Vars{"id": second, "archived": false})
	if current(coach) != second || insights() != with {
		t.Errorf("the current one is %s, %d insights of %d", current(coach), insights(), with)
	}

	// A name is for people, but what is found may call them by it: it is looked for anew, and the same is found.
	speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 ORDER BY ordinal LIMIT 1`, uuid(t, second))
	label := value[string](t, env, `SELECT label FROM speakers WHERE id = $1`, uuid(t, speaker))
	found := insightsInOrder(t, env, second)
	has(t, does(t, coach, "renameSpeaker", "speaker", "label displayName", apptest.Vars{"speakerId": speaker, "displayName": " Somebody "}), apptest.Vars{"label": label, "displayName": "Somebody"})
	env.Work(t)
	if now := insightsInOrder(t, env, second); !slices.Equal(now, found) || len(found) == 0 {
		t.Errorf("after a rename %v, before %v", now, found)
	}
}

// A speaker's role changes what the analysis finds: a new run replaces the old one, keeps what was reviewed, retracts what
// it does not find again and says so. Set back, the same insights return as themselves.
func TestSetSpeakerRole(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	transcript := imports(t, coach, session, conversation(t))
	env.Work(t)
	type state struct{ active, retracted []string }
	read := func() (s state) {
		s.active = insightsInOrder(t, env, transcript)
		slices.Sort(s.active)
		if n := value[int](t, env, `SELECT count(*) FROM insights WHERE transcript_id = $1 AND retracted_at IS NOT NULL`, uuid(t, transcript)); n > 0 {
			s.retracted = make([]string, n)
		}
		return s
	}
	original := read()
	runs := func() string {
		return value[string](t, env, `SELECT string_agg(status, ' ' ORDER BY created_at) FROM analysis_runs WHERE transcript_id = $1`, uuid(t, transcript))
	}
	kept := original.active[0]
	does(t, coach, "reviewInsight", "insight", "id", apptest.Vars{"insightId": kept, "decision": "EDIT", "title": "Kept"})

	roles := map[string]string{}
	for _, want := range []string{"COACH", "CLIENT"} {
		roles[want] = one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 AND role = $2`, uuid(t, transcript), want)
	}
	n := published(t, env, session)
	for role, speaker := range roles { // the other way round
		other := map[string]string{"COACH": "CLIENT", "CLIENT": "COACH"}[role]
		has(t, does(t, coach, "setSpeakerRole", "speaker", "role roleConfidence roleReason", apptest.Vars{"speakerId": speaker, "role": other}),
			apptest.Vars{"role": other, "roleConfidence": nil, "roleReason": nil})
	}
	env.Work(t)
	swapped := read()
	if runs() != "SUPERSEDED SUCCEEDED" || slices.Equal(swapped.active, original.active) || len(swapped.retracted) == 0 || !slices.Contains(swapped.active, kept) {
		t.Errorf("runs %s, %d insights then, now %d and %d retracted", runs(), len(original.active), len(swapped.active), len(swapped.retracted))
	}
	has(t, does(t, coach, "reviewInsight", "insight", "status title", apptest.Vars{"insightId": kept, "decision": "EDIT", "title": "Kept"}), apptest.Vars{"status": "EDITED", "title": "Kept"})
	sub := coach.Subscribe(t, listen, apptest.Vars{"session": session, "after": env.Beginning(t, session)})
	told := map[string]bool{}
	for _, e := range several(t, sub, published(t, env, session))[n:] {
		if e.Typename == "InsightRetracted" {
			told[e.InsightID] = true
		}
	}
	for _, key := range original.active {
		if gone := !slices.Contains(swapped.active, key); gone != told[key] {
			t.Errorf("%s: gone %t, told %t", key, gone, told[key])
		}
	}
	// What is retracted is in no list, and still there for who asks by its id.
	var gone string
	for _, key := range original.active {
		if told[key] {
			gone = key
		}
	}
	if r := coach.Do(t, `query($s: ID!) {insights(first: 100, filter: {sessionIds: [$s]}) {nodes {id}}}`, apptest.Vars{"s": session}); strings.Contains(string(r.Data), gone) {
		t.Errorf("a retracted insight is listed: %s", gone)
	}
	var node struct {
		Node *struct{ RetractedAt *string }
	}
	coach.Must(t, `query($id: ID!) {node(id: $id) {... on Insight {retractedAt}}}`, apptest.Vars{"id": gone}, &node)
	if node.Node == nil || node.Node.RetractedAt == nil {
		t.Errorf("by its id: %+v", node)
	}

	for role, speaker := range roles { // and back
		does(t, coach, "setSpeakerRole", "speaker", "role", apptest.Vars{"speakerId": speaker, "role": role})
	}
	env.Work(t)
	if back := read(); !slices.Equal(back.active, original.active) {
		t.Errorf("set back:\n%q, want\n%q", back.active, original.active)
	}
	var out struct {
		Transcript struct {
			Status       string
			AnalysisRuns struct{ Nodes []struct{ Status string } }
		}
	}
	coach.Must(t, `query($id: ID!) {transcript(id: $id) {status analysisRuns {nodes {status}}}}`, apptest.Vars{"id": transcript}, &out)
	if out.Transcript.Status != "READY" || out.Transcript.AnalysisRuns.Nodes[0].Status != "SUCCEEDED" {
		t.Errorf("at the end: %+v", out)
	}
	succeeded := 0
	for _, r := range out.Transcript.AnalysisRuns.Nodes {
		if r.Status == "SUCCEEDED" {
			succeeded++
		}
	}
	if succeeded != 1 {
		t.Errorf("%d runs count: %+v", succeeded, out)
	}
}

// The second of two mutations in one request is not answered with what the first has loaded.
func TestMutationsOfOneRequest(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	var out map[string]struct {
		Session struct {
			Client struct{ Name string }
			Tags   []struct{ Name string }
		}
		Client struct{ Name string }
		Entity struct{ Tags []struct{ Name string } }
	}
	coach.Must(t, `mutation($s: ID!, $c: ID!) {
		a: updateSession(input: {id: $s, title: "one"}) {session {client {name} tags {name}}}
		b: updateClient(input: {id: $c, name: "Renamed"}) {client {name}}
		c: updateSession(input: {id: $s, title: "two"}) {session {client {name} tags {name}}}
		d: tag(input: {entityId: $s, name: "zzz"}) {entity {... on Session {tags {name}}}}
		e: untag(input: {entityId: $s, name: "zzz"}) {entity {... on Session {tags {name}}}}
	}`, apptest.Vars{"s": session, "c": client}, &out)
	if out["a"].Session.Client.Name == "Renamed" || out["c"].Session.Client.Name != "Renamed" {
		t.Errorf("the client's name: %+v", out)
	}
	a, d, e := len(out["a"].Session.Tags), len(out["d"].Entity.Tags), len(out["e"].Entity.Tags)
	if d != a+1 || e != a {
		t.Errorf("%d tags, then %d, then %d", a, d, e)
	}
}

// A session's insights are those of the transcript that counts for the viewer, wherever they are listed; the others' are there
// for who asks for them.
func TestInsightsOfTheTranscriptThatCounts(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, client, owner := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser), env.Login(t, apptest.Owner)
	session := amara5.id(t, env)
	var versions [2]string
	for i := range versions {
		versions[i] = imports(t, coach, session, conversation(t)+fmt.Sprintf("\nNOTE copy %d\n", i))
	}
	env.Work(t)
	found := map[string][]string{"neither": nil}
	for i, name := range []string{"first", "second"} {
		found[name] = insightsInOrder(t, env, versions[i])
		for _, insight := range found[name][:2] { // two are accepted, and one is the client's to see
			does(t, coach, "reviewInsight", "insight", "id", apptest.Vars{"insightId": insight, "decision": "ACCEPT"})
		}
		sql(t, env, `UPDATE insights SET audience = CASE WHEN id = $1 THEN 'BOTH' ELSE 'COACH_ONLY' END WHERE transcript_id = $2`, uuid(t, found[name][0]), uuid(t, versions[i]))
	}
	// expect checks of which version the insights are that a viewer is shown.
	expect := func(when string, who *apptest.Client, version string) {
		t.Helper()
		want := found[version]
		if who == client && want != nil {
			want = want[:1]
		}
		type list struct {
			TotalCount int
			Nodes      []struct{ ID string }
		}
		var out struct {
			Insights, ByTranscript list
			Session                struct {
				Insights list
				Client   struct{ Insights list }
			}
		}
		who.Must(t, `query($s: ID!, $t: [ID!]) {
			insights(first: 100, filter: {sessionIds: [$s]}) {totalCount nodes {id}}
			byTranscript: insights(first: 100, filter: {transcriptIds: $t}) {totalCount nodes {id}}
			session(id: $s) {insights(first: 100) {totalCount nodes {id}} client {insights(first: 100, filter: {sessionIds: [$s]}) {totalCount nodes {id}}}}
		}`, apptest.Vars{"s": session, "t": versions[:1]}, &out)
		for where, got := range map[string]list{"insights": out.Insights, "Session.insights": out.Session.Insights, "Client.insights": out.Session.Client.Insights} {
			ids := []string{}
			for _, n := range got.Nodes {
				ids = append(ids, n.ID)
			}
			if !slices.Equal(slices.Sorted(slices.Values(ids)), slices.Sorted(slices.Values(want))) || got.TotalCount != len(want) {
				t.Errorf("%s: %s are %d, %q, want those of %s: %q", when, where, got.TotalCount, ids, version, want)
			}
		}
		if first := len(found["first"]); who == coach && version == "second" && out.ByTranscript.TotalCount != first {
			t.Errorf("%s: %d of the first transcript, want %d", when, out.ByTranscript.TotalCount, first)
		}
	}
	count := func(when string, version string) {
		t.Helper()
		for _, who := range []*apptest.Client{coach, owner} {
			var out struct{ Session struct{ InsightCount int } }
			who.Must(t, `query($s: ID!) {session(id: $s) {insightCount}}`, apptest.Vars{"s": session}, &out)
			if out.Session.InsightCount != len(found[version]) {
				t.Errorf("%s: %d insights, want %d", when, out.Session.InsightCount, len(found[version]))
			}
		}
	}
	sql(t, env, `UPDATE insights SET retracted_at = now() WHERE id = $1`, uuid(t, found["first"][2])) // so that the numbers differ
	found["first"] = slices.Delete(found["first"], 2, 3)

	expect("imported again", coach, "second")
	expect("imported again", client, "second")
	count("imported again", "second")
	share := func(version int, shared bool) {
		does(t, coach, "updateTranscript", "transcript", "id", apptest.Vars{"id": versions[version], "sharedWithClient": shared})
	}
	archive := func(version int, archived bool) {
		does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": versions[version], "archived": archived})
	}
	share(0, true)
	expect("the first is shared", coach, "second")
	expect("the first is shared", client, "first")
	count("the first is shared", "second")
	share(1, true)
	expect("both are shared", client, "second")
	archive(1, true)
	expect("the second is archived", coach, "first")
	expect("the second is archived", client, "first")
	count("the second is archived", "first")
	archive(0, true)
	expect("both are archived", coach, "neither")
	expect("both are archived", client, "neither")
	count("both are archived", "neither")
	archive(1, false)
	archive(0, false)
	// A file that is announced is nothing to read yet.
	sql(t, env, `INSERT INTO transcripts (id, org_id, session_id, version, status, sha256, size_bytes, shared_with_client, imported_by)
		SELECT gen_random_uuid(), org_id, session_id, 3, 'UPLOADING', sha256('x'), 1, true, imported_by FROM transcripts WHERE id = $1`, uuid(t, versions[0]))
	expect("a third is on its way", coach, "second")
	expect("a third is on its way", client, "second")
	count("a third is on its way", "second")
}

// Sharing and archiving is told to who sees the transcript then, in the transaction that does it.
func TestSharingIsTold(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, client := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	session := amara5.id(t, env)
	transcript := imports(t, coach, session, sample(t, "zoom.vtt"))
	env.Work(t)
	var subs [2]*apptest.Subscription
	for i, who := range []*apptest.Client{coach, client} {
		subs[i] = who.Subscribe(t, listen, apptest.Vars{"session": session})
		env.Statements.Await(t, begun, i)
	}
	hears := func(sub *apptest.Subscription) string {
		t.Helper()
		e := next(t, sub)
		if e.Typename != "TranscriptStateChanged" || e.Transcript.ID != transcript {
			t.Errorf("told %+v", e)
		}
		return e.Cursor
	}
	update := func(change string, value any) func() {
		return func() {
			does(t, coach, "updateTranscript", "transcript", "id", apptest.Vars{"id": transcript, change: value})
		}
	}
	archive := func(archived bool) func() {
		return func() {
			does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": transcript, "archived": archived})
		}
	}
	for _, step := range []struct {
		name    string
		do      func()
		told    bool
		visible bool // to the client, afterwards
	}{
		{"not shared as before", update("sharedWithClient", false), false, false},
		{"shared", update("sharedWithClient", true), true, true},
		{"shared as before", update("sharedWithClient", true), false, true},
		{"no longer shared", update("sharedWithClient", false), true, false},
		{"archived unseen", archive(true), true, false},
		{"shared, archived", update("sharedWithClient", true), true, true},
		{"archived as before", archive(true), false, true},
		{"back", archive(false), true, true},
		{"back as before", archive(false), false, true},
		{"another title", update("title", "Zoom"), false, true},
		{"archived", archive(true), true, true},
	} {
		n := published(t, env, session)
		step.do()
		if got := published(t, env, session) - n; got != map[bool]int{true: 1}[step.told] {
			t.Errorf("%s: %d events", step.name, got)
		}
		if !step.told {
			continue
		}
		cursor := hears(subs[0])
		if step.visible { // the next thing that the client hears, but for a step between that is looked at only now, when it can be seen
			got := hears(subs[1])
			if got != cursor {
				got = hears(subs[1])
			}
			if got != cursor {
				t.Errorf("%s: the client hears %s, the coach %s", step.name, got, cursor)
			}
		}
	}

	sql(t, env, `CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$`)
	sql(t, env, `CREATE TRIGGER broken BEFORE INSERT ON stream_events FOR EACH ROW EXECUTE FUNCTION broken()`)
	for name, input := range map[string]apptest.Vars{"updateTranscript": {"id": transcript, "sharedWithClient": false}, "archiveTranscript": {"id": transcript, "archived": false}} {
		if got := change(t, coach, name, "transcript", "id", input); got.response.Code() != "INTERNAL" {
			t.Errorf("untold: %s", got.response.Body)
		}
	}
	if !value[bool](t, env, `SELECT shared_with_client AND archived_at IS NOT NULL FROM transcripts WHERE id = $1`, uuid(t, transcript)) {
		t.Error("done and not told")
	}
}

// Who shares a transcript while its analysis ends waits for it, and neither waits in a circle.
func TestSharingDuringAnalysis(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	transcript := imports(t, coach, session, conversation(t))
	env.Work(t)
	// So that something is retracted, and told, in the end. Setting one of two roles suggests the other: setting one swaps both.
	speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 AND role = 'COACH'`, uuid(t, transcript))
	does(t, coach, "setSpeakerRole", "speaker", "role", apptest.Vars{"speakerId": speaker, "role": "CLIENT"})
	gate := shut(t, env, `UPDATE ON analysis_runs FOR EACH ROW WHEN (NEW.status = 'SUCCEEDED')`)
	var wg sync.WaitGroup
	wg.Go(func() { env.Work(t) })
	gate.somebody()
	var shared changed
	wg.Go(func() {
		shared = change(t, coach, "updateTranscript", "transcript", "status sharedWithClient", apptest.Vars{"id": transcript, "sharedWithClient": true})
	})
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := value[int](t, env, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`); n < 2 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	gate.release()
	wg.Wait()
	if shared.entity == nil || shared.entity["status"] != "READY" || shared.entity["sharedWithClient"] != true {
		t.Errorf("shared: %s", shared.response.Body)
	}
	if jobs := value[string](t, env, `SELECT string_agg(state || ' ' || attempt, ', ') FROM jobs WHERE entity_id = $1 AND kind = 'transcript.analyse'`, uuid(t, transcript)); jobs != "DONE 1, DONE 1" {
		t.Errorf("jobs: %s", jobs)
	}
}
