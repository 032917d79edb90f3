package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/loaders"
)

func (queryResolver) Viewer(ctx context.Context) (*auth.Viewer, error) {
	v, err := auth.FromContext(ctx)
	return &v, err
}

func (viewerResolver) User(ctx context.Context, v *auth.Viewer) (*org.User, error) {
	return loaders.From(ctx).Users.Find(ctx, v.User, "user")
}

func (r viewerResolver) Organization(ctx context.Context, _ *auth.Viewer) (*org.Organization, error) {
	return r.Orgs.Organization(ctx)
}

func (r viewerResolver) Membership(ctx context.Context, _ *auth.Viewer) (*org.Membership, error) {
	return r.Orgs.OwnMembership(ctx)
}

func (r mutationResolver) UpdateOrganization(ctx context.Context, input org.UpdateInput) (*model.UpdateOrganizationPayload, error) {
	o, err := r.Orgs.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateOrganizationPayload{Organization: o, UserErrors: errs}, err
}

func (r organizationResolver) Members(ctx context.Context, _ *org.Organization, first *int, after *string, last *int, before *string) (*model.MembershipConnection, error) {
	return r.Orgs.Members(ctx, window(first, after, last, before))
}

func (membershipResolver) User(ctx context.Context, m *org.Membership) (*org.User, error) {
	return loaders.From(ctx).Users.Find(ctx, m.UserID.UUID, "user")
}
