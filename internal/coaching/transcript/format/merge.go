package format

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// How cues become utterances. Transcribers cut speech into cues of a few seconds; two seconds of silence is where the
// measures of a conversation let a turn end, so that an utterance never spans two turns.
//
// A monologue has no such silence, so an utterance is also bounded: by 1,000 characters, which is about a minute of talk,
// a quarter of a screen, and short enough that a citation of it is read rather than skimmed; and by two minutes, for
// slow speech. Whoever needs the whole monologue joins utterances that are less than mergeGapMs apart.
const (
	mergeGapMs        = 2_000
	maxUtteranceMs    = 120_000
	maxUtteranceRunes = 1_000
)

// sortByStart puts pieces in the order of their starts if they are not, and tells src if there is one. Overlaps are real
// and stay as they are.
func sortByStart(pieces []said, src *source) {
	for i := 1; i < len(pieces); i++ {
		if pieces[i].start < pieces[i-1].start {
			if src != nil {
				src.warn(pieces[i].line, WarnTimesUnsorted)
			}
			slices.SortStableFunc(pieces, func(a, b said) int { return cmp.Compare(a.start, b.start) })
			return
		}
	}
}

// merge joins consecutive pieces of one speaker, as run decides, into utterances.
func merge(pieces []said) []Utterance {
	timed := len(pieces) > 0 && pieces[0].end != noTime
	var cues []Cue // one array for all: utterances hold windows of it
	if timed {
		cues = make([]Cue, 0, len(pieces))
	}
	var utterances []Utterance
	for len(pieces) > 0 {
		r := begin(pieces[0])
		n := 1
		for n < len(pieces) && r.takes(pieces[n]) {
			r.add(pieces[n])
			n++
		}
		u := Utterance{Speaker: pieces[0].speaker, Text: join(pieces[:n])}
		if start := pieces[0].start; start != noTime {
			u.StartMs = &start
		}
		if timed {
			first, offset := len(cues), 0
			for _, p := range pieces[:n] {
				cues = append(cues, Cue{StartMs: p.start, EndMs: p.end, Offset: offset})
				offset += utf8.RuneCountInString(p.text) + 1
			}
			u.EndMs, u.Cues = &r.end, cues[first:len(cues):len(cues)]
		}
		utterances = append(utterances, u)
		pieces = pieces[n:]
	}
	return utterances
}

// run is an utterance that is growing.
type run struct {
	speaker    int
	start, end int64 // end is the latest of its pieces: who speaks from 0 to 10 is not silent because a cue ended at 3
	runes      int
}

func begin(p said) run {
	return run{p.speaker, p.start, p.end, utf8.RuneCountInString(p.text)}
}

// takes tells whether a piece goes on with the utterance.
func (r *run) takes(p said) bool {
	switch {
	case p.speaker != r.speaker || p.bound == apart || p.end == noTime:
		return false
	case p.bound == joined:
		return true
	}
	return r.takesByRule(p)
}

// takesByRule is takes for a file that does not say. Pieces of unknown speakers are never joined: they may be two people.
func (r *run) takesByRule(p said) bool {
	return p.speaker == r.speaker && p.speaker != unknown && p.start-r.end <= mergeGapMs &&
		max(r.end, p.end)-r.start <= maxUtteranceMs && r.runes+1+utf8.RuneCountInString(p.text) <= maxUtteranceRunes
}

func (r *run) add(p said) {
	r.end = max(r.end, p.end)
	r.runes += 1 + utf8.RuneCountInString(p.text)
}

func join(pieces []said) string {
	if len(pieces) == 1 {
		return pieces[0].text
	}
	size := 0
	for _, p := range pieces {
		size += len(p.text) + 1
	}
	var b strings.Builder
	b.Grow(size)
	for i, p := range pieces {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.text)
	}
	return b.String()
}
