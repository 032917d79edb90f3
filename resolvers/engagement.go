package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Engagements(ctx context.Context, filter *engagement.Filter, orderBy *engagement.OrderBy, first *int, after *string, last *int, before *string) (*model.EngagementConnection, error) {
	return r.Resolver.Engagements.List(ctx, filter, orderBy, window(first, after, last, before))
}

func (r mutationResolver) CreateEngagement(ctx context.Context, input engagement.CreateInput) (*model.CreateEngagementPayload, error) {
	e, err := r.Engagements.Create(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateEngagementPayload{Engagement: e, UserErrors: errs}, err
}

func (r mutationResolver) UpdateEngagement(ctx context.Context, input engagement.UpdateInput) (*model.UpdateEngagementPayload, error) {
	e, err := r.Engagements.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateEngagementPayload{Engagement: e, UserErrors: errs}, err
}

func (r mutationResolver) ArchiveEngagement(ctx context.Context, input engagement.ArchiveInput) (*model.ArchiveEngagementPayload, error) {
	e, err := r.Engagements.Archive(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ArchiveEngagementPayload{Engagement: e, UserErrors: errs}, err
}

func (r mutationResolver) ReopenEngagement(ctx context.Context, input engagement.ReopenInput) (*model.ReopenEngagementPayload, error) {
	e, err := r.Engagements.Reopen(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ReopenEngagementPayload{Engagement: e, UserErrors: errs}, err
}

func (r mutationResolver) SetEngagementSponsor(ctx context.Context, input engagement.SetSponsorInput) (*model.SetEngagementSponsorPayload, error) {
	e, err := r.Engagements.SetSponsor(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.SetEngagementSponsorPayload{Engagement: e, UserErrors: errs}, err
}

func (r mutationResolver) RemoveEngagementSponsor(ctx context.Context, input engagement.RemoveSponsorInput) (*model.RemoveEngagementSponsorPayload, error) {
	e, err := r.Engagements.RemoveSponsor(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RemoveEngagementSponsorPayload{Engagement: e, UserErrors: errs}, err
}

func (engagementResolver) Client(ctx context.Context, e *engagement.Engagement) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, e.ClientID.UUID)
}

func (engagementResolver) Coach(ctx context.Context, e *engagement.Engagement) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, e.CoachID.UUID)
}

func (engagementResolver) Sponsors(ctx context.Context, e *engagement.Engagement) ([]*org.User, error) {
	return loaders.From(ctx).SponsorsOf(ctx, e.ID)
}

func (engagementResolver) Sponsorships(ctx context.Context, e *engagement.Engagement) ([]*engagement.Sponsorship, error) {
	all, err := loaders.From(ctx).SponsorshipsOf.Load(ctx, e.ID.UUID)
	return append([]*engagement.Sponsorship{}, all...), err
}

func (sponsorshipResolver) User(ctx context.Context, s *engagement.Sponsorship) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, s.UserID.UUID)
}

func (engagementReopeningResolver) By(ctx context.Context, r *engagement.Reopening) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, r.ByID.UUID)
}

func (engagementResolver) SessionsUsed(ctx context.Context, e *engagement.Engagement) (*int, error) {
	n, err := loaders.From(ctx).SessionsUsed.Load(ctx, e.ID.UUID)
	return &n, err
}

func (engagementResolver) Sessions(ctx context.Context, e *engagement.Engagement, filter *session.Filter, orderBy *session.OrderBy, first *int, after *string, last *int, before *string) (*model.SessionConnection, error) {
	return loaders.From(ctx).SessionsOfEngagement.Load(ctx, e.ID.UUID, loaders.SessionQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}
