package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/loaders"
)

func (r mutationResolver) GiveConsent(ctx context.Context, input consent.GiveInput) (*model.GiveConsentPayload, error) {
	subject, err := r.Consents.Give(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.GiveConsentPayload{Subject: subject, UserErrors: errs}, err
}

func (r mutationResolver) WithdrawConsent(ctx context.Context, input consent.WithdrawInput) (*model.WithdrawConsentPayload, error) {
	subject, err := r.Consents.Withdraw(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.WithdrawConsentPayload{Subject: subject, UserErrors: errs}, err
}

func (r mutationResolver) PublishConsentText(ctx context.Context, input consent.PublishInput) (*model.PublishConsentTextPayload, error) {
	text, err := r.Consents.Publish(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.PublishConsentTextPayload{ConsentText: text, UserErrors: errs}, err
}

func (r organizationResolver) ConsentTexts(ctx context.Context, _ *org.Organization) ([]*consent.Text, error) {
	return r.Consents.CurrentTexts(ctx)
}

func (clientResolver) Consents(ctx context.Context, c *client.Client) ([]*consent.Consent, error) {
	return loaders.From(ctx).ConsentsOfClient.Load(ctx, c.ID.UUID)
}

func (participantResolver) ConsentRecords(ctx context.Context, p *session.Participant) ([]*consent.Consent, error) {
	return loaders.From(ctx).ConsentsOfParticipant.Load(ctx, p.ID.UUID)
}

func (consentResolver) Client(ctx context.Context, c *consent.Consent) (*client.Client, error) {
	if c.ClientID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Clients.Load(ctx, *c.ClientID)
}

func (consentResolver) RecordedBy(ctx context.Context, c *consent.Consent) (*org.User, error) {
	if c.RecordedByID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, c.RecordedByID.UUID)
}

func (consentResolver) WithdrawnBy(ctx context.Context, c *consent.Consent) (*org.User, error) {
	if c.WithdrawnByID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, c.WithdrawnByID.UUID)
}
