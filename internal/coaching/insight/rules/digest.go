package rules

import (
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// headings are the parts of the summary that findings go to. What is for the coach alone to judge stays an insight.
var headings = map[insight.Kind]insight.Heading{
	insight.KindTheme:        insight.HeadingTopics,
	insight.KindBreakthrough: insight.HeadingTurningPoints,
	insight.KindEmotionShift: insight.HeadingTurningPoints,
	insight.KindBlocker:      insight.HeadingObstacles,
	insight.KindCommitment:   insight.HeadingAgreements,
	insight.KindRiskFlag:     insight.HeadingConcerns,
}

// summary says in a few statements what the findings say of the whole conversation. It is extractive: each statement is the
// speaker's own words.
func (t *talk) summary(found []candidate) []insight.Point {
	var points []insight.Point
	for _, f := range found {
		heading, ok := headings[f.Kind]
		if !ok {
			continue
		}
		text := f.Title
		switch {
		case f.topic != "":
			text = f.topic
		case f.Kind != insight.KindEmotionShift:
			text = t.named(f.Citations[0].First) + ": " + text
		}
		if c := f.Commitment; c != nil && c.DueOn != nil {
			text += " (by " + c.DueOn.Format("2 January 2006") + ")"
		}
		points = append(points, insight.Point{Heading: heading, Text: text, Citations: f.Citations})
	}
	return points
}

func (t *talk) named(utterance int) string {
	if i := t.Utterances[utterance].Speaker; i >= 0 && i < len(t.Speakers) && t.Speakers[i].Name != "" {
		return t.Speakers[i].Name
	}
	return "Somebody"
}

// codes turns the codes of each utterance into rows: its main code, and what else its sentences do.
func codes(coded []coding.Utterance) []insight.Code {
	var all []insight.Code
	for i, u := range coded {
		if u.Code == "" {
			continue
		}
		row := func(m coding.Mark, main bool) insight.Code {
			return insight.Code{
				Utterance: i, Scheme: coding.Scheme, Code: string(m.Code), Main: main,
				Confidence: m.Confidence, Source: insight.SourceRule, Rule: m.Rule,
			}
		}
		first := len(all)
		all = append(all, row(u.Mark, true))
	sentences:
		for _, s := range u.Sentences {
			for j := range all[first:] {
				if have := &all[first+j]; have.Code == string(s.Code) {
					if !have.Main && s.Confidence > have.Confidence {
						*have = row(s.Mark, false)
					}
					continue sentences
				}
			}
			all = append(all, row(s.Mark, false))
		}
	}
	return all
}

// occasion is how many contributions of a coach make a conversation long enough to say that something did not happen.
const occasion = 15

// skill is how one skill is told from the codes.
type skill struct {
	name  insight.Skill
	least int // how often it must be seen
	shows func(*talk, coding.Sentence) bool
	did   string // completes "the coach …", with the count before
}

var skillsOfCoach = []skill{
	{insight.SkillOpenQuestions, 2, func(_ *talk, s coding.Sentence) bool { return s.Code == coding.QuestionOpen }, "asked what reads as an open question"},
	{insight.SkillReflections, 2, func(_ *talk, s coding.Sentence) bool { return s.Code == coding.Reflection }, "gave back in their own words what the client had said"},
	{insight.SkillAffirmations, 2, func(_ *talk, s coding.Sentence) bool { return s.Code == coding.Affirmation }, "affirmed what the client did or is"},
	{insight.SkillPermission, 2, func(_ *talk, s coding.Sentence) bool { return s.Code == coding.InputWithPermission }, "gave information or advice after it was asked for or offered"},
	{insight.SkillNextSteps, 1, func(_ *talk, s coding.Sentence) bool { return s.Code.IsQuestion() && asksForNextStep(s.Text) }, "asked what the client was going to do next"},
}

func asksForNextStep(text string) bool {
	s := newSentence(0, 0, conversation.RoleCoach, text)
	_, ok := prompts.find(&s)
	return ok
}

// evidence says what the conversation shows of each skill of the coach. It is evidence to look at, and no verdict: a skill
// that was not seen may not have been called for.
func (t *talk) evidence(coded []coding.Utterance) []insight.Evidence {
	contributions, inputs := 0, 0
	shown := make([][]insight.Quote, len(skillsOfCoach))
	for u := range coded {
		if t.role(t.Utterances[u].Speaker) != conversation.RoleCoach {
			continue
		}
		if tokens(t.of(u)) > 3 {
			contributions++
		}
		for _, s := range coded[u].Sentences {
			if s.Code.IsInput() {
				inputs++
			}
			for i, skill := range skillsOfCoach {
				if skill.shows(t, s) {
					shown[i] = append(shown[i], insight.Quote{Text: excerpt(s.Text, 0, maxQuote), First: u, Last: u})
				}
			}
		}
	}
	all := make([]insight.Evidence, len(skillsOfCoach))
	for i, skill := range skillsOfCoach {
		e := insight.Evidence{Skill: skill.name, Level: insight.Insufficient}
		n := len(shown[i])
		switch {
		case contributions == 0:
			e.Paragraph = "Nobody in this conversation is known to be the coach."
		case n >= skill.least:
			e.Level = insight.Observed
			e.Paragraph = fmt.Sprintf("The coach %s: %s in %d contributions. Examples are cited. Counted by wording, as something to look at; it is no verdict.",
				skill.did, times(n), contributions)
			e.Citations = spread(shown[i])
		case skill.name == insight.SkillPermission && inputs < 2:
			e.Paragraph = "The coach gave hardly any information or advice, so that there was no occasion."
		case contributions < occasion:
			e.Paragraph = fmt.Sprintf("The coach spoke %s, which is too little to say.", times(contributions))
		case n > 0:
			e.Paragraph = fmt.Sprintf("The coach %s once in %d contributions, which is too little to say.", skill.did, contributions)
		default:
			e.Level = insight.NotObserved
			e.Paragraph = fmt.Sprintf("In %d contributions the coach never %s, as far as wording shows. It may not have been called for.", contributions, skill.did)
		}
		all[i] = e
	}
	return all
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// spread picks up to three quotes that lie far apart.
func spread(all []insight.Quote) []insight.Quote {
	if len(all) <= 3 {
		return all
	}
	return []insight.Quote{all[0], all[len(all)/2], all[len(all)-1]}
}
