package insight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Event is something that happened to an insight, or to the analysis that looks for them.
type Event interface {
	IsInsightEvent()
	Position() string
}

// Place is where and when an event happened.
type Place struct {
	Cursor     string
	OccurredAt time.Time
}

// Position is the cursor from which everything comes that comes after the event.
func (p Place) Position() string { return p.Cursor }

// Added says that an insight was found.
type Added struct {
	Place
	Insight *Insight
}

// Revised says that an insight was reviewed, or became visible by it.
type Revised struct {
	Place
	Insight *Insight
}

// Retracted says that an insight no longer holds.
type Retracted struct {
	Place
	InsightID ID
}

// Progressed says that an analysis began, ended or was given up.
type Progressed struct {
	Place
	AnalysisRun *Run
}

// TranscriptChanged says that a transcript came further, or failed.
type TranscriptChanged struct {
	Place
	Transcript *transcript.Transcript
}

// IsInsightEvent marks an Event.
func (Added) IsInsightEvent() {}

// IsInsightEvent marks an Event.
func (Revised) IsInsightEvent() {}

// IsInsightEvent marks an Event.
func (Retracted) IsInsightEvent() {}

// IsInsightEvent marks an Event.
func (Progressed) IsInsightEvent() {}

// IsInsightEvent marks an Event.
func (TranscriptChanged) IsInsightEvent() {}

// Events are the events of one topic that the viewer may see.
type Events struct {
	service   *Service
	from      stream.Subscription
	ofSession *session.ID
	ofClient  *client.ID
	readable  bool // what was said in the session could be read when this began
}

// Events begins to listen to a session, to a client, or, with neither, to all sessions that the viewer coaches; from the
// event after the given cursor, or from now. It ends with ctx.
//
// Each event is looked at with the viewer's eyes when it is delivered: what the viewer may not see is passed over.
func (s *Service) Events(ctx context.Context, ofSession *session.ID, ofClient *client.ID, after *string) (*Events, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	e := &Events{service: s, ofSession: ofSession, ofClient: ofClient}
	topic, err := e.topic(ctx, v)
	if err != nil {
		return nil, err
	}
	from, err := stream.After(after)
	if err != nil {
		return nil, err
	}
	e.from, err = s.events.Subscribe(ctx, v.Org, topic, from)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Events) topic(ctx context.Context, v auth.Viewer) (string, error) {
	switch {
	case e.ofSession != nil && e.ofClient != nil:
		return "", fault.Invalid("clientId", "cannot be combined with sessionId")
	case e.ofSession != nil:
		meeting, err := e.service.sessions.Get(ctx, *e.ofSession)
		if err != nil {
			return "", err
		}
		e.readable = readable(meeting)
		return session.SessionTopic(*e.ofSession), nil
	case e.ofClient != nil:
		_, err := e.service.clients.Get(ctx, *e.ofClient)
		return session.ClientTopic(*e.ofClient), err
	case v.Has(auth.RoleCoach):
		return session.CoachTopic(org.UserID{UUID: v.User}), nil
	default:
		return "", fault.Invalid("sessionId", "or clientId must be given by anybody but a coach")
	}
}

func readable(s *session.Session) bool {
	return s.ArchivedAt == nil && slices.Contains(s.Consents, consent.Transcription)
}

// About is the session or client that the viewer must see to listen; nothing where they listen to their own sessions.
func (e *Events) About() []id.UUID {
	switch {
	case e.ofSession != nil:
		return []id.UUID{e.ofSession.UUID}
	case e.ofClient != nil:
		return []id.UUID{e.ofClient.UUID}
	}
	return nil
}

// Check returns a NotFound fault if the viewer no longer sees what they listen to, and a Forbidden one if what was said in the session
// could be read when they began and no longer can: a consent was withdrawn, or the session put away.
func (e *Events) Check(ctx context.Context) error {
	switch {
	case e.ofSession != nil:
		meeting, err := e.service.sessions.Get(ctx, *e.ofSession)
		if err == nil && e.readable && !readable(meeting) {
			err = fault.Forbidden("what was said in the session can no longer be read")
		}
		return err
	case e.ofClient != nil:
		_, err := e.service.clients.Get(ctx, *e.ofClient)
		return err
	}
	return nil
}

// Next waits for the next event that the viewer may see. Its errors are those of stream.Subscription.Next.
func (e *Events) Next(ctx context.Context) (Event, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return stream.Seen(ctx, e.from, func(ctx context.Context, d stream.Delivery) (Event, error) {
		return e.service.looks.Look(ctx, v, d, func(ctx context.Context) (Event, error) { return e.service.See(ctx, d) })
	})
}

// Close stops listening.
func (e *Events) Close() { e.from.Close() }

// See loads what an event of a session is about; nil means that the viewer may not see it, or that it is another domain's.
func (s *Service) See(ctx context.Context, d stream.Delivery) (_ Event, err error) {
	defer fault.Wrap(&err, "insight event %s", d.Kind)
	place := Place{Cursor: string(d.Cursor), OccurredAt: d.At}
	if d.Kind == transcript.EventStateChanged {
		var about transcript.Changed
		if err := json.Unmarshal(d.Data, &about); err != nil {
			return nil, err
		}
		t, err := only(ctx, s.transcripts.ByIDs, about.TranscriptID.UUID)
		if t == nil {
			return nil, err
		}
		return TranscriptChanged{place, t}, nil
	}
	if !strings.HasPrefix(d.Kind, "insight.") && !strings.HasPrefix(d.Kind, "analysis.") { // somebody else's, of the same session
		return nil, nil
	}
	var about subject
	if err := json.Unmarshal(d.Data, &about); err != nil {
		return nil, err
	}
	if about.Run != nil {
		r, err := only(ctx, s.RunsByIDs, about.Run.UUID)
		if r == nil {
			return nil, err
		}
		return Progressed{place, r}, nil
	}
	if about.Insight == nil {
		return nil, fmt.Errorf("the event is about nothing")
	}
	if d.Kind == eventRemoved {
		meeting, err := only(ctx, s.sessions.ByIDs, about.Session.UUID)
		if meeting == nil || !meeting.Any(about.SeenBy) {
			return nil, err
		}
		return Retracted{place, *about.Insight}, nil
	}
	i, err := only(ctx, s.ByIDs, about.Insight.UUID)
	if i == nil {
		return nil, err
	}
	switch {
	case d.Kind == eventRetracted || i.RetractedAt != nil:
		// Also an older event of an insight retracted since: there is no such insight any more.
		return Retracted{place, i.ID}, nil
	case d.Kind == eventAdded:
		return Added{place, i}, nil
	default:
		return Revised{place, i}, nil
	}
}

func only[T any](ctx context.Context, load func(context.Context, []id.UUID) (map[id.UUID]*T, error), key id.UUID) (*T, error) {
	found, err := load(ctx, []id.UUID{key})
	return found[key], err
}
