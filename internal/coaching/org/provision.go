package org

import (
	"context"
	"regexp"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Provisioning is done by an operator, not by a viewer: by `rapport init` and by the demo. It takes a DB, so that a
// whole organization comes into being in one transaction or not at all.

// Identity is how an identity provider calls a person.
type Identity struct {
	Issuer  string
	Subject string
}

// NewMember is a person to add to an organization.
type NewMember struct {
	Email    string
	Name     string
	TimeZone string // "" is UTC
	Roles    []auth.Role
	Identity *Identity // nil for a person who cannot sign in yet
}

var slugPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,62}$`)

// Found creates an organization. An existing slug is a Conflict.
func Found(ctx context.Context, db postgres.DB, slug, name string) (ID, error) {
	var problems check.Input
	if !slugPattern.MatchString(slug) {
		problems.Fail("slug", "must be 2 to 63 of a-z, 0-9, dot and hyphen, and begin with a letter or digit")
	}
	name = problems.Line("name", name, 200)
	if err := problems.Err(); err != nil {
		return ID{}, err
	}
	organization := ID{id.New()}
	tag, err := db.Exec(ctx, `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING`,
		organization, slug, name)
	if err != nil {
		return ID{}, err
	}
	if tag.RowsAffected() == 0 {
		return ID{}, fault.Conflict("an organization %q exists already", slug)
	}
	return organization, audit.RecordSystem(ctx, db, organization.UUID, audit.Entry{Action: "org.found", Kind: "org", ID: organization.UUID})
}

// Join adds a person to an organization. A person who is known by e-mail is the same person; whoever is a member already
// gets the new roles instead. An identity that belongs to another person is a Conflict.
func Join(ctx context.Context, db postgres.DB, organization ID, m NewMember) (UserID, error) {
	var problems check.Input
	m.Email = problems.Email("email", m.Email)
	m.Name = problems.OptionalLine("name", m.Name, 200)
	if m.Name == "" {
		m.Name = m.Email
	}
	if m.TimeZone == "" {
		m.TimeZone = "UTC"
	}
	problems.Zone("timeZone", m.TimeZone)
	if err := problems.Err(); err != nil {
		return UserID{}, err
	}
	var user UserID
	err := db.QueryRow(ctx, `
		INSERT INTO users (id, email, name, time_zone) VALUES ($1, $2, $3, $4)
		ON CONFLICT (lower(email)) DO UPDATE SET email = users.email
		RETURNING id`, id.New(), m.Email, m.Name, m.TimeZone).Scan(&user)
	if err != nil {
		return UserID{}, err
	}
	var membership MembershipID
	if err := db.QueryRow(ctx, `
		INSERT INTO memberships (id, org_id, user_id, roles) VALUES ($1, $2, $3, $4)
		ON CONFLICT (org_id, user_id) DO UPDATE SET roles = excluded.roles, status = 'ACTIVE'
		RETURNING id`, id.New(), organization, user, m.Roles).Scan(&membership); err != nil {
		return UserID{}, err
	}
	if err := audit.RecordSystem(ctx, db, organization.UUID, audit.Entry{Action: "member.join", Kind: "member", ID: membership.UUID}); err != nil {
		return UserID{}, err
	}
	if m.Identity == nil {
		return user, nil
	}
	var owner UserID
	err = db.QueryRow(ctx, `
		INSERT INTO user_identities (issuer, subject, user_id) VALUES ($1, $2, $3)
		ON CONFLICT (issuer, subject) DO UPDATE SET user_id = user_identities.user_id
		RETURNING user_id`, m.Identity.Issuer, m.Identity.Subject, user).Scan(&owner)
	if err != nil {
		return UserID{}, err
	}
	if owner != user {
		return UserID{}, fault.Conflict("the subject %q of %s signs in as another person", m.Identity.Subject, m.Identity.Issuer)
	}
	return user, nil
}

// Supervise assigns a supervisor to a coach.
func Supervise(ctx context.Context, db postgres.DB, organization ID, supervisor, coach UserID) error {
	_, err := db.Exec(ctx, `
		INSERT INTO supervisions (org_id, supervisor_id, coach_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		organization, supervisor, coach)
	return err
}
