package format

import "strings"

// cueReader reads the blocks of `id, start --> end, payload` that WebVTT and SubRip share.
type cueReader struct {
	src      *source
	comments bool // NOTE, STYLE and REGION blocks are no speech
	language string
	product  string // that wrote the file, "" if it cannot be told
	lastID   string // of the cue before, "" if it had none
	cues     []rawCue
}

// rawCue is a cue before anybody has looked at its payload.
type rawCue struct {
	line       int // index of its timing line
	start, end int64
	payload    []string
	bound      bound
}

// markApart and markJoined stand before the words of a cue where utterances do not begin as they do by rule: tags with
// nothing in them, which no player shows. Export writes them for transcripts that somebody has edited.
const (
	markApart  = "<u></u>"
	markJoined = "<i></i>"
)

// readCues reads all blocks from the line at this index on. Blank lines between cues may be missing.
func (r *cueReader) readCues(at int) {
	lines := r.src.lines
	blockStart := true
	id := ""
	for at < len(lines) {
		line := lines[at]
		switch {
		case blank(line):
			blockStart = true
			at++
		case isTiming(line):
			at = r.readCue(at, id)
			id, blockStart = "", true
		case r.comments && blockStart && isComment(line):
			at = r.skipComment(at)
		case at+1 < len(lines) && isTiming(lines[at+1]) && (blockStart || isID(line)):
			id = line
			at++
		case r.isCutCue(at):
			r.src.warn(at, WarnTruncated)
			return
		default:
			r.readStrayText(at, blockStart)
			blockStart = false
			at++
		}
	}
}

// readCue reads the cue whose timing line is at this index and returns the index of the line after it.
func (r *cueReader) readCue(at int, id string) int {
	lines := r.src.lines
	if at == len(lines)-1 {
		r.src.warn(at, WarnTruncated)
		return at + 1
	}
	start, end, ok := parseTiming(lines[at])
	if !ok {
		r.src.warn(at, WarnTimesUnreadable)
		start = 0
		if n := len(r.cues); n > 0 {
			start = r.cues[n-1].end
		}
		end = start
	}
	start, end = inOrder(r.src, at, start, end)
	from := at + 1
	to := from
	for to < len(lines) && !r.endsPayload(to, id) {
		to++
	}
	// The capacity is clipped: stray text is appended later and must not overwrite the file.
	cue := rawCue{line: at, start: start, end: end, payload: lines[from:to:to]}
	if from < to {
		if rest, marked := strings.CutPrefix(lines[from], markApart); marked {
			cue.bound, lines[from] = apart, rest
		} else if rest, marked := strings.CutPrefix(lines[from], markJoined); marked {
			cue.bound, lines[from] = joined, rest
		}
	}
	r.cues = append(r.cues, cue)
	r.lastID = id
	return to
}

// inOrder moves a time before the recording to its start, and an end before its start to it.
func inOrder(src *source, line int, start, end int64) (int64, int64) {
	if start < 0 || end < 0 && end != noTime {
		src.warn(line, WarnTimesNegative)
		start = max(0, start)
		if end != noTime {
			end = max(0, end)
		}
	}
	if end != noTime && end < start {
		src.warn(line, WarnTimesBackwards)
		end = start
	}
	return start, end
}

// endsPayload tells whether the line at this index belongs to the payload no more. Only an empty line ends it, not one
// of spaces: YouTube begins payloads with such a line.
func (r *cueReader) endsPayload(at int, id string) bool {
	lines := r.src.lines
	if lines[at] == "" || isTiming(lines[at]) {
		return true
	}
	// Without a blank line before it, a number is the next cue's id only where cues have ids; else somebody said it.
	return id != "" && at+1 < len(lines) && isTiming(lines[at+1]) && isID(lines[at])
}

// readStrayText adds text that stands in no cue to the cue before it: some editors leave blank lines within payloads.
func (r *cueReader) readStrayText(at int, blockStart bool) {
	line := r.src.lines[at]
	if len(r.cues) > 0 && r.lastID != "" && isID(line) {
		r.src.warn(at, WarnEmptyCue) // an id that lost its cue
		return
	}
	if blockStart {
		r.src.warn(at, WarnTextOutsideCue)
	}
	if n := len(r.cues); n > 0 {
		r.cues[n-1].payload = append(r.cues[n-1].payload, line)
	}
}

// isCutCue tells whether all that is left from this index on is the beginning of a cue: an id, a part of one, a part of
// a timing line, or both.
func (r *cueReader) isCutCue(at int) bool {
	var left []string
	for _, l := range r.src.lines[at:] {
		if !blank(l) {
			left = append(left, l)
		}
		if len(left) > 2 {
			return false
		}
	}
	if len(left) == 2 {
		return isID(left[0]) && isClockFragment(left[1])
	}
	return isID(left[0]) || isClockFragment(left[0]) ||
		r.src.open && isGUID(r.lastID) && len(left[0]) < len(r.lastID) && strings.Trim(left[0], guidLetters) == ""
}

const guidLetters = "0123456789abcdefABCDEF-/_"

// isID tells whether a line can only be a cue's id: a number (Zoom, SubRip) or a GUID with more (Teams). WebVTT allows any
// text, but then only the blank line before it tells it from speech.
func isID(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && (strings.Trim(line, "0123456789") == "" || isGUID(line))
}

func isGUID(s string) bool {
	const length = 36
	return len(s) >= length && strings.Contains(s, "-") && strings.Trim(s, guidLetters) == ""
}
