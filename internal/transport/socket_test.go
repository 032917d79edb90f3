package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/testkit"
)

// client speaks to a socket in messages as they stand.
type client struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

func dial(t *testing.T, s server, protocols ...string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http"), &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t, conn, ctx}
}

// connect opens a socket and signs in.
func connect(t *testing.T, s server) *client {
	t.Helper()
	c := dial(t, s, protocol)
	c.send(`{"type":"connection_init"}`)
	c.want(`{"type":"connection_ack"}`)
	return c
}

func (c *client) send(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(m)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *client) read() string {
	c.t.Helper()
	_, raw, err := c.conn.Read(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(raw)
}

func (c *client) want(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		if got := c.read(); got != m {
			c.t.Fatalf("got  %s\nwant %s", got, m)
		}
	}
}

// closed reads on until the socket is closed, and returns the code and the reason.
func (c *client) closed() (websocket.StatusCode, string) {
	c.t.Helper()
	for {
		_, _, err := c.conn.Read(c.ctx)
		if c.ctx.Err() != nil {
			c.t.Fatal("the socket stays open")
		}
		var ce websocket.CloseError
		if err != nil {
			errors.As(err, &ce)
			return websocket.CloseStatus(err), ce.Reason
		}
	}
}

const (
	hello   = `{"id":"1","type":"subscribe","payload":{"query":"{hello}"}}`
	forever = `{"id":"1","type":"subscribe","payload":{"query":"subscription {forever}"}}`
	ping    = `{"type":"ping"}`
)

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	s := serve(t, standard())
	const signIn = `{"type":"connection_init"}`
	for name, tc := range map[string]struct {
		send   []string
		code   websocket.StatusCode
		reason string
	}{
		"no JSON":                  {[]string{`marzipan`}, 4400, "a message is a text that holds a JSON object"},
		"nothing":                  {[]string{``}, 4400, "a message is a text that holds a JSON object"},
		"a list":                   {[]string{`[]`}, 4400, "a message is a text that holds a JSON object"},
		"an id that is a number":   {[]string{signIn, `{"id":1,"type":"subscribe","payload":{"query":"{hello}"}}`}, 4400, ""},
		"null":                     {[]string{`null`}, 4400, "clients send connection_init, ping, pong, subscribe and complete"},
		"no type":                  {[]string{`{"id":"1"}`}, 4400, ""},
		"an unknown type":          {[]string{signIn, `{"type":"start","id":"1","payload":{"query":"{hello}"}}`}, 4400, ""},
		"a type of the server's":   {[]string{signIn, `{"type":"next","id":"1","payload":{}}`}, 4400, ""},
		"init with a list":         {[]string{`{"type":"connection_init","payload":[]}`}, 4400, "the payload of connection_init is an object"},
		"ping with a text":         {[]string{`{"type":"ping","payload":"marzipan"}`}, 4400, "the payload of ping is an object"},
		"subscribe without id":     {[]string{signIn, `{"type":"subscribe","payload":{"query":"{hello}"}}`}, 4400, "subscribe has an id"},
		"complete without id":      {[]string{signIn, `{"type":"complete"}`}, 4400, "complete has an id"},
		"subscribe to nothing":     {[]string{signIn, `{"id":"1","type":"subscribe"}`}, 4400, ""},
		"subscribe without query":  {[]string{signIn, `{"id":"1","type":"subscribe","payload":{"variables":{"secret":"marzipan"}}}`}, 4400, "the payload of subscribe must be " + shape},
		"variables are a list":     {[]string{signIn, `{"id":"1","type":"subscribe","payload":{"query":"{hello}","variables":["marzipan"]}}`}, 4400, "the payload of subscribe is wrong at byte 32: variables must be an object"},
		"subscribe before init":    {[]string{hello}, 4401, "Unauthorized"},
		"a bad token":              {[]string{`{"type":"connection_init","payload":{"token":"bad"}}`}, 4403, "Forbidden"},
		"a token that runs out":    {[]string{`{"type":"connection_init","payload":{"token":"brief"}}`}, 4403, "Forbidden"},
		"sign-in out of order":     {[]string{`{"type":"connection_init","payload":{"token":"unlucky"}}`}, 1013, "Try again later"},
		"sign-in breaks":           {[]string{`{"type":"connection_init","payload":{"token":"panic"}}`}, 4500, "Internal server error"},
		"the same id twice":        {[]string{signIn, forever, forever}, 4409, "Subscriber for 1 already exists"},
		"another kind of that id":  {[]string{signIn, forever, hello}, 4409, "Subscriber for 1 already exists"},
		"two inits":                {[]string{signIn, signIn}, 4429, "Too many initialisation requests"},
		"a message over the limit": {[]string{signIn, `{"type":"ping","payload":{"x":"` + strings.Repeat("x", 1000) + `"}}`}, 1009, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, s, protocol)
			c.send(tc.send...)
			code, reason := c.closed()
			if code != tc.code || tc.reason != "" && reason != tc.reason {
				t.Errorf("closed with %d %q, want %d %q", code, reason, tc.code, tc.reason)
			}
			if strings.Contains(reason, "marzipan") {
				t.Errorf("the reason quotes the message: %q", reason)
			}
		})
	}
	t.Run("a binary message", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s, protocol)
		_ = c.conn.Write(c.ctx, websocket.MessageBinary, []byte(signIn))
		if code, _ := c.closed(); code != 4400 {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("a long id twice", func(t *testing.T) {
		t.Parallel()
		c := connect(t, s)
		m := strings.Replace(forever, `"1"`, `"`+strings.Repeat("ü", 100)+`"`, 1)
		c.send(m, m)
		if code, reason := c.closed(); code != 4409 || !strings.HasPrefix(reason, "Subscriber for üü") {
			t.Errorf("closed with %d %q", code, reason)
		}
	})
	for name, protocols := range map[string][]string{"no protocol": nil, "another protocol": {"graphql-ws"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, reason := dial(t, s, protocols...).closed(); code != 4406 || reason != "Subprotocol not acceptable" {
				t.Errorf("closed with %d %q", code, reason)
			}
		})
	}
	for name, first := range map[string]string{"no init": ping, "a slow sign-in": `{"type":"connection_init","payload":{"token":"slow"}}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, serve(t, standard(), func(ws *WebSocket, _ *HTTP) { ws.Timing.Init = 20 * time.Millisecond }), protocol)
			_ = c.conn.Write(c.ctx, websocket.MessageText, []byte(first)) // may be too late already
			if code, reason := c.closed(); code != 4408 || reason != "Connection initialisation timeout" {
				t.Errorf("closed with %d %q", code, reason)
			}
		})
	}
	t.Cleanup(func() {
		if strings.Contains(s.log.String(), "marzipan") {
			t.Errorf("the log quotes a message: %s", s.log)
		}
	})
}

func TestOperationsOverASocket(t *testing.T) {
	t.Parallel()
	c := connect(t, serve(t, standard()))
	const complete = `{"id":"1","type":"complete"}`
	ask := func(query string) string {
		return fmt.Sprintf(`{"id":"1","type":"subscribe","payload":{"query":%q}}`, query)
	}
	for range 2 { // an id is free again after its operation
		c.send(hello)
		c.want(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`, complete)
		c.send(ask(`mutation {change}`))
		c.want(`{"id":"1","type":"next","payload":{"data":{"change":"done"}}}`, complete)
		c.send(ask(`subscription {count}`))
		c.want(`{"id":"1","type":"next","payload":{"data":{"count":1}}}`, `{"id":"1","type":"next","payload":{"data":{"count":2}}}`, complete)
	}
	c.send(`{"id":"1","type":"subscribe","payload":{"query":"query($n: String) {hello(name: $n)}","variables":{"n":"x"},"operationName":null,"extensions":null}}`)
	c.want(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`, complete)

	// What is refused or fails ends with error and without complete; the id is free, and the socket goes on.
	for query, message := range map[string]string{
		`{hello`:                 "Expected Name, found ",
		`{nothing}`:              `Cannot query field \"nothing\" on type \"Query\".`,
		`subscription {refused}`: "it not found",
		`{broken}`:               "it broke",
	} {
		c.send(ask(query))
		if got := c.read(); !strings.HasPrefix(got, `{"id":"1","type":"error","payload":[{"message":"`+message) {
			t.Errorf("%s: %s", query, got)
		}
		c.send(ping)
		c.want(`{"type":"pong"}`)
	}
	c.send(ask(`subscription {failing}`))
	c.want(`{"id":"1","type":"next","payload":{"data":{"failing":1}}}`, `{"id":"1","type":"error","payload":[{"message":"too slow"}]}`)
	c.send(ping)
	c.want(`{"type":"pong"}`)
}

