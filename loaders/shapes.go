package loaders

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// capacity is how many keys one statement asks for at most.
const capacity = 1000

// ByKey loads one value a key, once a response. Keys that are asked for together become one call of batch, which returns a
// value for each key, in the order of the keys.
type ByKey[K comparable, V any] struct {
	bundle *Loaders
	batch  func(ctx context.Context, keys []K) ([]V, error)

	mu    sync.Mutex
	known map[K]place[K, V] // made with the first key: most responses need few of the loaders
	open  *group[K, V]      // takes more keys
}

// group is keys that are loaded together.
type group[K comparable, V any] struct {
	keys   []K
	loaded chan struct{} // closed when values or err are there
	values []V
	err    error
}

type place[K comparable, V any] struct {
	group *group[K, V]
	index int
}

func byKey[K comparable, V any](b *Loaders, batch func(ctx context.Context, keys []K) ([]V, error)) *ByKey[K, V] {
	return &ByKey[K, V]{bundle: b, batch: batch}
}

// Load returns the value of key.
func (l *ByKey[K, V]) Load(_ context.Context, key K) (V, error) {
	p := l.place(key)
	<-p.group.loaded
	if p.group.err != nil {
		var none V
		return none, p.group.err
	}
	return p.group.values[p.index], nil
}

// place finds the group that key is in, or puts it into one.
func (l *ByKey[K, V]) place(key K) place[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.known[key]; ok {
		return p
	}
	if l.known == nil {
		l.known = map[K]place[K, V]{}
	}
	if l.open == nil {
		l.open = &group[K, V]{loaded: make(chan struct{})}
		go l.load(l.open)
	}
	g := l.open
	p := place[K, V]{g, len(g.keys)}
	g.keys = append(g.keys, key)
	l.known[key] = p
	if len(g.keys) == capacity {
		l.open = nil
	}
	return p
}

// load gathers keys and loads them. The context is the response's, not the first caller's: that one's field may be
// cancelled while others wait for the same group. It has the viewer, the deadline and the trace.
func (l *ByKey[K, V]) load(g *group[K, V]) {
	defer close(g.loaded)
	if l.bundle.wait > 0 {
		time.Sleep(l.bundle.wait)
	} else {
		l.settle(g)
	}
	l.mu.Lock()
	if l.open == g {
		l.open = nil
	}
	l.mu.Unlock()
	defer func() {
		if v := recover(); v != nil { // here is no resolver whose panic gqlgen would recover
			g.err = fmt.Errorf("loader: panic: %T\n%s", v, debug.Stack())
		}
	}()
	g.values, g.err = l.batch(l.bundle.ctx, g.keys)
	if g.err == nil && len(g.values) != len(g.keys) {
		g.err = fmt.Errorf("loader: %d values for %d keys", len(g.values), len(g.keys))
	}
}

// settle waits until no more keys come: the siblings of a list, each in its goroutine, have all asked. No fixed time says
// when that is. On a busy server it takes them many milliseconds to get their turn, and a group cut off too early costs
// statements, which make the server busier still. So the clock says only how long it must be quiet at least, and the
// scheduler that others had their turn: Gosched goes behind whoever can run, so that after a few rounds without a
// new key nobody is left who could bring one.
func (l *ByKey[K, V]) settle(g *group[K, V]) {
	for before := 0; ; {
		time.Sleep(quiet)
		for range rounds {
			runtime.Gosched()
		}
		l.mu.Lock()
		now, full := len(g.keys), l.open != g
		l.mu.Unlock()
		if full || now == before {
			return
		}
		before = now
	}
}

// Entity loads entities by id. What the viewer may not see is nil: the edge to it is null.
type Entity[T any] struct{ ByKey[id.UUID, *T] }

func entity[T any](b *Loaders, byIDs func(ctx context.Context, ids []id.UUID) (map[id.UUID]*T, error)) *Entity[T] {
	return &Entity[T]{ByKey[id.UUID, *T]{bundle: b, batch: func(ctx context.Context, keys []id.UUID) ([]*T, error) {
		found, err := byIDs(ctx, keys)
		if err != nil {
			return nil, err
		}
		values := make([]*T, len(keys))
		for i, key := range keys {
			values[i] = found[key]
		}
		return values, nil
	}}}
}

