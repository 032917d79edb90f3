package format

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you commit it")

// TestGolden shows, for each file of testdata, all that is read out of it. The files are invented, in the shapes of the products
// that they are named after.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	formats := map[string]Format{".vtt": WebVTT, ".srt": SubRip, ".txt": Text, ".md": Text, ".json": JSON, ".jsonl": JSON, ".csv": CSV, ".tsv": CSV}
	for _, file := range files {
		file = filepath.Base(file)
		format := formats[filepath.Ext(file)]
		if format == "" || strings.HasSuffix(file, ".golden.json") {
			continue
		}
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
