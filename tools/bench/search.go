package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/coaching/search"
	embedlocal "github.com/rapporthq/rapport/internal/platform/embed/local"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic"
	elasticlocal "github.com/rapporthq/rapport/internal/platform/textsearch/elastic/local"
	pgsearch "github.com/rapporthq/rapport/internal/platform/textsearch/postgres"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// alone is how much is searched in PostgreSQL alone, at most.
const alone = 100_000

// measureSearch measures how long a search takes over HTTP, while organizations take turns, with Elasticsearch for words.
func measureSearch(ctx context.Context, b *bench) error {
	server, err := elasticlocal.Start(ctx, elasticlocal.Config{Home: installed(), Heap: "1g", Progress: progress})
	if err != nil {
		return err
	}
	defer server.Stop()
	return b.searched(ctx, "searched", b.load, server)
}

// measureSearchAlone measures the same with what is a part of the program.
func measureSearchAlone(ctx context.Context, b *bench) error {
	few := b.load
	few.Utterances = min(alone, b.load.Utterances)
	few.Organizations = max(1, b.load.Organizations*few.Utterances/b.load.Utterances)
	return b.searched(ctx, "searched_alone", few, nil)
}

// searchers are a server, and the coaches who ask it.
type searchers struct {
	bench // with the database's and Elasticsearch's address
	child *child
	coach []searcher
	turn  int
	less  int // answers that were degraded
	words *seed.Words
}

type searcher struct {
	seed.House
	token string
}

// searched fills a database and its index, and measures searches; server is nil without Elasticsearch.
func (b *bench) searched(ctx context.Context, name string, load seed.Houses, server *elasticlocal.Server) error {
	load.Model, load.Dimension = embedlocal.Name, embedlocal.New().Dimension()
	var houses []seed.House
	db, at, err := b.database(ctx, name, func(db *pgxpool.Pool, issuer string) (err error) {
		houses, err = load.Load(ctx, db, issuer)
		return err
	})
	if err != nil {
		return err
	}
	defer db.Close()
	s := searchers{bench: *b, words: seed.NewTalk(1 << 40)}
	s.db, s.url = db, at
	engine := "PostgreSQL alone"
	if server != nil {
		s.elastic, engine = server.URL(), "Elasticsearch with 1 GB of heap, and PostgreSQL"
	}
	if err := s.join(houses); err != nil {
		return err
	}
	said, passages := 0, 0
	for _, h := range houses {
		said, passages = said+h.Utterances, passages+h.Passages
	}
	fmt.Fprintf(b.out, "\nSearch with %s: %d utterances in %d organizations, %d passages; one search after another, another organization each time\n", engine, said, len(houses), passages)
	if err := s.fill(ctx); err != nil {
		return err
	}
	if err := s.hold(ctx, server); err != nil {
		return err
	}
	if s.child, err = startAs(ctx, ours, s.options); err != nil {
		return err
	}
	defer s.child.stop()
	if err := s.modes(ctx); err != nil {
		return err
	}
	if err := s.freshness(ctx); err != nil {
		return err
	}
	f, err := s.child.figures(ctx, true)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "  the server holds %d MB, %d MB of Go's heap; %.1f MB of it should be vectors\n", f.Resident>>20, f.Heap>>20, float64(passages*load.Dimension*4)/(1<<20))
	return s.crowded(ctx, passages*load.Dimension*4)
}

func (s *searchers) join(houses []seed.House) error {
	for _, h := range houses {
		token, err := s.tokenOf(h.Coach)
		if err != nil {
			return err
		}
		s.coach = append(s.coach, searcher{h, token})
	}
	return nil
}

