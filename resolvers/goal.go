package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Goals(ctx context.Context, filter *goal.Filter, orderBy *goal.OrderBy, first *int, after *string, last *int, before *string) (*model.GoalConnection, error) {
	return r.Resolver.Goals.List(ctx, filter, orderBy, window(first, after, last, before))
}

func (queryResolver) Goal(ctx context.Context, key id.Any) (*goal.Goal, error) {
	if err := expect("id", key, "goal"); err != nil {
		return nil, err
	}
	return loaders.From(ctx).Goals.Find(ctx, key.UUID, "goal")
}

func (r queryResolver) ActionItems(ctx context.Context, filter *goal.ActionFilter, orderBy *goal.ActionOrderBy, first *int, after *string, last *int, before *string) (*model.ActionItemConnection, error) {
	return r.Resolver.Goals.Actions(ctx, filter, orderBy, window(first, after, last, before))
}

func (queryResolver) ActionItem(ctx context.Context, key id.Any) (*goal.ActionItem, error) {
	if err := expect("id", key, "action"); err != nil {
		return nil, err
	}
	return loaders.From(ctx).Actions.Find(ctx, key.UUID, "action")
}

func (r viewerResolver) ActionItems(ctx context.Context, _ *auth.Viewer, filter *goal.ActionFilter, orderBy *goal.ActionOrderBy, first *int, after *string, last *int, before *string) (*model.ActionItemConnection, error) {
	return r.Goals.OwnActions(ctx, filter, orderBy, window(first, after, last, before))
}

func (r mutationResolver) CreateGoal(ctx context.Context, input goal.CreateInput) (*model.CreateGoalPayload, error) {
	g, err := r.Goals.Create(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateGoalPayload{Goal: g, UserErrors: errs}, err
}

func (r mutationResolver) UpdateGoal(ctx context.Context, input goal.UpdateInput) (*model.UpdateGoalPayload, error) {
	g, err := r.Goals.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateGoalPayload{Goal: g, UserErrors: errs}, err
}

func (r mutationResolver) AddCheckIn(ctx context.Context, input goal.CheckInInput) (*model.AddCheckInPayload, error) {
	k, err := r.Goals.CheckIn(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AddCheckInPayload{CheckIn: k, UserErrors: errs}, err
}

func (r mutationResolver) LinkGoal(ctx context.Context, input goal.LinkInput) (*model.LinkGoalPayload, error) {
	g, err := r.GoalLinks.Link(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.LinkGoalPayload{Goal: g, UserErrors: errs}, err
}

func (r mutationResolver) UnlinkGoal(ctx context.Context, input goal.LinkInput) (*model.UnlinkGoalPayload, error) {
	g, err := r.GoalLinks.Unlink(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UnlinkGoalPayload{Goal: g, UserErrors: errs}, err
}

func (r mutationResolver) CreateActionItem(ctx context.Context, input goal.CreateActionInput) (*model.CreateActionItemPayload, error) {
	a, err := r.Goals.CreateAction(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateActionItemPayload{ActionItem: a, UserErrors: errs}, err
}

func (r mutationResolver) UpdateActionItem(ctx context.Context, input goal.UpdateActionInput) (*model.UpdateActionItemPayload, error) {
	a, err := r.Goals.UpdateAction(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateActionItemPayload{ActionItem: a, UserErrors: errs}, err
}

func (r mutationResolver) AssignActionItem(ctx context.Context, input goal.AssignInput) (*model.AssignActionItemPayload, error) {
	a, err := r.Goals.Assign(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AssignActionItemPayload{ActionItem: a, UserErrors: errs}, err
}

func (r mutationResolver) AcceptInsightAsAction(ctx context.Context, input insight.AcceptInput) (*model.AcceptInsightAsActionPayload, error) {
	a, err := r.Insights.AcceptAsAction(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AcceptInsightAsActionPayload{ActionItem: a, UserErrors: errs}, err
}

func (goalResolver) Client(ctx context.Context, g *goal.Goal) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, g.ClientID.UUID)
}

func (goalResolver) Coach(ctx context.Context, g *goal.Goal) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, g.CoachID.UUID)
}

func (goalResolver) Engagement(ctx context.Context, g *goal.Goal) (*engagement.Engagement, error) {
	if g.EngagementID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Engagements.Load(ctx, g.EngagementID.UUID)
}

func (goalResolver) CheckIns(ctx context.Context, g *goal.Goal, first *int, after *string, last *int, before *string) (*model.CheckInConnection, error) {
	return loaders.From(ctx).CheckInsOfGoal.Load(ctx, g.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (goalResolver) ActionItems(ctx context.Context, g *goal.Goal, filter *goal.ActionFilter, orderBy *goal.ActionOrderBy, first *int, after *string, last *int, before *string) (*model.ActionItemConnection, error) {
	return loaders.From(ctx).ActionsOfGoal.Load(ctx, g.ID.UUID, loaders.ActionQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (goalResolver) Sessions(ctx context.Context, g *goal.Goal) ([]*session.Session, error) {
	return loaders.From(ctx).LinkedSessions(ctx, g.ID)
}

func (goalResolver) Insights(ctx context.Context, g *goal.Goal) ([]*insight.Insight, error) {
	return loaders.From(ctx).LinkedInsights(ctx, g.ID)
}

func (checkInResolver) Author(ctx context.Context, k *goal.CheckIn) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, k.AuthorID.UUID)
}

func (checkInResolver) Corrects(ctx context.Context, k *goal.CheckIn) (*goal.CheckIn, error) {
	if k.CorrectsID == nil {
		return nil, nil
	}
	return loaders.From(ctx).CheckIns.Load(ctx, k.CorrectsID.UUID)
}

func (actionItemResolver) Assignees(ctx context.Context, a *goal.ActionItem) ([]*goal.Assignee, error) {
	return loaders.From(ctx).AssigneesOfAction.Load(ctx, a.ID.UUID)
}

func (actionItemResolver) Client(ctx context.Context, a *goal.ActionItem) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, a.ClientID.UUID)
}

func (actionItemResolver) Coach(ctx context.Context, a *goal.ActionItem) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, a.CoachID.UUID)
}

func (actionItemResolver) Engagement(ctx context.Context, a *goal.ActionItem) (*engagement.Engagement, error) {
	if a.EngagementID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Engagements.Load(ctx, a.EngagementID.UUID)
}

func (actionItemResolver) Session(ctx context.Context, a *goal.ActionItem) (*session.Session, error) {
	if a.SessionID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Sessions.Load(ctx, a.SessionID.UUID)
}

func (actionItemResolver) Goal(ctx context.Context, a *goal.ActionItem) (*goal.Goal, error) {
	if a.GoalID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Goals.Load(ctx, a.GoalID.UUID)
}

func (actionItemResolver) SourceInsight(ctx context.Context, a *goal.ActionItem) (*insight.Insight, error) {
	if a.SourceInsightID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Insights.Load(ctx, *a.SourceInsightID)
}

func (actionItemResolver) CreatedBy(ctx context.Context, a *goal.ActionItem) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, a.CreatedByID.UUID)
}

