package note

import "github.com/rapporthq/rapport/internal/coaching/personal"

const ofClient = "x.note_id IN (SELECT n.id FROM notes n WHERE n.org_id = $1 AND n.client_id = $2"

// Personal is what this domain keeps of a client: what anybody has written down about the client. A copy has what was shared, and what the
// client has written; a private note is its author's.
var Personal = []personal.Store{
	{Table: "note_mentions", Of: ofClient + ") OR x.user_id = $3"},
	{
		Table: "note_versions", Of: ofClient + ")", Copy: "note_id, number, visibility, body, created_at",
		Shown: "x.visibility <> 'PRIVATE' OR x.author_id = $3",
	},
	{
		Table: "notes", Of: "x.client_id = $2", Copy: "id, session_id, visibility, version, body, created_at, updated_at",
		Shown: "x.visibility <> 'PRIVATE' OR x.author_id = $3",
	},
}
