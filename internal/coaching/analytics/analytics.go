// Package analytics tells how measures change over time: one series for each person, coach or engagement, beside the
// programme's distribution or the period before.
package analytics

import (
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Name is what is measured.
type Name string

// Unit is what a value counts.
type Unit string

// The units.
const (
	Count        Unit = "COUNT"
	Share        Unit = "SHARE"
	Milliseconds Unit = "MILLISECONDS"
	PerMinute    Unit = "PER_MINUTE"
	Score        Unit = "SCORE"
	Days         Unit = "DAYS"
)

// GroupBy is what has a series of its own.
type GroupBy string

// The groups, each by its column.
const (
	All          GroupBy = "NONE"
	ByPerson     GroupBy = "PERSON"
	ByCoach      GroupBy = "COACH"
	ByEngagement GroupBy = "ENGAGEMENT"
)

// Interval is how long a point of a series lasts.
type Interval string

// The intervals, by the calendar of the viewer's zone. A week begins on Monday.
const (
	Week    Interval = "WEEK"
	Month   Interval = "MONTH"
	Quarter Interval = "QUARTER"
)

// CompareTo is what stands beside the values.
type CompareTo string

// The comparisons.
const (
	Nothing        CompareTo = "NONE"
	Programme      CompareTo = "PROGRAMME"
	PreviousPeriod CompareTo = "PREVIOUS_PERIOD"
)

// MaxPoints is how many points all series of one request have at most.
const MaxPoints = 400

// Fewer sessions, goals, check-ins or actions, or of fewer people, are no programme: its distribution would tell of single ones.
const (
	minObserved = 5
	minPeople   = 3
)

// Query asks for series.
type Query struct {
	Metric    Name
	GroupBy   GroupBy
	Interval  Interval
	From, To  time.Time // days, as midnight UTC; both within the first and the last interval
	Filter    *Filter
	CompareTo CompareTo
}

// Filter selects what is measured: all conditions must hold, each list matches any of its values.
type Filter struct {
	ClientIds     []client.ID
	CoachIds      []org.UserID
	EngagementIds []engagement.ID
}

// Series is the answer.
type Series struct {
	Metric            Name
	Unit              Unit
	DefinitionVersion *int // of measures of conversations
	Interval          Interval
	TimeZone          string
	LeftOut           int
	Groups            []*Group
}

// Group is one series, of what its id names.
type Group struct {
	by     GroupBy
	key    id.UUID
	Points []*Point
}

// Of is the id of what the series is of, if it is of that.
func (g *Group) Of(by GroupBy) (id.UUID, bool) { return g.key, g.by == by }

// Point is an interval measured. A value is nil if there is nothing to measure, never 0.
type Point struct {
	StartsAt, EndsAt time.Time
	Value            *float64
	N                int
	Previous         *Previous
	Programme        *Distribution
}

// Previous is the same interval of the period before.
type Previous struct {
	StartsAt, EndsAt time.Time
	Value            *float64
	N                int
}

// Suppression is why a distribution is not told.
type Suppression string

// The reasons.
const (
	TooFewSessions Suppression = "TOO_FEW_SESSIONS"
	TooFew         Suppression = "TOO_FEW" // of anything else
	TooFewPeople   Suppression = "TOO_FEW_PEOPLE"
)

// Distribution is how the values of the programme lie, by linear interpolation between neighbours; all nil if suppressed.
type Distribution struct {
	P10, P25, Median, P75, P90 *float64
	N                          *int
	Suppressed                 *Suppression
}

// edges are the bounds of the intervals that hold both days, by the calendar of a zone: one more than there are intervals.
// more continues them: n intervals before the first.
func (i Interval) edges(from, to time.Time, zone *time.Location, before bool) []time.Time {
	start := i.begin(from, zone)
	edges := []time.Time{start}
	for at := start; !civil(at).After(to); {
		at = i.step(at, 1)
		edges = append(edges, at)
	}
	if !before {
		return edges
	}
	n := len(edges) - 1
	all := make([]time.Time, 0, 2*n+1)
	for k := range n {
		all = append(all, i.step(start, k-n))
	}
	return append(all, edges...)
}

// civil is a moment's day in its zone, as midnight UTC.
func civil(at time.Time) time.Time {
	y, m, d := at.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// begin is the beginning of the interval that a day lies in.
func (i Interval) begin(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	switch i {
	case Week:
		d -= (int(day.Weekday()) + 6) % 7
	case Month:
		d = 1
	case Quarter:
		m, d = m-(m-1)%3, 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// step is n intervals later; midnight stays midnight where the clocks change.
func (i Interval) step(at time.Time, n int) time.Time {
	switch i {
	case Week:
		return at.AddDate(0, 0, 7*n)
	case Month:
		return at.AddDate(0, n, 0)
	}
	return at.AddDate(0, 3*n, 0)
}
