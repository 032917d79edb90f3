package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

// updated is a thing that can be updated: whose, what it has, and which of its fields may be empty.
type updated struct {
	mutation, entity, id string
	full                 apptest.Vars
	nullable             []string            // by null, and texts by "" too
	also                 func() apptest.Vars // what goes with every change
}

func (u updated) fields() string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(u.full)) {
		if inner, ok := u.full[name].(apptest.Vars); ok {
			name += " {" + strings.Join(slices.Sorted(maps.Keys(inner)), " ") + "}"
		}
		fields = append(fields, name)
	}
	return strings.Join(fields, " ")
}

// set gives every field its value again.
func (u updated) set(t *testing.T, c *apptest.Client) {
	t.Helper()
	has(t, does(t, c, u.mutation, u.entity, u.fields(), u.with(u.full)), u.full)
}

func (u updated) with(change apptest.Vars) apptest.Vars {
	input := apptest.Vars{"id": u.id}
	if u.also != nil {
		maps.Copy(input, u.also())
	}
	maps.Copy(input, change)
	return input
}

func updatable(t *testing.T, env *apptest.Env) []updated {
	t.Helper()
	session := amara2.id(t, env)
	coach := env.Login(t, apptest.Coach)
	made := func(name, entity string, input apptest.Vars) string {
		return does(t, coach, name, entity, "id", input)["id"].(string)
	}
	guest := made("addParticipant", "participant", apptest.Vars{"sessionId": session, "name": "Ottoline"})
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": guest, "scopes": []string{"TRANSCRIPTION", "AI_ANALYSIS", "SUPERVISION"}})
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	goal := made("createGoal", "goal", apptest.Vars{"clientId": client, "title": "Fridays off"})
	action := made("createActionItem", "actionItem", apptest.Vars{"clientId": client, "title": "Ask"})
	seen := func(table, key string) func() apptest.Vars {
		return func() apptest.Vars {
			return apptest.Vars{"expectedVersion": value[int](t, env, "SELECT version FROM "+table+" WHERE id = $1", uuid(t, key))}
		}
	}
	return []updated{
		{"updateClient", "client", one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session)),
			apptest.Vars{"name": "Amara O.", "email": "amara@okafor.example", "lifecycle": "AT_RISK"}, []string{"email"}, nil},
		{"updateEngagement", "engagement", one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, session)),
			apptest.Vars{"title": "A year", "status": "ACTIVE", "sessionsIncluded": 12, "startsOn": "2026-01-05", "endsOn": "2026-12-18"},
			[]string{"sessionsIncluded", "startsOn", "endsOn"}, nil},
		{"updateSession", "session", session,
			apptest.Vars{"type": "REVIEW", "title": "Halfway", "status": "COMPLETED", "startsAt": "2026-03-02T09:30:00Z", "durationMinutes": 75}, []string{"title"}, nil},
		{"updateTranscript", "transcript", one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, session)),
			apptest.Vars{"title": "Minutes", "language": "pt-BR", "sharedWithClient": true}, []string{"title", "language"}, nil},
		{"updateOrganization", "organization", one(t, env, "org", `SELECT org_id FROM sessions WHERE id = $1`, uuid(t, session)),
			apptest.Vars{"speakerRoles": "DECIDE", "name": "Harbor & Daughters", "retentionDays": 365, "aiEnabled": true, "modelSees": "PLACEHOLDERS", "modelMonthlyLimitMicros": 5_000_000_000}, []string{"retentionDays", "modelMonthlyLimitMicros"}, nil},
		{"updateParticipant", "participant", guest,
			apptest.Vars{"name": "Ottoline Wray", "role": "OTHER"}, nil, nil},
		{"updateAgendaTopic", "topic", made("addAgendaTopic", "topic", apptest.Vars{"sessionId": session, "title": "Thursdays"}),
			apptest.Vars{"title": "Thursday evenings", "notes": "As agreed.\nOr not.", "status": "DISCUSSED"}, []string{"notes"}, nil},
		{"updateSavedSearch", "savedSearch", made("createSavedSearch", "savedSearch", apptest.Vars{"name": "Sundays", "query": "boundary"}),
			apptest.Vars{"name": "Weekends", "query": `weekend tag:rest`, "filter": apptest.Vars{"statuses": []string{"COMPLETED"}, "hasTranscript": true}, "mode": "HYBRID", "kinds": []string{"UTTERANCE", "NOTE"},
				"groupBy": "SESSION", "orderBy": "RELEVANCE"}, []string{"filter", "groupBy"}, nil},
		{"updateSavedFilter", "savedFilter", made("createSavedFilter", "savedFilter", apptest.Vars{"name": "Held", "filter": apptest.Vars{"statuses": []string{"COMPLETED"}}}),
			apptest.Vars{"name": "Held reviews", "filter": apptest.Vars{"statuses": []string{"COMPLETED"}, "types": []string{"REVIEW"}, "includeArchived": true}}, nil, nil},
		{"updateTag", "tag", one(t, env, "tag", `SELECT id FROM tags WHERE name = 'boundaries' AND owner_id = (SELECT coach_id FROM sessions WHERE id = $1)`, uuid(t, session)),
			apptest.Vars{"name": "Boundary", "color": "#0a3069"}, nil, nil},
		{"updateGoal", "goal", goal,
			apptest.Vars{"title": "Thursdays off", "description": "All of them.\nEvery week.", "status": "OPEN", "targetDate": "2190-03-04", "sharedWithSponsor": false},
			[]string{"description", "targetDate"}, seen("goals", goal)},
		{"updateActionItem", "actionItem", action,
			apptest.Vars{"title": "Ask Tomasz", "description": "On Monday.\nOr Tuesday.", "status": "IN_PROGRESS", "dueOn": "2190-03-04"},
			[]string{"description", "dueOn"}, seen("action_items", action)},
	}
}

