package conversation_test

import (
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// of measures what coach and client say in turns, the client first, in English and without times.
func of(said ...string) conversation.Metrics {
	t := conversation.Talk{Speakers: pair(), Language: "en"}
	for i, text := range said {
		t.Utterances = append(t.Utterances, line((i+1)%2, text))
	}
	return conversation.Measure(t)
}

func TestFillers(t *testing.T) {
	t.Parallel()
	m := of(
		"Um, I was there, uh, I think.", // 7 words, 2 of them filled pauses
		"Uh huh, go on please.",         // 5 words, none: "uh huh" is a signal
	)
	near(t, "client.fillerRate", m.Client.FillerRate, 100*2./7)
	near(t, "coach.fillerRate", m.Coach.FillerRate, 0)
	near(t, "of a signal at the end", of("Um, go on.", "I am with you, uh huh").Coach.FillerRate, 0)

	// 1 in 1,000 words is 0.1 per 100, and 1 in 1,001 is less: somebody has left them out.
	equal(t, "fillersAvailable", of("Um, "+strings.Repeat("we went home ", 333)).Quality.FillersAvailable, true)
	few := of("Um, " + strings.Repeat("we went home ", 333) + "again")
	equal(t, "fillersAvailable", few.Quality.FillersAvailable, false)
	none(t, "fillerRate of too few", few.Client.FillerRate)
}

func TestBackchannelRate(t *testing.T) {
	t.Parallel()
	m := of(
		"I said that I would go there and then I did not", // 12 words
		"Mm-hmm.", // a back-channel
		"which is what I always do when it is late", // 10 words
		"Yeah, right.", // a back-channel
		"and so on",    // 3 words
		"What then?",   // a turn
		"Yes.",         // an answer, and so no back-channel
		"Yes?",         // asks, and so no back-channel
	)
	// 2 per 12 + 10 + 3 + 1 = 26 words of the client's; the client has given none.
	near(t, "coach.backchannelRate", m.Coach.BackchannelRate, 100*2./26)
	near(t, "client.backchannelRate", m.Client.BackchannelRate, 0)
	none(t, "of a coach to whom nobody speaks", of("", "Mm-hmm. And then?").Coach.BackchannelRate)
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	m := of(
		"I do not know where to begin.",
		"What would you like? Is it the move? How often do you think of it?", // open, closed, closed: stacked
		"All day long, since you ask.",
		"Did you sleep?", // closed
		"Not much, to be honest.",
		"That is hard.",
		"It is, yes.",
		"… Tell me more. What keeps you up?", // open, open: stacked
	)
	is(t, "coach.questionCount", m.Coach.QuestionCount, 6)
	near(t, "coach.questionRate", m.Coach.QuestionRate, 3./4)
	near(t, "coach.openQuestionShare", m.Coach.OpenQuestionShare, 3./6)
	is(t, "coach.stackedQuestions", m.Coach.StackedQuestions, 2)
	is(t, "client.questionCount", m.Client.QuestionCount, 0)
	is(t, "client.stackedQuestions", m.Client.StackedQuestions, 0)
	near(t, "client.questionRate", m.Client.QuestionRate, 0)
	none(t, "client.openQuestionShare", m.Client.OpenQuestionShare)
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		said          []string // the client first
		with, without int
	}{
		{"unasked", []string{"It was late again.", "You should go home earlier."}, 0, 1},
		{"each phrase counts", []string{"It was late again.", "Have you tried a list? I'd suggest one. And why don't you call her?"}, 0, 3},
		{"typographic apostrophes", []string{"It was late again.", "I’d suggest a list."}, 0, 1},
		{"what I think", []string{"It was late again.", "I think you should go home."}, 0, 1},
		{"permission two turns before", []string{"It was late.", "Would it be okay if I shared a thought?", "Sure.", "You need to sleep."}, 1, 0},
		{"asked for three turns before", []string{"What should I do?", "Give me a moment.", "Take your time.", "You need to sleep."}, 0, 1},
		{"permission four turns before", []string{
			"It was late.", "Would it be okay if I shared a thought?", "Sure.", "I see it now.", "What is it?", "You need to sleep.",
		}, 0, 1},
		{"permission in the same turn", []string{"It was late.", "May I suggest something? You could try a list."}, 1, 0},
		{"permission afterwards", []string{"It was late.", "You could try a list. May I suggest something?"}, 0, 1},
		{"asked for by the client", []string{"What should I do?", "You might want to ask her."}, 1, 0},
		{"a back-channel is no turn", []string{"I am glad of any ideas.", "Mm-hmm.", "I mean it.", "You should ask her."}, 1, 0},
		{"permission itself is none", []string{"It was late.", "Can I suggest a list?"}, 0, 0},
		{"a question about the need", []string{"It was late.", "What do you need to sleep well?"}, 0, 0},
		{"given back", []string{"It was late.", "So you feel you should be there."}, 0, 0},
		{"what the client thinks", []string{"It was late.", "And you think you should go."}, 0, 0},
		{"what the client thinks, with a word between", []string{"It was late.", "You think maybe you should go."}, 0, 0},
		{"given back, with a word between", []string{"It was late.", "It feels like maybe you should go."}, 0, 0},
		{"a thought far enough before", []string{"It was late.", "They think just maybe you should go."}, 0, 1},
		{"denied four words before", []string{"It was late.", "Not for a moment you should go."}, 0, 0},
		{"denied five words before", []string{"It was late.", "Not for a long moment you should go."}, 0, 1},
		{"reported", []string{"It was late.", "She said you should go."}, 0, 0},
		{"advice against", []string{"It was late.", "I don't think you need to go."}, 0, 0},
		{"hands over", []string{"It was late.", "Why don't you tell me about it?"}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := of(tt.said...).Coach.Advice
			equal(t, "advice", *got, conversation.AdviceMarkers{WithPermission: tt.with, WithoutPermission: tt.without})
		})
	}
}

