package app_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// mutations: what each changes, the input for it, and which relations to that row may do it. Who sees the row through
// another relation is FORBIDDEN; who does not see it gets NOT_FOUND. createClient changes nothing that exists.
var mutations = map[string]struct {
	target, input string
	may           []relation
}{
	// Of members, TestMembers tells: what is done to one changes who can try the rest.
	"inviteMember": {}, "acceptInvitation": {}, "updateMember": {}, "revokeMember": {}, "reinstateMember": {}, "assignSupervisor": {}, "unassignSupervisor": {}, "updateProfile": {},
	"resendInvitation":              {"Invitation", `id: $id`, []relation{admin}},
	"revokeInvitation":              {"Invitation", `id: $id`, []relation{admin}},
	"updateOrganization":            {"Organization", `id: $id, speakerRoles: DECIDE`, []relation{admin}},
	"replayDeadLetters":             {"DeadLetter", `ids: [$id]`, []relation{admin}},
	"discardDeadLetters":            {"DeadLetter", `ids: [$id]`, []relation{admin}},
	"markNotificationsRead":         {"Notification", `ids: [$id]`, []relation{self}},
	"markAllNotificationsRead":      {"", ``, nil},
	"updateNotificationPreferences": {"", ``, nil},
	"createClient":                  {"", ``, nil},
	"updateClient":                  {"Client", `id: $id, name: "Overwritten"`, []relation{coach, admin}},
	"archiveClient":                 {"Client", `id: $id`, []relation{coach, admin}},
	"createEngagement":              {"Client", `clientId: $id, title: "Overwritten"`, []relation{coach, admin}},
	"updateEngagement":              {"Engagement", `id: $id, title: "Overwritten"`, []relation{coach, admin}},
	"archiveEngagement":             {"Engagement", `id: $id`, []relation{coach, admin}},
	"reopenEngagement":              {"Engagement", `id: $id, reason: "Overwritten"`, []relation{coach, admin}},
	"setEngagementSponsor":          {"Engagement", `engagementId: $id, userId: "user_01h455vb4pex5vsknk084sn02q"`, []relation{coach, admin}},
	"removeEngagementSponsor":       {"Engagement", `engagementId: $id, userId: "user_01h455vb4pex5vsknk084sn02q"`, []relation{coach, admin}},
	"startSession":                  {"Session", `id: $id`, []relation{coach, admin}},
	"completeSession":               {"Session", `id: $id`, []relation{coach, admin}},
	"cancelSession":                 {"Session", `id: $id, by: COACH, reason: "Overwritten"`, []relation{coach, admin}},
	"markSessionMissed":             {"Session", `id: $id`, []relation{coach, admin}},
	"rescheduleSession":             {"Session", `id: $id, startsAt: "2099-05-05T10:00:00Z"`, []relation{coach, admin}},
	"addParticipant":                {"Session", `sessionId: $id, name: "Overwritten"`, []relation{coach}},
	"updateParticipant":             {"Participant", `id: $id, name: "Overwritten"`, []relation{coach}},
	"removeParticipant":             {"Participant", `id: $id`, []relation{coach}},
	"addAgendaTopic":                {"Session", `sessionId: $id, title: "Overwritten"`, []relation{coach, client}},
	"updateAgendaTopic":             {"AgendaTopic", `id: $id, title: "Overwritten"`, []relation{coach}}, // and whoever added it: TestClientsTopics
	"reorderAgenda":                 {"Session", `sessionId: $id, topicIds: []`, []relation{coach}},
	"removeAgendaTopic":             {"AgendaTopic", `id: $id`, []relation{coach}},
	"createSavedFilter":             {"", ``, nil},
	"updateSavedFilter":             {"SavedFilter", `id: $id, name: "Overwritten"`, []relation{self}},
	"deleteSavedFilter":             {"SavedFilter", `id: $id`, []relation{self}},
	"createSavedSearch":             {"", ``, nil},
	"updateSavedSearch":             {"SavedSearch", `id: $id, name: "Overwritten"`, []relation{self}},
	"deleteSavedSearch":             {"SavedSearch", `id: $id`, []relation{self}},
	"ask":                           {"", ``, nil}, // of what others have said: TestAskOfOthers
	"retryAsk":                      {"AskMessage", `messageId: $id`, []relation{self}},
	"deleteAskThread":               {"AskThread", `id: $id`, []relation{self}},
	"renameTheme":                   {"Theme", `id: $id, label: "Overwritten"`, []relation{coach}},
	"mergeThemes":                   {"Theme", `intoId: $id, ids: [$id]`, []relation{coach}},
	"splitTheme":                    {"Theme", `id: $id`, []relation{coach}},
	"updateTag":                     {"Tag", `id: $id, name: "Overwritten"`, []relation{coach}},
	"mergeTags":                     {"Tag", `intoId: $id, ids: [$id]`, []relation{coach}},
	"deleteTag":                     {"Tag", `id: $id`, []relation{coach}},
	"createSession":                 {"Engagement", `engagementId: $id, startsAt: "2026-05-05T10:00:00Z"`, []relation{coach, admin}},
	"updateSession":                 {"Session", `id: $id, title: "Overwritten"`, []relation{coach, admin}},
	"archiveSession":                {"Session", `id: $id`, []relation{coach, admin}},
	"importTranscript":              {"Session", `sessionId: $id, content: "A: Overwritten.\nB: Yes.\n"`, []relation{coach}},
	"startLiveSession":              {"Session", `sessionId: $id`, []relation{coach}},
	"appendLiveUtterances":          {"Session", `sessionId: $id, chunks: [{chunkId: "1", text: "Overwritten", startMs: 0, endMs: 1}]`, []relation{coach}},
	"pauseLiveSession":              {"Session", `sessionId: $id`, []relation{coach}},
	"resumeLiveSession":             {"Session", `sessionId: $id`, []relation{coach}},
	"dismissNudge":                  {"LiveNudge", `id: $id`, []relation{coach}},
	"endLiveSession":                {"Session", `sessionId: $id`, []relation{coach}},
	"requestTranscriptUpload":       {"Session", `sessionId: $id, filename: "overwritten.vtt", sizeBytes: 1, sha256: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"`, []relation{coach}},
	"exportTranscript":              {"Transcript", `transcriptId: $id, format: JSON`, []relation{coach, client}},
	"completeTranscriptUpload":      {"Transcript", `transcriptId: $id`, []relation{coach}},
	"updateTranscript":              {"Transcript", `id: $id, title: "Overwritten", sharedWithClient: true`, []relation{coach}},
	"archiveTranscript":             {"Transcript", `id: $id`, []relation{coach}},
	"renameSpeaker":                 {"Speaker", `speakerId: $id, displayName: "Overwritten"`, []relation{coach}},
	"setSpeakerRole":                {"Speaker", `speakerId: $id, role: OTHER`, []relation{coach}},
	"confirmSpeakerRoles":           {"Transcript", `transcriptId: $id, roles: []`, []relation{coach}},
	"retryAnalysis":                 {"Transcript", `transcriptId: $id`, []relation{coach}},
	"mergeSpeakers":                 {"Speaker", `intoId: $id, ids: [$id]`, []relation{coach}},
	"splitSpeaker":                  {"Speaker", `speakerId: $id, utteranceIds: [], displayName: "Overwritten"`, []relation{coach}},
	"reassignUtterances":            {"Speaker", `speakerId: $id, utteranceIds: []`, []relation{coach}},
	"reviseUtterance":               {"Utterance", `utteranceId: $id, text: "Overwritten"`, []relation{coach}},
	"undoTranscriptEdit":            {"TranscriptEdit", `editId: $id`, []relation{coach}},
	"giveConsent":                   {"Client", `subjectId: $id, scopes: [SHARE_WITH_ORG]`, []relation{coach, client}},
	"withdrawConsent":               {"Client", `subjectId: $id, scopes: [RECORDING]`, []relation{coach, client}},
	"publishConsentText":            {"", ``, nil},
	"reviewInsight":                 {"Insight", `insightId: $id, decision: EDIT, title: "Overwritten"`, []relation{coach}},
	"createGoal":                    {"Client", `clientId: $id, title: "Overwritten"`, []relation{coach}},
	"updateGoal":                    {"Goal", `id: $id, expectedVersion: 0, title: "Overwritten"`, []relation{coach}},
	"addCheckIn":                    {"Goal", `goalId: $id, score: 5`, []relation{coach, client}},
	"linkGoal":                      {"Goal", `goalId: $id, entityId: "session_00000000000000000000000000"`, []relation{coach}},
	"unlinkGoal":                    {"Goal", `goalId: $id, entityId: "session_00000000000000000000000000"`, []relation{coach}},
	"createActionItem":              {"Client", `clientId: $id, title: "Overwritten"`, []relation{coach, client}},
	"updateActionItem":              {"ActionItem", `id: $id, expectedVersion: 0, title: "Overwritten"`, []relation{coach}},
	"assignActionItem":              {"ActionItem", `actionItemId: $id, expectedVersion: 0, assigneeIds: []`, []relation{coach}},
	"acceptInsightAsAction":         {"Insight", `insightId: $id`, []relation{coach}},
	"createNote":                    {"Client Engagement Session", `entityId: $id, body: "Overwritten"`, []relation{coach, client, supervisor, admin}},
	"saveNote":                      {"Note", `id: $id, expectedVersion: 1, body: "Overwritten"`, []relation{self}},
	"restoreNoteVersion":            {"NoteVersion", `versionId: $id, expectedVersion: 1`, []relation{self}},
	"archiveNote":                   {"Note", `id: $id`, []relation{self}},
	"deleteNote":                    {"Note", `id: $id`, []relation{self}},
	"tag":                           {"Client Session Insight Note", `entityId: $id, name: "Overwritten"`, []relation{coach}},
	"untag":                         {"Client Session Insight Note", `entityId: $id, name: "boundaries"`, []relation{coach}},
	"requestDataExport":             {"Client", `clientId: $id`, []relation{admin, coach, client}},
	"requestErasure":                {"Client", `clientId: $id, confirm: "nobody's name"`, []relation{admin, client}},
	"downloadDataExport":            {"DataRequest", `requestId: $id`, []relation{client}},
	"decideErasure":                 {"DataRequest", `requestId: $id, decision: DECLINE`, []relation{admin}},
	"setLegalHold":                  {"Client", `clientId: $id`, []relation{admin}},
}

