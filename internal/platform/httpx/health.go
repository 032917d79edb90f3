package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// Healthz answers 200 as long as the process can answer at all. It asks no dependency: restarting a process does not
// mend a database.
func Healthz() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
}

// Check asks one dependency whether it answers.
type Check struct {
	Name    string // what it is for: "database", "queue"
	Adapter string // what stands behind it: "postgres", "sqs"
	// Optional marks a dependency without which most requests still work: its failure shows, but does not take the
	// server out of rotation.
	Optional bool
	Timeout  time.Duration // default 2 s
	// Probe returns nil if the dependency answers. Of its error only a fault's own message is shown, for anybody may ask;
	// the rest is in the log.
	Probe func(context.Context) error
}

// Readiness says whether the process wants traffic: every required dependency answers, and it is not draining.
type Readiness struct {
	log      *slog.Logger
	checks   []*checkState
	draining atomic.Bool

	mu    sync.Mutex
	round *round // the one in flight; callers that come meanwhile share it
}

type checkState struct {
	Check
	busy atomic.Bool // a probe that ignores its deadline is not started a second time
	last string      // what was logged: "" is well
}

type round struct {
	done    chan struct{}
	results []result
}

type result struct {
	Name      string  `json:"name"`
	Adapter   string  `json:"adapter,omitempty"`
	OK        bool    `json:"ok"`
	Optional  bool    `json:"optional,omitempty"`
	LatencyMS float64 `json:"latencyMs"`
	Error     string  `json:"error,omitempty"`
}

// Ready returns the readiness of the checks, which are asked at once and reported in the given order. Why one fails goes to
// log, when it begins to and when the reason changes.
func Ready(log *slog.Logger, checks ...Check) *Readiness {
	r := &Readiness{log: log}
	for _, c := range checks {
		if c.Timeout <= 0 {
			c.Timeout = 2 * time.Second
		}
		r.checks = append(r.checks, &checkState{Check: c})
	}
	return r
}

// Drain turns readiness off for good.
func (r *Readiness) Drain() { r.draining.Store(true) }

// Problems says in a line each what does not answer now, for whoever starts the process.
func (r *Readiness) Problems(ctx context.Context) (problems []string) {
	results, _ := r.ask(ctx)
	for _, res := range results {
		if !res.OK {
			problems = append(problems, res.Name+" ("+res.Adapter+"): "+res.Error)
		}
	}
	return problems
}

// ServeHTTP answers 200 (status ready, or degraded where an optional dependency fails) or 503 (unready, draining) and
// lists every dependency.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	results, err := r.ask(req.Context())
	if err != nil {
		return // the caller has gone
	}
	status, code := "ready", http.StatusOK
	for _, res := range results {
		switch {
		case res.OK:
		case res.Optional:
			if code == http.StatusOK {
				status = "degraded"
			}
		default:
			status, code = "unready", http.StatusServiceUnavailable
		}
	}
	if r.draining.Load() {
		status, code = "draining", http.StatusServiceUnavailable
	}
	writeJSON(w, code, map[string]any{"status": status, "checks": results})
}

// ask returns the results of the round in flight, or of a new one. The round outlives a caller who goes away.
func (r *Readiness) ask(ctx context.Context) ([]result, error) {
	r.mu.Lock()
	cur := r.round
	if cur == nil {
		cur = &round{done: make(chan struct{}), results: make([]result, len(r.checks))}
		r.round = cur
		go r.run(context.WithoutCancel(ctx), cur)
	}
	r.mu.Unlock()
	select {
	case <-cur.done:
		return cur.results, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *Readiness) run(ctx context.Context, cur *round) {
	var wg sync.WaitGroup
	for i, c := range r.checks {
		wg.Go(func() {
			var err error
			cur.results[i], err = c.probe(ctx)
			c.note(ctx, r.log, err)
		})
	}
	wg.Wait()
	r.mu.Lock()
	r.round = nil
	r.mu.Unlock()
	close(cur.done)
}

// note logs err if it is news. Rounds come one after the other, so it is alone.
func (c *checkState) note(ctx context.Context, log *slog.Logger, err error) {
	now := ""
	if err != nil {
		now = shown(err)
	}
	switch {
	case now == c.last:
	case err != nil:
		var known *fault.Error
		if errors.As(err, &known) {
			err = errors.Unwrap(known) // what the message does not tell
		}
		state := "not ready"
		if c.Optional {
			state = "degraded"
		}
		about := []any{"check", c.Name, "adapter", c.Adapter, "reason", now}
		if err != nil {
			about = append(about, "err", err)
		}
		log.WarnContext(ctx, state, about...)
	default:
		log.InfoContext(ctx, "answers again", "check", c.Name, "adapter", c.Adapter)
	}
	c.last = now
}

var (
	errProbeBusy  = fault.Unavailable("timed out, and the last probe has not come back yet")
	errProbePanic = fault.Unavailable("the probe panicked")
	errProbeSlow  = fault.Unavailable("timed out")
)

// shown is what anybody may know of err: a driver's words name hosts and users.
func shown(err error) string {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return oneLine(known.Message)
	case errors.Is(err, context.DeadlineExceeded):
		return errProbeSlow.Message
	}
	return "failed"
}

// probe runs the check under its timeout, and returns at the timeout even if the check does not.
func (c *checkState) probe(ctx context.Context) (result, error) {
	res := result{Name: c.Name, Adapter: c.Adapter, Optional: c.Optional}
	start := time.Now()
	var err error = errProbeBusy
	if c.busy.CompareAndSwap(false, true) {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		answer := make(chan error, 1)
		go func() {
			var err error = errProbePanic
			defer func() {
				_ = recover() // a health check must not be what kills the process
				c.busy.Store(false)
				answer <- err
			}()
			err = c.Probe(ctx)
		}()
		select {
		case err = <-answer:
		case <-ctx.Done():
			err = errProbeSlow
		}
	}
	res.LatencyMS = float64(time.Since(start).Microseconds()) / 1000
	res.OK = err == nil
	if err != nil {
		res.Error = shown(err)
	}
	return res, err
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone: nobody to tell
}
