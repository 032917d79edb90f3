package session

import (
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// scope: admins see all sessions, coaches their own, supervisors their coaches', clients those they are in, and sponsors
// those of engagements whose sessions they may know of.
func scope(v auth.Viewer) *page.Scope {
	return engagement.Scope(v, "s.org_id", "s.coach_id", "s.client_id", engagement.SponsorMay("s.engagement_id", engagement.SessionDates))
}

// Scope is the scope of sessions s, for a statement of another domain that counts them.
func Scope(v auth.Viewer) *page.Scope { return scope(v) }

// innerScope is the scope of who takes part and what is to be talked about, for a statement that joins sessions s: it is for
// those in the conversation, and the coach's supervisor.
func innerScope(v auth.Viewer, orgColumn string) *page.Scope {
	s := page.NewScope(orgColumn)
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "s.coach_id = $2")
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, org.Supervised("s.coach_id"))
	}
	if v.Has(auth.RoleClient) {
		s.Allow(auth.AsClient, engagement.IsClient("s.client_id"))
	}
	return s
}

// Needs is what those in a session, its coach aside, must have consented to before anybody sees something of it: the SQL condition on
// sessions s.
type Needs string

// What is needed to read what was said, and what was derived from it.
const (
	ToRead    Needs = "'TRANSCRIPTION' = ANY(s.consents)"
	ToAnalyse Needs = "s.consents @> ARRAY['TRANSCRIPTION', 'AI_ANALYSIS']"
)

// ConversationScope is the scope of what was said in a session, for a statement that joins sessions s: the coach; the
// coach's supervisor, if they have consented to supervision; and the client, where clientMay holds. None of them
// without the consents that it needs.
func ConversationScope(v auth.Viewer, orgColumn string, needs Needs, supervisorMay, clientMay string) *page.Scope {
	s := page.NewScope(orgColumn)
	allow := func(grant auth.Grants, condition string) { s.Allow(grant, string(needs)+" AND "+condition) }
	if v.Has(auth.RoleCoach) {
		allow(auth.AsCoach, "s.coach_id = $2")
	}
	if v.Has(auth.RoleSupervisor) {
		allow(auth.AsSupervisor, supervisorMay+" AND "+org.Supervised("s.coach_id")+" AND 'SUPERVISION' = ANY(s.consents)")
	}
	if v.Has(auth.RoleClient) {
		allow(auth.AsClient, clientMay+" AND "+engagement.IsClient("s.client_id"))
	}
	return s
}
