package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Search(ctx context.Context, query string, filter *session.Filter, mode search.Mode, kinds []search.Kind, facets []*search.FacetInput, groupBy *search.GroupBy, orderBy search.Order, first *int, after *string) (*search.Result, error) {
	return r.Resolver.Search.Search(ctx, search.Request{Query: query, Filter: filter, Mode: mode, Kinds: kinds, Facets: facets, GroupBy: groupBy, Order: orderBy, First: first, After: after})
}

func (r queryResolver) Suggest(ctx context.Context, prefix string, limit int) ([]*search.Suggestion, error) {
	return r.Resolver.Search.Suggest(ctx, prefix, limit)
}

// SearchHit implements graph.ResolverRoot.
func (r *Resolver) SearchHit() graph.SearchHitResolver { return searchHitResolver{r} }

func (searchHitResolver) Entity(_ context.Context, h *search.Hit) (search.Entity, error) {
	return h.Entity, nil
}

func (searchHitResolver) Session(ctx context.Context, h *search.Hit) (*session.Session, error) {
	if h.SessionID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Sessions.Load(ctx, h.SessionID.UUID)
}

func (searchHitResolver) Around(ctx context.Context, h *search.Hit) ([]*transcript.Utterance, error) {
	span, ok := h.Around()
	if !ok {
		return []*transcript.Utterance{}, nil
	}
	return loaders.From(ctx).UtterancesOfSpan.Load(ctx, span)
}
