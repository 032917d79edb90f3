package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/loaders"
)

func (queryResolver) Transcript(ctx context.Context, key id.Any) (*transcript.Transcript, error) {
	if err := expect("id", key, "transcript"); err != nil {
		return nil, err
	}
	return loaders.From(ctx).Transcripts.Find(ctx, key.UUID, "transcript")
}

func (r mutationResolver) ImportTranscript(ctx context.Context, input transcript.ImportInput) (*model.ImportTranscriptPayload, error) {
	imported, err := r.Transcripts.Import(ctx, input)
	errs, err := model.UserErrors(err)
	if imported == nil {
		return &model.ImportTranscriptPayload{UserErrors: errs}, err
	}
	return &model.ImportTranscriptPayload{Transcript: imported.Transcript, AlreadyImported: imported.AlreadyImported, UserErrors: errs}, err
}

func (r mutationResolver) RequestTranscriptUpload(ctx context.Context, input transcript.UploadInput) (*model.RequestTranscriptUploadPayload, error) {
	up, err := r.Transcripts.RequestUpload(ctx, input)
	errs, err := model.UserErrors(err)
	if up == nil {
		return &model.RequestTranscriptUploadPayload{UserErrors: errs}, err
	}
	return &model.RequestTranscriptUploadPayload{
		Transcript: up.Transcript, Upload: model.NewUploadLink(up.Link), AlreadyImported: up.AlreadyImported, UserErrors: errs,
	}, err
}

