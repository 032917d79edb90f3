package resolvers

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/analytics"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) MetricSeries(ctx context.Context, metric analytics.Name, from, to time.Time, interval analytics.Interval, groupBy analytics.GroupBy, filter *analytics.Filter, compareTo analytics.CompareTo) (*analytics.Series, error) {
	return r.Analytics.Series(ctx, analytics.Query{
		Metric: metric, From: from, To: to, Interval: interval, GroupBy: groupBy, Filter: filter, CompareTo: compareTo,
	})
}

func (metricGroupResolver) Client(ctx context.Context, g *analytics.Group) (*client.Client, error) {
	return of(ctx, g, analytics.ByPerson, loaders.From(ctx).Clients)
}

func (metricGroupResolver) Coach(ctx context.Context, g *analytics.Group) (*org.User, error) {
	return of(ctx, g, analytics.ByCoach, loaders.From(ctx).Users)
}

func (metricGroupResolver) Engagement(ctx context.Context, g *analytics.Group) (*engagement.Engagement, error) {
	return of(ctx, g, analytics.ByEngagement, loaders.From(ctx).Engagements)
}

// of loads what a series is of; nil if it is of something else.
func of[T any](ctx context.Context, g *analytics.Group, by analytics.GroupBy, l *loaders.Entity[T]) (*T, error) {
	key, ok := g.Of(by)
	if !ok {
		return nil, nil
	}
	return l.Load(ctx, key)
}
