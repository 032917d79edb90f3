package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/deadletter"
)

func (r queryResolver) DeadLetters(ctx context.Context, filter *deadletter.Filter, first *int, after *string, last *int, before *string) (*model.DeadLetterConnection, error) {
	return r.Services.DeadLetters.List(ctx, filter, window(first, after, last, before))
}

func (r mutationResolver) ReplayDeadLetters(ctx context.Context, input deadletter.Input) (*model.ReplayDeadLettersPayload, error) {
	n, err := r.Services.DeadLetters.Replay(ctx, input)
	viewer, errs, err := self(ctx, err)
	return &model.ReplayDeadLettersPayload{Viewer: viewer, Count: n, UserErrors: errs}, err
}

func (r mutationResolver) DiscardDeadLetters(ctx context.Context, input deadletter.Input) (*model.DiscardDeadLettersPayload, error) {
	n, err := r.Services.DeadLetters.Discard(ctx, input)
	viewer, errs, err := self(ctx, err)
	return &model.DiscardDeadLettersPayload{Viewer: viewer, Count: n, UserErrors: errs}, err
}