// After its complete a client hears nothing more of an operation, and may use the id for another.
func TestCompleteByTheClient(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	f := standard()
	f["forever"] = each(func(ctx context.Context, out chan<- string) {
		for emit(ctx, out, `{"forever":1}`) {
		}
		ended <- struct{}{}
	})
	c := connect(t, serve(t, f))
	for range 20 {
		c.send(forever)
		c.want(`{"id":"1","type":"next","payload":{"data":{"forever":1}}}`)
		c.send(`{"id":"1","type":"complete"}`, `{"id":"never heard of","type":"complete"}`, ping)
		for c.read() != `{"type":"pong"}` {
		}
		<-ended
		c.send(hello)
		c.want(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`, `{"id":"1","type":"complete"}`)
	}
	if code := c.conn.Close(websocket.StatusNormalClosure, ""); code != nil {
		t.Error(code)
	}
}

// An operation that takes its time to end does not end the one that has its id now.
func TestIDsThatAreUsedAgain(t *testing.T) {
	t.Parallel()
	release, ended := make(chan struct{}), make(chan struct{}, 1)
	f := standard()
	f["slow"] = func(ctx context.Context) graphql.ResponseHandler {
		<-release
		return graphql.OneShot(&graphql.Response{Data: json.RawMessage(`{"slow":"late"}`)})
	}
	f["forever"] = each(func(ctx context.Context, _ chan<- string) { <-ctx.Done(); ended <- struct{}{} })
	c := connect(t, serve(t, f))
	for range 50 {
		c.send(`{"id":"1","type":"subscribe","payload":{"query":"{slow}"}}`, `{"id":"1","type":"complete"}`, forever, ping)
		c.want(`{"type":"pong"}`)
		release <- struct{}{}
		c.send(ping)
		c.want(`{"type":"pong"}`)
		c.send(`{"id":"1","type":"complete"}`)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("the second operation has no id any more")
		}
	}
}

func TestPings(t *testing.T) {
	t.Parallel()
	t.Run("of the client", func(t *testing.T) {
		t.Parallel()
		c := dial(t, serve(t, standard()), protocol)
		c.send(ping, `{"type":"ping","payload":{"n":1}}`, `{"type":"ping","payload":null}`, `{"type":"pong"}`) // at any time, before init too
		c.want(`{"type":"pong"}`, `{"type":"pong","payload":{"n":1}}`, `{"type":"pong"}`)
	})
	often := func(ws *WebSocket, _ *HTTP) { ws.Timing.KeepAlive = 500 * time.Millisecond }
	t.Run("of the server", func(t *testing.T) {
		t.Parallel()
		c := connect(t, serve(t, standard(), often))
		for range 3 {
			c.want(`{"type":"ping"}`)
			c.send(`{"type":"pong"}`)
		}
	})
	t.Run("without an answer", func(t *testing.T) {
		t.Parallel()
		c := connect(t, serve(t, standard(), often))
		c.want(`{"type":"ping"}`)
		if code, _ := c.closed(); code != -1 {
			t.Errorf("closed with %d, and not cut off", code)
		}
	})
}

func TestSubscriptionsOfASocket(t *testing.T) {
	t.Parallel()
	c := connect(t, serve(t, fields{
		"hello":   data(`{"hello":"you"}`),
		"forever": each(func(ctx context.Context, _ chan<- string) { <-ctx.Done() }),
	}))
	for i := range 3 {
		c.send(strings.Replace(forever, `"1"`, fmt.Sprintf(`"s%d"`, i), 1))
	}
	c.send(forever)
	c.want(`{"id":"1","type":"error","payload":[{"message":"a socket can hold 3 subscriptions"}]}`)
	c.send(hello) // is none
	c.want(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`, `{"id":"1","type":"complete"}`)
	c.send(`{"id":"s0","type":"complete"}`, forever, ping)
	c.want(`{"type":"pong"}`)
}

// A drain lets queries finish, ends subscriptions without calling them complete, and says that the server goes away.
func TestDrainOfSockets(t *testing.T) {
	t.Parallel()
	asked, finish, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := serve(t, fields{
		"slow": func(context.Context) graphql.ResponseHandler {
			close(asked)
			<-finish
			return graphql.OneShot(&graphql.Response{Data: json.RawMessage(`{"slow":"done"}`)})
		},
		"forever": each(func(ctx context.Context, out chan<- string) {
			emit(ctx, out, `{"forever":1}`)
			<-ctx.Done()
			close(left)
		}),
	})
	c := connect(t, s)
	c.send(forever)
	c.want(`{"id":"1","type":"next","payload":{"data":{"forever":1}}}`)
	c.send(`{"id":"2","type":"subscribe","payload":{"query":"{slow}"}}`)
	<-asked
	closed := make(chan struct{})
	go func() { s.streams.Close(c.ctx); close(closed) }()
	<-left
	close(finish)
	c.want(`{"id":"2","type":"next","payload":{"data":{"slow":"done"}}}`, `{"id":"2","type":"complete"}`)
	if code, reason := c.closed(); code != websocket.StatusGoingAway || reason != "Going away" {
		t.Errorf("closed with %d %q", code, reason)
	}
	<-closed
	if code, _ := dial(t, s, protocol).closed(); code != websocket.StatusGoingAway {
		t.Errorf("a late one is closed with %d", code)
	}
	if !strings.Contains(s.log.String(), "code=1001") {
		t.Errorf("log: %s", s.log)
	}
}

// A drain does not wait for ever.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := serve(t, fields{"slow": func(ctx context.Context) graphql.ResponseHandler {
		close(asked)
		<-ctx.Done()
		return graphql.OneShot(&graphql.Response{Data: json.RawMessage(`{"slow":"cancelled"}`)})
	}})
	c := connect(t, s)
	c.send(`{"id":"1","type":"subscribe","payload":{"query":"{slow}"}}`)
	<-asked
	limit, cancel := context.WithCancel(t.Context())
	go s.streams.Close(limit)
	<-s.streams.stopping.Done()
	cancel()
	if _, _, err := c.conn.Read(c.ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v", err)
	}
	testkit.Eventually(t, patience, s.streams.ended)
}

