package search

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// A saved search is a request that somebody keeps under a name, beside the filters of sessions (session.Kept): what becomes of a name, a
// merged tag or an erased client is the same for both. What is kept is what was asked and not what was found: each run is a search like
// any other, of what its owner may see then.

// SavedID identifies a saved search: savedsearch_….
type SavedID struct{ id.UUID }

func (i SavedID) String() string { return id.Format(session.SearchPrefix, i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i SavedID) MarshalGQL(w io.Writer) { id.Write(w, session.SearchPrefix, i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *SavedID) UnmarshalGQL(v any) error { return id.Read(v, session.SearchPrefix, &i.UUID) }

// Saved is a search that somebody keeps under a name.
type Saved struct {
	auth.Grants
	Manner
	ID        SavedID
	Name      string
	Query     string
	CreatedAt time.Time
	UpdatedAt time.Time
	version   int
	filter    []byte // nil is none
}

// Manner is how a saved search looks for its query. As JSON it is what is kept.
type Manner struct {
	Mode    Mode     `json:"mode"`
	Kinds   []Kind   `json:"kinds,omitzero"` // nil is all
	GroupBy *GroupBy `json:"groupBy,omitzero"`
	OrderBy Order    `json:"orderBy"`
}

// IsNode marks a Relay node.
func (*Saved) IsNode() {}

// Filter reads in which sessions is searched; nil is in all.
func (s *Saved) Filter() (*session.Filter, error) {
	if s.version > session.SavedVersion {
		return nil, fault.Conflict("the search was saved by a later release")
	}
	if s.filter == nil {
		return nil, nil
	}
	return session.ReadFilter(s.filter)
}

// request is what the search asks for: its first hits, without counts.
func (s *Saved) request() (Request, error) {
	f, err := s.Filter()
	return Request{Query: s.Query, Filter: f, Kinds: s.Kinds, Mode: s.Mode, GroupBy: s.GroupBy, Order: s.OrderBy}, err
}

// CreateSavedInput is a new saved search.
type CreateSavedInput struct {
	Name    string
	Query   string
	Filter  *session.Filter
	Mode    Mode
	Kinds   []Kind
	GroupBy *GroupBy
	OrderBy Order
}

// UpdateSavedInput changes a saved search: a field that is nil stays as it is, one that points to nil is cleared.
type UpdateSavedInput struct {
	ID      SavedID
	Name    **string
	Query   **string
	Filter  **session.Filter
	Mode    **Mode
	Kinds   **[]Kind
	GroupBy **GroupBy
	OrderBy **Order
}

// DeleteSavedInput deletes a saved search.
type DeleteSavedInput struct{ ID SavedID }

var saved = page.Table[Saved]{
	From:    "saved_filters f",
	ID:      "f.id",
	Columns: "f.id, f.name, f.version, f.filter, f.query, f.search, f.created_at, f.updated_at",
	Dest: func(s *Saved) []any {
		return []any{&s.Grants, &s.ID, &s.Name, &s.version, &s.filter, &s.Query, &s.Manner, &s.CreatedAt, &s.UpdatedAt}
	},
	Key: func(s *Saved) id.UUID { return s.ID.UUID },
}

// savedByName lists all of a person's, so that it is never a page's order.
var savedByName = page.Order[Saved]{Name: "savedsearch", Keys: []page.Key[Saved]{{SQL: "lower(f.name)", Type: "text"}, {SQL: "f.id", Type: "uuid"}}}

// savedScope: a saved search is its owner's alone.
func savedScope() *page.Scope {
	s := page.NewScope("f.org_id")
	s.Allow(auth.AsSelf, "f.owner_id = $2 AND f.query IS NOT NULL")
	return s
}

// Saved returns the viewer's searches, by name.
func (s *Service) Saved(ctx context.Context) ([]*Saved, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.All(ctx, s.db, v, saved, savedScope(), page.Filter{}, savedByName)
}

// SavedByIDs returns those of the searches that are the viewer's.
func (s *Service) SavedByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Saved, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, saved, savedScope(), ids)
}

// Run is Search of what is saved.
func (s *Service) Run(ctx context.Context, saved *Saved, facets []*FacetInput, first *int, after *string) (*Result, error) {
	r, err := saved.request()
	if err != nil {
		return nil, err
	}
	r.Facets, r.First, r.After = facets, first, after
	return s.Search(ctx, r)
}

