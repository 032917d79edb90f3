package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/platform/auth"
)

// protocol is the subprotocol that sockets speak:
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
const protocol = "graphql-transport-ws"

// Codes with which a socket is closed, beside those of RFC 6455.
const (
	closeInvalid     websocket.StatusCode = 4400
	closeNotSignedIn websocket.StatusCode = 4401
	closeForbidden   websocket.StatusCode = 4403
	closeProtocol    websocket.StatusCode = 4406
	closeInitTimeout websocket.StatusCode = 4408
	closeDuplicate   websocket.StatusCode = 4409
	closeTooMany     websocket.StatusCode = 4429
	closeInternal    websocket.StatusCode = 4500
)

// WebSocket carries any number of operations of any kind over one connection.
type WebSocket struct {
	// SignIn says who opens a socket, by the payload of its connection_init and by what the handshake's middleware has put
	// into ctx. An error refuses the socket. The socket ends with the viewer's token.
	SignIn func(ctx context.Context, payload map[string]any) (auth.Viewer, error)

	Streams *Streams
	Timing  Timing
	Log     *slog.Logger

	MaxMessage       int64 // bytes of a message from the client
	MaxSubscriptions int   // active at a time on one socket
}

// Supports implements graphql.Transport.
func (*WebSocket) Supports(r *http.Request) bool {
	return strings.Contains(strings.ToLower(r.Header.Get("Upgrade")), "websocket")
}

// Do implements graphql.Transport. It returns when the connection is a WebSocket: what net/http and the middleware hold for
// a request, several times what an idle socket needs, is let go.
//
// Whether a page of this origin may open a socket has been decided before, by httpx.SameOrigin.
func (t *WebSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	var give func()
	v, err := auth.FromContext(r.Context())
	if err == nil { // else connection_init says who it is, and is refused
		if give, err = t.Streams.limits.stream(r.Context(), v); err != nil {
			turnAway(w, err)
			return
		}
	}
	hijacked := &frugal{ResponseWriter: w, write: t.Timing.withDefaults().Write}
	conn, err := websocket.Accept(hijacked, r, &websocket.AcceptOptions{Subprotocols: []string{protocol}, InsecureSkipVerify: true})
	if err != nil {
		if give != nil {
			give()
		}
		return // Accept has answered
	}
	conn.SetReadLimit(t.MaxMessage)
	s := newSocket(context.WithoutCancel(r.Context()), t, exec, conn, hijacked.conn)
	s.holder, s.give = v, give
	go s.serve()
}

// frugal hands a connection over with buffers that thousands of idle sockets can afford. Larger reads and writes pass
// them by.
type frugal struct {
	http.ResponseWriter
	write time.Duration
	conn  net.Conn // once taken over
}

const readBuffer, writeBuffer = 128, 1024 // bytes; a pong fits into one read, and an event of ours into one write

// Unwrap serves http.ResponseController.
func (f *frugal) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// Hijack implements http.Hijacker.
func (f *frugal) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(f.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early := make([]byte, rw.Reader.Buffered()) // what a hasty client has sent already
	if _, err := io.ReadFull(rw.Reader, early); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	var from io.Reader = conn
	if len(early) > 0 {
		from = io.MultiReader(bytes.NewReader(early), conn)
	}
	r := bufio.NewReaderSize(from, max(readBuffer, len(early)))
	if _, err := r.Peek(len(early)); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	f.conn = patient{conn, f.write}
	return f.conn, bufio.NewReadWriter(r, bufio.NewWriterSize(f.conn, writeBuffer)), nil
}

// patient is a connection that waits so long, and no longer, until something is written.
type patient struct {
	net.Conn
	write time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(p.write)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}
