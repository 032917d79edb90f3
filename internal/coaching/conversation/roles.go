package conversation

import (
	"fmt"
	"slices"
	"strings"
)

// RoleSuggestion proposes a role for a speaker, for a person to confirm.
type RoleSuggestion struct {
	Speaker    int     `json:"speaker"`    // index into the speakers
	Role       Role    `json:"role"`       // UNKNOWN if nothing speaks clearly enough for another
	Confidence float64 `json:"confidence"` // 0 to 1; see SuggestRoles
	Reason     string  `json:"reason"`     // one plain sentence for the person who confirms; names nobody
}

// SuggestRoles proposes a role for each speaker, in their order. coachName is the account's coach, "" if not known.
//
// It looks, in this order, at roles already set (confidence 1), at labels that say a role (0.95), at the coach's full
// name (0.95) or first name alone (0.8), and, only between two speakers neither of whom any of these names, at who asks
// and who says "you" rather than "I" (0.6 to 0.85, the more the two differ). In a conversation of two, the one beside a
// coach is the client, and the other way round, with a little less confidence. A wrong role spoils every measure that
// rests on it, so whatever is short of that stays UNKNOWN with confidence 0.
func SuggestRoles(speakers []Speaker, utterances []Utterance, coachName string) []RoleSuggestion {
	out := make([]RoleSuggestion, len(speakers))
	for i, s := range speakers {
		out[i] = byLabel(s)
		out[i].Speaker = i
	}
	byName(out, speakers, coachName)

	spoken := spokenOf(len(speakers), utterances)
	voices := voicesOf(len(speakers), spoken)
	if len(voices) != 2 {
		return out
	}
	a, b := &out[voices[0]], &out[voices[1]]
	if a.Role == RoleUnknown && b.Role == RoleUnknown {
		byManner(a, b, spoken)
	}
	byOpposite(a, *b)
	byOpposite(b, *a)
	return out
}

// voicesOf lists the speakers who say anything.
func voicesOf(speakers int, spoken []speech) []int {
	words := make([]int, speakers)
	for _, u := range spoken {
		if u.speaker != nobody {
			words[u.speaker] += u.words
		}
	}
	var voices []int
	for i, n := range words {
		if n > 0 {
			voices = append(voices, i)
		}
	}
	return voices
}

func byLabel(s Speaker) RoleSuggestion {
	if s.known() {
		return RoleSuggestion{Role: s.Role, Confidence: 1, Reason: "The role is set already."}
	}
	for w := range Words(strings.ToLower(s.Name)) {
		switch w {
		case "coach", "therapist", "counsellor", "counselor":
			return RoleSuggestion{Role: RoleCoach, Confidence: 0.95, Reason: "The speaker's label says so."}
		case "client", "coachee", "patient":
			return RoleSuggestion{Role: RoleClient, Confidence: 0.95, Reason: "The speaker's label says so."}
		}
	}
	return RoleSuggestion{Role: RoleUnknown, Reason: "Nothing tells this speaker's role clearly enough."}
}

// byName finds the coach by name, unless a coach is found already or several speakers bear the name.
func byName(out []RoleSuggestion, speakers []Speaker, coachName string) {
	if slices.ContainsFunc(out, func(s RoleSuggestion) bool { return s.Role == RoleCoach }) {
		return
	}
	name := nameOf(coachName)
	if len(name) == 0 {
		return
	}
	var full, first []int
	for i, s := range speakers {
		label := nameOf(s.Name)
		switch {
		case out[i].Role != RoleUnknown || len(label) == 0:
		case len(name) > 1 && containsAll(label, name):
			full = append(full, i)
		case label[0] == name[0] && (len(label) == 1 || len(name) == 1 || strings.HasPrefix(name[len(name)-1], label[1])):
			first = append(first, i) // "Ana" or "Ana D." for Ana Díaz
		}
	}
	switch {
	case len(full) == 1:
		out[full[0]].Role, out[full[0]].Confidence = RoleCoach, 0.95
		out[full[0]].Reason = "The speaker bears the coach's name."
	case len(full) == 0 && len(first) == 1:
		out[first[0]].Role, out[first[0]].Confidence = RoleCoach, 0.8
		out[first[0]].Reason = "The speaker bears the coach's first name."
	}
}

func nameOf(s string) []string { return slices.Collect(Words(strings.ToLower(s))) }

func containsAll(words, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(words, w) })
}

// Both of two speakers must have said this much for their manner to mean anything.
const (
	minMannerTurns = 5
	minMannerWords = 50
)

// byManner takes the one who asks more and says "you" more for the coach. Both signs must agree and be clear.
func byManner(a, b *RoleSuggestion, spoken []speech) {
	turns := turnsOf(runsOf(spoken))
	ma, mb := mannerOf(a.Speaker, turns), mannerOf(b.Speaker, turns)
	if min(ma.turns, mb.turns) < minMannerTurns || min(ma.words, mb.words) < minMannerWords {
		return
	}
	coach, m, other := a, ma, mb
	if mb.asking() > ma.asking() {
		coach, m, other = b, mb, ma
	}
	lead, turnedTo := m.asking()-other.asking(), m.addressing()-other.addressing()
	if m.questions < 4 || m.asking() < 2*other.asking() || lead < 0.15 || turnedTo < 0.15 {
		return
	}
	coach.Role = RoleCoach
	coach.Confidence = min(0.85, 0.6+0.25*min(lead, turnedTo)/0.4)
	coach.Reason = fmt.Sprintf("This speaker asks in %.0f %% of turns and the other in %.0f %%, and speaks of \"you\" more than of \"I\".",
		100*m.asking(), 100*other.asking())
}

type manner struct{ turns, words, questions, asked, you, i int }

func (m manner) asking() float64 { return float64(m.asked) / float64(max(1, m.turns)) }

func (m manner) addressing() float64 { return float64(m.you) / float64(max(1, m.you+m.i)) }

func mannerOf(speaker int, turns []turn) manner {
	var m manner
	for _, t := range turns {
		if t.speaker != speaker || t.backchannel {
			continue
		}
		m.turns++
		m.words += t.words
		m.questions += t.questions
		m.asked += min(1, t.questions)
		for _, text := range t.text {
			for w := range Words(text) {
				switch strings.ReplaceAll(strings.ToLower(w), "’", "'") {
				case "you", "your", "you're", "you've", "yours", "you'd", "you'll", "yourself":
					m.you++
				case "i", "my", "me", "i'm", "i've", "i'd", "i'll", "mine", "myself":
					m.i++
				}
			}
		}
	}
	return m
}

// byOpposite completes a pair.
func byOpposite(s *RoleSuggestion, other RoleSuggestion) {
	if s.Role != RoleUnknown {
		return
	}
	switch other.Role {
	case RoleCoach:
		s.Role, s.Reason = RoleClient, "The only other speaker is most likely the coach."
	case RoleClient:
		s.Role, s.Reason = RoleCoach, "The only other speaker is most likely the client."
	default:
		return
	}
	s.Confidence = 0.9 * other.Confidence
}
