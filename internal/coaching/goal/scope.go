package goal

import (
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: coaches see the goals they set with their clients, supervisors their coaches', clients their own, sponsors those
// of their engagements that are shared with them, if they may see goals. Owners and admins see counts, and no goal.
func scope(v auth.Viewer) *page.Scope {
	s := work(v, "g")
	if v.Has(auth.RoleSponsor) {
		s.Allow(auth.AsSponsor, "g.shared_with_sponsor AND "+engagement.SponsorMay("g.engagement_id", engagement.Goals))
	}
	return s
}

// checkInScope: what people say of a goal is for those who work on it.
func checkInScope(v auth.Viewer) *page.Scope { return work(v, "g") }

// actionScope: as goals, but never for sponsors; and whoever is to do something sees it.
func actionScope(v auth.Viewer) *page.Scope {
	s := work(v, "ai")
	s.Allow(auth.AsSelf, "mine.user_id IS NOT NULL")
	return s
}

// GoalCounts is the scope of goals g, for a statement of another domain that only counts them: of goals, owners and admins
// see no more than that.
func GoalCounts(v auth.Viewer) *page.Scope { return counted(v, scope(v)) }

// ActionCounts is the scope of action_items ai, for one that only counts them.
func ActionCounts(v auth.Viewer) *page.Scope { return counted(v, ActionWork(v)) }

// CheckIns is the scope of the check-ins of goals g, for a statement of another domain.
func CheckIns(v auth.Viewer) *page.Scope { return checkInScope(v) }

// ActionWork is the scope of action_items ai for those who work on them together, without whoever else is to do something.
func ActionWork(v auth.Viewer) *page.Scope { return work(v, "ai") }

func counted(v auth.Viewer, s *page.Scope) *page.Scope {
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	return s
}

// Visible is the SQL condition that the viewer may see the action whose id is in the column.
func Visible(v auth.Viewer, column string) string {
	return "EXISTS (SELECT FROM " + actions.From + " WHERE ai.id = " + column + " AND " + actionScope(v).Where() + ")"
}

// work is the scope of what coach and client work on together, for a table that has both.
func work(v auth.Viewer, table string) *page.Scope {
	s := page.NewScope(table + ".org_id")
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, table+".coach_id = $2")
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, org.Supervised(table+".coach_id"))
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, engagement.IsClient(table+".client_id"))
	}
	return s
}
