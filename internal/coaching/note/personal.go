package note

import "github.com/rapporthq/rapport/internal/coaching/personal"

const (
	ofClient = "x.note_id IN (SELECT n.id FROM notes n WHERE n.org_id = $1 AND n.client_id = $2"
	// private are the notes and versions that only their author may know of: neither that there are any, nor how many there were.
	private = "x.visibility = 'PRIVATE'"
)

// Personal is what this domain keeps of a client: what anybody has written down about the client. A copy has what was shared, and what the
// client has written; a private note is its author's. Numbers of versions would tell how many were private.
var Personal = []personal.Store{
	{
		Table: "note_mentions", Of: ofClient + ") OR x.user_id = $3",
		Secret: "EXISTS (SELECT FROM notes n WHERE n.org_id = $1 AND n.id = x.note_id AND n.visibility = 'PRIVATE')",
	},
	{
		Table: "note_versions", Of: ofClient + ")", Copy: "note_id, visibility, body, created_at",
		Secret: private,
		Shown:  "x.visibility <> 'PRIVATE' OR x.author_id = $3",
	},
	{
		Table: "notes", Of: "x.client_id = $2", Copy: "id, session_id, visibility, body, created_at, updated_at",
		Secret: private,
		Shown:  "x.visibility <> 'PRIVATE' OR x.author_id = $3",
	},
}
