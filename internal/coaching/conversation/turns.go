package conversation

import (
	"cmp"
	"slices"
	"strings"
)

// maxTurnGapMs is the longest silence within a turn. After a longer one the speaker starts a new turn, even if nobody
// else took the floor.
const maxTurnGapMs = 2000

// nobody is the speaker of an utterance that no known speaker said.
const nobody = -1

// speech is an utterance made ready for measuring: it has words, and its times make sense or are absent.
type speech struct {
	speaker    int
	timed      bool
	start, end int64
	words      int
	text       string
}

// spokenOf leaves out what has no words and puts the rest in order of time. Utterances without times stay behind the
// one they followed.
func spokenOf(speakers int, utterances []Utterance) []speech {
	spoken := make([]speech, 0, len(utterances))
	var last int64
	sorted := true
	for _, u := range utterances {
		words := CountWords(u.Text)
		if words == 0 {
			continue
		}
		s := speech{speaker: u.Speaker, words: words, text: u.Text, start: last, end: last}
		if u.Speaker < 0 || u.Speaker >= speakers {
			s.speaker = nobody
		}
		if u.StartMs != nil {
			s.start, s.end = *u.StartMs, *u.StartMs
			if u.EndMs != nil && *u.EndMs >= *u.StartMs && *u.StartMs >= 0 {
				s.end, s.timed = *u.EndMs, true
			}
		}
		sorted = sorted && s.start >= last
		last = s.start
		spoken = append(spoken, s)
	}
	if !sorted {
		slices.SortStableFunc(spoken, func(a, b speech) int { return cmp.Compare(a.start, b.start) })
	}
	return spoken
}

// turn is a stretch in which one speaker holds the floor.
type turn struct {
	speaker     int
	timed       bool
	start, end  int64
	words       int
	questions   int
	text        []string
	backchannel bool
}

// runsOf joins what one speaker says in a row with gaps of at most maxTurnGapMs. Utterances that touch are joined even
// across another's words, so that where a transcriber cut a long speech changes nothing.
func runsOf(spoken []speech) []turn {
	runs := make([]turn, 0, len(spoken))
	latest := map[int]int{} // speaker → index of the speaker's latest run
	for _, u := range spoken {
		if i, ok := latest[u.speaker]; ok {
			r := &runs[i]
			inARow := i == len(runs)-1
			switch {
			case !r.timed || !u.timed:
				if inARow {
					r.extend(u)
					continue
				}
			case u.start <= r.end || inARow && u.start-r.end <= maxTurnGapMs:
				r.extend(u)
				continue
			}
		}
		latest[u.speaker] = len(runs)
		runs = append(runs, turn{
			speaker: u.speaker, timed: u.timed, start: u.start, end: u.end, words: u.words, text: []string{u.text},
		})
	}
	return runs
}

func (t *turn) extend(u speech) {
	if u.timed && !t.timed {
		t.timed, t.start, t.end = true, u.start, u.end
	} else if u.timed {
		t.end = max(t.end, u.end)
	}
	t.words += u.words
	t.text = append(t.text, u.text)
}

// turnsOf bridges the back-channels between runs: a turn goes on if its speaker resumes within maxTurnGapMs of them, or
// never stopped. A back-channel after which nobody resumes stays a turn of its own, marked as one. What answers a
// question is no back-channel, however short.
func turnsOf(runs []turn) []turn {
	turns := make([]turn, 0, len(runs))
	var pending []turn
	flush := func() {
		if len(pending) == 0 {
			return
		}
		over := turns[len(turns)-1] // the floor they were spoken on
		for _, p := range pending {
			if !p.timed || !over.timed || p.end > over.end {
				turns = append(turns, p)
			}
		}
		pending = pending[:0]
	}
	for _, r := range runs {
		if len(turns) > 0 {
			cur := &turns[len(turns)-1]
			if r.speaker == cur.speaker {
				if heard := max(cur.end, endOf(pending)); !r.timed || !cur.timed || r.start-heard <= maxTurnGapMs {
					cur.resume(r)
					pending = pending[:0]
					continue
				}
			} else if isBackchannel(r) && !cur.asks() {
				r.backchannel = true
				pending = append(pending, r)
				continue
			}
		}
		flush()
		turns = append(turns, r)
	}
	flush()
	for i := range turns {
		turns[i].questions = CountQuestions(strings.Join(turns[i].text, " "))
	}
	return turns
}

func (t *turn) resume(r turn) {
	t.end = max(t.end, r.end)
	t.words += r.words
	t.text = append(t.text, r.text...)
	t.backchannel = false
}

func (t *turn) asks() bool { return EndsInQuestion(strings.Join(t.text, " ")) }

func endOf(turns []turn) int64 {
	var end int64
	for _, t := range turns {
		end = max(end, t.end)
	}
	return end
}
