package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/loaders"
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

func (r mutationResolver) UpdateTag(ctx context.Context, input tag.UpdateInput) (*model.UpdateTagPayload, error) {
	t, err := r.Tags.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateTagPayload{Tag: t, UserErrors: errs}, err
}

func (r mutationResolver) MergeTags(ctx context.Context, input tag.MergeInput) (*model.MergeTagsPayload, error) {
	t, err := r.Tags.Merge(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.MergeTagsPayload{Tag: t, UserErrors: errs}, err
}

func (r mutationResolver) DeleteTag(ctx context.Context, input tag.DeleteInput) (*model.DeleteTagPayload, error) {
	t, err := r.Tags.Delete(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DeleteTagPayload{Tag: t, UserErrors: errs}, err
}

// Tag implements graph.ResolverRoot.
func (r *Resolver) Tag() graph.TagResolver { return tagResolver{r} }

func (tagResolver) UsageCount(ctx context.Context, t *tag.Tag) (*int, error) {
	n, err := loaders.From(ctx).UsageOfTag.Load(ctx, t.ID.UUID)
	return &n, err
}
