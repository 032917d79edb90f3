package app_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/testkit"
)

// effective are mutations whose input in the table of TestMutationsOfOthers changes nothing, or that change nothing that
// exists: by whom, and with which input.
var effective = map[string]func(t *testing.T, w *world) (who, input string){
	"createClient": func(*testing.T, *world) (string, string) { return apptest.Coach, `name: "Overwritten"` },
	"publishConsentText": func(*testing.T, *world) (string, string) {
		return apptest.Owner, `scope: SUPERVISION, text: "Overwritten"`
	},
	"completeTranscriptUpload": func(t *testing.T, w *world) (string, string) {
		const content = "A: Sent.\nB: Read.\n"
		up := announce(t, w.env.Login(t, apptest.Coach), amara5.id(t, w.env), content, nil)
		if status := up.send(t, content); status >= 300 {
			t.Fatalf("the file was refused: %d", status)
		}
		return apptest.Coach, fmt.Sprintf(`transcriptId: %q`, up.Transcript.ID)
	},
	"updateGoal": func(t *testing.T, w *world) (string, string) {
		goal, version := w.aim(t, "goal", `SELECT id, version FROM goals WHERE title = 'The Marlowe ladder true'`)
		return apptest.Coach, fmt.Sprintf(`id: %q, expectedVersion: %d, title: "Overwritten"`, goal, version)
	},
	"linkGoal": func(t *testing.T, w *world) (string, string) {
		goal, _ := w.aim(t, "goal", `SELECT id, version FROM goals WHERE title = 'The Saltram pond'`)
		return apptest.Coach, fmt.Sprintf(`goalId: %q, entityId: %q`, goal, amara5.id(t, w.env))
	},
	"unlinkGoal": func(t *testing.T, w *world) (string, string) {
		goal, _ := w.aim(t, "goal", `SELECT id, version FROM goals WHERE title = 'The Marlowe ladder false'`)
		return apptest.Coach, fmt.Sprintf(`goalId: %q, entityId: %q`, goal, amara2.id(t, w.env))
	},
	"updateActionItem": func(t *testing.T, w *world) (string, string) {
		action, version := w.aim(t, "action", `SELECT id, version FROM action_items WHERE title = 'Paint the Quantock fence true'`)
		return apptest.Coach, fmt.Sprintf(`id: %q, expectedVersion: %d, title: "Overwritten"`, action, version)
	},
	"assignActionItem": func(t *testing.T, w *world) (string, string) {
		action, version := w.aim(t, "action", `SELECT id, version FROM action_items WHERE title = 'Paint the Quantock fence false'`)
		return apptest.Coach, fmt.Sprintf(`actionItemId: %q, expectedVersion: %d, assigneeIds: []`, action, version)
	},
	"inviteMember": func(*testing.T, *world) (string, string) {
		return apptest.Owner, `email: "overwritten@harbor.example", roles: [COACH]`
	},
	"acceptInvitation": func(t *testing.T, w *world) (string, string) {
		_, token := invite(t, w.env.Login(t, apptest.Owner), "admin@lumen.example", "COACH")
		return "admin@lumen.example", fmt.Sprintf(`token: %q`, token)
	},
	"updateMember": func(t *testing.T, w *world) (string, string) {
		return apptest.Owner, fmt.Sprintf(`id: %q, roles: [ADMIN, COACH]`, membership(t, w.env, "admin@harbor.example", "harbor"))
	},
	"revokeMember": func(t *testing.T, w *world) (string, string) {
		return apptest.Owner, fmt.Sprintf(`id: %q`, membership(t, w.env, "sponsor2@harbor.example", "harbor"))
	},
	"reinstateMember": func(t *testing.T, w *world) (string, string) {
		return apptest.Owner, fmt.Sprintf(`id: %q`, membership(t, w.env, "sponsor2@harbor.example", "harbor"))
	},
	"assignSupervisor": func(t *testing.T, w *world) (string, string) {
		return apptest.Owner, fmt.Sprintf(`supervisorId: %q, coachId: %q`, id.Format("user", w.person(t, apptest.Supervisor)), id.Format("user", w.person(t, apptest.Coach2)))
	},
	"unassignSupervisor": func(t *testing.T, w *world) (string, string) {
		return apptest.Owner, fmt.Sprintf(`supervisorId: %q, coachId: %q`, id.Format("user", w.person(t, apptest.Supervisor)), id.Format("user", w.person(t, apptest.Coach2)))
	},
	"updateProfile": func(*testing.T, *world) (string, string) { return apptest.Coach, `name: "Overwritten"` },
	"markAllNotificationsRead": func(t *testing.T, w *world) (string, string) {
		sql(t, w.env, `UPDATE notifications SET read_at = NULL`)
		return apptest.Coach, ``
	},
	"updateNotificationPreferences": func(*testing.T, *world) (string, string) {
		return apptest.Coach, `types: [{type: INSIGHTS_READY, email: OFF}]`
	},
	"setEngagementSponsor": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`engagementId: %q, userId: %q`, w.engagement(t), id.Format("user", w.person(t, "sponsor2@harbor.example")))
	},
	"removeEngagementSponsor": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`engagementId: %q, userId: %q`, w.engagement(t), id.Format("user", w.person(t, "sponsor2@harbor.example")))
	},
	"startSession": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`id: %q`, does(t, w.env.Login(t, apptest.Coach), "createSession", "session", "id",
			apptest.Vars{"engagementId": w.engagement(t), "startsAt": "2026-05-05T10:00:00Z"})["id"])
	},
	"startLiveSession": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`sessionId: %q`, beginning(t, w.env))
	},
	"appendLiveUtterances": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`sessionId: %q, chunks: [{chunkId: "1", text: "Overwritten", startMs: 0, endMs: 1}]`, listening(t, w.env))
	},
	"pauseLiveSession": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`sessionId: %q`, listening(t, w.env))
	},
	"resumeLiveSession": func(t *testing.T, w *world) (string, string) {
		key := listening(t, w.env)
		does(t, w.env.Login(t, apptest.Coach), "pauseLiveSession", "liveSession", "id", apptest.Vars{"sessionId": key})
		return apptest.Coach, fmt.Sprintf(`sessionId: %q`, key)
	},
	"dismissNudge": func(t *testing.T, w *world) (string, string) {
		sql(t, w.env, `UPDATE live_nudges SET dismissed_at = NULL`)
		return apptest.Coach, fmt.Sprintf(`id: %q`, one(t, w.env, "nudge", `SELECT n.id FROM live_nudges n JOIN live_sessions l ON l.id = n.live_session_id WHERE l.session_id = $1`, w.uuid(t, jonas3.id(t, w.env))))
	},
	"endLiveSession": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`sessionId: %q`, listening(t, w.env))
	},
	"removeParticipant": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`id: %q`, does(t, w.env.Login(t, apptest.Coach), "addParticipant", "participant", "id",
			apptest.Vars{"sessionId": jonas3.id(t, w.env), "name": "Overwritten"})["id"])
	},
	"reorderAgenda": func(t *testing.T, w *world) (string, string) {
		session := does(t, w.env.Login(t, apptest.Coach), "createSession", "session", "id", apptest.Vars{"engagementId": w.engagement(t), "startsAt": "2026-05-06T10:00:00Z"})["id"]
		var topics []any
		for range 2 {
			topics = append(topics, does(t, w.env.Login(t, apptest.Coach), "addAgendaTopic", "topic", "id", apptest.Vars{"sessionId": session, "title": "Overwritten"})["id"])
		}
		return apptest.Coach, fmt.Sprintf(`sessionId: %q, topicIds: [%q, %q]`, session, topics[1], topics[0])
	},
	"ask": func(*testing.T, *world) (string, string) {
		return apptest.Coach, `question: "Overwritten"`
	},
	"retryAsk": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`messageId: %q`, one(t, w.env, "message", `SELECT m.id FROM ask_messages m JOIN ask_threads t ON t.id = m.thread_id WHERE t.owner_id = $1 AND m.status = 'FAILED' LIMIT 1`,
			w.person(t, apptest.Coach)))
	},
	"createSavedFilter": func(*testing.T, *world) (string, string) {
		return apptest.Coach, `name: "Overwritten", filter: {statuses: [COMPLETED]}`
	},
	"createSavedSearch": func(*testing.T, *world) (string, string) {
		return apptest.Coach, `name: "Searched now and then", query: "overwritten"`
	},
	"restoreNoteVersion": func(t *testing.T, w *world) (string, string) {
		ruth := w.env.Login(t, apptest.Coach)
		note := does(t, ruth, "createNote", "note", "id", apptest.Vars{"entityId": jonas3.id(t, w.env), "body": "Overwritten", "visibility": "PRIVATE"})["id"]
		does(t, ruth, "saveNote", "note", "id", apptest.Vars{"id": note, "expectedVersion": 1, "body": "Overwritten again", "visibility": "PRIVATE"})
		return apptest.Coach, fmt.Sprintf(`versionId: %q, expectedVersion: 2`, one(t, w.env, "noteversion", `SELECT id FROM note_versions WHERE note_id = $1 ORDER BY id LIMIT 1`, w.uuid(t, note.(string))))
	},
	"mergeTags": func(t *testing.T, w *world) (string, string) {
		const own = `SELECT id FROM tags WHERE owner_id = $1 ORDER BY id LIMIT 1 OFFSET $2`
		return apptest.Coach, fmt.Sprintf(`intoId: %q, ids: [%q]`, one(t, w.env, "tag", own, w.person(t, apptest.Coach), 0), one(t, w.env, "tag", own, w.person(t, apptest.Coach), 1))
	},
	"mergeThemes": func(t *testing.T, w *world) (string, string) {
		const own = `SELECT t.id FROM themes t JOIN sessions s ON s.id = $1 AND s.client_id = t.client_id AND s.coach_id = t.coach_id WHERE t.key = $2`
		return apptest.Coach, fmt.Sprintf(`intoId: %q, ids: [%q]`, one(t, w.env, "theme", own, w.uuid(t, amara2.id(t, w.env)), "1"), one(t, w.env, "theme", own, w.uuid(t, amara2.id(t, w.env)), "2"))
	},
	"splitTheme": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`id: %q`, one(t, w.env, "theme", `SELECT t.id FROM themes t JOIN sessions s ON s.id = $1 AND s.client_id = t.client_id AND s.coach_id = t.coach_id
			WHERE t.merged_into_id IS NOT NULL LIMIT 1`, w.uuid(t, amara2.id(t, w.env))))
	},
	"confirmSpeakerRoles": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`transcriptId: %q, roles: [{speakerId: %q, role: COACH}]`, w.transcript(t), w.voice(t, 0))
	},
	"retryAnalysis": func(t *testing.T, w *world) (string, string) {
		failed := one(t, w.env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, w.uuid(t, sofia2.id(t, w.env)))
		sql(t, w.env, `UPDATE transcripts SET status = 'FAILED', failure_code = 'ANALYSIS_FAILED', failure_message = 'Overwritten' WHERE id = $1`, w.uuid(t, failed))
		return apptest.Coach2, fmt.Sprintf(`transcriptId: %q`, failed)
	},
	"reassignUtterances": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`speakerId: %q, utteranceIds: [%q]`, w.voice(t, 0), w.line(t, 1))
	},
	"splitSpeaker": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach, fmt.Sprintf(`speakerId: %q, utteranceIds: [%q], displayName: "Overwritten"`, w.voice(t, 1), w.line(t, 1))
	},
	"requestErasure": func(t *testing.T, w *world) (string, string) {
		return apptest.Owner, fmt.Sprintf(`clientId: %q, confirm: "Felix Adeyemi"`, one(t, w.env, "client", `SELECT id FROM clients WHERE name = 'Felix Adeyemi'`))
	},
	"mergeSpeakers": func(t *testing.T, w *world) (string, string) {
		return apptest.Coach2, fmt.Sprintf(`intoId: %q, ids: [%q]`, w.voiceIn(t, sofia2, 0), w.voiceIn(t, sofia2, 1))
	},
}

