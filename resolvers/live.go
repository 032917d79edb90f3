package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/loaders"
)

func (r mutationResolver) StartLiveSession(ctx context.Context, input live.StartInput) (*model.StartLiveSessionPayload, error) {
	l, err := r.Live.Start(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.StartLiveSessionPayload{LiveSession: l, UserErrors: errs}, err
}

func (r mutationResolver) AppendLiveUtterances(ctx context.Context, input live.AppendInput) (*model.AppendLiveUtterancesPayload, error) {
	a, err := r.Live.Append(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.AppendLiveUtterancesPayload{LiveSession: a.LiveSession, Added: a.Added, Revised: a.Revised, Unchanged: a.Unchanged, UserErrors: errs}, err
}

func (r mutationResolver) PauseLiveSession(ctx context.Context, input live.PauseInput) (*model.PauseLiveSessionPayload, error) {
	l, err := r.Live.Pause(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.PauseLiveSessionPayload{LiveSession: l, UserErrors: errs}, err
}

func (r mutationResolver) ResumeLiveSession(ctx context.Context, input live.ResumeInput) (*model.ResumeLiveSessionPayload, error) {
	l, err := r.Live.Resume(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ResumeLiveSessionPayload{LiveSession: l, UserErrors: errs}, err
}

func (r mutationResolver) EndLiveSession(ctx context.Context, input live.EndInput) (*model.EndLiveSessionPayload, error) {
	l, err := r.Live.End(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.EndLiveSessionPayload{LiveSession: l, UserErrors: errs}, err
}

func (sessionResolver) LiveSession(ctx context.Context, s *session.Session) (*live.Session, error) {
	return loaders.From(ctx).LiveOfSession.Load(ctx, s.ID.UUID)
}

func (liveSessionResolver) Session(ctx context.Context, l *live.Session) (*session.Session, error) {
	return loaders.From(ctx).Sessions.Load(ctx, l.SessionID.UUID)
}

func (liveSessionResolver) Utterances(ctx context.Context, l *live.Session, first *int, after *string, last *int, before *string) (*model.LiveUtteranceConnection, error) {
	return loaders.From(ctx).UtterancesOfLive.Load(ctx, l.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (liveSessionResolver) Transcript(ctx context.Context, l *live.Session) (*transcript.Transcript, error) {
	if l.TranscriptID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Transcripts.Load(ctx, l.TranscriptID.UUID)
}
