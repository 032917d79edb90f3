// Package goal knows what a client works towards, how it is getting on, and what is to be done for it by whom and when.
package goal

import (
	"io"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies a goal: goal_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("goal", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "goal", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "goal", &i.UUID) }

// CheckInID identifies a check-in: checkin_….
type CheckInID struct{ id.UUID }

func (i CheckInID) String() string { return id.Format("checkin", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i CheckInID) MarshalGQL(w io.Writer) { id.Write(w, "checkin", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *CheckInID) UnmarshalGQL(v any) error { return id.Read(v, "checkin", &i.UUID) }

// Status says whether a goal is still worked towards.
type Status string

// The states of a goal.
const (
	Open      Status = "OPEN"
	Achieved  Status = "ACHIEVED"
	Abandoned Status = "ABANDONED"
)

// To checks a change of state. Staying is no change. What is closed is opened again before it is closed otherwise, so that
// a slip of the hand turns no achievement into a failure.
func (s Status) To(next Status) error {
	if s != next && s != Open && next != Open {
		return fault.Conflict("a goal that is %s cannot become %s: open it again first", s, next)
	}
	return nil
}

// Goal is what a client works towards.
type Goal struct {
	auth.Grants
	ID                ID
	ClientID          client.ID
	CoachID           org.UserID
	EngagementID      *engagement.ID
	Title             string
	Description       *string
	Status            Status
	TargetDate        *time.Time // a day, as midnight UTC
	SharedWithSponsor bool
	Version           int
	ClosedAt          *time.Time
	CreatedAt         time.Time
	UpdatedAt         time.Time
	score             *int
	zone              string // where the client is
	open              int    // actions agreed on and not done
	done              []time.Time
}

// IsNode marks a Relay node.
func (*Goal) IsNode() {}

// LatestScore is that of the latest check-in as it was corrected; nil without one.
func (g *Goal) LatestScore() *int { return g.score }

// Progress judges an open goal as it is now; nil for one that is closed.
func (g *Goal) Progress() *Progress {
	if g.Status != Open {
		return nil
	}
	plan := Plan{CreatedAt: g.CreatedAt, Open: g.open, Done: g.done}
	if g.TargetDate != nil {
		end := endOf(*g.TargetDate, g.zone)
		plan.TargetAt = &end
	}
	p := ProgressOf(plan, time.Now())
	return &p
}

// endOf is the moment at which a day, given as midnight UTC, is over in a zone.
func endOf(day time.Time, zone string) time.Time {
	y, m, d := day.Date()
	end := time.Date(y, m, d+1, 0, 0, 0, 0, location(zone))
	if end.Day() == d { // clocks are put forward at midnight, and time.Date has chosen the side before
		_, before := end.Zone()
		_, after := end.AddDate(0, 0, 1).Zone()
		end = end.Add(time.Duration(after-before) * time.Second)
	}
	return end.UTC()
}

// location is a zone, UTC if this machine does not know it.
func location(zone string) *time.Location {
	if where, err := time.LoadLocation(zone); err == nil {
		return where
	}
	return time.UTC
}

// CheckIn is how near to a goal somebody sees the client, from 0 to 10. It is never changed: a correction is another one.
type CheckIn struct {
	auth.Grants
	ID         CheckInID
	GoalID     ID
	Score      int
	Note       *string
	AuthorID   org.UserID
	CorrectsID *CheckInID
	Corrected  bool // by a later one
	At         time.Time
	CreatedAt  time.Time
}

// IsNode marks a Relay node.
func (*CheckIn) IsNode() {}

// Filter selects goals: all conditions must hold, each list matches any of its values.
type Filter struct {
	ClientIds     []client.ID
	EngagementIds []engagement.ID
	CoachIds      []org.UserID
	Statuses      []Status
}

// OrderField is what goals can be ordered by.
type OrderField string

// The orders of goals.
const (
	OrderByCreatedAt  OrderField = "CREATED_AT"
	OrderByTargetDate OrderField = "TARGET_DATE"
)

// OrderBy is an order of goals.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}

// CreateInput is a new goal.
type CreateInput struct {
	ClientID          client.ID
	EngagementID      *engagement.ID
	Title             string
	Description       *string
	TargetDate        *time.Time
	SharedWithSponsor bool
}

// UpdateInput changes a goal: a field that is nil stays as it is, one that points to nil is cleared.
type UpdateInput struct {
	ID                ID
	ExpectedVersion   int
	Title             **string
	Description       **string
	Status            **Status
	TargetDate        **time.Time
	SharedWithSponsor **bool
}

// CheckInInput adds a check-in to a goal.
type CheckInInput struct {
	GoalID     ID
	Score      int
	Note       *string
	CorrectsID *CheckInID
}

// LinkInput links a goal with something, or takes the link away.
type LinkInput struct {
	GoalID   ID
	EntityID id.Any
}

// ActionID identifies an action: action_….
type ActionID struct{ id.UUID }

func (i ActionID) String() string { return id.Format("action", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ActionID) MarshalGQL(w io.Writer) { id.Write(w, "action", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ActionID) UnmarshalGQL(v any) error { return id.Read(v, "action", &i.UUID) }

// ActionStatus says how far an action has come.
type ActionStatus string

// The states of an action.
const (
	Proposed   ActionStatus = "PROPOSED" // not yet agreed on
	ToDo       ActionStatus = "OPEN"
	InProgress ActionStatus = "IN_PROGRESS"
	Done       ActionStatus = "DONE"
	WontDo     ActionStatus = "WONT_DO"
)

// successors are the states each state may go to.
var successors = map[ActionStatus][]ActionStatus{
	Proposed:   {ToDo, InProgress, Done, WontDo},
	ToDo:       {InProgress, Done, WontDo},
	InProgress: {ToDo, Done, WontDo},
	Done:       {ToDo, InProgress},
	WontDo:     {ToDo, InProgress},
}

// To checks a change of state. Staying is no change. What is agreed on is never a proposal again, and what is done or given
// up is taken up again before it is closed otherwise.
func (s ActionStatus) To(next ActionStatus) error {
	if s != next && !slices.Contains(successors[s], next) {
		return fault.Conflict("an action that is %s cannot become %s", s, next)
	}
	return nil
}

// pending says whether an action is agreed on and not closed: only such a one can be overdue.
func (s ActionStatus) pending() bool { return s == ToDo || s == InProgress }
