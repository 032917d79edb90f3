package meter_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
)

var roles = []conversation.Role{conversation.RoleCoach, conversation.RoleClient, conversation.RoleClient, conversation.RoleOther}

var lines = []string{
	"Mm-hmm.", "Yeah, right.", "What would you like instead?", "I have been thinking about that since we last spoke", "", "—",
	"Well. I don't know.", "so do you think it would help", "Okay?", "It's the third time this month, and I am tired of it.",
	"May I suggest something? You should rest.", "You should really rest.", "Why don't you try? Have you tried it?",
}

type piece struct {
	meter.Utterance
	text string
}

func said(key int, speaker int, text string, from, to int64) piece {
	return piece{meter.Utterance{Key: fmt.Sprint(key), Order: int64(key), Speaker: speaker, StartMs: from, EndMs: to, Line: conversation.ReadLine(text)}, text}
}

// random is a conversation, in the order in which it was said, with overlaps, pauses and nobody's words.
func random(r *rand.Rand, n int) []piece {
	out, at := make([]piece, n), int64(r.IntN(5_000))
	for i := range out {
		text := lines[r.IntN(len(lines))]
		from := max(0, at-800+r.Int64N(5_000))
		at = from + int64(conversation.CountWords(text))*350 + r.Int64N(400)
		out[i] = said(i, r.IntN(len(roles)+1)-1, text, from, at)
	}
	return out
}

// batch measures the whole conversation at once.
func batch(pieces []piece) meter.Measures {
	talk := conversation.Talk{Speakers: make([]conversation.Speaker, len(roles)), Language: "en"}
	for i, role := range roles {
		talk.Speakers[i].Role = role
	}
	for _, p := range pieces {
		talk.Utterances = append(talk.Utterances, conversation.Utterance{Speaker: p.Speaker, StartMs: &p.StartMs, EndMs: &p.EndMs, Text: p.text})
	}
	m := conversation.Measure(talk)
	voice := func(v *conversation.RoleMetrics) *meter.Voice {
		out := &meter.Voice{WordCount: v.WordCount, TalkShareOfSpeech: v.TalkShareOfSpeech, WordsPerMinute: v.WordsPerMinute}
		if v.TalkMs != nil {
			out.TalkMs = *v.TalkMs
		}
		return out
	}
	out := meter.Measures{Coach: voice(m.Coach), Client: voice(m.Client)}
	if m.DurationMs != nil {
		out.ElapsedMs = *m.DurationMs
	}
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Fatalf("%s:\n%s\nwant\n%s", what, g, w)
	}
}

// What is measured while it goes on is what is measured at its end: in whatever order the utterances come, however often, and whatever they were
// before.
func TestMeasuresAreThoseOfTheEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		pieces := random(r, 1+r.IntN(300))
		m := meter.New(meter.Rules{})
		m.Cast(roles[:1+r.IntN(len(roles))])
		for _, i := range nearly(r, len(pieces)) {
			p := pieces[i]
			if r.IntN(3) == 0 { // first something else
				m.Put(said(i, r.IntN(len(roles)), lines[r.IntN(len(lines))], max(0, p.StartMs-r.Int64N(3_000)), p.StartMs+r.Int64N(9_000)).Utterance)
			}
			for range 1 + r.IntN(2) {
				m.Put(p.Utterance)
			}
		}
		m.Cast(roles)
		got := m.Measures()
		in := meter.New(meter.Rules{}) // and in order
		in.Cast(roles)
		for _, p := range pieces {
			in.Put(p.Utterance)
		}
		same(t, fmt.Sprintf("seed %d, in another order", seed), got, in.Measures())
		got.SinceClientMs, got.QuestionRun = nil, 0
		same(t, fmt.Sprintf("seed %d, of the end", seed), got, batch(pieces))
	}
}

// nearly is an order of n in which most come in turn.
func nearly(r *rand.Rand, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for range n / 4 {
		i, j := r.IntN(n), r.IntN(n)
		if r.IntN(4) > 0 {
			j = min(n-1, i+r.IntN(4))
		}
		order[i], order[j] = order[j], order[i]
	}
	return order
}

func TestSinceTheClientSpoke(t *testing.T) {
	t.Parallel()
	m := meter.New(meter.Rules{})
	m.Cast(roles)
	if got := m.Measures(); got.SinceClientMs != nil || got.ElapsedMs != 0 {
		t.Errorf("before a word: %+v", got)
	}
	m.Put(said(1, 0, "What brings you here?", 0, 2_000).Utterance)
	if got := m.Measures(); got.SinceClientMs != nil {
		t.Errorf("the client has not spoken: %d", *got.SinceClientMs)
	}
	m.Put(said(2, 1, "Work.", 3_000, 4_000).Utterance)
	m.Put(said(3, 0, "Tell me more about it.", 5_000, 64_000).Utterance)
	if got := m.Measures(); *got.SinceClientMs != 60_000 || got.ElapsedMs != 64_000 {
		t.Errorf("%d after %d", *got.SinceClientMs, got.ElapsedMs)
	}
}

