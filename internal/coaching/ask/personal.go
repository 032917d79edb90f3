package ask

import (
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/personal"
)

// about is the condition that a thread t is about a client.
func about(client string) string {
	return strings.ReplaceAll(`(t.client_id = $client
	OR t.engagement_id IN (SELECT e.id FROM engagements e WHERE e.org_id = $1 AND e.client_id = $client)
	OR t.session_id IN (SELECT s.id FROM sessions s WHERE s.org_id = $1 AND (s.client_id = $client OR EXISTS (
		SELECT FROM participants p WHERE p.org_id = $1 AND p.session_id = s.id AND p.client_id = $client AND p.role = 'CLIENT')))
	OR t.filter->'clientIds' ? $client::text OR t.filter->'engagementIds' ?| ARRAY(SELECT e.id::text FROM engagements e WHERE e.org_id = $1 AND e.client_id = $client))`,
		"$client", client)
}

// mine is the condition that a thread t is the client's own, or about the client.
var mine = `t.owner_id = $3 OR t.filter->'participantUserIds' ? $3::text OR ` + about("$2")

var (
	ofThread  = `x.thread_id IN (SELECT t.id FROM ask_threads t WHERE t.org_id = $1 AND (` + mine + `))`
	ofMessage = `x.message_id IN (SELECT m.id FROM ask_messages m JOIN ask_threads t ON t.org_id = $1 AND t.id = m.thread_id WHERE m.org_id = $1 AND (` + mine + `))`
	own       = ` IN (SELECT t.id FROM ask_threads t WHERE t.org_id = $1 AND t.owner_id = $3)`
)

// Erased is what a question is called that told of somebody who wanted to be forgotten.
const Erased = "Erased question"

// Personal is what this domain keeps of a client: what the client has asked, and what others have asked about the client alone. A copy has the
// former; what others ask themselves is theirs, as a private note is. Answers that quote the client go with the conversations, and the words of
// their questions before them: who was asked about as "Amara" is named by no pattern, but by what was answered. One that is being answered
// ends, for it would be answered anew, as what it is called then.
var Personal = []personal.Store{
	{
		Table: "ask_messages", Before: true, Secret: "true",
		Of:    `x.id IN (SELECT q.message_id FROM ask_sources q JOIN transcripts t ON t.org_id = $1 AND t.id = q.transcript_id WHERE q.org_id = $1 AND ` + personal.Heard + `)`,
		Clear: "question = '" + Erased + "', status = 'ANSWERED', failure_code = NULL, finished_at = coalesce(x.finished_at, now())",
		Dirty: "(x.question <> '" + Erased + "' OR x.status <> 'ANSWERED')",
	},
	{
		Table: "ask_answers", Of: ofMessage, Copy: "message_id, sentences",
		Shown: `EXISTS (SELECT FROM ask_messages m WHERE m.org_id = $1 AND m.id = x.message_id AND m.thread_id` + own + `)`,
	},
	{Table: "ask_sources", Of: ofMessage}, // after the answers, which without them would be of nothing
	{Table: "ask_messages", Of: ofThread, Secret: `x.thread_id NOT` + own, Copy: "id, thread_id, question, status, created_at, finished_at", Shown: `x.thread_id` + own},
	{Table: "ask_threads", Of: `EXISTS (SELECT FROM ask_threads t WHERE t.org_id = $1 AND t.id = x.id AND (` + mine + `))`, Secret: `x.owner_id IS DISTINCT FROM $3`, Copy: "id, created_at, asked_at", Shown: `x.owner_id = $3`},
}

// Aged are questions, and threads of which none is left. A question tells what somebody remembers of conversations, whether it was answered or
// not: it goes when they do, unless its answer quotes one that stays, or it is about a client on whose data there is a hold, or the client's own.
var Aged = []personal.Aged{
	{Table: "ask_messages", Of: aged("x"), Since: "x.created_at"},
	{
		Table: "ask_threads", Since: "x.asked_at", // of which a question that comes meanwhile makes a new one
		Of: `x.asked_at < ` + personal.Before + ` AND NOT EXISTS (SELECT FROM ask_messages m WHERE m.org_id = $1 AND m.thread_id = x.id AND NOT (` + aged("m") + `))`,
	},
}

// aged is the condition that the question q goes.
func aged(q string) string {
	return strings.ReplaceAll(`$q.created_at < `+personal.Before+`
	AND (NOT EXISTS (SELECT FROM ask_sources a WHERE a.org_id = $1 AND a.message_id = $q.id)
		OR EXISTS (SELECT FROM ask_sources a JOIN d ON d.id = a.transcript_id WHERE a.org_id = $1 AND a.message_id = $q.id))
	AND NOT EXISTS (SELECT FROM ask_threads t JOIN clients c ON c.org_id = $1 AND c.legal_hold
		WHERE t.org_id = $1 AND t.id = $q.thread_id AND (t.owner_id = c.user_id OR `+about("c.id")+`))`, "$q", q)
}
