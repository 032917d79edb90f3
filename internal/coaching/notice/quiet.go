package notice

import "time"

// quietUntil returns when the quiet hours end that now lies in, by the clocks of the place: zero if it lies in none.
func quietUntil(now time.Time, q *QuietHours, zone *time.Location) time.Time {
	if q == nil {
		return time.Time{}
	}
	local := now.In(zone)
	minute := TimeOfDay(local.Hour()*60 + local.Minute())
	within := q.From <= minute && minute < q.Until
	tomorrow := 0
	if q.From > q.Until { // they pass midnight
		within = minute >= q.From || minute < q.Until
		if minute >= q.From {
			tomorrow = 1
		}
	}
	if !within {
		return time.Time{}
	}
	end := at(local, tomorrow, q.Until)
	for !end.After(now) { // a clock that was put back shows the hour a second time
		end = end.Add(time.Hour)
	}
	return end
}

// lastMoment returns the latest moment, not after now, at which the clocks of the place showed the hour; on a Monday, if
// only Mondays count.
func lastMoment(now time.Time, hour int, mondays bool, zone *time.Location) time.Time {
	local := now.In(zone)
	for days := 0; ; days-- {
		moment := at(local, days, TimeOfDay(hour*60))
		if !moment.After(now) && (!mondays || moment.In(zone).Weekday() == time.Monday) {
			return moment
		}
	}
}

// at is a time of the day that lies so many days from the one of local. Where clocks are put forward over it, it is the
// first moment after the gap.
func at(local time.Time, days int, t TimeOfDay) time.Time {
	moment := time.Date(local.Year(), local.Month(), local.Day()+days, int(t)/60, int(t)%60, 0, 0, local.Location())
	if shown := moment.Hour()*60 + moment.Minute(); shown != int(t) { // it fell into a gap, and time.Date chose a side
		before := moment.Add(-2 * time.Hour)
		_, was := before.Zone()
		for m := before; ; m = m.Add(time.Minute) {
			if _, is := m.Zone(); is != was {
				return m
			}
		}
	}
	return moment
}

// location is a zone of the IANA database, UTC if the name is none.
func location(name string) *time.Location {
	if zone, err := time.LoadLocation(name); err == nil && name != "Local" {
		return zone
	}
	return time.UTC
}
