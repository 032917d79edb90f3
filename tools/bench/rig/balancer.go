package rig

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Balancer hands connections to processes in turn, to the next where one does not answer, and knows nothing of what goes over them.
type Balancer struct {
	Addr string

	listener net.Listener
	to       []*Process
	taken    atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// Balance starts a balancer before processes. It runs until Close.
func Balance(to ...*Process) (*Balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Balancer{Addr: l.Addr().String(), listener: l, to: to, open: map[net.Conn]struct{}{}}
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
	for range b.to {
		p := b.to[int(b.taken.Add(1))%len(b.to)]
		to, err := net.Dial("tcp", p.address)
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
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.open {
		_ = conn.Close()
	}
}
