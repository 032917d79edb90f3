package elastic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/testkit"
)

// spoken makes utterances whose words are as unevenly frequent as those of a language.
type spoken struct {
	words *rand.Zipf
	n     int
}

func newSpoken(seed uint64) *spoken {
	return &spoken{words: rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), 1.1, 4, 30_000)}
}

func (s *spoken) word() string { return fmt.Sprintf("w%dord", s.words.Uint64()) }

func (s *spoken) utterance() textsearch.Document {
	s.n++
	words := make([]string, 22)
	for i := range words {
		words[i] = s.word()
	}
	client := fmt.Sprintf("client%d", s.n/5000)
	session := fmt.Sprintf("session%d", s.n/250)
	return textsearch.Document{
		ID: fmt.Sprintf("u%d", s.n), Kind: "utterance", Group: session, Version: 1, Language: "en", At: time.Unix(int64(1_700_000_000+s.n*60), 0),
		Texts:    map[string]string{"text": strings.Join(words, " ")},
		Keywords: map[string][]string{"client": {client}, "session": {session}, "speaker": {[]string{"COACH", "CLIENT"}[s.n%2]}, "tag": {fmt.Sprintf("tag%d", s.n/5000%7)}},
	}
}

// serverCPU is how much processor time the server has used: on a machine that does other things, too, it says more than the clock.
func serverCPU(b *testing.B, url string) time.Duration {
	b.Helper()
	res, err := http.Get(url + "/_nodes/_local/stats/process?filter_path=nodes.*.process.cpu.total_in_millis")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var stats struct {
		Nodes map[string]struct {
			Process struct {
				CPU struct {
					Total int64 `json:"total_in_millis"`
				} `json:"cpu"`
			} `json:"process"`
		} `json:"nodes"`
	}
	if err := json.NewDecoder(res.Body).Decode(&stats); err != nil {
		b.Fatal(err)
	}
	for _, n := range stats.Nodes {
		return time.Duration(n.Process.CPU.Total) * time.Millisecond
	}
	return 0
}

// Utterances that are written, and then searched as the screen does: go test -bench . -run '^$' -benchtime 2000x
func BenchmarkIndex(b *testing.B) {
	url := testkit.Elasticsearch(b)
	x := open(b, url)
	const size, orgs = 100_000, 4
	org := make([]id.UUID, orgs)
	began, used := time.Now(), serverCPU(b, url)
	err := x.Rebuild(b.Context(), func(ctx context.Context, w textsearch.Writer) error { // as when everything is written
		g, ctx := errgroup.WithContext(ctx)
		for i := range org {
			org[i] = id.New()
			g.Go(func() error {
				s := newSpoken(uint64(i))
				for range size / orgs / 1000 {
					docs := make([]textsearch.Document, 1000)
					for j := range docs {
						docs[j] = s.utterance()
					}
					docs[0].Complete = []string{"Tag " + s.word() + " " + s.word()}
					if err := w.Put(ctx, org[i], docs); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return g.Wait()
	})
	if err != nil {
		b.Fatal(err)
	}
	rate, cost := size/time.Since(began).Seconds(), serverCPU(b, url)-used
	if err := x.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("%.0f utterances a second were written, for %s of the server's processors in all", rate, cost)
	s := newSpoken(99)
	plain := func() textsearch.Request {
		return textsearch.Request{
			Query:  textsearch.Any{Of: []textsearch.Expr{textsearch.Word{Text: s.word()}, textsearch.Word{Text: s.word()}, textsearch.Word{Text: s.word()}}, AtLeast: 2},
			Filter: textsearch.Terms{Field: "client", Values: []string{"client0", "client1", "client2"}}, Size: 20, Order: textsearch.Newest,
		}
	}
	for _, way := range []struct {
		name string
		with func(r *textsearch.Request)
	}{
		{"newest", func(*textsearch.Request) {}},
		{"score", func(r *textsearch.Request) { r.Order = textsearch.ByScore }},
		{"total", func(r *textsearch.Request) { r.Total = true }},
		{"facets", func(r *textsearch.Request) {
			r.Facets = []textsearch.Facet{{Field: "client", Size: 10}, {Field: "tag", Size: 10}, {Field: "speaker", Size: 10}, {Field: "time", Size: 12, Every: textsearch.Month}}
		}},
		{"nearly", func(r *textsearch.Request) {
			r.Query = textsearch.Any{Of: []textsearch.Expr{textsearch.Word{Text: s.word(), Fuzzy: true}, textsearch.Word{Text: s.word(), Fuzzy: true}, textsearch.Word{Text: s.word()}}, AtLeast: 2}
		}},
		{"screen", func(r *textsearch.Request) {
			r.Order, r.Total = textsearch.ByScore, true
			r.Facets = []textsearch.Facet{{Field: "client", Size: 10}, {Field: "tag", Size: 10}, {Field: "speaker", Size: 10}, {Field: "time", Size: 12, Every: textsearch.Month}}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var all []time.Duration
			used := serverCPU(b, url)
			for i := 0; b.Loop(); i++ {
				r := plain()
				way.with(&r)
				began := time.Now()
				if _, err := x.Search(b.Context(), org[i%orgs], r); err != nil {
					b.Fatal(err)
				}
				all = append(all, time.Since(began))
			}
			b.ReportMetric(float64((serverCPU(b, url)-used).Microseconds())/1000/float64(len(all)), "server-cpu-ms/op")
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(all[len(all)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
	b.Run("suggest", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Suggest(b.Context(), org[0], textsearch.SuggestRequest{Prefix: s.word()[:2], Size: 8}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
