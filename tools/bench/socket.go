package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

// socket speaks graphql-transport-ws.
type socket struct{ conn *websocket.Conn }

type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

func (c *child) dial(ctx context.Context, token string) (*socket, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+c.Addr+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 22)
	s := &socket{conn}
	if err := s.send(ctx, "", "connection_init", map[string]string{"Authorization": "Bearer " + token}); err != nil {
		return nil, err
	}
	if m, err := s.read(ctx); err != nil || m.Type != "connection_ack" {
		return nil, fmt.Errorf("connection_init: %s %w", m.Type, err)
	}
	return s, nil
}

func (s *socket) close() { _ = s.conn.CloseNow() }

func (s *socket) send(ctx context.Context, key, kind string, payload any) error {
	raw, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	m, err := json.Marshal(message{key, kind, raw})
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, websocket.MessageText, m)
}

func (s *socket) read(ctx context.Context) (m message, err error) {
	for {
		_, raw, err := s.conn.Read(ctx)
		if err != nil {
			return m, err
		}
		m = message{}
		if err := json.Unmarshal(raw, &m); err != nil {
			return m, err
		}
		if m.Type != "ping" {
			return m, nil
		}
		if err := s.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"pong"}`)); err != nil {
			return m, err
		}
	}
}

// next returns the next event of any subscription.
func (s *socket) next(ctx context.Context) (json.RawMessage, error) {
	m, err := s.read(ctx)
	if err == nil && m.Type != "next" {
		err = fmt.Errorf("%s %s", m.Type, m.Payload)
	}
	return m.Payload, err
}

const events = `subscription Events($session: ID!, $after: String) {
  insightEvents(sessionId: $session, after: $after) {
    __typename
    cursor
    ... on InsightAdded { insight { id kind title } }
    ... on InsightRevised { insight { id kind title status } }
    ... on TranscriptStateChanged { transcript { id status } }
  }
}`

func (s *socket) subscribe(ctx context.Context, n int, session string, after *string) error {
	return s.send(ctx, strconv.Itoa(n), "subscribe", map[string]any{"query": events, "variables": map[string]any{"session": session, "after": after}})
}

// mutate sends a query or mutation and reads the data into out.
func (b *bench) mutate(ctx context.Context, c *child, query string, variables, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Addr+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+b.token)
	res, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("the server says: %s", answer.Errors[0].Message)
	}
	return json.Unmarshal(answer.Data, out)
}

// refusals are what a mutation does not do.
type refusals []struct{ Message string }

func (r refusals) err() error {
	if len(r) == 0 {
		return nil
	}
	return fmt.Errorf("the server refuses: %s", r[0].Message)
}
