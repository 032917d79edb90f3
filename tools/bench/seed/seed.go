// Package seed fills a database with made-up practices of a known size, always the same ones, for measurements.
package seed

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Size says how large the practice of the coach is. Beside it stand a colleague's in the same organization and one of
// another organization, each a fifth of it.
type Size struct {
	Clients    int // each with one engagement
	Sessions   int // a client
	Utterances int // a session; the latest session has ten times as many
	Insights   int // a session, with one or two citations each
	Goals      int // a client, with two check-ins each, linked with the client's latest session and an insight of it
	Actions    int // a client, half of them done; for the goals in turn, if there are any

	Supervisors int // of the coach alone; all clients have consented to them
}

// Full is the size that `make bench` measures with: 500 sessions, 5,000 insights, more than 100,000 utterances.
var Full = Size{Clients: 10, Sessions: 50, Utterances: 200, Insights: 10, Goals: 2, Actions: 10, Supervisors: 9}

// Small is the least that fills every list of the dashboard: 50 sessions.
var Small = Size{Clients: 10, Sessions: 5, Utterances: 12, Insights: 5, Goals: 1, Actions: 2}

// Coach is the subject and the address of the coach.
const Coach = "coach@bench.example"

// Supervisor is the subject and the address of the coach's supervisor of that number, from 0.
func Supervisor(n int) string { return fmt.Sprintf("supervisor%d@bench.example", n) }

// Practice is what there is now.
type Practice struct {
	Viewer     auth.Viewer // the coach
	Engagement engagement.ID
	Session    session.ID    // the latest
	Insight    insight.ID    // one of its insights
	Transcript transcript.ID // of the latest session, the longest one
	Utterances int           // in the whole database
}

// Load fills a migrated, empty database. The people sign in by tokens of issuer.
func Load(ctx context.Context, db *pgxpool.Pool, issuer string, size Size) (*Practice, error) {
	b := &builder{words: NewWords(1), ids: rand.New(rand.NewPCG(2, 2)), issuer: issuer}
	fifth := size
	fifth.Clients = max(1, size.Clients/5)
	home := b.organization("bench", "Bench Coaching")
	p := b.coach(home, Coach, "Vera Lindqvist", size)
	b.coach(home, "colleague@bench.example", "Piet Oosterhuis", fifth)
	b.coach(b.organization("noise", "Elsewhere Coaching"), "coach@noise.example", "Ilse Marquardt", fifth)
	for n := range size.Supervisors {
		supervisor := b.person(home, Supervisor(n), b.words.Name(), auth.RoleSupervisor)
		b.add("supervisions", home, supervisor, p.Viewer.User, b.at)
	}
	p.Utterances = len(b.rows["utterances"])
	if err := b.copy(ctx, db); err != nil {
		return nil, err
	}
	return p, analyze(ctx, db)
}

// copy writes what was added.
func (b *builder) copy(ctx context.Context, db *pgxpool.Pool) error {
	for _, t := range slices.Concat(tables, vectorTables) {
		if _, err := db.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(b.rows[t.name])); err != nil {
			return fmt.Errorf("seed: %s: %w", t.name, err)
		}
	}
	return nil
}

// analyze gathers the planner's figures, which autovacuum would in a minute or so.
func analyze(ctx context.Context, db *pgxpool.Pool) error {
	for _, t := range slices.Concat(tables, vectorTables) {
		if _, err := db.Exec(ctx, "VACUUM ANALYZE "+t.name); err != nil {
			return fmt.Errorf("seed: %s: %w", t.name, err)
		}
	}
	return nil
}

type table struct {
	name    string
	columns []string
}

