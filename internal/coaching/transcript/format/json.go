package format

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is read into a flat list of its values and not into Go's: word times make a file of two hours a list of hundreds of
// thousands of values, most of which nobody asks for. The limits keep the list from becoming larger than that.
const (
	maxJSONDepth  = 100
	maxJSONValues = 3_000_000
)

// jsonText is a JSON text, or several one after the other (JSON Lines), with where its values stand.
type jsonText struct {
	text  string
	nodes []jsonNode // a value stands before those within it
}

type jsonNode struct {
	key, keyEnd uint32 // of the member's name, between its quotes; both 0 if it is no member
	start, end  uint32 // of the value; of a string between its quotes
	next        uint32 // index of the first node that is not within this one
	kind        byte   // { [ " 0 t f n; 0 stands for all numbers
	escaped     bool   // the string has escapes
	keyEscaped  bool
}

// jsonValue is a value of a jsonText; the zero value is one that is not there.
type jsonValue struct {
	*jsonText
	at uint32
}

func (v jsonValue) node() jsonNode { return v.nodes[v.at] }

func (v jsonValue) exists() bool { return v.jsonText != nil }

func (v jsonValue) kind() byte {
	if !v.exists() {
		return 'n'
	}
	return v.node().kind
}

// offset is where in the text the value stands.
func (v jsonValue) offset() int { return int(v.node().start) }

// values gives the elements of an array, or the values of an object's members; nothing of anything else.
func (v jsonValue) values() iter.Seq[jsonValue] {
	return func(yield func(jsonValue) bool) {
		if k := v.kind(); k != '[' && k != '{' {
			return
		}
		for i, end := v.at+1, v.node().next; i < end; i = v.nodes[i].next {
			if !yield(jsonValue{v.jsonText, i}) {
				return
			}
		}
	}
}

// name is what a value is called in its object.
func (v jsonValue) name() string {
	n := v.node()
	name := v.text[n.key:n.keyEnd]
	if n.keyEscaped {
		name, _ = unescapeJSON(name)
	}
	return name
}

// member goes down into objects; what is not there is not there.
func (v jsonValue) member(names ...string) jsonValue {
	for _, name := range names {
		found := jsonValue{}
		if v.kind() == '{' {
			for m := range v.values() {
				if m.name() == name {
					found = m
					break
				}
			}
		}
		v = found
	}
	return v
}

// first is the first element of an array.
func (v jsonValue) first() jsonValue {
	if v.kind() == '[' {
		for e := range v.values() {
			return e
		}
	}
	return jsonValue{}
}

// string is a string's text, "" for all else. dropped says that it had control characters, which are left out.
func (v jsonValue) string() (s string, dropped bool) {
	if v.kind() != '"' {
		return "", false
	}
	n := v.node()
	s = v.text[n.start:n.end]
	if n.escaped {
		return unescapeJSON(s)
	}
	return s, false
}

// plain is what a string or a number says, "" for all else.
func (v jsonValue) plain() string {
	if v.kind() == '0' {
		n := v.node()
		return v.text[n.start:n.end]
	}
	s, _ := v.string()
	return s
}

// jsonParser goes through the text once.
type jsonParser struct {
	jsonText
	at    int
	depth int
}

// scanJSON finds the values of a text. It reads NaN and Infinity too, which Python writes.
func scanJSON(text string) (*jsonText, error) {
	p := &jsonParser{jsonText: jsonText{text: text}}
	commas := strings.Count(text, ",") + strings.Count(text, "[") + strings.Count(text, "{")
	p.nodes = make([]jsonNode, 0, min(commas+1, maxJSONValues))
	for {
		p.space()
		if p.at == len(text) && len(p.nodes) > 0 {
			return &p.jsonText, nil
		}
		if len(p.nodes) > 0 && text[p.at] != '{' && text[p.at] != '[' {
			return nil, p.unexpected("the end")
		}
		if err := p.value(0, 0, false); err != nil {
			return nil, err
		}
	}
}

// roots gives the values that stand one after the other.
func (t *jsonText) roots() iter.Seq[jsonValue] {
	return func(yield func(jsonValue) bool) {
		for i := uint32(0); int(i) < len(t.nodes); i = t.nodes[i].next {
			if !yield(jsonValue{t, i}) {
				return
			}
		}
	}
}

// value reads the value that begins here.
func (p *jsonParser) value(key, keyEnd int, keyEscaped bool) error {
	if p.at == len(p.text) {
		return p.unexpected("a value")
	}
	if len(p.nodes) == maxJSONValues {
		return invalid(CodeTooLarge, "the JSON has more than the %d values that can be imported", maxJSONValues)
	}
	index := len(p.nodes)
	p.nodes = append(p.nodes, jsonNode{key: uint32(key), keyEnd: uint32(keyEnd), keyEscaped: keyEscaped, start: uint32(p.at), kind: p.text[p.at]})
	var err error
	switch c := p.text[p.at]; {
	case c == '{' || c == '[':
		if p.depth == maxJSONDepth {
			return p.wrong("the JSON is nested more than %d levels deep", maxJSONDepth)
		}
		p.depth++
		err = p.inside(c)
		p.depth--
	case c == '"':
		var start, end int
		var escaped bool
		start, end, escaped, err = p.str()
		n := &p.nodes[index]
		n.start, n.end, n.escaped = uint32(start), uint32(end), escaped
	case isDigit(c) || c == '-' && !strings.HasPrefix(p.text[p.at:], "-Infinity"):
		p.number()
		p.nodes[index].kind = '0'
		p.nodes[index].end = uint32(p.at)
	default:
		err = p.word(index)
	}
	p.nodes[index].next = uint32(len(p.nodes))
	return err
}

