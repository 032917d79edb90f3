package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// outline writes a document in one line an utterance, so that a test can say what it expects at a glance:
// `Ann 1000-2000: Hello.` and `1000-2000+2000-3000@7` for a second cue whose text begins at code point 7.
func outline(doc *Document) string {
	var b strings.Builder
	for _, u := range doc.Utterances {
		name := "?"
		if u.Speaker >= 0 {
			name = doc.Speakers[u.Speaker]
		}
		b.WriteString(name)
		for i, c := range u.Cues {
			sep := " "
			if i > 0 {
				sep = "+"
			}
			fmt.Fprintf(&b, "%s%d-%d", sep, c.StartMs, c.EndMs)
			if c.Offset > 0 {
				fmt.Fprintf(&b, "@%d", c.Offset)
			}
		}
		fmt.Fprintf(&b, ": %s\n", u.Text)
	}
	return b.String()
}

// noted writes the warnings as `CODE@line`.
func noted(doc *Document) string {
	var list []string
	for _, w := range doc.Warnings {
		list = append(list, fmt.Sprintf("%s@%d", w.Code, w.Line))
	}
	return strings.Join(list, " ")
}

const header = "WEBVTT\n\n"

func TestTolerance(t *testing.T) {
	t.Parallel()
	const talk = "1\n00:00:01.000 --> 00:00:02.000\nAnn: Hello.\n\n2\n00:00:02.500 --> 00:00:03.000\nBob: Hi.\n\n"
	const heard = "Ann 1000-2000: Hello.\nBob 2500-3000: Hi.\n"
	for _, test := range []struct {
		name  string
		in    string
		want  string
		notes string
	}{
		{"plain", header + talk, heard, ""},
		{"times that a program has lost", header + "00:01.000 --> 00:02.000\nAnn: Hello.\n\nNaN --> NaN\nBob: Hi.\n\n00:03.000 --> 00:04.000\nAnn: So.\n --> 00:05.000\nBob: No.\n",
			"Ann 1000-2000: Hello.\nBob 2000-2000: Hi.\nAnn 3000-4000: So.\nBob 4000-4000: No.\n", "TIMES_UNREADABLE@6 TIMES_UNREADABLE@11"},
		{"two in each subtitle, one of whom never begins", header + "00:01.000 --> 00:02.000\n- Ann: Hello.\n- Bob: Hi.\n\n00:03.000 --> 00:04.000\n- Ann: So.\n- Bob: No.\n",
			"Ann 1000-2000: Hello.\nBob 1000-2000: Hi.\nAnn 3000-4000: So.\nBob 3000-4000: No.\n", "SPEAKERS_SHARE_CUE@3 SPEAKERS_SHARE_CUE@7"},
		{"CRLF", strings.ReplaceAll(header+talk, "\n", "\r\n"), heard, ""},
		{"CR", strings.ReplaceAll(header+talk, "\n", "\r"), heard, ""},
		{"mixed line ends", "WEBVTT\r\r\n" + talk, heard, ""},
		{"BOM", "\uFEFF" + header + talk, heard, ""},
		{"UTF-16 little endian", utf16Text(binary.LittleEndian, header+talk), heard, ""},
		{"UTF-16 big endian", utf16Text(binary.BigEndian, header+talk), heard, ""},
		{"UTF-16 without BOM", utf16Text(binary.LittleEndian, header+talk)[2:], heard, "DECODED_AS_UTF_16@1"},
		{"UTF-16 big endian without BOM", utf16Text(binary.BigEndian, header+talk)[2:], heard, "DECODED_AS_UTF_16@1"},
		{"a zero now and then", header + strings.ReplaceAll(talk, "e", "\x00e"), heard, "NUL_REMOVED@5"},
		{"UTF-16 beyond the first plane", utf16Text(binary.LittleEndian, header+"00:01.000 --> 00:02.000\nAnn 🌱: Grün 🌳.\n\n"), "Ann 🌱 1000-2000: Grün 🌳.\n", ""},
		{"UTF-16 cut within a character", utf16Text(binary.LittleEndian, header+talk)[:2*len(header+talk)+1], heard, "TRUNCATED@9"},
		{"UTF-16 with half a pair", strings.Replace(utf16Text(binary.LittleEndian, header+talk), "H\x00i\x00", "\x00\xD8i\x00", 1), "Ann 1000-2000: Hello.\nBob 2500-3000: \uFFFDi.\n", "BAD_CHARACTERS@9"},
		{"Windows-1252", header + "00:01.000 --> 00:02.000\nJos\xe9: \x93S\xed\x94 \x96 ma\xf1ana.\n\n", "José 1000-2000: “Sí” – mañana.\n", "DECODED_AS_WINDOWS_1252@4"},
		{"one Windows-1252 letter at the end", header + "00:01.000 --> 00:02.000\nAnn: In the caf\xe9", "Ann 1000-2000: In the café\n", "DECODED_AS_WINDOWS_1252@4"},
		{"UTF-8 cut within a character", header + "00:01.000 --> 00:02.000\nJosé: In the caf\xc3", "José 1000-2000: In the caf\n", "TRUNCATED@4"},
		{"NUL bytes", header + strings.Replace(talk, "Hi.", "H\x00i.\x00", 1), heard, "NUL_REMOVED@9"},
		{"control characters", header + strings.Replace(talk, "Hi.", "H\x01i\x7f.\u0080\x1b", 1), heard, "CONTROLS_REMOVED@9"},
		{"a form feed and a line separator", header + "00:01.000 --> 00:02.000\nAnn: a\fb\u2028c\u0085d\n\n", "Ann 1000-2000: a b c d\n", ""},
		{"a control character as an entity", header + "00:01.000 --> 00:02.000\nAnn: a&#7;b &#0;c\n\n", "Ann 1000-2000: ab c\n", ""},
		{"negative times", header + "-00:00:01.000 --> 00:00:02.000\nAnn: Yes.\n\n-00:00:03.000 --> -00:00:02.000\nBob: No.\n\n", "Ann 0-2000: Yes.\nBob 0-0: No.\n", "TIMES_NEGATIVE@3 TIMES_NEGATIVE@6"},
		{"beyond a day", header + "00:01.000 --> 00:02.000\nAnn: Yes.\n\n30:00:00.000 --> 30:00:01.000\nBob: No.\n\n", "Ann 1000-2000: Yes.\nBob 108000000-108001000: No.\n", "TIMES_BEYOND_A_DAY@6"},
		{"question and answer", header + "00:01.000 --> 00:02.000\nQ: What would help?\n\n00:02.000 --> 00:03.000\nA: Time: two hours.\n\n", "Q 1000-2000: What would help?\nA 2000-3000: Time: two hours.\n", ""},
		{"a name with a comma", header + "00:01.000 --> 00:02.000\nSmith, John (Guest): Yes.\n\n00:02.000 --> 00:03.000\n10:30 Meeting: see https://a.example: there\n\n", "Smith, John (Guest) 1000-2000+2000-3000@5: Yes. 10:30 Meeting: see https://a.example: there\n", "SPEAKER_ASSUMED@6"},
		{"a name in bold in one cue of many", header + "00:01.000 --> 00:02.000\n<b>Ann:</b> Yes.\n\n00:02.000 --> 00:03.000\nBob: No.\n\n", "Ann 1000-2000: Yes.\nBob 2000-3000: No.\n", ""},
		{"a very long name", header + "00:01.000 --> 00:02.000\n<v " + strings.Repeat("Ann ", 100) + ">Yes.\n\n", strings.TrimSpace(strings.Repeat("Ann ", 50)) + " 1000-2000: Yes.\n", "NAME_CUT@3"},
		{"header with a title and metadata", "WEBVTT - Third session\nKind: captions\nLanguage: en\n\n" + talk, heard, ""},
		{"header in lower case after blank lines", "\n \nwebvtt\n\n" + talk, heard, ""},
		{"no blank line after the header", "WEBVTT\n" + talk, heard, ""},
		{"no blank lines between cues", header + strings.ReplaceAll(talk, "\n\n", "\n"), heard, ""},
		{"no blank lines and no ids", header + "00:01.000 --> 00:02.000\nAnn: I was\n17\n00:02.000 --> 00:03.000\nBob: Ah.\n", "Ann 1000-2000: I was 17\nBob 2000-3000: Ah.\n", ""},
		{"blank lines of spaces", header + strings.ReplaceAll(talk, "\n\n", "\n \t\n"), heard, ""},
		{"many blank lines", header + strings.ReplaceAll(talk, "\n\n", "\n\n\n\n"), heard, ""},
		{"NOTE, STYLE and REGION", "WEBVTT\n\nSTYLE\n::cue(v) { color: lime }\n\nREGION\nid:a\n\nNOTE one line\n\n" + talk + "NOTE\nAnn: said off the record\n\n", heard, ""},
		{"ids of words", header + "the beginning\n00:01.000 --> 00:02.000\nAnn: Hello.\n\nthe end\n00:02.500 --> 00:03.000\nBob: Hi.\n", heard, ""},
		{"cue settings", header + "00:01.000 --> 00:02.000 align:start position:10%,line-left\nAnn: Hello.\n\n", "Ann 1000-2000: Hello.\n", ""},
		{"decimals", header + "0:01,5 --> 0:02.25\nAnn: A.\n\n00:00:10 --> 00:00:11.1239\nAnn: B.\n\n100:00:00.007\t-->\t100:00:01.000\nAnn: C.\n\n75:30.000-->75:31.000\nAnn: D.\n\n",
			"Ann 1500-2250: A.\nAnn 10000-11123: B.\nAnn 4530000-4531000: D.\nAnn 360000007-360001000: C.\n", "TIMES_BEYOND_A_DAY@9 TIMES_UNSORTED@12"},
		{"entities", header + "00:01.000 --> 00:02.000\nQ&amp;A: 1 &lt; 2 &gt; 0,&nbsp;&#39;so&#x27; caf&eacute; AT&T a&copy=1 &bogus; &notit; &amp;lt; &lrm;x&rlm;\n\n", "Q&A 1000-2000: 1 < 2 > 0, 'so' café AT&T a&copy=1 &bogus; &notit; &lt; \u200Ex\u200F\n", ""},
		{"tags", header + "00:01.000 --> 00:02.000\n<b>Ann:</b> <i>On</i>ce <c.loud>a<00:00:01.500></c>gain<br/>now <u.x>or</u> <lang en-GB>never</lang> </>\n\n", "Ann 1000-2000: Once again now or never\n", ""},
		{"what looks like a tag and is text", header + "00:01.000 --> 00:02.000\nAnn: a <b and c> d, x<y, <unknown>, <3 and >2, {curly}, <\n\n", "Ann 1000-2000: a <b and c> d, x<y, <unknown>, <3 and >2, {curly}, <\n", ""},
		{"a voice tag without end in the middle", header + "00:01.000 --> 00:02.000\nAnn: see <v\n\n00:02.000 --> 00:03.000\nAnn: here\n\n", "Ann 1000-2000+2000-3000@7: see <v here\n", ""},
		{"white space in a cue", header + "00:01.000 --> 00:02.000\n  Ann:\t so \u00a0 many   \n\t spaces \n\n", "Ann 1000-2000: so many spaces\n", ""},
		{"empty cues", header + "00:01.000 --> 00:02.000\n\n00:02.000 --> 00:03.000\nAnn:\n\n00:03.000 --> 00:04.000\nAnn: Yes.\n\n", "Ann 3000-4000: Yes.\n", "EMPTY_CUE@3 EMPTY_CUE@5"},
		{"an id without a cue", header + "1\n00:01.000 --> 00:02.000\nAnn: Yes.\n\n2\n\n3\n00:02.000 --> 00:03.000\nAnn: No.\n\n", "Ann 1000-2000+2000-3000@5: Yes. No.\n", "EMPTY_CUE@7"},
		{"a blank line within a cue", header + "1\n00:01.000 --> 00:02.000\nAnn: One.\n\nTwo\nthree.\n\n2\n00:02.000 --> 00:03.000\nBob: Four.\n\n", "Ann 1000-2000: One. Two three.\nBob 2000-3000: Four.\n", "TEXT_OUTSIDE_CUE@7"},
		{"a blank line within a cue and none after it", header + "1\n00:01.000 --> 00:02.000\nAnn: One.\n\nTwo.\n2\n00:02.000 --> 00:03.000\nBob: Four.\n\n", "Ann 1000-2000: One. Two.\nBob 2000-3000: Four.\n", "TEXT_OUTSIDE_CUE@7"},
		{"times backwards", header + "00:02.000 --> 00:01.000\nAnn: Yes.\n\n", "Ann 2000-2000: Yes.\n", "TIMES_BACKWARDS@3"},
		{"times out of order", header + "00:09.000 --> 00:10.000\nAnn: Last.\n\n00:01.000 --> 00:02.000\nBob: First.\n\n00:05.000 --> 00:06.000\nSecond.\n\n", "Bob 1000-2000: First.\nBob 5000-6000: Second.\nAnn 9000-10000: Last.\n", "TIMES_UNSORTED@6 SPEAKER_ASSUMED@9"},
		{"times that are none", header + "00:01.000 --> 00:02.000\nAnn: Yes.\n\n00:0x.000 --> 00:04.000\nBob: No.\n\n00:99.000 --> 00:04.000\nAnn: Oh.\n\n", "Ann 1000-2000: Yes.\nBob 2000-2000: No.\nAnn 2000-2000: Oh.\n", "TIMES_UNREADABLE@6 TIMES_UNREADABLE@9"},
		{"an arrow in speech", header + "00:01.000 --> 00:02.000\nAnn: from here --> to there\n5 --> 6\n\n", "Ann 1000-2000: from here --> to there 5 --> 6\n", ""},
		{"overlaps stay", header + "00:01.000 --> 00:09.000\nAnn: Long.\n\n00:02.000 --> 00:03.000\nBob: Mm.\n\n00:02.500 --> 00:10.000\nAnn: Still.\n\n", "Ann 1000-9000: Long.\nBob 2000-3000: Mm.\nAnn 2500-10000: Still.\n", ""},
		{"no WEBVTT, but dots", talk, heard, "HEADER_MISSING@1"},
		{"comma decimals make it SubRip", strings.ReplaceAll(strings.ReplaceAll(talk, ".000 ", ",000 "), ".500 ", ",500 "), "", ""},
		{"voice tags", header + "00:01.000 --> 00:02.000\n<v.first.loud Ann &amp; Bob>We&apos;re here\n\n00:02.000 --> 00:03.000\n<v Cy>Hi</v> and more\n\n00:03.000 --> 00:04.000\n<v Cy>One</v> <v Cy>two</v>\n\n", "Ann & Bob 1000-2000: We're here\nCy 2000-3000+3000-4000@12: Hi and more One two\n", "SPEAKER_ASSUMED@6"},
		{"prefixes within voices are speech", header + "00:01.000 --> 00:02.000\n<v Ann>Bob: he said that.</v>\n\n00:02.000 --> 00:03.000\nPlan: none\n\n", "Ann 1000-2000+2000-3000@19: Bob: he said that. Plan: none\n", "SPEAKER_ASSUMED@6"},
		{"nobody is named", header + "00:01.000 --> 00:02.000\nHello.\n\n00:02.000 --> 00:03.000\nHi.\n\n", "? 1000-2000: Hello.\n? 2000-3000: Hi.\n", "SPEAKERS_MISSING@3"},
		{"nobody is named yet", header + "00:01.000 --> 00:02.000\nHello.\n\n00:02.000 --> 00:03.000\nAnn: Hi.\n\n", "? 1000-2000: Hello.\nAnn 2000-3000: Hi.\n", "SPEAKER_MISSING@3"},
		{"several speakers in one cue", header + "00:01.000 --> 00:02.000\nAnn: Yes?\nBob: Yes.\n\n00:02.000 --> 00:03.000\nBob: Good.\n\n", "Ann 1000-2000: Yes?\nBob 1000-2000+2000-3000@5: Yes. Good.\n", "SPEAKERS_SHARE_CUE@3"},
		{"YouTube begins with a line of spaces", header + "00:01.000 --> 00:02.000\n \nAnn: Yes.\n\n", "Ann 1000-2000: Yes.\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse([]byte(test.in), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" { // the format is what is tested
				if doc.Format != SubRip || outline(doc) != heard {
					t.Errorf("%s:\n%s", doc.Format, outline(doc))
				}
				return
			}
			if doc.Format != WebVTT {
				t.Errorf("format %s", doc.Format)
			}
			if got := outline(doc); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			if got := noted(doc); got != test.notes {
				t.Errorf("warnings %q, want %q", got, test.notes)
			}
		})
	}
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want, notes string }{
		{"one line an utterance", "Ann: Hello.\nAnn: Again.\nBob: Hi.", "Ann: Hello.\nAnn: Again.\nBob: Hi.\n", ""},
		{"continuation lines", "Ann: Hello,\n  dear\nBob.\n\nBob: Hi.\n", "Ann: Hello, dear Bob.\nBob: Hi.\n", ""},
		{"a paragraph without a name", "Ann: One.\n\n\nTwo.\nThree.\nAnn: Four.\n", "Ann: One.\nAnn: Two. Three.\nAnn: Four.\n", "SPEAKER_ASSUMED@4"},
		{"the name on a line of its own", "Ann:\nHello.\n\nBob:\n\nHi.\n", "Ann: Hello.\nBob: Hi.\n", ""},
		{"a name that says nothing", "Ann:\nBob: Hi.\nBob: So.\nCy:\n", "Bob: Hi.\nBob: So.\n", "EMPTY_CUE@1 EMPTY_CUE@4"},
		{"a title", "Our second talk\n\nAnn: Hi.\nBob: Hi.\nAnn: So?\n", "?: Our second talk\nAnn: Hi.\nBob: Hi.\nAnn: So?\n", "SPEAKER_MISSING@1"},
		{"full-width colons", "山田：おはよう。\n佐藤：はい：どうぞ。\n", "山田: おはよう。\n佐藤: はい：どうぞ。\n", ""},
		{"a space before the colon", "Zoé : Bonjour.\nLuc\u00a0: Oui.\n", "Zoé: Bonjour.\nLuc: Oui.\n", ""},
		{"marks nobody sees", "\u200eAnn: Hi.\nAnn: So.\n", "Ann: Hi.\nAnn: So.\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse([]byte(test.in), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if doc.Format != Text {
				t.Errorf("format %s", doc.Format)
			}
			if got := outline(doc); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			if got := noted(doc); got != test.notes {
				t.Errorf("warnings %q, want %q", got, test.notes)
			}
			for _, u := range doc.Utterances {
				if u.StartMs != nil || u.EndMs != nil || u.Cues != nil {
					t.Error("text has no times, and none may be made up")
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	random := make([]byte, 4096)
	state := uint32(1)
	for i := range random {
		state = state*1664525 + 1013904223
		random[i] = byte(state >> 24)
	}
	for _, test := range []struct {
		name, in string
		code     string
	}{
		{"nothing", "", CodeEmpty},
		{"a BOM", "\uFEFF", CodeEmpty},
		{"a UTF-16 BOM", "\xFF\xFE", CodeEmpty},
		{"white space", " \r\n\t\n", CodeEmpty},
		{"random bytes", string(random), CodeBinary},
		{"random bytes with a UTF-16 BOM", "\xFF\xFE" + strings.Repeat("\x00\x00A\x00", 100), CodeBinary},
		{"NULs", strings.Repeat("\x00", 100), CodeBinary},
		{"Cyrillic in one byte", "\xc0\xed\xed\xe0: \xcf\xf0\xe8\xe2\xe5\xf2.\n", CodeNotUTF8},
		{"a header", "WEBVTT", CodeNoCues},
		{"a header and names", header + "Ann: Hi.\nBob: Hi.\nAnn: Hi.\n", CodeNoCues},
		{"a header and notes", header + "NOTE Ann: nothing\n\n", CodeNoCues},
		{"empty cues", header + "00:01.000 --> 00:02.000\n\n00:02.000 --> 00:03.000\nAnn:\n\n", CodeNoCues},
		{"prose", "It was late.\nNobody spoke.\nThe end: nobody had.\n", CodeUnknownFormat},
		{"remarks", "Note: one\nNote: two\nhttp://a.example\n10:30 Meeting: late\n", CodeUnknownFormat},
		{"JSON", "[{\n  \"speaker\": \"Ann\",\n  \"start\": 1\n}]\n", CodeUnknownFormat},
		{"a page", "<html>\n<p style=\"a: b\">Ann</p>\n</html>", CodeUnknownFormat},
		{"too many lines", strings.Repeat("A: b\n", MaxLines+1), CodeTooManyLines},
		{"too many utterances", strings.Repeat("A: b\n", MaxCues+1), CodeTooManyCues},
		{"too many cues", header + strings.Repeat("0:01 --> 0:02\nA: b\n\n", MaxCues+1), CodeTooManyCues},
		{"too many speakers", manySpeakers(MaxSpeakers + 1), CodeTooManySpeakers},
		{"ten thousand speakers", manySpeakers(10_000), CodeTooManySpeakers},
		{"too much text", strings.Repeat("A: "+strings.Repeat("b", 1000)+"\n", MaxTextBytes/1000+1), CodeTooLarge},
		{"far too much", strings.Repeat("a", MaxBytes+1), CodeTooLarge},
		{"fifty megabytes", strings.Repeat("A: b\n", 10<<20), CodeTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(test.in), Options{})
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Fatalf("error %v, want a fault", err)
			}
			if f.Kind != fault.KindInvalid || f.Field != "content" || f.Code != test.code {
				t.Errorf("%s %s %s (%s), want %s", f.Kind, f.Field, f.Code, f.Message, test.code)
			}
			if strings.Contains(f.Message, "zanzibar") {
				t.Errorf("quotes the file: %s", f.Message)
			}
		})
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"lines":    "A: b\n" + strings.Repeat("\n", MaxLines-2) + "A: c",
		"cues":     strings.Repeat("A: b\n", MaxCues),
		"speakers": manySpeakers(MaxSpeakers),
		"text":     "A: " + strings.Repeat("b", MaxTextBytes),
		"UTF-16":   utf16Text(binary.BigEndian, "A: "+strings.Repeat("b", MaxTextBytes)),
	} {
		if _, err := Parse([]byte(in), Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte("A: b\nA: c"), Options{MaxBytes: 9}); err != nil {
		t.Error(err)
	}
	_, err := Parse([]byte("A: b\nA: c"), Options{MaxBytes: 8})
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != CodeTooLarge || !strings.Contains(f.Message, "8 bytes") {
		t.Errorf("a limit of the caller's: %v", err)
	}
}

