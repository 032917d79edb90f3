package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/transport"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Insights(ctx context.Context, filter *insight.Filter, orderBy *insight.OrderBy, first *int, after *string, last *int, before *string) (*model.InsightConnection, error) {
	return r.Resolver.Insights.List(ctx, filter, orderBy, window(first, after, last, before))
}

func (r mutationResolver) ReviewInsight(ctx context.Context, input insight.ReviewInput) (*model.ReviewInsightPayload, error) {
	i, err := r.Insights.Review(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ReviewInsightPayload{Insight: i, UserErrors: errs}, err
}

func (r subscriptionResolver) InsightEvents(ctx context.Context, sessionID *id.Any, clientID *id.Any, after *string) (<-chan insight.Event, error) {
	of, err := optional("sessionId", "session", sessionID, func(u id.UUID) session.ID { return session.ID{UUID: u} })
	if err != nil {
		return nil, err
	}
	with, err := optional("clientId", "client", clientID, func(u id.UUID) client.ID { return client.ID{UUID: u} })
	if err != nil {
		return nil, err
	}
	events, err := r.Insights.Events(ctx, of, with, transport.After(ctx, after))
	if err != nil {
		return nil, err
	}
	return listen(ctx, events), nil
}

func (insightResolver) ReviewedBy(ctx context.Context, i *insight.Insight) (*org.User, error) {
	if i.ReviewedByID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Users.Load(ctx, i.ReviewedByID.UUID)
}

func (insightResolver) Citations(ctx context.Context, i *insight.Insight) ([]*insight.Citation, error) {
	return loaders.From(ctx).CitationsOfInsight.Load(ctx, i.ID.UUID)
}

func (insightResolver) Session(ctx context.Context, i *insight.Insight) (*session.Session, error) {
	return loaders.From(ctx).Sessions.Load(ctx, i.SessionID.UUID)
}

func (insightResolver) AnalysisRun(ctx context.Context, i *insight.Insight) (*insight.Run, error) {
	return loaders.From(ctx).Runs.Load(ctx, i.RunID.UUID)
}

func (insightResolver) Tags(ctx context.Context, i *insight.Insight) ([]*tag.Tag, error) {
	return loaders.From(ctx).TagsOfInsight.Load(ctx, i.ID.UUID)
}

func (commitmentResolver) Speaker(ctx context.Context, c *insight.Committed) (*transcript.Speaker, error) {
	return loaders.From(ctx).Speakers.Load(ctx, c.SpeakerID.UUID)
}

func (passageResolver) Session(ctx context.Context, p *insight.Passage) (*session.Session, error) {
	t, err := loaders.From(ctx).Transcripts.Load(ctx, p.TranscriptID.UUID)
	if t == nil || err != nil {
		return nil, err
	}
	return loaders.From(ctx).Sessions.Load(ctx, t.SessionID.UUID)
}

func (passageResolver) Utterances(ctx context.Context, p *insight.Passage) ([]*transcript.Utterance, error) {
	return loaders.From(ctx).UtterancesOfSpan.Load(ctx, p.Span)
}

func (citationResolver) Utterances(ctx context.Context, c *insight.Citation) ([]*transcript.Utterance, error) {
	return loaders.From(ctx).UtterancesOfSpan.Load(ctx, transcript.Span{TranscriptID: c.TranscriptID, First: c.First, Last: c.Last})
}
