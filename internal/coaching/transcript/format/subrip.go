package format

import "strings"

// detectSubRip goes by the comma before the milliseconds, which WebVTT does not allow.
func detectSubRip(src *source) confidence {
	timing, ok := firstTiming(src)
	switch {
	case !ok:
		return no
	case strings.Contains(timing, ","):
		return likely
	default:
		return possible
	}
}

// parseSubRip reads .srt files. They differ from WebVTT in having no header and no comments.
func parseSubRip(src *source) (*Document, error) {
	r := &cueReader{src: src}
	r.readCues(0)
	return r.document()
}

// firstTiming finds the first line whose times can be read.
func firstTiming(src *source) (string, bool) {
	for _, l := range src.lines {
		if isTiming(l) {
			if _, _, ok := parseTiming(l); ok {
				return l, true
			}
		}
	}
	return "", false
}
