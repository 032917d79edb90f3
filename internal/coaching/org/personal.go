package org

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client: that somebody was invited at an address of the client's, or one of before. The login itself is privacy's to erase,
// who knows whether it is anything else.
var Personal = []personal.Store{{
	Table: "invitations",
	Of: "lower(x.email) IN (SELECT lower(c.email) FROM clients c WHERE c.org_id = $1 AND c.id = $2 " +
		"UNION ALL SELECT lower(f.value) FROM client_formers f WHERE f.org_id = $1 AND f.client_id = $2 " +
		"UNION ALL SELECT lower(u.email) FROM users u WHERE u.id = $3)",
}}
