package privacy

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	n := namesOf([]string{"Zoë O'Quist", "zoe@quist.example", "Rose"})
	for text, want := range map[string]string{
		"Zoë O'Quist":                     "Erased client",
		"with ZOË  o'quist, and tea":      "with Erased client, and tea",
		"zoë_o'quist_6.vtt":               "Erased client_6.vtt",
		"Zoë\nO'Quist. zoë o'quist!":      "Erased client. Erased client!",
		"Zoë O'Quistén and Chloezoë":      "Zoë O'Quistén and Chloezoë",
		"write to Zoe@Quist.example.":     "write to Erased client.",
		"bigzoe@quist.example":            "bigzoe@quist.example",
		"a.zoe@quist.example":             "a.zoe@quist.example",
		"zoe@quist.example.org":           "zoe@quist.example.org",
		"Rose":                            "Erased client",
		" rose ":                          "Erased client",
		"a rose is a rose":                "a rose is a rose",
		"Zoë alone":                       "Zoë alone",
		strings.Repeat("Zoë O'Quist ", 4): strings.Repeat("Erased client ", 4),
	} {
		if got := n.without(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if long := n.without("Zoë O'Quist " + strings.Repeat("x y", 33_329)); len(long) > 100_000 || strings.Contains(long, "Quist") {
		t.Errorf("a long text has %d bytes", len(long))
	}
	if !n.in("a rose, for Zoe") || !n.in("To: zoe@quist.example") || n.in("prose") {
		t.Error("a mail is not found, or another is")
	}
	if none := namesOf(nil); none.without("as it was") != "as it was" || none.pattern != "" {
		t.Error("nobody is found")
	}
}
