package apptest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Statements is a tracer that keeps the text of all SQL the app has run, and knows which of it ran for a request: sweeps,
// the queue and the sealer work beside them at any time.
type Statements struct {
	mu     sync.Mutex
	ofReqs []string
	ended  []string
}

var (
	_ pgx.QueryTracer    = (*Statements)(nil)
	_ pgx.BatchTracer    = (*Statements)(nil)
	_ pgx.CopyFromTracer = (*Statements)(nil)
)

type statementKey struct{}

func (s *Statements) start(ctx context.Context, sql string) context.Context {
	s.forRequest(ctx, sql)
	return context.WithValue(ctx, statementKey{}, sql)
}

func (s *Statements) forRequest(ctx context.Context, sql string) {
	if httpx.RequestIDFrom(ctx) == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofReqs = append(s.ofReqs, sql)
}

func (s *Statements) end(ctx context.Context) {
	sql, _ := ctx.Value(statementKey{}).(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, sql)
}

// TraceQueryStart implements pgx.QueryTracer.
func (s *Statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	return s.start(ctx, d.SQL)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *Statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	s.end(ctx)
}

// TraceBatchStart implements pgx.BatchTracer.
func (s *Statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (s *Statements) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	s.forRequest(ctx, d.SQL)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, d.SQL)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (s *Statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (s *Statements) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceCopyFromStartData) context.Context {
	return s.start(ctx, "COPY "+d.TableName.Sanitize())
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (s *Statements) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromEndData) {
	s.end(ctx)
}

// Of returns the statements that run for requests while do runs, without what opens a connection, and what writes the audit
// trail: of reads that is done for several responses at once.
func (s *Statements) Of(do func()) []string {
	s.mu.Lock()
	from := len(s.ofReqs)
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, sql := range s.ofReqs[from:] {
		if !strings.Contains(sql, "INSERT INTO audit_events") && sql != ";" && sql != "-- ping" {
			found = append(found, sql)
		}
	}
	return found
}

// Ended counts the statements that contain a text and have ended.
func (s *Statements) Ended(text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sql := range s.ended {
		if strings.Contains(sql, text) {
			n++
		}
	}
	return n
}

// Await waits until more than n statements that contain a text have ended: that a subscription, whose protocol does not
// confirm it, has begun, can be seen by what it reads.
func (s *Statements) Await(t testing.TB, text string, n int) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() error {
		if got := s.Ended(text); got <= n {
			return errNotYet{text, got}
		}
		return nil
	})
}
