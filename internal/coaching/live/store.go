package live

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

const joinSession = " JOIN sessions s ON s.org_id = $1 AND s.id = l.session_id"

const columns = "l.id, l.session_id, l.source, l.status, l.end_reason, l.language, " + shared + ", l.speakers, " +
	"l.started_at, l.heard_at, l.paused_at, l.ended_at, l.revision, l.transcript_id, CASE WHEN " + string(session.ToAnalyse) + " THEN l.measures END"

func (s *Session) dest() []any {
	return []any{&s.ID, &s.SessionID, &s.Source, &s.Status, &s.EndReason, &s.Language, &s.SharedWithClient, &s.Speakers,
		&s.StartedAt, &s.HeardAt, &s.PausedAt, &s.EndedAt, &s.Revision, &s.TranscriptID, &s.Metrics}
}

var sessions = page.Table[Session]{
	From:    "live_sessions l" + joinSession,
	ID:      "l.id",
	Columns: columns,
	Dest:    func(s *Session) []any { return append([]any{&s.Grants}, s.dest()...) },
	Key:     func(s *Session) id.UUID { return s.ID.UUID },
}

// latestFirst: what goes on began last.
var latestFirst = page.Order[Session]{Name: "live-session", Keys: []page.Key[Session]{
	{SQL: "l.started_at", Type: "timestamptz", Desc: true, Of: func(s *Session) string { return s.StartedAt.Format(time.RFC3339Nano) }},
	{SQL: "l.id", Type: "uuid", Desc: true, Of: func(s *Session) string { return s.ID.UUID.String() }},
}}

const utteranceColumns = "u.id, u.chunk_id, u.ordinal, u.revision, l.speakers -> u.speaker ->> 'label', coalesce(l.speakers -> u.speaker ->> 'role', 'UNKNOWN'), u.text, u.start_ms, u.end_ms, u.final"

func (u *Utterance) dest() []any {
	return []any{&u.ID, &u.ChunkID, &u.ordinal, &u.Revision, &u.Speaker, &u.Role, &u.Text, &u.StartMs, &u.EndMs, &u.Final}
}

var utterances = page.Table[Utterance]{
	From:    "live_utterances u JOIN live_sessions l ON l.org_id = $1 AND l.id = u.live_session_id" + joinSession,
	ID:      "u.id",
	Columns: utteranceColumns + ", l.id, s.client_id",
	Dest: func(u *Utterance) []any {
		return append(append([]any{&u.Grants}, u.dest()...), &u.of, &u.clientID)
	},
	Key: func(u *Utterance) id.UUID { return u.ID.UUID },
}

// evidence are utterances under the nudges that rest on them, but for those whose words were taken back.
var evidence = page.Table[Utterance]{
	From:    utterances.From + " JOIN live_nudges n ON n.org_id = $1 AND n.live_session_id = l.id AND u.chunk_id = ANY(n.chunk_ids) AND u.text <> ''",
	ID:      utterances.ID,
	Columns: utterances.Columns,
	Dest:    utterances.Dest,
	Key:     utterances.Key,
}

var utterancesInOrder = page.Order[Utterance]{Name: "live-utterance", Keys: []page.Key[Utterance]{
	{SQL: "u.start_ms", Type: "bigint", Of: func(u *Utterance) string { return strconv.FormatInt(u.StartMs, 10) }},
	{SQL: "u.ordinal", Type: "bigint", Of: func(u *Utterance) string { return strconv.FormatInt(u.ordinal, 10) }},
}}

// row is a live session that is locked until the transaction ends.
type row struct {
	Session
	ref       session.Ref
	by        org.UserID
	allowance float64
	rules     *meter.Rules
	kinds     []meter.Kind // of nudges
	nudgedMs  *int64
	ai        bool // the organization wants to have conversations interpreted
	size      int64
	analysis  bool      // everybody agrees to it
	over      bool      // the session is
	waits     bool      // since then, for a consent
	now       time.Time // of the database
}

const lockedSQL = `
	SELECT ` + columns + `, s.org_id, s.id, s.client_id, s.coach_id, l.started_by, l.size, ` + string(session.ToAnalyse) + `, clock_timestamp(), l.rules, l.nudge_kinds, l.nudged_ms,
		s.status <> 'IN_PROGRESS' OR s.archived_at IS NOT NULL OR l.waits, l.waits,
		(SELECT ai_enabled FROM organizations o WHERE o.id = $1), least($3, coalesce(l.allowance + extract(epoch FROM clock_timestamp() - l.heard_at) * $4, $3))
	FROM live_sessions l` + joinSession + ` WHERE l.org_id = $1 AND `

func scanRow(r pgx.Row) (*row, error) {
	l := &row{}
	dest := append(l.dest(), &l.ref.Org, &l.ref.ID, &l.ref.ClientID, &l.ref.CoachID, &l.by, &l.size, &l.analysis, &l.now, &l.rules, &l.kinds, &l.nudgedMs, &l.over, &l.waits, &l.ai, &l.allowance)
	if err := r.Scan(dest...); err != nil {
		return nil, err
	}
	return l, nil
}

