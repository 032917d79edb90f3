package org

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// InvitationID identifies an invitation: invitation_….
type InvitationID struct{ id.UUID }

func (i InvitationID) String() string { return id.Format("invitation", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i InvitationID) MarshalGQL(w io.Writer) { id.Write(w, "invitation", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *InvitationID) UnmarshalGQL(v any) error { return id.Read(v, "invitation", &i.UUID) }

// InvitationStatus says what has become of an invitation.
type InvitationStatus string

// The states of an invitation.
const (
	InvitationPending  InvitationStatus = "PENDING"
	InvitationAccepted InvitationStatus = "ACCEPTED"
	InvitationRevoked  InvitationStatus = "REVOKED"
	InvitationExpired  InvitationStatus = "EXPIRED"
)

// Invitation lets the person behind an e-mail address become a member.
type Invitation struct {
	auth.Grants
	ID          InvitationID
	Email       string
	Roles       []auth.Role
	InvitedByID UserID
	Status      InvitationStatus
	ExpiresAt   time.Time
	CreatedAt   time.Time
}

// IsNode marks a Relay node.
func (*Invitation) IsNode() {}

// Invited is an invitation together with what accepts it, which nobody can be shown again.
type Invited struct {
	Invitation *Invitation
	Token      *string
}

// InviteInput invites somebody.
type InviteInput struct {
	Email string
	Roles []auth.Role
}

// InvitationInput names an invitation.
type InvitationInput struct {
	ID InvitationID
}

// AcceptInput accepts an invitation.
type AcceptInput struct {
	Token    string
	Name     *string // of somebody who is new to the installation; the address if left out
	TimeZone *string
}

// UpdateMemberInput changes what a person is in the organization.
type UpdateMemberInput struct {
	ID    MembershipID
	Roles []auth.Role
}

// MemberInput names a membership.
type MemberInput struct {
	ID MembershipID
}

// SupervisionInput names a supervisor and a coach, by their users.
type SupervisionInput struct {
	SupervisorID UserID
	CoachID      UserID
}

// UpdateProfileInput changes what a person says of themselves, in all their organizations; nil leaves it as it is.
type UpdateProfileInput struct {
	Name     **string
	TimeZone **string
}

// invitationScope: owners and admins.
func invitationScope(v auth.Viewer) *page.Scope {
	s := page.NewScope("i.org_id")
	if v.Has(auth.RoleOwner, auth.RoleAdmin) {
		s.Allow(auth.AsAdmin, "true")
	}
	return s
}

var invitations = page.Table[Invitation]{
	From: "invitations i",
	ID:   "i.id",
	Columns: "i.id, i.email, i.roles, i.invited_by, CASE WHEN i.accepted_at IS NOT NULL THEN 'ACCEPTED' WHEN i.revoked_at IS NOT NULL THEN 'REVOKED' " +
		"WHEN i.expires_at <= now() THEN 'EXPIRED' ELSE 'PENDING' END, i.expires_at, i.created_at",
	Dest: func(i *Invitation) []any {
		return []any{&i.Grants, &i.ID, &i.Email, &i.Roles, &i.InvitedByID, &i.Status, &i.ExpiresAt, &i.CreatedAt}
	},
	Key: func(i *Invitation) id.UUID { return i.ID.UUID },
}

var latestInvitationFirst = page.Order[Invitation]{Name: "invitation-created", Keys: []page.Key[Invitation]{
	{SQL: "i.created_at", Type: "timestamptz", Desc: true, Of: func(i *Invitation) string { return page.Time(i.CreatedAt) }},
	{SQL: "i.id", Type: "uuid", Desc: true, Of: func(i *Invitation) string { return i.ID.UUID.String() }},
}}
