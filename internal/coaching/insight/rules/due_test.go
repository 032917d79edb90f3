package rules

import (
	"testing"
	"time"
)

func TestDueOn(t *testing.T) {
	t.Parallel()
	said := time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC) // a Wednesday
	for words, want := range map[string]string{
		"today": "2026-02-04", "Tonight": "2026-02-04", "this afternoon": "2026-02-04", "tomorrow": "2026-02-05",
		"on Thursday": "2026-02-05", "by Friday": "2026-02-06", "by tuesday": "2026-02-10",
		"on Wednesday":      "2026-02-11", // on a Wednesday, today would be called today
		"by the end of the": "", "by the end of the day": "2026-02-04", "by the end of this month": "2026-02-28", "by the end of the year": "2026-12-31",
		"next Friday": "", "this week": "", "next week": "", "by the end of the week": "", "every morning": "", "by next": "", "": "", "on time": "",
	} {
		got := ""
		if day := DueOn(words, said); day != nil {
			got = day.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%q said on %s means %q, want %q", words, said.Format("Monday 2006-01-02"), got, want)
		}
	}
	if day := DueOn("tomorrow", time.Time{}); day != nil {
		t.Errorf("nobody knows when it was said, but it means %s", day)
	}
	if day := DueOn("by the end of the month", time.Date(2028, 2, 10, 0, 0, 0, 0, time.UTC)); day.Day() != 29 {
		t.Errorf("a leap year's February ends on the %d", day.Day())
	}
}
