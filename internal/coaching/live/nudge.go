package live

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// NudgeID identifies a nudge: nudge_….
type NudgeID struct{ id.UUID }

func (i NudgeID) String() string { return id.Format("nudge", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i NudgeID) MarshalGQL(w io.Writer) { id.Write(w, "nudge", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *NudgeID) UnmarshalGQL(v any) error { return id.Read(v, "nudge", &i.UUID) }

// Nudge is what a coach is told while a session goes on.
type Nudge struct {
	auth.Grants
	ID            NudgeID
	LiveSessionID ID
	Kind          meter.Kind
	AtMs          int64   // how far the session had come
	Value         float64 // what was measured: milliseconds, or how many
	Threshold     float64 // from where on it is noticed
	ChunkIDs      []ChunkID
	TopicIDs      []session.TopicID
	CreatedAt     time.Time
	DismissedAt   *time.Time
	sessionID     session.ID
}

// IsNode marks a Relay node.
func (*Nudge) IsNode() {}

// Message says it in a sentence, without a word of the conversation.
func (n *Nudge) Message() string {
	seconds := func(ms float64) string { return fmt.Sprintf("%.0f s", ms/1000) }
	switch n.Kind {
	case meter.Commitment:
		return "The client has said what they will do."
	case meter.Advice:
		return fmt.Sprintf("That was advice nobody had asked for, the %s in this session.", ordinal(int(n.Value)))
	case meter.AgendaOpen:
		return "Ten minutes are left, and something on the agenda has not been touched."
	case meter.BrokenSilence:
		return fmt.Sprintf("You asked, it was silent for %s, and you spoke first.", seconds(n.Value))
	case meter.Monologue:
		return fmt.Sprintf("You have been speaking for %s.", seconds(n.Value))
	case meter.Stacked:
		return fmt.Sprintf("%.0f questions in one go.", n.Value)
	}
	return ""
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n) + suffix
}

// DismissInput takes a nudge off the screen.
type DismissInput struct{ ID NudgeID }

// spoken are the kinds that a coach is told of unless something else is asked for: those for which there is evidence that they matter, which
// docs/guides/live.md names. The others are quiet.
var spoken = []meter.Kind{meter.Commitment, meter.Advice, meter.AgendaOpen, meter.BrokenSilence}

const (
	nudgeEveryMs = 2 * 60 * 1000  // of the session, at most one
	agendaLeftMs = 10 * 60 * 1000 // when a topic that nobody has touched should be
	minHabits    = 5              // sessions of which habits can be told
)

// nudgeScope: nudges are the coach's alone, and say more than the words do.
func nudgeScope(v auth.Viewer, orgColumn string) *page.Scope {
	return session.ConversationScope(v, orgColumn, session.ToAnalyse, "false", "false")
}

// given are all that a coach was told.
var given = page.Table[Nudge]{
	From:    "live_nudges n JOIN live_sessions l ON l.org_id = $1 AND l.id = n.live_session_id" + joinSession,
	ID:      "n.id",
	Columns: "n.id, n.live_session_id, n.kind, n.at_ms, n.value, n.threshold, n.chunk_ids, n.topic_ids, n.created_at, n.dismissed_at, l.session_id",
	Dest: func(n *Nudge) []any {
		return []any{&n.Grants, &n.ID, &n.LiveSessionID, &n.Kind, &n.AtMs, &n.Value, &n.Threshold, &n.ChunkIDs, &n.TopicIDs, &n.CreatedAt, &n.DismissedAt, &n.sessionID}
	},
	Key: func(n *Nudge) id.UUID { return n.ID.UUID },
}

// nudges are those that stand: the words that they rest on were not taken back. A topic that nobody has touched rests on none.
var nudges = page.Table[Nudge]{
	From: given.From + ` AND (n.kind = 'AGENDA_ITEM_OPEN' OR NOT EXISTS (
		SELECT FROM live_utterances u WHERE u.org_id = $1 AND u.live_session_id = l.id AND u.chunk_id = ANY(n.chunk_ids) AND u.text = ''))`,
	ID:      given.ID,
	Columns: given.Columns,
	Dest:    given.Dest,
	Key:     given.Key,
}

// nudgesInOrder lists all nudges of a live session, so that it is never a page's order.
var nudgesInOrder = page.Order[Nudge]{Name: "nudge", Keys: []page.Key[Nudge]{{SQL: "n.at_ms", Type: "bigint"}, {SQL: "n.id", Type: "uuid"}}}

// maxNudges are those of a day, one every two minutes.
const maxNudges = 720

// NudgesByIDs returns those of the nudges that the viewer may see.
func (s *Service) NudgesByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Nudge, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, nudges, nudgeScope(v, "n.org_id"), ids)
}

// Nudges returns what the coach was told in each live session, in their order; where that is nothing, it is empty and not nil.
func (s *Service) Nudges(ctx context.Context, of []id.UUID) ([][]*Nudge, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.AllChildren(ctx, s.db, v, nudges, nudgeScope(v, "n.org_id"), page.Filter{}, nudgesInOrder, "n.live_session_id", of, maxNudges)
	for i, all := range found {
		if all == nil {
			found[i] = []*Nudge{}
		}
	}
	return found, err
}

