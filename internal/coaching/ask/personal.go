package ask

import "github.com/rapporthq/rapport/internal/coaching/personal"

// mine is the condition that a thread t is the client's own, or about the client.
const mine = `t.owner_id = $3 OR t.client_id = $2
	OR t.engagement_id IN (SELECT e.id FROM engagements e WHERE e.org_id = $1 AND e.client_id = $2)
	OR t.session_id IN (SELECT s.id FROM sessions s WHERE s.org_id = $1 AND (s.client_id = $2 OR EXISTS (
		SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = s.id AND p.client_id = $2 AND p.role = 'CLIENT')))
	OR t.filter->'clientIds' ? $2::text OR t.filter->'engagementIds' ?| ARRAY(SELECT e.id::text FROM engagements e WHERE e.org_id = $1 AND e.client_id = $2)
	OR t.filter->'participantUserIds' ? $3::text`

const (
	ofThread  = `x.thread_id IN (SELECT t.id FROM ask_threads t WHERE t.org_id = $1 AND (` + mine + `))`
	ofMessage = `x.message_id IN (SELECT m.id FROM ask_messages m JOIN ask_threads t ON t.org_id = $1 AND t.id = m.thread_id WHERE m.org_id = $1 AND (` + mine + `))`
	own       = ` IN (SELECT t.id FROM ask_threads t WHERE t.org_id = $1 AND t.owner_id = $3)`
)

// Personal is what this domain keeps of a client: what the client has asked, and what others have asked about the client alone. A copy has the
// former; what others ask themselves is theirs, as a private note is. Answers that quote the client go with the conversations.
var Personal = []personal.Store{
	{
		Table: "ask_answers", Of: ofMessage, Copy: "message_id, sentences",
		Shown: `EXISTS (SELECT FROM ask_messages m WHERE m.org_id = $1 AND m.id = x.message_id AND m.thread_id` + own + `)`,
	},
	{Table: "ask_sources", Of: ofMessage}, // after the answers, which without them would be of nothing
	{Table: "ask_messages", Of: ofThread, Secret: `x.thread_id NOT` + own, Copy: "id, thread_id, question, status, created_at, finished_at", Shown: `x.thread_id` + own},
	{Table: "ask_threads", Of: `EXISTS (SELECT FROM ask_threads t WHERE t.org_id = $1 AND t.id = x.id AND (` + mine + `))`, Secret: `x.owner_id IS DISTINCT FROM $3`, Copy: "id, created_at, asked_at", Shown: `x.owner_id = $3`},
}
