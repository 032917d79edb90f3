package session

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// successors are the states each state may go to. COMPLETED and NO_SHOW may be corrected into each other; to SCHEDULED a
// session comes back by Reschedule alone.
var successors = map[Status][]Status{
	Scheduled:  {InProgress, Completed, Cancelled, NoShow, Scheduled},
	InProgress: {Completed, NoShow, Scheduled},
	Completed:  {NoShow},
	Cancelled:  {Scheduled},
	NoShow:     {Completed, Scheduled},
}

const (
	// early is how long before its time a session may begin.
	early = time.Hour
	// inGoodTime is how long before its time a session can be called off without its being late.
	inGoodTime = 24 * time.Hour
)

// To checks a change of state.
func (s Status) To(next Status) error {
	if !slices.Contains(successors[s], next) {
		return fault.Conflict("a session that is %s cannot become %s", s, next)
	}
	return nil
}

// change is a session that is being changed, in a transaction that holds the lock of its engagement.
type change struct {
	*Session
	at     time.Time // now
	was    Status
	began  time.Time // when it was to begin
	fields []string  // what changes, as the schema calls it; empty if nothing does
}

// becoming is what other systems are told of a session that comes into a state.
var becoming = map[Status]string{
	Scheduled: "session.rescheduled", InProgress: "session.started", Completed: "session.held", NoShow: "session.missed", Cancelled: "session.cancelled",
}

// happened is what other systems are told of the change; "" if nothing.
func (c *change) happened() string {
	switch {
	case c.Status != c.was:
		return becoming[c.Status]
	case !c.StartsAt.Equal(c.began):
		return becoming[Scheduled]
	}
	return ""
}

// to moves the session on to another state.
func (c *change) to(next Status) error {
	if err := c.Status.To(next); err != nil {
		return err
	}
	if c.ArchivedAt != nil {
		return fault.Conflict("the session is archived: bring it back first")
	}
	c.Status, c.Counts = next, false
	c.CancelledAt, c.CancelledBy, c.CancelledLate, c.CancellationReason = nil, nil, nil, nil
	if !slices.Contains(c.fields, "status") {
		c.fields = append(c.fields, "status")
	}
	return nil
}

// ends tells whether the session was going on and does not any more.
func (c *change) ends() bool {
	return c.was == InProgress && (c.Status != InProgress || c.ArchivedAt != nil)
}

func (c *change) start() error {
	if c.Status == InProgress {
		return nil
	}
	if c.at.Before(c.StartsAt.Add(-early)) {
		return fault.Conflict("the session cannot begin more than an hour before its time: reschedule it first")
	}
	return c.to(InProgress)
}

func (c *change) complete() error {
	if c.Status != InProgress && c.at.Before(c.StartsAt) {
		return fault.Conflict("a session that has not begun cannot have been held")
	}
	return c.to(Completed)
}

func (c *change) noShow(counts bool) error {
	if c.at.Before(c.StartsAt) {
		return fault.Conflict("nobody can have missed a session that has not begun")
	}
	if err := c.to(NoShow); err != nil {
		return err
	}
	c.Counts = counts
	return nil
}

func (c *change) cancel(by CancelledBy, reason *string, counts bool) error {
	late := c.at.After(c.StartsAt.Add(-inGoodTime))
	if err := c.to(Cancelled); err != nil {
		return err
	}
	if counts && !late {
		return fault.Conflict("a session that is called off a day or more before its time does not use one up")
	}
	c.Counts, c.CancelledAt, c.CancelledBy, c.CancelledLate, c.CancellationReason = counts, &c.at, &by, &late, reason
	c.fields = append(c.fields, "cancellation")
	return nil
}

// Start begins a session. To start what goes on is to start it once.
func (s *Service) Start(ctx context.Context, in StartInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.Start(%s)", in.ID)
	return s.change(ctx, in.ID, "session.start", (*change).start)
}

// Complete ends a session that was held.
func (s *Service) Complete(ctx context.Context, in CompleteInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.Complete(%s)", in.ID)
	return s.change(ctx, in.ID, "session.complete", (*change).complete)
}

// NoShow says that the client did not come.
func (s *Service) NoShow(ctx context.Context, in NoShowInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.NoShow(%s)", in.ID)
	return s.change(ctx, in.ID, "session.noShow", func(c *change) error { return c.noShow(in.UsesSession) })
}

