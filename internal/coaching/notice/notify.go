package notice

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
)

// The jobs of a notification. The entity of the first is a notification, of the second a delivery.
const (
	JobAnnounce = "notice.announce" // tells who listens
	JobDeliver  = "notice.deliver"  // sends a mail
)

// Event is something that people are to be told of.
type Event struct {
	Org        id.UUID
	Type       Type
	Recipients []id.UUID // people; who is no active member is left out, and so is the actor
	Actor      id.UUID   // who did it, and knows; zero if nobody did

	Subject   string  // the prefix of what it is about, for which app has registered a Kind
	SubjectID id.UUID // what it is about
	SessionID id.UUID // the session and the client it concerns: with them it goes; zero if none
	ClientID  id.UUID

	// Key names the occurrence among those of its type: a person is told of one key once, however often Notify is called.
	Key string
	// Until is when it is no news any more, as a reminder after the session has begun: no mail is sent then, nor when what it is about
	// is moved to begin at another time. Zero is never.
	Until time.Time
}

// What a person prefers is read here, so that whoever turns a type off is not told of what happened before of it. The
// defaults are handed in.
const notifySQL = `
WITH told AS (
	INSERT INTO notifications (id, org_id, user_id, type, subject, subject_id, session_id, client_id, actor_id, dedup_key,
		in_app, email, delivery_id, until, created_at)
	SELECT r.id, $1, m.user_id, $2, $3, $4, $5, $6, $7, $8, coalesce(p.in_app, $9), coalesce(p.email, $10),
		CASE WHEN coalesce(p.email, $10) = 'IMMEDIATE' THEN r.delivery END, $11, now()
	FROM unnest($12::uuid[], $13::uuid[], $14::uuid[]) AS r (id, delivery, user_id)
	JOIN memberships m ON m.org_id = $1 AND m.user_id = r.user_id AND m.status = 'ACTIVE'
	LEFT JOIN notification_preferences p ON p.org_id = $1 AND p.user_id = m.user_id AND p.type = $2
	WHERE coalesce(p.in_app, $9) OR coalesce(p.email, $10) <> 'OFF'
	ORDER BY m.user_id
	ON CONFLICT (org_id, user_id, type, dedup_key) DO NOTHING
	RETURNING id, user_id, in_app, delivery_id
), mailed AS (
	INSERT INTO email_deliveries (id, org_id, user_id, type, created_at)
	SELECT delivery_id, $1, user_id, $2, now() FROM told WHERE delivery_id IS NOT NULL
)
SELECT id, in_app, delivery_id FROM told`

// Notify tells people of an event, as part of the caller's transaction. Repeating it changes nothing, also at the same
// moment: one of two transactions with the same key waits for the other. Call it late in the transaction.
func Notify(ctx context.Context, tx pgx.Tx, e Event) (err error) {
	defer fault.Wrap(&err, "notice.Notify(%s of %s)", e.Type, e.SubjectID)
	preference, known := standard(e.Type)
	if !known || e.Key == "" || e.Subject == "" {
		return fault.Invalid("type", "an event needs a type, a subject and a key")
	}
	people := slices.DeleteFunc(slices.Clone(e.Recipients), func(u id.UUID) bool { return u.IsZero() || u == e.Actor })
	slices.SortFunc(people, func(a, b id.UUID) int { return slices.Compare(a[:], b[:]) })
	people = slices.Compact(people)
	if len(people) == 0 {
		return nil
	}
	ids, deliveries := make([]id.UUID, len(people)), make([]id.UUID, len(people))
	for i := range people {
		ids[i], deliveries[i] = id.New(), id.New()
	}
	var until *time.Time
	if !e.Until.IsZero() {
		until = &e.Until
	}
	rows, err := tx.Query(ctx, notifySQL, e.Org, e.Type, e.Subject, e.SubjectID, orNull(e.SessionID), orNull(e.ClientID), orNull(e.Actor),
		e.Key, preference.InApp, preference.Email, until, ids, deliveries, people)
	if err != nil {
		return err
	}
	var work []jobs.Job
	var told id.UUID
	var inApp bool
	var delivery *id.UUID
	if _, err := pgx.ForEachRow(rows, []any{&told, &inApp, &delivery}, func() error {
		if inApp {
			work = append(work, jobs.Job{Org: e.Org, Kind: JobAnnounce, Entity: told})
		}
		if delivery != nil {
			work = append(work, jobs.Job{Org: e.Org, Kind: JobDeliver, Entity: *delivery})
		}
		return nil
	}); err != nil {
		return err
	}
	return jobs.Enqueue(ctx, tx, work...)
}

// invitationsADay is how many mails invite an address to one organization within a day.
const invitationsADay = 5

// Invite has an invitation mailed, as part of the caller's transaction. It is no notification: who is invited is no member yet, has
// nothing to read it in, and no preferences. A mail for the same invitation that still waits is not sent any more.
//
// An address is not mailed without end, for whoever it is has not asked for it: the fault is then a Conflict.
func Invite(ctx context.Context, tx pgx.Tx, org, invitation id.UUID) (err error) {
	defer fault.Wrap(&err, "notice.Invite(%s)", invitation)
	var mailed int
	if err := tx.QueryRow(ctx, `
		SELECT count(*) FROM email_deliveries d JOIN invitations i ON i.org_id = $1 AND i.id = d.invitation_id
		WHERE d.org_id = $1 AND d.created_at > now() - interval '1 day'
		  AND lower(i.email) = (SELECT lower(this.email) FROM invitations this WHERE this.org_id = $1 AND this.id = $2)`, org, invitation).Scan(&mailed); err != nil {
		return err
	}
	if mailed >= invitationsADay {
		return fault.Conflict("the address was invited %d times within a day: wait until tomorrow", mailed).WithCode("INVITED_TOO_OFTEN")
	}
	if _, err := tx.Exec(ctx, `
		UPDATE email_deliveries SET state = 'SUPPRESSED', reason = $3, finished_at = now() WHERE org_id = $1 AND invitation_id = $2 AND state = 'QUEUED'`,
		org, invitation, reasonLate); err != nil {
		return err
	}
	key := id.New()
	if _, err := tx.Exec(ctx, `INSERT INTO email_deliveries (id, org_id, invitation_id, type, created_at) VALUES ($1, $2, $3, $4, now())`,
		key, org, invitation, Invitation); err != nil {
		return err
	}
	return jobs.Enqueue(ctx, tx, jobs.Job{Org: org, Kind: JobDeliver, Entity: key})
}

func orNull(u id.UUID) *id.UUID {
	if u.IsZero() {
		return nil
	}
	return &u
}