func (w *world) engagement(t *testing.T) string {
	return one(t, w.env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, w.uuid(t, jonas3.id(t, w.env)))
}

func (w *world) transcript(t *testing.T) string {
	return one(t, w.env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, w.uuid(t, jonas3.id(t, w.env)))
}

// voice is the n-th speaker of that transcript, and line the speaker's first line.
func (w *world) voice(t *testing.T, n int) string { return w.voiceIn(t, jonas3, n) }

func (w *world) voiceIn(t *testing.T, in demoSession, n int) string {
	return one(t, w.env, "speaker", `SELECT sp.id FROM speakers sp JOIN transcripts t ON t.id = sp.transcript_id
		WHERE t.session_id = $1 AND sp.merged_into IS NULL ORDER BY sp.ordinal LIMIT 1 OFFSET $2`, w.uuid(t, in.id(t, w.env)), n)
}

func (w *world) line(t *testing.T, of int) string {
	return one(t, w.env, "utterance", `SELECT id FROM utterances WHERE speaker_id = $1 ORDER BY index LIMIT 1`, w.uuid(t, w.voice(t, of)))
}

func (w *world) uuid(t *testing.T, key string) id.UUID {
	t.Helper()
	_, u, err := id.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// changes counts what the trail says about changes by anybody.
func (w *world) changes(t *testing.T) int {
	return value[int](t, w.env, `SELECT count(*) FROM audit_events WHERE actor_id IS NOT NULL AND action <> 'transcript.read'`)
}

// TestMutationsAreAudited does everything that can be done, and finds each in the trail. A mutation that is new is tried with its
// input in the table of TestMutationsOfOthers; if that changes nothing, it needs one in effective.
func TestMutationsAreAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mutation := func(v *viewer, name, input, key string) (written bool, answer string) {
		before := w.changes(t)
		declared, vars := "", apptest.Vars{}
		if key != "" {
			declared, vars = "($id: ID!)", apptest.Vars{"id": key}
		}
		r := v.client.Do(t, fmt.Sprintf("mutation%s { %s(input: {%s}) { userErrors { message } } }", declared, name, input), vars)
		return w.changes(t) > before, string(r.Body)
	}
	for _, f := range readSchema(t).Mutation.Fields {
		if prepare := effective[f.Name]; prepare != nil {
			who, input := prepare(t, w)
			i := slices.IndexFunc(w.viewers, func(v *viewer) bool { return v.who == who })
			if written, answer := mutation(w.viewers[i], f.Name, input, ""); !written {
				t.Errorf("%s by %s leaves no trace: %s", f.Name, who, answer)
			}
			continue
		}
		m, answer, tries := mutations[f.Name], "", 0
		written := slices.ContainsFunc(w.viewers, func(v *viewer) bool {
			return slices.ContainsFunc(w.facts, func(row *fact) (ok bool) {
				row = w.of(v, row.id)
				if tries >= 40 || !slices.Contains(strings.Fields(m.target), row.typ) ||
					!slices.ContainsFunc(grants(v, row), func(r relation) bool { return slices.Contains(m.may, r) }) {
					return false
				}
				tries++
				ok, answer = mutation(v, f.Name, m.input, row.id)
				return ok
			})
		})
		if !written {
			t.Errorf("%s leaves no trace, tried %d times, at last: %s", f.Name, tries, answer)
		}
	}
	w.wordless(t)
	announced(t, w.env) // what of it other systems are told fits the schemas
	// All of it is one chain, for the API and for an operator.
	if _, err := w.env.App.Sealer().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	operate := func() (string, error) {
		var out, errs strings.Builder
		err := app.Operate(t.Context(), func(name string) (string, bool) {
			v, ok := map[string]string{"DATABASE_URL": w.env.DatabaseURL, "RAPPORT_HOME": t.TempDir()}[name]
			return v, ok
		}, []string{"audit", "verify"}, &out, &errs)
		return out.String(), err
	}
	if said, err := operate(); err != nil || !strings.Contains(said, "harbor: ") || !strings.Contains(said, "0 wait for their seal, ends with ") {
		t.Errorf("rapport audit verify: %v: %s", err, said)
	}
	sql(t, w.env, `ALTER TABLE audit_events DISABLE TRIGGER USER`)
	w.exec(t, `UPDATE audit_events SET actor_id = NULL WHERE seq = 3 AND org_id = (SELECT id FROM organizations WHERE slug = 'harbor')`)
	w.exec(t, `UPDATE audit_events SET action = 'x.y' WHERE seq = 4 AND org_id = (SELECT id FROM organizations WHERE slug = 'harbor')`)
	if said, err := operate(); err == nil || !strings.Contains(said, "harbor: seal 1: the row with number 4 is not what was sealed") {
		t.Errorf("rapport audit verify of a forged trail: %v: %s", err, said)
	}
}

