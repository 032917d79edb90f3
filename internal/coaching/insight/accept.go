package insight

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// AcceptInput makes an action of a commitment. What is nil is as it was said.
type AcceptInput struct {
	InsightID   ID
	Title       *string
	DueOn       *time.Time
	AssigneeIds []*id.Any
	GoalID      *goal.ID
}

// AcceptAsAction accepts a COMMITMENT and makes an action of it, both or neither. An insight gives one action: done twice, the
// second time returns what the first made, as it is now, and changes nothing.
//
// Who is to do it and when is taken from the insight only if it was said: a day that was said and is past stays, and the
// action is overdue. A day that a person sets must not be past.
func (s *Service) AcceptAsAction(ctx context.Context, in AcceptInput) (_ *goal.ActionItem, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "insight.AcceptAsAction(%s)", in.InsightID)
	before, err := s.Get(ctx, in.InsightID)
	if err != nil {
		return nil, err
	}
	if !before.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only the coach can accept an insight")
	}
	meeting, err := s.sessions.Get(ctx, before.SessionID)
	if err != nil {
		return nil, err
	}
	var problems check.Input
	if before.Kind != KindCommitment {
		problems.Fail("insightId", "is a %s: only of a COMMITMENT comes an action", before.Kind)
	}
	if in.Title != nil {
		problems.Line("title", *in.Title, 200)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var key goal.ActionID
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM insights WHERE org_id = $1 AND id = $2 FOR UPDATE`, v.Org, in.InsightID); err != nil {
			return err
		}
		i, err := page.Get(ctx, tx, v, insights, scope(v, "i.org_id"), in.InsightID.UUID, "insight")
		if err != nil {
			return err
		}
		if i.RetractedAt != nil {
			return fault.Conflict("a later analysis no longer finds this insight").WithCode("RETRACTED")
		}
		c := goal.Commitment{InsightID: i.ID.UUID, Session: meeting, Title: i.Title, DueOn: i.DueOn, GoalID: in.GoalID}
		if in.Title != nil {
			c.Title = *in.Title
		}
		if in.DueOn != nil {
			c.DueOn, c.Chosen = in.DueOn, true
		}
		if in.AssigneeIds != nil {
			for _, to := range in.AssigneeIds {
				c.Assignees = append(c.Assignees, *to)
			}
		} else if c.Assignees, err = s.committed(ctx, tx, v, i, c); err != nil {
			return err
		}
		if key, err = s.goals.Commit(ctx, tx, v, c); err != nil {
			return err
		}
		if i.Status == Accepted || i.Status == Edited {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE insights SET status = 'ACCEPTED', reviewed_by = $3, reviewed_at = now() WHERE org_id = $1 AND id = $2`,
			v.Org, in.InsightID, v.User); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, audit.Entry{
			Action: "insight.review", Kind: "insight", ID: in.InsightID.UUID, ClientID: meeting.ClientID.UUID, Fields: []string{"status"},
		}); err != nil {
			return err
		}
		i.Status = Accepted
		if err := s.announce(ctx, tx, meeting.Ref(v.Org), i.reviewed()...); err != nil {
			return err
		}
		return s.publish(ctx, tx, meeting.Ref(v.Org), eventRevised, subject{Insight: &in.InsightID})
	})
	if err != nil {
		return nil, err
	}
	return s.goals.Action(ctx, key)
}

// committed is whom the one who has committed to it is, if that is known: the client or the coach.
func (s *Service) committed(ctx context.Context, tx pgx.Tx, v auth.Viewer, i *Insight, c goal.Commitment) ([]id.Any, error) {
	if i.CommittedID == nil {
		return nil, nil
	}
	var role conversation.Role
	if err := tx.QueryRow(ctx, `SELECT role FROM speakers WHERE org_id = $1 AND id = $2`, v.Org, i.CommittedID).Scan(&role); err != nil {
		return nil, err
	}
	switch role {
	case conversation.RoleClient:
		return []id.Any{{Prefix: "client", UUID: c.Session.ClientID.UUID}}, nil
	case conversation.RoleCoach:
		return []id.Any{{Prefix: "user", UUID: c.Session.CoachID.UUID}}, nil
	}
	return nil, nil
}
