// Package tag lets a person put their own labels on things. It knows no domain: what can be tagged is registered with it.
package tag

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies a tag: tag_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("tag", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "tag", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "tag", &i.UUID) }

// Tag is a person's own label.
type Tag struct {
	auth.Grants
	ID        ID
	OwnerID   org.UserID
	Name      string
	Color     string // #rrggbb
	CreatedAt time.Time
}

// IsNode marks a Relay node.
func (*Tag) IsNode() {}

// Taggable is what a tag can be put on.
type Taggable interface {
	auth.Granted
	IsTaggable()
	AboutClient() id.UUID // the client whom it is about
}

// AddInput puts a tag on something.
type AddInput struct {
	EntityID id.Any
	Name     string
	Color    *string // of a new tag; an existing one keeps its own
}

// UpdateInput changes a tag: a field that is nil stays as it is.
type UpdateInput struct {
	ID    ID
	Name  **string
	Color **string
}

// MergeInput puts one tag in the place of others.
type MergeInput struct {
	IntoID ID
	Ids    []ID
}

// DeleteInput deletes a tag.
type DeleteInput struct{ ID ID }

// RemoveInput takes a tag off something.
type RemoveInput struct {
	EntityID id.Any
	Name     string
}
