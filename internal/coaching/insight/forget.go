package insight

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Derived are the rows that are derived from a transcript's words, each after those that refer to it; but themes before
// the insights, by which they are told.
var Derived = []transcript.Rows{
	{Table: "citations", On: "x.transcript_id = d.id"},
	{Table: "utterance_codes", On: "x.transcript_id = d.id"},
	{Table: "ask_answers", On: "EXISTS (SELECT FROM ask_sources q WHERE q.org_id = $1 AND q.message_id = x.message_id AND q.transcript_id = d.id)"}, // they quote
	{Table: "model_answers", On: "x.transcript_id = d.id"},
	{Table: "digests", On: "x.transcript_id = d.id"},
	{Table: "session_metrics", On: "x.transcript_id = d.id"},
	// A theme goes with the last of its insights: none of it or of what was merged into it is of another transcript.
	{Table: "themes", On: "(x.client_id, x.coach_id) = (SELECT s.client_id, s.coach_id FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id" +
		" WHERE t.org_id = $1 AND t.id = d.id) AND NOT EXISTS (SELECT FROM themes g JOIN insights i ON i.org_id = $1 AND i.theme_id = g.id" +
		" WHERE g.org_id = $1 AND (g.id = x.id OR g.merged_into_id = x.id) AND i.transcript_id <> d.id)"},
	{Table: "insights", On: "x.transcript_id = d.id"},
	{Table: "analysis_runs", On: "x.transcript_id = d.id"},
}

// Forget removes all that was derived from a transcript, reviewed or not, and tells those who saw the insights that there are none any
// more. An analysis at work notices and ends. The transcript is then as if nobody had analysed it; one that is gone is no error, and
// forgetting twice is forgetting once.
func (s *Service) Forget(ctx context.Context, organization id.UUID, key transcript.ID) (err error) {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return s.ForgetIn(ctx, tx, organization, key, map[string]int{}) })
}

// ForgetIn is Forget in the caller's transaction. It adds to counts how many rows of each table went.
func (s *Service) ForgetIn(ctx context.Context, tx pgx.Tx, organization id.UUID, of transcript.ID, counts map[string]int) (err error) {
	defer fault.Wrap(&err, "insight.Forget(%s)", of)
	ref, status, err := s.transcripts.Hold(ctx, tx, organization, of)
	if fault.KindOf(err) == fault.KindNotFound {
		return nil
	} else if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT i.id, i.kind, i.audience <> 'COACH_ONLY' AND i.status IN ('ACCEPTED', 'EDITED'),
			(i.audience <> 'COACH_ONLY' OR i.kind = 'COACH_SKILL') AND 'SUPERVISION' = ANY(s.consents)
		FROM insights i JOIN sessions s ON s.org_id = i.org_id AND s.id = i.session_id
		WHERE i.org_id = $1 AND i.transcript_id = $2 AND i.retracted_at IS NULL ORDER BY i.ordinal, i.id`, organization, of)
	if err != nil {
		return err
	}
	var gone []subject
	var out []event.News
	var insight ID
	var kind Kind
	var client, supervisor bool
	if _, err := pgx.ForEachRow(rows, []any{&insight, &kind, &client, &supervisor}, func() error {
		key, seen := insight, auth.AsCoach
		out = append(out, (&Insight{ID: key, Kind: kind, TranscriptID: of}).news("insight.retracted")...)
		if client {
			seen |= auth.AsClient
		}
		if supervisor {
			seen |= auth.AsSupervisor
		}
		gone = append(gone, subject{Insight: &key, Session: &ref.ID, SeenBy: seen})
		return nil
	}); err != nil {
		return err
	}
	if err := s.unquote(ctx, tx, organization, of); err != nil {
		return err
	}
	if err := s.themes.Hold(ctx, tx, ref); err != nil {
		return err
	}
	removed := map[string]int{}
	if err := transcript.Delete(ctx, tx, organization, of, Derived, removed); err != nil {
		return err
	}
	if err := s.announce(ctx, tx, ref, out...); err != nil {
		return err
	}
	if err := s.transcripts.ForgetRoles(ctx, tx, ref, of); err != nil {
		return err
	}
	if err := jobs.Enqueue(ctx, tx, jobs.Job{Org: organization, Kind: transcript.JobEmbed, Entity: of.UUID}); err != nil {
		return err
	}
	for _, about := range gone {
		if err := s.publish(ctx, tx, ref, eventRemoved, about); err != nil {
			return err
		}
	}
	for table, n := range removed {
		counts[table] += n
	}
	if len(removed) > 0 {
		if err := audit.RecordSystem(ctx, tx, organization, audit.Entry{Action: "analysis.remove", Kind: "transcript", ID: of.UUID, ClientID: ref.ClientID.UUID}); err != nil {
			return err
		}
	}
	if status == transcript.Parsed || status == transcript.Analyzing || status == transcript.NeedsSpeakers {
		_, err = s.transcripts.Advance(ctx, tx, ref, of, transcript.Ready, status)
	}
	return err
}

// unquote has the actions that came from a transcript's insights lose the words that were said; what a person has put in their place stays.
func (s *Service) unquote(ctx context.Context, tx pgx.Tx, organization id.UUID, key transcript.ID) error {
	rows, err := tx.Query(ctx, `
		SELECT i.id, w.words FROM insights i CROSS JOIN LATERAL (
			SELECT unnest(ARRAY[i.title, i.body, i.original_title, i.original_body])
			UNION ALL SELECT c.quote FROM citations c WHERE c.org_id = $1 AND c.insight_id = i.id) AS w (words)
		WHERE i.org_id = $1 AND i.transcript_id = $2 AND i.kind = 'COMMITMENT' AND w.words <> ''`, organization, key)
	if err != nil {
		return err
	}
	var insights []id.UUID
	var words []string
	var of id.UUID
	var said string
	if _, err := pgx.ForEachRow(rows, []any{&of, &said}, func() error {
		insights, words = append(insights, of), append(words, said)
		return nil
	}); err != nil || len(insights) == 0 {
		return err
	}
	return goal.Unquote(ctx, tx, organization, insights, words)
}