// inside reads an object or an array, whose bracket is here.
func (p *jsonParser) inside(open byte) error {
	closing := byte(']')
	if open == '{' {
		closing = '}'
	}
	p.at++
	for first := true; ; first = false {
		p.space()
		if p.at < len(p.text) && p.text[p.at] == closing && first {
			break
		}
		var start, end int
		var escaped bool
		if open == '{' {
			var err error
			if start, end, escaped, err = p.str(); err != nil {
				return err
			}
			p.space()
			if p.at == len(p.text) || p.text[p.at] != ':' {
				return p.unexpected("a colon")
			}
			p.at++
			p.space()
		}
		if err := p.value(start, end, escaped); err != nil {
			return err
		}
		p.space()
		if p.at < len(p.text) && p.text[p.at] == ',' {
			p.at++
			continue
		}
		if p.at < len(p.text) && p.text[p.at] == closing {
			break
		}
		return p.unexpected("a comma or the closing bracket")
	}
	p.at++
	return nil
}

// str reads a string and says what is between its quotes.
func (p *jsonParser) str() (start, end int, escaped bool, err error) {
	if p.at == len(p.text) || p.text[p.at] != '"' {
		return 0, 0, false, p.unexpected("a string")
	}
	p.at++
	start = p.at
	quote := -1
	for {
		if quote < p.at {
			i := strings.IndexByte(p.text[p.at:], '"')
			if i < 0 {
				p.at = len(p.text)
				return 0, 0, false, p.unexpected("the end of a string")
			}
			quote = p.at + i
		}
		b := strings.IndexByte(p.text[p.at:quote], '\\')
		if b < 0 {
			p.at = quote + 1
			return start, quote, escaped, nil
		}
		escaped = true
		p.at += b + 2
		if p.at > len(p.text) {
			p.at = len(p.text)
		}
	}
}

func (p *jsonParser) number() {
	for p.at < len(p.text) && (isDigit(p.text[p.at]) || strings.IndexByte("+-.eE", p.text[p.at]) >= 0) {
		p.at++
	}
}

func (p *jsonParser) word(index int) error {
	for _, w := range []struct {
		word string
		kind byte
	}{{"true", 't'}, {"false", 'f'}, {"null", 'n'}, {"NaN", '0'}, {"Infinity", '0'}, {"-Infinity", '0'}} {
		if strings.HasPrefix(p.text[p.at:], w.word) {
			p.at += len(w.word)
			p.nodes[index].kind, p.nodes[index].end = w.kind, uint32(p.at)
			return nil
		}
	}
	return p.unexpected("a value")
}

func (p *jsonParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// unexpected says where the JSON ends too early or goes on differently than JSON does.
func (p *jsonParser) unexpected(expected string) error {
	if p.at == len(p.text) {
		return p.wrong("the JSON breaks off where %s is due", expected)
	}
	return p.wrong("this is no JSON: %s is due", expected)
}

// wrong says what is wrong and where.
func (p *jsonParser) wrong(message string, args ...any) error {
	return jsonError(p.text, p.at, message, args...)
}

func jsonError(text string, at int, message string, args ...any) error {
	line := text[strings.LastIndexAny(text[:at], "\r\n")+1 : at]
	return invalid(CodeInvalidJSON, message+" (line %d, character %d)", append(args, lineAt(text, at), utf8.RuneCountInString(line)+1)...)
}

// unescapeJSON decodes the escapes of a string. Control characters are left out but for those that are white space; half a
// surrogate pair is a replacement character.
func unescapeJSON(s string) (text string, dropped bool) {
	var b strings.Builder
	b.Grow(len(s))
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'n', 't', 'r', 'f':
			b.WriteByte(' ')
		case 'b':
			dropped = true
		case 'u':
			var r rune
			r, s = unescapeUnit(s)
			if utf16.IsSurrogate(r) {
				var low rune
				rest := s
				if strings.HasPrefix(s, `\u`) {
					low, rest = unescapeUnit(s[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					s = rest
				}
			}
			if isControl(r) {
				dropped = true
			} else {
				b.WriteRune(r)
			}
		default: // " \ /
			b.WriteByte(c)
		}
	}
	return b.String(), dropped
}

// unescapeUnit reads the four digits after \u.
func unescapeUnit(s string) (r rune, rest string) {
	if len(s) < 4 {
		return utf8.RuneError, s
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		return utf8.RuneError, s
	}
	return rune(n), s[4:]
}
