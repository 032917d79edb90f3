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
