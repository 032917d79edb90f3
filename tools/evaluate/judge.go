package main

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// video is what is compared, by the unit that is resampled: conversations of one video share people and manner.
type video struct {
	url       string
	utterance counts
	citations ratio
	sessions  []session
	certainty map[string]*certainty // by human label
}

// counts are the comparisons of utterances.
type counts struct {
	question  confusion // does a therapist's utterance ask?
	openness  confusion // of questions that both sides see
	therapist confusion
	client    confusion
}

func newCounts() counts {
	return counts{newConfusion(yesNo), newConfusion(subtypes), newConfusion(behaviours), newConfusion(talkTypes)}
}

func (c *counts) merge(o *counts) {
	c.question.merge(&o.question)
	c.openness.merge(&o.openness)
	c.therapist.merge(&o.therapist)
	c.client.merge(&o.client)
}

// session is a conversation by its balance (coding.Balance): do the good ones have more of it?
type session struct {
	high    bool
	balance float64
}

// certainty is what a code's confidence promises and what it holds.
type certainty struct {
	n          int
	confidence float64 // sum
	agreed     int
}

const (
	coach  = 0
	client = 1
)

var speakers = []conversation.Speaker{{Name: "Coach", Role: conversation.RoleCoach}, {Name: "Client", Role: conversation.RoleClient}}

// judge has each conversation coded and looked into as the product does, and compares. Videos come in the order in which the file names
// them first.
func judge(ctx context.Context, talks []talk, by reader) ([]*video, error) {
	var videos []*video
	index := map[string]*video{}
	for _, t := range talks {
		v := index[t.video]
		if v == nil {
			v = &video{url: t.video, utterance: newCounts(), certainty: map[string]*certainty{}}
			index[t.video] = v
			videos = append(videos, v)
		}
		utterances := make([]conversation.Utterance, len(t.rows))
		for i, r := range t.rows {
			utterances[i] = conversation.Utterance{Speaker: client, Text: r.text}
			if r.therapist {
				utterances[i].Speaker = coach
			}
		}
		coded, found, err := by.read(ctx, utterances)
		if err != nil {
			return nil, fmt.Errorf("transcript %s: %w", t.id, err)
		}
		for i, r := range t.rows {
			v.compare(r, coded[i])
		}
		if b := coding.Balance(coded); b != nil {
			v.sessions = append(v.sessions, session{t.high, *b})
		}
		v.cite(utterances, found)
	}
	return videos, nil
}

func (v *video) compare(r row, u coding.Utterance) {
	human, ours := r.leans, labelOf(u.Code, "neutral")
	if r.therapist {
		human, ours = r.behaviour, labelOf(u.Code, "other")
		v.utterance.therapist.add(human, ours)
		v.utterance.question.add(truth(r.asks), truth(u.Asks()))
		if r.asks && u.Asks() {
			v.utterance.openness.add(r.subtype, opennessOf(u))
		}
	} else {
		v.utterance.client.add(human, ours)
	}
	c := v.certainty[ours]
	if c == nil {
		c = &certainty{}
		v.certainty[ours] = c
	}
	c.n++
	c.confidence += u.Confidence
	if human == ours {
		c.agreed++
	}
}

// labelOf is the annotation's word for a code; wordless is that for an utterance without a word.
func labelOf(c coding.Code, wordless string) string {
	switch {
	case c.IsQuestion():
		return "question"
	case c.IsInput():
		return "therapist_input"
	}
	switch c {
	case coding.Reflection:
		return "reflection"
	case coding.Affirmation, coding.Other: // the annotation has no label of its own for affirmations
		return "other"
	case coding.ChangeTalk:
		return "change"
	case coding.SustainTalk:
		return "sustain"
	case coding.Neutral:
		return "neutral"
	}
	return wordless
}

// opennessOf is open if any of the questions is.
func opennessOf(u coding.Utterance) string {
	for _, s := range u.Sentences {
		if s.Code == coding.QuestionOpen {
			return "open"
		}
	}
	return "closed"
}

func truth(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// cite counts the citations of an analyser that stand in the transcript, by the check that its proposals have to pass. A proposal
// without any, that needs one, counts as one that does not.
func (v *video) cite(utterances []conversation.Utterance, all *insight.Collection) {
	count := func(quotes []insight.Quote) {
		if len(quotes) == 0 {
			v.citations.all++
		}
		for _, q := range quotes {
			v.citations.all++
			if insight.Stands(utterances, q) {
				v.citations.part++
			}
		}
	}
	for _, f := range all.Findings {
		count(f.Citations)
	}
	for _, p := range all.Points {
		count(p.Citations)
	}
	for _, e := range all.Skills {
		if e.Level == insight.Observed {
			count(e.Citations)
		}
	}
}

// heldOut tells whether a video is of the part that rules were not tried on: those whose URL has a SHA-256 that 3 divides.
// As 256 leaves 1, the digest leaves what the sum of its bytes does.
func heldOut(v *video) bool {
	sum := 0
	for _, b := range sha256.Sum256([]byte(v.url)) {
		sum += int(b)
	}
	return sum%3 == 0
}