// tables in the order of their references.
var tables = []table{
	{"organizations", []string{"id", "slug", "name", "created_at"}},
	{"users", []string{"id", "email", "name", "created_at"}},
	{"user_identities", []string{"issuer", "subject", "user_id", "created_at"}},
	{"memberships", []string{"id", "org_id", "user_id", "roles", "created_at"}},
	{"supervisions", []string{"org_id", "supervisor_id", "coach_id", "created_at"}},
	{"clients", []string{"id", "org_id", "coach_id", "name", "email", "created_at", "updated_at"}},
	{"engagements", []string{"id", "org_id", "client_id", "coach_id", "title", "status", "created_at", "updated_at"}},
	{"consents", []string{"id", "org_id", "client_id", "scope", "text_version", "source", "given_at", "recorded_by"}},
	{"sessions", []string{"id", "org_id", "engagement_id", "client_id", "coach_id", "number", "status", "title", "starts_at", "duration_minutes", "created_at", "updated_at"}},
	{"participants", []string{"id", "org_id", "session_id", "user_id", "client_id", "name", "role", "created_at"}},
	{"transcripts", []string{"id", "org_id", "session_id", "version", "status", "format", "filename", "duration_ms", "utterance_count", "sha256", "size_bytes", "imported_by", "created_at", "updated_at"}},
	{"speakers", []string{"id", "org_id", "transcript_id", "ordinal", "label", "display_name", "role", "created_at"}},
	{"utterances", []string{"id", "org_id", "transcript_id", "index", "speaker_id", "start_ms", "end_ms", "text", "cues"}},
	{"analysis_runs", []string{"id", "org_id", "transcript_id", "session_id", "status", "engine", "engine_version", "input_hash", "insight_count", "created_at", "finished_at"}},
	{"insights", []string{"id", "org_id", "session_id", "transcript_id", "run_id", "fingerprint", "ordinal", "kind", "audience", "title", "body", "confidence", "status", "created_at"}},
	{"citations", []string{"id", "org_id", "insight_id", "ordinal", "transcript_id", "first_index", "last_index", "quote", "start_ms", "end_ms"}},
	{"tags", []string{"id", "org_id", "owner_id", "name", "color", "created_at"}},
	{"taggings", []string{"id", "org_id", "tag_id", "session_id", "created_at"}},
	{"goals", []string{"id", "org_id", "client_id", "coach_id", "engagement_id", "title", "target_on", "created_at", "updated_at"}},
	{"goal_check_ins", []string{"id", "org_id", "goal_id", "score", "note", "author_id", "as_of", "created_at"}},
	{"goal_links", []string{"id", "org_id", "goal_id", "session_id", "insight_id", "created_at"}},
	{"action_items", []string{"id", "org_id", "client_id", "coach_id", "engagement_id", "session_id", "goal_id", "title", "status", "due_on", "due_at", "created_by", "completed_at", "status_changed_at", "created_at", "updated_at"}},
	{"action_assignees", []string{"id", "org_id", "action_id", "user_id", "client_id", "due_at", "created_at"}},
}

type builder struct {
	words  *Words
	ids    *rand.Rand
	issuer string
	rows   map[string][][]any
	at     time.Time // of the next id
}

func (b *builder) add(table string, values ...any) {
	if b.rows == nil {
		b.rows = map[string][][]any{}
	}
	b.rows[table] = append(b.rows[table], values)
}

// id makes a UUIDv7 as a server that runs since January would have made it.
func (b *builder) id() id.UUID {
	if b.at.IsZero() {
		b.at = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	}
	b.at = b.at.Add(time.Millisecond)
	var u id.UUID
	binary.BigEndian.PutUint64(u[:8], uint64(b.at.UnixMilli())<<16|0x7000|b.ids.Uint64()&0xfff)
	binary.BigEndian.PutUint64(u[8:], b.ids.Uint64()&(1<<62-1)|1<<63)
	return u
}

func (b *builder) organization(slug, name string) id.UUID {
	key := b.id()
	b.add("organizations", key, slug, name, b.at)
	return key
}