// In an update, what is left out stays as it is; null clears what can be empty, and is INVALID for what cannot.
func TestNullInUpdates(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	schema := readSchema(t)
	updates := updatable(t, env)
	for _, u := range updates {
		coach := coach
		if u.entity == "organization" {
			coach = env.Login(t, apptest.Owner)
		}
		input := schema.Types[strings.ToUpper(u.mutation[:1])+u.mutation[1:]+"Input"]
		for _, f := range input.Fields {
			if _, tried := u.full[f.Name]; !tried && f.Name != "id" && f.Name != "expectedVersion" {
				t.Errorf("%s.%s is not tried", input.Name, f.Name)
			}
		}
		u.set(t, coach)
		has(t, does(t, coach, u.mutation, u.entity, u.fields(), u.with(nil)), u.full) // nothing is changed by nothing

		for name, value := range u.full {
			_, text := value.(string)
			text = text && input.Fields.ForName(name).Type.Name() == "String"
			if !slices.Contains(u.nullable, name) {
				got := change(t, coach, u.mutation, u.entity, u.fields(), u.with(apptest.Vars{name: nil}))
				if briefly(got.userErrors) != "INVALID "+name || got.userErrors[0].Message != "must not be null; left out, it stays as it is" {
					t.Errorf("%s, %s: null: %s", u.mutation, name, got.response.Body)
				}
				has(t, does(t, coach, u.mutation, u.entity, u.fields(), u.with(nil)), u.full)
				continue
			}
			empty := []any{nil}
			if text {
				empty = append(empty, "")
			}
			for _, nothing := range empty {
				want := maps.Clone(u.full)
				want[name] = nil
				has(t, does(t, coach, u.mutation, u.entity, u.fields(), u.with(apptest.Vars{name: nothing})), want)
				has(t, does(t, coach, u.mutation, u.entity, u.fields(), u.with(nil)), want) // it stays empty
				has(t, does(t, coach, u.mutation, u.entity, u.fields(), u.with(apptest.Vars{name: nil})), want)
				u.set(t, coach)
			}
			if text {
				if got := change(t, coach, u.mutation, u.entity, u.fields(), u.with(apptest.Vars{name: " \t"})); briefly(got.userErrors) != "INVALID "+name {
					t.Errorf("%s, %s: spaces: %s", u.mutation, name, got.response.Body)
				}
			}
		}

		// All that is wrong comes at once.
		nulls, want := apptest.Vars{}, []string{}
		for _, f := range input.Fields {
			if f.Name != "id" && f.Name != "expectedVersion" {
				nulls[f.Name] = nil
			}
			if f.Name != "id" && f.Name != "expectedVersion" && !slices.Contains(u.nullable, f.Name) {
				want = append(want, "INVALID "+f.Name)
			}
		}
		got := change(t, coach, u.mutation, u.entity, u.fields(), u.with(nulls))
		if said := strings.Split(briefly(got.userErrors), ", "); !slices.Equal(slices.Sorted(slices.Values(said)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: all null: %s, want %q", u.mutation, got.response.Body, want)
		}
		has(t, does(t, coach, u.mutation, u.entity, u.fields(), u.with(nil)), u.full)

		// A variable that is not given is left out; one that is null is null.
		if u.nullable == nil || u.also != nil {
			continue
		}
		name := u.nullable[0]
		query := fmt.Sprintf(`mutation($id: ID!, $v: %s) {out: %s(input: {id: $id, %s: $v}) {%s {%s}}}`,
			input.Fields.ForName(name).Type.Name(), u.mutation, name, u.entity, u.fields())
		var out struct{ Out map[string]map[string]any }
		coach.Must(t, query, apptest.Vars{"id": u.id}, &out)
		has(t, out.Out[u.entity], u.full)
		coach.Must(t, query, apptest.Vars{"id": u.id, "v": nil}, &out)
		has(t, out.Out[u.entity], apptest.Vars{name: nil})
	}
	// No update is forgotten.
	for _, f := range schema.Mutation.Fields {
		if f.Name == "updateMember" || f.Name == "updateProfile" { // nothing of the first may be left out; the second has no id: TestInvitations
			continue
		}
		if strings.HasPrefix(f.Name, "update") && f.Name != "updateNotificationPreferences" && // has no id: TestNotificationPreferences
			!slices.ContainsFunc(updates, func(u updated) bool { return u.mutation == f.Name }) {
			t.Errorf("%s is not tried", f.Name)
		}
	}
	// A decision is no update: null is the same as nothing.
	insight := one(t, env, "insight", `SELECT id FROM insights WHERE transcript_id = $1 AND retracted_at IS NULL LIMIT 1`, uuid(t, updates[3].id))
	has(t, does(t, coach, "reviewInsight", "insight", "status", apptest.Vars{"insightId": insight, "decision": "ACCEPT", "title": nil, "body": nil}), apptest.Vars{"status": "ACCEPTED"})
	has(t, does(t, coach, "reviewInsight", "insight", "status title", apptest.Vars{"insightId": insight, "decision": "EDIT", "title": "In short", "body": nil}),
		apptest.Vars{"status": "EDITED", "title": "In short"})
}

// Clearing one end of an engagement lets the other lie anywhere; what stays is judged together with what comes.
func TestClearedDays(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	key := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, amara2.id(t, env)))
	for _, step := range []struct {
		change apptest.Vars
		want   string
	}{
		{apptest.Vars{"startsOn": "2026-03-02", "endsOn": "2026-09-30"}, ""},
		{apptest.Vars{"startsOn": "2026-10-01"}, "INVALID endsOn"},
		{apptest.Vars{"startsOn": "2026-10-01", "endsOn": nil}, ""},
		{apptest.Vars{"endsOn": "2026-09-30"}, "INVALID endsOn"},
		{apptest.Vars{"startsOn": nil, "endsOn": "2026-09-30"}, ""},
	} {
		step.change["id"] = key
		if got := change(t, coach, "updateEngagement", "engagement", "startsOn endsOn", step.change); briefly(got.userErrors) != step.want {
			t.Errorf("%v: %s", step.change, got.response.Body)
		}
	}
}

