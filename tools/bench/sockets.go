package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
)

const (
	fanout    = "fanout" // by hand: events to sockets, without GraphQL, tokens, rights or limits
	followed  = 50       // sessions that something happens in
	eachTwice = 500 * time.Millisecond
)

// measureSockets measures what a socket holds that listens, and how long events take from being published to all who listen, beside a
// fan-out by hand.
func measureSockets(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\nSockets: %d sessions in each of which something happens twice a second, published by another process\n", followed)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tresident KB a socket\theap KB\tp50 ms\tp99 ms\tCPU µs a delivery\tdelivered\tlost\tdoubled\t")
	for _, n := range []int{1000, 5000} {
		for _, side := range []string{ours, fanout} {
			m, err := b.listenAndPublish(ctx, side, n)
			if err != nil {
				return fmt.Errorf("%s with %d sockets: %w", side, n, err)
			}
			fmt.Fprintf(w, "%s, %d\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%d\t%d\t%d\t\n", side, n, m.resident/1e3, m.heap/1e3, ms(m.at(0.5)), ms(m.at(0.99)),
				float64(m.cpu.Microseconds())/float64(max(1, m.delivered)), m.delivered, m.lost, m.doubled)
		}
	}
	return w.Flush()
}

// measured is what was measured of one side.
type measured struct {
	resident, heap           float64 // bytes a socket
	cpu                      time.Duration
	delivered, lost, doubled int64
	took                     []time.Duration // sorted
}

func (m *measured) at(p float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	return m.took[min(len(m.took)-1, int(p*float64(len(m.took))))]
}

// happening is a session in which something happens.
type happening struct {
	session id.UUID
	insight id.UUID
	topic   string
}

func (b *bench) happenings(ctx context.Context) ([]happening, error) {
	rows, err := b.db.Query(ctx, `SELECT s.id, i.id FROM sessions s CROSS JOIN LATERAL
			(SELECT id FROM insights WHERE org_id = s.org_id AND session_id = s.id AND retracted_at IS NULL ORDER BY id LIMIT 1) i
		WHERE s.org_id = $1 AND s.coach_id = $2 AND s.archived_at IS NULL ORDER BY s.id LIMIT $3`, b.practice.Viewer.Org, b.practice.Viewer.User, followed)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h happening, err error) {
		err = row.Scan(&h.session, &h.insight)
		h.topic = session.SessionTopic(session.ID{UUID: h.session})
		return h, err
	})
}

func (b *bench) listenAndPublish(ctx context.Context, side string, n int) (m measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	where, err := b.happenings(ctx)
	if err != nil {
		return m, err
	}
	key, err := pgstream.Key(ctx, b.db, b.practice.Viewer.Org)
	if err != nil {
		return m, err
	}
	c, err := b.start(ctx, side)
	if err != nil {
		return m, err
	}
	defer c.stop()
	listeners := make([]*listener, n)
	for i := range listeners {
		listeners[i] = &listener{of: where[i%len(where)], key: key}
	}
	defer func() {
		for _, l := range listeners {
			l.close()
		}
	}()
	if err := listeners[0].dial(ctx, b, c, side); err != nil { // what the first one makes stays
		return m, err
	}
	before, err := atRest(ctx, c)
	if err != nil {
		return m, err
	}
	for _, l := range listeners[1:] {
		if err := l.dial(ctx, b, c, side); err != nil {
			return m, err
		}
	}
	publisher, closePublisher := b.publisher(ctx)
	defer closePublisher()
	if err := b.heard(ctx, publisher, where, listeners); err != nil {
		return m, err
	}
	after, err := atRest(ctx, c)
	if err != nil {
		return m, err
	}
	m.resident, m.heap = float64(after.Resident-before.Resident)/float64(n-1), (float64(after.Heap)-float64(before.Heap))/float64(n-1)
	for _, l := range listeners {
		l.begin()
	}
	profiled := make(chan error, 1)
	go func() { profiled <- b.profileSockets(ctx, c, fmt.Sprintf("%s-%d", side, n)) }()
	published, err := b.publish(ctx, publisher, where)
	if err := errors.Join(err, <-profiled); err != nil {
		return m, err
	}
	want := int64(published/len(where)) * int64(n)
	if err := await(ctx, func() bool { return total(listeners) >= want }); err != nil {
		progress(fmt.Sprintf("%s: only %d of %d were delivered", side, total(listeners), want))
	}
	end, err := c.figures(ctx, false)
	if err != nil {
		return m, err
	}
	m.cpu = end.CPU - after.CPU
	for _, l := range listeners {
		l.mu.Lock()
		m.delivered, m.doubled, m.took = m.delivered+l.got, m.doubled+l.doubled, append(m.took, l.took...)
		l.mu.Unlock()
	}
	m.lost = max(0, want-(m.delivered-m.doubled))
	slices.Sort(m.took)
	return m, nil
}

