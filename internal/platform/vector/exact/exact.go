// Package exact finds the nearest vectors by comparing with all of them, so that nothing near is ever missed: 50,000 vectors of 384 numbers take
// a few milliseconds. They are kept in PostgreSQL and copied into memory when an organization first searches.
//
// Every search asks the database for one number first: how often the space was changed. If that is another one than before, the groups that were
// touched are read again. So each process finds what any process has committed. What memory there is goes to those who
// searched last; a space that is larger than all of it is read from the database for each search, which takes long and is right.
package exact

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/viterin/vek/vek32"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// DefaultMemory is how many bytes of vectors are kept in memory: 170,000 of 384 numbers.
const DefaultMemory = 256 << 20

// Store keeps vectors in PostgreSQL.
type Store struct {
	db     *pgxpool.Pool
	memory int64

	mu     sync.Mutex
	spaces map[vector.Space]*space
	used   int64

	reads atomic.Int64 // groups, for tests
}

var _ vector.Store = (*Store)(nil)

// New returns a store that keeps at most so many bytes of vectors in memory; 0 is DefaultMemory.
func New(db *pgxpool.Pool, memory int64) *Store {
	return &Store{db: db, memory: cmp.Or(memory, DefaultMemory), spaces: map[vector.Space]*space{}}
}

// space is what is in memory of a space.
//
// Locks: space.loading before Store.mu.
type space struct {
	loading sync.Mutex // held by whoever reads what has changed
	held    *held      // replaced as a whole, under Store.mu
	asked   time.Time
}

// held is a space as it was after so many changes. It is never changed.
type held struct {
	changes int64
	groups  map[string]*group
	bytes   int64
}

// group is the vectors of a group, one after the other.
type group struct {
	changed int64
	ids     []string
	values  []float32
	kinds   []vector.Record // the different things that a filter can ask about
	kind    []int32         // of each vector
}

func (g *group) bytes() int64 {
	n := int64(4*len(g.values) + 4*len(g.kind) + 200)
	for _, v := range g.ids {
		n += int64(16 + len(v))
	}
	for i := range g.kinds {
		n += 200
		for name, values := range g.kinds[i].Keywords {
			n += int64(50 + len(name))
			for _, v := range values {
				n += int64(16 + len(v))
			}
		}
	}
	return n
}

// Fresh implements vector.Store.
func (*Store) Fresh() bool { return true }

// Ready implements vector.Store. Spaces of any dimension are kept.
func (s *Store) Ready(ctx context.Context, _ int) error {
	return postgres.Fault(s.db.Ping(ctx))
}

