package format

import "strings"

// stamp is a line of plain text that tells a time.
type stamp struct {
	form       stampForm
	name       string // as it stands there; not of stampBefore, where only the file tells what is a name
	start, end int64  // end may be noTime
	words      string // what follows in the same line
}

// stampForm is where the time stands. A file keeps to one form.
type stampForm int

const (
	stampNone    stampForm = iota
	stampBare              // `0:03`, `0:01.5 – 0:04` on a line of its own
	stampSpaces            // `Ann Lee  0:03` (Otter, Teams, ours), words on the lines below
	stampBracket           // `Ann Lee (0:03)`, `Ann Lee [0:03]:` (Rev), words on the lines below
	stampDash              // `0:03 - Ann Lee` (Fathom), words on the lines below
	stampOfDay             // `[Ann Lee] 14:02:33` (Zoom's captions), words on the lines below
	stampInline            // `Ann Lee (0:03): words`
	stampBefore            // `[0:03] Ann Lee: words`, `0:03 words`
	stampForms             // how many there are
)

// above tells whether the words stand on the lines below.
func (f stampForm) above() bool { return stampBare <= f && f <= stampOfDay }

// maxStampBytes is how long such a line is at most: a long name and two times. Lines with words are longer.
const maxStampBytes = 1000

// stampOf finds a time at either end of a line, or in brackets after a name.
func stampOf(line string) stamp {
	if !strings.Contains(line, ":") {
		return stamp{}
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return stamp{}
	}
	if start, end, ok := parseClocks(strings.TrimPrefix(strings.TrimLeft(line, "#"), " ")); ok { // Google Meet's are headings
		return stamp{form: stampBare, start: start, end: end}
	}
	for _, find := range []func(string) stamp{stampSpaced, stampAhead, stampBehind, stampWithin} {
		if s := find(line); s.form != stampNone {
			return s
		}
	}
	return stamp{}
}

// stampSpaced reads a time after two spaces or a tab.
func stampSpaced(line string) stamp {
	i := max(strings.LastIndex(line, "  "), strings.LastIndexByte(line, '\t'))
	if i < 0 || len(line) > maxStampBytes {
		return stamp{}
	}
	// A range has single spaces, so the last gap of two is the one before the time.
	name := strings.TrimSpace(line[:i])
	start, end, ok := parseClocks(strings.TrimLeft(line[i:], " \t"))
	if !ok || hasPlainColon(name) {
		return stamp{}
	}
	return stamp{form: stampSpaces, name: unescapeColons.Replace(name), start: start, end: end}
}

// stampAhead reads a time at the beginning.
func stampAhead(line string) stamp {
	rest := strings.TrimPrefix(line, "@")
	closing := ""
	if rest != "" && (rest[0] == '[' || rest[0] == '(') {
		closing = map[byte]string{'[': "]", '(': ")"}[rest[0]]
		inner, after, found := strings.Cut(rest[1:], closing)
		start, end, ok := parseClocks(inner)
		if !found || !ok {
			return stamp{}
		}
		return stamp{form: stampBefore, start: start, end: end, words: strings.TrimLeft(after, " \t-–—|:")}.orBare()
	}
	start, rest, ok := cutClock(rest)
	if !ok || rest == "" {
		return stamp{}
	}
	if name, found := strings.CutPrefix(rest, " - "); found && canBeName(cleanName(name)) && !strings.Contains(name, ": ") {
		return stamp{form: stampDash, name: name, start: start, end: noTime}
	}
	end := int64(noTime)
	for _, dash := range []string{" - ", " – ", " --> ", "-", "–"} {
		if after, found := strings.CutPrefix(rest, dash); found {
			if e, r, ok := cutClock(after); ok {
				end, rest = e, r
			}
			break
		}
	}
	words := strings.TrimLeft(rest, " \t-–—|")
	if len(words) == len(rest) {
		return stamp{} // `10:30am`
	}
	return stamp{form: stampBefore, start: start, end: end, words: words}.orBare()
}

// orBare is the form of a time in brackets with nothing after it.
func (s stamp) orBare() stamp {
	if s.words == "" {
		s.form = stampBare
	}
	return s
}

// stampBehind reads a time at the end, in brackets or after a name in brackets.
func stampBehind(line string) stamp {
	if len(line) > maxStampBytes {
		return stamp{}
	}
	if line[0] == '[' {
		if name, after, found := strings.Cut(line[1:], "] "); found {
			if start, end, ok := parseClocks(after); ok {
				return stamp{form: stampOfDay, name: name, start: start, end: end}
			}
		}
	}
	head := strings.TrimRight(line, ":")
	if last := len(head) - 1; last > 0 && (head[last] == ']' || head[last] == ')') {
		i := strings.LastIndexByte(head, map[byte]byte{']': '[', ')': '('}[head[last]])
		if i > 1 && head[i-1] == ' ' {
			name := strings.TrimRight(head[:i], ": ")
			if start, end, ok := parseClocks(head[i+1 : last]); ok && canBeName(cleanName(name)) && !hasPlainColon(name) {
				return stamp{form: stampBracket, name: name, start: start, end: end}
			}
		}
	}
	return stamp{}
}

// What has a colon and a space before the time is somebody's words, `Ann: see you at  10:30`, unless a backslash before the
// colon says that it belongs to the name.
var (
	escapeColons   = strings.NewReplacer(": ", `\: `)
	unescapeColons = strings.NewReplacer(`\: `, ": ")
)

func hasPlainColon(name string) bool {
	return strings.Count(name, ": ") > strings.Count(name, `\: `)
}

// stampWithin reads a time in brackets between a name and a colon.
func stampWithin(line string) stamp {
	head := line[:min(len(line), maxStampBytes)]
	for _, brackets := range []string{"()", "[]"} {
		before, after, found := strings.Cut(head, " "+brackets[:1])
		if !found || !canBeName(cleanName(before)) {
			continue
		}
		inner, _, found := strings.Cut(after, brackets[1:]+":")
		start, end, ok := parseClocks(inner)
		if found && ok {
			rest := len(before) + len(" (") + len(inner) + len("):")
			return stamp{form: stampInline, name: before, start: start, end: end, words: strings.TrimLeft(line[rest:], " \t")}
		}
	}
	return stamp{}
}
