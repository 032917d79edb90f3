package format

import "strings"

// source is a decoded file: what every format's parser reads from.
type source struct {
	text   string
	lines  []string // without their ends; only after split
	open   bool     // the last line has no end: the file may have been cut there
	notes  *warnings
	layout *layout // of plain text, once somebody has asked
}

// newSource decodes a file of at most this many bytes; 0 means MaxBytes.
func newSource(content []byte, most int) (*source, error) {
	if most <= 0 {
		most = MaxBytes
	}
	if len(content) > most {
		return nil, invalid(CodeTooLarge, "the file has more than the %s that can be imported", byteCount(most))
	}
	if err := foreignBinary(content); err != nil {
		return nil, err
	}
	notes := &warnings{}
	text, err := decode(content, notes)
	if err != nil {
		return nil, err
	}
	return &source{text: text, notes: notes}, nil
}

// split splits the text at CR, LF and CRLF, mixed as they may be.
func (s *source) split() error {
	if s.lines != nil {
		return nil
	}
	text := s.text
	n := countLines(text)
	if n > MaxLines {
		return invalid(CodeTooManyLines, "the file has %d lines, %d are the most that can be imported", n, MaxLines)
	}
	s.lines = make([]string, 0, n)
	for text != "" {
		end := strings.IndexAny(text, "\r\n")
		if end < 0 {
			s.lines = append(s.lines, text)
			s.open = true
			break
		}
		s.lines = append(s.lines, text[:end])
		if strings.HasPrefix(text[end:], "\r\n") {
			end++
		}
		text = text[end+1:]
	}
	return nil
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
