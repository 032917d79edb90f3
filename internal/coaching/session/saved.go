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
	// SavedVersion is the shape in which filters, and searches through them, are saved. A condition more is a new version: a release
	// that does not know it must not find more than was asked for.
	SavedVersion = 1
	// maxSaved bounds a person's filters and searches, which are read without pages.
	maxSaved = 50
	// maxValues bounds each list of a filter that is saved.
	maxValues = 100
)

// SearchPrefix begins the ids of saved searches, which are kept beside filters.
const SearchPrefix = "savedsearch"

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
	if f.Version > SavedVersion {
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

// savedScope: a saved filter is its owner's alone. One through which something is looked for is a saved search (package search).
func savedScope() *page.Scope {
	s := page.NewScope("f.org_id")
	s.Allow(auth.AsSelf, "f.owner_id = $2 AND f.query IS NULL")
	return s
}

// Kept is what a person keeps under a name: a filter of sessions, or a search.
type Kept struct {
	ID     id.UUID
	Name   string
	Filter *Filter // nil is none: a search of all
	Query  *string // what is looked for; nil if it is a mere filter
	Search []byte  // how, as JSON of package search
}

// Keep keeps something new for the viewer.
func (k Kept) Keep(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	if err := LockSaved(ctx, tx, v); err != nil {
		return err
	}
	if err := k.allowed(ctx, tx, v); err != nil {
		return err
	}
	var mine int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM saved_filters WHERE org_id = $1 AND owner_id = $2`, v.Org, v.User).Scan(&mine); err != nil {
		return err
	}
	if mine >= maxSaved {
		return fault.Conflict("a person keeps at most %d filters and searches", maxSaved)
	}
	_, err := tx.Exec(ctx, `INSERT INTO saved_filters (id, org_id, owner_id, name, version, filter, query, search) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		k.ID, v.Org, v.User, k.Name, SavedVersion, k.Filter, k.Query, k.Search)
	return err
}

// Replace puts k in the place of what the viewer, whose filters are locked, keeps under its id.
func (k Kept) Replace(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	if err := k.allowed(ctx, tx, v); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE saved_filters SET name = $4, version = $5, filter = $6, query = $7, search = $8, updated_at = now()
		WHERE org_id = $1 AND owner_id = $2 AND id = $3`, v.Org, v.User, k.ID, k.Name, SavedVersion, k.Filter, k.Query, k.Search)
	return err
}

// Rename is Replace of the name alone, whichever release has saved the rest.
func (k Kept) Rename(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	if err := k.unusedName(ctx, tx, v); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE saved_filters SET name = $4, updated_at = now() WHERE org_id = $1 AND owner_id = $2 AND id = $3`, v.Org, v.User, k.ID, k.Name)
	return err
}

// Forget deletes what the viewer keeps under k's id.
func (k Kept) Forget(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	_, err := tx.Exec(ctx, `DELETE FROM saved_filters WHERE org_id = $1 AND owner_id = $2 AND id = $3`, v.Org, v.User, k.ID)
	return err
}

// allowed is a Conflict if k may not be kept.
func (k Kept) allowed(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	if err := k.unusedName(ctx, tx, v); err != nil || k.Filter == nil {
		return err
	}
	return k.Filter.Kept(ctx, tx, v)
}

// unusedName is a Conflict if something else that the viewer keeps has the name.
func (k Kept) unusedName(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	var other id.UUID
	var search bool
	err := tx.QueryRow(ctx, `SELECT id, query IS NOT NULL FROM saved_filters WHERE org_id = $1 AND owner_id = $2 AND lower(name) = lower($3) AND id <> $4`,
		v.Org, v.User, k.Name, k.ID).Scan(&other, &search)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	prefix := "filter"
	if search {
		prefix = SearchPrefix
	}
	taken := fault.Conflict("is the name of %s", id.Format(prefix, other)).WithCode("NAME_TAKEN")
	taken.Field = "name"
	return taken
}

// LockSaved locks what the viewer keeps. The membership's row is the lock.
func LockSaved(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	_, err := tx.Exec(ctx, `SELECT FROM memberships WHERE org_id = $1 AND user_id = $2 FOR NO KEY UPDATE`, v.Org, v.User)
	return err
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
	kept := Kept{ID: key.UUID, Name: problems.Line("name", in.Name, 100), Filter: &in.Filter}
	in.Filter.Check(&problems, "filter")
	if err := problems.Err(); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := kept.Keep(ctx, tx, v); err != nil {
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
		if err := LockSaved(ctx, tx, v); err != nil {
			return err
		}
		was, err := page.Get(ctx, tx, v, savedFilters, savedScope(), in.ID.UUID, "saved filter")
		if err != nil {
			return err
		}
		var problems check.Input
		kept := Kept{ID: in.ID.UUID, Name: was.Name, Filter: check.NotNull(&problems, "filter", in.Filter)}
		if name := check.NotNull(&problems, "name", in.Name); name != nil {
			kept.Name = problems.Line("name", *name, 100)
		}
		change := kept.Rename
		if kept.Filter != nil {
			kept.Filter.Check(&problems, "filter")
			change = kept.Replace
		}
		if err := problems.Err(); err != nil {
			return err
		}
		if err := change(ctx, tx, v); err != nil {
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
		if err := (Kept{ID: in.ID.UUID}).Forget(ctx, tx, v); err != nil {
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
		RETURNING f.id, f.query IS NOT NULL`, v.Org, v.User, keys, by.UUID.String(), SavedVersion)
	if err != nil {
		return err
	}
	var entries []audit.Entry
	var key id.UUID
	var search bool
	if _, err := pgx.ForEachRow(rows, []any{&key, &search}, func() error {
		kind := "filter"
		if search {
			kind = SearchPrefix
		}
		entries = append(entries, audit.Entry{Action: kind + ".update", Kind: kind, ID: key, Fields: []string{"filter"}})
		return nil
	}); err != nil || entries == nil {
		return err
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
	f.Check(problems, field)
	stored, err := json.Marshal(f)
	if err != nil { // only a time out of all range does not marshal
		if problems.Err() == nil {
			problems.Fail(field, "cannot be kept")
		}
	}
	return stored
}

// Check checks a filter that is to be kept. Problems are of the given field.
func (f *Filter) Check(problems *check.Input, field string) {
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
}