// CreateSaved saves a search.
func (s *Service) CreateSaved(ctx context.Context, in CreateSavedInput) (_ *Saved, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	key := SavedID{id.New()}
	defer fault.Wrap(&err, "search.CreateSaved(%s)", key)
	kept, err := keep(key, in.Name, Request{Query: in.Query, Filter: in.Filter, Kinds: in.Kinds, Mode: in.Mode, GroupBy: in.GroupBy, Order: in.OrderBy})
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := kept.Keep(ctx, tx, v); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "savedsearch.create", Kind: session.SearchPrefix, ID: key.UUID})
	})
	if err != nil {
		return nil, err
	}
	return s.saved(ctx, s.db, v, key)
}

// UpdateSaved changes a saved search. It is checked as a whole: a query that was saved to be ordered by time may not fit with a new mode.
func (s *Service) UpdateSaved(ctx context.Context, in UpdateSavedInput) (_ *Saved, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "search.UpdateSaved(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := session.LockSaved(ctx, tx, v); err != nil {
			return err
		}
		was, err := s.saved(ctx, tx, v, in.ID)
		if err != nil {
			return err
		}
		change, err := in.change(was)
		if err != nil {
			return err
		}
		if err := change(ctx, tx, v); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "savedsearch.update", Kind: session.SearchPrefix, ID: in.ID.UUID, Fields: audit.Given(in)})
	})
	if err != nil {
		return nil, err
	}
	return s.saved(ctx, s.db, v, in.ID)
}

// change is what to do for the input to what is saved. A name alone is changed whichever release has saved the rest.
func (in UpdateSavedInput) change(was *Saved) (func(context.Context, pgx.Tx, auth.Viewer) error, error) {
	var problems check.Input
	if name := check.NotNull(&problems, "name", in.Name); name != nil {
		was.Name = *name
	}
	if in.Query == nil && in.Filter == nil && in.Mode == nil && in.Kinds == nil && in.GroupBy == nil && in.OrderBy == nil {
		renamed := session.Kept{ID: was.ID.UUID, Name: problems.Line("name", was.Name, maxName)}
		return renamed.Rename, problems.Err()
	}
	r, err := was.request()
	if err != nil {
		return nil, err
	}
	if query := check.NotNull(&problems, "query", in.Query); query != nil {
		r.Query = *query
	}
	if mode := check.NotNull(&problems, "mode", in.Mode); mode != nil {
		r.Mode = *mode
	}
	if order := check.NotNull(&problems, "orderBy", in.OrderBy); order != nil {
		r.Order = *order
	}
	if in.Filter != nil {
		r.Filter = *in.Filter
	}
	if in.GroupBy != nil {
		r.GroupBy = *in.GroupBy
	}
	if kinds := check.NotNull(&problems, "kinds", in.Kinds); kinds != nil {
		r.Kinds = *kinds
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	kept, err := keep(was.ID, was.Name, r)
	return kept.Replace, err
}

// DeleteSaved deletes a saved search, and returns it as it was.
func (s *Service) DeleteSaved(ctx context.Context, in DeleteSavedInput) (was *Saved, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "search.DeleteSaved(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if was, err = s.saved(ctx, tx, v, in.ID); err != nil {
			return err
		}
		if err := (session.Kept{ID: in.ID.UUID}).Forget(ctx, tx, v); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "savedsearch.delete", Kind: session.SearchPrefix, ID: in.ID.UUID})
	})
	return was, err
}

func (s *Service) saved(ctx context.Context, db page.Querier, v auth.Viewer, key SavedID) (*Saved, error) {
	return page.Get(ctx, db, v, saved, savedScope(), key.UUID, "saved search")
}

const (
	maxName  = 100 // characters
	maxKinds = 10  // of a search, saved or not
)

// keep is a request as it is saved under a name: one that can be answered.
func keep(key SavedID, name string, r Request) (session.Kept, error) {
	var problems check.Input
	name, r.Query = problems.Line("name", name, maxName), problems.Text("query", r.Query, maxQuery)
	switch n := len(r.Kinds); {
	case n == 0:
		r.Kinds = nil // as it is read: an empty list that is kept is all
	case n > maxKinds:
		problems.Fail("kinds", "must name at most %d kinds, names %d", maxKinds, n)
	}
	if r.Filter != nil {
		r.Filter.Check(&problems, "filter")
	}
	if err := problems.Err(); err != nil {
		return session.Kept{}, err
	}
	if _, err := r.read(); err != nil {
		return session.Kept{}, err
	}
	how, err := json.Marshal(Manner{Mode: r.Mode, Kinds: r.Kinds, GroupBy: r.GroupBy, OrderBy: r.Order})
	return session.Kept{ID: key.UUID, Name: name, Filter: r.Filter, Query: &r.Query, Search: how}, err
}
