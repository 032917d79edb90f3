package goal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// repeats is the condition that a text x is what was said, q.words: the same, or one is in the other. A few words are anybody's.
func repeats(x string) string {
	return `(lower(btrim(` + x + `)) = lower(btrim(q.words))
		OR length(q.words) >= 15 AND position(lower(q.words) IN lower(` + x + `)) > 0
		OR length(` + x + `) >= 15 AND position(lower(` + x + `) IN lower(q.words)) > 0)`
}

// Unquote has actions that came of insights, which are about to be removed, lose the insights' words, one of words for each of insights; for
// the domain that has them. The action stays, with the day on which it was agreed; what a person has put in the place of the words stays, too.
// The version goes up, so that nobody saves the words again without noticing.
func Unquote(ctx context.Context, tx pgx.Tx, organization id.UUID, insights []id.UUID, words []string) error {
	rows, err := tx.Query(ctx, `
		UPDATE action_items a SET version = a.version + 1, updated_at = now(),
			title = CASE WHEN n.title THEN 'Action agreed on ' || to_char(coalesce(n.at, a.created_at) AT TIME ZONE 'UTC', 'FMDD FMMonth YYYY') ELSE a.title END,
			description = CASE WHEN NOT n.description THEN a.description END
		FROM (
			SELECT x.id, bool_or(`+repeats("x.title")+`) AS title, coalesce(bool_or(`+repeats("x.description")+`), false) AS description, min(s.starts_at) AS at
			FROM unnest($2::uuid[], $3::text[]) AS q (insight, words) JOIN action_items x ON x.org_id = $1 AND x.source_insight_id = q.insight
			LEFT JOIN sessions s ON s.org_id = $1 AND s.id = x.session_id GROUP BY x.id) n
		WHERE a.org_id = $1 AND a.id = n.id AND (n.title OR n.description) RETURNING a.id, a.client_id`, organization, insights, words)
	if err != nil {
		return err
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e audit.Entry, err error) {
		err = row.Scan(&e.ID, &e.ClientID)
		e.Action, e.Kind, e.Fields = "action.unquote", "action", []string{"title", "description"}
		return e, err
	})
	if err != nil {
		return err
	}
	return audit.RecordSystem(ctx, tx, organization, entries...)
}
