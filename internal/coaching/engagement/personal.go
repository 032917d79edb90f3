package engagement

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client. Dates and states stay; what an engagement is called may say what it is about.
var Personal = []personal.Store{{
	Table: "engagements", Of: "x.client_id = $2", Clear: "title = 'Erased'", Dirty: "x.title <> 'Erased'",
	Copy: "title, status, starts_on, ends_on, sessions_included, created_at",
}}
