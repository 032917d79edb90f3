package goal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// ActionsByIDs returns those of the actions that the viewer may see.
func (s *Service) ActionsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*ActionItem, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, actions, actionScope(v), ids)
}

// ActionsOfInsights returns the actions that were accepted from the given insights, by insight.
func (s *Service) ActionsOfInsights(ctx context.Context, insights []id.UUID) (map[id.UUID]*ActionItem, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := page.AllChildren(ctx, s.db, v, actions, actionScope(v), page.Filter{}, actionOrders[OrderActionsByCreatedAt], "ai.source_insight_id", insights, page.MaxSize)
	if err != nil {
		return nil, err
	}
	found := make(map[id.UUID]*ActionItem, len(rows))
	for i, row := range rows {
		for _, a := range row {
			found[insights[i]] = a
		}
	}
	return found, nil
}

// Action returns one action, or NotFound.
func (s *Service) Action(ctx context.Context, key ActionID) (*ActionItem, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, actions, actionScope(v), key.UUID, "action")
}

// Actions pages through the actions that the viewer may see, but for those of archived clients.
func (s *Service) Actions(ctx context.Context, f *ActionFilter, o *ActionOrderBy, args page.Args) (*page.Connection[ActionItem], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	where := f.where()
	where.And("c.archived_at IS NULL")
	return page.List(ctx, s.db, v, actions, actionScope(v), where, o.order(), w)
}

// OwnActions pages through what the viewer is to do.
func (s *Service) OwnActions(ctx context.Context, f *ActionFilter, o *ActionOrderBy, args page.Args) (*page.Connection[ActionItem], error) {
	own := ActionFilter{}
	if f != nil {
		own = *f
	}
	if own.AssignedToMe != nil && !*own.AssignedToMe {
		return nil, fault.Invalid("filter.assignedToMe", "is what this list is about")
	}
	mine := true
	own.AssignedToMe = &mine
	return s.Actions(ctx, &own, o, args)
}

// ActionParent is what actions are children of.
type ActionParent string

// The parents of actions, by their column.
const (
	ActionsOfClient  ActionParent = "ai.client_id"
	ActionsOfSession ActionParent = "ai.session_id"
	ActionsOfGoal    ActionParent = "ai.goal_id"
)

// ActionsOf returns a page of each parent's actions, in the order of the parents.
func (s *Service) ActionsOf(ctx context.Context, of ActionParent, parents []id.UUID, f *ActionFilter, o *ActionOrderBy, w page.Window) ([]*page.Connection[ActionItem], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, actions, actionScope(v), f.where(), o.order(), w, string(of), parents)
}

// CountActionsOf counts what ActionsOf pages through.
func (s *Service) CountActionsOf(ctx context.Context, of ActionParent, parents []id.UUID, f *ActionFilter) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, actions, actionScope(v), f.where(), string(of), parents)
}

// Assignees returns who is to do each action, the client first, in the order of the actions.
func (s *Service) Assignees(ctx context.Context, actions []id.UUID) ([][]*Assignee, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.AllChildren(ctx, s.db, v, assignees, actionScope(v), page.Filter{}, assigneesInOrder, "x.action_id", actions, maxAssignees)
}

// CreateAction adds an action for a client: a coach of theirs, or the client.
func (s *Service) CreateAction(ctx context.Context, in CreateActionInput) (_ *ActionItem, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.CreateAction(%s)", in.ClientID)
	c, err := s.clients.Get(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	if !c.Any(auth.AsCoach | auth.AsClient) {
		return nil, fault.Forbidden("only a coach of the client and the client can add an action")
	}
	var problems check.Input
	a := draft{
		ActionItem: ActionItem{
			ID: ActionID{id.New()}, ClientID: in.ClientID, CoachID: c.CoachID, GoalID: in.GoalID, SessionID: in.SessionID, Status: in.Status, DueOn: in.DueOn,
			Title: problems.Line("title", in.Title, titleLimit), Description: textOrNil(&problems, "description", in.Description),
		},
		outbox:  s.outbox,
		planned: true,
	}
	if c.Any(auth.AsCoach) {
		a.CoachID = org.UserID{UUID: v.User}
	}
	if in.Status != Proposed && in.Status != ToDo && in.Status != InProgress {
		problems.Fail("status", "must be PROPOSED, OPEN or IN_PROGRESS: an action begins before it ends")
	}
	if err := s.place(ctx, &a, &problems); err != nil {
		return nil, err
	}
	for _, to := range in.AssigneeIds {
		a.assignees = append(a.assignees, *to)
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		problems := problems
		return a.insert(ctx, tx, v, &problems)
	})
	if err != nil {
		return nil, err
	}
	return s.Action(ctx, a.ID)
}

