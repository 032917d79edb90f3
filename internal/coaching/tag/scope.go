package tag

import (
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: a tag is its owner's; the owner's supervisor may read it.
func scope(v auth.Viewer) *page.Scope {
	s := page.NewScope("t.org_id")
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "t.owner_id = $2")
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, org.Supervised("t.owner_id"))
	}
	return s
}

// attached are the tags with what they are on.
const attached = "tags t JOIN taggings g ON g.org_id = $1 AND g.tag_id = t.id"

// Carries is the SQL condition that a thing carries one of the tags in the condition's argument, of those that OnEntities
// shows the viewer on it: a filter must find what is shown, and tell nothing of what is not. column is the column of
// taggings that refers to the thing, as in Kind, and thing the thing's id.
func Carries(v auth.Viewer, column, thing string) string {
	return "EXISTS (SELECT FROM " + attached + " WHERE g." + column + " = " + thing + " AND t.id = ANY(?) AND " + scope(v).Where() + ")"
}
