package rules_test

import (
	"context"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
)

// fragments are put together at random, to sentences that make sense or not: cues, guards, marks, and what breaks offsets.
var fragments = []string{
	"I'll", "I’ll call her", "on Friday", "I am going to", "draft the letter", "I want to stop", "I'm not ready to", "it hits me that", "if", "he said",
	"what matters to me is", "I managed to", "killing myself", "the garden", "the garden wall", "Ünïcode naïveté", "日本語の文", "🙂", "-- So", "...", "?", "!", ". ",
	"\n", "\t", "“quoted words”", "\"", "um, uh,", "I-I", "you should", "it sounds like", "what would you", "I feel anxious", "I feel calm", "mm-hmm", "because",
	"a\u0301ccents", "x", strings.Repeat("long", 90), "and then there was the meeting about the budget that nobody wanted",
}

func random(r *rand.Rand, utterances int) insight.Conversation {
	c := insight.Conversation{Speakers: append(pair(), conversation.Speaker{Name: "Eve"})}
	for range utterances {
		var b strings.Builder
		for range r.IntN(30) {
			b.WriteString(fragments[r.IntN(len(fragments))])
			if r.IntN(8) > 0 {
				b.WriteByte(' ')
			}
		}
		c.Utterances = append(c.Utterances, conversation.Utterance{Speaker: r.IntN(4) - 1, Text: b.String()})
	}
	if r.IntN(5) == 0 {
		c.Language = "fr"
	}
	return c
}

func TestEveryQuoteIsVerbatimAndEveryRunTheSame(t *testing.T) {
	t.Parallel()
	findings := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		c := random(r, r.IntN(40))
		found := analyse(t, c)
		for _, f := range found {
			verify(t, c, f)
		}
		if again := analyse(t, c); !reflect.DeepEqual(again, found) {
			t.Errorf("a second run found\n%+v\nafter\n%+v", again, found)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		findings += len(found)
	}
	if findings < 400 {
		t.Errorf("only %d findings: the fragments no longer exercise the rules", findings)
	}
}

// An hour of talk: the first finding must leave within 40 ms, the last within 100 ms.
func BenchmarkHour(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 7))
	c := insight.Conversation{Language: "en", Speakers: pair()}
	for words := 0; words < 9_000; { // 150 words a minute
		text := hour[r.IntN(len(hour))]
		c.Utterances = append(c.Utterances, conversation.Utterance{Speaker: r.IntN(2), Text: text})
		words += conversation.CountWords(text)
	}
	var first time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began, emitted := time.Now(), false
		err := rules.Analyser{}.Analyse(context.Background(), c, emitting(func(insight.Finding) error {
			if !emitted {
				first += time.Since(began)
				emitted = true
			}
			return nil
		}))
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(first.Microseconds())/1000/float64(b.N), "ms-to-first")
}

var hour = []string{
	"I have been thinking about the team, and it is not so much the work as the meetings that wear me out.",
	"What would it look like if that were different?", "Mm-hmm.", "I'll talk to Miriam on Friday, before the budget is closed.",
	"It sounds like you carry the whole project alone, and nobody asks how you are.", "I don't know. Maybe I never asked anyone for help.",
	"You should write that down. Have you tried a shorter list?", "I feel anxious before every review, and then it goes well, and I forget that it went well.",
}
