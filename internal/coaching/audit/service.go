package audit

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Service shows the trail to those who answer for it.
type Service struct{ db *pgxpool.Pool }

// NewService returns a Service over db.
func NewService(db *pgxpool.Pool) *Service { return &Service{db: db} }

// Events pages through the trail, latest first; for others than owners and admins it is empty.
func (s *Service) Events(ctx context.Context, f *Filter, args page.Args) (*page.Connection[Event], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, events, scope(v), f.where(), latestFirst, w)
}

// EventsByIDs returns those of the lines that the viewer may see.
func (s *Service) EventsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Event, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, events, scope(v), ids)
}

// Verify checks a stretch of the viewer's organization's chain, for owners and admins.
func (s *Service) Verify(ctx context.Context, since *SealInput, limit int) (_ *Verification, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "audit.Verify")
	if !v.Has(auth.RoleOwner, auth.RoleAdmin) {
		return nil, fault.Forbidden("only an owner or an admin can verify the audit trail")
	}
	from, err := since.anchor()
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > MaxVerified {
		return nil, fault.Invalid("maxEvents", "must be from 1 to %d, got %d", MaxVerified, limit)
	}
	return Verify(ctx, s.db, v.Org, from, limit)
}
