package session

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

const (
	// filterVersion is the shape in which filters are saved. A condition more is a new version: a release that does not know
	// it must not find more than was asked for.
	filterVersion = 1
	// maxSaved bounds a person's filters, which are read without pages.
	maxSaved = 50
	// maxValues bounds each list of a filter that is saved.
	maxValues = 100
)

// SavedFilterID identifies a saved filter: filter_….
type SavedFilterID struct{ id.UUID }

func (i SavedFilterID) String() string { return id.Format("filter", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i SavedFilterID) MarshalGQL(w io.Writer) { id.Write(w, "filter", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *SavedFilterID) UnmarshalGQL(v any) error { return id.Read(v, "filter", &i.UUID) }

// SavedFilter is a filter of sessions that somebody keeps under a name.
type SavedFilter struct {
	auth.Grants
	ID        SavedFilterID
	Name      string
	Version   int
	Stored    []byte // a Filter as JSON, of that version
	CreatedAt time.Time
	UpdatedAt time.Time
}

// IsNode marks a Relay node.
func (*SavedFilter) IsNode() {}

// Filter reads what is stored.
func (f *SavedFilter) Filter() (*Filter, error) {
	if f.Version > filterVersion {
		return nil, fault.Conflict("the filter was saved by a later release")
	}
	return ReadFilter(f.Stored)
}

// ReadFilter reads what Store has written.
func ReadFilter(stored []byte) (*Filter, error) {
	var out Filter
	d := json.NewDecoder(bytes.NewReader(stored))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("stored filter: %T", err)
	}
	return &out, nil
}

// CreateSavedFilterInput is a new filter.
type CreateSavedFilterInput struct {
	Name   string
	Filter Filter
}

// UpdateSavedFilterInput changes a filter: a field that is nil stays as it is.
type UpdateSavedFilterInput struct {
	ID     SavedFilterID
	Name   **string
	Filter **Filter
}

// DeleteSavedFilterInput deletes a filter.
type DeleteSavedFilterInput struct{ ID SavedFilterID }

var savedFilters = page.Table[SavedFilter]{
	From:    "saved_filters f",
	ID:      "f.id",
	Columns: "f.id, f.name, f.version, f.filter, f.created_at, f.updated_at",
	Dest: func(f *SavedFilter) []any {
		return []any{&f.Grants, &f.ID, &f.Name, &f.Version, &f.Stored, &f.CreatedAt, &f.UpdatedAt}
	},
	Key: func(f *SavedFilter) id.UUID { return f.ID.UUID },
}

// savedByName lists all of a person's, so that it is never a page's order.
var savedByName = page.Order[SavedFilter]{Name: "filter", Keys: []page.Key[SavedFilter]{{SQL: "lower(f.name)", Type: "text"}, {SQL: "f.id", Type: "uuid"}}}

// savedScope: a saved filter is its owner's alone.
func savedScope() *page.Scope {
	s := page.NewScope("f.org_id")
	s.Allow(auth.AsSelf, "f.owner_id = $2")
	return s
}

// Saved returns the viewer's filters, by name.
func (s *Service) Saved(ctx context.Context) ([]*SavedFilter, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.All(ctx, s.db, v, savedFilters, savedScope(), page.Filter{}, savedByName)
}

// SavedByIDs returns those of the filters that are the viewer's.
func (s *Service) SavedByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*SavedFilter, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, savedFilters, savedScope(), ids)
}

// ListSaved pages through the sessions that a saved filter selects, and f too, unless it is nil.
func (s *Service) ListSaved(ctx context.Context, key SavedFilterID, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Session], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.Get(ctx, s.db, v, savedFilters, savedScope(), key.UUID, "saved filter")
	if err != nil {
		return nil, err
	}
	saved, err := found.Filter()
	if err != nil {
		return nil, err
	}
	w := saved.where(v)
	if f != nil {
		f.add(&w, v)
	}
	return s.list(ctx, v, w, o, args)
}

