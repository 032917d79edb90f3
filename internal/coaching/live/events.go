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

// Said says that utterances came or changed, and what the measures are with them. Two that are equal say the same to the same people.
type Said struct {
	Place
	LiveSessionID ID
	Metrics       *meter.Measures // nil for whom they are not
	words         *content
}

// Utterances are shared by all who listen: read only.
func (s Said) Utterances() []*Utterance { return s.words.utterances }

// IsWhole marks an event that holds all that can be asked of it.
func (Said) IsWhole() {}

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
	of      accessKey
	from    stream.Subscription
	first   *StateChanged
	stands  *Session     // as first says, until the first change of state
	shown   map[ID]int64 // up to which change who listens has seen a live session already
}

// Events begins to listen to a session, whether or not it is live yet: from the event after the given cursor; without one it begins with
// how the live session stands, if there is one, and goes on from there. It ends with ctx.
//
// What the viewer may see is looked at again while it lasts: with each change of state, whenever Check is called, and otherwise with the first event
// after accessLife. Who may see nothing any more is NotFound to the next event.
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
	from, err := stream.After(after)
	if err != nil {
		return nil, err
	}
	e := &Events{service: s, viewer: v, of: accessKeyOf(v, of), shown: map[ID]int64{}}
	if e.from, err = s.events.Subscribe(ctx, v.Org, session.SessionTopic(of), from); err != nil {
		return nil, err
	}
	if err := e.begin(ctx, meeting, after == nil); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// begin looks at what the viewer may see, and at how the live session stands if they are to hear it, after the subscription does: what changes meanwhile
