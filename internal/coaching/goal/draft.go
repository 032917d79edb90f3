package goal

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// draft is an action as it is to become.
type draft struct {
	ActionItem
	outbox    *event.Outbox
	assignees []id.Any
	planned   bool // somebody plans the day now, so that it must not be past
	who       []person
	last      *time.Time // when it is due for the last of them
}

// person is somebody who may be to do an action.
type person struct {
	user   *org.UserID
	client *client.ID
	login  *org.UserID // the client's
	zone   string
	due    *time.Time
}

// account is by what they sign in; zero for a client who does not.
func (p person) account() id.UUID {
	switch {
	case p.user != nil:
		return p.user.UUID
	case p.login != nil:
		return p.login.UUID
	}
	return id.UUID{}
}

// id is what others know them by: a member's, or the client's.
func (p person) id() id.Any {
	if p.client != nil {
		return id.Any{Prefix: "client", UUID: p.client.UUID}
	}
	return id.Any{Prefix: "user", UUID: p.user.UUID}
}

// check finds out who the assignees are and when the action is due for each, and returns all that is wrong.
func (d *draft) check(ctx context.Context, tx pgx.Tx, v auth.Viewer, problems *check.Input) error {
	if len(d.assignees) > maxAssignees {
		problems.Fail("assigneeIds", "must be at most %d, got %d", maxAssignees, len(d.assignees))
	}
	possible, err := d.possible(ctx, tx, v)
	if err != nil {
		return err
	}
	d.who = nil
	taken := map[int]bool{}
	for i, to := range d.assignees {
		found := false
		for j, p := range possible {
			if p.is(to) {
				found = true
				if !taken[j] {
					taken[j] = true
					d.who = append(d.who, p)
				}
				break
			}
		}
		if !found {
			problems.Fail(fmt.Sprintf("assigneeIds.%d", i), "must be the client, a coach of the client, or a member who has taken part in a session with the client")
		}
	}
	d.last = nil
	if d.DueOn != nil {
		for i := range d.who {
			d.who[i].due = d.dueIn(d.who[i].zone)
		}
		if len(d.who) == 0 {
			d.dueIn(possible[0].zone) // the client's
		}
		problems.Time("dueOn", *d.DueOn)
		if d.planned && !time.Now().Before(*d.last) {
			problems.Fail("dueOn", "must not be past: that day is over where the action is to be done")
		}
	}
	return problems.Err()
}

func (d *draft) dueIn(zone string) *time.Time {
	end := endOf(*d.DueOn, zone)
	if d.last == nil || end.After(*d.last) {
		d.last = &end
	}
	return &end
}

// is says whether an id is the person's. A client with a login is the client by either.
func (p person) is(to id.Any) bool {
	switch to.Prefix {
	case "client":
		return p.client != nil && p.client.UUID == to.UUID
	case "user":
		return p.user != nil && p.user.UUID == to.UUID || p.login != nil && p.login.UUID == to.UUID
	}
	return false
}

// possible are the client, and those of the assignees who have to do with the client: coaches, and members who took part in a
// session. Whoever is assigned already stays possible.
func (d *draft) possible(ctx context.Context, tx pgx.Tx, v auth.Viewer) ([]person, error) {
	users := make([]id.UUID, 0, len(d.assignees))
	for _, to := range d.assignees {
		users = append(users, to.UUID)
	}
	rows, err := tx.Query(ctx, `
		SELECT NULL::uuid, c.id, c.user_id, at.time_zone
		FROM clients c JOIN users at ON at.id = coalesce(c.user_id, $3) WHERE c.org_id = $1 AND c.id = $2
		UNION ALL
		SELECT m.user_id, NULL, NULL, u.time_zone FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.org_id = $1 AND m.user_id = ANY($4) AND (
			EXISTS (SELECT FROM action_assignees x WHERE x.org_id = $1 AND x.action_id = $5 AND x.user_id = m.user_id)
			OR m.status = 'ACTIVE' AND (m.user_id = $3
				OR EXISTS (SELECT FROM clients c WHERE c.org_id = $1 AND c.id = $2 AND c.coach_id = m.user_id)
				OR EXISTS (SELECT FROM engagements e WHERE e.org_id = $1 AND e.client_id = $2 AND e.coach_id = m.user_id)
				OR EXISTS (SELECT FROM participants p JOIN sessions s ON s.org_id = $1 AND s.id = p.session_id
					WHERE p.org_id = $1 AND p.user_id = m.user_id AND s.client_id = $2)))
		ORDER BY 1 NULLS FIRST`, v.Org, d.ClientID, d.CoachID, users, d.ID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p person, err error) {
		return p, row.Scan(&p.user, &p.client, &p.login, &p.zone)
	})
}

// insert checks a new action and writes it.
func (d *draft) insert(ctx context.Context, tx pgx.Tx, v auth.Viewer, problems *check.Input) error {
	if err := d.check(ctx, tx, v, problems); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO action_items (id, org_id, client_id, coach_id, engagement_id, session_id, goal_id, source_insight_id, title, description, status,
			started_at, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $11 = 'IN_PROGRESS' THEN now() END, $12)`,
		d.ID, v.Org, d.ClientID, d.CoachID, d.EngagementID, d.SessionID, d.GoalID, d.SourceInsightID, d.Title, d.Description, d.Status, v.User); err != nil {
		return err
	}
	if err := d.outbox.Add(ctx, tx, v.Org, d.news("action.created")); err != nil {
		return err
	}
	if err := d.assign(ctx, tx, v); err != nil {
		return err
	}
	return audit.Record(ctx, tx, v, d.entry("action.create"))
}

// assign writes who is to do an action and when it is due for each, and tells those who were not to do it before. It is the one place
// where an action is assigned or its day set.
func (d *draft) assign(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	if _, err := tx.Exec(ctx, `UPDATE action_items SET due_on = $3, due_at = $4 WHERE org_id = $1 AND id = $2`, v.Org, d.ID, d.DueOn, d.last); err != nil {
		return err
	}
	users, clients := []id.UUID{}, []id.UUID{}
	var fresh []person
	b := &pgx.Batch{}
	for _, p := range d.who {
		key, column := id.UUID{}, "user_id"
		if p.client != nil {
			key, column = p.client.UUID, "client_id"
			clients = append(clients, key)
		} else {
			key = p.user.UUID
			users = append(users, key)
		}
		row := id.New()
		b.Queue(`INSERT INTO action_assignees AS x (id, org_id, action_id, `+column+`, due_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org_id, action_id, `+column+`) DO UPDATE SET due_at = excluded.due_at RETURNING x.id = $1`, row, v.Org, d.ID, key, p.due).
			QueryRow(func(r pgx.Row) error {
				var isNew bool
				err := r.Scan(&isNew)
				if isNew {
					fresh = append(fresh, p)
				}
				return err
			})
	}
	b.Queue(`DELETE FROM action_assignees WHERE org_id = $1 AND action_id = $2 AND NOT coalesce(user_id = ANY($3), false) AND NOT coalesce(client_id = ANY($4), false)`,
		v.Org, d.ID, users, clients)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return d.tell(ctx, tx, v, fresh)
}
