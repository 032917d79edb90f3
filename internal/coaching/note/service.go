package note

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service keeps the notes.
type Service struct {
	db          *pgxpool.Pool
	people      *org.Service
	clients     *client.Service
	engagements *engagement.Service
	sessions    *session.Service
}

// NewService returns a Service over db.
func NewService(db *pgxpool.Pool, people *org.Service, clients *client.Service, engagements *engagement.Service, sessions *session.Service) *Service {
	return &Service{db: db, people: people, clients: clients, engagements: engagements, sessions: sessions}
}

// ByIDs returns those of the notes that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Note, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, notes, noteScope(v), ids)
}

// Get returns one note, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Note, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, notes, noteScope(v), key.UUID, "note")
}

// List pages through the notes that the viewer may see.
func (s *Service) List(ctx context.Context, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Note], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, notes, noteScope(v), f.where(v), o.order(), w)
}

// Parent is what notes are children of.
type Parent string

// The parents of notes, by their column.
const (
	OfClient     Parent = "n.client_id"
	OfEngagement Parent = "n.engagement_id"
	OfSession    Parent = "n.session_id"
)

// Children returns a page of each parent's notes, in the order of the parents.
func (s *Service) Children(ctx context.Context, of Parent, parents []id.UUID, f *Filter, o *OrderBy, w page.Window) ([]*page.Connection[Note], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, notes, noteScope(v), f.where(v), o.order(), w, string(of), parents)
}

// CountChildren counts what Children pages through.
func (s *Service) CountChildren(ctx context.Context, of Parent, parents []id.UUID, f *Filter) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, notes, noteScope(v), f.where(v), string(of), parents)
}

// VersionsByIDs returns those of the versions that the viewer may see.
func (s *Service) VersionsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Version, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, versions, versionScope(v), ids)
}

// Versions returns a page of each note's versions that the viewer may see, latest first, in the order of the notes.
func (s *Service) Versions(ctx context.Context, of []id.UUID, w page.Window) ([]*page.Connection[Version], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, versions, versionScope(v), page.Filter{}, latestVersionFirst, w, "nv.note_id", of)
}

// CountVersions counts what Versions pages through.
func (s *Service) CountVersions(ctx context.Context, of []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, versions, versionScope(v), page.Filter{}, "nv.note_id", of)
}

// Mentions returns who is named in each note, in the order of the notes. Whose note it is has been looked at before.
func (s *Service) Mentions(ctx context.Context, of []id.UUID) ([][]org.UserID, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `
		SELECT k.ord, m.user_id FROM unnest($2::uuid[]) WITH ORDINALITY AS k(note, ord)
		JOIN note_mentions m ON m.org_id = $1 AND m.note_id = k.note ORDER BY k.ord, m.user_id`, v.Org, of)
	if err != nil {
		return nil, err
	}
	found := make([][]org.UserID, len(of))
	var ord int
	var user org.UserID
	_, err = pgx.ForEachRow(rows, []any{&ord, &user}, func() error {
		found[ord-1] = append(found[ord-1], user)
		return nil
	})
	return found, err
}

// Create writes a note about a client, an engagement or a session that the viewer sees.
func (s *Service) Create(ctx context.Context, in CreateInput) (_ *Note, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "note.Create(%s)", in.EntityID)
	n, err := s.about(ctx, in.EntityID)
	if err != nil {
		return nil, err
	}
	if !n.Any(auth.AsCoach | auth.AsClient | auth.AsSupervisor | auth.AsAdmin) {
		return nil, fault.Forbidden("sponsors write no notes")
	}
	var problems check.Input
	problems.Document("body", in.Body, MaxBytes)
	shareable(&problems, n.Grants, in.Visibility)
	if err := s.mentionable(ctx, &problems, in.MentionIds); err != nil {
		return nil, err
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	key := ID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO notes (id, org_id, author_id, client_id, engagement_id, session_id, visibility, version, body, created_at, updated_at)
			SELECT $3, $1, $2, $4, $5, $6, $7, 1, $8, at, at FROM clock_timestamp() AS at`,
			v.Org, v.User, key, n.ClientID, n.EngagementID, n.SessionID, in.Visibility, in.Body); err != nil {
			return err
		}
		if err := keep(ctx, tx, v, key); err != nil {
			return err
		}
		if err := mention(ctx, tx, v, key, in.MentionIds); err != nil {
			return err
		}
		return record(ctx, tx, v, &Note{ID: key, ClientID: n.ClientID, Visibility: in.Visibility}, "note.create")
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// about is what a note would be about: a note without words, with the viewer's grants to the thing.
func (s *Service) about(ctx context.Context, entity id.Any) (*Note, error) {
	switch entity.Prefix {
	case "client":
		c, err := s.clients.Get(ctx, client.ID{UUID: entity.UUID})
		if err != nil {
			return nil, err
		}
		return &Note{Grants: c.Grants, ClientID: c.ID}, nil
	case "engagement":
		e, err := s.engagements.Get(ctx, engagement.ID{UUID: entity.UUID})
		if err != nil {
			return nil, err
		}
		return &Note{Grants: e.Grants, ClientID: e.ClientID, EngagementID: &e.ID}, nil
	case "session":
		m, err := s.sessions.Get(ctx, session.ID{UUID: entity.UUID})
		if err != nil {
			return nil, err
		}
		return &Note{Grants: m.Grants, ClientID: m.ClientID, EngagementID: &m.EngagementID, SessionID: &m.ID}, nil
	}
	return nil, fault.Invalid("entityId", "is no client, engagement or session")
}

// shareable checks that somebody may share what they write about a thing.
func shareable(problems *check.Input, g auth.Grants, v Visibility) {
	if !may(g, v) {
		problems.Fail("visibility", "cannot be %s: coaches share with everybody in the list, clients with their coach, others not at all", v)
	}
}

// mentionable checks that the viewer knows everybody who is to be named.
func (s *Service) mentionable(ctx context.Context, problems *check.Input, who []org.UserID) error {
	const most = 20
	if len(who) > most {
		problems.Fail("mentionIds", "must be at most %d, got %d", most, len(who))
		return nil
	}
	if len(who) == 0 {
		return nil
	}
	keys := make([]id.UUID, len(who))
	for i, u := range who {
		keys[i] = u.UUID
	}
	known, err := s.people.UsersByIDs(ctx, keys)
	for i, key := range keys {
		if err == nil && known[key] == nil {
			problems.Fail(fmt.Sprintf("mentionIds.%d", i), "is nobody you know here")
		}
	}
	return err
}

// keep makes the note as it is its next version.
func keep(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO note_versions (id, org_id, note_id, number, author_id, visibility, body, created_at)
		SELECT $3, $1, n.id, n.version, $2, n.visibility, n.body, n.updated_at FROM notes n WHERE n.org_id = $1 AND n.id = $4`,
		v.Org, v.User, id.New(), key)
	return err
}

