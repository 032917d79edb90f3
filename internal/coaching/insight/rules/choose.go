package rules

import (
	"cmp"
	"math"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/insight"
)

// candidate is a finding that may be chosen.
type candidate struct {
	insight.Finding

	said  string // the words it rests on, in one form, to recognise a repetition
	topic string // of a theme
}

// A coach reads a handful of insights with care and skims the rest, so the best few leave and the others stay.
const (
	maxPerKind = 3
	maxTotal   = 15
)

// choose takes the best passages and wholes within the caps and returns the passages in order of the conversation, then
// the wholes. A flagged risk is never crowded out by something else.
func choose(passages, wholes []candidate) []candidate {
	all := slices.Concat(passages, wholes)
	ranked := make([]int, len(all))
	for i := range ranked {
		ranked[i] = i
	}
	slices.SortStableFunc(ranked, func(a, b int) int {
		if c := cmp.Compare(urgency(all[b]), urgency(all[a])); c != 0 {
			return c
		}
		return cmp.Compare(all[b].Confidence, all[a].Confidence)
	})
	perKind := map[insight.Kind]int{}
	said := map[string]bool{}
	var chosen []int
	for _, i := range ranked {
		c := all[i]
		if len(chosen) == maxTotal || perKind[c.Kind] == maxPerKind || c.said != "" && said[c.said] {
			continue
		}
		perKind[c.Kind]++
		said[c.said] = true
		chosen = append(chosen, i)
	}
	slices.Sort(chosen)
	out := make([]candidate, len(chosen))
	for i, j := range chosen {
		out[i] = all[j]
		out[i].Confidence = math.Round(100*out[i].Confidence) / 100 // no more digits than the estimate has
	}
	return out
}

func urgency(c candidate) int {
	if c.Kind == insight.KindRiskFlag {
		return 1
	}
	return 0
}
