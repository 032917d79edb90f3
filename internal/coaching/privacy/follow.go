package privacy

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Follow handles consent.JobFollow: it brings what is kept of the conversations of a client or participant in line with what those in them
// have consented to. Where a consent to transcription was taken back transcripts are removed, where one to analysis was, what was derived
// from them; with both of everybody, what nobody has analysed yet is. Where somebody was never asked, who was added to the session
// afterwards, all of it is hidden and stays: a slip of the calendar destroys nothing.
//
// It looks at what is so and not at what has changed, and may be repeated at any point.
func (s *Service) Follow(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "privacy.Follow(%s)", job.Entity)
	rows, err := s.db.Query(ctx, `
		SELECT t.id, `+takenBack(consent.Transcription)+`, `+takenBack(consent.AIAnalysis)+`, `+string(session.ToAnalyse)+`
			AND t.status IN ('READY', 'FAILED') AND NOT EXISTS (SELECT FROM analysis_runs r WHERE r.org_id = $1 AND r.transcript_id = t.id)
		FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id
		WHERE t.org_id = $1 AND EXISTS (
			SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = s.id AND (p.id = $2 OR p.client_id = $2))
		ORDER BY t.id`, job.Org, job.Entity)
	if err != nil {
		return err
	}
	type kept struct {
		key                            transcript.ID
		transcription, analysis, fresh bool // taken back, taken back, to be analysed
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k kept, err error) {
		return k, row.Scan(&k.key, &k.transcription, &k.analysis, &k.fresh)
	})
	if err != nil {
		return err
	}
	var analyse []jobs.Job
	for _, k := range all {
		switch {
		case k.transcription:
			err = s.remove(ctx, job.Org, k.key, func(pgx.Tx, map[string]int) error { return nil })
		case k.analysis:
			err = s.insights.Forget(ctx, job.Org, k.key)
		case k.fresh:
			analyse = append(analyse, jobs.Job{Org: job.Org, Kind: transcript.JobAnalyse, Entity: k.key.UUID})
		}
		if err != nil {
			return err
		}
	}
	if err := s.stopListening(ctx, job); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return jobs.Enqueue(ctx, tx, analyse...) })
}

// stopListening ends live sessions in which a consent to transcription was taken back, and removes their words.
func (s *Service) stopListening(ctx context.Context, job jobs.Job) error {
	rows, err := s.db.Query(ctx, `
		SELECT s.id FROM sessions s WHERE s.org_id = $1 AND `+takenBack(consent.Transcription)+`
		AND EXISTS (SELECT FROM live_sessions l WHERE l.org_id = $1 AND l.session_id = s.id
			AND (l.status <> 'ENDED' OR EXISTS (SELECT FROM live_utterances u WHERE u.org_id = $1 AND u.live_session_id = l.id)))
		AND EXISTS (SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = s.id AND (p.id = $2 OR p.client_id = $2))
		ORDER BY s.id`, job.Org, job.Entity)
	if err != nil {
		return err
	}
	heard, err := pgx.CollectRows(rows, pgx.RowTo[session.ID])
	if err != nil {
		return err
	}
	for _, key := range heard {
		if err := s.live.Stop(ctx, job.Org, key); err != nil {
			return err
		}
	}
	return nil
}

// takenBack is the condition that somebody in a session s has taken a consent back and not given it again.
func takenBack(scope consent.Scope) string {
	return fmt.Sprintf(`EXISTS (SELECT FROM participants p JOIN consents k ON k.org_id = $1 AND (k.participant_id = p.id OR k.client_id = p.client_id AND k.participant_id IS NULL)
		WHERE p.org_id = $1 AND p.session_id = s.id AND p.role <> 'COACH' AND NOT '%[1]s' = ANY(p.consents) AND k.scope = '%[1]s' AND k.withdrawn_at IS NOT NULL)`, scope)
}
