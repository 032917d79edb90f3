package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Times are the database's, so that the clocks of the machines that share it need not agree. clock_timestamp() and not
// now(): a lease counts from when it is given, not from when the transaction began.

// store changes jobs. Every statement that changes a state also writes due_at, when the row next wants a worker, and
// ends the queue's hold on the row (receipt).
type store struct {
	db       *pgxpool.Pool
	lease    time.Duration
	perOrg   int
	yielding []string // not nil
	tell     func(ctx context.Context, tx pgx.Tx, dead Job) error
}

// jobColumns of jobs j go where dest says.
const jobColumns = `j.id, j.org_id, j.kind, j.entity_id, j.run_at, j.max_attempts, coalesce(j.trace_context, ''), j.attempt, j.created_at`

func (j *Job) dest() []any {
	return []any{&j.ID, &j.Org, &j.Kind, &j.Entity, &j.RunAt, &j.MaxAttempts, &j.TraceContext, &j.Attempt, &j.CreatedAt}
}

// claim is what became of the attempt to claim a job.
type claim struct {
	job   Job
	lease id.UUID

	claimed bool
	lapsed  bool          // the lease of its last attempt has run out: it is to be buried
	again   time.Duration // not claimed: if positive it may be claimable after this long, otherwise there is nothing to do
}

// Serializes the count of an organization's running jobs with the claims that change it.
const lockOrgSQL = `SELECT pg_advisory_xact_lock(hashtextextended('jobs:' || org_id, 0)) FROM jobs WHERE id = $1`

// A locked row is not waited for: either somebody else claims it, or an enqueue covers itself by it and has yet to commit.
// Nor is a row locked that cannot be claimed: whom the end of a run wakes must not seem taken (wakeTwinSQL).
const claimSQL = `
WITH clock AS MATERIALIZED (
	SELECT clock_timestamp() AS now
), row AS MATERIALIZED (
	SELECT j.id FROM jobs j, clock
	WHERE j.id = $1
		AND (j.state = 'PENDING' AND j.run_at <= clock.now OR j.state = 'RUNNING' AND j.lease_until <= clock.now AND j.attempt < j.max_attempts)
		AND NOT EXISTS (
			SELECT FROM jobs s
			WHERE s.org_id = j.org_id AND s.kind = j.kind AND s.entity_id = j.entity_id AND s.state = 'RUNNING' AND s.id <> j.id)
		AND ($4 = 0 OR j.kind = ANY ($5) OR $4 > (
			SELECT count(*) FROM jobs r
			WHERE r.org_id = j.org_id AND r.state = 'RUNNING' AND r.lease_until > clock.now AND r.id <> j.id AND r.kind <> ALL ($5)))
	FOR UPDATE OF j SKIP LOCKED
)
UPDATE jobs AS j SET state = 'RUNNING', attempt = j.attempt + 1, lease = $2,
	lease_until = clock.now + $3::interval, due_at = clock.now + $3::interval, receipt = NULL, started_at = clock.now
FROM clock, row
WHERE j.id = row.id
RETURNING ` + jobColumns

const whyNotSQL = `
SELECT (j.state = 'PENDING' AND j.run_at <= clock_timestamp() OR j.state = 'RUNNING' AND j.lease_until <= clock_timestamp()),
	j.state = 'RUNNING' AND j.lease_until <= clock_timestamp() AND j.attempt >= j.max_attempts,
	(SELECT extract(epoch FROM s.lease_until - clock_timestamp())::float8 FROM jobs s
	WHERE s.org_id = j.org_id AND s.kind = j.kind AND s.entity_id = j.entity_id AND s.state = 'RUNNING' AND s.id <> j.id)
FROM jobs j WHERE j.id = $1`

