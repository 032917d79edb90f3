package session

import (
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/personal"
)

// Personal is what this domain keeps of a client. That a session was held, when and how long, stays. One that was planned is called off: its
// coach, who can change nothing about the client any more, has the time for somebody else.
var Personal = []personal.Store{
	// Whoever looks for the client by name has most often given the filter that name. A search names the client with client:, too, by what
	// would find the client, as the client is called or was; where else it does, the name is masked.
	{Table: "saved_filters", Copy: "id, name, query, created_at, updated_at", Shown: "x.owner_id = $3", Of: `x.owner_id = $3 OR x.filter->'clientIds' ? $2::text OR x.filter->'engagementIds' ?| ARRAY(
		SELECT e.id::text FROM engagements e WHERE e.org_id = $1 AND e.client_id = $2)
		OR x.filter->'participantUserIds' ? $3::text OR x.filter->'tagIds' ?| ARRAY(
		SELECT t.id::text FROM tags t JOIN clients c ON c.org_id = $1 AND c.id = $2 AND lower(c.name) = lower(t.name) WHERE t.org_id = $1)
		OR EXISTS (SELECT FROM (SELECT c.name FROM clients c WHERE c.org_id = $1 AND c.id = $2
				UNION ALL SELECT f.value FROM client_formers f WHERE f.org_id = $1 AND f.client_id = $2 AND f.value NOT LIKE '%@%') AS c,
			regexp_matches(translate(lower(x.query), '“”„«»|', '""""" '), 'client:(?:"([^"]+)"|([^[:space:]\u00a0()"]+))', 'g') AS named
			WHERE ` + client.Called("c.name", "nullif("+client.Folded("coalesce(named[1], named[2])")+", '')") + `)`},
	// What was on the agenda of a session of several clients, and went on to one of another's.
	{Table: "agenda_topics", Of: `x.id IN (
		WITH RECURSIVE carried AS (
			SELECT c.id FROM agenda_topics a JOIN agenda_topics c ON c.org_id = $1 AND c.carried_from = a.id WHERE a.org_id = $1 AND ` + personal.OfSession("a.session_id") + `
			UNION SELECT c.id FROM carried JOIN agenda_topics c ON c.org_id = $1 AND c.carried_from = carried.id)
		SELECT id FROM carried)`},
	{Table: "agenda_topics", Of: personal.OfSession("x.session_id"), Copy: "session_id, title, notes, status, created_at"},
	{
		Table: "participants", Of: "(x.client_id = $2 OR x.user_id = $3)", Clear: "name = '" + client.Erased + "', user_id = NULL", Dirty: "x.name <> '" + client.Erased + "'",
		Copy: "session_id, name, role, consents",
	},
	{
		Table: "sessions", Of: "x.client_id = $2", Clear: `title = NULL, cancellation_reason = NULL, status = CASE x.status WHEN 'SCHEDULED' THEN 'CANCELLED' ELSE x.status END,
			cancelled_at = CASE x.status WHEN 'SCHEDULED' THEN now() ELSE x.cancelled_at END,
			cancelled_by = CASE x.status WHEN 'SCHEDULED' THEN 'ENGAGEMENT' ELSE x.cancelled_by END,
			cancelled_late = CASE x.status WHEN 'SCHEDULED' THEN false ELSE x.cancelled_late END`,
		Dirty: "(x.title IS NOT NULL OR x.cancellation_reason IS NOT NULL OR x.status = 'SCHEDULED')",
		Copy:  "id, number, type, status, title, starts_at, duration_minutes, cancelled_at, cancelled_by, cancellation_reason",
	},
}
