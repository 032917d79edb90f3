package format

import "strings"

// source is a decoded file as lines: what every format's parser reads from.
type source struct {
	lines []string // without their ends
	open  bool     // the last line has no end: the file may have been cut there
	notes *warnings
}

// newSource splits text at CR, LF and CRLF, mixed as they may be.
func newSource(text string, notes *warnings) (*source, error) {
	n := countLines(text)
	if n > MaxLines {
		return nil, invalid(CodeTooManyLines, "the file has %d lines, %d are the most that can be imported", n, MaxLines)
	}
	src := &source{lines: make([]string, 0, n), notes: notes}
	for text != "" {
		end := strings.IndexAny(text, "\r\n")
		if end < 0 {
			src.lines = append(src.lines, text)
			src.open = true
			break
		}
		src.lines = append(src.lines, text[:end])
		if strings.HasPrefix(text[end:], "\r\n") {
			end++
		}
		text = text[end+1:]
	}
	return src, nil
}

// warn notes an oddity on the line with this index.
func (s *source) warn(index int, code string) { s.notes.add(index+1, code) }

// firstText is the index of the first line that is not blank, len(lines) if there is none.
func (s *source) firstText() int {
	for i, l := range s.lines {
		if !blank(l) {
			return i
		}
	}
	return len(s.lines)
}

// countLines counts line ends, and a last line that has none.
func countLines(text string) int {
	n := strings.Count(text, "\n") + strings.Count(text, "\r") - strings.Count(text, "\r\n")
	if text != "" && !strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\r") {
		n++
	}
	return n
}

// lineAt is the 1-based number of the line in which the byte at offset stands.
func lineAt(text string, offset int) int {
	return countLines(text[:offset] + ".")
}
