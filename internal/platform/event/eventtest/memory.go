package eventtest

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/rapporthq/rapport/internal/platform/event"
)

// Memory is a publisher in this process, for tests of what publishes.
type Memory struct {
	// Before is asked of each event first: what it returns becomes of the event. It may be nil.
	Before func(e event.Event) error
	// After is called when a call's events have arrived, before it returns. It may be nil.
	After func(ctx context.Context)

	mu      sync.Mutex
	arrived []event.Event
}

var _ event.Publisher = (*Memory)(nil)

// Publish implements event.Publisher.
func (m *Memory) Publish(ctx context.Context, events []event.Event) []error {
	results := make([]error, len(events))
	m.mu.Lock()
	for i, e := range events {
		document, err := e.Document(Source())
		if err == nil && len(document) > event.MaxBytes {
			err = event.ErrTooLarge
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && m.Before != nil {
			err = m.Before(e)
		}
		if results[i] = err; err == nil {
			m.arrived = append(m.arrived, e)
		}
	}
	m.mu.Unlock()
	if m.After != nil {
		m.After(ctx)
	}
	return results
}

// Arrived returns what has arrived, in its order.
func (m *Memory) Arrived() []event.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]event.Event(nil), m.arrived...)
}

// Documents returns what has arrived as documents.
func (m *Memory) Documents() []json.RawMessage {
	var all []json.RawMessage
	for _, e := range m.Arrived() {
		document, err := e.Document(Source())
		if err != nil {
			panic(err) // it was written before
		}
		all = append(all, document)
	}
	return all
}
