package org

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Service answers who is who.
type Service struct{ db *pgxpool.Pool }

// NewService returns a Service over db.
func NewService(db *pgxpool.Pool) *Service { return &Service{db: db} }

// Identify turns the claims of a verified token into a viewer, in one statement. It implements auth.Directory.
//
// The token's organization claim (slug or id) picks the organization; without one the person's only membership counts,
// and a person with several must choose. Unknown, revoked and foreign all get the same Unauthenticated fault.
func (s *Service) Identify(ctx context.Context, c auth.Claims) (auth.Viewer, error) {
	organization := c.Organization
	if prefix, key, err := id.Parse(organization); err == nil && prefix == "org" {
		organization = key.String()
	}
	rows, err := s.db.Query(ctx, `
		SELECT m.org_id, m.user_id, m.roles
		FROM user_identities i
		JOIN memberships m ON m.user_id = i.user_id AND m.status = 'ACTIVE'
		JOIN organizations o ON o.id = m.org_id
		WHERE i.issuer = $1 AND i.subject = $2 AND ($3 = '' OR o.slug = $3 OR o.id::text = $3)
		ORDER BY m.created_at, m.id LIMIT 2`, c.Issuer, c.Subject, organization)
	if err != nil {
		return auth.Viewer{}, fmt.Errorf("identify: %w", err)
	}
	viewers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v auth.Viewer, err error) {
		return v, row.Scan(&v.Org, &v.User, &v.Roles)
	})
	switch {
	case err != nil:
		return auth.Viewer{}, fmt.Errorf("identify: %w", err)
	case len(viewers) == 0:
		return auth.Viewer{}, fault.Unauthenticated("this login is not an active member of the organization")
	case len(viewers) > 1:
		return auth.Viewer{}, fault.Unauthenticated("this login belongs to several organizations: the token must name one")
	}
	return viewers[0], nil
}

// Organization returns the organization the viewer acts in.
func (s *Service) Organization(ctx context.Context) (*Organization, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, organizations, organizationScope(v), v.Org, "organization")
}

// OrganizationsByIDs returns those of the organizations that the viewer may see, which is at most their own.
func (s *Service) OrganizationsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Organization, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, organizations, organizationScope(v), ids)
}

// maxLimitMicros is a million dollars: whoever gives more has mistaken the unit.
const maxLimitMicros = 1_000_000_000_000

// Update changes the viewer's organization. A shorter retention takes effect with the next sweep.
func (s *Service) Update(ctx context.Context, in UpdateInput) (_ *Organization, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	o, err := page.Get(ctx, s.db, v, organizations, organizationScope(v), in.ID.UUID, "organization")
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "org.Update(%s)", in.ID)
	if !o.Any(auth.AsAdmin) {
		return nil, fault.Forbidden("only an owner or an admin can change the organization")
	}
	if (in.ModelSees != nil || in.ModelMonthlyLimitMicros != nil) && !v.Has(auth.RoleOwner) {
		return nil, fault.Forbidden("only an owner can change what a language model is shown, and may cost")
	}
	var problems check.Input
	roles := check.NotNull(&problems, "speakerRoles", in.SpeakerRoles)
	name := check.NotNull(&problems, "name", in.Name)
	if name != nil {
		*name = problems.Line("name", *name, 200)
	}
	var days *int
	if in.RetentionDays != nil {
		if days = *in.RetentionDays; days != nil {
			problems.Range("retentionDays", *days, 1, 36500)
		}
	}
	analysed := check.NotNull(&problems, "aiEnabled", in.AIEnabled)
	var limit *int64
	if in.ModelMonthlyLimitMicros != nil {
		if limit = *in.ModelMonthlyLimitMicros; limit != nil {
			problems.Range("modelMonthlyLimitMicros", int(*limit), 0, maxLimitMicros)
		}
	}
	sees := check.NotNull(&problems, "modelSees", in.ModelSees)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE organizations SET
				speaker_roles = coalesce($2, speaker_roles),
				name = coalesce($3, name),
				retention_days = CASE WHEN $4 THEN $5 ELSE retention_days END,
				ai_enabled = coalesce($6, ai_enabled),
				model_sees = coalesce($7, model_sees),
				model_monthly_limit_micros = CASE WHEN $8 THEN $9 ELSE model_monthly_limit_micros END
			WHERE id = $1`, v.Org, roles, name, in.RetentionDays != nil, days, analysed, sees, in.ModelMonthlyLimitMicros != nil, limit); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "org.update", Kind: "org", ID: v.Org, Fields: audit.Given(in)})
	})
	if err != nil {
		return nil, err
	}
	return s.Organization(ctx)
}

// UsersByIDs returns those of the people that the viewer may see.
func (s *Service) UsersByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*User, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, users, userScope(v), ids)
}

// MembershipsByIDs returns those of the memberships that the viewer may see.
func (s *Service) MembershipsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Membership, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, memberships, membershipScope(v), ids)
}

// Members pages through the memberships that the viewer may see, longest first.
func (s *Service) Members(ctx context.Context, args page.Args) (*page.Connection[Membership], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, memberships, membershipScope(v), page.Filter{}, membershipsBySeniority, w)
}

// OwnMembership returns the viewer's own place in the organization.
func (s *Service) OwnMembership(ctx context.Context) (*Membership, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	var own page.Filter
	own.And("m.user_id = ?", v.User)
	found, err := page.All(ctx, s.db, v, memberships, membershipScope(v), own, membershipsBySeniority)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.NotFound("membership")
	}
	return found[0], nil
}

// RequireActive checks inside a transaction that a person belongs to the organization and holds the role.
func RequireActive(ctx context.Context, db page.Querier, organization id.UUID, user UserID, role auth.Role, field string) error {
	rows, err := db.Query(ctx, `
		SELECT $3 = ANY(roles) FROM memberships WHERE org_id = $1 AND user_id = $2 AND status = 'ACTIVE'`,
		organization, user, role)
	if err != nil {
		return err
	}
	holds, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		return err
	}
	if len(holds) == 0 || !holds[0] {
		return fault.Invalid(field, "must be an active %s of this organization", role)
	}
	return nil
}
