package rules

import (
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// feeling tells how a word colours what someone says of themselves: −1, 0 or 1.
func feeling(w string) int {
	switch w {
	case "sad", "angry", "anxious", "afraid", "scared", "worried", "frustrated", "stressed", "overwhelmed", "exhausted", "depressed", "ashamed",
		"guilty", "hopeless", "helpless", "lonely", "hurt", "upset", "nervous", "miserable", "terrified", "embarrassed", "disappointed", "tired",
		"stuck", "lost", "confused", "awful", "terrible", "horrible", "furious", "annoyed", "drained", "worthless", "useless", "desperate", "tense",
		"irritated", "uneasy", "trapped", "defeated", "discouraged", "insecure", "bitter", "resentful", "down":
		return -1
	case "happy", "glad", "relieved", "hopeful", "proud", "excited", "calm", "confident", "grateful", "optimistic", "motivated", "energized",
		"relaxed", "lighter", "clearer", "encouraged", "inspired", "peaceful", "content", "thrilled", "empowered", "stronger", "better", "determined",
		"comfortable", "free", "delighted", "curious", "thankful", "enthusiastic", "courageous", "capable":
		return 1
	}
	return 0
}

func isSelfFeeling(w string) bool {
	switch w {
	case "am", "feel", "felt", "was", "feeling", "been", "makes", "made", "get", "got", "sounds":
		return true
	}
	return false
}

func isSelf(w string) bool { return w == "i" || w == "me" }

// felt is a place where a client says how they feel.
type felt struct {
	place
	valence int
}

// feelings are found where a word of feeling stands after "I am", "I feel", "makes me" and the like, not negated, not
// supposed and not reported.
func (t *talk) feelings() []felt {
	var found []felt
	for i := range t.sentences {
		s := &t.sentences[i]
		if s.role != conversation.RoleClient || s.asks || s.quotes {
			continue
		}
		for at := range s.tokens {
			v := feeling(s.tokens[at].word)
			if v == 0 || !s.before(at, 4, isSelf) || !s.before(at, 4, isSelfFeeling) || s.before(at, 4, isNegation) ||
				s.before(at, at, isHypothetical) || s.reported(at) || s.word(at-1) == "would" || s.word(at-2) == "would" {
				continue
			}
			found = append(found, felt{place{s, at}, v})
			break
		}
	}
	return found
}

// emotionShift compares what the client says of their feelings in the first 40 % of the conversation with the last 40 %.
// It takes at least three such places, two of them on one side, and none that speaks against the direction.
func (t *talk) emotionShift() []candidate {
	n := len(t.Utterances)
	var early, late []felt
	for _, f := range t.feelings() {
		switch {
		case 5*f.s.utterance < 2*n:
			early = append(early, f)
		case 5*f.s.utterance >= 3*n:
			late = append(late, f)
		}
	}
	from, ok1 := direction(early)
	to, ok2 := direction(late)
	if !ok1 || !ok2 || from == to || len(early)+len(late) < 3 {
		return nil
	}
	first, last := early[0], late[len(late)-1]
	a, b := first.s.tokens[first.at].word, last.s.tokens[last.at].word
	confidence := 0.55
	if len(early) > 1 && len(late) > 1 {
		confidence = 0.7
	}
	return []candidate{{Finding: insight.Finding{
		Kind: insight.KindEmotionShift, Audience: insight.AudienceCoachOnly,
		Title: fmt.Sprintf("From “%s” to “%s”", a, b),
		Body: fmt.Sprintf("Early on the client spoke of feeling “%s”, towards the end of feeling “%s”. Flagged because their words for their own feelings "+
			"(%d early, %d late) changed direction; whether the feeling did, they know best.", a, b, len(early), len(late)),
		Confidence: confidence,
		Citations:  []insight.Quote{first.s.quote(first.at), last.s.quote(last.at)},
	}}}
}

// direction is the common valence of feelings, if there is one.
func direction(of []felt) (valence int, ok bool) {
	for _, f := range of {
		if valence != 0 && f.valence != valence {
			return 0, false
		}
		valence = f.valence
	}
	return valence, valence != 0
}
