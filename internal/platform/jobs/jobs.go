// Package jobs does later, durably, what must not be done now.
//
// A job is a row in PostgreSQL: it is enqueued in the transaction of the caller, so it exists if and only if what caused
// it does. It says what to do (a kind) and about what (an entity's id) and carries no other data: the handler reads the
// entity as it is when the job runs. A Runner receives hints from a queue.Queue that a row is due, claims the row by a
// conditional change of its state and calls the handler of its kind.
//
// What is promised:
//
//   - A committed job runs at least once: until its handler succeeds, gives up for good, or has failed MaxAttempts times.
//     Handlers are therefore idempotent.
//   - At most one job of one (org, kind, entity) waits and at most one runs. What was enqueued while one waited is
//     covered by a run that starts after the enqueuing transaction has committed, and so sees what it wrote.
//   - A handler holds a lease that is renewed while it runs. When the lease is lost its context ends, and it can no
//     longer change the job. A lease that ran out (the process died) makes the job due again by itself.
//   - Nothing is lost in silence: a job that cannot be done is DEAD, with a code, until somebody replays or discards it.
//     What depends on it is told in the same transaction (OnDead), also if a process died and said nothing.
package jobs

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// State of a job.
type State string

// The states. PENDING and RUNNING alternate until the job is DONE or DEAD.
const (
	StatePending State = "PENDING"
	StateRunning State = "RUNNING"
	StateDone    State = "DONE"
	StateDead    State = "DEAD"
)

// DefaultMaxAttempts is what a job gets that asks for nothing else. With DefaultBackoff its last attempt comes about
// seventeen minutes after the first.
const DefaultMaxAttempts = 10

// Job is one piece of work.
type Job struct {
	ID     id.UUID // set by Enqueue
	Org    id.UUID
	Kind   string  // names the handler
	Entity id.UUID // what it is about; the organization itself if nothing smaller

	RunAt        time.Time // not before; zero is now
	MaxAttempts  int       // zero is DefaultMaxAttempts
	TraceContext string    // W3C traceparent of the request that caused it; "" is none

	Attempt   int       // 1 at the first; set for handlers
	CreatedAt time.Time // set for handlers
}

// Handler does the jobs of one kind. It is called at least once a job, never twice at the same time for one entity,
// and decides the outcome by what it returns:
//
//   - nil: done
//   - Permanent(err, code): DEAD at once
//   - Snooze(d): comes back after d; this was not an attempt
//   - anything else, or a panic: tried again after a backoff, DEAD after MaxAttempts
//
// ctx ends when the lease is lost, when the handler takes too long, or when a drain takes too long. The text of an
// error is shown to operators: it names ids, never content.
type Handler func(ctx context.Context, job Job) error

// channel is notified, with the job's kind as payload, by every transaction that makes a job due or due earlier.
const channel = "jobs_due"

// The conflict changes nothing that matters, and that is its point: it locks the waiting job until the caller commits, so
// no run can begin before that which does not see the caller's writes. Then a queue is to look at it again.
const enqueueSQL = `
WITH enqueued AS (
	INSERT INTO jobs (id, org_id, kind, entity_id, max_attempts, trace_context, run_at, due_at)
	SELECT n.id, n.org_id, n.kind, n.entity_id, n.max_attempts, nullif(n.trace_context, ''), n.at, n.at
	FROM (
		SELECT u.id, u.org_id, u.kind, u.entity_id, u.max_attempts, u.trace_context, u.place,
			coalesce(u.run_at, now()) AS at
		FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::int[], $6::text[], $7::timestamptz[])
			WITH ORDINALITY AS u (id, org_id, kind, entity_id, max_attempts, trace_context, run_at, place)
	) n
	ORDER BY n.place
	ON CONFLICT (org_id, kind, entity_id) WHERE state = 'PENDING' DO UPDATE SET due_at = jobs.run_at, receipt = NULL
	RETURNING kind
)
SELECT pg_notify($8, kind) FROM (SELECT DISTINCT kind FROM enqueued) k ORDER BY kind`

// Enqueue adds jobs in the caller's transaction, in one statement. A job whose (org, kind, entity) already has one
// PENDING is covered by that one and adds nothing, also if the other is due later or has been retried; while one is
// RUNNING, another one is queued behind it.
//
// The waiting job stays locked until the transaction ends: enqueue late in a transaction, and all jobs of it in one
// call, which sorts them so that two transactions cannot lock each other out.
func Enqueue(ctx context.Context, tx pgx.Tx, jobs ...Job) (err error) {
	defer fault.Wrap(&err, "jobs.Enqueue")
	if len(jobs) == 0 {
		return nil
	}
	jobs = slices.Clone(jobs)
	for _, j := range jobs {
		if j.Org.IsZero() || j.Entity.IsZero() || j.Kind == "" || j.MaxAttempts < 0 {
			return fault.Invalid("job", "a job needs an organization, a kind and an entity")
		}
	}
	slices.SortStableFunc(jobs, compareSubject)
	jobs = slices.CompactFunc(jobs, func(a, b Job) bool { return compareSubject(a, b) == 0 })

	n := len(jobs)
	ids, orgs, entities := make([]id.UUID, n), make([]id.UUID, n), make([]id.UUID, n)
	kinds, traces := make([]string, n), make([]string, n)
	attempts, times := make([]int, n), make([]*time.Time, n)
	for i, j := range jobs {
		ids[i], orgs[i], kinds[i], entities[i], traces[i] = id.New(), j.Org, j.Kind, j.Entity, j.TraceContext
		attempts[i] = j.MaxAttempts
		if j.MaxAttempts == 0 {
			attempts[i] = DefaultMaxAttempts
		}
		if !j.RunAt.IsZero() {
			times[i] = &j.RunAt
		}
	}
	_, err = tx.Exec(ctx, enqueueSQL, ids, orgs, kinds, entities, attempts, traces, times, channel)
	return err
}

func compareSubject(a, b Job) int {
	if c := bytes.Compare(a.Org[:], b.Org[:]); c != 0 {
		return c
	}
	if c := strings.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return bytes.Compare(a.Entity[:], b.Entity[:])
}
