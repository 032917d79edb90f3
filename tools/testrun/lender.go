package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	elasticlocal "github.com/rapporthq/rapport/internal/platform/textsearch/elastic/local"
)

// lender starts servers when the first test asks for them, and lends them to all.
type lender struct {
	url    string
	server *http.Server

	mu      sync.Mutex
	elastic *elasticlocal.Server
	failed  error
}

func startLender(home string) (*lender, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &lender{url: "http://" + ln.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /elasticsearch", func(w http.ResponseWriter, _ *http.Request) {
		url, err := l.elasticsearch(home)
		switch {
		case errors.Is(err, elasticlocal.ErrUnavailable):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(w, url)
		}
	})
	l.server = &http.Server{Handler: mux}
	go func() { _ = l.server.Serve(ln) }()
	return l, nil
}

func (l *lender) elasticsearch(home string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.elastic == nil && l.failed == nil {
		// Not the request's context: the server is for all tests.
		l.elastic, l.failed = elasticlocal.Start(context.Background(), elasticlocal.Config{Home: home, Progress: func(line string) { say("%s", line) }})
	}
	if l.failed != nil {
		return "", l.failed
	}
	return l.elastic.URL(), nil
}

func (l *lender) stop() {
	_ = l.server.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.elastic != nil {
		l.elastic.Stop()
	}
}
