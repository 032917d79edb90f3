package transcript

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client beside the transcripts, which Remove removes: how the client is called in recordings.
//
// Another client's recorder may name this one, in a session of both: whoever is not called as that client is, there, goes; and who is called
// by the full name, anywhere.
var Personal = []personal.Store{
	{Table: "remembered_speakers", Of: `x.client_id <> $2 AND (
		EXISTS (SELECT FROM clients c WHERE c.org_id = $1 AND c.id = $2 AND position(' ' IN btrim(c.name)) > 0
			AND (position(lower(c.name) IN lower(x.display_name)) > 0 OR position(lower(c.name) IN x.label) > 0))
		OR x.role <> 'COACH' AND EXISTS (SELECT FROM sessions s JOIN participants p ON p.org_id = $1 AND p.session_id = s.id JOIN clients o ON o.org_id = $1 AND o.id = s.client_id
			WHERE s.org_id = $1 AND s.client_id = x.client_id AND s.coach_id = x.coach_id AND p.client_id = $2 AND lower(o.name) <> lower(x.display_name)))`},
	{Table: "remembered_speakers", Of: "x.client_id = $2", Copy: "label, display_name, role"},
}
