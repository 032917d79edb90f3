package conversation_test

import (
	"encoding/json"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

const (
	coach  = 0
	client = 1
)

func pair() []conversation.Speaker {
	return []conversation.Speaker{{Name: "Ana", Role: conversation.RoleCoach}, {Name: "Ben", Role: conversation.RoleClient}}
}

// said is an utterance with times in milliseconds.
func said(speaker int, start, end int64, text string) conversation.Utterance {
	return conversation.Utterance{Speaker: speaker, StartMs: &start, EndMs: &end, Text: text}
}

// talk is of the pair, in a language that nobody has named.
func talk(utterances ...conversation.Utterance) conversation.Talk {
	return conversation.Talk{Speakers: pair(), Utterances: utterances}
}

// unended is an utterance that does not say when it ends.
func unended(speaker int, start int64, text string) conversation.Utterance {
	return conversation.Utterance{Speaker: speaker, StartMs: &start, Text: text}
}

// line is an utterance without times.
func line(speaker int, text string) conversation.Utterance {
	return conversation.Utterance{Speaker: speaker, Text: text}
}

// The worked example. Times in seconds:
//
//	0–4    Ana  "What would you like to look at today?"        8 words, a question
//	5–15   Ben  "I keep saying yes to every new project."      8 words
//	15–16  Ana  "Mm-hmm."                                      1 word, a back-channel: Ben resumes within 2 s of it
//	16–26  Ben  "By the weekend there is nothing left of me."  9 words
//	30–34  Ana  "And what does that cost you?"                 6 words, a question
//	36–44  Ben  "My evenings, mostly."                         3 words
//	48–50  Ben  "And my patience."                             3 words; after 4 s, so a turn of its own
//
// The session lasted 60 s.
func example() []conversation.Utterance {
	return []conversation.Utterance{
		said(coach, 0, 4_000, "What would you like to look at today?"),
		said(client, 5_000, 15_000, "I keep saying yes to every new project."),
		said(coach, 15_000, 16_000, "Mm-hmm."),
		said(client, 16_000, 26_000, "By the weekend there is nothing left of me."),
		said(coach, 30_000, 34_000, "And what does that cost you?"),
		said(client, 36_000, 44_000, "My evenings, mostly."),
		said(client, 48_000, 50_000, "And my patience."),
	}
}

func TestMeasureWorkedExample(t *testing.T) {
	t.Parallel()
	session := int64(60_000)
	worked := talk(example()...)
	worked.SessionMs = &session
	m := conversation.Measure(worked)

	if m.Basis != conversation.BasisTime || m.DefinitionVersion != conversation.DefinitionVersion {
		t.Errorf("basis %s, version %d", m.Basis, m.DefinitionVersion)
	}
	is(t, "durationMs", m.DurationMs, 60_000)
	// Speech is 4 + 10 + 1 + 10 + 4 + 8 + 2 = 39 s without overlap; silence is (60 − 39) ÷ 60.
	near(t, "silenceShare", m.SilenceShare, 21.0/60)
	// Turns: Ana, Ben (5–26, bridged), Ana, Ben (36–44), Ben (48–50). The speaker changes three times in one minute.
	near(t, "interactivityPerMin", m.InteractivityPerMin, 3)
	// Client to coach: 30 − 26 = 4 s.
	quantiles(t, "patienceMs", m.PatienceMs, 1, 4_000, 4_000)
	// Coach to client: 5 − 4 = 1 s and 36 − 34 = 2 s; by nearest rank the median of two is the first.
	quantiles(t, "responseLatencyMs", m.ResponseLatencyMs, 2, 1_000, 2_000)

	ana, ben := m.Speakers[coach], m.Speakers[client]
	is(t, "ana.talkMs", ana.TalkMs, 9_000)  // 4 + 1 + 4
	is(t, "ben.talkMs", ben.TalkMs, 30_000) // 10 + 10 + 8 + 2
	near(t, "ana.talkShareOfSpeech", ana.TalkShareOfSpeech, 9.0/39)
	near(t, "ben.talkShareOfSpeech", ben.TalkShareOfSpeech, 30.0/39)
	near(t, "ana.talkShareOfSession", ana.TalkShareOfSession, 9.0/60)
	near(t, "ben.talkShareOfSession", ben.TalkShareOfSession, 30.0/60)
	equal(t, "ana.turnCount", ana.TurnCount, 2)
	equal(t, "ben.turnCount", ben.TurnCount, 3)
	equal(t, "ana.wordCount", ana.WordCount, 15)           // 8 + 1 + 6
	equal(t, "ben.wordCount", ben.WordCount, 23)           // 8 + 9 + 3 + 3
	near(t, "ana.meanTurnWords", ana.MeanTurnWords, 7)     // (8 + 6) ÷ 2: the mm-hmm is in no turn
	near(t, "ben.meanTurnWords", ben.MeanTurnWords, 23./3) // (17 + 3 + 3) ÷ 3
	near(t, "ana.wordsPerMinute", ana.WordsPerMinute, 100) // 15 words in 9 s
	near(t, "ben.wordsPerMinute", ben.WordsPerMinute, 46)  // 23 words in 30 s
	is(t, "ana.longestMonologueMs", ana.LongestMonologueMs, 4_000)
	is(t, "ben.longestMonologueMs", ben.LongestMonologueMs, 21_000) // 5–26, over the mm-hmm
	is(t, "ana.questionCount", ana.QuestionCount, 2)
	near(t, "ana.questionRate", ana.QuestionRate, 1)
	is(t, "ben.questionCount", ben.QuestionCount, 0)
	near(t, "ben.questionRate", ben.QuestionRate, 0)

	is(t, "coach.talkMs", m.Coach.TalkMs, 9_000)
	is(t, "client.longestMonologueMs", m.Client.LongestMonologueMs, 21_000)
	near(t, "client.wordsPerMinute", m.Client.WordsPerMinute, 46)
	near(t, "shareWithEndTimes", m.Quality.ShareWithEndTimes, 1)
	near(t, "shareWithKnownRole", m.Quality.ShareWithKnownRole, 1)
	equal(t, "overlapsAvailable", m.Quality.OverlapsAvailable, false)
	equal(t, "pausesAvailable", m.Quality.PausesAvailable, true)
}

func TestWithoutEndTimesSharesAreOfWords(t *testing.T) {
	t.Parallel()
	m := conversation.Measure(talk(
		line(coach, "How was it?"),                             // 3 words
		line(client, "Hard, but I did it and I am still here"), // 10 words
		line(coach, "Right."),                                  // bridged
		line(client, "So there."),                              // 2 words
	))
	equal(t, "basis", m.Basis, conversation.BasisWords)
	near(t, "coach.talkShareOfSpeech", m.Coach.TalkShareOfSpeech, 4.0/16)
	near(t, "client.talkShareOfSpeech", m.Client.TalkShareOfSpeech, 12.0/16)
	equal(t, "coach.turnCount", m.Coach.TurnCount, 1)
	equal(t, "client.turnCount", m.Client.TurnCount, 1)
	near(t, "client.meanTurnWords", m.Client.MeanTurnWords, 12)
	none(t, "durationMs", m.DurationMs)
	none(t, "silenceShare", m.SilenceShare)
	none(t, "interactivityPerMin", m.InteractivityPerMin)
	none(t, "patienceMs", m.PatienceMs)
	none(t, "responseLatencyMs", m.ResponseLatencyMs)
	none(t, "talkMs", m.Client.TalkMs)
	none(t, "talkShareOfSession", m.Client.TalkShareOfSession)
	none(t, "wordsPerMinute", m.Client.WordsPerMinute)
	none(t, "longestMonologueMs", m.Client.LongestMonologueMs)
}

func TestBackchannels(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		utterances  []conversation.Utterance
		coach, them int // turns
	}{
		{"bridged", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_500, "Yeah, right."), said(client, 9_600, 12_000, "and then it got worse"),
		}, 0, 1},
		{"spoken under the other's words", []conversation.Utterance{
			said(client, 0, 20_000, "It was a lot and it went on"), said(coach, 9_000, 9_500, "Mm-hmm."), said(coach, 25_000, 27_000, "What then?"),
		}, 1, 1},
		{"nobody resumes", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_500, "Yeah."), said(client, 12_000, 13_000, "and more came"),
		}, 1, 2},
		{"one that stays is a turn once", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_500, "Yeah."), said(client, 12_000, 13_000, "and more came"),
			said(coach, 15_000, 16_000, "What then?"),
		}, 2, 2},
		{"one without an end may have come after", []conversation.Utterance{
			said(client, 0, 20_000, "It was a lot and it went on"), unended(coach, 9_000, "Mm-hmm."), said(client, 25_000, 27_000, "and more came"),
		}, 1, 2},
		{"resumed, nobody knows until when", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_500, "Yeah."), unended(client, 15_000, "and it went on"),
		}, 0, 1},
		{"an answer is no back-channel", []conversation.Utterance{
			said(coach, 0, 4_000, "Shall we begin?"), said(client, 4_200, 4_500, "Yeah."), said(coach, 4_700, 9_000, "Good, then tell me."),
		}, 2, 1},
		{"more than a signal", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_900, "Yeah, that hurts."), said(client, 10_000, 12_000, "and it went on"),
		}, 1, 2},
		{"four words are a turn", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_900, "Yeah, yeah, yeah, yeah."), said(client, 10_000, 12_000, "and it went on"),
		}, 1, 2},
		{"a short start of something longer", []conversation.Utterance{
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_100, 9_400, "Right."), said(coach, 9_500, 12_000, "It sounds heavy."),
			said(client, 12_100, 13_000, "and it went on"),
		}, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := conversation.Measure(talk(tt.utterances...))
			equal(t, "coach's turns", m.Coach.TurnCount, tt.coach)
			equal(t, "client's turns", m.Client.TurnCount, tt.them)
		})
	}
}

