// Package format reads and recognises transcript files. It is pure: bytes in, a Document out; no I/O, no clock.
package format

// Format is a file format that a transcript can be imported from.
type Format string

// The formats of today.
const (
	WebVTT Format = "WEBVTT" // Zoom (`Name: text`), Teams (`<v Name>`)
	SubRip Format = "SUBRIP" // .srt
	Text   Format = "TEXT"   // `Name: text`, one line or paragraph an utterance; no times
)

// Document is what a file says, in the file's order.
type Document struct {
	Format     Format
	Language   string // BCP 47, "" if the file does not say
	Speakers   []string
	Utterances []Utterance
	Warnings   []Warning
}

// Utterance is one speaker's uninterrupted stretch of consecutive cues.
type Utterance struct {
	Speaker int    // index into Document.Speakers, -1 if the file names none
	StartMs *int64 // offset from the start of the recording in milliseconds; nil if the file has no times
	EndMs   *int64
	Text    string // the cues' texts joined by one space
	Cues    []Cue  // at least one if the file has times, in order
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