var kinds = []struct {
	kind     insight.Kind
	audience insight.Audience
}{
	{insight.KindCommitment, insight.AudienceBoth}, {insight.KindTheme, insight.AudienceBoth}, {insight.KindEmotionShift, insight.AudienceBoth},
	{insight.KindRiskFlag, insight.AudienceCoachOnly}, {insight.KindCoachSkill, insight.AudienceCoachOnly}, {insight.KindStrength, insight.AudienceClient},
}

var tagNames = []string{"follow up", "board", "delegation", "new role", "conflict", "energy", "hiring", "quiet quarter"}

// person makes a member of an organization.
func (b *builder) person(organization id.UUID, address, name string, role auth.Role) id.UUID {
	user := b.id()
	b.add("users", user, address, name, b.at)
	b.add("user_identities", b.issuer, address, user, b.at)
	b.add("memberships", b.id(), organization, user, []string{string(role)}, b.at)
	return user
}

// coach makes a coach with a practice.
func (b *builder) coach(organization id.UUID, address, name string, size Size) *Practice {
	user := b.person(organization, address, name, auth.RoleCoach)
	tags := make([]id.UUID, len(tagNames))
	for i, tag := range tagNames {
		tags[i] = b.id()
		b.add("tags", tags[i], organization, user, tag, fmt.Sprintf("#%06x", b.ids.IntN(1<<24)), b.at)
	}
	p := &Practice{Viewer: auth.Viewer{Org: organization, User: user, Roles: []auth.Role{auth.RoleCoach}}}
	relations := make([]relation, size.Clients)
	for i := range relations {
		r := relation{client: b.id(), engagement: b.id(), name: b.words.Name()}
		b.add("clients", r.client, organization, user, r.name, fmt.Sprintf("client%d.%s", i, address), b.at, b.at)
		b.add("engagements", r.engagement, organization, r.client, user, "Coaching with "+r.name, engagement.Active, b.at, b.at)
		for _, scope := range []consent.Scope{consent.Transcription, consent.AIAnalysis, consent.Supervision} {
			b.add("consents", b.id(), organization, r.client, scope, 1, consent.InPerson, b.at, user)
		}
		relations[i] = r
	}
	// The clients take turns, as they do in a coach's week; so neighbours in a list are of different clients.
	start := time.Date(2026, 1, 6, 9, 0, 0, 0, time.UTC)
	for n := range size.Sessions {
		for i, r := range relations {
			b.at = start.Add(time.Duration(n*size.Clients+i) * 5 * time.Hour)
			words := size.Utterances
			if n == size.Sessions-1 && i == len(relations)-1 {
				words *= 10
			}
			s := meeting{organization: organization, user: user, coach: name, id: b.id(), number: n + 1, size: size,
				client: client.ID{UUID: r.client}, engagement: r.engagement, clientName: r.name, utterances: words}
			b.session(&s)
			for t := range b.ids.IntN(3) { // none, one or two different ones
				b.add("taggings", b.id(), organization, tags[(n+i+3*t)%len(tags)], s.id, b.at)
			}
			p.Engagement = engagement.ID{UUID: r.engagement}
			relations[i].session, relations[i].insight = s.id, s.insight
			p.Session, p.Transcript, p.Insight = session.ID{UUID: s.id}, transcript.ID{UUID: s.transcript}, insight.ID{UUID: s.insight}
		}
	}
	for _, r := range relations {
		b.work(organization, user, r, size)
	}
	return p
}

// relation is a client with the coach.
type relation struct {
	client, engagement id.UUID
	name               string
	session, insight   id.UUID // the latest
}

