// Package rules is the built-in analyser: phrases, guards and counts, no model and no network.
//
// It is deterministic, and each finding says which words it rests on and why they were flagged. It prefers silence to a
// doubtful finding: what is negated, reported, hypothetical or asked is not what somebody means to do or feels.
//
// A finding's confidence estimates the share of findings like it that a careful reader of the passage would agree with:
// 0.8 and more for explicit wording that leaves little else to mean, 0.6 to 0.8 for wording that usually means it, below
// for leads worth a look. The estimates are set by hand and are not probabilities of anything about the person.
package rules

import (
	"context"
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// Version is raised whenever a change of this package can change a finding.
const Version = "3"

// Analyser finds insights by rules. Its zero value is ready for use, and safe for concurrent use.
type Analyser struct{}

var _ insight.Analyser = Analyser{}

// Engine implements insight.Analyser.
func (Analyser) Engine() insight.Engine { return insight.Engine{Name: "rules", Version: Version} }

// Analyse implements insight.Analyser: codes first, then findings, then the summary and the evidence of skills. Findings that rest on one passage come first, in the order of the conversation;
// those that rest on the whole of it (themes, a shift of emotion, evidence of the coach's skill) follow. The phrases are
// English: a conversation in another language yields themes, and a summary of them.
func (Analyser) Analyse(ctx context.Context, c insight.Conversation, to insight.Report) error {
	t, err := read(ctx, c)
	if err != nil {
		return err
	}
	var passages, wholes []candidate
	var coded []coding.Utterance
	if english(c.Language) {
		coded = coding.Apply(c.Speakers, c.Utterances)
		if err := to.Codes(codes(coded)); err != nil {
			return err
		}
		if passages, err = t.passages(ctx); err != nil {
			return err
		}
		wholes = append(wholes, t.emotionShift()...)
		wholes = append(wholes, t.skills()...)
	}
	wholes = append(wholes, t.themes()...)

	found := choose(passages, wholes)
	for _, f := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := to.Insight(f.Finding); err != nil {
			return err
		}
	}
	for _, p := range t.summary(found) {
		if err := to.Point(p); err != nil {
			return err
		}
	}
	if coded == nil {
		return nil
	}
	for _, e := range t.evidence(coded) {
		if err := to.Evidence(e); err != nil {
			return err
		}
	}
	return nil
}

func english(language string) bool {
	primary, _, _ := strings.Cut(strings.ToLower(language), "-")
	return primary == "" || primary == "en" || primary == "eng"
}

// talk is a conversation split into sentences.
type talk struct {
	insight.Conversation

	sentences []sentence
	first     []int // utterance → index of its first sentence; one more at the end
}

// checkEvery is how many utterances are read between two looks at the context.
const checkEvery = 64

func read(ctx context.Context, c insight.Conversation) (*talk, error) {
	t := &talk{Conversation: c, first: make([]int, 0, len(c.Utterances)+1)}
	for i, u := range c.Utterances {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.first = append(t.first, len(t.sentences))
		role := t.role(u.Speaker)
		for text := range conversation.Sentences(u.Text) {
			if s := newSentence(i, u.Speaker, role, text); len(s.tokens) > 0 {
				t.sentences = append(t.sentences, s)
			}
		}
	}
	t.first = append(t.first, len(t.sentences))
	return t, ctx.Err()
}

func (t *talk) role(speaker int) conversation.Role {
	if speaker < 0 || speaker >= len(t.Speakers) || t.Speakers[speaker].Role == "" {
		return conversation.RoleUnknown
	}
	return t.Speakers[speaker].Role
}

// of returns the sentences of an utterance.
func (t *talk) of(utterance int) []sentence {
	return t.sentences[t.first[utterance]:t.first[utterance+1]]
}

// passages finds what rests on a single passage, in one pass over the conversation.
func (t *talk) passages(ctx context.Context) ([]candidate, error) {
	var found []candidate
	usual := t.usualAnswer()
	for u := range t.Utterances {
		if u%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for i := t.first[u]; i < t.first[u+1]; i++ {
			s := &t.sentences[i]
			for _, rule := range []func(*sentence) (candidate, bool){t.risk, t.commitment, t.statement, t.affirmed} {
				if c, ok := rule(s); ok {
					found = append(found, c)
					break // the graver reading of a sentence is the one to keep
				}
			}
		}
		if c, ok := t.question(u, usual); ok {
			found = append(found, c)
		}
	}
	return found, nil
}
