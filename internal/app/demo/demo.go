// Package demo brings two invented organizations to life: Harbor, a small practice, and Lumen, a second tenant that must see
// nothing of it. All of it is original writing; nobody in it exists. Conversations go through the real import.
package demo

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/loaders"
)

//go:embed data
var data embed.FS

// Loader loads the demo.
type Loader struct {
	DB       *pgxpool.Pool
	Services loaders.Services
	Runner   *jobs.Runner
	Issuer   string    // whose subjects the demo's people are: their e-mail addresses
	Now      time.Time // dates of the demo are relative to it
	Progress func(line string)
}

// Load loads what is not there yet. It can be interrupted and repeated.
func (l Loader) Load(ctx context.Context) error {
	var m manifest
	raw, err := data.ReadFile("data/manifest.json")
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for _, o := range m.Organizations {
		if err := l.organization(ctx, o); err != nil {
			return fmt.Errorf("demo: %s: %w", o.Slug, err)
		}
	}
	return nil
}

// organization founds an organization in one transaction, then imports its conversations one by one.
func (l Loader) organization(ctx context.Context, o organization) error {
	key := ID(o.Slug, "organization", o.Slug)
	var known bool
	if err := l.DB.QueryRow(ctx, `SELECT EXISTS (SELECT FROM organizations WHERE slug = $1 AND id <> $2)`, o.Slug, key).Scan(&known); err != nil || known {
		return err // somebody's own organization has this name: it is left alone
	}
	if err := l.DB.QueryRow(ctx, `SELECT EXISTS (SELECT FROM organizations WHERE id = $1)`, key).Scan(&known); err != nil {
		return err
	}
	if !known {
		l.Progress("founding the demo organization " + o.Name)
		if err := postgres.InTx(ctx, l.DB, func(tx pgx.Tx) error { return l.found(ctx, tx, o) }); err != nil {
			return err
		}
	}
	if err := l.consents(ctx, o); err != nil {
		return err
	}
	if err := l.conversations(ctx, o); err != nil {
		return err
	}
	return l.work(ctx, o)
}

// consents has the coach record what the clients have agreed to, unless anything was recorded before: whoever tries the demo may have
// withdrawn it.
func (l Loader) consents(ctx context.Context, o organization) error {
	organization := ID(o.Slug, "organization", o.Slug)
	for _, c := range o.Clients {
		key := ID(o.Slug, "client", c.Key)
		v := auth.Viewer{Org: organization, Roles: []auth.Role{auth.RoleCoach}}
		var known bool
		if err := l.DB.QueryRow(ctx, `
			SELECT coach_id, EXISTS (SELECT FROM consents k WHERE k.org_id = $1 AND k.client_id = $2 AND k.participant_id IS NULL)
			FROM clients WHERE org_id = $1 AND id = $2`, organization, key).Scan(&v.User, &known); err != nil {
			return err
		}
		if known || c.Consents == nil {
			continue
		}
		in := consent.GiveInput{SubjectID: id.Any{Prefix: "client", UUID: key}, Scopes: c.Consents}
		if _, err := l.Services.Consents.Give(auth.WithViewer(ctx, v), in); err != nil {
			return fmt.Errorf("consents of %s: %w", c.Key, err)
		}
	}
	return nil
}

