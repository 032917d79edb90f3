package queuetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/platform/queue"
)

// Memory is a queue in this process: the shape of SQS without the network. It is for tests of what works over a queue.
type Memory struct {
	visibility time.Duration

	mu       sync.Mutex
	messages []*held
	receipts int
	changed  chan struct{} // closed and replaced when a message was sent or changed
}

type held struct {
	queue.Message
	due     time.Time
	receipt string
}

var (
	_ queue.Source = (*Memory)(nil)
	_ queue.Sender = (*Memory)(nil)
)

// NewMemory returns an empty queue.
func NewMemory(visibility time.Duration) *Memory {
	return &Memory{visibility: visibility, changed: make(chan struct{})}
}

// Send implements queue.Sender.
func (m *Memory) Send(_ context.Context, messages []queue.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, msg := range messages {
		m.messages = append(m.messages, &held{Message: msg, due: time.Now()})
	}
	m.announce()
	return nil
}

// Receive implements queue.Queue.
func (m *Memory) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		got, next, changed := m.take(limit)
		if len(got) > 0 {
			return got, nil
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (m *Memory) take(limit int) (got []queue.Delivery, next time.Duration, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	next = time.Hour
	for _, h := range m.messages {
		switch wait := h.due.Sub(now); {
		case wait > 0:
			next = min(next, wait)
		case len(got) < limit:
			m.receipts++
			h.receipt, h.due = strconv.Itoa(m.receipts), now.Add(m.visibility)
			got = append(got, queue.Delivery{Message: h.Message, Receipt: h.receipt})
		}
	}
	return got, next, m.changed
}

// Extend implements queue.Queue.
func (m *Memory) Extend(_ context.Context, d queue.Delivery, by time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(d)
	if i < 0 {
		return queue.ErrLost
	}
	m.messages[i].due = time.Now().Add(by)
	m.announce()
	return nil
}

// ExtendAll implements queue.Source.
func (m *Memory) ExtendAll(ctx context.Context, ds []queue.Delivery, by time.Duration) error {
	for _, d := range ds {
		if err := m.Extend(ctx, d, by); err != nil && !errors.Is(err, queue.ErrLost) {
			return err
		}
	}
	return nil
}

// Release implements queue.Queue.
func (m *Memory) Release(_ context.Context, d queue.Delivery, delay time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.find(d); i >= 0 {
		m.messages[i].receipt, m.messages[i].due = "", time.Now().Add(delay)
		m.announce()
	}
	return nil
}

// Ack implements queue.Queue.
func (m *Memory) Ack(_ context.Context, d queue.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.find(d); i >= 0 {
		m.messages = append(m.messages[:i], m.messages[i+1:]...)
	}
	return nil
}

func (m *Memory) find(d queue.Delivery) int {
	for i, h := range m.messages {
		if h.receipt == d.Receipt && h.due.After(time.Now()) {
			return i
		}
	}
	return -1
}

func (m *Memory) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Len is how many messages there are, held or not.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.messages)
}
