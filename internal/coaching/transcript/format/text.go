package format

import "strings"

// layout is how a file of plain lines is laid out. Only all lines together tell: `10:30 Meeting:` may be a name, a time and
// words, or what somebody says.
type layout struct {
	from, to int // the lines of the conversation; around it some products write more
	product  string
	form     stampForm // of the times; stampNone if there are none
	marks    bool      // only now and then a line tells the time, between lines that name who speaks
	bold     bool      // every line begins with a name in bold, `**Ann:**`: then nothing else is one
	names    *nameFinder
	fits     confidence
}

// detectText asks for times above or before what is said, or names that recur, or that begin every other line: one
// `Usage: …` makes no conversation. In files with cues it believes the first line only.
func detectText(src *source) confidence {
	at := src.firstText()
	if at == len(src.lines) {
		return no
	}
	_, _, bold := cutBold(src.lines[at])
	if !bold && stampOf(src.lines[at]).form != stampSpaces {
		if _, timed := firstTiming(src); timed || isWebVTTHeader(src.lines[at]) {
			return no
		}
	}
	return layoutOf(src).fits
}

// layoutOf looks at a file once.
func layoutOf(src *source) *layout {
	if src.layout == nil {
		l := &layout{}
		src.layout = l
		l.frame(src)
		l.look(src)
	}
	return src.layout
}

// look finds where times and names stand.
func (l *layout) look(src *source) {
	var count [stampForms]int
	lines, paragraphs, spaced, bold := 0, 0, 0, 0
	first := stampNone
	afterBlank := true
	for _, line := range src.lines[l.from:l.to] {
		if blank(line) {
			afterBlank = true
			continue
		}
		form := stampOf(line).form
		if _, _, ok := cutBold(line); ok {
			bold++
		}
		if lines == 0 {
			first = form
		}
		lines++
		if afterBlank {
			paragraphs++
			if form == stampSpaces {
				spaced++
			}
		}
		afterBlank = false
		count[form]++
	}
	count[stampNone] = 0
	most := stampSpaces
	for form := stampSpaces; form < stampForms; form++ {
		if count[form] > count[most] {
			most = form
		}
	}
	l.bold = bold > 0 && bold == lines
	switch n := count[most]; {
	case l.bold:
	case spaced > 0 && spaced == paragraphs: // as ours are, whatever people say in them
		l.form = stampSpaces
	case most.above() && n > 0 && (first == most || n >= 2 && n*2 >= paragraphs-count[stampBare]),
		!most.above() && n*2 >= lines && n > 0:
		l.form = most
	case first == stampBare && count[stampBare] >= 2 && count[stampBare]*4 >= lines:
		l.form = stampBare
	}
	l.names = newNameFinder()
	if !l.form.above() || l.form == stampBare {
		l.names = namesOfLines(src, l)
	}
	if l.form == stampBare && l.names.some {
		l.form = stampNone
	}
	l.marks = l.form == stampNone && count[stampBare] > 0 && l.names.some
	l.fits = l.confidence(src, first)
}

// confidence says how sure the file is what it looks like.
func (l *layout) confidence(src *source, first stampForm) confidence {
	if l.bold || l.form == stampSpaces && first == stampSpaces {
		return certain // the first line says so
	}
	switch l.form {
	case stampNone:
	case stampBare:
		return possible
	default:
		return likely
	}
	named := 0
	for _, line := range src.lines[l.from:l.to] {
		if _, _, ok := l.names.split(plainLine(line)); ok {
			named++
		}
	}
	if l.names.some && (l.names.repeats() || named*2 >= l.names.lines) {
		return possible
	}
	return no
}

// parseText reads the lines as they are laid out. Entities and tags are text here: nobody escapes what is not markup.
func parseText(src *source) (*Document, error) {
	l := layoutOf(src)
	for i, line := range src.lines {
		if (i < l.from || i >= l.to) && !blank(line) && boilerplateOf(line) == noBoilerplate {
			src.warn(i, WarnNotSpeech)
			break
		}
	}
	r := &textReader{src: src, layout: l, cast: cast{src: src}, speaker: unknown, named: -1}
	if l.form == stampNone {
		r.readLines()
	} else {
		r.readStamps()
	}
	if len(r.pieces) == 0 {
		return nil, invalid(CodeNoCues, "the file names speakers or times, but nobody says a word")
	}
	doc, err := finish(src, r.pieces, &r.cast, "")
	if err == nil {
		doc.Source = l.product
		if l.form == stampOfDay {
			doc.Source = "zoom"
		}
	}
	return doc, err
}

// textReader goes through the lines.
type textReader struct {
	src    *source
	layout *layout
	cast   cast
	pieces []said

	next    said     // the piece that is being read, without its words
	parts   []string // its words
	speaker int      // who spoke last
	named   int      // the line that named the speaker or told the time, until there are words; -1
}

