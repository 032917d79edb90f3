package rules

import (
	"fmt"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// minLongAnswer is how many words an answer needs to be long in any conversation.
const minLongAnswer = 60

// question finds an open question of the coach, near the end of what they said, that a long answer followed: at least
// twice the client's usual one.
func (t *talk) question(u, usual int) (candidate, bool) {
	if t.role(t.Utterances[u].Speaker) != conversation.RoleCoach {
		return candidate{}, false
	}
	said := t.of(u)
	asked := -1
	for i := len(said) - 1; i >= max(0, len(said)-2); i-- {
		if said[i].asks && len(said[i].tokens) >= 4 && conversation.IsOpenQuestion(said[i].text) {
			asked = i
			break
		}
	}
	if asked < 0 {
		return candidate{}, false
	}
	words, answer := t.answer(u)
	if answer == nil || words < max(minLongAnswer, 2*usual) {
		return candidate{}, false
	}
	q := &said[asked]
	return candidate{
		Finding: insight.Finding{
			Kind: insight.KindQuestionOfNote, Audience: insight.AudienceCoachOnly,
			Title: q.headline(0),
			Body: fmt.Sprintf("An open question that opened something up: the client answered with %d words, where %d are usual for them in this conversation. "+
				"Its beginning is cited.", words, usual),
			Confidence: min(0.8, 0.6+float64(words)/1000),
			Citations:  []insight.Quote{q.quote(0), answer.quote(0)},
		},
		said: q.key(0),
	}, true
}

// answer counts the words of the clients after utterance u, until the coach says more than a back-channel, and returns
// the first sentence of substance among them.
func (t *talk) answer(u int) (words int, first *sentence) {
	for i := u + 1; i < len(t.Utterances); i++ {
		said := t.of(i)
		switch t.role(t.Utterances[i].Speaker) {
		case conversation.RoleClient:
			for j := range said {
				words += len(said[j].tokens)
				if first == nil && len(said[j].tokens) >= minStatement {
					first = &said[j]
				}
			}
		default:
			if tokens(said) > 3 {
				return words, first
			}
		}
	}
	return words, first
}

// usualAnswer is the median length of what the client says in answer to the coach, in words.
func (t *talk) usualAnswer() int {
	var lengths []int
	for u := range t.Utterances {
		if t.role(t.Utterances[u].Speaker) != conversation.RoleCoach || tokens(t.of(u)) <= 3 {
			continue
		}
		if u+1 < len(t.Utterances) && t.role(t.Utterances[u+1].Speaker) == conversation.RoleClient {
			words, _ := t.answer(u)
			lengths = append(lengths, words)
		}
	}
	if len(lengths) == 0 {
		return 0
	}
	slices.Sort(lengths)
	return lengths[len(lengths)/2]
}

func tokens(sentences []sentence) int {
	n := 0
	for i := range sentences {
		n += len(sentences[i].tokens)
	}
	return n
}
