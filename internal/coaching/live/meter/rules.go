package meter

import "github.com/rapporthq/rapport/internal/coaching/conversation"

// Kind is what may be worth a nudge.
type Kind string

// The kinds, in the order in which one is chosen where several are noticed at once.
const (
	Commitment    Kind = "COMMITMENT_HEARD"
	Advice        Kind = "ADVICE_WITHOUT_PERMISSION"
	AgendaOpen    Kind = "AGENDA_ITEM_OPEN"
	BrokenSilence Kind = "SILENCE_BROKEN"
	Monologue     Kind = "LONG_MONOLOGUE"
	Stacked       Kind = "STACKED_QUESTIONS"
)

// Kinds are all of them, in that order.
var Kinds = []Kind{Commitment, Advice, AgendaOpen, BrokenSilence, Monologue, Stacked}

// Rules are from where on something is noticed.
type Rules struct {
	MonologueMs int64  `json:"monologueMs"` // a turn of the coach as long as that
	Questions   int    `json:"questions"`   // so many questions in one turn of the coach
	Advice      int    `json:"advice"`      // so many phrases of advice that nobody asked for, and each after it
	SilenceMs   int64  `json:"silenceMs"`   // a silence after a question of the coach, that the coach breaks
	AgendaMs    int64  `json:"agendaMs"`    // when topics that nobody has touched should be; 0 for never
	Topics      uint64 `json:"topics"`      // of the agenda
}

// Notice is something that is worth a nudge.
type Notice struct {
	Kind   Kind
	AtMs   int64    // when it was noticed: how far the session had come
	Keys   []string // of the utterances that it rests on, in their order
	Value  float64  // what was measured: milliseconds, or how many
	Limit  float64  // from where on it is noticed
	Topics uint64   // that nobody has touched
}

// maxEvidence is how many utterances a notice rests on at most: the first and the latest of a long turn.
const maxEvidence = 4

// notices are what the latest utterance has brought about.
func (m *Meter) notices() (found []Notice) {
	s, r := &m.now, m.rules
	last := len(m.said) - 1
	u := &m.said[last]
	at := s.until - s.since
	add := func(kind Kind, value, limit float64, keys []string) {
		found = append(found, Notice{Kind: kind, AtMs: at, Keys: keys, Value: value, Limit: limit})
	}
	if u.Commits && m.role(u.Speaker) == conversation.RoleClient {
		add(Commitment, 1, 1, []string{u.Key})
	}
	if s.advice > s.happened.advice && s.advice >= r.Advice {
		add(Advice, float64(s.advice), float64(r.Advice), []string{u.Key})
	}
	if r.AgendaMs > 0 && s.happened.until < r.AgendaMs && at >= r.AgendaMs {
		if open := r.Topics &^ s.topics; open != 0 {
			add(AgendaOpen, float64(at), float64(r.AgendaMs), []string{u.Key})
			found[len(found)-1].Topics = open
		}
	}
	if s.happened.silence >= r.SilenceMs && s.happened.silence > 0 {
		add(BrokenSilence, float64(s.happened.silence), float64(r.SilenceMs), m.around(last))
	}
	if s.floor.role != conversation.RoleCoach || s.floor.speaker != u.Speaker {
		return found
	}
	if long := s.floor.end - s.floor.start; s.happened.turnMs < r.MonologueMs && long >= r.MonologueMs {
		add(Monologue, float64(long), float64(r.MonologueMs), m.turn())
	}
	if s.happened.questions < r.Questions && s.floor.questions >= r.Questions {
		add(Stacked, float64(s.floor.questions), float64(r.Questions), m.turn())
	}
	return found
}

// around are an utterance and the one of the same speaker before it.
func (m *Meter) around(last int) []string {
	for i := last - 1; i >= 0 && i >= last-maxEvidence; i-- {
		if m.said[i].Speaker == m.said[last].Speaker {
			return []string{m.said[i].Key, m.said[last].Key}
		}
	}
	return []string{m.said[last].Key}
}

// turn are the utterances of the turn on the floor.
func (m *Meter) turn() (keys []string) {
	for i := m.now.floor.first; i < len(m.said); i++ {
		if m.said[i].Speaker == m.now.floor.speaker {
			keys = append(keys, m.said[i].Key)
		}
		if len(keys) > maxEvidence { // not the ones in its middle
			keys = append(keys[:1], keys[2:]...)
		}
	}
	return keys
}
