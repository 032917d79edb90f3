package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// People are reminded of a session a day before and an hour before. Nobody is reminded of what was scheduled within that time:
// who is told of a session has no need to be reminded of it at once. One sweep sends the nearest reminder alone, so that a
// process that was away does not send both.
//
// The claim holds the start that it reminds of, in a row that the sweep writes in the transaction that notifies: of several
// processes one wins, a session that was moved is claimed anew, and one that was cancelled meanwhile is not there.
const remindSQL = `
WITH due AS (
	SELECT s.org_id, s.id, s.starts_at, l.minutes
	FROM sessions s JOIN (VALUES (1440, 60), (60, 0)) AS l (minutes, until)
		ON s.starts_at > $1::timestamptz + make_interval(mins => l.until) AND s.starts_at <= $1::timestamptz + make_interval(mins => l.minutes)
	WHERE s.status = 'SCHEDULED' AND s.archived_at IS NULL
	  AND s.starts_at > $1 AND s.starts_at <= $1::timestamptz + interval '1 day'
	  AND s.created_at < s.starts_at - make_interval(mins => l.minutes)
	  AND NOT EXISTS (SELECT FROM session_reminders r
		WHERE r.org_id = s.org_id AND r.session_id = s.id AND r.lead_minutes = l.minutes AND r.starts_at = s.starts_at)
	ORDER BY s.starts_at, s.id LIMIT 200
	FOR UPDATE OF s SKIP LOCKED
), claimed AS (
	INSERT INTO session_reminders AS r (org_id, session_id, lead_minutes, starts_at)
	SELECT org_id, id, minutes, starts_at FROM due
	ON CONFLICT (org_id, session_id, lead_minutes) DO UPDATE SET starts_at = excluded.starts_at WHERE r.starts_at <> excluded.starts_at
	RETURNING org_id, session_id, lead_minutes, starts_at
)
SELECT c.org_id, c.session_id, c.lead_minutes, c.starts_at, s.client_id, ` + people + `
FROM claimed c JOIN sessions s ON s.org_id = c.org_id AND s.id = c.session_id
ORDER BY c.starts_at, c.session_id`

// people are the logins of those who are in a session s.
const people = `array_remove(ARRAY[s.coach_id, (SELECT c.user_id FROM clients c WHERE c.org_id = s.org_id AND c.id = s.client_id)]
	|| ARRAY(SELECT p.user_id FROM participants p WHERE p.org_id = s.org_id AND p.session_id = s.id), NULL)`

// Remind reminds people of the sessions that begin soon, for the system and not for a viewer, and returns of how many. Any
// number of processes may do it at once.
func (s *Service) Remind(ctx context.Context, now time.Time) (sessions int, err error) {
	defer fault.Wrap(&err, "session.Remind")
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, remindSQL, now)
		if err != nil {
			return err
		}
		var events []notice.Event
		e := notice.Event{Type: notice.SessionReminder, Subject: "session"}
		var minutes int
		if _, err := pgx.ForEachRow(rows, []any{&e.Org, &e.SessionID, &minutes, &e.Until, &e.ClientID, &e.Recipients}, func() error {
			e.SubjectID = e.SessionID
			e.Key = fmt.Sprintf("%s/%d/%d", ID{e.SessionID}, minutes, e.Until.Unix())
			events = append(events, e)
			e.Recipients = nil
			return nil
		}); err != nil {
			return err
		}
		for _, e := range events {
			if err := notice.Notify(ctx, tx, e); err != nil {
				return err
			}
		}
		sessions = len(events)
		return nil
	})
	return sessions, err
}

// told says what those who are in a session are told of a change.
func told(action string, fields []string) (what notice.Type, news bool) {
	switch action {
	case "session.create":
		return notice.SessionScheduled, true
	case "session.cancel":
		return notice.SessionCancelled, true
	case "session.reschedule", "session.update":
		return notice.SessionRescheduled, slices.Contains(fields, "startsAt")
	}
	return "", false
}

// tell notifies those who are in a session of what the viewer has done with it, if it is yet to come: a session that is
// entered after it was held is no news to who was there.
func tell(ctx context.Context, tx pgx.Tx, v auth.Viewer, what notice.Type, key ID) error {
	e := notice.Event{Org: v.Org, Type: what, Actor: v.User, Subject: "session", SubjectID: key.UUID, SessionID: key.UUID,
		Key: id.New().String()} // it happens once: the same move can be made again later
	var ahead bool
	if err := tx.QueryRow(ctx, `SELECT s.client_id, s.starts_at > now(), `+people+` FROM sessions s WHERE s.org_id = $1 AND s.id = $2`, v.Org, key).
		Scan(&e.ClientID, &ahead, &e.Recipients); err != nil || !ahead {
		return err
	}
	return notice.Notify(ctx, tx, e)
}

// Visible is the SQL condition that the viewer may see the session whose id is in the column.
func Visible(v auth.Viewer, column string) string {
	return "EXISTS (SELECT FROM sessions s WHERE s.id = " + column + " AND " + scope(v).Where() + ")"
}
