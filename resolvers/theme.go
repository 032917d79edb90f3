package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/loaders"
)

func (clientResolver) Themes(ctx context.Context, c *client.Client, filter *theme.Filter, orderBy *theme.OrderBy, first *int, after *string, last *int, before *string) (*model.ThemeConnection, error) {
	return loaders.From(ctx).ThemesOfClient.Load(ctx, c.ID.UUID, loaders.ThemeQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (r mutationResolver) RenameTheme(ctx context.Context, input theme.RenameInput) (*model.RenameThemePayload, error) {
	t, err := r.Themes.Rename(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RenameThemePayload{Theme: t, UserErrors: errs}, err
}

func (r mutationResolver) MergeThemes(ctx context.Context, input theme.MergeInput) (*model.MergeThemesPayload, error) {
	t, err := r.Themes.Merge(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.MergeThemesPayload{Theme: t, UserErrors: errs}, err
}

func (r mutationResolver) SplitTheme(ctx context.Context, input theme.SplitInput) (*model.SplitThemePayload, error) {
	t, err := r.Themes.Split(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.SplitThemePayload{Theme: t, UserErrors: errs}, err
}

func (insightResolver) Theme(ctx context.Context, i *insight.Insight) (*theme.Theme, error) {
	return loaders.From(ctx).ThemeOfInsight.Load(ctx, i.ID.UUID)
}

func (themeResolver) Client(ctx context.Context, t *theme.Theme) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, t.ClientID.UUID)
}

func (themeResolver) Coach(ctx context.Context, t *theme.Theme) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, t.CoachID.UUID)
}

func (themeResolver) Insights(ctx context.Context, t *theme.Theme, first *int, after *string, last *int, before *string) (*model.InsightConnection, error) {
	return loaders.From(ctx).InsightsOfTheme.Load(ctx, t.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (themeResolver) Trend(ctx context.Context, t *theme.Theme) (*theme.Trend, error) {
	return loaders.From(ctx).TrendOfTheme.Load(ctx, t.ID.UUID)
}

func (themeResolver) MergedInto(ctx context.Context, t *theme.Theme) (*theme.Theme, error) {
	if t.MergedIntoID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Themes.Load(ctx, t.MergedIntoID.UUID)
}

func (themeResolver) MergedThemes(ctx context.Context, t *theme.Theme) ([]*theme.Theme, error) {
	return loaders.From(ctx).ThemesMergedInto.Load(ctx, t.ID.UUID)
}
