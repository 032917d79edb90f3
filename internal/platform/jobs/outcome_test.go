package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const backoff = 7 * time.Second
	var pointer *int
	panicked := func(f func()) error {
		return call(t.Context(), func(context.Context, Job) error { f(); return nil }, Job{})
	}
	for name, test := range map[string]struct {
		err         error
		attempt     int
		interrupted bool
		want        outcome
	}{
		"success":             {nil, 1, false, outcome{verdict: done}},
		"success at the end":  {nil, 1, true, outcome{verdict: done}},
		"permanent":           {Permanent(errors.New("no speech"), "EMPTY"), 1, false, outcome{verdict: dead, code: "EMPTY", text: "no speech"}},
		"permanent, wrapped":  {fmt.Errorf("parse: %w", Permanent(errors.New("x"), "EMPTY")), 1, false, outcome{verdict: dead, code: "EMPTY", text: "parse: x"}},
		"permanent nil":       {Permanent(nil, "EMPTY"), 1, false, outcome{verdict: done}},
		"snooze":              {Snooze(time.Hour), 10, false, outcome{verdict: snooze, delay: time.Hour}},
		"snooze into past":    {SnoozeUntil(time.Now().Add(-time.Hour)), 1, false, outcome{verdict: snooze}},
		"unknown":             {errors.New("x"), 1, false, outcome{verdict: retry, delay: backoff, code: CodeInternal, text: "x"}},
		"last attempt":        {errors.New("x"), 10, false, outcome{verdict: dead, code: CodeInternal, text: "x"}},
		"interrupted":         {context.Canceled, 10, true, outcome{verdict: snooze}},
		"fault":               {fault.Unavailable("mail"), 1, false, outcome{verdict: retry, delay: backoff, code: "UNAVAILABLE", text: "mail"}},
		"fault with code":     {fault.Limited("x").WithCode("QUOTA"), 1, false, outcome{verdict: retry, delay: backoff, code: "QUOTA", text: "x"}},
		"timeout":             {fmt.Errorf("call: %w", context.DeadlineExceeded), 1, false, outcome{verdict: retry, delay: backoff, code: CodeTimeout, text: "call: context deadline exceeded"}},
		"panic with a secret": {panicked(func() { panic("what she said") }), 1, false, outcome{verdict: retry, delay: backoff, code: CodePanic, text: "panic: string"}},
		"panic of Go":         {panicked(func() { *pointer = 1 }), 1, false, outcome{verdict: retry, delay: backoff, code: CodePanic, text: "panic: runtime error: invalid memory address or nil pointer dereference"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge(Job{Attempt: test.attempt, MaxAttempts: 10}, test.err, test.interrupted,
				func(int) time.Duration { return backoff })
			if (got.code == CodePanic) != (got.stack != nil) {
				t.Errorf("code %q with a stack of %d bytes", got.code, len(got.stack))
			}
			got.stack = nil
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestDescribeKeepsContentOut(t *testing.T) {
	t.Parallel()
	pg := &pgconn.PgError{Severity: "ERROR", Code: "22P02", Message: `invalid input: "what she said"`, Detail: "what she said"}
	got := describe(fmt.Errorf("jobs.x: %w", pg))
	if strings.Contains(got, "she said") || got != "jobs.x: SQLSTATE 22P02" {
		t.Errorf("describes as %q", got)
	}
	got = describe(errors.New("a\x00b\xff" + strings.Repeat("é", 1000)))
	if len(got) > 520 || strings.ContainsRune(got, 0) || !strings.HasPrefix(got, "ab\uFFFDé") {
		t.Errorf("describes as %q", got)
	}
}

func TestDefaultBackoff(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{
		0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 9: 512 * time.Second, 10: 15 * time.Minute, 1000: 15 * time.Minute,
	} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := DefaultBackoff(attempt)
			if d < want/2 || d >= want*3/2 {
				t.Fatalf("after attempt %d: %s, want %s give or take half", attempt, d, want)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("after attempt %d: no jitter", attempt)
		}
	}
}