// comes again and is known. A live session that had begun before the subscription, and after the look, would be none that the viewer may hear.
func (e *Events) begin(ctx context.Context, meeting *session.Session, standing bool) error {
	if err := e.Check(ctx); err != nil {
		return err
	}
	if err := e.service.recordRead(ctx, e.viewer, meeting); err != nil || !standing {
		return err
	}
	found, err := e.service.LatestOf(ctx, e.About())
	if l := found[e.of.session.UUID]; l != nil {
		e.shown[l.ID], e.stands = l.Revision, l
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
func (e *Events) About() []id.UUID { return []id.UUID{e.of.session.UUID} }

// Check returns a NotFound fault if the viewer may see nothing of what is said any more, as it is now: a consent was withdrawn, or the session is
// put away or another's. What it finds counts for what comes next.
func (e *Events) Check(ctx context.Context) error {
	_, err := e.service.accesses.Renew(ctx, e.of, e.look)
	return err
}

// Close stops listening.
func (e *Events) Close() { e.from.Close() }

// see looks at an event with the viewer's eyes; nil means that there is nothing to see. Words are what comes most, and are seen where
// the stack of who waits stays small.
func (e *Events) see(ctx context.Context, d stream.Delivery) (_ Event, err error) {
	defer fault.Wrap(&err, "live event %s", d.Kind)
	if d.Kind == eventSaid {
		return e.said(ctx, d)
	}
	return stream.Aside(e.rare)(ctx, d)
}

func (e *Events) said(ctx context.Context, d stream.Delivery) (Event, error) {
	may, err := e.service.accesses.Get(ctx, e.of, e.look)
	if err != nil {
		return nil, err
	}
	c, err := e.service.content(ctx, e.viewer.Org, d.Data)
	if err != nil || len(c.utterances) == 0 || c.about.To <= e.shown[c.about.Live] || !slices.Contains(may.words, c.about.Live.UUID) {
		return nil, err
	}
	out := Said{Place: placeOf(d), LiveSessionID: c.about.Live, words: c}
	if may.analysis && may.grants.Any(auth.AsCoach|auth.AsSupervisor) {
		out.Metrics = c.measures
	}
	return out, nil
}

// rare is see of what is no words.
func (e *Events) rare(ctx context.Context, d stream.Delivery) (Event, error) {
	sees := e.service.accesses.Get
	if d.Kind == eventState { // a consent may have been taken back: what was known before does not count any more
		sees = e.service.accesses.Renew
	}
	may, err := sees(ctx, e.of, e.look)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(d.Kind, "live.") {
		return e.derived(ctx, placeOf(d), d)
	}
	var about what
	if err := json.Unmarshal(d.Data, &about); err != nil {
		return nil, err
	}
	switch {
	case d.Kind == eventState:
		return e.state(ctx, placeOf(d), about.Live)
	case d.Kind == eventNudge && may.grants.Any(auth.AsCoach) && about.Nudge != nil:
		return e.nudged(ctx, placeOf(d), *about.Nudge)
	}
	return nil, nil
}

func placeOf(d stream.Delivery) Place { return Place{string(d.Cursor), d.At} }

func (e *Events) state(ctx context.Context, place Place, key ID) (Event, error) {
	found, err := e.service.ByIDs(ctx, []id.UUID{key.UUID})
	l, before := found[key.UUID], e.stands
	e.stands = nil
	if l == nil || before != nil && l.stands(before) {
		return nil, err
	}
	return StateChanged{place, l}, err
}

func (e *Events) nudged(ctx context.Context, place Place, key NudgeID) (Event, error) {
	found, err := e.service.NudgesByIDs(ctx, []id.UUID{key.UUID})
	if n := found[key.UUID]; n != nil {
		return Nudged{place, n}, err
	}
	return nil, err
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
		found, err := e.service.LatestOf(ctx, e.About())
		if l := found[e.of.session.UUID]; l != nil && l.TranscriptID != nil && *l.TranscriptID == h.Transcript.ID {
			return StateChanged{place, l}, err
		}
		return nil, err
	}
	return nil, nil
}

// access is what a viewer may see of a session that is listened to.
type access struct {
	grants   auth.Grants
	analysis bool      // what is derived from words, too
	words    []id.UUID // of which live sessions; what a process remembers of others is not shown
}

// accessKey is who asks, about what.
type accessKey struct {
	org, user id.UUID
	roles     string
	session   session.ID
}

func accessKeyOf(v auth.Viewer, of session.ID) accessKey {
	key := accessKey{org: v.Org, user: v.User, session: of}
	for _, role := range slices.Sorted(slices.Values(v.Roles)) {
		key.roles += string(role) + " "
	}
	return key
}

// accessLife is how long an answer holds of which nobody says that it has changed: migrations 63 and 76 have the database say so of everything by which a
// viewer may see less, and Check is called then. It is what a viewer may wait for who sees more.
const accessLife = 5 * time.Second

// look is NotFound if the viewer may see nothing of what is said now.
func (e *Events) look(ctx context.Context) (access, error) {
	found, err := page.ByIDs(ctx, e.service.db, e.viewer, accesses, session.ConversationScope(e.viewer, "s.org_id", session.ToRead, "true", latestIsShared), e.About())
	if err != nil {
		return access{}, err
	}
	a := found[e.of.session.UUID]
	if a == nil {
		return access{}, fault.NotFound("live session")
	}
	if a.Grants == auth.AsClient {
		return access{a.Grants, a.analysis, a.shared}, nil
	}
	return access{a.Grants, a.analysis, a.words}, nil
}

// content is what an event of words holds, for everybody who may see it.
type content struct {
	about      what
	utterances []*Utterance
	measures   *meter.Measures
}

// contentKey is the data of an event of words.
type contentKey struct {
	org  id.UUID
	data string
}

// content loads what an event is about: once in a process, however many listen. In the process that has written it, it is there already.
func (s *Service) content(ctx context.Context, organization id.UUID, data json.RawMessage) (*content, error) {
	return s.contents.Get(ctx, contentKey{organization, string(data)}, func(ctx context.Context) (*content, error) {
		c := &content{}
		if err := json.Unmarshal(data, &c.about); err != nil {
			return nil, err
		}
		return c, c.load(ctx, s.db, organization)
	})
}
