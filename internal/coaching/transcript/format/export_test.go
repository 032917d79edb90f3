package format

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// checkRoundTrip exports a document in every format and demands the same back.
func checkRoundTrip(t *testing.T, doc *Document) {
	t.Helper()
	for _, to := range []Format{WebVTT, SubRip, Text, JSON} {
		var file bytes.Buffer
		err := Export(&file, doc, to)
		if (to == WebVTT || to == SubRip) && doc.Utterances[0].EndMs == nil {
			var f *fault.Error
			if !errors.As(err, &f) || f.Field != "format" || f.Code != CodeNoTimes || file.Len() > 0 {
				t.Fatalf("%s without times: %v, %d bytes", to, err, file.Len())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(file.Bytes(), Options{})
		if err != nil {
			t.Fatalf("%s: %v\n%s", to, err, file.Bytes())
		}
		if back.Format != to {
			t.Fatalf("%s is read as %s\n%s", to, back.Format, file.Bytes())
		}
		ignored := []string{"Format", "Source", "Warnings"}
		if to == SubRip || to == Text { // which cannot say it; it is guessed anew
			ignored = append(ignored, "Language")
		}
		if diff := cmp.Diff(doc, back, cmpopts.IgnoreFields(Document{}, ignored...), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (- exported, + read):\n%s\n%s", to, diff, file.Bytes())
		}
		for _, w := range back.Warnings {
			switch w.Code {
			case WarnSpeakersMissing, WarnSpeakerMissing, WarnEndsMissing, WarnTimesBeyondADay: // true of the document itself
			default:
				t.Fatalf("%s: %s in line %d\n%s", to, w.Code, w.Line, file.Bytes())
			}
		}
	}
}

// TestRoundTripOfFiles reads, writes and reads the files of testdata, which are of all shapes.
func TestRoundTripOfFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.Glob(filepath.Join(zoomFolder, "*.vtt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, real...) {
		if strings.HasSuffix(file, ".golden.json") || strings.HasSuffix(file, ".gitattributes") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := Parse(content, Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, doc)
		})
	}
}

// TestRoundTripOfTalk does the same for random documents, among them such as only somebody's edits can make.
func TestRoundTripOfTalk(t *testing.T) {
	t.Parallel()
	rounds := 600
	if testing.Short() {
		rounds = 60
	}
	for seed := range uint64(rounds) {
		doc := randomDocument(rand.New(rand.NewPCG(seed, 7)))
		checkDocument(func(message string, args ...any) {
			t.Fatalf("seed %d: the test's own document: "+message, append([]any{seed}, args...)...)
		}, doc)
		checkRoundTrip(t, doc)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzRoundTrip exports and reads again whatever can be read at all.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, uint64(0))
	}
	f.Fuzz(func(t *testing.T, content []byte, seed uint64) {
		if doc, err := Parse(content, Options{}); err == nil {
			checkRoundTrip(t, doc)
		}
		checkRoundTrip(t, randomDocument(rand.New(rand.NewPCG(seed, uint64(len(content))))))
	})
}

