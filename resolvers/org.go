package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/search"
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

func (r organizationResolver) ModelSpending(ctx context.Context, _ *org.Organization) (*insight.Spending, error) {
	return r.Insights.Spending(ctx)
}

func (r organizationResolver) VectorBacklog(ctx context.Context, _ *org.Organization) (*search.Backlog, error) {
	return r.Meaning.Backlog(ctx)
}

func (r organizationResolver) Members(ctx context.Context, _ *org.Organization, first *int, after *string, last *int, before *string) (*model.MembershipConnection, error) {
	return r.Orgs.Members(ctx, window(first, after, last, before))
}

func (membershipResolver) User(ctx context.Context, m *org.Membership) (*org.User, error) {
	return loaders.From(ctx).Users.Find(ctx, m.UserID.UUID, "user")
}

func (r mutationResolver) InviteMember(ctx context.Context, input org.InviteInput) (*model.InviteMemberPayload, error) {
	out, err := r.Orgs.Invite(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.InviteMemberPayload{Invitation: out.Invitation, Token: out.Token, UserErrors: errs}, err
}

func (r mutationResolver) ResendInvitation(ctx context.Context, input org.InvitationInput) (*model.ResendInvitationPayload, error) {
	out, err := r.Orgs.Resend(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ResendInvitationPayload{Invitation: out.Invitation, Token: out.Token, UserErrors: errs}, err
}

func (r mutationResolver) RevokeInvitation(ctx context.Context, input org.InvitationInput) (*model.RevokeInvitationPayload, error) {
	found, err := r.Orgs.RevokeInvitation(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RevokeInvitationPayload{Invitation: found, UserErrors: errs}, err
}

func (r mutationResolver) AcceptInvitation(ctx context.Context, input org.AcceptInput) (*model.AcceptInvitationPayload, error) {
	found, err := r.Orgs.Accept(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AcceptInvitationPayload{Membership: found, UserErrors: errs}, err
}

func (r mutationResolver) UpdateMember(ctx context.Context, input org.UpdateMemberInput) (*model.UpdateMemberPayload, error) {
	found, err := r.Orgs.UpdateMember(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateMemberPayload{Membership: found, UserErrors: errs}, err
}

func (r mutationResolver) RevokeMember(ctx context.Context, input org.MemberInput) (*model.RevokeMemberPayload, error) {
	found, err := r.Orgs.Revoke(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RevokeMemberPayload{Membership: found, UserErrors: errs}, err
}

func (r mutationResolver) ReinstateMember(ctx context.Context, input org.MemberInput) (*model.ReinstateMemberPayload, error) {
	found, err := r.Orgs.Reinstate(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ReinstateMemberPayload{Membership: found, UserErrors: errs}, err
}

func (r mutationResolver) AssignSupervisor(ctx context.Context, input org.SupervisionInput) (*model.AssignSupervisorPayload, error) {
	found, err := r.Orgs.Assign(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AssignSupervisorPayload{Membership: found, UserErrors: errs}, err
}

func (r mutationResolver) UnassignSupervisor(ctx context.Context, input org.SupervisionInput) (*model.UnassignSupervisorPayload, error) {
	found, err := r.Orgs.Unassign(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UnassignSupervisorPayload{Membership: found, UserErrors: errs}, err
}

func (r mutationResolver) UpdateProfile(ctx context.Context, input org.UpdateProfileInput) (*model.UpdateProfilePayload, error) {
	found, err := r.Orgs.UpdateProfile(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateProfilePayload{User: found, UserErrors: errs}, err
}

func (r queryResolver) Invitations(ctx context.Context, first *int, after *string, last *int, before *string) (*model.InvitationConnection, error) {
	return r.Orgs.Invitations(ctx, window(first, after, last, before))
}

func (invitationResolver) EmailDelivery(ctx context.Context, i *org.Invitation) (*notice.Delivery, error) {
	return loaders.From(ctx).MailOfInvitation.Load(ctx, i.ID.UUID)
}

func (invitationResolver) InvitedBy(ctx context.Context, i *org.Invitation) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, i.InvitedByID.UUID)
}

func (membershipResolver) Supervisors(ctx context.Context, m *org.Membership) ([]*org.User, error) {
	l := loaders.From(ctx)
	return l.PeopleOf(ctx, l.SupervisorsOf, m.UserID)
}

func (membershipResolver) Supervises(ctx context.Context, m *org.Membership) ([]*org.User, error) {
	l := loaders.From(ctx)
	return l.PeopleOf(ctx, l.SuperviseesOf, m.UserID)
}
