package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/recent"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Service keeps live sessions.
type Service struct {
	db          *pgxpool.Pool
	sessions    *session.Service
	transcripts *transcript.Service
	insights    *insight.Service
	events      stream.Stream
	commits     func(text string) bool
	hearings    hearings
	accesses    *recent.Values[accessKey, access]
	contents    *recent.Values[contentKey, *content]
}

const (
	maxContents = 4096 // events of words that a process remembers: some minutes of fifty live sessions
	contentLife = time.Minute
	maxAccesses = 20_000
)

// NewService returns a Service over db that tells of what it does by events. commits tells whether a client says in an utterance what they will do.
func NewService(db *pgxpool.Pool, consents *consent.Service, sessions *session.Service, transcripts *transcript.Service, insights *insight.Service, events stream.Stream, commits func(text string) bool) *Service {
	s := &Service{
		db: db, sessions: sessions, transcripts: transcripts, insights: insights, events: events, commits: commits, hearings: hearings{all: map[session.ID]*hearing{}},
		accesses: recent.New[accessKey, access](maxAccesses, accessLife), contents: recent.New[contentKey, *content](maxContents, contentLife),
	}
	consents.OnWithdrawal(s.consentWithdrawn)
	sessions.OnEnd(s.sessionEnds)
	return s
}

// ByIDs returns those of the live sessions that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, sessions, scope(v, "l.org_id"), ids)
}

// LatestOf returns the live session of each session that began last, by session; where the viewer may see none it is missing.
func (s *Service) LatestOf(ctx context.Context, of []id.UUID) (map[id.UUID]*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := page.AllChildren(ctx, s.db, v, sessions, scope(v, "l.org_id"), page.Filter{}, latestFirst, "l.session_id", of, 1)
	if err != nil {
		return nil, err
	}
	found := make(map[id.UUID]*Session, len(rows))
	for _, row := range rows {
		for _, l := range row {
			found[l.SessionID.UUID] = l
		}
	}
	return found, nil
}

// latest is LatestOf one session, or NotFound.
func (s *Service) latest(ctx context.Context, of session.ID) (*Session, error) {
	found, err := s.LatestOf(ctx, []id.UUID{of.UUID})
	if err != nil {
		return nil, err
	}
	l := found[of.UUID]
	if l == nil {
		return nil, fault.NotFound("live session")
	}
	return l, nil
}

// UtterancesByIDs returns those of the utterances that the viewer may see.
func (s *Service) UtterancesByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Utterance, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, utterances, scope(v, "u.org_id"), ids)
	for _, u := range found {
		audit.Read(ctx, v, read(u.of, client.ID{UUID: u.clientID}))
	}
	return found, err
}

// Utterances returns a page of what was said in each live session, in the order of the live sessions.
func (s *Service) Utterances(ctx context.Context, of []id.UUID, w page.Window) ([]*page.Connection[Utterance], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.Children(ctx, s.db, v, utterances, scope(v, "u.org_id"), page.Filter{}, utterancesInOrder, w, "u.live_session_id", of)
	for _, p := range found {
		for _, u := range p.Nodes() {
			audit.Read(ctx, v, read(u.of, client.ID{UUID: u.clientID}))
		}
	}
	return found, err
}

// CountUtterances counts what Utterances pages through.
func (s *Service) CountUtterances(ctx context.Context, of []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, utterances, scope(v, "u.org_id"), page.Filter{}, "u.live_session_id", of)
}