func (s *store) claim(ctx context.Context, jobID id.UUID) (c claim, err error) {
	defer fault.Wrap(&err, "jobs.claim(%s)", jobID)
	c.lease = id.New()
	batch := &pgx.Batch{} // one round trip, one transaction
	if s.perOrg > 0 {
		batch.Queue(lockOrgSQL, jobID)
	}
	batch.Queue(claimSQL, jobID, c.lease, s.lease, s.perOrg, s.yielding).QueryRow(func(row pgx.Row) error {
		err := row.Scan(c.job.dest()...)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		c.claimed = err == nil
		return err
	})
	batch.Queue(whyNotSQL, jobID).QueryRow(func(row pgx.Row) error {
		var ready, lapsed bool
		var sibling *float64 // seconds until the lease of a running job about the same entity ends
		err := row.Scan(&ready, &lapsed, &sibling)
		switch {
		case c.claimed || errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		case lapsed:
			c.lapsed = true
		case ready && sibling != nil:
			c.again = max(time.Duration(*sibling*float64(time.Second)), retryClaim)
		case ready:
			c.again = retryClaim // locked, or the organization has enough running
		}
		return nil
	})
	err = s.db.SendBatch(ctx, batch).Close()
	return c, err
}

// retryClaim is short because the reasons that call for it pass soon or announce their end by a notification.
const retryClaim = 250 * time.Millisecond

// renew prolongs the lease; false means that it is lost.
func (s *store) renew(ctx context.Context, jobID, lease id.UUID) (held bool, err error) {
	defer fault.Wrap(&err, "jobs.renew(%s)", jobID)
	tag, err := s.db.Exec(ctx, `
		WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
		UPDATE jobs SET lease_until = clock.now + $3::interval, due_at = clock.now + $3::interval, receipt = NULL
		FROM clock WHERE id = $1 AND lease = $2`, jobID, lease, s.lease)
	return tag.RowsAffected() > 0, err
}

const doneSQL = `
UPDATE jobs SET state = 'DONE', lease = NULL, lease_until = NULL, due_at = NULL, receipt = NULL, finished_at = clock_timestamp()
WHERE id = $1 AND lease = $2`

// Who runs the job buries it by its lease; without one anybody may, once the lease of its last attempt has run out.
const burySQL = `
UPDATE jobs AS j SET state = 'DEAD', lease = NULL, lease_until = NULL, due_at = NULL, receipt = NULL, finished_at = clock_timestamp(),
	last_error_code = coalesce(nullif($3, ''), last_error_code), last_error = coalesce(nullif($4, ''), last_error)
WHERE id = $1 AND CASE WHEN $2::uuid IS NOT NULL THEN lease = $2
	ELSE state = 'RUNNING' AND lease_until <= clock_timestamp() AND attempt >= max_attempts END
RETURNING ` + jobColumns

// If another job about the same entity waits already, it does the work, no later than this one would have.
const againSQL = `
WITH mine AS MATERIALIZED (
	SELECT id, org_id, kind, entity_id, clock_timestamp() + $3::interval AS at FROM jobs WHERE id = $1 AND lease = $2 FOR UPDATE
), twin AS (
	UPDATE jobs t SET run_at = least(t.run_at, mine.at), due_at = least(t.run_at, mine.at), receipt = NULL
	FROM mine
	WHERE t.org_id = mine.org_id AND t.kind = mine.kind AND t.entity_id = mine.entity_id AND t.state = 'PENDING'
	RETURNING t.id
), why AS (
	SELECT EXISTS (SELECT FROM twin) AS superseded
)
UPDATE jobs SET lease = NULL, lease_until = NULL, receipt = NULL,
	state = CASE WHEN superseded THEN 'DONE' ELSE 'PENDING' END,
	run_at = CASE WHEN superseded THEN run_at ELSE mine.at END,
	due_at = CASE WHEN superseded THEN NULL ELSE mine.at END,
	finished_at = CASE WHEN superseded THEN clock_timestamp() END,
	attempt = jobs.attempt - $4,
	last_error_code = CASE WHEN superseded THEN $7 ELSE coalesce(nullif($5, ''), last_error_code) END,
	last_error = coalesce(nullif($6, ''), last_error)
FROM mine, why WHERE jobs.id = mine.id`