// oddNames and oddWords are what readers take for something else, in one format or another.
var oddNames = []string{
	"Ann", "Bob", "Ann Lee (Coach)", "Smith, John (Guest)", "Note", "NOTE", "WEBVTT", "3Box", "1", "12", "A", "Q", "...", "山田", "E. Falk 🌱", "👩‍💻 Zoé",
	"Acme: Ann", "Acme: Ann: Lee", `a\: b`, `\`, `**`, "**Ann:**", "*", "Ann*", "<b>Ann:</b>", "</b>", ":</b>", "<v Bob>", "<", ">", "&", "&amp;", "&lt;",
	"a --> b", "00:00:01.000 --> 00:00:02.000", "0:03", "0:01 –", "0:01 -", "[Ann] 10:00:00", "(0:03)", "Ann (0:03)", "0:03 - Ann", "speaker,text", "start;speaker;text",
	"{", `{"a":1}`, "[", "[{", `"Ann"`, "'Ann'", "?!", "Is that so?", "one two three four five six seven eight", "https://a.example/b", "10:30 Meeting",
	"Transcript", "Attendees", "---", "a - Transcript", "Transcribed by https://otter.ai", "Meeting ended after 00:38:36 👋", "VIEW RECORDING - x", "Speaker 1",
	"So", "The thing is", "ann", "Ann.", "Ann…", "{\\an8}", "\\", "\\Ann", "#", "# Ann", "=", "x; y", "\u00adAnn", "Ann\u200bLee", strings.Repeat("x", 200), "<i></i>", "<u></u>",
}

var oddWords = []string{
	"so", "yes,", "well", "Grün", "木。", "🌳", "no.", "Ann:", "Bob: so", "Note:", "1", "12", "10:30", "0:03", "00:00:01.000 --> 00:00:02.000", "-->", "--", ">",
	"<", "<3", "<b>", "</b>", "<b>Ann:</b>", "<v Ann>", "</v>", "<i></i>", "<u></u>", "<00:00:01.000>", "<br>", "&", "&amp;", "&lt;", "&#65;", "R&D", "{\\an8}", "{x}", `\`, `\\`, "**",
	"**Ann:**", "*", "_", "WEBVTT", "NOTE", "NOTE x", "STYLE", "---", "Transcript", "- Transcript", "📖 Transcript", "Attendees", "Transcribed by https://otter.ai", "Meeting ended after 00:38:36 👋",
	"VIEW RECORDING - 5 mins", "Ann (0:03)", "[0:03] Ann:", "0:03 - Ann", "0:01 – 0:02", "\\0:03", "?", ":", "：", "{", `{"a":1}`, "[", `"`, `""`, "'", ",", ";", "speaker,text", "the", "and", "https://a.example/b: x",
	"\u200b", "\u2060", "\ufeff", "\u00ad", "\ufffd", "…", "“well”", "e\u0301", "\u200e",
}

