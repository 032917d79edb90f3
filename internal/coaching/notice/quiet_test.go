package notice

import (
	"testing"
	"time"
)

func clock(t *testing.T, zone, value string) (time.Time, *time.Location) {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		t.Fatal(err)
	}
	return at, loc
}

// Berlin puts its clocks forward on 29 March 2026 at 02:00, and back on 25 October 2026 at 03:00.
func TestQuietHours(t *testing.T) {
	t.Parallel()
	night := &QuietHours{21 * 60, 7 * 60}
	for name, c := range map[string]struct {
		quiet     *QuietHours
		zone, now string
		want      string // "" is not quiet
	}{
		"none":                           {nil, "Europe/Berlin", "2026-03-02T02:00:00+01:00", ""},
		"by day":                         {night, "Europe/Berlin", "2026-03-02T12:00:00+01:00", ""},
		"the evening before":             {night, "Europe/Berlin", "2026-03-02T20:59:59+01:00", ""},
		"the first minute":               {night, "Europe/Berlin", "2026-03-02T21:00:00+01:00", "2026-03-03T07:00:00+01:00"},
		"after midnight":                 {night, "Europe/Berlin", "2026-03-03T00:30:00+01:00", "2026-03-03T07:00:00+01:00"},
		"the last minute":                {night, "Europe/Berlin", "2026-03-03T06:59:59+01:00", "2026-03-03T07:00:00+01:00"},
		"the end":                        {night, "Europe/Berlin", "2026-03-03T07:00:00+01:00", ""},
		"by the clocks of the place":     {night, "America/New_York", "2026-03-03T02:30:00Z", "2026-03-03T12:00:00Z"},
		"within a day":                   {&QuietHours{12 * 60, 14 * 60}, "UTC", "2026-03-02T13:00:00Z", "2026-03-02T14:00:00Z"},
		"the night that is an hour less": {night, "Europe/Berlin", "2026-03-28T23:00:00+01:00", "2026-03-29T07:00:00+02:00"},
		"the night that is an hour more": {night, "Europe/Berlin", "2026-10-24T23:00:00+02:00", "2026-10-25T07:00:00+01:00"},
		"the end is in the gap":          {&QuietHours{22 * 60, 2*60 + 30}, "Europe/Berlin", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00"},
		"the end comes twice":            {&QuietHours{22 * 60, 2*60 + 30}, "Europe/Berlin", "2026-10-25T02:15:00+01:00", "2026-10-25T02:30:00+01:00"},
	} {
		now, zone := clock(t, c.zone, c.now)
		got := quietUntil(now, c.quiet, zone)
		if c.want == "" {
			if !got.IsZero() {
				t.Errorf("%s: quiet until %s", name, got)
			}
			continue
		}
		if want, _ := clock(t, c.zone, c.want); !got.Equal(want) {
			t.Errorf("%s: quiet until %s, want %s", name, got, want)
		}
	}
}

// Wherever and whenever, quiet hours that are on end, and are over at their end.
func TestQuietHoursEnd(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/Santiago"} {
		start, zone := clock(t, name, "2026-01-01T00:07:00Z")
		for _, q := range []*QuietHours{{21 * 60, 7 * 60}, {23*60 + 59, 2*60 + 15}, {0, 3 * 60}, {2 * 60, 60}} {
			for now := start; now.Year() == 2026; now = now.Add(49 * time.Minute) {
				end := quietUntil(now, q, zone)
				if end.IsZero() {
					continue
				}
				if !end.After(now) || end.Sub(now) > 26*time.Hour {
					t.Fatalf("%s, %v: at %s quiet until %s", name, *q, now.In(zone), end)
				}
			}
		}
	}
}

func TestLastMoment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone, now string
		mondays   bool
		want      string
	}{
		"today":                {"Europe/Berlin", "2026-03-04T08:00:00+01:00", false, "2026-03-04T08:00:00+01:00"},
		"yesterday":            {"Europe/Berlin", "2026-03-04T07:59:59+01:00", false, "2026-03-03T08:00:00+01:00"},
		"this Monday":          {"Europe/Berlin", "2026-03-04T12:00:00+01:00", true, "2026-03-02T08:00:00+01:00"},
		"the Monday before":    {"Europe/Berlin", "2026-03-02T07:00:00+01:00", true, "2026-02-23T08:00:00+01:00"},
		"Monday there already": {"Pacific/Auckland", "2026-03-01T20:00:00Z", true, "2026-03-01T19:00:00Z"},
		"after the change":     {"Europe/Berlin", "2026-03-29T09:00:00+02:00", false, "2026-03-29T08:00:00+02:00"},
	} {
		now, zone := clock(t, c.zone, c.now)
		want, _ := clock(t, c.zone, c.want)
		if got := lastMoment(now, 8, c.mondays, zone); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