// begin closes the piece before and begins one.
func (r *textReader) begin(p said) {
	r.flush()
	if r.named >= 0 {
		r.src.warn(r.named, WarnEmptyCue)
	}
	r.next, r.named = p, p.line
}

// say adds words to the piece.
func (r *textReader) say(words string) {
	if words != "" {
		r.parts = append(r.parts, words)
		r.named = -1
	}
}

func (r *textReader) flush() {
	if len(r.parts) > 0 {
		r.next.text = strings.Join(r.parts, " ")
		r.pieces = append(r.pieces, r.next)
		r.parts = r.parts[:0]
	}
}

// end closes the last piece.
func (r *textReader) end() {
	r.flush()
	if r.named >= 0 {
		r.src.warn(r.named, WarnEmptyCue)
	}
}

// readLines reads `Name: text`. A line that names nobody goes on with the line before it; after a blank line it is an
// utterance of its own, by the same speaker.
func (r *textReader) readLines() {
	l := r.layout
	paragraph := false // a blank line stands before this one
	sparse := false
	for i := l.from; i < l.to; i++ {
		line := plainLine(r.src.lines[i])
		if line == "" || l.isNote(r.src.lines[i]) {
			paragraph = true
			continue
		}
		if l.marks && stampOf(line).form == stampBare {
			if !sparse {
				r.src.warn(i, WarnTimesSparse)
				sparse = true
			}
			paragraph = true
			continue
		}
		var name, words string
		var ok bool
		if l.bold {
			name, words, ok = cutBold(r.src.lines[i])
			words = collapse(words)
		} else {
			name, words, ok = l.names.split(line)
		}
		switch {
		case ok:
			r.speaker = r.cast.index(name, i)
			r.begin(untimed(i, r.speaker))
		case len(r.parts) == 0 && r.named < 0, paragraph && len(r.parts) > 0:
			r.begin(untimed(i, r.speaker))
			r.named = -1
			r.warnUnnamed(i)
		}
		r.say(words)
		paragraph = false
	}
	r.end()
}

func untimed(line, speaker int) said {
	return said{line: line, start: noTime, end: noTime, speaker: speaker}
}

// warnUnnamed tells that a line names nobody, in a file that names people.
func (r *textReader) warnUnnamed(line int) {
	switch {
	case !r.layout.names.some:
	case r.speaker == unknown:
		r.src.warn(line, WarnSpeakerMissing)
	default:
		r.src.warn(line, WarnSpeakerAssumed)
	}
}

// readStamps reads files that tell when each piece begins, and perhaps when it ends.
func (r *textReader) readStamps() {
	l := r.layout
	ends := r.tellsEnds()
	var day int64 = noTime // what the clock on the wall showed when the recording began
	paragraph := true
	for i := l.from; i < l.to; i++ {
		line := r.src.lines[i]
		if blank(line) || l.isNote(line) {
			paragraph = true
			continue
		}
		s := stampOf(line)
		if s.form != l.form && s.form != stampBare {
			if len(r.parts) == 0 && len(r.pieces) == 0 && r.named < 0 { // a title
				r.src.warn(i, WarnNotSpeech)
				continue
			}
			r.say(collapse(unescapeStamp(line)))
			paragraph = false
			continue
		}
		if l.form == stampOfDay {
			if day == noTime {
				r.src.warn(i, WarnTimesOfDay)
				day = s.start
			}
			if s.start -= day; s.start < -dayMs/2 { // past midnight
				s.start += dayMs
			}
		}
		start, end := inOrder(r.src, i, s.start, s.end)
		if !ends {
			end = noTime
		} else if end == noTime {
			r.src.warn(i, WarnTimesUnreadable)
			end = start
		}
		p := said{line: i, start: start, end: end}
		switch {
		case s.form == stampBefore:
			name, words, ok := l.names.split(collapse(s.words))
			if ok {
				r.speaker = r.cast.index(name, i)
			} else {
				r.warnUnnamed(i)
			}
			s.words = words
		case s.form != stampBare:
			if s.form == stampDash { // Fathom's are bold in Markdown
				s.name = strings.Trim(s.name, "*")
			}
			r.speaker = r.cast.index(cleanName(s.name), i)
			p.bound = apart
		case paragraph || !ends || len(r.pieces) == 0 && len(r.parts) == 0:
			r.speaker = unknown
			p.bound = apart
		default:
			p.bound = joined
		}
		p.speaker = r.speaker
		r.begin(p)
		r.say(collapse(s.words))
		paragraph = false
	}
	r.end()
}

// tellsEnds tells whether most of the times have an end.
func (r *textReader) tellsEnds() bool {
	ends, all := 0, 0
	for _, line := range r.src.lines[r.layout.from:r.layout.to] {
		if s := stampOf(line); s.form == r.layout.form || s.form == stampBare {
			all++
			if s.end != noTime {
				ends++
			}
		}
	}
	return ends*2 > all
}

