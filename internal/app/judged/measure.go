package judged

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
)

// Modes are what is compared.
var Modes = []search.Mode{search.Keyword, search.Semantic, search.Hybrid}

// depth is how many hits are judged: those of a first page.
const depth = 10

// Judge searches for the queries, as whose context ctx is, and returns the nDCG@10 of each.
func Judge(ctx context.Context, s *search.Service, mode search.Mode, queries []Query, moments map[string][]Moment) ([]float64, error) {
	first := depth
	scores := make([]float64, len(queries))
	for i, q := range queries {
		found, err := s.Search(ctx, search.Request{Query: q.Text, Mode: mode, Order: search.Relevance, Kinds: []search.Kind{search.Utterance}, First: &first})
		if err != nil {
			return nil, err
		}
		var shown []transcript.Span
		for _, h := range found.Hits {
			if around, ok := h.Around(); ok {
				shown = append(shown, around)
			}
		}
		scores[i] = NDCG(shown, moments[q.ID])
	}
	return scores, nil
}

// NDCG is the normalised discounted cumulative gain of the first ten hits (Järvelin and Kekäläinen 2002), with gains of 2^grade - 1. A hit finds a moment if
// what it shows, its utterance and those around it, meets it. A moment counts once: a second hit of it takes a place and gains nothing.
func NDCG(shown []transcript.Span, moments []Moment) float64 {
	found := make([]bool, len(moments))
	gained := 0.0
	for place, span := range shown[:min(depth, len(shown))] {
		best := -1
		for i, m := range moments {
			meets := m.TranscriptID == span.TranscriptID && m.First <= span.Last && span.First <= m.Last
			if meets && !found[i] && (best < 0 || m.Grade > moments[best].Grade) {
				best = i
			}
		}
		if best >= 0 {
			found[best] = true
			gained += gain(moments[best].Grade, place)
		}
	}
	grades := make([]int, len(moments))
	for i, m := range moments {
		grades[i] = m.Grade
	}
	slices.Sort(grades)
	slices.Reverse(grades)
	ideal := 0.0
	for place, grade := range grades[:min(depth, len(grades))] {
		ideal += gain(grade, place)
	}
	return gained / ideal
}

func gain(grade, place int) float64 {
	return (math.Exp2(float64(grade)) - 1) / math.Log2(float64(place)+2)
}

// Interval is a mean with its 95 % interval.
type Interval struct{ Mean, Low, High float64 }

const (
	resamples = 10_000
	seed      = 20260101 // fixed, so that the same scores give the same intervals
)

// Mean is the mean with the percentile interval of the bootstrap over queries (Efron 1979). Of the differences of two ways of searching, query
// by query, it says whether one is better.
func Mean(scores []float64) Interval {
	random := rand.New(rand.NewPCG(seed, seed))
	drawn := make([]float64, resamples)
	for i := range drawn {
		for range scores {
			drawn[i] += scores[random.IntN(len(scores))]
		}
		drawn[i] /= float64(len(scores))
	}
	slices.Sort(drawn)
	sum := 0.0
	for _, s := range scores {
		sum += s
	}
	return Interval{sum / float64(len(scores)), drawn[resamples*25/1000], drawn[resamples*975/1000]}
}
