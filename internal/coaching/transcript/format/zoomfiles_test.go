package format

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// zoomFolder holds real transcripts as Zoom exported them. They may be read but not copied into this repository.
const zoomFolder = "../../../../../shared/data/zoom"

// TestParseRealZoomFiles proves on real files that no word, speaker or time is lost or moved. It reads the files a second
// time with a reader of its own, which knows nothing but these files and shares nothing with the parser.
func TestParseRealZoomFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(zoomFolder, "*.vtt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		where, _ := filepath.Abs(zoomFolder)
		t.Skipf("NOT TESTED ON REAL FILES: there are no .vtt files in %s", where)
	}
	if len(files) != 9 {
		t.Errorf("found %d files, the folder's README speaks of 9", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := readZoomIndependently(t, string(content))
			doc, err := Parse(content, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if doc.Format != WebVTT {
				t.Errorf("format %s", doc.Format)
			}
			for _, w := range doc.Warnings {
				t.Errorf("line %d: %s on a file that is in order", w.Line, w.Code)
			}

			got := cuesOf(doc)
			if len(got) != len(want) {
				t.Fatalf("%d cues, want %d", len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("cue %d:\n got %+v\nwant %+v", i+1, got[i], want[i])
				}
			}
			t.Logf("%d cues, %d utterances, %d speakers", len(got), len(doc.Utterances), len(doc.Speakers))
		})
	}
}

// plainCue is a cue as this test sees it.
type plainCue struct {
	Speaker    string
	Start, End int64
	Words      string
}

var zoomTiming = regexp.MustCompile(`^(\d\d):(\d\d):(\d\d)\.(\d\d\d) --> (\d\d):(\d\d):(\d\d)\.(\d\d\d)$`)

// readZoomIndependently reads id, times and `Name: text`, and fails on everything else.
func readZoomIndependently(t *testing.T, content string) []plainCue {
	t.Helper()
	var cues []plainCue
	lines := bufio.NewScanner(strings.NewReader(content))
	next := func() string {
		if !lines.Scan() {
			t.Fatal("the file ends too early for the test's reader")
		}
		return strings.TrimSuffix(lines.Text(), "\r")
	}
	if next() != "WEBVTT" || next() != "" {
		t.Fatal("the test's reader does not know this header")
	}
	for lines.Scan() {
		if id := strings.TrimSuffix(lines.Text(), "\r"); id != strconv.Itoa(len(cues)+1) {
			t.Fatalf("cue %d has another id", len(cues)+1)
		}
		m := zoomTiming.FindStringSubmatch(next())
		if m == nil {
			t.Fatalf("cue %d has other times", len(cues)+1)
		}
		var n [8]int64
		for i := range n {
			n[i], _ = strconv.ParseInt(m[i+1], 10, 64)
		}
		name, words, ok := strings.Cut(next(), ": ")
		if !ok {
			t.Fatalf("cue %d has no name", len(cues)+1)
		}
		cues = append(cues, plainCue{
			Speaker: name,
			Start:   ((n[0]*60+n[1])*60+n[2])*1000 + n[3],
			End:     ((n[4]*60+n[5])*60+n[6])*1000 + n[7],
			Words:   words,
		})
		if next() != "" {
			t.Fatalf("cue %d has a second line", len(cues))
		}
	}
	return cues
}

// cuesOf takes a document apart again, by the offsets of its cues.
func cuesOf(doc *Document) []plainCue {
	var cues []plainCue
	for _, u := range doc.Utterances {
		speaker := ""
		if u.Speaker >= 0 {
			speaker = doc.Speakers[u.Speaker]
		}
		runes := []rune(u.Text)
		for i, c := range u.Cues {
			end := len(runes)
			if i+1 < len(u.Cues) {
				end = u.Cues[i+1].Offset - 1
			}
			words := string(runes[c.Offset:end])
			if end < len(runes) && runes[end] != ' ' {
				words = fmt.Sprintf("no space after %q", words)
			}
			cues = append(cues, plainCue{Speaker: speaker, Start: c.StartMs, End: c.EndMs, Words: words})
		}
	}
	return cues
}
