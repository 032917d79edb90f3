package theme

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client: what comes up in the client's conversations, and what the coach calls it. It goes with
// the insights.
var Personal = []personal.Store{{Table: "themes", Of: "x.client_id = $2", Copy: "id, topic, label, merged_into_id, created_at"}}
