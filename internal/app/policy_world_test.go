package app_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// viewer is somebody who tries to see things.
type viewer struct {
	who     string // for people who read the test's output
	email   string
	tenant  string // slug of the organization
	client  *apptest.Client
	org     id.UUID
	user    id.UUID
	roles   []string
	coaches []id.UUID // whom the viewer supervises
}

func (v *viewer) is(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(v.roles, r) })
}

// fact is what the database says about a row: independent of any scope of the product.
type fact struct {
	typ, id     string
	org         id.UUID
	everybody   bool      // every member's alike
	self        id.UUID   // whom it is about
	coaches     []id.UUID // whose it is
	clients     []id.UUID // the logins of its clients
	sponsors    []id.UUID
	informed    []id.UUID // those of the sponsors who may see progress
	supervises  []id.UUID // of a person, the coaches
	consent     bool      // everybody in the session but the coach agrees to supervision
	shared      bool      // the transcript, with the client
	accepted    bool      // the insight, and it is meant for the client
	supervisory bool      // the insight is not private to the coach, or evidence of skill
	text        map[string]string
}

// world is a practice with somebody in every position, and everything in it.
type world struct {
	env     *apptest.Env
	viewers []*viewer
	facts   []*fact
	byID    map[string]*fact
	looked  time.Time // what is written into the audit trail later is the test's own doing
}

// The people that the demo lacks. Each stands for a case that a rule may get wrong.
var others = []struct {
	tenant, email, name string
	roles               []auth.Role
}{
	{"harbor", "admin@harbor.example", "Ada Quillfeather", []auth.Role{auth.RoleAdmin}},
	{"harbor", "supervisor2@harbor.example", "Bram Oxenholt", []auth.Role{auth.RoleSupervisor}},
	{"harbor", "client2@harbor.example", "Jonas Lindqvist", []auth.Role{auth.RoleClient}},
	{"harbor", "sponsor2@harbor.example", "Petra Wrangham", []auth.Role{auth.RoleSponsor}},
	{"harbor", "ownercoach@harbor.example", "Olive Trescothick", []auth.Role{auth.RoleOwner, auth.RoleCoach}},
	{"harbor", "coachclient@harbor.example", "Hanna Vogel", []auth.Role{auth.RoleCoach, auth.RoleClient}},
	{"harbor", "former@harbor.example", "Fergus Zelenka", []auth.Role{auth.RoleCoach}},
	{"harbor", "both@harbor.example", "Xenia Varga", []auth.Role{auth.RoleCoach}},
	{"lumen", "both@harbor.example", "Xenia Varga", []auth.Role{auth.RoleSponsor}},
	{"lumen", "admin@lumen.example", "Lorcan Yelland", []auth.Role{auth.RoleAdmin}},
}