// CreateSaved saves a filter.
func (s *Service) CreateSaved(ctx context.Context, in CreateSavedFilterInput) (_ *SavedFilter, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	key := SavedFilterID{id.New()}
	defer fault.Wrap(&err, "session.CreateSaved(%s)", key)
	var problems check.Input
	name, stored := problems.Line("name", in.Name, 100), in.Filter.Store(&problems, "filter")
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := lockSaved(ctx, tx, v); err != nil {
			return err
		}
		if err := unusedName(ctx, tx, v, key, name); err != nil {
			return err
		}
		if err := in.Filter.Kept(ctx, tx, v); err != nil {
			return err
		}
		mine, err := page.Count(ctx, tx, v, savedFilters, savedScope(), page.Filter{})
		if err != nil {
			return err
		}
		if mine >= maxSaved {
			return fault.Conflict("a person keeps at most %d filters", maxSaved)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO saved_filters (id, org_id, owner_id, name, version, filter) VALUES ($1, $2, $3, $4, $5, $6)`,
			key, v.Org, v.User, name, filterVersion, string(stored)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "filter.create", Kind: "filter", ID: key.UUID})
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, savedFilters, savedScope(), key.UUID, "saved filter")
}

// UpdateSaved changes a saved filter.
func (s *Service) UpdateSaved(ctx context.Context, in UpdateSavedFilterInput) (_ *SavedFilter, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.UpdateSaved(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := lockSaved(ctx, tx, v); err != nil {
			return err
		}
		was, err := page.Get(ctx, tx, v, savedFilters, savedScope(), in.ID.UUID, "saved filter")
		if err != nil {
			return err
		}
		var problems check.Input
		name := check.NotNull(&problems, "name", in.Name)
		if name != nil {
			was.Name = problems.Line("name", *name, 100)
		}
		var stored *string
		if filter := check.NotNull(&problems, "filter", in.Filter); filter != nil {
			text := string(filter.Store(&problems, "filter"))
			stored = &text
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if err := unusedName(ctx, tx, v, in.ID, was.Name); err != nil {
			return err
		}
		if filter := in.Filter; filter != nil && *filter != nil {
			if err := (*filter).Kept(ctx, tx, v); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `
			UPDATE saved_filters SET name = $4, filter = coalesce($5::jsonb, filter),
				version = CASE WHEN $5::jsonb IS NULL THEN version ELSE $6 END, updated_at = now()
			WHERE org_id = $1 AND owner_id = $2 AND id = $3`, v.Org, v.User, in.ID, was.Name, stored, filterVersion); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "filter.update", Kind: "filter", ID: in.ID.UUID, Fields: audit.Given(in)})
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, savedFilters, savedScope(), in.ID.UUID, "saved filter")
}

// DeleteSaved deletes a saved filter, and returns it as it was.
func (s *Service) DeleteSaved(ctx context.Context, in DeleteSavedFilterInput) (was *SavedFilter, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "session.DeleteSaved(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if was, err = page.Get(ctx, tx, v, savedFilters, savedScope(), in.ID.UUID, "saved filter"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM saved_filters WHERE org_id = $1 AND owner_id = $2 AND id = $3`, v.Org, v.User, in.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "filter.delete", Kind: "filter", ID: in.ID.UUID})
	})
	return was, err
}

