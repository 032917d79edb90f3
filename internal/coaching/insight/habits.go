package insight

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Habits are what a coach does in a usual session: medians over the latest, nil where nothing could be measured.
type Habits struct {
	Sessions           int // that were measured, at most 20
	LongestMonologueMs *float64
	StackedQuestions   *float64 // turns
	UnaskedAdvice      *float64 // phrases
}

// HabitsOf measures a coach's habits in the latest twenty sessions whose measures anybody may see; for the domains above.
func (s *Service) HabitsOf(ctx context.Context, db postgres.DB, organization id.UUID, coach org.UserID) (h Habits, err error) {
	err = db.QueryRow(ctx, `
		SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY (coach ->> 'longestMonologueMs')::float8),
			percentile_cont(0.5) WITHIN GROUP (ORDER BY (coach ->> 'stackedQuestions')::float8),
			percentile_cont(0.5) WITHIN GROUP (ORDER BY (coach -> 'advice' ->> 'withoutPermission')::float8)
		FROM (
			SELECT DISTINCT ON (s.starts_at, s.id) m.measures -> 'coach' AS coach
			FROM session_metrics m JOIN sessions s ON s.org_id = $1 AND s.id = m.session_id
			WHERE m.org_id = $1 AND s.coach_id = $2 AND s.consents @> ARRAY['TRANSCRIPTION', 'AI_ANALYSIS'] AND jsonb_typeof(m.measures -> 'coach') = 'object'
			ORDER BY s.starts_at DESC, s.id, m.id LIMIT 20
		) latest`, organization, coach).Scan(&h.Sessions, &h.LongestMonologueMs, &h.StackedQuestions, &h.UnaskedAdvice)
	return h, err
}
