package format

import "strings"

// detectWebVTT is certain of the header. Timing lines without it could be SubRip with dots as well.
func detectWebVTT(src *source) confidence {
	first := src.firstText()
	if first < len(src.lines) && isWebVTTHeader(src.lines[first]) {
		return certain
	}
	if timing, ok := firstTiming(src); ok && !strings.Contains(timing, ",") {
		return possible
	}
	return no
}

// parseWebVTT reads what Zoom and Teams export, and WebVTT in general.
func parseWebVTT(src *source) (*Document, error) {
	r := &cueReader{src: src, comments: true}
	at := src.firstText()
	header := isWebVTTHeader(src.lines[at])
	if header {
		at = r.readHeader(at + 1)
	} else {
		src.warn(at, WarnHeaderMissing)
	}
	r.readCues(at)
	if header && len(r.cues) == 0 {
		return nil, invalid(CodeNoCues, "the file has a WEBVTT header but no cues")
	}
	if r.product == "" {
		r.product = r.productByIDs()
	}
	return r.document()
}

// productByIDs knows Teams by the GUIDs of its cues, and Zoom by their numbers in a file with CRLF and no voices.
func (r *cueReader) productByIDs() string {
	switch {
	case isGUID(r.lastID):
		return "teams"
	case isID(r.lastID) && strings.HasPrefix(r.src.text, "WEBVTT\r\n\r\n1\r\n") && !strings.Contains(r.src.text, "<v "):
		return "zoom"
	}
	return ""
}

func isWebVTTHeader(line string) bool {
	const header = "WEBVTT"
	line = strings.TrimLeft(line, " \t")
	if len(line) < len(header) || !strings.EqualFold(line[:len(header)], header) {
		return false
	}
	return len(line) == len(header) ||
		(line[len(header)] == ' ' || line[len(header)] == '\t') && stampOf(line).form != stampSpaces // of somebody called so
}

// readHeader reads the metadata lines under WEBVTT and returns the index of the line after them. It ends at a blank line,
// or where a cue begins without one.
func (r *cueReader) readHeader(at int) int {
	lines := r.src.lines
	for ; at < len(lines) && lines[at] != ""; at++ {
		if isTiming(lines[at]) || at+1 < len(lines) && isTiming(lines[at+1]) {
			return at
		}
		r.readLanguage(lines[at])
	}
	return at
}

// isComment tells whether a line opens a block that is no cue.
func isComment(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	word, _, _ = strings.Cut(word, "\t")
	switch word {
	case "NOTE":
		return true
	case "STYLE", "REGION":
		return strings.TrimRight(line, " \t") == word
	}
	return false
}

// exportNote stands in what Export writes.
const exportNote = "NOTE Exported by Rapport"

// skipComment returns the index of the line after a NOTE, STYLE or REGION block. A timing line ends it too: the format
// forbids one inside, so a blank line is missing.
func (r *cueReader) skipComment(at int) int {
	lines := r.src.lines
	note := strings.TrimSpace(strings.TrimPrefix(lines[at], "NOTE"))
	r.readLanguage(note)
	switch {
	case lines[at] == exportNote:
		r.product = rapportProduct
	case strings.HasPrefix(note, "duration:\""):
		r.product = "teams"
	}
	for at++; at < len(lines) && lines[at] != "" && !isTiming(lines[at]); at++ {
	}
	return at
}

// readLanguage takes the language from a header's `Language: en` or from Microsoft's `NOTE language:en-us`.
func (r *cueReader) readLanguage(line string) {
	key, value, found := strings.Cut(line, ":")
	if found && r.language == "" && strings.EqualFold(strings.TrimSpace(key), "language") {
		r.language = languageTag(value)
	}
}