func (r mutationResolver) CompleteTranscriptUpload(ctx context.Context, input transcript.CompleteUploadInput) (*model.CompleteTranscriptUploadPayload, error) {
	t, err := r.Transcripts.CompleteUpload(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CompleteTranscriptUploadPayload{Transcript: t, UserErrors: errs}, err
}

func (r mutationResolver) ExportTranscript(ctx context.Context, input transcript.ExportInput) (*model.ExportTranscriptPayload, error) {
	out, err := r.Transcripts.Export(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ExportTranscriptPayload{Export: out, UserErrors: errs}, err
}

func (r mutationResolver) UpdateTranscript(ctx context.Context, input transcript.UpdateInput) (*model.UpdateTranscriptPayload, error) {
	t, err := r.Transcripts.Update(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UpdateTranscriptPayload{Transcript: t, UserErrors: errs}, err
}

func (r mutationResolver) ArchiveTranscript(ctx context.Context, input transcript.ArchiveInput) (*model.ArchiveTranscriptPayload, error) {
	t, err := r.Transcripts.Archive(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ArchiveTranscriptPayload{Transcript: t, UserErrors: errs}, err
}

func (r mutationResolver) RenameSpeaker(ctx context.Context, input transcript.RenameSpeakerInput) (*model.RenameSpeakerPayload, error) {
	out, err := r.Transcripts.RenameSpeaker(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RenameSpeakerPayload{Speaker: out.Speaker, Edit: out.Edit, UserErrors: errs}, err
}

func (r mutationResolver) SetSpeakerRole(ctx context.Context, input transcript.SetSpeakerRoleInput) (*model.SetSpeakerRolePayload, error) {
	out, err := r.Transcripts.SetSpeakerRole(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.SetSpeakerRolePayload{Speaker: out.Speaker, Edit: out.Edit, UserErrors: errs}, err
}

func (r mutationResolver) ConfirmSpeakerRoles(ctx context.Context, input transcript.ConfirmRolesInput) (*model.ConfirmSpeakerRolesPayload, error) {
	t, edit, err := r.Transcripts.ConfirmRoles(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ConfirmSpeakerRolesPayload{Transcript: t, Edit: edit, UserErrors: errs}, err
}

func (r mutationResolver) RetryAnalysis(ctx context.Context, input insight.RetryInput) (*model.RetryAnalysisPayload, error) {
	t, err := r.Insights.Retry(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RetryAnalysisPayload{Transcript: t, UserErrors: errs}, err
}

func (r mutationResolver) MergeSpeakers(ctx context.Context, input transcript.MergeSpeakersInput) (*model.MergeSpeakersPayload, error) {
	out, err := r.Transcripts.MergeSpeakers(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.MergeSpeakersPayload{Speaker: out.Speaker, Edit: out.Edit, UserErrors: errs}, err
}

func (r mutationResolver) SplitSpeaker(ctx context.Context, input transcript.SplitSpeakerInput) (*model.SplitSpeakerPayload, error) {
	out, err := r.Transcripts.SplitSpeaker(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.SplitSpeakerPayload{Speaker: out.Speaker, Edit: out.Edit, UserErrors: errs}, err
}

func (r mutationResolver) ReassignUtterances(ctx context.Context, input transcript.ReassignInput) (*model.ReassignUtterancesPayload, error) {
	out, err := r.Transcripts.Reassign(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ReassignUtterancesPayload{Speaker: out.Speaker, Edit: out.Edit, UserErrors: errs}, err
}

func (r mutationResolver) ReviseUtterance(ctx context.Context, input transcript.ReviseInput) (*model.ReviseUtterancePayload, error) {
	u, edit, err := r.Transcripts.Revise(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ReviseUtterancePayload{Utterance: u, Edit: edit, UserErrors: errs}, err
}

func (r mutationResolver) UndoTranscriptEdit(ctx context.Context, input transcript.UndoEditInput) (*model.UndoTranscriptEditPayload, error) {
	edit, err := r.Transcripts.UndoEdit(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.UndoTranscriptEditPayload{Edit: edit, UserErrors: errs}, err
}

func (transcriptResolver) Session(ctx context.Context, t *transcript.Transcript) (*session.Session, error) {
	return loaders.From(ctx).Sessions.Load(ctx, t.SessionID.UUID)
}

func (transcriptResolver) Speakers(ctx context.Context, t *transcript.Transcript) ([]*transcript.Speaker, error) {
	return loaders.From(ctx).SpeakersOfTranscript.Load(ctx, t.ID.UUID)
}

func (transcriptResolver) SpeakerQuestion(ctx context.Context, t *transcript.Transcript) (*transcript.Question, error) {
	speakers, err := loaders.From(ctx).SpeakersOfTranscript.Load(ctx, t.ID.UUID)
	return t.Question(speakers), err
}

func (transcriptResolver) Edits(ctx context.Context, t *transcript.Transcript, first *int, after *string, last *int, before *string) (*model.TranscriptEditConnection, error) {
	return loaders.From(ctx).EditsOfTranscript.Load(ctx, t.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (transcriptResolver) Utterances(ctx context.Context, t *transcript.Transcript, first *int, after *string, last *int, before *string) (*model.UtteranceConnection, error) {
	return loaders.From(ctx).UtterancesOfText.Load(ctx, t.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (transcriptResolver) Metrics(ctx context.Context, t *transcript.Transcript) (*insight.Metrics, error) {
	return loaders.From(ctx).MetricsOfTranscript.Load(ctx, t.ID.UUID)
}

func (transcriptResolver) Summary(ctx context.Context, t *transcript.Transcript) (*insight.Summary, error) {
	d, err := loaders.From(ctx).DigestOfTranscript.Load(ctx, t.ID.UUID)
	return d.Summary(), err
}

func (transcriptResolver) SkillEvidence(ctx context.Context, t *transcript.Transcript) ([]*insight.SkillEvidence, error) {
	d, err := loaders.From(ctx).DigestOfTranscript.Load(ctx, t.ID.UUID)
	return d.SkillEvidence(), err
}

func (transcriptResolver) AnalysisRuns(ctx context.Context, t *transcript.Transcript, first *int, after *string, last *int, before *string) (*model.AnalysisRunConnection, error) {
	return loaders.From(ctx).RunsOfTranscript.Load(ctx, t.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (utteranceResolver) Codes(ctx context.Context, u *transcript.Utterance) ([]*insight.UtteranceCode, error) {
	return loaders.From(ctx).CodesOfUtterance.Load(ctx, u.ID.UUID)
}

func (utteranceResolver) Speaker(ctx context.Context, u *transcript.Utterance) (*transcript.Speaker, error) {
	return loaders.From(ctx).Speakers.Find(ctx, u.SpeakerID.UUID, "speaker")
}

func (utteranceResolver) Revisions(ctx context.Context, u *transcript.Utterance) ([]*transcript.Revision, error) {
	return loaders.From(ctx).RevisionsOfUtterance.Load(ctx, u.ID.UUID)
}

func (utteranceRevisionResolver) Author(ctx context.Context, r *transcript.Revision) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, r.AuthorID.UUID)
}

func (speakerResolver) MergedInto(ctx context.Context, s *transcript.Speaker) (*transcript.Speaker, error) {
	return loaders.From(ctx).MergedInto(ctx, s)
}

func (speakerSuggestionResolver) Speaker(ctx context.Context, s *transcript.Suggestion) (*transcript.Speaker, error) {
	return loaders.From(ctx).Speakers.Find(ctx, s.SpeakerID.UUID, "speaker")
}

func (transcriptEditResolver) Author(ctx context.Context, e *transcript.Edit) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, e.AuthorID.UUID)
}

func (transcriptEditResolver) Speakers(ctx context.Context, e *transcript.Edit) ([]*transcript.Speaker, error) {
	return loaders.From(ctx).SpeakersOfEdit(ctx, e)
}

func (transcriptEditResolver) Transcript(ctx context.Context, e *transcript.Edit) (*transcript.Transcript, error) {
	return loaders.From(ctx).Transcripts.Load(ctx, e.TranscriptID.UUID)
}

func (speakerMetricsResolver) Speaker(ctx context.Context, m *insight.SpeakerMetrics) (*transcript.Speaker, error) {
	return loaders.From(ctx).SpeakerAt(ctx, m.TranscriptID, m.Speaker)
}
