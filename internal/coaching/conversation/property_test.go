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
	"Tell me more about that.", "I said no. He said, what are you doing? And that was that.", "Um, no, uh, it was the evening that hurt.",
	"It sounds like you have had enough of evenings.", "May I suggest something? You should rest.", "I'd suggest you rest. Why don't you try?",
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
		m := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
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
		whole := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
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
		parts := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: cut})
		// Only what counts utterances may differ, and the pace within an utterance, by the milliseconds that the cut rounds.
		for i := range whole.Timeline {
			a, b := &whole.Timeline[i], &parts.Timeline[i]
			evenPace(t, a.Coach, b.Coach)
			evenPace(t, a.Client, b.Client)
		}
		whole.Quality.UtteranceCount, parts.Quality.UtteranceCount = 0, 0
		whole.Quality.ShareWithKnownRole, parts.Quality.ShareWithKnownRole = nil, nil
		whole.Quality.ShareWithEndTimes, parts.Quality.ShareWithEndTimes = nil, nil
		equal(t, "metrics of the cut utterances", jsonOf(t, parts), jsonOf(t, whole))
	})
}

// evenPace compares the pace of two, and takes it out.
func evenPace(t *testing.T, a, b *conversation.BucketVoice) {
	t.Helper()
	if a.TalkMs != b.TalkMs || (a.WordsPerMinute == nil) != (b.WordsPerMinute == nil) {
		t.Errorf("bucket's voice: got %+v, want %+v", b, a)
	} else if a.WordsPerMinute != nil && a.TalkMs > 1_000 {
		about(t, "wordsPerMinute", *b.WordsPerMinute, *a.WordsPerMinute, 0.5)
	}
	a.WordsPerMinute, b.WordsPerMinute = nil, nil
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
		before := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
		half := slices.Clone(utterances)
		for i, u := range half {
			start, end := *u.StartMs/2, *u.EndMs/2
			half[i].StartMs, half[i].EndMs = &start, &end
		}
		after := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: half})
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

func TestSharesOfTheTimelineScaleToo(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		speakers, utterances := random(r, 60, true)
		// Both are cut into 20 parts, and all times are even.
		session := int64(80 * 60_000)
		double := slices.Clone(utterances)
		for i, u := range utterances {
			start, end := *u.StartMs*2, *u.EndMs*2
			double[i].StartMs, double[i].EndMs = &start, &end
		}
		twice := 2 * session
		before := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances, SessionMs: &session})
		after := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: double, SessionMs: &twice})
		near(t, "silenceShare", after.SilenceShare, *before.SilenceShare)
		near(t, "client.talkShareOfSession", after.Client.TalkShareOfSession, *before.Client.TalkShareOfSession)
		for i, b := range before.Timeline {
			a := after.Timeline[i]
			equal(t, "endMs", a.EndMs, 2*b.EndMs)
			near(t, "silenceShare", a.SilenceShare, *b.SilenceShare)
			equal(t, "coach.talkMs", a.Coach.TalkMs, 2*b.Coach.TalkMs)
			if b.Client.WordsPerMinute != nil {
				near(t, "client.wordsPerMinute", a.Client.WordsPerMinute, *b.Client.WordsPerMinute/2)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestSpeakersInAnotherOrder(t *testing.T) {
	eachRandom(t, func(t *testing.T, r *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance) {
		before := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
		to := r.Perm(len(speakers))
		moved, spoken := make([]conversation.Speaker, len(speakers)), slices.Clone(utterances)
		for i, s := range speakers {
			moved[to[i]] = s
		}
		for i, u := range spoken {
			spoken[i].Speaker = to[u.Speaker]
		}
		after := conversation.Measure(conversation.Talk{Speakers: moved, Utterances: spoken})
		back := make([]conversation.SpeakerMetrics, len(speakers))
		for i := range speakers {
			back[i] = after.Speakers[to[i]]
			back[i].Speaker = i
		}
		after.Speakers = back
		equal(t, "metrics", jsonOf(t, after), jsonOf(t, before))
	})
}

func TestWhatIsOfVoicesDoesNotDependOnRoles(t *testing.T) {
	eachRandom(t, func(t *testing.T, r *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance) {
		before := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
		others := slices.Clone(speakers)
		for i := range others {
			others[i].Role = []conversation.Role{conversation.RoleCoach, conversation.RoleClient, conversation.RoleOther, conversation.RoleUnknown}[r.IntN(4)]
		}
		after := conversation.Measure(conversation.Talk{Speakers: others, Utterances: utterances})
		for i := range after.Speakers {
			after.Speakers[i].Role = before.Speakers[i].Role
		}
		equal(t, "speakers", jsonOf(t, after.Speakers), jsonOf(t, before.Speakers))
		equal(t, "silenceShare", jsonOf(t, after.SilenceShare), jsonOf(t, before.SilenceShare))
		equal(t, "interactivityPerMin", jsonOf(t, after.InteractivityPerMin), jsonOf(t, before.InteractivityPerMin))
	})
}

// Waiting before the first word moves everything and changes nothing; waiting after the last is silence.
func TestSilenceBeforeAndAfter(t *testing.T) {
	eachRandom(t, func(t *testing.T, r *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance) {
		before := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
		wait := r.Int64N(3_600_000)
		later := slices.Clone(utterances)
		for i, u := range later {
			if u.StartMs != nil {
				start, end := *u.StartMs+wait, *u.EndMs+wait
				later[i].StartMs, later[i].EndMs = &start, &end
			}
		}
		after := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: later})
		for i := range after.Timeline {
			after.Timeline[i].StartMs -= wait
			after.Timeline[i].EndMs -= wait
		}
		equal(t, "metrics", jsonOf(t, after), jsonOf(t, before))
		if before.SilenceShare == nil || wait < 1_000 {
			return
		}
		long := *later[len(later)-1].EndMs + *before.DurationMs
		quiet := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: later, SessionMs: &long})
		if *quiet.SilenceShare <= *before.SilenceShare {
			t.Errorf("silenceShare: got %v, want more than %v", *quiet.SilenceShare, *before.SilenceShare)
		}
		equal(t, "speech", jsonOf(t, quiet.Coach.TalkShareOfSpeech), jsonOf(t, before.Coach.TalkShareOfSpeech))
		equal(t, "patienceMs", jsonOf(t, quiet.PatienceMs), jsonOf(t, before.PatienceMs))
	})
}

