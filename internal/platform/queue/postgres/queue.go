// Package pgqueue finds due work in the rows of the jobs table themselves.
//
// There is no second place to write to and so nothing to keep in step: committing a row that is due is the sending. A
// receiver claims rows with FOR UPDATE SKIP LOCKED by writing a receipt and moving due_at, and waits for whatever
// comes first: a notification from the transaction that made a row due, the earliest due_at known, or a slow poll.
package pgqueue

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/queue"
)

// Channel is where a transaction that makes rows due, or due earlier, says so: NOTIFY jobs_due, '<kind>'. The empty
// payload stands for any kind.
const Channel = "jobs_due"

// Options of a queue. The zero value is a good default.
type Options struct {
	// Kinds are the only ones received; none means all.
	Kinds []string
	// Visibility is how long a delivery is held unless extended: the time to get from Receive to a claimed row, not the
	// time to do the work. Default 30 s.
	Visibility time.Duration
	// PerOrg limits how many messages of one organization are in flight, held here or running; 0 is no limit. Among
	// organizations, the ones with the fewest in flight come first, whatever the length of their backlogs.
	PerOrg int
	// Lanes are kinds whose work nobody waits for, such as an index. They do not count for PerOrg: what nobody waits for takes no place
	// from what somebody does. A kind is in one lane at most.
	Lanes []Lane
	// Poll is the longest a receiver waits without looking. It only matters when notifications are lost. Default 5 s.
	Poll time.Duration
}

// Lane are kinds that have a few places of their own, beside all others. They are not received while a job of a kind in no lane waits for a worker,
// of whichever organization, until they are older than Patience.
type Lane struct {
	Kinds    []string
	Room     int           // how many are in flight in all processes together; two receivers at the same moment may take one too many. Default 1
	Patience time.Duration // default 5 min
}

// Queue implements queue.Queue.
type Queue struct {
	db      postgres.DB
	opts    Options
	kinds   map[string]bool
	lanes   lanes
	cancel  func()
	stopped chan struct{}

	mu   sync.Mutex
	wake chan struct{} // closed and replaced when there is something to look at
}

var _ queue.Source = (*Queue)(nil)

// New returns a queue over db's jobs, woken by l. It holds a subscription of l until Close.
func New(db postgres.DB, l *postgres.Listener, opts Options) *Queue {
	if opts.Visibility <= 0 {
		opts.Visibility = 30 * time.Second
	}
	if opts.Poll <= 0 {
		opts.Poll = 5 * time.Second
	}
	q := &Queue{
		db:      db,
		opts:    opts,
		kinds:   make(map[string]bool, len(opts.Kinds)),
		lanes:   lanes{kinds: []string{}}, // not NULL, to which nothing compares
		stopped: make(chan struct{}),
		wake:    make(chan struct{}),
	}
	for n, l := range opts.Lanes {
		if l.Patience <= 0 {
			l.Patience = 5 * time.Minute
		}
		for _, kind := range l.Kinds {
			q.lanes.add(kind, n, max(l.Room, 1), l.Patience)
		}
	}
	for _, kind := range opts.Kinds {
		q.kinds[kind] = true
	}
	payloads, cancel := l.Subscribe(Channel)
	q.cancel = cancel
	go q.listen(payloads)
	return q
}

// lanes are the lanes as a table: a kind, the number of its lane, and that one's room and patience in milliseconds.
type lanes struct {
	kinds      []string
	lane, room []int
	patience   []int64
}

func (l *lanes) add(kind string, lane, room int, patience time.Duration) {
	l.kinds, l.lane, l.room, l.patience = append(l.kinds, kind), append(l.lane, lane), append(l.room, room), append(l.patience, patience.Milliseconds())
}

// Close ends the subscription. Receivers go on at the pace of the poll.
func (q *Queue) Close() {
	q.cancel()
	<-q.stopped
}

