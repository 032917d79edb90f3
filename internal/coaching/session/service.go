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
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service keeps the sessions.
type Service struct {
	db          *pgxpool.Pool
	engagements *engagement.Service
	outbox      *event.Outbox
	ending      []Ending
}

// Ending is what another domain does about a session that was going on and does not go on any more: it is completed, was begun by mistake, or is
// put away. It is in the transaction, which holds the session's row.
type Ending func(ctx context.Context, tx pgx.Tx, v auth.Viewer, of *Session) error

// OnEnd registers what must happen with a session's end, while the program is put together.
func (s *Service) OnEnd(f Ending) { s.ending = append(s.ending, f) }

// NewService returns a Service over db that tells other systems what it does.
func NewService(db *pgxpool.Pool, engagements *engagement.Service, outbox *event.Outbox) *Service {
	s := &Service{db: db, engagements: engagements, outbox: outbox}
	engagements.OnEnd(s.engagementEnds)
	return s
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
	return s.list(ctx, v, f.where(v), o, args)
}

func (s *Service) list(ctx context.Context, v auth.Viewer, f page.Filter, o *OrderBy, args page.Args) (*page.Connection[Session], error) {
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, sessions, scope(v), f, o.order(), w)
}

const maxOverlaps = 10

// Overlaps returns what else each session's coach has planned in its time, as far as the viewer sees it, in the order of the
// sessions. Such a plan is allowed, because calendars are full of the tentative, and shown, because most of it is a slip.
func (s *Service) Overlaps(ctx context.Context, keys []id.UUID) ([][]*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, overlapping, scope(v), page.Filter{}, (&OrderBy{Field: OrderByStartsAt, Direction: page.Ascending}).order(), "o.id", keys, maxOverlaps)
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
	return page.AllChildren(ctx, s.db, v, participants, innerScope(v, "p.org_id"), page.Filter{}, participantsInOrder, "p.session_id", sessions, maxParticipants)
}

// ParticipantsByIDs returns those of the participants that the viewer may see.
func (s *Service) ParticipantsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Participant, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, participants, innerScope(v, "p.org_id"), ids)
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
		if err := s.lockOpen(ctx, tx, v, in.EngagementID); err != nil {
			return err
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
		if err := carryOver(ctx, tx, v, in.EngagementID); err != nil {
			return err
		}
		return s.moved(ctx, tx, v, "session.create", nil, "session.scheduled", &Session{ID: key, EngagementID: e.ID, ClientID: e.ClientID, CoachID: e.CoachID})
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// Update changes a session. A change of its status goes by the same rules as the mutation of that name.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.Update(%s)", in.ID)
	return s.change(ctx, in.ID, "session.update", func(c *change) error {
		var problems check.Input
		kind := check.NotNull(&problems, "type", in.Type)
		if in.Title != nil {
			c.Title = problems.LineOrNil("title", *in.Title, 200)
		}
		status := check.NotNull(&problems, "status", in.Status)
		startsAt := check.NotNull(&problems, "startsAt", in.StartsAt)
		if startsAt != nil {
			problems.Time("startsAt", *startsAt)
			if (c.Status == Completed || c.Status == NoShow) && startsAt.After(c.at.Add(early)) {
				problems.Fail("startsAt", "must not lie ahead: the session is %s", c.Status)
			}
			c.StartsAt = *startsAt
		}
		minutes := check.NotNull(&problems, "durationMinutes", in.DurationMinutes)
		if minutes != nil {
			c.DurationMinutes = problems.Range("durationMinutes", *minutes, 1, 1440)
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if kind != nil {
			c.Type = *kind
		}
		c.fields = audit.Given(in)
		if status == nil || *status == c.Status {
			return nil
		}
		switch *status {
		case InProgress:
			return c.start()
		case Completed:
			return c.complete()
		case NoShow:
			return c.noShow(true)
		case Cancelled:
			return fault.Conflict("a session is called off by cancelSession, which asks who does it")
		default:
			return fault.Conflict("a session that is %s is planned anew by rescheduleSession, which asks for when", c.Status)
		}
	})
}

// Archive archives a session or brings one back. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.Archive(%s)", in.ID)
	return s.change(ctx, in.ID, "session.archive", func(c *change) error {
		if (c.ArchivedAt != nil) == in.Archived {
			return nil
		}
		c.ArchivedAt, c.fields = nil, []string{"archivedAt"}
		if in.Archived {
			c.ArchivedAt = &c.at
		}
		return nil
	})
}

// entry is a line of the audit trail about a session.
func entry(action string, key ID, of client.ID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "session", ID: key.UUID, ClientID: of.UUID, Fields: fields}
}
