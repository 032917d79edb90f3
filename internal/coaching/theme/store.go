package theme

import (
	"strconv"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// themes are the themes as the viewer sees them.
func themes(v auth.Viewer) page.Table[Theme] {
	return page.Table[Theme]{
		From: "themes t" + seen(v),
		ID:   "t.id",
		Columns: "t.id, t.client_id, t.coach_id, coalesce(t.label, t.topic), t.topic, t.merged_into_id, " +
			"seen.insights, seen.sessions, seen.first, seen.last, t.updated_at",
		Dest: func(t *Theme) []any {
			return []any{&t.Grants, &t.ID, &t.ClientID, &t.CoachID, &t.Label, &t.Topic, &t.MergedIntoID,
				&t.InsightCount, &t.SessionCount, &t.FirstSeenAt, &t.LastSeenAt, &t.UpdatedAt}
		},
		Key: func(t *Theme) id.UUID { return t.ID.UUID },
	}
}

var (
	keyID   = page.Key[Theme]{SQL: "t.id", Type: "uuid", Of: func(t *Theme) string { return t.ID.UUID.String() }}
	keyLast = page.Key[Theme]{SQL: "seen.last", Type: "timestamptz", Of: func(t *Theme) string { return page.Time(t.LastSeenAt) }}
	orderBy = map[OrderField]page.Order[Theme]{
		OrderBySessionCount: {Name: "theme-sessions", Keys: []page.Key[Theme]{
			{SQL: "seen.sessions", Type: "int", Of: func(t *Theme) string { return strconv.Itoa(t.SessionCount) }}, keyLast, keyID,
		}},
		OrderByLastSeenAt: {Name: "theme-last", Keys: []page.Key[Theme]{keyLast, keyID}},
		OrderByFirstSeenAt: {Name: "theme-first", Keys: []page.Key[Theme]{
			{SQL: "seen.first", Type: "timestamptz", Of: func(t *Theme) string { return page.Time(t.FirstSeenAt) }}, keyID,
		}},
		OrderByLabel: byLabel,
	}
	byLabel = page.Order[Theme]{Name: "theme-label", Keys: []page.Key[Theme]{
		{SQL: "lower(coalesce(t.label, t.topic))", Type: "text", Of: func(t *Theme) string { return strings.ToLower(t.Label) }}, keyID,
	}}
)

func (o *OrderBy) order() page.Order[Theme] {
	if o == nil {
		return orderBy[OrderBySessionCount].Directed(page.Descending)
	}
	return orderBy[o.Field].Directed(o.Direction)
}

func (f *Filter) where() (w page.Filter) {
	if f == nil {
		f = &Filter{}
	}
	if !f.IncludeMerged {
		w.And("t.merged_into_id IS NULL")
	}
	if f.MinSessions != nil {
		w.And("seen.sessions >= ?", *f.MinSessions)
	}
	if f.SeenAfter != nil {
		w.And("seen.last >= ?", *f.SeenAfter)
	}
	return w
}
