package consent

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client. That somebody has agreed, to which text and until when, must be provable after an
// erasure, too; the records name nobody.
var Personal = []personal.Store{{
	Table: "consents", Of: "x.client_id = $2", Clear: "withdrawn_at = now()", Dirty: "x.withdrawn_at IS NULL",
	Copy: "scope, text_version, source, given_at, withdrawn_at",
}}