func (actionAssigneeResolver) User(ctx context.Context, a *goal.Assignee) (*org.User, error) {
	if a.UserID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, a.UserID.UUID)
}

func (actionAssigneeResolver) Client(ctx context.Context, a *goal.Assignee) (*client.Client, error) {
	if a.ClientID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Clients.Load(ctx, a.ClientID.UUID)
}

func (clientResolver) GoalCount(ctx context.Context, c *client.Client) (*int, error) {
	n, err := loaders.From(ctx).GoalCountOfClient.Load(ctx, c.ID.UUID)
	return &n, err
}

func (clientResolver) OpenActionCount(ctx context.Context, c *client.Client) (*int, error) {
	n, err := loaders.From(ctx).OpenActionsOfClient.Load(ctx, c.ID.UUID)
	return &n, err
}

func (clientResolver) Goals(ctx context.Context, c *client.Client, filter *goal.Filter, orderBy *goal.OrderBy, first *int, after *string, last *int, before *string) (*model.GoalConnection, error) {
	return loaders.From(ctx).GoalsOfClient.Load(ctx, c.ID.UUID, loaders.GoalQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (clientResolver) ActionItems(ctx context.Context, c *client.Client, filter *goal.ActionFilter, orderBy *goal.ActionOrderBy, first *int, after *string, last *int, before *string) (*model.ActionItemConnection, error) {
	return loaders.From(ctx).ActionsOfClient.Load(ctx, c.ID.UUID, loaders.ActionQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (engagementResolver) Goals(ctx context.Context, e *engagement.Engagement, filter *goal.Filter, orderBy *goal.OrderBy, first *int, after *string, last *int, before *string) (*model.GoalConnection, error) {
	return loaders.From(ctx).GoalsOfEngagement.Load(ctx, e.ID.UUID, loaders.GoalQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (sessionResolver) Goals(ctx context.Context, s *session.Session, filter *goal.Filter, orderBy *goal.OrderBy, first *int, after *string, last *int, before *string) (*model.GoalConnection, error) {
	return loaders.From(ctx).GoalsOfSession.Load(ctx, s.ID.UUID, loaders.GoalQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (sessionResolver) ActionItems(ctx context.Context, s *session.Session, filter *goal.ActionFilter, orderBy *goal.ActionOrderBy, first *int, after *string, last *int, before *string) (*model.ActionItemConnection, error) {
	return loaders.From(ctx).ActionsOfSession.Load(ctx, s.ID.UUID, loaders.ActionQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (insightResolver) Goals(ctx context.Context, i *insight.Insight, filter *goal.Filter, orderBy *goal.OrderBy, first *int, after *string, last *int, before *string) (*model.GoalConnection, error) {
	return loaders.From(ctx).GoalsOfInsight.Load(ctx, i.ID.UUID, loaders.GoalQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (insightResolver) ActionItem(ctx context.Context, i *insight.Insight) (*goal.ActionItem, error) {
	return loaders.From(ctx).ActionOfInsight.Load(ctx, i.ID.UUID)
}
