package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
)

const fanout = "fanout" // by hand: what is said to sockets, without GraphQL, tokens, rights or limits

// fanoutHandler tells every socket of a session what is said in it: a goroutine for each session loads it once, and writes the same bytes to one
// socket after the other. It knows no GraphQL, no tokens, no rights, no limits, and no cursor to come back with.
type fanoutHandler struct {
	db     *pgxpool.Pool
	stream *pgstream.Stream

	mu    sync.Mutex
	rooms map[session.ID]*room
}

// room is a session that somebody listens to.
type room struct {
	org     id.UUID
	events  stream.Subscription
	sockets map[*websocket.Conn]struct{}
}

func newFanout(ctx context.Context, db *pgxpool.Pool) *fanoutHandler {
	log := slog.New(slog.DiscardHandler)
	return &fanoutHandler{db: db, stream: pgstream.New(db, postgres.Listen(ctx, db, log), log, pgstream.Options{}), rooms: map[session.ID]*room{}}
}

func (h *fanoutHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var of session.ID
	if err := of.UnmarshalGQL(r.URL.Query().Get("session")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	room, err := h.enter(r.Context(), of, conn)
	if err != nil {
		return
	}
	if err := conn.Write(r.Context(), websocket.MessageText, []byte(`{"__typename":"Listening"}`)); err == nil {
		_, _, _ = conn.Read(r.Context()) // it says nothing, and then it has gone
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(room.sockets, conn)
}

// enter has the socket told what is said in a session from now on.
func (h *fanoutHandler) enter(ctx context.Context, of session.ID, conn *websocket.Conn) (*room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[of]
	if r == nil {
		r = &room{sockets: map[*websocket.Conn]struct{}{}}
		if err := h.db.QueryRow(ctx, `SELECT org_id FROM sessions WHERE id = $1`, of).Scan(&r.org); err != nil {
			return nil, err
		}
		var err error
		if r.events, err = h.stream.Subscribe(context.Background(), r.org, session.SessionTopic(of), ""); err != nil {
			return nil, err
		}
		h.rooms[of] = r
		go h.tell(r)
	}
	r.sockets[conn] = struct{}{}
	return r, nil
}

func (h *fanoutHandler) tell(r *room) {
	for {
		d, err := r.events.Next(context.Background())
		if err != nil {
			return
		}
		if d.Kind != "live.said" {
			continue
		}
		raw, err := h.message(r, d)
		if err != nil {
			return
		}
		h.mu.Lock()
		open := make([]*websocket.Conn, 0, len(r.sockets))
		for conn := range r.sockets {
			open = append(open, conn)
		}
		h.mu.Unlock()
		for _, conn := range open {
			_ = conn.Write(context.Background(), websocket.MessageText, raw)
		}
	}
}

// message has what liveScreen asks for of what was said.
func (h *fanoutHandler) message(r *room, d stream.Delivery) ([]byte, error) {
	var about struct {
		LiveSessionID id.UUID
		From, To      int64
	}
	if err := json.Unmarshal(d.Data, &about); err != nil {
		return nil, err
	}
	m := struct {
		told
		Utterances json.RawMessage `json:"utterances"`
		Metrics    json.RawMessage `json:"metrics"`
	}{told: told{words, string(d.Cursor), d.At}}
	err := h.db.QueryRow(context.Background(), `
		SELECT l.measures, (SELECT json_agg(json_build_object('id', u.id, 'chunkId', u.chunk_id, 'revision', u.revision, 'speaker', l.speakers -> u.speaker -> 'label',
				'role', l.speakers -> u.speaker -> 'role', 'text', u.text, 'startMs', u.start_ms, 'endMs', u.end_ms, 'final', u.final) ORDER BY u.start_ms, u.ordinal)
			FROM live_utterances u WHERE u.org_id = $1 AND u.live_session_id = l.id AND u.revision BETWEEN $3 AND $4)
		FROM live_sessions l WHERE l.org_id = $1 AND l.id = $2`, r.org, about.LiveSessionID, about.From, about.To).Scan(&m.Metrics, &m.Utterances)
	if err != nil {
		return nil, err
	}
	return json.Marshal(m)
}
