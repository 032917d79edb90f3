package rules

import (
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

var reflections = newLexicon(cues(insight.KindCoachSkill, 0, "", "it sounds like", "sounds like", "it seems like", "seems like", "it feels like",
	"what i am hearing", "what i hear", "i am hearing", "i hear you", "i hear that", "you are saying", "what you are saying", "you feel", "you felt",
	"you are feeling", "you would like to", "you want to", "you wanted to", "you are worried", "you are concerned", "you are trying", "you are not sure",
	"you are ready", "you are looking", "you are thinking", "you are wondering", "on the one hand", "on one hand", "part of you", "you have tried",
	"you have been", "you have noticed", "you know that", "you really", "you enjoy", "you like", "you do not want", "you do not feel", "you do not like",
	"it is important to you", "it is hard for you", "that is important to you", "there is a part of you"))

var advices = newLexicon(cues(insight.KindCoachSkill, 0, "", "you should", "you need to", "you ought to", "you must",
	"have you tried", "i would suggest", "i suggest", "i would recommend", "i recommend", "i would advise",
	"i advise", "why do not you", "if i were you", "you might want to", "you may want to", "what you can do is", "what i would do", "my advice", "you had better"))

// permissions are how a coach asks before advising, and how a client asks for advice.
var permissions = newLexicon(cues(insight.KindCoachSkill, 0, "", "is it okay if", "is it ok if", "would it be okay if", "would it be ok if", "would it be all right if",
	"is it all right if", "can i share", "could i share", "may i share", "may i suggest", "can i suggest", "can i offer", "may i offer", "could i offer", "do you mind if",
	"would you mind if", "would you be interested in", "would you be open to", "would you like some", "would you like to hear", "can i make a suggestion",
	"can i give you", "what should i", "what would you do", "what do you think i", "what do you suggest", "what do you recommend", "any advice",
	"any suggestions", "any ideas", "do you have any tips", "how do i", "should i"))

// permissionLasts is how many utterances before advice a permission still counts for: two turns of each.
const permissionLasts = 4

// minEvidence is how often something must be seen before it is worth a coach's attention.
const minEvidence = 2

// skills gathers evidence of what the coach did. It is shown as evidence: what was said and how often, never a score.
func (t *talk) skills() []candidate {
	var mirrored, advised, affirmed []place
	utterances := 0
	for u := range t.Utterances {
		if t.role(t.Utterances[u].Speaker) != conversation.RoleCoach {
			continue
		}
		said := t.of(u)
		if tokens(said) > 3 {
			utterances++
		}
		for i := range said {
			s := &said[i]
			if s.quotes || len(s.tokens) < minStatement {
				continue
			}
			if m, ok := advices.find(s); ok {
				if advises(s, m) && !t.permitted(u) {
					advised = append(advised, place{s, m.at})
				}
				continue
			}
			if m, ok := affirmations.find(s); ok && !s.asks && !guarded(s, m) {
				affirmed = append(affirmed, place{s, m.at})
				continue
			}
			if m, ok := reflections.find(s); ok && m.at <= 2 && !s.asks && t.follows(u, conversation.RoleClient) && !s.contains(isHypothetical) {
				mirrored = append(mirrored, place{s, m.at})
			}
		}
	}
	var found []candidate
	for _, e := range []struct {
		places     []place
		title, did string
		confidence float64
	}{
		{mirrored, "Reflections", "seemed to give back in their own words what the client had said", 0.6},
		{affirmed, "Affirmations", "affirmed what the client did or is", 0.7},
		{advised, "Advice without asking first", "used the words of advice, with no permission heard in the two turns before", 0.65},
	} {
		if len(e.places) < minEvidence {
			continue
		}
		found = append(found, candidate{Finding: insight.Finding{
			Kind: insight.KindCoachSkill, Audience: insight.AudienceCoachOnly,
			Title: fmt.Sprintf("%s: %d times", e.title, len(e.places)),
			Body: fmt.Sprintf("The coach %s: %d times in %d contributions. Examples are cited. This is an estimate from the wording, as evidence to look at "+
				"and not a verdict.", e.did, len(e.places), utterances),
			Confidence: e.confidence,
			Citations:  cite(e.places),
		}})
	}
	return found
}

// advises tells the coach's own advice from a question about what is needed, and from giving back what the client said.
func advises(s *sentence, m match) bool {
	if s.asks && m.words[0] == "you" {
		return false
	}
	if m.words[0] == "why" && invitesToTell(s.word(m.after())) {
		return false
	}
	return !s.before(m.at, 4, isNegation) && !s.reported(m.at) && !s.before(m.at, 2, isGivingBack)
}

// invitesToTell is for "why don't you start by telling me", which hands the floor over.
func invitesToTell(w string) bool {
	return w == "start" || w == "tell" || w == "fill" || w == "describe"
}

func isGivingBack(w string) bool {
	switch w {
	case "what", "that", "like", "think", "know", "feel", "whether", "things", "everything", "anything", "changes", "if", "when", "sounds":
		return true
	}
	return false
}

// place is a token in a sentence.
type place struct {
	s  *sentence
	at int
}

// cite quotes up to three places that lie far apart.
func cite(places []place) []insight.Quote {
	picks := []int{0, len(places) / 2, len(places) - 1}
	var quotes []insight.Quote
	for i, p := range picks {
		if i == 0 || p != picks[i-1] {
			quotes = append(quotes, places[p].s.quote(places[p].at))
		}
	}
	return quotes
}

// permitted tells whether advice in utterance u was asked for or announced: there or a little before.
func (t *talk) permitted(u int) bool {
	for i := u; i >= max(0, u-permissionLasts); i-- {
		said := t.of(i)
		for j := range said {
			if _, ok := permissions.find(&said[j]); ok {
				return true
			}
		}
	}
	return false
}

func (t *talk) follows(u int, role conversation.Role) bool {
	return u > 0 && t.role(t.Utterances[u-1].Speaker) == role
}
