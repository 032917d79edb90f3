package format

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzParse feeds Parse anything. Ordinary tests run it on the seeds; TestParseMutations adds a bounded walk from there.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, format := range []Format{"", WebVTT, SubRip, Text, JSON, CSV} {
			checkParse(t, content, format)
		}
	})
}

// TestParseMutations changes the seeds at random, always in the same way, so that every run of the tests fuzzes a little.
func TestParseMutations(t *testing.T) {
	t.Parallel()
	rounds := 2_000
	if testing.Short() {
		rounds = 200
	}
	all := seeds(t)
	pieces := []string{
		"-->", "\n", "\n\n", "\r", ":", ": ", "<", ">", "<v ", "</v>", "&", "&#0;", "&lt;", ";", "{\\", "}", "\x00", "\xff", "\xff\xfe", " ",
		"WEBVTT\n", "NOTE\n", "00:00:01.000 --> 00:00:02.000\n", "00:00", "99:99:99,999", "1\n", "Ann: ", "：", "\u00a0", "\u2028", "🌱", "é",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		s := string(all[random.IntN(len(all))])
		for range 1 + random.IntN(8) {
			from := random.IntN(len(s) + 1)
			to := min(len(s), from+random.IntN(12))
			s = s[:from] + pieces[random.IntN(len(pieces))] + s[to:]
		}
		checkParse(t, []byte(s), "")
		checkParse(t, []byte(s), WebVTT)
	}
}

// checkParse parses and checks what must hold for every file.
func checkParse(t *testing.T, content []byte, format Format) {
	t.Helper()
	doc, err := Parse(content, Options{Format: format})
	if (doc == nil) == (err == nil) {
		t.Fatalf("a document and an error, or neither: %v", err)
	}
	if err != nil {
		return
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\nin %q", fmt.Sprintf(format, args...), content)
	}
	checkDocument(fail, doc)
	line := 1
	for _, w := range doc.Warnings {
		if w.Line < line || w.Code == "" || w.Message == "" || w.Assumed == "" {
			fail("warning %+v after line %d", w, line)
		}
		line = w.Line
	}
}

// checkDocument checks what the comment of Document promises.
func checkDocument(fail func(string, ...any), doc *Document) {
	if len(doc.Utterances) == 0 {
		fail("no utterances and no error")
	}
	met := 0
	last := int64(0)
	hasStart, hasEnd := doc.Utterances[0].StartMs != nil, doc.Utterances[0].EndMs != nil
	if hasEnd && !hasStart {
		fail("an end without a start")
	}
	for i, u := range doc.Utterances {
		switch {
		case u.Speaker == met:
			met++
		case u.Speaker < -1 || u.Speaker > met:
			fail("utterance %d: speaker %d before speaker %d", i, u.Speaker, met)
		}
		if !clean(u.Text) {
			fail("utterance %d: text %q", i, u.Text)
		}
		if (u.StartMs != nil) != hasStart || (u.EndMs != nil) != hasEnd || (len(u.Cues) > 0) != hasEnd {
			fail("utterance %d has other times than the first", i)
		}
		if hasEnd {
			checkCues(fail, i, u, &last)
		} else if hasStart {
			if *u.StartMs < last {
				fail("utterance %d: start %d after %d", i, *u.StartMs, last)
			}
			last = *u.StartMs
		}
	}
	if met != len(doc.Speakers) {
		fail("%d speakers of %d speak", met, len(doc.Speakers))
	}
	names := map[string]bool{}
	for i, name := range doc.Speakers {
		if !clean(name) || names[name] || name != cleanName(name) {
			fail("speaker %d: %q", i, name)
		}
		names[name] = true
	}
}

