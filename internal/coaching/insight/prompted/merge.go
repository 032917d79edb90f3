package prompted

import (
	"strings"

	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// merger knows what was noted, so that what two parts of a conversation share, or the model says twice, is noted once.
type merger struct {
	noted map[string][][]insight.Quote // by what it is: a kind, a heading
	named map[string]bool              // themes and points are the same if they are called the same
	coded map[int]bool
}

func newMerger() *merger {
	return &merger{noted: map[string][][]insight.Quote{}, named: map[string]bool{}, coded: map[int]bool{}}
}

// isNew tells whether something was not noted before, and notes it. It was if something of its kind rests on the same words, or on some
// of them: that is, if one's first quote stands within the other's.
func (m *merger) isNew(what, name string, quotes []insight.Quote) bool {
	name = what + " " + plain(name)
	if m.named[name] {
		return false
	}
	for _, before := range m.noted[what] {
		if same(before[0], quotes[0]) {
			return false
		}
	}
	m.named[name] = true
	m.noted[what] = append(m.noted[what], quotes)
	return true
}

// same tells whether two quotes share utterances and one's words stand within the other's.
func same(a, b insight.Quote) bool {
	if a.Last < b.First || b.Last < a.First {
		return false
	}
	x, y := plain(a.Text), plain(b.Text)
	return strings.Contains(x, y) || strings.Contains(y, x)
}

func plain(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// firstCode tells whether an utterance has no code yet, and notes that it has one now.
func (m *merger) firstCode(utterance int) bool {
	if m.coded[utterance] {
		return false
	}
	m.coded[utterance] = true
	return true
}

// evidence puts together what parts of a conversation show of each skill: what one has observed is observed; that nothing was seen
// counts for more than that there was no occasion.
type evidence map[insight.Skill]insight.Evidence

func (all evidence) add(e insight.Evidence) {
	before, known := all[e.Skill]
	switch {
	case !known || rank(e.Level) > rank(before.Level):
		all[e.Skill] = e
	case e.Level == insight.Observed && before.Level == insight.Observed:
		for _, q := range e.Citations {
			if len(before.Citations) < 3 && !same(q, before.Citations[len(before.Citations)-1]) {
				before.Citations = append(before.Citations, q)
			}
		}
		all[e.Skill] = before
	}
}

func rank(l insight.EvidenceLevel) int {
	switch l {
	case insight.Observed:
		return 2
	case insight.NotObserved:
		return 1
	}
	return 0
}
