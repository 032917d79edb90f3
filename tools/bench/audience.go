package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// listener is a socket on which somebody follows a session.
type listener struct {
	of    session.ID
	token string
	key   stream.Key
	conn  *websocket.Conn

	mu        sync.Mutex
	listening bool
	last      int64 // number of the last event
	said      int64 // events of words that came, once or again, since reset
	doubled   int64
	took      []time.Duration
	failed    error
}

func (l *listener) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said, l.doubled, l.took = 0, 0, nil
}

func (l *listener) isListening() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listening
}

// why is what ended its listening, nil while it goes on.
func (l *listener) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// hasHeard says whether so much that was said has come.
func (l *listener) hasHeard(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said-l.doubled >= int64(n)
}

func (l *listener) dial(ctx context.Context, c *child, side string) (err error) {
	if side == fanout {
		if l.conn, _, err = websocket.Dial(ctx, "ws://"+c.Addr+"/?session="+l.of.String(), nil); err != nil {
			return err
		}
		go l.listen(func() (e told, err error) {
			_, raw, err := l.conn.Read(ctx)
			if err == nil {
				err = json.Unmarshal(raw, &e)
			}
			return e, err
		})
		return nil
	}
	s, err := c.dial(ctx, l.token)
	if err != nil {
		return err
	}
	l.conn = s.conn
	if err := s.listenTo(ctx, l.of); err != nil {
		return err
	}
	go l.listen(func() (told, error) { return s.hear(ctx) })
	return nil
}

// listen takes in events until one cannot be had. The first says that all that happens from then on will come.
func (l *listener) listen(hear func() (told, error)) {
	for {
		e, err := hear()
		if err == nil {
			err = l.take(e, time.Now())
		}
		if err != nil {
			l.mu.Lock()
			l.failed = err
			l.mu.Unlock()
			return
		}
	}
}

func (l *listener) take(e told, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listening = true
	if e.Typename != words {
		return nil
	}
	n, err := l.key.Position(session.SessionTopic(l.of), stream.Cursor(e.Cursor))
	if err != nil {
		return err
	}
	l.said++
	l.took = append(l.took, now.Sub(e.OccurredAt))
	if n <= l.last {
		l.doubled++
	}
	l.last = n
	return nil
}

// audience are all who listen to one server.
type audience []*listener

func (a audience) close() {
	for _, l := range a {
		if l.conn != nil {
			_ = l.conn.CloseNow()
		}
	}
}

func (a audience) reset() {
	for _, l := range a {
		l.reset()
	}
}

// await waits until something is so for everybody; its error says for how many it is not, and what the first of them says.
func (a audience) await(ctx context.Context, is func(*listener) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := slices.DeleteFunc(slices.Clone(a), is)
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d who listen do not hear all: %w", len(missing), len(a), cmp.Or(missing[0].why(), ctx.Err()))
		case <-tick.C:
		}
	}
}

// heard sums up what has come; each should have heard so much.
func (a audience) heard(each int) (m measured) {
	for _, l := range a {
		l.mu.Lock()
		m.delivered, m.doubled, m.took = m.delivered+l.said, m.doubled+l.doubled, append(m.took, l.took...)
		m.lost += max(0, int64(each)-(l.said-l.doubled))
		l.mu.Unlock()
	}
	slices.Sort(m.took)
	return m
}
