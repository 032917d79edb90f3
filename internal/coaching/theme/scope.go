package theme

import (
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// relations are those through which insights, and so themes, are seen.
var relations = map[auth.Grants]string{auth.AsCoach: "coach", auth.AsSupervisor: "supervisor", auth.AsClient: "client"}

// scope: a theme is seen by who sees an insight of it, and as what they see that.
func scope() *page.Scope {
	s := page.NewScope("t.org_id")
	for _, grant := range []auth.Grants{auth.AsCoach, auth.AsSupervisor, auth.AsClient} {
		s.Allow(grant, "seen."+relations[grant])
	}
	return s
}

// seen is what the viewer may see of the insights of a theme t and of those that were merged into it. It looks at those alone, by their
// index.
func seen(v auth.Viewer) string {
	visible, listed := insight.Shown(v)
	var through []string
	for _, grant := range []auth.Grants{auth.AsCoach, auth.AsSupervisor, auth.AsClient} {
		through = append(through, "coalesce(bool_or("+visible.Through(grant)+"), false) AS "+relations[grant])
	}
	return ` CROSS JOIN LATERAL (
		SELECT count(*) AS insights, count(DISTINCT i.session_id) AS sessions, min(s.starts_at) AS first, max(s.starts_at) AS last, ` + strings.Join(through, ", ") + `
		FROM themes g JOIN insights i ON i.org_id = $1 AND i.theme_id = g.id JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id
		WHERE g.org_id = $1 AND (g.id = t.id OR g.merged_into_id = t.id) AND i.status <> 'DISMISSED' AND ` + listed + `) seen`
}
