package conversation

// tally holds the additive counts that a speaker's or a role's metrics are made of.
type tally struct {
	words         int
	timedWords    int // words of utterances that have times
	turnWords     int // words within turns: all but those of bridged back-channels
	turns         int
	questions     int
	questionTurns int
	talkMs        int64
	longestMs     int64
	hasLongest    bool
}

// tallyOf counts per speaker; the last tally is nobody's.
func tallyOf(speakers int, spoken []speech, turns []turn) []tally {
	tallies := make([]tally, speakers+1)
	of := func(speaker int) *tally {
		if speaker == nobody {
			return &tallies[speakers]
		}
		return &tallies[speaker]
	}
	heard := make([]int64, speakers+1) // per speaker, up to where talk time is counted already
	for _, u := range spoken {
		t := of(u.speaker)
		t.words += u.words
		if !u.timed {
			continue
		}
		t.timedWords += u.words
		h := &heard[speakers]
		if u.speaker != nobody {
			h = &heard[u.speaker]
		}
		if u.end > *h {
			t.talkMs += u.end - max(u.start, *h)
			*h = u.end
		}
	}
	for i := range turns {
		t := of(turns[i].speaker)
		t.turns++
		t.turnWords += turns[i].words
		if n := turns[i].questions; n > 0 {
			t.questions += n
			t.questionTurns++
		}
		if turns[i].timed {
			t.longestMs = max(t.longestMs, turns[i].end-turns[i].start)
			t.hasLongest = true
		}
	}
	return tallies
}

func (t *tally) add(o tally) {
	t.words += o.words
	t.timedWords += o.timedWords
	t.turnWords += o.turnWords
	t.turns += o.turns
	t.questions += o.questions
	t.questionTurns += o.questionTurns
	t.talkMs += o.talkMs
	t.longestMs = max(t.longestMs, o.longestMs)
	t.hasLongest = t.hasLongest || o.hasLongest
}

// metrics turns counts into metrics, relative to everybody's counts.
func (t tally) metrics(all tally, basis Basis, duration *int64) RoleMetrics {
	r := RoleMetrics{TurnCount: t.turns, WordCount: t.words, QuestionCount: t.questions}
	if t.turns > 0 {
		r.MeanTurnWords = ratio(t.turnWords, t.turns)
		r.QuestionRate = ratio(t.questionTurns, t.turns)
	}
	if basis == BasisWords {
		if all.words > 0 {
			r.TalkShareOfSpeech = ratio(t.words, all.words)
		}
		return r
	}
	r.TalkMs = &t.talkMs
	if all.talkMs > 0 {
		share := float64(t.talkMs) / float64(all.talkMs)
		r.TalkShareOfSpeech = &share
	}
	if duration != nil {
		share := float64(t.talkMs) / float64(*duration)
		r.TalkShareOfSession = &share
	}
	if t.talkMs > 0 {
		wpm := float64(t.timedWords) / (float64(t.talkMs) / msPerMinute)
		r.WordsPerMinute = &wpm
	}
	if t.hasLongest {
		r.LongestMonologueMs = &t.longestMs
	}
	return r
}
