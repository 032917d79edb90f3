package meter

import (
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// maxTurnGapMs is the longest silence within a turn, as in package conversation.
const maxTurnGapMs = 2000

// state is what has to be remembered of the utterances so far to go on with the next. It does not grow with their number.
type state struct {
	heard       int // utterances
	since       int64
	until       int64
	voices      []voice // by speaker, the first is nobody
	client      int64   // where the client's last word ends
	clientHeard bool

	floor   turn
	permits [permissionTurns]bool // of the turns before, the latest first
	run     int                   // of the coach's turns before: how many in a row have a question
	advice  int                   // of the coach, that nobody has asked for
	topics  uint64                // touched so far

	happened happening // with the last utterance
}

// permissionTurns is how many turns permission for advice lasts, as in package conversation.
const permissionTurns = 2

type voice struct {
	talk, until int64
	words       int
}

// turn is a stretch in which one speaker holds the floor.
type turn struct {
	speaker    int
	role       conversation.Role
	first      int // utterance
	start, end int64
	questions  int
	asks       bool // its last sentence does
	permits    bool
}

// happening is what the last utterance has brought about.
type happening struct {
	turnMs    int64 // how long its turn was before it
	questions int   // how many the turn had before it
	advice    int   // how much unasked advice there was before it
	silence   int64 // that the coach has broken with it, after a question of their own; 0 for none
	until     int64 // how far the session had come before it
}

func (s *state) clone() state {
	c := *s
	c.voices = slices.Clone(s.voices)
	return c
}

// step goes on with the next utterance.
func (m *Meter) step(i int) {
	s, u := &m.now, &m.said[i]
	if i%stride == 0 {
		m.marks = append(m.marks[:i/stride], s.clone())
	}
	if s.heard == 0 {
		s.since, s.until = u.StartMs, u.StartMs
		s.floor = turn{speaker: -2}
	}
	s.heard++
	role := m.role(u.Speaker)
	s.happened = happening{until: s.until - s.since}
	for len(s.voices) < u.Speaker+2 {
		s.voices = append(s.voices, voice{})
	}
	v := &s.voices[u.Speaker+1]
	v.words += u.Line.Words
	v.talk += u.EndMs - max(u.StartMs, min(u.EndMs, v.until))
	v.until, s.until = max(v.until, u.EndMs), max(s.until, u.EndMs)
	if role == conversation.RoleClient {
		s.client, s.clientHeard = max(s.client, u.EndMs), true
	}
	s.topics |= u.Topics
	if u.Line.Signals && u.Speaker != s.floor.speaker && s.heard > 1 && !s.floor.asks {
		s.happened.turnMs = s.floor.end - s.floor.start
		s.happened.questions, s.happened.advice = s.floor.questions, s.advice
		return // somebody listens; the floor is the other's
	}
	if u.Speaker != s.floor.speaker || u.StartMs-s.floor.end > maxTurnGapMs {
		s.take(u, role, i)
	}
	s.happened.turnMs, s.happened.questions, s.happened.advice = s.floor.end-s.floor.start, s.floor.questions, s.advice
	if role == conversation.RoleCoach && !s.permitted() {
		s.advice += u.Line.Advice
	}
	s.floor.end = max(s.floor.end, u.EndMs)
	s.floor.questions += u.Line.Questions
	s.floor.asks = u.Line.Asks
	s.floor.permits = s.floor.permits || u.Line.Permits
}

// take gives the floor to who speaks now.
func (s *state) take(u *Utterance, role conversation.Role, i int) {
	if s.floor.role == conversation.RoleCoach {
		s.run = s.questionRun()
		if s.floor.asks && role == conversation.RoleCoach {
			s.happened.silence = max(0, u.StartMs-s.floor.end)
		}
	}
	s.permits = [permissionTurns]bool{s.floor.permits, s.permits[0]}
	s.floor = turn{speaker: u.Speaker, role: role, first: i, start: u.StartMs, end: u.StartMs}
}

func (s *state) permitted() bool { return s.floor.permits || slices.Contains(s.permits[:], true) }

// questionRun counts the turn on the floor, if it is the coach's.
func (s *state) questionRun() int {
	switch {
	case s.floor.role != conversation.RoleCoach:
		return s.run
	case s.floor.questions == 0:
		return 0
	}
	return s.run + 1
}
