package pinecone_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/vector"
	"github.com/rapporthq/rapport/internal/platform/vector/pinecone"
	"github.com/rapporthq/rapport/internal/platform/vector/pinecone/pineconetest"
	"github.com/rapporthq/rapport/internal/platform/vector/vectortest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func store(s *pineconetest.Server, change ...func(*pinecone.Options)) *pinecone.Store {
	o := pinecone.Options{Key: secret.Fixed(s.Key), Index: s.Index, URL: s.URL, Timeout: time.Minute, Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	for _, f := range change {
		f(&o)
	}
	return pinecone.New(o)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	vectortest.Run(t, func(t *testing.T) vectortest.World {
		return vectortest.World{Store: store(pineconetest.New(t, vectortest.Dimension)), Orgs: [2]id.UUID{id.New(), id.New()}}
	})
}

// Each fault is got over, and nothing is lost by it or done twice.
func TestFaults(t *testing.T) {
	t.Parallel()
	server := pineconetest.New(t, vectortest.Dimension)
	server.Lag = 0
	s := vector.Space{Org: id.New(), Model: "m-1"}
	records := vectortest.Random(20, vectortest.Dimension, 2)
	for name, f := range map[string]pineconetest.Fault{"busy": pineconetest.Busy, "away": pineconetest.Away, "truncated": pineconetest.Truncated, "slow": pineconetest.Slow} {
		st := store(server, func(o *pinecone.Options) {
			if f == pineconetest.Slow { // which is waited for
				o.Timeout = time.Second
			}
		})
		server.Fail(f, f)
		if err := st.Put(t.Context(), s, records); err != nil {
			t.Errorf("%s: put: %v", name, err)
		}
		server.Fail(f)
		if n, err := st.Count(t.Context(), s); err != nil || n != len(records) {
			t.Errorf("%s: %d are there, %v", name, n, err)
		}
		server.Fail(f)
		if found, err := st.Search(t.Context(), s, vector.Request{Vector: records[3].Values, Nearest: 1}); err != nil || len(found) != 1 || found[0].ID != records[3].ID {
			t.Errorf("%s: found %+v, %v", name, found, err)
		}
		server.Fail(f, f)
		if err := st.DeleteGroup(t.Context(), s, "g1"); err != nil {
			t.Errorf("%s: delete: %v", name, err)
		}
		if n, _ := st.Count(t.Context(), s); n != 10 {
			t.Errorf("%s: %d are left", name, n)
		}
	}
}

// A third of all requests fail, and those that did not know whether they were done are done again: in the end every vector is there once.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	server := pineconetest.New(t, 32)
	server.Lag = 0
	server.FailOften(0.34, 3)
	st := store(server)
	s := vector.Space{Org: id.New(), Model: "m-1"}
	records := vectortest.Random(3000, 32, 30)
	put := func(batch []vector.Record) {
		for range 20 { // as a job comes back
			err := st.Put(t.Context(), s, batch)
			if err == nil {
				return
			}
			if fault.KindOf(err) != fault.KindUnavailable {
				t.Fatal(err)
			}
		}
		t.Fatal("never put")
	}
	for from := 0; from < len(records); from += 50 {
		put(records[from : from+50])
	}
	if server.Failed() < 15 {
		t.Fatalf("%d requests failed", server.Failed())
	}
	server.FailOften(0, 1)
	if n, err := st.Count(t.Context(), s); err != nil || n != len(records) {
		t.Fatalf("%d are there, %v", n, err)
	}
	for i := 0; i < len(records); i += 100 {
		if found, err := st.Search(t.Context(), s, vector.Request{Vector: records[i].Values, Nearest: 1}); err != nil || len(found) != 1 || found[0].ID != records[i].ID {
			t.Fatalf("%d: found %+v, %v", i, found, err)
		}
	}
}

// Who is down is told to be, in words that hold neither the key nor what the service says.
func TestFailures(t *testing.T) {
	t.Parallel()
	s := vector.Space{Org: id.New(), Model: "m-1"}
	records := vectortest.Random(1, vectortest.Dimension, 1)
	for name, break_ := range map[string]func(*pineconetest.Server) *pinecone.Store{
		"another key": func(server *pineconetest.Server) *pinecone.Store {
			return store(server, func(o *pinecone.Options) { o.Key = secret.Fixed("pcsk_secret_wrong") })
		},
		"no key": func(server *pineconetest.Server) *pinecone.Store {
			return store(server, func(o *pinecone.Options) { o.Key = secret.Fixed("") })
		},
		"no index": func(server *pineconetest.Server) *pinecone.Store {
			return store(server, func(o *pinecone.Options) { o.Index = "other" })
		},
		"another measure": func(server *pineconetest.Server) *pinecone.Store {
			server.Metric = "euclidean"
			return store(server)
		},
		"nobody there": func(server *pineconetest.Server) *pinecone.Store {
			return store(server, func(o *pinecone.Options) { o.URL = "http://127.0.0.1:1" })
		},
		"always busy": func(server *pineconetest.Server) *pinecone.Store {
			server.FailOften(1, 5)
			return store(server)
		},
	} {
		server := pineconetest.New(t, vectortest.Dimension)
		err := break_(server).Put(t.Context(), s, records)
		if fault.KindOf(err) != fault.KindUnavailable || strings.Contains(fmt.Sprintf("%+v", err), "pcsk") {
			t.Errorf("%s: %v", name, err)
		}
	}
	server := pineconetest.New(t, vectortest.Dimension)
	if err := store(server).Ready(t.Context(), 384); fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("an index of another dimension: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store(server).Put(ctx, s, records); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// A batch is sent in as few requests as the limits allow: of bytes for long vectors, of records for short ones.
func TestBatches(t *testing.T) {
	t.Parallel()
	for dimension, want := range map[int]int{8: 1, 1536: 5} {
		server := pineconetest.New(t, dimension)
		s := vector.Space{Org: id.New(), Model: strings.Repeat("a long name ", 5)}
		st := store(server)
		if err := st.Put(t.Context(), s, vectortest.Random(1000, dimension, 10)); err != nil {
			t.Fatal(err)
		}
		if got := server.Calls("Upsert"); got != want {
			t.Errorf("%d numbers: %d requests, want %d", dimension, got, want)
		}
		testkit.Eventually(t, 20*time.Second, func() error {
			if models, err := st.Models(t.Context(), s.Org); err != nil || len(models) != 1 {
				return fmt.Errorf("%v, %v", models, err)
			} else if n, err := st.Count(t.Context(), vector.Space{Org: s.Org, Model: models[0]}); err != nil || n != 1000 {
				return fmt.Errorf("%d, %v", n, err)
			}
			return nil
		})
	}
}