// A year that nobody plans in is a slip of the keyboard.
func TestYears(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, session))
	for _, tc := range []struct {
		name, entity string
		input        apptest.Vars
		want         string
	}{
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "0001-01-01T00:00:00Z"}, "INVALID startsAt"},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "9999-12-31T23:59:59Z"}, "INVALID startsAt"},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "2199-12-31T23:59:59Z"}, ""},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "2199-12-31T23:59:59-01:00"}, "INVALID startsAt"},
		{"createSession", "session", apptest.Vars{"engagementId": engagement, "startsAt": "1970-01-01T00:00:00Z"}, ""},
		{"updateSession", "session", apptest.Vars{"id": session, "startsAt": "0206-03-02T09:30:00Z"}, "INVALID startsAt"},
		{"createEngagement", "engagement", apptest.Vars{"clientId": client, "title": "x", "startsOn": "0001-01-01", "endsOn": "9999-12-31"}, "INVALID startsOn, INVALID endsOn"},
		{"createEngagement", "engagement", apptest.Vars{"clientId": client, "title": "x", "startsOn": "1970-01-01", "endsOn": "2199-12-31"}, ""},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "startsOn": nil, "endsOn": "2200-01-01"}, "INVALID endsOn"},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "startsOn": "1969-12-31"}, "INVALID startsOn"},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "sessionsIncluded": 1001}, "INVALID sessionsIncluded"},
		{"updateEngagement", "engagement", apptest.Vars{"id": engagement, "sessionsIncluded": -1}, "INVALID sessionsIncluded"},
	} {
		if got := change(t, coach, tc.name, tc.entity, "id", tc.input); briefly(got.userErrors) != tc.want || len(got.response.Errors) > 0 {
			t.Errorf("%s %v: %s", tc.name, tc.input, got.response.Body)
		}
	}
}

