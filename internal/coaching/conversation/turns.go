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

// none is the index of no turn.
const none = -1

// speech is an utterance made ready for measuring: it has words, and its times make sense or are absent.
type speech struct {
	index      int // of the utterance
	speaker    int
	timed      bool
	start, end int64
	own        int64 // from here to the end the speaker was not speaking yet: no one talks twice at once
	new        int64 // from here to the end nobody was
	words      int
	text       string
}

// spokenOf leaves out what has no words and puts the rest in order of time. Utterances without times stay behind the
// one they followed.
func spokenOf(speakers int, utterances []Utterance) []speech {
	spoken := make([]speech, 0, len(utterances))
	var last int64
	sorted := true
	for i, u := range utterances {
		words := CountWords(u.Text)
		if words == 0 {
			continue
		}
		s := speech{index: i, speaker: u.Speaker, words: words, text: u.Text, start: last, end: last}
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
	untilOf, until := make([]int64, speakers+1), int64(0) // up to where each, and anybody, has spoken
	for i := range spoken {
		if u := &spoken[i]; u.timed {
			mine := &untilOf[u.speaker+1]
			u.own, u.new = max(u.start, min(u.end, *mine)), max(u.start, min(u.end, until))
			*mine, until = max(*mine, u.end), max(until, u.end)
		}
	}
	return spoken
}

// turn is a stretch in which one speaker holds the floor.
type turn struct {
	speaker     int
	timed       bool
	start, end  int64
	words       int
	text        []string
	parts       []int // the speech it consists of, by index
	backchannel bool
	before      int // the index of the turn before, none if it is the first; no back-channel is one
	wording
}

// runsOf joins what one speaker says in a row with gaps of at most maxTurnGapMs. Utterances that touch are joined even
// across another's words, so that where a transcriber cut a long speech changes nothing.
func runsOf(spoken []speech) []turn {
	runs := make([]turn, 0, len(spoken))
	latest := map[int]int{} // speaker → index of the speaker's latest run
	for at, u := range spoken {
		if i, ok := latest[u.speaker]; ok {
			r := &runs[i]
			inARow := i == len(runs)-1
			switch {
			case !r.timed || !u.timed:
				if inARow {
					r.extend(at, u)
					continue
				}
			case u.start <= r.end || inARow && u.start-r.end <= maxTurnGapMs:
				r.extend(at, u)
				continue
			}
		}
		latest[u.speaker] = len(runs)
		runs = append(runs, turn{
			speaker: u.speaker, timed: u.timed, start: u.start, end: u.end, words: u.words, text: []string{u.text}, parts: []int{at},
		})
	}
	return runs
}

func (t *turn) extend(at int, u speech) {
	if u.timed && !t.timed {
		t.timed, t.start, t.end = true, u.start, u.end
	} else if u.timed {
		t.end = max(t.end, u.end)
	}
	t.words += u.words
	t.text = append(t.text, u.text)
	t.parts = append(t.parts, at)
}

// turnsOf bridges the back-channels between runs, which it marks, and reads the turns: a turn goes on if its speaker resumes
// within maxTurnGapMs of them, or never stopped. A back-channel after which nobody resumes stays a turn of its own, marked
// as one. What answers a question is no back-channel, however short.
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
	for i := range runs {
		r := &runs[i]
		if len(turns) > 0 {
			cur := &turns[len(turns)-1]
			if r.speaker == cur.speaker {
				if heard := max(cur.end, endOf(pending)); !r.timed || !cur.timed || r.start-heard <= maxTurnGapMs {
					cur.resume(r)
					pending = pending[:0]
					continue
				}
			} else if r.signals() && !cur.endsInQuestion() {
				r.backchannel = true
				pending = append(pending, *r)
				continue
			}
		}
		flush()
		turns = append(turns, *r)
	}
	flush()
	read(turns)
	return turns
}

func (t *turn) resume(r *turn) {
	t.end = max(t.end, r.end)
	t.words += r.words
	t.text = append(t.text, r.text...)
	t.parts = append(t.parts, r.parts...)
}

// signals tells whether a run only says "I am listening": at most three words, all of them ones that hearers use so.
func (t *turn) signals() bool {
	if t.words > 3 {
		return false
	}
	for _, text := range t.text {
		if strings.ContainsRune(text, '?') {
			return false
		}
		for w := range Words(text) {
			if !english.words[strings.ToLower(w)].is(hearerSignal) {
				return false
			}
		}
	}
	return true
}

// maxAskingWords is how long a sentence may be to ask by its form. What is longer is speech that nobody has punctuated, and
// only a mark shows that it asks.
const maxAskingWords = 200

// endsInQuestion looks at no more of the turn's end than holds its last sentence: the turn may go on for an hour.
func (t *turn) endsInQuestion() bool {
	for n := 1; ; n *= 2 {
		from := max(0, len(t.text)-n)
		last, words, sentences := "", 0, 0
		for s := range Sentences(strings.Join(t.text[from:], " ")) {
			if n := CountWords(s); n > 0 {
				last, words = s, n
				sentences++
			}
		}
		switch {
		case words > maxAskingWords:
			return isMarked(last)
		case from == 0 || sentences > 1:
			return IsQuestion(last)
		}
	}
}

func endOf(turns []turn) int64 {
	var end int64
	for _, t := range turns {
		end = max(end, t.end)
	}
	return end
}

// minOverlapMs: below, two voices touch rather than overlap.
const minOverlapMs = 300

// overlap tells whether two voices ever do. Runs of one speaker do not: those that touch are one.
func overlap(runs []turn) bool {
	last := none // the run that ends last so far
	for i := range runs {
		r := &runs[i]
		if !r.timed {
			continue
		}
		if last != none && r.speaker != runs[last].speaker && min(runs[last].end, r.end)-r.start >= minOverlapMs {
			return true
		}
		if last == none || r.end > runs[last].end {
			last = i
		}
	}
	return false
}

const (
	minInterruptedWords = 5    // below, there was hardly anything to interrupt
	minInterruptingMs   = 1000 // below, the floor was not taken
)

// interruptionsOf finds for each run the one that it interrupts, none for most. The runs are in order of their starts.
func interruptionsOf(runs []turn) []int {
	interrupted := make([]int, len(runs))
	last := none // of the runs so far that can be interrupted, the one that ends last
	for i := range runs {
		b := &runs[i]
		interrupted[i] = none
		if !b.timed {
			continue
		}
		if last != none && runs[last].speaker != b.speaker && b.end-b.start >= minInterruptingMs && !b.signals() {
			a, mine := &runs[last], interrupted[last]
			takesBack := mine != none && runs[mine].speaker == b.speaker && b.start-runs[mine].end <= maxTurnGapMs
			if a.start < b.start && a.end-b.start >= minOverlapMs && !takesBack {
				interrupted[i] = last
			}
		}
		if b.words >= minInterruptedWords && (last == none || b.end > runs[last].end) {
			last = i
		}
	}
	return interrupted
}
