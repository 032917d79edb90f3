package live

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Event is something that happened in a live session, or to what came of it.
type Event interface {
	IsLiveEvent()
	Position() string
}

// Place is where and when an event happened.
type Place struct {
	Cursor     string
	OccurredAt time.Time
}

// Position is the cursor from which everything comes that comes after the event.
func (p Place) Position() string { return p.Cursor }

// StateChanged says that a live session began, was paused, went on or ended, or that its transcript came further. It is also the first that
// who begins to listen hears.
type StateChanged struct {
	Place
	LiveSession *Session
}

// Said says that utterances came or changed, and what the measures are with them.
type Said struct {
	Place
	LiveSessionID ID
	Utterances    []*Utterance    // shared by all who listen: read only
	Metrics       *meter.Measures // nil for whom they are not
}

// InsightChanged says that an insight was found in the transcript, or reviewed; nil that it no longer holds.
type InsightChanged struct {
	Place
	InsightID insight.ID
	Insight   *insight.Insight
}

// Nudged says that the coach is told something, or has dismissed it.
type Nudged struct {
	Place
	Nudge *Nudge
}

// IsLiveEvent marks an Event.
func (StateChanged) IsLiveEvent() {}

// IsLiveEvent marks an Event.
func (Said) IsLiveEvent() {}

// IsLiveEvent marks an Event.
func (Nudged) IsLiveEvent() {}

// IsLiveEvent marks an Event.
func (InsightChanged) IsLiveEvent() {}

// Events are the events of one session that the viewer may see.
type Events struct {
	service *Service
	viewer  auth.Viewer
	of      session.ID
	from    stream.Subscription
	first   *StateChanged
	shown   map[ID]int64 // up to which change who listens has seen a live session already
}

// Events begins to listen to a session, whether or not it is live yet: from the event after the given cursor; without one it begins with
// how the live session stands, if there is one, and goes on from there. It ends with ctx.
//
// What the viewer may see is looked at again while it lasts: who may see nothing any more is NotFound to the next event, at the latest half a
// second after it has changed.
func (s *Service) Events(ctx context.Context, of session.ID, after *string) (_ *Events, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "live.Events(%s)", of)
	meeting, err := s.sessions.Get(ctx, of)
	if err != nil {
		return nil, err
	}
	if _, err := s.sees(ctx, v, of, ""); err != nil {
		return nil, err
	}
	from, err := stream.After(after)
	if err != nil {
		return nil, err
	}
	if err := s.recordRead(ctx, v, meeting); err != nil {
		return nil, err
	}
	subscription, err := s.events.Subscribe(ctx, v.Org, session.SessionTopic(of), from)
	if err != nil {
		return nil, err
	}
	e := &Events{service: s, viewer: v, of: of, from: subscription, shown: map[ID]int64{}}
	if after == nil {
		if err := e.begin(ctx); err != nil {
			subscription.Close()
			return nil, err
		}
	}
	return e, nil
}

// begin looks at how the live session stands, after the subscription does: what happens between comes again and is known.
func (e *Events) begin(ctx context.Context) error {
	found, err := e.service.LatestOf(ctx, []id.UUID{e.of.UUID})
	if l := found[e.of.UUID]; l != nil {
		e.shown[l.ID] = l.Revision
		e.first = &StateChanged{Place{string(e.from.Cursor()), time.Now().UTC()}, l}
	}
	return err
}

// recordRead writes down that the viewer listens: once, and not with each word.
func (s *Service) recordRead(ctx context.Context, v auth.Viewer, meeting *session.Session) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, v, audit.Entry{Action: "live.read", Kind: "session", ID: meeting.ID.UUID, ClientID: meeting.ClientID.UUID, Fields: []string{"utterances"}})
	})
}

// Next waits for the next event that the viewer may see. Its errors are those of stream.Subscription.Next, and NotFound for who may see nothing
// any more.
func (e *Events) Next(ctx context.Context) (Event, error) {
	if e.first != nil {
		first := *e.first
		e.first = nil
		return first, nil
	}
	return stream.Seen(ctx, e.from, e.see)
}

// About is the session that the viewer must see to listen.
func (e *Events) About() []id.UUID { return []id.UUID{e.of.UUID} }

// Check returns a NotFound fault if the viewer may see nothing of what is said any more, as it is now: a consent was withdrawn, or the session is
// put away or another's.
func (e *Events) Check(ctx context.Context) error {
	_, err := e.service.access(ctx, e.viewer, e.of)
	return err
}

// Close stops listening.
func (e *Events) Close() { e.from.Close() }

// see looks at an event with the viewer's eyes; nil means that there is nothing to see.
func (e *Events) see(ctx context.Context, d stream.Delivery) (_ Event, err error) {
	defer fault.Wrap(&err, "live event %s", d.Kind)
	place := Place{string(d.Cursor), d.At}
	since := stream.Cursor("")
	if d.Kind == eventState { // a consent may have been taken back: what was known before does not count
		since = d.Cursor
	}
	may, err := e.service.sees(ctx, e.viewer, e.of, since)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(d.Kind, "live.") {
		return e.derived(ctx, place, d)
	}
	var about what
	if err := json.Unmarshal(d.Data, &about); err != nil {
		return nil, err
	}
	switch {
	case d.Kind == eventState:
		return e.state(ctx, place, about.Live)
	case d.Kind == eventNudge && may.grants.Any(auth.AsCoach) && about.Nudge != nil:
		return e.nudged(ctx, place, *about.Nudge)
	case d.Kind != eventSaid:
		return nil, nil
	}
	return e.said(ctx, place, about, may)
}