// A text is kept as it was given, wherever people write one, also what of it nobody sees; what lies about its ends is not.
func TestTextsAreKept(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	client := one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, session))
	transcript := one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, session))
	speaker := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 LIMIT 1`, uuid(t, transcript))
	insight := one(t, env, "insight", `SELECT id FROM insights WHERE transcript_id = $1 LIMIT 1`, uuid(t, transcript))
	for _, tc := range []struct {
		name, entity, field string
		input               apptest.Vars
	}{
		{"createClient", "client", "name", apptest.Vars{}},
		{"updateClient", "client", "name", apptest.Vars{"id": client}},
		{"createEngagement", "engagement", "title", apptest.Vars{"clientId": client}},
		{"updateEngagement", "engagement", "title", apptest.Vars{"id": engagement}},
		{"createSession", "session", "title", apptest.Vars{"engagementId": engagement, "startsAt": "2026-03-02T09:30:00Z"}},
		{"updateSession", "session", "title", apptest.Vars{"id": session}},
		{"updateTranscript", "transcript", "title", apptest.Vars{"id": transcript}},
		{"renameSpeaker", "speaker", "displayName", apptest.Vars{"speakerId": speaker}},
		{"reviewInsight", "insight", "title", apptest.Vars{"insightId": insight, "decision": "EDIT"}},
		{"tag", "tag", "name", apptest.Vars{"entityId": session}},
	} {
		tc.input[tc.field] = "safe\u202efdp.exe\x07 <b>\x1b[1m"
		has(t, does(t, coach, tc.name, tc.entity, tc.field, tc.input), apptest.Vars{tc.field: tc.input[tc.field]})
	}
	const persian = "می\u200cخواهم 👩\u200d💻"
	has(t, does(t, coach, "updateClient", "client", "name", apptest.Vars{"id": client, "name": "\ufeff" + persian + "\u200b"}), apptest.Vars{"name": persian})
	// A tag is found under the name it was given, as it was typed.
	does(t, coach, "tag", "entity", "__typename", apptest.Vars{"entityId": session, "name": "\u200bGrit "})
	n := value[int](t, env, `SELECT count(*) FROM taggings g JOIN tags t ON t.id = g.tag_id WHERE t.name = 'Grit'`)
	does(t, coach, "untag", "entity", "__typename", apptest.Vars{"entityId": session, "name": "\u200bGrit "})
	if left := value[int](t, env, `SELECT count(*) FROM taggings g JOIN tags t ON t.id = g.tag_id WHERE t.name = 'Grit'`); n != 1 || left != 0 {
		t.Errorf("%d, then %d", n, left)
	}
}

// An amount that is none is the sender's mistake, and is not repeated: neither in the answer nor in the log.
func TestAmounts(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	owner := env.Login(t, apptest.Owner)
	org := one(t, env, "org", `SELECT id FROM organizations WHERE slug = 'harbor'`)
	const limit = `mutation($id: ID!, $v: Micros) {updateOrganization(input: {id: $id, modelMonthlyLimitMicros: $v}) {organization {modelMonthlyLimitMicros} userErrors {field}}}`
	for _, v := range []any{"zebulon@coach.example", 1.5, true, []int{1}, map[string]int{"a": 1}, json.Number("99999999999999999999")} {
		if r := owner.Do(t, limit, apptest.Vars{"id": org, "v": v}); r.Code() != "INVALID" || strings.Contains(string(r.Body), "zebulon") {
			t.Errorf("%v: %s", v, r.Body)
		}
	}
	if strings.Contains(env.Log.String(), "zebulon") || strings.Contains(env.Log.String(), "level=ERROR") {
		t.Error("it is in the log")
	}
	if r := owner.Do(t, limit, apptest.Vars{"id": org, "v": 25000000}); string(r.Data) != `{"updateOrganization":{"organization":{"modelMonthlyLimitMicros":25000000},"userErrors":[]}}` {
		t.Errorf("%s", r.Body)
	}
}
