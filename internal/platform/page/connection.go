package page

import (
	"context"
	"slices"
)

// Connection is one page. Cursors are made only for those who ask.
type Connection[T any] struct {
	nodes             []*T
	order             Order[T]
	hasNext, hasPrior bool
	count             func(context.Context) (int, error)
}

// Edge is one row with its place in the list.
type Edge[T any] struct {
	Node  *T
	order Order[T]
}

// Cursor is the row's place in the list.
func (e Edge[T]) Cursor() string { return e.order.Cursor(e.Node) }

// Info says where a page lies in the whole list.
type Info struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

func connect[T any](rows []*T, o Order[T], w Window) *Connection[T] {
	more := len(rows) > w.size
	if more {
		rows = rows[:w.size]
	}
	c := &Connection[T]{nodes: rows, order: o}
	if w.backward {
		slices.Reverse(rows)
		c.hasPrior, c.hasNext = more, w.before != ""
	} else {
		c.hasNext, c.hasPrior = more, w.after != ""
	}
	return c
}

// WithCount returns the same page with another way to count the whole list.
func (c *Connection[T]) WithCount(count func(context.Context) (int, error)) *Connection[T] {
	d := *c
	d.count = count
	return &d
}

// Nodes are the rows of the page, never nil.
func (c *Connection[T]) Nodes() []*T {
	if c.nodes == nil {
		return []*T{}
	}
	return c.nodes
}

// Edges are the rows of the page with their cursors.
func (c *Connection[T]) Edges() []Edge[T] {
	edges := make([]Edge[T], len(c.nodes))
	for i, n := range c.nodes {
		edges[i] = Edge[T]{Node: n, order: c.order}
	}
	return edges
}

// PageInfo says where the page lies in the whole list.
func (c *Connection[T]) PageInfo() Info {
	info := Info{HasNextPage: c.hasNext, HasPreviousPage: c.hasPrior}
	if n := len(c.nodes); n > 0 {
		first, last := c.order.Cursor(c.nodes[0]), c.order.Cursor(c.nodes[n-1])
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}

// TotalCount counts the whole list, in a statement of its own.
func (c *Connection[T]) TotalCount(ctx context.Context) (int, error) { return c.count(ctx) }