// Put implements vector.Store.
func (s *Store) Put(ctx context.Context, in vector.Space, records []vector.Record) (err error) {
	defer fault.Wrap(&err, "exact.Put(%s)", in.Org)
	if err := vector.Check(in, records); err != nil || len(records) == 0 {
		return err
	}
	n := len(records)
	ids, groups, times := make([]string, n), make([]string, n), make([]time.Time, n)
	keywords, numbers := make([]map[string][]string, n), make([][]byte, n)
	for i, r := range records {
		ids[i], groups[i], times[i], keywords[i], numbers[i] = r.ID, vector.GroupOf(r.ID), r.At, r.Keywords, encode(r.Values)
		if keywords[i] == nil {
			keywords[i] = map[string][]string{}
		}
	}
	return s.change(ctx, in, func(tx pgx.Tx) ([]string, error) {
		var dimension int
		const enter = `INSERT INTO vector_spaces (org_id, model, dimension) VALUES ($1, $2, $3)
			ON CONFLICT (org_id, model) DO UPDATE SET dimension = vector_spaces.dimension RETURNING dimension`
		if err := tx.QueryRow(ctx, enter, in.Org, in.Model, len(records[0].Values)).Scan(&dimension); err != nil {
			return nil, err
		}
		if dimension != len(records[0].Values) {
			return nil, fault.Invalid("values", "must be %d, as all others of the space", dimension)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO vector_groups (org_id, model, group_id, changed) SELECT DISTINCT $1::uuid, $2, g, 0 FROM unnest($3::text[]) g ON CONFLICT DO NOTHING`,
			in.Org, in.Model, groups); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, `INSERT INTO vectors (org_id, model, id, group_id, at, keywords, numbers)
			SELECT $1, $2, r.* FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::bytea[]) r
			ON CONFLICT (org_id, model, id) DO UPDATE SET at = excluded.at, keywords = excluded.keywords, numbers = excluded.numbers`,
			in.Org, in.Model, ids, groups, times, keywords, numbers)
		return groups, err
	})
}

// Delete implements vector.Store.
func (s *Store) Delete(ctx context.Context, in vector.Space, ids []string) (err error) {
	defer fault.Wrap(&err, "exact.Delete(%s)", in.Org)
	if err := vector.CheckIDs(in, ids); err != nil {
		return err
	}
	return s.change(ctx, in, func(tx pgx.Tx) ([]string, error) {
		return column(tx.Query(ctx, `DELETE FROM vectors WHERE org_id = $1 AND model = $2 AND id = ANY ($3) RETURNING group_id`, in.Org, in.Model, ids))
	})
}

// DeleteGroup implements vector.Store.
func (s *Store) DeleteGroup(ctx context.Context, in vector.Space, group string) (err error) {
	defer fault.Wrap(&err, "exact.DeleteGroup(%s)", in.Org)
	if err := vector.CheckIDs(in, []string{group}); err != nil {
		return err
	}
	return s.change(ctx, in, func(tx pgx.Tx) ([]string, error) {
		_, err := tx.Exec(ctx, `DELETE FROM vectors WHERE org_id = $1 AND model = $2 AND group_id = $3`, in.Org, in.Model, group)
		return []string{group}, err
	})
}

// Drop implements vector.Store.
func (s *Store) Drop(ctx context.Context, in vector.Space) (err error) {
	defer fault.Wrap(&err, "exact.Drop(%s)", in.Org)
	if err := vector.CheckIDs(in, nil); err != nil {
		return err
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM vector_spaces WHERE org_id = $1 AND model = $2`, in.Org, in.Model); err != nil {
		return postgres.Fault(err)
	}
	s.forget(in)
	return nil
}

// change has f change vectors, in a transaction that holds the space, and notes which groups f says it has touched.
func (s *Store) change(ctx context.Context, in vector.Space, f func(tx pgx.Tx) ([]string, error)) error {
	return postgres.Fault(postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		// Without a space there is nothing to hold yet, and Put makes it.
		if _, err := tx.Exec(ctx, `SELECT FROM vector_spaces WHERE org_id = $1 AND model = $2 FOR NO KEY UPDATE`, in.Org, in.Model); err != nil {
			return err
		}
		groups, err := f(tx)
		if err != nil || len(groups) == 0 {
			return err
		}
		const count = `
			WITH space AS (
				UPDATE vector_spaces SET changes = changes + 1 WHERE org_id = $1 AND model = $2 RETURNING changes
			), counted AS (
				SELECT g.group_id, (SELECT count(*) FROM vectors v WHERE v.org_id = $1 AND v.model = $2 AND v.group_id = g.group_id) AS n
				FROM vector_groups g WHERE g.org_id = $1 AND g.model = $2 AND g.group_id = ANY ($3)
			), emptied AS (
				DELETE FROM vector_groups g USING counted c WHERE g.org_id = $1 AND g.model = $2 AND g.group_id = c.group_id AND c.n = 0
			)
			UPDATE vector_groups g SET changed = space.changes, vectors = c.n
			FROM space, counted c WHERE g.org_id = $1 AND g.model = $2 AND g.group_id = c.group_id AND c.n > 0`
		if _, err = tx.Exec(ctx, count, in.Org, in.Model, groups); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE vector_spaces SET vectors = (SELECT coalesce(sum(g.vectors), 0) FROM vector_groups g WHERE g.org_id = $1 AND g.model = $2)
			WHERE org_id = $1 AND model = $2`, in.Org, in.Model)
		return err
	}))
}

// Count implements vector.Store.
func (s *Store) Count(ctx context.Context, in vector.Space) (n int, err error) {
	defer fault.Wrap(&err, "exact.Count(%s)", in.Org)
	if err := vector.CheckIDs(in, nil); err != nil {
		return 0, err
	}
	err = s.db.QueryRow(ctx, `SELECT coalesce(sum(vectors), 0)::bigint FROM vector_spaces WHERE org_id = $1 AND model = $2`, in.Org, in.Model).Scan(&n)
	return n, postgres.Fault(err)
}

// Models implements vector.Store.
func (s *Store) Models(ctx context.Context, org id.UUID) (models []string, err error) {
	defer fault.Wrap(&err, "exact.Models(%s)", org)
	models, err = column(s.db.Query(ctx, `SELECT model FROM vector_spaces WHERE org_id = $1 ORDER BY model COLLATE "C"`, org))
	return models, postgres.Fault(err)
}

// Search implements vector.Store.
func (s *Store) Search(ctx context.Context, in vector.Space, r vector.Request) (matches []vector.Match, err error) {
	defer fault.Wrap(&err, "exact.Search(%s)", in.Org)
	if err := vector.CheckRequest(in, r); err != nil {
		return nil, err
	}
	var changes, size int64
	var dimension int
	const look = `SELECT changes, dimension, 4::bigint * vectors * dimension FROM vector_spaces WHERE org_id = $1 AND model = $2`
	switch err := s.db.QueryRow(ctx, look, in.Org, in.Model).Scan(&changes, &dimension, &size); {
	case errors.Is(err, pgx.ErrNoRows):
		s.forget(in)
		return nil, nil
	case err != nil:
		return nil, postgres.Fault(err)
	case dimension != len(r.Vector):
		return nil, fault.Invalid("vector", "must have %d numbers, as all others of the space", dimension)
	}
	search := nearest{request: r, holds: vector.Compile(r.Filter)}
	if size > s.memory {
		s.forget(in)
		if err := s.read(ctx, s.db, in, nil, search.look); err != nil {
			return nil, postgres.Fault(err)
		}
		return search.done(), nil
	}
	h, err := s.hold(ctx, in, changes)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	for name, g := range h.groups {
		search.look(name, g)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return search.done(), nil
}

// hold returns the space as it is after at least so many changes.
func (s *Store) hold(ctx context.Context, in vector.Space, changes int64) (*held, error) {
	s.mu.Lock()
	sp := s.spaces[in]
	if sp == nil {
		sp = &space{}
		s.spaces[in] = sp
	}
	sp.asked = time.Now()
	if h := sp.held; h != nil && h.changes >= changes {
		s.mu.Unlock()
		return h, nil
	}
	s.mu.Unlock()

	sp.loading.Lock()
	defer sp.loading.Unlock()
	s.mu.Lock()
	before := sp.held
	s.mu.Unlock()
	if before != nil && before.changes >= changes {
		return before, nil // somebody else has read it meanwhile
	}
	after, err := s.follow(ctx, in, before)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spaces[in] == sp { // it may have been forgotten
		if before = sp.held; before != nil {
			s.used -= before.bytes
		}
		sp.held = after
		s.used += after.bytes
		s.evict(in)
	}
	return after, nil
}

// evict forgets who searched longest ago until memory suffices, but not keep. The caller holds s.mu.
func (s *Store) evict(keep vector.Space) {
	for s.used > s.memory {
		var oldest vector.Space
		var found *space
		for in, sp := range s.spaces {
			if in != keep && sp.held != nil && (found == nil || sp.asked.Before(found.asked)) {
				oldest, found = in, sp
			}
		}
		if found == nil {
			return
		}
		s.used -= found.held.bytes
		delete(s.spaces, oldest)
	}
}

func (s *Store) forget(in vector.Space) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spaces[in]; sp != nil {
		if sp.held != nil {
			s.used -= sp.held.bytes
		}
		delete(s.spaces, in)
	}
}

// follow reads what has changed since before, all of it from one moment.
func (s *Store) follow(ctx context.Context, in vector.Space, before *held) (*held, error) {
	after := &held{groups: map[string]*group{}}
	err := pgx.BeginTxFunc(ctx, s.db, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT changes FROM vector_spaces WHERE org_id = $1 AND model = $2`, in.Org, in.Model).Scan(&after.changes)
		if errors.Is(err, pgx.ErrNoRows) { // dropped just now
			return nil
		} else if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT group_id, changed FROM vector_groups WHERE org_id = $1 AND model = $2 ORDER BY group_id`, in.Org, in.Model)
		if err != nil {
			return err
		}
		var name string
		var changed int64
		touched := map[string]int64{}
		var names []string
		_, err = pgx.ForEachRow(rows, []any{&name, &changed}, func() error {
			if before != nil && before.groups[name] != nil && before.groups[name].changed == changed {
				after.groups[name] = before.groups[name]
			} else {
				touched[name] = changed
				names = append(names, name)
			}
			return nil
		})
		if err != nil || len(names) == 0 {
			return err
		}
		return s.read(ctx, tx, in, names, func(name string, g *group) {
			s.reads.Add(1)
			g.changed = touched[name]
			after.groups[name] = g
		})
	})
	for _, g := range after.groups {
		after.bytes += g.bytes()
	}
	return after, err
}

// read hands the vectors of the named groups to f, group after group; nil names all.
func (s *Store) read(ctx context.Context, db postgres.DB, in vector.Space, names []string, f func(name string, g *group)) error {
	rows, err := db.Query(ctx, `SELECT id, group_id, at, keywords::text, numbers FROM vectors
		WHERE org_id = $1 AND model = $2 AND ($3::text[] IS NULL OR group_id = ANY ($3)) ORDER BY group_id, id`, in.Org, in.Model, names)
	if err != nil {
		return err
	}
	var r vector.Record
	var keywords, of, current string
	var numbers []byte
	var g *group
	var known map[string]int32 // what can be asked about, to its place in g.kinds
	_, err = pgx.ForEachRow(rows, []any{&r.ID, &of, &r.At, &keywords, &numbers}, func() error {
		if g == nil || of != current {
			if g != nil {
				f(current, g)
			}
			current, g, known = of, &group{}, map[string]int32{}
		}
		key := fmt.Sprint(r.At.Unix(), keywords)
		kind, seen := known[key]
		if !seen {
			about := vector.Record{ID: r.ID, At: r.At}
			if err := json.Unmarshal([]byte(keywords), &about.Keywords); err != nil {
				return err
			}
			kind = int32(len(g.kinds))
			known[key] = kind
			g.kinds = append(g.kinds, about)
		}
		g.ids = append(g.ids, r.ID)
		g.kind = append(g.kind, kind)
		g.values = decode(g.values, numbers)
		return nil
	})
	if err == nil && g != nil {
		f(current, g)
	}
	return err
}

// nearest finds the best of what it is shown.
type nearest struct {
	request vector.Request
	holds   vector.Holder
	best    matches // a heap, the worst on top
	passes  []bool
}

func (n *nearest) look(_ string, g *group) {
	n.passes = n.passes[:0]
	for i := range g.kinds {
		n.passes = append(n.passes, n.holds(&g.kinds[i]))
	}
	width := len(n.request.Vector)
	for i, kind := range g.kind {
		if !n.passes[kind] {
			continue
		}
		score := float64(vek32.Dot(n.request.Vector, g.values[i*width:(i+1)*width]))
		if len(n.best) == n.request.Nearest && score < n.best[0].Score {
			continue // as most are
		}
		m := vector.Match{ID: g.ids[i], Score: score}
		switch {
		case len(n.best) < n.request.Nearest:
			heap.Push(&n.best, m)
		case better(m, n.best[0]) < 0:
			n.best[0] = m
			heap.Fix(&n.best, 0)
		}
	}
}

func (n *nearest) done() []vector.Match {
	slices.SortFunc(n.best, better)
	return n.best
}

func better(a, b vector.Match) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
}

type matches []vector.Match

func (m matches) Len() int           { return len(m) }
func (m matches) Less(i, j int) bool { return better(m[i], m[j]) > 0 }
func (m matches) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *matches) Push(x any)        { *m = append(*m, x.(vector.Match)) }
func (m *matches) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

func column(rows pgx.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func encode(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func decode(values []float32, b []byte) []float32 {
	for ; len(b) >= 4; b = b[4:] {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return values
}
