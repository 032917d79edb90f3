package format

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// TestForeignFiles: what people import by mistake is called by its name, and they are told what to do.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	zipped := func(name, content string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(content))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write([]byte(header))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const pad = "\x00\x00\x00\x10"
	for name, test := range map[string]struct {
		content []byte
		code    string
		words   []string
	}{
		"Word":          {zipped("word/document.xml", "<w:document/>"), CodeBinary, []string{"a Word document", "save it as plain text"}},
		"OpenDoc":       {zipped("mimetype", strings.Repeat("application/vnd.oasis.opendocument.text", 1)), CodeBinary, []string{"archive"}},
		"Excel":         {zipped("xl/workbook.xml", "x"), CodeBinary, []string{"an Excel workbook", "CSV"}},
		"PowerPoint":    {zipped("ppt/presentation.xml", "x"), CodeBinary, []string{"a PowerPoint presentation"}},
		"zip":           {zipped("talk.vtt", header), CodeBinary, []string{"a zip archive", "unpack it"}},
		"old Word":      {[]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + pad), CodeBinary, []string{"old Office document"}},
		"PDF":           {[]byte("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj\n"), CodeBinary, []string{"a PDF"}},
		"plain PDF":     {[]byte("%PDF-1.7\n1 0 obj\n"), CodeBinary, []string{"a PDF"}},
		"gzip":          {gz.Bytes(), CodeBinary, []string{"gzip", "unpack it"}},
		"MP3":           {[]byte("ID3\x03\x00\x00\x00\x00\x0f\x76TIT2" + pad), CodeBinary, []string{"an MP3 recording", "its transcript"}},
		"bare MP3":      {[]byte("\xFF\xFB\x90\x64" + pad), CodeBinary, []string{"an MP3 recording"}},
		"MP4":           {[]byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2"), CodeBinary, []string{"an MP4 recording"}},
		"M4A":           {[]byte("\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00"), CodeBinary, []string{"an M4A recording"}},
		"WAV":           {[]byte("RIFF\x24\x08\x00\x00WAVEfmt " + pad), CodeBinary, []string{"a WAV recording"}},
		"WebM":          {[]byte("\x1A\x45\xDF\xA3\x01\x00\x00\x00"), CodeBinary, []string{"a WebM"}},
		"Ogg":           {[]byte("OggS\x00\x02" + pad), CodeBinary, []string{"an Ogg recording"}},
		"PNG":           {[]byte("\x89PNG\r\n\x1a\n" + pad), CodeBinary, []string{"an image"}},
		"RTF":           {[]byte("{\\rtf1\\ansi\\deff0 {\\fonttbl} Ann: So.\\par}"), CodeUnknownFormat, []string{"rich text", "plain text"}},
		"HTML":          {[]byte("\n <!DOCTYPE html>\n<html><p>Ann: So.</p></html>"), CodeUnknownFormat, []string{"a web page"}},
		"HTML, older":   {[]byte("<!-- saved -->\n<HTML><p>Ann: So.</p></HTML>"), CodeUnknownFormat, []string{"a web page"}},
		"XML":           {[]byte("<?xml version=\"1.0\"?><tt/>"), CodeUnknownFormat, []string{"XML"}},
		"nothing known": {[]byte(strings.Repeat("\x01\x02\x07\x1f\x0e", 20)), CodeBinary, []string{"not a text file"}},
	} {
		refused(t, name, test.content, test.code, test.words...)
		// A page in a browser has read the bytes as Windows-1252 before it sends them.
		text, err := charmap.Windows1252.NewDecoder().Bytes(test.content)
		if err != nil {
			t.Fatal(err)
		}
		if name != "OpenDoc" {
			refused(t, name+", as text", text, test.code, test.words...)
		}
	}
}

// TestTextThatBeginsLikeAFile is text all the same.
func TestTextThatBeginsLikeAFile(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"PK: So.\nPK: Hm.\n", "ID3: So.\nBo: Hm.\nID3: So.\n", "GIF8: So.\nBo: Hm.\nGIF8: x\n", "Rar!: no.\nBo: So.\nBo: Hm.\n", "1234ftyp: So.\n1234ftyp: Hm.\n"} {
		if _, err := Parse([]byte(in), Options{}); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := Parse([]byte("<html>: So.\n<html>: Hm.\n"), Options{Format: Text}); err != nil {
		t.Errorf("somebody who insists: %v", err)
	}
}

// TestOneLongLine is a megabyte without a line end, in every format.
func TestOneLongLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("so it goes ", 100_000)
	for name, in := range map[string]string{
		"WebVTT": header + "00:01.000 --> 00:02.000\nAnn: " + long, "text": "Ann: " + long, "above": "Ann  0:03\n" + long, "CSV": "speaker,text\nAnn," + long,
		"CSV in quotes": "speaker,text\nAnn,\"" + long + "\"", "JSON": `[{"speaker":"Ann","text":"` + long + `"}]`,
	} {
		doc, err := Parse([]byte(in), Options{})
		if err != nil || len(doc.Utterances) != 1 || doc.Utterances[0].Text != strings.TrimSpace(long) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused(t, "nobody's", []byte(long), CodeUnknownFormat)
}
