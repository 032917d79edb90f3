package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
)

func TestFuse(t *testing.T) {
	t.Parallel()
	a, b := transcript.ID{UUID: id.New()}, transcript.ID{UUID: id.New()}
	words := Ranked{Weight: 1, Spans: []transcript.Span{{TranscriptID: a, First: 7, Last: 7}, {TranscriptID: b, First: 1, Last: 1}, {TranscriptID: b, First: 9, Last: 9}}}
	meaning := Ranked{Weight: 1, Spans: []transcript.Span{{TranscriptID: b, First: 8, Last: 12}, {TranscriptID: a, First: 20, Last: 24}, {TranscriptID: b, First: 6, Last: 9}}}
	got := Fuse(words, meaning)
	want := []struct {
		span  transcript.Span
		ranks [2]int
	}{
		{transcript.Span{TranscriptID: b, First: 9, Last: 9}, [2]int{3, 1}},
		{transcript.Span{TranscriptID: a, First: 7, Last: 7}, [2]int{1, 0}},
		{transcript.Span{TranscriptID: b, First: 1, Last: 1}, [2]int{2, 0}},
		{transcript.Span{TranscriptID: a, First: 20, Last: 24}, [2]int{0, 2}},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(f Fused) bool { return f.Span == w.span })
		if i < 0 || got[i].Ranks[0] != w.ranks[0] || got[i].Ranks[1] != w.ranks[1] {
			t.Errorf("%+v: %+v", w, got)
			continue
		}
		score := 0.0
		for _, rank := range w.ranks {
			if rank > 0 {
				score += 1 / float64(60+rank)
			}
		}
		if math.Abs(got[i].Score-score) > 1e-12 {
			t.Errorf("%+v: score %f, want %f", w, got[i].Score, score)
		}
	}
	if got[0].Span != want[0].span {
		t.Error("what both have found does not come first")
	}
}

// No utterance is in two hits of a fusion that have a common one in each list, nothing is lost, and the order is by score.
func TestFuseProperties(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 3))
	ids := []transcript.ID{{UUID: id.New()}, {UUID: id.New()}, {UUID: id.New()}}
	for range 300 {
		lists := make([]Ranked, 1+random.IntN(3))
		for l := range lists {
			lists[l].Weight = 0.5 + random.Float64()
			for range random.IntN(30) {
				first := random.IntN(60)
				lists[l].Spans = append(lists[l].Spans, transcript.Span{TranscriptID: ids[random.IntN(3)], First: first, Last: first + random.IntN(6)})
			}
		}
		fused := Fuse(lists...)
		for i, f := range fused {
			if i > 0 && f.Score > fused[i-1].Score {
				t.Fatal("not in order")
			}
			for l, rank := range f.Ranks {
				if rank > 0 {
					s := lists[l].Spans[rank-1]
					if s.TranscriptID != f.Span.TranscriptID || s.Last-s.First < f.Span.Last-f.Span.First {
						t.Fatal(fmt.Sprintf("%+v is not of %+v", f, s))
					}
				}
			}
		}
		for _, list := range lists {
			for _, s := range list.Spans { // what was found is found, by itself or by what it meets
				if !slices.ContainsFunc(fused, func(f Fused) bool {
					return f.Span.TranscriptID == s.TranscriptID && f.Span.First <= s.Last+6 && s.First <= f.Span.Last+6
				}) {
					t.Fatalf("%+v is lost", s)
				}
			}
		}
	}
}