// ReplaceTags puts one tag in the place of others in what the viewer has saved; for tag.Service.
func ReplaceTags(ctx context.Context, tx pgx.Tx, v auth.Viewer, gone []tag.ID, by tag.ID) error {
	keys := make([]string, len(gone)) // as they are kept
	for i, key := range gone {
		keys[i] = key.UUID.String()
	}
	rows, err := tx.Query(ctx, `
		UPDATE saved_filters f SET updated_at = now(), filter = jsonb_set(f.filter, '{tagIds}', (
			SELECT jsonb_agg(key ORDER BY place) FROM (
				SELECT CASE WHEN key = ANY($3) THEN $4 ELSE key END AS key, min(place) AS place
				FROM jsonb_array_elements_text(f.filter->'tagIds') WITH ORDINALITY AS t(key, place) GROUP BY 1) AS replaced))
		WHERE f.org_id = $1 AND f.owner_id = $2 AND f.filter->'tagIds' ?| $3 AND f.version <= $5
		RETURNING f.id`, v.Org, v.User, keys, by.UUID.String(), filterVersion)
	if err != nil {
		return err
	}
	changed, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil || len(changed) == 0 {
		return err
	}
	entries := make([]audit.Entry, len(changed))
	for i, key := range changed {
		entries[i] = audit.Entry{Action: "filter.update", Kind: "filter", ID: key, Fields: []string{"filter"}}
	}
	return audit.Record(ctx, tx, v, entries...)
}

// Kept is a Conflict if a filter that is to be kept names a client who was erased, or an engagement of theirs: it would have the client's name again.
func (f *Filter) Kept(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT client_id FROM engagements WHERE org_id = $1 AND id = ANY($2)`, v.Org, f.EngagementIds)
	if err != nil {
		return err
	}
	clients, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return err
	}
	for _, key := range f.ClientIds {
		clients = append(clients, key.UUID)
	}
	return audit.RequireKept(ctx, tx, v.Org, clients...)
}

// Store checks a filter that is to be kept, and writes it as it is kept. Problems are of the given field.
func (f *Filter) Store(problems *check.Input, field string) []byte {
	for _, list := range []struct {
		field string
		given bool
		n     int
	}{
		{"clientIds", f.ClientIds != nil, len(f.ClientIds)}, {"coachIds", f.CoachIds != nil, len(f.CoachIds)},
		{"engagementIds", f.EngagementIds != nil, len(f.EngagementIds)}, {"types", f.Types != nil, len(f.Types)},
		{"statuses", f.Statuses != nil, len(f.Statuses)}, {"tagIds", f.TagIds != nil, len(f.TagIds)},
		{"participantUserIds", f.ParticipantUserIds != nil, len(f.ParticipantUserIds)},
	} {
		switch {
		case list.given && list.n == 0:
			problems.Fail(field+"."+list.field, "must not be empty; left out, it selects all")
		case list.n > maxValues:
			problems.Fail(field+"."+list.field, "must be at most %d, got %d", maxValues, list.n)
		}
	}
	if f.StartsAfter != nil {
		problems.Time(field+".startsAfter", *f.StartsAfter)
	}
	if f.StartsBefore != nil {
		problems.Time(field+".startsBefore", *f.StartsBefore)
	}
	if f.StartsAfter != nil && f.StartsBefore != nil && !f.StartsAfter.Before(*f.StartsBefore) {
		problems.Fail(field+".startsBefore", "must be after startsAfter")
	}
	stored, err := json.Marshal(f)
	if err != nil { // only a time out of all range does not marshal
		if problems.Err() == nil {
			problems.Fail(field, "cannot be kept")
		}
	}
	return stored
}

// lockSaved locks the viewer's filters. The membership's row is the lock.
func lockSaved(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	_, err := tx.Exec(ctx, `SELECT FROM memberships WHERE org_id = $1 AND user_id = $2 FOR NO KEY UPDATE`, v.Org, v.User)
	return err
}

// unusedName is a Conflict if another of the viewer's filters than the given one has the name.
func unusedName(ctx context.Context, tx pgx.Tx, v auth.Viewer, key SavedFilterID, name string) error {
	var other SavedFilterID
	err := tx.QueryRow(ctx, `SELECT id FROM saved_filters WHERE org_id = $1 AND owner_id = $2 AND lower(name) = lower($3) AND id <> $4`,
		v.Org, v.User, name, key).Scan(&other)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	taken := fault.Conflict("is the name of %s", other).WithCode("NAME_TAKEN")
	taken.Field = "name"
	return taken
}
