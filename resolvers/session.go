package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Sessions(ctx context.Context, filter *session.Filter, orderBy *session.OrderBy, first *int, after *string, last *int, before *string) (*model.SessionConnection, error) {
	return r.Resolver.Sessions.List(ctx, filter, orderBy, window(first, after, last, before))
}

func (queryResolver) Session(ctx context.Context, key id.Any) (*session.Session, error) {
	if err := expect("id", key, "session"); err != nil {
		return nil, err
	}
	return loaders.From(ctx).Sessions.Find(ctx, key.UUID, "session")
}

func (r mutationResolver) CreateSession(ctx context.Context, input session.CreateInput) (*model.CreateSessionPayload, error) {
	s, err := r.Sessions.Create(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateSessionPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) UpdateSession(ctx context.Context, input session.UpdateInput) (*model.UpdateSessionPayload, error) {
	s, err := r.Sessions.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateSessionPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) ArchiveSession(ctx context.Context, input session.ArchiveInput) (*model.ArchiveSessionPayload, error) {
	s, err := r.Sessions.Archive(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ArchiveSessionPayload{Session: s, UserErrors: errs}, err
}

func (sessionResolver) Engagement(ctx context.Context, s *session.Session) (*engagement.Engagement, error) {
	return loaders.From(ctx).Engagements.Load(ctx, s.EngagementID.UUID)
}

func (sessionResolver) Client(ctx context.Context, s *session.Session) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, s.ClientID.UUID)
}

func (sessionResolver) Coach(ctx context.Context, s *session.Session) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, s.CoachID.UUID)
}

func (sessionResolver) Participants(ctx context.Context, s *session.Session) ([]*session.Participant, error) {
	return loaders.From(ctx).ParticipantsOfSession.Load(ctx, s.ID.UUID)
}

func (sessionResolver) Tags(ctx context.Context, s *session.Session) ([]*tag.Tag, error) {
	return loaders.From(ctx).TagsOfSession.Load(ctx, s.ID.UUID)
}

func (sessionResolver) Transcript(ctx context.Context, s *session.Session) (*transcript.Transcript, error) {
	return loaders.From(ctx).TranscriptOfSession.Load(ctx, s.ID.UUID)
}

func (sessionResolver) Transcripts(ctx context.Context, s *session.Session, first *int, after *string, last *int, before *string) (*model.TranscriptConnection, error) {
	return loaders.From(ctx).TranscriptsOfSession.Load(ctx, s.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (sessionResolver) Metrics(ctx context.Context, s *session.Session) (*insight.Metrics, error) {
	return loaders.From(ctx).MetricsOf(ctx, s.ID)
}

func (sessionResolver) Insights(ctx context.Context, s *session.Session, filter *insight.Filter, orderBy *insight.OrderBy, first *int, after *string, last *int, before *string) (*model.InsightConnection, error) {
	return loaders.From(ctx).InsightsOfSession.Load(ctx, s.ID.UUID, loaders.InsightQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (sessionResolver) InsightCount(ctx context.Context, s *session.Session) (*int, error) {
	n, err := loaders.From(ctx).InsightCountOfSession.Load(ctx, s.ID.UUID)
	return &n, err
}

func (participantResolver) User(ctx context.Context, p *session.Participant) (*org.User, error) {
	if p.UserID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, p.UserID.UUID)
}
