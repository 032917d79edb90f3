package engagement

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service keeps the engagements.
type Service struct {
	db      *pgxpool.Pool
	clients *client.Service
	outbox  *event.Outbox
	ending  []Ending
}

// Ending is told of an engagement that ends, in the transaction that ends it: e has the state that it is about to have. It
// may refuse with a Conflict.
type Ending func(ctx context.Context, tx pgx.Tx, v auth.Viewer, e *Engagement) error

// OnEnd registers what must happen with an engagement's end, while the program is put together.
func (s *Service) OnEnd(f Ending) { s.ending = append(s.ending, f) }

// NewService returns a Service over db that tells other systems what it does.
func NewService(db *pgxpool.Pool, clients *client.Service, outbox *event.Outbox) *Service {
	return &Service{db: db, clients: clients, outbox: outbox}
}

// ByIDs returns those of the engagements that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Engagement, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, engagements, scope(v), ids)
}

// Get returns one engagement, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Engagement, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, engagements, scope(v), key.UUID, "engagement")
}

// List pages through the engagements that the viewer may see.
func (s *Service) List(ctx context.Context, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Engagement], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, engagements, scope(v), f.where(), o.order(), w)
}

// OfClients returns a page of each client's engagements, latest first, in the order of the clients.
func (s *Service) OfClients(ctx context.Context, clients []id.UUID, w page.Window) ([]*page.Connection[Engagement], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, engagements, scope(v), (*Filter)(nil).where(), (*OrderBy)(nil).order(), w, "e.client_id", clients)
}

// CountOfClients counts what OfClients pages through.
func (s *Service) CountOfClients(ctx context.Context, clients []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, engagements, scope(v), (*Filter)(nil).where(), "e.client_id", clients)
}

// Create begins an engagement with a client, in DRAFT.
func (s *Service) Create(ctx context.Context, in CreateInput) (_ *Engagement, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "engagement.Create(%s)", in.ClientID)
	c, err := s.clients.Get(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	if !c.Any(auth.AsCoach | auth.AsAdmin) {
		return nil, fault.Forbidden("only the client's coach, an owner or an admin can begin an engagement")
	}
	coach := c.CoachID
	if in.CoachID != nil {
		coach = *in.CoachID
	}
	if !c.Any(auth.AsAdmin) && coach.UUID != v.User {
		return nil, fault.Forbidden("only owners and admins can name another coach")
	}
	var problems check.Input
	title := problems.Line("title", in.Title, 200)
	checkPlan(&problems, in.SessionsIncluded, in.StartsOn, in.EndsOn)
	key := ID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := audit.RequireKept(ctx, tx, v.Org, in.ClientID.UUID); err != nil { // who was erased is archived, too, and does not come back
			return err
		}
		problems := problems
		if c.ArchivedAt != nil {
			problems.Fail("clientId", "is an archived client: bring the client back first")
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if err := org.RequireActive(ctx, tx, v.Org, coach, auth.RoleCoach, "coachId"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO engagements (id, org_id, client_id, coach_id, title, sessions_included, starts_on, ends_on)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			key, v.Org, in.ClientID, coach, title, in.SessionsIncluded, in.StartsOn, in.EndsOn); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("engagement.create", key, in.ClientID)); err != nil {
			return err
		}
		return s.outbox.Add(ctx, tx, v.Org, (&Engagement{ID: key, ClientID: in.ClientID, CoachID: coach}).news("engagement.created"))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// Update changes an engagement. The row is locked while its state is judged, so that two changes cannot pass each other.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Engagement, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "engagement.Update(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		e, err := s.lockMine(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		was := e.Status
		var problems check.Input
		if title := check.NotNull(&problems, "title", in.Title); title != nil {
			e.Title = problems.Line("title", *title, 200)
		}
		status := check.NotNull(&problems, "status", in.Status)
		if in.SessionsIncluded != nil {
			e.SessionsIncluded = *in.SessionsIncluded
		}
		if in.StartsOn != nil {
			e.StartsOn = *in.StartsOn
		}
		if in.EndsOn != nil {
			e.EndsOn = *in.EndsOn
		}
		checkPlan(&problems, e.SessionsIncluded, e.StartsOn, e.EndsOn)
		if err := problems.Err(); err != nil {
			return err
		}
		if status != nil && *status != e.Status {
			if err := s.move(ctx, tx, v, e, *status); err != nil {
				return err
			}
		}
		if _, err = tx.Exec(ctx, `
			UPDATE engagements SET title = $3, status = $4, sessions_included = $5, starts_on = $6, ends_on = $7, updated_at = now()
			WHERE org_id = $1 AND id = $2`,
			v.Org, in.ID, e.Title, e.Status, e.SessionsIncluded, e.StartsOn, e.EndsOn); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("engagement.update", in.ID, e.ClientID, audit.Given(in)...)); err != nil || e.Status == was {
			return err
		}
		return s.outbox.Add(ctx, tx, v.Org, e.news(becoming[e.Status]))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// move judges a change of state and brings e there; the caller writes it. This is the one place that an engagement goes
