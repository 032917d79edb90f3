package tag

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client: which tags others have put on things of the client. The tags are a coach's own
// vocabulary and stay.
var Personal = []personal.Store{{Table: "taggings", Of: "x.client_id = $2 OR " + personal.OfSession("x.session_id") +
	" OR x.note_id IN (SELECT n.id FROM notes n WHERE n.org_id = $1 AND n.client_id = $2)",
	Secret: "EXISTS (SELECT FROM notes n WHERE n.org_id = $1 AND n.id = x.note_id AND n.visibility = 'PRIVATE')"}}
