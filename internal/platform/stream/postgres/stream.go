// Package pgstream keeps the events of package stream in a table, where each has the number after the one before it in its topic.
//
// A process has one reader for each topic that somebody here subscribes to, however many subscribers there are. What is
// published here is handed to it as soon as it is committed. What is published elsewhere comes by a stream.Carrier, or a notification
// (LISTEN/NOTIFY) has the reader fetch it from the table in one query. Because the numbers have no gaps, the reader knows when
// something has not come, in whatever order and however often the rest did, and fetches that from the table too.
package pgstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Channel is notified with "<origin>:<org>:<number>:<topic>" by transactions that publish. The origin is the stream that hands the
// event to its own subscribers; or empty, if none does.
const Channel = "stream_events"

// sweep is how often a process asks for the last numbers of the topics that somebody here subscribes to: how long an event takes
// at most that neither Carrier nor notification told of, because the process that had committed it died, or the connection did.
const sweep = time.Second

const (
	maxTopic = 200 // bytes; a notification must stay below 8000
	pageSize = 256 // events fetched by one query
)

// Options of a stream. The zero value is a good default.
type Options struct {
	// Buffer is how many undelivered events make a subscriber slow. Default 1024.
	Buffer int
	// Carrier takes events to other processes, where Stream.Arrived is called with them. Without one, and while it is not up,
	// they are told by NOTIFY and read the table.
	Carrier stream.Carrier
}

type nobody struct{}

func (nobody) Up() bool             { return false }
func (nobody) Carry([]stream.Entry) {}

// Stream implements stream.Stream.
type Stream struct {
	db      postgres.DB
	log     *slog.Logger
	buffer  int
	carrier stream.Carrier
	origin  string

	ctx         context.Context // ends with Close; what runs here belongs to no request
	close       context.CancelFunc
	unsubscribe func()
	running     sync.WaitGroup

	keys sync.Map // stream.Key by organization

	mu     sync.Mutex
	topics map[key]*topic // those with subscribers
}

type key struct {
	org  id.UUID
	name string
}

var _ stream.Stream = (*Stream)(nil)

// New returns a stream over db, woken by l. It runs until Close.
func New(db postgres.DB, l *postgres.Listener, log *slog.Logger, opts Options) *Stream {
	if opts.Buffer <= 0 {
		opts.Buffer = 1024
	}
	if opts.Carrier == nil {
		opts.Carrier = nobody{}
	}
	s := &Stream{db: db, log: log, buffer: opts.Buffer, carrier: opts.Carrier, origin: id.New().String(), topics: map[key]*topic{}}
	s.ctx, s.close = context.WithCancel(context.Background())
	payloads, cancel := l.Subscribe(Channel)
	s.unsubscribe = cancel
	s.running.Go(func() {
		for payload := range payloads {
			s.notified(payload)
		}
	})
	s.running.Go(s.sweep)
	return s
}

// Close ends all subscriptions with stream.ErrClosed and returns when nothing of the stream runs any more.
func (s *Stream) Close() {
	s.mu.Lock() // no reader starts any more
	s.close()
	s.mu.Unlock()
	s.unsubscribe()
	s.running.Wait()
}

// notified wakes the reader that a notification is for, and all of them if some notifications may have been missed.
func (s *Stream) notified(payload string) {
	if payload == "" {
		s.Missed()
		return
	}
	parts := strings.SplitN(payload, ":", 4)
	if len(parts) != 4 || parts[0] == s.origin { // who has it
		return
	}
	k := key{name: parts[3]}
	n, err := strconv.ParseInt(parts[2], 10, 64)
	if errors.Join(err, k.org.UnmarshalText([]byte(parts[1]))) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[k]; t != nil {
		t.reached(n)
	}
}

// Missed has all readers look into the table: some events may not have arrived.
func (s *Stream) Missed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.topics {
		t.poke()
	}
}

// Arrived hands an event to its topic's subscribers in this process. Events may arrive in any order, again, or not at all.
func (s *Stream) Arrived(e stream.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[key{e.Org, e.Topic}]; t != nil {
		t.arrived(e)
	}
}

