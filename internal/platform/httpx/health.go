package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
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
	// Probe returns nil if the dependency answers. Its error text is shown, so it must hold no secret.
	Probe func(context.Context) error
}

// Readiness says whether the process wants traffic: every required dependency answers, and it is not draining.
type Readiness struct {
	checks   []*checkState
	draining atomic.Bool

	mu    sync.Mutex
	round *round // the one in flight; callers that come meanwhile share it
}

type checkState struct {
	Check
	busy atomic.Bool // a probe that ignores its deadline is not started a second time
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

// Ready returns the readiness of the checks, which are asked at once and reported in the given order.
func Ready(checks ...Check) *Readiness {
	r := &Readiness{}
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
		wg.Go(func() { cur.results[i] = c.probe(ctx) })
	}
	wg.Wait()
	r.mu.Lock()
	r.round = nil
	r.mu.Unlock()
	close(cur.done)
}

var (
	errProbeBusy  = errors.New("the last probe has not come back yet")
	errProbePanic = errors.New("the probe panicked")
)

// probe runs the check under its timeout, and returns at the timeout even if the check does not.
func (c *checkState) probe(ctx context.Context) result {
	res := result{Name: c.Name, Adapter: c.Adapter, Optional: c.Optional}
	start := time.Now()
	err := errProbeBusy
	if c.busy.CompareAndSwap(false, true) {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		answer := make(chan error, 1)
		go func() {
			err := errProbePanic
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
			err = errors.New("no answer within " + c.Timeout.String())
		}
	}
	res.LatencyMS = float64(time.Since(start).Microseconds()) / 1000
	res.OK = err == nil
	if err != nil {
		res.Error = oneLine(err.Error())
	}
	return res
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