func clean(s string) bool {
	return s != "" && s == strings.Join(strings.Fields(s), " ") && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func checkCues(fail func(string, ...any), i int, u Utterance, last *int64) {
	if *u.StartMs != u.Cues[0].StartMs {
		fail("utterance %d: starts at %d, its first cue at %d", i, *u.StartMs, u.Cues[0].StartMs)
	}
	runes := []rune(u.Text)
	end := int64(0)
	for j, c := range u.Cues {
		if c.EndMs < c.StartMs || c.StartMs < 0 || c.EndMs > maxMs {
			fail("utterance %d: cue %d from %d to %d", i, j, c.StartMs, c.EndMs)
		}
		if c.StartMs < *last {
			fail("utterance %d: cue %d is out of order", i, j)
		}
		*last = c.StartMs
		if j == 0 && c.Offset != 0 || j > 0 && (c.Offset <= u.Cues[j-1].Offset || c.Offset >= len(runes) || runes[c.Offset-1] != ' ') {
			fail("utterance %d: cue %d at offset %d", i, j, c.Offset)
		}
		end = max(end, c.EndMs)
	}
	if *u.EndMs != end {
		fail("utterance %d: end %d, its cues end at %d", i, *u.EndMs, end)
	}
}

func seeds(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	files, _ := filepath.Glob(filepath.Join("testdata", "*.*"))
	for _, file := range files {
		if strings.HasSuffix(file, ".golden.json") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content)
	}
	if len(all) < 4 {
		t.Fatalf("only %d seeds", len(all))
	}
	const cues = "1\n00:00:01.000 --> 00:00:02.000\nAnn: Hi.\n\n2\n00:00:00,5 --> 00:00:03\n<v Bob>Well &amp; good</v> so\n\n"
	return append(all,
		[]byte(header+cues),
		[]byte(cues),
		[]byte(utf16Text(binary.LittleEndian, header+cues)),
		[]byte(utf16Text(binary.BigEndian, cues)),
		[]byte("Acme: Ann: Hi.\nAcme: Ann: So.\n\nYes.\n"),
		[]byte("WEBVTT\n00:00.000 --> 00:00.000\n<\n--> 1\n{\\a}&#0;\n00:1 --> \n"),
		[]byte(`[{"speaker":"\u0041","start":NaN,"end":-1e308,"text":"\ud83c\u0000x"}]`),
		[]byte("sep=;\nspeaker;start;text\n\"A;n\";\"1\n\";\"b\"\"c\n"),
		[]byte("VIEW RECORDING - 1\n---\n0:01 - A\n\\0:03\n**B:** x\n\nC  0:01 – 0:02\n"),
	)
}

// TestGeneratedTalk writes random conversations in every format and in every way a file can be written, and demands each
// word, speaker and time back.
func TestGeneratedTalk(t *testing.T) {
	t.Parallel()
	names := []string{"Ann", "Bo Lind (Acme)", "Cy | Nord", "d'Arc, Zoé", "山田", "E. Falk 🌱"}
	words := []string{"yes", "no,", "so", "Grün", "10:30", "https://a.example", "1", "<", "&", "R&D", "木。", "🌳", "“well”", "a:b", "-->?", "{x}", "(laughs)", "3.5", "it's", "Ann:", "…"}
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		format := []Format{WebVTT, SubRip, Text}[round%3]
		voices := format == WebVTT && random.IntN(2) == 0
		var b strings.Builder
		if format == WebVTT {
			b.WriteString(header)
		}
		var want []plainCue
		clock := int64(random.IntN(5000))
		for i := range 2 + random.IntN(40) {
			c := plainCue{Speaker: names[random.IntN(len(names))]}
			if i > 0 && random.IntN(2) == 0 {
				c.Speaker = want[i-1].Speaker
			}
			said := make([]string, 1+random.IntN(12))
			for j := range said {
				said[j] = words[random.IntN(len(words))]
			}
			said[0] = "w" // so that no name can be read on
			c.Words = strings.Join(said, " ")
			if format != Text {
				c.Start, c.End = clock, clock+int64(random.IntN(9000))
				clock += int64(random.IntN(9000))
				if random.IntN(2) == 0 {
					fmt.Fprintf(&b, "%d\n", i+1)
				}
				fmt.Fprintf(&b, "%s --> %s\n", clockText(c.Start, pointOf(format)), clockText(c.End, pointOf(format)))
			}
			escape := func(s string) string {
				if format == Text {
					return s
				}
				return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
			}
			// Some white space is a line break, but none after which a line could pass for a name.
			body := escape(c.Words)
			if random.IntN(3) == 0 && !strings.Contains(body, "Ann:") {
				body = strings.Replace(body, " so", "\n  so", 1)
			}
			if voices {
				fmt.Fprintf(&b, "<v %s>%s</v>\n\n", escape(c.Speaker), body)
			} else {
				fmt.Fprintf(&b, "%s: %s\n\n", escape(c.Speaker), body)
			}
			want = append(want, c)
		}
		file := b.String()
		switch random.IntN(4) {
		case 0:
			file = strings.ReplaceAll(file, "\n", "\r\n")
		case 1:
			file = strings.ReplaceAll(file, "\n", "\r")
		case 2:
			file = utf16Text(binary.BigEndian, file)
		}
		doc, err := Parse([]byte(file), Options{})
		if err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, file)
		}
		got := cuesOf(doc)
		if format == Text {
			for _, u := range doc.Utterances {
				got = append(got, plainCue{Speaker: doc.Speakers[u.Speaker], Words: u.Text})
			}
		}
		if doc.Format != format || len(got) != len(want) || len(doc.Warnings) > 0 {
			t.Fatalf("round %d: %s, %d cues of %d, warnings %s\n%s", round, doc.Format, len(got), len(want), noted(doc), b.String())
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("round %d, cue %d:\n got %+v\nwant %+v\n%s", round, i+1, got[i], want[i], b.String())
			}
		}
	}
}

