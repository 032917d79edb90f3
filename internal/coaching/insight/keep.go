package insight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// keep checks a finding's quotes and stores it.
func (r *run) keep(ctx context.Context, f Finding) error {
	quotes, ok := r.verify(f.Citations)
	if !ok {
		return nil
	}
	if f.Title == "" || f.Confidence < 0 || f.Confidence > 1 {
		r.rejected++
		return nil
	}
	r.ordinal++
	return postgres.InTx(ctx, r.db, func(tx pgx.Tx) error {
		if err := r.holdRunning(ctx, tx); err != nil {
			return err
		}
		if decided, err := r.decided(ctx, tx, f.Kind, quotes); err != nil || decided {
			return err
		}
		org, ref, print := r.content.Session.Org, r.content.Session, fingerprint(f.Kind, quotes)
		var key ID
		var before struct{ known, retracted, reworded bool }
		who, due := r.committed(f)
		of, err := r.themeOf(ctx, tx, f)
		if err != nil {
			return fmt.Errorf("find theme: %w", err)
		}
		// What nobody has reviewed says what the latest run says of it: "Ben" is "the client" once that is known.
		err = tx.QueryRow(ctx, `
			WITH before AS (
				SELECT retracted_at IS NOT NULL AS retracted, status = 'PROPOSED' AND (audience, title, body) <> ($9, $10, $11) AS reworded
				FROM insights WHERE org_id = $2 AND transcript_id = $4 AND fingerprint = $6)
			INSERT INTO insights (id, org_id, session_id, transcript_id, run_id, fingerprint, ordinal, kind, audience, title, body, confidence,
				committed_speaker_id, due, due_on, theme_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, nullif($14, ''), $15, $16)
			ON CONFLICT (org_id, transcript_id, fingerprint) DO UPDATE SET run_id = excluded.run_id, ordinal = excluded.ordinal, retracted_at = NULL,
				committed_speaker_id = CASE insights.status WHEN 'PROPOSED' THEN excluded.committed_speaker_id ELSE insights.committed_speaker_id END,
				due = CASE insights.status WHEN 'PROPOSED' THEN excluded.due ELSE insights.due END,
				due_on = CASE insights.status WHEN 'PROPOSED' THEN excluded.due_on ELSE insights.due_on END,
				theme_id = CASE insights.status WHEN 'PROPOSED' THEN excluded.theme_id ELSE coalesce(insights.theme_id, excluded.theme_id) END,
				audience = CASE insights.status WHEN 'PROPOSED' THEN excluded.audience ELSE insights.audience END,
				title = CASE insights.status WHEN 'PROPOSED' THEN excluded.title ELSE insights.title END,
				body = CASE insights.status WHEN 'PROPOSED' THEN excluded.body ELSE insights.body END,
				confidence = CASE insights.status WHEN 'PROPOSED' THEN excluded.confidence ELSE insights.confidence END
			RETURNING id, EXISTS (SELECT FROM before), coalesce((SELECT retracted FROM before), false), coalesce((SELECT reworded FROM before), false)`,
			id.New(), org, ref.ID, r.content.ID, r.id, print[:], r.ordinal, f.Kind, f.Audience, f.Title, f.Body, f.Confidence,
			who, due.Due, due.DueOn, of).
			Scan(&key, &before.known, &before.retracted, &before.reworded)
		if err != nil {
			return fmt.Errorf("store insight: %w", err)
		}
		if before.known && !before.retracted {
			if before.reworded {
				err = r.publish(ctx, tx, ref, eventRevised, subject{Insight: &key})
			}
			return err
		}
		if !before.known {
			if err := r.cite(ctx, tx, key, quotes); err != nil {
				return err
			}
		}
		if err := r.announce(ctx, tx, ref, (&Insight{ID: key, Kind: f.Kind, TranscriptID: r.content.ID}).news("insight.added")...); err != nil {
			return err
		}
		return r.publish(ctx, tx, ref, eventAdded, subject{Insight: &key})
	})
}

// decided tells whether a person has decided about the same kind of finding at the same place, before its words were
// corrected. That decision stands: what was dismissed is not proposed anew because of a typo, nor what was accepted.
func (r *run) decided(ctx context.Context, tx pgx.Tx, kind Kind, quotes []found) (decided bool, err error) {
	first, last := make([]int, len(quotes)), make([]int, len(quotes))
	for i, q := range quotes {
		first[i], last[i] = q.first, q.last
	}
	print := fingerprint(kind, quotes)
	err = tx.QueryRow(ctx, `
		SELECT NOT EXISTS (SELECT FROM insights WHERE org_id = $1 AND transcript_id = $2 AND fingerprint = $3) AND EXISTS (
			SELECT FROM insights i JOIN citations c ON c.org_id = $1 AND c.insight_id = i.id
			WHERE i.org_id = $1 AND i.transcript_id = $2 AND i.kind = $4 AND i.status <> 'PROPOSED' AND i.retracted_at IS NULL
			GROUP BY i.id HAVING bool_or(c.words_changed)
				AND array_agg(c.first_index ORDER BY c.ordinal) = $5 AND array_agg(c.last_index ORDER BY c.ordinal) = $6)`,
		r.content.Session.Org, r.content.ID, print[:], kind, first, last).Scan(&decided)
	return decided, err
}

// committed is who is going to do it and when, if the finding says so.
func (r *run) committed(f Finding) (who *transcript.SpeakerID, due Commitment) {
	if c := f.Commitment; c != nil && c.Speaker >= 0 && c.Speaker < len(r.content.SpeakerIDs) {
		return &r.content.SpeakerIDs[c.Speaker], *c
	}
	return nil, Commitment{}
}

// themeOf is the theme that a finding is of, if it is of one.
func (r *run) themeOf(ctx context.Context, tx pgx.Tx, f Finding) (*id.UUID, error) {
	if f.Kind != KindTheme || f.Topic == "" {
		return nil, nil
	}
	return r.themes.Of(ctx, tx, r.content.Session, f.Topic)
}

// cite stores what an insight rests on.
func (r *run) cite(ctx context.Context, tx pgx.Tx, key ID, quotes []found) error {
	n := len(quotes)
	ids, first, last := make([]id.UUID, n), make([]int, n), make([]int, n)
	texts, start, end := make([]string, n), make([]*int64, n), make([]*int64, n)
	for i, q := range quotes {
		ids[i], first[i], last[i], texts[i], start[i], end[i] = id.New(), q.first, q.last, q.text, q.startMs, q.endMs
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO citations (id, org_id, insight_id, transcript_id, ordinal, first_index, last_index, quote, start_ms, end_ms)
		SELECT u.id, $1, $2, $3, u.ord, u.first_index, u.last_index, u.quote, u.start_ms, u.end_ms
		FROM unnest($4::uuid[], $5::int[], $6::int[], $7::text[], $8::bigint[], $9::bigint[])
			WITH ORDINALITY AS u(id, first_index, last_index, quote, start_ms, end_ms, ord)`,
		r.content.Session.Org, key, r.content.ID, ids, first, last, texts, start, end)
	if err != nil {
		return fmt.Errorf("store citations: %w", err)
	}
	return nil
}
