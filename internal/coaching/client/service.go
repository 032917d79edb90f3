package client

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service keeps the clients.
type Service struct {
	db     *pgxpool.Pool
	outbox *event.Outbox
}

// NewService returns a Service over db that tells other systems what it does.
func NewService(db *pgxpool.Pool, outbox *event.Outbox) *Service {
	return &Service{db: db, outbox: outbox}
}

// ByIDs returns those of the clients that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Client, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, clients, scope(v), ids)
}

// Get returns one client, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Client, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, clients, scope(v), key.UUID, "client")
}

// All returns every client that the viewer may see, archived ones too, by name.
func (s *Service) All(ctx context.Context) ([]*Client, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.All(ctx, s.db, v, clients, scope(v), page.Filter{}, orderBy[OrderByName])
}

// List pages through the clients that the viewer may see.
func (s *Service) List(ctx context.Context, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Client], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	visible := scope(v)
	return page.List(ctx, s.db, v, clients, visible, f.where(v, visible), o.order(), w)
}

// Create adds a client. Coaches add their own; owners and admins may name the coach.
func (s *Service) Create(ctx context.Context, in CreateInput) (_ *Client, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "client.Create")
	coach := org.UserID{UUID: v.User}
	if in.CoachID != nil {
		coach = *in.CoachID
	}
	if !v.Has(auth.RoleOwner, auth.RoleAdmin) && (!v.Has(auth.RoleCoach) || coach.UUID != v.User) {
		return nil, fault.Forbidden("only coaches add clients, and only for themselves")
	}
	var problems check.Input
	name := problems.Line("name", in.Name, 200)
	email := optionalEmail(&problems, in.Email)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	key := ID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := org.RequireActive(ctx, tx, v.Org, coach, auth.RoleCoach, "coachId"); err != nil {
			return err
		}
		if err := addressFree(ctx, tx, v, "email", coach, key, email); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO clients (id, org_id, coach_id, name, email, lifecycle) VALUES ($1, $2, $3, $4, $5, $6)`,
			key, v.Org, coach, name, email, in.Lifecycle); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("client.create", key)); err != nil {
			return err
		}
		if err := org.LinkClient(ctx, tx, v, key.UUID); err != nil {
			return err
		}
		return s.outbox.Add(ctx, tx, v.Org, news("client.created", key, coach))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// Update changes a client.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Client, err error) {
	v, c, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "client.Update(%s)", in.ID)
	var problems check.Input
	name := check.NotNull(&problems, "name", in.Name)
	if name != nil {
		*name = problems.Line("name", *name, 200)
	}
	var email *string
	if in.Email != nil {
		email = optionalEmail(&problems, *in.Email)
	}
	lifecycle := check.NotNull(&problems, "lifecycle", in.Lifecycle)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := addressFree(ctx, tx, v, "email", c.CoachID, c.ID, email); err != nil {
			return err
		}
		// What the client was called before, and written to, is found by it when the client is to be forgotten.
		if _, err := tx.Exec(ctx, `
			WITH c AS (SELECT name, email FROM clients WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE)
			INSERT INTO client_formers (org_id, client_id, value)
			SELECT $1, $2, old.value FROM c CROSS JOIN LATERAL (VALUES
				(CASE WHEN c.name <> $3::text THEN c.name END), (CASE WHEN $4 AND c.email IS DISTINCT FROM $5::text THEN c.email END)) AS old (value)
			WHERE old.value IS NOT NULL
			ON CONFLICT (org_id, client_id, value) DO UPDATE SET until = now()`, v.Org, in.ID, name, in.Email != nil, email); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE clients SET
				name = coalesce($3, name),
				email = CASE WHEN $4 THEN $5 ELSE email END,
				lifecycle = coalesce($6, lifecycle),
				updated_at = now()
			WHERE org_id = $1 AND id = $2`,
			v.Org, in.ID, name, in.Email != nil, email, lifecycle); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("client.update", in.ID, audit.Given(in)...)); err != nil {
			return err
		}
		return org.LinkClient(ctx, tx, v, in.ID.UUID)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// Archive archives a client or brings one back. Doing it twice is doing it once.
func (s *Service) Archive(ctx context.Context, in ArchiveInput) (_ *Client, err error) {
	v, c, err := s.mine(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "client.Archive(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if !in.Archived {
			if err := addressFree(ctx, tx, v, "archived", c.CoachID, c.ID, c.Email); err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, `
			UPDATE clients SET archived_at = CASE WHEN $3 THEN coalesce(archived_at, now()) END, updated_at = now()
			WHERE org_id = $1 AND id = $2 AND (archived_at IS NOT NULL) <> $3`, v.Org, in.ID, in.Archived)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("client.archive", in.ID, "archivedAt")); err != nil {
			return err
		}
		what := "client.restored"
		if in.Archived {
			what = "client.archived"
		}
		return s.outbox.Add(ctx, tx, v.Org, news(what, in.ID, c.CoachID))
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.ID)
}

// entry is a line of the audit trail about a client.
func entry(action string, key ID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "client", ID: key.UUID, ClientID: key.UUID, Fields: fields}
}

// news is what other systems are told of a client.
func news(what string, key ID, coach org.UserID) event.News {
	return event.News{Type: what, Subject: key, Data: event.Data{"clientId": key, "coachId": coach}}
}

// mine checks that the viewer may change a client.
func (s *Service) mine(ctx context.Context, key ID) (auth.Viewer, *Client, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, nil, err
	}
	c, err := page.Get(ctx, s.db, v, clients, scope(v), key.UUID, "client")
	if err != nil {
		return v, nil, err
	}
	if !c.Any(auth.AsCoach | auth.AsAdmin) {
		return v, nil, fault.Forbidden("only the coach, an owner or an admin can change a client")
	}
	return v, c, nil
}

// addressFree checks that no other client of the coach has the e-mail address: a login finds its client by it. Two coaches may coach
// one person, and neither learns of it. Writers of one coach wait for one another here.
func addressFree(ctx context.Context, tx pgx.Tx, v auth.Viewer, field string, coach org.UserID, key ID, email *string) error {
	if email == nil || coach.UUID != v.User && !v.Has(auth.RoleOwner, auth.RoleAdmin) {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT FROM memberships WHERE org_id = $1 AND user_id = $2 FOR NO KEY UPDATE`, v.Org, coach); err != nil {
		return err
	}
	var other ID
	err := tx.QueryRow(ctx, `
		SELECT id FROM clients
		WHERE org_id = $1 AND coach_id = $2 AND id <> $3 AND lower(email) = lower($4) AND archived_at IS NULL
		ORDER BY id LIMIT 1`, v.Org, coach, key, *email).Scan(&other)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.Invalid(field, "the e-mail address is that of %s already, whom the same coach coaches", other).WithCode("EMAIL_TAKEN")
}

func optionalEmail(problems *check.Input, email *string) *string {
	if email == nil || *email == "" {
		return nil
	}
	checked := problems.Email("email", *email)
	return &checked
}