// work adds what a client works towards and what is to be done, by the client, by the coach or by both, a few days apart.
func (b *builder) work(organization, user id.UUID, r relation, size Size) {
	start := b.at.AddDate(0, 0, -4*size.Actions)
	goals := make([]id.UUID, size.Goals)
	for i := range goals {
		goals[i] = b.id()
		b.add("goals", goals[i], organization, r.client, user, r.engagement, b.words.Title(), start.AddDate(0, 6, i), start, start)
		for k := range 2 {
			at := start.AddDate(0, k, 0)
			b.add("goal_check_ins", b.id(), organization, goals[i], 3+2*k, b.words.Utterance(false), user, at, at)
		}
		b.add("goal_links", b.id(), organization, goals[i], r.session, nil, start)
		b.add("goal_links", b.id(), organization, goals[i], nil, r.insight, start)
	}
	for i := range size.Actions {
		key, made := b.id(), start.AddDate(0, 0, 3*i)
		due := made.AddDate(0, 0, 14).Truncate(24 * time.Hour)
		over := due.AddDate(0, 0, 1)
		status, done := []any{goal.Done, goal.ToDo, goal.Done, goal.InProgress}[i%4], any(nil)
		if status == goal.Done {
			done = due
		}
		var of any
		if len(goals) > 0 {
			of = goals[i%len(goals)]
		}
		b.add("action_items", key, organization, r.client, user, r.engagement, r.session, of, b.words.Title(), status, due, over, user, done, made, made, made)
		if i%3 != 1 {
			b.add("action_assignees", b.id(), organization, key, nil, r.client, over, made)
		}
		if i%3 != 0 {
			b.add("action_assignees", b.id(), organization, key, user, nil, over, made)
		}
	}
}

type meeting struct {
	organization, user, id, engagement, transcript, insight id.UUID
	client                                                  client.ID
	coach, clientName                                       string
	number, utterances                                      int
	size                                                    Size
}

func (b *builder) session(s *meeting) {
	b.add("sessions", s.id, s.organization, s.engagement, s.client, s.user, s.number, session.Completed, b.words.Title(), b.at, 60, b.at, b.at)
	b.add("participants", b.id(), s.organization, s.id, s.user, nil, s.coach, session.AsCoach, b.at)
	b.add("participants", b.id(), s.organization, s.id, nil, s.client, s.clientName, session.AsClient, b.at)

	s.transcript = b.id()
	hash := sha256.Sum256(s.id[:])
	b.add("transcripts", s.transcript, s.organization, s.id, 1, transcript.Ready, "WEBVTT", "recording.vtt", int64(s.utterances)*5000, s.utterances,
		hash[:], s.utterances*100, s.user, b.at, b.at)
	speakers := [2]id.UUID{b.id(), b.id()}
	b.add("speakers", speakers[0], s.organization, s.transcript, 0, s.coach, s.coach, "COACH", b.at)
	b.add("speakers", speakers[1], s.organization, s.transcript, 1, s.clientName, s.clientName, "CLIENT", b.at)
	said := make([]string, s.utterances)
	for i := range said {
		said[i] = b.words.Utterance(i%2 == 0)
		from := int64(i) * 5000
		b.add("utterances", b.id(), s.organization, s.transcript, i, speakers[i%2], from, from+4600, said[i],
			[]map[string]int64{{"startMs": from, "endMs": from + 4600, "offset": 0}})
	}

	run := b.id()
	b.add("analysis_runs", run, s.organization, s.transcript, s.id, insight.Succeeded, "rules", "1", hash[:], s.size.Insights, b.at, b.at)
	for i := range s.size.Insights {
		s.insight = b.id()
		k := kinds[i%len(kinds)]
		print := sha256.Sum256(s.insight[:])
		b.add("insights", s.insight, s.organization, s.id, s.transcript, run, print[:], i+1, k.kind, k.audience, b.words.Title(),
			b.words.Utterance(false), float64(50+b.ids.IntN(50))/100, insight.Proposed, b.at)
		for c := range 1 + b.ids.IntN(2) {
			at := b.ids.IntN(len(said))
			quote, _, _ := strings.Cut(said[at], ". ")
			b.add("citations", b.id(), s.organization, s.insight, c+1, s.transcript, at, at, quote, int64(at)*5000, int64(at)*5000+4600)
		}
	}
}
