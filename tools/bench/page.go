package main

import (
	"context"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// watch is a tracer that keeps the last statement, and how long it took until its last row.
type watch struct {
	mu    sync.Mutex
	sql   string
	args  []any
	begin time.Time
	took  time.Duration
}

func (w *watch) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sql, w.args, w.begin = d.SQL, d.Args, time.Now()
	return ctx
}

func (w *watch) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = time.Since(w.begin)
}

// measurePage measures the statement of a page of 100 utterances in a long transcript: what PostgreSQL itself takes
// (EXPLAIN ANALYZE), and what the caller waits until the last row is read.
func measurePage(ctx context.Context, b *bench) error {
	seen := &watch{}
	db, err := postgres.Open(ctx, b.url, postgres.WithMaxConns(1), postgres.WithTracer(seen))
	if err != nil {
		return err
	}
	defer db.Close()
	texts := transcript.NewService(db, nil, session.NewService(db, engagement.NewService(db, client.NewService(db, nil), nil), nil), nil, nil, nil)
	ctx = auth.WithViewer(ctx, b.practice.Viewer)
	hundred := 100
	read := func(args page.Args) (*page.Connection[transcript.Utterance], error) {
		w, err := args.Window()
		if err != nil {
			return nil, err
		}
		pages, err := texts.Utterances(ctx, []id.UUID{b.practice.Transcript.UUID}, w)
		if err != nil {
			return nil, err
		}
		if n := len(pages[0].Nodes()); n != hundred {
			return nil, fmt.Errorf("a page of %d utterances, not of %d", n, hundred)
		}
		return pages[0], nil
	}
	first := page.Args{First: &hundred}
	middle, pages := first, 1
	for at := first; ; pages++ {
		p, err := read(at)
		if err != nil {
			return err
		}
		info := p.PageInfo()
		if !info.HasNextPage {
			break
		}
		at = page.Args{First: &hundred, After: info.EndCursor}
		if pages == 10 {
			middle = at
		}
	}
	fmt.Fprintf(b.out, "\nA page of 100 utterances, of %d in the database and %d in the transcript\n", b.practice.Utterances, pages*hundred)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tPostgreSQL ms\tuntil the last row ms\t")
	for _, p := range []struct {
		name string
		args page.Args
	}{{"first", first}, {"middle", middle}, {"last", page.Args{Last: &hundred}}} {
		var inside []float64
		var waited []time.Duration
		for range max(b.runs, 5) * 5 {
			if _, err := read(p.args); err != nil {
				return err
			}
			waited = append(waited, seen.took)
			sql, args := seen.sql, seen.args
			_, took, err := explain(ctx, db, sql, args, 1)
			if err != nil {
				return err
			}
			inside = append(inside, took.Planning+took.Execution)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t\n", p.name, median(inside), ms(median(waited)))
	}
	return w.Flush()
}
