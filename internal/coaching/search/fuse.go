package search

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
)

// Reciprocal rank fusion: a hit counts weight ÷ (rankOffset + rank) in each list that has it, and the sums decide. Scores of different searches do
// not compare, ranks do. With an offset of 60, as it was published (Cormack, Clarke and Büttcher 2009), the first places of two lists weigh more than
// the first of one, and no list can outvote the other with its tail.
const rankOffset = 60

// The weights of the lists of a hybrid search. What has the words is surer than what is like them, but less often what is looked for.
const (
	KeywordWeight  = 1.0
	SemanticWeight = 1.0
)

// Ranked is one list of a fusion: what was found, the best first.
type Ranked struct {
	Weight float64
	Spans  []transcript.Span
}

// Fused is a hit of several lists.
type Fused struct {
	Span  transcript.Span
	Score float64
	Ranks []int // in each list, from 1; 0 where it is not in it
}

// Fuse merges lists by reciprocal rank. Hits of the same utterances are one: those whose ranges meet in a transcript become the shortest of
// them, and of each list only the best of them counts.
func Fuse(lists ...Ranked) []Fused {
	type entry struct {
		list, rank int
		span       transcript.Span
		score      float64
	}
	var all []entry
	for l, list := range lists {
		for i, span := range list.Spans {
			all = append(all, entry{l, i + 1, span, list.Weight / float64(rankOffset+i+1)})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.list, b.list)) })
	var fused []Fused
	of := map[transcript.ID][]int{} // the hits of a transcript
	for _, e := range all {
		at := -1
		for _, i := range of[e.span.TranscriptID] {
			if f := fused[i].Span; f.First <= e.span.Last && e.span.First <= f.Last {
				at = i
				break
			}
		}
		if at < 0 {
			of[e.span.TranscriptID] = append(of[e.span.TranscriptID], len(fused))
			at = len(fused)
			fused = append(fused, Fused{Span: e.span, Ranks: make([]int, len(lists))})
		}
		f := &fused[at]
		if f.Ranks[e.list] != 0 {
			continue // a better one of this list is in it
		}
		f.Ranks[e.list], f.Score = e.rank, f.Score+e.score
		if e.span.Last-e.span.First < f.Span.Last-f.Span.First {
			f.Span = e.span
		}
	}
	slices.SortStableFunc(fused, func(a, b Fused) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), bytes.Compare(a.Span.TranscriptID.UUID[:], b.Span.TranscriptID.UUID[:]), cmp.Compare(a.Span.First, b.Span.First))
	})
	return fused
}
