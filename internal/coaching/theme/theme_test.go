package theme_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/coaching/theme"
)

func TestKey(t *testing.T) {
	t.Parallel()
	for _, one := range [][]string{ // each line is one theme
		{"board meeting", "Board Meeting", "board meetings", "meeting board", "The board's meetings", "The board’s meeting", "meetings of the board", "BOARD—MEETING", "board, meeting, board"},
		{"board"}, {"meeting"},
		{"story", "stories"}, {"class", "classes"}, {"box", "boxes"}, {"status"}, {"crisis"}, {"bus"},
		{"Tomasz", "tomasz"},
		{"Müdigkeit", "müdigkeit", "mu\u0308digkeit"}, {"Mudigkeit"},
		{"second line", "the second lines"}, {"4-day week", "week 4 day"},
		{"", "the", "…", "“”", "'", strings.Repeat("word ", 40)}, // no topics
	} {
		want := theme.Key(one[0])
		for _, other := range one[1:] {
			if got := theme.Key(other); got != want {
				t.Errorf("%q is %q, and %q is %q", one[0], want, other, got)
			}
		}
	}
	seen := map[string]string{}
	for _, topic := range []string{"board meeting", "board", "meeting", "story", "class", "box", "status", "crisis", "bus", "Tomasz", "Müdigkeit", "Mudigkeit", "second line", "4-day week", ""} {
		if other, taken := seen[theme.Key(topic)]; taken {
			t.Errorf("%q is %q", topic, other)
		}
		seen[theme.Key(topic)] = topic
	}
}

// A key is the key of itself: what was folded once has nothing left to fold.
func FuzzKey(f *testing.F) {
	for _, topic := range []string{"The board's meetings", "ſs", "İs", "a\xffs", "'s's", "zzes"} {
		f.Add(topic)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		key := theme.Key(topic)
		if again := theme.Key(key); again != key && utf8.RuneCountInString(key) <= 80 {
			t.Errorf("%q becomes %q", key, again)
		}
	})
}

func TestTrendOf(t *testing.T) {
	t.Parallel()
	for came, want := range map[string]string{ // x for a session in which it came up
		"": "", "x": "", "xx": "", ".x": "", "...": "", "......": "", // too few, or it never came up
		"..x": "NEW", ".xx": "NEW", ".x.": "NEW", "...xxx": "NEW", "...x..": "NEW", ".......x.": "NEW",
		"x..": "FADING", "xx..": "FADING", "xxx...": "FADING", "xxx..x": "FADING", "xxxxxxxx..x": "FADING", "x......": "FADING", "xxx.x.": "FADING",
		"x.x": "STEADY", "xx.": "STEADY", "xxx": "STEADY", "x.x.": "STEADY", ".xx.": "STEADY", "x..x": "STEADY", "x.xx": "STEADY", "xxxx": "STEADY",
		"x..x..": "STEADY", "xx.xx.": "STEADY", "x....x..": "STEADY", "x...x.x": "RISING", // one of four before, two of three lately
		"x..xxx": "RISING", ".x...xx.": "RISING", "x.......xx.": "RISING",
		"x..........x.": "STEADY", // more often than before, and only once
		"x..xx.":        "STEADY", // twice as often, and no more
	} {
		sessions := make([]bool, len(came))
		for i := range came {
			sessions[i] = came[i] == 'x'
		}
		got := ""
		if trend := theme.TrendOf(sessions); trend != nil {
			got = string(*trend)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", came, got, want)
		}
	}
}
