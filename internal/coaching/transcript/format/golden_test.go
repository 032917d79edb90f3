package format

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you commit it")

// TestGolden shows, for one conversation a format, all that is read out of it.
func TestGolden(t *testing.T) {
	t.Parallel()
	for file, format := range map[string]Format{
		"zoom.vtt":   WebVTT,
		"teams.vtt":  WebVTT,
		"subrip.srt": SubRip,
		"plain.txt":  Text,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			content := readTestdata(t, file)
			if detected, ok := Detect(content); !ok || detected != format {
				t.Errorf("detected %q, %t", detected, ok)
			}
			// The name lies on purpose: the content decides.
			doc, err := Parse(content, Options{Filename: "talk.docx"})
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(doc); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", file+".golden.json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := readTestdata(t, file+".golden.json"); !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs; run with -update and look at the difference. Got:\n%s", golden, got.Bytes())
			}
		})
	}
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
