package consent

import (
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: a consent is seen by whose it is, by the coach of the client or of the session and that coach's supervisor, and by owners and
// admins, who answer for it. Who is a client in somebody else's session does not see what others have agreed to.
func scope(v auth.Viewer) *page.Scope {
	s := page.NewScope("cs.org_id")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "c.coach_id = $2 OR s.coach_id = $2 OR "+engaged("e.coach_id = $2"))
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, org.Supervised("c.coach_id")+" OR "+org.Supervised("s.coach_id")+" OR "+engaged(org.Supervised("e.coach_id")))
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, "c.user_id = $2")
	}
	return s
}

func engaged(condition string) string {
	return "EXISTS (SELECT FROM engagements e WHERE e.org_id = $1 AND e.client_id = c.id AND " + condition + ")"
}
