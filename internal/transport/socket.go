package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/internal/platform/aside"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// socket is a connection that speaks graphql-transport-ws: a goroutine that reads, one for each active operation, and
// timers.
type socket struct {
	of     *WebSocket
	timing Timing
	exec   graphql.GraphExecutor
	conn   *websocket.Conn
	raw    net.Conn
	began  time.Time
	ctx    context.Context // ends with the socket
	stop   context.CancelFunc
	heard  atomic.Bool // anything since the last ping

	closing sync.Once
	code    atomic.Int32 // with which we close; 0 while we do not

	// Of the goroutine that reads.
	viewer     context.Context // ctx with the viewer, once there is one
	initiation *time.Timer
	expiry     *time.Timer // of the viewer's token, if it expires
	forget     func()      // the viewer
	holder     auth.Viewer // for whom it is counted, if anybody
	give       func()      // back that they hold a socket; nil if nobody does

	mu       sync.Mutex // guards what follows, and puts messages in order
	active   map[string]*operation
	draining bool
	beacon   *time.Timer // pings
	running  sync.WaitGroup
}

// operation is one whose client waits for it.
type operation struct {
	id     string
	kind   ast.Operation
	cancel context.CancelFunc
}

// incoming is a message from the client.
type incoming struct {
	ID, Type string
	Payload  json.RawMessage
}

// outgoing is a message to the client.
type outgoing struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Payload any    `json:"payload,omitempty"`
}

func newSocket(ctx context.Context, of *WebSocket, exec graphql.GraphExecutor, conn *websocket.Conn, raw net.Conn) *socket {
	s := &socket{of: of, timing: of.Timing.withDefaults(), exec: exec, conn: conn, raw: raw, began: time.Now(), active: map[string]*operation{}}
	s.ctx, s.stop = context.WithCancel(ctx)
	return s
}

// serve reads until either side closes the socket, and returns when nothing of it is left.
func (s *socket) serve() {
	defer s.of.Streams.begin(s.drain)()
	left := websocket.StatusAbnormalClosure
	defer func() {
		if v := recover(); v != nil {
			refusal := s.recovered(v)
			s.close(refusal.Code, refusal.Reason)
		}
		s.stop()
		s.stopTimers()
		if s.forget != nil {
			s.forget()
		}
		if s.give != nil {
			s.give()
		}
		_ = s.conn.CloseNow()
		s.running.Wait()
		if code := s.code.Load(); code != 0 {
			left = websocket.StatusCode(code)
		}
		s.of.Log.LogAttrs(s.logContext(), slog.LevelInfo, "socket closed", slog.Int("code", int(left)),
			slog.Float64("ms", float64(time.Since(s.began).Microseconds())/1000))
	}()
	if s.conn.Subprotocol() == "" {
		s.close(closeProtocol, "Subprotocol not acceptable")
		return
	}
	s.heard.Store(true)
	s.initiation = time.AfterFunc(s.timing.Init, func() { s.close(closeInitTimeout, "Connection initialisation timeout") })
	s.mu.Lock()
	s.beacon = time.AfterFunc(s.timing.KeepAlive, s.ping)
	s.mu.Unlock()
	for {
		kind, message, err := s.conn.Reader(context.Background()) // the end of a context would cut the connection without a code
		var refusal *websocket.CloseError
		if err == nil {
			aside.Do(func() { refusal, err = s.take(kind, message) })
		}
		if err != nil {
			if code := websocket.CloseStatus(err); code != -1 {
				left = code
			}
			return
		}
		if refusal != nil {
			s.close(refusal.Code, refusal.Reason)
			return
		}
	}
}

