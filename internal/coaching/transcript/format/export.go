package format

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// CodeNoTimes is the code of Export's error for what cannot be written without times.
const CodeNoTimes = "NO_TIMES"

// Export writes a transcript so that Parse reads the same from it: speakers, utterances, cues, texts and times, and in
// WebVTT and JSON the language. docs/formats.md says what each format cannot carry. Format, Source and Warnings are about
// the file that a document was read from, and are not written.
//
// WebVTT and SubRip need a start and an end of every utterance: without them, and for CSV, the error is a *fault.Error of
// KindInvalid for the field format. Other errors are w's.
//
// A document that somebody has edited need not keep all that Document promises: speakers who say nothing are left out, a
// second Bob is called "Bob (2)", since one name would make the two one, and the cues of a text that they do not fit are one.
func Export(w io.Writer, doc *Document, to Format) error {
	doc = tidied(doc)
	switch to {
	case JSON:
		return writeRapport(w, doc)
	case WebVTT, SubRip:
		for _, u := range doc.Utterances {
			if u.StartMs == nil || u.EndMs == nil {
				return fault.Invalid("format", "subtitles need to know when everybody begins and ends, which this transcript does not tell: "+
					"choose TEXT or JSON").WithCode(CodeNoTimes)
			}
		}
		if to == WebVTT {
			return writeWebVTT(w, doc)
		}
		return writePlainly(w, doc, SubRip, writeSubRip)
	case Text:
		starts := 0
		for _, u := range doc.Utterances {
			if u.StartMs != nil {
				starts++
			}
		}
		switch starts {
		case 0:
			return writePlainly(w, doc, Text, writeLines)
		case len(doc.Utterances):
			return writeStamps(w, doc)
		}
		return fault.Invalid("format", "only some of what is said in this transcript has a time, which text cannot tell: choose JSON").WithCode(CodeNoTimes)
	}
	return fault.Invalid("format", "a transcript can be exported as WEBVTT, SUBRIP, TEXT or JSON").WithCode(CodeUnknownFormat)
}

// tidied is a document as a reader would give it: with the speakers who speak, in the order of first words.
func tidied(doc *Document) *Document {
	tidy := &Document{Language: doc.Language, Utterances: make([]Utterance, 0, len(doc.Utterances))}
	numbers := map[int]int{} // of speakers, by those they have in doc
	for _, u := range doc.Utterances {
		if u.Text = collapse(u.Text); u.Text == "" {
			continue
		}
		name, before := nobody, u.Speaker
		if u.Speaker >= 0 && u.Speaker < len(doc.Speakers) {
			name = shortened(cleanName(doc.Speakers[u.Speaker]))
		}
		if u.Speaker = unknown; name != "" && name != nobody {
			number, known := numbers[before]
			if !known {
				number = len(tidy.Speakers)
				numbers[before] = number
				tidy.Speakers = append(tidy.Speakers, another(name, tidy.Speakers))
			}
			u.Speaker = number
		}
		if u.StartMs != nil && u.EndMs != nil {
			u.Cues, _ = cueTexts(u)
		}
		tidy.Utterances = append(tidy.Utterances, u)
	}
	return tidy
}

// another is a name that is not taken: itself, or with the first number that makes it so.
func another(name string, taken []string) string {
	free, runes := name, []rune(name)
	for n := 2; slices.Contains(taken, free); n++ {
		number := fmt.Sprintf(" (%d)", n)
		free = string(runes[:min(len(runes), longestName-len(number))]) + number
	}
	return free
}

// writePlainly names speakers as people do, `Ann: So.`, if that is read back as it is meant; else with marks that leave no
// doubt. Somebody may be called Note, or say `Ann: hello`.
func writePlainly(w io.Writer, doc *Document, to Format, write func(*bufio.Writer, *Document, bool)) error {
	for _, marked := range []bool{false, true} {
		var b bytes.Buffer
		out := bufio.NewWriter(&b)
		write(out, doc, marked)
		if err := out.Flush(); err != nil {
			return err
		}
		if !marked {
			back, err := Parse(b.Bytes(), Options{MaxBytes: b.Len()})
			if err != nil || back.Format != to || !back.says(doc) {
				continue
			}
		}
		_, err := w.Write(b.Bytes())
		return err
	}
	return nil
}

