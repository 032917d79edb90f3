package format

import "strings"

// detectCSV goes by the first line: names of columns, one of them that of the words.
func detectCSV(src *source) confidence {
	if _, ok := columnsOf(src); ok {
		return likely
	}
	return no
}

// columns says what each column holds, and what separates them.
type columns struct {
	comma  byte
	fields []field
	header int  // index of the line with the names
	odd    bool // some of the names are not known, and none is that of a time
}

// columnsOf reads the names of the columns. What separates them is what gives the most names; Excel's `sep=;` says it.
func columnsOf(src *source) (best columns, ok bool) {
	at := src.firstText()
	if at == len(src.lines) {
		return best, false
	}
	commas := "\t,;|"
	if said, found := strings.CutPrefix(src.lines[at], "sep="); found && len(said) == 1 {
		commas = said
		at++
	}
	const longest = 1000 // bytes
	if at == len(src.lines) || len(src.lines[at]) > longest {
		return best, false
	}
	most := 0
	for _, comma := range []byte(commas) {
		c := columns{comma: comma, header: at}
		names, _, _ := readRow(src.lines[at:at+1], 0, comma)
		known := 0
		var has [partText + 1]bool
		for _, name := range names {
			f := fieldOf(name)
			c.fields = append(c.fields, f)
			if f.part != partNone {
				known++
			}
			has[f.part] = true
		}
		if has[partText] && (has[partSpeaker] || has[partStart]) && known > most {
			c.odd = known < len(names) && !has[partStart]
			best, most = c, known
		}
	}
	return best, most > 0
}

// parseCSV reads one utterance a row.
func parseCSV(src *source) (*Document, error) {
	c, ok := columnsOf(src)
	if !ok {
		return nil, invalid(CodeUnknownFormat, "the first line names no columns that can be read: expected are text (or transcript, "+
			"utterance, sentence), and speaker (or name) or start (or time, timestamp), separated by comma, semicolon or tab")
	}
	r := &recordReader{src: src}
	if c.odd {
		src.warn(c.header, WarnTimesMissing)
	}
	for at := c.header + 1; at < len(src.lines); {
		if blank(src.lines[at]) {
			at++
			continue
		}
		row, next, open := readRow(src.lines, at, c.comma)
		if open {
			src.warn(at, WarnTruncated)
		}
		row = c.whole(row)
		if len(row) > len(c.fields) {
			src.warn(at, WarnValuesTooMany)
		}
		rec := record{line: at}
		var ranks [partText + 1]int
		for i, value := range row[:min(len(row), len(c.fields))] {
			f := c.fields[i]
			if f.part == partNone || ranks[f.part] > 0 && ranks[f.part] <= f.rank || blank(value) {
				continue
			}
			ranks[f.part] = f.rank
			if f.part == partSpeaker {
				value = labelled(value)
			}
			rec.set(f.part, value, f.unit)
		}
		rec.close()
		r.records = append(r.records, rec)
		at = next
	}
	if len(r.records) == 0 {
		return nil, invalid(CodeNoCues, "the file has names of columns, but no rows")
	}
	return r.document()
}

// whole joins what was parted because a separator within the text, the last column, stands in no quotes. What is beyond another column belongs
// to none of them, but for separators at the end of the line.
func (c columns) whole(row []string) []string {
	last := len(c.fields) - 1
	end := len(row)
	for end > last+1 && blank(row[end-1]) {
		end--
	}
	if row = row[:end]; end > last+1 && c.fields[last].part == partText {
		row = append(row[:last:last], strings.Join(row[last:], string(c.comma)))
	}
	return row
}

// readRow reads the row that begins in this line, and says in which the next one does. Between quotes, the separator and
// ends of lines are text, and two quotes are one; open says that they are never closed. A quote elsewhere is text.
func readRow(lines []string, at int, comma byte) (row []string, next int, open bool) {
	line := lines[at]
	for {
		quoted := strings.HasPrefix(strings.TrimLeft(line, " "), `"`)
		if !quoted {
			value, rest, more := strings.Cut(line, string(comma))
			row = append(row, value)
			if !more {
				return row, at + 1, false
			}
			line = rest
			continue
		}
		var b strings.Builder
		line = strings.TrimLeft(line, " ")[1:]
		for {
			i := strings.IndexByte(line, '"')
			switch {
			case i < 0 && at+1 == len(lines):
				b.WriteString(line)
				return append(row, b.String()), at + 1, true
			case i < 0:
				b.WriteString(line)
				b.WriteByte('\n')
				at++
				line = lines[at]
				continue
			case strings.HasPrefix(line[i+1:], `"`):
				b.WriteString(line[:i+1])
				line = line[i+2:]
				continue
			}
			b.WriteString(line[:i])
			line = line[i+1:]
			break
		}
		after, rest, more := strings.Cut(line, string(comma))
		b.WriteString(after) // what follows the closing quote, which no writer of CSV leaves there
		row = append(row, b.String())
		if !more {
			return row, at + 1, false
		}
		line = rest
	}
}
