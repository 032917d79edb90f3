package notice

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Delivery is a mail, and what has become of it; never what it says.
type Delivery struct {
	auth.Grants
	ID          id.UUID
	Type        *Type // nil for the daily digest, which tells of several things
	State       DeliveryState
	Reason      *Reason
	Suppression *Suppression // why the address gets no mail, as of now
	CreatedAt   time.Time
	FinishedAt  *time.Time
}

var deliveries = page.Table[Delivery]{
	From: "email_deliveries d LEFT JOIN users u ON u.id = d.user_id LEFT JOIN invitations i ON i.org_id = $1 AND i.id = d.invitation_id",
	ID:   "d.id",
	Columns: "d.id, nullif(d.type, 'DAILY_DIGEST'), d.state, d.reason, (" + suppressionOf("coalesce(u.email, i.email)") +
		"), d.created_at, d.finished_at",
	Dest: func(d *Delivery) []any {
		return []any{&d.Grants, &d.ID, &d.Type, &d.State, &d.Reason, &d.Suppression, &d.CreatedAt, &d.FinishedAt}
	},
	Key: func(d *Delivery) id.UUID { return d.ID },
}

var latestDeliveryFirst = page.Order[Delivery]{Name: "delivery-created", Keys: []page.Key[Delivery]{
	{SQL: "d.created_at", Type: "timestamptz", Desc: true, Of: func(d *Delivery) string { return page.Time(d.CreatedAt) }},
	{SQL: "d.id", Type: "uuid", Desc: true, Of: func(d *Delivery) string { return d.ID.String() }},
}}

// deliveryScope: everybody sees the mails to themselves, owners and admins those that invite. A mail that had nothing to say was none: of
// something that the person may not see it would tell that it is there.
func deliveryScope(v auth.Viewer) *page.Scope {
	s := page.NewScope("d.org_id")
	s.Allow(auth.AsSelf, "d.user_id = $2 AND d.reason IS DISTINCT FROM 'NOTHING'")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "d.invitation_id IS NOT NULL")
	}
	return s
}

// Deliveries pages through the mails to the viewer, the newest first.
func (s *Service) Deliveries(ctx context.Context, args page.Args) (*page.Connection[Delivery], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	var own page.Filter
	own.And("d.user_id = ?", v.User)
	return page.List(ctx, s.db, v, deliveries, deliveryScope(v), own, latestDeliveryFirst, w)
}

// OfInvitations returns the latest mail of each invitation, in their order; nil for one that has none, or that is not the viewer's to see.
func (s *Service) OfInvitations(ctx context.Context, invitations []id.UUID) ([]*Delivery, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	first, err := page.Args{First: new(1)}.Window()
	if err != nil {
		return nil, err
	}
	found, err := page.Children(ctx, s.db, v, deliveries, deliveryScope(v), page.Filter{}, latestDeliveryFirst, first, "d.invitation_id", invitations)
	if err != nil {
		return nil, err
	}
	latest := make([]*Delivery, len(found))
	for i, c := range found {
		if nodes := c.Nodes(); len(nodes) > 0 {
			latest[i] = nodes[0]
		}
	}
	return latest, nil
}
