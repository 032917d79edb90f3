// Package deadletter shows owners and admins which work was given up, and lets them have it done after all, or forget it.
//
// A dead letter is the row of a job that is DEAD, whichever queue handed it out. It says what was to be done and about what; the
// text of the error, which is for whoever runs the program, stays in the database and in the log.
package deadletter

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies a job that was given up: deadletter_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("deadletter", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "deadletter", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "deadletter", &i.UUID) }

// DeadLetter is a job that was given up.
type DeadLetter struct {
	auth.Grants
	ID        ID
	Kind      string
	Attempts  int
	ErrorCode string
	Since     time.Time

	prefix *string // of what it is about; nil if that is gone, or is nothing with an id of its own
	entity id.UUID
}

// IsNode marks a Relay node.
func (*DeadLetter) IsNode() {}

// EntityID is what the work is about; nil if that is gone, or is nothing with an id of its own.
func (d *DeadLetter) EntityID() *id.Any {
	if d.prefix == nil {
		return nil
	}
	return &id.Any{Prefix: *d.prefix, UUID: d.entity}
}

// About says what jobs of a kind are about: the rows of a table, and the prefix of their ids. A kind may have several.
type About struct{ Kind, Prefix, Table string }

// Filter selects dead letters: all conditions must hold, each list matches any of its values.
type Filter struct {
	Kinds      []string
	ErrorCodes []string
	EntityIds  []id.Any
}

// Input names dead letters.
type Input struct{ Ids []ID }
