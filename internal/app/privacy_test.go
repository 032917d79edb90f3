package app_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// kept says of tables that no Store empties why they need none. Everything else that is in the database has one.
var kept = map[string]string{
	"organizations":       "no person",
	"users":               "the login: privacy.Service.login",
	"user_identities":     "the login",
	"memberships":         "the login",
	"supervisions":        "supervisor and coach",
	"engagement_sponsors": "who sponsors",
	"consent_texts":       "the organization's own words",
	"data_requests":       "receipts: ids, dates and counts",
	"retention_sweeps":    "dates and counts",
	"session_reminders":   "when somebody was reminded of a session",
	"tags":                "a coach's vocabulary: which was on the client goes with taggings, a name in it by privacy.Written",
	"jobs":                "ids and codes",
	"stream_topics":       "ids and cursors",
	"stream_events":       "kinds and ids",
	"audit_events":        "ids and names of fields, for good",
	"audit_seals":         "hashes of those",
	"audit_heads":         "hashes of those",
	"mail_suppressions":   "hashes of addresses that want no mail",
	"ses_messages":        "ids of mails",
	"outbox":              "kinds, ids and codes, until they are published",
	"dev_events":          "kinds, ids and codes",
	"unsubscribe_keys":    "a secret of the organization",
	"search_documents":    "copies for searching: go when what they are of does, by search.Service.Index",
	"search_words":        "the words of those copies: go with the last that has them",
	"search_completions":  "of those copies",
	"search_generations":  "numbers",
	"search_changes":      "ids, until they are indexed",
	"stamps":              "random numbers and names of tables",
	"idempotency_keys":    "for a day, what nobody can read but the client of the request",
	"stream_keys":         "a secret of the organization",
	"goose_db_version":    "goose's own",
	"vector_spaces":       "names of models, and counts",
	"vector_groups":       "ids and counts",
	"vectors":             "copies: a job takes them away after what they were made of",
	"search_embeddings":   "ids of vectors, until a job has removed those",
	"search_models":       "names of models",
	"search_waits":        "times, and what is waited for",
	"model_calls":         "tokens and money",
	"model_spending":      "tokens and money",
}

// A table that keeps something of clients has a Store that empties it, or is emptied with the transcripts. A new table fails here until
// somebody has decided.
func TestEveryTableIsErased(t *testing.T) {
	t.Parallel()
	env := apptest.New(t)
	erased := map[string]bool{}
	for _, s := range app.Personal() {
		erased[s.Table] = true
	}
	for _, r := range slices.Concat(insight.Derived, transcript.Kept) {
		erased[r.Table] = true
	}
	tables := rowCounts(t, env)
	for table := range tables {
		if _, exempt := kept[table]; !erased[table] && !exempt {
			t.Errorf("%s: add it to the Personal of its domain, or say in kept why it needs nothing", table)
		} else if erased[table] && exempt {
			t.Errorf("%s is kept, and erased", table)
		}
	}
	for _, table := range slices.Concat(slices.Collect(maps.Keys(erased)), slices.Collect(maps.Keys(kept))) {
		if _, there := tables[table]; !there {
			t.Errorf("there is no table %s", table)
		}
	}
}

// unsearched says of columns of text that an erasure looks for no name in, why not. Those of a Store that clears or deletes the client's own rows
// may still be those of others.
var unsearched = map[string]string{
	"utterances":                  "of conversations, which others are a part of, and of what quotes them",
	"utterance_revisions":         "of conversations, which others are a part of, and of what quotes them",
	"speakers":                    "of conversations, which others are a part of, and of what quotes them",
	"citations":                   "of conversations, which others are a part of, and of what quotes them",
	"insights":                    "of conversations, which others are a part of, and of what quotes them",
	"digests":                     "of conversations, which others are a part of, and of what quotes them",
	"utterance_codes":             "of conversations, which others are a part of, and of what quotes them",
	"analysis_runs":               "of conversations, which others are a part of, and of what quotes them",
	"session_metrics":             "of conversations, which others are a part of, and of what quotes them",
	"model_answers":               "of conversations, which others are a part of, and of what quotes them",
	"transcript_edit_changes":     "of conversations, which others are a part of, and of what quotes them",
	"transcript_edits":            "of conversations, which others are a part of, and of what quotes them",
	"themes.key":                  "an analyser's words, of a conversation",
	"themes.topic":                "an analyser's words, of a conversation",
	"agenda_topics.status":        "codes and ids",
	"engagements.status":          "codes and ids",
	"sessions.status":             "codes and ids",
	"sessions.type":               "codes and ids",
	"sessions.cancelled_by":       "codes and ids",
	"sessions.consents":           "codes and ids",
	"participants.role":           "codes and ids",
	"participants.consents":       "codes and ids",
	"transcripts.status":          "codes and ids",
	"transcripts.failure_code":    "codes and ids",
	"transcripts.failure_message": "codes and ids",
	"transcripts.format":          "codes and ids",
	"transcripts.language":        "codes and ids",
	"transcripts.warnings":        "codes and ids",
	"transcripts.wanted_format":   "codes and ids",
	"transcripts.blob_key":        "codes and ids",
	"goals.status":                "codes and ids",
	"action_items.status":         "codes and ids",
	"notes.visibility":            "codes and ids",
	"note_versions.visibility":    "codes and ids",
	"tags.color":                  "codes and ids",
	"saved_filters.filter":        "codes and ids",
	"saved_filters.search":        "codes",
	"ask_threads.filter":          "codes and ids",
	"ask_answers":                 "of conversations, which others are a part of, and of what quotes them",
	"live_utterances":             "of conversations, which others are a part of, and of what quotes them",
	"live_sessions.speakers":      "of conversations, which others are a part of, and of what quotes them",
	"live_sessions.source":        "names of recorders",
	"live_sessions.status":        "codes and ids",
	"live_sessions.end_reason":    "codes and ids",
	"live_sessions.language":      "codes and ids",
	"live_sessions.nudge_kinds":   "codes and ids",
	"live_sessions.measures":      "numbers",
	"live_sessions.rules":         "numbers",
	"live_nudges":                 "codes and ids",
	"ask_messages.status":         "codes and ids",
	"ask_messages.failure_code":   "codes and ids",
	"ask_messages.degraded":       "our own words",
	"ask_messages.engine":         "names of answerers",
	"ask_messages.engine_version": "names of answerers",
	"ask_messages.model":          "names of answerers",
	"ask_messages.prompt_version": "names of answerers",
	"clients":                     "who is called so, is so called",
	"client_formers":              "the client's own",
	"users":                       "who is called so, is so called",
	"user_identities":             "ids of an identity provider",
	"memberships":                 "codes",
	"organizations":               "the organization's own name",
	"consent_texts":               "the organization's own words",
	"consents":                    "codes",
	"invitations":                 "who is invited so",
	"remembered_speakers":         "a row that names the client goes",
	"data_requests":               "codes and counts",
	"retention_sweeps":            "counts",
	"outbox":                      "codes and ids",
	"dev_events":                  "codes and ids",
	"jobs":                        "ids and codes",
	"stream_topics":               "ids",
	"stream_events":               "ids",
	"audit_events":                "ids and names of fields",
	"notifications":               "codes and ids",
	"notification_preferences":    "codes",
	"email_deliveries":            "codes",
	"mail_suppressions":           "codes",
	"ses_messages":                "ids",
	"engagement_sponsors":         "codes",
	"search_documents":            "copies, written anew when what they are of is masked",
	"search_words":                "the words of those copies",
	"search_completions":          "of those copies",
	"search_changes":              "codes and ids",
	"stamps":                      "names of tables",
	"idempotency_keys":            "hashes",
	"search_embeddings":           "ids, and names of models",
	"search_models":               "names of models",
	"search_waits":                "what is waited for",
	"vectors":                     "ids, names of models, and numbers",
	"vector_groups":               "ids, and names of models",
	"vector_spaces":               "names of models",
	"transcript_exports":          "keys of files",
	"model_calls":                 "names of models",
	"model_spending":              "names of models",
}

