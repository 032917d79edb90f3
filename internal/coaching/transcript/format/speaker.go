package format

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A name is at most this long. Zoom allows 64 characters.
const (
	maxNameRunes = 60
	maxNameWords = 6
)

// minNamedPercent is the share of lines that must begin with a name before a file counts as naming its speakers at all.
// One line in twenty: some exporters name a speaker only where the speaker changes. Below that, `The point is: …` in
// film subtitles would become a person who then speaks the rest of the film.
//
// From alwaysNamedPercent on, the file names a speaker wherever somebody speaks, as Zoom does.
const (
	minNamedPercent    = 5
	alwaysNamedPercent = 90
)

// nobody is how exports name the speaker whom nobody knows.
const nobody = "?"

// cast numbers the speakers in the order in which they are met.
type cast struct {
	src     *source
	names   []string
	indices map[string]int
}

// index is the number of a name that stands in this line, unknown for none.
func (c *cast) index(name string, line int) int {
	if i, ok := c.indices[name]; ok {
		return i
	}
	if name == "" || name == nobody {
		return unknown
	}
	if c.indices == nil {
		c.indices = map[string]int{}
	}
	short := shortened(name)
	if short != name {
		c.src.warn(line, WarnNameCut)
		i := c.index(short, line)
		c.indices[name] = i
		return i
	}
	i := len(c.names)
	c.names = append(c.names, name)
	c.indices[name] = i
	return i
}

const longestName = 200 // characters

// shortened cuts a name that is no name any more, which has to fit where names are shown and into one tag.
func shortened(name string) string {
	runes := 0
	for i := range name {
		if runes == longestName {
			return cleanName(name[:i])
		}
		runes++
	}
	return name
}

// inOrder numbers the speakers anew, in the order of their first words, and drops those that have none.
func (c *cast) inOrder(pieces []said) []string {
	numbers := make([]int, len(c.names))
	var names []string
	for i := range pieces {
		p := &pieces[i]
		if p.speaker == unknown {
			continue
		}
		if numbers[p.speaker] == 0 {
			names = append(names, c.names[p.speaker])
			numbers[p.speaker] = len(names)
		}
		p.speaker = numbers[p.speaker] - 1
	}
	return names
}

// nameFinder knows which prefixes of lines are names in one file. Whether `Plan B: …` is a person cannot be told from the
// line alone, so that all lines are seen before the first is split.
type nameFinder struct {
	some     bool // the file names its speakers
	always   bool // it names them line by line, with hardly an exception
	lines    int
	short    map[string]*prefixEvidence // by what stands before the first colon
	long     map[string]int             // by what stands before the second, how often
	accepted map[string]bool
	shapes   map[string]string // what stands before colons as a name, "" if it cannot be one; names recur
}

type prefixEvidence struct {
	lines    int // that begin so
	longer   int // of these, go on to a second prefix
	repeated int // of these, whose second prefix begins several lines
}

// namesIn collects the names from the voice tags; without any, from the prefixes of lines. A file with voice tags needs
// no prefixes: what looks like one there is speech, unless it is a name that a voice tag has too.
func namesIn(spans []span) *nameFinder {
	f := newNameFinder()
	for _, s := range spans {
		if s.voiced && s.voice != "" {
			f.accepted[s.voice] = true
			f.some = true
		}
	}
	if f.some {
		return f
	}
	for _, s := range spans {
		if s.voiced {
			continue
		}
		first, rest, _ := strings.Cut(strings.TrimLeft(s.text, "\n \t"), "\n")
		f.see(collapse(first))
		for line := range strings.Lines(rest) { // whoever else speaks in a subtitle has a dash
			if line = collapse(line); strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "– ") {
				f.see(line)
			}
		}
	}
	f.decide()
	return f
}

func newNameFinder() *nameFinder {
	return &nameFinder{short: map[string]*prefixEvidence{}, long: map[string]int{}, accepted: map[string]bool{}, shapes: map[string]string{}}
}

// shape is a prefix as a name, "" if it cannot be one.
func (f *nameFinder) shape(prefix string) string {
	name, known := f.shapes[prefix]
	if !known {
		if name = cleanName(prefix); !canBeName(name) {
			name = ""
		}
		const most = 10_000 // kept
		if len(f.shapes) < most {
			f.shapes[prefix] = name
		}
	}
	return name
}