// randomDocument makes a document of any kind that there is: with times, with starts only, without; of one or many
// speakers or nobody; cut into utterances as the rule would or as somebody has edited them.
func randomDocument(random *rand.Rand) *Document {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	names := []string{}
	for range random.IntN(5) {
		if name := cleanName(pick(oddNames)); name != "" && name != nobody && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var texts func() string
	if random.IntN(3) == 0 {
		texts = func() string { return fmt.Sprintf("w%d and so on.", random.IntN(1000)) }
	} else {
		texts = func() string {
			words := []string{}
			for range 1 + random.IntN(6) {
				words = append(words, pick(oddWords))
			}
			if random.IntN(30) == 0 {
				words = append(words, strings.Repeat("long ", random.IntN(300))+"way")
			}
			return collapse(strings.Join(words, " "))
		}
	}
	kind := random.IntN(4) // 0 no times, 1 starts only, else all
	edited := random.IntN(2) == 0
	clock := int64(random.IntN(3)) * int64(random.IntN(100_000))
	step := func() int64 {
		return int64(random.IntN(2)) * int64(random.IntN([]int{10, 3000, 100_000}[random.IntN(3)]))
	}
	who := &cast{names: names}
	var pieces []said
	for range 1 + random.IntN(12) {
		p := said{start: noTime, end: noTime, speaker: random.IntN(len(names)+1) - 1, text: texts()}
		if n := len(pieces); n > 0 && random.IntN(2) == 0 {
			p.speaker = pieces[n-1].speaker
		}
		if kind > 0 {
			p.start = clock
		}
		if kind > 1 {
			p.end = clock + step()
		}
		if edited {
			p.bound = []bound{byRule, apart, joined}[random.IntN(3)]
		}
		clock += step()
		pieces = append(pieces, p)
	}
	doc := &Document{Speakers: who.inOrder(pieces), Utterances: merge(pieces)}
	doc.Language = guessLanguage(doc.Utterances)
	if random.IntN(3) == 0 {
		doc.Language = []string{"de", "en-US", "pt-BR", "zh-Hant-TW"}[random.IntN(4)]
	}
	return doc
}

func TestExportReadsWell(t *testing.T) {
	t.Parallel()
	ms := func(n int64) *int64 { return &n }
	timed := &Document{Language: "en", Speakers: []string{"Ann Lee", "Bob"}, Utterances: []Utterance{
		{Speaker: 0, StartMs: ms(1000), EndMs: ms(4250), Text: "Well & good. And you?", Cues: []Cue{{1000, 2000, 0}, {2500, 4250, 13}}},
		{Speaker: 1, StartMs: ms(3_600_000), EndMs: ms(3_600_500), Text: "a <b", Cues: []Cue{{3_600_000, 3_600_500, 0}}},
		{Speaker: -1, StartMs: ms(3_700_000), EndMs: ms(3_700_500), Text: "Hm.", Cues: []Cue{{3_700_000, 3_700_500, 0}}},
	}}
	for _, test := range []struct {
		name string
		doc  *Document
		to   Format
		want string
	}{
		{"WebVTT", timed, WebVTT, "WEBVTT\nLanguage: en\n\nNOTE Exported by Rapport\n\n1\n00:00:01.000 --> 00:00:02.000\n<v Ann Lee>Well &amp; good.</v>\n\n" +
			"2\n00:00:02.500 --> 00:00:04.250\n<v Ann Lee>And you?</v>\n\n3\n01:00:00.000 --> 01:00:00.500\n<v Bob>a &lt;b</v>\n\n4\n01:01:40.000 --> 01:01:40.500\n<v ?>Hm.</v>\n"},
		{"SubRip", &Document{Speakers: timed.Speakers, Utterances: timed.Utterances[:2]}, SubRip, "1\n00:00:01,000 --> 00:00:02,000\nAnn Lee: Well & good.\n\n" +
			"2\n00:00:02,500 --> 00:00:04,250\nAnn Lee: And you?\n\n3\n01:00:00,000 --> 01:00:00,500\nBob: a <b\n\n"},
		{"SubRip where names need marks", &Document{Speakers: []string{"Note"}, Utterances: []Utterance{{Text: "So.", StartMs: ms(0), EndMs: ms(1), Cues: []Cue{{0, 1, 0}}}}}, SubRip,
			"1\n00:00:00,000 --> 00:00:00,001\n<b>Note:</b> So.\n\n"},
		{"text with times", timed, Text, "Ann Lee  0:01 – 0:02\nWell & good.\n0:02.500 – 0:04.250\nAnd you?\n\nBob  1:00:00 – 1:00:00.500\na <b\n\n?  1:01:40 – 1:01:40.500\nHm.\n"},
		{"text with starts", &Document{Speakers: []string{"Ann"}, Utterances: []Utterance{{Text: "So.", StartMs: ms(3000)}}}, Text, "Ann  0:03\nSo.\n"},
		{"text", &Document{Speakers: []string{"Ann", "Bob"}, Utterances: []Utterance{{Text: "So?"}, {Speaker: 1, Text: "Yes."}}}, Text, "Ann: So?\nBob: Yes.\n"},
		{"text where names need marks", &Document{Speakers: []string{"Note"}, Utterances: []Utterance{{Text: "So?"}, {Speaker: -1, Text: "Yes."}}}, Text, "**Note:** So?\n**?:** Yes.\n"},
		{"JSON", &Document{Language: "en", Speakers: []string{"Ann"}, Utterances: []Utterance{timed.Utterances[0], {Speaker: -1, Text: "\"<Hm>\" \\"}}}, JSON,
			"{\"format\":\"rapport.transcript\",\"version\":1,\"language\":\"en\",\n\"speakers\":[\"Ann\"],\n\"utterances\":[\n" +
				"{\"speaker\":0,\"startMs\":1000,\"endMs\":4250,\"text\":\"Well & good. And you?\",\"cues\":[{\"startMs\":1000,\"endMs\":2000,\"offset\":0},{\"startMs\":2500,\"endMs\":4250,\"offset\":13}]},\n" +
				"{\"speaker\":null,\"text\":\"\\\"<Hm>\\\" \\\\\"}\n]}\n"},
	} {
		var got bytes.Buffer
		if err := Export(&got, test.doc, test.to); err != nil || got.String() != test.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", test.name, err, got.String(), test.want)
		}
	}
}

// TestExportOfCorrectedWords: the cues of a corrected text do not fit it any more.
func TestExportOfCorrectedWords(t *testing.T) {
	t.Parallel()
	start, end := int64(1000), int64(9000)
	for _, cues := range [][]Cue{
		{{1000, 2000, 0}, {2000, 9000, 3}},               // within a word
		{{1000, 2000, 0}, {2000, 9000, 300}},             // behind the end
		{{1000, 2000, 0}, {2000, 9000, 0}},               // twice at the same place
		{{1000, 2000, 1}},                                // not at the beginning
		{{1000, 2000, 0}, {2000, 3000, 6}, {4, 5, 2}},    // backwards
		{{1000, 2000, 0}, {2000, 3000, 5}, {4, 5, 1000}}, // before and behind
	} {
		var got bytes.Buffer
		doc := &Document{Speakers: []string{"Ann"}, Utterances: []Utterance{{StartMs: &start, EndMs: &end, Text: "Hello again", Cues: cues}}}
		if err := Export(&got, doc, WebVTT); err != nil || !strings.Contains(got.String(), "00:00:01.000 --> 00:00:09.000\n<v Ann>Hello again</v>\n") || strings.Count(got.String(), "-->") != 1 {
			t.Errorf("%v: %v\n%s", cues, err, got.String())
		}
		got.Reset()
		if err := Export(&got, doc, JSON); err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(got.Bytes(), Options{}); err != nil || outline(back) != "Ann 1000-9000: Hello again\n" {
			t.Errorf("%v: %v\n%s", cues, err, got.String())
		}
	}
}

