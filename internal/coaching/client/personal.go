package client

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Erased is what somebody is called who wanted to be forgotten.
const Erased = "Erased client"

// Personal is what this domain keeps of a client. The row stays, because engagements and sessions have dates that the practice must be
// able to account for; who it was does not.
var Personal = []personal.Store{{Table: "client_formers", Of: "x.client_id = $2", Copy: "value, until"}, {
	Table: "clients", Of: "x.id = $2",
	Clear: "name = '" + Erased + "', email = NULL, user_id = NULL, lifecycle = 'CHURNED', archived_at = coalesce(x.archived_at, now())",
	Dirty: "(x.name <> '" + Erased + "' OR x.email IS NOT NULL OR x.user_id IS NOT NULL)",
	Copy:  "name, email, lifecycle, created_at",
}}