// newWorld fills the demo up with what it lacks: every relation to every kind of row, and a value in every field.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{env: apptest.Demo(t, apptest.Config(func(c *config.Config) {
		c.HTTP.MaxQueryTokens, c.HTTP.MaxQueryCost = 1<<20, 1<<40 // the walk asks for everything at once
	}))}
	for _, o := range others {
		if err := pgx.BeginFunc(t.Context(), w.env.DB, func(tx pgx.Tx) error {
			_, err := org.Join(t.Context(), tx, org.ID{UUID: w.id(t, `SELECT id FROM organizations WHERE slug = $1`, o.tenant)}, org.NewMember{
				Email: o.email, Name: o.name, TimeZone: "Europe/Riga", Roles: o.roles,
				Identity: &org.Identity{Issuer: "http://rapport.localhost/dev", Subject: o.email},
			})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.fill(t)
	for _, who := range []string{apptest.Owner, "admin@harbor.example", apptest.Coach, apptest.Coach2, apptest.Supervisor, "supervisor2@harbor.example",
		apptest.ClientUser, "client2@harbor.example", apptest.Sponsor, "sponsor2@harbor.example", "ownercoach@harbor.example",
		"coachclient@harbor.example", "former@harbor.example", apptest.Lumen, "admin@lumen.example"} {
		tenant, _, _ := strings.Cut(who[strings.Index(who, "@")+1:], ".")
		w.enter(t, who, who, tenant, w.env.Login(t, who))
	}
	for _, tenant := range []string{"harbor", "lumen"} {
		w.enter(t, "both@ in "+tenant, "both@harbor.example", tenant, w.env.With(tokenFor(t, w.env, "both@harbor.example", tenant)))
	}
	w.look(t)
	return w
}

// tokenFor signs a person in to one of several organizations.
func tokenFor(t *testing.T, env *apptest.Env, email, tenant string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(env.Config.Home, "dev-signing-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return apptest.Sign(t, key.(ed25519.PrivateKey), map[string]any{
		"iss": "http://rapport.localhost/dev", "aud": "rapport", "sub": email, "email": email, "org": tenant,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
}

func (w *world) id(t *testing.T, sql string, args ...any) (key id.UUID) {
	t.Helper()
	if err := w.env.DB.QueryRow(t.Context(), sql, args...).Scan(&key); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return key
}

func (w *world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	tag, err := w.env.DB.Exec(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if tag.RowsAffected() == 0 {
		t.Fatalf("%s: does nothing", sql)
	}
}

func (w *world) person(t *testing.T, email string) id.UUID {
	t.Helper()
	return w.id(t, `SELECT id FROM users WHERE email = $1`, email)
}

func (w *world) session(t *testing.T, engagement string, number int) id.UUID {
	t.Helper()
	return w.id(t, `SELECT s.id FROM sessions s JOIN engagements e ON e.id = s.engagement_id WHERE e.title = $1 AND s.number = $2`, engagement, number)
}

// engage gives a coach an engagement with a client and one session held.
func (w *world) engage(t *testing.T, client id.UUID, coach, title string) (engagement, session id.UUID) {
	t.Helper()
	engagement, session = id.New(), id.New()
	w.exec(t, `INSERT INTO engagements (id, org_id, client_id, coach_id, title, status, sessions_included, starts_on, ends_on)
		SELECT $1, org_id, id, $3, $4, 'ACTIVE', 3, '2026-01-05', '2026-12-18' FROM clients WHERE id = $2`, engagement, client, w.person(t, coach), title)
	w.exec(t, `INSERT INTO sessions (id, org_id, engagement_id, client_id, coach_id, number, status, title, starts_at, duration_minutes)
		SELECT $1, org_id, id, client_id, coach_id, 1, 'COMPLETED', title || ', opening', '2026-02-03 10:00Z', 45 FROM engagements WHERE id = $2`, session, engagement)
	w.exec(t, `INSERT INTO participants (id, org_id, session_id, user_id, client_id, name, role)
		SELECT $1, s.org_id, s.id, c.user_id, c.id, c.name, 'CLIENT' FROM sessions s JOIN clients c ON c.id = s.client_id WHERE s.id = $2`, id.New(), session)
	return engagement, session
}

func (w *world) addClient(t *testing.T, coach, name string, login *id.UUID) id.UUID {
	t.Helper()
	key := id.New()
	w.exec(t, `INSERT INTO clients (id, org_id, coach_id, user_id, name, email)
		SELECT $1, org_id, user_id, $3, $4, 'someone@' || lower(replace($4, ' ', '-')) || '.example' FROM memberships WHERE user_id = $2
		ORDER BY created_at LIMIT 1`, key, w.person(t, coach), login, name)
	w.exec(t, `INSERT INTO consents (id, org_id, client_id, scope, text_version, source, recorded_by)
		SELECT gen_random_uuid(), org_id, id, unnest(ARRAY['TRANSCRIPTION', 'AI_ANALYSIS']), 1, 'FORM', coach_id FROM clients WHERE id = $1`, key)
	return key
}

// talk imports a conversation as the session's coach.
func (w *world) talk(t *testing.T, coach *apptest.Client, session id.UUID, secret string) {
	t.Helper()
	content := "WEBVTT\n"
	for i, line := range []string{"Vesper: What would you like to leave with today?", "Corvin: I will write to the board about " + secret + " by Friday.",
		"Vesper: What makes " + secret + " matter to you?", "Corvin: I feel relieved, because " + secret + " was always mine to say."} {
		content += fmt.Sprintf("\n%d\n00:00:%02d.000 --> 00:00:%02d.000\n%s\n", i+1, i*10, i*10+7, line)
	}
	var out struct{ ImportTranscript imported }
	coach.Must(t, importMutation, apptest.Vars{"session": id.Format("session", session), "content": content, "filename": secret + ".vtt"}, &out)
	if out.ImportTranscript.Transcript == nil {
		t.Fatalf("%+v", out)
	}
	w.env.Work(t)
}

func (w *world) fill(t *testing.T) {
	t.Helper()
	const amara, jonas, mei = "First year as an engineering manager", "Two founders, one company", "Answering the partnership letter"
	login := func(email string) *id.UUID { u := w.person(t, email); return &u }
	clientOf := func(name string) id.UUID { return w.id(t, `SELECT id FROM clients WHERE name = $1`, name) }

	w.exec(t, `UPDATE organizations SET retention_days = 365, model_monthly_limit_micros = 5000000`)
	w.exec(t, `UPDATE clients SET user_id = $1 WHERE name = 'Jonas Lindqvist'`, login("client2@harbor.example"))
	w.exec(t, `UPDATE clients SET user_id = $1 WHERE name = 'Hanna Vogel'`, login("coachclient@harbor.example"))
	w.exec(t, `UPDATE participants p SET user_id = c.user_id FROM clients c WHERE c.id = p.client_id AND c.user_id IS NOT NULL`)
	for supervisor, coach := range map[string]string{"supervisor2@harbor.example": apptest.Coach2, "former@harbor.example": apptest.Coach} {
		w.exec(t, `INSERT INTO supervisions (org_id, supervisor_id, coach_id) SELECT org_id, $1, $2 FROM memberships WHERE user_id = $1`,
			w.person(t, supervisor), w.person(t, coach))
	}
	sponsor := func(email, engagement string, grants ...string) {
		w.exec(t, `INSERT INTO engagement_sponsors (org_id, engagement_id, user_id, grants) SELECT org_id, id, $2, $3 FROM engagements WHERE title = $1`,
			engagement, w.person(t, email), append([]string{}, grants...))
	}
	sponsor("sponsor2@harbor.example", "Back from leave", "SESSION_DATES")
	sponsor("sponsor2@harbor.example", mei, "PROGRESS")
	sponsor("both@harbor.example", "After a founder")

	// One client of two coaches: each sees the client, and only their own conversations.
	_, shared := w.engage(t, clientOf("Mei Tanaka"), apptest.Coach2, "A second opinion for Mei")
	w.talk(t, w.env.Login(t, apptest.Coach2), shared, "the Montrose ledger")
	// Owner and coach in one person; a coach who is somebody's client; a coach here who is a sponsor there.
	_, own := w.engage(t, w.addClient(t, "ownercoach@harbor.example", "Quentin Abernathy", nil), "ownercoach@harbor.example", "Quentin takes the lab")
	w.talk(t, w.env.Login(t, "ownercoach@harbor.example"), own, "the Pemberley vault")
	_, own = w.engage(t, w.addClient(t, "coachclient@harbor.example", "Ysolde Marchbanks", nil), "coachclient@harbor.example", "Ysolde and the orchestra")
	w.talk(t, w.env.Login(t, "coachclient@harbor.example"), own, "the Larkspur fund")
	_, own = w.engage(t, w.addClient(t, "both@harbor.example", "Roderick Ainslie", nil), "both@harbor.example", "Roderick, between two houses")
	w.talk(t, w.env.With(tokenFor(t, w.env, "both@harbor.example", "harbor")), own, "the Kestrel merger")
	// Somebody who was all of it, and holds no role for it any more.
	gone := w.addClient(t, "former@harbor.example", "Wilhelmina Prowse", login("former@harbor.example"))
	_, own = w.engage(t, gone, "former@harbor.example", "Wilhelmina changes trades")
	w.talk(t, w.env.Login(t, "former@harbor.example"), own, "the Hollingbourne will")
	w.exec(t, `INSERT INTO tags (id, org_id, owner_id, name, color) SELECT gen_random_uuid(), org_id, user_id, 'Zelenka, private', '#123456' FROM memberships WHERE user_id = $1`,
		w.person(t, "former@harbor.example"))
	w.exec(t, `UPDATE memberships SET roles = '{SPONSOR}' WHERE user_id = $1`, w.person(t, "former@harbor.example"))

	// A transcript that its supervisor and its client read, corrected in every way, and once too often.
	w.correct(t, w.env.Login(t, apptest.Coach), w.id(t, `SELECT id FROM transcripts WHERE session_id = $1`, w.session(t, amara, 2)))
	// A later transcript that is not shared hides no earlier one that is.
	ruth := w.env.Login(t, apptest.Coach)
	w.talk(t, ruth, w.session(t, amara, 2), "the Evenlode recording")
	// Somebody listens who does not want the supervisor to read what was said, and somebody who does not mind.
	for name, scopes := range map[string][]string{"Ottilie Wherwell": {"TRANSCRIPTION", "AI_ANALYSIS"}, "Leopold Anstey": {"TRANSCRIPTION", "AI_ANALYSIS", "SUPERVISION"}} {
		guest, in := id.New(), w.session(t, amara, 2)
		if len(scopes) == 2 {
			in = w.session(t, jonas, 3)
		}
		w.exec(t, `INSERT INTO participants (id, org_id, session_id, name, role) SELECT $1, org_id, id, $3, 'OBSERVER' FROM sessions WHERE id = $2`, guest, in, name)
		w.exec(t, `INSERT INTO consents (id, org_id, participant_id, scope, text_version, source) SELECT gen_random_uuid(), org_id, id, unnest($2::text[]), 1, 'ON_RECORD'
			FROM participants WHERE id = $1`, guest, scopes)
	}
	w.write(t, clientOf)
	// A consent to a text of the organization's own, one that was taken back, one to a single session, and a guest's.
	w.exec(t, `INSERT INTO consent_texts (org_id, scope, version, text, published_by) SELECT org_id, 'SHARE_WITH_ORG', 2, 'Shared by the Quillon rules.', user_id
		FROM memberships WHERE user_id = $1`, w.person(t, apptest.Owner))
	w.exec(t, `INSERT INTO consents (id, org_id, client_id, scope, text_version, source, recorded_by, withdrawn_at, withdrawn_by)
		SELECT gen_random_uuid(), org_id, id, 'SHARE_WITH_ORG', 2, 'EMAIL', coach_id, CASE WHEN name = 'Amara Okafor' THEN now() END,
			CASE WHEN name = 'Amara Okafor' THEN coach_id END FROM clients WHERE name IN ('Amara Okafor', 'Jonas Lindqvist')`)
	w.exec(t, `INSERT INTO consents (id, org_id, client_id, participant_id, scope, source)
		SELECT gen_random_uuid(), org_id, client_id, id, 'SHARE_WITH_ORG', 'UNKNOWN' FROM participants WHERE session_id = $1`, w.session(t, amara, 2))
	// Requests of every kind, a receipt, and a hold.
	w.exec(t, `INSERT INTO data_requests (id, org_id, client_id, kind, status, requested_by, decided_by, completed_at, counts, transcript_ids)
		SELECT gen_random_uuid(), c.org_id, c.id, k.kind, k.status, coalesce(c.user_id, (SELECT user_id FROM memberships m WHERE m.org_id = c.org_id AND 'SPONSOR' = ANY(m.roles) ORDER BY m.id LIMIT 1)), c.coach_id, CASE WHEN k.status = 'COMPLETED' THEN now() END, '{"tags": 3}', '{}'
		FROM clients c CROSS JOIN (VALUES ('EXPORT', 'COMPLETED'), ('ERASURE', 'WAITING'), ('ERASURE', 'DECLINED')) AS k (kind, status)`)
	w.exec(t, `UPDATE clients SET legal_hold = true WHERE name IN ('Jonas Lindqvist', 'Theo Marchetti') OR coach_id = $1`, w.person(t, "coachclient@harbor.example"))
	// Somebody is invited, by somebody.
	w.exec(t, `INSERT INTO invitations (id, org_id, email, roles, token_hash, invited_by, expires_at)
		SELECT gen_random_uuid(), o.id, 'invited@' || o.slug || '.example', '{COACH}', sha256(o.slug::bytea),
			(SELECT user_id FROM memberships m WHERE m.org_id = o.id ORDER BY created_at, id LIMIT 1), now() + interval '1 day' FROM organizations o`)
	w.exec(t, `INSERT INTO email_deliveries (id, org_id, invitation_id, type, state, reason, created_at, finished_at)
		SELECT gen_random_uuid(), org_id, id, 'INVITATION', 'SUPPRESSED', 'NO_MAILER', now(), now() FROM invitations`)
	// Work was given up, about a transcript and about something that is gone.
	w.exec(t, `INSERT INTO jobs (id, org_id, kind, entity_id, state, attempt, max_attempts, run_at, finished_at, last_error_code, last_error)
		SELECT gen_random_uuid(), o.id, k.kind, coalesce((SELECT id FROM transcripts WHERE org_id = o.id AND k.kind = 'transcript.analyse' ORDER BY id LIMIT 1), gen_random_uuid()),
			'DEAD', 10, 10, now(), now(), 'INTERNAL', 'for the test'
		FROM organizations o CROSS JOIN (VALUES ('transcript.analyse'), ('notice.announce'), ('notice.announce')) AS k (kind)`)
	// Some of the audit trail is sealed.
	if _, err := w.env.App.Sealer().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Archived and retracted things keep their rules.
	w.exec(t, `UPDATE clients SET archived_at = now() WHERE name IN ('Hanna Vogel', 'Sofia Brandt')`)
	w.exec(t, `UPDATE engagements SET archived_at = now() WHERE title IN ('Taking over the practice', 'Back from leave')`)
	w.exec(t, `UPDATE sessions SET archived_at = now() WHERE id = ANY($1)`, []id.UUID{w.session(t, jonas, 1), w.session(t, amara, 1)})
	w.exec(t, `UPDATE transcripts SET archived_at = now() WHERE session_id = $1`, w.session(t, mei, 3))
	w.exec(t, `UPDATE insights SET retracted_at = now() WHERE ordinal = 2`)
	// Every decision, and each audience of each decision.
	w.exec(t, `UPDATE insights SET
		status = (ARRAY['PROPOSED', 'ACCEPTED', 'EDITED', 'DISMISSED'])[1 + ordinal % 4],
		audience = (ARRAY['COACH_ONLY', 'BOTH', 'CLIENT'])[1 + (ordinal / 2) % 3]`)
	w.exec(t, `UPDATE insights i SET reviewed_by = s.coach_id, reviewed_at = now() FROM sessions s WHERE s.id = i.session_id AND i.status <> 'PROPOSED'`)
	w.exec(t, `UPDATE insights SET original_title = 'First said of ' || title, original_body = 'First said of ' || body WHERE status = 'EDITED'`)
	w.theme(t)
	// What stays open of an agenda has gone on to the next session. Another topic of each session, in every state.
	w.exec(t, `INSERT INTO agenda_topics (id, org_id, session_id, position, title, notes, status, added_by)
		SELECT gen_random_uuid(), s.org_id, s.id, 100, 'Concerning Ravensbourne ' || s.id, 'Wetherby said so ' || s.id, (ARRAY['OPEN', 'DISCUSSED', 'DEFERRED'])[1 + s.number % 3], s.coach_id
		FROM sessions s`)
	w.exec(t, `UPDATE agenda_topics a SET added_by = s.coach_id FROM sessions s WHERE s.id = a.session_id AND a.added_by <> s.coach_id`) // a client's own: TestClientsTopics
	for _, who := range []string{apptest.Owner, apptest.Coach, apptest.Coach2, apptest.Supervisor, apptest.ClientUser, apptest.Sponsor, apptest.Lumen} {
		w.exec(t, `INSERT INTO saved_filters (id, org_id, owner_id, name, version, filter)
			SELECT gen_random_uuid(), org_id, user_id, 'Osmotherley of ' || user_id, 1, '{"statuses": ["COMPLETED"], "startsAfter": "2026-01-05T00:00:00Z"}'
			FROM memberships WHERE user_id = $1`, w.person(t, who))
		w.exec(t, `INSERT INTO saved_filters (id, org_id, owner_id, name, version, filter, query, search)
			SELECT gen_random_uuid(), org_id, user_id, 'Thirlmere of ' || user_id, 1, '{"statuses": ["COMPLETED"]}', 'Buttermere ' || user_id,
				'{"mode": "KEYWORD", "orderBy": "RELEVANCE", "kinds": ["NOTE"], "groupBy": "SESSION"}'
			FROM memberships WHERE user_id = $1`, w.person(t, who))
	}
	w.asked(t)
	w.exec(t, `UPDATE sessions SET starts_at = o.starts_at + interval '20 minutes' FROM sessions o WHERE sessions.id = $1 AND o.id = $2`, w.session(t, jonas, 6), w.session(t, amara, 7))
	w.exec(t, `UPDATE engagements SET reopened_at = now(), reopened_by = coach_id, reopen_reason = 'Because of Marchmont ' || id`)
	// Everybody in a session is told of it by somebody else, and a sponsor of another engagement, by mistake.
	w.exec(t, `INSERT INTO email_deliveries (id, org_id, user_id, type, state, created_at)
		SELECT gen_random_uuid(), org_id, coach_id, 'SESSION_RESCHEDULED', 'SENT', now() FROM sessions GROUP BY org_id, coach_id`)
	w.exec(t, `INSERT INTO notifications (id, org_id, user_id, type, subject, subject_id, session_id, client_id, actor_id, dedup_key, in_app, email, delivery_id, created_at, read_at)
		SELECT gen_random_uuid(), s.org_id, who.user_id, 'SESSION_RESCHEDULED', 'session', s.id, s.id, s.client_id, s.coach_id, s.id::text, true, 'IMMEDIATE',
			(SELECT d.id FROM email_deliveries d WHERE d.org_id = s.org_id AND d.user_id = who.user_id AND d.type = 'SESSION_RESCHEDULED' LIMIT 1), now(),
			CASE WHEN s.number = 1 THEN now() END
		FROM sessions s JOIN clients c ON c.id = s.client_id
		CROSS JOIN LATERAL (VALUES (s.coach_id), (c.user_id), ($1)) AS who (user_id)
		JOIN memberships m ON m.org_id = s.org_id AND m.user_id = who.user_id
		WHERE who.user_id <> $2`, w.person(t, "sponsor2@harbor.example"), w.person(t, "former@harbor.example"))
	// Every session with a transcript was listened to; the client may follow every other one.
	w.exec(t, `INSERT INTO live_sessions (id, org_id, session_id, source, status, end_reason, language, shared_with_client, speakers, started_by, ended_at, paused_at, revision, transcript_id, measures)
		SELECT gen_random_uuid(), s.org_id, s.id, 'The Yarrowby box ' || s.id, 'ENDED', 'BY_COACH', 'en', t.shared_with_client OR s.number % 2 = 0,
			'[{"label": "Voice one", "role": "COACH"}]', s.coach_id, now(), now(), 2, t.id,
			'{"elapsedMs": 1900, "coach": {"talkMs": 1800, "talkShareOfSpeech": 1, "wordCount": 2, "wordsPerMinute": 66}, "client": {"talkMs": 0, "wordCount": 0}, "sinceClientMs": 5, "questionRun": 0}'
		FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE t.version = 1`)
	w.exec(t, `INSERT INTO live_utterances (id, org_id, live_session_id, chunk_id, ordinal, revision, speaker, text, start_ms, end_ms, final)
		SELECT gen_random_uuid(), l.org_id, l.id, n::text, n, n, 0, 'As said at the Zennor mine ' || l.id || n, n * 1000, n * 1000 + 900, true FROM live_sessions l CROSS JOIN generate_series(1, 2) n`)
	w.exec(t, `INSERT INTO live_nudges (id, org_id, live_session_id, kind, at_ms, value, threshold, chunk_ids, topic_ids, dismissed_at)
		SELECT gen_random_uuid(), l.org_id, l.id, 'AGENDA_ITEM_OPEN', 5, 5, 5, '{1,2}', ARRAY(SELECT a.id FROM agenda_topics a WHERE a.session_id = l.session_id ORDER BY a.id LIMIT 1), now() FROM live_sessions l`)
	// A value in every field.
	w.exec(t, `UPDATE transcripts SET title = 'Minutes of ' || coalesce(filename, 'a talk'), language = 'en'`)
	w.exec(t, `UPDATE transcripts SET status = 'NEEDS_SPEAKERS' WHERE session_id = $1 AND version = 1`, w.session(t, amara, 2))
	w.exec(t, `UPDATE transcripts SET status = 'FAILED', failure_code = 'TEST', failure_message = 'for the test' WHERE session_id = $1`, w.session(t, jonas, 5))
	w.exec(t, `UPDATE transcripts SET warnings = '[{"line": 3, "code": "ODD", "message": "odd", "assumed": "even"}]' WHERE session_id = $1`, w.session(t, jonas, 3))
	w.exec(t, `UPDATE analysis_runs SET model = 'm-1', prompt_version = 'p-1', error_code = 'E', waiting_for = 'SERVICE', resumes_at = now(), finished_at = now()`)
	w.exec(t, `INSERT INTO taggings (id, org_id, tag_id, insight_id) SELECT gen_random_uuid(), i.org_id, t.id, i.id
		FROM insights i JOIN sessions s ON s.id = i.session_id JOIN tags t ON t.org_id = i.org_id AND t.owner_id = s.coach_id
		WHERE i.ordinal < 4 AND t.name IN ('boundaries', 'feedback')`)
	w.exec(t, `INSERT INTO taggings (id, org_id, tag_id, client_id) SELECT gen_random_uuid(), t.org_id, t.id, $1
		FROM tags t WHERE t.owner_id = $2`, clientOf("Mei Tanaka"), w.person(t, apptest.Coach2))
	w.plan(t)
}

// theme puts every insight into a theme, whatever it is about: of each coach and client four, of which one was merged into another.
func (w *world) theme(t *testing.T) {
	t.Helper()
	w.exec(t, `DELETE FROM themes`)
	w.exec(t, `INSERT INTO themes (id, org_id, client_id, coach_id, key, topic, label)
		SELECT gen_random_uuid(), p.org_id, p.client_id, p.coach_id, n::text, 'Topic Ormathwaite ' || gen_random_uuid(), CASE WHEN n > 1 THEN 'Called Penhallow ' || gen_random_uuid() END
		FROM (SELECT DISTINCT s.org_id, s.client_id, s.coach_id FROM insights i JOIN sessions s ON s.id = i.session_id) p CROSS JOIN generate_series(0, 3) n`)
	w.exec(t, `UPDATE themes t SET merged_into_id = o.id FROM themes o WHERE t.key = '3' AND o.key = '1' AND o.client_id = t.client_id AND o.coach_id = t.coach_id`)
	w.exec(t, `UPDATE insights i SET theme_id = t.id FROM sessions s JOIN themes t ON t.client_id = s.client_id AND t.coach_id = s.coach_id
		WHERE s.id = i.session_id AND t.key = (i.ordinal * 7 / 3 % 4)::text`)
}

// write makes notes of everybody who writes any, each shared with everybody with whom it can be, and shared, widened and withdrawn
// later.
func (w *world) write(t *testing.T, clientOf func(string) id.UUID) {
	t.Helper()
	const amara = "First year as an engineering manager"
	client, session := id.Format("client", clientOf("Amara Okafor")), id.Format("session", w.session(t, amara, 2))
	engagement := id.Format("engagement", w.id(t, `SELECT id FROM engagements WHERE title = $1`, amara))
	ruth, amaras, ines := w.env.Login(t, apptest.Coach), w.env.Login(t, apptest.ClientUser), w.env.Login(t, apptest.Supervisor)
	named := map[*apptest.Client][]string{amaras: {id.Format("user", w.person(t, apptest.Coach))}, ruth: {id.Format("user", w.person(t, apptest.ClientUser))}}
	note := func(c *apptest.Client, about, body, visibility string) (key string) {
		return does(t, c, "createNote", "note", "id", apptest.Vars{"entityId": about, "body": body, "visibility": visibility,
			"mentionIds": named[c]})["id"].(string)
	}
	save := func(c *apptest.Client, note string, expected int, body, visibility string) {
		does(t, c, "saveNote", "note", "id", apptest.Vars{"id": note, "expectedVersion": expected, "body": body, "visibility": visibility})
	}
	for i, about := range []string{client, engagement, session} {
		for _, visibility := range []string{"PRIVATE", "SHARED_WITH_CLIENT", "SHARED_WITH_ORG"} {
			note(ruth, about, fmt.Sprintf("Ruth on %d: the Ashcombe ledger, %s.", i, visibility), visibility)
			if visibility != "SHARED_WITH_ORG" {
				note(amaras, about, fmt.Sprintf("Amara on %d: the Bramfield attic, %s.", i, visibility), visibility)
			}
		}
		note(ines, about, fmt.Sprintf("Ines on %d: the Culverton stair.", i), "PRIVATE")
		note(w.env.Login(t, "admin@harbor.example"), about, fmt.Sprintf("Ada on %d: the Dunmere invoice.", i), "PRIVATE")
	}
	// Private first, then shared; then withdrawn; then shared anew.
	late := note(ruth, session, "The Elmstow draft, before it was shared.", "PRIVATE")
	save(ruth, late, 1, "The Farleigh draft, shared.", "SHARED_WITH_CLIENT")
	save(ruth, late, 2, "The Farleigh draft, shared widely.", "SHARED_WITH_ORG")
	back := note(ruth, session, "The Gatcombe plan, shared by mistake.", "SHARED_WITH_ORG")
	save(ruth, back, 1, "The Hartwell plan, private again.", "PRIVATE")
	again := note(ruth, session, "The Ilfrey plan, shared by mistake.", "SHARED_WITH_ORG")
	save(ruth, again, 1, "The Ilfrey plan, private again.", "PRIVATE")
	save(ruth, again, 2, "The Jevington plan, shared.", "SHARED_WITH_CLIENT")
	does(t, ruth, "archiveNote", "note", "id", apptest.Vars{"id": note(ruth, client, "The Kelling list, put away.", "SHARED_WITH_ORG")})
	for _, key := range []string{late, back} {
		does(t, ruth, "tag", "tag", "id", apptest.Vars{"entityId": key, "name": "boundaries"})
	}
	lumen := w.env.Login(t, apptest.Lumen)
	note(lumen, id.Format("client", w.id(t, `SELECT id FROM clients WHERE coach_id = $1 LIMIT 1`, w.person(t, apptest.Lumen))), "The Lavenham note.", "SHARED_WITH_ORG")
}

// plan sets goals and actions with Amara and Mei, and what hangs on them, with a value in every field.
func (w *world) plan(t *testing.T) {
	t.Helper()
	const amara = "First year as an engineering manager"
	client := id.Format("client", w.id(t, `SELECT client_id FROM engagements WHERE title = $1`, amara))
	engagement, session := id.Format("engagement", w.id(t, `SELECT id FROM engagements WHERE title = $1`, amara)), id.Format("session", w.session(t, amara, 2))
	ruth, amaras := w.env.Login(t, apptest.Coach), w.env.Login(t, apptest.ClientUser)
	made := func(c *apptest.Client, name, entity string, input apptest.Vars) string {
		return does(t, c, name, entity, "id", input)["id"].(string)
	}
	for _, shared := range []bool{true, false} {
		goal := made(ruth, "createGoal", "goal", apptest.Vars{"clientId": client, "engagementId": engagement, "title": fmt.Sprintf("The Marlowe ladder %t", shared),
			"description": fmt.Sprintf("Climbing the Nettlecombe wall %t", shared), "targetDate": "2190-05-04", "sharedWithSponsor": shared})
		first := made(amaras, "addCheckIn", "checkIn", apptest.Vars{"goalId": goal, "score": 3, "note": "Said at the Orford gate."})
		made(amaras, "addCheckIn", "checkIn", apptest.Vars{"goalId": goal, "score": 4, "note": "Meant at the Orford weir.", "correctsId": first})
		insight := one(t, w.env, "insight", `SELECT id FROM insights WHERE session_id = $1 AND kind = 'COMMITMENT' AND retracted_at IS NULL ORDER BY id LIMIT 1`, uuid(t, session))
		for _, entity := range []string{session, insight} {
			made(ruth, "linkGoal", "goal", apptest.Vars{"goalId": goal, "entityId": entity})
		}
		made(ruth, "acceptInsightAsAction", "actionItem", apptest.Vars{"insightId": insight, "title": "Walk the Pinhoe mile", "goalId": goal, "dueOn": "2190-05-03"})
		action := made(ruth, "createActionItem", "actionItem", apptest.Vars{"clientId": client, "title": fmt.Sprintf("Paint the Quantock fence %t", shared), "description": "In Ringmer green.",
			"dueOn": "2190-05-02", "goalId": goal, "sessionId": session, "status": "IN_PROGRESS",
			"assigneeIds": []string{client, id.Format("user", w.person(t, apptest.Coach))}})
		made(ruth, "updateActionItem", "actionItem", apptest.Vars{"id": action, "expectedVersion": 1, "status": "DONE"})
		w.exec(t, `INSERT INTO action_assignees (id, org_id, action_id, user_id) SELECT gen_random_uuid(), org_id, id, $2 FROM action_items WHERE id = $1`,
			uuid(t, action), w.person(t, "supervisor2@harbor.example"))
	}
	closed := made(ruth, "createGoal", "goal", apptest.Vars{"clientId": client, "engagementId": engagement, "title": "The Saltram pond", "sharedWithSponsor": true})
	made(ruth, "updateGoal", "goal", apptest.Vars{"id": closed, "expectedVersion": 1, "status": "ACHIEVED"})
	mei := id.Format("client", w.id(t, `SELECT id FROM clients WHERE name = 'Mei Tanaka'`))
	made(w.env.Login(t, apptest.Coach2), "createGoal", "goal", apptest.Vars{"clientId": mei, "title": "The Tavistock stall"})
	made(w.env.Login(t, apptest.Coach2), "createActionItem", "actionItem", apptest.Vars{"clientId": mei, "title": "Ring the Upwey bell"})
	w.exec(t, `UPDATE goals SET created_at = created_at - interval '60 days'`) // old enough to slip
}

func (w *world) correct(t *testing.T, coach *apptest.Client, transcript id.UUID) {
	t.Helper()
	made := func(entity map[string]any) string { return entity["id"].(string) }
	client := id.Format("speaker", w.id(t, `SELECT id FROM speakers WHERE transcript_id = $1 AND role = 'CLIENT'`, transcript))
	line := func(n int) string {
		return id.Format("utterance", w.id(t, `SELECT id FROM utterances WHERE speaker_id = $1 ORDER BY index OFFSET $2 LIMIT 1`, uuid(t, client), n))
	}
	other := made(does(t, coach, "splitSpeaker", "speaker", "id", apptest.Vars{"speakerId": client, "utteranceIds": []string{line(1), line(2)}, "displayName": "Thurlowe"}))
	does(t, coach, "renameSpeaker", "edit", "id", apptest.Vars{"speakerId": other, "displayName": "Umberleigh", "remember": true})
	does(t, coach, "mergeSpeakers", "edit", "id", apptest.Vars{"intoId": client, "ids": []string{other}})
	for _, words := range []string{"I said it of the Wexcombe orchard.", "I said it of the Wexcombe meadow."} {
		does(t, coach, "reviseUtterance", "edit", "id", apptest.Vars{"utteranceId": line(3), "text": words})
	}
	undone := made(does(t, coach, "setSpeakerRole", "edit", "id", apptest.Vars{"speakerId": client, "role": "OTHER"}))
	does(t, coach, "undoTranscriptEdit", "edit", "id", apptest.Vars{"editId": undone})
	w.env.Work(t)
}

// asked has everybody have asked something: it was answered with words of a conversation of one coach's, and not answered at all.
func (w *world) asked(t *testing.T) {
	t.Helper()
	w.exec(t, `INSERT INTO ask_threads (id, org_id, owner_id) SELECT gen_random_uuid(), org_id, user_id FROM memberships`)
	w.exec(t, `INSERT INTO ask_messages (id, org_id, thread_id, ordinal, question, status, failure_code, dropped, degraded, engine, engine_version, model, prompt_version, finished_at)
		SELECT gen_random_uuid(), t.org_id, t.id, n.n, 'Who is Eglantine of ' || t.owner_id || n.n, CASE n.n WHEN 1 THEN 'ANSWERED' ELSE 'FAILED' END, CASE n.n WHEN 1 THEN NULL ELSE 'ASK_FAILED' END,
			1, 'less', 'test', '1', 'm-1', '1', now() FROM ask_threads t CROSS JOIN generate_series(1, 2) AS n (n)`)
	w.exec(t, `INSERT INTO ask_answers (org_id, message_id, sentences) SELECT m.org_id, m.id, jsonb_build_array(jsonb_build_object('text', 'Nobody.', 'quotes',
			jsonb_build_array(jsonb_build_object('transcriptId', (SELECT x.id FROM transcripts x WHERE x.org_id = m.org_id ORDER BY x.id LIMIT 1), 'first', 0, 'last', 1, 'text', 'well'))))
		FROM ask_messages m WHERE m.ordinal = 1`)
}

func (w *world) enter(t *testing.T, who, email, tenant string, c *apptest.Client) {
	t.Helper()
	v := &viewer{who: who, email: email, tenant: tenant, client: c}
	if err := w.env.DB.QueryRow(t.Context(), `
		SELECT m.org_id, m.user_id, m.roles, ARRAY(SELECT coach_id FROM supervisions sv WHERE sv.org_id = m.org_id AND sv.supervisor_id = m.user_id)
		FROM memberships m JOIN users u ON u.id = m.user_id JOIN organizations o ON o.id = m.org_id WHERE u.email = $1 AND o.slug = $2`, email, tenant).
		Scan(&v.org, &v.user, &v.roles, &v.coaches); err != nil {
		t.Fatal(err)
	}
	w.viewers = append(w.viewers, v)
}

// The meetings and who is in them; the other rows hang on it.
const meetings = `WITH meeting AS (
	SELECT s.id, s.org_id, s.client_id, s.engagement_id, ARRAY[s.coach_id] AS coaches, array_remove(ARRAY[c.user_id], NULL) AS clients,
		ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = s.engagement_id AND 'SESSION_DATES' = ANY(grants)) AS sponsors,
		coalesce((SELECT bool_and(EXISTS (SELECT FROM consents k WHERE k.scope = 'SUPERVISION' AND k.withdrawn_at IS NULL
			AND (k.participant_id = p.id OR k.client_id = p.client_id AND k.participant_id IS NULL))) FROM participants p WHERE p.session_id = s.id AND p.role <> 'COACH'), false) AS consent
	FROM sessions s JOIN clients c ON c.id = s.client_id)
`

// kinds are the rows of each type: prefix of the id, and a statement that finds id, org_id, self, coaches, clients,
// sponsors, consent, shared, accepted, supervisory, and the words in it by field.
var kinds = map[string]struct{ prefix, sql string }{
	"Organization": {"org", `SELECT id, id, NULL::uuid, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], false, false, false, false,
		jsonb_build_object('name', name, 'slug', slug) FROM organizations`},
	"Membership": {"member", `SELECT id, org_id, user_id, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], false, false, false, false, '{}'::jsonb FROM memberships`},
	// Somebody in two organizations is one user: the row is the membership's. People know each other through a client: the
	// coaches, the client's login, and, not each other, the sponsors.
	"User": {"user", `SELECT u.id, m.org_id, u.id,
			array_remove(array_agg(c.coach_id) || array_agg(e.coach_id), NULL), array_remove(array_agg(c.user_id), NULL),
			array_remove(array_agg(CASE WHEN u.id IN (c.coach_id, c.user_id, e.coach_id) THEN es.user_id END), NULL),
			false, false, false, false, jsonb_build_object('name', u.name, 'email', u.email)
		FROM users u JOIN memberships m ON m.user_id = u.id
		LEFT JOIN (clients c LEFT JOIN engagements e ON e.client_id = c.id LEFT JOIN engagement_sponsors es ON es.engagement_id = e.id)
			ON c.org_id = m.org_id AND u.id IN (c.coach_id, c.user_id, e.coach_id, es.user_id)
		GROUP BY u.id, m.org_id`},
	"Invitation": {"invitation", `SELECT i.id, i.org_id, NULL::uuid, ARRAY(SELECT user_id FROM memberships m WHERE m.org_id = i.org_id),
			ARRAY(SELECT user_id FROM memberships m WHERE m.org_id = i.org_id), ARRAY(SELECT user_id FROM memberships m WHERE m.org_id = i.org_id),
			true, true, true, true, jsonb_build_object('email', email) FROM invitations i`},
	"DeadLetter": {"deadletter", `SELECT j.id, j.org_id, NULL::uuid, ARRAY(SELECT user_id FROM memberships m WHERE m.org_id = j.org_id),
			ARRAY(SELECT user_id FROM memberships m WHERE m.org_id = j.org_id), ARRAY(SELECT user_id FROM memberships m WHERE m.org_id = j.org_id),
			true, true, true, true, '{}'::jsonb FROM jobs j WHERE j.state = 'DEAD'`},
	"AuditEvent": {"audit", `SELECT a.id, a.org_id, NULL::uuid, array_remove(ARRAY[c.coach_id], NULL), array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT es.user_id FROM engagements e JOIN engagement_sponsors es ON es.engagement_id = e.id WHERE e.client_id = c.id),
			true, true, true, true, '{}'::jsonb FROM audit_events a LEFT JOIN clients c ON c.id = a.client_id`},
	"Client": {"client", `SELECT c.id, c.org_id, NULL::uuid, c.coach_id || ARRAY(SELECT coach_id FROM engagements e WHERE e.client_id = c.id),
			array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT es.user_id FROM engagements e JOIN engagement_sponsors es ON es.engagement_id = e.id WHERE e.client_id = c.id),
			false, false, false, false, jsonb_build_object('name', c.name, 'email', c.email) FROM clients c`},
	"Engagement": {"engagement", `SELECT e.id, e.org_id, NULL::uuid, ARRAY[e.coach_id], array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = e.id),
			false, false, false, false, jsonb_build_object('title', e.title) FROM engagements e JOIN clients c ON c.id = e.client_id`},
	"Session": {"session", meetings + `SELECT m.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false, false, false,
			jsonb_build_object('title', s.title) FROM meeting m JOIN sessions s ON s.id = m.id`},
	"Participant": {"participant", meetings + `SELECT p.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false, false, false,
			jsonb_build_object('name', p.name) FROM participants p JOIN meeting m ON m.id = p.session_id`},
	"AgendaTopic": {"topic", meetings + `SELECT a.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false, false, false,
			jsonb_build_object('title', a.title, 'notes', a.notes) FROM agenda_topics a JOIN meeting m ON m.id = a.session_id`},
	"SavedFilter": {"filter", `SELECT id, org_id, owner_id, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], false, false, false, false,
			jsonb_build_object('name', name) FROM saved_filters WHERE query IS NULL`},
	"SavedSearch": {"savedsearch", `SELECT id, org_id, owner_id, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], false, false, false, false,
			jsonb_build_object('name', name, 'query', query) FROM saved_filters WHERE query IS NOT NULL`},
	"AskThread": {"thread", `SELECT t.id, t.org_id, t.owner_id, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], false, false, false, false,
			jsonb_build_object('title', (SELECT question FROM ask_messages m WHERE m.thread_id = t.id ORDER BY ordinal LIMIT 1)) FROM ask_threads t`},
	"AskMessage": {"message", `SELECT m.id, m.org_id, t.owner_id, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], false, false, false, false,
			jsonb_build_object('question', m.question) FROM ask_messages m JOIN ask_threads t ON t.id = m.thread_id`},
	"Transcript": {"transcript", meetings + `SELECT t.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, t.shared_with_client, false, false,
			jsonb_build_object('title', t.title, 'filename', t.filename, 'sha256', encode(t.sha256, 'hex')) FROM transcripts t JOIN meeting m ON m.id = t.session_id`},
	"LiveSession": {"live", meetings + `SELECT l.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, coalesce(t.shared_with_client AND t.archived_at IS NULL, l.shared_with_client), false, false,
			jsonb_build_object('source', l.source) FROM live_sessions l JOIN meeting m ON m.id = l.session_id LEFT JOIN transcripts t ON t.id = l.transcript_id`},
	"LiveNudge": {"nudge", meetings + `SELECT n.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, l.shared_with_client, false, false,
			'{}'::jsonb FROM live_nudges n JOIN live_sessions l ON l.id = n.live_session_id JOIN meeting m ON m.id = l.session_id`},
	"LiveUtterance": {"liveutterance", meetings + `SELECT u.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, coalesce(t.shared_with_client AND t.archived_at IS NULL, l.shared_with_client), false, false,
			jsonb_build_object('text', u.text) FROM live_utterances u JOIN live_sessions l ON l.id = u.live_session_id JOIN meeting m ON m.id = l.session_id LEFT JOIN transcripts t ON t.id = l.transcript_id`},
	"Speaker": {"speaker", meetings + `SELECT sp.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, t.shared_with_client, false, false,
			jsonb_build_object('label', sp.label, 'displayName', sp.display_name) FROM speakers sp JOIN transcripts t ON t.id = sp.transcript_id JOIN meeting m ON m.id = t.session_id`},
	"Utterance": {"utterance", meetings + `SELECT u.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, t.shared_with_client, false, false,
			jsonb_build_object('text', coalesce(r.text, u.text), 'originalText', CASE WHEN r.id IS NOT NULL THEN u.text END)
			FROM utterances u LEFT JOIN utterance_revisions r ON r.utterance_id = u.id AND r.latest JOIN transcripts t ON t.id = u.transcript_id JOIN meeting m ON m.id = t.session_id`},
	"TranscriptEdit": {"edit", meetings + `SELECT e.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, t.shared_with_client, false, false,
			'{}'::jsonb FROM transcript_edits e JOIN transcripts t ON t.id = e.transcript_id JOIN meeting m ON m.id = t.session_id`},
	"UtteranceRevision": {"revision", meetings + `SELECT r.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, t.shared_with_client, false, false,
			CASE WHEN r.latest THEN '{}' ELSE jsonb_build_object('text', r.text) END FROM utterance_revisions r JOIN utterances u ON u.id = r.utterance_id
			JOIN transcripts t ON t.id = u.transcript_id JOIN meeting m ON m.id = t.session_id`},
	"SessionMetrics": {"metrics", meetings + `SELECT x.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false, false, false,
			'{}'::jsonb FROM session_metrics x JOIN meeting m ON m.id = x.session_id`},
	"AnalysisRun": {"analysis", meetings + `SELECT r.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false, false, false,
			'{}'::jsonb FROM analysis_runs r JOIN meeting m ON m.id = r.session_id`},
	"Insight": {"insight", meetings + `SELECT i.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false,
			i.audience IN ('CLIENT', 'BOTH') AND i.status IN ('ACCEPTED', 'EDITED'), i.audience IN ('CLIENT', 'BOTH') OR i.kind = 'COACH_SKILL',
			jsonb_build_object('title', i.title, 'body', i.body, 'originalTitle', i.original_title, 'originalBody', i.original_body)
			FROM insights i JOIN meeting m ON m.id = i.session_id`},
	"Citation": {"citation", meetings + `SELECT c.id, m.org_id, NULL::uuid, m.coaches, m.clients, m.sponsors, m.consent, false,
			i.audience IN ('CLIENT', 'BOTH') AND i.status IN ('ACCEPTED', 'EDITED'), i.audience IN ('CLIENT', 'BOTH') OR i.kind = 'COACH_SKILL',
			jsonb_build_object('quote', c.quote) FROM citations c JOIN insights i ON i.id = c.insight_id JOIN meeting m ON m.id = i.session_id`},
	"Theme": {"theme", meetings + `, ranked AS (
		SELECT id, version = max(version) OVER session AS latest,
			version = coalesce(max(version) FILTER (WHERE shared_with_client) OVER session, max(version) OVER session) AS clients
		FROM transcripts WHERE archived_at IS NULL WINDOW session AS (PARTITION BY session_id)
	), member AS (
		SELECT own.id, own.merged_into_id, m.consent, i.audience, i.kind, i.status, r.latest, r.clients
		FROM themes own JOIN insights i ON i.theme_id = own.id JOIN ranked r ON r.id = i.transcript_id JOIN sessions s ON s.id = i.session_id JOIN meeting m ON m.id = s.id
		WHERE i.retracted_at IS NULL AND s.archived_at IS NULL AND i.status <> 'DISMISSED'
	)
	SELECT t.id, t.org_id, NULL::uuid, ARRAY[t.coach_id], array_remove(ARRAY[c.user_id], NULL),
		ARRAY(SELECT es.user_id FROM engagements e JOIN engagement_sponsors es ON es.engagement_id = e.id WHERE e.client_id = c.id), true,
		EXISTS (SELECT FROM member m WHERE t.id IN (m.id, m.merged_into_id) AND m.latest),
		EXISTS (SELECT FROM member m WHERE t.id IN (m.id, m.merged_into_id) AND m.clients AND m.audience IN ('CLIENT', 'BOTH') AND m.status IN ('ACCEPTED', 'EDITED')),
		EXISTS (SELECT FROM member m WHERE t.id IN (m.id, m.merged_into_id) AND m.latest AND m.consent AND (m.audience IN ('CLIENT', 'BOTH') OR m.kind = 'COACH_SKILL')),
		jsonb_build_object('label', coalesce(t.label, t.topic), 'topic', t.topic)
		FROM themes t JOIN clients c ON c.id = t.client_id`},
	"Note": {"note", `SELECT n.id, n.org_id, n.author_id, ARRAY[coalesce(e.coach_id, c.coach_id)], array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = n.engagement_id), false,
			n.visibility <> 'PRIVATE', n.visibility <> 'PRIVATE' OR n.author_id = coalesce(e.coach_id, c.coach_id), n.visibility = 'SHARED_WITH_ORG',
			jsonb_build_object('body', n.body) FROM notes n JOIN clients c ON c.id = n.client_id LEFT JOIN engagements e ON e.id = n.engagement_id`},
	"NoteVersion": {"noteversion", `SELECT nv.id, n.org_id, n.author_id, ARRAY[coalesce(e.coach_id, c.coach_id)], array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = n.engagement_id), false,
			nv.visibility <> 'PRIVATE', nv.visibility <> 'PRIVATE' OR n.author_id = coalesce(e.coach_id, c.coach_id), nv.visibility = 'SHARED_WITH_ORG',
			jsonb_build_object('body', nv.body) FROM note_versions nv JOIN notes n ON n.id = nv.note_id JOIN clients c ON c.id = n.client_id LEFT JOIN engagements e ON e.id = n.engagement_id`},
	"Goal": {"goal", `SELECT g.id, g.org_id, NULL::uuid, ARRAY[g.coach_id], array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = g.engagement_id AND 'GOALS' = ANY(es.grants)),
			false, g.shared_with_sponsor, false, false, jsonb_build_object('title', g.title, 'description', g.description) FROM goals g JOIN clients c ON c.id = g.client_id`},
	"CheckIn": {"checkin", `SELECT k.id, g.org_id, NULL::uuid, ARRAY[g.coach_id], array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = g.engagement_id),
			false, g.shared_with_sponsor, false, false, jsonb_build_object('note', k.note) FROM goal_check_ins k JOIN goals g ON g.id = k.goal_id JOIN clients c ON c.id = g.client_id`},
	"ActionItem": {"action", `SELECT a.id, a.org_id, (SELECT x.user_id FROM action_assignees x WHERE x.action_id = a.id AND x.user_id <> a.coach_id), ARRAY[a.coach_id],
			array_remove(ARRAY[c.user_id], NULL), ARRAY(SELECT user_id FROM engagement_sponsors es WHERE es.engagement_id = a.engagement_id),
			false, false, false, false, jsonb_build_object('title', a.title, 'description', a.description) FROM action_items a JOIN clients c ON c.id = a.client_id`},
	"Consent": {"consent", `SELECT k.id, k.org_id, NULL::uuid,
			array_remove(ARRAY[c.coach_id, s.coach_id], NULL) || ARRAY(SELECT coach_id FROM engagements e WHERE e.client_id = c.id),
			array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT es.user_id FROM engagements e JOIN engagement_sponsors es ON es.engagement_id = e.id WHERE e.client_id = c.id),
			false, false, false, false, '{}'::jsonb -- the texts are everybody's
			FROM consents k LEFT JOIN clients c ON c.id = k.client_id LEFT JOIN participants p ON p.id = k.participant_id LEFT JOIN sessions s ON s.id = p.session_id`},
	"DataRequest": {"request", `SELECT r.id, r.org_id, NULL::uuid, ARRAY[c.coach_id], array_remove(ARRAY[c.user_id], NULL),
			ARRAY(SELECT es.user_id FROM engagements e JOIN engagement_sponsors es ON es.engagement_id = e.id WHERE e.client_id = c.id),
			false, false, false, false, '{}'::jsonb FROM data_requests r JOIN clients c ON c.id = r.client_id`},
	// A notification is its recipient's as long as they are in the session that it is about, and what it tells of is there.
	"Notification": {"notification", meetings + `SELECT n.id, n.org_id, CASE WHEN n.user_id = ANY(m.coaches || m.clients || m.sponsors) THEN n.user_id END, m.coaches, m.clients, m.sponsors,
			false, false, false, false, '{}'::jsonb FROM notifications n JOIN meeting m ON m.id = n.subject_id
			WHERE n.in_app AND (n.type <> 'INSIGHTS_READY' OR EXISTS (SELECT FROM insights i
				WHERE i.session_id = m.id AND i.retracted_at IS NULL AND i.transcript_id = (SELECT id FROM transcripts WHERE session_id = m.id AND archived_at IS NULL AND utterance_count > 0 ORDER BY version DESC LIMIT 1))
				AND NOT EXISTS (SELECT FROM sessions s WHERE s.id = m.id AND s.archived_at IS NOT NULL))`},
	"Tag": {"tag", `SELECT id, org_id, NULL::uuid, ARRAY[owner_id], '{}'::uuid[], '{}'::uuid[], false, false, false, false, jsonb_build_object('name', name) FROM tags`},
}

// look reads what there is, straight from the database.
func (w *world) look(t *testing.T) {
	t.Helper()
	w.looked = time.Now()
	w.byID = map[string]*fact{}
	for typ, k := range kinds {
		rows, err := w.env.DB.Query(t.Context(), k.sql)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		var key id.UUID
		var self *id.UUID
		var words map[string]*string
		f := fact{}
		_, err = pgx.ForEachRow(rows, []any{&key, &f.org, &self, &f.coaches, &f.clients, &f.sponsors, &f.consent, &f.shared, &f.accepted, &f.supervisory, &words}, func() error {
			g := f
			g.typ, g.id, g.everybody, g.text = typ, id.Format(k.prefix, key), typ == "Organization", map[string]string{}
			if self != nil {
				g.self = *self
			}
			for field, text := range words {
				if text != nil {
					g.text[field] = *text
				}
			}
			w.facts = append(w.facts, &g)
			if other := w.byID[g.id]; other == nil || typ != "User" {
				w.byID[g.id] = &g
			}
			f, self, words = fact{}, nil, nil
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	rows, err := w.env.DB.Query(t.Context(), `SELECT engagement_id, user_id FROM engagement_sponsors WHERE 'PROGRESS' = ANY(grants)`)
	if err != nil {
		t.Fatal(err)
	}
	var engagement, user id.UUID
	if _, err := pgx.ForEachRow(rows, []any{&engagement, &user}, func() error {
		f := w.byID[id.Format("engagement", engagement)]
		f.informed = append(f.informed, user)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rows, err = w.env.DB.Query(t.Context(), `SELECT org_id, supervisor_id, coach_id FROM supervisions`); err != nil {
		t.Fatal(err)
	}
	var in, by, of id.UUID
	if _, err := pgx.ForEachRow(rows, []any{&in, &by, &of}, func() error {
		for _, f := range w.facts {
			if f.typ == "User" && f.org == in && f.self == by {
				f.supervises = append(f.supervises, of)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(w.facts, func(a, b *fact) int { return strings.Compare(a.id, b.id) })
}

// of is the row as seen from the viewer's organization: a person in two of them is one user, and known there as a member.
func (w *world) of(v *viewer, key string) *fact {
	if f := w.byID[key]; f == nil || f.typ != "User" || f.org == v.org {
		return f
	}
	for _, f := range w.facts {
		if f.id == key && f.org == v.org {
			return f
		}
	}
	return w.byID[key]
}
