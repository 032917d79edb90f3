package judged

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// forms are the words of a text, without the endings that the indexes take off, too.
func forms(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.FieldsFunc(textsearch.Fold(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		for _, ending := range []string{"ings", "ing", "edly", "ed", "es", "s", "ly", "e"} {
			if cut, ok := strings.CutSuffix(w, ending); ok && len(cut) > 3 {
				w = cut
				break
			}
		}
		all[w] = true
	}
	return all
}

// common are words of queries that say nothing about where to look: conversations of whoever it is have them.
var common = strings.Fields(`a about after all and as at be because by cause could days do for from good has he her here him his i if in instead into is it la let me month my never new not of off on one or
	other out over own s second she so t than that the their there to up was week were when where wher who with without would`)

// What the queries look for is not said in the other conversations: not one of their words that tell something.
func TestDistractorsRepeatNoWords(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	utterances := 0
	for n := range Conversations {
		_, text, err := conversation(n)
		if err != nil {
			t.Fatal(err)
		}
		utterances += strings.Count(text, "\n\n")
		for w := range forms(text) {
			said[w] = true
		}
	}
	if utterances < 5000 {
		t.Errorf("%d utterances", utterances)
	}
	looked := map[string][]string{}
	for _, p := range []Part{Dev, HeldOut} {
		queries, err := Queries(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			for w := range forms(q.Text) {
				if said[w] && !slices.Contains(common, w) {
					looked[w] = append(looked[w], q.ID)
				}
			}
		}
	}
	if len(looked) > 0 {
		t.Errorf("the distractors say words of the queries: %v", looked)
	}
	if !said["ferry"] || len(forms("The red pens, on their chairs")) != 6 {
		t.Error("the test compares nothing")
	}
}
