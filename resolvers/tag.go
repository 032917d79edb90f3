package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/tag"
)

func (r queryResolver) Tags(ctx context.Context, first *int, after *string, last *int, before *string) (*model.TagConnection, error) {
	return r.Resolver.Tags.Own(ctx, window(first, after, last, before))
}

func (r mutationResolver) Tag(ctx context.Context, input tag.AddInput) (*model.TagPayload, error) {
	t, on, err := r.Tags.Add(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.TagPayload{Tag: t, Entity: on, UserErrors: errs}, err
}

func (r mutationResolver) Untag(ctx context.Context, input tag.RemoveInput) (*model.UntagPayload, error) {
	from, err := r.Tags.Remove(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UntagPayload{Entity: from, UserErrors: errs}, err
}
