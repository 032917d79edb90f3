package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/transport"
	"github.com/rapporthq/rapport/loaders"
)

// AskThread implements graph.ResolverRoot.
func (r *Resolver) AskThread() graph.AskThreadResolver { return askThreadResolver{r} }

// AskScope implements graph.ResolverRoot.
func (r *Resolver) AskScope() graph.AskScopeResolver { return askScopeResolver{r} }

func (r queryResolver) AskThreads(ctx context.Context, first *int, after *string, last *int, before *string) (*model.AskThreadConnection, error) {
	return r.Resolver.Ask.List(ctx, window(first, after, last, before))
}

func (r mutationResolver) Ask(ctx context.Context, input ask.Input) (*model.AskPayload, error) {
	asked, err := r.Resolver.Ask.Ask(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AskPayload{Thread: asked.Thread, Message: asked.Message, UserErrors: errs}, err
}

func (r mutationResolver) RetryAsk(ctx context.Context, input ask.RetryInput) (*model.RetryAskPayload, error) {
	m, err := r.Resolver.Ask.Retry(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RetryAskPayload{Message: m, UserErrors: errs}, err
}

func (r mutationResolver) DeleteAskThread(ctx context.Context, input ask.DeleteThreadInput) (*model.DeleteAskThreadPayload, error) {
	t, err := r.Resolver.Ask.DeleteThread(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DeleteAskThreadPayload{Thread: t, UserErrors: errs}, err
}

func (r subscriptionResolver) AskEvents(ctx context.Context, threadID id.Any, after *string) (<-chan ask.Event, error) {
	if err := expect("threadId", threadID, "thread"); err != nil {
		return nil, err
	}
	events, err := r.Resolver.Ask.Events(ctx, ask.ThreadID{UUID: threadID.UUID}, transport.After(ctx, after))
	if err != nil {
		return nil, err
	}
	return listen(ctx, events), nil
}

func (askThreadResolver) Messages(ctx context.Context, t *ask.Thread) ([]*ask.Message, error) {
	return loaders.From(ctx).MessagesOfThread.Load(ctx, t.ID.UUID)
}

func (askScopeResolver) Client(ctx context.Context, s *ask.Scope) (*client.Client, error) {
	if s.ClientID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Clients.Load(ctx, s.ClientID.UUID)
}

func (askScopeResolver) Engagement(ctx context.Context, s *ask.Scope) (*engagement.Engagement, error) {
	if s.EngagementID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Engagements.Load(ctx, s.EngagementID.UUID)
}

func (askScopeResolver) Session(ctx context.Context, s *ask.Scope) (*session.Session, error) {
	if s.SessionID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Sessions.Load(ctx, s.SessionID.UUID)
}

func (askScopeResolver) Sessions(_ context.Context, s *ask.Scope) (*session.Filter, error) {
	return s.Selected()
}
