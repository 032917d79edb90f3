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
	from := " FROM " + insights.From + " WHERE s.client_id = k.parent AND " + listed
	const commitment = "i.kind = 'COMMITMENT' AND i.status <> 'DISMISSED'"
	latest := "i.session_id = (SELECT i.session_id" + from + " AND " + commitment + " ORDER BY s.starts_at DESC, s.id DESC LIMIT 1)"
	pick := func(committed, condition, order string, most int) string {
		return fmt.Sprintf("(SELECT i.id, %s AS committed, row_number() OVER (ORDER BY %s, i.ordinal, i.id) AS place%s AND %s ORDER BY place LIMIT %d)", committed, order, from, condition, most)
	}
	table := page.Table[recalled]{
		From: "(" + pick("true", commitment+" AND "+latest, "i.created_at", maxCommitments) + " UNION ALL " +
			pick("false", "i.status = 'PROPOSED' AND NOT ("+commitment+" AND "+latest+")", "i.kind <> 'RISK_FLAG', s.starts_at DESC, s.id, i.kind IN ('QUESTION_OF_NOTE', 'COACH_SKILL')", maxToReview) + ") pick" +
			" JOIN insights i ON i.org_id = $1 AND i.id = pick.id JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id" +
			" CROSS JOIN (SELECT count(*) AS unreviewed" + from + " AND i.status = 'PROPOSED') n",
		ID:      insights.ID,
		Columns: insights.Columns + ", pick.committed, n.unreviewed",
		Dest:    func(r *recalled) []any { return append(insights.Dest(&r.Insight), &r.committed, &r.unreviewed) },
	}
	found, err := page.AllChildren(ctx, s.db, v, table, visible, page.Filter{}, recalledInOrder, "s.client_id", []id.UUID{key.UUID})
	if err != nil {
		return Recalled{}, err
	}
	r := Recalled{Commitments: []*Insight{}, ToReview: []*Insight{}}
	for _, i := range found[0] { // none, if nobody has anything to review
		r.Unreviewed = i.unreviewed
		if i.committed {
			r.Commitments = append(r.Commitments, &i.Insight)
		} else {
			r.ToReview = append(r.ToReview, &i.Insight)
		}
	}
	return r, nil
}