// Whatever a file says: no panic, shares from 0 to 1, and no number that is none.
func TestAnythingCanBeMeasured(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 4))
		speakers, utterances := random(r, r.IntN(40), true)
		for i := range utterances {
			u := &utterances[i]
			switch r.IntN(8) {
			case 0:
				u.EndMs = nil
			case 1:
				u.StartMs, u.EndMs = nil, nil
			case 2:
				u.EndMs = u.StartMs
			case 3:
				start := r.Int64N(20_000) - 10_000
				u.StartMs = &start
			case 4:
				u.Speaker = r.IntN(9) - 3
			case 5:
				u.Text = []string{"", "…", "?", "\xff", "-’-", "um", "UM UH-HUH", "I’d suggest", "Why don't you", "you"}[r.IntN(10)]
			}
		}
		m := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
		shares := []*float64{m.SilenceShare, m.LanguageStyleMatch, m.CoachEcho, m.ClientEcho, m.TurnEntropy, m.Quality.ShareWithEndTimes, m.Quality.ShareWithKnownRole}
		for _, s := range m.Speakers {
			shares = append(shares, s.TalkShareOfSpeech, s.TalkShareOfSession, s.QuestionRate, s.OpenQuestionShare, s.ReflectionRate)
		}
		for _, b := range m.Timeline {
			shares = append(shares, b.SilenceShare, b.Coach.TalkShareOfSpeech, b.Client.TalkShareOfSpeech)
		}
		for i, s := range shares {
			if s != nil && !(*s >= 0 && *s <= 1) {
				t.Errorf("share %d is %v", i, *s)
			}
		}
		jsonOf(t, m) // fails on what is no number
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestMeasureDoesNotDependOnFileOrder(t *testing.T) {
	t.Parallel()
	shuffled := example()
	slices.Reverse(shuffled)
	equal(t, "metrics", jsonOf(t, conversation.Measure(talk(shuffled...))), jsonOf(t, conversation.Measure(talk(example()...))))
}

// twoHours is a session of 1,150 utterances and about 20,000 words: a coach who mostly listens and asks, and a client.
func twoHours() conversation.Talk {
	asked := []string{
		"Mm-hmm.", "Yeah, right.", "What would you want instead, if it were up to you?", "And how did that land with the team when you said it?",
		"It sounds like the evenings are what you miss most, more than the work itself.", "Where do you feel that?",
		"You said earlier that the plan was not yours. What has changed since then?", "Would it be okay if I shared something I noticed?",
		"So on the one hand there is the promise you made, and on the other there is your own week.", "Tell me more about the second part.",
	}
	told := []string{
		"I have been thinking about the reorganisation since we last spoke, and um, I still don't know what I want from it.",
		"The meeting on Thursday went better than I expected. Nobody shouted. Petra even brought numbers, which she never does.",
		"Well, it's the third time this month, and I am tired of picking up what others leave lying around.", "Yes, I suppose so.",
		"He asked me whether I could take over the budget round, and before I had thought about it I heard myself say yes.",
		"Uh, maybe I could write to her on Monday. I would keep it short, just what I need and by when, without apologising.",
		"I don't know.", "My daughter said something funny the other day, she said that I come home twice, first the car and then, an hour later, me.",
		"There is a part of me that likes being the one everybody calls, and I am not proud of that.",
	}
	r := rand.New(rand.NewPCG(1, 1))
	out := make([]conversation.Utterance, 1_150)
	at := int64(0)
	for i := range out {
		texts := [][]string{asked, told}[i%2]
		text := texts[r.IntN(len(texts))]
		for range r.IntN(1 + i%2) {
			text += " " + texts[r.IntN(len(texts))]
		}
		start := max(0, at-500+r.Int64N(2_500))
		at = start + int64(conversation.CountWords(text))*300
		out[i] = said(i%2, start, at, text)
	}
	return talk(out...)
}

// Two hours of talk must be measured within 5 ms.
func BenchmarkMeasureTwoHours(b *testing.B) {
	session, words := twoHours(), 0
	for _, u := range session.Utterances {
		words += conversation.CountWords(u.Text)
	}
	b.ReportAllocs()
	for b.Loop() {
		conversation.Measure(session)
	}
	b.ReportMetric(float64(words), "words")
}

func ExampleMeasure() {
	m := conversation.Measure(talk(example()...))
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