// sweep wakes, now and then, the readers of topics that do not stand where the table does.
func (s *Stream) sweep() {
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		var orgs []id.UUID
		var names []string
		s.mu.Lock()
		for k := range s.topics {
			orgs, names = append(orgs, k.org), append(names, k.name)
		}
		s.mu.Unlock()
		if len(names) == 0 {
			continue
		}
		rows, err := s.db.Query(s.ctx, `
			SELECT asked.org, asked.topic, coalesce(t.last_cursor, 0) FROM unnest($1::uuid[], $2::text[]) AS asked (org, topic)
			LEFT JOIN stream_topics t ON t.org_id = asked.org AND t.topic = asked.topic`, orgs, names)
		if err != nil {
			continue // as do the readers, who say so
		}
		var (
			k    key
			last int64
		)
		_, _ = pgx.ForEachRow(rows, []any{&k.org, &k.name, &last}, func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if t := s.topics[k]; t != nil {
				t.stands(last)
			}
			return nil
		})
	}
}

const publishSQL = `
WITH numbered AS (
	INSERT INTO stream_topics (org_id, topic, last_cursor)
	SELECT $1, topic, 1 FROM unnest($2::text[]) WITH ORDINALITY AS u (topic, place) ORDER BY place
	ON CONFLICT (org_id, topic) DO UPDATE SET last_cursor = stream_topics.last_cursor + 1
	RETURNING topic, last_cursor
), published AS (
	INSERT INTO stream_events (org_id, topic, cursor, kind, data, key, created_at)
	SELECT $1, topic, last_cursor, $3, $4, nullif($8, ''), clock_timestamp() FROM numbered
	RETURNING topic, cursor, created_at
)
SELECT topic, cursor, created_at, CASE WHEN $6 THEN pg_notify($5, $7 || ':' || $1::uuid || ':' || cursor || ':' || topic)::text END
FROM published ORDER BY topic`

// Publish implements stream.Stream.
func (s *Stream) Publish(ctx context.Context, tx pgx.Tx, org id.UUID, e stream.Event, topics ...string) (err error) {
	defer fault.Wrap(&err, "pgstream.Publish(%s)", e.Kind)
	if e.Kind == "" || len(topics) == 0 {
		return fault.Invalid("event", "an event needs a kind and a topic")
	}
	topics = slices.Clone(topics)
	slices.Sort(topics) // everybody locks in this order
	topics = slices.Compact(topics)
	for _, topic := range topics {
		if err := checkTopic(topic); err != nil {
			return err
		}
	}
	data := e.Data
	if data == nil {
		data = json.RawMessage("null")
	}
	if !json.Valid(data) { // PostgreSQL would say so too, and quote it
		return fault.Invalid("data", "an event's data must be JSON")
	}
	var published []stream.Entry
	origin, carried := "", false
	if postgres.AfterCommit(tx, func() {
		for _, e := range published {
			s.Arrived(e)
		}
		s.carrier.Carry(published)
	}) {
		origin, carried = s.origin, s.carrier.Up()
	}
	// Not needlessly: transactions that notify wait for each other to commit.
	rows, err := tx.Query(ctx, publishSQL, org, topics, e.Kind, data, Channel, !carried, origin, e.Key)
	if err != nil {
		return err
	}
	published, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (stream.Entry, error) {
		made := stream.Entry{Org: org, Event: stream.Event{Kind: e.Kind, Data: data, Key: e.Key}}
		return made, row.Scan(&made.Topic, &made.N, &made.At, nil)
	})
	return err
}

// Key is an organization's, made when it is first needed: for the adapter, and for tests and tools that name a position.
func Key(ctx context.Context, db postgres.DB, org id.UUID) (k stream.Key, err error) {
	secret, err := postgres.Secret(ctx, db, "stream_keys", org, len(k))
	if err != nil {
		return k, fmt.Errorf("the key of cursors: %w", err)
	}
	copy(k[:], secret)
	return k, nil
}

// key is Key, remembered.
func (s *Stream) key(ctx context.Context, org id.UUID) (stream.Key, error) {
	if k, known := s.keys.Load(org); known {
		return k.(stream.Key), nil
	}
	k, err := Key(ctx, s.db, org)
	if err == nil {
		s.keys.Store(org, k)
	}
	return k, err
}

func checkTopic(name string) error {
	if name == "" || len(name) > maxTopic {
		return fault.Invalid("topic", "a topic's name has 1 to %d bytes", maxTopic)
	}
	return nil
}

