package event

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Relay carries events from an outbox to a publisher. Any number of them may work on one outbox.
//
// An event is held by the relay that publishes it, for a while, and deleted when it is published. Who dies in between leaves it held;
// when the hold has run out, another relay publishes it, for the second time perhaps: never less than once. Of each subject only the
// first event is held at a time, so that the second is not published before the first is, or is given up.
type Relay struct {
	db   postgres.DB
	to   Publisher
	log  *slog.Logger
	opts Options
	wake <-chan string
	stop func()
}

// Options of a relay. The zero value is a good default.
type Options struct {
	// Batch is how many events are held at a time. Default 100.
	Batch int
	// Hold is how long events are held while they are published, and so how long they wait for another relay if this one dies. Default 1 min.
	Hold time.Duration
	// Attempts is how often an event is tried that fails by itself, before it is given up. Default 10: half an hour.
	Attempts int
	// Pause is how long the first pause after a failure is; each is twice as long as the one before, up to 10 min. Default 1 s.
	Pause time.Duration
	// Poll is the longest that a relay waits without looking. It only matters when notifications are lost, or another relay has died.
	// Default 5 s.
	Poll time.Duration
}

const longestPause = 10 * time.Minute

// NewRelay returns a relay of db's outbox that is woken by l. It holds a subscription of l until Close.
func NewRelay(db postgres.DB, l *postgres.Listener, to Publisher, log *slog.Logger, opts Options) *Relay {
	opts.Batch = cmp.Or(opts.Batch, 100)
	opts.Hold = cmp.Or(opts.Hold, time.Minute)
	opts.Attempts = cmp.Or(opts.Attempts, 10)
	opts.Pause = cmp.Or(opts.Pause, time.Second)
	opts.Poll = cmp.Or(opts.Poll, 5*time.Second)
	r := &Relay{db: db, to: to, log: log, opts: opts}
	r.wake, r.stop = l.Subscribe(Channel)
	return r
}

// Close ends the subscription, after Run has ended.
func (r *Relay) Close() { r.stop() }

// Run carries until ctx ends, and returns nil then. What is under way is finished before.
func (r *Relay) Run(ctx context.Context) error {
	const firstPause, lastPause = 100 * time.Millisecond, 10 * time.Second
	pause, wake := firstPause, r.wake
	for ctx.Err() == nil {
		_, next, err := r.carry(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "events are not published", "error", err, "retry_in", pause)
			if wait(ctx, nil, pause/2+rand.N(pause)) {
				wake = r.wake
			}
			pause = min(2*pause, lastPause)
			continue
		}
		pause = firstPause
		if next > 0 && !wait(ctx, wake, next) {
			wake = nil // the listener has ended: go on at the pace of the poll
		}
	}
	return nil
}

// Drain carries all that is due, and returns how many events it has published.
func (r *Relay) Drain(ctx context.Context) (published int, err error) {
	for {
		n, _, err := r.carry(ctx)
		published += n
		if err != nil || n == 0 {
			return published, err
		}
	}
}

// wait waits for the first of both; false says that wake is closed.
func wait(ctx context.Context, wake <-chan string, d time.Duration) (open bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case _, open = <-wake:
		return open
	}
	return true
}

// held is an event that this relay holds; until tells the hold from a later one.
type held struct {
	Event
	attempts int
	until    time.Time
}

// A hold that is lost in a crash of the database, or a deletion, only has an event published twice, and so neither waits for the disk.
const takeSQL = `
WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), free AS (
	SELECT o.id FROM outbox o
	WHERE o.due_at <= now() AND NOT EXISTS (
		SELECT FROM outbox e WHERE e.org_id = o.org_id AND e.subject = o.subject AND e.seq < o.seq AND e.due_at IS NOT NULL)
	ORDER BY o.due_at, o.seq LIMIT $1
	FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox o SET due_at = clock_timestamp() + $2::interval FROM free, relaxed WHERE o.id = free.id
RETURNING o.id, o.org_id, o.type, o.subject, o.data, o.created_at, o.seq, o.attempts, o.due_at`

// Of those that takeSQL does not take because they are not due, the first. Both run in one transaction and so mean the same moment by now(): none becomes due
// between them.
const nextSQL = `SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM outbox WHERE due_at > now()`