// What the end of a run makes possible: the job that waited behind it, and those that its organization's limit held back.
// An enqueue that has the waiting one locked makes it due itself; who finishes does not wait for that.
const wakeTwinSQL = `
UPDATE jobs SET due_at = greatest(run_at, clock_timestamp()), receipt = NULL
WHERE id IN (
	SELECT id FROM jobs WHERE org_id = $1 AND kind = $2 AND entity_id = $3 AND state = 'PENDING' FOR UPDATE SKIP LOCKED)`

const notifySQL = `
SELECT pg_notify($1, '') WHERE EXISTS (
	SELECT FROM jobs WHERE org_id = $2 AND due_at <= clock_timestamp() AND state = 'PENDING')`

// finish records the outcome of a run; false means that the lease was lost before and nothing was changed.
func (s *store) finish(ctx context.Context, job Job, lease id.UUID, o outcome) (held bool, err error) {
	defer fault.Wrap(&err, "jobs.finish(%s)", job.ID)
	if o.verdict == dead {
		held, _, err = s.bury(ctx, job.ID, &lease, o)
		return held, err
	}
	for range 3 {
		held, err = s.tryFinish(ctx, job, lease, o)
		// Between looking for a waiting job and becoming one, another was enqueued: look again.
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != "jobs_pending" {
			break
		}
	}
	return held, err
}

func (s *store) tryFinish(ctx context.Context, job Job, lease id.UUID, o outcome) (held bool, err error) {
	batch := &pgx.Batch{}
	count := func(tag pgconn.CommandTag) error { held = tag.RowsAffected() > 0; return nil }
	switch o.verdict {
	case done:
		batch.Queue(doneSQL, job.ID, lease).Exec(count)
		batch.Queue(wakeTwinSQL, job.Org, job.Kind, job.Entity)
	case retry, snooze:
		refund := 0
		if o.verdict == snooze {
			refund = 1
		}
		batch.Queue(againSQL, job.ID, lease, o.delay, refund, o.code, o.text, CodeSuperseded).Exec(count)
		batch.Queue(`SELECT pg_notify($1, $2)`, channel, job.Kind)
	}
	batch.Queue(notifySQL, channel, job.Org)
	err = s.db.SendBatch(ctx, batch).Close()
	return held, err
}

// bury declares a job dead and tells who wants to know, in one transaction; false means that it is not to be buried, or not
// by the holder of this lease, and nothing was changed.
func (s *store) bury(ctx context.Context, jobID id.UUID, lease *id.UUID, o outcome) (buried bool, job Job, err error) {
	defer fault.Wrap(&err, "jobs.bury(%s)", jobID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		buried, job = false, Job{}
		err := tx.QueryRow(ctx, burySQL, jobID, lease, o.code, o.text).Scan(job.dest()...)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		buried = true
		if err := s.tell(ctx, tx, job); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(wakeTwinSQL, job.Org, job.Kind, job.Entity)
		batch.Queue(notifySQL, channel, job.Org)
		return tx.SendBatch(ctx, batch).Close()
	})
	return buried && err == nil, job, err
}

// due names jobs of the given kinds that could be claimed now, the longest waiting first.
func (s *store) due(ctx context.Context, kinds []string, limit int) (_ []id.UUID, err error) {
	defer fault.Wrap(&err, "jobs.due")
	rows, err := s.db.Query(ctx, `
		SELECT id FROM jobs j
		WHERE (state = 'PENDING' AND run_at <= clock_timestamp() OR state = 'RUNNING' AND lease_until <= clock_timestamp())
			AND kind = ANY ($1)
			AND NOT EXISTS (
				SELECT FROM jobs s WHERE s.org_id = j.org_id AND s.kind = j.kind AND s.entity_id = j.entity_id
				AND s.state = 'RUNNING' AND s.id <> j.id)
		ORDER BY run_at, id LIMIT $2`, kinds, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[id.UUID])
}
