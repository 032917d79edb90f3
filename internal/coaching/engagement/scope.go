package engagement

import (
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: admins see all engagements, coaches their own, supervisors their coaches', clients and sponsors those they are in.
func scope(v auth.Viewer) *page.Scope {
	s := Scope(v, "e.org_id", "e.coach_id", "e.client_id", fmt.Sprintf(sponsored, "e.id", ""))
	if v.Has(auth.RoleSponsor) {
		s.Allow(auth.AsProgressSponsor, SponsorMay("e.id", Progress))
	}
	return s
}

// Scope is the scope of a row that belongs to an engagement and carries its coach and client, by the names of its columns.
// Sponsors see it if sponsorsBy says so.
func Scope(v auth.Viewer, orgColumn, coachColumn, clientColumn, sponsorsBy string) *page.Scope {
	s := page.NewScope(orgColumn)
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, coachColumn+" = $2")
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, org.Supervised(coachColumn))
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, IsClient(clientColumn))
	}
	if v.Has(auth.RoleSponsor) {
		s.Allow(auth.AsSponsor, sponsorsBy)
	}
	return s
}

const sponsored = "EXISTS (SELECT FROM engagement_sponsors es WHERE es.org_id = $1 AND es.engagement_id = %s AND es.user_id = $2%s)"

// SponsorMay is the SQL condition that the viewer sponsors the engagement in the given column with that grant.
func SponsorMay(engagementColumn string, grant Grant) string {
	return fmt.Sprintf(sponsored, engagementColumn, " AND '"+string(grant)+"' = ANY(es.grants)")
}

// IsClient is the SQL condition that the viewer is the client in the given column.
func IsClient(clientColumn string) string {
	return "EXISTS (SELECT FROM clients own WHERE own.org_id = $1 AND own.id = " + clientColumn + " AND own.user_id = $2)"
}
