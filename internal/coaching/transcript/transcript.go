// Package transcript keeps what was said in sessions: imported files, their speakers and utterances.
package transcript

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies a transcript: transcript_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("transcript", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "transcript", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "transcript", &i.UUID) }

// SpeakerID identifies a speaker: speaker_….
type SpeakerID struct{ id.UUID }

func (i SpeakerID) String() string { return id.Format("speaker", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i SpeakerID) MarshalGQL(w io.Writer) { id.Write(w, "speaker", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *SpeakerID) UnmarshalGQL(v any) error { return id.Read(v, "speaker", &i.UUID) }

// UtteranceID identifies an utterance: utterance_….
type UtteranceID struct{ id.UUID }

func (i UtteranceID) String() string { return id.Format("utterance", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i UtteranceID) MarshalGQL(w io.Writer) { id.Write(w, "utterance", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *UtteranceID) UnmarshalGQL(v any) error { return id.Read(v, "utterance", &i.UUID) }

// Status says how far a transcript has come.
type Status string

// The states of a transcript. An import is PARSED when it is answered; a job takes it through ANALYZING to READY, or, where
// nobody can be sure who is who, to NEEDS_SPEAKERS. A correction takes it through ANALYZING again.
const (
	Uploading Status = "UPLOADING"
	Uploaded  Status = "UPLOADED"
	Parsing   Status = "PARSING"
	Parsed    Status = "PARSED"
	Analyzing Status = "ANALYZING"

	NeedsSpeakers Status = "NEEDS_SPEAKERS" // all is there that does not depend on roles; Question says what is asked

	Ready  Status = "READY"
	Failed Status = "FAILED"
)

// Failure says why a transcript could not be finished.
type Failure struct {
	Code    string
	Message string
}

// Transcript is what was said in a session, as it was written down elsewhere.
type Transcript struct {
	auth.Grants
	ID               ID
	SessionID        session.ID
	Version          int // among the session's, from 1
	Status           Status
	FailureCode      *string
	FailureMessage   *string
	Format           *format.Format // nil until the file is read
	Filename         *string
	Title            *string
	Language         *string // BCP 47
	DurationMs       *int64
	Sha256           string // of the original file, hexadecimal
	Warnings         []format.Warning
	SharedWithClient bool
	ArchivedAt       *time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// IsNode marks a Relay node.
func (*Transcript) IsNode() {}

// Failure is nil unless the transcript has failed.
func (t *Transcript) Failure() *Failure {
	if t.FailureCode == nil {
		return nil
	}
	f := &Failure{Code: *t.FailureCode}
	if t.FailureMessage != nil {
		f.Message = *t.FailureMessage
	}
	return f
}

// Speaker is a voice in a transcript.
type Speaker struct {
	auth.Grants
	ID             SpeakerID
	TranscriptID   ID
	Ordinal        int    // its place in the order of first words; who was split off comes last
	Label          string // as in the imported file; who was split off has the label of the other
	DisplayName    string
	Role           conversation.Role
	RoleConfidence *float64 // nil if a person has set the role
	RoleReason     *string
	MergedIntoID   *SpeakerID
	Remembered     bool // what the speaker is called is remembered for the label's next appearance with this client
}

// IsNode marks a Relay node.
func (*Speaker) IsNode() {}

// Utterance is one speaker's uninterrupted stretch of speech. Text and cues are as corrected; the rows themselves keep what
// was imported.
type Utterance struct {
	auth.Grants
	ID           UtteranceID
	TranscriptID ID
	Index        int
	SpeakerID    SpeakerID
	StartMs      *int64
	EndMs        *int64
	Text         string
	Cues         []format.Cue
	OriginalText *string // as it was imported; nil if nobody has corrected it
	clientID     id.UUID
}

// IsNode marks a Relay node.
func (*Utterance) IsNode() {}

// ImportInput is a file to import.
type ImportInput struct {
	SessionID session.ID
	Content   string
	Filename  *string
	Format    *format.Format
}

// Imported is what became of an import.
type Imported struct {
	Transcript      *Transcript
	AlreadyImported bool // the same file was imported for the same session before
}

// UpdateInput changes a transcript: a field that is nil stays as it is, one that points to nil is cleared. An empty title
// or language is none.
type UpdateInput struct {
	ID               ID
	Title            **string
	Language         **string
	SharedWithClient **bool
}

// ArchiveInput archives a transcript or brings one back.
type ArchiveInput struct {
	ID       ID
	Archived bool
}

// Span is a run of consecutive utterances of one transcript.
type Span struct {
	TranscriptID ID
	First, Last  int // indices, inclusive
}

// JobAnalyse is the kind of job that measures a transcript and looks for insights in it. Its entity is the transcript.
// This package enqueues it; the insight domain, which lies above, handles it.
const JobAnalyse = "transcript.analyse"

// JobEmbed is the kind of job that has search by meaning follow a transcript: when it is finished, and when it or what was derived from it is removed. Its
// entity is the transcript that is, or was. This package and insight enqueue it; the search domain handles it.
const JobEmbed = "transcript.embed"

// EventStateChanged is the kind of event that says that a transcript has come further. Its data is Changed.
const EventStateChanged = "transcript.state_changed"

// Changed is the data of EventStateChanged.
type Changed struct {
	TranscriptID ID `json:"transcriptId"`
}
