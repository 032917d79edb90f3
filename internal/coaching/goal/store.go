package goal

import (
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// from has with each goal its client, and the person whose zone its days are in: the client, or the coach if the client has
// no login.
const from = "goals g JOIN clients c ON c.org_id = $1 AND c.id = g.client_id JOIN users at ON at.id = coalesce(c.user_id, g.coach_id)"

var goals = page.Table[Goal]{
	From: from,
	ID:   "g.id",
	Columns: `g.id, g.client_id, g.coach_id, g.engagement_id, g.title, g.description, g.status, g.target_on, g.shared_with_sponsor, g.version,
		g.closed_at, g.created_at, g.updated_at, at.time_zone,
		(SELECT ck.score FROM goal_check_ins ck WHERE ck.org_id = $1 AND ck.goal_id = g.id AND NOT ` + corrected + ` ORDER BY ck.as_of DESC, ck.id DESC LIMIT 1),
		(SELECT count(*) FROM action_items a WHERE a.org_id = $1 AND a.goal_id = g.id AND a.status IN ('OPEN', 'IN_PROGRESS')),
		ARRAY(SELECT a.completed_at FROM action_items a WHERE a.org_id = $1 AND a.goal_id = g.id AND a.status = 'DONE')`,
	Dest: func(g *Goal) []any {
		return []any{&g.Grants, &g.ID, &g.ClientID, &g.CoachID, &g.EngagementID, &g.Title, &g.Description, &g.Status, &g.TargetDate, &g.SharedWithSponsor, &g.Version,
			&g.ClosedAt, &g.CreatedAt, &g.UpdatedAt, &g.zone, &g.score, &g.open, &g.done}
	},
	Key: func(g *Goal) id.UUID { return g.ID.UUID },
}

// linked are the goals with what they are linked with.
var linked = func() page.Table[Goal] {
	t := goals
	t.From += " JOIN goal_links l ON l.org_id = $1 AND l.goal_id = g.id"
	return t
}()

// never is when what has no date is due, for orders: no key of theirs may be NULL.
const never = "9999-12-31T00:00:00Z"

func orNever(t *time.Time) string {
	if t == nil {
		return never
	}
	return page.Time(*t)
}

var (
	keyID   = page.Key[Goal]{SQL: "g.id", Type: "uuid", Of: func(g *Goal) string { return g.ID.UUID.String() }}
	orderBy = map[OrderField]page.Order[Goal]{
		OrderByCreatedAt: {Name: "goal-created", Keys: []page.Key[Goal]{
			{SQL: "g.created_at", Type: "timestamptz", Of: func(g *Goal) string { return page.Time(g.CreatedAt) }}, keyID,
		}},
		OrderByTargetDate: {Name: "goal-target", Keys: []page.Key[Goal]{
			{SQL: "coalesce(g.target_on::timestamp AT TIME ZONE 'UTC', '" + never + "')", Type: "timestamptz", Of: func(g *Goal) string { return orNever(g.TargetDate) }}, keyID,
		}},
	}
)

func (o *OrderBy) order() page.Order[Goal] {
	if o == nil {
		return orderBy[OrderByCreatedAt].Directed(page.Descending)
	}
	return orderBy[o.Field].Directed(o.Direction)
}

func (f *Filter) where() (w page.Filter) {
	if f == nil {
		return w
	}
	if f.ClientIds != nil {
		w.And("g.client_id = ANY(?)", f.ClientIds)
	}
	if f.EngagementIds != nil {
		w.And("g.engagement_id = ANY(?)", f.EngagementIds)
	}
	if f.CoachIds != nil {
		w.And("g.coach_id = ANY(?)", f.CoachIds)
	}
	if f.Statuses != nil {
		w.And("g.status = ANY(?)", f.Statuses)
	}
	return w
}

// corrected: there is a check-in that corrects ck.
const corrected = "EXISTS (SELECT FROM goal_check_ins later WHERE later.org_id = $1 AND later.corrects_id = ck.id)"

// Uncorrected is the condition that a check-in ck counts, for a statement of another domain.
const Uncorrected = "NOT " + corrected

var checkIns = page.Table[CheckIn]{
	From:    "goal_check_ins ck JOIN goals g ON ck.org_id = $1 AND g.org_id = $1 AND g.id = ck.goal_id",
	ID:      "ck.id",
	Columns: "ck.id, ck.goal_id, ck.score, ck.note, ck.author_id, ck.corrects_id, " + corrected + ", ck.as_of, ck.created_at",
	Dest: func(k *CheckIn) []any {
		return []any{&k.Grants, &k.ID, &k.GoalID, &k.Score, &k.Note, &k.AuthorID, &k.CorrectsID, &k.Corrected, &k.At, &k.CreatedAt}
	},
	Key: func(k *CheckIn) id.UUID { return k.ID.UUID },
}

var latestCheckInFirst = page.Order[CheckIn]{Name: "checkin", Keys: []page.Key[CheckIn]{
	{SQL: "ck.as_of", Type: "timestamptz", Desc: true, Of: func(k *CheckIn) string { return page.Time(k.At) }},
	{SQL: "ck.id", Type: "uuid", Desc: true, Of: func(k *CheckIn) string { return k.ID.UUID.String() }},
}}

// own has with an action, as mine, the viewer's own part in it: a client is assigned as the client. Whose part it is does not
// depend on the action, so that the few that the viewer has are found by an index.
const own = `LEFT JOIN action_assignees mine ON mine.org_id = $1 AND mine.action_id = ai.id
		AND (mine.user_id = $2 OR mine.client_id = ANY(ARRAY(SELECT me.id FROM clients me WHERE me.org_id = $1 AND me.user_id = $2)))`

// due is when an action is due for the viewer.
const due = "coalesce(mine.due_at, ai.due_at)"

// apart is how much later than for the viewer an action may be due for the last of all: a day ends in UTC+14 first and in UTC-12
// last, 26 hours after. Conditions on due go with one on ai.due_at that follows from it, for which there is an index.
const apart = 26 * time.Hour

var actions = page.Table[ActionItem]{
	From: `action_items ai JOIN clients c ON c.org_id = $1 AND c.id = ai.client_id ` + own,
	ID:   "ai.id",
	Columns: "ai.id, ai.client_id, ai.coach_id, ai.engagement_id, ai.session_id, ai.goal_id, ai.source_insight_id, ai.title, ai.description, ai.status, ai.due_on, " +
		due + ", ai.created_by, ai.version, ai.started_at, ai.completed_at, ai.status_changed_at, ai.created_at, ai.updated_at, c.archived_at IS NOT NULL",
	Dest: func(a *ActionItem) []any {
		return []any{&a.Grants, &a.ID, &a.ClientID, &a.CoachID, &a.EngagementID, &a.SessionID, &a.GoalID, &a.SourceInsightID, &a.Title, &a.Description, &a.Status, &a.DueOn,
			&a.DueAt, &a.CreatedByID, &a.Version, &a.StartedAt, &a.CompletedAt, &a.StatusChangedAt, &a.CreatedAt, &a.UpdatedAt, &a.archived}
	},
	Key: func(a *ActionItem) id.UUID { return a.ID.UUID },
}

var (
	actionID     = page.Key[ActionItem]{SQL: "ai.id", Type: "uuid", Of: func(a *ActionItem) string { return a.ID.UUID.String() }}
	actionOrders = map[ActionOrderField]page.Order[ActionItem]{
		OrderActionsByDue: {Name: "action-due", Keys: []page.Key[ActionItem]{
			{SQL: "coalesce(" + due + ", '" + never + "')", Type: "timestamptz", Of: func(a *ActionItem) string { return orNever(a.DueAt) }}, actionID,
		}},
		OrderActionsByCreatedAt: {Name: "action-created", Keys: []page.Key[ActionItem]{
			{SQL: "ai.created_at", Type: "timestamptz", Of: func(a *ActionItem) string { return page.Time(a.CreatedAt) }}, actionID,
		}},
	}
)

func (o *ActionOrderBy) order() page.Order[ActionItem] {
	if o == nil {
		return actionOrders[OrderActionsByDue]
	}
	return actionOrders[o.Field].Directed(o.Direction)
}

func (f *ActionFilter) where() (w page.Filter) {
	if f == nil {
		return w
	}
	if f.ClientIds != nil {
		w.And("ai.client_id = ANY(?)", f.ClientIds)
	}
	if f.EngagementIds != nil {
		w.And("ai.engagement_id = ANY(?)", f.EngagementIds)
	}
	if f.SessionIds != nil {
		w.And("ai.session_id = ANY(?)", f.SessionIds)
	}
	if f.GoalIds != nil {
		w.And("ai.goal_id = ANY(?)", f.GoalIds)
	}
	if f.Statuses != nil {
		w.And("ai.status = ANY(?)", f.Statuses)
	}
	if f.AssignedToMe != nil {
		w.And("(mine.id IS NOT NULL) = ?", *f.AssignedToMe)
	}
	if f.DueBefore != nil {
		w.And(due+" < ?", *f.DueBefore)
		w.And("ai.due_at < ?", f.DueBefore.Add(apart))
	}
	if f.DueAfter != nil {
		w.And(due+" >= ?", *f.DueAfter)
		w.And("ai.due_at >= ?", *f.DueAfter)
	}
	if f.Overdue != nil && *f.Overdue {
		w.And("ai.status IN ('OPEN', 'IN_PROGRESS') AND " + due + " <= now()")
		w.And("ai.due_at <= now() + ?::interval", apart)
	}
	if f.Overdue != nil && !*f.Overdue {
		w.And("NOT (ai.status IN ('OPEN', 'IN_PROGRESS') AND coalesce(" + due + " <= now(), false))")
	}
	return w
}

var assignees = page.Table[Assignee]{
	From:    `action_assignees x JOIN action_items ai ON x.org_id = $1 AND ai.org_id = $1 AND ai.id = x.action_id JOIN clients c ON c.org_id = $1 AND c.id = ai.client_id ` + own,
	ID:      "x.id",
	Columns: "x.user_id, x.client_id, x.due_at, x.created_at",
	Dest:    func(a *Assignee) []any { return []any{&a.Grants, &a.UserID, &a.ClientID, &a.DueAt, &a.AssignedAt} },
}

// assigneesInOrder: the client first.
var assigneesInOrder = page.Order[Assignee]{Name: "assignee", Keys: []page.Key[Assignee]{
	{SQL: "x.client_id IS NULL", Type: "boolean"}, {SQL: "x.id", Type: "uuid"},
}}