func pointOf(format Format) string {
	if format == SubRip {
		return ","
	}
	return "."
}

// TestHostileFilesAreQuick gives large files of what is read with a look ahead or back. Where something takes the square of
// the size, eight times the size takes 64 times as long; a slow machine alone does not fail this test.
func TestHostileFilesAreQuick(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const (
		large  = MaxTextBytes / 20
		timing = "00:00:01.000 --> 00:00:02.000\n"
	)
	parse := func(before, unit string, size int) time.Duration {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < size && i*strings.Count(unit, "\n") < size/50; i++ {
			b.WriteString(strings.ReplaceAll(unit, "#", strconv.Itoa(i)+"x"))
		}
		started := time.Now()
		_, _ = Parse([]byte(b.String()), Options{})
		return time.Since(started)
	}
	for _, unit := range []string{
		"<", "<v ", "<v a>b", "</v>", "{\\", "&", "&a", "-->", "0:0-->", ": ", "a: ", "：", "é: ", "\xe9abcdefgh", "\u200e", "a ",
		"1\n", "\n", "a\n\n", "0:0-->0:1\n\n", "0:0-->0:1\na: b\n\n", "0:0-->0:1\n#: #\n\n", "#: #\n", "a: #: b\n", "NOTE\n\n",
		"a  0:03\n", "a  0:03\nb\n\n", "#  0:03\nb\n\n", "0:03\n", "[0:03] #: b\n", "a (0:03): ", "(", "[", "  ", "**a:** b\n", "**", "\\", "a,b\n", ",", "\"", "\"\n", "\"a\"\"\n",
		"<b>", "<b>a:</b>", "<i></i>", ">", "<a", "&#0;", "\x01", "Transcript\n",
	} {
		for _, before := range []string{"", header, header + timing, header + timing + "a: b\n\n" + timing, "speaker,text\n", "Ann  0:03\n", "**Ann:** "} {
			isLinear(t, fmt.Sprintf("a file of %q after %q", unit, before), large, func(size int) time.Duration { return parse(before, unit, size) })
		}
	}
}

// isLinear checks that so much does not take much more than eight times as long as an eighth of it, if it takes long at all.
func isLinear(t *testing.T, what string, large int, parse func(size int) time.Duration) {
	t.Helper()
	const factor = 8
	took := parse(large)
	if took < time.Second {
		return
	}
	part := parse(large / factor)
	for range 4 { // the fastest of several: a machine that does something else meanwhile is none of the reader's
		if took > 3*factor*part {
			took, part = min(took, parse(large)), max(part, parse(large/factor))
		}
	}
	if took > 3*factor*part {
		t.Errorf("%s takes %s, an eighth of it %s", what, took, part)
	}
}