// found writes everything but the conversations, and what is written down about them.
func (l Loader) found(ctx context.Context, tx pgx.Tx, o organization) error {
	b := &pgx.Batch{}
	organization := ID(o.Slug, "organization", o.Slug)
	b.Queue(`INSERT INTO organizations (id, slug, name) VALUES ($1, $2, $3)`, organization, o.Slug, o.Name)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	users := map[string]org.UserID{}
	zones := map[string]*time.Location{}
	names := map[string]string{}
	for _, u := range o.Users {
		zone, err := time.LoadLocation(u.TimeZone)
		if err != nil {
			return err
		}
		users[u.Key], err = org.Join(ctx, tx, org.ID{UUID: organization}, org.NewMember{
			Email: u.Email, Name: u.Name, TimeZone: u.TimeZone, Roles: u.Roles, Identity: &org.Identity{Issuer: l.Issuer, Subject: u.Email},
		})
		if err != nil {
			return err
		}
		zones[u.Key], names[u.Key] = zone, u.Name
	}
	user := func(key *string) *org.UserID {
		if key == nil {
			return nil
		}
		u := users[*key]
		return &u
	}
	of := func(kind, key string) id.UUID { return ID(o.Slug, kind, key) }

	b = &pgx.Batch{}
	for _, s := range o.Supervisions {
		b.Queue(`INSERT INTO supervisions (org_id, supervisor_id, coach_id) VALUES ($1, $2, $3)`, organization, users[s.Supervisor], users[s.Coach])
	}
	for _, t := range o.Tags {
		b.Queue(`INSERT INTO tags (id, org_id, owner_id, name, color) VALUES ($1, $2, $3, $4, $5)`, of("tag", t.Key), organization, users[t.Owner], t.Name, t.Color)
	}
	clients := map[string]clientEntry{}
	for _, c := range o.Clients {
		clients[c.Key] = c
		b.Queue(`INSERT INTO clients (id, org_id, coach_id, user_id, name, email, lifecycle) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			of("client", c.Key), organization, users[c.Coach], user(c.User), c.Name, c.Email, c.Lifecycle)
		for _, t := range c.Tags {
			b.Queue(`INSERT INTO taggings (id, org_id, tag_id, client_id) VALUES ($1, $2, $3, $4)`, id.New(), organization, of("tag", t), of("client", c.Key))
		}
	}
	engagements := map[string]engagementEntry{}
	for _, e := range o.Engagements {
		engagements[e.Key] = e
		b.Queue(`INSERT INTO engagements (id, org_id, client_id, coach_id, title, status, sessions_included, starts_on, ends_on) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			of("engagement", e.Key), organization, of("client", e.Client), users[e.Coach], e.Title, e.Status, e.SessionsIncluded, l.day(e.StartsOn), l.day(e.EndsOn))
		for _, s := range e.Sponsors {
			b.Queue(`INSERT INTO engagement_sponsors (org_id, engagement_id, user_id) VALUES ($1, $2, $3)`, organization, of("engagement", e.Key), users[s])
		}
	}
	for _, s := range o.Sessions {
		e := engagements[s.Engagement]
		startsAt, err := l.moment(s.StartsAt, zones[e.Coach])
		if err != nil {
			return err
		}
		b.Queue(`INSERT INTO sessions (id, org_id, engagement_id, client_id, coach_id, number, type, status, title, starts_at, duration_minutes, uses_session) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $8 = 'NO_SHOW')`,
			of("session", s.Key), organization, of("engagement", e.Key), of("client", e.Client), users[e.Coach], s.Number, s.Type, s.Status, s.Title, startsAt, s.DurationMinutes)
		if c := s.Cancellation; c != nil {
			b.Queue(`UPDATE sessions SET cancelled_at = $3, cancelled_by = $4, cancelled_late = false, cancellation_reason = $5 WHERE org_id = $1 AND id = $2`,
				organization, of("session", s.Key), startsAt.AddDate(0, 0, -c.DaysBefore), c.By, c.Reason)
		}
		for i, t := range s.Agenda {
			by := users[e.Coach]
			if t.By != nil {
				by = users[*t.By]
			}
			var from *id.UUID
			if t.From != nil {
				key := of("topic", *t.From)
				from = &key
			}
			b.Queue(`INSERT INTO agenda_topics (id, org_id, session_id, position, title, notes, status, added_by, carried_from) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				of("topic", t.Key), organization, of("session", s.Key), i+1, t.Title, t.Notes, t.Status, by, from)
			b.Queue(`UPDATE agenda_topics SET carried_at = now() WHERE org_id = $1 AND id = $2`, organization, from)
		}
		for _, t := range s.Tags {
			b.Queue(`INSERT INTO taggings (id, org_id, tag_id, session_id) VALUES ($1, $2, $3, $4)`, id.New(), organization, of("tag", t), of("session", s.Key))
		}
		for _, p := range s.Participants {
			var clientID *id.UUID
			name, login := "", user(p.User)
			if p.User != nil {
				name = names[*p.User]
			}
			if p.Client != nil {
				c := clients[*p.Client]
				key := of("client", c.Key)
				clientID, name, login = &key, c.Name, user(c.User)
			}
			b.Queue(`INSERT INTO participants (id, org_id, session_id, user_id, client_id, name, role) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				id.New(), organization, of("session", s.Key), login, clientID, name, p.Role)
		}
	}
	return tx.SendBatch(ctx, b).Close()
}

