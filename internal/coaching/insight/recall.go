package insight

import (
	"context"
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Recalled is what one wants to be reminded of before meeting a client again.
type Recalled struct {
	Commitments []*Insight // not dismissed, of the latest session in which there is any, as they came up there; at most 10
	ToReview    []*Insight // of the others those that nobody has reviewed, risks first, then the latest, the client's before the coach's; at most 5
	Unreviewed  int        // how many nobody has reviewed, commitments among them
}

const (
	maxCommitments = 10
	maxToReview    = 5
)

type recalled struct {
	Insight
	committed  bool
	unreviewed int
}

var recalledInOrder = page.Order[recalled]{Name: "recalled", Keys: []page.Key[recalled]{{SQL: "NOT pick.committed", Type: "boolean"}, {SQL: "pick.place", Type: "bigint"}}}

// Recall finds what of a client's insights one wants to be reminded of, in one statement.
func (s *Service) Recall(ctx context.Context, key client.ID) (Recalled, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return Recalled{}, err
	}
	visible, listed := Shown(v)
	const commitment = "i.kind = 'COMMITMENT' AND i.status <> 'DISMISSED'"
	// The client's insights are gone through once, as there may be many: whether each is shown is what takes time.
	table := page.Table[recalled]{
		From: fmt.Sprintf(`(
			SELECT id, committed, unreviewed, place FROM (
				SELECT *, row_number() OVER (PARTITION BY committed
					ORDER BY kind <> 'RISK_FLAG', starts_at DESC, session_id, kind IN ('QUESTION_OF_NOTE', 'COACH_SKILL'), ordinal, id) AS place
				FROM (
					SELECT *, commitment AND session_id = latest AS committed, count(*) FILTER (WHERE status = 'PROPOSED') OVER () AS unreviewed
					FROM (
						SELECT i.id, i.session_id, i.kind, i.status, i.ordinal, s.starts_at, %[2]s AS commitment,
							first_value(s.id) OVER (ORDER BY (%[2]s) DESC, s.starts_at DESC, s.id) AS latest
						FROM %[1]s WHERE s.client_id = k.parent AND %[3]s) shown) said
				WHERE committed OR status = 'PROPOSED') placed
			WHERE place <= CASE WHEN committed THEN %[4]d ELSE %[5]d END) pick
			JOIN insights i ON i.org_id = $1 AND i.id = pick.id JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id`,
			insights.From, commitment, listed, maxCommitments, maxToReview),
		ID:      insights.ID,
		Columns: insights.Columns + ", pick.committed, pick.unreviewed",
		Dest:    func(r *recalled) []any { return append(insights.Dest(&r.Insight), &r.committed, &r.unreviewed) },
	}
	found, err := page.AllChildren(ctx, s.db, v, table, visible, page.Filter{}, recalledInOrder, "s.client_id", []id.UUID{key.UUID}, page.MaxSize)
	if err != nil {
		return Recalled{}, err
	}
	r := Recalled{Commitments: []*Insight{}, ToReview: []*Insight{}}
	for _, i := range found[0] { // none, if there is nothing to review
		r.Unreviewed = i.unreviewed
		if i.committed {
			r.Commitments = append(r.Commitments, &i.Insight)
		} else {
			r.ToReview = append(r.ToReview, &i.Insight)
		}
	}
	return r, nil
}
