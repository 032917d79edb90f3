package privacy

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Follow handles consent.JobFollow: it brings what is kept of the conversations of a client or participant in line with what all clients
// in them have consented to. Without consent to transcription transcripts are removed, without consent to analysis what was derived
// from them; with both, what nobody has analysed yet is.
//
// It looks at what is so and not at what has changed, and may be repeated at any point.
func (s *Service) Follow(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "privacy.Follow(%s)", job.Entity)
	rows, err := s.db.Query(ctx, `
		SELECT t.id, 'TRANSCRIPTION' = ANY(s.consents), 'AI_ANALYSIS' = ANY(s.consents),
			t.status IN ('READY', 'FAILED') AND NOT EXISTS (SELECT FROM analysis_runs r WHERE r.org_id = $1 AND r.transcript_id = t.id)
		FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id
		WHERE t.org_id = $1 AND EXISTS (
			SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = s.id AND (p.id = $2 OR p.client_id = $2))
		ORDER BY t.id`, job.Org, job.Entity)
	if err != nil {
		return err
	}
	type kept struct {
		key                            transcript.ID
		transcription, analysis, fresh bool
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
		case !k.transcription:
			err = s.remove(ctx, job.Org, k.key, func(pgx.Tx, map[string]int) error { return nil })
		case !k.analysis:
			err = s.insights.Forget(ctx, job.Org, k.key)
		case k.fresh:
			analyse = append(analyse, jobs.Job{Org: job.Org, Kind: transcript.JobAnalyse, Entity: k.key.UUID})
		}
		if err != nil {
			return err
		}
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return jobs.Enqueue(ctx, tx, analyse...) })
}
