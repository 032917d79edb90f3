package insight

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
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
		c.Assignees = func() (to []id.Any, err error) {
			if in.AssigneeIds == nil {
				return s.committed(ctx, tx, v, i, meeting)
			}
			for _, key := range in.AssigneeIds {
				to = append(to, *key)
			}
			return to, nil
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

// committed is who has committed to it, if that was said and the action can be theirs: the one in the session who has the speaker's role,
// if there is one and one speaker has it; else the one who is called what the speaker is called. Where neither tells, nobody is taken for
// somebody else: the caller has to say.
func (s *Service) committed(ctx context.Context, tx pgx.Tx, v auth.Viewer, i *Insight, of *session.Session) ([]id.Any, error) {
	if i.CommittedID == nil {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		WITH said AS (
			SELECT sp.transcript_id, sp.role, sp.display_name,
				(SELECT count(*) FROM speakers x WHERE x.org_id = $1 AND x.transcript_id = sp.transcript_id AND x.role = sp.role AND x.merged_into IS NULL) AS voices
			FROM speakers o JOIN speakers sp ON sp.org_id = $1 AND sp.id = coalesce(o.merged_into, o.id) WHERE o.org_id = $1 AND o.id = $2
		)
		SELECT said.role, p.client_id, coalesce(c.user_id, p.user_id), p.role = said.role,
			said.voices = 1 AND p.role = said.role AND count(*) FILTER (WHERE p.role = said.role) OVER () = 1,
			`+transcript.Normalised("said.display_name")+` IN (`+transcript.Normalised("p.name")+`, `+transcript.Normalised("c.name")+`)
		FROM said JOIN participants p ON p.org_id = $1 AND p.session_id = $3 LEFT JOIN clients c ON c.org_id = $1 AND c.id = p.client_id
		ORDER BY p.created_at, p.id`, v.Org, i.CommittedID, of.ID)
	if err != nil {
		return nil, err
	}
	type person struct {
		role            conversation.Role
		client, user    *id.UUID
		may, only, name bool
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p person, err error) {
		var named *bool
		err = row.Scan(&p.role, &p.client, &p.user, &p.may, &p.only, &named)
		p.name = named != nil && *named
		return p, err
	})
	if err != nil || len(all) == 0 || all[0].role != conversation.RoleClient && all[0].role != conversation.RoleCoach {
		return nil, err
	}
	at := slices.IndexFunc(all, func(p person) bool { return p.only })
	if at < 0 {
		at = slices.IndexFunc(all, func(p person) bool { return p.name })
		if at >= 0 && (!all[at].may || slices.ContainsFunc(all[at+1:], func(p person) bool { return p.name })) {
			at = -1
		}
	}
	switch {
	case at < 0:
		return nil, fault.Invalid("assigneeIds", "must be given: who of those in the session said this is not certain. An empty list leaves open who is to do it")
	case all[at].client != nil && *all[at].client == of.ClientID.UUID:
		return []id.Any{{Prefix: "client", UUID: of.ClientID.UUID}}, nil
	case all[at].user != nil:
		return []id.Any{{Prefix: "user", UUID: *all[at].user}}, nil
	}
	return nil, fault.Invalid("assigneeIds", "must be given: who said this has no login, and is not the session's client. An empty list leaves open who is to do it")
}