func (q *Queue) listen(payloads <-chan string) {
	defer close(q.stopped)
	for kind := range payloads {
		if kind == "" || len(q.kinds) == 0 || q.kinds[kind] {
			q.mu.Lock()
			close(q.wake)
			q.wake = make(chan struct{})
			q.mu.Unlock()
		}
	}
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, limit int) (_ []queue.Delivery, err error) {
	if limit < 1 {
		return nil, fault.Invalid("limit", "must be at least 1")
	}
	// Nobody says that one in flight is done and has left its place. A look takes a few milliseconds.
	const firstRetry, lastRetry = 5 * time.Millisecond, 80 * time.Millisecond
	retry := firstRetry
	for {
		q.mu.Lock()
		wake := q.wake // before looking, so that nothing falls between the look and the wait
		q.mu.Unlock()
		found, err := q.take(ctx, limit)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if len(found.deliveries) > 0 {
			return found.deliveries, nil
		}
		pause := min(found.next, q.opts.Poll)
		if found.later {
			pause = min(pause, retry)
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

type found struct {
	deliveries []queue.Delivery
	later      bool          // there are rows that come free at an unknown moment: others have locked them, or they yield
	next       time.Duration // until the next row becomes due
}

// One backlog of thousands must not be read to find the one job of somebody else. So: hop through the index from
// organization to organization, look at the few oldest rows of each, and deal them out in turns.
//
// Lanes are looked at apart, so that a backlog of theirs hides nobody. A job waits for a worker if it is PENDING and its time has come,
// whether it is due here or was carried to another queue; whether one does is only asked where something would yield to it.
const takeSQL = `
WITH RECURSIVE others AS (
	SELECT EXISTS (SELECT FROM jobs WHERE state = 'PENDING' AND run_at <= now() AND kind <> ALL ($6)) AS wait
), side AS (
	SELECT l.lane, l.kinds, l.patience, l.room - (
		SELECT count(*) FROM jobs j WHERE (j.state = 'RUNNING' OR j.receipt IS NOT NULL) AND j.due_at > now() AND j.kind = ANY (l.kinds)
	) AS room
	FROM (
		SELECT k.lane, array_agg(k.kind) AS kinds, min(k.room) AS room, min(k.patience) * interval '1 ms' AS patience
		FROM unnest($6::text[], $7::int[], $8::int[], $9::bigint[]) k (kind, lane, room, patience)
		WHERE $1::text[] IS NULL OR k.kind = ANY ($1)
		GROUP BY k.lane
	) l
), orgs AS (
	(SELECT org_id FROM jobs WHERE due_at IS NOT NULL ORDER BY org_id LIMIT 1)
	UNION ALL
	SELECT (SELECT j.org_id FROM jobs j WHERE j.due_at IS NOT NULL AND j.org_id > o.org_id ORDER BY j.org_id LIMIT 1)
	FROM orgs o WHERE o.org_id IS NOT NULL
), candidates AS (
	SELECT c.id, c.due_at, busy.n + c.place AS turn, c.room, row_number() OVER (PARTITION BY c.side ORDER BY busy.n + c.place, c.due_at, c.id) AS nth
	FROM orgs o
	CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM jobs j
		WHERE j.org_id = o.org_id AND (j.state = 'RUNNING' OR j.receipt IS NOT NULL) AND j.due_at > now() AND j.kind <> ALL ($6)
	) busy
	CROSS JOIN LATERAL (
		SELECT d.*, row_number() OVER (ORDER BY d.due_at, d.id) AS place
		FROM (
			(SELECT j.id, j.due_at, NULL::int AS side, NULL::bigint AS room FROM jobs j
			WHERE j.org_id = o.org_id AND j.due_at <= now() AND ($1::text[] IS NULL OR j.kind = ANY ($1)) AND j.kind <> ALL ($6)
			ORDER BY j.due_at, j.id LIMIT CASE WHEN $2 = 0 THEN $3 ELSE least($3, greatest($2 - busy.n, 0)) END)
			UNION ALL
			SELECT y.* FROM side s CROSS JOIN LATERAL (
				SELECT j.id, j.due_at, s.lane, s.room FROM jobs j
				WHERE j.org_id = o.org_id AND j.due_at <= now() AND j.kind = ANY (s.kinds)
					AND (j.created_at <= now() - s.patience OR NOT (SELECT wait FROM others))
				ORDER BY j.due_at, j.id LIMIT greatest(s.room, 0)
			) y
		) d
	) c
	ORDER BY turn, c.due_at, c.id
	LIMIT $3
), free AS (
	SELECT j.id FROM jobs j JOIN candidates c ON c.id = j.id
	WHERE j.due_at <= now() AND (c.room IS NULL OR c.nth <= c.room)
	ORDER BY c.turn, c.due_at, c.id
	LIMIT $4
	FOR UPDATE OF j SKIP LOCKED
), held AS (
	UPDATE jobs SET receipt = gen_random_uuid(), due_at = clock_timestamp() + $5::interval
	FROM free WHERE jobs.id = free.id
	RETURNING jobs.kind, jobs.id, coalesce(jobs.trace_context, '') AS trace, jobs.receipt::text
)
SELECT kind, id, trace, receipt, true FROM held
UNION ALL
SELECT NULL, NULL, NULL, NULL, EXISTS (SELECT FROM candidates)
	OR EXISTS (SELECT FROM jobs WHERE due_at <= now() AND kind = ANY ($6) AND ($1::text[] IS NULL OR kind = ANY ($1)))`

const nextSQL = `
SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8
FROM jobs
WHERE due_at > now() AND ($1::text[] IS NULL OR kind = ANY ($1))`

func (q *Queue) take(ctx context.Context, limit int) (f found, err error) {
	defer fault.Wrap(&err, "pgqueue.Receive")
	// Concurrent receivers pick the same candidates: pick some more, so that they do not all come away empty.
	spare := 2*limit + 16
	batch := &pgx.Batch{}
	batch.Queue(takeSQL, q.opts.Kinds, q.opts.PerOrg, spare, limit, q.opts.Visibility,
		q.lanes.kinds, q.lanes.lane, q.lanes.room, q.lanes.patience).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var kind, trace, receipt *string
			var u *id.UUID
			var later bool
			if err := rows.Scan(&kind, &u, &trace, &receipt, &later); err != nil {
				return err
			}
			if u == nil {
				f.later = later
				continue
			}
			f.deliveries = append(f.deliveries, queue.Delivery{Message: queue.Message{Kind: *kind, ID: *u, TraceContext: *trace}, Receipt: *receipt})
		}
		return rows.Err()
	})
	batch.Queue(nextSQL, q.opts.Kinds).QueryRow(func(row pgx.Row) error {
		var seconds *float64
		if err := row.Scan(&seconds); err != nil {
			return err
		}
		f.next = q.opts.Poll
		if seconds != nil && *seconds < q.opts.Poll.Seconds() {
			f.next = max(time.Millisecond, time.Duration(*seconds*float64(time.Second))+time.Millisecond)
		}
		return nil
	})
	err = q.db.SendBatch(ctx, batch).Close()
	return f, err
}

