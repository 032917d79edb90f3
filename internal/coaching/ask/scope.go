package ask

import (
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: a thread is its owner's alone.
func scope() *page.Scope {
	s := page.NewScope("t.org_id")
	s.Allow(auth.AsSelf, "t.owner_id = $2")
	return s
}

// conversations is the scope of transcripts t and sessions s that may be quoted to a viewer: those in the conversation and the coach's
// supervisor, as for what was said, and with the consent to analysis of all in it.
func conversations(v auth.Viewer) *page.Scope {
	return session.ConversationScope(v, "t.org_id", session.ToAnalyse, "true", "t.shared_with_client")
}

// quotable is the SQL condition that the viewer may still read everything that the answer a quotes.
func quotable(v auth.Viewer) string {
	return "NOT EXISTS (SELECT FROM ask_sources q LEFT JOIN (SELECT t.id FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id WHERE " +
		conversations(v).Where() + ") readable ON readable.id = q.transcript_id WHERE q.org_id = $1 AND q.message_id = a.message_id AND readable.id IS NULL)"
}