// through from state to state, but for Reopen.
func (s *Service) move(ctx context.Context, tx pgx.Tx, v auth.Viewer, e *Engagement, to Status) error {
	if err := e.Status.To(to); err != nil {
		return err
	}
	if e.ArchivedAt != nil {
		return fault.Conflict("the engagement is archived: bring it back first")
	}
	e.Status = to
	if !to.Ended() {
		return nil
	}
	for _, f := range s.ending {
		if err := f(ctx, tx, v, e); err != nil {
			return err
		}
	}
	return nil
}

// Reopen lets an engagement go on that has ended.
func (s *Service) Reopen(ctx context.Context, in ReopenInput) (_ *Engagement, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "engagement.Reopen(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		e, err := s.lockMine(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		var problems check.Input
		reason := problems.Line("reason", in.Reason, 500)
		if err := problems.Err(); err != nil {
			return err
		}
		if !e.Status.Ended() {
			return fault.Conflict("an engagement that is %s has not ended", e.Status)
		}
		if e.ArchivedAt != nil {
			return fault.Conflict("the engagement is archived: bring it back first")
		}
		if _, err := tx.Exec(ctx, `
			UPDATE engagements SET status = 'ACTIVE', reopened_at = now(), reopened_by = $3, reopen_reason = $4, updated_at = now()
			WHERE org_id = $1 AND id = $2`, v.Org, in.ID, v.User, reason); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("engagement.reopen", in.ID, e.ClientID, "status", "reopening")); err != nil {
			return err
		}
		return s.outbox.Add(ctx, tx, v.Org, e.news("engagement.reopened"))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// Archive archives an engagement or brings one back. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Engagement, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "engagement.Archive(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		e, err := s.lockMine(ctx, tx, v, in.ID)
		if err != nil || (e.ArchivedAt != nil) == in.Archived {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE engagements SET archived_at = CASE WHEN $3 THEN now() END, updated_at = now()
			WHERE org_id = $1 AND id = $2`, v.Org, in.ID, in.Archived); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, entry("engagement.archive", in.ID, e.ClientID, "archivedAt"))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// entry is a line of the audit trail about an engagement.
func entry(action string, key ID, of client.ID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "engagement", ID: key.UUID, ClientID: of.UUID, Fields: fields}
}

// becoming is what other systems are told of an engagement that comes into a state. It never goes back to DRAFT.
var becoming = map[Status]string{
	Active: "engagement.activated", Paused: "engagement.paused", Completed: "engagement.completed", Cancelled: "engagement.cancelled",
}

func (e *Engagement) news(what string) event.News {
	return event.News{Type: what, Subject: e.ID, Data: event.Data{"engagementId": e.ID, "clientId": e.ClientID, "coachId": e.CoachID}}
}

// lockMine locks an engagement that the viewer may change and returns it as it is then.
func (s *Service) lockMine(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID) (*Engagement, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM engagements WHERE org_id = $1 AND id = $2 FOR UPDATE`, v.Org, key); err != nil {
		return nil, err
	}
	e, err := page.Get(ctx, tx, v, engagements, scope(v), key.UUID, "engagement")
	if err != nil {
		return nil, err
	}
	if !e.Any(auth.AsCoach | auth.AsAdmin) {
		return nil, fault.Forbidden("only the coach, an owner or an admin can change an engagement")
	}
	return e, nil
}

func checkPlan(problems *check.Input, sessions *int, startsOn, endsOn *time.Time) {
	if sessions != nil {
		problems.Range("sessionsIncluded", *sessions, 1, 1000)
	}
	if startsOn != nil {
		problems.Time("startsOn", *startsOn)
	}
	if endsOn != nil {
		problems.Time("endsOn", *endsOn)
	}
	if startsOn != nil && endsOn != nil && endsOn.Before(*startsOn) {
		problems.Fail("endsOn", "must not be before startsOn")
	}
}
