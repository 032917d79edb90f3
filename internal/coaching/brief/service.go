package brief

import (
	"context"
	"sync"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// What a brief holds at most: more is no brief. The lists it is taken from have the rest.
const (
	maxActions = 20
	maxGoals   = 10
	maxThemes  = 5
)

// Service briefs coaches. It keeps nothing: each domain is asked with the viewer's scope, so that a brief shows what the
// viewer may see anyway, and forgets at once what others do.
type Service struct {
	sessions *session.Service
	goals    *goal.Service
	insights *insight.Service
	themes   *theme.Service
}

// NewService returns a Service over the domains that a brief is made of.
func NewService(sessions *session.Service, goals *goal.Service, insights *insight.Service, themes *theme.Service) *Service {
	return &Service{sessions: sessions, goals: goals, insights: insights, themes: themes}
}

// Of briefs the viewer about a client as the viewer sees it. It is nil for who is neither a coach of the client nor such a
// coach's supervisor, and of a client who is archived: there is nothing to prepare for.
func (s *Service) Of(ctx context.Context, c *client.Client) (*Brief, error) {
	if c == nil || !c.Any(auth.AsCoach|auth.AsSupervisor) || c.ArchivedAt != nil {
		return nil, nil
	}
	around, err := s.sessions.Around(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	return &Brief{Client: c, around: around, recalled: sync.OnceValues(func() (insight.Recalled, error) {
		return s.insights.Recall(ctx, c.ID)
	})}, nil
}

// OpenActions are the actions agreed on and not done, by when they are due: what is overdue comes first, what has no day last.
func (s *Service) OpenActions(ctx context.Context, b *Brief) ([]*goal.ActionItem, error) {
	open := &goal.ActionFilter{Statuses: []goal.ActionStatus{goal.ToDo, goal.InProgress}}
	pages, err := s.goals.ActionsOf(ctx, goal.ActionsOfClient, []id.UUID{b.Client.ID.UUID}, open, nil, page.First(maxActions))
	if err != nil {
		return nil, err
	}
	return pages[0].Nodes(), nil
}

// SlippingGoals are the open goals without momentum, those to refocus on first, and of these what is to be reached soonest.
// Progress is computed and not kept, so that all open goals are looked at, up to the largest page.
func (s *Service) SlippingGoals(ctx context.Context, b *Brief) ([]*goal.Goal, error) {
	open := &goal.Filter{Statuses: []goal.Status{goal.Open}}
	soonest := &goal.OrderBy{Field: goal.OrderByTargetDate, Direction: page.Ascending}
	pages, err := s.goals.Children(ctx, goal.OfClient, []id.UUID{b.Client.ID.UUID}, open, soonest, page.First(page.MaxSize))
	if err != nil {
		return nil, err
	}
	refocus, attention := []*goal.Goal{}, []*goal.Goal{}
	for _, g := range pages[0].Nodes() {
		switch *g.Progress() {
		case goal.LetsRefocus:
			refocus = append(refocus, g)
		case goal.NeedsAttention:
			attention = append(attention, g)
		}
	}
	slipping := append(refocus, attention...)
	return slipping[:min(len(slipping), maxGoals)], nil
}

// Themes are what has come up in more sessions than one, in most of them first: once is an insight.
func (s *Service) Themes(ctx context.Context, b *Brief) ([]*theme.Theme, error) {
	recurring := &theme.Filter{MinSessions: new(2)}
	pages, err := s.themes.OfClients(ctx, []id.UUID{b.Client.ID.UUID}, recurring, nil, page.First(maxThemes))
	if err != nil {
		return nil, err
	}
	return pages[0].Nodes(), nil
}

// Waiting are the topics that will be on the agenda of a session that nobody has planned yet.
func (s *Service) Waiting(ctx context.Context, b *Brief) ([]*session.Topic, error) {
	return s.sessions.Waiting(ctx, b.Client.ID)
}

// Carried are those of the topics of an agenda that come from an earlier session and are still to be talked about.
func Carried(agenda []*session.Topic) []*session.Topic {
	carried := []*session.Topic{}
	for _, t := range agenda {
		if t.CarriedFromID != nil && t.Status != session.TopicDiscussed {
			carried = append(carried, t)
		}
	}
	return carried
}