// Cancel calls a session off.
func (s *Service) Cancel(ctx context.Context, in CancelInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.Cancel(%s)", in.ID)
	return s.change(ctx, in.ID, "session.cancel", func(c *change) error {
		var problems check.Input
		reason := problems.LineOrNil("reason", in.Reason, 500)
		if in.By == ByEngagement {
			problems.Fail("by", "is for the sessions of an engagement that is cancelled: say COACH or CLIENT")
		}
		if in.UsesSession && in.By != ByClient {
			problems.Fail("usesSession", "is only for what the client calls off")
		}
		if err := problems.Err(); err != nil {
			return err
		}
		return c.cancel(in.By, reason, in.UsesSession)
	})
}

// Reschedule gives a session another time: one that is planned, or one that was called off, missed, or begun by mistake.
func (s *Service) Reschedule(ctx context.Context, in RescheduleInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "session.Reschedule(%s)", in.ID)
	return s.change(ctx, in.ID, "session.reschedule", func(c *change) error {
		var problems check.Input
		problems.Time("startsAt", in.StartsAt)
		if in.StartsAt.Before(c.at) {
			problems.Fail("startsAt", "must not be in the past")
		}
		c.StartsAt, c.fields = in.StartsAt, []string{"startsAt"}
		if in.DurationMinutes != nil {
			c.DurationMinutes = problems.Range("durationMinutes", *in.DurationMinutes, 1, 1440)
			c.fields = append(c.fields, "durationMinutes")
		}
		if err := problems.Err(); err != nil {
			return err
		}
		return c.to(Scheduled)
	})
}

