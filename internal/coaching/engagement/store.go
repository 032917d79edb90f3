package engagement

import (
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var engagements = page.Table[Engagement]{
	From:    "engagements e",
	ID:      "e.id",
	Columns: "e.id, e.client_id, e.coach_id, e.title, e.status, e.sessions_included, e.starts_on, e.ends_on, e.reopened_by, e.reopen_reason, e.reopened_at, e.archived_at, e.created_at, e.updated_at",
	Dest: func(e *Engagement) []any {
		return []any{&e.Grants, &e.ID, &e.ClientID, &e.CoachID, &e.Title, &e.Status, &e.SessionsIncluded, &e.StartsOn, &e.EndsOn, &e.ReopenedBy, &e.ReopenReason, &e.ReopenedAt, &e.ArchivedAt, &e.CreatedAt, &e.UpdatedAt}
	},
	Key: func(e *Engagement) id.UUID { return e.ID.UUID },
}

var orderBy = map[OrderField]page.Order[Engagement]{
	OrderByCreatedAt: {Name: "engagement-created", Keys: []page.Key[Engagement]{
		{SQL: "e.created_at", Type: "timestamptz", Of: func(e *Engagement) string { return page.Time(e.CreatedAt) }},
		{SQL: "e.id", Type: "uuid", Of: func(e *Engagement) string { return e.ID.UUID.String() }},
	}},
}

func (o *OrderBy) order() page.Order[Engagement] {
	if o == nil {
		return orderBy[OrderByCreatedAt].Directed(page.Descending)
	}
	return orderBy[o.Field].Directed(o.Direction)
}

func (f *Filter) where() (w page.Filter) {
	if f == nil || !f.IncludeArchived {
		w.And("e.archived_at IS NULL")
	}
	if f == nil {
		return w
	}
	if f.ClientIds != nil {
		w.And("e.client_id = ANY(?)", f.ClientIds)
	}
	if f.CoachIds != nil {
		w.And("e.coach_id = ANY(?)", f.CoachIds)
	}
	if f.Statuses != nil {
		w.And("e.status = ANY(?)", f.Statuses)
	}
	return w
}
