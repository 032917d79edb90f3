package conversation_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

var lines = []string{
	"Mm-hmm.", "Yeah, right.", "What would you like instead?", "I have been thinking about that since we last spoke",
	"Well. I don't know.", "so do you think it would help", "Okay?", "It's the third time this month, and I am tired of it.",
	"Tell me more about that.", "I said no. He said, what are you doing? And that was that.",
}

// random is a conversation of three with pauses, back-channels and overlaps, though nobody overlaps themselves.
func random(r *rand.Rand, utterances int, timed bool) ([]conversation.Speaker, []conversation.Utterance) {
	speakers := []conversation.Speaker{{Role: conversation.RoleCoach}, {Role: conversation.RoleClient}, {Role: conversation.RoleClient}}
	out := make([]conversation.Utterance, utterances)
	at, ends := int64(0), make([]int64, len(speakers))
	for i := range out {
		speaker, text := r.IntN(len(speakers)), lines[r.IntN(len(lines))]
		start := max(at-600+r.Int64N(4_000), ends[speaker])
		at = start + int64(conversation.CountWords(text))*350 + r.Int64N(500)
		ends[speaker] = at
		out[i] = line(speaker, text)
		if timed {
			out[i] = said(speaker, start, at, text)
		}
	}
	return speakers, out
}

func eachRandom(t *testing.T, check func(t *testing.T, r *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance)) {
	t.Helper()
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		speakers, utterances := random(r, 1+r.IntN(60), seed%4 != 0)
		check(t, r, speakers, utterances)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestSharesOfSpeechAddUpToOne(t *testing.T) {
	eachRandom(t, func(t *testing.T, _ *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance) {
		m := conversation.Measure(speakers, utterances, nil)
		sum := 0.0
		for _, s := range m.Speakers {
			sum += *s.TalkShareOfSpeech
		}
		near(t, "Σ talkShareOfSpeech of speakers", &sum, 1)
		both := *m.Coach.TalkShareOfSpeech + *m.Client.TalkShareOfSpeech
		near(t, "Σ talkShareOfSpeech of roles", &both, 1)
	})
}

func TestWhereAnUtteranceIsCutDoesNotMatter(t *testing.T) {
	eachRandom(t, func(t *testing.T, r *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance) {
		whole := conversation.Measure(speakers, utterances, nil)
		var cut []conversation.Utterance
		for _, u := range utterances {
			words := strings.Fields(u.Text)
			if len(words) < 2 {
				cut = append(cut, u)
				continue
			}
			at := 1 + r.IntN(len(words)-1)
			first, second := u, u
			first.Text, second.Text = strings.Join(words[:at], " "), strings.Join(words[at:], " ")
			if u.EndMs != nil {
				middle := *u.StartMs + (*u.EndMs-*u.StartMs)*int64(at)/int64(len(words))
				first.EndMs, second.StartMs = &middle, &middle
			}
			cut = append(cut, first, second)
		}
		parts := conversation.Measure(speakers, cut, nil)
		// Only what counts utterances may differ.
		whole.Quality, parts.Quality = conversation.DataQuality{}, conversation.DataQuality{}
		equal(t, "metrics of the cut utterances", jsonOf(t, parts), jsonOf(t, whole))
	})
}

func TestScalingTimesScalesTimesAndLeavesShares(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		speakers, utterances := random(r, 2+r.IntN(60), true)
		// Thresholds are absolute times, so the factor must not carry a gap across one: gaps become ≤ 2 s or > 4 s.
		at := int64(0)
		for i := range utterances {
			long := *utterances[i].EndMs - *utterances[i].StartMs
			start := at + []int64{0, 700, 2_000, 5_000}[r.IntN(4)]
			at = start + long
			end := at
			utterances[i].StartMs, utterances[i].EndMs = &start, &end
		}
		before := conversation.Measure(speakers, utterances, nil)
		half := slices.Clone(utterances)
		for i, u := range half {
			start, end := *u.StartMs/2, *u.EndMs/2
			half[i].StartMs, half[i].EndMs = &start, &end
		}
		after := conversation.Measure(speakers, half, nil)
		for i := range speakers {
			a, b := after.Speakers[i], before.Speakers[i]
			equal(t, "turnCount", a.TurnCount, b.TurnCount)
			about(t, "talkMs", ms(a.TalkMs), ms(b.TalkMs)/2, 60)
			about(t, "longestMonologueMs", ms(a.LongestMonologueMs), ms(b.LongestMonologueMs)/2, 2)
			about(t, "talkShareOfSpeech", *a.TalkShareOfSpeech, *b.TalkShareOfSpeech, 0.02)
			about(t, "talkShareOfSession", *a.TalkShareOfSession, *b.TalkShareOfSession, 0.02)
			if b.MeanTurnWords != nil {
				near(t, "meanTurnWords", a.MeanTurnWords, *b.MeanTurnWords)
			}
		}
		about(t, "durationMs", ms(after.DurationMs), ms(before.DurationMs)/2, 2)
		if before.PatienceMs != nil {
			about(t, "patienceMs", float64(after.PatienceMs.Median), float64(before.PatienceMs.Median)/2, 2)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestMeasureDoesNotDependOnFileOrder(t *testing.T) {
	t.Parallel()
	shuffled := example()
	slices.Reverse(shuffled)
	equal(t, "metrics", jsonOf(t, conversation.Measure(pair(), shuffled, nil)), jsonOf(t, conversation.Measure(pair(), example(), nil)))
}

// Two hours of talk must be measured within 5 ms.
func BenchmarkMeasureTwoHours(b *testing.B) {
	speakers, utterances := random(rand.New(rand.NewPCG(1, 1)), 3_000, true)
	b.ReportAllocs()
	for b.Loop() {
		conversation.Measure(speakers, utterances, nil)
	}
}

func ExampleMeasure() {
	m := conversation.Measure(pair(), example(), nil)
	fmt.Printf("the coach speaks %.0f %% of the time and waits %d ms\n", 100**m.Coach.TalkShareOfSpeech, m.PatienceMs.Median)
	// Output: the coach speaks 23 % of the time and waits 4000 ms
}

func ms(v *int64) float64 {
	if v == nil {
		return 0
	}
	return float64(*v)
}

// about allows for the halves of milliseconds that integers lose.
func about(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: got %v, want about %v", what, got, want)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
