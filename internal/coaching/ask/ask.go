// Package ask answers questions about what was said: from the words of conversations that the asker may read at that moment, and from nothing
// else. Each sentence of an answer cites the words that it rests on, and is shown only after these were found in the transcript; where nothing
// was said that supports an answer, it says so.
//
// A question is stored and answered by a job (answer.go). An answer quotes, so it is a copy: it goes with any of the conversations that it
// quotes, and is shown only while its asker may read all of them. See docs/adr/0037-answers-are-copies.md.
package ask

import (
	"context"
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// ThreadID identifies a thread: thread_….
type ThreadID struct{ id.UUID }

func (i ThreadID) String() string { return id.Format("thread", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i ThreadID) MarshalGQL(w io.Writer) { id.Write(w, "thread", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *ThreadID) UnmarshalGQL(v any) error { return id.Read(v, "thread", &i.UUID) }

// MessageID identifies a question with its answer: message_….
type MessageID struct{ id.UUID }

func (i MessageID) String() string { return id.Format("message", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i MessageID) MarshalGQL(w io.Writer) { id.Write(w, "message", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *MessageID) UnmarshalGQL(v any) error { return id.Read(v, "message", &i.UUID) }

// Thread is questions about the same conversations, each after the other.
type Thread struct {
	auth.Grants
	ID           ThreadID
	ClientID     *client.ID
	EngagementID *engagement.ID
	SessionID    *session.ID
	filter       []byte // as session.Filter.Store writes it
	Title        string // the first question
	CreatedAt    time.Time
	AskedAt      time.Time // the last question
}

// IsNode marks a Relay node.
func (*Thread) IsNode() {}

// Scope is what a thread looks through.
func (t *Thread) Scope() *Scope {
	return &Scope{ClientID: t.ClientID, EngagementID: t.EngagementID, SessionID: t.SessionID, stored: t.filter}
}

// Scope is what is looked through: one of these, or with none all that the asker may search.
type Scope struct {
	ClientID     *client.ID
	EngagementID *engagement.ID
	SessionID    *session.ID
	Sessions     *session.Filter
	stored       []byte // Sessions, as they are kept
}

// Filter is the sessions that are looked through; nil is all.
func (s *Scope) Filter() (*session.Filter, error) {
	switch {
	case s == nil:
		return nil, nil
	case s.ClientID != nil:
		return &session.Filter{ClientIds: []client.ID{*s.ClientID}}, nil
	case s.EngagementID != nil:
		return &session.Filter{EngagementIds: []engagement.ID{*s.EngagementID}}, nil
	case s.SessionID != nil:
		return &session.Filter{IDs: []session.ID{*s.SessionID}, IncludeArchived: true}, nil
	}
	return s.Selected()
}

// Selected is the filter that the asker has given; nil if none.
func (s *Scope) Selected() (*session.Filter, error) {
	if s.stored == nil {
		return s.Sessions, nil
	}
	return session.ReadFilter(s.stored)
}

// Status says how far an answer has come.
type Status string

// The states of an answer.
const (
	Waiting   Status = "WAITING"   // for its turn, or for a service that is busy
	Answering Status = "ANSWERING" // sentences come
	Answered  Status = "ANSWERED"
	Failed    Status = "FAILED"    // it can be tried again
	Withdrawn Status = "WITHDRAWN" // it is not shown, or gone: something that it quotes may no longer be read
)

// Message is a question and its answer.
type Message struct {
	auth.Grants
	ID                   MessageID
	ThreadID             ThreadID
	Ordinal              int // from 1
	Question             string
	Status               Status
	FailureCode          *string
	InsufficientEvidence bool    // nothing was said that supports an answer
	DroppedCount         int     // sentences that were not shown, for they quote what nobody said
	Degraded             *string // why less was looked through than should be
	CreatedAt            time.Time
	FinishedAt           *time.Time
	sentences            []kept
	attempt              int
	engine               *string
	engineVersion        *string
	model, promptVersion *string
	sources              []source
}

// IsNode marks a Relay node.
func (*Message) IsNode() {}

// Sentences are those that were verified so far, in their order.
func (m *Message) Sentences() []*Sentence {
	all := make([]*Sentence, len(m.sentences))
	for i, k := range m.sentences {
		all[i] = k.shown(i)
	}
	return all
}

// Answerer is what has answered; nil before anything has.
func (m *Message) Answerer() *By {
	if m.engine == nil {
		return nil
	}
	return &By{Name: *m.engine, Version: *m.engineVersion, Model: m.model, PromptVersion: m.promptVersion, Extractive: m.model == nil}
}

// FailureMessage says in words why there is no answer; nil if there is no failure.
func (m *Message) FailureMessage() *string {
	if m.FailureCode == nil {
		return nil
	}
	words, known := said[*m.FailureCode]
	if !known {
		words = said[codeFailed]
	}
	return &words
}

// By is what has answered.
type By struct {
	Name, Version        string
	Model, PromptVersion *string // nil without a model
	Extractive           bool    // it selects and quotes, and writes nothing of its own
}

// Sentence is a part of an answer, with what it rests on.
type Sentence struct {
	Index     int // from 0
	Text      string
	Citations []insight.Passage // at least one
}

// Sentences as they are kept.
type (
	kept struct {
		Text   string      `json:"text"`
		Quotes []keptQuote `json:"quotes"`
	}
	keptQuote struct {
		Transcript transcript.ID `json:"transcriptId"`
		First      int           `json:"first"`
		Last       int           `json:"last"`
		Text       string        `json:"text"`
		StartMs    *int64        `json:"startMs"`
		EndMs      *int64        `json:"endMs"`
	}
)

func (k kept) shown(index int) *Sentence {
	s := &Sentence{Index: index, Text: k.Text, Citations: make([]insight.Passage, len(k.Quotes))}
	for i, q := range k.Quotes {
		s.Citations[i] = insight.Passage{Span: transcript.Span{TranscriptID: q.Transcript, First: q.First, Last: q.Last}, Quote: q.Text, StartMs: q.StartMs, EndMs: q.EndMs}
	}
	return s
}

// source is a transcript that an answer quotes.
type source struct {
	Transcript transcript.ID `json:"transcript"`
	Client     id.UUID       `json:"client"`
}

// Question is what an answerer gets to see. Where the organization wants it so, one that asks a model sees placeholders for who people are.
type Question struct {
	Text     string
	Earlier  []string // questions of the thread before this one, the first first
	Passages []Passage
}

// Passage is a piece of a conversation that may have to do with the question; the likeliest come first.
type Passage struct {
	On         time.Time // the day of the session, as midnight UTC; zero if unknown
	Speakers   []conversation.Speaker
	Utterances []conversation.Utterance
}

// Proposal is a sentence that an answerer proposes. It becomes part of the answer only after each of its quotes was found where it cites it.
type Proposal struct {
	Text      string
	Citations []Quote // at least one
}

// Quote is a verbatim piece of a passage: its First and Last are indices into the passage's utterances.
type Quote struct {
	Passage int // index into Question.Passages
	insight.Quote
}

// Answerer answers a question from passages, sentence by sentence; none at all says that the passages do not support an answer.
//
// An error of the report ends the answer and is returned. Implementations are safe for concurrent use. What is reported is proposed: whoever
// takes it checks each quote.
type Answerer interface {
	Engine() insight.Engine
	Answer(ctx context.Context, q Question, to Report) error
}

// Report receives an answer.
type Report interface {
	Sentence(Proposal) error

	// Ask has a model answer, as insight.Report.Ask has: here consent is looked at, limits are kept and costs are booked.
	Ask(ctx context.Context, m llm.Model, q llm.Request, call func(llm.Call) error) error
}