// Subscribe implements stream.Stream.
func (s *Stream) Subscribe(ctx context.Context, org id.UUID, topic string, after stream.Cursor) (_ stream.Subscription, err error) {
	defer fault.Wrap(&err, "pgstream.Subscribe")
	if s.ctx.Err() != nil {
		return nil, stream.ErrClosed
	}
	if err := checkTopic(topic); err != nil {
		return nil, err
	}
	secret, err := s.key(ctx, org)
	if err != nil {
		return nil, err
	}
	sub := &subscription{
		stream: s,
		key:    key{org, topic},
		secret: secret,
		ctx:    ctx,
		arrive: make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
	if after == "" {
		if sub.position, err = s.last(ctx, sub.key); err != nil {
			return nil, err
		}
		sub.join(sub.position)
	} else {
		if sub.position, err = secret.Position(topic, after); err != nil {
			return nil, err
		}
		if err := sub.turnPage(ctx); err != nil {
			return nil, err
		}
	}
	sub.cursor = secret.Cursor(topic, sub.position)
	sub.mu.Lock()
	sub.release = context.AfterFunc(ctx, func() { sub.end(ctx.Err()) })
	sub.mu.Unlock()
	return sub, nil
}

func (s *Stream) last(ctx context.Context, k key) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT last_cursor FROM stream_topics WHERE org_id = $1 AND topic = $2`, k.org, k.name).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// An event with its number.
type event struct {
	n int64
	stream.Delivery
}

// One statement, so that the events and the marks beside them are of one moment.
const readSQL = `
SELECT t.last_cursor, t.trimmed_to, e.cursor, e.kind, e.data, coalesce(e.key, ''), e.created_at
FROM stream_topics t
LEFT JOIN LATERAL (
	SELECT cursor, kind, data, key, created_at FROM stream_events
	WHERE org_id = t.org_id AND topic = t.topic AND cursor > $3
	ORDER BY cursor LIMIT $4
) e ON true
WHERE t.org_id = $1 AND t.topic = $2
ORDER BY e.cursor`

// read returns the events after the given position, pageSize at most.
func (s *Stream) read(ctx context.Context, k key, after int64) (page []event, err error) {
	secret, err := s.key(ctx, k.org)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, readSQL, k.org, k.name, after, pageSize)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var last, trimmed int64
	for rows.Next() {
		var (
			n    *int64
			kind *string
			data json.RawMessage
			key  string
			at   *time.Time
		)
		if err := rows.Scan(&last, &trimmed, &n, &kind, &data, &key, &at); err != nil {
			return nil, err
		}
		if n != nil {
			page = append(page, event{*n, stream.Delivery{
				Event: stream.Event{Kind: *kind, Data: data, Key: key}, Cursor: secret.Cursor(k.name, *n), At: *at,
			}})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	switch {
	case after > last:
		return nil, fault.Invalid("after", "the cursor is beyond the end of its topic")
	case after < trimmed:
		return nil, stream.ErrWindowLost
	}
	return page, nil
}

// Trim implements stream.Stream. Each topic is a transaction of its own: nobody waits for more than one of them.
func (s *Stream) Trim(ctx context.Context, olderThan time.Duration) (removed int64, err error) {
	defer fault.Wrap(&err, "pgstream.Trim")
	const batch = 500
	for {
		rows, err := s.db.Query(ctx, `
			SELECT org_id, topic, max(cursor) FROM (
				SELECT org_id, topic, cursor FROM stream_events WHERE created_at < now() - $1::interval
				ORDER BY created_at LIMIT $2
			) old GROUP BY org_id, topic ORDER BY org_id, topic`, olderThan, 20*batch)
		if err != nil {
			return removed, err
		}
		type prefix struct {
			Org   id.UUID
			Topic string
			To    int64
		}
		old, err := pgx.CollectRows(rows, pgx.RowToStructByPos[prefix])
		if err != nil || len(old) == 0 {
			return removed, err
		}
		for _, p := range old {
			tag, err := s.db.Exec(ctx, `
				WITH marked AS (
					UPDATE stream_topics SET trimmed_to = $3 WHERE org_id = $1 AND topic = $2 AND trimmed_to < $3
				)
				DELETE FROM stream_events WHERE org_id = $1 AND topic = $2 AND cursor <= $3`, p.Org, p.Topic, p.To)
			if err != nil {
				return removed, err
			}
			removed += tag.RowsAffected()
		}
	}
}
