package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.jetify.com/typeid/base32"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// floorHandler answers seed.Dashboard, and nothing else, as fast as a person can write it down: one statement, whose rows
// are read as they come over the wire and appended to the answer. It knows no schema, no loaders, no validation, no limits,
// no log and no request ids.
//
// PostgreSQL writes the JSON of the short lists; the rest is written here, because ids are TypeIDs, which SQL is slow at.
type floorHandler struct {
	db       *pgxpool.Pool
	verifier *auth.Verifier // nil believes everybody
	issuer   string
}

func newFloor(home string, db *pgxpool.Pool, verify bool) (*floorHandler, error) {
	dev, err := auth.OpenDevIssuer(home)
	if err != nil {
		return nil, err
	}
	h := &floorHandler{db: db, issuer: dev.Issuer().Name}
	if verify {
		h.verifier, err = auth.NewVerifier([]auth.Issuer{dev.Issuer()})
	}
	return h, err
}

// floorSQL is everything in one statement: who asks, what they may see, and the page.
const floorSQL = `
WITH viewer AS (
	SELECT m.org_id, m.user_id FROM user_identities i JOIN memberships m ON m.user_id = i.user_id AND m.status = 'ACTIVE'
	WHERE i.issuer = $1 AND i.subject = $2 AND 'COACH' = ANY(m.roles)
), page AS (
	SELECT s.* FROM viewer v JOIN sessions s ON s.org_id = v.org_id AND s.coach_id = v.user_id
	WHERE s.archived_at IS NULL ORDER BY s.starts_at DESC, s.id DESC LIMIT $3
)
SELECT s.id, s.number, s.status, s.title, s.starts_at, s.duration_minutes, c.id, c.name, u.id, u.name, t.list,
	i.id, i.kind, i.title, i.confidence, i.status, q.list
FROM page s
JOIN clients c ON c.org_id = s.org_id AND c.id = s.client_id
JOIN users u ON u.id = s.coach_id
CROSS JOIN LATERAL (
	SELECT string_agg('{"name":' || to_json(t.name)::text || ',"color":"' || t.color || '"}', ',' ORDER BY lower(t.name), t.id) AS list
	FROM taggings g JOIN tags t ON t.org_id = g.org_id AND t.id = g.tag_id AND t.owner_id = s.coach_id
	WHERE g.org_id = s.org_id AND g.session_id = s.id
) t
LEFT JOIN LATERAL (
	SELECT i.id, i.kind, i.title, i.confidence, i.status, i.created_at FROM insights i
	WHERE i.org_id = s.org_id AND i.session_id = s.id AND i.retracted_at IS NULL
		AND EXISTS (SELECT FROM transcripts x WHERE x.org_id = i.org_id AND x.id = i.transcript_id AND x.archived_at IS NULL)
	ORDER BY i.created_at DESC, i.id DESC LIMIT 3
) i ON true
LEFT JOIN LATERAL (
	SELECT string_agg('{"quote":' || to_json(q.quote)::text || ',"startMs":' || coalesce(q.start_ms::text, 'null')
		|| ',"endMs":' || coalesce(q.end_ms::text, 'null') || '}', ',' ORDER BY q.ordinal) AS list
	FROM citations q WHERE q.org_id = s.org_id AND q.insight_id = i.id
) q ON true
ORDER BY s.starts_at DESC, s.id DESC, i.created_at DESC, i.id DESC`

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (h *floorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	subject := seed.Coach
	if h.verifier != nil {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims, err := h.verifier.Verify(r.Context(), token)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		subject = claims.Subject
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var in struct{ Variables struct{ First int } }
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	*pooled, err = h.answer(r.Context(), (*pooled)[:0], subject, in.Variables.First)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(*pooled))}
	_, _ = w.Write(*pooled) // a client gone is no matter
}

func (h *floorHandler) answer(ctx context.Context, b []byte, subject string, first int) ([]byte, error) {
	rows, err := h.db.Query(ctx, floorSQL, pgx.QueryResultFormats{pgx.BinaryFormatCode}, h.issuer, subject, first)
	if err != nil {
		return b, err
	}
	defer rows.Close()
	b = append(b, `{"data":{"sessions":{"nodes":[`...)
	var session [16]byte
	sessions, insights := 0, 0
	for rows.Next() {
		v := rows.RawValues()
		if len(v) != 17 || len(v[0]) != 16 {
			return b, errors.New("the row is of another shape")
		}
		if sessions == 0 || session != [16]byte(v[0]) {
			if sessions > 0 {
				b = append(b, `]}},`...)
			}
			session, insights = [16]byte(v[0]), 0
			sessions++
			b = appendID(append(b, `{"id":`...), "session", v[0])
			b = strconv.AppendInt(append(b, `,"number":`...), int64(int32(binary.BigEndian.Uint32(v[1]))), 10)
			b = append(append(append(b, `,"status":"`...), v[2]...), '"')
			b = appendText(append(b, `,"title":`...), v[3])
			b = appendTime(append(b, `,"startsAt":`...), v[4])
			b = strconv.AppendInt(append(b, `,"durationMinutes":`...), int64(int32(binary.BigEndian.Uint32(v[5]))), 10)
			b = appendID(append(b, `,"client":{"id":`...), "client", v[6])
			b = appendText(append(b, `,"name":`...), v[7])
			b = appendID(append(b, `},"coach":{"id":`...), "user", v[8])
			b = appendText(append(b, `,"name":`...), v[9])
			b = append(append(append(b, `},"tags":[`...), v[10]...), `],"insights":{"nodes":[`...)
		}
		if v[11] == nil {
			continue // a session without insights
		}
		if insights++; insights > 1 {
			b = append(b, ',')
		}
		b = appendID(append(b, `{"id":`...), "insight", v[11])
		b = append(append(append(b, `,"kind":"`...), v[12]...), '"')
		b = appendText(append(b, `,"title":`...), v[13])
		b = strconv.AppendFloat(append(b, `,"confidence":`...), math.Float64frombits(binary.BigEndian.Uint64(v[14])), 'g', -1, 64)
		b = append(append(append(b, `,"status":"`...), v[15]...), `","citations":[`...)
		b = append(append(b, v[16]...), `]}`...)
	}
	if sessions > 0 {
		b = append(b, `]}}`...)
	}
	return append(b, `]}}}`...), rows.Err()
}

func appendID(b []byte, prefix string, raw []byte) []byte {
	b = append(append(append(b, '"'), prefix...), '_')
	return append(append(b, base32.Encode([16]byte(raw))...), '"')
}

func appendText(b, raw []byte) []byte {
	if raw == nil {
		return append(b, "null"...)
	}
	b = append(b, '"')
	for _, c := range raw {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20: // not in what the bench has made up, and gqlgen has its own spelling
			b = append(b, `\u00`...)
			b = append(b, "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&0xf])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // PostgreSQL's

func appendTime(b, raw []byte) []byte {
	t := epoch.Add(time.Duration(binary.BigEndian.Uint64(raw)) * time.Microsecond)
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}
