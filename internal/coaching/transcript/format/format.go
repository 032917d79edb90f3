// Package format reads transcript files, whoever wrote them, and writes transcripts. It is pure: bytes in, a Document out,
// and back; no I/O but the writer that is handed in, no clock.
package format

// Format is a family of files that a transcript can be read from. Which product wrote the file is Document.Source.
type Format string

// The formats. docs/formats.md says what each looks like.
const (
	WebVTT Format = "WEBVTT" // .vtt: `<v Name>` (Teams), `Name: text` (Zoom)
	SubRip Format = "SUBRIP" // .srt
	Text   Format = "TEXT"   // `Name: text`, or `Name  0:03` over each paragraph, or a time before each line
	JSON   Format = "JSON"   // of transcription services and meeting assistants, and our own
	CSV    Format = "CSV"    // a row an utterance, separated by comma, semicolon or tab, under a line of column names
)

// Document is what a file says.
//
// Utterances are in the order of their starts, without times in the order of the file; no cue starts before one that stands
// before it. Either all utterances have a start or none, and either all have an end or none. All texts and names are
// without control characters and leading, trailing or doubled white space, and not empty.
type Document struct {
	Format     Format
	Source     string   // the product that wrote the file, as in "zoom"; "" if it cannot be told
	Language   string   // BCP 47; what the file says, else what its words tell; "" if unsure
	Speakers   []string // different from each other, in the order of first words
	Utterances []Utterance
	Warnings   []Warning
}

// Utterance is one speaker's uninterrupted stretch of consecutive cues.
type Utterance struct {
	Speaker int    // index into Document.Speakers, -1 if the file names none
	StartMs *int64 // offset from the start of the recording in milliseconds; nil if the file has no times
	EndMs   *int64 // nil if the file does not say when somebody ends
	Text    string // the cues' texts joined by one space
	Cues    []Cue  // at least one if there is an end, in order
}

// Cue is one timed piece of an utterance, as it stood in the file.
type Cue struct {
	StartMs int64 `json:"startMs"`
	EndMs   int64 `json:"endMs"`
	Offset  int   `json:"offset"` // where the cue's text begins in Utterance.Text, in Unicode code points
}

// Warning says what was odd in the file and what was assumed instead.
type Warning struct {
	Line    int    `json:"line"` // 1-based line of the file
	Code    string `json:"code"`
	Message string `json:"message"` // for the person who imports; quotes no words of the conversation
	Assumed string `json:"assumed"`
}
