package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// read is what a check returns, and what it says is wrong.
func read(f func(in *check.Input) string) (value, wrong string) {
	var in check.Input
	value = f(&in)
	for _, e := range fault.All(in.Err()) {
		wrong += e.Message
	}
	return value, wrong
}

func TestLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want, wrong string }{
		{"Nadia Berg", "Nadia Berg", ""},
		{" \t Nadia Berg\u00a0\n", "Nadia Berg", ""},
		{"", "", "must not be empty"},
		{" \u3000\t", "", "must not be empty"},
		{"abcdefghijk", "", "must have at most 10 characters, has 11"},
		{"äöüäöüäöüß", "äöüäöüäöüß", ""},
		{"a\nb", "", "must be a single line"},
		{"a\u2028b", "", "must be a single line"},
		{"a\u0085b", "", "must be a single line"},
		{"a\x00b", "", "must not contain the control character U+0000, which is character 2"},
		{"\x00", "", "must not contain the control character U+0000, which is character 1"},
		{"a\tb", "a\tb", ""},
		{"a\u009fb", "a\u009fb", ""},

		// Nothing to see is nothing.
		{"\u200b\ufeff", "", "must not be empty"},
		{"\u200d", "", "must not be empty"},
		{"\ufe0f\u0301", "", "must not be empty"},
		{"\u3164", "", "must not be empty"},
		{"\u2800 \u2800", "", "must not be empty"},

		// What copying leaves at the ends goes; between them all stays.
		{"\ufeffAmara\u200b", "Amara", ""},
		{"\u202a+49 30 1\u202c", "+49 30 1", ""},
		{"\u2068Amara\u2069", "Amara", ""},
		{"Am\u200bara", "Am\u200bara", ""},
		{"x\u202etxt.exe", "x\u202etxt.exe", ""},
		{"a\x07\x1b[1mb", "a\x07\x1b[1mb", ""},

		// As does what writing needs.
		{"می\u200cخواهم", "می\u200cخواهم", ""},                                   // Persian
		{"അവന്\u200d", "അവന്\u200d", ""},                                         // Malayalam, at the end
		{"👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f", ""},                             // one emoji of two, and a red heart
		{"שלום\u200f!", "שלום\u200f!", ""},                                       // Hebrew, with its sign in place
		{"\u0600\u0661", "\u0600\u0661", ""},                                     // an Arabic number under its sign, which shows
		{"e\u0301", "e\u0301", ""},                                               // an accent of its own
		{"\U0001fae8\U0001f1f5\U0001f1f9", "\U0001fae8\U0001f1f5\U0001f1f9", ""}, // a face and the flag of Portugal
	} {
		got, wrong := read(func(in *check.Input) string { return in.Line("name", tc.in, 10) })
		if wrong != tc.wrong || wrong == "" && got != tc.want {
			t.Errorf("%+q: got %+q, %q; want %+q, %q", tc.in, got, wrong, tc.want, tc.wrong)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want, wrong string }{
		{"", "", ""},
		{" one\n\ttwo\r\n", "one\n\ttwo", ""},
		{"one\vtwo \u00ad\u200b\x07", "one\vtwo \u00ad\u200b\x07", ""},
		{"one\n\u2067\u05d0\u2069 two", "one\n\u2067\u05d0\u2069 two", ""},
		{"one\n\x00two", "", "must not contain the control character U+0000, which is character 5"},
		{strings.Repeat("x", 21), "", "must have at most 20 characters, has 21"},
	} {
		got, wrong := read(func(in *check.Input) string { return in.Text("body", tc.in, 20) })
		if wrong != tc.wrong || wrong == "" && got != tc.want {
			t.Errorf("%+q: got %+q, %q; want %+q, %q", tc.in, got, wrong, tc.want, tc.wrong)
		}
	}
}

func TestZone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "GMT", "Europe/Lisbon", "Asia/Calcutta", "America/Port-au-Prince", "America/Argentina/ComodRivadavia", "Etc/GMT+1", "EST5EDT",
		"GB-Eire", "America/North_Dakota/New_Salem"} {
		if _, got := read(func(c *check.Input) string { c.Zone("timeZone", name); return "" }); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, name := range []string{"", "Local", "Factory", "localtime", "posixrules", "posix/UTC", "posix/Europe/Lisbon", "right/UTC", "right/Europe/Lisbon", "europe/lisbon",
		"Europe//Lisbon", "Europe/./Lisbon", "../Europe/Lisbon", "/etc/localtime", "Europe", "Europe/", "Mars/Olympus", "UTC ", "tzdata.zi", "+01:00"} {
		if _, got := read(func(c *check.Input) string { c.Zone("timeZone", name); return "" }); got != "is not in the IANA time zone database" {
			t.Errorf("%q is taken for a time zone: %q", name, got)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	for in, wrong := range map[string]string{
		"1970-01-01T00:00:00Z":      "",
		"2199-12-31T23:59:59Z":      "",
		"2026-03-02T09:30:00+01:00": "",
		"1969-12-31T23:59:59Z":      "must be in the years from 1970 to 2199, is in 1969",
		"1970-01-01T00:00:00+01:00": "must be in the years from 1970 to 2199, is in 1969",
		"0001-01-01T00:00:00Z":      "must be in the years from 1970 to 2199, is in 1",
		"2200-01-01T00:00:00Z":      "must be in the years from 1970 to 2199, is in 2200",
		"9999-12-31T23:59:59Z":      "must be in the years from 1970 to 2199, is in 9999",
	} {
		value, err := time.Parse(time.RFC3339, in)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := read(func(c *check.Input) string { c.Time("startsAt", value); return "" }); got != wrong {
			t.Errorf("%s: %q, want %q", in, got, wrong)
		}
	}
}