// fingerprint is a hash of every table.
func fingerprint(t *testing.T, env *apptest.Env) map[string]string {
	t.Helper()
	prints := map[string]string{}
	for table := range rowCounts(t, env) {
		prints[table] = value[string](t, env, "SELECT coalesce(md5(string_agg(x::text, '|' ORDER BY x::text)), '') FROM "+table+" x")
	}
	return prints
}

// TestMutationsOfOthers lets everybody try to change what is not theirs, in every way there is: nothing changes, and what
// cannot be seen is not there. Then everybody changes something of their own, so that the refusals mean something.
func TestMutationsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := fingerprint(t, w.env)
	allowed, tried := map[string]func(){}, map[string]int{}
	for _, v := range w.viewers {
		for name, m := range mutations {
			for _, typ := range strings.Fields(m.target) {
				samples := map[string]int{}
				for _, f := range w.facts {
					if f = w.of(v, f.id); f.typ != typ {
						continue
					}
					through, want := grants(v, f), "NOT_FOUND"
					if len(through) > 0 {
						want = "FORBIDDEN"
					}
					query := fmt.Sprintf("mutation($id: ID!) { %s(input: {%s}) { __typename userErrors { message } } }", name, m.input)
					if slices.ContainsFunc(through, func(r relation) bool { return slices.Contains(m.may, r) }) {
						for _, r := range through {
							if slices.Contains(m.may, r) {
								allowed[fmt.Sprintf("%s of %s by %s", name, typ, r)] = func() {
									if r := v.client.Do(t, query, apptest.Vars{"id": f.id}); r.Code() != "" {
										t.Errorf("%s: %s(%s) is refused: %s", v.who, name, f.id, r.Body)
									}
								}
							}
						}
						continue
					}
					where := fmt.Sprint(want, f.org == v.org, through)
					if samples[where]++; samples[where] > 2 {
						continue
					}
					r := v.client.Do(t, query, apptest.Vars{"id": f.id})
					if r.Code() != want || string(r.Data) != "null" {
						t.Errorf("%s, who sees %s %s through %v: %s gives %s, want %s", v.who, typ, f.id, through, name, r.Body, want)
					}
					tried[name+" "+want]++
				}
			}
		}
		// A new row must not reach across either: only owners and admins name a coach, and one of this organization.
		i := slices.IndexFunc(w.facts, func(f *fact) bool {
			through := grants(v, f)
			return f.typ == "Client" && (slices.Contains(through, admin) || slices.Contains(through, coach))
		})
		if i < 0 {
			continue
		}
		for _, other := range w.viewers {
			here := slices.ContainsFunc(w.viewers, func(o *viewer) bool { return o.user == other.user && o.org == v.org && o.is("COACH") })
			if other.user == v.user || here && v.is("OWNER", "ADMIN") {
				continue
			}
			for name, query := range map[string]string{
				"createClient":     `mutation($coach: ID!) { create: createClient(input: {name: "Overwritten", coachId: $coach}) { userErrors { code field } } }`,
				"createEngagement": `mutation($coach: ID!, $client: ID!) { create: createEngagement(input: {clientId: $client, title: "Overwritten", coachId: $coach}) { userErrors { code field } } }`,
			} {
				r := v.client.Do(t, query, apptest.Vars{"coach": id.Format("user", other.user), "client": w.facts[i].id})
				tried[name+" across"]++
				if v.is("OWNER", "ADMIN") {
					if string(r.Data) != `{"create":{"userErrors":[{"code":"INVALID","field":"coachId"}]}}` {
						t.Errorf("%s names %s as coach: %s gives %s", v.who, other.who, name, r.Body)
					}
				} else if r.Code() != "FORBIDDEN" {
					t.Errorf("%s names %s as coach: %s gives %s", v.who, other.who, name, r.Body)
				}
			}
		}
	}
	for table, print := range fingerprint(t, w.env) {
		if print != before[table] {
			t.Errorf("%s has changed", table)
		}
	}
	for name, m := range mutations {
		if m.target == "" {
			continue
		}
		refusable := slices.ContainsFunc(strings.Fields(m.target), func(typ string) bool { // somebody sees it who may not do it
			return slices.ContainsFunc(slices.Collect(maps.Keys(decisions[typ].rows)), func(r relation) bool { return !slices.Contains(m.may, r) })
		})
		if tried[name+" NOT_FOUND"] < len(w.viewers) || refusable != (tried[name+" FORBIDDEN"] > 0) {
			t.Errorf("%s was refused as %v", name, tried)
		}
		for _, typ := range strings.Fields(m.target) {
			for _, r := range m.may {
				if allowed[fmt.Sprintf("%s of %s by %s", name, typ, r)] == nil {
					t.Errorf("nobody may %s %s as %s", name, typ, r)
				}
			}
		}
	}
	sum := 0
	for _, n := range tried {
		sum += n
	}
	// What is put away, or replaced by another transcript, makes no theme; a guest who has not consented hides what was said; and what is removed can
	// be changed no more.
	turn := func(name string) int {
		return 1 + slices.IndexFunc([]string{"archive import", "remove delete discard addParticipant"}, func(verbs string) bool {
			return slices.ContainsFunc(strings.Fields(verbs), func(verb string) bool { return strings.HasPrefix(name, verb) })
		})
	}
	for now := range 3 {
		if now == 2 { // what was replayed is given up again
			w.exec(t, `UPDATE jobs SET state = 'DEAD' WHERE state = 'DONE' AND last_error_code = 'SUPERSEDED'`)
		}
		for name, do := range allowed {
			if turn(name) == now {
				do()
			}
		}
	}
	t.Logf("%d refusals, %d changes", sum, len(allowed))
}

