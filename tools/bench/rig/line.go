package rig

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// Line is the way to AWS: what goes over it is counted, and it can be cut.
type Line struct {
	URL string

	server *http.Server

	mu     sync.Mutex
	cut    bool
	counts map[string]int
}

func newLine(to string) (*Line, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Line{URL: "http://" + listener.Addr().String(), counts: map[string]int{}}
	// The Host stays as it came: requests are signed with it.
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		Transport:    &http.Transport{MaxIdleConnsPerHost: 64},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
	}
	l.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.passes(r) {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

func (l *Line) passes(r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	what := r.Header.Get("X-Amz-Target") // AmazonSQS.SendMessageBatch
	if what == "" {
		what = "S3." + r.Method
	}
	l.counts[what]++
	return true
}

// Cut makes AWS unreachable until Mend.
func (l *Line) Cut() { l.set(true) }

// Mend makes AWS reachable.
func (l *Line) Mend() { l.set(false) }

func (l *Line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

// Counts returns how many calls of each operation went over the line since it was last asked.
func (l *Line) Counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := l.counts
	l.counts = map[string]int{}
	return counts
}

func (l *Line) close() { _ = l.server.Close() }