// conversations imports what is not imported yet and waits until it is analysed. Then the coach shares what the
// manifest says is shared, and accepts what is meant for the client too, so that a client's sign-in shows something.
func (l Loader) conversations(ctx context.Context, o organization) error {
	for _, s := range o.Sessions {
		if s.Transcript == nil {
			continue
		}
		key := session.ID{UUID: ID(o.Slug, "session", s.Key)}
		coached, wanted, err := l.asCoach(ctx, key)
		if err != nil {
			return err
		}
		if !wanted {
			continue
		}
		l.Progress("importing " + s.Transcript.Filename)
		content, err := data.ReadFile(path.Join("data", s.Transcript.File))
		if err != nil {
			return err
		}
		in := transcript.ImportInput{SessionID: key, Content: string(content), Filename: &s.Transcript.Filename}
		result, err := l.Services.Transcripts.Import(coached, in)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Transcript.File, err)
		}
		if _, err := l.Runner.Drain(ctx, transcript.JobEmbed); err != nil {
			return err
		}
		if err := l.share(coached, result.Transcript.ID, s.Transcript); err != nil {
			return err
		}
	}
	return nil
}

// asCoach acts as the session's coach, and says whether the session wants a transcript: it has none, and its client agrees.
func (l Loader) asCoach(ctx context.Context, key session.ID) (_ context.Context, wanted bool, err error) {
	v := auth.Viewer{Roles: []auth.Role{auth.RoleCoach}}
	err = l.DB.QueryRow(ctx, `
		SELECT s.org_id, s.coach_id,
			'TRANSCRIPTION' = ANY(s.consents) AND NOT EXISTS (SELECT FROM transcripts t WHERE t.org_id = s.org_id AND t.session_id = s.id)
		FROM sessions s WHERE s.id = $1`, key).Scan(&v.Org, &v.User, &wanted)
	return auth.WithViewer(ctx, v), wanted, err
}

func (l Loader) share(ctx context.Context, key transcript.ID, t *transcriptEntry) error {
	language, with := &t.Language, &t.SharedWithClient
	if _, err := l.Services.Transcripts.Update(ctx, transcript.UpdateInput{ID: key, Language: &language, SharedWithClient: &with}); err != nil {
		return err
	}
	if !t.SharedWithClient {
		return nil
	}
	shared, err := l.Services.Transcripts.Get(ctx, key)
	if err != nil {
		return err
	}
	proposals, err := l.Services.Insights.List(ctx, &insight.Filter{
		SessionIds: []session.ID{shared.SessionID}, Audiences: []insight.Audience{insight.AudienceClient, insight.AudienceBoth},
	}, nil, page.Args{})
	if err != nil {
		return err
	}
	for i, proposal := range proposals.Nodes() {
		if i%2 == 0 { // a coach decides; some are left for whoever tries the demo
			if _, err := l.Services.Insights.Review(ctx, insight.ReviewInput{InsightID: proposal.ID, Decision: insight.Accept}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ID gives a thing of the demo the same id in every installation, so that examples in the docs work everywhere.
func ID(organization, kind, key string) (u id.UUID) {
	sum := sha1.Sum([]byte("rapport demo/" + organization + "/" + kind + "/" + key))
	copy(u[:], sum[:16])
	u[6] = u[6]&0x0f | 0x50 // version 5: named by a hash
	u[8] = u[8]&0x3f | 0x80
	return u
}

func (l Loader) day(offset *int) *time.Time {
	if offset == nil {
		return nil
	}
	d := l.Now.UTC().AddDate(0, 0, *offset)
	return &d
}

func (l Loader) moment(m moment, zone *time.Location) (time.Time, error) {
	clock, err := time.Parse("15:04", m.Time)
	d := l.Now.In(zone).AddDate(0, 0, m.Day)
	return time.Date(d.Year(), d.Month(), d.Day(), clock.Hour(), clock.Minute(), 0, 0, zone), err
}