// Start begins to listen to a session, which begins with it if it has not. To start what the same source has started is to start it once, unless it
// is to be another than it is; another source has to wait for its end.
func (s *Service) Start(ctx context.Context, in StartInput) (_ *Session, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "live.Start(%s)", in.SessionID)
	meeting, err := s.mine(ctx, in.SessionID)
	if err != nil {
		return nil, err
	}
	var problems check.Input
	source := problems.Line("source", in.Source, maxChunkID)
	language := problems.LanguageOrNil("language", in.Language)
	speakers := castOf(&problems, in.Speakers)
	kinds := spoken
	if in.Nudges != nil {
		kinds = in.Nudges
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if meeting.Status == session.Scheduled {
		// Before the session begins: what is refused begins nothing.
		if err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			return session.RequireConsent(ctx, tx, v.Org, in.SessionID, consent.Transcription, "sessionId")
		}); err != nil {
			return nil, err
		}
		if _, err := s.sessions.Start(ctx, session.StartInput{ID: in.SessionID}); err != nil {
			return nil, err
		}
	}
	key := ID{id.New()}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := hold(ctx, tx, v.Org, in.SessionID); err != nil {
			return err
		}
		if err := session.RequireGoing(ctx, tx, v.Org, in.SessionID); err != nil {
			return err
		}
		if err := session.RequireConsent(ctx, tx, v.Org, in.SessionID, consent.Transcription, "sessionId"); err != nil {
			return err
		}
		if err := s.endWaiting(ctx, tx, v, in.SessionID); err != nil {
			return err
		}
		usual, err := s.insights.HabitsOf(ctx, tx, v.Org, meeting.CoachID)
		if err != nil {
			return err
		}
		made, err := tx.Exec(ctx, `
			INSERT INTO live_sessions (id, org_id, session_id, source, language, shared_with_client, speakers, started_by, nudge_kinds, rules)
			VALUES ($3, $1, $2, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (org_id, session_id) WHERE status <> 'ENDED' DO NOTHING`,
			v.Org, in.SessionID, key, source, language, in.SharedWithClient, speakers, v.User, kinds, rules(meeting, usual))
		if err != nil {
			return err
		}
		if made.RowsAffected() == 0 {
			l, err := lockLatest(ctx, tx, v.Org, in.SessionID)
			if err == nil && l.Source != source {
				err = errAnotherSource
			}
			if err != nil {
				return err
			}
			return l.isAs(language, in.SharedWithClient, speakers, in.Nudges)
		}
		if err := audit.Record(ctx, tx, v, entry("live.start", key, meeting.ClientID)); err != nil {
			return err
		}
		if err := jobs.Enqueue(ctx, tx, jobs.Job{Org: v.Org, Kind: JobWatch, Entity: key.UUID, RunAt: time.Now().Add(patience)}); err != nil {
			return err
		}
		return s.publish(ctx, tx, meeting.Ref(v.Org), eventState, "", what{Live: key})
	})
	if err != nil {
		return nil, err
	}
	return s.latest(ctx, in.SessionID)
}

var errAnotherSource = fault.Conflict("another source sends what is said in this session: end its live session first").WithCode(CodeAnotherSource)

// isAs is a fault if a live session that goes on was not started with these options. What is left out is as it is.
func (l *row) isAs(language *string, shared bool, speakers []Speaker, kinds []meter.Kind) error {
	as := func(field, is string) error {
		return fault.Conflict("the live session goes on, and its %s is %s: end it first, or start it again as it was started", field, is)
	}
	if language != nil && (l.Language == nil || *l.Language != *language) {
		return as("language", "another")
	}
	if l.SharedWithClient != shared {
		return as("sharedWithClient", strconv.FormatBool(l.SharedWithClient))
	}
	for i, sp := range speakers {
		if place := l.place(sp.Label); sp.Given && (place < 0 || l.Speakers[place].Role != sp.Role) {
			return as(fmt.Sprintf("speakers.%d.role", i), "another, or not known")
		}
	}
	without := func(all []meter.Kind) func(meter.Kind) bool {
		return func(k meter.Kind) bool { return !slices.Contains(all, k) }
	}
	if kinds != nil && (slices.ContainsFunc(kinds, without(l.kinds)) || slices.ContainsFunc(l.kinds, without(kinds))) {
		return as("nudges", "another choice")
	}
	return nil
}

