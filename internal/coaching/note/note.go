// Package note keeps what people write down about a client, an engagement or a session, and every version of it.
//
// A note is its author's: nobody else changes it, and a private one nobody else sees, by whatever path. What is shared is
// shared from then on: the versions before stay as private as they were. What is made private again is withdrawn with all
// that came before, and does not come back when a later version is shared.
package note

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies a note: note_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("note", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "note", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "note", &i.UUID) }

// VersionID identifies a version of a note: noteversion_….
type VersionID struct{ id.UUID }

func (i VersionID) String() string { return id.Format("noteversion", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i VersionID) MarshalGQL(w io.Writer) { id.Write(w, "noteversion", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *VersionID) UnmarshalGQL(v any) error { return id.Read(v, "noteversion", &i.UUID) }

// Visibility says who sees a note beside its author.
type Visibility string

// The visibilities; each opens a note to all that the one before does, and more.
const (
	Private          Visibility = "PRIVATE"            // nobody
	SharedWithClient Visibility = "SHARED_WITH_CLIENT" // the client and the coach
	SharedWithOrg    Visibility = "SHARED_WITH_ORG"    // owners, admins and the coach's supervisors too
)

var width = map[Visibility]int{Private: 0, SharedWithClient: 1, SharedWithOrg: 2}

// MaxBytes is how long a note may be.
const MaxBytes = 100_000

// Note is what somebody has written down, in its latest version.
type Note struct {
	auth.Grants
	ID           ID
	AuthorID     org.UserID
	ClientID     client.ID
	EngagementID *engagement.ID
	SessionID    *session.ID
	Visibility   Visibility
	Version      int
	Body         string // Markdown
	ArchivedAt   *time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// IsNode marks a Relay node.
func (*Note) IsNode() {}

// IsTaggable marks what a tag can be put on.
func (*Note) IsTaggable() {}

// AboutClient is the client whom it is about.
func (n *Note) AboutClient() id.UUID { return n.ClientID.UUID }

// Version is a note as it was saved once.
type Version struct {
	auth.Grants
	ID         VersionID
	NoteID     ID
	Number     int // from 1
	AuthorID   org.UserID
	Visibility Visibility
	Body       string
	CreatedAt  time.Time
}

// IsNode marks a Relay node.
func (*Version) IsNode() {}

// Conflict is what stands against a save that was made from an older version: all three texts, for a person to put together.
type Conflict struct {
	Yours   string // what was to be saved
	Theirs  string // what has been saved meanwhile
	Base    string // what both began with
	Version int    // of theirs: the one to expect next
}

// Filter selects notes: all conditions must hold, each list matches any of its values.
type Filter struct {
	ClientIds       []client.ID
	EngagementIds   []engagement.ID
	SessionIds      []session.ID
	AuthorIds       []org.UserID
	Visibilities    []Visibility
	TagIds          []tag.ID
	IncludeArchived bool
}

// OrderField is what notes can be ordered by.
type OrderField string

// The orders of notes.
const (
	OrderByCreatedAt OrderField = "CREATED_AT"
	OrderByUpdatedAt OrderField = "UPDATED_AT"
)

// OrderBy is an order of notes.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}

// CreateInput is a new note.
type CreateInput struct {
	EntityID   id.Any // a client, an engagement or a session
	Body       string
	Visibility Visibility
	MentionIds []org.UserID
}

// SaveInput is the next version of a note; visibility and mentions stay as they are if nil.
type SaveInput struct {
	ID              ID
	ExpectedVersion int
	Body            string
	Visibility      *Visibility
	MentionIds      []org.UserID
}

// RestoreInput makes the words of an earlier version the next one.
type RestoreInput struct {
	VersionID       VersionID
	ExpectedVersion int
}

// ArchiveInput archives a note or brings one back.
type ArchiveInput struct {
	ID       ID
	Archived bool
}

// DeleteInput deletes a note for good.
type DeleteInput struct {
	ID ID
}
