package goal

import (
	"testing"
	"time"
)

// A day ends with the first moment of the next, also where clocks are put forward at midnight and that moment is not 0:00.
func TestDaysEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, day, end string }{
		{"UTC", "2026-07-10", "2026-07-11T00:00:00Z"},
		{"Pacific/Auckland", "2026-07-10", "2026-07-10T12:00:00Z"},
		{"Mars/Olympus", "2026-07-10", "2026-07-11T00:00:00Z"},
		{"America/Santiago", "2026-09-05", "2026-09-06T04:00:00Z"}, // to 1:00; time.Date says 23:00
		{"America/Santiago", "2026-09-06", "2026-09-07T03:00:00Z"},
		{"Africa/Cairo", "2026-04-23", "2026-04-23T22:00:00Z"}, // to 1:00; time.Date says 1:00
		{"Africa/Cairo", "2026-10-29", "2026-10-29T22:00:00Z"}, // back from 24:00 to 23:00
	} {
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		if got := endOf(day, c.zone).Format(time.RFC3339); got != c.end {
			t.Errorf("%s ends in %s at %s, want %s", c.day, c.zone, got, c.end)
		}
	}
}
