package conversation

// tally holds the additive counts that a speaker's or a role's metrics are made of.
type tally struct {
	words         int
	timedWords    int // words of utterances that have times
	turnWords     int // words within turns: all but those of bridged back-channels
	turns         int
	backchannels  int
	interruptions int
	talkMs        int64
	longestMs     int64
	hasLongest    bool

	function        int // of turnWords
	classes         [functionClasses]int
	fillers         int
	questions       int
	open            int
	questionTurns   int
	stackedTurns    int
	advice          AdviceMarkers
	reflectionTurns int
	judgedTurns     int // of which it is known whether they reflect
}

// tallyOf counts per speaker; the last tally is nobody's.
func (h *heard) tallyOf() []tally {
	tallies := make([]tally, len(h.Speakers)+1)
	of := func(speaker int) *tally {
		if speaker == nobody {
			speaker = len(h.Speakers)
		}
		return &tallies[speaker]
	}
	for i := range h.spoken {
		u := &h.spoken[i]
		t := of(u.speaker)
		t.words += u.words
		if u.timed {
			t.timedWords += u.words
			t.talkMs += u.end - u.own
		}
	}
	for i := range h.runs {
		t := of(h.runs[i].speaker)
		if h.runs[i].backchannel {
			t.backchannels++
		}
		if h.interrupted[i] != none {
			t.interruptions++
		}
	}
	for i := range h.turns {
		turn := &h.turns[i]
		t := of(turn.speaker)
		t.turns++
		t.turnWords += turn.words
		if turn.timed {
			t.longestMs = max(t.longestMs, turn.end-turn.start)
			t.hasLongest = true
		}
		t.function += turn.function
		for c := range turn.classes {
			t.classes[c] += turn.classes[c]
		}
		t.fillers += turn.fillers
		t.questions += turn.questions
		t.open += turn.open
		if turn.questions > 0 {
			t.questionTurns++
		}
		if turn.questions > 1 {
			t.stackedTurns++
		}
		advice, allowed := turn.advice, turn.allowedAdvice
		if h.permitted(turn) {
			advice, allowed = 0, advice+allowed
		}
		t.advice.WithoutPermission += advice
		t.advice.WithPermission += allowed
		reflects, judged := h.reflects(turn)
		if reflects {
			t.reflectionTurns++
		}
		if judged {
			t.judgedTurns++
		}
	}
	return tallies
}

// permissionTurns is how many turns permission lasts.
const permissionTurns = 2

// permitted tells whether one of the turns before asks permission for advice, or for advice.
func (h *heard) permitted(t *turn) bool {
	for range permissionTurns {
		if t.before == none {
			return false
		}
		if t = &h.turns[t.before]; t.permits {
			return true
		}
	}
	return false
}

// reflects tells whether a turn gives back what the other has just said, and whether that is known.
func (h *heard) reflects(t *turn) (reflects, judged bool) {
	if h.Reflects == nil {
		return t.reflects && t.before != none && h.turns[t.before].speaker != t.speaker, true
	}
	for _, part := range t.parts {
		is, known := h.Reflects(h.spoken[part].index)
		reflects = reflects || known && is
		judged = judged || known
	}
	return reflects, judged
}

func (t *tally) add(o *tally) {
	t.words += o.words
	t.timedWords += o.timedWords
	t.turnWords += o.turnWords
	t.turns += o.turns
	t.backchannels += o.backchannels
	t.interruptions += o.interruptions
	t.talkMs += o.talkMs
	t.longestMs = max(t.longestMs, o.longestMs)
	t.hasLongest = t.hasLongest || o.hasLongest
	t.function += o.function
	for c := range o.classes {
		t.classes[c] += o.classes[c]
	}
	t.fillers += o.fillers
	t.questions += o.questions
	t.open += o.open
	t.questionTurns += o.questionTurns
	t.stackedTurns += o.stackedTurns
	t.advice.WithPermission += o.advice.WithPermission
	t.advice.WithoutPermission += o.advice.WithoutPermission
	t.reflectionTurns += o.reflectionTurns
	t.judgedTurns += o.judgedTurns
}

// voice turns counts into metrics, relative to everybody's counts.
func (h *heard) voice(t tally) VoiceMetrics {
	v := VoiceMetrics{TurnCount: t.turns, WordCount: t.words, MeanTurnWords: ratio(t.turnWords, t.turns)}
	if h.timed {
		v.TalkMs = &t.talkMs
		v.TalkShareOfSpeech = ratio(t.talkMs, h.all.talkMs)
		if h.duration != nil {
			v.TalkShareOfSession = ratio(t.talkMs, *h.duration)
		}
		v.WordsPerMinute = perMinute(float64(t.timedWords), t.talkMs)
		if t.hasLongest {
			v.LongestMonologueMs = &t.longestMs
		}
	} else {
		v.TalkShareOfSpeech = ratio(t.words, h.all.words)
	}
	if h.overlapsKnown() {
		v.Interruptions = &t.interruptions
	}
	if h.quality.WordingAvailable {
		v.BackchannelRate = per100(t.backchannels, h.all.turnWords-t.turnWords)
		v.QuestionCount = &t.questions
		v.QuestionRate = ratio(t.questionTurns, t.turns)
		v.OpenQuestionShare = ratio(t.open, t.questions)
		v.StackedQuestions = &t.stackedTurns
		v.Advice = &t.advice
	}
	if h.quality.FillersAvailable {
		v.FillerRate = per100(t.fillers, t.turnWords)
	}
	if h.reflectionEvidence() != nil && t.judgedTurns > 0 {
		v.ReflectionCount = &t.reflectionTurns
		v.ReflectionRate = ratio(t.reflectionTurns, t.judgedTurns)
	}
	return v
}

// role measures everybody in a role together; nil if nobody has it.
func (h *heard) role(role Role) *RoleMetrics {
	sum, count := h.sum(role)
	if count == 0 {
		return nil
	}
	return &RoleMetrics{SpeakerCount: count, VoiceMetrics: h.voice(sum)}
}

// sum adds up those in a role, and says how many they are.
func (h *heard) sum(role Role) (sum tally, count int) {
	for i, s := range h.Speakers {
		if s.Role == role {
			sum.add(&h.tallies[i])
			count++
		}
	}
	return sum, count
}
