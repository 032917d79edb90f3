// Package auth says who is calling: it verifies bearer tokens and carries the viewer.
package auth

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Role is what a person is in an organization. One person may hold several.
type Role string

// The roles of a membership.
const (
	RoleOwner      Role = "OWNER"
	RoleAdmin      Role = "ADMIN"
	RoleCoach      Role = "COACH"
	RoleSupervisor Role = "SUPERVISOR"
	RoleClient     Role = "CLIENT"
	RoleSponsor    Role = "SPONSOR"
)

// Viewer is the authenticated person, acting in one organization.
type Viewer struct {
	Org   id.UUID
	User  id.UUID
	Roles []Role
	// Until is when the token expires that the viewer came with: nothing that lasts may outlive it. Zero is never, for what
	// acts without a token.
	Until time.Time
}

// Has says whether the viewer holds one of the roles.
func (v Viewer) Has(roles ...Role) bool {
	for _, have := range v.Roles {
		for _, want := range roles {
			if have == want {
				return true
			}
		}
	}
	return false
}

// Grants is the set of relations through which a viewer sees one row. SQL computes it beside the row, so that the row
// filter and the field rules (@access) can never disagree about who the viewer is to that row.
type Grants int32

// The relations.
const (
	AsSelf            Grants = 1 << iota // the row is the viewer
	AsAdmin                              // owner or admin of the organization
	AsCoach                              // the coach of the client, engagement or session
	AsSupervisor                         // supervises that coach
	AsClient                             // the client of it
	AsSponsor                            // sponsors the engagement
	AsProgressSponsor                    // sponsors it, and may see its progress
)

// Any says whether one of want is among g.
func (g Grants) Any(want Grants) bool { return g&want != 0 }

// Granted is a row that knows through which relations the viewer sees it.
type Granted interface{ Granted() Grants }

// Granted makes Grants embeddable: a struct that embeds Grants is a Granted.
func (g Grants) Granted() Grants { return g }

type viewerKey struct{}

// WithViewer returns a context that carries v.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// WithoutViewer returns a context in which nobody asks, whoever does in ctx: FromContext and ClaimsFrom refuse.
func WithoutViewer(ctx context.Context) context.Context {
	return context.WithValue(context.WithValue(ctx, viewerKey{}, nil), holderKey{}, nil)
}

// FromContext returns the viewer, or an Unauthenticated fault.
func FromContext(ctx context.Context) (Viewer, error) {
	if v, ok := ctx.Value(viewerKey{}).(Viewer); ok {
		return v, nil
	}
	b, ok := ctx.Value(holderKey{}).(*holder)
	if !ok {
		return Viewer{}, fault.Unauthenticated("sign in: send an Authorization: Bearer token")
	}
	if v := b.became.Load(); v != nil {
		return *v, nil
	}
	return Viewer{}, b.refusal
}

// holder is who has sent a good token: a viewer, or somebody who is nobody here yet.
type holder struct {
	claims  Claims
	refusal error // why the holder is no viewer
	became  atomic.Pointer[Viewer]
}

type holderKey struct{}

// ClaimsFrom returns what the token of a request says, also of somebody who is no viewer, or an Unauthenticated fault. It is for
// what makes a viewer of somebody; everything else asks FromContext.
func ClaimsFrom(ctx context.Context) (Claims, error) {
	b, ok := ctx.Value(holderKey{}).(*holder)
	if !ok {
		return Claims{}, fault.Unauthenticated("sign in: send an Authorization: Bearer token")
	}
	return b.claims, nil
}

// Become has who was nobody go on as v for the rest of the request. A viewer stays who they are.
func Become(ctx context.Context, v Viewer) {
	if b, ok := ctx.Value(holderKey{}).(*holder); ok && b.refusal != nil {
		v.Until = b.claims.ExpiresAt
		b.became.Store(&v)
	}
}