// take holds a batch of what is due; if there is none, next is how long it is until an event that waits becomes due, at most the poll.
func (r *Relay) take(ctx context.Context) (batch []held, next time.Duration, err error) {
	both := &pgx.Batch{}
	both.Queue(takeSQL, r.opts.Batch, r.opts.Hold).Query(func(rows pgx.Rows) (err error) {
		batch, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (h held, err error) {
			return h, row.Scan(&h.ID, &h.Org, &h.Type, &h.Subject, &h.Data, &h.At, &h.Sequence, &h.attempts, &h.until)
		})
		return err
	})
	var seconds *float64
	both.Queue(nextSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&seconds) })
	if err := r.db.SendBatch(ctx, both).Close(); err != nil || len(batch) > 0 {
		return batch, 0, err
	}
	next = r.opts.Poll
	if seconds != nil {
		next = min(next, max(time.Millisecond, time.Duration(*seconds*float64(time.Second))+time.Millisecond))
	}
	return nil, next, nil
}

// carry publishes a batch of what is due, and returns how many events were published or given up, and how long there is nothing to do after it: 0 is
// not known, look again. The error says why nothing can be published.
func (r *Relay) carry(ctx context.Context) (settled int, next time.Duration, err error) {
	defer fault.Wrap(&err, "event.Relay")
	batch, next, err := r.take(ctx)
	if err != nil || len(batch) == 0 {
		return 0, next, err
	}
	events := make([]Event, len(batch))
	for i, h := range batch {
		events[i] = h.Event
	}
	publishing, cancel := context.WithTimeout(ctx, r.opts.Hold/2)
	defer cancel()
	results := r.to.Publish(publishing, events)

	// Whatever ends the process gently, what was published is not published again.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Hold/4)
	defer done()
	settled, err = r.settle(ctx, batch, results)
	return settled, 0, err
}

// settle deletes what was published, and puts back what was not.
func (r *Relay) settle(ctx context.Context, batch []held, results []error) (settled int, away error) {
	var published, failed []id.UUID
	var holds []time.Time
	var pauses []*time.Duration // nil gives up
	var counts []int
	var codes []string
	for i, h := range batch {
		err := results[i]
		if err == nil {
			published = append(published, h.ID)
			settled++
			continue
		}
		pause, code, count := r.pause(h.attempts), "FAILED", 1
		put := &pause
		switch {
		case errors.Is(err, ErrTooLarge):
			put, code = nil, ErrTooLarge.Code
		case errors.Is(err, ErrRefused):
			put, code = nil, ErrRefused.Code
		case fault.KindOf(err) == fault.KindUnavailable, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			// The event is not to blame, and Run pauses for all of them.
			pause, code, count = 0, "UNAVAILABLE", 0
			away = err
		case h.attempts+1 >= r.opts.Attempts:
			put = nil
		}
		if put == nil {
			settled++
			r.log.ErrorContext(ctx, "an event was given up", "event", h.Key(), "type", h.Type, "subject", h.Subject, "code", code, "error", err)
		} else if count > 0 {
			r.log.WarnContext(ctx, "an event was not published", "event", h.Key(), "type", h.Type, "error", err, "retry_in", pause)
		}
		failed, holds, pauses = append(failed, h.ID), append(holds, h.until), append(pauses, put)
		counts, codes = append(counts, count), append(codes, code)
	}
	b := &pgx.Batch{}
	if len(published) > 0 {
		b.Queue(`WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) DELETE FROM outbox USING relaxed WHERE id = ANY($1)`, published)
	}
	if len(failed) > 0 {
		b.Queue(`UPDATE outbox o SET due_at = clock_timestamp() + f.pause, attempts = o.attempts + f.count, error_code = f.code, failed_at = clock_timestamp()
			FROM unnest($1::uuid[], $2::timestamptz[], $3::interval[], $4::int[], $5::text[]) AS f(id, until, pause, count, code)
			WHERE o.id = f.id AND o.due_at = f.until`, failed, holds, pauses, counts, codes)
	}
	if err := r.db.SendBatch(ctx, b).Close(); err != nil {
		return settled, err // what was published is held until it is published again
	}
	return settled, away
}

// pause is how long an event waits that has failed so often before.
func (r *Relay) pause(attempts int) time.Duration {
	pause := min(r.opts.Pause<<min(attempts, 30), longestPause)
	return pause/2 + rand.N(pause/2+1)
}