// Evidence returns the utterances that each nudge rests on, in the order of the nudges.
func (s *Service) Evidence(ctx context.Context, of []id.UUID) ([][]*Utterance, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.AllChildren(ctx, s.db, v, evidence, nudgeScope(v, "u.org_id"), page.Filter{}, utterancesInOrder, "n.id", of, page.MaxSize)
	for _, all := range found {
		for _, u := range all {
			audit.Read(ctx, v, read(u.of, client.ID{UUID: u.clientID}))
		}
	}
	return found, err
}

// Dismiss takes a nudge off the screen. Doing it twice is doing it once.
func (s *Service) Dismiss(ctx context.Context, in DismissInput) (_ *Nudge, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "live.Dismiss(%s)", in.ID)
	n, err := page.Get(ctx, s.db, v, given, nudgeScope(v, "n.org_id"), in.ID.UUID, "nudge")
	if err != nil {
		return nil, err
	}
	meeting, err := s.sessions.Get(ctx, n.sessionID)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE live_nudges SET dismissed_at = clock_timestamp() WHERE org_id = $1 AND id = $2 AND dismissed_at IS NULL`, v.Org, in.ID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := audit.Record(ctx, tx, v, entry("live.dismissNudge", n.LiveSessionID, meeting.ClientID, "nudges")); err != nil {
			return err
		}
		return s.publish(ctx, tx, meeting.Ref(v.Org), eventNudge, "", what{Live: n.LiveSessionID, Nudge: &in.ID})
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, given, nudgeScope(v, "n.org_id"), in.ID.UUID, "nudge")
}

// rules are from where on something is noticed in a session, by what its coach does usually: nobody is told of what is a habit, and everybody of
// what is not.
func rules(meeting *session.Session, usual insight.Habits) meter.Rules {
	r := meter.Rules{MonologueMs: 3 * 60_000, Questions: 3, Advice: 2, SilenceMs: 3_000}
	if usual.Sessions >= minHabits {
		if usual.LongestMonologueMs != nil {
			r.MonologueMs = min(5*60_000, max(90_000, int64(*usual.LongestMonologueMs)))
		}
		if usual.StackedQuestions != nil && *usual.StackedQuestions >= 5 {
			r.Questions = 4
		}
		if usual.UnaskedAdvice != nil {
			r.Advice = min(10, 1+int(math.Ceil(*usual.UnaskedAdvice)))
		}
	}
	if planned := int64(meeting.DurationMinutes) * 60_000; planned > 2*agendaLeftMs {
		r.AgendaMs = planned - agendaLeftMs
	}
	return r
}

// nudge tells the coach the first of what was noticed, unless the last time was a moment ago.
func (s *Service) nudge(ctx context.Context, tx pgx.Tx, x *hearing, l *row, noticed []meter.Notice) error {
	if !l.ai || len(noticed) == 0 {
		return nil
	}
	justNudged := func(atMs int64) bool { // the last time lies ahead if the source's clock jumped, and was corrected
		return l.nudgedMs != nil && atMs >= *l.nudgedMs && atMs < *l.nudgedMs+nudgeEveryMs
	}
	noticed = slices.DeleteFunc(noticed, func(n meter.Notice) bool {
		return !slices.Contains(l.kinds, n.Kind) || justNudged(n.AtMs)
	})
	slices.SortStableFunc(noticed, func(a, b meter.Notice) int {
		return slices.Index(meter.Kinds, a.Kind) - slices.Index(meter.Kinds, b.Kind)
	})
	for _, n := range noticed {
		topics, err := s.stillOpen(ctx, tx, x, l, n)
		if err != nil {
			return err
		}
		if n.Kind == meter.AgendaOpen && len(topics) == 0 {
			continue
		}
		key := NudgeID{id.New()}
		if _, err := tx.Exec(ctx, `
			INSERT INTO live_nudges (id, org_id, live_session_id, kind, at_ms, value, threshold, chunk_ids, topic_ids)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, key, l.ref.Org, l.ID, n.Kind, n.AtMs, n.Value, n.Limit, n.Keys, topics); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE live_sessions SET nudged_ms = $3 WHERE org_id = $1 AND id = $2`, l.ref.Org, l.ID, n.AtMs); err != nil {
			return err
		}
		return s.publish(ctx, tx, l.ref, eventNudge, "", what{Live: l.ID, Nudge: &key})
	}
	return nil
}

// stillOpen are those of a notice's topics that are on the agenda, and open, now.
func (s *Service) stillOpen(ctx context.Context, tx pgx.Tx, x *hearing, l *row, n meter.Notice) ([]session.TopicID, error) {
	out := []session.TopicID{}
	if n.Topics == 0 {
		return out, nil
	}
	open, err := session.OpenTopics(ctx, tx, l.ref.Org, l.ref.ID)
	if err != nil {
		return nil, err
	}
	for i, topic := range x.topics {
		if n.Topics&(1<<i) != 0 && slices.ContainsFunc(open, func(t session.Topic) bool { return t.ID == topic.id }) {
			out = append(out, topic.id)
		}
	}
	return out, nil
}
