package seed

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Words makes up what people say in coaching: the same for the same number.
type Words struct {
	r      *rand.Rand
	spoken *rand.Zipf // of words without meaning (NewTalk)
}

// NewWords returns the words of a number.
func NewWords(number uint64) *Words { return &Words{r: rand.New(rand.NewPCG(number, 7))} }

var (
	givenNames  = []string{"Anouk", "Bashir", "Carmen", "Dagny", "Emeka", "Farah", "Goran", "Hanae", "Ines", "Jorge", "Kirsi", "Lionel"}
	familyNames = []string{"Abendroth", "Botha", "Castell", "Duarte", "Eklund", "Fontaine", "Gruber", "Haidari", "Ito", "Jansson"}
	subjects    = []string{"the handover", "the Monday meeting", "the budget", "my team", "the new structure", "the board paper", "that customer",
		"the hiring plan", "my calendar", "the quarterly review", "the support queue", "the release"}
	people   = []string{"Marta", "Oskar", "the two leads", "my manager", "the finance people", "everybody in the room", "Linus"}
	verbs    = []string{"write to", "sit down with", "call", "ask", "walk through it with", "say no to"}
	times    = []string{"tomorrow", "on Friday", "next week", "before our next session", "by the end of the month", "first thing in the morning"}
	feelings = []string{"relieved", "exhausted", "proud", "worried", "frustrated", "calmer", "overwhelmed", "hopeful"}
	places   = []string{"in the kitchen", "on the train", "in that call", "between two meetings", "at my desk late in the evening"}

	asked = []string{
		"What would be different if %[1]s went the way you want?", "How did it feel %[2]s?", "What will you do about %[1]s?",
		"Tell me more about %[1]s.", "What stops you from asking %[3]s?", "By when?", "And what else?", "It sounds as if %[1]s costs you a lot.",
		"When you say that, what do you notice?", "What do you want to take with you from today?", "Mm.", "What is your next step with %[3]s?",
		"You kept going even though %[1]s was on your mind.",
	}
	answered = []string{
		"I will %[4]s %[3]s about %[1]s %[5]s.", "I felt %[6]s when I thought about %[1]s %[2]s.", "Honestly, %[1]s has been on my mind the whole week.",
		"I keep doing it myself, because it seems faster.", "There was a moment %[2]s when I noticed that nobody had asked me.",
		"So I said that we would look at %[1]s again, and then of course we did not.", "I do not think that %[3]s sees how much work there is in it.",
		"I am going to %[4]s %[3]s %[5]s.", "Yeah.", "It was better than last time, a little.", "I was %[6]s, and I did not say it.",
		"My plan is to leave %[1]s to %[3]s and to look at it %[5]s.", "We have twelve people now and every decision still comes to me.",
		"It is always the same, I start with the mail and then the day is over.", "I could imagine that %[3]s would even like to do it.",
	}
	titles = []string{"Letting go of %[1]s", "A talk with %[3]s", "What %[1]s costs", "Will %[4]s %[3]s %[5]s", "From \"always me\" to %[3]s", "Looking at %[1]s anew"}
)

func (w *Words) one(of []string) string { return of[w.r.IntN(len(of))] }

// sentence fills the places of a sentence with words of their kind.
func (w *Words) sentence(of []string) string {
	s := w.one(of)
	for i, with := range [][]string{subjects, places, people, verbs, times, feelings} {
		if mark := fmt.Sprintf("%%[%d]s", i+1); strings.Contains(s, mark) {
			s = strings.ReplaceAll(s, mark, w.one(with))
		}
	}
	return s
}

// Name is a person's.
func (w *Words) Name() string { return w.one(givenNames) + " " + w.one(familyNames) }

// Title is a session's or an insight's.
func (w *Words) Title() string { return w.sentence(titles) }

// Utterance is what the coach or the client says in one breath: one to three sentences.
func (w *Words) Utterance(coach bool) string {
	if w.spoken != nil {
		return w.talk(coach)
	}
	of := answered
	if coach {
		of = asked
	}
	s := w.sentence(of)
	for range w.r.IntN(3) {
		s += " " + w.sentence(of)
	}
	return s
}

// Zoom is a Zoom recording of that many minutes, with a cue every five seconds or so and a client who speaks most of
// the time.
func (w *Words) Zoom(minutes int) []byte {
	coach, other := w.Name(), w.Name()
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	at, n := 3000, 0
	for at < minutes*60_000 {
		client := w.r.IntN(100) < 62
		name := coach
		if client {
			name = other
		}
		for range 1 + w.r.IntN(2) {
			n++
			length := 2200 + w.r.IntN(4000)
			fmt.Fprintf(&b, "\n%d\n%s --> %s\n%s: %s\n", n, clock(at), clock(at+length), name, w.Utterance(!client))
			at += length + w.r.IntN(900)
		}
	}
	return []byte(b.String())
}

func clock(ms int) string {
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
