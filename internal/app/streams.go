package app

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// streams are the responses that do not end by themselves: WebSockets and server-sent events. A drain ends them.
type streams struct {
	draining context.Context
	drain    context.CancelFunc
	open     atomic.Int64
	none     chan struct{} // receives when the last one has ended during a drain
}

func newStreams() *streams {
	ctx, cancel := context.WithCancel(context.Background())
	return &streams{draining: ctx, drain: cancel, none: make(chan struct{}, 1)}
}

// track gives streams a context that ends with a drain and with the viewer's token; other requests finish by themselves.
func (s *streams) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" && !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.draining, cancel)()
		if v, err := auth.FromContext(ctx); err == nil && !v.Until.IsZero() {
			ctx, cancel = context.WithDeadline(ctx, v.Until)
			defer cancel()
		}
		s.open.Add(1)
		defer func() {
			if s.open.Add(-1) == 0 && s.draining.Err() != nil {
				select {
				case s.none <- struct{}{}:
				default:
				}
			}
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// close ends all streams and returns when they have ended, or ctx has.
func (s *streams) close(ctx context.Context) {
	s.drain()
	for s.open.Load() > 0 {
		select {
		case <-s.none:
		case <-ctx.Done():
			return
		}
	}
}

// webSocket is graphql-transport-ws. connection_init carries the bearer token and is checked as a request's header is;
// the socket ends with the token.
func (a *App) webSocket(who *auth.Authenticator) transport.Websocket {
	limit := a.config.HTTP.MaxBodyBytes
	return transport.Websocket{
		InitTimeout:           10 * time.Second,
		KeepAlivePingInterval: 15 * time.Second,
		PingPongInterval:      15 * time.Second,
		PayloadReadLimit:      &limit,
		// Origins are checked before, by httpx.SameOrigin, which knows the configured ones.
		Implementation: transport.CoderWebsocketImplementation{AcceptOptions: websocket.AcceptOptions{InsecureSkipVerify: true}},
		InitFunc: func(ctx context.Context, payload transport.InitPayload) (context.Context, *transport.InitPayload, error) {
			ctx = context.WithValue(ctx, socketKey{}, &socket{})
			bearer := auth.PayloadBearer(payload)
			if bearer == "" { // a client that can set headers has been checked by them
				if _, err := auth.FromContext(ctx); err != nil {
					return refused(ctx), nil, err
				}
				return ctx, nil, nil
			}
			ctx, expires, err := who.Authenticate(ctx, bearer)
			if err != nil {
				return refused(ctx), nil, err
			}
			ctx, cancel := context.WithDeadline(ctx, expires)
			context.AfterFunc(ctx, cancel)
			return ctx, nil, nil
		},
	}
}

// refused closes a socket with 4403, should it be refused: with an ordinary code clients would come back at once, for ever.
func refused(ctx context.Context) context.Context {
	return transport.WithWebsocketCloseCode(ctx, 4403)
}

// socket counts what is subscribed to over one WebSocket.
type socket struct{ subscriptions atomic.Int64 }

type socketKey struct{}

// subscribe counts one more subscription of the socket that ctx belongs to, until ctx ends. Outside a socket only an event
// stream can carry one: plain POST would wait for the first event and answer nothing else.
func (a *App) subscribe(ctx context.Context) error {
	s, ok := ctx.Value(socketKey{}).(*socket)
	if !ok {
		if !strings.Contains(graphql.GetOperationContext(ctx).Headers.Get("Accept"), "text/event-stream") {
			return fault.Invalid("", "a subscription needs a WebSocket (graphql-transport-ws) or Accept: text/event-stream")
		}
		return nil
	}
	if most := int64(a.config.HTTP.MaxSubscriptionsPerSocket); s.subscriptions.Add(1) > most {
		s.subscriptions.Add(-1)
		return fault.Limited("a socket can hold %d subscriptions", most)
	}
	context.AfterFunc(ctx, func() { s.subscriptions.Add(-1) })
	return nil
}
