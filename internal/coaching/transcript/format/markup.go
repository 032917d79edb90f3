package format

import (
	"html"
	"strings"
	"unicode"
)

// How far the end of a tag, and of a SubStation override, is looked for: a long name, many commands.
const (
	maxTagBytes      = 2000
	maxOverrideBytes = 200
)

// span is the part of a cue's payload that one voice tag covers.
type span struct {
	voiced bool   // there is a voice tag
	voice  string // the name in it, which may be missing
	text   string // without markup; line breaks are kept
}

// appendSpans splits a payload at its voice tags, strips the other tags, decodes entities and appends what has words.
// Only tags that WebVTT or SubRip know are stripped: `a < b` and `<unknown>` are words. A tag without end is text,
// but where the file itself ends openly with the payload: there it is left out, and cut says so.
func appendSpans(spans []span, payload string, openEnded bool) (_ []span, cut bool) {
	if !strings.ContainsAny(payload, "<&{") {
		if !blank(payload) {
			spans = append(spans, span{text: payload})
		}
		return spans, false
	}
	var text strings.Builder
	current := span{}
	flush := func() {
		if !blank(text.String()) {
			current.text = text.String()
			spans = append(spans, current)
		}
		text.Reset()
	}
	nextClose := -1 // offset of the first > from here on; len(payload) if there is none
	for rest := payload; rest != ""; {
		i := strings.IndexAny(rest, "<&{")
		if i < 0 {
			text.WriteString(rest)
			break
		}
		text.WriteString(rest[:i])
		rest = rest[i:]
		switch rest[0] {
		case '&':
			decoded, size := decodeEntity(rest)
			text.WriteString(decoded)
			rest = rest[size:]
		case '{':
			size := overrideLen(rest)
			if size == 0 {
				text.WriteByte('{')
				size = 1
			}
			rest = rest[size:]
		case '<':
			here := len(payload) - len(rest)
			if nextClose < here {
				if i := strings.IndexByte(rest, '>'); i >= 0 {
					nextClose = here + i
				} else {
					nextClose = len(payload)
				}
			}
			end := nextClose - here
			if end >= min(len(rest), maxTagBytes) {
				end = -1
			}
			if end < 0 && openEnded && startsTag(rest[1:]) {
				flush()
				return spans, true
			}
			kind := tagNone
			if end > 0 {
				kind = kindOfTag(rest[1:end])
			}
			switch kind {
			case tagNone:
				text.WriteByte('<')
				end = 0
			case tagBreak:
				text.WriteByte('\n')
			case tagVoice:
				flush()
				current = span{voiced: true, voice: voiceName(rest[1:end])}
			case tagVoiceEnd:
				flush()
				current = span{}
			case tagStyle:
			}
			rest = rest[end+1:]
		}
	}
	flush()
	return spans, false
}

type tagKind int

const (
	tagNone     tagKind = iota // no tag: text
	tagStyle                   // has no words and separates none
	tagBreak                   // <br>
	tagVoice                   // <v Name>
	tagVoiceEnd                // </v>
)

// kindOfTag looks at what stands between < and >.
func kindOfTag(inner string) tagKind {
	if inner != "" && isDigit(inner[0]) {
		if _, ok := parseClock(inner); ok {
			return tagStyle
		}
		return tagNone
	}
	closing := strings.HasPrefix(inner, "/")
	name, annotated := strings.TrimPrefix(inner, "/"), false
	if i := strings.IndexAny(name, ". \t\n/"); i >= 0 {
		annotated = strings.ContainsAny(name, " \t\n")
		name = name[:i]
	}
	switch strings.ToLower(name) {
	case "v":
		if closing {
			return tagVoiceEnd
		}
		return tagVoice
	case "br":
		return tagBreak
	case "lang", "font", "span":
		return tagStyle
	case "i", "b", "u", "s", "c", "ruby", "rt", "em", "strong":
		if !annotated { // `a <b and c> d` is arithmetic
			return tagStyle
		}
	case "":
		if closing {
			return tagStyle // </>: some editors close whatever is open so
		}
	}
	return tagNone
}

// startsTag tells whether text after a < that is never closed looks like a tag that was cut.
func startsTag(text string) bool {
	return text == "" || strings.HasPrefix(text, "/") || text == "v" || strings.HasPrefix(text, "v ") ||
		strings.HasPrefix(text, "v.")
}

// voiceName takes the name out of `v.class Name`.
func voiceName(inner string) string {
	i := strings.IndexAny(inner, " \t\n")
	if i < 0 {
		return ""
	}
	return cleanName(decodeEntities(inner[i:]))
}

// decodeEntities decodes all entities of a text without tags.
func decodeEntities(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		decoded, size := decodeEntity(s[i:])
		b.WriteString(decoded)
		s = s[i+size:]
	}
	return b.String()
}

// cutBoldName takes the name off a line that begins `<b>Name:</b>`, as exports name speakers where a plain name would be
// taken for words.
func cutBoldName(line string) (name, words string, ok bool) {
	rest, ok := strings.CutPrefix(line, "<b>")
	if !ok {
		return "", line, false
	}
	name, words, ok = strings.Cut(rest, ":</b>")
	if !ok || len(name) > maxTagBytes || strings.Contains(name, "\n") {
		return "", line, false
	}
	return cleanName(decodeEntities(name)), words, true
}

// decodeEntity decodes the entity at the start of s, and says how long it was. Without its semicolon an entity is text:
// HTML would read `?a=1&copy=2` as a copyright sign.
func decodeEntity(s string) (decoded string, size int) {
	const longest = 34 // of HTML's names, with & and ;
	end := strings.IndexByte(s[:min(len(s), longest)], ';')
	if end < 2 {
		return "&", 1
	}
	for i := 1; i < end; i++ {
		if c := s[i]; !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && (c != '#' || i != 1) {
			return "&", 1
		}
	}
	entity := s[:end+1]
	decoded = html.UnescapeString(entity)
	if decoded == "\uFFFD" || strings.IndexFunc(decoded, isControl) >= 0 { // &#0; and the like
		return "", len(entity)
	}
	if strings.HasSuffix(decoded, ";") && decoded != ";" { // unknown, or known only in part
		return "&", 1
	}
	return decoded, len(entity)
}

// overrideLen is the length of a SubStation override such as {\an8}, which editors leave in SubRip; 0 if s is none.
func overrideLen(s string) int {
	if !strings.HasPrefix(s, `{\`) {
		return 0
	}
	return strings.IndexByte(s[:min(len(s), maxOverrideBytes)], '}') + 1
}

// collapse trims s, makes every run of white space one space and leaves out control characters. Text that is clean already
// is not copied.
func collapse(s string) string {
	afterSpace := true
	for _, r := range s {
		switch {
		case r == ' ':
			if afterSpace {
				return rebuild(s)
			}
			afterSpace = true
		case r > ' ' && r < 0x7F:
			afterSpace = false
		case unicode.IsSpace(r), isControl(r):
			return rebuild(s)
		default:
			afterSpace = false
		}
	}
	if afterSpace {
		return strings.TrimRight(s, " ")
	}
	return s
}

// rebuild is collapse for text that is not clean.
func rebuild(s string) string { return strings.Join(strings.Fields(withoutControls(s)), " ") }

func blank(s string) bool { return strings.TrimSpace(s) == "" }