// recovered logs a panic, whose value may quote anything.
func (s *socket) recovered(v any) *websocket.CloseError {
	s.of.Log.ErrorContext(s.ctx, "panic in a socket", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
	return &websocket.CloseError{Code: closeInternal, Reason: "Internal server error"}
}

// close ends everything on the socket, tells the client why, and waits a few seconds for it to agree. The first reason is
// the one; who has another waits, too.
func (s *socket) close(code websocket.StatusCode, reason string) {
	s.closing.Do(func() {
		s.code.Store(int32(code))
		s.stop()
		_ = s.conn.Close(code, clip(reason)) // the client has gone: nobody to tell
	})
}

// cut ends a connection that takes in nothing, or from which nothing comes. s.mu is held; the reading goroutine sees to the
// rest.
func (s *socket) cut() {
	s.stop()
	_ = s.raw.Close()
}

// drain ends subscriptions, lets queries and mutations finish within the limit, and sends the client elsewhere.
func (s *socket) drain(limit context.Context) {
	defer context.AfterFunc(limit, s.stop)()
	s.mu.Lock()
	s.draining = true
	for _, op := range s.active {
		if op.kind == ast.Subscription {
			op.cancel()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	s.close(websocket.StatusGoingAway, "Going away")
}

func (s *socket) stopTimers() {
	for _, t := range []*time.Timer{s.initiation, s.expiry} {
		if t != nil {
			t.Stop()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beacon != nil {
		s.beacon.Stop()
	}
}

func (s *socket) logContext() context.Context {
	if s.viewer != nil {
		return s.viewer
	}
	return s.ctx
}

// ping asks the client for a sign of life, or gives it up if the last ping got none.
func (s *socket) ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	if !s.heard.Swap(false) {
		s.cut()
		return
	}
	s.write(outgoing{Type: "ping"})
	s.beacon.Reset(s.timing.KeepAlive)
}

// take reads a message and handles it.
func (s *socket) take(kind websocket.MessageType, message io.Reader) (refusal *websocket.CloseError, err error) {
	defer func() {
		if v := recover(); v != nil {
			refusal = s.recovered(v)
		}
	}()
	raw, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	s.heard.Store(true)
	return s.handle(kind, raw), nil
}

// handle does what a message asks for; it returns why the socket must be closed, nil if it need not.
func (s *socket) handle(kind websocket.MessageType, raw []byte) *websocket.CloseError {
	if s.ctx.Err() != nil {
		return nil // what comes while the socket closes is read over
	}
	var m incoming
	if kind != websocket.MessageText || json.Unmarshal(raw, &m) != nil {
		return invalid("a message is a text that holds a JSON object")
	}
	payload := map[string]any{}
	switch m.Type {
	case "connection_init", "ping", "pong":
		if len(m.Payload) > 0 && json.Unmarshal(m.Payload, &payload) != nil {
			return invalid("the payload of " + m.Type + " is an object")
		}
	case "subscribe", "complete":
		if m.ID == "" {
			return invalid(m.Type + " has an id")
		}
	default:
		return invalid("clients send connection_init, ping, pong, subscribe and complete")
	}
	switch m.Type {
	case "connection_init":
		return s.signIn(payload)
	case "ping":
		pong := outgoing{Type: "pong"}
		if len(payload) > 0 {
			pong.Payload = m.Payload
		}
		s.send(pong)
	case "subscribe":
		return s.subscribe(m)
	case "complete":
		s.mu.Lock()
		defer s.mu.Unlock()
		if op := s.active[m.ID]; op != nil { // else our complete has crossed the client's
			delete(s.active, m.ID)
			op.cancel()
		}
	}
	return nil
}

func invalid(reason string) *websocket.CloseError {
	return &websocket.CloseError{Code: closeInvalid, Reason: reason}
}

func (s *socket) signIn(payload map[string]any) *websocket.CloseError {
	if s.viewer != nil {
		return &websocket.CloseError{Code: closeTooMany, Reason: "Too many initialisation requests"}
	}
	viewer, err := s.of.SignIn(s.ctx, payload)
	if s.ctx.Err() != nil {
		return nil // it took too long, and the socket closes
	}
	if kind := fault.KindOf(err); err != nil {
		s.of.Log.LogAttrs(s.ctx, slog.LevelInfo, "sign-in refused", slog.String("kind", string(kind)), slog.Any("error", err))
		if kind == fault.KindUnauthenticated || kind == fault.KindForbidden {
			return &websocket.CloseError{Code: closeForbidden, Reason: "Forbidden"}
		}
		return &websocket.CloseError{Code: websocket.StatusTryAgainLater, Reason: "Try again later"}
	}
	if !s.initiation.Stop() {
		return nil // too late
	}
	s.initiation = nil
	if s.give == nil || viewer.Org != s.holder.Org || viewer.User != s.holder.User {
		if s.give != nil {
			s.give()
		}
		s.holder = viewer
		if s.give, err = s.of.Streams.limits.stream(s.ctx, viewer); err != nil {
			if fault.KindOf(err) != fault.KindLimited {
				return &websocket.CloseError{Code: websocket.StatusTryAgainLater, Reason: "Try again later"}
			}
			return &websocket.CloseError{Code: closeTooMany, Reason: "Too many sockets"}
		}
	}
	s.viewer = carriedBy(auth.WithViewer(s.ctx, viewer), s.of.Streams, s.reconsider)
	if !viewer.Until.IsZero() {
		s.expiry = time.AfterFunc(time.Until(viewer.Until), func() { s.close(closeForbidden, "Forbidden") })
	}
	s.forget = s.of.Streams.signIn(viewer, s.reconsider)
	s.send(outgoing{Type: "connection_ack"})
	return nil
}

// reconsider ends a socket whose viewer is no longer who signed in.
func (s *socket) reconsider(now Standing) {
	if now == Gone {
		s.close(closeForbidden, "Forbidden")
		return
	}
	limit, cancel := context.WithTimeout(s.ctx, s.timing.Write)
	defer cancel()
	s.drain(limit)
}

func (s *socket) subscribe(m incoming) *websocket.CloseError {
	if s.viewer == nil {
		return &websocket.CloseError{Code: closeNotSignedIn, Reason: "Unauthorized"}
	}
	params, err := decode(m.Payload)
	if err != nil {
		return invalid("the payload of subscribe " + err.Error())
	}
	if s.taken(m.ID) {
		return &websocket.CloseError{Code: closeDuplicate, Reason: "Subscriber for " + m.ID + " already exists"}
	}
	ctx := graphql.StartOperationTrace(s.viewer)
	if err := s.of.Streams.limits.operation(ctx, s.holder); err != nil {
		s.send(outgoing{m.ID, "error", present(ctx, s.exec, &graphql.OperationContext{}, gqlerror.Wrap(err))})
		return nil
	}
	op, errs := create(ctx, s.exec, params)
	if errs == nil {
		errs = s.admit(ctx, m.ID, op)
	}
	if errs != nil {
		s.send(outgoing{m.ID, "error", present(ctx, s.exec, op, errs...)})
	}
	return nil
}

func (s *socket) taken(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[id] != nil
}

// admit runs an operation, unless it is one subscription too many of the socket's or the viewer's.
func (s *socket) admit(ctx context.Context, id string, oc *graphql.OperationContext) gqlerror.List {
	give := func() {}
	if oc.Operation.Operation == ast.Subscription {
		if most := s.of.MaxSubscriptions; s.subscriptions() >= most {
			return gqlerror.List{gqlerror.Wrap(fault.Limited("a socket can hold %d subscriptions", most))}
		}
		var err error
		if give, err = s.of.Streams.limits.subscription(ctx, s.holder); err != nil {
			return gqlerror.List{gqlerror.Wrap(err)}
		}
	}
	s.start(ctx, id, oc, give)
	return nil
}

// start runs an operation and calls ended when it is over.
func (s *socket) start(ctx context.Context, id string, oc *graphql.OperationContext, ended func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		ended()
		return // the close to come answers it
	}
	op := &operation{id: id, kind: oc.Operation.Operation}
	ctx, op.cancel = context.WithCancel(ctx)
	s.active[id] = op
	s.running.Go(func() {
		defer ended()
		s.run(ctx, op, oc)
	})
}

func (s *socket) subscriptions() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range s.active {
		if op.kind == ast.Subscription {
			n++
		}
	}
	return n
}

func (s *socket) run(ctx context.Context, op *operation, oc *graphql.OperationContext) {
	defer op.cancel()
	errs := execute(ctx, s.exec, oc, func(r result) {
		s.tell(ctx, op, func() { s.writeNext(op.id, r.body) }, false)
	})
	last := outgoing{ID: op.id, Type: "complete"}
	if errs != nil {
		last = outgoing{op.id, "error", errs}
	}
	s.tell(ctx, op, func() { s.write(last) }, true)
}

// tell sends a message about an operation, unless its client has left it. After the last one its id is free.
func (s *socket) tell(ctx context.Context, op *operation, write func(), last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last && s.active[op.id] == op { // else the client has completed it, and may use the id for another one already
		delete(s.active, op.id)
	}
	if ctx.Err() == nil {
		write()
	}
}

func (s *socket) send(m outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(m)
}

// write sends a message unless the socket closes. s.mu is held.
func (s *socket) write(m outgoing) {
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // data and extensions are the executor's
	}
	s.writeRaw(raw)
}

// frames are where messages are put together that thousands of sockets send at once.
var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// writeNext sends a result, without a look into it: it is JSON, and may be on its way to many. s.mu is held.
func (s *socket) writeNext(id string, body []byte) {
	frame := frames.Get().(*bytes.Buffer)
	defer frames.Put(frame)
	frame.Reset()
	quoted, err := json.Marshal(id)
	if err != nil {
		panic(err) // a string has a JSON
	}
	frame.WriteString(`{"id":`)
	frame.Write(quoted)
	frame.WriteString(`,"type":"next","payload":`)
	frame.Write(body)
	frame.WriteByte('}')
	s.writeRaw(frame.Bytes())
}

func (s *socket) writeRaw(message []byte) {
	if s.ctx.Err() != nil {
		return
	}
	if err := s.conn.Write(context.Background(), websocket.MessageText, message); err != nil {
		s.cut()
	}
}

// clip cuts a reason to what a close frame can hold.
func clip(reason string) string {
	const most = 123
	return strings.ToValidUTF8(reason[:min(len(reason), most)], "")
}
