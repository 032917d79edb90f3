package event

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Channel is where a transaction that adds events says so: NOTIFY outbox_added.
const Channel = "outbox_added"

// News is an event that has not happened before. What has no value in Data, a pointer that is nil, is left out.
type News struct {
	Type    string
	Subject fmt.Stringer
	Data    Data
}

// Data are the ids and codes of an event: strings, what writes itself as one, pointers to these, and lists of them.
type Data map[string]any

// Outbox takes events that are to be published. A nil Outbox is that of an installation that publishes nothing: it takes none, and no
// rows pile up that nobody reads.
type Outbox struct{}

// Add adds events in the caller's transaction, which publishes them by committing. Those of one subject are published in the order in
// which they were added, if whoever adds them holds a lock on the subject, as everybody does who changes it. Add late: what was added
// can be published by the time that the commit returns.
func (o *Outbox) Add(ctx context.Context, tx pgx.Tx, organization id.UUID, news ...News) (err error) {
	if o == nil || len(news) == 0 {
		return nil
	}
	defer fault.Wrap(&err, "event.Add(%s)", news[0].Type)
	n := len(news)
	ids, types, subjects, data := make([]id.UUID, n), make([]string, n), make([]string, n), make([]string, n)
	for i, e := range news {
		written, err := json.Marshal(plain(e.Data))
		if err != nil {
			return err
		}
		ids[i], types[i], subjects[i], data[i] = id.New(), e.Type, e.Subject.String(), string(written)
	}
	_, err = tx.Exec(ctx, `
		WITH added AS (
			INSERT INTO outbox (id, org_id, type, subject, data)
			SELECT e.id, $1, e.type, e.subject, e.data::json
			FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS e(id, type, subject, data, ord) ORDER BY e.ord
		)
		SELECT pg_notify($6, '')`, organization, ids, types, subjects, data, Channel)
	return err
}

// plain writes ids and codes as strings. Of an id JSON would write the UUID, and not the id that others know.
func plain(data Data) map[string]any {
	out := make(map[string]any, len(data))
	for name, value := range data {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		} else if v.Kind() == reflect.Slice {
			list := make([]string, v.Len())
			for i := range list {
				list[i] = fmt.Sprint(v.Index(i).Interface())
			}
			out[name] = list
			continue
		}
		if s, ok := value.(fmt.Stringer); ok {
			value = s.String()
		}
		out[name] = value
	}
	return out
}

// Refused is an event that was given up: it can never be published, or was tried often enough.
type Refused struct {
	Event
	Attempts int
	Code     string
	Since    time.Time
}

// Status says how an outbox stands.
type Status struct {
	Waiting int           // to be published, or on the way
	Oldest  time.Duration // how long the first of them waits
	Refused int
}

// StatusOf returns how db's outbox stands.
func StatusOf(ctx context.Context, db postgres.DB) (s Status, err error) {
	defer fault.Wrap(&err, "event.StatusOf")
	var oldest float64
	err = db.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE due_at IS NOT NULL), count(*) FILTER (WHERE due_at IS NULL),
			coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE due_at IS NOT NULL)), 0)::float8
		FROM outbox`).Scan(&s.Waiting, &s.Refused, &oldest)
	s.Oldest = max(0, time.Duration(oldest*float64(time.Second)))
	return s, err
}

// RefusedOf returns up to limit events that were given up, the first first.
func RefusedOf(ctx context.Context, db postgres.DB, limit int) (_ []Refused, err error) {
	defer fault.Wrap(&err, "event.RefusedOf")
	rows, err := db.Query(ctx, `
		SELECT id, org_id, type, subject, data, created_at, seq, attempts, coalesce(error_code, ''), failed_at FROM outbox
		WHERE due_at IS NULL ORDER BY seq LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Refused, err error) {
		return r, row.Scan(&r.ID, &r.Org, &r.Type, &r.Subject, &r.Data, &r.At, &r.Sequence, &r.Attempts, &r.Code, &r.Since)
	})
}

// Retry has all events that were given up tried anew, and returns how many.
func Retry(ctx context.Context, db postgres.DB) (_ int, err error) {
	defer fault.Wrap(&err, "event.Retry")
	tag, err := db.Exec(ctx, `UPDATE outbox SET due_at = clock_timestamp(), attempts = 0 WHERE due_at IS NULL`)
	if err != nil {
		return 0, err
	}
	_, err = db.Exec(ctx, `SELECT pg_notify($1, '')`, Channel)
	return int(tag.RowsAffected()), err
}

// Discard forgets the events that were given up longer ago than the given time, and returns how many.
func Discard(ctx context.Context, db postgres.DB, age time.Duration) (_ int, err error) {
	defer fault.Wrap(&err, "event.Discard")
	tag, err := db.Exec(ctx, `DELETE FROM outbox WHERE due_at IS NULL AND failed_at <= clock_timestamp() - $1::interval`, age)
	return int(tag.RowsAffected()), err
}
