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

func (r queryResolver) Sessions(ctx context.Context, filter *session.Filter, savedFilterID *id.Any, orderBy *session.OrderBy, first *int, after *string, last *int, before *string) (*model.SessionConnection, error) {
	if savedFilterID == nil {
		return r.Resolver.Sessions.List(ctx, filter, orderBy, window(first, after, last, before))
	}
	if err := expect("savedFilterId", *savedFilterID, "filter"); err != nil {
		return nil, err
	}
	return r.Resolver.Sessions.ListSaved(ctx, session.SavedFilterID{UUID: savedFilterID.UUID}, filter, orderBy, window(first, after, last, before))
}

func (r queryResolver) SavedFilters(ctx context.Context) ([]*session.SavedFilter, error) {
	return r.Resolver.Sessions.Saved(ctx)
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

func (r mutationResolver) StartSession(ctx context.Context, input session.StartInput) (*model.StartSessionPayload, error) {
	s, err := r.Sessions.Start(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.StartSessionPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) CompleteSession(ctx context.Context, input session.CompleteInput) (*model.CompleteSessionPayload, error) {
	s, err := r.Sessions.Complete(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CompleteSessionPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) CancelSession(ctx context.Context, input session.CancelInput) (*model.CancelSessionPayload, error) {
	s, err := r.Sessions.Cancel(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CancelSessionPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) MarkSessionMissed(ctx context.Context, input session.NoShowInput) (*model.MarkSessionMissedPayload, error) {
	s, err := r.Sessions.NoShow(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.MarkSessionMissedPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) RescheduleSession(ctx context.Context, input session.RescheduleInput) (*model.RescheduleSessionPayload, error) {
	s, err := r.Sessions.Reschedule(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RescheduleSessionPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) AddParticipant(ctx context.Context, input session.AddParticipantInput) (*model.AddParticipantPayload, error) {
	p, err := r.Sessions.AddParticipant(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AddParticipantPayload{Participant: p, UserErrors: errs}, err
}

func (r mutationResolver) UpdateParticipant(ctx context.Context, input session.UpdateParticipantInput) (*model.UpdateParticipantPayload, error) {
	p, err := r.Sessions.UpdateParticipant(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateParticipantPayload{Participant: p, UserErrors: errs}, err
}

func (r mutationResolver) RemoveParticipant(ctx context.Context, input session.RemoveParticipantInput) (*model.RemoveParticipantPayload, error) {
	s, err := r.Sessions.RemoveParticipant(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RemoveParticipantPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) AddAgendaTopic(ctx context.Context, input session.AddTopicInput) (*model.AddAgendaTopicPayload, error) {
	t, err := r.Sessions.AddTopic(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AddAgendaTopicPayload{Topic: t, UserErrors: errs}, err
}

func (r mutationResolver) UpdateAgendaTopic(ctx context.Context, input session.UpdateTopicInput) (*model.UpdateAgendaTopicPayload, error) {
	t, err := r.Sessions.UpdateTopic(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateAgendaTopicPayload{Topic: t, UserErrors: errs}, err
}

func (r mutationResolver) ReorderAgenda(ctx context.Context, input session.ReorderInput) (*model.ReorderAgendaPayload, error) {
	s, err := r.Sessions.Reorder(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ReorderAgendaPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) RemoveAgendaTopic(ctx context.Context, input session.RemoveTopicInput) (*model.RemoveAgendaTopicPayload, error) {
	s, err := r.Sessions.RemoveTopic(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RemoveAgendaTopicPayload{Session: s, UserErrors: errs}, err
}

func (r mutationResolver) CreateSavedFilter(ctx context.Context, input session.CreateSavedFilterInput) (*model.CreateSavedFilterPayload, error) {
	f, err := r.Sessions.CreateSaved(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateSavedFilterPayload{SavedFilter: f, UserErrors: errs}, err
}

func (r mutationResolver) UpdateSavedFilter(ctx context.Context, input session.UpdateSavedFilterInput) (*model.UpdateSavedFilterPayload, error) {
	f, err := r.Sessions.UpdateSaved(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateSavedFilterPayload{SavedFilter: f, UserErrors: errs}, err
}

func (r mutationResolver) DeleteSavedFilter(ctx context.Context, input session.DeleteSavedFilterInput) (*model.DeleteSavedFilterPayload, error) {
	f, err := r.Sessions.DeleteSaved(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DeleteSavedFilterPayload{SavedFilter: f, UserErrors: errs}, err
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

func (sessionResolver) Agenda(ctx context.Context, s *session.Session) ([]*session.Topic, error) {
	return loaders.From(ctx).AgendaOfSession.Load(ctx, s.ID.UUID)
}

func (sessionResolver) Overlaps(ctx context.Context, s *session.Session) ([]*session.Session, error) {
	return loaders.From(ctx).OverlapsOfSession.Load(ctx, s.ID.UUID)
}

func (agendaTopicResolver) AddedBy(ctx context.Context, t *session.Topic) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, t.AddedByID.UUID)
}

func (agendaTopicResolver) CarriedFrom(ctx context.Context, t *session.Topic) (*session.Topic, error) {
	if t.CarriedFromID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Topics.Load(ctx, t.CarriedFromID.UUID)
}

func (agendaTopicResolver) Session(ctx context.Context, t *session.Topic) (*session.Session, error) {
	return loaders.From(ctx).Sessions.Load(ctx, t.SessionID.UUID)
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
