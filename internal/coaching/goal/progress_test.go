package goal_test

import (
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/goal"
)

const day = 24 * time.Hour

var created = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// after lists moments, in days after the goal's creation.
func after(days ...float64) (moments []time.Time) {
	for _, d := range days {
		moments = append(moments, created.Add(time.Duration(d*float64(day))))
	}
	return moments
}

func TestProgress(t *testing.T) {
	t.Parallel()
	const solid, attention, refocus = goal.SolidMomentum, goal.NeedsAttention, goal.LetsRefocus
	for _, tt := range []struct {
		name   string
		target float64 // days after the creation, 0 for none
		open   int
		done   []time.Time
		now    float64
		want   goal.Progress
	}{
		{"new, with nothing done", 0, 0, nil, 6.99, solid},
		{"new, with its date past", 3, 1, nil, 6.99, solid},
		{"a week old, with nothing done", 0, 3, nil, 7, attention},

		{"to a date, without actions", 40, 0, nil, 10, attention},
		{"to a date that is past, without actions", 8, 0, nil, 10, attention},
		{"on the date, all done", 40, 0, after(1, 2), 40, solid}, // 2 of 2 done, all of the time elapsed
		{"past the date, all done", 40, 0, after(1, 2), 40.01, refocus},
		{"past the date", 40, 1, after(1, 2, 3), 41, refocus},
		{"done as much as elapsed", 40, 3, after(1), 10, solid},             // 1 of 4, 10 of 40 days
		{"done less than elapsed", 40, 3, after(1), 10.01, attention},       // ¼ against a little more
		{"done half of elapsed", 40, 3, after(1), 20, attention},            // ¼ against ½
		{"done less than half of elapsed", 40, 3, after(1), 20.01, refocus}, // ¼ against a little more than ½
		{"to a date, nothing done", 40, 4, nil, 7, refocus},

		// The cadence is 10 days: the last of 2 actions was done after 20.
		{"within twice the cadence", 0, 1, after(20, 3), 40, solid},
		{"beyond twice the cadence", 0, 1, after(20, 3), 40.01, attention},
		{"within four times the cadence", 0, 1, after(3, 20), 60, attention},
		{"beyond four times the cadence", 0, 1, after(3, 20), 60.01, refocus},
		// All was done within the first hour: the cadence is taken for a day.
		{"in one go, 2 days ago", 0, 0, after(6.01, 6.02, 6.03, 6.04, 6.05, 6.06, 6.07), 8, solid},
		{"at once, within 4 days", 0, 0, after(4, 4, 4, 4, 4), 8, attention},
		{"at once, beyond 4 days", 0, 0, after(0, 0), 8, refocus},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := goal.Plan{CreatedAt: created, Open: tt.open, Done: tt.done}
			if tt.target > 0 {
				plan.TargetAt = &after(tt.target)[0]
			}
			if got := goal.ProgressOf(plan, after(tt.now)[0]); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
