package live

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

const joinSession = " JOIN sessions s ON s.org_id = $1 AND s.id = l.session_id"

const columns = "l.id, l.session_id, l.source, l.status, l.end_reason, l.language, l.shared_with_client, l.speakers, " +
	"l.started_at, l.heard_at, l.paused_at, l.ended_at, l.revision, l.transcript_id"

func (s *Session) dest() []any {
	return []any{&s.ID, &s.SessionID, &s.Source, &s.Status, &s.EndReason, &s.Language, &s.SharedWithClient, &s.Speakers,
		&s.StartedAt, &s.HeardAt, &s.PausedAt, &s.EndedAt, &s.Revision, &s.TranscriptID}
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
	size      int64
	now       time.Time // of the database
}

const lockedSQL = `
	SELECT ` + columns + `, s.org_id, s.id, s.client_id, s.coach_id, l.started_by, l.size, clock_timestamp(),
		least($3, coalesce(l.allowance + extract(epoch FROM clock_timestamp() - l.heard_at) * $4, $3))
	FROM live_sessions l` + joinSession + ` WHERE l.org_id = $1 AND `

func scanRow(r pgx.Row) (*row, error) {
	l := &row{}
	dest := append(l.dest(), &l.ref.Org, &l.ref.ID, &l.ref.ClientID, &l.ref.CoachID, &l.by, &l.size, &l.now, &l.allowance)
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

// Kept are the rows here that belong to a transcript d, each after those that refer to it.
var Kept = []transcript.Rows{
	{Table: "live_utterances", On: "EXISTS (SELECT FROM live_sessions l WHERE l.org_id = $1 AND l.id = x.live_session_id AND l.transcript_id = d.id)"},
}
