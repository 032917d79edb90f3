// Package meter measures a conversation while it goes on, and notices what its coach may want to know at once. It is pure: what it says depends
// on the utterances that it has been given and on nothing else, not even on the order in which they came.
package meter

import (
	"cmp"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
)

// Utterance is a piece of what was said.
type Utterance struct {
	Key     string // one that is known is replaced
	Order   int64  // of two that begin together the lower comes first
	Speaker int    // index into the roles, -1 for nobody
	StartMs int64  // offset from the start of the recording; not negative
	EndMs   int64  // not before StartMs
	Line    conversation.Line
	Topics  uint64 // which topics of the agenda it touches: bit n for the n-th
	Commits bool   // somebody says what they will do
}

// Measures are what is known of a conversation so far. Times are milliseconds, shares 0 to 1; what cannot be computed is nil.
type Measures struct {
	ElapsedMs int64 `json:"elapsedMs"` // from the first word to the latest

	Coach  *Voice `json:"coach"` // everybody who coaches, together; nil if nobody is known to
	Client *Voice `json:"client"`

	// SinceClientMs is how long the client has not spoken: from the end of their last word to the latest word of anybody. Nil if they never have.
	SinceClientMs *int64 `json:"sinceClientMs"`

	// QuestionRun is how many turns of the coach in a row, up to now, have a question in them. One without a question begins it anew. A turn is
	// what conversation.VoiceMetrics.TurnCount says it is.
	QuestionRun int `json:"questionRun"`
}

// Voice is how a role speaks; each member is as conversation.VoiceMetrics defines it.
type Voice struct {
	TalkMs            int64    `json:"talkMs"`
	TalkShareOfSpeech *float64 `json:"talkShareOfSpeech"`
	WordCount         int      `json:"wordCount"`
	WordsPerMinute    *float64 `json:"wordsPerMinute"`
}

// stride is how many utterances lie between two states that are kept: what comes late, or is corrected, is computed anew from the last one
// before it.
const stride = 64

// Meter measures one conversation. What it costs to put an utterance at the end does not depend on how long the conversation is; one in the
// middle costs a little for each that comes after it.
type Meter struct {
	rules Rules
	roles []conversation.Role
	said  []Utterance // in order
	keys  map[string]place
	marks []state // marks[i] is the state before said[i*stride]
	now   state   // after all
}

// place is where an utterance stands in the order.
type place struct{ start, order int64 }

// New returns a meter that has heard nothing.
func New(rules Rules) *Meter { return &Meter{rules: rules, keys: map[string]place{}} }

// Cast says what the speakers are, by their indices. Whoever is not among them is unknown.
func (m *Meter) Cast(roles []conversation.Role) {
	before := *m
	m.roles = slices.Clone(roles)
	for speaker := range m.now.voices {
		if m.role(speaker-1) != before.role(speaker-1) {
			m.from(0)
			return
		}
	}
}

// Put adds an utterance, or replaces the one with its key, and returns what is noticed with it: nothing unless it is the latest. One without
// words is as good as none.
func (m *Meter) Put(u Utterance) []Notice {
	first := len(m.said) // of those that are to be looked at anew
	if at, known := m.keys[u.Key]; known {
		u.Order, first = at.order, m.find(at)
		m.said = slices.Delete(m.said, first, first+1)
		delete(m.keys, u.Key)
	}
	latest := false
	if u.Line.Words > 0 {
		at := place{u.StartMs, u.Order}
		i := m.find(at)
		m.said = slices.Insert(m.said, i, u)
		m.keys[u.Key] = at
		first, latest = min(first, i), i == len(m.said)-1
	}
	if latest && first == len(m.said)-1 && m.now.heard == first {
		m.step(first)
	} else {
		m.from(first)
	}
	if !latest {
		return nil
	}
	return m.notices()
}

// find is where an utterance stands, or would.
func (m *Meter) find(at place) int {
	i, _ := slices.BinarySearchFunc(m.said, at, func(u Utterance, at place) int {
		return cmp.Or(cmp.Compare(u.StartMs, at.start), cmp.Compare(u.Order, at.order))
	})
	return i
}

// from looks at the utterances anew, beginning with one of them.
func (m *Meter) from(first int) {
	mark := first / stride
	m.now = state{}
	if mark < len(m.marks) {
		m.now = m.marks[mark].clone()
	}
	m.marks = m.marks[:min(mark, len(m.marks))]
	for i := m.now.heard; i < len(m.said); i++ {
		m.step(i)
	}
}

// Measures are those of what was said so far.
func (m *Meter) Measures() Measures {
	s := &m.now
	out := Measures{ElapsedMs: s.until - s.since, Coach: m.voice(conversation.RoleCoach), Client: m.voice(conversation.RoleClient), QuestionRun: s.questionRun()}
	if s.clientHeard {
		since := s.until - s.client
		out.SinceClientMs = &since
	}
	return out
}

func (m *Meter) voice(role conversation.Role) *Voice {
	if !slices.Contains(m.roles, role) {
		return nil
	}
	v := &Voice{}
	var all int64
	for speaker, spoke := range m.now.voices {
		all += spoke.talk
		if m.role(speaker-1) == role {
			v.TalkMs += spoke.talk
			v.WordCount += spoke.words
		}
	}
	if all > 0 {
		share := float64(v.TalkMs) / float64(all)
		v.TalkShareOfSpeech = &share
	}
	if v.TalkMs > 0 {
		pace := float64(v.WordCount) / (float64(v.TalkMs) / 60_000)
		v.WordsPerMinute = &pace
	}
	return v
}

func (m *Meter) role(speaker int) conversation.Role {
	if speaker < 0 || speaker >= len(m.roles) {
		return conversation.RoleUnknown
	}
	return m.roles[speaker]
}
