// Package org knows organizations, the people in them, and what each of them is there.
package org

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies an organization: org_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("org", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "org", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "org", &i.UUID) }

// UserID identifies a person: user_….
type UserID struct{ id.UUID }

func (i UserID) String() string { return id.Format("user", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i UserID) MarshalGQL(w io.Writer) { id.Write(w, "user", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *UserID) UnmarshalGQL(v any) error { return id.Read(v, "user", &i.UUID) }

// MembershipID identifies a membership: member_….
type MembershipID struct{ id.UUID }

func (i MembershipID) String() string { return id.Format("member", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i MembershipID) MarshalGQL(w io.Writer) { id.Write(w, "member", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *MembershipID) UnmarshalGQL(v any) error { return id.Read(v, "member", &i.UUID) }

// Organization is a tenant: nothing is shared between two of them.
type Organization struct {
	auth.Grants
	ID            ID
	Slug          string
	Name          string
	RetentionDays *int // nil keeps conversations for good
	AIEnabled     bool
	SpeakerRoles  SpeakerRoles
	ModelSees     ModelSees
	// ModelMonthlyLimitMicros is what its owners let language models cost in a month, in millionths of a US dollar; nil is what the operator does.
	ModelMonthlyLimitMicros *int64
	CreatedAt               time.Time
}

// SpeakerRoles says what becomes of a transcript when nobody can be sure who is who in it.
type SpeakerRoles string

// The settings.
const (
	AskRoles    SpeakerRoles = "ASK"    // the coach, and what depends on roles waits
	DecideRoles SpeakerRoles = "DECIDE" // for the likeliest
)

// ModelSees says what a language model is shown of who people are.
type ModelSees string

// The settings.
const (
	SeesNames        ModelSees = "NAMES" // as they were said
	SeesPlaceholders ModelSees = "PLACEHOLDERS"
)

// UpdateInput changes an organization; nil leaves a setting as it is.
type UpdateInput struct {
	ID           ID
	SpeakerRoles **SpeakerRoles
	Name         **string
	// RetentionDays may be nil: for good.
	RetentionDays **int
	AIEnabled     **bool
	// What is an owner's to say.
	ModelSees               **ModelSees
	ModelMonthlyLimitMicros **int64
}

// User is a person; one person may belong to several organizations.
type User struct {
	auth.Grants
	ID       UserID
	Email    string
	Name     string
	TimeZone string // name in the IANA time zone database
}

// MembershipStatus says whether a person still belongs to an organization.
type MembershipStatus string

// The states of a membership.
const (
	MembershipActive  MembershipStatus = "ACTIVE"
	MembershipRevoked MembershipStatus = "REVOKED"
)

// Membership is a person's place in an organization.
type Membership struct {
	auth.Grants
	ID        MembershipID
	UserID    UserID
	Roles     []auth.Role
	Status    MembershipStatus
	CreatedAt time.Time
}

// IsNode marks a Relay node.
func (*Organization) IsNode() {}

// IsNode marks a Relay node.
func (*User) IsNode() {}

// IsNode marks a Relay node.
func (*Membership) IsNode() {}