// place takes the engagement and the coach from the session or the goal that an action comes from.
func (s *Service) place(ctx context.Context, a *draft, problems *check.Input) error {
	take := func(field, what string, whose client.ID, coach org.UserID, e *engagement.ID, err error) error {
		switch {
		case fault.KindOf(err) == fault.KindNotFound, err == nil && whose != a.ClientID:
			problems.Fail(field, "is no %s of this client", what)
		case err != nil:
			return err
		default:
			a.CoachID, a.EngagementID = coach, e
		}
		return nil
	}
	if a.GoalID != nil {
		g, err := s.Get(ctx, *a.GoalID)
		if g == nil {
			g = &Goal{}
		}
		if err := take("goalId", "goal", g.ClientID, g.CoachID, g.EngagementID, err); err != nil {
			return err
		}
	}
	if a.SessionID != nil {
		m, err := s.sessions.Get(ctx, *a.SessionID)
		if err == nil {
			return take("sessionId", "session", m.ClientID, m.CoachID, &m.EngagementID, nil)
		}
		return take("sessionId", "session", a.ClientID, a.CoachID, nil, err)
	}
	return nil
}

// Commit makes an action of what was agreed on in a session, inside the transaction that accepts the insight. An insight gives
// one action: if there is one, that is it, as it is. Its id is returned. The insight is locked, and the viewer the session's
// coach.
func (s *Service) Commit(ctx context.Context, tx pgx.Tx, v auth.Viewer, c Commitment) (key ActionID, err error) {
	rows, err := tx.Query(ctx, `SELECT id FROM action_items WHERE org_id = $1 AND source_insight_id = $2`, v.Org, c.InsightID)
	if err != nil {
		return key, err
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[ActionID])
	if err != nil {
		return key, err
	}
	if len(known) > 0 {
		return known[0], nil
	}
	who, err := c.Assignees()
	if err != nil {
		return key, err
	}
	var problems check.Input
	a := draft{
		ActionItem: ActionItem{
			ID: ActionID{id.New()}, ClientID: c.Session.ClientID, CoachID: c.Session.CoachID, EngagementID: &c.Session.EngagementID, SessionID: &c.Session.ID,
			GoalID: c.GoalID, SourceInsightID: &c.InsightID, Title: problems.Line("title", c.Title, titleLimit), Status: ToDo, DueOn: c.DueOn,
		},
		outbox:    s.outbox,
		assignees: who,
		planned:   c.Chosen,
	}
	if c.GoalID != nil {
		g, err := page.ByIDs(ctx, tx, v, goals, scope(v), []id.UUID{c.GoalID.UUID})
		if err != nil {
			return key, err
		}
		if found := g[c.GoalID.UUID]; found == nil || found.ClientID != a.ClientID {
			problems.Fail("goalId", "is no goal of this client")
		}
	}
	return a.ID, a.insert(ctx, tx, v, &problems)
}

// UpdateAction changes an action if it is at the version that the viewer has seen. If it is not, the fault is a Conflict, and
// the action is returned as it is now.
//
// Its coach changes everything, and so does who has added it; the client, and whoever is to do it, say how far it has come.
func (s *Service) UpdateAction(ctx context.Context, in UpdateActionInput) (_ *ActionItem, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.UpdateAction(%s)", in.ID)
	var problems check.Input
	title := check.NotNull(&problems, "title", in.Title)
	if title != nil {
		*title = problems.Line("title", *title, titleLimit)
	}
	var description *string
	if in.Description != nil {
		description = textOrNil(&problems, "description", *in.Description)
	}
	status := check.NotNull(&problems, "status", in.Status)
	var met *ActionItem
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		met = nil
		problems := problems
		a, to, err := lockAction(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		if (in.Title != nil || in.Description != nil || in.DueOn != nil) && !a.mayPlan(v) {
			return fault.Forbidden("only the coach, and who has added the action, can change what it is about and when it is due")
		}
		d := draft{ActionItem: *a, outbox: s.outbox, assignees: to}
		if in.DueOn != nil {
			d.planned = *in.DueOn != nil && (a.DueOn == nil || !a.DueOn.Equal(**in.DueOn))
			d.DueOn = *in.DueOn
		}
		if err := d.check(ctx, tx, v, &problems); err != nil {
			return err
		}
		if a.Version != in.ExpectedVersion {
			met = a
			return changed(in.ExpectedVersion, a.Version)
		}
		next := a.Status
		if status != nil {
			if err := a.Status.To(*status); err != nil {
				return err
			}
			next = *status
		}
		if _, err := tx.Exec(ctx, `
			UPDATE action_items SET
				title = coalesce($3, title),
				description = CASE WHEN $4 THEN $5 ELSE description END,
				status_changed_at = CASE WHEN status = $6 THEN status_changed_at ELSE now() END,
				started_at = CASE WHEN $6 = 'IN_PROGRESS' THEN coalesce(started_at, now()) ELSE started_at END,
				completed_at = CASE WHEN $6 = 'DONE' THEN coalesce(completed_at, now()) END,
				status = $6, version = version + 1, updated_at = now()
			WHERE org_id = $1 AND id = $2`,
			v.Org, in.ID, title, in.Description != nil, description, next); err != nil {
			return err
		}
		if in.DueOn != nil {
			if err := d.assign(ctx, tx, v); err != nil {
				return err
			}
		}
		if err := audit.Record(ctx, tx, v, a.entry("action.update", audit.Given(in)...)); err != nil {
			return err
		}
		if d.Status = next; a.Status == Proposed {
			if err := d.tell(ctx, tx, v, d.who); err != nil {
				return err
			}
		}
		if what := happened(a.Status, next); what != "" {
			return s.outbox.Add(ctx, tx, v.Org, a.news(what))
		}
		return nil
	})
	if err != nil {
		return met, err
	}
	return s.Action(ctx, in.ID)
}