// mention makes those named in a note the ones given.
func mention(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID, who []org.UserID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM note_mentions WHERE org_id = $1 AND note_id = $2 AND user_id <> ALL($3)`, v.Org, key, who); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO note_mentions (org_id, note_id, user_id)
		SELECT DISTINCT $1::uuid, $2::uuid, u FROM unnest($3::uuid[]) u ON CONFLICT DO NOTHING`, v.Org, key, who); err != nil {
		return err
	}
	// Each is told once. Who may not read the note hears of it when it is shared with them.
	e := notice.Event{Org: v.Org, Type: notice.Mention, Actor: v.User, Subject: "note", SubjectID: key.UUID, Key: key.String()}
	for _, u := range who {
		e.Recipients = append(e.Recipients, u.UUID)
	}
	var client, session *id.UUID
	if err := tx.QueryRow(ctx, `SELECT client_id, session_id FROM notes WHERE org_id = $1 AND id = $2`, v.Org, key).Scan(&client, &session); err != nil {
		return err
	}
	if client != nil {
		e.ClientID = *client
	}
	if session != nil {
		e.SessionID = *session
	}
	return notice.Notify(ctx, tx, e)
}

// Archive archives a note or brings one back. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Note, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "note.Archive(%s)", in.ID)
	n, err := s.own(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `
			UPDATE notes SET archived_at = CASE WHEN $3 THEN now() END, updated_at = clock_timestamp()
			WHERE org_id = $1 AND id = $2 AND (archived_at IS NOT NULL) <> $3`, v.Org, in.ID, in.Archived)
		if err != nil || done.RowsAffected() == 0 {
			return err
		}
		return record(ctx, tx, v, n, "note.archive", "archived")
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// Delete deletes a note with all its versions, and returns it as it was.
func (s *Service) Delete(ctx context.Context, in DeleteInput) (_ *Note, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "note.Delete(%s)", in.ID)
	n, err := s.own(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, `DELETE FROM notes WHERE org_id = $1 AND id = $2`, v.Org, in.ID)
		if err != nil {
			return err
		}
		if done.RowsAffected() == 0 {
			return fault.NotFound("note")
		}
		return record(ctx, tx, v, n, "note.delete")
	})
	return n, err
}

var errNotYours = fault.Forbidden("only who has written a note can change it")

// own is a note that the viewer has written.
func (s *Service) own(ctx context.Context, key ID) (*Note, error) {
	n, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if !n.Any(auth.AsSelf) {
		return nil, errNotYours
	}
	return n, nil
}

// gone is NotFound for a row that was deleted meanwhile.
func gone(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound("note")
	}
	return err
}

// record writes down that a note was changed. Who may read the trail must not learn from it of a note that is private then: such
// a change is told of its author, and names neither note nor client.
func record(ctx context.Context, tx pgx.Tx, v auth.Viewer, n *Note, action string, fields ...string) error {
	entry := audit.Entry{Action: action, Kind: "note", ID: n.ID.UUID, ClientID: n.ClientID.UUID, Fields: fields}
	if n.Visibility == Private {
		if err := audit.RequireKept(ctx, tx, v.Org, n.ClientID.UUID); err != nil {
			return err
		}
		entry.Kind, entry.ID, entry.ClientID = "user", v.User, id.UUID{}
	}
	return audit.Record(ctx, tx, v, entry)
}