// lockLatest locks the live session of a session that began last; pgx.ErrNoRows if there was none. Who locks the session's row too does it
// before.
func lockLatest(ctx context.Context, tx pgx.Tx, organization id.UUID, key session.ID) (*row, error) {
	return scanRow(tx.QueryRow(ctx, lockedSQL+`l.session_id = $2 ORDER BY l.started_at DESC, l.id DESC LIMIT 1 FOR NO KEY UPDATE OF l`,
		organization, key, float64(atOnce), float64(perSecond)))
}

// lock locks a live session.
func lock(ctx context.Context, tx pgx.Tx, organization id.UUID, key ID) (*row, error) {
	return scanRow(tx.QueryRow(ctx, lockedSQL+`l.id = $2 FOR NO KEY UPDATE OF l`, organization, key, float64(atOnce), float64(perSecond)))
}

// said reads utterances for the system and not for a viewer, in the order of their starts.
func said(ctx context.Context, db page.Querier, organization id.UUID, of ID, condition string, args ...any) ([]*Utterance, error) {
	rows, err := db.Query(ctx, `SELECT `+utteranceColumns+` FROM live_utterances u JOIN live_sessions l ON l.org_id = $1 AND l.id = u.live_session_id
		WHERE u.org_id = $1 AND u.live_session_id = $2 AND `+condition+` ORDER BY u.start_ms, u.ordinal`, append([]any{organization, of}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Utterance, error) {
		u := &Utterance{of: of}
		return u, r.Scan(u.dest()...)
	})
}

// load reads what the event is about that c is of: for the system and not for a viewer, in the order of their starts. There may be nothing any more.
func (c *content) load(ctx context.Context, db page.Querier, organization id.UUID) error {
	rows, err := db.Query(ctx, `
		SELECT `+utteranceColumns+`, CASE WHEN row_number() OVER (ORDER BY u.start_ms, u.ordinal) = 1 THEN l.measures END
		FROM live_sessions l JOIN live_utterances u ON u.org_id = $1 AND u.live_session_id = l.id AND u.revision BETWEEN $3 AND $4
		WHERE l.org_id = $1 AND l.id = $2 ORDER BY u.start_ms, u.ordinal`, organization, c.about.Live, c.about.From, c.about.To)
	if err != nil {
		return err
	}
	c.utterances, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Utterance, error) {
		u := &Utterance{of: c.about.Live}
		var measures *meter.Measures
		err := r.Scan(append(u.dest(), &measures)...)
		c.measures = cmp.Or(c.measures, measures)
		return u, err
	})
	return err
}

// Kept are the rows here that belong to a transcript d, each after those that refer to it.
var Kept = []transcript.Rows{
	{Table: "live_nudges", On: "EXISTS (SELECT FROM live_sessions l WHERE l.org_id = $1 AND l.id = x.live_session_id AND l.transcript_id = d.id)"},
	{Table: "live_utterances", On: "EXISTS (SELECT FROM live_sessions l WHERE l.org_id = $1 AND l.id = x.live_session_id AND l.transcript_id = d.id)"},
}

// seen is what a viewer may see of a session.
type seen struct {
	auth.Grants
	id       session.ID
	analysis bool
	words    []id.UUID // the live sessions that have any, or can still have them
	shared   []id.UUID // those of them that are shared with the client
}

var accesses = page.Table[seen]{
	From: "sessions s",
	ID:   "s.id",
	Columns: "s.id, " + string(session.ToAnalyse) +
		", ARRAY(SELECT l.id FROM live_sessions l WHERE l.org_id = $1 AND l.session_id = s.id AND " + haveWords + ")" +
		", ARRAY(SELECT l.id FROM live_sessions l WHERE l.org_id = $1 AND l.session_id = s.id AND " + haveWords + " AND " + shared + ")",
	Dest: func(a *seen) []any { return []any{&a.Grants, &a.id, &a.analysis, &a.words, &a.shared} },
	Key:  func(a *seen) id.UUID { return a.id.UUID },
}

// haveWords is the condition that the words of a live session l were not removed. There may be none yet.
const haveWords = "(l.revision = 0 OR EXISTS (SELECT FROM live_utterances u WHERE u.org_id = $1 AND u.live_session_id = l.id))"

// shared is the condition that a live session l is shared with its client: as it was started, and from its end on as its transcript is.
const shared = "(CASE WHEN l.transcript_id IS NULL THEN l.shared_with_client ELSE EXISTS (SELECT FROM transcripts made WHERE made.org_id = $1 AND made.id = l.transcript_id" +
	" AND made.shared_with_client AND made.archived_at IS NULL) END)"

// latestIsShared is the condition that the live session of a session s that began last is shared with its client.
const latestIsShared = "coalesce((SELECT " + shared + " FROM live_sessions l WHERE l.org_id = $1 AND l.session_id = s.id ORDER BY l.started_at DESC, l.id DESC LIMIT 1), false)"