// see takes a line as evidence.
func (f *nameFinder) see(line string) {
	f.lines++
	short, long := f.prefixes(line)
	if short.name == "" {
		return
	}
	e := f.short[short.name]
	if e == nil {
		e = &prefixEvidence{}
		f.short[short.name] = e
	}
	e.lines++
	if long.name != "" {
		e.longer++
		f.long[long.name]++
		// The second line with this prefix makes the first one a repetition as well.
		switch f.long[long.name] {
		case 1:
		case 2:
			e.repeated += 2
		default:
			e.repeated++
		}
	}
}

// decide settles which prefixes are names.
func (f *nameFinder) decide() {
	named := 0
	for name, e := range f.short {
		if e.lines >= linesNeeded(name) {
			f.accepted[name] = true
			named += e.lines
		}
	}
	f.some = named > 0 && named*100 >= f.lines*minNamedPercent
	if !f.some {
		clear(f.accepted)
		return
	}
	f.always = named*100 >= (f.lines-1)*alwaysNamedPercent // the last line may be the cut one
	for name := range f.long {
		short, _ := f.prefixes(name + ":")
		if f.accepted[short.name] && f.short[short.name].isPartOfLonger() {
			f.accepted[name] = true
		}
	}
}

// isPartOfLonger tells whether a prefix is the beginning of names with a colon, as in `Acme: Ann: …`: it never stands
// alone, and what follows it recurs. Somebody who says `Rule: …` twice also says other things.
func (e *prefixEvidence) isPartOfLonger() bool {
	return e.longer == e.lines && e.repeated >= 2 && e.repeated*2 >= e.lines
}

// repeats tells whether some name begins several lines.
func (f *nameFinder) repeats() bool {
	for name, e := range f.short {
		if e.lines > 1 && f.accepted[name] {
			return true
		}
	}
	return false
}

// split takes the name off a line that begins with one; else all of it is words.
func (f *nameFinder) split(line string) (name, words string, named bool) {
	if !f.some {
		return "", line, false
	}
	short, long := f.prefixes(line)
	if long.name != "" && f.accepted[long.name] {
		return long.name, line[long.rest:], true
	}
	if short.name != "" && f.accepted[short.name] {
		return short.name, line[short.rest:], true
	}
	return "", line, false
}

// isFragment tells whether a line is the beginning of a name, cut before its colon. Where lines without names are usual,
// it is speech.
func (f *nameFinder) isFragment(line string) bool {
	if !f.always {
		return false
	}
	for name := range f.accepted {
		if strings.HasPrefix(name, line) {
			return true
		}
	}
	return false
}

// prefix is what stands before a colon at the beginning of a line.
type prefix struct {
	name string
	rest int // where the words begin
}

// prefixes finds what may be a name before the line's first and second colon. A colon counts if a space or nothing follows
// it, which spares times and addresses; a full-width one always does.
func (f *nameFinder) prefixes(line string) (short, long prefix) {
	const longest = maxNameRunes*utf8.UTFMax + len(": ")
	head := line[:min(len(line), longest)]
	from := 0
	for from < len(head) {
		i, size := indexColon(head[from:])
		if i < 0 {
			return short, long
		}
		colon := from + i
		from = colon + size
		if size == 1 && from < len(line) && line[from] != ' ' {
			continue
		}
		found := prefix{name: f.shape(line[:colon]), rest: from}
		if found.rest < len(line) && line[found.rest] == ' ' {
			found.rest++
		}
		if short.name == "" {
			if found.name == "" {
				return short, long
			}
			short = found
			continue
		}
		if found.name != "" && f.shape(line[short.rest:colon]) != "" {
			long = found
		}
		return short, long
	}
	return short, long
}

// indexColon finds the first colon of either width and says how many bytes it has. (strings.IndexAny takes half of the time
// of a whole import here: it is slow as soon as one of the characters is not ASCII.)
func indexColon(s string) (i, size int) {
	const wide = "："
	for i := range len(s) {
		if s[i] == ':' {
			return i, 1
		}
		if s[i] == wide[0] && strings.HasPrefix(s[i:], wide) {
			return i, len(wide)
		}
	}
	return -1, 0
}