// Who takes in nothing is given up, and what was done for them ends.
func TestSlowConsumers(t *testing.T) {
	t.Parallel()
	brief := func(ws *WebSocket, web *HTTP) {
		ws.Timing.Write, web.Timing.Write = 100*time.Millisecond, 100*time.Millisecond
	}
	large := `{"forever":"` + strings.Repeat("x", 1<<20) + `"}`
	serveLarge := func(t *testing.T) (server, <-chan struct{}) {
		ended := make(chan struct{})
		return serve(t, fields{"forever": each(func(ctx context.Context, out chan<- string) {
			for emit(ctx, out, large) {
			}
			close(ended)
		})}, brief), ended
	}
	wait := func(t *testing.T, ended <-chan struct{}) {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("it goes on")
		}
	}
	t.Run("WebSocket", func(t *testing.T) {
		t.Parallel()
		s, ended := serveLarge(t)
		c := connect(t, s)
		c.send(forever)
		wait(t, ended)
		testkit.Eventually(t, patience, s.streams.ended)
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		s, ended := serveLarge(t)
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "GET /?query=subscription%%7Bforever%%7D HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
		wait(t, ended)
	})
}

// A client that does not wait for the handshake's answer is heard, too.
func TestHastyClient(t *testing.T) {
	t.Parallel()
	s := serve(t, standard())
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	payload := `{"type":"ping","payload":{"n":"` + strings.Repeat("x", 800) + `"}}`
	frame := append([]byte{0x81, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload)), 0, 0, 0, 0}, payload...)
	_, _ = conn.Write(append([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"), frame...))
	var got strings.Builder
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for !strings.Contains(got.String(), `xx"}}`) {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, &got)
		}
		got.Write(buf[:n])
	}
	if !strings.Contains(got.String(), "101 Switching Protocols") || !strings.Contains(got.String(), `{"type":"pong","payload":{"n":"xx`) {
		t.Errorf("got %q", &got)
	}
}

func TestHandshakesThatAreNone(t *testing.T) {
	t.Parallel()
	s := serve(t, standard())
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/?query=%7Bhello%7D", nil)
	req.Header.Set("Upgrade", "h2c") // some clients offer it with every request
	req.Header.Set("Connection", "Upgrade")
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v %+v", err, res)
	}
	req.Header.Set("Upgrade", "websocket")
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("%v %+v", err, res)
	}
}
