package notice

import (
	"maps"
	"slices"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: a notification is its recipient's alone, and theirs only as long as they may see what it is about.
func (s *Service) scope(v auth.Viewer) *page.Scope {
	scope := page.NewScope("nt.org_id")
	scope.Allow(auth.AsSelf, "nt.user_id = $2 AND nt.in_app AND "+s.visible(v))
	return scope
}

// mailScope: what is mailed to a person, in the app or not.
func (s *Service) mailScope(v auth.Viewer) *page.Scope {
	scope := page.NewScope("nt.org_id")
	scope.Allow(auth.AsSelf, "nt.user_id = $2 AND "+s.visible(v))
	return scope
}

func (s *Service) visible(v auth.Viewer) string {
	conditions := []string{"false"}
	for _, k := range s.kinds {
		condition := "nt.subject = '" + k.Prefix + "' AND " + k.Visible(v, "nt.subject_id")
		for _, t := range slices.Sorted(maps.Keys(k.Of)) {
			condition += " AND (nt.type <> '" + string(t) + "' OR " + k.Of[t](v, "nt.subject_id") + ")"
		}
		conditions = append(conditions, condition)
	}
	return "(" + strings.Join(conditions, " OR ") + ")"
}