func manySpeakers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Speaker %d: Yes.\n", i)
	}
	return b.String()
}

func TestFormatIsChosen(t *testing.T) {
	t.Parallel()
	const dotted = "00:00:01.000 --> 00:00:02.000\nAnn: Hi.\n\n"
	for _, test := range []struct {
		name string
		in   string
		opts Options
		want Format
	}{
		{"the name breaks a tie", dotted, Options{Filename: "Talk.SRT"}, SubRip},
		{"the name breaks a tie the other way", dotted, Options{Filename: "talk.vtt"}, WebVTT},
		{"no name", dotted, Options{}, WebVTT},
		{"the name does not overrule the header", header + dotted, Options{Filename: "talk.srt"}, WebVTT},
		{"the name does not overrule the comma", strings.ReplaceAll(dotted, ".000", ",000"), Options{Filename: "talk.vtt"}, SubRip},
		{"the caller overrules all", header + dotted, Options{Format: SubRip, Filename: "talk.vtt"}, SubRip},
		{"the caller says it is text", "Nothing but words.\n", Options{Format: Text}, Text},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse([]byte(test.in), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			if doc.Format != test.want {
				t.Errorf("read as %s, want %s", doc.Format, test.want)
			}
		})
	}
	_, err := Parse([]byte(dotted), Options{Format: "DOCX"})
	var f *fault.Error
	if !errors.As(err, &f) || f.Field != "format" || f.Code != CodeUnknownFormat {
		t.Errorf("a format that does not exist: %v", err)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	const cue = "00:01.000 --> 00:02.000\nAnn: Hi.\n\n"
	for in, want := range map[string]string{
		"WEBVTT\nLanguage: de-ch\n\n" + cue:          "de-CH",
		header + "NOTE language:en-us\n\n" + cue:     "en-US",
		header + "NOTE language: is power\n\n" + cue: "",
		header + "NOTE the language: en\n\n" + cue:   "",
		header + cue: "",
	} {
		doc, err := Parse([]byte(in), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if doc.Language != want {
			t.Errorf("language %q of %q, want %q", doc.Language, in, want)
		}
	}
}

func TestWarningsAreCapped(t *testing.T) {
	t.Parallel()
	const extra = 7
	in := header + "00:01.000 --> 00:02.000\nAnn: Hi.\n\n" +
		strings.Repeat("00:02.000 --> 00:01.000\nAnn: Hi.\n\n", maxWarningsPerCode+extra) +
		"00:03.0"
	doc, err := Parse([]byte(in), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var backwards []Warning
	for _, w := range doc.Warnings {
		if w.Code == WarnTimesBackwards {
			backwards = append(backwards, w)
		}
	}
	if len(backwards) != maxWarningsPerCode+1 {
		t.Fatalf("%d warnings", len(backwards))
	}
	last := backwards[maxWarningsPerCode]
	if want := fmt.Sprintf("and %d more of the same kind from here on", extra); last.Message != want || last.Line != 6+3*maxWarningsPerCode {
		t.Errorf("the last one says %q on line %d", last.Message, last.Line)
	}
	if !strings.Contains(noted(doc), WarnTruncated) {
		t.Error("many warnings of one kind hide another kind")
	}
	if !slices.IsSortedFunc(doc.Warnings, func(a, b Warning) int { return a.Line - b.Line }) {
		t.Error("warnings are not in the order of the file")
	}
}

// TestWarningsQuoteNobody puts a word into all places of a file that is wrong in all ways.
func TestWarningsQuoteNobody(t *testing.T) {
	t.Parallel()
	const secret = "zanzibar"
	in := "stray " + secret + "\n\n00:00:05.000 --> 00:00:04.000\n" + secret + "\n\n00:0" + secret + ": --> 1\n" + secret +
		": x\n\n00:00:01.000 --> 00:00:02.000\n\x00\xe9 <v " + secret + ">" + secret + "\n\n" + secret + "\n\n99\n00:01"
	doc, err := Parse([]byte(in), Options{Format: WebVTT})
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Warnings) < 8 {
		t.Errorf("only %s", noted(doc))
	}
	for _, w := range doc.Warnings {
		if strings.Contains(w.Message+w.Assumed+w.Code, secret) || w.Line < 1 || w.Message == "" || w.Assumed == "" {
			t.Errorf("%+v", w)
		}
	}
}

// TestTruncated cuts a file at every byte: what is whole is kept as it is, nobody is made up, and there is never a panic.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for file, blankLine := range map[string]string{"zoom.vtt": "\r\n\r\n", "teams.vtt": "\n\n"} {
		content := readTestdata(t, file)
		all, err := Parse(content, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for cut := range content {
			whole := 0 // cues before the cut
			for block := range strings.SplitSeq(string(content[:cut]), blankLine) {
				if strings.Contains(block, "-->") {
					whole++
				}
			}
			if !strings.HasSuffix(string(content[:cut]), blankLine) {
				whole--
			}
			if whole < 1 {
				continue
			}
			doc, err := Parse(content[:cut], Options{})
			if err != nil {
				t.Fatalf("%s cut at %d: %v", file, cut, err)
			}
			got, want := cuesOf(doc), firstCues(cuesOf(all), whole)
			if len(got) < len(want) {
				t.Fatalf("%s cut at %d: %d cues of %d", file, cut, len(got), len(want))
			}
			for i, c := range want {
				if got[i] != c && c.Speaker != "3rd floor room" { // once is not enough for a name with a digit
					t.Fatalf("%s cut at %d: cue %d is %+v, want %+v", file, cut, i+1, got[i], c)
				}
			}
			for _, name := range doc.Speakers {
				if !slices.Contains(all.Speakers, name) {
					t.Fatalf("%s cut at %d: a speaker called %q", file, cut, name)
				}
			}
		}
	}

	const before = header + "1\n00:00:01.000 --> 00:00:02.000\nAnn: One.\n\n2\n00:00:02.000 --> 00:00:03.000\nBob: Two.\n\n"
	const heard = "Ann 1000-2000: One.\nBob 2000-3000: Two.\n"
	for _, test := range []struct{ in, want, notes string }{
		{"", heard, ""},
		{"3", heard, "TRUNCATED@11"},
		{"3\n", heard, "TRUNCATED@11"},
		{"3\n00:0", heard, "TRUNCATED@11"},
		{"3\n00:00:03.000 --> ", heard, "TRUNCATED@12"},
		{"3\n00:00:03.000 --> 00:00:04", heard, "TRUNCATED@12"},
		{"3\n00:00:03.000 --> 00:00:04.000\n", heard, "TRUNCATED@12"},
		{"3\n00:00:03.000 --> 00:00:04.000\nAn", heard, "TRUNCATED@13"},
		{"3\n00:00:03.000 --> 00:00:04.000\nAnn:", heard, "TRUNCATED@13"},
		{"3\n00:00:03.000 --> 00:00:04.000\nAnn: Thr", "Ann 1000-2000: One.\nBob 2000-3000: Two.\nAnn 3000-4000: Thr\n", ""},
		{"3\n00:00:03.000 --> 00:00:04.000\n\n", heard, "EMPTY_CUE@12"},
	} {
		doc, err := Parse([]byte(before+test.in), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := outline(doc); got != test.want {
			t.Errorf("%q: got\n%s", test.in, got)
		}
		if got := noted(doc); got != test.notes {
			t.Errorf("%q: warnings %q, want %q", test.in, got, test.notes)
		}
	}

	long := header + strings.Repeat("00:00:01.000 --> 00:00:02.000\nAnn: Hello.\n\n", 6) + "00:00:02.000 --> 00:00:03.000\nAnn: Hel"
	if doc, err := Parse([]byte(long), Options{}); err != nil || noted(doc) != "TRUNCATED@22" {
		t.Errorf("cut within a word of a file that punctuates: %v, %s", err, noted(doc))
	}
}

// firstCues are the cues with the first n different times.
func firstCues(cues []plainCue, n int) []plainCue {
	for i, c := range cues {
		if i == 0 || c.Start != cues[i-1].Start || c.End != cues[i-1].End {
			n--
		}
		if n < 0 {
			return cues[:i]
		}
	}
	return cues
}

func utf16Text(order binary.AppendByteOrder, s string) string {
	b := order.AppendUint16(nil, 0xFEFF)
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// TestUTF16WithoutBOM: alphabets that have no zeros in their letters are known by the zeros of spaces and ends of lines.
func TestUTF16WithoutBOM(t *testing.T) {
	t.Parallel()
	for _, talk := range []string{
		"Анна: Как дела?\nБорис: Хорошо.\n", "Άννα: Τι κάνεις;\nΝίκος: Καλά.\n", "דנה: מה שלומך?\nאורי: טוב.\n",
		"安娜: 你今天感觉怎么样？\n李明: 谢谢，我很好。\n", "안나: 오늘은 어때요?\n민수: 좋아요.\n", "Zoë: Wie geht’s?\nJürgen: Schön.\n",
	} {
		for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
			doc, err := Parse([]byte(utf16Text(order, talk))[2:], Options{})
			if err != nil {
				t.Errorf("%s endian, %q: %v", name, talk, err)
				continue
			}
			if got := outline(doc); got != talk || noted(doc) != "DECODED_AS_UTF_16@1" {
				t.Errorf("%s endian: got %q (%s), want %q", name, got, noted(doc), talk)
			}
		}
	}
}