// atRest is what a server holds when all garbage is collected; each collection halves the stacks that have become too large.
func atRest(ctx context.Context, c *child) (f figures, err error) {
	for range 6 {
		if f, err = c.figures(ctx, true); err != nil {
			return f, err
		}
	}
	return f, nil
}

// profileSockets writes a CPU profile of the server for one length, if that is wanted.
func (b *bench) profileSockets(ctx context.Context, c *child, name string) error {
	if b.profile == "" {
		return nil
	}
	raw, err := c.control(ctx, fmt.Sprintf("/profile?seconds=%d", max(1, int(b.length.Seconds()))))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profile, "sockets-"+name+".pprof"), raw, 0o600)
}

func total(all []*listener) (n int64) {
	for _, l := range all {
		l.mu.Lock()
		n += l.got - l.doubled
		l.mu.Unlock()
	}
	return n
}

func await(ctx context.Context, until func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !until() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// publisher is another process's stream: its events reach the server by a notification.
func (b *bench) publisher(ctx context.Context) (*pgstream.Stream, func()) {
	log := slog.New(slog.DiscardHandler)
	l := postgres.Listen(ctx, b.db, log)
	s := pgstream.New(b.db, l, log, pgstream.Options{})
	return s, func() { s.Close(); l.Close() }
}

// heard publishes until everybody has heard something, for the protocol does not confirm a subscription.
func (b *bench) heard(ctx context.Context, s *pgstream.Stream, where []happening, all []*listener) error {
	for range 20 {
		for _, h := range where {
			if err := b.happen(ctx, s, h); err != nil {
				return err
			}
		}
		quick, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := await(quick, func() bool {
			return !slices.ContainsFunc(all, func(l *listener) bool { return l.last.Load() == 0 })
		})
		cancel()
		if err == nil {
			time.Sleep(time.Second) // what comes late is not measured
			return nil
		}
	}
	return errors.New("not all who listen hear something")
}

func (b *bench) happen(ctx context.Context, s *pgstream.Stream, h happening) error {
	data, err := json.Marshal(map[string]any{"insightId": insight.ID{UUID: h.insight}})
	if err != nil {
		return err
	}
	return postgres.InTx(ctx, b.db, func(tx pgx.Tx) error {
		return s.Publish(ctx, tx, b.practice.Viewer.Org, stream.Event{Kind: "insight.revised", Data: data}, h.topic)
	})
}

// publish has something happen twice a second in each session, evenly, for two lengths.
func (b *bench) publish(ctx context.Context, s *pgstream.Stream, where []happening) (n int, err error) {
	every := time.NewTicker(eachTwice / time.Duration(len(where)))
	defer every.Stop()
	for end := time.Now().Add(2 * b.length); time.Now().Before(end) || n%len(where) != 0; n++ {
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-every.C:
		}
		if err := b.happen(ctx, s, where[n%len(where)]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// listener is a socket that listens to a session.
type listener struct {
	of   happening
	key  stream.Key
	conn *websocket.Conn
	last atomic.Int64 // number of the last event

	mu           sync.Mutex
	measures     bool
	got, doubled int64
	took         []time.Duration
}

func (l *listener) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.measures = true
}

func (l *listener) close() {
	if l.conn != nil {
		_ = l.conn.CloseNow()
	}
}

// told is an event as either side sends it.
type told struct {
	Cursor     string    `json:"cursor"`
	OccurredAt time.Time `json:"occurredAt"`
}

func (l *listener) dial(ctx context.Context, b *bench, c *child, side string) (err error) {
	if side == fanout {
		if l.conn, _, err = websocket.Dial(ctx, "ws://"+c.Addr+"/?topic="+l.of.topic, nil); err != nil {
			return err
		}
		go l.listen(ctx, func(raw []byte) (t told, err error) { return t, json.Unmarshal(raw, &t) })
		return nil
	}
	s, err := b.dial(ctx, c)
	if err != nil {
		return err
	}
	l.conn = s.conn
	if err := s.send(ctx, "1", "subscribe", map[string]any{
		"query":     `subscription($of: ID!) { insightEvents(sessionId: $of) { cursor occurredAt } }`,
		"variables": map[string]any{"of": session.ID{UUID: l.of.session}.String()},
	}); err != nil {
		return err
	}
	go l.listen(ctx, func(raw []byte) (told, error) {
		var m struct {
			Type    string
			Payload struct{ Data struct{ InsightEvents told } }
		}
		err := json.Unmarshal(raw, &m)
		if err == nil && m.Type == "ping" {
			err = l.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`))
		}
		return m.Payload.Data.InsightEvents, err
	})
	return nil
}

func (l *listener) listen(ctx context.Context, read func([]byte) (told, error)) {
	for {
		_, raw, err := l.conn.Read(ctx)
		if err != nil {
			return
		}
		t, err := read(raw)
		if err != nil || t.Cursor == "" {
			continue
		}
		n, err := l.key.Position(l.of.topic, stream.Cursor(t.Cursor))
		if err != nil {
			continue
		}
		took := time.Since(t.OccurredAt)
		before := l.last.Swap(n)
		l.mu.Lock()
		if l.measures {
			l.got++
			l.took = append(l.took, took)
			if n <= before {
				l.doubled++
			}
		}
		l.mu.Unlock()
	}
}

// fanoutHandler tells every socket of a topic what happens in it: a goroutine for each topic writes the same bytes to one after the
// other. It knows no GraphQL, no tokens, no rights, no limits, and no cursor to come back with.
type fanoutHandler struct {
	db     *pgxpool.Pool
	stream *pgstream.Stream
	org    id.UUID

	mu      sync.Mutex
	sockets map[string]map[*websocket.Conn]struct{}
}

func newFanout(ctx context.Context, db *pgxpool.Pool) (*fanoutHandler, error) {
	log := slog.New(slog.DiscardHandler)
	h := &fanoutHandler{db: db, stream: pgstream.New(db, postgres.Listen(ctx, db, log), log, pgstream.Options{}), sockets: map[string]map[*websocket.Conn]struct{}{}}
	return h, db.QueryRow(ctx, `SELECT org_id FROM stream_keys LIMIT 1`).Scan(&h.org)
}

func (h *fanoutHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	topic := r.URL.Query().Get("topic")
	h.mu.Lock()
	if h.sockets[topic] == nil {
		h.sockets[topic] = map[*websocket.Conn]struct{}{}
		if sub, err := h.stream.Subscribe(context.Background(), h.org, topic, ""); err == nil {
			go h.tell(sub, topic)
		}
	}
	h.sockets[topic][conn] = struct{}{}
	h.mu.Unlock()
	_, _, _ = conn.Read(r.Context()) // it says nothing, and then it has gone
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sockets[topic], conn)
}

func (h *fanoutHandler) tell(sub stream.Subscription, topic string) {
	for {
		d, err := sub.Next(context.Background())
		if err != nil {
			return
		}
		raw, err := json.Marshal(told{string(d.Cursor), d.At})
		if err != nil {
			return
		}
		h.mu.Lock()
		open := make([]*websocket.Conn, 0, len(h.sockets[topic]))
		for conn := range h.sockets[topic] {
			open = append(open, conn)
		}
		h.mu.Unlock()
		for _, conn := range open {
			_ = conn.Write(context.Background(), websocket.MessageText, raw)
		}
	}
}
