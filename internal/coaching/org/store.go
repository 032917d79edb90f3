package org

import (
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var organizations = page.Table[Organization]{
	From:    "organizations o",
	ID:      "o.id",
	Columns: "o.id, o.slug, o.name, o.retention_days, o.ai_enabled, o.speaker_roles, o.model_sees, o.model_monthly_limit_micros, o.created_at",
	Dest: func(o *Organization) []any {
		return []any{&o.Grants, &o.ID, &o.Slug, &o.Name, &o.RetentionDays, &o.AIEnabled, &o.SpeakerRoles, &o.ModelSees, &o.ModelMonthlyLimitMicros, &o.CreatedAt}
	},
	Key: func(o *Organization) id.UUID { return o.ID.UUID },
}

var users = page.Table[User]{
	From:    "users u JOIN memberships m ON m.org_id = $1 AND m.user_id = u.id",
	ID:      "u.id",
	Columns: "u.id, u.email, u.name, u.time_zone",
	Dest:    func(u *User) []any { return []any{&u.Grants, &u.ID, &u.Email, &u.Name, &u.TimeZone} },
	Key:     func(u *User) id.UUID { return u.ID.UUID },
}

var memberships = page.Table[Membership]{
	From:    "memberships m",
	ID:      "m.id",
	Columns: "m.id, m.user_id, m.roles, m.status, m.created_at",
	Dest: func(m *Membership) []any {
		return []any{&m.Grants, &m.ID, &m.UserID, &m.Roles, &m.Status, &m.CreatedAt}
	},
	Key: func(m *Membership) id.UUID { return m.ID.UUID },
}

var membershipsBySeniority = page.Order[Membership]{Name: "membership-created", Keys: []page.Key[Membership]{
	{SQL: "m.created_at", Type: "timestamptz", Of: func(m *Membership) string { return page.Time(m.CreatedAt) }},
	{SQL: "m.id", Type: "uuid", Of: func(m *Membership) string { return m.ID.UUID.String() }},
}}
