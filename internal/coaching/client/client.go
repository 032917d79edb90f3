// Package client knows the people who are coached.
package client

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies a client: client_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("client", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "client", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "client", &i.UUID) }

// Lifecycle says where a client stands with the practice.
type Lifecycle string

// The stages of a client.
const (
	Lead    Lifecycle = "LEAD"
	Active  Lifecycle = "ACTIVE"
	AtRisk  Lifecycle = "AT_RISK"
	Dormant Lifecycle = "DORMANT"
	Churned Lifecycle = "CHURNED"
)

// Client is a person who is coached; may have no login.
type Client struct {
	auth.Grants
	ID         ID
	CoachID    org.UserID  // the responsible coach
	UserID     *org.UserID // the client's login
	Name       string
	Email      *string
	Lifecycle  Lifecycle
	LegalHold  bool // kept for a dispute: neither swept nor erased
	ArchivedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// IsNode marks a Relay node.
func (*Client) IsNode() {}

// IsConsentSubject marks whose consents are recorded.
func (*Client) IsConsentSubject() {}

// IsTaggable marks what a tag can be put on.
func (*Client) IsTaggable() {}

// AboutClient is the client whom it is about.
func (c *Client) AboutClient() id.UUID { return c.ID.UUID }

// Filter selects clients: all conditions must hold, each list matches any of its values.
type Filter struct {
	NameStartsWith  *string
	Lifecycles      []Lifecycle
	CoachIds        []org.UserID
	TagIds          []tag.ID
	IncludeArchived bool

	// Called is how a part of the name begins, whatever accents it has. It is for search, and no argument.
	Called *string
}

// OrderField is what clients can be ordered by.
type OrderField string

// The orders of clients.
const (
	OrderByName      OrderField = "NAME"
	OrderByCreatedAt OrderField = "CREATED_AT"
)

// OrderBy is an order of clients.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}

// CreateInput is a new client.
type CreateInput struct {
	Name      string
	Email     *string
	Lifecycle Lifecycle
	CoachID   *org.UserID
}

// UpdateInput changes a client: a field that is nil stays as it is, one that points to nil is cleared. An empty e-mail
// address is none.
type UpdateInput struct {
	ID        ID
	Name      **string
	Email     **string
	Lifecycle **Lifecycle
}

// ArchiveInput archives a client or brings one back.
type ArchiveInput struct {
	ID       ID
	Archived bool
}