// fill makes the index anew as `rapport reindex` does. Beside Elasticsearch that of PostgreSQL, which is asked only while that is away, stays empty: how long it takes is
// seen without.
func (s *searchers) fill(ctx context.Context) error {
	cfg, err := s.config(map[string]string{"RAPPORT_HOME": s.home, "RAPPORT_DEMO": "false"})
	if err != nil {
		return err
	}
	a, err := app.New(ctx, cfg, slog.New(slog.DiscardHandler), s.db)
	if err != nil {
		return err
	}
	defer a.Close()
	var x textsearch.Index
	if s.elastic == "" {
		x, err = pgsearch.New(s.db, search.Schema)
	} else {
		x, err = elastic.New(search.Schema, elastic.Options{URLs: cfg.Search.ElasticsearchURLs, Prefix: cfg.Search.ElasticsearchPrefix, Shards: cfg.Search.ElasticsearchShards})
	}
	if err != nil {
		return err
	}
	progress("making the index of " + x.Capabilities().Name)
	began := time.Now()
	if err := a.Services().Search.Fill(ctx, x); err != nil {
		return err
	}
	took := time.Since(began)
	documents := 0
	for _, c := range s.coach {
		for after := ""; ; {
			part, err := x.Groups(ctx, c.Org, after, textsearch.MaxBatch)
			if err != nil {
				return err
			}
			for _, t := range part {
				documents, after = documents+t.Documents, t.Group
			}
			if len(part) < textsearch.MaxBatch {
				break
			}
		}
	}
	fmt.Fprintf(s.out, "  index made anew: %d documents in %.1f s, %.0f a second\n", documents, took.Seconds(), float64(documents)/took.Seconds())
	_, err = s.db.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// hold tells how much there is on disk, and of Elasticsearch's memory.
func (s *searchers) hold(ctx context.Context, server *elasticlocal.Server) error {
	var size int64
	if err := s.db.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&size); err != nil {
		return err
	}
	line := fmt.Sprintf("  the database has %d MB", size>>20)
	if server != nil {
		var stats struct {
			Nodes map[string]struct {
				Indices struct {
					Store struct {
						Size int64 `json:"size_in_bytes"`
					}
				}
				JVM struct {
					Mem struct {
						Used int64 `json:"heap_used_in_bytes"`
					}
				}
			}
		}
		raw, err := get(ctx, server.URL()+"/_nodes/stats/jvm,indices")
		if err == nil {
			err = json.Unmarshal(raw, &stats)
		}
		if err != nil {
			return err
		}
		for _, n := range stats.Nodes {
			line += fmt.Sprintf(", the index %d MB; Elasticsearch uses %d MB of its heap", n.Indices.Store.Size>>20, n.JVM.Mem.Used>>20)
		}
	}
	fmt.Fprintln(s.out, line)
	return nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// hits is what a screen shows of a search.
const hits = `degraded nodes { kind score highlights { segments { text match } } session { id title client { id name } } around { index text }
	entity { ... on Utterance { id text startMs } ... on Insight { id title } ... on Note { id } ... on Goal { id title } ... on ActionItem { id title } ... on Session { id named: title } } }`

const withFacets = `facets { field buckets { value label count } } `

// searchKinds are what is measured.
var searchKinds = []struct{ name, query string }{
	{"words", `query($q: String!) { search(query: $q, mode: KEYWORD, first: 20) { ` + hits + ` } }`},
	{"words, with four facets", `query($q: String!) { search(query: $q, mode: KEYWORD, first: 20, facets: [{field: CLIENT}, {field: TAG}, {field: SPEAKER_ROLE}, {field: MONTH}]) { ` + withFacets + hits + ` } }`},
	{"meaning", `query($q: String!) { search(query: $q, mode: SEMANTIC, first: 20) { ` + hits + ` } }`},
	{"both", `query($q: String!) { search(query: $q, mode: HYBRID, first: 20) { ` + hits + ` } }`},
	{"both, with four facets", `query($q: String!) { search(query: $q, mode: HYBRID, first: 20, facets: [{field: CLIENT}, {field: TAG}, {field: SPEAKER_ROLE}, {field: MONTH}]) { ` + withFacets + hits + ` } }`},
	{"both, what a client said", `query($q: String!) { search(query: $q, mode: HYBRID, first: 20, kinds: [UTTERANCE], facets: [{field: SPEAKER_ROLE}]) { ` + withFacets + hits + ` } }`},
	{"suggestions", `query($q: String!) { suggest(prefix: $q) { text kind } }`},
}

// modes measures each kind of search.
func (s *searchers) modes(ctx context.Context) error {
	for range max(2*len(s.coach), 40) { // vectors are read, plans and caches made
		if _, err := s.search(ctx, searchKinds[4].query); err != nil {
			return err
		}
	}
	s.less = 0
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tp50 ms\tp95 ms\tserver CPU ms\tstatements\t")
	for _, k := range searchKinds {
		before, err := s.child.figures(ctx, false)
		if err != nil {
			return err
		}
		profiled := s.profiled(ctx, k.name)
		var took []time.Duration
		for range s.searches {
			d, err := s.search(ctx, k.query)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			took = append(took, d)
		}
		if err := profiled(); err != nil {
			return err
		}
		after, err := s.child.figures(ctx, false)
		if err != nil {
			return err
		}
		slices.Sort(took)
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", k.name, ms(median(took)), ms(took[len(took)*95/100]), ms(after.CPU-before.CPU)/float64(len(took)), float64(after.Statements-before.Statements)/float64(len(took)))
	}
	if err := w.Flush(); err != nil || s.less == 0 {
		return err
	}
	_, err := fmt.Fprintf(s.out, "  %d answers were degraded, which are the database's: these figures say nothing\n", s.less)
	return err
}

// profiled writes down what the server computes until the returned function is called, if profiles are wanted: ten seconds of it at most.
func (s *searchers) profiled(ctx context.Context, name string) (done func() error) {
	if s.profile == "" {
		return func() error { return nil }
	}
	var wait sync.WaitGroup
	var raw []byte
	var err error
	wait.Go(func() { raw, err = s.child.control(ctx, "/profile?seconds=10") })
	return func() error {
		wait.Wait()
		return errors.Join(err, os.WriteFile(fmt.Sprintf("%s/search-%s-%t.pprof", s.profile, strings.ReplaceAll(name, " ", "-"), s.elastic != ""), raw, 0o644))
	}
}

// search asks as the next coach and returns how long the answer took.
func (s *searchers) search(ctx context.Context, query string) (time.Duration, error) {
	s.turn++
	q := s.words.Query()
	if strings.Contains(query, "suggest(") {
		q = q[:min(3, len(q))]
	}
	began := time.Now()
	raw, err := s.asks(ctx, s.coach[s.turn%len(s.coach)], query, map[string]any{"q": q})
	took := time.Since(began)
	if err == nil && bytes.Contains(raw, []byte(`"degraded":"`)) {
		s.less++
	}
	return took, err
}

// asks sends an operation as a coach and returns its data.
func (s *searchers) asks(ctx context.Context, as searcher, query string, variables map[string]any) (data json.RawMessage, err error) {
	asking := s.bench
	asking.token = as.token
	err = asking.mutate(ctx, s.child, query, variables, &data)
	return data, err
}

// crowded measures what happens when vectors have half of the memory that they would need.
func (s *searchers) crowded(ctx context.Context, need int) error {
	if len(s.coach) < 2 {
		return nil
	}
	s.child.stop()
	o := s.options
	o.vectors = max(1, need/2>>20)
	var err error
	if s.child, err = startAs(ctx, ours, o); err != nil {
		return err
	}
	var took []time.Duration
	for range max(s.searches/4, 2*len(s.coach)) {
		d, err := s.search(ctx, searchKinds[3].query)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	took = took[len(took)/4:]
	slices.Sort(took)
	fmt.Fprintf(s.out, "  both, where vectors have %d MiB, half of what they need: p50 %.1f ms, p95 %.1f ms\n", o.vectors, ms(median(took)), ms(took[len(took)*95/100]))
	return nil
}

// freshness measures when a new conversation is found, from when it is READY.
func (s *searchers) freshness(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var words, meaning []time.Duration
	for n := range max(3, s.runs) {
		w, m, err := s.fresh(ctx, s.coach[n%len(s.coach)], fmt.Sprintf("heron%d", n))
		if err != nil {
			return err
		}
		words, meaning = append(words, w), append(meaning, m)
	}
	fmt.Fprintf(s.out, "  a new conversation of ten minutes is found by words %.1f s after it is READY (%.1f at most), by meaning %.1f s (%.1f)\n",
		median(words).Seconds(), slices.Max(words).Seconds(), median(meaning).Seconds(), slices.Max(meaning).Seconds())
	return nil
}

// fresh imports a conversation in which a word stands that nobody has said before.
func (s *searchers) fresh(ctx context.Context, as searcher, word string) (words, meaning time.Duration, err error) {
	var made struct {
		CreateSession struct{ Session struct{ ID string } }
	}
	raw, err := s.asks(ctx, as, `mutation($in: CreateSessionInput!) { createSession(input: $in) { session { id } } }`,
		map[string]any{"in": map[string]any{"engagementId": as.Engagement.String(), "startsAt": "2026-01-01T10:00:00Z"}})
	if err == nil {
		err = json.Unmarshal(raw, &made)
	}
	if err != nil {
		return 0, 0, err
	}
	var file strings.Builder
	talk := seed.NewWords(77)
	for i := range 120 {
		fmt.Fprintf(&file, "Coach: %s\nClient: %s\n", talk.Utterance(true), talk.Utterance(false))
		if i == 60 {
			fmt.Fprintf(&file, "Client: A %s stood on the frozen lake and waited for the fish.\n", word)
		}
	}
	began := time.Now()
	if raw, err = s.asks(ctx, as, `mutation($in: ImportTranscriptInput!) { importTranscript(input: $in) { transcript { id } userErrors { message } } }`,
		map[string]any{"in": map[string]any{"sessionId": made.CreateSession.Session.ID, "content": file.String()}}); err != nil || !bytes.Contains(raw, []byte(`"userErrors":[]`)) {
		return 0, 0, errors.Join(err, fmt.Errorf("it is not imported: %s", raw))
	}
	var ready time.Time
	for words == 0 || meaning == 0 {
		if ready.IsZero() {
			ready, err = s.ready(ctx, made.CreateSession.Session.ID)
		}
		for _, look := range []struct {
			mode, query string
			after       *time.Duration
		}{{"KEYWORD", word, &words}, {"SEMANTIC", "a bird that fishes, standing on ice: " + word, &meaning}} {
			if *look.after != 0 || err != nil {
				continue
			}
			raw, err = s.asks(ctx, as, `query($q: String!) { search(query: $q, first: 5, mode: `+look.mode+`) { nodes { session { id } } } }`, map[string]any{"q": look.query})
			if bytes.Contains(raw, []byte(made.CreateSession.Session.ID)) {
				*look.after = max(time.Since(began), 1)
			}
		}
		if err != nil {
			return 0, 0, err
		}
		select {
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("it is not found (words %t, meaning %t): %w", words > 0, meaning > 0, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	for ready.IsZero() && err == nil { // it was found before
		ready, err = s.ready(ctx, made.CreateSession.Session.ID)
	}
	if err != nil {
		return 0, 0, err
	}
	since := ready.Sub(began)
	return max(0, words-since), max(0, meaning-since), nil
}

// ready says when the session's transcript was seen to be done, zero if it is not yet.
func (s *searchers) ready(ctx context.Context, session string) (at time.Time, err error) {
	_, key, err := id.Parse(session)
	if err != nil {
		return at, err
	}
	var done bool
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM transcripts WHERE session_id = $1 AND status IN ('READY', 'NEEDS_SPEAKERS'))`, key).Scan(&done)
	if done {
		at = time.Now()
	}
	return at, err
}