// Assign says who is to do an action, in place of whoever was to do it; as UpdateAction.
func (s *Service) Assign(ctx context.Context, in AssignInput) (_ *ActionItem, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "goal.Assign(%s)", in.ActionItemID)
	var met *ActionItem
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		met = nil
		a, _, err := lockAction(ctx, tx, v, in.ActionItemID)
		if err != nil {
			return err
		}
		if !a.mayPlan(v) {
			return fault.Forbidden("only the coach, and who has added the action, can say who is to do it")
		}
		d := draft{ActionItem: *a, outbox: s.outbox}
		for _, to := range in.AssigneeIds {
			d.assignees = append(d.assignees, *to)
		}
		var problems check.Input
		if err := d.check(ctx, tx, v, &problems); err != nil {
			return err
		}
		if a.Version != in.ExpectedVersion {
			met = a
			return changed(in.ExpectedVersion, a.Version)
		}
		if _, err := tx.Exec(ctx, `UPDATE action_items SET version = version + 1, updated_at = now() WHERE org_id = $1 AND id = $2`, v.Org, a.ID); err != nil {
			return err
		}
		if err := d.assign(ctx, tx, v); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, a.entry("action.assign", "assignees"))
	})
	if err != nil {
		return met, err
	}
	return s.Action(ctx, in.ActionItemID)
}

// happened is what other systems are told of an action that goes from state to state; "" if nothing.
func happened(was, is ActionStatus) string {
	switch {
	case is == was:
	case is == Done:
		return "action.completed"
	case is == WontDo:
		return "action.abandoned"
	case was == Done || was == WontDo:
		return "action.reopened"
	}
	return ""
}

func (a *ActionItem) news(what string) event.News {
	return event.News{Type: what, Subject: a.ID, Data: event.Data{
		"actionItemId": a.ID, "clientId": a.ClientID, "coachId": a.CoachID, "engagementId": a.EngagementID, "sessionId": a.SessionID, "goalId": a.GoalID,
	}}
}

// entry is what was done with an action.
func (a *ActionItem) entry(action string, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "action", ID: a.ID.UUID, ClientID: a.ClientID.UUID, Fields: fields}
}

// mayPlan says whether the viewer may change what an action is about, when it is due and whose it is.
func (a *ActionItem) mayPlan(v auth.Viewer) bool {
	return a.Any(auth.AsCoach) || a.Any(auth.AsClient) && a.CreatedByID.UUID == v.User
}

// lockAction locks an action that the viewer may change, and returns it as it is then, and who is to do it.
func lockAction(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ActionID) (*ActionItem, []id.Any, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM action_items WHERE org_id = $1 AND id = $2 FOR UPDATE`, v.Org, key); err != nil {
		return nil, nil, err
	}
	a, err := page.Get(ctx, tx, v, actions, actionScope(v), key.UUID, "action")
	if err != nil {
		return nil, nil, err
	}
	if !a.Any(auth.AsCoach | auth.AsClient | auth.AsSelf) {
		return nil, nil, fault.Forbidden("only those who work on the action can change it")
	}
	all, err := page.AllChildren(ctx, tx, v, assignees, actionScope(v), page.Filter{}, assigneesInOrder, "x.action_id", []id.UUID{key.UUID}, maxAssignees)
	if err != nil {
		return nil, nil, err
	}
	var to []id.Any
	for _, x := range all[0] {
		if x.ClientID != nil {
			to = append(to, id.Any{Prefix: "client", UUID: x.ClientID.UUID})
		} else {
			to = append(to, id.Any{Prefix: "user", UUID: x.UserID.UUID})
		}
	}
	return a, to, nil
}

// maxAssignees is how many people are to do one thing at most.
const maxAssignees = 20
