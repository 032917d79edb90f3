package loaders

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// capacity is how many keys one statement asks for at most.
const capacity = 1000

// ByKey loads one value a key. Keys that are asked for within the wait become one call of batch, which returns a value for
// each key, in the order of the keys.
type ByKey[K comparable, V any] struct {
	bundle *Loaders
	batch  func(ctx context.Context, keys []K) ([]V, error)
	once   sync.Once // most responses need few of the loaders
	loader *dataloader.Loader[K, V]
}

func byKey[K comparable, V any](b *Loaders, batch func(ctx context.Context, keys []K) ([]V, error)) *ByKey[K, V] {
	return &ByKey[K, V]{bundle: b, batch: batch}
}

// Load returns the value of key.
func (l *ByKey[K, V]) Load(ctx context.Context, key K) (V, error) {
	l.once.Do(func() {
		l.loader = dataloader.NewBatchedLoader(l.run, dataloader.WithWait[K, V](l.bundle.wait), dataloader.WithBatchCapacity[K, V](capacity))
	})
	return l.loader.Load(ctx, key)()
}

// run ignores the context of the first caller: its field may be cancelled while others wait for the same batch. The
// response's context has the viewer, the deadline and the trace.
func (l *ByKey[K, V]) run(_ context.Context, keys []K) []*dataloader.Result[V] {
	values, err := l.batch(l.bundle.ctx, keys)
	if err == nil && len(values) != len(keys) {
		err = fmt.Errorf("loader: %d values for %d keys", len(values), len(keys))
	}
	results := make([]*dataloader.Result[V], len(keys))
	for i := range keys {
		if err != nil {
			results[i] = &dataloader.Result[V]{Error: err}
		} else {
			results[i] = &dataloader.Result[V]{Data: values[i]}
		}
	}
	return results
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

// Pages loads a page of children for each parent. Equal queries (filter, order, window) of one response are one statement,
// however many parents ask. Q is the filter and order of the children.
type Pages[Q, T any] struct {
	pages  *ByKey[pageKey, *page.Connection[T]]
	counts *ByKey[pageKey, int]

	mu      sync.Mutex
	queries map[string]*pageQuery[Q]
}

// pageKey is comparable; query points to the one pageQuery that equal queries share.
type pageKey struct {
	parent id.UUID
	query  any
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
		queries: map[string]*pageQuery[Q]{},
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
	text, err := json.Marshal(query)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%v %s", w, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.queries[name]; !known {
		l.queries[name] = &pageQuery[Q]{query: query, window: w}
	}
	return l.queries[name], nil
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

// defaultWait is how long a loader waits for more keys: long enough for the siblings of a list, whose resolvers run at
// once, and short beside a statement. Latency is the depth of a query times this.
const defaultWait = 500 * time.Microsecond
