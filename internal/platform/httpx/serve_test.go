package httpx

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// served is a server in the hands of Serve.
type served struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, h http.Handler, d Drain) served {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := served{"http://" + ln.Addr().String(), stop, make(chan error, 1)}
	go func() { s.done <- Serve(ctx, NewServer(h, quiet()), ln, d) }()
	t.Cleanup(stop)
	return s
}

func TestServeLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	ready := Ready(quiet())
	closing := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request saw the end of the server's context")
		}
		_, _ = io.WriteString(w, "whole")
	}), Drain{Ready: ready, Timeout: time.Minute, Streams: func(context.Context) { close(closing) }})

	body := make(chan string, 1)
	go func() {
		res, err := http.Get(s.url)
		if err != nil {
			body <- err.Error()
			return
		}
		defer func() { _ = res.Body.Close() }()
		raw, _ := io.ReadAll(res.Body)
		body <- string(raw)
	}()
	<-entered
	s.stop()
	<-closing // the listener is closed by now
	if code, _ := ask(t, ready); code != 503 {
		t.Errorf("readiness while draining: %d", code)
	}
	if c, err := net.Dial("tcp", s.url[len("http://"):]); err == nil {
		_ = c.Close()
		t.Error("a new connection was taken while draining")
	}
	select {
	case err := <-s.done:
		t.Fatalf("Serve did not wait for the request: %v", err)
	default:
	}
	close(release)
	if got := <-body; got != "whole" {
		t.Errorf("the client got %q", got)
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

func TestServeTakesRequestsDuringTheDelay(t *testing.T) {
	t.Parallel()
	ready := Ready(quiet())
	s := serve(t, ready, Drain{Ready: ready, Delay: 300 * time.Millisecond, Timeout: time.Minute})
	s.stop()
	for { // until readiness is off, requests are answered 200; then 503, but answered
		res, err := http.Get(s.url)
		if err != nil {
			t.Fatalf("refused during the delay: %v", err)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable {
			break
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered, cut, never := make(chan struct{}), make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(cut)
		<-never // a handler that does not end even then
	}), Drain{Timeout: 20 * time.Millisecond})
	client := make(chan error, 1)
	go func() {
		res, err := http.Get(s.url)
		if err == nil {
			_ = res.Body.Close()
		}
		client <- err
	}()
	<-entered
	s.stop()
	if err := <-s.done; !errors.Is(err, ErrCutOff) {
		t.Errorf("got %v", err)
	}
	<-cut
	if err := <-client; err == nil {
		t.Error("the client got an answer from a connection that was to be closed")
	}
}

func TestServeClosesSockets(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var socket *websocket.Conn
	var handlers sync.WaitGroup
	handlers.Add(1)
	s := serve(t, Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer handlers.Done()
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		socket = c
		mu.Unlock()
		_ = c.Write(r.Context(), websocket.MessageText, []byte("hello"))
		_, _, _ = c.Read(r.Context()) // until it is closed
	}), RequestID, AccessLog(quiet()), Recover(quiet())), Drain{Timeout: time.Minute, Streams: func(context.Context) {
		mu.Lock()
		c := socket
		mu.Unlock()
		_ = c.Close(websocket.StatusGoingAway, "draining")
		handlers.Wait()
	}})
	c, _, err := websocket.Dial(t.Context(), s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the client saw %v, want 1001", err)
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

func TestServeGivesUpOnStreamsAtTheTimeout(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	s := serve(t, http.NotFoundHandler(), Drain{Timeout: 10 * time.Millisecond, Streams: func(context.Context) { <-never }})
	s.stop()
	if err := <-s.done; !errors.Is(err, ErrCutOff) {
		t.Errorf("got %v", err)
	}
}

func TestServeTellsWhyItStopped(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := Serve(t.Context(), NewServer(nil, quiet()), ln, Drain{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
