package cache

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Memory is a Store of this process. What was not asked for in the longest time is forgotten first.
type Memory struct {
	most int // bytes

	mu     sync.Mutex
	bytes  int
	byKey  map[string]*list.Element
	recent list.List // of *kept, the last asked for in front
}

type kept struct {
	key   string
	value []byte
	until time.Time
}

// size is what an entry takes, about.
func (k *kept) size() int { return len(k.value) + 2*len(k.key) + 128 }

var _ Store = (*Memory)(nil)

// NewMemory returns a Memory of at most so many bytes.
func NewMemory(most int) *Memory { return &Memory{most: most, byKey: map[string]*list.Element{}} }

// Get implements Store.
func (m *Memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byKey[key]
	if e == nil {
		return nil, nil
	}
	k := e.Value.(*kept)
	if time.Now().After(k.until) {
		m.drop(e)
		return nil, nil
	}
	m.recent.MoveToFront(e)
	return k.value, nil
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, key string, value []byte, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byKey[key]; e != nil {
		m.drop(e)
	}
	k := &kept{key, value, time.Now().Add(keep)}
	m.byKey[key] = m.recent.PushFront(k)
	m.bytes += k.size()
	for m.bytes > m.most {
		m.drop(m.recent.Back())
	}
	return nil
}

func (m *Memory) drop(e *list.Element) {
	k := m.recent.Remove(e).(*kept)
	delete(m.byKey, k.key)
	m.bytes -= k.size()
}
