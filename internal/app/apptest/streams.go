package apptest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long an event may take. It is long because the machine may be busy; nothing waits for it to pass
// unless something is wrong.
const patience = 20 * time.Second

type errNotYet struct {
	text string
	n    int
}

func (e errNotYet) Error() string { return fmt.Sprintf("%d statements with %q", e.n, e.text) }

// Subscription is what comes of one operation over a stream.
type Subscription struct {
	events    chan Response // closed at its end
	completed atomic.Bool
	close     func()
}

// Completed says whether the server has called the subscription complete, rather than just ended it.
func (s *Subscription) Completed() bool { return s.completed.Load() }

// Next waits for the next event.
func (s *Subscription) Next(t testing.TB) Response {
	t.Helper()
	select {
	case r, ok := <-s.events:
		if !ok {
			t.Fatal("the subscription has ended")
		}
		return r
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	panic("unreachable")
}

// End waits for the end of the subscription and returns what came before it.
func (s *Subscription) End(t testing.TB) (rest []Response) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case r, ok := <-s.events:
			if !ok {
				return rest
			}
			rest = append(rest, r)
		case <-late:
			t.Fatal("the subscription does not end")
		}
	}
}

// Close leaves: the operation over a WebSocket, the request of server-sent events.
func (s *Subscription) Close() { s.close() }

// Socket is a connection that speaks graphql-transport-ws.
type Socket struct {
	conn *websocket.Conn
	raw  net.Conn
	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex
	subs   map[string]*Subscription
	next   int
	closed chan struct{}
	code   websocket.StatusCode // once closed
}

type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Dial opens a WebSocket without a connection_init.
func (e *Env) Dial(t testing.TB, header http.Header) *Socket {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var raw net.Conn
	dial := func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		raw, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return raw, err
	}
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(e.URL, "http")+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}},
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 22)
	s := &Socket{conn: conn, raw: raw, ctx: ctx, stop: stop, subs: map[string]*Subscription{}, closed: make(chan struct{})}
	t.Cleanup(s.Drop)
	return s
}

// Init sends connection_init and returns the error with which it is refused; nil is connection_ack.
func (s *Socket) Init(t testing.TB, payload any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	s.send(t, message{Type: "connection_init", Payload: raw})
	m, err := s.read(ctx)
	if err != nil {
		s.end(err)
		return err
	}
	if m.Type != "connection_ack" {
		_, err := s.read(ctx)
		s.end(err)
		return fmt.Errorf("%s %s", m.Type, m.Payload)
	}
	go s.loop()
	return nil
}

// Socket opens a WebSocket with the client's token.
func (c *Client) Socket(t testing.TB) *Socket {
	t.Helper()
	s := c.env.Dial(t, nil)
	if err := s.Init(t, map[string]string{"Authorization": "Bearer " + c.Token}); err != nil {
		t.Fatalf("connection_init: %v", err)
	}
	return s
}

// Rest reads until the server closes a socket that was not initialised, and returns why it ended; nil if it does not.
func (s *Socket) Rest(t testing.TB) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for {
		if _, err := s.read(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (s *Socket) send(t testing.TB, m message) {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.conn.Write(s.ctx, websocket.MessageText, raw); err != nil {
		t.Fatalf("%s: %v", m.Type, err)
	}
}

func (s *Socket) read(ctx context.Context) (m message, err error) {
	_, raw, err := s.conn.Read(ctx)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	return m, err
}

// Subscribe begins an operation.
func (s *Socket) Subscribe(t testing.TB, query string, vars Vars) *Subscription {
	t.Helper()
	payload, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.next++
	key := strconv.Itoa(s.next)
	sub := &Subscription{events: make(chan Response, 4096), close: func() {
		raw, _ := json.Marshal(message{ID: key, Type: "complete"})
		_ = s.conn.Write(s.ctx, websocket.MessageText, raw)
	}}
	s.subs[key] = sub
	s.mu.Unlock()
	s.send(t, message{ID: key, Type: "subscribe", Payload: payload})
	return sub
}

func (s *Socket) loop() {
	for {
		m, err := s.read(s.ctx)
		if err != nil {
			s.end(err)
			return
		}
		s.mu.Lock()
		sub := s.subs[m.ID]
		s.mu.Unlock()
		switch {
		case m.Type == "ping":
			raw, _ := json.Marshal(message{Type: "pong"})
			_ = s.conn.Write(s.ctx, websocket.MessageText, raw)
		case sub == nil:
		case m.Type == "next":
			var r Response
			_ = json.Unmarshal(m.Payload, &r)
			sub.events <- r
		case m.Type == "error":
			var r Response
			_ = json.Unmarshal(m.Payload, &r.Errors)
			sub.events <- r
			s.finish(m.ID)
		case m.Type == "complete":
			sub.completed.Store(true)
			s.finish(m.ID)
		}
	}
}

func (s *Socket) finish(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub := s.subs[key]; sub != nil {
		close(sub.events)
		delete(s.subs, key)
	}
}

func (s *Socket) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return
	default:
	}
	s.code = websocket.CloseStatus(err)
	for key, sub := range s.subs {
		close(sub.events)
		delete(s.subs, key)
	}
	close(s.closed)
}

// Closed waits until the server has closed the socket and returns the close code, -1 if the connection just ended.
func (s *Socket) Closed(t testing.TB) int {
	t.Helper()
	select {
	case <-s.closed:
	case <-time.After(patience):
		t.Fatal("the server does not close the socket")
	}
	return int(s.code)
}

// Drop cuts the connection without a word, as a lost network does.
func (s *Socket) Drop() {
	s.stop()
	_ = s.conn.CloseNow()
}

// Reset has the connection refused from now on, as a router does that has forgotten it: with a TCP reset, and no close code.
func (s *Socket) Reset(t testing.TB) {
	t.Helper()
	if err := s.raw.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = s.raw.Close()
}

// Subscribe listens over a WebSocket of its own.
func (c *Client) Subscribe(t testing.TB, query string, vars Vars) *Subscription {
	t.Helper()
	s := c.Socket(t)
	sub := s.Subscribe(t, query, vars)
	sub.close = s.Drop
	return sub
}

// SubscribeSSE listens by server-sent events.
func (c *Client) SubscribeSSE(t testing.TB, query string, vars Vars) *Subscription {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.env.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = c.Header()
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		t.Errorf("the answer is %s", ct)
	}
	sub := &Subscription{events: make(chan Response, 4096), close: stop}
	go func() {
		defer close(sub.events)
		defer func() { _ = res.Body.Close() }()
		sub.completed.Store(readEvents(bufio.NewReader(res.Body), sub.events) == nil)
	}()
	return sub
}

var errMalformed = errors.New("not an event stream")

// readEvents reads server-sent events until complete.
func readEvents(r *bufio.Reader, events chan<- Response) error {
	var kind, data string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			switch kind {
			case "next":
				var r Response
				if err := json.Unmarshal([]byte(data), &r); err != nil {
					return errors.Join(errMalformed, err)
				}
				events <- r
			case "complete":
				return nil
			}
			kind, data = "", ""
		case name == "event":
			kind = value
		case name == "data":
			data += value
		}
	}
}
