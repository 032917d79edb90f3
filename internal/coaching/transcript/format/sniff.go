package format

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// What people import by mistake, and what to do instead.
const (
	adviceDocument  = "open it and save it as plain text (.txt)"
	adviceRecording = "what is imported is its transcript (.vtt, .srt, .txt, .json or .csv)"
	adviceArchive   = "unpack it and import the transcript inside"
	adviceImage     = "what is imported is text"
)

// signatures are what files that are no text begin with. parts further on tell archives apart; the first row that fits wins.
var signatures = []struct {
	at           int
	magic, part  string
	what, advice string
}{
	{0, "PK\x03\x04", "word/document.xml", "a Word document", adviceDocument},
	{0, "PK\x03\x04", "vnd.oasis.opendocument.text", "an OpenDocument text", adviceDocument},
	{0, "PK\x03\x04", "xl/workbook", "an Excel workbook", "save the sheet as CSV (.csv)"},
	{0, "PK\x03\x04", "ppt/presentation", "a PowerPoint presentation", adviceDocument},
	{0, "PK\x03\x04", "", "a zip archive", adviceArchive},
	{0, "PK\x05\x06", "", "an empty zip archive", adviceArchive},
	{0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "", "an old Office document", adviceDocument},
	{0, "%PDF-", "", "a PDF", adviceDocument},
	{0, "\x1F\x8B", "", "compressed with gzip", adviceArchive},
	{0, "7z\xBC\xAF\x27\x1C", "", "a 7z archive", adviceArchive},
	{0, "Rar!\x1A\x07", "", "a RAR archive", adviceArchive},
	{0, "\xFD7zXZ\x00", "", "compressed with xz", adviceArchive},
	{0, "BZh91AY", "", "compressed with bzip2", adviceArchive},
	{0, "(\xB5/\xFD", "", "compressed with zstd", adviceArchive},
	{0, "ID3\x02", "", "an MP3 recording", adviceRecording},
	{0, "ID3\x03", "", "an MP3 recording", adviceRecording},
	{0, "ID3\x04", "", "an MP3 recording", adviceRecording},
	{0, "\xFF\xFB", "", "an MP3 recording", adviceRecording},
	{0, "\xFF\xF3", "", "an MP3 recording", adviceRecording},
	{0, "\xFF\xF2", "", "an MP3 recording", adviceRecording},
	{0, "\xFF\xF1", "", "an AAC recording", adviceRecording},
	{0, "\xFF\xF9", "", "an AAC recording", adviceRecording},
	{0, "OggS\x00", "", "an Ogg recording", adviceRecording},
	{0, "fLaC\x00", "", "a FLAC recording", adviceRecording},
	{0, "\x1A\x45\xDF\xA3", "", "a WebM or Matroska recording", adviceRecording},
	{4, "ftypM4A", "", "an M4A recording", adviceRecording},
	{4, "ftyp", "", "an MP4 recording", adviceRecording},
	{4, "moov", "", "a QuickTime recording", adviceRecording},
	{8, "WAVE", "", "a WAV recording", adviceRecording},
	{8, "AVI ", "", "an AVI recording", adviceRecording},
	{8, "AIFF", "", "an AIFF recording", adviceRecording},
	{0, "\x89PNG\r", "", "an image", adviceImage},
	{0, "\xFF\xD8\xFF", "", "an image", adviceImage},
	{0, "GIF8", "", "an image", adviceImage},
}

// foreignBinary names well-known files that are no text. It also knows them after somebody took their bytes for text in
// Windows-1252, as pages in a browser do.
func foreignBinary(content []byte) error {
	for _, head := range [][]byte{content[:min(len(content), 32)], asBytes(content)} {
		for _, s := range signatures {
			if len(head) < s.at+len(s.magic) || string(head[s.at:s.at+len(s.magic)]) != s.magic {
				continue
			}
			if !hasBinary(content) || !bytes.Contains(content, []byte(s.part)) {
				continue
			}
			return invalid(CodeBinary, "the file is %s: %s", s.what, s.advice)
		}
	}
	return nil
}

// hasBinary tells whether the beginning has a character that no text has: `GIF8` may also be how one begins.
func hasBinary(content []byte) bool {
	head := content[:min(len(content), 4096)]
	if bytes.HasPrefix(head, []byte("%PDF-")) {
		return true
	}
	return bytes.ContainsFunc(head, func(r rune) bool { return r < ' ' && (r < '\t' || r > '\r') || r == utf8.RuneError })
}

// asBytes turns the first characters back into the bytes that Windows-1252 read them from, as far as that is so.
func asBytes(content []byte) []byte {
	var head []byte
	for len(head) < 32 && len(content) > 0 {
		r, size := utf8.DecodeRune(content)
		b, ok := charmap.Windows1252.EncodeRune(r)
		if !ok {
			break
		}
		head = append(head, b)
		content = content[size:]
	}
	return head
}

// foreignText names texts that are no transcripts but hold one, perhaps.
func foreignText(text string) error {
	const far = 1024 // comments and declarations may stand before
	head := strings.ToLower(strings.TrimSpace(text[:min(len(text), far)]))
	what := ""
	switch {
	case strings.HasPrefix(head, `{\rtf`):
		what = "a rich text document (RTF)"
	case strings.HasPrefix(head, "<") && (strings.Contains(head, "<!doctype html") || strings.Contains(head, "<html")):
		what = "a web page (HTML)"
	case strings.HasPrefix(head, "<?xml"), strings.HasPrefix(head, "<tt "):
		what = "XML"
	case strings.HasPrefix(head, "<!doctype"):
		what = "a marked-up document"
	default:
		return nil
	}
	return invalid(CodeUnknownFormat, "the file is %s: %s", what, adviceDocument)
}

// byteCount writes a limit for people.
func byteCount(n int) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
