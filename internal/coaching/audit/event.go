package audit

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies a line of the trail: audit_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("audit", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "audit", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "audit", &i.UUID) }

// Event is a line of the trail.
type Event struct {
	auth.Grants
	ID        ID
	At        time.Time
	ActorID   *id.UUID // nil: the system, or an operator
	RequestID string
	Action    string
	Kind      string
	entity    id.UUID
	ClientID  *id.UUID
	Fields    []string
	Sequence  *int64 // nil until it is sealed
}

// IsNode marks a Relay node.
func (*Event) IsNode() {}

// EntityID is the thing that something was done to.
func (e *Event) EntityID() id.Any { return id.Any{Prefix: e.Kind, UUID: e.entity} }

// Request is the request in which it was done; nil outside one.
func (e *Event) Request() *string {
	if e.RequestID == "" {
		return nil
	}
	return &e.RequestID
}

// Filter selects lines: all conditions must hold, each list matches any of its values.
type Filter struct {
	ActorIds  []id.Any
	Actions   []string
	Kinds     []string
	EntityIds []id.Any
	ClientIds []id.Any
	After     *time.Time
	Before    *time.Time
}

func (f *Filter) where() (w page.Filter) {
	if f == nil {
		return w
	}
	if f.ActorIds != nil {
		w.And("a.actor_id = ANY(?)", only("user", f.ActorIds))
	}
	if f.Actions != nil {
		w.And("a.action = ANY(?)", f.Actions)
	}
	if f.Kinds != nil {
		w.And("a.kind = ANY(?)", f.Kinds)
	}
	if f.EntityIds != nil {
		w.And("a.entity_id = ANY(?)", only("", f.EntityIds))
	}
	if f.ClientIds != nil {
		w.And("a.client_id = ANY(?)", only("client", f.ClientIds))
	}
	if f.After != nil {
		w.And("a.at >= ?", *f.After)
	}
	if f.Before != nil {
		w.And("a.at < ?", *f.Before)
	}
	return w
}

// only are the ids with that prefix: of another kind there is nothing to find.
func only(prefix string, ids []id.Any) []id.UUID {
	found := []id.UUID{}
	for _, i := range ids {
		if prefix == "" || i.Prefix == prefix {
			found = append(found, i.UUID)
		}
	}
	return found
}

// scope: owners and admins.
func scope(v auth.Viewer) *page.Scope {
	s := page.NewScope("a.org_id")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	return s
}

var events = page.Table[Event]{
	From:    "audit_events a",
	ID:      "a.id",
	Columns: "a.id, a.at, a.actor_id, a.request_id, a.action, a.kind, a.entity_id, a.client_id, a.fields, a.seq",
	Dest: func(e *Event) []any {
		return []any{&e.Grants, &e.ID, &e.At, &e.ActorID, &e.RequestID, &e.Action, &e.Kind, &e.entity, &e.ClientID, &e.Fields, &e.Sequence}
	},
	Key: func(e *Event) id.UUID { return e.ID.UUID },
}

var latestFirst = page.Order[Event]{Name: "audit-at", Keys: []page.Key[Event]{
	{SQL: "a.at", Type: "timestamptz", Desc: true, Of: func(e *Event) string { return page.Time(e.At) }},
	{SQL: "a.id", Type: "uuid", Desc: true, Of: func(e *Event) string { return e.ID.UUID.String() }},
}}
