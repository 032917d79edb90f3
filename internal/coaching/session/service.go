package session

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service keeps the sessions.
type Service struct {
	db          *pgxpool.Pool
	engagements *engagement.Service
}

// NewService returns a Service over db.
func NewService(db *pgxpool.Pool, engagements *engagement.Service) *Service {
	return &Service{db: db, engagements: engagements}
}

// ByIDs returns those of the sessions that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, sessions, scope(v), ids)
}

// Get returns one session, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, sessions, scope(v), key.UUID, "session")
}

// List pages through the sessions that the viewer may see.
func (s *Service) List(ctx context.Context, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Session], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, sessions, scope(v), f.where(v), o.order(), w)
}

// Parent is what sessions are children of.
type Parent string

// The parents of sessions, by their column.
const (
	OfClient     Parent = "s.client_id"
	OfEngagement Parent = "s.engagement_id"
)

// Children returns a page of each parent's sessions, in the order of the parents.
func (s *Service) Children(ctx context.Context, of Parent, parents []id.UUID, f *Filter, o *OrderBy, w page.Window) ([]*page.Connection[Session], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, sessions, scope(v), f.where(v), o.order(), w, string(of), parents)
}

// CountChildren counts what Children pages through.
func (s *Service) CountChildren(ctx context.Context, of Parent, parents []id.UUID, f *Filter) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, sessions, scope(v), f.where(v), string(of), parents)
}

// Participants returns who takes part in each session, in the order of the sessions.
func (s *Service) Participants(ctx context.Context, sessions []id.UUID) ([][]*Participant, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, participants, participantScope(v), page.Filter{}, participantsInOrder, "p.session_id", sessions)
}

// ParticipantsByIDs returns those of the participants that the viewer may see.
func (s *Service) ParticipantsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Participant, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, participants, participantScope(v), ids)
}

// Create adds a session to an engagement, with the next number, and its coach and client as participants.
func (s *Service) Create(ctx context.Context, in CreateInput) (_ *Session, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.Create(%s)", in.EngagementID)
	e, err := s.engagements.Get(ctx, in.EngagementID)
	if err != nil {
		return nil, err
	}
	if !e.Any(auth.AsCoach | auth.AsAdmin) {
		return nil, fault.Forbidden("only the coach, an owner or an admin can add a session")
	}
	var problems check.Input
	title := problems.LineOrNil("title", in.Title, 200)
	problems.Time("startsAt", in.StartsAt)
	problems.Range("durationMinutes", in.DurationMinutes, 1, 1440)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	key := ID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// The engagement's row is the lock for its numbers.
		var status engagement.Status
		if err := tx.QueryRow(ctx, `SELECT status FROM engagements WHERE org_id = $1 AND id = $2 FOR UPDATE`,
			v.Org, in.EngagementID).Scan(&status); err != nil {
			return err
		}
		if status == engagement.Completed || status == engagement.Cancelled {
			return fault.Conflict("the engagement is %s: no sessions can be added", status)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO sessions (id, org_id, engagement_id, client_id, coach_id, number, type, title, starts_at, duration_minutes)
			SELECT $3, $1, e.id, e.client_id, e.coach_id,
				1 + (SELECT coalesce(max(number), 0) FROM sessions s WHERE s.org_id = $1 AND s.engagement_id = $2),
				$4, $5, $6, $7
			FROM engagements e WHERE e.org_id = $1 AND e.id = $2`,
			v.Org, in.EngagementID, key, in.Type, title, in.StartsAt, in.DurationMinutes); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO participants (id, org_id, session_id, user_id, client_id, name, role)
			SELECT $3::uuid, $1::uuid, s.id, s.coach_id, NULL::uuid, u.name, 'COACH'
			FROM sessions s JOIN users u ON u.id = s.coach_id WHERE s.org_id = $1 AND s.id = $2
			UNION ALL
			SELECT $4::uuid, $1, s.id, c.user_id, c.id, c.name, 'CLIENT'
			FROM sessions s JOIN clients c ON c.org_id = $1 AND c.id = s.client_id WHERE s.org_id = $1 AND s.id = $2`,
			v.Org, key, id.New(), id.New()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, entry("session.create", key, e.ClientID))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// Update changes a session.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Session, err error) {
	v, was, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.Update(%s)", in.ID)
	var problems check.Input
	kind := check.NotNull(&problems, "type", in.Type)
	var title *string
	if in.Title != nil {
		title = problems.LineOrNil("title", *in.Title, 200)
	}
	status := check.NotNull(&problems, "status", in.Status)
	startsAt := check.NotNull(&problems, "startsAt", in.StartsAt)
	if startsAt != nil {
		problems.Time("startsAt", *startsAt)
	}
	minutes := check.NotNull(&problems, "durationMinutes", in.DurationMinutes)
	if minutes != nil {
		problems.Range("durationMinutes", *minutes, 1, 1440)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE sessions SET
				type = coalesce($3, type),
				title = CASE WHEN $4 THEN $5 ELSE title END,
				status = coalesce($6, status),
				starts_at = coalesce($7, starts_at),
				duration_minutes = coalesce($8, duration_minutes),
				updated_at = now()
			WHERE org_id = $1 AND id = $2`,
			v.Org, in.ID, kind, in.Title != nil, title, status, startsAt, minutes); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, entry("session.update", in.ID, was.ClientID, audit.Given(in)...))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// Archive archives a session or brings one back. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Session, err error) {
	v, was, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.Archive(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE sessions SET archived_at = CASE WHEN $3 THEN coalesce(archived_at, now()) END, updated_at = now()
			WHERE org_id = $1 AND id = $2 AND (archived_at IS NOT NULL) <> $3`, v.Org, in.ID, in.Archived)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit.Record(ctx, tx, v, entry("session.archive", in.ID, was.ClientID, "archivedAt"))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// entry is a line of the audit trail about a session.
func entry(action string, key ID, of client.ID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "session", ID: key.UUID, ClientID: of.UUID, Fields: fields}
}

// mine returns a session if the viewer may change it.
func (s *Service) mine(ctx context.Context, key ID) (auth.Viewer, *Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, nil, err
	}
	found, err := page.Get(ctx, s.db, v, sessions, scope(v), key.UUID, "session")
	if err != nil {
		return v, nil, err
	}
	if !found.Any(auth.AsCoach | auth.AsAdmin) {
		return v, nil, fault.Forbidden("only the coach, an owner or an admin can change a session")
	}
	return v, found, nil
}
