package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// confusion counts utterances by human label (first index) and ours (second).
type confusion struct {
	labels []string
	n      [][]int
}

func newConfusion(labels []string) confusion {
	c := confusion{labels: labels, n: make([][]int, len(labels))}
	for i := range c.n {
		c.n[i] = make([]int, len(labels))
	}
	return c
}

func (c *confusion) add(human, ours string) {
	c.n[slices.Index(c.labels, human)][slices.Index(c.labels, ours)]++
}

func (c *confusion) merge(o *confusion) {
	for i := range o.n {
		for j, n := range o.n[i] {
			c.n[i][j] += n
		}
	}
}

// class counts a label: where both sides see it, where we do, where humans do.
func (c *confusion) class(i int) (both, ours, human int) {
	for j := range c.n {
		ours += c.n[j][i]
		human += c.n[i][j]
	}
	return c.n[i][i], ours, human
}

func (c *confusion) total() int {
	n := 0
	for i := range c.n {
		_, _, human := c.class(i)
		n += human
	}
	return n
}

// f1 is the harmonic mean of precision and recall of a label, NaN if neither side sees it.
func (c *confusion) f1(i int) float64 {
	both, ours, human := c.class(i)
	return 2 * float64(both) / float64(ours+human)
}

// macroF1 is the mean F1 of the labels that either side sees, NaN without any.
func (c *confusion) macroF1() float64 {
	sum, n := 0.0, 0.0
	for i := range c.n {
		if f := c.f1(i); !math.IsNaN(f) {
			sum += f
			n++
		}
	}
	return sum / n
}

// kappa is Cohen's: agreement beyond what the two sides' habits give by chance. NaN if there is nothing beyond.
func (c *confusion) kappa() float64 {
	agreed, chance, n := 0.0, 0.0, float64(c.total())
	for i := range c.n {
		both, ours, human := c.class(i)
		agreed += float64(both) / n
		chance += float64(ours) / n * float64(human) / n
	}
	return (agreed - chance) / (1 - chance)
}

// ratio is a share.
type ratio struct{ part, all int }

func (r ratio) value() float64 { return float64(r.part) / float64(r.all) }

// auc is the chance that a good session has more balance than a poor one, ties counting half (Mann and Whitney 1947). NaN
// unless there are both.
func auc(sessions []session) float64 {
	wins, pairs := 0.0, 0
	for _, h := range sessions {
		if !h.high {
			continue
		}
		for _, l := range sessions {
			if l.high {
				continue
			}
			pairs++
			switch {
			case h.balance > l.balance:
				wins++
			case h.balance == l.balance:
				wins += 0.5
			}
		}
	}
	return wins / float64(pairs)
}

// figures are the headlines, in the order of names. What cannot be computed is NaN.
type figures [5]float64

var names = [5]string{"question_f1", "therapist_macro_f1", "client_macro_f1", "session_auc", "citation_validity"}

func measure(videos []*video) figures {
	c, sessions, citations := newCounts(), []session{}, ratio{}
	for _, v := range videos {
		c.merge(&v.utterance)
		sessions = append(sessions, v.sessions...)
		citations.part += v.citations.part
		citations.all += v.citations.all
	}
	return figures{c.question.f1(0), c.therapist.macroF1(), c.client.macroF1(), auc(sessions), citations.value()}
}

// interval is a figure with its 95 % interval.
type interval struct{ value, low, high float64 }

// intervals are the percentile intervals of the bootstrap over videos (Efron 1979): utterances of one video are not
// independent, so whole videos are drawn. Resamples in which a figure cannot be computed do not count for it.
func intervals(videos []*video, resamples int) [5]interval {
	point := measure(videos)
	var drawn [5][]float64
	random := rand.New(rand.NewPCG(seed, seed))
	sample := make([]*video, len(videos))
	for range resamples {
		for i := range sample {
			sample[i] = videos[random.IntN(len(videos))]
		}
		for k, v := range measure(sample) {
			if !math.IsNaN(v) {
				drawn[k] = append(drawn[k], v)
			}
		}
	}
	var out [5]interval
	for k := range out {
		slices.Sort(drawn[k])
		out[k] = interval{point[k], quantile(drawn[k], 0.025), quantile(drawn[k], 0.975)}
	}
	return out
}

// quantile is by nearest rank; NaN of nothing.
func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}
