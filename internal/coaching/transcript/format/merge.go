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

// sortByStart puts pieces in the order of their starts if they are not. Overlaps are real and stay as they are.
func sortByStart(pieces []said, src *source) {
	for i := 1; i < len(pieces); i++ {
		if pieces[i].start < pieces[i-1].start {
			src.warn(pieces[i].line, WarnTimesUnsorted)
			slices.SortStableFunc(pieces, func(a, b said) int { return cmp.Compare(a.start, b.start) })
			return
		}
	}
}

// merge joins consecutive pieces of one speaker. Pieces of unknown speakers are never joined: they may be two people.
func merge(pieces []said) []Utterance {
	cues := make([]Cue, 0, len(pieces)) // one array for all: utterances hold windows of it
	var utterances []Utterance
	for len(pieces) > 0 {
		n, end := mergeable(pieces)
		first := len(cues)
		offset, size := 0, 0
		for _, p := range pieces[:n] {
			cues = append(cues, Cue{StartMs: p.start, EndMs: p.end, Offset: offset})
			offset += utf8.RuneCountInString(p.text) + 1
			size += len(p.text) + 1
		}
		start := pieces[0].start
		utterances = append(utterances, Utterance{
			Speaker: pieces[0].speaker,
			StartMs: &start,
			EndMs:   &end,
			Text:    join(pieces[:n], size),
			Cues:    cues[first:len(cues):len(cues)],
		})
		pieces = pieces[n:]
	}
	return utterances
}

// mergeable is how many pieces from the first on make one utterance, and when the last of them ends. The gap counts from
// the latest end so far, not from the piece before: who speaks from 0 to 10 is not silent because a cue ended at 3.
func mergeable(pieces []said) (n int, end int64) {
	first := pieces[0]
	end = first.end
	if first.speaker == unknown {
		return 1, end
	}
	runes := utf8.RuneCountInString(first.text)
	for n = 1; n < len(pieces); n++ {
		next := pieces[n]
		runes += 1 + utf8.RuneCountInString(next.text)
		latest := max(end, next.end)
		if next.speaker != first.speaker || next.start-end > mergeGapMs ||
			latest-first.start > maxUtteranceMs || runes > maxUtteranceRunes {
			break
		}
		end = latest
	}
	return n, end
}

func join(pieces []said, size int) string {
	if len(pieces) == 1 {
		return pieces[0].text
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
