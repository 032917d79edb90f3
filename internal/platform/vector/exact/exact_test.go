package exact_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/vector"
	"github.com/rapporthq/rapport/internal/platform/vector/exact"
	"github.com/rapporthq/rapport/internal/platform/vector/vectortest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func organization(t testing.TB, db *pgxpool.Pool) id.UUID {
	t.Helper()
	org := id.New()
	if _, err := db.Exec(t.Context(), `INSERT INTO organizations (id, name, slug) VALUES ($1, 'Practice', $2)`, org, org.String()); err != nil {
		t.Fatal(err)
	}
	return org
}

func TestConformance(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	vectortest.Run(t, func(t *testing.T) vectortest.World {
		return vectortest.World{Store: exact.New(db, 0), Orgs: [2]id.UUID{organization(t, db), organization(t, db)}}
	})
}

// With next to no memory every search reads the database, and finds the same.
func TestConformanceWithoutMemory(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	vectortest.Run(t, func(t *testing.T) vectortest.World {
		return vectortest.World{Store: exact.New(db, 1), Orgs: [2]id.UUID{organization(t, db), organization(t, db)}}
	})
}

// What another process writes is found by the next search, and only what was touched is read again.
func TestFollowsOtherProcesses(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	org := organization(t, db)
	worker, server := exact.New(db, 0), exact.New(db, 0)
	s := vector.Space{Org: org, Model: "m-1"}
	records := vectortest.Random(400, 16, 40)
	if err := worker.Put(t.Context(), s, records); err != nil {
		t.Fatal(err)
	}
	find := func(r vector.Record) string {
		t.Helper()
		found, err := server.Search(t.Context(), s, vector.Request{Vector: r.Values, Nearest: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			return ""
		}
		return found[0].ID
	}
	if got := find(records[7]); got != records[7].ID || server.Reads() != 40 {
		t.Fatalf("found %s, %d groups read", got, server.Reads())
	}
	if err := worker.DeleteGroup(t.Context(), s, vector.GroupOf(records[7].ID)); err != nil {
		t.Fatal(err)
	}
	if got := find(records[7]); got == records[7].ID {
		t.Error("what was removed is found")
	}
	if err := worker.Put(t.Context(), s, records[5:9]); err != nil {
		t.Fatal(err)
	}
	if got := find(records[7]); got != records[7].ID || server.Reads() != 41 {
		t.Errorf("found %s, %d groups read", got, server.Reads())
	}
	// Dropped and made anew, with as many changes as before, it is another space.
	if err := worker.Drop(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, r := range records[20:23] {
		if err := worker.Put(t.Context(), s, []vector.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if got := find(records[21]); got != records[21].ID {
		t.Errorf("after a drop %q is found", got)
	}
	if err := worker.Drop(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got := find(records[21]); got != "" {
		t.Errorf("%q of a space that is gone", got)
	}
}

// Memory is bounded: who searched longest ago is read again.
func TestMemory(t *testing.T) {
	t.Parallel()
	db := testkit.DB(t)
	const each = 200 * 64 * 4
	store := exact.New(db, 2*each+each/2+each/3)
	var spaces []vector.Space
	records := vectortest.Random(200, 64, 4)
	for range 4 {
		s := vector.Space{Org: organization(t, db), Model: "m-1"}
		spaces = append(spaces, s)
		if err := store.Put(t.Context(), s, records); err != nil {
			t.Fatal(err)
		}
	}
	search := func(i int) {
		t.Helper()
		found, err := store.Search(t.Context(), spaces[i], vector.Request{Vector: records[9].Values, Nearest: 3})
		if err != nil || len(found) != 3 || found[0].ID != records[9].ID {
			t.Fatalf("%+v, %v", found, err)
		}
		if used := store.Used(); used > 3*each {
			t.Errorf("%d bytes are used", used)
		}
	}
	for _, i := range []int{0, 1, 0, 2, 0} {
		search(i)
	}
	if got := store.Reads(); got != 12 {
		t.Errorf("%d groups read for three spaces", got)
	}
	search(1) // went for 2, since 0 was asked in between
	if got := store.Reads(); got != 16 {
		t.Errorf("%d groups read", got)
	}
}

// BenchmarkSearch measures a search among 50,000 vectors of 384 numbers, with the statement that asks for changes.
func BenchmarkSearch(b *testing.B) {
	db := testkit.DB(b)
	s := vector.Space{Org: organization(b, db), Model: "m-1"}
	store := exact.New(db, 0)
	records := vectortest.Random(50_000, 384, 500)
	for batch := range slices.Chunk(records, vector.MaxBatch) {
		if err := store.Put(b.Context(), s, batch); err != nil {
			b.Fatal(err)
		}
	}
	for name, filter := range map[string]vector.Expr{"all": nil, "half": vector.Terms{Field: "role", Values: []string{"CLIENT"}}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			var took []time.Duration
			for b.Loop() {
				i += 997
				begin := time.Now()
				found, err := store.Search(b.Context(), s, vector.Request{Vector: records[i%len(records)].Values, Nearest: 200, Filter: filter})
				if err != nil || len(found) != 200 {
					b.Fatal(len(found), err)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[0].Microseconds())/1000, "ms-min")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
		})
	}
	b.Log(fmt.Sprint(store.Used()>>20, " MB"))
}
