// Package live keeps sessions that are written down while they go on: what is said as it is said, until it becomes a transcript.
package live

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies a live session: live_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("live", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "live", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "live", &i.UUID) }

// UtteranceID identifies an utterance of a live session: liveutterance_….
type UtteranceID struct{ id.UUID }

func (i UtteranceID) String() string { return id.Format("liveutterance", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i UtteranceID) MarshalGQL(w io.Writer) { id.Write(w, "liveutterance", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *UtteranceID) UnmarshalGQL(v any) error { return id.Read(v, "liveutterance", &i.UUID) }

// ChunkID is what a source calls a piece of what was said; it is unique within a live session.
type ChunkID string

// MarshalGQL implements graphql.Marshaler.
func (c ChunkID) MarshalGQL(w io.Writer) {
	text, err := json.Marshal(string(c))
	if err != nil {
		panic(err) // a string has a JSON
	}
	_, _ = w.Write(text) // gqlgen writes into a buffer and checks nothing
}

// UnmarshalGQL implements graphql.Unmarshaler. A source may count its pieces: 17 is "17".
func (c *ChunkID) UnmarshalGQL(v any) error {
	switch v := v.(type) {
	case string:
		*c = ChunkID(v)
		return nil
	case int64: // written into a query
		*c = ChunkID(strconv.FormatInt(v, 10))
		return nil
	case json.Number: // given in a variable
		if n, err := v.Int64(); err == nil {
			*c = ChunkID(strconv.FormatInt(n, 10))
			return nil
		}
	}
	return fault.Invalid("", "an id is a string or a whole number")
}

// Status says where a live session stands.
type Status string

// The states of a live session. It is paused and goes on as often as its coach wants, and ends once.
const (
	Live   Status = "LIVE"
	Paused Status = "PAUSED"
	Ended  Status = "ENDED"
)

// EndReason is why a live session ended.
type EndReason string

// The reasons.
const (
	ByCoach          EndReason = "BY_COACH"
	SourceLost       EndReason = "SOURCE_LOST"       // nothing was heard of it for long
	ConsentWithdrawn EndReason = "CONSENT_WITHDRAWN" // somebody in it took the consent to a transcript back
)

// Session is one stretch of listening to a session.
type Session struct {
	auth.Grants
	ID               ID
	SessionID        session.ID
	Source           string
	Status           Status
	EndReason        *EndReason
	Language         *string // BCP 47
	SharedWithClient bool
	Speakers         []Speaker
	StartedAt        time.Time
	HeardAt          time.Time
	PausedAt         *time.Time
	EndedAt          *time.Time
	Revision         int64 // of the latest change to an utterance
	TranscriptID     *transcript.ID
	Metrics          *meter.Measures // of what is final
}

// IsNode marks a Relay node.
func (*Session) IsNode() {}

// stands says whether no change of state lies between the two.
func (s *Session) stands(before *Session) bool {
	same := func(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }
	return s.ID == before.ID && s.Status == before.Status && same(s.PausedAt, before.PausedAt) && same(s.EndedAt, before.EndedAt)
}

// Speaker is a voice, by the label that the source gives it.
type Speaker struct {
	Label string            `json:"label"`
	Role  conversation.Role `json:"role"`
	Given bool              `json:"given,omitzero"` // by who started the session, who knows
}

// Utterance is a piece of what was said, as its source has it now.
type Utterance struct {
	auth.Grants
	ID       UtteranceID
	ChunkID  ChunkID
	Revision int64   // of two states of one utterance the later has the higher
	Speaker  *string // as the source calls who says it; nil if it does not know
	Role     conversation.Role
	Text     string
	StartMs  int64
	EndMs    int64
	Final    bool
	ordinal  int64
	of       ID
	clientID id.UUID
}

// IsNode marks a Relay node.
func (*Utterance) IsNode() {}

// StartInput begins to listen to a session.
type StartInput struct {
	SessionID        session.ID
	Source           string
	Language         *string
	SharedWithClient bool
	Speakers         []SpeakerInput
	Nudges           []meter.Kind // nil: those that are not quiet
}

// SpeakerInput says who is behind a label of the source.
type SpeakerInput struct {
	Label string
	Role  conversation.Role
}

// Chunk is a piece of what was said, as a source sends it.
type Chunk struct {
	ChunkID ChunkID
	Speaker *string
	Text    string
	StartMs int64
	EndMs   int64
	Final   bool
}

// AppendInput is what was said since the last time, and what the source knows better now.
type AppendInput struct {
	SessionID session.ID
	Source    string
	Chunks    []Chunk
}

// Appended is what became of chunks.
type Appended struct {
	LiveSession *Session
	Added       int
	Revised     int
	Unchanged   int
}

// PauseInput has nothing new written down for a while.
type PauseInput struct{ SessionID session.ID }

// ResumeInput goes on after a pause.
type ResumeInput struct{ SessionID session.ID }

// EndInput makes a transcript of what was said.
type EndInput struct{ SessionID session.ID }

// What a client may act on.
const (
	CodeNone          = "LIVE_SESSION_NONE"   // nothing listens to the session
	CodeAnotherSource = "LIVE_SESSION_SOURCE" // another source does
	CodePaused        = "LIVE_SESSION_PAUSED" // it is paused: nothing new is taken
	CodeEnded         = "LIVE_SESSION_ENDED"  // it has ended: nothing is taken any more
	CodeFull          = "LIVE_SESSION_FULL"   // it holds as much as a transcript can
	CodeRateLimited   = "RATE_LIMITED"        // the source sends more than anybody can say
)

// How much a live session takes.
const (
	maxChunks   = 100   // a call
	maxText     = 5_000 // characters of a chunk: minutes of talk
	maxChunkID  = 100   // characters
	maxSpeakers = 50    // labels
	maxLabel    = 200   // characters
	maxMs       = 24 * 3600 * 1000
	maxSize     = 4_000_000 // bytes of text, which a transcript can hold

	// perSecond is how many chunks may come in the long run, and atOnce how many after a while of silence. Two people who talk at once, each
	// with a provisional text three times a second, send six; who reconnects sends what has waited.
	perSecond = 20
	atOnce    = 600
)

// The kinds of event. The data of both is what.
const (
	eventSaid  = "live.said"  // utterances came or changed
	eventState = "live.state" // began, paused, went on, ended
	eventNudge = "live.nudge" // the coach was told something, or has dismissed it
)

// what an event is about: a live session; of eventSaid, the first and last number of the changes; of eventNudge, the nudge.
type what struct {
	Live ID    `json:"liveSessionId"`
	From int64 `json:"from,omitzero"`
	To   int64 `json:"to,omitzero"`

	Nudge *NudgeID `json:"nudgeId,omitzero"`
}

func (w what) data() json.RawMessage {
	data, err := json.Marshal(w)
	if err != nil {
		panic(err) // ids and numbers have a JSON
	}
	return data
}

// JobWatch is the kind of job that ends a live session whose source has vanished. Its entity is the live session.
const JobWatch = "live.watch"

const (
	patience = 10 * time.Minute // without a word, until the source counts as lost
	pausable = 2 * time.Hour    // for how long a session may be paused
	soon     = time.Minute      // until it is looked again whether somebody has consented, once the session is over
	kept     = 24 * time.Hour   // for how long after the end the words stay here, and for how long they wait for a consent
)
