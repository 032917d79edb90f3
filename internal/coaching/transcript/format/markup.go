package format

import (
	"html"
	"strings"
	"unicode"
)

// maxTagBytes is how far a tag's end is looked for. Without it, a file of nothing but < would take hours.
const maxTagBytes = 500

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
			end := strings.IndexByte(rest[:min(len(rest), maxTagBytes)], '>')
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
	name := inner[i:]
	if !strings.Contains(name, "&") {
		return cleanName(name)
	}
	var b strings.Builder
	for name != "" {
		i := strings.IndexByte(name, '&')
		if i < 0 {
			b.WriteString(name)
			break
		}
		b.WriteString(name[:i])
		decoded, size := decodeEntity(name[i:])
		b.WriteString(decoded)
		name = name[i+size:]
	}
	return cleanName(b.String())
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
	return strings.IndexByte(s[:min(len(s), maxTagBytes)], '}') + 1
}

// collapse trims s and makes every run of white space one space. Text that is clean already is not copied.
func collapse(s string) string {
	afterSpace := true
	for _, r := range s {
		if !unicode.IsSpace(r) {
			afterSpace = false
			continue
		}
		if afterSpace || r != ' ' {
			return strings.Join(strings.Fields(s), " ")
		}
		afterSpace = true
	}
	if afterSpace {
		return strings.TrimRight(s, " ")
	}
	return s
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