// TestChangesNobodyAsksFor has everything happen that jobs, sweeps and operators do, and compares the trail with the table in the record of
// the decision: what is done without anybody's asking is in both.
func TestChangesNobodyAsksFor(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t) // operators have let people in, and conversations are analysed
	if _, err := org.Found(t.Context(), env.DB, "found", "Found today"); err != nil {
		t.Fatal(err)
	}
	coach, owner := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner)
	client := func(name string) string { return one(t, env, "client", `SELECT id FROM clients WHERE name = $1`, name) }
	uploads := func() {
		t.Helper()
		sql(t, env, `UPDATE transcripts SET created_at = now() - interval '3 days' WHERE status = 'UPLOADING'`)
		if _, _, err := env.App.Services().Transcripts.SweepUploads(t.Context()); err != nil {
			t.Fatal(err)
		}
		env.Work(t)
	}
	const content = "A: Sent.\nB: Read.\n"
	up := announce(t, coach, amara5.id(t, env), content, nil)
	up.send(t, content)
	uploads()
	announceFor(t, coach, amara5.id(t, env), []byte(content)) // and will not come
	uploads()

	// Work that fails for good: the last attempt meets a refusal of the database.
	sql(t, env, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$`)
	failing := func(when, table string, begin func()) {
		t.Helper()
		sql(t, env, `CREATE TRIGGER refused BEFORE `+when+` FOR EACH ROW EXECUTE FUNCTION refuse()`)
		begin()
		sql(t, env, `UPDATE jobs SET attempt = max_attempts - 1 WHERE state = 'PENDING'`)
		env.Work(t)
		sql(t, env, `DROP TRIGGER refused ON `+table)
	}
	failing(`INSERT ON insights`, "insights", func() { imports(t, coach, amara5.id(t, env), conversation(t)) })
	copied := func(name string) {
		t.Helper()
		if _, errs := ask(t, owner, "requestDataExport", apptest.Vars{"clientId": client(name)}); len(errs) > 0 {
			t.Fatal(errs)
		}
	}
	sql(t, env, `CREATE TRIGGER refused BEFORE UPDATE ON data_requests FOR EACH ROW WHEN (NEW.status = 'COMPLETED') EXECUTE FUNCTION refuse()`)
	copied("Jonas Lindqvist")
	sql(t, env, `UPDATE jobs SET attempt = max_attempts - 1 WHERE state = 'PENDING'`)
	env.Work(t)
	sql(t, env, `DROP TRIGGER refused ON data_requests`)
	copied("Mei Tanaka")
	env.Work(t)

	_, _ = consents(t, coach, "withdrawConsent", apptest.Vars{"subjectId": client("Amara Okafor"), "scopes": []string{"TRANSCRIPTION"}})
	env.Work(t)
	if _, errs := ask(t, owner, "requestErasure", apptest.Vars{"clientId": client("Mei Tanaka"), "confirm": "Mei Tanaka"}); len(errs) > 0 {
		t.Fatal(errs)
	}
	env.Work(t)
	does(t, owner, "updateOrganization", "organization", "id", apptest.Vars{"id": one(t, env, "org", `SELECT id FROM organizations WHERE slug = 'harbor'`), "retentionDays": 1})
	if err := env.App.Services().Privacy.Schedule(t.Context()); err != nil {
		t.Fatal(err)
	}
	env.Work(t)
	complaint := mail.Outcome{Org: value[id.UUID](t, env, `SELECT id FROM organizations WHERE slug = 'harbor'`), Address: apptest.Coach2, What: mail.Complained, At: time.Now()}
	if err := env.App.Services().Notices.Hear(t.Context(), complaint); err != nil {
		t.Fatal(err)
	}
	if _, err := notice.Unsuppress(t.Context(), env.DB, apptest.Coach2, time.Now()); err != nil {
		t.Fatal(err)
	}

	written := regexp.MustCompile("`([a-z]+\\.[a-zA-Z]+)`")
	want := map[string]bool{}
	for line := range strings.Lines(read(t, "docs", "adr", "0015-the-audit-trail.md")) {
		if strings.HasPrefix(line, "|") {
			for _, m := range written.FindAllStringSubmatch(line, -1) {
				want[m[1]] = true
			}
		}
	}
	rows, err := env.DB.Query(t.Context(), `SELECT DISTINCT action FROM audit_events WHERE actor_id IS NULL AND action <> 'demo.write'`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range found {
		if !want[action] {
			t.Errorf("%s is done without anybody's asking, and is not in the table", action)
		}
		delete(want, action)
	}
	for action := range want {
		t.Errorf("%s is in the table, and nothing that was done has left it", action)
	}
	if n := value[int](t, env, `SELECT count(*) FROM analysis_runs r WHERE r.status = 'SUCCEEDED' AND (SELECT count(*) FROM audit_events a WHERE a.action = 'analysis.succeed' AND a.entity_id = r.id) <> 1`); n != 0 {
		t.Errorf("%d analyses are in the trail never, or twice", n)
	}
}

// aim finds one row to change, and the version of it that is seen.
func (w *world) aim(t *testing.T, prefix, query string) (key string, version int) {
	t.Helper()
	var row id.UUID
	if err := w.env.DB.QueryRow(t.Context(), query).Scan(&row, &version); err != nil {
		t.Fatal(err)
	}
	return id.Format(prefix, row), version
}

// wordless looks in the trail for every name, address and word there is.
func (w *world) wordless(t *testing.T) {
	t.Helper()
	w.look(t)
	trail := value[string](t, w.env, `SELECT string_agg(a::text, E'\n') FROM audit_events a`)
	looked := 0
	for _, f := range w.facts {
		for field, words := range f.text {
			if len(words) < 4 || field == "slug" {
				continue
			}
			if looked++; strings.Contains(trail, words) {
				t.Errorf("the audit trail holds %q, the %s of %s", words, field, f.id)
			}
		}
	}
	if looked < 1000 || !strings.Contains(trail, "transcript.read") {
		t.Errorf("only %d words were looked for in %d bytes", looked, len(trail))
	}
}

// traced is what the trail says of a response: the fields that were shown, by transcript.
func traced(t *testing.T, env *apptest.Env, request string) map[string]string {
	t.Helper()
	rows, err := env.DB.Query(t.Context(), `SELECT entity_id, array_to_string(fields, ' '), client_id IS NOT NULL FROM audit_events
		WHERE request_id = $1 AND action = 'transcript.read'`, request)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for rows.Next() {
		var key id.UUID
		var fields string
		var about bool
		if err := rows.Scan(&key, &fields, &about); err != nil {
			t.Fatal(err)
		}
		if _, twice := found[id.Format("transcript", key)]; twice || !about {
			t.Errorf("%s: written down twice, or about nobody", request)
		}
		words := strings.Fields(fields)
		slices.Sort(words)
		found[id.Format("transcript", key)] = strings.Join(words, " ")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestReadsAreAudited reads what was said in every way there is.
func TestReadsAreAudited(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, session := env.Login(t, apptest.Coach), jonas3.id(t, env)
	transcript := one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, (&world{env: env}).uuid(t, session))
	key := (&world{env: env}).uuid(t, transcript)
	utterance := one(t, env, "utterance", `SELECT id FROM utterances WHERE transcript_id = $1 ORDER BY index LIMIT 1`, key)
	citation := one(t, env, "citation", `SELECT id FROM citations WHERE transcript_id = $1 LIMIT 1`, key)
	insight := one(t, env, "insight", `SELECT insight_id FROM citations WHERE transcript_id = $1 LIMIT 1`, key)
	does(t, coach, "reviseUtterance", "utterance", "id", apptest.Vars{"utteranceId": utterance, "text": "Said otherwise."})
	revision := one(t, env, "revision", `SELECT id FROM utterance_revisions LIMIT 1`)
	for query, want := range map[string]string{
		`{transcript(id: "` + transcript + `") {utterances(first: 3) {nodes {text}}}}`:                                                                    "utterances",
		`{session(id: "` + session + `") {transcript {summary {sections {heading}} utterances(first: 1) {nodes {index}}}}}`:                               "summary utterances",
		`{a: transcript(id: "` + transcript + `") {utterances(first: 3) {totalCount nodes {id revisions {text}}}} b: node(id: "` + utterance + `") {id}}`: "revisions utterances",
		`{node(id: "` + utterance + `") {... on Utterance {text}}}`:                                                                                       "utterances",
		`{nodes(ids: ["` + revision + `"]) {... on UtteranceRevision {text}}}`:                                                                            "revisions",
		`{node(id: "` + citation + `") {... on Citation {quote}}}`:                                                                                        "citations",
		`{node(id: "` + insight + `") {... on Insight {citations {quote utterances {text}}}}}`:                                                            "citations utterances",
		`{insights(filter: {sessionIds: ["` + session + `"]}) {nodes {citations {quote}}}}`:                                                               "citations",
		`{transcript(id: "` + transcript + `") {skillEvidence {citations {quote utterances {text}}}}}`:                                                    "summary utterances",
		// Not what was said:
		`{transcript(id: "` + transcript + `") {id status title sha256 metrics {basis} speakers {displayName} utterances(first: 0) {totalCount}}}`: "",
		`{session(id: "` + session + `") {title insights {nodes {title}}}}`:                                                                        "",
	} {
		r := coach.Do(t, query, nil)
		if len(r.Errors) > 0 {
			t.Errorf("%s: %s", query, r.Body)
		}
		got := traced(t, env, r.Header.Get("X-Request-Id"))
		if got[transcript] != want || len(got) > 1 {
			t.Errorf("%s leaves %v, want %q", query, got, want)
		}
	}
	// Whoever is shown nothing has read nothing.
	r := env.Login(t, apptest.Owner).Do(t, `{node(id: "`+utterance+`") {id} nodes(ids: ["`+citation+`", "`+insight+`"]) {id ... on Insight {citations {id}}}}`, nil)
	if got := traced(t, env, r.Header.Get("X-Request-Id")); len(got) > 0 {
		t.Errorf("the owner, who sees nothing of it, has read %v: %s", got, r.Body)
	}
	// By a subscription: each event is a response.
	for name, subscribe := range map[string]func(testing.TB, string, apptest.Vars) *apptest.Subscription{"socket": coach.Subscribe, "events": coach.SubscribeSSE} {
		read := func() int {
			return value[int](t, env, `SELECT count(*) FROM audit_events WHERE entity_id = $1 AND action = 'transcript.read' AND fields = '{citations}'`, key)
		}
		before := read()
		sub := subscribe(t, `subscription($s: ID, $after: String) {insightEvents(sessionId: $s, after: $after) {... on InsightAdded {insight {citations {quote}}}}}`,
			apptest.Vars{"s": session, "after": env.Beginning(t, session)})
		for sub.Next(t); read() == before; {
			sub.Next(t)
		}
		sub.Close()
		if read() == before {
			t.Errorf("%s: an event leaves no trace", name)
		}
	}
	// And taken away.
	var export struct {
		ExportTranscript struct{ Export *struct{ URL string } }
	}
	coach.Must(t, `mutation($id: ID!) {exportTranscript(input: {transcriptId: $id, format: TEXT}) {export {url}}}`, apptest.Vars{"id": transcript}, &export)
	if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE entity_id = $1 AND action = 'transcript.export'`, key); n != 1 || export.ExportTranscript.Export == nil {
		t.Errorf("an export leaves %d rows", n)
	}
}