// says tells whether two documents have the same speakers, utterances, cues, texts and times.
func (d *Document) says(other *Document) bool {
	same := func(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	if len(d.Utterances) != len(other.Utterances) || len(d.Speakers) != len(other.Speakers) {
		return false
	}
	for i, name := range d.Speakers {
		if other.Speakers[i] != name {
			return false
		}
	}
	for i, u := range d.Utterances {
		o := other.Utterances[i]
		if u.Speaker != o.Speaker || u.Text != o.Text || !same(u.StartMs, o.StartMs) || !same(u.EndMs, o.EndMs) || len(u.Cues) != len(o.Cues) {
			return false
		}
		for j, c := range u.Cues {
			if o.Cues[j] != c {
				return false
			}
		}
	}
	return true
}

// cueTexts gives the words of each cue. What does not fit, because somebody has corrected the text, is one cue.
func cueTexts(u Utterance) ([]Cue, []string) {
	whole := []Cue{{StartMs: *u.StartMs, EndMs: *u.EndMs}}
	texts := make([]string, 0, len(u.Cues))
	rest, from := u.Text, 0
	for i, c := range u.Cues {
		if i == 0 && c.Offset == 0 {
			continue
		}
		cut := byteOffset(rest, c.Offset-from)
		if i == 0 || c.Offset <= from || cut < 2 || cut == len(rest) || rest[cut-1] != ' ' {
			return whole, []string{u.Text}
		}
		texts = append(texts, rest[:cut-1])
		rest, from = rest[cut:], c.Offset
	}
	if len(u.Cues) == 0 {
		return whole, []string{u.Text}
	}
	return u.Cues, append(texts, rest)
}

// name is what an utterance's speaker is called in files.
func (d *Document) name(u Utterance) string {
	if u.Speaker == unknown {
		return nobody
	}
	return d.Speakers[u.Speaker]
}

// cuesWithMarks gives every cue, with the mark it needs where the rule by which cues are joined would read it differently.
func cuesWithMarks(doc *Document, yield func(u Utterance, c Cue, mark, text string)) {
	var r run
	any := false
	for _, u := range doc.Utterances {
		cues, texts := cueTexts(u)
		for i, c := range cues {
			p := said{start: c.StartMs, end: c.EndMs, speaker: u.Speaker, text: texts[i]}
			byRule := any && r.takesByRule(p)
			mark := ""
			if i == 0 && byRule {
				mark = markApart
			} else if i > 0 && !byRule {
				mark = markJoined
			}
			if i == 0 {
				r, any = begin(p), true
			} else {
				r.add(p)
			}
			yield(u, c, mark, texts[i])
		}
	}
}

func writeWebVTT(w io.Writer, doc *Document) error {
	out := bufio.NewWriter(w)
	out.WriteString("WEBVTT\n")
	if doc.Language != "" {
		out.WriteString("Language: " + doc.Language + "\n")
	}
	out.WriteString("\n" + exportNote + "\n")
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `{\`, `&#123;\`)
	n := 0
	cuesWithMarks(doc, func(u Utterance, c Cue, mark, text string) {
		n++
		fmt.Fprintf(out, "\n%d\n%s --> %s\n%s<v %s>%s</v>\n", n, clockText(c.StartMs, "."), clockText(c.EndMs, "."), mark,
			escape.Replace(doc.name(u)), escape.Replace(text))
	})
	return out.Flush()
}

func writeSubRip(out *bufio.Writer, doc *Document, marked bool) {
	n := 0
	cuesWithMarks(doc, func(u Utterance, c Cue, mark, text string) {
		n++
		name := ""
		switch {
		case marked:
			name = "<b>" + escapeSubRip(doc.name(u), true) + ":</b> "
		case u.Speaker >= 0:
			name = escapeSubRip(doc.name(u), false) + ": "
		}
		fmt.Fprintf(out, "%d\n%s --> %s\n%s%s%s\n\n", n, clockText(c.StartMs, ","), clockText(c.EndMs, ","), mark, name, escapeSubRip(text, false))
	})
}

// escapeSubRip escapes what would be read as markup, and no more: many players know no entities. Within a tag, all of it is.
func escapeSubRip(text string, within bool) string {
	if !strings.ContainsAny(text, "<&{") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '<' && (within || strings.IndexByte(text[i:], '>') >= 0):
			b.WriteString("&lt;")
		case c == '&' && isEntity(text[i:]):
			b.WriteString("&amp;")
		case c == '{' && strings.HasPrefix(text[i+1:], `\`):
			b.WriteString("&#123;")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isEntity(s string) bool {
	_, size := decodeEntity(s)
	return size > 1
}

// writeStamps writes names and times above words. A line with nothing but times goes on with the utterance.
func writeStamps(w io.Writer, doc *Document) error {
	out := bufio.NewWriter(w)
	clocks := func(start int64, end *int64) string {
		if end == nil {
			return shortClock(start)
		}
		return shortClock(start) + " – " + shortClock(*end)
	}
	for i, u := range doc.Utterances {
		if i > 0 {
			out.WriteByte('\n')
		}
		name := escapeColons.Replace(doc.name(u))
		if u.EndMs == nil {
			fmt.Fprintf(out, "%s  %s\n%s\n", name, clocks(*u.StartMs, nil), escapeStamp(u.Text))
			continue
		}
		cues, texts := cueTexts(u)
		for j, c := range cues {
			if j == 0 {
				out.WriteString(name + "  ")
			}
			fmt.Fprintf(out, "%s\n%s\n", clocks(c.StartMs, &c.EndMs), escapeStamp(texts[j]))
		}
	}
	return out.Flush()
}

// writeLines writes `Name: words`, a line an utterance.
func writeLines(out *bufio.Writer, doc *Document, marked bool) {
	escape := strings.NewReplacer(`\`, `\\`, "*", `\*`)
	for _, u := range doc.Utterances {
		switch {
		case marked:
			out.WriteString("**" + escape.Replace(doc.name(u)) + ":** ")
		case u.Speaker >= 0:
			out.WriteString(doc.name(u) + ": ")
		}
		out.WriteString(u.Text + "\n")
	}
}
