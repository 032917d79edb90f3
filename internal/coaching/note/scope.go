package note

import (
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// coach is whose coaching a note belongs to: the engagement's coach, or the one who is responsible for the client.
const coach = "coalesce(e.coach_id, c.coach_id)"

// scope of notes n, or of versions, each by its own visibility: the author sees all of their own, and for everybody else a
// private one does not exist; the coach and the client see what is shared, owners, admins and the coach's supervisors what is
// shared with the organization, and sponsors nothing. The statement joins clients c and engagements e.
func scope(v auth.Viewer, orgColumn, visibility string) *page.Scope {
	s := page.NewScope(orgColumn)
	s.Allow(auth.AsSelf, "n.author_id = $2")
	shared, withOrg := visibility+" <> 'PRIVATE'", visibility+" = 'SHARED_WITH_ORG'"
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, withOrg)
	}
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "("+shared+" OR n.author_id = $2) AND "+coach+" = $2")
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, withOrg+" AND "+org.Supervised(coach))
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, shared+" AND c.user_id = $2")
	}
	return s
}

// may says as what somebody who writes about a thing may share it: the coach with everybody, the client with the coach; who
// only looks on keeps notes for themselves.
func may(g auth.Grants, v Visibility) bool {
	switch {
	case g.Any(auth.AsCoach):
		return true
	case g.Any(auth.AsClient):
		return v != SharedWithOrg
	}
	return v == Private
}

// Visible is the SQL condition that the viewer may see the note whose id is in the column, which is not of a table n.
func Visible(v auth.Viewer, column string) string {
	return "EXISTS (SELECT FROM notes n" + about + " WHERE n.id = " + column + " AND " + scope(v, "n.org_id", "n.visibility").Where() + ")"
}

func noteScope(v auth.Viewer) *page.Scope    { return scope(v, "n.org_id", "n.visibility") }
func versionScope(v auth.Viewer) *page.Scope { return scope(v, "n.org_id", "nv.visibility") }