// cleanName trims what is no part of a name: white space, the dash or chevrons of subtitles before it, a colon after it, and
// marks that nobody sees but that would make two people of one.
func cleanName(name string) string {
	const marks = " \u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
	name = collapse(name)
	if name != "" && isASCIILetter(name[0]) && isASCIILetter(name[len(name)-1]) {
		return name
	}
	return strings.TrimRight(strings.TrimLeft(name, marks+"->–—"), marks+":：")
}

func isASCIILetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// canBeName tells whether a prefix has the shape of a display name. Parentheses, digits, dots, commas, slashes, pipes,
// brackets and emoji are all common in them; what ends or quotes sentences, code and times is not.
func canBeName(name string) bool {
	if name == "" || utf8.RuneCountInString(name) > maxNameRunes || name[0] == '"' || name[0] == '\'' {
		return false
	}
	if strings.ContainsAny(name, "?!;{}<>=\\`") || strings.Contains(name, "…") || strings.Contains(name, "。") ||
		strings.Contains(name, "://") {
		return false
	}
	for i := 1; i+1 < len(name); i++ {
		if name[i] == ':' && isDigit(name[i-1]) && isDigit(name[i+1]) {
			return false
		}
	}
	words := 0
	for word := range strings.FieldsSeq(name) {
		if words++; words > maxNameWords {
			return false
		}
		// `Dr. Ann` and `T. Lee` are names; `All right. Ann` is a sentence and something else.
		if strings.HasSuffix(word, ".") && utf8.RuneCountInString(word) > len("Prof.") {
			return false
		}
	}
	return !slices.Contains(neverNames, strings.ToLower(strings.Trim(name, ".*_ ")))
}

// neverNames introduce a remark or an address, not a person, however often they do.
var neverNames = []string{
	"note", "notes", "nb", "n.b", "ps", "p.s", "fyi", "todo", "example", "e.g", "i.e", "warning", "tip", "hint", "attention",
	"important", "reminder", "disclaimer", "http", "https", "ftp", "mailto",
}

// linesNeeded is how many lines must begin with a prefix before it is a name: the less it looks like one, the more.
func linesNeeded(name string) int {
	first, _ := utf8.DecodeRuneInString(name)
	switch {
	case looksLikeSentence(name):
		return 3
	case unicode.IsDigit(first), !strings.ContainsFunc(name, unicode.IsLetter): // a phone number, a list's number
		return 2
	default:
		return 1
	}
}

// looksLikeSentence tells `So here is the thing` from `Mary Ann van der Berg (HR)`: it is made of function words, or it
// is long and only its first word is capitalised.
func looksLikeSentence(name string) bool {
	words := strings.Fields(name)
	functionWords, capitals := 0, 0
	for i, word := range words {
		isFunctionWord := slices.Contains(sentenceWords, strings.ToLower(strings.Trim(word, ",.")))
		if isFunctionWord {
			functionWords++
		}
		first, _ := utf8.DecodeRuneInString(word)
		// Not `and`: Ann and Bob share a microphone.
		if len(words) > 1 && isFunctionWord && unicode.IsLower(first) && word != "and" {
			return true
		}
		if i > 0 && (!unicode.IsLower(first) || strings.ContainsFunc(word, unicode.IsUpper)) {
			capitals++
		}
	}
	first, _ := utf8.DecodeRuneInString(name)
	return functionWords == len(words) || len(words) > 2 && unicode.IsUpper(first) && capitals == 0
}

// sentenceWords are words that open or carry an English sentence and that names do without; hence no `of` and no `at`.
var sentenceWords = []string{
	"the", "is", "are", "was", "were", "be", "i", "i'm", "it", "it's", "that", "that's", "this", "what", "why", "how", "here",
	"here's", "there's", "thing", "things", "means", "to", "you", "we", "they", "my", "your", "our", "so", "and", "but", "or",
	"because", "then", "now", "for", "like", "said", "says", "say", "think", "yes", "no", "yeah", "ok", "okay", "well", "right",
	"remember", "question", "answer", "first", "second", "third", "one", "two", "again", "also", "plus", "basically", "point",
}