// namesOfLines finds the names in a file that has nothing but lines, behind the times if there are some before.
func namesOfLines(src *source, l *layout) *nameFinder {
	f := newNameFinder()
	for _, line := range src.lines[l.from:l.to] {
		if l.form == stampBefore {
			if s := stampOf(line); s.form == stampBefore {
				line = s.words
			}
		}
		if line = plainLine(line); line != "" {
			f.see(line)
		}
	}
	f.decide()
	return f
}

// plainLine is a line without the bold type of a name at its beginning.
func plainLine(line string) string {
	if strings.HasPrefix(strings.TrimLeft(line, " "), "**") {
		if name, words, ok := cutBold(line); ok {
			line = name + ": " + words
		}
	}
	return collapse(line)
}

// cutBold takes the name off a line that begins `**Name:**` or `**Name**:`, as Markdown and our exports do. A backslash
// takes the meaning from the character after it.
func cutBold(line string) (name, words string, ok bool) {
	rest, found := strings.CutPrefix(strings.TrimLeft(line, " \t"), "**")
	if !found {
		return "", "", false
	}
	var b strings.Builder
	for i := 0; i < min(len(rest), maxStampBytes); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest):
			i++
		case strings.HasPrefix(rest[i:], "**"):
			name, words = b.String(), rest[i+2:]
			if !strings.HasSuffix(name, ":") {
				if words, found = strings.CutPrefix(words, ":"); !found {
					return "", "", false
				}
			}
			return cleanName(name), words, true
		}
		b.WriteByte(rest[i])
	}
	return "", "", false
}

// Where words look like a time above words, exports put a backslash before them.
func escapeStamp(line string) string {
	if line[0] == '\\' || looksLikeStamp(line) {
		return `\` + line
	}
	return line
}

func unescapeStamp(line string) string {
	if rest, ok := strings.CutPrefix(line, `\`); ok && (strings.HasPrefix(rest, `\`) || looksLikeStamp(rest)) {
		return rest
	}
	return line
}

func looksLikeStamp(line string) bool {
	form := stampOf(line).form
	return form == stampBare || form == stampSpaces || boilerplateOf(line) != noBoilerplate
}

// isNote tells a line that the product has written into the conversation.
func (l *layout) isNote(line string) bool {
	return l.product == "meet" && boilerplateOf(line) == meetNote
}

// frame finds the conversation among what products write around it.
func (l *layout) frame(src *source) {
	const near = 200 // lines; what stands before is a title, names, notes
	l.to = len(src.lines)
	for i, line := range src.lines[:min(near, len(src.lines))] {
		switch boilerplateOf(line) {
		case fathomHead:
			l.product = "fathom"
		case fathomRule:
			if l.product == "fathom" && l.from == 0 {
				l.from = i + 1
			}
		case meetHead:
			l.product, l.from = "meet", i+1
		case meetNote:
			l.product = "meet"
		}
	}
	for i := len(src.lines) - 1; i >= max(l.from, len(src.lines)-near); i-- {
		switch boilerplateOf(src.lines[i]) {
		case otterEnd:
			l.product, l.to = "otter", i
		case meetEnd:
			l.product, l.to = "meet", i
		}
	}
}

// boilerplate is a line that a product writes into every transcript.
type boilerplate int

const (
	noBoilerplate boilerplate = iota
	fathomHead                // `VIEW RECORDING - 45 mins: https://…`
	fathomRule                // `---`
	meetHead                  // `Transcript`, `Weekly talk (2026-02-01 10:00) - Transcript`
	meetNote                  // `This editable transcript was computer generated …`, `Attendees`
	meetEnd                   // `Meeting ended after 00:38:36 👋`
	otterEnd                  // `Transcribed by https://otter.ai`
)

func boilerplateOf(line string) boilerplate {
	if _, _, bold := cutBold(line); bold || strings.HasPrefix(line, `\`) { // as exports write what somebody says
		return noBoilerplate
	}
	plain := strings.Trim(line, "#* _\u00a0") // without what makes it a heading or emphasis in Markdown
	switch {
	case strings.HasPrefix(plain, "VIEW RECORDING - "):
		return fathomHead
	case plain == "---":
		return fathomRule
	case plain == "Transcript", plain == "📖 Transcript", strings.HasSuffix(plain, " - Transcript"):
		return meetHead
	case plain == "Attendees", strings.HasPrefix(plain, "This editable transcript was computer generated"):
		return meetNote
	case plain == "Transcribed by https://otter.ai":
		return otterEnd
	}
	for _, words := range []string{"Meeting ended after ", "Transcription ended after "} {
		if rest, ok := strings.CutPrefix(plain, words); ok {
			if _, rest, ok = cutClock(rest); ok && len(rest) <= len(" 👋 ") {
				return meetEnd
			}
		}
	}
	return noBoilerplate
}
