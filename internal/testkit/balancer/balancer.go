// Package balancer stands before servers as a load balancer of connections does, for tests and measures of what happens when they are cut and replaced.
package balancer

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
)

// Balancer hands connections to servers in turn, to the next where one does not answer, and knows nothing of what goes over them.
type Balancer struct {
	Addr string

	listener net.Listener

	mu    sync.Mutex
	to    []string // addresses
	taken int
	open  map[net.Conn]struct{}
}

// Start starts a balancer before the servers at these addresses, http://host:port. It runs until Close.
func Start(urls ...string) (*Balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Balancer{Addr: l.Addr().String(), listener: l, open: map[net.Conn]struct{}{}}
	for _, url := range urls {
		b.to = append(b.to, hostPort(url))
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.carry(conn)
		}
	}()
	return b, nil
}

func (b *Balancer) carry(from net.Conn) {
	defer b.keep(from)()
	for range len(b.to) {
		to, err := net.Dial("tcp", b.next())
		if err != nil {
			continue
		}
		defer b.keep(to)()
		go func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		}()
		_, _ = io.Copy(from, to)
		return
	}
}

// next is whose turn it is.
func (b *Balancer) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken++
	return b.to[b.taken%len(b.to)]
}

// Replace gives new connections to another server.
func (b *Balancer) Replace(url, by string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to[slices.Index(b.to, hostPort(url))] = hostPort(by)
}

func hostPort(url string) string { return strings.TrimPrefix(url, "http://") }

func (b *Balancer) keep(conn net.Conn) (forget func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[conn] = struct{}{}
	return func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, conn)
	}
}

// Close ends the balancer and all that goes over it.
func (b *Balancer) Close() {
	_ = b.listener.Close()
	b.Cut()
}

// Cut ends all connections without a word.
func (b *Balancer) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.open {
		_ = conn.Close()
	}
}