const everyEvent = `subscription($session: ID, $client: ID, $after: String) { insightEvents(sessionId: $session, clientId: $client, after: $after) {
	__typename cursor
	... on InsightAdded { insight { id } } ... on InsightRevised { insight { id } } ... on InsightRetracted { insightId }
	... on AnalysisProgressed { analysisRun { id } } ... on TranscriptStateChanged { transcript { id } } } }`

// TestEventsOfOthers lets everybody listen to every session and client from its first event on.
func TestEventsOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused, heard, silent := 0, 0, 0
	for _, v := range w.viewers {
		for _, f := range w.facts {
			if f.typ != "Session" && f.typ != "Client" {
				continue
			}
			vars := apptest.Vars{strings.ToLower(f.typ): f.id}
			if !w.sees(v, f.id) {
				// Over SSE, one request each: the answer comes at once and ends.
				got := v.client.SubscribeSSE(t, everyEvent, vars).End(t)
				if refused++; len(got) != 1 || got[0].Code() != "NOT_FOUND" {
					t.Errorf("%s listens to %s: %v", v.who, f.id, got)
				}
				continue
			}
			if f.typ != "Session" {
				continue
			}
			// All there is to hear: what the session's events are about, as far as the viewer sees it.
			events := w.about(t, f.id)
			if len(events) == 0 {
				continue
			}
			want := map[string]bool{}
			for _, key := range events {
				if w.sees(v, key) {
					want[key] = true
				}
			}
			vars["after"] = w.env.Beginning(t, f.id)
			reads := w.env.Statements.Ended("= ANY($3)")
			sub := v.client.Subscribe(t, everyEvent, vars)
			got := map[string]bool{}
			for len(got) < len(want) {
				r := sub.Next(t)
				for _, key := range rowID.FindAllString(string(r.Data), -1) {
					if got[key] = true; !want[key] {
						t.Fatalf("%s hears in %s of %s", v.who, f.id, r.Data)
					}
				}
				if len(r.Errors) > 0 {
					t.Fatalf("%s: %v", v.who, r.Errors)
				}
			}
			heard += len(got)
			if len(want) == 0 { // each event has been looked at with the viewer's eyes, and passed over
				w.env.Statements.Await(t, "= ANY($3)", reads+len(events)-1)
				silent++
			}
			sub.Close()
			for _, r := range sub.End(t) {
				for _, key := range rowID.FindAllString(string(r.Data), -1) {
					if !want[key] {
						t.Errorf("%s hears in %s of %s", v.who, f.id, r.Data)
					}
				}
			}
		}
	}
	if refused < 300 || heard < 150 || silent < 20 {
		t.Errorf("the test says little")
	}
	t.Logf("%d refused, %d rows heard of, %d listen in vain", refused, heard, silent)
}