// change locks a session that the viewer may change, has fn change it, writes what has become of it, and does what follows
// from that.
func (s *Service) change(ctx context.Context, key ID, action string, fn func(*change) error) (*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		found, err := s.lock(ctx, tx, v, key)
		if err != nil {
			return err
		}
		if !found.Any(auth.AsCoach | auth.AsAdmin) {
			return fault.Forbidden("only the coach, an owner or an admin can change a session")
		}
		c := &change{Session: found, at: time.Now().UTC(), was: found.Status, began: found.StartsAt}
		away := found.ArchivedAt != nil
		if err := fn(c); err != nil || len(c.fields) == 0 {
			return err
		}
		if c.Status == Scheduled && (c.was != Scheduled || away && c.ArchivedAt == nil) {
			if err := s.lockOpen(ctx, tx, v, c.EngagementID); err != nil {
				return err
			}
		}
		if c.Status == Scheduled && c.was != Scheduled {
			if err := takeBack(ctx, tx, v, c.ID); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `
			UPDATE sessions SET type = $3, title = $4, status = $5, starts_at = $6, duration_minutes = $7, uses_session = $8,
				cancelled_at = $9, cancelled_by = $10, cancelled_late = $11, cancellation_reason = $12, archived_at = $13, updated_at = now()
			WHERE org_id = $1 AND id = $2`,
			v.Org, c.ID, c.Type, c.Title, c.Status, c.StartsAt, c.DurationMinutes, c.Counts,
			c.CancelledAt, c.CancelledBy, c.CancelledLate, c.CancellationReason, c.ArchivedAt); err != nil {
			return err
		}
		if err := carryOver(ctx, tx, v, c.EngagementID); err != nil {
			return err
		}
		if err := s.moved(ctx, tx, v, action, c.fields, c.happened(), c.Session); err != nil || !c.ends() {
			return err
		}
		for _, f := range s.ending {
			if err := f(ctx, tx, v, c.Session); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// moved is told of every session that was made or changed, in the transaction, when it is written. It is the one place to
// let others know: people, and other systems of what has happened, if that is not "".
func (s *Service) moved(ctx context.Context, tx pgx.Tx, v auth.Viewer, action string, fields []string, happened string, changed ...*Session) error {
	entries := make([]audit.Entry, len(changed))
	var out []event.News
	for i, c := range changed {
		entries[i] = entry(action, c.ID, c.ClientID, fields...)
		if happened != "" {
			out = append(out, event.News{Type: happened, Subject: c.ID,
				Data: event.Data{"sessionId": c.ID, "engagementId": c.EngagementID, "clientId": c.ClientID, "coachId": c.CoachID}})
		}
	}
	if err := audit.Record(ctx, tx, v, entries...); err != nil {
		return err
	}
	if err := s.outbox.Add(ctx, tx, v.Org, out...); err != nil {
		return err
	}
	what, news := told(action, fields)
	if !news {
		return nil
	}
	for _, c := range changed {
		if err := tell(ctx, tx, v, what, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// RequireGoing checks, for the system and not for a viewer, that a session goes on, and locks its row until the transaction ends.
func RequireGoing(ctx context.Context, tx pgx.Tx, organization id.UUID, key ID) error {
	var status Status
	var archived bool
	err := tx.QueryRow(ctx, `SELECT status, archived_at IS NOT NULL FROM sessions WHERE org_id = $1 AND id = $2 FOR SHARE`, organization, key).Scan(&status, &archived)
	switch {
	case err == pgx.ErrNoRows:
		return fault.NotFound("session")
	case err != nil:
		return err
	case archived:
		return fault.Conflict("the session is archived: bring it back first")
	case status != InProgress:
		return fault.Conflict("a session that is %s is not going on: import a transcript of it", status)
	}
	return nil
}

// lock locks the engagement of a session, and returns the session as the viewer sees it then. All that changes the sessions
// of an engagement, or what is on their agendas, takes this lock first: topics go from one session to another.
func (s *Service) lock(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ID) (*Session, error) {
	if _, err := tx.Exec(ctx, `
		SELECT FROM engagements WHERE org_id = $1 AND id = (SELECT engagement_id FROM sessions WHERE org_id = $1 AND id = $2)
		FOR NO KEY UPDATE`, v.Org, key); err != nil {
		return nil, err
	}
	return page.Get(ctx, tx, v, sessions, scope(v), key.UUID, "session")
}

// lockOpen locks an engagement and checks that sessions can be planned in it.
func (s *Service) lockOpen(ctx context.Context, tx pgx.Tx, v auth.Viewer, key engagement.ID) error {
	var status engagement.Status
	var archived bool
	if err := tx.QueryRow(ctx, `
		SELECT status, archived_at IS NOT NULL FROM engagements WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE`,
		v.Org, key).Scan(&status, &archived); err != nil {
		return err
	}
	if status.Ended() {
		return fault.Conflict("the engagement is %s: no sessions can be planned", status)
	}
	if archived {
		return fault.Conflict("the engagement is archived: bring it back first")
	}
	return nil
}

// engagementEnds: what is still planned is called off with an engagement that is cancelled; an engagement that is completed
// has nothing planned. The engagement's row is locked.
func (s *Service) engagementEnds(ctx context.Context, tx pgx.Tx, v auth.Viewer, e *engagement.Engagement) error {
	var planned, going int
	if err := tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE status = 'SCHEDULED'), count(*) FILTER (WHERE status = 'IN_PROGRESS') FROM sessions
		WHERE org_id = $1 AND engagement_id = $2 AND archived_at IS NULL`, v.Org, e.ID).Scan(&planned, &going); err != nil {
		return err
	}
	if going > 0 {
		return fault.Conflict("a session of the engagement is going on: complete it first")
	}
	if e.Status == engagement.Completed {
		if planned > 0 {
			return fault.Conflict("sessions of the engagement are still to be held, %d of them: complete or cancel them first", planned)
		}
		return nil
	}
	rows, err := tx.Query(ctx, `
		UPDATE sessions SET status = 'CANCELLED', cancelled_at = now(), cancelled_by = 'ENGAGEMENT',
			cancelled_late = starts_at < now() + $3, updated_at = now()
		WHERE org_id = $1 AND engagement_id = $2 AND status = 'SCHEDULED'
		RETURNING id`, v.Org, e.ID, inGoodTime)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return err
	}
	off, err := page.ByIDs(ctx, tx, v, sessions, scope(v), ids)
	if err != nil {
		return err
	}
	changed := make([]*Session, len(ids))
	for i, key := range ids {
		changed[i] = off[key]
	}
	return s.moved(ctx, tx, v, "session.cancel", []string{"status", "cancellation"}, becoming[Cancelled], changed...)
}
