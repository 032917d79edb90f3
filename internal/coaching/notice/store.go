package notice

import (
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var notifications = page.Table[Notification]{
	From:    "notifications nt LEFT JOIN email_deliveries d ON d.org_id = $1 AND d.id = nt.delivery_id",
	ID:      "nt.id",
	Columns: "nt.id, nt.type, nt.subject, nt.subject_id, nt.session_id, nt.client_id, nt.actor_id, d.state, nt.created_at, nt.read_at, nt.until",
	Dest: func(n *Notification) []any {
		return []any{&n.Grants, &n.ID, &n.Type, &n.Subject.Prefix, &n.Subject.UUID, &n.SessionID, &n.ClientID, &n.ActorID, &n.EmailState, &n.CreatedAt, &n.ReadAt, &n.until}
	},
	Key: func(n *Notification) id.UUID { return n.ID.UUID },
}

var newestFirst = page.Order[Notification]{Name: "notification-created", Keys: []page.Key[Notification]{
	{SQL: "nt.created_at", Type: "timestamptz", Desc: true, Of: func(n *Notification) string { return page.Time(n.CreatedAt) }},
	{SQL: "nt.id", Type: "uuid", Desc: true, Of: func(n *Notification) string { return n.ID.UUID.String() }},
}}

// Filter selects notifications: all conditions must hold, each list matches any of its values.
type Filter struct {
	UnreadOnly bool
	Types      []Type
}

func (f *Filter) where() (w page.Filter) {
	if f == nil {
		return w
	}
	if f.UnreadOnly {
		w.And("nt.read_at IS NULL")
	}
	if f.Types != nil {
		w.And("nt.type = ANY(?)", f.Types)
	}
	return w
}
