package engagement

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client. Dates and states stay; what an engagement is called may say what it is about.
var Personal = []personal.Store{{
	Table: "engagements", Of: "x.client_id = $2",
	Clear: "title = 'Erased', reopen_reason = CASE WHEN x.reopen_reason IS NOT NULL THEN 'Erased' END",
	Dirty: "(x.title <> 'Erased' OR x.reopen_reason <> 'Erased')",
	Copy:  "title, status, starts_on, ends_on, sessions_included, created_at",
}}
