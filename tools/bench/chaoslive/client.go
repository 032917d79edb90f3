package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/platform/stream"
)

// client listens to the session, and comes back with the cursor of the last event whenever it is cut off.
type client struct {
	chaos    *chaos
	sessions atomic.Int64 // how often it was signed in
	cuts     atomic.Int64

	mu   sync.Mutex
	conn *websocket.Conn // while there is one
	at   int64           // number of the last event

	// Of the goroutine that listens.
	got           []int64
	took          []time.Duration
	slow, resumed int
}

const query = `subscription($session: ID!, $after: String) { insightEvents(sessionId: $session, after: $after) { cursor occurredAt } }`

type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

func (l *client) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = l.session(ctx) // whatever ended it, it comes back
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *client) reached() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// cut ends the client's connection as if its network had gone, and says whether there was one.
func (l *client) cut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return false
	}
	_ = l.conn.CloseNow()
	l.conn = nil
	l.cuts.Add(1)
	return true
}

func (l *client) hold(conn *websocket.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

func (l *client) session(ctx context.Context) error {
	c := l.chaos
	dialing, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, "ws://"+c.balancer.Addr+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return err
	}
	defer func() { l.hold(nil); _ = conn.CloseNow() }()
	send := func(m string) error { return conn.Write(dialing, websocket.MessageText, []byte(m)) }
	if err := send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + c.rig.Token + `"}}`); err != nil {
		return err
	}
	if m, err := read(dialing, conn); err != nil || m.Type != "connection_ack" {
		return fmt.Errorf("%s %w", m.Type, err)
	}
	after := c.key.Cursor(c.topic, l.reached())
	if err := send(fmt.Sprintf(`{"id":"1","type":"subscribe","payload":{"query":%q,"variables":{"session":%q,"after":%q}}}`, query, c.rig.Practice.Session, after)); err != nil {
		return err
	}
	if l.sessions.Add(1) > 1 {
		l.resumed++
	}
	l.hold(conn)
	for {
		m, err := read(ctx, conn)
		if err != nil {
			return err
		}
		switch m.Type {
		case "ping":
			if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)); err != nil {
				return err
			}
		case "next":
			if err := l.receive(m.Payload); err != nil {
				return err
			}
		default:
			if strings.Contains(string(m.Payload), "SUBSCRIBER_TOO_SLOW") {
				l.slow++
			}
			return fmt.Errorf("%s %s", m.Type, m.Payload)
		}
	}
}

func (l *client) receive(payload json.RawMessage) error {
	var event struct {
		Data struct {
			InsightEvents struct {
				Cursor     string
				OccurredAt time.Time
			}
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return err
	}
	n, err := l.chaos.key.Position(l.chaos.topic, stream.Cursor(event.Data.InsightEvents.Cursor))
	if err != nil {
		return fmt.Errorf("%s: %w", payload, err)
	}
	l.got = append(l.got, n)
	l.took = append(l.took, time.Since(event.Data.InsightEvents.OccurredAt))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = n
	return nil
}

func read(ctx context.Context, conn *websocket.Conn) (m message, err error) {
	_, raw, err := conn.Read(ctx)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(raw, &m)
}
