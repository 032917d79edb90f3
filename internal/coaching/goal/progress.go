// Package goal says how a client's goals are getting on.
package goal

import "time"

// Progress is how a goal is getting on. It is computed and never set.
type Progress string

// The states of progress.
const (
	SolidMomentum  Progress = "SOLID_MOMENTUM"
	NeedsAttention Progress = "NEEDS_ATTENTION"
	LetsRefocus    Progress = "LETS_REFOCUS"
)

const (
	settling   = 7 * 24 * time.Hour // a younger goal has had no time to show anything
	minCadence = 24 * time.Hour     // what is done within a day is done in one go
	steady     = 2                  // times the cadence: no longer since the last completion is momentum
	slowing    = 4                  // times the cadence: no longer is a pause
)

// Plan is what a goal's progress is judged by.
type Plan struct {
	CreatedAt time.Time
	TargetAt  *time.Time  // the end of the target day where the client is; nil without one
	Open      int         // actions agreed on and not done; those nobody will do are no part of the plan
	Done      []time.Time // when the others were completed, in any order
}

// ProgressOf judges an open goal at a moment.
//
// A goal younger than 7 days has momentum. One with a target date needs actions; past its date it wants refocusing, and
// before it the share of actions done is held against the share of time elapsed: at least as much is momentum, at least
// half as much needs attention. Without a target date the client's own cadence counts, the mean time for an action from
// the goal's creation to the last completion, though at least a day: up to twice that since the last completion is
// momentum, up to four times needs attention.
func ProgressOf(p Plan, now time.Time) Progress {
	switch {
	case now.Sub(p.CreatedAt) < settling:
		return SolidMomentum
	case p.TargetAt != nil:
		return p.towards(*p.TargetAt, now)
	case len(p.Done) == 0:
		return NeedsAttention
	}
	last := p.Done[0]
	for _, at := range p.Done {
		if at.After(last) {
			last = at
		}
	}
	cadence := max(minCadence, last.Sub(p.CreatedAt)/time.Duration(len(p.Done)))
	switch since := now.Sub(last); {
	case since <= steady*cadence:
		return SolidMomentum
	case since <= slowing*cadence:
		return NeedsAttention
	}
	return LetsRefocus
}

func (p Plan) towards(target, now time.Time) Progress {
	actions := p.Open + len(p.Done)
	if actions == 0 {
		return NeedsAttention
	}
	if now.After(target) {
		return LetsRefocus
	}
	done := float64(len(p.Done)) / float64(actions)
	elapsed := float64(now.Sub(p.CreatedAt)) / float64(target.Sub(p.CreatedAt))
	switch {
	case done < elapsed/2:
		return LetsRefocus
	case done < elapsed:
		return NeedsAttention
	}
	return SolidMomentum
}
