// Package session knows the meetings of coach and client, and who takes part in them.
package session

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies a session: session_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("session", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "session", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "session", &i.UUID) }

// ParticipantID identifies a participant: participant_….
type ParticipantID struct{ id.UUID }

func (i ParticipantID) String() string { return id.Format("participant", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ParticipantID) MarshalGQL(w io.Writer) { id.Write(w, "participant", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ParticipantID) UnmarshalGQL(v any) error { return id.Read(v, "participant", &i.UUID) }

// Type is what a session is for.
type Type string

// The types of session.
const (
	Intake    Type = "INTAKE"
	Coaching  Type = "COACHING"
	Review    Type = "REVIEW"
	Group     Type = "GROUP"
	Chemistry Type = "CHEMISTRY"
)

// Status says where a session stands.
type Status string

// The states of a session; lifecycle.go says which may follow which.
const (
	Scheduled  Status = "SCHEDULED"
	InProgress Status = "IN_PROGRESS"
	Completed  Status = "COMPLETED"
	Cancelled  Status = "CANCELLED"
	NoShow     Status = "NO_SHOW"
)

// Session is one meeting of coach and client.
type Session struct {
	auth.Grants
	ID              ID
	EngagementID    engagement.ID
	ClientID        client.ID
	CoachID         org.UserID
	Number          int // within the engagement, from 1
	Type            Type
	Status          Status
	Title           *string
	StartsAt        time.Time
	DurationMinutes int
	Consents        []consent.Scope // that everybody in it but the coach has given, and that are in force
	Counts          bool            // against the sessions agreed, though it was not held

	CancelledAt        *time.Time
	CancelledBy        *CancelledBy
	CancelledLate      *bool
	CancellationReason *string

	ArchivedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// UsesSession says whether the session counts against those agreed for its engagement.
func (s *Session) UsesSession() bool { return s.Status == Completed || s.Counts }

// Cancellation is how the session was called off; nil if it was not, or long ago.
func (s *Session) Cancellation() *Cancellation {
	if s.Status != Cancelled || s.CancelledAt == nil {
		return nil
	}
	return &Cancellation{By: *s.CancelledBy, Reason: s.CancellationReason, At: *s.CancelledAt, Late: *s.CancelledLate}
}

// CancelledBy is who called a session off.
type CancelledBy string

// Who may call a session off.
const (
	ByCoach      CancelledBy = "COACH"
	ByClient     CancelledBy = "CLIENT"
	ByEngagement CancelledBy = "ENGAGEMENT" // it was cancelled, and its sessions with it
)

// Cancellation is how a session was called off.
type Cancellation struct {
	By     CancelledBy
	Reason *string
	At     time.Time
	Late   bool // less than a day before it was to begin
}

// IsNode marks a Relay node.
func (*Session) IsNode() {}

// IsTaggable marks what a tag can be put on.
func (*Session) IsTaggable() {}

// AboutClient is the client whom it is about.
func (s *Session) AboutClient() id.UUID { return s.ClientID.UUID }

// ParticipantRole is what a person is in a session.
type ParticipantRole string

// The roles in a session.
const (
	AsCoach    ParticipantRole = "COACH"
	AsClient   ParticipantRole = "CLIENT"
	AsObserver ParticipantRole = "OBSERVER"
	AsOther    ParticipantRole = "OTHER"
)

// Participant is somebody who takes part in a session.
type Participant struct {
	auth.Grants
	ID        ParticipantID
	SessionID ID
	UserID    *org.UserID
	ClientID  *client.ID // nil of somebody who is no client of the practice
	Name      string
	Role      ParticipantRole
	Consents  []consent.Scope // in force
	CreatedAt time.Time
}

// IsNode marks a Relay node.
func (*Participant) IsNode() {}

// IsConsentSubject marks whose consents are recorded.
func (*Participant) IsConsentSubject() {}

// Filter selects sessions: all conditions must hold, each list matches any of its values. As JSON it is what a SavedFilter
// keeps.
type Filter struct {
	ClientIds          []client.ID     `json:"clientIds,omitzero"`
	CoachIds           []org.UserID    `json:"coachIds,omitzero"`
	EngagementIds      []engagement.ID `json:"engagementIds,omitzero"`
	Types              []Type          `json:"types,omitzero"`
	Statuses           []Status        `json:"statuses,omitzero"`
	StartsAfter        *time.Time      `json:"startsAfter,omitzero"`
	StartsBefore       *time.Time      `json:"startsBefore,omitzero"`
	TagIds             []tag.ID        `json:"tagIds,omitzero"`
	ParticipantUserIds []org.UserID    `json:"participantUserIds,omitzero"`
	HasTranscript      *bool           `json:"hasTranscript,omitzero"`
	IncludeArchived    bool            `json:"includeArchived,omitzero"`

	// IDs are the sessions themselves; nil is any. It is for who asks from inside: the schema has no such field, and it is not kept.
	IDs []ID `json:"-"`
}

// OrderField is what sessions can be ordered by.
type OrderField string

// The orders of sessions.
const (
	OrderByStartsAt  OrderField = "STARTS_AT"
	OrderByCreatedAt OrderField = "CREATED_AT"
)

// OrderBy is an order of sessions.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}

// CreateInput is a new session.
type CreateInput struct {
	EngagementID    engagement.ID
	Type            Type
	Title           *string
	StartsAt        time.Time
	DurationMinutes int
}

// UpdateInput changes a session: a field that is nil stays as it is, one that points to nil is cleared. An empty title is
// none.
type UpdateInput struct {
	ID              ID
	Type            **Type
	Title           **string
	Status          **Status
	StartsAt        **time.Time
	DurationMinutes **int
}

// StartInput begins a session.
type StartInput struct{ ID ID }

// CompleteInput ends a session that was held.
type CompleteInput struct{ ID ID }

// CancelInput calls a session off.
type CancelInput struct {
	ID          ID
	By          CancelledBy
	Reason      *string
	UsesSession bool
}

// NoShowInput says that the client did not come.
type NoShowInput struct {
	ID          ID
	UsesSession bool
}

// RescheduleInput gives a session another time.
type RescheduleInput struct {
	ID              ID
	StartsAt        time.Time
	DurationMinutes *int // nil leaves it as it is
}

// AddParticipantInput adds somebody to a session.
type AddParticipantInput struct {
	SessionID ID
	Role      ParticipantRole
	Name      *string // nil takes the client's, or the person's
	ClientID  *client.ID
	UserID    *org.UserID
}

// UpdateParticipantInput changes somebody in a session: a field that is nil stays as it is.
type UpdateParticipantInput struct {
	ID   ParticipantID
	Name **string
	Role **ParticipantRole
}

// RemoveParticipantInput takes somebody out of a session.
type RemoveParticipantInput struct{ ID ParticipantID }

// ArchiveInput archives a session or brings one back.
type ArchiveInput struct {
	ID       ID
	Archived bool
}