func TestReflections(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"It sounds like you are tired of it.":                                     1,
		"So, it sounds like you are tired of it?":                                 1, // a rising voice only
		"So on the one hand there is the job.":                                    1,
		"Yeah, and you miss your evenings.":                                       1,
		"Your evenings matter to you.":                                            1,
		"You are tired. What would help?":                                         0, // too short to give anything back
		"You miss your evenings. What would help?":                                1,
		"You missed them. You really miss them. You do too.":                      1, // a turn counts once
		"What do you miss about them?":                                            0,
		"You miss them because they matter.":                                      0, // presses by the fourth word
		"You miss your evenings because they matter.":                             1,
		"May I suggest a list? Have you tried it? You really miss your evenings.": 1,
		"I think you are wrong about that.":                                       0,
		"You should go home earlier, then.":                                       0,
		"It is a nice day for a walk.":                                            0,
		"The weather changed again last night.":                                   0,
		strings.Repeat("You miss your evenings. ", 10):                            1,
		strings.Repeat("You miss your evenings. ", 10) + "Yes.":                   0,
		strings.Repeat("You miss your evenings. ", 11):                            0, // 44 words: told, not given back
	} {
		m := of("I am always the last one there.", text)
		if is(t, text, m.Coach.ReflectionCount, want); want > 0 {
			near(t, text, m.Coach.ReflectionRate, 1)
		}
		is(t, "reflectionEvidence", m.ReflectionEvidence, conversation.EvidenceWording)
	}
	is(t, "before anybody else has spoken", of("", "You miss your evenings.").Coach.ReflectionCount, 0)
	// Two turns of the coach, 5 s apart: the second gives back nothing.
	is(t, "after the coach's own turn", conversation.Measure(talk(
		said(client, 0, 4_000, "I am the last one there."), said(coach, 5_000, 7_000, "I see that."), said(coach, 12_000, 14_000, "You miss your evenings."),
	)).Coach.ReflectionCount, 0)
}

func TestReflectionsFromCodes(t *testing.T) {
	t.Parallel()
	talk := talk(example()...)
	// The coach's utterances are judged, whatever their words are: the first, which is a turn, and the two that follow.
	talk.Reflects = func(u int) (reflects, judged bool) { return u >= 3, talk.Utterances[u].Speaker == coach }
	m := conversation.Measure(talk)
	is(t, "reflectionEvidence", m.ReflectionEvidence, conversation.EvidenceCodes)
	is(t, "coach.reflectionCount", m.Coach.ReflectionCount, 1)
	near(t, "coach.reflectionRate", m.Coach.ReflectionRate, 1./2) // the bridged "Mm-hmm." is no turn
	none(t, "client.reflectionCount, which nobody has judged", m.Client.ReflectionCount)
	none(t, "client.reflectionRate", m.Client.ReflectionRate)

	talk.Language = "de"
	m = conversation.Measure(talk)
	none(t, "reflectionEvidence in German", m.ReflectionEvidence)
	none(t, "coach.reflectionCount in German", m.Coach.ReflectionCount)
}

func TestWordingOfOtherLanguagesIsNotRead(t *testing.T) {
	t.Parallel()
	german := strings.Repeat("Ich weiß noch nicht, was ich davon halten soll, und das macht mich müde. ", 8)
	english := strings.Repeat("I do not know yet what to make of it, and that makes me tired. ", 8)
	for _, tt := range []struct {
		name, language, text string
		want                 bool
	}{
		{"English", "", english, true},
		{"English by name", "en-GB", english, true},
		{"German by its words", "", german, false},
		{"German by name", "de", english, false},
		{"too short to tell", "", german[:200], true},
		{"trusted", "EN", german, true},
		{"nothing", "en", "…", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := conversation.Measure(conversation.Talk{
				Speakers: pair(), Language: tt.language, Utterances: []conversation.Utterance{line(client, "um "+tt.text), line(coach, tt.text)},
			})
			if tt.name == "nothing" {
				m = conversation.Measure(conversation.Talk{Speakers: pair(), Language: tt.language, Utterances: []conversation.Utterance{line(client, tt.text)}})
			}
			equal(t, "wordingAvailable", m.Quality.WordingAvailable, tt.want)
			equal(t, "fillersAvailable", m.Quality.FillersAvailable, tt.want)
			for what, known := range map[string]bool{
				"questionCount": m.Coach.QuestionCount != nil, "stackedQuestions": m.Coach.StackedQuestions != nil, "advice": m.Coach.Advice != nil,
				"reflectionCount": m.Coach.ReflectionCount != nil, "reflectionEvidence": m.ReflectionEvidence != nil, "fillerRate": m.Client.FillerRate != nil,
				"questionRate": m.Client.QuestionRate != nil, "reflectionRate": m.Client.ReflectionRate != nil, "backchannelRate": m.Coach.BackchannelRate != nil,
			} {
				equal(t, what+" is there", known, tt.want)
			}
		})
	}
}
