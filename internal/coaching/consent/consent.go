// Package consent records what people agree to: which text, when, how they said it, and when they took it back.
package consent

import (
	"io"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// ID identifies a consent: consent_….
type ID struct{ id.UUID }

func (i ID) String() string { return id.Format("consent", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ID) MarshalGQL(w io.Writer) { id.Write(w, "consent", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ID) UnmarshalGQL(v any) error { return id.Read(v, "consent", &i.UUID) }

// Scope is what somebody agrees to.
type Scope string

// The scopes of consent.
const (
	Recording     Scope = "RECORDING"
	Transcription Scope = "TRANSCRIPTION"
	AIAnalysis    Scope = "AI_ANALYSIS"
	Supervision   Scope = "SUPERVISION"
	ShareWithOrg  Scope = "SHARE_WITH_ORG"
)

// Scopes are all of them, in the order in which they are shown.
var Scopes = []Scope{Recording, Transcription, AIAnalysis, Supervision, ShareWithOrg}

// Source is how a consent was given.
type Source string

// The sources. What people do here themselves is InApp; the others are how a coach came to know it.
const (
	InApp    Source = "IN_APP"
	InPerson Source = "IN_PERSON"
	Form     Source = "FORM"
	Email    Source = "EMAIL"
	OnRecord Source = "ON_RECORD" // said in the recording
	Unknown  Source = "UNKNOWN"   // stored before sources were recorded
)

// Consent is one scope that somebody has agreed to. It ends by withdrawal, and nothing about it is ever overwritten.
type Consent struct {
	auth.Grants
	ID            ID
	ClientID      *id.UUID // whose it is; nil of somebody who is no client
	ParticipantID *id.UUID // the one session it holds for; nil if it holds for all of the client's
	Scope         Scope
	TextVersion   *int // nil if nobody recorded it
	Source        Source
	GivenAt       time.Time
	RecordedByID  *org.UserID
	OnBehalf      bool // somebody else recorded it
	WithdrawnAt   *time.Time
	WithdrawnByID *org.UserID
	Outdated      bool // a newer text has been published since, or nobody knows which text it was
	published     *string
}

// IsNode marks a Relay node.
func (*Consent) IsNode() {}

// Text is what was agreed to; nil if nobody recorded it.
func (c *Consent) Text() *string {
	if c.TextVersion != nil && *c.TextVersion == 1 {
		text := builtIn[c.Scope]
		return &text
	}
	return c.published
}

// Text is what people are asked to agree to. The first version of each is built in; an organization publishes later ones.
type Text struct {
	Scope       Scope
	Version     int
	Text        string
	PublishedAt *time.Time // nil for what is built in
}

// builtIn are the texts of version 1. They say what the program does, no more and no less.
var builtIn = map[Scope]string{
	Recording: "I agree that my coaching sessions are recorded. I can take this back at any time; from then on nothing is recorded.",
	Transcription: "I agree that recordings of my sessions are written down, and that my coach keeps and reads the transcripts here. " +
		"I can take this back at any time; the transcripts and all that was derived from them are then deleted.",
	AIAnalysis: "I agree that the words of my sessions are analysed by software: measures of the conversation, summaries, and insights that quote " +
		"what was said. I can take this back at any time; what was derived is then deleted, and the transcripts stay.",
	Supervision: "I agree that my coach's supervisor reads my transcripts and what was found in them, to help my coach work well. " +
		"I can take this back at any time; the supervisor then sees none of it any more.",
	ShareWithOrg: "I agree that my organization sees what my coach shares with it. I can take this back at any time.",
}

// Subject is whose consents are recorded.
type Subject interface{ IsConsentSubject() }

// GiveInput is what somebody agrees to.
type GiveInput struct {
	SubjectID   id.Any // the client, or a participant who is no client
	Scopes      []Scope
	Source      *Source    // nil: in the app by oneself, in person to a coach
	TextVersion *int       // nil: the current one; only with a single scope
	GivenAt     *time.Time // nil: now
}

// WithdrawInput is what somebody no longer agrees to.
type WithdrawInput struct {
	SubjectID id.Any
	Scopes    []Scope
}

// PublishInput is a new text.
type PublishInput struct {
	Scope Scope
	Text  string
}

// JobFollow is the kind of job that brings what is kept of conversations in line with what is agreed to. Its entity is the client or
// participant whose consent has changed. This package enqueues it; the privacy domain, which lies above, handles it.
const JobFollow = "consent.follow"

func distinct(scopes []Scope) []Scope {
	var out []Scope
	for _, s := range Scopes {
		if slices.Contains(scopes, s) {
			out = append(out, s)
		}
	}
	return out
}
