package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Clients(ctx context.Context, filter *client.Filter, orderBy *client.OrderBy, first *int, after *string, last *int, before *string) (*model.ClientConnection, error) {
	return r.Resolver.Clients.List(ctx, filter, orderBy, window(first, after, last, before))
}

func (r mutationResolver) CreateClient(ctx context.Context, input client.CreateInput) (*model.CreateClientPayload, error) {
	c, err := r.Clients.Create(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateClientPayload{Client: c, UserErrors: errs}, err
}

func (r mutationResolver) UpdateClient(ctx context.Context, input client.UpdateInput) (*model.UpdateClientPayload, error) {
	c, err := r.Clients.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateClientPayload{Client: c, UserErrors: errs}, err
}

func (r mutationResolver) ArchiveClient(ctx context.Context, input client.ArchiveInput) (*model.ArchiveClientPayload, error) {
	c, err := r.Clients.Archive(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ArchiveClientPayload{Client: c, UserErrors: errs}, err
}

func (clientResolver) Coach(ctx context.Context, c *client.Client) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, c.CoachID.UUID)
}

func (clientResolver) User(ctx context.Context, c *client.Client) (*org.User, error) {
	if c.UserID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, c.UserID.UUID)
}

func (clientResolver) Tags(ctx context.Context, c *client.Client) ([]*tag.Tag, error) {
	return loaders.From(ctx).TagsOfClient.Load(ctx, c.ID.UUID)
}

func (clientResolver) Engagements(ctx context.Context, c *client.Client, first *int, after *string, last *int, before *string) (*model.EngagementConnection, error) {
	return loaders.From(ctx).EngagementsOfClient.Load(ctx, c.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (clientResolver) Sessions(ctx context.Context, c *client.Client, filter *session.Filter, orderBy *session.OrderBy, first *int, after *string, last *int, before *string) (*model.SessionConnection, error) {
	return loaders.From(ctx).SessionsOfClient.Load(ctx, c.ID.UUID, loaders.SessionQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (clientResolver) Insights(ctx context.Context, c *client.Client, filter *insight.Filter, orderBy *insight.OrderBy, first *int, after *string, last *int, before *string) (*model.InsightConnection, error) {
	return loaders.From(ctx).InsightsOfClient.Load(ctx, c.ID.UUID, loaders.InsightQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}
