// Package insight turns a conversation into measures and into insights that each cite the words they rest on.
package insight

import (
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// ID identifies an insight: insight_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("insight", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "insight", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "insight", &i.UUID) }

// CitationID identifies a citation: citation_….
type CitationID struct{ id.UUID }

func (i CitationID) String() string { return id.Format("citation", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i CitationID) MarshalGQL(w io.Writer) { id.Write(w, "citation", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *CitationID) UnmarshalGQL(v any) error { return id.Read(v, "citation", &i.UUID) }

// RunID identifies an analysis run: analysis_….
type RunID struct{ id.UUID }

func (i RunID) String() string { return id.Format("analysis", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i RunID) MarshalGQL(w io.Writer) { id.Write(w, "analysis", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *RunID) UnmarshalGQL(v any) error { return id.Read(v, "analysis", &i.UUID) }

// MetricsID identifies the measures of a transcript: metrics_….
type MetricsID struct{ id.UUID }

func (i MetricsID) String() string { return id.Format("metrics", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i MetricsID) MarshalGQL(w io.Writer) { id.Write(w, "metrics", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *MetricsID) UnmarshalGQL(v any) error { return id.Read(v, "metrics", &i.UUID) }

// Kind is what an insight is about.
type Kind string

// The kinds of insight.
const (
	KindTheme          Kind = "THEME"
	KindBreakthrough   Kind = "BREAKTHROUGH"
	KindBlocker        Kind = "BLOCKER"
	KindCommitment     Kind = "COMMITMENT"
	KindChangeTalk     Kind = "CHANGE_TALK"
	KindSustainTalk    Kind = "SUSTAIN_TALK"
	KindStrength       Kind = "STRENGTH"
	KindValue          Kind = "VALUE"
	KindEmotionShift   Kind = "EMOTION_SHIFT"
	KindRiskFlag       Kind = "RISK_FLAG"
	KindCoachSkill     Kind = "COACH_SKILL"
	KindQuestionOfNote Kind = "QUESTION_OF_NOTE"
)

// Audience is whom an insight is meant for.
type Audience string

// The audiences.
const (
	AudienceCoachOnly Audience = "COACH_ONLY"
	AudienceClient    Audience = "CLIENT"
	AudienceBoth      Audience = "BOTH"
)

// Status is what a person has decided about an insight.
type Status string

// The decisions.
const (
	Proposed  Status = "PROPOSED"
	Accepted  Status = "ACCEPTED"
	Edited    Status = "EDITED"
	Dismissed Status = "DISMISSED"
)

// Insight is something found in a conversation: a proposal until a person has reviewed it.
type Insight struct {
	auth.Grants
	ID            ID
	SessionID     session.ID
	TranscriptID  transcript.ID
	RunID         RunID
	Kind          Kind
	Audience      Audience
	Title         string
	Body          string
	OriginalTitle *string // what the analyser said, if a person has edited it
	OriginalBody  *string
	Confidence    float64
	Status        Status
	ReviewedByID  *org.UserID
	ReviewedAt    *time.Time
	RetractedAt   *time.Time // a later analysis did not find it again
	CreatedAt     time.Time
	CommittedID   *transcript.SpeakerID // who is going to do it
	Due           *string               // when, in the words that were said
	DueOn         *time.Time            // the day those mean, as midnight UTC

	saidAt   time.Time // when the session began
	clientID id.UUID
}

// Committed is who is going to do what, and when if that was said.
type Committed struct {
	SpeakerID transcript.SpeakerID
	Due       *string
	DueOn     *time.Time
}

// Commitment is nil unless it is known who has committed to something.
func (i *Insight) Commitment() *Committed {
	if i.CommittedID == nil {
		return nil
	}
	return &Committed{SpeakerID: *i.CommittedID, Due: i.Due, DueOn: i.DueOn}
}

// IsNode marks a Relay node.
func (*Insight) IsNode() {}

// IsTaggable marks what a tag can be put on.
func (*Insight) IsTaggable() {}

// AboutClient is the client whom it is about.
func (i *Insight) AboutClient() id.UUID { return i.clientID }

// Citation is a verbatim quote and where it was said.
type Citation struct {
	auth.Grants
	ID           CitationID
	InsightID    ID
	TranscriptID transcript.ID
	First, Last  int // indices of the utterances, inclusive
	Quote        string
	StartMs      *int64 // of the quote's first cue
	EndMs        *int64 // of the quote's last cue
	WordsChanged bool   // the words were corrected since, and the quote is not among them any more
	clientID     id.UUID
}

// IsNode marks a Relay node.
func (*Citation) IsNode() {}

// RunStatus says how far an analysis has come.
type RunStatus string

// The states of an analysis run.
const (
	Running    RunStatus = "RUNNING"
	Succeeded  RunStatus = "SUCCEEDED"
	GivenUp    RunStatus = "FAILED"
	Superseded RunStatus = "SUPERSEDED"
)

// Run is one analysis of one transcript.
type Run struct {
	auth.Grants
	ID            RunID
	TranscriptID  transcript.ID
	SessionID     session.ID
	Status        RunStatus
	Engine        string
	EngineVersion string
	Model         *string
	PromptVersion *string
	InsightCount  int
	RejectedCount int
	InputTokens   int
	OutputTokens  int
	CostMicros    int64 // millionths of a US dollar
	ErrorCode     *string
	WaitingFor    *Wait
	ResumesAt     *time.Time
	CreatedAt     time.Time
	FinishedAt    *time.Time
}

// IsNode marks a Relay node.
func (*Run) IsNode() {}

// Metrics are the measures of a transcript.
type Metrics struct {
	auth.Grants
	ID           MetricsID
	TranscriptID transcript.ID
	conversation.Metrics
}

// IsNode marks a Relay node.
func (*Metrics) IsNode() {}

// SpeakerMetrics are the measures of one speaker of a transcript.
type SpeakerMetrics struct {
	TranscriptID transcript.ID
	conversation.SpeakerMetrics
}

// Speakers are the speakers measured, with the transcript they speak in.
func (m *Metrics) Speakers() []*SpeakerMetrics {
	all := make([]*SpeakerMetrics, len(m.Metrics.Speakers))
	for i, s := range m.Metrics.Speakers {
		all[i] = &SpeakerMetrics{TranscriptID: m.TranscriptID, SpeakerMetrics: s}
	}
	return all
}

// Filter selects insights: all conditions must hold, each list matches any of its values. Without TranscriptIds they are of
// that transcript of each session which counts (transcript.Counts).
type Filter struct {
	SessionIds    []session.ID
	TranscriptIds []transcript.ID
	ClientIds     []client.ID
	Kinds         []Kind
	Statuses      []Status
	Audiences     []Audience
	MinConfidence *float64
	CreatedAfter  *time.Time
	TagIds        []tag.ID
}

// OrderField is what insights can be ordered by.
type OrderField string

// The orders: by when an insight was found, or by when the session began in which it was said.
const (
	OrderByCreatedAt OrderField = "CREATED_AT"
	OrderBySession   OrderField = "SESSION_STARTS_AT"
)

// OrderBy is an order of insights.
type OrderBy struct {
	Field     OrderField
	Direction page.Direction
}

// Decision is what a person decides about an insight.
type Decision string

// The decisions.
const (
	Accept  Decision = "ACCEPT"
	Edit    Decision = "EDIT"
	Dismiss Decision = "DISMISS"
)

// ReviewInput is a decision about an insight.
type ReviewInput struct {
	InsightID ID
	Decision  Decision
	Title     *string // the new one; only with Edit
	Body      *string // the new one; only with Edit
}
