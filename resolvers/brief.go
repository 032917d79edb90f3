package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/brief"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) ClientBrief(ctx context.Context, clientID id.Any) (*brief.Brief, error) {
	if err := expect("clientId", clientID, "client"); err != nil {
		return nil, err
	}
	c, err := loaders.From(ctx).Clients.Load(ctx, clientID.UUID)
	if err != nil {
		return nil, err
	}
	return r.Briefs.Of(ctx, c)
}

func (clientBriefResolver) Client(_ context.Context, b *brief.Brief) (*client.Client, error) {
	return b.Client, nil
}

func (clientBriefResolver) NextSession(_ context.Context, b *brief.Brief) (*session.Session, error) {
	return b.NextSession(), nil
}

func (clientBriefResolver) LastSession(_ context.Context, b *brief.Brief) (*session.Session, error) {
	return b.LastSession(), nil
}

func (r clientBriefResolver) OpenActions(ctx context.Context, b *brief.Brief) ([]*goal.ActionItem, error) {
	return r.Briefs.OpenActions(ctx, b)
}

func (clientBriefResolver) Commitments(_ context.Context, b *brief.Brief) ([]*insight.Insight, error) {
	return b.Commitments()
}

func (r clientBriefResolver) CarriedOver(ctx context.Context, b *brief.Brief) ([]*session.Topic, error) {
	next := b.NextSession()
	if next == nil {
		return r.Briefs.Waiting(ctx, b)
	}
	agenda, err := loaders.From(ctx).AgendaOfSession.Load(ctx, next.ID.UUID)
	return brief.Carried(agenda), err
}

func (r clientBriefResolver) SlippingGoals(ctx context.Context, b *brief.Brief) ([]*goal.Goal, error) {
	return r.Briefs.SlippingGoals(ctx, b)
}

func (clientBriefResolver) ToReview(_ context.Context, b *brief.Brief) ([]*insight.Insight, error) {
	return b.ToReview()
}

func (r clientBriefResolver) Themes(ctx context.Context, b *brief.Brief) ([]*theme.Theme, error) {
	return r.Briefs.Themes(ctx, b)
}
