package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/transport"
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

func (r subscriptionResolver) LiveSession(ctx context.Context, sessionID id.Any, after *string) (<-chan live.Event, error) {
	if err := expect("sessionId", sessionID, "session"); err != nil {
		return nil, err
	}
	events, err := r.Live.Events(ctx, session.ID{UUID: sessionID.UUID}, transport.After(ctx, after))
	if err != nil {
		return nil, err
	}
	return listen(ctx, events), nil
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

func (r mutationResolver) DismissNudge(ctx context.Context, input live.DismissInput) (*model.DismissNudgePayload, error) {
	n, err := r.Live.Dismiss(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DismissNudgePayload{Nudge: n, UserErrors: errs}, err
}

func (liveSessionResolver) Nudges(ctx context.Context, l *live.Session) ([]*live.Nudge, error) {
	return loaders.From(ctx).NudgesOfLive.Load(ctx, l.ID.UUID)
}

func (liveNudgeResolver) Evidence(ctx context.Context, n *live.Nudge) ([]*live.Utterance, error) {
	return loaders.From(ctx).EvidenceOfNudge.Load(ctx, n.ID.UUID)
}

func (liveNudgeResolver) Topics(ctx context.Context, n *live.Nudge) ([]*session.Topic, error) {
	return loaders.From(ctx).TopicsOf(ctx, n.TopicIDs)
}
