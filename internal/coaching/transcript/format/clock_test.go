package format

import "testing"

func TestParseClock(t *testing.T) {
	t.Parallel()
	const none = -1
	for in, want := range map[string]int64{
		"00:00:00.000": 0, "00:00:01.000": 1000, "01:02:03.004": 3723004, "1:02:03,4": 3723400, "02:03.45": 123450, "2:3": 123000,
		"00:00:00.9999": 999, "90:00": 5400000, "9999:59:59.999": 35999999999,
		"": none, "1": none, "01.5": none, "1:2:3:4": none, "00:60": none, "00:00:60.000": none, "00:60:00.000": none,
		"00:00.": none, "00:00.x": none, "00:00;5": none, ":00": none, "00:": none, "00::00": none, "-00:01": none,
		"10000:00:00": none, "99999999999999999999:00": none, "００:００": none, "00:00 ": none,
	} {
		got, ok := parseClock(in)
		if !ok {
			got = none
		}
		if got != want {
			t.Errorf("%q is %d, want %d", in, got, want)
		}
	}
}

func TestParseClocks(t *testing.T) {
	t.Parallel()
	const none = -1
	for in, want := range map[string][2]int64{
		"0:03": {3000, noTime}, "0:03 – 0:04.5": {3000, 4500}, "0:03-0:04": {3000, 4000}, "00:00:03,1 --> 00:00:04,2": {3100, 4200}, "1:02:03 — 1:02:04": {3723000, 3724000},
		"": {none, none}, "0:03 ": {none, none}, "0:03 0:04": {none, none}, "0:03 – ": {none, none}, "0:03 – x": {none, none}, "0:03 – 0:04 x": {none, none}, "so 0:03": {none, none},
		"0:03 –  0:04": {none, none}, "0:03  – 0:04": {none, none}, // two spaces stand between a name and a time
	} {
		start, end, ok := parseClocks(in)
		if !ok {
			start, end = none, none
		}
		if start != want[0] || end != want[1] {
			t.Errorf("%q is from %d to %d, want %d to %d", in, start, end, want[0], want[1])
		}
	}
}

func TestShortClock(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]string{0: "0:00", 3000: "0:03", 3004: "0:03.004", 63_000: "1:03", 3_723_000: "1:02:03", 360_000_500: "100:00:00.500"} {
		if got := shortClock(ms); got != want {
			t.Errorf("%d is %s, want %s", ms, got, want)
		}
		if back, ok := parseClock(want); !ok || back != ms {
			t.Errorf("%s comes back as %d", want, back)
		}
	}
}
