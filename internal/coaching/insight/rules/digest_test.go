package rules_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

func TestCommitmentsSayWhoAndWhen(t *testing.T) {
	t.Parallel()
	c := lines("I'll call Miriam by Friday, before the budget is closed.", "Coach: Good. And I'll send you the worksheet tomorrow.",
		"I'm going to write the letter myself.", "I will clear my desk by the end of the month.")
	c.On = time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)
	type commitment struct {
		role    conversation.Role
		due, on string
	}
	var got []commitment
	for _, f := range analyse(t, c) {
		if f.Kind != insight.KindCommitment {
			continue
		}
		verify(t, c, f)
		g := commitment{role: c.Speakers[f.Commitment.Speaker].Role, due: f.Commitment.Due}
		if f.Commitment.DueOn != nil {
			g.on = f.Commitment.DueOn.Format(time.DateOnly)
		}
		got = append(got, g)
	}
	all := []commitment{
		{conversation.RoleClient, "by Friday", "2026-02-06"}, {conversation.RoleCoach, "tomorrow", "2026-02-05"},
		{conversation.RoleClient, "", ""}, {conversation.RoleClient, "by the end of the month", "2026-02-28"},
	}
	// Three of a kind is what a coach reads: the dated ones come first.
	want := []commitment{all[0], all[1], all[3]}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Every point of a summary is in somebody's words, under the heading of its kind, and stands where it says.
func TestSummary(t *testing.T) {
	t.Parallel()
	c := lines("I'll call Miriam by Friday, before the budget is closed.", "Coach: Mm-hmm.", "What holds me back is the fear of looking foolish.",
		"Oh, I just realised that I never asked her.", "I'm not ready to hand that over to anyone.")
	c.On = time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)
	c.Speakers = slices.Clone(c.Speakers)
	for i := range c.Speakers {
		c.Speakers[i].Name = map[conversation.Role]string{conversation.RoleClient: "Amara", conversation.RoleCoach: "Ruth"}[c.Speakers[i].Role]
	}
	got := report(t, c)
	byHeading := map[insight.Heading]string{}
	for _, p := range got.Points {
		byHeading[p.Heading] += p.Text
		for _, q := range p.Citations {
			if !strings.Contains(c.Utterances[q.First].Text, q.Text) {
				t.Errorf("%q does not stand in utterance %d", q.Text, q.First)
			}
		}
	}
	for heading, want := range map[insight.Heading]string{
		insight.HeadingAgreements: "Amara: “I'll call Miriam by Friday, before the budget is closed” (by 6 February 2026)",
		insight.HeadingObstacles:  "Amara: “holds me back is the fear of looking foolish”",
		insight.HeadingConcerns:   "", insight.HeadingTopics: "",
	} {
		if byHeading[heading] != want {
			t.Errorf("%s: %q, want %q", heading, byHeading[heading], want)
		}
	}
	if !strings.HasPrefix(byHeading[insight.HeadingTurningPoints], "Amara: “") {
		t.Errorf("turning points: %q", byHeading[insight.HeadingTurningPoints])
	}
}

func evidence(t *testing.T, c insight.Conversation) map[insight.Skill]insight.Evidence {
	t.Helper()
	all := map[insight.Skill]insight.Evidence{}
	for _, e := range report(t, c).Skills {
		if e.Paragraph == "" || (e.Level == insight.Observed) != (len(e.Citations) > 0) {
			t.Errorf("%+v", e)
		}
		for _, q := range e.Citations {
			if !strings.Contains(c.Utterances[q.First].Text, q.Text) {
				t.Errorf("%q does not stand in utterance %d", q.Text, q.First)
			}
		}
		all[e.Skill] = e
	}
	if len(all) != 5 {
		t.Errorf("%d skills", len(all))
	}
	return all
}

func TestSkillEvidence(t *testing.T) {
	t.Parallel()
	var talk []string
	for range 10 {
		talk = append(talk, "Coach: What would you like to be different a year from now?", "I would like to have my evenings to myself.")
	}
	for range 10 {
		talk = append(talk, "Coach: Okay, thank you very much for that, Amara.", "Fine with me, go ahead.")
	}
	talk = append(talk, "Coach: When will you talk to her about it?", "Probably soon.")
	got := evidence(t, lines(talk...))
	for skill, want := range map[insight.Skill]insight.EvidenceLevel{
		insight.SkillOpenQuestions: insight.Observed, insight.SkillNextSteps: insight.Observed,
		insight.SkillAffirmations: insight.NotObserved,
		insight.SkillPermission:   insight.Insufficient, // no advice, no occasion to ask for permission
	} {
		if got[skill].Level != want {
			t.Errorf("%s: %s (%s), want %s", skill, got[skill].Level, got[skill].Paragraph, want)
		}
	}
	if n := len(got[insight.SkillOpenQuestions].Citations); n != 3 {
		t.Errorf("%d examples of ten", n)
	}
	for skill, e := range evidence(t, lines("Coach: What would you like?", "Quiet evenings.")) {
		if e.Level != insight.Insufficient {
			t.Errorf("of one question, %s is %s", skill, e.Level)
		}
	}
	for skill, e := range evidence(t, lines("Eve: What would you like?", "Bob: Quiet evenings.")) {
		if e.Level != insight.Insufficient || !strings.Contains(e.Paragraph, "Nobody") {
			t.Errorf("without roles, %s is %s: %s", skill, e.Level, e.Paragraph)
		}
	}
}

// An utterance has one main code, and no code twice.
func TestCodes(t *testing.T) {
	t.Parallel()
	c := lines("Coach: So you feel stuck. What would help you most? And what else?", "I don't know. I want to change it, though.", "Eve: Hello.")
	type key struct {
		utterance int
		code      string
	}
	seen, mains := map[key]bool{}, map[int]int{}
	for _, code := range report(t, c).Coded {
		k := key{code.Utterance, code.Code}
		if seen[k] {
			t.Errorf("%v twice", k)
		}
		seen[k] = true
		if code.Main {
			mains[code.Utterance]++
		}
		if code.Rule == "" || code.Source != insight.SourceRule || code.Scheme == "" || code.Confidence <= 0 || code.Confidence > 1 {
			t.Errorf("%+v", code)
		}
	}
	if mains[0] != 1 || mains[1] != 1 || mains[2] != 0 {
		t.Errorf("main codes: %v", mains)
	}
	for _, want := range []key{{0, "REFLECTION"}, {0, "QUESTION_OPEN"}, {1, "CHANGE_TALK"}} {
		if !seen[want] {
			t.Errorf("no %v in %v", want, seen)
		}
	}
	c.Language = "de"
	if got := report(t, c); len(got.Coded)+len(got.Skills) > 0 {
		t.Errorf("another language is coded in English: %+v", got)
	}
}
