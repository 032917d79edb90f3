package search

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestChunks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("I think about it all the time. ", 30)
	lines := []Line{
		{0, strings.Repeat("well ", 50), false}, {1, "What stopped you?", true}, {2, strings.Repeat("fear ", 40), false}, {3, " ", false}, {4, long, false}, {5, "Yes.", false},
		{6, strings.Repeat("so ", 57), false}, {7, "And what did you tell them then?", true}, {8, strings.Repeat("that ", 58), false}, {9, "Good.", false},
	}
	var got []string
	for _, c := range Chunks(lines, func(string) bool { return true }) {
		got = append(got, fmt.Sprintf("%s (%d to %d, %d words)", c.Key, c.First, c.Last, len(strings.Fields(c.Text))))
	}
	want := []string{"0-1 (0 to 1, 53 words)", "1-2 (1 to 2, 43 words)", "4.1-4.1 (4 to 4, 56 words)", "4.2-4.2 (4 to 4, 56 words)", "4.3-4.3 (4 to 4, 56 words)", "4.4-5 (4 to 5, 43 words)",
		"5-6 (5 to 6, 58 words)", "7-8 (7 to 8, 65 words)", "9-9 (9 to 9, 1 words)"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Whatever a conversation is like, nothing of it is left out, nothing is out of order, nothing is too long, and questions stand with their answers.
func TestChunksProperties(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 5))
	words := []string{"I", "never", "asked", "why.", "Because", "it", "is", "late!", "über", "世界", "a-very-long-word-of-the-trade", "and", "then,", "\u00a0", "ok?"}
	for range 400 {
		most := 60 + random.IntN(900)
		fits := func(text string) bool { return len(text) <= most }
		var lines []Line
		for i := range random.IntN(40) {
			var b strings.Builder
			for range random.IntN([]int{3, 12, 60, 400}[random.IntN(4)]) {
				b.WriteString(words[random.IntN(len(words))] + " ")
			}
			if random.IntN(30) == 0 {
				b.WriteString(strings.Repeat("ö", random.IntN(2000)))
			}
			lines = append(lines, Line{Index: i * 2, Text: b.String(), Question: random.IntN(3) == 0})
		}
		chunks := Chunks(lines, fits)
		if again := Chunks(lines, fits); !slices.Equal(chunks, again) {
			t.Fatal("not the same twice")
		}
		room := func(text string) bool { return fits(text) && len(strings.Fields(text)) <= chunkWords }
		keys := map[string]bool{}
		for i, c := range chunks {
			if !fits(c.Text) || len(strings.Fields(c.Text)) > 2*chunkWords || !utf8.ValidString(c.Text) || strings.TrimSpace(c.Text) == "" {
				t.Fatalf("%q has no room", c.Text)
			}
			if c.First > c.Last || i > 0 && (c.First < chunks[i-1].First || c.Last < chunks[i-1].Last) {
				t.Fatalf("%d: %d to %d is out of order", i, c.First, c.Last)
			}
			if keys[c.Key] {
				t.Fatalf("%s is there twice", c.Key)
			}
			keys[c.Key] = true
		}
		for i, l := range lines {
			text := strings.Join(strings.Fields(l.Text), "")
			if text == "" {
				continue
			}
			said := ""
			for _, c := range chunks {
				if c.First <= l.Index && l.Index <= c.Last {
					said += strings.Join(strings.Fields(c.Text), "")
				}
			}
			if room(strings.TrimSpace(l.Text)) && !strings.Contains(said, text) {
				t.Fatalf("%d is not in its passages", l.Index)
			}
			for _, word := range strings.Fields(l.Text) { // also of what was cut
				if utf8.RuneCountInString(word) < 30 && !strings.Contains(said, word) {
					t.Fatalf("%q of %d is in none", word, l.Index)
				}
			}
			if l.Question && i+1 < len(lines) && room(strings.TrimSpace(l.Text)) && room(strings.TrimSpace(lines[i+1].Text)) && strings.TrimSpace(lines[i+1].Text) != "" && fits(strings.TrimSpace(l.Text)+"\n"+strings.TrimSpace(lines[i+1].Text)) {
				if !slices.ContainsFunc(chunks, func(c Chunk) bool { return c.First <= l.Index && lines[i+1].Index <= c.Last }) {
					t.Fatalf("the question %d and its answer are apart", l.Index)
				}
			}
		}
	}
}