func (e *Events) state(ctx context.Context, place Place, key ID) (Event, error) {
	found, err := e.service.ByIDs(ctx, []id.UUID{key.UUID})
	if l := found[key.UUID]; l != nil {
		return StateChanged{place, l}, err
	}
	return nil, err
}

func (e *Events) nudged(ctx context.Context, place Place, key NudgeID) (Event, error) {
	found, err := e.service.NudgesByIDs(ctx, []id.UUID{key.UUID})
	if n := found[key.UUID]; n != nil {
		return Nudged{place, n}, err
	}
	return nil, err
}

func (e *Events) said(ctx context.Context, place Place, about what, may access) (Event, error) {
	if about.To <= e.shown[about.Live] {
		return nil, nil
	}
	c, err := e.service.content(ctx, e.viewer.Org, about)
	if err != nil || len(c.utterances) == 0 || may.grants == auth.AsClient && !c.shared {
		return nil, err
	}
	out := Said{Place: place, LiveSessionID: about.Live, Utterances: c.utterances}
	if may.analysis && may.grants.Any(auth.AsCoach|auth.AsSupervisor) {
		out.Metrics = c.measures
	}
	return out, nil
}

// derived is what happens to the transcript and its insights, for who follows the session to its end.
func (e *Events) derived(ctx context.Context, place Place, d stream.Delivery) (Event, error) {
	happened, err := e.service.insights.See(ctx, d)
	if err != nil {
		return nil, err
	}
	switch h := happened.(type) {
	case insight.Added:
		return InsightChanged{place, h.Insight.ID, h.Insight}, nil
	case insight.Revised:
		return InsightChanged{place, h.Insight.ID, h.Insight}, nil
	case insight.Retracted:
		return InsightChanged{place, h.InsightID, nil}, nil
	case insight.TranscriptChanged:
		found, err := e.service.LatestOf(ctx, []id.UUID{e.of.UUID})
		if l := found[e.of.UUID]; l != nil && l.TranscriptID != nil && *l.TranscriptID == h.Transcript.ID {
			return StateChanged{place, l}, err
		}
		return nil, err
	}
	return nil, nil
}

// access is what a viewer may see of a session that is listened to.
type access struct {
	grants   auth.Grants
	analysis bool // what is derived from words, too
}

// accessKey is who asks, about what.
type accessKey struct {
	org, user id.UUID
	roles     string
	of        session.ID
	since     stream.Cursor // an event after which they must have asked
}

// accessLife is how long an answer holds: somebody with a hundred sockets asks twice a second, and a withdrawal is noticed within half of one.
const accessLife = 500 * time.Millisecond

// sees is NotFound if the viewer may see nothing of what is said in a session. The answer is of the last half second, and later than an event if
// one is named.
func (s *Service) sees(ctx context.Context, v auth.Viewer, of session.ID, since stream.Cursor) (access, error) {
	key := accessKey{org: v.Org, user: v.User, of: of, since: since}
	for _, role := range slices.Sorted(slices.Values(v.Roles)) {
		key.roles += string(role) + " "
	}
	return s.accesses.get(ctx, key, func(ctx context.Context) (access, error) { return s.access(ctx, v, of) })
}

// access is sees as it is now.
func (s *Service) access(ctx context.Context, v auth.Viewer, of session.ID) (access, error) {
	found, err := page.ByIDs(ctx, s.db, v, accesses, session.ConversationScope(v, "s.org_id", session.ToRead, "true", latestIsShared), []id.UUID{of.UUID})
	if err != nil {
		return access{}, err
	}
	a := found[of.UUID]
	if a == nil {
		return access{}, fault.NotFound("live session")
	}
	return access{a.Grants, a.analysis}, nil
}

// content is what an event of words holds, for everybody who may see it.
type content struct {
	utterances []*Utterance
	measures   *meter.Measures
	shared     bool
}

// contentKey is an event of words.
type contentKey struct {
	org      id.UUID
	live     ID
	from, to int64
}

// content loads what an event is about: once in a process, however many listen. In the process that has written it, it is there already.
func (s *Service) content(ctx context.Context, organization id.UUID, about what) (content, error) {
	return s.contents.get(ctx, contentKey{organization, about.Live, about.From, about.To}, func(ctx context.Context) (c content, err error) {
		err = s.db.QueryRow(ctx, `SELECT measures, shared_with_client FROM live_sessions WHERE org_id = $1 AND id = $2`, organization, about.Live).Scan(&c.measures, &c.shared)
		if err == pgx.ErrNoRows {
			return c, nil
		} else if err != nil {
			return c, err
		}
		c.utterances, err = said(ctx, s.db, organization, about.Live, "u.revision BETWEEN $3 AND $4", about.From, about.To)
		return c, err
	})
}
