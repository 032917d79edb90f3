package note

import (
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

const about = " JOIN clients c ON c.org_id = $1 AND c.id = n.client_id LEFT JOIN engagements e ON e.org_id = $1 AND e.id = n.engagement_id"

var notes = page.Table[Note]{
	From:    "notes n" + about,
	ID:      "n.id",
	Columns: "n.id, n.author_id, n.client_id, n.engagement_id, n.session_id, n.visibility, n.version, n.body, n.archived_at, n.created_at, n.updated_at",
	Dest: func(n *Note) []any {
		return []any{&n.Grants, &n.ID, &n.AuthorID, &n.ClientID, &n.EngagementID, &n.SessionID, &n.Visibility, &n.Version, &n.Body, &n.ArchivedAt, &n.CreatedAt, &n.UpdatedAt}
	},
	Key: func(n *Note) id.UUID { return n.ID.UUID },
}

var (
	keyID   = page.Key[Note]{SQL: "n.id", Type: "uuid", Of: func(n *Note) string { return n.ID.UUID.String() }}
	orderBy = map[OrderField]page.Order[Note]{
		OrderByCreatedAt: {Name: "note-created", Keys: []page.Key[Note]{
			{SQL: "n.created_at", Type: "timestamptz", Of: func(n *Note) string { return page.Time(n.CreatedAt) }}, keyID,
		}},
		OrderByUpdatedAt: {Name: "note-updated", Keys: []page.Key[Note]{
			{SQL: "n.updated_at", Type: "timestamptz", Of: func(n *Note) string { return page.Time(n.UpdatedAt) }}, keyID,
		}},
	}
)

func (o *OrderBy) order() page.Order[Note] {
	if o == nil {
		return orderBy[OrderByCreatedAt].Directed(page.Descending)
	}
	return orderBy[o.Field].Directed(o.Direction)
}

func (f *Filter) where(v auth.Viewer) (w page.Filter) {
	if f == nil || !f.IncludeArchived {
		w.And("n.archived_at IS NULL")
	}
	if f == nil {
		return w
	}
	if f.ClientIds != nil {
		w.And("n.client_id = ANY(?)", f.ClientIds)
	}
	if f.EngagementIds != nil {
		w.And("n.engagement_id = ANY(?)", f.EngagementIds)
	}
	if f.SessionIds != nil {
		w.And("n.session_id = ANY(?)", f.SessionIds)
	}
	if f.AuthorIds != nil {
		w.And("n.author_id = ANY(?)", f.AuthorIds)
	}
	if f.Visibilities != nil {
		w.And("n.visibility = ANY(?)", f.Visibilities)
	}
	if f.TagIds != nil {
		w.And(tag.Carries(v, "note_id", "n.id"), f.TagIds)
	}
	return w
}

var versions = page.Table[Version]{
	From:    "note_versions nv JOIN notes n ON n.org_id = $1 AND n.id = nv.note_id" + about,
	ID:      "nv.id",
	Columns: "nv.id, nv.note_id, nv.number, nv.author_id, nv.visibility, nv.body, nv.created_at",
	Dest: func(v *Version) []any {
		return []any{&v.Grants, &v.ID, &v.NoteID, &v.Number, &v.AuthorID, &v.Visibility, &v.Body, &v.CreatedAt}
	},
	Key: func(v *Version) id.UUID { return v.ID.UUID },
}

// By time and id: the number would stand in the cursor, and tell others how many versions they do not see.
var latestVersionFirst = page.Order[Version]{Name: "note-version", Keys: []page.Key[Version]{
	{SQL: "nv.created_at", Type: "timestamptz", Desc: true, Of: func(v *Version) string { return page.Time(v.CreatedAt) }},
	{SQL: "nv.id", Type: "uuid", Desc: true, Of: func(v *Version) string { return v.ID.UUID.String() }},
}}
