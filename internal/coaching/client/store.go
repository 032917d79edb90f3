package client

import (
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

var clients = page.Table[Client]{
	From:    "clients c",
	ID:      "c.id",
	Columns: "c.id, c.coach_id, c.user_id, c.name, c.email, c.lifecycle, c.legal_hold, c.archived_at, c.created_at, c.updated_at",
	Dest: func(c *Client) []any {
		return []any{&c.Grants, &c.ID, &c.CoachID, &c.UserID, &c.Name, &c.Email, &c.Lifecycle, &c.LegalHold, &c.ArchivedAt, &c.CreatedAt, &c.UpdatedAt}
	},
	Key: func(c *Client) id.UUID { return c.ID.UUID },
}

var (
	keyID   = page.Key[Client]{SQL: "c.id", Type: "uuid", Of: func(c *Client) string { return c.ID.UUID.String() }}
	orderBy = map[OrderField]page.Order[Client]{
		OrderByName: {Name: "client-name", Keys: []page.Key[Client]{
			{SQL: "c.name", Type: "text", Of: func(c *Client) string { return c.Name }}, keyID,
		}},
		OrderByCreatedAt: {Name: "client-created", Keys: []page.Key[Client]{
			{SQL: "c.created_at", Type: "timestamptz", Of: func(c *Client) string { return page.Time(c.CreatedAt) }}, keyID,
		}},
	}
)

func (o *OrderBy) order() page.Order[Client] {
	if o == nil {
		return orderBy[OrderByName]
	}
	return orderBy[o.Field].Directed(o.Direction)
}

// likeEscaper makes what a person types literal in a LIKE pattern.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Called is the SQL for whether a part of a name begins as a person says: with what Calling makes of that.
func Called(column, calling string) string {
	return "' ' || " + Folded(column) + " LIKE '% ' || " + calling + " || '%'"
}

// Calling is what a person says of a name, as Called takes it; of what has no word it is what no name has.
func Calling(said string) string {
	words := strings.Join(textsearch.Words(said), " ")
	if words == "" {
		return "\n"
	}
	return likeEscaper.Replace(words)
}

// Folded is the SQL for the words of a name, one blank between two: textsearch.Words of it, as far as names go.
func Folded(column string) string {
	return `btrim(regexp_replace(translate(replace(replace(replace(replace(lower(regexp_replace(normalize(` + column + `, NFKD), '[\u0300-\u036f]', '', 'g')),
		'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'øłđıð’‘ʼ', 'oldid'''''''), '''*([ !-&(-/:-@[-_{-~‐–—]+''*)+', ' ', 'g'), ' ''')`
}

func (f *Filter) where(v auth.Viewer, scope *page.Scope) (w page.Filter) {
	if f == nil || !f.IncludeArchived {
		w.And("c.archived_at IS NULL")
	}
	if f == nil {
		return w
	}
	if f.NameStartsWith != nil {
		w.And("c.name ILIKE ?", likeEscaper.Replace(*f.NameStartsWith)+"%")
	}
	if f.Called != nil {
		w.And(Called("c.name", "?"), Calling(*f.Called))
	}
	if f.Lifecycles != nil {
		w.And("c.lifecycle = ANY(?) AND "+scope.Through(auth.AsAdmin|auth.AsCoach|auth.AsSupervisor), f.Lifecycles)
	}
	if f.CoachIds != nil {
		w.And("c.coach_id = ANY(?)", f.CoachIds)
	}
	if f.TagIds != nil {
		w.And(tag.Carries(v, "client_id", "c.id"), f.TagIds)
	}
	return w
}
