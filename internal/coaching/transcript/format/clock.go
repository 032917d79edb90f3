package format

import (
	"fmt"
	"strings"
)

// isTiming tells whether a line is meant to be `start --> end`, readable or not.
func isTiming(line string) bool {
	before, after, found := strings.Cut(line, "-->")
	if !found {
		return false
	}
	before, after = strings.Trim(before, " \t"), strings.Trim(after, " \t")
	if before != "" && (isDigit(before[0]) || before[0] == '-') && strings.Contains(before, ":") {
		return true
	}
	// Programs that have lost a time write "NaN --> NaN" or leave it out.
	if strings.ContainsAny(before, " \t<") || strings.HasSuffix(before, ":") || strings.ContainsAny(after, " \t") { // somebody says it
		return false
	}
	_, known := parseSignedClock(after)
	return known || before == after && before != ""
}

// parseTiming reads `start --> end` with whatever settings follow. A time before the start of the recording is negative.
func parseTiming(line string) (start, end int64, ok bool) {
	before, after, found := strings.Cut(line, "-->")
	if !found {
		return 0, 0, false
	}
	after = strings.TrimLeft(after, " \t")
	if i := strings.IndexAny(after, " \t"); i >= 0 {
		after = after[:i] // cue settings
	}
	start, startOK := parseSignedClock(strings.Trim(before, " \t"))
	end, endOK := parseSignedClock(after)
	return start, end, startOK && endOK
}

// parseSignedClock reads a clock that may have a minus before it.
func parseSignedClock(s string) (ms int64, ok bool) {
	positive, negative := strings.CutPrefix(s, "-")
	ms, ok = parseClock(positive)
	if negative {
		ms = -ms
	}
	return ms, ok
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

// maxMs is the last time that parseClock can read: 9,999 hours.
const maxMs = ((9999*60+59)*60+59)*1000 + 999

// dayMs is from where on a time is doubted.
const dayMs = 24 * 60 * 60 * 1000

// cutClock reads a clock at the beginning of s and gives what follows it.
func cutClock(s string) (ms int64, rest string, ok bool) {
	n := 0
	for n < len(s) && (isDigit(s[n]) || s[n] == ':' || s[n] == '.' || s[n] == ',') {
		n++
	}
	for n > 0 && !isDigit(s[n-1]) {
		n--
	}
	ms, ok = parseClock(s[:n])
	return ms, s[n:], ok
}

// parseClocks reads `0:03` and `0:01.5 – 0:04`. Without an end, end is unknown.
func parseClocks(s string) (start, end int64, ok bool) {
	start, rest, ok := cutClock(s)
	if !ok || rest == "" {
		return start, noTime, ok
	}
	rest = strings.TrimPrefix(rest, " ") // one: two are what stands between a name and a time
	for _, dash := range []string{"-->", "–", "—", "-"} {
		if after, found := strings.CutPrefix(rest, dash); found {
			end, rest, ok = cutClock(strings.TrimPrefix(after, " "))
			return start, end, ok && rest == ""
		}
	}
	return 0, 0, false
}

// clockText writes a time as WebVTT does, 00:00:01.500; SubRip's point is a comma.
func clockText(ms int64, point string) string {
	return fmt.Sprintf("%02d:%02d:%02d%s%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, point, ms%1000)
}

// shortClock writes a time as people do: 0:03, 1:02:03, with milliseconds only where there are some.
func shortClock(ms int64) string {
	s := fmt.Sprintf("%d:%02d", ms/60_000%60, ms/1000%60)
	if ms >= 3_600_000 {
		s = fmt.Sprintf("%d:%02d:%02d", ms/3_600_000, ms/60_000%60, ms/1000%60)
	}
	if ms%1000 != 0 {
		s += fmt.Sprintf(".%03d", ms%1000)
	}
	return s
}

// isClockFragment tells whether a line can be the beginning of a timing line that the file's end cut.
func isClockFragment(line string) bool {
	return line != "" && isDigit(line[0]) && strings.Contains(line, ":") && strings.Trim(line, "0123456789:.,-> \t") == ""
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
