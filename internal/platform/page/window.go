// Package page builds every list of the API: keyset pages in the manner of Relay, over allow-listed tables and orders.
//
// Keyset, not offset: a page stays right while rows are inserted before it, and the thousandth page costs what the first
// does. See https://relay.dev/graphql/connections.htm and https://use-the-index-luke.com/no-offset.
package page

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// The sizes of a page.
const (
	DefaultSize = 20
	MaxSize     = 100
)

// Args are the four paging arguments as a client gave them.
type Args struct {
	First  *int
	After  *string
	Last   *int
	Before *string
}

// Window is a checked Args. It is comparable, so that equal windows of one response can be read together.
type Window struct {
	size          int
	backward      bool
	after, before string
}

// First is the window of a list's first n, at most MaxSize, for who pages no further.
func First(n int) Window { return Window{size: n} }

// Window checks a. Cursors are checked when the order they belong to is known.
func (a Args) Window() (Window, error) {
	w := Window{size: DefaultSize}
	if a.After != nil {
		w.after = *a.After
		if w.after == "" {
			return w, fault.Invalid("after", "is not a cursor of this list")
		}
	}
	if a.Before != nil {
		w.before = *a.Before
		if w.before == "" {
			return w, fault.Invalid("before", "is not a cursor of this list")
		}
	}
	if a.First != nil && a.Last != nil {
		return w, fault.Invalid("last", "cannot be combined with first")
	}
	n, field := a.First, "first"
	if a.Last != nil {
		n, field, w.backward = a.Last, "last", true
	}
	if n != nil {
		if *n < 0 || *n > MaxSize {
			return w, fault.Invalid(field, "must be from 0 to %d, got %d", MaxSize, *n)
		}
		w.size = *n
	}
	return w, nil
}

// Order is one allow-listed way to order rows of T.
type Order[T any] struct {
	Name string   // stands in every cursor, so that a cursor of another order is refused
	Keys []Key[T] // from most to least significant; together they are unique, and none is NULL
}

// Key is one column of an order.
type Key[T any] struct {
	SQL  string // the column, e.g. "s.starts_at"
	Type string // its type, e.g. "timestamptz"
	Desc bool
	Of   func(*T) string // its value as PostgreSQL reads it
}

// Reverse is the same order the other way round.
func (o Order[T]) Reverse() Order[T] {
	r := Order[T]{Name: o.Name, Keys: make([]Key[T], len(o.Keys))}
	for i, k := range o.Keys {
		k.Desc = !k.Desc
		r.Keys[i] = k
	}
	return r
}

// Cursor is the place of row in the order. It carries key values that the client has seen anyway, and ids.
func (o Order[T]) Cursor(row *T) string {
	parts := make([]string, 0, 1+len(o.Keys))
	parts = append(parts, o.Name)
	for _, k := range o.Keys {
		parts = append(parts, k.Of(row))
	}
	raw, _ := json.Marshal(parts) // strings always marshal
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (o Order[T]) decode(field, cursor string) ([]string, error) {
	var parts []string
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(raw, &parts)
	}
	if err != nil || len(parts) == 0 {
		return nil, fault.Invalid(field, "is not a cursor of this list")
	}
	if parts[0] != o.Name || len(parts) != 1+len(o.Keys) {
		return nil, fault.Invalid(field, "is a cursor of another list or order")
	}
	for i, k := range o.Keys {
		if !k.reads(parts[1+i]) {
			return nil, fault.Invalid(field, "is not a cursor of this list")
		}
	}
	return parts[1:], nil
}

// reads says whether PostgreSQL can read value as the key's type: somebody may have edited a cursor.
func (k Key[T]) reads(value string) bool {
	var err error
	switch k.Type {
	case "timestamptz":
		_, err = time.Parse(time.RFC3339Nano, value)
	case "uuid":
		err = new(id.UUID).UnmarshalText([]byte(value))
	case "int":
		_, err = strconv.ParseInt(value, 10, 32)
	default:
		return !strings.ContainsRune(value, 0)
	}
	return err == nil
}

// orderBy renders the ORDER BY list.
func (o Order[T]) orderBy() string {
	var b strings.Builder
	for i, k := range o.Keys {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k.SQL)
		if k.Desc {
			b.WriteString(" DESC")
		}
	}
	return b.String()
}

// Time writes a timestamp as a cursor carries it: exact to PostgreSQL's microseconds.
func Time(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Direction is which way a list runs.
type Direction string

// The directions.
const (
	Ascending  Direction = "ASC"
	Descending Direction = "DESC"
)

// Directed is the order in the given direction; it must have been written ascending.
func (o Order[T]) Directed(d Direction) Order[T] {
	if d == Descending {
		o = o.Reverse()
		o.Name += "-desc" // a cursor of one direction is no cursor of the other
	}
	return o
}
