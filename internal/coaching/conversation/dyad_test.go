package conversation_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// Times in seconds:
//
//	 0–2   Ana  "What do you want?"            asks
//	 6–8   Ben  "My evenings back."            after 4 s: a pause, and Ben ended it
//	 9–11  Ana  "And what else?"               asks
//	15–16  Ana  "A quiet week, perhaps?"       after 4 s: a pause that Ana broke; asks
//	19–20  Ben  "Yes, that too."               after 3 s: a pause, and Ben ended it
//	21–22  Ana  "Take your time."              asks nothing
//	32–33  Ben  "I would like to sail."        after 10 s of silence, but after no question
//	34–35  Ana  "Where would you sail?"        asks
//	37–38  Ben  "North."                       after 2 s: no pause
func TestThinkingPauses(t *testing.T) {
	t.Parallel()
	utterances := []conversation.Utterance{
		said(coach, 0, 2_000, "What do you want?"), said(client, 6_000, 8_000, "My evenings back."),
		said(coach, 9_000, 11_000, "And what else?"), said(coach, 15_000, 16_000, "A quiet week, perhaps?"), said(client, 19_000, 20_000, "Yes, that too."),
		said(coach, 21_000, 22_000, "Take your time."), said(client, 32_000, 33_000, "I would like to sail."),
		said(coach, 34_000, 35_000, "Where would you sail?"), said(client, 37_000, 38_000, "North."),
	}
	m := conversation.Measure(talk(utterances...))
	equal(t, "thinkingPauses.count", m.ThinkingPauses.Count, 3)
	near(t, "thinkingPauses.unbrokenShare", m.ThinkingPauses.UnbrokenShare, 2./3)

	m = conversation.Measure(talk(utterances[5:]...))
	equal(t, "thinkingPauses.count without pauses", m.ThinkingPauses.Count, 0)
	none(t, "thinkingPauses.unbrokenShare without pauses", m.ThinkingPauses.UnbrokenShare)

	// Somebody else ends the pause: neither of the two has.
	third := talk(said(coach, 0, 2_000, "What do you want?"), said(2, 6_000, 8_000, "Coffee is ready."), said(client, 9_000, 10_000, "Coffee, then."))
	third.Speakers = append(third.Speakers, conversation.Speaker{Role: conversation.RoleOther})
	equal(t, "thinkingPauses.count with a third", conversation.Measure(third).ThinkingPauses.Count, 0)
}

func TestLatencyNeedsTheTimesOfBoth(t *testing.T) {
	t.Parallel()
	var utterances []conversation.Utterance
	for at := int64(0); at < 600_000; at += 20_000 { // 30 answers after 2 s, and 29 questions after 13 s
		utterances = append(utterances, said(coach, at, at+2_000, "What else?"), said(client, at+4_000, at+7_000, "There is one more thing."))
	}
	utterances[20].EndMs = nil // a question: 3 % of the utterances have no end
	m := conversation.Measure(talk(utterances...))
	quantiles(t, "responseLatencyMs", m.ResponseLatencyMs, 29, 2_000, 2_000)
	quantiles(t, "patienceMs", m.PatienceMs, 28, 13_000, 13_000)
	equal(t, "thinkingPauses.count", m.ThinkingPauses.Count, 0)
}

