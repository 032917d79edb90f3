package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) AuditEvents(ctx context.Context, filter *audit.Filter, first *int, after *string, last *int, before *string) (*model.AuditEventConnection, error) {
	return r.Audit.Events(ctx, filter, window(first, after, last, before))
}

func (r queryResolver) VerifyAuditTrail(ctx context.Context, since *audit.SealInput, maxEvents int) (*audit.Verification, error) {
	return r.Audit.Verify(ctx, since, maxEvents)
}

func (auditEventResolver) Actor(ctx context.Context, e *audit.Event) (*org.User, error) {
	if e.ActorID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, *e.ActorID)
}

func (auditEventResolver) Client(ctx context.Context, e *audit.Event) (*client.Client, error) {
	if e.ClientID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Clients.Load(ctx, *e.ClientID)
}