// Where people write as they like they may name a client; a column of text that is new fails here until somebody has decided.
func TestEveryTextIsSearched(t *testing.T) {
	t.Parallel()
	env := apptest.New(t)
	searched := map[string]bool{}
	for _, text := range privacy.Written {
		for _, c := range text.Columns {
			searched[text.Table+"."+c] = true
		}
	}
	rows, err := env.DB.Query(t.Context(), `
		SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND (c.data_type IN ('text', 'character varying', 'json', 'jsonb') OR c.udt_name IN ('_text', '_varchar', '_jsonb'))
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range there {
		table, _, _ := strings.Cut(column, ".")
		_, one := unsearched[column]
		_, all := unsearched[table]
		switch known := one || all; {
		case !known && !searched[column]:
			t.Errorf("%s: add it to privacy.Written, or say in unsearched why no client is named in it", column)
		case known && searched[column]:
			t.Errorf("%s is searched, and is not", column)
		}
	}
	for column := range searched {
		if !slices.Contains(there, column) {
			t.Errorf("there is no text %s", column)
		}
	}
	for what := range unsearched {
		if !slices.ContainsFunc(there, func(column string) bool { return column == what || strings.HasPrefix(column, what+".") }) {
			t.Errorf("there is no %s", what)
		}
	}
}

// An action that came of an insight loses the words that were said when they are taken back; what a person has put in their place stays.
func TestWithdrawnWordsLeaveActions(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	her := clientOf(t, env, amara5.id(t, env))
	sql(t, env, `DELETE FROM action_items WHERE source_insight_id IS NOT NULL`)
	rows, err := env.DB.Query(t.Context(), `SELECT i.id FROM insights i JOIN sessions s ON s.id = i.session_id
		WHERE s.client_id = $1 AND i.kind = 'COMMITMENT' AND NOT EXISTS (SELECT FROM action_items a WHERE a.source_insight_id = i.id) ORDER BY i.id LIMIT 2`, uuid(t, her))
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil || len(found) != 2 {
		t.Fatalf("%v %v", found, err)
	}
	said := does(t, coach, "acceptInsightAsAction", "actionItem", "id title", apptest.Vars{"insightId": id.Format("insight", found[0])})
	reworded := does(t, coach, "acceptInsightAsAction", "actionItem", "id title", apptest.Vars{"insightId": id.Format("insight", found[1]), "title": "Settle the Thursday matter"})
	does(t, coach, "withdrawConsent", "subject", "__typename", apptest.Vars{"subjectId": her, "scopes": []string{"AI_ANALYSIS"}})
	env.Work(t)
	for _, tc := range []struct {
		action any
		title  string
	}{{said["id"], "Action agreed on "}, {reworded["id"], "Settle the Thursday matter"}} {
		var source *string
		title := value[string](t, env, `SELECT title FROM action_items WHERE id = $1`, uuid(t, tc.action.(string)))
		if source = value[*string](t, env, `SELECT source_insight_id::text FROM action_items WHERE id = $1`, uuid(t, tc.action.(string))); !strings.HasPrefix(title, tc.title) || source != nil {
			t.Errorf("%q, from %v; it was %v", title, source, said["title"])
		}
	}
}

// person is everything that tells of a client: names, addresses, words.
func person(t *testing.T, env *apptest.Env, client string) (words []string) {
	t.Helper()
	for _, query := range []string{
		`SELECT name FROM clients WHERE id = $1`,
		`SELECT email FROM clients WHERE id = $1 AND email IS NOT NULL`,
		`SELECT u.email FROM clients c JOIN users u ON u.id = c.user_id WHERE c.id = $1`,
		`SELECT title FROM engagements WHERE client_id = $1`,
		`SELECT title FROM sessions WHERE client_id = $1 AND length(title) > 12`,
		`SELECT t.filename FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE s.client_id = $1 AND t.filename IS NOT NULL`,
		`SELECT display_name FROM remembered_speakers WHERE client_id = $1`,
		`SELECT title FROM goals WHERE client_id = $1`,
		`SELECT title FROM action_items WHERE client_id = $1`,
		`SELECT v.body FROM note_versions v JOIN notes n ON n.id = v.note_id WHERE n.client_id = $1`,
		`SELECT r.text FROM utterance_revisions r JOIN utterances u ON u.id = r.utterance_id JOIN transcripts t ON t.id = u.transcript_id JOIN sessions s ON s.id = t.session_id WHERE s.client_id = $1`,
		`SELECT left(u.text, 60) FROM utterances u JOIN transcripts t ON t.id = u.transcript_id JOIN sessions s ON s.id = t.session_id WHERE s.client_id = $1 AND length(u.text) > 40 ORDER BY md5(u.text) LIMIT 150`,
		`SELECT i.title FROM insights i JOIN sessions s ON s.id = i.session_id WHERE s.client_id = $1 AND length(i.title) > 30 ORDER BY md5(i.title) LIMIT 30`,
	} {
		rows, err := env.DB.Query(t.Context(), query, uuid(t, client))
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if len(found) == 0 {
			t.Errorf("%s: finds nothing to look for", query)
		}
		words = append(words, found...)
	}
	return words
}

// hers is the condition that a client takes part in a session s.
const hers = `EXISTS (SELECT FROM participants p WHERE p.session_id = s.id AND (p.client_id = $1 OR p.user_id = (SELECT c.user_id FROM clients c WHERE c.id = $1)))`

// traces says where any of the words is left: in any column of any table, in any file, in the log.
func traces(t *testing.T, env *apptest.Env, words []string) (where []string) {
	t.Helper()
	rows, err := env.DB.Query(t.Context(), `
		SELECT c.table_name, string_agg(CASE c.data_type WHEN 'bytea' THEN format('encode(x.%I, ''escape'')', c.column_name) ELSE format('x.%I::text', c.column_name) END, ', ')
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' GROUP BY c.table_name ORDER BY c.table_name`)
	if err != nil {
		t.Fatal(err)
	}
	var table, columns string
	all := map[string]string{}
	if _, err := pgx.ForEachRow(rows, []any{&table, &columns}, func() error { all[table] = columns; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Fatalf("only %d tables", len(all))
	}
	for _, table := range slices.Sorted(maps.Keys(all)) {
		query := fmt.Sprintf(`SELECT w FROM unnest($1::text[]) w WHERE EXISTS (SELECT FROM %s x WHERE position(w IN concat_ws(' ', %s)) > 0)`, table, all[table])
		rows, err := env.DB.Query(t.Context(), query, words)
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		for _, w := range found {
			where = append(where, fmt.Sprintf("%s has %q", table, w))
		}
	}
	if err := filepath.WalkDir(env.Config.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if z, err := zip.NewReader(bytes.NewReader(content), int64(len(content))); err == nil { // a copy: words are not found in what is compressed
			for _, inside := range unpacked(t, z) {
				content = append(content, inside...)
			}
		}
		for _, w := range words {
			if bytes.Contains(content, []byte(w)) {
				where = append(where, fmt.Sprintf("%s has %q", path, w))
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	log := env.Log.String()
	for _, w := range words {
		if strings.Contains(log, w) {
			where = append(where, fmt.Sprintf("the log has %q", w))
		}
	}
	return where
}

type dataRequest struct {
	ID, Kind, Status string
	Client           *struct{ Name string }
	Counts           []struct {
		Store string
		Count int
	}
	CompletedAt, ExpiresAt *string
}

func (r dataRequest) counts() map[string]int {
	counts := map[string]int{}
	for _, c := range r.Counts {
		counts[c.Store] = c.Count
	}
	return counts
}

const requestFields = `id kind status client {name} counts {store count} completedAt expiresAt`

// ask asks for a copy or an erasure.
func ask(t *testing.T, c *apptest.Client, mutation string, input apptest.Vars) (r dataRequest, errs []userError) {
	t.Helper()
	kind := strings.ToUpper(mutation[:1]) + mutation[1:] + "Input!"
	var out struct {
		Out struct {
			DataRequest *dataRequest
			UserErrors  []userError
		}
	}
	c.Must(t, `mutation($in: `+kind+`) {out: `+mutation+`(input: $in) {dataRequest {`+requestFields+`} userErrors {code field message}}}`, apptest.Vars{"in": input}, &out)
	if out.Out.DataRequest != nil {
		r = *out.Out.DataRequest
	}
	return r, out.Out.UserErrors
}

func requested(t *testing.T, c *apptest.Client, key string) (r dataRequest) {
	t.Helper()
	var out struct{ Node dataRequest }
	c.Must(t, `query($id: ID!) {node(id: $id) {... on DataRequest {`+requestFields+`}}}`, apptest.Vars{"id": key}, &out)
	return out.Node
}

// lived has a client's data lie in every store there is.
func lived(t *testing.T, env *apptest.Env) (her string) {
	t.Helper()
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	her = clientOf(t, env, session)
	file := "WEBVTT\n\n00:00.000 --> 00:04.000\nRuth: What would the Wendlebury board say to it?\n\n00:05.000 --> 00:09.000\nThe Fennimore phone: I will write to the Wendlebury board tomorrow, before I lose heart.\n"
	sent := announce(t, coach, session, file, nil)
	if status := sent.send(t, file); status >= 300 {
		t.Fatalf("upload: %d", status)
	}
	complete(t, coach, sent.Transcript.ID)
	env.Work(t)
	key := sent.Transcript.ID
	phone := one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 AND label LIKE 'The Fennimore%'`, uuid(t, key))
	does(t, coach, "renameSpeaker", "edit", "id", apptest.Vars{"speakerId": phone, "displayName": "Amara of Wendlebury", "remember": true})
	line := one(t, env, "utterance", `SELECT id FROM utterances WHERE speaker_id = $1`, uuid(t, phone))
	does(t, coach, "reviseUtterance", "edit", "id", apptest.Vars{"utteranceId": line, "text": "I will write to the Wendlebury trustees tomorrow, before I lose heart."})
	for _, f := range []string{"WEBVTT", "JSON"} {
		coach.Must(t, `mutation($id: ID!, $f: TranscriptExportFormat!) {exportTranscript(input: {transcriptId: $id, format: $f}) {userErrors {code}}}`, apptest.Vars{"id": key, "f": f}, nil)
	}
	coach.Must(t, `mutation($id: ID!) {tag(input: {entityId: $id, name: "boundaries"}) {tag {id}}}`, apptest.Vars{"id": her}, nil)
	sql(t, env, `INSERT INTO notes (id, org_id, author_id, client_id, visibility, version, body)
		SELECT gen_random_uuid(), org_id, coach_id, id, 'PRIVATE', 1, 'Amara seems tired of Wendlebury.' FROM clients WHERE id = $1`, uuid(t, her))
	sql(t, env, `INSERT INTO note_versions (id, org_id, note_id, number, author_id, visibility, body)
		SELECT gen_random_uuid(), org_id, id, 1, author_id, visibility, body FROM notes WHERE client_id = $1 ON CONFLICT DO NOTHING`, uuid(t, her))
	// A note that was private twice before it was shared.
	note := does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": session, "body": "Wendlebury, once", "visibility": "PRIVATE"})["id"]
	for n, visibility := range []string{"PRIVATE", "SHARED_WITH_CLIENT"} {
		does(t, coach, "saveNote", "note", "id", apptest.Vars{"id": note, "expectedVersion": n + 1, "body": fmt.Sprintf("Wendlebury, again %d", n), "visibility": visibility})
	}
	sql(t, env, `INSERT INTO goals (id, org_id, client_id, coach_id, title) SELECT gen_random_uuid(), org_id, id, coach_id, 'Face the Wendlebury board' FROM clients WHERE id = $1`, uuid(t, her))
	sql(t, env, `INSERT INTO action_items (id, org_id, client_id, coach_id, created_by, title)
		SELECT gen_random_uuid(), org_id, id, coach_id, coach_id, 'Ring up Wendlebury' FROM clients WHERE id = $1`, uuid(t, her))
	sql(t, env, `INSERT INTO invitations (id, org_id, email, roles, token_hash, invited_by, expires_at)
		SELECT gen_random_uuid(), org_id, email, '{CLIENT}', sha256('her'), coach_id, now() FROM clients WHERE id = $1`, uuid(t, her))
	coach.Must(t, `mutation($filter: SessionFilter!) {createSavedFilter(input: {name: "Only Amara Okafor", filter: $filter}) {userErrors {code}}}`, apptest.Vars{"filter": apptest.Vars{"clientIds": []string{her}}}, nil)
	env.Work(t)
	return her
}

// mentioned has a client named where others are at home, and before under another name and address. It returns what says so.
func mentioned(t *testing.T, env *apptest.Env, her string) (words []string) {
	t.Helper()
	coach, owner := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner)
	jonas := jonas3.id(t, env)
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, jonas))
	group := does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "type": "GROUP", "title": "Jonas and Amara Okafor", "startsAt": time.Now().Add(-time.Hour)})["id"]
	does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": time.Now().Add(240 * time.Hour)})
	does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": group, "clientId": her, "role": "CLIENT"})
	does(t, coach, "addAgendaTopic", "topic", "id", apptest.Vars{"sessionId": group, "title": "What the Pemberley council wants"})
	does(t, coach, "startSession", "session", "id", apptest.Vars{"id": group})
	does(t, coach, "completeSession", "session", "id", apptest.Vars{"id": group})
	// She was a guest in another, under a name that nobody finds.
	observed := does(t, coach, "createSession", "session", "id", apptest.Vars{"engagementId": engagement, "startsAt": time.Now().Add(-2 * time.Hour)})["id"]
	guest := does(t, coach, "addParticipant", "participant", "id", apptest.Vars{
		"sessionId": observed, "userId": one(t, env, "user", `SELECT user_id FROM clients WHERE id = $1`, uuid(t, her)), "name": "The Pemberley guest", "role": "OBSERVER"})["id"]
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": guest, "scopes": []string{"TRANSCRIPTION", "AI_ANALYSIS"}})
	imports(t, coach, observed.(string), "Ruth: What did you see?\nThe Pemberley guest: I saw the Pemberley gate, and nobody in it.\n")
	// What she has promised in the first became an action, and a mail about her went to the coach.
	imports(t, coach, group.(string), "Ruth: What is next?\nAmara Okafor: I will write to the Pemberley council tomorrow, before I lose heart.\n")
	env.Work(t)
	promise := one(t, env, "insight", `SELECT id FROM insights WHERE session_id = $1 AND kind = 'COMMITMENT'`, uuid(t, group.(string)))
	does(t, coach, "acceptInsightAsAction", "actionItem", "id", apptest.Vars{"insightId": promise, "assigneeIds": []string{one(t, env, "user", `SELECT coach_id FROM sessions WHERE id = $1`, uuid(t, jonas))}})
	coach.Must(t, `mutation {updateNotificationPreferences(input: {quietHours: null}) {userErrors {code}}}`, nil, nil) // at whatever hour this runs
	does(t, owner, "rescheduleSession", "session", "id", apptest.Vars{
		"id": one(t, env, "session", `SELECT id FROM sessions WHERE client_id = $1 AND status = 'SCHEDULED' ORDER BY starts_at DESC LIMIT 1`, uuid(t, her)), "startsAt": time.Now().Add(480 * time.Hour)})
	env.Work(t)
	if where := strings.Join(traces(t, env, []string{"the Pemberley council tomorrow", "Session with Amara Okafor"}), "\n"); !strings.Contains(where, "action_items") || !strings.Contains(where, "/mail/") {
		t.Fatalf("the test says little: %s", where)
	}
	if n := value[int](t, env, `SELECT count(*) FROM agenda_topics WHERE title LIKE '%Pemberley%'`); n != 2 {
		t.Fatalf("%d topics", n)
	}
	does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": jonas, "name": "amara okafor", "role": "OBSERVER"})
	does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": group, "body": "AMARA  OKAFOR said little.", "visibility": "SHARED_WITH_ORG"})
	does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": jonas, "body": "As amara.before@pemberley.example wrote.", "visibility": "PRIVATE"})
	for _, other := range []string{"Erased client", "Amara Okafor"} {
		does(t, coach, "tag", "tag", "id", apptest.Vars{"entityId": jonas, "name": other})
	}
	tag := one(t, env, "tag", `SELECT id FROM tags WHERE name = 'Amara Okafor'`)
	user := one(t, env, "user", `SELECT user_id FROM clients WHERE id = $1`, uuid(t, her))
	for name, filter := range map[string]apptest.Vars{"Pemberley tags": {"tagIds": []string{tag}}, "Pemberley people": {"participantUserIds": []string{user}}, "Not Amara Okafor": {"statuses": []string{"COMPLETED"}}} {
		does(t, coach, "createSavedFilter", "savedFilter", "id", apptest.Vars{"name": name, "filter": filter})
	}
	for name, query := range map[string]string{"Pemberley searches": `council client:"Amara Okafor"`, "Pemberley mornings": "client:amara gate", "Pemberley evenings": "client:Ókafor gate", "Others": `"amara okafor" OR boss`} {
		does(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": name, "query": query})
	}
	for label, name := range map[string]string{"am o": "Amara Okafor", "the gate": "Pemberley gate"} {
		sql(t, env, `INSERT INTO remembered_speakers (org_id, client_id, coach_id, label, display_name, role) SELECT org_id, client_id, coach_id, $2, $3, 'CLIENT' FROM sessions WHERE id = $1`, uuid(t, jonas), label, name)
	}
	address := value[string](t, env, `SELECT email FROM clients WHERE id = $1`, uuid(t, her))
	does(t, coach, "updateClient", "client", "id", apptest.Vars{"id": her, "name": "Amara Nkemelu", "email": "amara.before@pemberley.example"})
	does(t, owner, "inviteMember", "invitation", "id", apptest.Vars{"email": "amara.before@pemberley.example", "roles": []string{"CLIENT"}})
	env.Work(t)
	does(t, coach, "updateClient", "client", "id", apptest.Vars{"id": her, "name": "Amara Okafor", "email": address})
	does(t, coach, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, jonas)), "title": "Ask Amara Nkemelu."})
	return []string{"Pemberley", "amara okafor", "AMARA", "Amara Nkemelu", "amara.before@pemberley.example"}
}

// After an erasure nothing in any table, file or log line tells who the client was or what was said.
func TestErasure(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	her, session := lived(t, env), amara5.id(t, env)
	amara, owner, coach := env.Login(t, apptest.ClientUser), env.Login(t, apptest.Owner), env.Login(t, apptest.Coach)
	words := append(person(t, env, her), mentioned(t, env, her)...)
	env.Index(t)
	if n := value[int](t, env, `SELECT count(*) FROM search_documents WHERE texts::text LIKE '%Amara%'`); n == 0 {
		t.Fatal("nothing of her can be searched: the test says little")
	}
	if before := traces(t, env, words); len(before) < len(words) {
		t.Fatalf("%d traces of %d words: the test says little", len(before), len(words))
	}
	_, _ = ask(t, amara, "requestDataExport", apptest.Vars{"clientId": her})
	env.Work(t)

	if _, errs := ask(t, amara, "requestErasure", apptest.Vars{"clientId": her, "confirm": "amara"}); briefly(errs) != "INVALID confirm" {
		t.Errorf("not confirmed: %+v", errs)
	}
	if r := coach.Do(t, `mutation($id: ID!) {requestErasure(input: {clientId: $id, confirm: "Amara Okafor"}) {userErrors {code}}}`, apptest.Vars{"id": her}); r.Code() != "FORBIDDEN" {
		t.Errorf("the coach erases: %s", r.Body)
	}
	asked, errs := ask(t, amara, "requestErasure", apptest.Vars{"clientId": her, "confirm": "Amara Okafor"})
	if asked.Status != "WAITING" {
		t.Fatalf("%+v %+v", asked, errs)
	}
	if again, _ := ask(t, amara, "requestErasure", apptest.Vars{"clientId": her, "confirm": "Amara Okafor"}); again.ID != asked.ID {
		t.Errorf("asked again: %+v", again)
	}
	env.Work(t)
	if value[string](t, env, `SELECT name FROM clients WHERE id = $1`, uuid(t, her)) != "Amara Okafor" {
		t.Fatal("erased before anybody decided")
	}
	// A hold forbids it.
	hold := `mutation($id: ID!, $h: Boolean!) {setLegalHold(input: {clientId: $id, hold: $h}) {client {legalHold} userErrors {code}}}`
	owner.Must(t, hold, apptest.Vars{"id": her, "h": true}, nil)
	if _, errs := ask(t, owner, "decideErasure", apptest.Vars{"requestId": asked.ID, "decision": "APPROVE"}); briefly(errs) != "LEGAL_HOLD " {
		t.Errorf("on hold: %+v", errs)
	}
	owner.Must(t, hold, apptest.Vars{"id": her, "h": false}, nil)
	for range 2 {
		if decided, errs := ask(t, owner, "decideErasure", apptest.Vars{"requestId": asked.ID, "decision": "APPROVE"}); decided.Status != "RUNNING" {
			t.Fatalf("%+v %+v", decided, errs)
		}
	}
	want := rowCounts(t, env)
	shared := value[int](t, env, `SELECT count(*) FROM note_versions v JOIN notes n ON n.id = v.note_id WHERE n.client_id = $1 AND v.visibility <> 'PRIVATE'`, uuid(t, her))
	private := value[int](t, env, `SELECT count(*) FROM note_versions v JOIN notes n ON n.id = v.note_id WHERE n.client_id = $1 AND v.visibility = 'PRIVATE'`, uuid(t, her))
	if shared == 0 || private == 0 {
		t.Fatalf("the test says little: %d versions are shared, %d private", shared, private)
	}
	others := value[int](t, env, `SELECT count(*) FROM utterances u JOIN transcripts t ON t.id = u.transcript_id JOIN sessions s ON s.id = t.session_id WHERE NOT `+hers, uuid(t, her))
	files := value[int](t, env, `SELECT count(*) FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE `+hers+` AND t.blob_key IS NOT NULL`, uuid(t, her))
	env.Work(t)

	r := requested(t, owner, asked.ID)
	if r.Status != "COMPLETED" || r.CompletedAt == nil || r.Client.Name != "Erased client" {
		t.Fatalf("%+v", r)
	}
	got := r.counts()
	if got["utterances"] != want["utterances"]-others || got["users"] != 1 || got["clients"] != 1 || got["files"] != files || files < 2 || got["transcript_exports"] != 2 || got["note_versions"] != shared+1 || got["notes"] > shared+1 {
		t.Errorf("the receipt says %v", got)
	}
	for _, trace := range traces(t, env, words) {
		t.Error(trace)
	}
	if left := value[int](t, env, `SELECT count(*) FROM utterances`); left != others {
		t.Errorf("%d utterances of others were %d", left, others)
	}
	if r := amara.Do(t, `{viewer {user {id}}}`, nil); r.Code() != "UNAUTHENTICATED" {
		t.Errorf("the login still works: %s", r.Body)
	}
	if title := value[string](t, env, `SELECT title FROM sessions WHERE type = 'GROUP' AND title IS NOT NULL`); title != "Jonas and Erased client" {
		t.Errorf("the session of several is %q", title)
	}
	if n := value[int](t, env, `SELECT count(*) FROM tags WHERE name LIKE 'Erased client%'`); n != 2 || got["tags"] != 1 || got["client_formers"] != 4 || got["remembered_speakers"] != 3 {
		t.Errorf("%d tags; the receipt says %v", n, got)
	}
	if n := value[int](t, env, `SELECT count(*) FROM sessions WHERE client_id = $1`, uuid(t, her)); n != 8 {
		t.Errorf("%d sessions have kept their dates", n)
	}
	if in := importInto(t, coach, session, "A: Once more.\nB: Yes.\n", nil); briefly(in.UserErrors) != "CONSENT_MISSING sessionId" {
		t.Errorf("imported after the erasure: %+v", in)
	}
	engagement := one(t, env, "engagement", `SELECT engagement_id FROM sessions WHERE id = $1`, uuid(t, session))
	before := rowCounts(t, env)
	about := one(t, env, "participant", `SELECT id FROM participants WHERE session_id = $1 AND role = 'CLIENT'`, uuid(t, session))
	ended := one(t, env, "session", `SELECT id FROM sessions WHERE client_id = $1 AND status = 'COMPLETED' ORDER BY id LIMIT 1`, uuid(t, her))
	if n := value[int](t, env, `SELECT count(*) FROM sessions WHERE client_id = $1 AND status = 'SCHEDULED'`, uuid(t, her)); n > 0 {
		t.Errorf("%d sessions are still planned", n)
	}
	for what, got := range map[string]changed{
		"a name":                       change(t, coach, "updateClient", "client", "id", apptest.Vars{"id": her, "name": "Amara"}),
		"a return":                     change(t, coach, "archiveClient", "client", "id", apptest.Vars{"id": her, "archived": false}),
		"a consent":                    change(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": her, "scopes": []string{"TRANSCRIPTION"}}),
		"an engagement":                change(t, coach, "createEngagement", "engagement", "id", apptest.Vars{"clientId": her, "title": "Again"}),
		"what an engagement is called": change(t, coach, "updateEngagement", "engagement", "id", apptest.Vars{"id": engagement, "title": "Amara"}),
		"what an owner calls it":       change(t, owner, "updateEngagement", "engagement", "id", apptest.Vars{"id": engagement, "title": "Amara"}),
		"why it goes on":               change(t, coach, "reopenEngagement", "engagement", "id", apptest.Vars{"id": engagement, "reason": "Amara is back"}),
		"what a session is called":     change(t, coach, "updateSession", "session", "id", apptest.Vars{"id": ended, "title": "Amara"}),
		"a topic":                      change(t, coach, "addAgendaTopic", "topic", "id", apptest.Vars{"sessionId": session, "title": "Amara"}),
		"a participant's name":         change(t, coach, "updateParticipant", "participant", "id", apptest.Vars{"id": about, "name": "Amara"}),
		"a participant":                change(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": "Amara", "role": "OBSERVER"}),
		"a tag":                        change(t, coach, "tag", "tag", "id", apptest.Vars{"entityId": her, "name": "Amara"}),
		"a session's tag":              change(t, coach, "tag", "tag", "id", apptest.Vars{"entityId": session, "name": "Amara"}),
		"a private note":               change(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": her, "body": "Amara", "visibility": "PRIVATE"}),
		"a filter":                     change(t, coach, "createSavedFilter", "savedFilter", "id", apptest.Vars{"name": "Amara", "filter": apptest.Vars{"clientIds": []string{her}}}),
		"a search":                     change(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": "Amara", "query": "boss", "filter": apptest.Vars{"clientIds": []string{her}}}),
		"a filter of an engagement":    change(t, coach, "createSavedFilter", "savedFilter", "id", apptest.Vars{"name": "Amara", "filter": apptest.Vars{"engagementIds": []string{engagement}}}),
		"a copy":                       change(t, owner, "requestDataExport", "dataRequest", "id", apptest.Vars{"clientId": her}),
		"a goal":                       change(t, coach, "createGoal", "goal", "id", apptest.Vars{"clientId": her, "title": "Again"}),
		"an action":                    change(t, coach, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": her, "title": "Again"}),
		"a note":                       change(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": session, "body": "Again"}),
	} {
		if briefly(got.userErrors) != "ERASED " {
			t.Errorf("%s is written about whom was erased: %s", what, got.response.Body)
		}
	}
	sameRows(t, before, rowCounts(t, env))
}

// What was under way when an erasure was decided is waited for, and erased with the rest; what begins later is refused.
func TestErasureWaitsForWhoWrites(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	owner, coach := env.Login(t, apptest.Owner), env.Login(t, apptest.Coach)
	jonas := one(t, env, "client", `SELECT id FROM clients WHERE name = 'Jonas Lindqvist'`)
	gate := shut(t, env, `INSERT ON audit_events FOR EACH ROW WHEN (NEW.action = 'goal.create')`)
	written, worked := make(chan changed, 1), make(chan struct{})
	goal := apptest.Vars{"clientId": jonas, "title": "Answer the Calloway letter"}
	go func() { written <- change(t, coach, "createGoal", "goal", "id", goal) }()
	gate.somebody()
	if asked, errs := ask(t, owner, "requestErasure", apptest.Vars{"clientId": jonas, "confirm": "Jonas Lindqvist"}); asked.Status != "RUNNING" {
		t.Fatalf("%+v %+v", asked, errs)
	}
	go func() { defer close(worked); env.Work(t) }()
	testkit.Eventually(t, 30*time.Second, func() error {
		if value[int](t, env, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%erasing%'`) == 0 {
			return errors.New("the erasure waits for nobody")
		}
		return nil
	})
	if late := change(t, coach, "createActionItem", "actionItem", "id", apptest.Vars{"clientId": jonas, "title": "Again"}); briefly(late.userErrors) != "ERASED " {
		t.Errorf("written meanwhile: %s", late.response.Body)
	}
	gate.release()
	if got := <-written; got.entity == nil {
		t.Errorf("what was under way: %s", got.response.Body)
	}
	<-worked
	if n := value[int](t, env, `SELECT count(*) FROM goals WHERE client_id = $1`, uuid(t, jonas)); n != 0 {
		t.Errorf("%d goals are left", n)
	}
}

// A server that is killed in the midst of an erasure goes on with it after the restart, and the receipt says what was erased, no more and no
// less.
func TestKilledDuringAnErasure(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	her := lived(t, env)
	words := append(person(t, env, her), mentioned(t, env, her)...)
	owner := env.Login(t, apptest.Owner)
	utterances := value[int](t, env, `SELECT count(*) FROM utterances u JOIN transcripts t ON t.id = u.transcript_id JOIN sessions s ON s.id = t.session_id WHERE `+hers, uuid(t, her))
	insights := value[int](t, env, `SELECT count(*) FROM insights i JOIN sessions s ON s.id = i.session_id WHERE `+hers, uuid(t, her))
	sessions := value[int](t, env, `SELECT count(*) FROM sessions WHERE client_id = $1 AND (title IS NOT NULL OR status = 'SCHEDULED') OR title LIKE '%Amara Okafor%'`, uuid(t, her))
	files := value[int](t, env, `SELECT count(*) FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE `+hers+` AND t.blob_key IS NOT NULL`, uuid(t, her))
	p := startProcess(t, env)
	gate := shut(t, env, `DELETE ON utterances FOR EACH ROW WHEN (OLD.index = 3)`)
	asked, errs := ask(t, p.With(owner.Token), "requestErasure", apptest.Vars{"clientId": her, "confirm": "Amara Okafor"})
	if asked.Status != "RUNNING" {
		t.Fatalf("%+v %+v", asked, errs)
	}
	for n, next := range []string{`UPDATE ON sessions FOR EACH ROW WHEN (NEW.title IS NULL)`, `UPDATE ON notes FOR EACH ROW`, `UPDATE ON clients FOR EACH ROW`, `UPDATE ON users FOR EACH ROW`, ``} {
		gate.somebody()
		p.kill()
		gate.release()
		buried(t, env)
		sql(t, env, `DROP TRIGGER gate ON `+[]string{"utterances", "sessions", "notes", "clients", "users"}[n])
		if next != "" {
			gate = shut(t, env, next)
		}
		p = startProcess(t, env)
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		if r := requested(t, owner, asked.ID); r.Status != "COMPLETED" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	got := requested(t, owner, asked.ID).counts()
	if got["utterances"] != utterances || got["insights"] != insights || got["sessions"] != sessions || got["clients"] != 1 || got["users"] != 1 || got["files"] != files {
		t.Errorf("the receipt says %v, there were %d utterances, %d insights and %d titles", got, utterances, insights, sessions)
	}
	if left := traces(t, env, words); len(left) > 0 {
		t.Errorf("%q", left)
	}
}

// What is made for others goes with whoever is named in it: a copy that is there, and one that is being made when somebody is erased.
func TestErasureLeavesNoCopies(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	owner, coach := env.Login(t, apptest.Owner), env.Login(t, apptest.Coach)
	jonas := one(t, env, "client", `SELECT id FROM clients WHERE name = 'Jonas Lindqvist'`)
	amara := one(t, env, "client", `SELECT id FROM clients WHERE name = 'Amara Okafor'`)
	does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": jonas, "body": "Ask Amara Okafor about it.", "visibility": "SHARED_WITH_CLIENT"})
	made, _ := ask(t, coach, "requestDataExport", apptest.Vars{"clientId": jonas})
	env.Work(t)
	if notes := fetched(t, coach, made.ID)["notes.json"]; !strings.Contains(notes, "Amara Okafor") {
		t.Fatalf("the test says little: %s", notes)
	}

	// Both copies have read the notes, and go no further; nor does the erasure, once it has looked for copies.
	hold, err := env.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release := sync.OnceFunc(func() { _ = hold.Rollback(background(t)) })
	t.Cleanup(release)
	if _, err := hold.Exec(t.Context(), `LOCK TABLE engagements IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	waiting := func(n int) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, func() error {
			if got := value[int](t, env, `SELECT count(*) FROM pg_locks WHERE relation = 'engagements'::regclass AND NOT granted`); got != n {
				return fmt.Errorf("%d wait", got)
			}
			return nil
		})
	}
	var working sync.WaitGroup
	theirs, _ := ask(t, owner, "requestDataExport", apptest.Vars{"clientId": jonas})
	hers, _ := ask(t, owner, "requestDataExport", apptest.Vars{"clientId": amara})
	working.Go(func() { env.Work(t) })
	waiting(2)
	erasure, _ := ask(t, owner, "requestErasure", apptest.Vars{"clientId": amara, "confirm": "Amara Okafor"})
	working.Go(func() { env.Work(t) })
	waiting(3)
	release()
	working.Wait()
	sql(t, env, `UPDATE jobs SET run_at = now() WHERE state = 'PENDING'`)
	env.Work(t)

	for request, want := range map[string]string{erasure.ID: "COMPLETED", theirs.ID: "COMPLETED", hers.ID: "FAILED"} {
		if r := requested(t, owner, request); r.Status != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	var gone struct {
		DownloadDataExport struct{ UserErrors []userError }
	}
	coach.Must(t, download, apptest.Vars{"id": made.ID}, &gone)
	if briefly(gone.DownloadDataExport.UserErrors) != "EXPIRED " {
		t.Errorf("a copy with the name is still there: %+v", gone)
	}
	if notes := fetched(t, coach, theirs.ID)["notes.json"]; !strings.Contains(notes, "Ask Erased client about it.") {
		t.Errorf("%s", notes)
	}
	for _, trace := range traces(t, env, []string{"Amara Okafor"}) {
		t.Error(trace)
	}
}

// A file of a transcript that is about to be handed out when an erasure begins is not left behind.
func TestErasureTakesWhatIsHandedOut(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	key := imports(t, coach, session, conversation(t))
	env.Work(t)
	said := value[string](t, env, `SELECT text FROM utterances WHERE transcript_id = $1 ORDER BY length(text) DESC LIMIT 1`, uuid(t, key))
	gate := shut(t, env, `INSERT ON transcript_exports FOR EACH ROW`)
	got := make(chan changed, 1)
	go func() {
		got <- change(t, coach, "exportTranscript", "export", "url", apptest.Vars{"transcriptId": key, "format": "TEXT"})
	}()
	gate.somebody()
	sql(t, env, `INSERT INTO data_requests (id, org_id, client_id, kind, status, requested_by) SELECT gen_random_uuid(), org_id, id, 'ERASURE', 'RUNNING', coach_id FROM clients WHERE id = $1`, uuid(t, clientOf(t, env, session)))
	gate.release()
	if out := <-got; briefly(out.userErrors) != "ERASED " {
		t.Errorf("%s", out.response.Body)
	}
	for _, trace := range traces(t, env, []string{said}) {
		if strings.Contains(trace, "/temporary/") {
			t.Error(trace)
		}
	}
}

const download = `mutation($id: ID!) {downloadDataExport(input: {requestId: $id}) {export {url filename} userErrors {code}}}`

// fetched is what is in a copy.
func fetched(t *testing.T, c *apptest.Client, request string) map[string]string {
	t.Helper()
	var out struct {
		DownloadDataExport struct {
			Export *struct{ URL, Filename string }
		}
	}
	c.Must(t, download, apptest.Vars{"id": request}, &out)
	if out.DownloadDataExport.Export == nil {
		t.Fatal("no link")
	}
	res, err := http.Get(out.DownloadDataExport.Export.URL) //nolint:noctx // of this very process
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return unpacked(t, z)
}

func unpacked(t *testing.T, z *zip.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(content)
	}
	return files
}

// A copy has what is the client's to have, for the client alone; the coach's own evidence and private notes are not in it.
func TestDataExport(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	her := lived(t, env)
	amara, owner, coach := env.Login(t, apptest.ClientUser), env.Login(t, apptest.Owner), env.Login(t, apptest.Coach)
	fetch := func(c *apptest.Client, request string) map[string]string {
		t.Helper()
		return fetched(t, c, request)
	}
	asked, errs := ask(t, amara, "requestDataExport", apptest.Vars{"clientId": her})
	if asked.Status != "RUNNING" {
		t.Fatalf("%+v %+v", asked, errs)
	}
	var early struct {
		DownloadDataExport struct{ UserErrors []userError }
	}
	amara.Must(t, download, apptest.Vars{"id": asked.ID}, &early)
	if briefly(early.DownloadDataExport.UserErrors) != "CONFLICT " {
		t.Errorf("before it is made: %+v", early)
	}
	env.Work(t)
	if r := requested(t, amara, asked.ID); r.Status != "COMPLETED" || r.counts()["transcripts"] != 4 || r.counts()["sessions"] != 8 || r.ExpiresAt == nil {
		t.Errorf("%+v", r)
	}
	files := fetch(amara, asked.ID)
	for name, want := range map[string]string{
		"README.txt": "not in it", "clients.json": "Amara Okafor", "sessions.json": "Second line and Thursdays", "insights.json": `"kind"`, "citations.json": `"quote"`,
		"consents.json": "AI_ANALYSIS", "remembered_speakers.json": "Amara of Wendlebury",
	} {
		if !strings.Contains(strings.ToLower(files[name]), strings.ToLower(want)) {
			t.Errorf("%s is without %q: %.300s", name, want, files[name])
		}
	}
	if n := value[int](t, env, `SELECT count(DISTINCT entity_id) FROM audit_events WHERE action = 'transcript.export' AND actor_id = (SELECT user_id FROM clients WHERE id = $1)`, uuid(t, her)); n != 4 {
		t.Errorf("%d transcripts were handed out, by the trail", n)
	}
	vtt, txt := 0, 0
	for name, content := range files {
		switch filepath.Ext(name) {
		case ".vtt":
			vtt++
		case ".txt":
			txt++
		}
		for _, secret := range []string{"COACH_SKILL", "seems tired", "org_id", "role_confidence", `"version"`} {
			if strings.Contains(content, secret) || strings.HasPrefix(name, "note") && strings.Contains(content, `"number"`) {
				t.Errorf("%s has %s", name, secret)
			}
		}
	}
	if vtt != 4 || txt != 5 {
		t.Errorf("%d .vtt, %d .txt: %v", vtt, txt, slices.Sorted(maps.Keys(files)))
	}
	// Nobody gets what somebody else can fetch for themselves.
	onBehalf, _ := ask(t, owner, "requestDataExport", apptest.Vars{"clientId": her})
	env.Work(t)
	for _, tc := range []struct {
		c       *apptest.Client
		request string
	}{{owner, onBehalf.ID}, {coach, onBehalf.ID}, {coach, asked.ID}} {
		if r := tc.c.Do(t, download, apptest.Vars{"id": tc.request}); r.Code() != "FORBIDDEN" {
			t.Errorf("somebody else fetches: %s", r.Body)
		}
	}
	_ = fetch(amara, onBehalf.ID)
	// Who has no login gets it from the coach, whoever has asked for it: the conversations with that coach alone.
	mei := one(t, env, "client", `SELECT id FROM clients WHERE name = 'Mei Tanaka'`)
	sql(t, env, `INSERT INTO notes (id, org_id, author_id, client_id, visibility, version, body)
		SELECT gen_random_uuid(), c.org_id, u.id, c.id, 'SHARED_WITH_CLIENT', 1, 'As the Aldermaston ledgers say.' FROM clients c, users u WHERE c.id = $1 AND u.email = $2`, uuid(t, mei), apptest.Coach2)
	asked, _ = ask(t, owner, "requestDataExport", apptest.Vars{"clientId": mei})
	env.Work(t)
	if r := owner.Do(t, download, apptest.Vars{"id": asked.ID}); r.Code() != "FORBIDDEN" {
		t.Errorf("an owner reads conversations: %s", r.Body)
	}
	if files := fetch(coach, asked.ID); strings.Contains(files["notes.json"], "Aldermaston") || !strings.Contains(files["README.txt"], "transcripts/                 2") {
		t.Errorf("%s", files["README.txt"])
	}
	sql(t, env, `UPDATE data_requests SET completed_at = now() - interval '2 days' WHERE id = $1`, uuid(t, asked.ID))
	coach.Must(t, download, apptest.Vars{"id": asked.ID}, &early)
	if briefly(early.DownloadDataExport.UserErrors) != "EXPIRED " {
		t.Errorf("expired: %+v", early)
	}
	// Nor does anybody get a link to what an erasure has removed.
	asked, _ = ask(t, coach, "requestDataExport", apptest.Vars{"clientId": mei})
	env.Work(t)
	_ = fetch(coach, asked.ID)
	if erased, errs := ask(t, owner, "requestErasure", apptest.Vars{"clientId": mei, "confirm": "Mei Tanaka"}); len(errs) > 0 {
		t.Fatalf("%+v %+v", erased, errs)
	}
	env.Work(t)
	early.DownloadDataExport.UserErrors = nil
	coach.Must(t, download, apptest.Vars{"id": asked.ID}, &early)
	if briefly(early.DownloadDataExport.UserErrors) != "EXPIRED " {
		t.Errorf("of an erased copy: %+v", early)
	}
}

type retentionReport struct {
	Days   int
	Stores []struct {
		Store  string
		Count  int
		Oldest string
	}
	LastSweep *struct {
		Days   int
		Stores []struct {
			Store string
			Count int
		}
	}
}

// questioned has a coach ask about what was said lately and long ago. Two answers quote two conversations each; one of them quotes those of a
// client on hold.
func questioned(t *testing.T, env *apptest.Env) {
	t.Helper()
	asked := func(words string, about any, days ...int) {
		sql(t, env, `WITH t AS (
				INSERT INTO ask_threads (id, org_id, owner_id, client_id, asked_at)
				SELECT gen_random_uuid(), s.org_id, s.coach_id, c.id, now() - make_interval(days => $4) FROM sessions s LEFT JOIN clients c ON c.name = $2 WHERE s.id = $5 RETURNING *)
			INSERT INTO ask_messages (id, org_id, thread_id, ordinal, question, status, created_at)
			SELECT gen_random_uuid(), t.org_id, t.id, n, $1 || ' ' || days, 'ANSWERED', now() - make_interval(days => days) FROM t, unnest($3::int[]) WITH ORDINALITY AS a (days, n)`,
			words, about, days, days[len(days)-1], uuid(t, amara2.id(t, env)))
	}
	asked("of whomever", nil, 40, 30, 1)
	asked("of a client", "Amara Okafor", 30)
	asked("of a held client", "Jonas Lindqvist", 30)
	asked("of what is held", nil, 30)
	for question, client := range map[string]string{"of a client 30": "Amara Okafor", "of what is held 30": "Jonas Lindqvist"} {
		sql(t, env, `INSERT INTO ask_answers (org_id, message_id) SELECT org_id, id FROM ask_messages WHERE question = $1`, question)
		sql(t, env, `INSERT INTO ask_sources (org_id, message_id, transcript_id)
			SELECT m.org_id, m.id, t.id FROM ask_messages m, transcripts t JOIN sessions s ON s.id = t.session_id JOIN clients c ON c.id = s.client_id
			WHERE m.question = $1 AND c.name = $2 AND s.starts_at < now() - interval '30 days' ORDER BY t.id LIMIT 2`, question, client)
	}
	if n := value[int](t, env, `SELECT count(*) FROM ask_sources`); n != 4 {
		t.Fatalf("the answers quote %d conversations", n)
	}
}

// The report counts exactly what the sweep then removes; what is newer, on hold, or another organization's stays.
func TestRetention(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	_ = lived(t, env)
	owner := env.Login(t, apptest.Owner)
	report := func(args string) (r retentionReport) {
		t.Helper()
		var out struct {
			Viewer struct {
				Organization struct{ RetentionReport *retentionReport }
			}
		}
		owner.Must(t, `{viewer {organization {retentionReport`+args+` {days stores {store count oldest} lastSweep {days stores {store count}}}}}}`, nil, &out)
		if out.Viewer.Organization.RetentionReport != nil {
			r = *out.Viewer.Organization.RetentionReport
		}
		return r
	}
	if r := report(""); r.Days != 0 {
		t.Errorf("without a policy: %+v", r)
	}
	if r := owner.Do(t, `{viewer {organization {retentionReport(days: 0) {days}}}}`, nil); r.Code() != "INVALID" {
		t.Errorf("0 days: %s", r.Body)
	}
	sweep := func() {
		t.Helper()
		if err := env.App.Services().Privacy.Schedule(t.Context()); err != nil {
			t.Fatal(err)
		}
		env.Work(t)
	}
	before := rowCounts(t, env)
	sweep()
	sameRows(t, before, rowCounts(t, env))

	org := one(t, env, "org", `SELECT id FROM organizations WHERE slug = 'harbor'`)
	sql(t, env, `UPDATE clients SET legal_hold = true WHERE name = 'Jonas Lindqvist'`)
	questioned(t, env)
	before = rowCounts(t, env)
	held := value[int](t, env, `SELECT count(*) FROM transcripts t JOIN sessions s ON s.id = t.session_id JOIN clients c ON c.id = s.client_id WHERE c.legal_hold`)
	does(t, owner, "updateOrganization", "organization", "retentionDays", apptest.Vars{"id": org, "retentionDays": 20})
	want := report("")
	if want.Days != 20 || len(want.Stores) < 8 || want.Stores[0].Oldest == "" || want.LastSweep != nil {
		t.Fatalf("%+v", want)
	}
	if len(report("(days: 30000)").Stores) != 0 {
		t.Error("a century has something to remove")
	}
	fresh := value[int](t, env, `SELECT count(*) FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE s.starts_at > now() - interval '20 days'`)
	if fresh == 0 || held == 0 {
		t.Fatalf("the test says little: %d fresh, %d held", fresh, held)
	}
	sweep()
	after := rowCounts(t, env)
	got := report("")
	if len(got.Stores) != 0 || got.LastSweep == nil || got.LastSweep.Days != 20 {
		t.Fatalf("%+v", got)
	}
	removed := map[string]int{}
	for _, s := range got.LastSweep.Stores {
		removed[s.Store] = s.Count
	}
	if len(removed) != len(want.Stores) {
		t.Errorf("reported %v, removed %v", want.Stores, removed)
	}
	for _, s := range want.Stores {
		if removed[s.Store] != s.Count {
			t.Errorf("%s: reported %d, removed %d", s.Store, s.Count, removed[s.Store])
		}
		if n := before[s.Store] - after[s.Store]; s.Store != transcript.Files && n != s.Count {
			t.Errorf("%s: reported %d, %d rows are gone", s.Store, s.Count, n)
		}
	}
	if left := value[string](t, env, `SELECT string_agg(question, ', ' ORDER BY question) FROM ask_messages`); left != "of a held client 30, of what is held 30, of whomever 1" {
		t.Errorf("questions that are left: %s", left)
	}
	if n := value[int](t, env, `SELECT count(*) FROM ask_threads`); n != 3 {
		t.Errorf("%d threads are left", n)
	}
	for _, table := range []string{"sessions", "engagements", "clients", "participants", "consents", "notes"} {
		if after[table] != before[table] {
			t.Errorf("%s: %d rows are %d", table, before[table], after[table])
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM transcripts t JOIN sessions s ON s.id = t.session_id JOIN clients c ON c.id = s.client_id WHERE c.legal_hold`); n != held {
		t.Errorf("%d of %d held transcripts are left", n, held)
	}
	if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE action IN ('retention.sweep', 'transcript.remove')`); n != removed["transcripts"]+1 {
		t.Errorf("%d audit rows", n)
	}
	sweep()
	sameRows(t, after, rowCounts(t, env))
}