// Extend implements queue.Queue.
func (q *Queue) Extend(ctx context.Context, d queue.Delivery, by time.Duration) (err error) {
	defer fault.Wrap(&err, "pgqueue.Extend(%s)", d.ID)
	tag, err := q.db.Exec(ctx, `UPDATE jobs SET due_at = clock_timestamp() + $3::interval
		WHERE id = $1 AND receipt = $2::uuid AND due_at > now()`, d.ID, d.Receipt, by)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return queue.ErrLost
	}
	return nil
}

// ExtendAll implements queue.Source, in one statement. It does not wait for the disk: a hold that is lost in a crash of the database is
// one that runs out early.
func (q *Queue) ExtendAll(ctx context.Context, ds []queue.Delivery, by time.Duration) (err error) {
	defer fault.Wrap(&err, "pgqueue.ExtendAll")
	ids, receipts := make([]id.UUID, len(ds)), make([]string, len(ds))
	for i, d := range ds {
		ids[i], receipts[i] = d.ID, d.Receipt
	}
	_, err = q.db.Exec(ctx, `
		WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
		UPDATE jobs SET due_at = clock_timestamp() + $3::interval
		FROM unnest($1::uuid[], $2::text[]) AS d(id, receipt), relaxed
		WHERE jobs.id = d.id AND jobs.receipt = d.receipt::uuid AND jobs.due_at > now()`, ids, receipts, by)
	return err
}

// Release implements queue.Queue.
func (q *Queue) Release(ctx context.Context, d queue.Delivery, delay time.Duration) (err error) {
	defer fault.Wrap(&err, "pgqueue.Release(%s)", d.ID)
	_, err = q.db.Exec(ctx, `
		WITH released AS (
			UPDATE jobs SET due_at = clock_timestamp() + $3::interval, receipt = NULL
			WHERE id = $1 AND receipt = $2::uuid AND due_at > now()
			RETURNING kind
		)
		SELECT pg_notify($4, kind) FROM released`, d.ID, d.Receipt, max(delay, 0), Channel)
	return err
}

// Ack implements queue.Queue.
func (q *Queue) Ack(ctx context.Context, d queue.Delivery) (err error) {
	defer fault.Wrap(&err, "pgqueue.Ack(%s)", d.ID)
	_, err = q.db.Exec(ctx, `UPDATE jobs SET due_at = NULL, receipt = NULL
		WHERE id = $1 AND receipt = $2::uuid AND due_at > now()`, d.ID, d.Receipt)
	return err
}
