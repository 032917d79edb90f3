package ask

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Event is something that happened in a thread.
type Event interface {
	IsAskEvent()
	Position() string
}

// Place is where and when an event happened.
type Place struct {
	Cursor     string
	OccurredAt time.Time
}

// Position is the cursor from which everything comes that comes after the event.
func (p Place) Position() string { return p.Cursor }

// Progressed says how a question stands, with its answer so far.
type Progressed struct {
	Place
	Message *Message
}

// SentenceAdded says that an answer has a sentence more.
type SentenceAdded struct {
	Place
	MessageID MessageID
	Sentence  *Sentence
}

// IsAskEvent marks an Event.
func (Progressed) IsAskEvent() {}

// IsAskEvent marks an Event.
func (SentenceAdded) IsAskEvent() {}

// The kinds of events.
const (
	eventProgressed = "ask.progressed"
	eventSentence   = "ask.sentence"
)

// subject is what an event is about.
type subject struct {
	Message MessageID `json:"message"`
	Attempt int       `json:"attempt,omitempty"` // of a sentence
	Index   int       `json:"index,omitempty"`
}

func (s *Service) publish(ctx context.Context, tx pgx.Tx, org id.UUID, thread ThreadID, kind string, about subject) error {
	data, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return s.events.Publish(ctx, tx, org, stream.Event{Kind: kind, Data: data}, thread.String())
}

// Events are the events of one thread.
type Events struct {
	service *Service
	of      ThreadID
	from    stream.Subscription
	begin   []Event // not yet handed on
}

// Events begins to listen to a thread of the viewer's: from the event after the given cursor, or, without one, from how its last question stands
// now. It ends with ctx. Each event is looked at with the viewer's eyes when it is delivered.
func (s *Service) Events(ctx context.Context, key ThreadID, after *string) (_ *Events, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "ask.Events(%s)", key)
	if _, err := s.Get(ctx, key); err != nil {
		return nil, err
	}
	from, err := stream.After(after)
	if err != nil {
		return nil, err
	}
	subscription, err := s.events.Subscribe(ctx, v.Org, key.String(), from)
	if err != nil {
		return nil, err
	}
	e := &Events{service: s, of: key, from: subscription}
	if after != nil {
		return e, nil
	}
	// Read after the subscription has begun: what comes meanwhile may come twice, and is missed by nobody.
	all, err := s.MessagesOf(ctx, []id.UUID{key.UUID})
	if err != nil {
		subscription.Close()
		return nil, err
	}
	if n := len(all[0]); n > 0 {
		e.begin = []Event{Progressed{Place{string(subscription.Cursor()), time.Now()}, all[0][n-1]}}
	}
	return e, nil
}

// Next waits for the next event. Its errors are those of stream.Subscription.Next.
func (e *Events) Next(ctx context.Context) (Event, error) {
	if len(e.begin) > 0 {
		first := e.begin[0]
		e.begin = nil
		return first, nil
	}
	return stream.Seen(ctx, e.from, stream.Aside(e.service.see))
}

// About is the thread that must be the viewer's for them to listen.
func (e *Events) About() []id.UUID { return []id.UUID{e.of.UUID} }

// Check returns a NotFound fault if the thread is gone: its owner has deleted it, or an erasure or a retention policy has.
func (e *Events) Check(ctx context.Context) error {
	_, err := e.service.Get(ctx, e.of)
	return err
}

// Close stops listening.
func (e *Events) Close() { e.from.Close() }

// see loads what an event is about; nil means that it is not there any more, or not for the viewer.
func (s *Service) see(ctx context.Context, d stream.Delivery) (_ Event, err error) {
	defer fault.Wrap(&err, "ask event %s", d.Kind)
	var about subject
	if err := json.Unmarshal(d.Data, &about); err != nil {
		return nil, err
	}
	found, err := s.MessagesByIDs(ctx, []id.UUID{about.Message.UUID})
	m := found[about.Message.UUID]
	if m == nil {
		return nil, err
	}
	place := Place{string(d.Cursor), d.At}
	if d.Kind != eventSentence {
		return Progressed{place, m}, nil
	}
	if about.Attempt != m.attempt || about.Index >= len(m.sentences) {
		return nil, nil
	}
	return SentenceAdded{place, m.ID, m.sentences[about.Index].shown(about.Index)}, nil
}
