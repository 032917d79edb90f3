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

// People are those whom the calendar expects in a conversation, by their names.
type People struct {
	Coach   string // "" if not known
	Clients []string
	Others  []string
}

// SuggestRoles proposes a role for each speaker, in their order. remembered holds the role that each had in an earlier
// session, "" or UNKNOWN for none; nil if nothing is remembered.
//
// It looks, in this order, at roles already set (confidence 1), at remembered ones (0.9), at labels that say a role
// (0.95), at the full names of those who are expected (0.95) or first names alone (0.8), and, only between two speakers
// neither of whom any of these names, at who asks and who says "you" rather than "I" (0.6 to 0.85, the more the two
// differ). In a conversation of two, the one beside a coach is the client, and the other way round, with a little less
// confidence. A wrong role spoils every measure that rests on it, so whatever is short of that stays UNKNOWN with
// confidence 0.
func SuggestRoles(speakers []Speaker, utterances []Utterance, expected People, remembered []Role) []RoleSuggestion {
	out := make([]RoleSuggestion, len(speakers))
	for i, s := range speakers {
		out[i] = byLabel(s)
		if r := (Speaker{Role: at(remembered, i)}); r.known() && !s.known() {
			out[i] = RoleSuggestion{Role: r.Role, Confidence: 0.9, Reason: "Remembered from an earlier session."}
		}
		out[i].Speaker = i
	}
	byName(out, speakers, expected)

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

func at(roles []Role, i int) Role {
	if i < len(roles) {
		return roles[i]
	}
	return RoleUnknown
}

const (
	// SureRole is the confidence from which a suggested role counts without being asked about. Below it lies only what
	// rests on manner alone and is not clear-cut. Of 90 real conversations of two with their names hidden, 64 reach it
	// for both speakers, and in none of these are coach and client mistaken for each other.
	SureRole = 0.7

	// maxUnassigned is the share of words that may be nobody's: a note-taker's greeting spoils nothing, a third of the
	// conversation does.
	maxUnassigned = 0.1
)

// RolesSettled tells whether roles are known well enough for what rests on them: somebody is the coach, somebody the
// client, and at most a tenth of the words is of speakers whose role does not count. sure says of each speaker whether
// it does: a person has set it, or it was suggested with SureRole. Where every role counts nothing is left to ask, even
// without a coach and a client.
func RolesSettled(speakers []Speaker, sure []bool, utterances []Utterance) bool {
	words := make([]int, len(speakers))
	total, unassigned := 0, 0
	for _, u := range utterances {
		n := CountWords(u.Text)
		total += n
		if u.Speaker >= 0 && u.Speaker < len(speakers) {
			words[u.Speaker] += n
		}
	}
	coach, client := false, false
	for i, s := range speakers {
		switch {
		case words[i] == 0: // says nothing that could be measured
		case !sure[i]:
			unassigned += words[i]
		case s.Role == RoleCoach:
			coach = true
		case s.Role == RoleClient:
			client = true
		}
	}
	return unassigned == 0 || coach && client && float64(unassigned) <= maxUnassigned*float64(total)
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

// byName finds those who are expected among the speakers whose role is open. A name that several speakers bear tells
// nothing, nor does one that people of different roles have. The coach's name is not looked for where somebody is the
// coach already.
func byName(out []RoleSuggestion, speakers []Speaker, expected People) {
	labels := make([][]string, len(speakers))
	for i, s := range speakers {
		labels[i] = nameOf(s.Name)
	}
	people := expected.list(slices.ContainsFunc(out, func(s RoleSuggestion) bool { return s.Role == RoleCoach }))
	for _, how := range []struct {
		fits       func(label, name []string) bool
		confidence float64
		part       string
	}{{bearsName, 0.95, "name"}, {bearsFirstName, 0.8, "first name"}} {
		var unmet []person
		var found []RoleSuggestion
		for _, p := range people {
			var bearers []int
			for i, label := range labels {
				if out[i].Role == RoleUnknown && how.fits(label, p.name) {
					bearers = append(bearers, i)
				}
			}
			if len(bearers) == 0 {
				unmet = append(unmet, p)
				continue
			}
			if len(bearers) == 1 && !slices.ContainsFunc(people, func(other person) bool {
				return other.role != p.role && how.fits(labels[bearers[0]], other.name)
			}) {
				found = append(found, RoleSuggestion{bearers[0], p.role, how.confidence, fmt.Sprintf("The speaker bears %s %s.", p.whose, how.part)})
			}
		}
		for _, s := range found {
			out[s.Speaker] = s
		}
		people = unmet // who is there by the full name is not also somebody of the first
	}
}

// person is somebody expected, with the words of the name.
type person struct {
	role  Role
	whose string
	name  []string
}

func (p People) list(withoutCoach bool) (all []person) {
	add := func(role Role, whose, name string) {
		if words := nameOf(name); len(words) > 0 {
			all = append(all, person{role, whose, words})
		}
	}
	if !withoutCoach {
		add(RoleCoach, "the coach's", p.Coach)
	}
	for _, name := range p.Clients {
		add(RoleClient, "the client's", name)
	}
	for _, name := range p.Others {
		add(RoleOther, "a participant's", name)
	}
	return all
}

// bearsName: "Ana Díaz (she/her)" for Ana Díaz.
func bearsName(label, name []string) bool {
	return len(name) > 1 && !slices.ContainsFunc(name, func(w string) bool { return !slices.Contains(label, w) })
}

// bearsFirstName: "Ana" or "Ana D." for Ana Díaz.
func bearsFirstName(label, name []string) bool {
	return len(label) > 0 && label[0] == name[0] &&
		(len(label) == 1 || len(name) == 1 || strings.HasPrefix(name[len(name)-1], label[1]))
}

func nameOf(s string) []string { return slices.Collect(Words(strings.ToLower(s))) }

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
