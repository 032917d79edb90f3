package engagement

import "github.com/rapporthq/rapport/internal/coaching/personal"

// open are the states of an engagement that goes on.
const open = "('DRAFT', 'ACTIVE', 'PAUSED')"

// Personal is what this domain keeps of a client. Dates and states stay, but that there is nothing any more to go on with; what an
// engagement is called may say what it is about.
var Personal = []personal.Store{{
	Table: "engagements", Of: "x.client_id = $2",
	Clear: "title = 'Erased', reopen_reason = CASE WHEN x.reopen_reason IS NOT NULL THEN 'Erased' END, status = CASE WHEN x.status IN " + open + " THEN 'CANCELLED' ELSE x.status END",
	Dirty: "(x.title <> 'Erased' OR x.reopen_reason <> 'Erased' OR x.status IN " + open + ")",
	Copy:  "title, status, starts_on, ends_on, sessions_included, created_at",
}}