func TestQuestionRun(t *testing.T) {
	t.Parallel()
	m := meter.New(meter.Rules{})
	m.Cast(roles)
	for i, step := range []struct {
		speaker int
		text    string
		run     int
	}{
		{0, "How are you?", 1}, {1, "Mm-hmm.", 1}, {0, "What do you want? And why?", 2}, {1, "To rest for once.", 2}, {0, "That is a lot.", 0}, {1, "I mean it.", 0}, {0, "What stops you?", 1},
		{0, "It seems a lot.", 1}, {1, "It is.", 1}, {0, "That is hard to carry.", 0},
	} {
		m.Put(said(i, step.speaker, step.text, int64(i)*3_000, int64(i)*3_000+2_000).Utterance)
		if got := m.Measures().QuestionRun; got != step.run {
			t.Errorf("after %q (%d) the run is %d, want %d", step.text, i, got, step.run)
		}
	}
}

// What is noticed, by the rules, of the latest utterance; what comes late is noticed no more.
func TestNotices(t *testing.T) {
	t.Parallel()
	rules := meter.Rules{MonologueMs: 60_000, Questions: 2, Advice: 2, SilenceMs: 3_000, AgendaMs: 300_000, Topics: 0b110}
	for name, c := range map[string]struct {
		said []piece
		want string
	}{
		"a long turn, once": {[]piece{said(1, 0, "I told you about it then.", 0, 50_000), said(2, 1, "Mm-hmm.", 50_000, 50_500), said(3, 0, "And on it went.", 50_500, 61_000), said(4, 0, "And on.", 61_000, 70_000)},
			"3: LONG_MONOLOGUE [1 3] 61000 ≥ 60000"},
		"a long turn of the client":            {[]piece{said(1, 1, "I told you about it then.", 0, 61_000)}, ""},
		"two questions at once":                {[]piece{said(1, 0, "How are you? What do you want?", 0, 3_000), said(2, 0, "And why is that?", 3_000, 5_000)}, "1: STACKED_QUESTIONS [1] 2 ≥ 2"},
		"two questions with an answer between": {[]piece{said(1, 0, "How are you?", 0, 3_000), said(2, 1, "Well.", 3_000, 3_500), said(3, 0, "What do you want?", 3_600, 5_000)}, ""},
		"the second advice": {[]piece{said(1, 0, "You should rest.", 0, 2_000), said(2, 1, "I know that one.", 2_100, 3_000), said(3, 0, "You should really sleep more.", 3_100, 4_000)},
			"3: ADVICE_WITHOUT_PERMISSION [3] 2 ≥ 2"},
		"advice with permission":          {[]piece{said(1, 0, "You should rest.", 0, 2_000), said(2, 1, "What would you do?", 2_100, 3_000), said(3, 0, "You should really sleep more.", 3_100, 4_000)}, ""},
		"a silence that the coach breaks": {[]piece{said(1, 0, "What do you want?", 0, 2_000), said(2, 0, "Take the job, for instance.", 5_500, 7_000)}, "2: SILENCE_BROKEN [1 2] 3500 ≥ 3000"},
		"a silence that the client ends":  {[]piece{said(1, 0, "What do you want?", 0, 2_000), said(2, 1, "To rest.", 9_500, 11_000)}, ""},
		"a commitment":                    {[]piece{{meter.Utterance{Key: "1", Speaker: 1, StartMs: 0, EndMs: 1_000, Line: conversation.ReadLine("I will call."), Commits: true}, ""}}, "1: COMMITMENT_HEARD [1] 1 ≥ 1"},
		"a coach's commitment":            {[]piece{{meter.Utterance{Key: "1", Speaker: 0, StartMs: 0, EndMs: 1_000, Line: conversation.ReadLine("I will call."), Commits: true}, ""}}, ""},
		"a topic that nobody has touched": {[]piece{{meter.Utterance{Key: "1", Speaker: 1, StartMs: 0, EndMs: 1_000, Line: conversation.ReadLine("My job."), Topics: 0b010}, ""}, said(2, 1, "So.", 300_000, 301_000), said(3, 1, "Yes, so.", 302_000, 303_000)},
			"2: AGENDA_ITEM_OPEN [2] 301000 ≥ 300000 topics 100"},
	} {
		m := meter.New(rules)
		m.Cast(roles)
		got := ""
		for _, p := range c.said {
			for _, n := range m.Put(p.Utterance) {
				got += fmt.Sprintf("%s: %s %v %v ≥ %v", p.Key, n.Kind, n.Keys, n.Value, n.Limit)
				if n.Topics != 0 {
					got += fmt.Sprintf(" topics %b", n.Topics)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		late := meter.New(rules)
		late.Cast(roles)
		late.Put(said(99, 1, "The end.", 600_000, 601_000).Utterance)
		for _, p := range c.said {
			if n := late.Put(p.Utterance); n != nil {
				t.Errorf("%s, late: %v", name, n)
			}
		}
	}
}

func hour(n int) []piece {
	r := rand.New(rand.NewPCG(1, 2))
	talk := random(r, n)
	return slices.DeleteFunc(talk, func(p piece) bool { return p.Line.Words == 0 })
}

// BenchmarkPut is what an utterance at the end costs, at the beginning of a long conversation and at its end.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{0, 1_200, 12_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := meter.New(meter.Rules{MonologueMs: 120_000, Questions: 3, Advice: 2, SilenceMs: 3_000})
			m.Cast(roles)
			var end int64
			for _, p := range hour(n) {
				m.Put(p.Utterance)
				end = max(end, p.EndMs)
			}
			u := said(1<<30, 0, "It's the third time this month, and I am tired of it. What would you like instead?", 0, 0).Utterance
			for b.Loop() {
				u.Order++
				u.StartMs, u.EndMs = end, end+3_000
				end += 3_000
				u.Key = fmt.Sprint(u.Order)
				m.Put(u)
				m.Measures()
			}
		})
	}
}
