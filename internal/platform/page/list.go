package page

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Querier runs a statement: a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Table describes one kind of row to the builder.
type Table[T any] struct {
	From    string // FROM clause with its joins, e.g. "sessions s"
	ID      string // the id's column
	Columns string // what Dest receives after the grants
	Dest    func(*T) []any
	Key     func(*T) id.UUID // the id of a row
}

// Filter collects conditions beyond the scope. The zero value has none.
type Filter struct {
	conditions []string
	args       []any
}

// And adds a condition; each ? stands for the next of args.
func (f *Filter) And(condition string, args ...any) {
	// Clipped, because a Filter is copied: appending in place would write into another copy's array.
	f.conditions = append(slices.Clip(f.conditions), condition)
	f.args = append(slices.Clip(f.args), args...)
}

// statement is SQL under construction: $1 and $2 are the viewer's organization and user.
type statement struct {
	strings.Builder
	args []any
}

func newStatement(v auth.Viewer) *statement {
	return &statement{args: []any{v.Org, v.User}}
}

func (s *statement) arg(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *statement) where(scope *Scope, f Filter) {
	s.WriteString(" WHERE ")
	s.WriteString(scope.Where())
	args := f.args
	for _, c := range f.conditions {
		s.WriteString(" AND (")
		for {
			before, after, found := strings.Cut(c, "?")
			s.WriteString(before)
			if !found {
				break
			}
			s.WriteString(s.arg(args[0]))
			args, c = args[1:], after
		}
		s.WriteString(")")
	}
}

// keyset restricts a statement to one side of a cursor: (a, b) > (x, y) in the order's directions.
func keyset[T any](s *statement, o Order[T], values []string, after bool) {
	var alternatives []string
	var equal []string
	for i, k := range o.Keys {
		p := s.arg(values[i]) + "::text::" + k.Type
		op := ">"
		if k.Desc == after {
			op = "<"
		}
		alternatives = append(alternatives, strings.Join(append(slices.Clone(equal), k.SQL+" "+op+" "+p), " AND "))
		equal = append(equal, k.SQL+" = "+p)
	}
	s.WriteString(" AND (" + strings.Join(alternatives, " OR ") + ")")
}

// window finishes a SELECT: cursors, order, and one row more than asked for, which tells whether there are more.
func window[T any](s *statement, o Order[T], w Window) error {
	for _, c := range []struct {
		field, cursor string
		after         bool
	}{{"after", w.after, true}, {"before", w.before, false}} {
		if c.cursor == "" {
			continue
		}
		values, err := o.decode(c.field, c.cursor)
		if err != nil {
			return err
		}
		keyset(s, o, values, c.after)
	}
	if w.backward {
		o = o.Reverse()
	}
	fmt.Fprintf(s, " ORDER BY %s LIMIT %d", o.orderBy(), w.size+1)
	return nil
}

// List reads one page.
func List[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter, o Order[T], w Window) (*Connection[T], error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT %s, %s FROM %s", scope.grants(), t.Columns, t.From)
	s.where(scope, f)
	if err := window(s, o, w); err != nil {
		return nil, err
	}
	rows, err := collect(ctx, db, s, t)
	if err != nil {
		return nil, err
	}
	c := connect(rows, o, w)
	c.count = func(ctx context.Context) (int, error) { return Count(ctx, db, v, t, scope, f) }
	return c, nil
}