func TestInterruptions(t *testing.T) {
	t.Parallel()
	const long = "I was going to say something about the plan"
	// Somewhere else in each talk two voices overlap by a signal of 0.5 s: overlaps are available.
	overlapping := []conversation.Utterance{said(client, 90_000, 95_000, long), said(coach, 93_000, 93_500, "Mm-hmm.")}
	for _, tt := range []struct {
		name          string
		utterances    []conversation.Utterance
		coach, client int
	}{
		{"the coach, by 2 s", []conversation.Utterance{said(client, 0, 10_000, long), said(coach, 8_000, 12_000, "Let me stop you there")}, 1, 0},
		{"the client", []conversation.Utterance{said(coach, 0, 10_000, long), said(client, 9_700, 12_000, "No no, that is not it")}, 0, 1},
		{"by less than 300 ms", []conversation.Utterance{said(client, 0, 10_000, long), said(coach, 9_701, 12_000, "Let me stop you there")}, 0, 0},
		{"hardly anything to interrupt", []conversation.Utterance{said(client, 0, 10_000, "Well, I was going"), said(coach, 8_000, 12_000, "Let me stop you there")}, 0, 0},
		{"hardly enough to interrupt", []conversation.Utterance{said(client, 0, 10_000, "Well, I was going to"), said(coach, 8_000, 12_000, "Let me stop you there")}, 1, 0},
		{"a back-channel, however long", []conversation.Utterance{said(client, 0, 10_000, long), said(coach, 8_000, 12_000, "Yeah, right.")}, 0, 0},
		{"less than 1 s", []conversation.Utterance{said(client, 0, 10_000, long), said(coach, 8_000, 8_999, "Wait a moment please")}, 0, 0},
		{"exactly 1 s", []conversation.Utterance{said(client, 0, 10_000, long), said(coach, 8_000, 9_000, "Wait a moment please")}, 1, 0},
		{"both begin at once", []conversation.Utterance{said(client, 0, 10_000, long), said(coach, 0, 9_000, "Let me stop you there now")}, 0, 0},
		{"the floor is taken back", []conversation.Utterance{
			said(client, 0, 10_000, long), said(coach, 9_000, 13_000, "Let me stop you there now"), said(client, 10_500, 20_000, long),
		}, 1, 0},
		{"late, it is no taking back", []conversation.Utterance{
			said(client, 0, 10_000, long), said(coach, 9_000, 20_000, "Let me stop you there now"), said(client, 12_001, 24_000, long),
		}, 1, 1},
		{"just in time for taking back", []conversation.Utterance{
			said(client, 0, 10_000, long), said(coach, 9_000, 20_000, "Let me stop you there now"), said(client, 12_000, 24_000, long),
		}, 1, 0},
		{"the cut of the cues does not matter", []conversation.Utterance{
			said(client, 0, 5_000, "I was going"), said(client, 5_000, 10_000, "to say something"),
			said(coach, 9_500, 10_000, "Let me"), said(coach, 10_000, 12_000, "stop you"),
		}, 1, 0},
		{"over a signal", []conversation.Utterance{
			said(client, 0, 10_000, long), said(coach, 4_000, 4_500, "Mm-hmm."), said(coach, 9_000, 12_000, "Let me stop you there"),
		}, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := conversation.Measure(talk(slices.Concat(tt.utterances, overlapping)...))
			is(t, "coachInterruptions", m.CoachInterruptions, tt.coach)
			is(t, "clientInterruptions", m.ClientInterruptions, tt.client)
			is(t, "coach.interruptions", m.Coach.Interruptions, tt.coach)
			is(t, "client.interruptions", m.Client.Interruptions, tt.client)
			is(t, "ben.interruptions", m.Speakers[client].Interruptions, tt.client)
		})
	}

	third := talk(said(2, 0, 10_000, long), said(coach, 8_000, 12_000, "Let me stop you there"), said(client, 13_000, 14_000, "Right then."))
	third.Speakers = append(third.Speakers, conversation.Speaker{Role: conversation.RoleOther})
	m := conversation.Measure(third)
	is(t, "coach.interruptions of a third", m.Coach.Interruptions, 1)
	is(t, "coachInterruptions of a third", m.CoachInterruptions, 0)

	m = conversation.Measure(talk(said(client, 0, 10_000, long), said(coach, 10_000, 12_000, "Let me add something"), said(client, 15_000, 16_000, "Go on.")))
	none(t, "coachInterruptions in single file", m.CoachInterruptions)
	none(t, "coach.interruptions in single file", m.Coach.Interruptions)
}

