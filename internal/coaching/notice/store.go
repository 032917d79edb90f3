package notice

import (
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var notifications = page.Table[Notification]{
	From:    "notifications n LEFT JOIN email_deliveries d ON d.org_id = $1 AND d.id = n.delivery_id",
	ID:      "n.id",
	Columns: "n.id, n.type, n.subject, n.subject_id, n.session_id, n.client_id, n.actor_id, d.state, n.created_at, n.read_at",
	Dest: func(n *Notification) []any {
		return []any{&n.Grants, &n.ID, &n.Type, &n.Subject.Prefix, &n.Subject.UUID, &n.SessionID, &n.ClientID, &n.ActorID, &n.EmailState, &n.CreatedAt, &n.ReadAt}
	},
	Key: func(n *Notification) id.UUID { return n.ID.UUID },
}

var newestFirst = page.Order[Notification]{Name: "notification-created", Keys: []page.Key[Notification]{
	{SQL: "n.created_at", Type: "timestamptz", Desc: true, Of: func(n *Notification) string { return page.Time(n.CreatedAt) }},
	{SQL: "n.id", Type: "uuid", Desc: true, Of: func(n *Notification) string { return n.ID.UUID.String() }},
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
		w.And("n.read_at IS NULL")
	}
	if f.Types != nil {
		w.And("n.type = ANY(?)", f.Types)
	}
	return w
}