func castOf(problems *check.Input, given []SpeakerInput) []Speaker {
	speakers := []Speaker{}
	if len(given) > maxSpeakers {
		problems.Fail("speakers", "must be at most %d, got %d", maxSpeakers, len(given))
		return speakers
	}
	seen := map[string]bool{}
	for i, sp := range given {
		field := fmt.Sprintf("speakers.%d.label", i)
		label := problems.Line(field, sp.Label, maxLabel)
		if seen[label] {
			problems.Fail(field, "is named twice")
		}
		seen[label] = true
		speakers = append(speakers, Speaker{Label: label, Role: sp.Role, Given: sp.Role != conversation.RoleUnknown})
	}
	return speakers
}

// mine returns the session if the viewer may have it listened to.
func (s *Service) mine(ctx context.Context, key session.ID) (*session.Session, error) {
	meeting, err := s.sessions.Get(ctx, key)
	if err == nil && !meeting.Any(auth.AsCoach) {
		err = fault.Forbidden("only the coach can have a session written down")
	}
	return meeting, err
}

// Pause has nothing new written down until Resume. To pause what is paused is to pause it once.
func (s *Service) Pause(ctx context.Context, in PauseInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "live.Pause(%s)", in.SessionID)
	return s.move(ctx, in.SessionID, "live.pause", Live, Paused)
}

// Resume goes on after a pause.
func (s *Service) Resume(ctx context.Context, in ResumeInput) (_ *Session, err error) {
	defer fault.Wrap(&err, "live.Resume(%s)", in.SessionID)
	return s.move(ctx, in.SessionID, "live.resume", Paused, Live)
}

func (s *Service) move(ctx context.Context, key session.ID, action string, from, to Status) (*Session, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.mine(ctx, key); err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := session.RequireConsent(ctx, tx, v.Org, key, consent.Transcription, "sessionId"); err != nil {
			return err
		}
		l, err := s.going(ctx, tx, v.Org, key)
		if err != nil || l.Status != from {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE live_sessions SET status = $3, paused_at = CASE WHEN $3 = 'PAUSED' THEN clock_timestamp() END, heard_at = clock_timestamp(), allowance = $4
			WHERE org_id = $1 AND id = $2`, v.Org, l.ID, to, l.allowance); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry(action, l.ID, l.ref.ClientID, "status")); err != nil {
			return err
		}
		return s.publish(ctx, tx, l.ref, eventState, "", what{Live: l.ID})
	})
	if err != nil {
		return nil, err
	}
	return s.latest(ctx, key)
}

// going locks the live session of a session, which has not ended.
func (s *Service) going(ctx context.Context, tx pgx.Tx, organization id.UUID, key session.ID) (*row, error) {
	l, err := lockLatest(ctx, tx, organization, key)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, fault.Conflict("nobody listens to the session: start a live session first").WithCode(CodeNone)
	case err != nil:
		return nil, err
	case l.Status == Ended:
		return nil, fault.Conflict("the live session has ended: start another one, or import what is missing").WithCode(CodeEnded)
	case l.over:
		return nil, fault.Conflict("the session is over, and so is its live session: import what is missing").WithCode(CodeEnded)
	}
	return l, nil
}

// publish tells those who listen to the session; key is the event's, "" for one that nothing makes superfluous. Of single words nobody hears who listens to all of a client's or coach's sessions.
func (s *Service) publish(ctx context.Context, tx pgx.Tx, ref session.Ref, kind, key string, about what) error {
	return s.events.Publish(ctx, tx, ref.Org, stream.Event{Kind: kind, Data: about.data(), Key: key}, session.SessionTopic(ref.ID))
}

// entry is a line of the audit trail about a live session.
func entry(action string, key ID, of client.ID, fields ...string) audit.Entry {
	return audit.Entry{Action: action, Kind: "live", ID: key.UUID, ClientID: of.UUID, Fields: fields}
}

func read(key ID, of client.ID) audit.Entry { return entry("live.read", key, of, "utterances") }
