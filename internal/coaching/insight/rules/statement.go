package rules

import (
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// statements are what a client says of themselves. Change and sustain talk follow the categories of motivational
// interviewing (Miller and Rollnick: desire, ability, reasons, need; taking steps).
var statements = newLexicon(
	cues(insight.KindBreakthrough, 0.75, "they speak of seeing something for the first time", "it hits me", "it hit me", "it dawned on me",
		"it is dawning on me", "i never thought of it", "i had never thought of it", "i have never thought of it", "i have never seen it",
		"i never saw it", "i never looked at it", "i have never looked at it", "i had not thought of it", "i have not thought of it", "i had not seen it",
		"something clicked", "it clicked", "lightbulb moment", "light bulb moment", "aha moment", "i am starting to see", "i am beginning to see",
		"i am starting to realize", "i am beginning to realize", "i see now that", "now i see", "i can see now", "now i understand why",
		"that puts it in a new light", "i am realizing", "now that i say it", "hearing myself say", "i had no idea that i"),
	cues(insight.KindBreakthrough, 0.65, "they say they realize something", "i realized", "i realize now", "i have realized", "i have come to realize",
		"makes me realize", "made me realize"),

	cues(insight.KindValue, 0.8, "they say what matters to them", "what matters to me is", "what matters most", "matters to me", "matters most to me",
		"i value", "my values are", "i stand for", "means the world to me", "means everything to me", "means a lot to me", "comes first for me",
		"is important to me", "are important to me", "important to me that", "is my priority", "my priority is",
		"my priorities are", "what i care about", "i care about", "i care deeply", "most important thing to me", "most important thing in my life"),

	cues(insight.KindBlocker, 0.75, "they name what is in the way", "what stops me", "what is stopping me", "holds me back", "holding me back",
		"gets in the way", "gets in my way", "getting in the way", "in my way is", "keeps me from", "what keeps me", "the obstacle is",
		"the biggest obstacle", "the hardest part", "the hard part is", "the hardest thing", "i get stuck", "i am stuck", "i feel stuck", "stuck in"),
	cues(insight.KindBlocker, 0.65, "they name a difficulty", "my problem is", "i do not know how to", "i do not know where to start", "i struggle to",
		"i struggle with", "i am struggling", "it is hard for me to", "i find it hard to", "i find it difficult", "i am afraid of", "i am afraid that",
		"i am scared of", "i am scared that", "i am worried about", "i am worried that", "i do not have time", "i do not have the time",
		"i do not have the money", "i do not have the energy", "i can not afford", "every time i try"),

	cues(insight.KindStrength, 0.75, "they give themselves credit", "i am proud of myself", "i am proud of how", "i am proud of what", "i am good at", "i am proud that",
		"i feel proud", "i stuck with it", "i stood up for myself", "i kept my"),
	cues(insight.KindStrength, 0.65, "they tell of something that worked", "i managed to", "i have managed to", "i was able to", "i have been able to",
		"i succeeded in", "i handled it", "i figured out", "it worked because i"),

	cues(insight.KindSustainTalk, 0.65, "they say they are not ready or not willing", "i am not ready", "i do not want to quit", "i do not want to stop",
		"i do not want to change", "i do not want to give up", "i am not going to stop", "i am not going to quit", "i am not willing to",
		"i do not feel ready", "i do not plan to", "i am not interested in", "i do not think i need", "i do not need to", "i do not need help",
		"why should i"),
	cues(insight.KindSustainTalk, 0.6, "they doubt that they can or that it helps", "i do not think i can", "i can not stop", "i can not quit", "i can not give",
		"i can not do it", "i can not do that", "i do not think i could", "tried that", "i have tried everything", "tried that before", "it did not work", "it will not work",
		"it does not work", "it would not work", "there is no way i", "it is too hard", "it is too late", "that is the way i am",
		"i am not sure i can", "what is the point", "i do not see the point", "it is not going to work"),
	cues(insight.KindSustainTalk, 0.6, "they speak for things as they are", "it is not a problem", "it is not that bad", "it is not a big deal", "not a big deal",
		"i do not have a problem", "i do not see a problem", "i do not see it as", "i do not see why i should", "i like drinking", "i like smoking", "i enjoy drinking",
		"i enjoy smoking", "it helps me relax", "it relaxes me", "it calms me", "i am fine the way", "i do not think it is a problem",
		"i do not think that is a problem", "i can handle it", "everybody does it", "everyone does it"),

	cues(insight.KindChangeTalk, 0.65, "they express a wish for change", "i want to change", "i want to stop", "i want to quit", "i want to get better",
		"i want to be better", "i want to be able", "i want to cut", "i want to start", "i want to learn", "i want to try", "i want to make", "i want to do something",
		"i want to do better", "i want to lose", "i want to improve", "i want to get back", "i want to live", "i want my life", "i would like to stop",
		"i would like to change", "i would like to be", "i would like to quit", "i would like to try", "i would like to get", "i would like to cut",
		"i would like to do", "i would like to lose", "i would love to", "i want things to", "i want it to be different", "i wish i could"),
	cues(insight.KindChangeTalk, 0.6, "they speak of what they could do", "i could try", "i could start", "i could do that", "i can do that", "i can do it",
		"i think i can", "i think i could", "i know i can", "i could cut", "i could probably", "i can try", "i can start", "i am willing to", "i am ready to"),
	cues(insight.KindChangeTalk, 0.6, "they name a reason for change", "i am tired of", "i am sick of", "i would feel better", "i do not like how", "i do not like that i",
		"it is affecting my", "it worries me", "it is not worth it", "i do not want to be like", "i do not want my", "i do not want to end up",
		"i do not want to lose", "i do not want to keep", "it is hurting my", "it would help me", "it would be better", "it would be nice to"),
	cues(insight.KindChangeTalk, 0.65, "they say that something needs to change", "i need to change", "i need to stop", "i need to do something", "i need to quit",
		"i need to start", "i need to cut", "i need to get", "i need to make", "i need to find", "i need to be", "i need to do", "i have to stop", "i have to change",
		"i have to do something", "i have got to stop", "i have got to change", "i have got to do something", "i have got to get",
		"i have got to find", "i have got to quit", "i got to stop", "i should stop", "i should do something", "i should cut", "i should quit", "i should start",
		"i should try", "i know i should", "i know i need", "something has to change", "something needs to change", "it is time for a change", "it is time to change", "it is time to stop", "it is time i", "i can not go on like",
		"i can not keep doing"),
	cues(insight.KindChangeTalk, 0.65, "they speak of a first step taken", "i have started", "i have cut", "i have been trying", "i have stopped",
		"i started to", "i have been working on"),
)

// statement finds what a client says of themselves: the most telling cue of the sentence that no guard forbids.
func (t *talk) statement(s *sentence) (candidate, bool) {
	if s.role != conversation.RoleClient || s.asks || s.quotes || len(s.tokens) < minStatement {
		return candidate{}, false
	}
	var best match
	statements.each(s, func(m match) {
		if m.weight > best.weight && !guarded(s, m) {
			best = m
		}
	})
	if best.words == nil {
		return candidate{}, false
	}
	f, confidence := wordings[best.kind], best.weight
	why := fmt.Sprintf("%s (“%s”)", best.reason, s.verbatim(best))
	if s.before(len(s.tokens), len(s.tokens)-best.after(), isBut) {
		confidence -= 0.1
		why += ", though a “but” follows"
	}
	return candidate{
		Finding: insight.Finding{
			Kind: best.kind, Audience: f.audience,
			Title:      s.headline(best.at),
			Body:       fmt.Sprintf("%s Flagged because %s.", f.body, why),
			Confidence: confidence,
			Citations:  []insight.Quote{s.quote(best.at)},
		},
		said: s.key(best.at),
	}, true
}

// minStatement is the fewest words that can be understood without the sentence before.
const minStatement = 5

// guarded tells whether the words before a cue make it mean something else.
func guarded(s *sentence, m match) bool {
	return s.before(m.at, 4, isNegation) || s.reported(m.at) || s.before(m.at, 6, isHypothetical) ||
		m.kind == insight.KindChangeTalk && (isNegation(s.word(m.after())) || s.word(m.after()) == "keep") ||
		m.kind == insight.KindBreakthrough && len(s.tokens)-m.after() < 2 && s.word(m.after()-1) == "realized" // "when I realized it"
}

func isBut(w string) bool { return w == "but" }

// verbatim is the cue as it was said, contractions and all.
func (s *sentence) verbatim(m match) string {
	return s.text[s.tokens[m.at].start:s.tokens[m.after()-1].end]
}

type wording struct {
	audience insight.Audience
	body     string
}

var wordings = map[insight.Kind]wording{
	insight.KindBreakthrough: {insight.AudienceBoth, "The client put a new understanding into words."},
	insight.KindValue:        {insight.AudienceBoth, "The client said what is important to them."},
	insight.KindBlocker:      {insight.AudienceBoth, "The client named something that stands in the way."},
	insight.KindStrength:     {insight.AudienceBoth, "The client spoke of something they did or do well."},
	insight.KindSustainTalk:  {insight.AudienceCoachOnly, "The client spoke for leaving things as they are, or doubted that change is possible."},
	insight.KindChangeTalk:   {insight.AudienceCoachOnly, "The client spoke in favour of a change."},
}

// affirmations are a coach's words for what the client did or is.
var affirmations = newLexicon(
	cues(insight.KindStrength, 0.75, "the coach affirmed it", "you should be proud", "you can be proud", "that took courage", "that takes courage", "took a lot of courage",
		"takes a lot of courage", "took a lot of strength", "i admire", "i am impressed", "i am proud of you", "you have worked hard", "you worked hard",
		"that is quite an accomplishment", "that is a real accomplishment", "that is an achievement", "that is a big step",
		"that is a huge step", "you are a strong", "you are strong", "you are determined", "you are committed",
		"you are resourceful", "good for you", "you have done a great job", "you have done well", "you have shown",
		"you did a great job", "you handled", "i appreciate your honesty", "i appreciate your openness", "i appreciate you being", "that shows how much you"),
)

// affirmed finds a strength that the coach named. It cites the coach.
func (t *talk) affirmed(s *sentence) (candidate, bool) {
	if s.role != conversation.RoleCoach || s.asks || s.quotes || len(s.tokens) < minStatement {
		return candidate{}, false
	}
	m, ok := affirmations.find(s)
	if !ok || guarded(s, m) {
		return candidate{}, false
	}
	return candidate{
		Finding: insight.Finding{
			Kind: insight.KindStrength, Audience: insight.AudienceBoth,
			Title:      s.headline(m.at),
			Body:       fmt.Sprintf("The coach affirmed something the client did or is. Flagged because of the words “%s”.", s.verbatim(m)),
			Confidence: m.weight,
			Citations:  []insight.Quote{s.quote(m.at)},
		},
		said: s.key(m.at),
	}, true
}
