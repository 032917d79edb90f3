package insight

import (
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Nobody sees what was derived from words without the consent to analysis of everybody in the session but the coach.

// scope of insights, for a statement that joins sessions s: the coach sees all; the supervisor, with the client's
// consent, what is not for the coach alone, and the evidence of the coach's skill; the client what is meant for a client
// and accepted by the coach.
func scope(v auth.Viewer, orgColumn string) *page.Scope {
	return session.ConversationScope(v, orgColumn, session.ToAnalyse,
		"(i.audience <> 'COACH_ONLY' OR i.kind = 'COACH_SKILL')",
		"i.audience <> 'COACH_ONLY' AND i.status IN ('ACCEPTED', 'EDITED')")
}

// Shown is which insights i of sessions s lists show the viewer, for a statement of a domain above: the scope, and the whole condition.
func Shown(v auth.Viewer) (*page.Scope, string) {
	visible := scope(v, "i.org_id")
	return visible, visible.Where() + " AND " + standing + " AND " + transcript.Counts(v, "i.session_id", "i.transcript_id")
}

// standing is the condition on an insight i of a session s that it is still found, and the session not put away.
const standing = "i.retracted_at IS NULL AND s.archived_at IS NULL"

// InSession is the SQL condition that there is an insight for the viewer in the session whose id is in the column.
func InSession(v auth.Viewer, column string) string {
	_, shown := Shown(v)
	return "EXISTS (SELECT FROM insights i JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id WHERE i.session_id = " + column + " AND " + shown + ")"
}

// CoachScope is the scope of what measures the coach, and of how it came about: the coach and the coach's supervisor.
func CoachScope(v auth.Viewer, orgColumn string) *page.Scope {
	return session.ConversationScope(v, orgColumn, session.ToAnalyse, "true", "false")
}
