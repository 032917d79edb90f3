package insight

import (
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
)

func ms(n int64) *int64 { return &n }

// talk has an utterance of two cues, one of a single cue, and one without times.
func talk() *transcript.Content {
	return &transcript.Content{
		Utterances: []conversation.Utterance{
			{Speaker: 0, StartMs: ms(1000), EndMs: ms(5000), Text: "I don’t know. I keep “starting” over — every week."},
			{Speaker: 1, StartMs: ms(6000), EndMs: ms(9000), Text: "What would it take to start?"},
			{Speaker: 0, Text: "Naïve  café Zürich"},
		},
		Cues: [][]format.Cue{
			{{StartMs: 1000, EndMs: 2000, Offset: 0}, {StartMs: 2500, EndMs: 5000, Offset: 14}},
			{{StartMs: 6000, EndMs: 9000, Offset: 0}},
			nil,
		},
	}
}

func TestQuoteIsFound(t *testing.T) {
	for _, c := range []struct {
		name        string
		quote       Quote
		text        string // as it stands in the transcript
		first, last int
		start, end  *int64
	}{
		{"verbatim", Quote{"I don’t know.", 0, 0}, "I don’t know.", 0, 0, ms(1000), ms(2000)},
		{"other apostrophe, quotation marks, dash and case", Quote{`i DON'T know. I keep "starting" over - every`, 0, 0}, "I don’t know. I keep “starting” over — every", 0, 0, ms(1000), ms(5000)},
		{"times of the second cue", Quote{"every week", 0, 0}, "every week", 0, 0, ms(2500), ms(5000)},
		{"white space", Quote{"  I\tdon’t \n know. ", 0, 0}, "I don’t know.", 0, 0, ms(1000), ms(2000)},
		{"across utterances", Quote{"every week. What would it take", 0, 1}, "every week. What would it take", 0, 1, ms(2500), ms(9000)},
		{"narrowed to where it stands", Quote{"to start?", 0, 2}, "to start?", 1, 1, ms(6000), ms(9000)},
		{"without times", Quote{"naïve café zürich", 2, 2}, "Naïve  café Zürich", 2, 2, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := find(talk(), c.quote)
			if !ok || !Stands(talk().Utterances, c.quote) {
				t.Fatal("not found")
			}
			if got.text != c.text || got.first != c.first || got.last != c.last {
				t.Errorf("found %q in %d–%d, want %q in %d–%d", got.text, got.first, got.last, c.text, c.first, c.last)
			}
			if !same(got.startMs, c.start) || !same(got.endMs, c.end) {
				t.Errorf("times %v–%v, want %v–%v", show(got.startMs), show(got.endMs), show(c.start), show(c.end))
			}
		})
	}
}

func TestQuoteIsRefused(t *testing.T) {
	for name, q := range map[string]Quote{
		"words nobody said":              {"I will start on Monday", 0, 0},
		"said elsewhere":                 {"What would it take", 0, 0},
		"one word too many":              {"I really don’t know", 0, 0},
		"begins inside a word":           {"now. I keep", 0, 0},
		"ends inside a word":             {"What would it take to sta", 1, 1},
		"empty":                          {"", 0, 0},
		"nothing but space":              {" \n ", 0, 0},
		"before the first utterance":     {"I", -1, 0},
		"after the last utterance":       {"start", 1, 3},
		"the wrong way round":            {"I", 1, 0},
		"accents are part of the words":  {"cafe", 2, 2},
		"words of two, but not in order": {"What would it take I don’t know", 0, 1},
	} {
		if got, ok := find(talk(), q); ok {
			t.Errorf("%s: found %q", name, got.text)
		}
		if Stands(talk().Utterances, q) {
			t.Errorf("%s: it is said to stand there", name)
		}
	}
}

func TestFingerprint(t *testing.T) {
	quote := func(text string, at int) []found { return []found{{normalized: text, first: at, last: at}} }
	base := fingerprint(KindTheme, quote("every week", 0))
	if base != fingerprint(KindTheme, quote("every week", 0)) {
		t.Error("the same finding has two fingerprints")
	}
	for name, other := range map[string][32]byte{
		"kind":  fingerprint(KindBlocker, quote("every week", 0)),
		"words": fingerprint(KindTheme, quote("every day", 0)),
		"place": fingerprint(KindTheme, quote("every week", 1)),
		"more":  fingerprint(KindTheme, append(quote("every week", 0), quote("x", 1)...)),
		"split": fingerprint(KindTheme, append(quote("every", 0), quote("week", 0)...)),
	} {
		if other == base {
			t.Errorf("another %s has the same fingerprint", name)
		}
	}
}

func same(a, b *int64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func show(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}