// TestExportOfEditedSpeakers: the people of a transcript may have been renamed, merged and given each other's words.
func TestExportOfEditedSpeakers(t *testing.T) {
	t.Parallel()
	at := func(n int64) *int64 { return &n }
	edited := &Document{Speakers: []string{"nobody any more", " Bob\u200b:", "Ann", "Bob"}, Utterances: []Utterance{
		{Speaker: 2, StartMs: at(0), EndMs: at(1), Text: "One  two\x00", Cues: []Cue{{0, 1, 0}}},
		{Speaker: 1, StartMs: at(1), EndMs: at(2), Text: "three", Cues: []Cue{{1, 2, 0}}},
		{Speaker: 3, StartMs: at(2), EndMs: at(3), Text: "four", Cues: []Cue{{2, 3, 0}}},
		{Speaker: 7, StartMs: at(3), EndMs: at(4), Text: "five", Cues: []Cue{{3, 4, 0}}},
		{Speaker: 2, StartMs: at(4), EndMs: at(5), Text: " ", Cues: []Cue{{4, 5, 0}}},
	}}
	const want = "Ann 0-1: One two\nBob 1-2: three\nBob (2) 2-3: four\n? 3-4: five\n"
	for _, to := range []Format{WebVTT, SubRip, Text, JSON} {
		var file bytes.Buffer
		if err := Export(&file, edited, to); err != nil {
			t.Fatal(err)
		}
		doc, err := Parse(file.Bytes(), Options{})
		if err != nil || outline(doc) != want {
			t.Errorf("%s: %v, %s\n%s", to, err, outline(doc), file.Bytes())
		}
	}
	if edited.Utterances[1].Speaker != 1 || edited.Utterances[0].Text != "One  two\x00" {
		t.Error("an export changes what it exports")
	}
}

// A file merges nobody: of many speakers with one name, as long as a name may be, all come back.
func TestExportOfOneName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Bob", "Bob (2)", strings.Repeat("x", longestName)} {
		doc := &Document{}
		for i := range int64(12) {
			doc.Speakers = append(doc.Speakers, name)
			start, end := i, i+1
			doc.Utterances = append(doc.Utterances, Utterance{Speaker: int(i), StartMs: &start, EndMs: &end, Text: "So.", Cues: []Cue{{i, i + 1, 0}}})
		}
		for _, to := range []Format{WebVTT, SubRip, Text, JSON} {
			var file bytes.Buffer
			if err := Export(&file, doc, to); err != nil {
				t.Fatal(err)
			}
			back, err := Parse(file.Bytes(), Options{})
			if err != nil || len(back.Speakers) != 12 || len(back.Utterances) != 12 || back.Utterances[11].Speaker != 11 {
				t.Errorf("%.10s as %s: %v, %v\n%.600s", name, to, err, back, file.Bytes())
			}
		}
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	start := int64(0)
	mixed := &Document{Utterances: []Utterance{{Text: "So."}, {Text: "Yes.", StartMs: &start}}}
	for to, code := range map[Format]string{CSV: CodeUnknownFormat, "DOCX": CodeUnknownFormat, WebVTT: CodeNoTimes, SubRip: CodeNoTimes, Text: CodeNoTimes} {
		var f *fault.Error
		if err := Export(&bytes.Buffer{}, mixed, to); !errors.As(err, &f) || f.Kind != fault.KindInvalid || f.Field != "format" || f.Code != code {
			t.Errorf("%s: %v", to, err)
		}
	}
	for _, to := range []Format{WebVTT, SubRip, Text, JSON} {
		doc := &Document{Speakers: []string{"Ann"}, Utterances: []Utterance{{Text: "So.", StartMs: &start, EndMs: &start, Cues: []Cue{{}}}}}
		if err := Export(broken{}, doc, to); !errors.Is(err, errBroken) {
			t.Errorf("%s to what cannot be written to: %v", to, err)
		}
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
