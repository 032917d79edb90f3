package format

import (
	"strings"
	"testing"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	piece := func(speaker int, start, end int64, text string) said {
		return said{speaker: speaker, start: start, end: end, text: text}
	}
	half := strings.Repeat("é", maxUtteranceRunes/2)
	for _, test := range []struct {
		name   string
		pieces []said
		want   []int // cues per utterance
		end    int64 // of the first utterance
	}{
		{"a gap of two seconds", []said{piece(0, 0, 1000, "a"), piece(0, 3000, 4000, "b")}, []int{2}, 4000},
		{"a gap of more", []said{piece(0, 0, 1000, "a"), piece(0, 3001, 4000, "b")}, []int{1, 1}, 1000},
		{"an overlap", []said{piece(0, 0, 9000, "a"), piece(0, 1000, 2000, "b"), piece(0, 10500, 11000, "c")}, []int{3}, 11000},
		{"within another", []said{piece(0, 0, 9000, "a"), piece(0, 1000, 2000, "b")}, []int{2}, 9000},
		{"another speaker", []said{piece(0, 0, 1, "a"), piece(1, 1, 2, "b"), piece(0, 2, 3, "c")}, []int{1, 1, 1}, 1},
		{"unknown speakers", []said{piece(unknown, 0, 1, "a"), piece(unknown, 1, 2, "b")}, []int{1, 1}, 1},
		{"two minutes", []said{piece(0, 0, 60_000, "a"), piece(0, 60_000, maxUtteranceMs, "b"), piece(0, maxUtteranceMs, maxUtteranceMs+1, "c")}, []int{2, 1}, maxUtteranceMs},
		{"a thousand characters", []said{piece(0, 0, 1, half), piece(0, 1, 2, half[2:]), piece(0, 2, 3, "")}, []int{2, 1}, 2},
		{"one too many", []said{piece(0, 0, 1, half), piece(0, 1, 2, half)}, []int{1, 1}, 1},
		{"one cue that is too long by itself", []said{piece(0, 0, 300_000, half+half+half), piece(0, 300_000, 300_001, "b")}, []int{1, 1}, 300_000},
	} {
		got := merge(test.pieces)
		var cues []int
		for _, u := range got {
			cues = append(cues, len(u.Cues))
		}
		if len(cues) != len(test.want) {
			t.Errorf("%s: cues %v, want %v", test.name, cues, test.want)
			continue
		}
		for i := range cues {
			if cues[i] != test.want[i] {
				t.Errorf("%s: cues %v, want %v", test.name, cues, test.want)
			}
		}
		if *got[0].EndMs != test.end || *got[0].StartMs != test.pieces[0].start {
			t.Errorf("%s: from %d to %d", test.name, *got[0].StartMs, *got[0].EndMs)
		}
	}
}

// TestOffsetsAreCodePoints: bytes, UTF-16 units and code points all differ in this text.
func TestOffsetsAreCodePoints(t *testing.T) {
	t.Parallel()
	doc, err := Parse([]byte(header+"00:01.000 --> 00:02.000\nAnn: Grün 🌳🌳.\n\n00:02.000 --> 00:03.000\nAnn: 木。\n\n00:03.000 --> 00:04.000\nAnn: End.\n\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outline(doc), "Ann 1000-2000+2000-3000@9+3000-4000@12: Grün 🌳🌳. 木。 End.\n"; got != want {
		t.Errorf("got %s", got)
	}
}

// TestCuesCannotGrowIntoEachOther: all cues share one array.
func TestCuesCannotGrowIntoEachOther(t *testing.T) {
	t.Parallel()
	got := merge([]said{{speaker: 0, text: "a"}, {speaker: 1, start: 7, text: "b"}})
	_ = append(got[0].Cues, Cue{})
	if got[1].Cues[0].StartMs != 7 {
		t.Error("appending to one utterance's cues wrote into the next one's")
	}
}
