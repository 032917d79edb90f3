package client

import (
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: admins see all clients, coaches those they are responsible for or have an engagement with, supervisors their
// coaches', clients themselves, sponsors those whose engagement they sponsor.
func scope(v auth.Viewer) *page.Scope {
	s := page.NewScope("c.org_id")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "c.coach_id = $2 OR "+engaged("e.coach_id = $2"))
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, org.Supervised("c.coach_id")+" OR "+engaged(org.Supervised("e.coach_id")))
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, "c.user_id = $2")
	}
	if v.Has(auth.RoleSponsor) {
		s.Allow(auth.AsSponsor, engaged("EXISTS (SELECT FROM engagement_sponsors es WHERE es.org_id = $1 AND es.engagement_id = e.id AND es.user_id = $2)"))
	}
	return s
}

func engaged(condition string) string {
	return "EXISTS (SELECT FROM engagements e WHERE e.org_id = $1 AND e.client_id = c.id AND " + condition + ")"
}
