package notice

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/mail"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// recipient is a person who is told, and how.
type recipient struct {
	viewer       auth.Viewer
	active       bool
	address      mail.Address
	zone         *time.Location
	organization string
	settings     Settings
}

// recipient loads a person of an organization, for the system and not for a viewer; nil if there is none.
func (s *Service) recipient(ctx context.Context, db postgres.DB, org, user id.UUID) (*recipient, error) {
	r := &recipient{viewer: auth.Viewer{Org: org, User: user}}
	var zone string
	var from, until *TimeOfDay
	var hour *int
	var chosen map[Type]struct {
		InApp bool  `json:"in_app"`
		Email Email `json:"email"`
	}
	err := db.QueryRow(ctx, `
		SELECT m.roles, m.status = 'ACTIVE', u.email, u.name, u.time_zone, o.name, st.quiet_from, st.quiet_until, st.digest_hour,
			(SELECT coalesce(jsonb_object_agg(p.type, to_jsonb(p)), '{}') FROM notification_preferences p WHERE p.org_id = $1 AND p.user_id = $2),
			(`+suppressionOf("u.email")+`)
		FROM memberships m
		JOIN users u ON u.id = m.user_id
		JOIN organizations o ON o.id = m.org_id
		LEFT JOIN notification_settings st ON st.org_id = $1 AND st.user_id = $2
		WHERE m.org_id = $1 AND m.user_id = $2`, org, user).
		Scan(&r.viewer.Roles, &r.active, &r.address.Email, &r.address.Name, &zone, &r.organization, &from, &until, &hour, &chosen, &r.settings.EmailSuppression)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.zone = location(zone)
	r.settings.DigestHour = standardDigestHour
	quiet := standardQuiet
	r.settings.QuietHours = &quiet
	if hour != nil {
		r.settings.DigestHour, r.settings.QuietHours = *hour, nil
		if from != nil {
			r.settings.QuietHours = &QuietHours{*from, *until}
		}
	}
	for _, p := range defaults {
		if c, ok := chosen[p.Type]; ok {
			p.InApp, p.Email = c.InApp, c.Email
		}
		r.settings.Types = append(r.settings.Types, p)
	}
	return r, nil
}

// email is how the person wants the type mailed.
func (r *recipient) email(t Type) Email {
	for _, p := range r.settings.Types {
		if p.Type == t {
			return p.Email
		}
	}
	return Off
}
