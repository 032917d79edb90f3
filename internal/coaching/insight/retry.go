package insight

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// RetryInput names a transcript whose analysis is to be tried again.
type RetryInput struct{ TranscriptID transcript.ID }

// Retry has an analysis done again that was given up, and at once what waits. What is at work or done is left as it is, so that asking twice is
// asking once.
func (s *Service) Retry(ctx context.Context, in RetryInput) (_ *transcript.Transcript, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.transcripts.Get(ctx, in.TranscriptID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "insight.Retry(%s)", in.TranscriptID)
	if !t.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only the coach can have a transcript analysed again")
	}
	job := jobs.Job{Org: v.Org, Kind: transcript.JobAnalyse, Entity: in.TranscriptID.UUID}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := session.RequireConsent(ctx, tx, v.Org, t.SessionID, consent.AIAnalysis, "transcriptId"); err != nil { // the session before the transcript
			return err
		}
		ref, status, err := s.transcripts.Hold(ctx, tx, v.Org, in.TranscriptID)
		if err != nil || status == transcript.Ready || status == transcript.NeedsSpeakers {
			return err
		}
		var read bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM utterances WHERE org_id = $1 AND transcript_id = $2)`, v.Org, in.TranscriptID).Scan(&read); err != nil {
			return err
		}
		if !read {
			f := fault.Conflict("there is nothing to analyse: the file has not been read")
			f.Field = "transcriptId"
			return f
		}
		if _, err := s.transcripts.Advance(ctx, tx, ref, in.TranscriptID, transcript.Analyzing, transcript.Failed); err != nil {
			return err
		}
		changed, err := jobs.Again(ctx, tx, job)
		if err != nil || !changed {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "transcript.retry", Kind: "transcript", ID: in.TranscriptID.UUID, ClientID: ref.ClientID.UUID})
	})
	if err != nil {
		return nil, err
	}
	return s.transcripts.Get(ctx, in.TranscriptID)
}