func TestATurnBridgesTwoSecondsAndNoMore(t *testing.T) {
	t.Parallel()
	for gap, want := range map[int64]int{2_000: 1, 2_001: 2} {
		m := conversation.Measure(talk(said(client, 0, 9_000, "It was a lot"), said(client, 9_000+gap, 20_000, "and then it got worse")))
		equal(t, "turns in a row", m.Client.TurnCount, want)
		m = conversation.Measure(talk(
			said(client, 0, 9_000, "It was a lot"), said(coach, 9_000, 10_000, "Mm-hmm."), said(client, 10_000+gap, 20_000, "and then it got worse"),
		))
		equal(t, "turns over a back-channel", m.Client.TurnCount, want)
	}
}

// What ends in a question is answered by "Yeah."; what does not is bridged. Where nobody has punctuated, a sentence of more
// than 200 words asks only by its mark.
func TestAnswersAndBackchannelsAfterLongSpeech(t *testing.T) {
	t.Parallel()
	ten := "well you and I went to the house by the "
	for _, tt := range []struct {
		name, asked string
		coach       int // turns
	}{
		{"a question after many cues", strings.Repeat(ten+"sea. ", 30) + "Did you sleep there?", 2},
		{"a question, and trailing off", "Did you sleep there? …", 2},
		{"a question of one word", "It was late again. Why?", 2},
		{"no question after many", "Did you sleep there? " + strings.Repeat(ten+"sea. ", 30), 1},
		{"200 words that ask by their form", "did " + strings.Repeat("you sleep and eat ", 49) + "you sleep there", 2},
		{"more words", "did " + strings.Repeat("you sleep and eat ", 50) + "you sleep there", 1},
		{"more words, and a mark", "did " + strings.Repeat("you sleep and eat ", 50) + "you sleep there?", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 7, 1_000} { // words in a cue
				var cues []conversation.Utterance
				for words := range slices.Chunk(strings.Fields(tt.asked), size) {
					cues = append(cues, line(coach, strings.Join(words, " ")))
				}
				cues = append(cues, line(client, "Yeah."), line(coach, "So that was it."))
				equal(t, "coach's turns", conversation.Measure(talk(cues...)).Coach.TurnCount, tt.coach)
			}
		})
	}
}

