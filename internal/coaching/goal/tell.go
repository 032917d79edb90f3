package goal

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// tell notifies people that the action is theirs to do, and other systems that it is these people's, if it is agreed on.
func (d *draft) tell(ctx context.Context, tx pgx.Tx, v auth.Viewer, people []person) error {
	if !d.Status.pending() || len(people) == 0 {
		return nil
	}
	assigned, who := d.news("action.assigned"), make([]id.Any, len(people))
	for i, p := range people {
		who[i] = p.id()
	}
	assigned.Data["assigneeIds"] = who
	if err := d.outbox.Add(ctx, tx, v.Org, assigned); err != nil {
		return err
	}
	e := notice.Event{Org: v.Org, Type: notice.ActionAssigned, Actor: v.User, Subject: "action", SubjectID: d.ID.UUID, ClientID: d.ClientID.UUID,
		Key: id.New().String()} // it happens once: who was relieved of it can be given it again
	for _, p := range people {
		e.Recipients = append(e.Recipients, p.account())
	}
	return notice.Notify(ctx, tx, e)
}

// dueBatch is how many assignees one transaction tells.
const dueBatch = 200

// assigned are the people u who are to do an action ai of a client c, by the rows x that assign it. A client without a login is not
// among them.
const assigned = `action_items ai
	JOIN clients c ON c.org_id = ai.org_id AND c.id = ai.client_id AND c.archived_at IS NULL
	JOIN action_assignees x ON x.org_id = ai.org_id AND x.action_id = ai.id
	JOIN users u ON u.id = coalesce(x.user_id, c.user_id)`

// untold are those of them who were not told that the action is due. It is nowhere further from UTC than a day.
const untold = `ai.status IN ('OPEN', 'IN_PROGRESS') AND x.told_due_on IS DISTINCT FROM ai.due_on
	AND ai.due_on BETWEEN ($1::timestamptz AT TIME ZONE 'UTC')::date - 2 AND ($1::timestamptz AT TIME ZONE 'UTC')::date + 1`

// Assignees are told of an action that is due when its day begins where they are: by the mails of that morning. Who was given it on
// that very day was told of it then. A server that was away tells of yesterday's, too, and of nothing before: that is news to nobody.
//
// The claim is the day that was told, in the row that assigns the action, written in the transaction that notifies: of several
// processes one wins, an action that was moved to another day is claimed anew, and one that was done, given up or whose client was
// archived is not found.
const dueSQL = `
WITH due AS (
	SELECT x.org_id, x.id, ai.id AS action_id, ai.due_on, ai.client_id, u.id AS person
	FROM ` + assigned + `
	JOIN unnest($2::text[], $3::date[], $4::timestamptz[]) AS z (zone, day, began) ON z.zone = u.time_zone AND z.day = ai.due_on
	WHERE ` + untold + ` AND x.created_at < z.began
	ORDER BY ai.due_on, ai.id, x.id LIMIT $5
	FOR NO KEY UPDATE OF ai, x SKIP LOCKED
), claimed AS (
	UPDATE action_assignees x SET told_due_on = due.due_on FROM due WHERE x.org_id = due.org_id AND x.id = due.id
	RETURNING due.*
)
SELECT org_id, action_id, due_on, client_id, array_agg(person ORDER BY person), count(*)
FROM claimed GROUP BY org_id, action_id, due_on, client_id ORDER BY due_on, action_id`

// TellDue tells people of their actions that are due, for the system and not for a viewer, and returns of how many. Any number of
// processes may do it at once.
func (s *Service) TellDue(ctx context.Context, now time.Time) (actions int, err error) {
	defer fault.Wrap(&err, "goal.TellDue")
	rows, err := s.db.Query(ctx, `SELECT DISTINCT u.time_zone FROM `+assigned+` WHERE `+untold, now)
	if err != nil {
		return 0, err
	}
	var zones []string
	var days, began []time.Time
	var zone string
	if _, err := pgx.ForEachRow(rows, []any{&zone}, func() error {
		y, m, d := now.In(location(zone)).Date()
		for _, day := range []time.Time{time.Date(y, m, d, 0, 0, 0, 0, time.UTC), time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC)} {
			zones, days, began = append(zones, zone), append(days, day), append(began, endOf(day.AddDate(0, 0, -1), zone))
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for claimed := dueBatch; claimed == dueBatch && len(zones) > 0; {
		if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			claimed = 0
			rows, err := tx.Query(ctx, dueSQL, now, zones, days, began, dueBatch)
			if err != nil {
				return err
			}
			events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e notice.Event, err error) {
				e.Type, e.Subject = notice.ActionDue, "action"
				var day time.Time
				var people int
				err = row.Scan(&e.Org, &e.SubjectID, &day, &e.ClientID, &e.Recipients, &people)
				e.Key = ActionID{e.SubjectID}.String() + "/" + day.Format(time.DateOnly)
				claimed += people
				return e, err
			})
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := notice.Notify(ctx, tx, e); err != nil {
					return err
				}
			}
			actions += len(events)
			return nil
		}); err != nil {
			return actions, err
		}
	}
	return actions, nil
}
