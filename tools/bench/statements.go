package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// recorder is a tracer that keeps all statements while it is on.
type recorder struct {
	mu   sync.Mutex
	on   bool
	seen []pgx.TraceQueryStartData
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on && strings.HasPrefix(strings.TrimSpace(strings.ToUpper(d.SQL)), "SELECT") {
		r.seen = append(r.seen, d)
	}
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *recorder) switched(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = on
}

// measureStatements tells what PostgreSQL needs for each statement of the dashboard, and for the floor's one.
func measureStatements(ctx context.Context, b *bench) error {
	seen, err := b.statements(ctx, b.url, seed.Dashboard, map[string]any{"first": 50})
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nStatements of the dashboard, in PostgreSQL\n")
	_, err = b.explained(ctx, b.db, append(seen, pgx.TraceQueryStartData{SQL: floorSQL, Args: []any{"http://rapport.localhost/dev", seed.Coach, 50}}))
	if err != nil {
		return err
	}
	fmt.Fprintln(b.out, "  the last is the floor's")
	return nil
}

// statements asks the product once, in this process, and returns what it runs for the answer.
func (b *bench) statements(ctx context.Context, url, query string, variables map[string]any) ([]pgx.TraceQueryStartData, error) {
	seen := &recorder{}
	db, err := postgres.Open(ctx, url, postgres.WithMaxConns(8), postgres.WithTracer(seen))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	cfg, err := config.Load(func(name string) (string, bool) {
		v, ok := map[string]string{"RAPPORT_HOME": b.home, "RAPPORT_DEMO": "false"}[name]
		return v, ok
	})
	if err != nil {
		return nil, err
	}
	a, err := app.New(ctx, cfg, slog.New(slog.DiscardHandler), db, app.WithLoaderWait(100*time.Millisecond)) // whole batches
	if err != nil {
		return nil, err
	}
	defer a.Close()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+b.token)
	answer := httptest.NewRecorder()
	seen.switched(true)
	a.Handler().ServeHTTP(answer, req)
	seen.switched(false)
	if answer.Code != http.StatusOK || strings.Contains(answer.Body.String(), `"errors"`) {
		return nil, fmt.Errorf("the answer is %d: %.500s", answer.Code, answer.Body)
	}
	return seen.seen, nil
}

// explained prints what PostgreSQL needs for each statement, and returns what it needs for all: planning and executing, as
// EXPLAIN ANALYZE says.
func (b *bench) explained(ctx context.Context, db *pgxpool.Pool, all []pgx.TraceQueryStartData) (sum float64, err error) {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  planning ms\texecution ms\tprepared ms\tstatement")
	for i, s := range all {
		plan, took, err := explain(ctx, db, s.SQL, s.Args, b.runs)
		if err != nil {
			return 0, err
		}
		prepared, err := settledTime(ctx, db, s.SQL, s.Args, b.runs)
		if err != nil {
			return 0, err
		}
		sum += took.Planning + took.Execution
		fmt.Fprintf(w, "  %.2f\t%.2f\t%.2f\t%.110s\n", took.Planning, took.Execution, ms(prepared), strings.Join(strings.Fields(s.SQL), " "))
		if b.profile != "" {
			if err := os.MkdirAll(b.profile, 0o755); err != nil {
				return 0, err
			}
			if err := os.WriteFile(filepath.Join(b.profile, fmt.Sprintf("statement-%d-of-%d.txt", i+1, len(all))), []byte(s.SQL+"\n\n"+plan), 0o644); err != nil {
				return 0, err
			}
		}
	}
	return sum, w.Flush()
}

// settledTime is what a statement takes, round trip and reading included, on a connection that has run it so often that
// PostgreSQL has chosen between one plan for all arguments and a plan for each.
func settledTime(ctx context.Context, db *pgxpool.Pool, sql string, args []any, runs int) (time.Duration, error) {
	conn, err := db.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	var took []time.Duration
	for run := range runs + 10 {
		begin := time.Now()
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return 0, err
		}
		for rows.Next() {
		}
		if err := rows.Err(); err != nil {
			return 0, err
		}
		if run >= 10 {
			took = append(took, time.Since(begin))
		}
	}
	return median(took), nil
}

// timing is what EXPLAIN says, in milliseconds.
type timing struct{ Planning, Execution float64 }

// explain returns PostgreSQL's plan of a statement, and the medians of the time that it needs.
func explain(ctx context.Context, db postgres.DB, sql string, args []any, runs int) (plan string, took timing, err error) {
	var planning, execution []float64
	for range runs {
		rows, err := db.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS) "+sql, args...)
		if err != nil {
			return "", took, err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return "", took, err
		}
		plan = strings.Join(lines, "\n")
		var t timing
		for _, line := range lines {
			_, _ = fmt.Sscanf(line, "Planning Time: %f ms", &t.Planning)
			_, _ = fmt.Sscanf(line, "Execution Time: %f ms", &t.Execution)
		}
		planning, execution = append(planning, t.Planning), append(execution, t.Execution)
	}
	return plan, timing{median(planning), median(execution)}, nil
}
