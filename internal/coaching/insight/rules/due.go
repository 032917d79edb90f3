package rules

import (
	"strings"
	"time"
)

// due is when something is to be done, in the words of the sentence, with the object that "by the end of" needs.
func (s *sentence) due(m match) string {
	last := m.after() - 1
	if s.word(last) == "of" {
		last = min(last+2, len(s.tokens)-1) // "the month", "this week"
	}
	return s.text[s.tokens[m.at].start:s.tokens[last].end]
}

// DueOn is the day that words like "by Friday" mean when they are said on the given day, nil unless they mean one for sure:
// people differ on whether "next Friday" is this week's, and "next week" is no day.
func DueOn(words string, said time.Time) *time.Time {
	if said.IsZero() {
		return nil
	}
	day := said
	switch w := strings.Fields(strings.ToLower(words)); {
	case len(w) == 1 && (w[0] == "today" || w[0] == "tonight"), len(w) == 2 && w[0] == "this" && (w[1] == "evening" || w[1] == "afternoon"):
	case len(w) == 1 && w[0] == "tomorrow":
		day = said.AddDate(0, 0, 1)
	case len(w) == 2 && (w[0] == "on" || w[0] == "by"):
		wanted, ok := weekday(w[1])
		if !ok {
			return nil
		}
		day = said.AddDate(0, 0, (int(wanted-said.Weekday())+6)%7+1) // after today: who means today says so
	case strings.HasPrefix(strings.Join(w, " "), "by the end of") && len(w) == 6 && (w[4] == "the" || w[4] == "this"):
		switch w[5] {
		case "day":
		case "month":
			day = time.Date(said.Year(), said.Month()+1, 0, 0, 0, 0, 0, time.UTC)
		case "year":
			day = time.Date(said.Year(), time.December, 31, 0, 0, 0, 0, time.UTC)
		default:
			return nil
		}
	default:
		return nil
	}
	return &day
}

func weekday(name string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), name) {
			return d, true
		}
	}
	return 0, false
}
