package conversation

import (
	"math"
	"slices"
)

const (
	minThinkingMs  = 3000   // from here on, waiting changes answers (Rowe 1986)
	minStyleWords  = 100    // on each side
	minEchoWords   = 50     // content words
	styleSmoothing = 0.0001 // of Ireland and Pennebaker, for a class that neither uses
)

// dyad measures between all who coach and all who are clients.
func (h *heard) dyad() (d Dyad) {
	coach, coaches := h.sum(RoleCoach)
	client, clients := h.sum(RoleClient)
	if coaches == 0 || clients == 0 {
		return d
	}
	if h.pausesKnown() {
		d.PatienceMs = h.latency(RoleClient, RoleCoach)
		d.ResponseLatencyMs = h.latency(RoleCoach, RoleClient)
		if h.quality.WordingAvailable {
			d.ThinkingPauses = h.thinkingPauses()
		}
	}
	if h.overlapsKnown() {
		d.CoachInterruptions = h.interruptions(RoleCoach, RoleClient)
		d.ClientInterruptions = h.interruptions(RoleClient, RoleCoach)
	}
	if h.quality.WordingAvailable {
		d.LanguageStyleMatch = styleMatch(&coach, &client)
		d.CoachEcho = h.echo(RoleClient, RoleCoach)
		d.ClientEcho = h.echo(RoleCoach, RoleClient)
	}
	d.TurnEntropy = entropy(coach.turns, client.turns)
	return d
}

func (h *heard) has(speaker int, role Role) bool {
	return speaker != nobody && h.Speakers[speaker].Role == role
}

// follows yields the turns of a role that come right after one of another role. Back-channels come between no two turns:
// "mm-hmm" is not the answer that was waited for.
func (h *heard) follows(from, to Role, yield func(before, t *turn)) {
	for i := range h.turns {
		t := &h.turns[i]
		if !t.backchannel && t.before != none && h.has(t.speaker, to) && h.has(h.turns[t.before].speaker, from) {
			yield(&h.turns[t.before], t)
		}
	}
}

func (h *heard) latency(from, to Role) *Quantiles {
	var gaps []int64
	h.follows(from, to, func(before, t *turn) {
		if before.timed && t.timed {
			gaps = append(gaps, max(0, t.start-before.end))
		}
	})
	if len(gaps) == 0 {
		return nil
	}
	slices.Sort(gaps)
	return &Quantiles{Count: len(gaps), Median: nearestRank(gaps, 50), P90: nearestRank(gaps, 90)}
}

// nearestRank is the smallest value that at least percent of the sorted values do not exceed.
func nearestRank(sorted []int64, percent int) int64 {
	return sorted[(len(sorted)*percent+99)/100-1]
}

// thinkingPauses are the silences after a coach's question that coach or client end.
func (h *heard) thinkingPauses() *ThinkingPauses {
	unbroken, broken := 0, 0
	for i := range h.turns {
		t := &h.turns[i]
		if t.backchannel || t.before == none {
			continue
		}
		before := &h.turns[t.before]
		if !h.has(before.speaker, RoleCoach) || !before.asks || !before.timed || !t.timed || t.start-before.end < minThinkingMs {
			continue
		}
		switch {
		case h.has(t.speaker, RoleClient):
			unbroken++
		case h.has(t.speaker, RoleCoach):
			broken++
		}
	}
	return &ThinkingPauses{Count: unbroken + broken, UnbrokenShare: ratio(unbroken, unbroken+broken)}
}

// interruptions counts how often somebody in one role interrupts somebody in another.
func (h *heard) interruptions(by, of Role) *int {
	n := 0
	for i, a := range h.interrupted {
		if a != none && h.has(h.runs[i].speaker, by) && h.has(h.runs[a].speaker, of) {
			n++
		}
	}
	return &n
}

func styleMatch(a, b *tally) *float64 {
	if a.turnWords < minStyleWords || b.turnWords < minStyleWords {
		return nil
	}
	sum := 0.0
	for c := range functionClasses {
		x, y := *per100(a.classes[c], a.turnWords), *per100(b.classes[c], b.turnWords)
		sum += 1 - math.Abs(x-y)/(x+y+styleSmoothing)
	}
	match := sum / float64(functionClasses)
	return &match
}

// echo is the share of content words in turns of a role that come back from the turn of another role right before.
func (h *heard) echo(from, to Role) *float64 {
	content, echoed := 0, 0
	h.follows(from, to, func(_, t *turn) {
		content += t.content
		echoed += t.echoed
	})
	if content < minEchoWords {
		return nil
	}
	return ratio(echoed, content)
}

// entropy of two counts, in bits.
func entropy(a, b int) *float64 {
	if a+b == 0 {
		return nil
	}
	bits := 0.0
	for _, n := range []int{a, b} {
		if n > 0 {
			p := float64(n) / float64(a+b)
			bits -= p * math.Log2(p)
		}
	}
	return &bits
}
