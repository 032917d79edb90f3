package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Codes that the runner itself gives; handlers add their own by Permanent and by faults.
const (
	CodeInternal   = "INTERNAL"   // an error without a code
	CodePanic      = "PANIC"      // the handler panicked
	CodeTimeout    = "TIMEOUT"    // the handler took too long
	CodeLeaseLost  = "LEASE_LOST" // the process died, or could not reach the database, during the last attempt
	CodeSuperseded = "SUPERSEDED" // DONE without success, because a newer job about the same entity does it
)

type permanentError struct {
	err  error
	code string
}

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent says that trying again is no use: the job is DEAD with this code. A nil err is nil.
func Permanent(err error, code string) error {
	if err == nil {
		return nil
	}
	return &permanentError{err: err, code: code}
}

type snoozeError struct{ delay time.Duration }

func (e *snoozeError) Error() string { return fmt.Sprintf("snoozed for %s", e.delay) }

// Snooze says that it is too early: the job comes back after d, and this was not an attempt.
func Snooze(d time.Duration) error { return &snoozeError{delay: max(d, 0)} }

// SnoozeUntil is Snooze for a point in time.
func SnoozeUntil(t time.Time) error { return Snooze(time.Until(t)) }

// Backoff says how long to wait after the given attempt, the first being 1, has failed.
type Backoff func(attempt int) time.Duration

// DefaultBackoff doubles from 2 s up to 15 min, give or take half, so that what failed together is not tried together.
func DefaultBackoff(attempt int) time.Duration {
	const first, last = 2 * time.Second, 15 * time.Minute
	d := last
	if attempt < 10 {
		d = min(first<<max(attempt-1, 0), last)
	}
	return d/2 + rand.N(d)
}

// panicError is what a handler's panic becomes. The value of a panic may quote anything, so only its type is kept,
// unless it comes from the Go runtime itself.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	if err, ok := e.value.(runtime.Error); ok {
		return "panic: " + err.Error()
	}
	return fmt.Sprintf("panic: %T", e.value)
}

var errLeaseLost = errors.New("jobs: the lease was lost")

type verdict int

const (
	done verdict = iota
	dead
	retry
	snooze // comes back without having used up an attempt
)

type outcome struct {
	verdict verdict
	delay   time.Duration // for retry and snooze
	code    string
	text    string
	stack   []byte // of a panic
}

// judge turns what a handler returned into what happens to its job. A handler that was interrupted by our own end is not
// to blame for its error.
func judge(job Job, err error, interrupted bool, backoff Backoff) outcome {
	var (
		permanent *permanentError
		snoozed   *snoozeError
		panicked  *panicError
		known     *fault.Error
	)
	switch {
	case err == nil:
		return outcome{verdict: done}
	case errors.As(err, &permanent):
		return outcome{verdict: dead, code: permanent.code, text: describe(err)}
	case errors.As(err, &snoozed):
		return outcome{verdict: snooze, delay: snoozed.delay}
	case interrupted:
		return outcome{verdict: snooze}
	}
	o := outcome{verdict: retry, code: CodeInternal, text: describe(err)}
	switch {
	case errors.As(err, &panicked):
		o.code, o.stack = CodePanic, panicked.stack
	case errors.Is(err, context.DeadlineExceeded):
		o.code = CodeTimeout
	case errors.As(err, &known) && known.Code != "":
		o.code = known.Code
	case known != nil:
		o.code = string(known.Kind)
	}
	if job.Attempt >= job.MaxAttempts {
		o.verdict = dead
		return o
	}
	o.delay = backoff(job.Attempt)
	return o
}

// describe is the text of an error for operators. PostgreSQL quotes values in its messages, so of its errors only the
// code and the names of things are kept.
func describe(err error) string {
	const limit = 500
	text := err.Error()
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		safe := "SQLSTATE " + pg.Code
		if pg.ConstraintName != "" {
			safe += " " + pg.ConstraintName
		}
		text = strings.ReplaceAll(text, pg.Error(), safe)
	}
	if text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD"); len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