// TestAuditTrail reads and verifies the trail as owners do.
func TestAuditTrail(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Running())
	owner, coach := env.Login(t, apptest.Owner), env.Login(t, apptest.Coach)
	client := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "Nadia Berg"})["id"].(string)
	does(t, coach, "updateClient", "client", "id", apptest.Vars{"id": client, "name": "Nadia B.", "lifecycle": "DORMANT"})
	type event struct {
		ID, Action, Kind, EntityID string
		Sequence                   *int
		Actor, Client              *struct{ Name string }
		Fields                     []string
		Request                    *string
	}
	var got struct{ AuditEvents struct{ Nodes []event } }
	query := `query($c: ID!) {auditEvents(filter: {clientIds: [$c]}) {nodes {id sequence action kind entityId actor {name} client {name} fields request}}}`
	// Sealed within a moment by the worker of the program itself.
	testkit.Eventually(t, 20*time.Second, func() error {
		owner.Must(t, query, apptest.Vars{"c": client}, &got)
		if n := got.AuditEvents.Nodes; len(n) != 2 || n[0].Sequence == nil || n[1].Sequence == nil {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
	changed, made := got.AuditEvents.Nodes[0], got.AuditEvents.Nodes[1]
	if changed.Action != "client.update" || changed.Kind != "client" || changed.EntityID != client || changed.Actor.Name != "Ruth Calloway" || changed.Client.Name != "Nadia B." ||
		strings.Join(changed.Fields, " ") != "name lifecycle" || changed.Request == nil || made.Action != "client.create" || *made.Sequence >= *changed.Sequence {
		t.Errorf("%+v\n%+v", made, changed)
	}
	for filter, want := range map[string]int{
		`entityIds: ["` + client + `"], actions: ["client.create"]`:     1,
		`clientIds: ["` + client + `"], kinds: ["session"]`:             0,
		`clientIds: ["` + client + `"], before: "2026-01-01T00:00:00Z"`: 0,
		`clientIds: ["` + client + `"], after: "2020-01-01T00:00:00Z"`:  2,
		`actorIds: ["` + client + `"]`:                                  0,
	} {
		var n struct{ AuditEvents struct{ TotalCount int } }
		owner.Must(t, `{auditEvents(filter: {`+filter+`}) {totalCount}}`, nil, &n)
		if n.AuditEvents.TotalCount != want {
			t.Errorf("%s finds %d, want %d", filter, n.AuditEvents.TotalCount, want)
		}
	}
	type verification struct {
		VerifyAuditTrail struct {
			Whole, Complete bool
			CheckedEvents   int
			Problems        []struct{ Kind, Message string }
			Last            *struct {
				Number int
				Hash   string
			}
		}
	}
	const verify = `query($since: AuditSealInput) {verifyAuditTrail(since: $since, maxEvents: 100000) {whole complete checkedEvents problems {kind message} last {number hash} unsealedCount}}`
	var whole verification
	owner.Must(t, verify, nil, &whole)
	if v := whole.VerifyAuditTrail; !v.Whole || !v.Complete || v.CheckedEvents < 10 || v.Last == nil {
		t.Errorf("%+v", v)
	}
	last := apptest.Vars{"number": whole.VerifyAuditTrail.Last.Number, "hash": whole.VerifyAuditTrail.Last.Hash}
	var rest verification
	owner.Must(t, verify, apptest.Vars{"since": last}, &rest)
	if v := rest.VerifyAuditTrail; !v.Whole || v.CheckedEvents > 5 {
		t.Errorf("from there on: %+v", v)
	}
	last["hash"] = strings.Repeat("00", 32)
	owner.Must(t, verify, apptest.Vars{"since": last}, &rest)
	if v := rest.VerifyAuditTrail; v.Whole || v.Problems[0].Kind != "BROKEN" {
		t.Errorf("after another hash: %+v", v)
	}
	last["hash"] = "half"
	if r := owner.Do(t, verify, apptest.Vars{"since": last}); r.Code() != "INVALID" {
		t.Errorf("after no seal: %s", r.Body)
	}
	for _, who := range []string{apptest.Coach, apptest.Supervisor, apptest.ClientUser, apptest.Sponsor} {
		c := env.Login(t, who)
		if r := c.Do(t, verify, nil); r.Code() != "FORBIDDEN" {
			t.Errorf("%s verifies the trail: %s", who, r.Body)
		}
		if r := c.Do(t, `query($id: ID!) {auditEvents {totalCount nodes {id}} node(id: $id) {id}}`, apptest.Vars{"id": made.ID}); string(r.Data) != `{"auditEvents":{"totalCount":0,"nodes":[]},"node":null}` {
			t.Errorf("%s reads the trail: %s", who, r.Body)
		}
	}
}
