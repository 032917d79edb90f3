package live

import "github.com/rapporthq/rapport/internal/coaching/personal"

// heard is the condition on a session in the given column that the person was heard there, as its client or as a guest.
func heard(column string) string {
	return "(" + personal.OfSession(column) + " OR " + column + " IN (SELECT p.session_id FROM participants p WHERE p.org_id = $1 AND p.user_id = $3))"
}

// Personal is what this domain keeps of a client: words that are in no transcript yet, or still beside one. That a session was listened to
// stays, as the session does.
var Personal = []personal.Store{
	{Table: "live_nudges", Of: "x.live_session_id IN (SELECT l.id FROM live_sessions l WHERE l.org_id = $1 AND " + heard("l.session_id") + ")"},
	{Table: "live_utterances", Of: "x.live_session_id IN (SELECT l.id FROM live_sessions l WHERE l.org_id = $1 AND " + heard("l.session_id") + ")",
		Copy: "live_session_id, chunk_id, speaker, text, start_ms, end_ms"},
	{Table: "live_sessions", Of: heard("x.session_id"), Dirty: "(x.speakers <> '[]' OR x.measures IS NOT NULL OR x.source <> 'erased' OR x.status <> 'ENDED')",
		Clear: "speakers = '[]', measures = NULL, source = 'erased', status = 'ENDED', ended_at = coalesce(ended_at, now()), end_reason = coalesce(end_reason, 'CONSENT_WITHDRAWN')",
		Copy:  "id, session_id, started_at, ended_at, speakers"},
}
