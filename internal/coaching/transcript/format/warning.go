package format

import (
	"cmp"
	"fmt"
	"slices"
)

// The codes of warnings.
const (
	WarnNulRemoved        = "NUL_REMOVED"
	WarnControlsRemoved   = "CONTROLS_REMOVED"
	WarnWindows1252       = "DECODED_AS_WINDOWS_1252"
	WarnUTF16Assumed      = "DECODED_AS_UTF_16"
	WarnBadCharacters     = "BAD_CHARACTERS"
	WarnHeaderMissing     = "HEADER_MISSING"
	WarnTruncated         = "TRUNCATED"
	WarnEmptyCue          = "EMPTY_CUE"
	WarnTextOutsideCue    = "TEXT_OUTSIDE_CUE"
	WarnNotSpeech         = "NOT_SPEECH"
	WarnValuesTooMany     = "VALUES_TOO_MANY"
	WarnTimesUnreadable   = "TIMES_UNREADABLE"
	WarnTimesNegative     = "TIMES_NEGATIVE"
	WarnTimesBackwards    = "TIMES_BACKWARDS"
	WarnTimesUnsorted     = "TIMES_UNSORTED"
	WarnTimesBeyondADay   = "TIMES_BEYOND_A_DAY"
	WarnTimesOfDay        = "TIMES_OF_DAY"
	WarnTimesSparse       = "TIMES_SPARSE"
	WarnTimesMissing      = "TIMES_MISSING"
	WarnTimesSeconds      = "TIMES_IN_SECONDS"
	WarnTimesMilliseconds = "TIMES_IN_MILLISECONDS"
	WarnEndsMissing       = "ENDS_MISSING"
	WarnSpeakerAssumed    = "SPEAKER_ASSUMED"
	WarnSpeakerMissing    = "SPEAKER_MISSING"
	WarnSpeakersMissing   = "SPEAKERS_MISSING"
	WarnSpeakersShareCue  = "SPEAKERS_SHARE_CUE"
	WarnNameCut           = "NAME_CUT"
)

// maxWarningsPerCode is how often one code is listed before the rest is only counted. It is counted per code, not per
// file, so that a thousand harmless oddities of one kind cannot hide the one line that says the file was cut.
const maxWarningsPerCode = 20

// wording holds all that a warning can say. The texts are constants on purpose: what takes no argument quotes nobody.
func wording(code string) (message, assumed string) {
	switch code {
	case WarnNulRemoved:
		return "there are NUL characters in the text", "they are left out"
	case WarnControlsRemoved:
		return "there are control characters in the text", "they are left out"
	case WarnWindows1252:
		return "there are bytes that are not UTF-8", "they are Windows-1252"
	case WarnUTF16Assumed:
		return "the file does not say its encoding", "it is UTF-16"
	case WarnBadCharacters:
		return "there are characters that cannot be decoded", "they are shown as the replacement character"
	case WarnHeaderMissing:
		return "the file does not begin with WEBVTT", "it is WebVTT all the same"
	case WarnTruncated:
		return "the file ends in the middle", "what is whole is kept; the rest is missing"
	case WarnEmptyCue:
		return "there are no words here", "nobody spoke; it is left out"
	case WarnTextOutsideCue:
		return "there is text that belongs to no time", "it goes on from the text before it; before the first time it is left out"
	case WarnNotSpeech:
		return "there is text around the conversation", "nobody said it; it is left out"
	case WarnValuesTooMany:
		return "there are more values here than columns", "those beyond the last column are left out"
	case WarnTimesUnreadable:
		return "the times cannot be read", "it was said the moment the text before it ended"
	case WarnTimesNegative:
		return "the time is before the start of the recording", "it is the start"
	case WarnTimesBackwards:
		return "the end is before the start", "it ended when it started"
	case WarnTimesUnsorted:
		return "the times are not in order from here on", "the order of the times is right, not the order of the file"
	case WarnTimesBeyondADay:
		return "the times go beyond 24 hours from here on", "the recording is that long"
	case WarnTimesOfDay:
		return "the times are those of a clock on the wall", "the recording began with the first words"
	case WarnTimesSparse:
		return "the file tells the time only now and then", "all times are unknown"
	case WarnTimesMissing:
		return "there are columns with names that are not known, and none that is known to hold times", "all times are unknown"
	case WarnTimesSeconds:
		return "the file does not say in what unit its times are", "they are seconds, by the rate of speech"
	case WarnTimesMilliseconds:
		return "the file does not say in what unit its times are", "they are milliseconds, by the rate of speech"
	case WarnEndsMissing:
		return "the file says when people begin to speak but not when they end", "all ends are unknown"
	case WarnSpeakerAssumed:
		return "no speaker is named here", "the speaker before goes on"
	case WarnSpeakerMissing:
		return "no speaker is named here", "the speaker is unknown"
	case WarnSpeakersMissing:
		return "the file names no speakers", "all speakers are unknown"
	case WarnSpeakersShareCue:
		return "several people speak within one time", "each of them speaks the whole of it"
	case WarnNameCut:
		return "the name of the speaker is very long", "the rest of it is left out"
	default:
		panic("format: a warning code without words: " + code)
	}
}

// warnings collects what was odd, a bounded number of each kind.
type warnings struct {
	list  []Warning
	kinds map[string]*kindOfWarning
}

type kindOfWarning struct {
	seen    int
	omitted int // the line of the first that is not listed
}

func (w *warnings) add(line int, code string) {
	if w.kinds == nil {
		w.kinds = map[string]*kindOfWarning{}
	}
	kind := w.kinds[code]
	if kind == nil {
		kind = &kindOfWarning{}
		w.kinds[code] = kind
	}
	kind.seen++
	if kind.seen == maxWarningsPerCode+1 {
		kind.omitted = line
	}
	if kind.seen > maxWarningsPerCode {
		return
	}
	message, assumed := wording(code)
	w.list = append(w.list, Warning{Line: line, Code: code, Message: message, Assumed: assumed})
}

// sorted gives the warnings in the order of the file; a kind with too many ends with one that says how many more.
func (w *warnings) sorted() []Warning {
	list := slices.Clone(w.list)
	for code, kind := range w.kinds {
		if more := kind.seen - maxWarningsPerCode; more > 0 {
			_, assumed := wording(code)
			list = append(list, Warning{
				Line: kind.omitted, Code: code, Assumed: assumed,
				Message: fmt.Sprintf("and %d more of the same kind from here on", more),
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code))
	})
	return list
}