// Percentages of 100 words each; classes that neither uses count 1 − 0 ÷ 0.0001 = 1.
//
//	                  Ana   Ben
//	article            20    15   1 − 5 ÷ 35.0001
//	personal pronoun   10     5   1 − 5 ÷ 15.0001
//	negation           10     5   1 − 5 ÷ 15.0001
//	six others          0     0   1 each
func TestLanguageStyleMatch(t *testing.T) {
	t.Parallel()
	ana := strings.Repeat("The cat saw my house. ", 10) + strings.Repeat("The cat saw not house. ", 10)
	ben := strings.Repeat("A cat ran home today. ", 10) + strings.Repeat("A cat ran not home. ", 5) + strings.Repeat("We cat ran home today. ", 5)
	want := (6 + (1 - 5/35.0001) + 2*(1-5/15.0001)) / 9
	near(t, "languageStyleMatch", of(ben, ana).LanguageStyleMatch, want)
	near(t, "the other way round", of(ana, ben).LanguageStyleMatch, want)
	near(t, "of the same words", of(ana, ana).LanguageStyleMatch, 1)
	none(t, "of 99 words", of(strings.TrimPrefix(ben, "A "), ana).LanguageStyleMatch)
	none(t, "of 99 words", of(ben, strings.TrimPrefix(ana, "The ")).LanguageStyleMatch)

	// Contractions belong to both their parts: "don't" is "do not".
	contracted, full := strings.Repeat("I'm sure they don't sing. ", 25), strings.Repeat("I am sure they do not sing. ", 20)
	equal(t, "contractions match what they stand for", *of(contracted, full).LanguageStyleMatch > 0.9, true)
}

func TestLexicalEcho(t *testing.T) {
	t.Parallel()
	// Ben's turn has 6 content words: red, boat, sank, Malmö, harbour, yesterday. Ana's has 5: red, boat, sank, twice,
	// slowly; "the", "near", "your" and "then" carry grammar. Ana answers Ben 10 times and Ben answers Ana 9 times.
	const ben, ana = "The red boat sank near Malmö harbour yesterday.", "Then your RED boat sank twice, slowly."
	talk := func(pairs int) (said []string) {
		for range pairs {
			said = append(said, ben, ana)
		}
		return said
	}
	m := of(talk(10)...)
	near(t, "coachEcho", m.CoachEcho, 3./5)   // 30 of 50
	near(t, "clientEcho", m.ClientEcho, 3./6) // 27 of 54
	none(t, "coachEcho of 45 content words", of(talk(9)...).CoachEcho)
	// Only the turn right before counts, but no back-channel is one.
	apart := []string{ben, "Which was it?", "It was the one we had.", ana}
	near(t, "coachEcho of the turn before last", of(slices.Repeat(apart, 12)...).CoachEcho, 0)
	bridged := []string{ben, "Mm-hmm.", "", ana}
	near(t, "coachEcho over a back-channel", of(slices.Repeat(bridged, 12)...).CoachEcho, 3./5)
}

func TestTurnEntropy(t *testing.T) {
	t.Parallel()
	// Ana takes 3 of 4 turns: −¾ log₂ ¾ − ¼ log₂ ¼.
	m := conversation.Measure(talk(
		said(coach, 0, 2_000, "It is late."), said(coach, 6_000, 8_000, "Still there?"), said(client, 9_000, 10_000, "I am here."), said(coach, 11_000, 12_000, "Good to hear."),
	))
	near(t, "turnEntropy", m.TurnEntropy, 0.75*math.Log2(4./3)+0.25*2)
	near(t, "turnEntropy of a monologue", of("I will tell you everything.").TurnEntropy, 0)
	near(t, "turnEntropy of equals", of("I will tell you everything.", "I am all ears for it.").TurnEntropy, 1)
	none(t, "turnEntropy of silence", of().TurnEntropy)
}

func TestDyadNeedsBoth(t *testing.T) {
	t.Parallel()
	for _, roles := range [][2]conversation.Role{
		{conversation.RoleCoach, conversation.RoleUnknown}, {conversation.RoleUnknown, conversation.RoleClient}, {conversation.RoleOther, conversation.RoleOther},
	} {
		m := conversation.Measure(conversation.Talk{
			Speakers:   []conversation.Speaker{{Role: roles[0]}, {Role: roles[1]}},
			Utterances: append(example(), said(client, 49_000, 52_000, strings.Repeat("I said that ", 50)), said(coach, 50_000, 53_000, strings.Repeat("You said that ", 50))),
		})
		equal(t, "dyad", m.Dyad, conversation.Dyad{})
	}
}
