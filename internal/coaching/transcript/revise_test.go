package transcript

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
)

// placed writes a text with a mark before each cue.
func placed(text string, cues []format.Cue) string {
	var b strings.Builder
	for i, r := range []rune(text + "$") {
		for _, c := range cues {
			if c.Offset == i {
				b.WriteByte('|')
			}
		}
		b.WriteRune(r)
	}
	return strings.TrimSuffix(b.String(), "$")
}

func TestShift(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ was, is string }{
		{"|One two |three four.", "|One two |three four."},
		{"|One two |three four.", "|One or two |three four."},       // before the second cue: it moves along
		{"|One two |three four.", "|One |three four."},              // also back
		{"|One two |three four.", "|One two |three four, or five."}, // after it: it stays
		{"|One two |three four.", "|Éins two |three four."},         // in code points
		{"|One two |three |four five.", "|One |so |so five."},       // within: about in proportion, at a word
		{"|One two |three four.", "||Entirely other."},
		{"|One two |three four.", "||1"},
		{"|One two |three four.", "|One two |three four. One two three four."},
	} {
		var cues []format.Cue
		for i, r := range []rune(tc.was) {
			if r == '|' {
				cues = append(cues, format.Cue{Offset: i - len(cues), StartMs: int64(i)})
			}
		}
		from, to := strings.ReplaceAll(tc.was, "|", ""), strings.ReplaceAll(tc.is, "|", "")
		before := slices.Clone(cues)
		got := shift(cues, from, to)
		if placed(to, got) != tc.is {
			t.Errorf("%s: got %s, want %s", tc.was, placed(to, got), tc.is)
		}
		if !slices.Equal(cues, before) {
			t.Errorf("%s: the original cues have changed", tc.was)
		}
	}
}

// Whatever the correction, cues keep their times and their order and lie within the text.
func TestShiftKeepsOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	words := func() string {
		var all []string
		for range 1 + random.IntN(12) {
			all = append(all, []string{"one", "two", "où", "a", "seventeen"}[random.IntN(5)])
		}
		return strings.Join(all, " ")
	}
	for range 5000 {
		from, to := words(), words()
		n := len([]rune(from))
		var cues []format.Cue
		for at := 0; at < n; at += 1 + random.IntN(8) {
			cues = append(cues, format.Cue{StartMs: int64(at), EndMs: int64(at + 1), Offset: at})
		}
		got := shift(cues, from, to)
		for i, c := range got {
			if c.StartMs != cues[i].StartMs || c.EndMs != cues[i].EndMs || c.Offset < 0 || c.Offset > len([]rune(to)) || i > 0 && c.Offset < got[i-1].Offset {
				t.Fatalf("%q to %q: cue %d of %v", from, to, i, got)
			}
		}
		if back := shift(cues, from, from); !slices.Equal(back, cues) {
			t.Fatalf("%q to itself: %v", from, back)
		}
	}
}

func TestNameless(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]bool{
		"Speaker 1": true, "SPEAKER_00": true, "spk_1": true, "Participant #2": true, "Speaker A": true, "Unknown speaker": true, "Guest": true, "3": true, "": true,
		"Ana": false, "iPhone": false, "iPhone 12": false, "3rd floor room": false, "Speaker Ana": false, "Ana B": false, "Jo": false,
	} {
		t.Run(fmt.Sprintf("%q", label), func(t *testing.T) {
			if got := nameless(label); got != want {
				t.Errorf("nameless is %t, want %t", got, want)
			}
		})
	}
}
