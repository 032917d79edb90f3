// Package theme tells what comes up again and again in a client's sessions with a coach.
//
// A theme's row holds its topic and what people have decided about it: what it is called, and which themes are one. Everything else is
// computed from the insights of the theme that the viewer may see, when somebody looks: nothing of it can be out of date, and nobody
// learns from a theme of an insight that is not theirs to see.
package theme

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies a theme: theme_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("theme", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "theme", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "theme", &i.UUID) }

// Theme is what comes up in the conversations of a coach with a client. Its counts and times are of the insights that the viewer may see.
type Theme struct {
	auth.Grants
	ID           ID
	ClientID     client.ID
	CoachID      org.UserID
	Label        string // what a person calls it, else its topic
	Topic        string // what an analyser called it first
	MergedIntoID *ID
	InsightCount int
	SessionCount int
	FirstSeenAt  time.Time // when the first of the sessions began
	LastSeenAt   time.Time // when the last of them began
	UpdatedAt    time.Time // when somebody last decided something about it
}

// IsNode marks a Relay node.
func (*Theme) IsNode() {}

// Trend says how a theme comes up lately, compared with before.
type Trend string

// The trends.
const (
	New    Trend = "NEW"
	Rising Trend = "RISING"
	Steady Trend = "STEADY"
	Fading Trend = "FADING"
)

// How many sessions say something of a trend, and how many of them are recent at most.
const (
	fewest = 3
	recent = 3
)

// TrendOf is how a theme comes up lately. came has an entry for each session that was looked at, in their order: whether the theme came up
// in it.
//
// The last three sessions are recent; of fewer than six, the later half, rounded up. A theme that came up in none before these is NEW. If the
// share of the recent sessions in which it came up is less than half of the share of those before, it is FADING; if it is more than twice
// that, and it came up in two of them at least, RISING; else STEADY. Fewer than three sessions say nothing, and neither do any in which it
// did not come up.
func TrendOf(came []bool) *Trend {
	n := len(came)
	if n < fewest {
		return nil
	}
	late := min(recent, (n+1)/2)
	before, lately := count(came[:n-late]), count(came[n-late:])
	// Shares are compared crosswise, in whole numbers.
	is, was := lately*(n-late), before*late
	trend := Steady
	switch {
	case before == 0 && lately == 0:
		return nil
	case before == 0:
		trend = New
	case 2*is < was:
		trend = Fading
	case is > 2*was && lately >= 2:
		trend = Rising
	}
	return &trend
}

func count(came []bool) (n int) {
	for _, c := range came {
		if c {
			n++
		}
	}
	return n
}

// Filter selects themes: all conditions must hold. Those that were merged into another are found only with IncludeMerged.
type Filter struct {
	MinSessions   *int
	SeenAfter     *time.Time
	IncludeMerged bool
}

// OrderField is what themes can be ordered by.
type OrderField string

// The orders.
const (
	OrderBySessionCount OrderField = "SESSION_COUNT"
	OrderByLastSeenAt   OrderField = "LAST_SEEN_AT"
	OrderByFirstSeenAt  OrderField = "FIRST_SEEN_AT"
	OrderByLabel        OrderField = "LABEL"
)

// OrderBy is an order of themes.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}
