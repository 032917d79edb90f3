package live

import (
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: who sees a live session is who would see its transcript, for any statement that joins live sessions l and sessions s: the
// coach, the supervisor with the consent of all in the session, and the client it is shared with, once there is one as long as they see that.
func scope(v auth.Viewer, orgColumn string) *page.Scope {
	return session.ConversationScope(v, orgColumn, session.ToRead, "true", shared)
}