// Find returns the entity, or NotFound; what names it in the fault.
func (l *Entity[T]) Find(ctx context.Context, key id.UUID, what string) (*T, error) {
	found, err := l.Load(ctx, key)
	if err == nil && found == nil {
		return nil, fault.NotFound(what)
	}
	return found, err
}

// visible returns those of the entities that the viewer may see, in the order of the keys.
func (l *Entity[T]) visible(ctx context.Context, keys []id.UUID) ([]*T, error) {
	for _, key := range keys {
		l.place(key) // all are asked for before the first is waited for, so that they share a statement
	}
	found := make([]*T, 0, len(keys))
	for _, key := range keys {
		one, err := l.Load(ctx, key)
		if err != nil {
			return nil, err
		}
		if one != nil {
			found = append(found, one)
		}
	}
	return found, nil
}

// Pages loads a page of children for each parent. Equal queries (filter, order, window) of one response are one statement,
// however many parents ask. Q is the filter and order of the children.
type Pages[Q, T any] struct {
	pages  *ByKey[pageKey, *page.Connection[T]]
	counts *ByKey[pageKey, int]

	mu      sync.Mutex
	queries map[queryKey]*pageQuery[Q]
}

// pageKey is comparable; query points to the one pageQuery that equal queries share.
type pageKey struct {
	parent id.UUID
	query  any
}

// queryKey is what equal queries have in common.
type queryKey struct {
	window page.Window
	query  string // as JSON, "" without filter and order
}

type pageQuery[Q any] struct {
	query  Q
	window page.Window
}

func pages[Q, T any](b *Loaders,
	load func(ctx context.Context, parents []id.UUID, q Q, w page.Window) ([]*page.Connection[T], error),
	count func(ctx context.Context, parents []id.UUID, q Q) ([]int, error),
) *Pages[Q, T] {
	return &Pages[Q, T]{
		queries: map[queryKey]*pageQuery[Q]{},
		pages: byKey(b, byQuery(func(ctx context.Context, parents []id.UUID, q *pageQuery[Q]) ([]*page.Connection[T], error) {
			return load(ctx, parents, q.query, q.window)
		})),
		counts: byKey(b, byQuery(func(ctx context.Context, parents []id.UUID, q *pageQuery[Q]) ([]int, error) {
			return count(ctx, parents, q.query)
		})),
	}
}

// Load returns a page of the parent's children.
func (l *Pages[Q, T]) Load(ctx context.Context, parent id.UUID, query Q, args page.Args) (*page.Connection[T], error) {
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	shared, err := l.share(query, w)
	if err != nil {
		return nil, err
	}
	key := pageKey{parent: parent, query: shared}
	c, err := l.pages.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	return c.WithCount(func(ctx context.Context) (int, error) { return l.counts.Load(ctx, key) }), nil
}

func (l *Pages[Q, T]) share(query Q, w page.Window) (*pageQuery[Q], error) {
	key := queryKey{window: w}
	if !reflect.ValueOf(query).IsZero() {
		text, err := json.Marshal(query)
		if err != nil {
			return nil, err
		}
		key.query = string(text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	shared, known := l.queries[key]
	if !known {
		shared = &pageQuery[Q]{query: query, window: w}
		l.queries[key] = shared
	}
	return shared, nil
}

// byQuery runs load once for each distinct query among the keys.
func byQuery[Q, V any](load func(ctx context.Context, parents []id.UUID, q *pageQuery[Q]) ([]V, error)) func(context.Context, []pageKey) ([]V, error) {
	return func(ctx context.Context, keys []pageKey) ([]V, error) {
		places := map[any][]int{}
		for i, k := range keys {
			places[k.query] = append(places[k.query], i)
		}
		values := make([]V, len(keys))
		for q, at := range places {
			parents := make([]id.UUID, len(at))
			for i, p := range at {
				parents[i] = keys[p].parent
			}
			loaded, err := load(ctx, parents, q.(*pageQuery[Q]))
			if err != nil {
				return nil, err
			}
			for i, p := range at {
				values[p] = loaded[i]
			}
		}
		return values, nil
	}
}

const (
	quiet  = 100 * time.Microsecond
	rounds = 4
)