var rowID = regexp.MustCompile(`(insight|analysis|transcript)_[0-9a-hjkmnp-tv-z]{26}`)

// about is what each event of a session is about.
func (w *world) about(t *testing.T, session string) (ids []string) {
	t.Helper()
	rows, err := w.env.DB.Query(t.Context(), `SELECT coalesce('insight_' || (data->>'insightId'), 'analysis_' || (data->>'runId'), 'transcript_' || (data->>'transcriptId'))
		FROM stream_events WHERE topic = $1 ORDER BY cursor`, session)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		prefix, key, _ := strings.Cut(s, "_")
		var u id.UUID
		if err := u.UnmarshalText([]byte(key)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id.Format(prefix, u))
	}
	return ids
}

// TestLeaving takes roles, assignments and memberships away: what they opened closes with the next request.
func TestLeaving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	byWho := map[string]*viewer{}
	for _, v := range w.viewers {
		byWho[v.who] = v
	}
	count := func(who string) (n struct{ Clients, Sessions, Insights struct{ TotalCount int } }) {
		byWho[who].client.Must(t, `{clients{totalCount} sessions{totalCount} insights{totalCount}}`, nil, &n)
		return n
	}
	none := count("former@harbor.example")
	for who, change := range map[string]string{
		apptest.Supervisor:           `DELETE FROM supervisions WHERE supervisor_id = $1`,
		"supervisor2@harbor.example": `UPDATE memberships SET roles = '{SPONSOR}' WHERE user_id = $1`,
		apptest.Sponsor:              `DELETE FROM engagement_sponsors WHERE user_id = $1`,
		apptest.ClientUser:           `UPDATE clients SET user_id = NULL WHERE user_id = $1`,
		"client2@harbor.example":     `UPDATE memberships SET roles = '{SUPERVISOR}' WHERE user_id = $1`,
		apptest.Coach2:               `UPDATE memberships SET roles = '{SPONSOR,CLIENT}' WHERE user_id = $1`,
		"admin@harbor.example":       `UPDATE memberships SET roles = '{SUPERVISOR}' WHERE user_id = $1`,
		"both@ in lumen":             `UPDATE memberships SET roles = '{COACH}' WHERE user_id = $1 AND 'SPONSOR' = ANY(roles)`,
		"coachclient@harbor.example": `UPDATE memberships SET roles = '{SUPERVISOR}' WHERE user_id = $1`,
		"ownercoach@harbor.example":  `UPDATE memberships SET roles = '{CLIENT}' WHERE user_id = $1`,
		"admin@lumen.example":        `UPDATE memberships SET roles = '{COACH,CLIENT,SPONSOR}' WHERE user_id = $1`,
		"sponsor2@harbor.example":    `UPDATE memberships SET roles = '{CLIENT}' WHERE user_id = $1`,
	} {
		if count(who) == none {
			t.Errorf("%s saw nothing before", who)
		}
		w.exec(t, change, byWho[who].user)
		if got := count(who); got != none {
			t.Errorf("%s still sees %+v", who, got)
		}
	}
	// Consent withdrawn: the supervisor's view of the conversation goes, the session stays.
	ruth, ines := byWho[apptest.Coach], byWho[apptest.Supervisor]
	w.exec(t, `INSERT INTO supervisions (org_id, supervisor_id, coach_id) VALUES ($1, $2, $3)`, ines.org, ines.user, ruth.user)
	with := count(apptest.Supervisor)
	w.exec(t, `UPDATE consents SET withdrawn_at = now() WHERE scope = 'SUPERVISION'`)
	if without := count(apptest.Supervisor); with.Insights.TotalCount == 0 || without.Insights.TotalCount != 0 || without.Sessions != with.Sessions {
		t.Errorf("with consent %+v, without %+v", with, without)
	}
	// Revoked: the same token opens nothing, here; elsewhere the person is who they were.
	for _, v := range w.viewers {
		if v.tenant == "lumen" {
			continue
		}
		w.exec(t, `UPDATE memberships SET status = 'REVOKED' WHERE org_id = $1 AND user_id = $2`, v.org, v.user)
		if r := v.client.Do(t, `{viewer{user{id}} clients{totalCount}}`, nil); r.Code() != "UNAUTHENTICATED" || r.Data != nil {
			t.Errorf("%s, revoked: %s", v.who, r.Body)
		}
	}
	for _, who := range []string{apptest.Lumen, "both@ in lumen"} {
		if r := byWho[who].client.Do(t, `{viewer{user{id}}}`, nil); r.Code() != "" {
			t.Errorf("%s: %s", who, r.Body)
		}
	}
}
