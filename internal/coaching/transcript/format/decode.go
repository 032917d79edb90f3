package format

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// The shares, in per cent of all bytes, from which on a file is not taken for text any more. Random bytes (a zip, an
// MP3) are 11 % control characters and about 45 % invalid UTF-8. A Windows-1252 file in French or German has 2–5 % bytes
// above 127, while one in a Cyrillic or East Asian encoding has far more than 15 %, and decoding that as Windows-1252
// would give words that nobody said.
const (
	maxControlPercent        = 10
	maxInvalidPercent        = 15
	maxControlPercentInvalid = 2 // of a file that is over maxInvalidPercent: below, it is foreign text; above, no text
)

// decode turns a file's bytes into valid UTF-8 without BOM and control characters.
func decode(content []byte, notes *warnings) (string, error) {
	var text string
	switch order := utf16Order(content); {
	case order == nil:
		text = string(bytes.TrimPrefix(content, []byte("\uFEFF")))
	case bytes.HasPrefix(content, []byte{0xFF, 0xFE}), bytes.HasPrefix(content, []byte{0xFE, 0xFF}):
		text = decodeUTF16(content[2:], order, notes)
	default:
		text = decodeUTF16(content, order, notes)
		notes.add(1, WarnUTF16Assumed)
	}
	if blank(text) {
		return "", invalid(CodeEmpty, "the file is empty")
	}
	text, err := repair(text, notes)
	if err != nil {
		return "", err
	}
	if blank(text) {
		return "", invalid(CodeEmpty, "the file is empty")
	}
	return text, nil
}

// utf16Order tells by the BOM whether the file is UTF-16, and in which order; nil if it is not. Without BOM it goes by what
// no other encoding of text has: zero bytes, here those of spaces, marks and ends of lines, at every other place.
func utf16Order(content []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(content, []byte{0xFF, 0xFE}):
		return binary.LittleEndian
	case bytes.HasPrefix(content, []byte{0xFE, 0xFF}):
		return binary.BigEndian
	}
	const sample = 4096
	head := content[:min(len(content), sample)&^1]
	if bytes.IndexByte(head, 0) < 0 || readsAsBytes(head) {
		return nil
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if readsAsUTF16(head, order) {
			return order
		}
	}
	return nil
}

// readsAsBytes tells whether a text with zeros is one all the same, with a stray one here and there: the rest of UTF-16 is no
// UTF-8, or controls, or zeros for every other byte.
func readsAsBytes(head []byte) bool {
	const mostZerosPercent, mostControlPercent = 25, 5
	c := takeCensus(string(head))
	return c.invalid == 0 && c.nuls*100 <= len(head)*mostZerosPercent && (c.controls-c.nuls)*100 <= len(head)*mostControlPercent
}

// readsAsUTF16 tells whether bytes are text in this order: some of it is ASCII, which all text has, and hardly any is what no
// text has. In the wrong order a space is U+2000, and an end of line is no character at all.
func readsAsUTF16(head []byte, order binary.ByteOrder) bool {
	const (
		fewestASCIIPercent = 4 // of units; Chinese has its ends of lines, and colons after names
		mostOddPercent     = 2
	)
	ascii, odd := 0, 0
	for i := 0; i+1 < len(head); i += 2 {
		switch r := rune(order.Uint16(head[i:])); {
		case r < utf8.RuneSelf && isPlain[r]:
			ascii++
		case utf16.IsSurrogate(r): // of a character beyond the first plane
		case !unicode.IsGraphic(r):
			odd++
		}
	}
	units := len(head) / 2
	return ascii*100 >= units*fewestASCIIPercent && odd*100 <= units*mostOddPercent
}

