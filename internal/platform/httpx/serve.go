package httpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// NewServer returns a server with the limits that net/http leaves open. There is no write timeout: a stream of server-sent
// events lasts as long as somebody listens, and sets its own deadlines.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than a load balancer's, which must be the one to close
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// Drain is how a server stops.
type Drain struct {
	Ready *Readiness    // turned off first; may be nil
	Delay time.Duration // how long requests are still taken afterwards, so that a load balancer can notice
	// Timeout limits all that follows: what is still running then is cut off.
	Timeout time.Duration
	// Streams ends what would not end by itself: WebSockets, which net/http has handed over and does not wait for, and
	// event streams. It is called once no new connection is taken, and returns when they are closed or ctx ends. May
	// be nil.
	Streams func(ctx context.Context)
}

// ErrCutOff says that requests were still running when the drain's timeout ended.
var ErrCutOff = errors.New("httpx: requests were cut off at the end of the drain")

// Serve serves on ln until ctx ends, then drains: readiness off, wait Delay, stop accepting, let requests finish and
// streams close, and cut off what is left after Timeout. Requests do not see ctx end: they may finish. Serve returns nil
// after a clean drain, ErrCutOff after an unclean one, or the error that stopped the server before ctx did.
func Serve(ctx context.Context, srv *http.Server, ln net.Listener, d Drain) error {
	requests, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	if srv.BaseContext == nil {
		srv.BaseContext = func(net.Listener) context.Context { return requests }
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()

	select {
	case err := <-failed:
		return fmt.Errorf("httpx: serve: %w", err)
	case <-ctx.Done():
	}
	if d.Ready != nil {
		d.Ready.Drain()
	}
	if d.Delay > 0 {
		notice := time.NewTimer(d.Delay)
		defer notice.Stop()
		select {
		case err := <-failed:
			return fmt.Errorf("httpx: serve: %w", err)
		case <-notice.C:
		}
	}

	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Timeout)
	defer cancel()
	closed := make(chan struct{})
	if d.Streams == nil {
		close(closed)
	} else {
		// Shutdown runs these when its listeners are closed, so no socket can slip in behind the callback.
		srv.RegisterOnShutdown(func() {
			defer close(closed)
			d.Streams(limit)
		})
	}
	err := srv.Shutdown(limit)
	select {
	case <-closed:
	case <-limit.Done():
		err = limit.Err()
	}
	if err != nil {
		_ = srv.Close() // the connections are being thrown away; their contexts end with Serve
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	return nil
}
