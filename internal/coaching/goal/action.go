package goal

import (
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ActionItem is something to be done for a client's sake.
type ActionItem struct {
	auth.Grants
	ID              ActionID
	ClientID        client.ID
	CoachID         org.UserID
	EngagementID    *engagement.ID
	SessionID       *session.ID
	GoalID          *ID
	SourceInsightID *id.UUID
	Title           string
	Description     *string
	Status          ActionStatus
	DueOn           *time.Time // a day, as midnight UTC
	DueAt           *time.Time // the end of that day, where the viewer is if it is the viewer's to do
	CreatedByID     org.UserID
	Version         int
	StartedAt       *time.Time
	CompletedAt     *time.Time
	StatusChangedAt time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
	archived        bool // its client is
}

// IsNode marks a Relay node.
func (*ActionItem) IsNode() {}

// Pending says whether there is something to be done: the action is agreed on and not closed, and its client not archived.
func (a *ActionItem) Pending() bool { return a.Status.pending() && !a.archived }

// Overdue says whether the action is agreed on, not done, and its day over.
func (a *ActionItem) Overdue() bool {
	return a.Status.pending() && a.DueAt != nil && !time.Now().Before(*a.DueAt)
}

// Assignee is somebody who is to do an action: a member, or the client, who may have no login.
type Assignee struct {
	auth.Grants
	UserID     *org.UserID
	ClientID   *client.ID
	DueAt      *time.Time // the end of the day where they are
	AssignedAt time.Time
}

// ActionFilter selects actions: all conditions must hold, each list matches any of its values. When an action is due is
// judged as ActionItem.DueAt.
type ActionFilter struct {
	ClientIds     []client.ID
	EngagementIds []engagement.ID
	SessionIds    []session.ID
	GoalIds       []ID
	Statuses      []ActionStatus
	AssignedToMe  *bool
	DueBefore     *time.Time
	DueAfter      *time.Time
	Overdue       *bool
}

// ActionOrderField is what actions can be ordered by.
type ActionOrderField string

// The orders of actions.
const (
	OrderActionsByDue       ActionOrderField = "DUE"
	OrderActionsByCreatedAt ActionOrderField = "CREATED_AT"
)

// ActionOrderBy is an order of actions.
type ActionOrderBy struct {
	Field     ActionOrderField
	Direction page.Direction
}

// CreateActionInput is a new action.
type CreateActionInput struct {
	ClientID    client.ID
	Title       string
	Description *string
	Status      ActionStatus
	DueOn       *time.Time
	AssigneeIds []*id.Any
	GoalID      *ID
	SessionID   *session.ID
}

// UpdateActionInput changes an action: a field that is nil stays as it is, one that points to nil is cleared.
type UpdateActionInput struct {
	ID              ActionID
	ExpectedVersion int
	Title           **string
	Description     **string
	Status          **ActionStatus
	DueOn           **time.Time
}

// AssignInput says who is to do an action, in place of whoever was to do it.
type AssignInput struct {
	ActionItemID    ActionID
	ExpectedVersion int
	AssigneeIds     []*id.Any
}

// Commitment is an action that was agreed on in a session, as somebody who knows the session proposes it.
type Commitment struct {
	InsightID id.UUID
	Session   *session.Session
	Title     string
	DueOn     *time.Time               // if it was said; a day that is past is taken as it is
	Assignees func() ([]id.Any, error) // who is to do it; asked for a new action only
	GoalID    *ID
	// Chosen says that a person has set the day, which then must not be past.
	Chosen bool
}
