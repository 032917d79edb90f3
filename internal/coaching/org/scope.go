package org

import (
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Supervised is the SQL condition that the viewer supervises the coach in the given column.
func Supervised(coachColumn string) string {
	return "EXISTS (SELECT FROM supervisions sv WHERE sv.org_id = $1 AND sv.supervisor_id = $2 AND sv.coach_id = " + coachColumn + ")"
}

// organizationScope: every member sees the organization's name; owners and admins its settings.
func organizationScope(v auth.Viewer) *page.Scope {
	s := page.NewScope("o.id")
	s.Allow(auth.AsSelf, "true")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	return s
}

// membershipScope: owners and admins see all, everybody sees their own.
func membershipScope(v auth.Viewer) *page.Scope {
	s := page.NewScope("m.org_id")
	s.Allow(auth.AsSelf, "m.user_id = $2")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	return s
}

// userScope: everybody sees the people they are in a coaching relationship with, by name; coaches also who supervises them, for these
// read what is theirs, and supervisors whom they supervise.
func userScope(v auth.Viewer) *page.Scope {
	s := page.NewScope("m.org_id")
	s.Allow(auth.AsSelf, "u.id = $2")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	for _, r := range []struct {
		role     auth.Role
		grant    auth.Grants
		relation string
	}{
		{auth.RoleCoach, auth.AsCoach, "(c.coach_id = $2 OR e.coach_id = $2)"},
		{auth.RoleSupervisor, auth.AsSupervisor, "(" + Supervised("c.coach_id") + " OR " + Supervised("e.coach_id") + ")"},
		{auth.RoleClient, auth.AsClient, "c.user_id = $2"},
		{auth.RoleSponsor, auth.AsSponsor, "es.user_id = $2"},
	} {
		if v.Has(r.role) {
			s.Allow(r.grant, `EXISTS (SELECT FROM clients c
				LEFT JOIN engagements e ON e.org_id = $1 AND e.client_id = c.id
				LEFT JOIN engagement_sponsors es ON es.org_id = $1 AND es.engagement_id = e.id
				WHERE c.org_id = $1 AND u.id IN (c.coach_id, c.user_id, e.coach_id, es.user_id) AND `+r.relation+`)`)
		}
	}
	if v.Has(auth.RoleCoach) {
		s.Allow(auth.AsCoach, "EXISTS (SELECT FROM supervisions sv WHERE sv.org_id = $1 AND sv.supervisor_id = u.id AND sv.coach_id = $2)")
	}
	if v.Has(auth.RoleSupervisor) {
		s.Allow(auth.AsSupervisor, Supervised("u.id"))
	}
	return s
}
