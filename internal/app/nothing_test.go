package app

import "testing"

func TestNothing(t *testing.T) {
	for data, want := range map[string]bool{
		``: true, `null`: true, `{}`: true, `{"a":null}`: true, `{"a":null,"b":null}`: true,
		`{"a":null,"b":{"c":null}}`: false, `{"a":[]}`: false, `{"a":false}`: false,
	} {
		if got := nothing([]byte(data)); got != want {
			t.Errorf("%s: %t", data, got)
		}
	}
}
