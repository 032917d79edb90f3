package ask

import (
	"strconv"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var threads = page.Table[Thread]{
	From: "ask_threads t",
	ID:   "t.id",
	Columns: "t.id, t.client_id, t.engagement_id, t.session_id, t.filter, " +
		"coalesce((SELECT m.question FROM ask_messages m WHERE m.org_id = $1 AND m.thread_id = t.id ORDER BY m.ordinal LIMIT 1), ''), t.created_at, t.asked_at",
	Dest: func(t *Thread) []any {
		return []any{&t.Grants, &t.ID, &t.ClientID, &t.EngagementID, &t.SessionID, &t.filter, &t.Title, &t.CreatedAt, &t.AskedAt}
	},
	Key: func(t *Thread) id.UUID { return t.ID.UUID },
}

var latestFirst = page.Order[Thread]{Name: "thread-asked", Keys: []page.Key[Thread]{
	{SQL: "t.asked_at", Type: "timestamptz", Desc: true, Of: func(t *Thread) string { return page.Time(t.AskedAt) }},
	{SQL: "t.id", Type: "uuid", Desc: true, Of: func(t *Thread) string { return t.ID.UUID.String() }},
}}

// messages are questions, each with its answer if the viewer may still read all that it quotes.
func messages(v auth.Viewer) page.Table[Message] {
	return page.Table[Message]{
		From: "ask_messages m JOIN ask_threads t ON t.org_id = $1 AND t.id = m.thread_id LEFT JOIN ask_answers a ON a.org_id = $1 AND a.message_id = m.id AND " + quotable(v),
		ID:   "m.id",
		Columns: "m.id, m.thread_id, m.ordinal, m.question, CASE WHEN m.status = 'ANSWERED' AND NOT m.insufficient AND a.message_id IS NULL THEN 'WITHDRAWN' ELSE m.status END, " +
			"m.failure_code, m.insufficient, coalesce(a.sentences, '[]'), m.dropped, m.degraded, m.created_at, m.finished_at, m.attempt, m.engine, m.engine_version, m.model, m.prompt_version, " +
			"(SELECT coalesce(jsonb_agg(jsonb_build_object('transcript', q.transcript_id, 'client', x.client_id) ORDER BY q.transcript_id), '[]') FROM ask_sources q " +
			"JOIN transcripts y ON y.org_id = $1 AND y.id = q.transcript_id JOIN sessions x ON x.org_id = $1 AND x.id = y.session_id WHERE q.org_id = $1 AND q.message_id = a.message_id)",
		Dest: func(m *Message) []any {
			return []any{&m.Grants, &m.ID, &m.ThreadID, &m.Ordinal, &m.Question, &m.Status, &m.FailureCode, &m.InsufficientEvidence, &m.sentences, &m.DroppedCount, &m.Degraded,
				&m.CreatedAt, &m.FinishedAt, &m.attempt, &m.engine, &m.engineVersion, &m.model, &m.promptVersion, &m.sources}
		},
		Key: func(m *Message) id.UUID { return m.ID.UUID },
	}
}

var messagesInOrder = page.Order[Message]{Name: "message", Keys: []page.Key[Message]{
	{SQL: "m.ordinal", Type: "int", Of: func(m *Message) string { return strconv.Itoa(m.Ordinal) }},
}}
