package rules

import (
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// risks are phrases with hardly a second meaning. A missed one is found by reading; a false one teaches to look away.
var risks = newLexicon(
	cues(insight.KindRiskFlag, 0.8, "thoughts of self-harm", "kill myself", "killing myself", "end my life", "ending my life", "take my own life", "taking my own life",
		"i want to die", "i wanted to die", "i wish i was dead", "i wish i were dead", "better off dead", "better off without me", "do not want to live anymore",
		"not want to be alive", "do not want to be here anymore", "no reason to live", "nothing to live for", "i am suicidal", "i feel suicidal", "i felt suicidal",
		"suicidal thoughts", "thought about suicide", "thoughts of suicide", "thinking about suicide", "thinking of suicide", "attempted suicide",
		"tried to commit suicide", "hurt myself on purpose", "hurting myself on purpose", "harm myself", "harming myself", "cut myself on purpose",
		"cutting myself", "self harm", "self-harm", "wanted to hurt myself", "want to hurt myself", "thought about hurting myself"),
	cues(insight.KindRiskFlag, 0.75, "violence or abuse", "he hits me", "she hits me", "he hit me", "she hit me", "he beats me", "he beat me", "she beats me", "husband hits me",
		"husband hit me", "wife hits me", "wife hit me", "partner hits me", "partner hit me", "boyfriend hits me", "boyfriend hit me", "father beat me", "i was raped",
		"raped me", "i was abused", "abuses me", "abused me", "abusing me", "molested me", "i was molested", "threatened to kill me", "threatens to kill me",
		"tried to strangle me", "he chokes me", "he choked me", "hits the kids", "hits the children", "afraid of what he will do to me"),
	cues(insight.KindRiskFlag, 0.7, "thoughts of harming someone", "i want to hurt him", "i want to hurt her", "i want to hurt them", "i want to hurt someone",
		"i want to hurt people", "i want to kill him", "i want to kill her", "i want to kill them", "i want to kill someone", "i am going to hurt him",
		"i am going to hurt her", "i am going to hurt someone", "i am going to kill him", "i am going to kill her", "i hit my child", "i hit my kids"),
	cues(insight.KindRiskFlag, 0.65, "exhaustion beyond coping", "i am completely burnt out", "i am burnt out", "i can not go on anymore", "i can not go on like this",
		"i can not cope anymore", "i can not take it anymore", "i can not take this anymore", "can not get out of bed", "not slept in days", "not slept for days",
		"nervous breakdown", "having a breakdown", "had a breakdown", "i collapsed at work"),
)

// risk finds wording that may call for a check on safety. It looks at everyone but the coach, with or without roles: to
// miss it because nobody assigned the speakers would be the wrong kind of caution.
func (t *talk) risk(s *sentence) (candidate, bool) {
	if s.role == conversation.RoleCoach || s.asks || s.quotes {
		return candidate{}, false
	}
	m, ok := risks.find(s)
	if !ok || s.before(m.at, 6, isNegation) || s.othersSay(m.at) || s.before(m.at, 4, isSupposing) ||
		s.word(m.after()) == "laughing" || s.contains(isJoke) {
		return candidate{}, false
	}
	speaker := "A speaker"
	if s.role == conversation.RoleClient {
		speaker = "The client"
	}
	return candidate{
		Finding: insight.Finding{
			Kind: insight.KindRiskFlag, Audience: insight.AudienceCoachOnly,
			Title: "Words that may call for a check on safety",
			Body: fmt.Sprintf("%s used words that can point to %s (“%s”). This rests on the wording alone and assesses nothing: please read the passage "+
				"in its context and follow your practice's procedure.", speaker, m.reason, s.verbatim(m)),
			Confidence: m.weight,
			Citations:  []insight.Quote{s.quote(m.at)},
		},
		said: s.key(m.at),
	}, true
}

// othersSay tells whether what begins at the token at is somebody else's judgement: "she told me I was killing myself". What
// the speaker has thought, or told someone, is their own.
func (s *sentence) othersSay(at int) bool {
	for i := range at {
		switch s.tokens[i].word {
		case "said", "says", "saying", "told", "tells", "telling", "claims", "claimed":
			if s.word(i-1) != "i" && s.word(i-2) != "i" {
				return true
			}
		}
	}
	return false
}

// isSupposing leaves out what has not happened: "if he hit me". A wish is not supposed: "I wish I were dead".
func isSupposing(w string) bool { return w != "wish" && isHypothetical(w) }

func isJoke(w string) bool { return w == "joking" || w == "kidding" || w == "joke" }
