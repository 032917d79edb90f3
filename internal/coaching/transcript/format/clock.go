package format

import "strings"

// isTiming tells whether a line is meant to be `start --> end`, readable or not.
func isTiming(line string) bool {
	before, _, found := strings.Cut(line, "-->")
	if !found {
		return false
	}
	before = strings.TrimLeft(before, " \t")
	return before != "" && (isDigit(before[0]) || before[0] == '-') && strings.Contains(before, ":")
}

// parseTiming reads `start --> end` with whatever settings follow.
func parseTiming(line string) (start, end int64, ok bool) {
	before, after, found := strings.Cut(line, "-->")
	if !found {
		return 0, 0, false
	}
	after = strings.TrimLeft(after, " \t")
	if i := strings.IndexAny(after, " \t"); i >= 0 {
		after = after[:i] // cue settings
	}
	start, startOK := parseClock(strings.Trim(before, " \t"))
	end, endOK := parseClock(after)
	return start, end, startOK && endOK
}

// parseClock reads [h:]m:s with an optional fraction after a dot or a comma, in milliseconds. Digits after the third are
// dropped. Only the leading field may exceed 59: 75:30 is an hour and a quarter.
func parseClock(s string) (ms int64, ok bool) {
	const maxDigits = 4 // of a field; 9,999 hours are no recording
	fields := 0
	var seconds, field int64
	for {
		n := 0
		field = 0
		for n < len(s) && isDigit(s[n]) {
			if n == maxDigits {
				return 0, false
			}
			field = field*10 + int64(s[n]-'0')
			n++
		}
		if n == 0 || fields > 0 && field > 59 {
			return 0, false
		}
		fields++
		seconds = seconds*60 + field
		s = s[n:]
		if s == "" || s[0] != ':' {
			break
		}
		s = s[1:]
	}
	if fields < 2 || fields > 3 {
		return 0, false
	}
	ms = seconds * 1000
	if s == "" {
		return ms, true
	}
	if s[0] != '.' && s[0] != ',' || len(s) == 1 {
		return 0, false
	}
	weight := int64(100)
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		ms += int64(s[i]-'0') * weight
		weight /= 10
	}
	return ms, true
}

// isClockFragment tells whether a line can be the beginning of a timing line that the file's end cut.
func isClockFragment(line string) bool {
	return line != "" && isDigit(line[0]) && strings.Contains(line, ":") && strings.Trim(line, "0123456789:.,-> \t") == ""
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
