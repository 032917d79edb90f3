package format

import (
	"path"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// The limits of one import. Two hours of talk are about 250 kB and 12,000 lines, so both leave room for a whole day.
const (
	MaxTextBytes = 5 << 20 // of text: after decoding, as UTF-8
	MaxLines     = 100_000
)

// The codes of the errors that Parse returns; all are fault.KindInvalid.
const (
	CodeEmpty         = "EMPTY"          // no character but white space
	CodeBinary        = "BINARY"         // not text at all
	CodeNotUTF8       = "NOT_UTF8"       // text, but in an encoding that cannot be guessed safely
	CodeTooLarge      = "TOO_LARGE"      // more than MaxTextBytes
	CodeTooManyLines  = "TOO_MANY_LINES" // more than MaxLines
	CodeUnknownFormat = "UNKNOWN_FORMAT" // text, but nothing that we can read as a transcript
	CodeNoCues        = "NO_CUES"        // the format is known, but nobody says a word
)

// Options are what a caller knows about a file besides its content.
type Options struct {
	Filename string // breaks ties between formats that the content fits equally well; never more than that
	Format   Format // the format to read the content as; "" means: find out by content
}

// Parse reads a transcript. Oddities are tolerated where the words, the speakers and the times can still be told, and
// are listed in Document.Warnings; what cannot be read is a *fault.Error of KindInvalid with one of the codes above.
func Parse(content []byte, opts Options) (*Document, error) {
	notes := &warnings{}
	text, err := decode(content, notes)
	if err != nil {
		return nil, err
	}
	src, err := newSource(text, notes)
	if err != nil {
		return nil, err
	}

	reader, ok := choose(src, opts)
	if !ok && opts.Format != "" {
		return nil, fault.Invalid("format", "the format is not one that can be imported").WithCode(CodeUnknownFormat)
	}
	if !ok {
		return nil, invalid(CodeUnknownFormat,
			"the file is no transcript that can be read: neither WebVTT nor SubRip nor lines of the form `Name: text`")
	}

	doc, err := reader.parse(src)
	if err != nil {
		return nil, err
	}
	doc.Format = reader.format
	doc.Warnings = notes.sorted()
	return doc, nil
}

// Detect says which format the content has, false if it is none that Parse can read without being told.
func Detect(content []byte) (Format, bool) {
	text, err := decode(content, &warnings{})
	if err != nil {
		return "", false
	}
	src, err := newSource(text, &warnings{})
	if err != nil {
		return "", false
	}
	reader, ok := choose(src, Options{})
	return reader.format, ok
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
	format    Format
	extension string
	detect    func(*source) confidence
	parse     func(*source) (*Document, error)
}

// readers lists the formats, in the order in which they win a tie that the file's name does not break.
func readers() []formatReader {
	return []formatReader{
		{WebVTT, ".vtt", detectWebVTT, parseWebVTT},
		{SubRip, ".srt", detectSubRip, parseSubRip},
		{Text, ".txt", detectText, parseText},
	}
}

// choose picks the reader that opts name, else the one whose detector is surest.
func choose(src *source, opts Options) (best formatReader, ok bool) {
	extension := strings.ToLower(path.Ext(opts.Filename))
	surest := no
	for _, r := range readers() {
		if opts.Format != "" {
			if r.format == opts.Format {
				return r, true
			}
			continue
		}
		sure := r.detect(src)
		if sure > surest || sure == surest && sure > no && r.extension == extension {
			best, surest = r, sure
		}
	}
	return best, surest > no
}

// invalid is the one shape of this package's errors.
func invalid(code, message string, args ...any) error {
	return fault.Invalid("content", message, args...).WithCode(code)
}