// An import may hold hours of speech without a mark in it, with thousands of back-channels, as one turn. Four times the
// speech must not cost sixteen times as much. It is not parallel: what others allocate would count.
func TestLongTurnsTakeLinearSpace(t *testing.T) {
	allocated := func(utterances int) float64 {
		var said []conversation.Utterance
		for i := range utterances {
			said = append(said, line(i%2, []string{"I said so", "yeah"}[i%2]))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m := conversation.Measure(talk(said...))
		runtime.ReadMemStats(&after)
		equal(t, "coach.turnCount", m.Coach.TurnCount, 1)
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	if once, fourfold := allocated(2_000), allocated(8_000); fourfold > 6*once {
		t.Errorf("2,000 utterances take %.0f bytes and 8,000 take %.0f", once, fourfold)
	}
}

func TestARunHasTheTimesOfItsParts(t *testing.T) {
	t.Parallel()
	utterances := []conversation.Utterance{unended(client, 0, "So"), said(client, 1_000, 31_000, "I told him"), unended(client, 32_000, "that I would go")}
	for at := int64(60_000); at < 460_000; at += 10_000 { // 40 more of 1 s: nearly all have an end
		utterances = append(utterances, said(coach, at, at+1_000, "Go on, please."))
	}
	m := conversation.Measure(talk(utterances...))
	equal(t, "client.turnCount", m.Client.TurnCount, 1)
	is(t, "client.longestMonologueMs", m.Client.LongestMonologueMs, 30_000)
	near(t, "client.meanTurnWords", m.Client.MeanTurnWords, 8)
}

func TestLengthOfTheSession(t *testing.T) {
	t.Parallel()
	for session, want := range map[int64]int64{-1: 45_000, 0: 45_000, 1: 50_000, 60_000: 60_000} { // speech is from 5 to 50 s
		talk := talk(example()[1:]...)
		talk.SessionMs = &session
		is(t, "durationMs", conversation.Measure(talk).DurationMs, want)
	}
}

func TestBackchannelDoesNotEndPatience(t *testing.T) {
	t.Parallel()
	m := conversation.Measure(talk(
		said(client, 0, 10_000, "I do not know what I want."),
		said(coach, 10_200, 10_600, "Mm-hmm."),
		said(coach, 16_000, 18_000, "What do you hope for?"),
	))
	quantiles(t, "patienceMs", m.PatienceMs, 1, 6_000, 6_000)
}

func TestOverlaps(t *testing.T) {
	t.Parallel()
	m := conversation.Measure(talk(
		said(client, 0, 10_000, "I was going to say something about the plan"),
		said(coach, 8_000, 12_000, "Let me stop you there for a moment"),
		said(client, 14_000, 16_000, "Go on then"),
	))
	// Speech covers 0–12 and 14–16 of 16 s; who says it adds up to 10 + 4 + 2 = 16 s of talk.
	near(t, "silenceShare", m.SilenceShare, 2.0/16)
	near(t, "coach.talkShareOfSpeech", m.Coach.TalkShareOfSpeech, 4.0/16)
	near(t, "client.talkShareOfSession", m.Client.TalkShareOfSession, 12.0/16)
	quantiles(t, "patienceMs", m.PatienceMs, 1, 0, 0) // the coach did not wait at all
	equal(t, "overlapsAvailable", m.Quality.OverlapsAvailable, true)
}

func TestOverlapsFromThreeHundredMilliseconds(t *testing.T) {
	t.Parallel()
	for start, want := range map[int64]bool{9_700: true, 9_701: false} {
		m := conversation.Measure(talk(said(client, 0, 10_000, "I was going to"), said(client, 4_000, 5_000, "say something"), said(coach, start, 12_000, "Go on then")))
		equal(t, "overlapsAvailable", m.Quality.OverlapsAvailable, want)
	}
	// Of two that speak at once the one that ends last is the one to overlap.
	m := conversation.Measure(talk(said(client, 0, 10_000, "I was going to"), said(coach, 9_900, 10_050, "Well"), said(coach, 20_000, 21_000, "Go on")))
	equal(t, "overlapsAvailable", m.Quality.OverlapsAvailable, false)
}

func TestNobodyTalksTwiceAtOnce(t *testing.T) {
	t.Parallel()
	m := conversation.Measure(talk(
		said(client, 0, 10_000, "The first cue runs on for long"), said(client, 8_000, 12_000, "and the second begins within it"),
	))
	is(t, "client.talkMs", m.Client.TalkMs, 12_000)
}

func TestWhatTheTranscriptDoesNotSayIsNil(t *testing.T) {
	t.Parallel()
	t.Run("nothing said", func(t *testing.T) {
		t.Parallel()
		m := conversation.Measure(talk(line(coach, " … ")))
		equal(t, "utteranceCount", m.Quality.UtteranceCount, 0)
		none(t, "shareWithEndTimes", m.Quality.ShareWithEndTimes)
		none(t, "talkShareOfSpeech", m.Coach.TalkShareOfSpeech)
		none(t, "questionRate", m.Coach.QuestionRate)
		none(t, "meanTurnWords", m.Coach.MeanTurnWords)
		none(t, "reflectionCount", m.Coach.ReflectionCount)
		session := int64(60_000)
		quiet := talk(line(coach, " … "))
		quiet.SessionMs = &session
		none(t, "interactivityPerMin", conversation.Measure(quiet).InteractivityPerMin)
		near(t, "interactivityPerMin of a monologue", conversation.Measure(talk(said(coach, 0, 60_000, "So I said"))).InteractivityPerMin, 0)
	})
	t.Run("no role known", func(t *testing.T) {
		t.Parallel()
		m := conversation.Measure(conversation.Talk{Speakers: []conversation.Speaker{{Role: conversation.RoleUnknown}, {}}, Utterances: example()})
		none(t, "coach", m.Coach)
		none(t, "client", m.Client)
		none(t, "patienceMs", m.PatienceMs)
		near(t, "shareWithKnownRole", m.Quality.ShareWithKnownRole, 0)
		near(t, "talkShareOfSpeech", m.Speakers[1].TalkShareOfSpeech, 30.0/39)
	})
	t.Run("end times filled in from the next start", func(t *testing.T) {
		t.Parallel()
		m := conversation.Measure(talk(
			said(coach, 0, 5_000, "How are you?"), said(client, 5_000, 9_000, "Not bad."), said(coach, 9_000, 12_000, "Not bad?"),
		))
		equal(t, "pausesAvailable", m.Quality.PausesAvailable, false)
		none(t, "silenceShare", m.SilenceShare)
		none(t, "patienceMs", m.PatienceMs)
		none(t, "responseLatencyMs", m.ResponseLatencyMs)
	})
	t.Run("speech of nobody known", func(t *testing.T) {
		t.Parallel()
		m := conversation.Measure(talk(
			said(coach, 0, 5_000, "How are you?"), said(-1, 6_000, 11_000, "Who is there?"), said(7, 12_000, 22_000, "Me."),
		))
		near(t, "coach.talkShareOfSpeech", m.Coach.TalkShareOfSpeech, 5.0/20)
		near(t, "shareWithKnownRole", m.Quality.ShareWithKnownRole, 1.0/3)
		equal(t, "client.turnCount", m.Client.TurnCount, 0)
	})
	t.Run("an end before its start", func(t *testing.T) {
		t.Parallel()
		m := conversation.Measure(talk(said(coach, 5_000, 1_000, "Hello there")))
		near(t, "shareWithEndTimes", m.Quality.ShareWithEndTimes, 0)
		equal(t, "basis", m.Basis, conversation.BasisWords)
	})
}

func TestSeveralClientsAreTakenTogether(t *testing.T) {
	t.Parallel()
	m := conversation.Measure(conversation.Talk{
		Speakers: []conversation.Speaker{
			{Role: conversation.RoleCoach}, {Role: conversation.RoleClient}, {Role: conversation.RoleClient}, {Role: conversation.RoleClient},
		},
		Utterances: []conversation.Utterance{
			said(0, 0, 2_000, "Who starts?"), said(1, 3_000, 9_000, "I will go first"), said(2, 10_000, 12_000, "Then me"),
		},
	})
	equal(t, "speakerCount", m.Client.SpeakerCount, 3)
	is(t, "client.talkMs", m.Client.TalkMs, 8_000)
	is(t, "client.longestMonologueMs", m.Client.LongestMonologueMs, 6_000)
	near(t, "client.meanTurnWords", m.Client.MeanTurnWords, 3)    // (4 + 2) ÷ 2
	near(t, "client.wordsPerMinute", m.Client.WordsPerMinute, 45) // 6 words in 8 s
	is(t, "a silent client's talkMs", m.Speakers[3].TalkMs, 0)
	none(t, "a silent client's longestMonologueMs", m.Speakers[3].LongestMonologueMs)
}

func TestQuantilesAreNearestRank(t *testing.T) {
	t.Parallel()
	// Ten answers after 1, 2 … 10 s: the median is the 5th, the 90th percentile the 9th.
	var utterances []conversation.Utterance
	at := int64(0)
	for i := int64(1); i <= 10; i++ {
		utterances = append(utterances,
			said(coach, at, at+1_000, "What else?"), said(client, at+1_000+i*1_000, at+2_000+i*1_000, "There is one more thing"))
		at += 60_000
	}
	m := conversation.Measure(talk(utterances...))
	quantiles(t, "responseLatencyMs", m.ResponseLatencyMs, 10, 5_000, 9_000)
}

// What version 1 stored can still be read: it keeps its values, and what it did not know is nil, empty or false.
func TestMetricsOfVersionOne(t *testing.T) {
	t.Parallel()
	var m conversation.Metrics
	err := json.Unmarshal([]byte(`{"definitionVersion": 1, "basis": "TIME", "durationMs": 60000, "silenceShare": 0.35, "interactivityPerMin": 3,
		"patienceMs": {"count": 1, "median": 4000, "p90": 4000}, "responseLatencyMs": null,
		"speakers": [{"speaker": 0, "role": "COACH", "talkMs": 9000, "talkShareOfSpeech": 0.23, "talkShareOfSession": 0.15, "turnCount": 2, "wordCount": 15,
			"meanTurnWords": 7, "wordsPerMinute": 100, "longestMonologueMs": 4000, "questionCount": 2, "questionRate": 1}],
		"coach": {"speakerCount": 1, "talkMs": 9000, "talkShareOfSpeech": 0.23, "talkShareOfSession": 0.15, "turnCount": 2, "wordCount": 15,
			"meanTurnWords": 7, "wordsPerMinute": 100, "longestMonologueMs": 4000, "questionCount": 2, "questionRate": 1},
		"client": null,
		"quality": {"utteranceCount": 7, "shareWithEndTimes": 1, "shareWithKnownRole": 1, "overlapsAvailable": false, "pausesAvailable": true}}`), &m)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "definitionVersion", m.DefinitionVersion, 1)
	quantiles(t, "patienceMs", m.PatienceMs, 1, 4_000, 4_000)
	near(t, "silenceShare", m.SilenceShare, 0.35)
	is(t, "coach.talkMs", m.Coach.TalkMs, 9_000)
	is(t, "ana.questionCount", m.Speakers[0].QuestionCount, 2)
	equal(t, "coach.turnCount", m.Coach.TurnCount, 2)

	none(t, "thinkingPauses", m.ThinkingPauses)
	none(t, "languageStyleMatch", m.LanguageStyleMatch)
	none(t, "coach.advice", m.Coach.Advice)
	none(t, "coach.stackedQuestions", m.Coach.StackedQuestions)
	none(t, "coach.reflectionCount", m.Coach.ReflectionCount)
	none(t, "coach.interruptions", m.Coach.Interruptions)
	none(t, "reflectionEvidence", m.ReflectionEvidence)
	equal(t, "buckets", len(m.Timeline), 0)
	equal(t, "wordingAvailable", m.Quality.WordingAvailable, false)
}

func TestMetricsSurviveStorage(t *testing.T) {
	t.Parallel()
	m := conversation.Measure(talk(example()...))
	stored, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back conversation.Metrics
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "stored metrics", string(again), string(stored))
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func is[T comparable](t *testing.T, what string, got *T, want T) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: got nil, want %v", what, want)
	} else if *got != want {
		t.Errorf("%s: got %v, want %v", what, *got, want)
	}
}

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: got nil, want %v", what, want)
	} else if math.Abs(*got-want) > 1e-9 {
		t.Errorf("%s: got %v, want %v", what, *got, want)
	}
}

func none[T any](t *testing.T, what string, got *T) {
	t.Helper()
	if got != nil {
		t.Errorf("%s: got %v, want nil", what, *got)
	}
}

func quantiles(t *testing.T, what string, got *conversation.Quantiles, count int, median, p90 int64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: got nil", what)
	} else if want := (conversation.Quantiles{Count: count, Median: median, P90: p90}); *got != want {
		t.Errorf("%s: got %+v, want %+v", what, *got, want)
	}
}
