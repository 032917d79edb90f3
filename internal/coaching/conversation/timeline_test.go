package conversation_test

import (
	"math/rand/v2"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// Three minutes are three buckets of a minute. Times in seconds:
//
//	 10–30   Ana  10 words, asks at the end
//	 30–70   Ben  20 words: 30 s and 15 words in the first minute, 10 s and 5 words in the second
//	 65–75   Ana  "What would you rather do then? I mean now." 9 words; the question ends with the 6th, at 65 + 10 · 6 ÷ 9 s
//	110–130  Ben  20 words: 10 s each in the second and the third minute
//	180      the end
func TestTimeline(t *testing.T) {
	t.Parallel()
	const twenty = "one two three four five six seven eight nine ten one two three four five six seven eight nine ten"
	session := int64(180_000)
	worked := talk(
		said(coach, 10_000, 30_000, "So what is it that you would like to do?"),
		said(client, 30_000, 70_000, twenty),
		said(coach, 65_000, 75_000, "What would you rather do then? I mean now."),
		said(client, 110_000, 130_000, twenty),
	)
	worked.SessionMs, worked.Language = &session, "en"
	m := conversation.Measure(worked)
	if len(m.Timeline) != 3 {
		t.Fatalf("%d buckets", len(m.Timeline))
	}
	for i, want := range []struct {
		silence             float64
		coachMs, clientMs   int64
		coachWpm, clientWpm float64 // 0: not speaking
		questions           int
	}{
		{10. / 60, 20_000, 30_000, 30, 30, 1}, // speech 10–60; 10 words in 20 s; 15 words in 30 s
		{35. / 60, 10_000, 20_000, 54, 45, 1}, // speech 60–75 and 110–120; 9 words in 10 s; 5 + 10 words in 20 s
		{50. / 60, 0, 10_000, 0, 60, 0},       // speech 120–130; 10 words in 10 s
	} {
		b := m.Timeline[i]
		equal(t, "startMs", b.StartMs, int64(i)*60_000)
		equal(t, "endMs", b.EndMs, int64(i+1)*60_000)
		near(t, "silenceShare", b.SilenceShare, want.silence)
		equal(t, "coach.talkMs", b.Coach.TalkMs, want.coachMs)
		equal(t, "client.talkMs", b.Client.TalkMs, want.clientMs)
		near(t, "coach.talkShareOfSpeech", b.Coach.TalkShareOfSpeech, float64(want.coachMs)/float64(want.coachMs+want.clientMs))
		near(t, "client.wordsPerMinute", b.Client.WordsPerMinute, want.clientWpm)
		if want.coachWpm > 0 {
			near(t, "coach.wordsPerMinute", b.Coach.WordsPerMinute, want.coachWpm)
		} else {
			none(t, "coach.wordsPerMinute", b.Coach.WordsPerMinute)
		}
		is(t, "coach.questionCount", b.Coach.QuestionCount, want.questions)
		is(t, "client.questionCount", b.Client.QuestionCount, 0)
	}
}

func TestTimelineHasAtMostTwentyBuckets(t *testing.T) {
	t.Parallel()
	for minutes, want := range map[int64]int{0: 1, 1: 1, 2: 2, 19: 19, 20: 20, 60: 20, 300: 20} {
		session := minutes*60_000 + 59_000
		talk := talk(example()...)
		talk.SessionMs = &session
		m := conversation.Measure(talk)
		equal(t, "buckets", len(m.Timeline), want)
		equal(t, "the last ends with the session", m.Timeline[want-1].EndMs, session)
	}
}

func TestTimelineNeedsTimesAndRoles(t *testing.T) {
	t.Parallel()
	equal(t, "buckets without times", len(of("I am here.", "So am I.").Timeline), 0)
	m := conversation.Measure(conversation.Talk{Speakers: []conversation.Speaker{{}, {Role: conversation.RoleClient}}, Utterances: example()})
	none(t, "coach", m.Timeline[0].Coach)
	is(t, "client.questionCount", m.Timeline[0].Client.QuestionCount, 0)
	filled := conversation.Measure(talk(said(coach, 0, 5_000, "How are you?"), said(client, 5_000, 9_000, "Not bad.")))
	none(t, "silenceShare without pauses", filled.Timeline[0].SilenceShare)
	foreign := talk(example()...)
	foreign.Language = "de"
	none(t, "questionCount in German", conversation.Measure(foreign).Timeline[0].Coach.QuestionCount)
}

// What has no end, and who has no role, come first; what comes after them is still there.
func TestTimelineGoesOnAfterGaps(t *testing.T) {
	t.Parallel()
	talk := talk(unended(coach, 0, "Shall we?"), said(2, 1_000, 2_000, "Who are you?"))
	talk.Speakers = append(talk.Speakers, conversation.Speaker{Role: conversation.RoleOther})
	for at := int64(3_000); at < 40_000; at += 1_500 { // 25 questions of 1 s
		talk.Utterances = append(talk.Utterances, said(coach, at, at+1_000, "What else?"))
	}
	m := conversation.Measure(talk)
	equal(t, "buckets", len(m.Timeline), 1)
	equal(t, "coach.talkMs", m.Timeline[0].Coach.TalkMs, 25_000)
	is(t, "coach.questionCount", m.Timeline[0].Coach.QuestionCount, 25) // the one without an end has no time
	is(t, "coach.questionCount of the session", m.Coach.QuestionCount, 26)
}

func TestTimelineAddsUpToTheSession(t *testing.T) {
	eachRandom(t, func(t *testing.T, r *rand.Rand, speakers []conversation.Speaker, utterances []conversation.Utterance) {
		session := r.Int64N(400_000)
		m := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances, SessionMs: &session})
		if m.Basis == conversation.BasisWords {
			equal(t, "buckets", len(m.Timeline), 0)
			return
		}
		var coachMs, clientMs int64
		var questions int
		silence, until := 0.0, int64(0)
		for _, b := range m.Timeline {
			equal(t, "the end of the bucket before", until, b.StartMs)
			until = b.EndMs
			coachMs += b.Coach.TalkMs
			clientMs += b.Client.TalkMs
			questions += *b.Coach.QuestionCount
			if b.SilenceShare != nil {
				silence += *b.SilenceShare * float64(b.EndMs-b.StartMs) / float64(*m.DurationMs)
			}
			if share := b.Coach.TalkShareOfSpeech; share != nil {
				both := *share + *b.Client.TalkShareOfSpeech
				near(t, "Σ talkShareOfSpeech of the bucket", &both, 1)
			}
		}
		equal(t, "the end", until, *m.DurationMs)
		is(t, "Σ coach.talkMs", m.Coach.TalkMs, coachMs)
		is(t, "Σ client.talkMs", m.Client.TalkMs, clientMs)
		is(t, "Σ coach.questionCount", m.Coach.QuestionCount, questions)
		if m.SilenceShare != nil {
			near(t, "Σ silence", m.SilenceShare, silence)
		}
	})
}
