// Package eventbox is the event adapter of a development installation: the last events are kept in PostgreSQL and shown on a page.
// Nothing leaves the machine.
package eventbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// keep is how many events the box holds; older ones go.
const keep = 500

// Box is where events arrive.
type Box struct {
	db     postgres.DB
	source event.Source
}

var _ event.Publisher = (*Box)(nil)

// New returns the box in db. Several processes may share it.
func New(db postgres.DB, source event.Source) *Box { return &Box{db: db, source: source} }

// Publish implements event.Publisher. An event that is in the box already stays as it is.
func (b *Box) Publish(ctx context.Context, events []event.Event) []error {
	results := make([]error, len(events))
	var ids, orgs []id.UUID
	var documents []string
	for i, e := range events {
		written, err := e.Document(b.source())
		if err != nil {
			results[i] = fmt.Errorf("%w: %w", event.ErrRefused, err)
		} else if len(written) > event.MaxBytes {
			results[i] = event.ErrTooLarge
		} else {
			ids, orgs, documents = append(ids, e.ID), append(orgs, e.Org), append(documents, string(written))
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO dev_events (id, org_id, document)
		SELECT e.id, e.org_id, e.document::json FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS e(id, org_id, document, ord)
		ORDER BY e.ord ON CONFLICT (id) DO NOTHING`, ids, orgs, documents)
	batch.Queue(`DELETE FROM dev_events WHERE place <= (SELECT place FROM dev_events ORDER BY place DESC OFFSET $1 LIMIT 1)`, keep)
	if err := b.db.SendBatch(ctx, batch).Close(); err != nil {
		for i := range results {
			if results[i] == nil {
				results[i] = fault.Unavailable("the box cannot be reached").Because(err)
			}
		}
	}
	return results
}

// Arrived is an event in the box.
type Arrived struct {
	At       time.Time
	Document json.RawMessage
}

// List returns the events, the newest first.
func (b *Box) List(ctx context.Context) (_ []Arrived, err error) {
	defer fault.Wrap(&err, "eventbox.List")
	rows, err := b.db.Query(ctx, `SELECT at, document FROM dev_events ORDER BY place DESC LIMIT $1`, keep)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Arrived, err error) { return a, row.Scan(&a.At, &a.Document) })
}
