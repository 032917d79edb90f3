package deadletter

import (
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: owners and admins. Each table of jobs has but the dead ones in it, so that no other is found either.
func scope(v auth.Viewer) *page.Scope {
	s := page.NewScope("j.org_id")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "j.state = 'DEAD'")
	}
	return s
}
