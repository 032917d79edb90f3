package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) DataRequests(ctx context.Context, first *int, after *string, last *int, before *string) (*model.DataRequestConnection, error) {
	return r.Privacy.List(ctx, window(first, after, last, before))
}

func (r organizationResolver) RetentionReport(ctx context.Context, _ *org.Organization, days *int) (*privacy.Report, error) {
	return r.Privacy.Report(ctx, days)
}

func (r mutationResolver) RequestDataExport(ctx context.Context, input privacy.ExportInput) (*model.RequestDataExportPayload, error) {
	made, err := r.Privacy.RequestExport(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RequestDataExportPayload{DataRequest: made, UserErrors: errs}, err
}

func (r mutationResolver) DownloadDataExport(ctx context.Context, input privacy.DownloadInput) (*model.DownloadDataExportPayload, error) {
	link, err := r.Privacy.Download(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DownloadDataExportPayload{Export: link, UserErrors: errs}, err
}

func (r mutationResolver) RequestErasure(ctx context.Context, input privacy.ErasureInput) (*model.RequestErasurePayload, error) {
	made, err := r.Privacy.RequestErasure(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RequestErasurePayload{DataRequest: made, UserErrors: errs}, err
}

func (r mutationResolver) DecideErasure(ctx context.Context, input privacy.DecideInput) (*model.DecideErasurePayload, error) {
	decided, err := r.Privacy.Decide(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DecideErasurePayload{DataRequest: decided, UserErrors: errs}, err
}

func (r mutationResolver) SetLegalHold(ctx context.Context, input privacy.HoldInput) (*model.SetLegalHoldPayload, error) {
	held, err := r.Privacy.Hold(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.SetLegalHoldPayload{Client: held, UserErrors: errs}, err
}

func (dataRequestResolver) Client(ctx context.Context, d *privacy.Request) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, d.ClientID.UUID)
}

func (dataRequestResolver) RequestedBy(ctx context.Context, d *privacy.Request) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, d.RequestedByID.UUID)
}

func (dataRequestResolver) DecidedBy(ctx context.Context, d *privacy.Request) (*org.User, error) {
	if d.DecidedByID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, d.DecidedByID.UUID)
}
