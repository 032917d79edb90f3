package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

type report struct {
	Status string
	Checks []result
}

func ask(t *testing.T, r *Readiness) (int, report) {
	t.Helper()
	w := do(r, httptest.NewRequest("GET", "/readyz", nil))
	var rep report
	if err := json.Unmarshal(w.Body.Bytes(), &rep); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return w.Code, rep
}

func up(context.Context) error { return nil }
func fails(context.Context) error {
	return fault.Unavailable("connection\nrefused %s", strings.Repeat("x", 500))
}

func TestReady(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	for name, tc := range map[string]struct {
		checks []Check
		code   int
		status string
	}{
		"nothing to ask":   {nil, 200, "ready"},
		"all answer":       {[]Check{{Name: "database", Probe: up}, {Name: "queue", Probe: up}}, 200, "ready"},
		"one fails":        {[]Check{{Name: "database", Probe: fails}, {Name: "queue", Probe: up}}, 503, "unready"},
		"an optional one":  {[]Check{{Name: "database", Probe: up}, {Name: "llm", Probe: fails, Optional: true}}, 200, "degraded"},
		"both":             {[]Check{{Name: "database", Probe: fails}, {Name: "llm", Probe: fails, Optional: true}}, 503, "unready"},
		"one panics":       {[]Check{{Name: "database", Probe: func(context.Context) error { panic("x") }}}, 503, "unready"},
		"one hangs":        {[]Check{{Name: "database", Timeout: time.Millisecond, Probe: hang}}, 503, "unready"},
		"one hangs longer": {[]Check{{Name: "database", Timeout: time.Millisecond, Probe: func(context.Context) error { <-never; return nil }}}, 503, "unready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, rep := ask(t, Ready(quiet(), tc.checks...))
			if code != tc.code || rep.Status != tc.status || len(rep.Checks) != len(tc.checks) {
				t.Fatalf("got %d %+v", code, rep)
			}
			for i, c := range rep.Checks {
				if c.Name != tc.checks[i].Name || c.OK == (c.Error != "") || len(c.Error) > 210 || strings.Contains(c.Error, "\n") {
					t.Errorf("check %d: %+v", i, c)
				}
			}
		})
	}
}

func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// What a driver says names hosts and users: anybody may read the answer, so that stays in the log, where it is said once.
func TestReadyKeepsDetailsToTheLog(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	driver := errors.New("failed to connect to `user=rapport database=rapport`: 10.1.2.3")
	var now atomic.Pointer[error]
	r := Ready(log, Check{Name: "database", Adapter: "postgres", Probe: func(context.Context) error { return *now.Load() }})
	for _, tc := range []struct {
		err    error
		shown  string
		logged int // lines so far
	}{
		{nil, "", 0},
		{driver, "failed", 1},
		{driver, "failed", 1},
		{fault.Unavailable("cannot connect").Because(driver), "cannot connect", 2},
		{fmt.Errorf("ping: %w", context.DeadlineExceeded), "timed out", 3},
		{nil, "", 4},
		{nil, "", 4},
	} {
		now.Store(&tc.err)
		if _, rep := ask(t, r); rep.Checks[0].Error != tc.shown {
			t.Errorf("%v is shown as %q, want %q", tc.err, rep.Checks[0].Error, tc.shown)
		}
		if got := strings.Count(lines.String(), "\n"); got != tc.logged {
			t.Errorf("after %v %d lines, want %d:\n%s", tc.err, got, tc.logged, lines)
		}
	}
	if got := strings.Count(lines.String(), "10.1.2.3"); got != 2 {
		t.Errorf("the log tells the details %d times:\n%s", got, lines)
	}
}

// A dependency without which most still works degrades, and what an error does not tell is not logged as nothing.
func TestDegradedIsNotUnready(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	ask(t, Ready(log, Check{Name: "limits", Adapter: "redis", Optional: true, Probe: func(context.Context) error { return fault.Unavailable("away") }}))
	got := lines.String()
	if !strings.Contains(got, "degraded") || !strings.Contains(got, "limits") || strings.Contains(got, "not ready") || strings.Contains(got, "nil") || strings.Contains(got, "null") {
		t.Errorf("the log says %s", got)
	}
}

func TestReadyNamesTheAdapter(t *testing.T) {
	t.Parallel()
	w := do(Ready(quiet(), Check{Name: "queue", Adapter: "sqs", Probe: up}), httptest.NewRequest("GET", "/readyz", nil))
	if !strings.Contains(w.Body.String(), `{"name":"queue","adapter":"sqs","ok":true,"latencyMs":`) {
		t.Errorf("got %s", w.Body)
	}
}

func TestDrainTurnsReadinessOff(t *testing.T) {
	t.Parallel()
	r := Ready(quiet(), Check{Name: "database", Probe: up})
	r.Drain()
	if code, rep := ask(t, r); code != 503 || rep.Status != "draining" || !rep.Checks[0].OK {
		t.Errorf("got %d %+v", code, rep)
	}
}

// Callers that come together cause one probe, and a probe that never comes back is not started again.
func TestReadyDoesNotPileUp(t *testing.T) {
	t.Parallel()
	var started atomic.Int32
	release := make(chan struct{})
	r := Ready(quiet(), Check{Name: "slow", Timeout: time.Minute, Probe: func(context.Context) error {
		started.Add(1)
		<-release
		return nil
	}})
	gone, leave := context.WithCancel(t.Context())
	leave()
	var first *round
	for range 10 { // callers who leave at once: they join the round in flight and take nothing from it
		if _, err := r.ask(gone); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		r.mu.Lock()
		if first == nil {
			first = r.round
		}
		if r.round != first {
			t.Error("a second round beside the first")
		}
		r.mu.Unlock()
	}
	answer := make(chan int, 1)
	go func() {
		code, _ := ask(t, r)
		answer <- code
	}()
	close(release)
	if code := <-answer; code != 200 {
		t.Errorf("status %d", code)
	}
	if got := started.Load(); got > 2 { // the last caller may have come after the release
		t.Errorf("%d probes for callers who came together", got)
	}

	var stuck atomic.Int32
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	r = Ready(quiet(), Check{Name: "stuck", Timeout: time.Millisecond, Probe: func(context.Context) error {
		stuck.Add(1)
		<-never
		return nil
	}})
	for i := range 3 {
		_, rep := ask(t, r)
		if busy := strings.Contains(rep.Checks[0].Error, "not come back"); busy != (i > 0) {
			t.Errorf("answer %d: %+v", i, rep)
		}
	}
	if got := stuck.Load(); got != 1 {
		t.Errorf("%d stuck probes", got)
	}
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	if w := do(Healthz(), httptest.NewRequest("GET", "/healthz", nil)); w.Code != 200 || w.Body.String() != "{\"status\":\"ok\"}\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
