package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/graph/model"
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

func (r queryResolver) SavedSearches(ctx context.Context) ([]*search.Saved, error) {
	return r.Resolver.Search.Saved(ctx)
}

func (r mutationResolver) CreateSavedSearch(ctx context.Context, input search.CreateSavedInput) (*model.CreateSavedSearchPayload, error) {
	s, err := r.Search.CreateSaved(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateSavedSearchPayload{SavedSearch: s, UserErrors: errs}, err
}

func (r mutationResolver) UpdateSavedSearch(ctx context.Context, input search.UpdateSavedInput) (*model.UpdateSavedSearchPayload, error) {
	s, err := r.Search.UpdateSaved(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateSavedSearchPayload{SavedSearch: s, UserErrors: errs}, err
}

func (r mutationResolver) DeleteSavedSearch(ctx context.Context, input search.DeleteSavedInput) (*model.DeleteSavedSearchPayload, error) {
	s, err := r.Search.DeleteSaved(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DeleteSavedSearchPayload{SavedSearch: s, UserErrors: errs}, err
}

// SavedSearch implements graph.ResolverRoot.
func (r *Resolver) SavedSearch() graph.SavedSearchResolver { return savedSearchResolver{r} }

func (r savedSearchResolver) Results(ctx context.Context, s *search.Saved, facets []*search.FacetInput, first *int, after *string) (*search.Result, error) {
	return r.Search.Run(ctx, s, facets, first, after)
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