// Count counts all rows that List would page through.
func Count[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter) (int, error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT count(*) FROM %s", t.From)
	s.where(scope, f)
	rows, err := db.Query(ctx, s.String(), s.args...)
	if err != nil {
		return 0, clientMistake(err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	return n, clientMistake(err)
}

// IDs reads the ids of all rows that List would page through, for a statement elsewhere that is to look among them.
func IDs[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter) ([]id.UUID, error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT %s FROM %s", t.ID, t.From)
	s.where(scope, f)
	fmt.Fprintf(s, " ORDER BY %s", t.ID)
	rows, err := db.Query(ctx, s.String(), s.args...)
	if err != nil {
		return nil, clientMistake(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	return ids, clientMistake(err)
}

// Children reads one page for each parent in a single statement, in the order of parents. parent is the column that
// refers to them. LATERAL, because it stops at the page's end for each parent, where a window function reads all rows.
func Children[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter, o Order[T], w Window, parent string, parents []id.UUID) ([]*Connection[T], error) {
	order := o
	if w.backward {
		order = o.Reverse()
	}
	found, err := lateral(ctx, db, v, t, scope, f, order, parent, parents, func(s *statement) error { return window(s, o, w) })
	if err != nil {
		return nil, err
	}
	pages := make([]*Connection[T], len(parents))
	for i := range parents {
		pages[i] = connect(found[i], o, w)
	}
	return pages, nil
}

// AllChildren reads the rows of each parent in a single statement, where there are few by nature: whatever happens, at most so many each.
func AllChildren[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter, o Order[T], parent string, parents []id.UUID, most int) ([][]*T, error) {
	return lateral(ctx, db, v, t, scope, f, o, parent, parents, func(s *statement) error {
		fmt.Fprintf(s, " ORDER BY %s LIMIT %d", o.orderBy(), most)
		return nil
	})
}

// lateral reads the rows of each parent in the given order; finish may add to the WHERE clause and limit it.
func lateral[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter, order Order[T], parent string, parents []id.UUID, finish func(*statement) error) ([][]*T, error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT k.ord, c.* FROM unnest(%s::uuid[]) WITH ORDINALITY AS k(parent, ord) CROSS JOIN LATERAL (", s.arg(parents))
	fmt.Fprintf(s, "SELECT row_number() OVER (ORDER BY %s) AS position, %s AS grants, %s FROM %s", order.orderBy(), scope.grants(), t.Columns, t.From)
	f.And(parent + " = k.parent")
	s.where(scope, f)
	if err := finish(s); err != nil {
		return nil, err
	}
	s.WriteString(") c ORDER BY k.ord, c.position")

	rows, err := db.Query(ctx, s.String(), s.args...)
	if err != nil {
		return nil, clientMistake(err)
	}
	defer rows.Close()
	found := make([][]*T, len(parents))
	for rows.Next() {
		var ord, position int
		row := new(T)
		if err := rows.Scan(append([]any{&ord, &position}, t.Dest(row)...)...); err != nil {
			return nil, err
		}
		found[ord-1] = append(found[ord-1], row)
	}
	return found, clientMistake(rows.Err())
}

// CountChildren counts what Children would page through, for each parent in the order of parents.
func CountChildren[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter, parent string, parents []id.UUID) ([]int, error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT k.ord, (SELECT count(*) FROM %s", t.From)
	f.And(parent + " = k.parent")
	key := s.arg(parents)
	s.where(scope, f)
	fmt.Fprintf(s, ") FROM unnest(%s::uuid[]) WITH ORDINALITY AS k(parent, ord) ORDER BY k.ord", key)
	rows, err := db.Query(ctx, s.String(), s.args...)
	if err != nil {
		return nil, clientMistake(err)
	}
	counts := make([]int, len(parents))
	var ord, n int
	_, err = pgx.ForEachRow(rows, []any{&ord, &n}, func() error {
		counts[ord-1] = n
		return nil
	})
	return counts, clientMistake(err)
}

// ByIDs reads the rows of the given ids that the scope opens; the others are missing from the map.
func ByIDs[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, ids []id.UUID) (map[id.UUID]*T, error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT %s, %s FROM %s", scope.grants(), t.Columns, t.From)
	f := Filter{}
	f.And(t.ID+" = ANY(?)", ids)
	s.where(scope, f)
	fmt.Fprintf(s, " ORDER BY %s", t.ID)
	rows, err := collect(ctx, db, s, t)
	if err != nil {
		return nil, err
	}
	found := make(map[id.UUID]*T, len(rows))
	for _, r := range rows {
		found[t.Key(r)] = r
	}
	return found, nil
}

// Get reads one row; what names it in the NotFound fault.
func Get[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, key id.UUID, what string) (*T, error) {
	found, err := ByIDs(ctx, db, v, t, scope, []id.UUID{key})
	if err != nil {
		return nil, err
	}
	row, ok := found[key]
	if !ok {
		return nil, fault.NotFound(what)
	}
	return row, nil
}

// All reads every row of a list that is short by nature, in the given order.
func All[T any](ctx context.Context, db Querier, v auth.Viewer, t Table[T], scope *Scope, f Filter, o Order[T]) ([]*T, error) {
	s := newStatement(v)
	fmt.Fprintf(s, "SELECT %s, %s FROM %s", scope.grants(), t.Columns, t.From)
	s.where(scope, f)
	fmt.Fprintf(s, " ORDER BY %s", o.orderBy())
	return collect(ctx, db, s, t)
}

func collect[T any](ctx context.Context, db Querier, s *statement, t Table[T]) ([]*T, error) {
	rows, err := db.Query(ctx, s.String(), s.args...)
	if err != nil {
		return nil, clientMistake(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*T, error) {
		r := new(T)
		return r, row.Scan(t.Dest(r)...)
	})
	return found, clientMistake(err)
}

// clientMistake turns a NUL character, which no text of PostgreSQL can hold, into what it is. Cursors are checked before,
// and all other parameters are typed in Go, so that only the text of a filter can end up here.
func clientMistake(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "22021" {
		return fault.Invalid("filter", "must not contain NUL characters").Because(err)
	}
	return err
}
