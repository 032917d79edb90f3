package format

import (
	"path"
	"slices"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// The limits of one import. Two hours of talk are about 120 kB of words and 3,000 cues, so they leave room for whole days.
const (
	MaxBytes     = 32 << 20 // of a file, unless Options say less: word times make JSON a hundred times as long as its words
	MaxTextBytes = 5 << 20  // of words, as UTF-8
	MaxLines     = 1_000_000
	MaxCues      = 100_000
	MaxSpeakers  = 500 // more is no conversation, but something else with colons
)

// The codes of the errors that Parse returns; all are fault.KindInvalid.
const (
	CodeEmpty           = "EMPTY"             // no character but white space
	CodeBinary          = "BINARY"            // not text at all: a document, an archive, a recording
	CodeNotUTF8         = "NOT_UTF8"          // text, but in an encoding that cannot be guessed safely
	CodeTooLarge        = "TOO_LARGE"         // more than MaxBytes or MaxTextBytes
	CodeTooManyLines    = "TOO_MANY_LINES"    // more than MaxLines
	CodeTooManyCues     = "TOO_MANY_CUES"     // more than MaxCues
	CodeTooManySpeakers = "TOO_MANY_SPEAKERS" // more than MaxSpeakers
	CodeUnknownFormat   = "UNKNOWN_FORMAT"    // text, but nothing that we can read as a transcript
	CodeInvalidJSON     = "INVALID_JSON"      // no JSON, or not the JSON that it says it is
	CodeNoCues          = "NO_CUES"           // the format is known, but nobody says a word
)

// Options are what a caller knows about a file besides its content.
type Options struct {
	Filename string // breaks ties between formats that the content fits equally well; never more than that
	Format   Format // the format to read the content as; "" means: find out by content
	MaxBytes int    // of the file; 0 means MaxBytes
}

// Parse reads a transcript. Oddities are tolerated where the words, the speakers and the times can still be told, and
// are listed in Document.Warnings; what cannot be read is a *fault.Error of KindInvalid with one of the codes above.
func Parse(content []byte, opts Options) (*Document, error) {
	src, err := newSource(content, opts.MaxBytes)
	if err != nil {
		return nil, err
	}
	reader, err := choose(src, opts)
	if err != nil {
		return nil, err
	}
	doc, err := reader.parse(src)
	if err != nil {
		return nil, err
	}
	doc.Format = reader.format
	doc.Warnings = src.notes.sorted()
	return doc, nil
}

// Detect says which format the content has, false if it is none that Parse can read without being told.
func Detect(content []byte) (Format, bool) {
	src, err := newSource(content, 0)
	if err != nil {
		return "", false
	}
	reader, err := choose(src, Options{})
	return reader.format, err == nil
}

// confidence says how sure a detector is; the surest wins.
type confidence int

const (
	no       confidence = iota
	possible            // the content could be that
	likely              // the content has a mark that other formats seldom have
	certain             // the content says so itself
)

// formatReader is one row of the table of formats: to add a format is to add a row.
type formatReader struct {
	format     Format
	extensions string
	lines      bool // detect and parse go line by line
	detect     func(*source) confidence
	parse      func(*source) (*Document, error)
}

// readers lists the formats, in the order in which they win a tie that the file's name does not break.
func readers() []formatReader {
	return []formatReader{
		{JSON, ".json .jsonl", false, detectJSON, parseJSON},
		{WebVTT, ".vtt", true, detectWebVTT, parseWebVTT},
		{SubRip, ".srt", true, detectSubRip, parseSubRip},
		{CSV, ".csv .tsv", true, detectCSV, parseCSV},
		{Text, ".txt", true, detectText, parseText},
	}
}

// Formats lists what can be imported.
func Formats() []Format {
	var all []Format
	for _, r := range readers() {
		all = append(all, r.format)
	}
	return all
}

// choose picks the reader that opts name, else the one whose detector is surest, and splits the lines for it.
func choose(src *source, opts Options) (best formatReader, err error) {
	if opts.Format == "" {
		if err := foreignText(src.text); err != nil {
			return best, err
		}
	}
	extension := strings.ToLower(path.Ext(opts.Filename))
	surest := no
	for _, r := range readers() {
		if opts.Format != "" && opts.Format != r.format {
			continue
		}
		if r.lines {
			if err := src.split(); err != nil {
				return best, err
			}
		}
		if opts.Format != "" {
			return r, nil
		}
		sure := r.detect(src)
		if sure == certain {
			return r, nil
		}
		if sure > surest || sure == surest && sure > no && slices.Contains(strings.Fields(r.extensions), extension) {
			best, surest = r, sure
		}
	}
	switch {
	case opts.Format != "":
		return best, fault.Invalid("format", "the format is not one that can be imported").WithCode(CodeUnknownFormat)
	case surest == no:
		return best, invalid(CodeUnknownFormat, "the file is no transcript that can be read: neither WebVTT, SubRip or JSON, "+
			"nor CSV under a line with column names such as speaker, start and text, nor text with `Name: words` in its lines "+
			"or `Name  0:03` above its paragraphs")
	}
	return best, nil
}

// invalid is the one shape of this package's errors.
func invalid(code, message string, args ...any) error {
	return fault.Invalid("content", message, args...).WithCode(code)
}
