// Package engagement knows the relationships of coaches and clients: programmes of sessions towards an agreed end.
package engagement

import (
	"io"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies an engagement: engagement_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("engagement", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "engagement", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "engagement", &i.UUID) }

// Status says where an engagement stands.
type Status string

// The states of an engagement.
const (
	Draft     Status = "DRAFT"
	Active    Status = "ACTIVE"
	Paused    Status = "PAUSED"
	Completed Status = "COMPLETED"
	Cancelled Status = "CANCELLED"
)

// successors are the states each state may go to; an absent one is final.
var successors = map[Status][]Status{
	Draft:  {Active, Cancelled},
	Active: {Paused, Completed, Cancelled},
	Paused: {Active, Completed, Cancelled},
}

// Ended says whether the state is final, but for a reopening.
func (s Status) Ended() bool { return s == Completed || s == Cancelled }

// To checks a change of state. Staying is no change.
func (s Status) To(next Status) error {
	switch {
	case s == next || slices.Contains(successors[s], next):
		return nil
	case s.Ended() && next == Active:
		return fault.Conflict("an engagement that is %s goes on only by reopenEngagement, with a reason", s)
	}
	return fault.Conflict("an engagement that is %s cannot become %s", s, next)
}

// Engagement is the relationship of one coach and one client.
type Engagement struct {
	auth.Grants
	ID               ID
	ClientID         client.ID
	CoachID          org.UserID
	Title            string
	Status           Status
	SessionsIncluded *int // nil is open
	StartsOn         *time.Time
	EndsOn           *time.Time
	ReopenedBy       *org.UserID
	ReopenReason     *string
	ReopenedAt       *time.Time
	ArchivedAt       *time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Reopening is the going on of an engagement that had ended.
type Reopening struct {
	ByID   org.UserID
	Reason string
	At     time.Time
}

// Grant is what a sponsor may see beside the engagement itself: that it is there, whose it is, and where it stands.
type Grant string

// The grants.
const (
	SessionDates Grant = "SESSION_DATES" // its sessions: when they are, where they stand, and whether each counts
	Progress     Grant = "PROGRESS"      // how many sessions were agreed and used
	Goals        Grant = "GOALS"         // those of its goals that are shared with the sponsor
)

// Sponsorship is a person's support of an engagement.
type Sponsorship struct {
	UserID    org.UserID
	Grants    []Grant
	CreatedAt time.Time
}

// Reopening is how the engagement last went on after its end; nil if it never did.
func (e *Engagement) Reopening() *Reopening {
	if e.ReopenedBy == nil || e.ReopenReason == nil || e.ReopenedAt == nil {
		return nil
	}
	return &Reopening{ByID: *e.ReopenedBy, Reason: *e.ReopenReason, At: *e.ReopenedAt}
}

// IsNode marks a Relay node.
func (*Engagement) IsNode() {}

// Filter selects engagements: all conditions must hold, each list matches any of its values.
type Filter struct {
	ClientIds       []client.ID
	CoachIds        []org.UserID
	Statuses        []Status
	IncludeArchived bool
}

// OrderField is what engagements can be ordered by.
type OrderField string

// OrderByCreatedAt orders by when an engagement was made.
const OrderByCreatedAt OrderField = "CREATED_AT"

// OrderBy is an order of engagements.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}

// CreateInput is a new engagement.
type CreateInput struct {
	ClientID         client.ID
	CoachID          *org.UserID
	Title            string
	SessionsIncluded *int
	StartsOn         *time.Time
	EndsOn           *time.Time
}

// UpdateInput changes an engagement: a field that is nil stays as it is, one that points to nil is cleared.
type UpdateInput struct {
	ID               ID
	Title            **string
	Status           **Status
	SessionsIncluded **int
	StartsOn         **time.Time
	EndsOn           **time.Time
}

// ReopenInput lets an engagement that has ended go on.
type ReopenInput struct {
	ID     ID
	Reason string
}

// SetSponsorInput adds a sponsor to an engagement, or changes what one may see.
type SetSponsorInput struct {
	EngagementID ID
	UserID       org.UserID
	Grants       []Grant
}

// RemoveSponsorInput takes a sponsor off an engagement.
type RemoveSponsorInput struct {
	EngagementID ID
	UserID       org.UserID
}

// ArchiveInput archives an engagement or brings one back.
type ArchiveInput struct {
	ID       ID
	Archived bool
}