// decodeUTF16 decodes units of two bytes. A half unit or half pair at the very end is a cut, elsewhere it is a character
// that is lost already and shown as U+FFFD.
func decodeUTF16(content []byte, order binary.ByteOrder, notes *warnings) string {
	var b strings.Builder
	b.Grow(len(content)) // enough for what is mostly ASCII, close for the rest
	cut := len(content)%2 == 1
	bad := -1
	units := len(content) / 2
	for i := 0; i < units; i++ {
		r := rune(order.Uint16(content[2*i:]))
		if utf16.IsSurrogate(r) {
			if i+1 == units && r < 0xDC00 {
				cut = true
				break
			}
			pair := rune(utf8.RuneError)
			if i+1 < units {
				pair = utf16.DecodeRune(r, rune(order.Uint16(content[2*i+2:])))
			}
			r = pair
			if pair == utf8.RuneError && bad < 0 {
				bad = b.Len()
			} else if pair != utf8.RuneError {
				i++
			}
		}
		b.WriteRune(r)
	}
	text := b.String()
	if bad >= 0 {
		notes.add(lineAt(text, bad), WarnBadCharacters)
	}
	if cut {
		notes.add(max(1, countLines(text)), WarnTruncated)
	}
	return text
}

// census counts what is not plain text.
type census struct {
	controls, nuls, invalid, multibyte int
	firstInvalid                       int // offset, -1 if there is none
}

func takeCensus(text string) census {
	c := census{firstInvalid: -1}
	for i := 0; i < len(text); {
		if isPlain[text[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			if c.invalid == 0 {
				c.firstInvalid = i
			}
			c.invalid++
		case r == 0:
			c.nuls++
			c.controls++
		case isControl(r):
			c.controls++
		}
		if size > 1 {
			c.multibyte++
		}
		i += size
	}
	return c
}

// isPlain holds the ASCII characters that are text, which nearly all bytes of most files are.
var isPlain = func() (plain [256]bool) {
	for b := range byte(utf8.RuneSelf) {
		plain[b] = !isControl(rune(b))
	}
	return plain
}()

// isControl tells the characters that are no part of any text; those that are white space separate words.
func isControl(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }

// repair takes out control characters, decodes stray bytes as Windows-1252, and refuses what is no text.
func repair(text string, notes *warnings) (string, error) {
	c := takeCensus(text)
	percent := func(n int) int { return n * 100 / len(text) }
	foreign := percent(c.invalid) > maxInvalidPercent
	switch {
	case percent(c.controls) > maxControlPercent, foreign && percent(c.controls) > maxControlPercentInvalid:
		return "", invalid(CodeBinary, "the file is not a text file")
	case foreign:
		return "", invalid(CodeNotUTF8, "the file is neither UTF-8 nor UTF-16: save it as UTF-8 and try again")
	}

	if c.invalid > 0 {
		tail := incompleteTail(text)
		// Half a character at the end of a file that is UTF-8 everywhere else was cut; it is no Windows-1252.
		if c.invalid == tail && c.multibyte > 0 {
			text = text[:len(text)-tail]
			notes.add(max(1, countLines(text)), WarnTruncated)
		} else {
			notes.add(lineAt(text, c.firstInvalid), WarnWindows1252)
			text = decodeStrayBytes(text, c.invalid)
		}
	}
	if c.nuls > 0 {
		notes.add(lineAt(text, strings.IndexByte(text, 0)), WarnNulRemoved)
		text = strings.ReplaceAll(text, "\x00", "")
	}
	if c.controls > c.nuls || c.invalid > 0 { // Windows-1252 has bytes without a character, too
		if at := strings.IndexFunc(text, isControl); at >= 0 {
			notes.add(lineAt(text, at), WarnControlsRemoved)
			text = withoutControls(text)
		}
	}
	return text, nil
}

func withoutControls(text string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, text)
}

// incompleteTail is the length of a UTF-8 sequence that the end of text cuts, 0 if there is none.
func incompleteTail(text string) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		tail := text[len(text)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRuneInString(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// decodeStrayBytes keeps what is UTF-8 and reads each byte that is not as Windows-1252.
func decodeStrayBytes(text string, stray int) string {
	var b strings.Builder
	b.Grow(len(text) + 2*stray)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			r = charmap.Windows1252.DecodeByte(text[i])
		}
		b.WriteRune(r)
		i += size
	}
	return b.String()
}
