// Package once has a request done once that a client sends again, because it has not seen the answer.
//
// The client gives the request a key. Who comes first with it runs, and leaves the answer under it; who comes again gets that. Nobody
// else can read what is left: it is encrypted by a secret made of the client's key, which is kept nowhere. So whoever sees all that a Store holds learns
// neither what was asked nor what was answered.
package once

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Store keeps values under keys, and forgets none before its time. All methods are safe for concurrent use. They return an Unavailable fault
// where nobody can look.
type Store interface {
	// Claim puts value under key for so long if nothing is there, and then returns nil. Else it returns what is there.
	Claim(ctx context.Context, key Key, value []byte, keep time.Duration) (there []byte, err error)

	// Put puts value under key for so long, whatever is there.
	Put(ctx context.Context, key Key, value []byte, keep time.Duration) error

	// Forget takes away what is under key, if something is.
	Forget(ctx context.Context, key Key) error
}

// Key is what a value is kept under: a name within an organization.
type Key struct {
	Org  id.UUID
	Name string // of hexadecimal digits
}

// Codes of requests that are not run, and not answered either.
const (
	CodeReused = "IDEMPOTENCY_KEY_REUSED"     // the key was sent with another request
	CodeInUse  = "IDEMPOTENCY_KEY_IN_USE"     // the request is still running
	CodeLost   = "IDEMPOTENCY_ANSWER_UNKNOWN" // it has run, wholly or in part, and the answer is gone
)

// Running is how long a request may run: what has begun longer ago and left no answer has died.
const Running = time.Minute

const (
	apart   = 10 * time.Second // at most, the clocks of two processes
	patient = 2 * time.Second  // who comes while the request runs
	largest = 256 << 10        // bytes of an answer that is kept
	leaving = 5 * time.Second  // to leave an answer, when the request has run for as long as it may
)

// Request is what is to be done once.
type Request struct {
	Org, User id.UUID
	Key       string // the client's, which nobody can guess
	Payload   []byte // what is asked
}

// Requests are those that are done once.
type Requests struct {
	store Store
	log   *slog.Logger
	keep  time.Duration
}

// New returns requests whose answers store keeps for so long.
func New(store Store, log *slog.Logger, keep time.Duration) *Requests {
	return &Requests{store, log, keep}
}

// Turn is the right to run a request, which ends with Keep or Forget. One that ends with neither has died.
type Turn struct {
	requests *Requests
	sealer   sealer
	key      Key
	record   record
}

// record is what is kept of a request.
type record struct {
	Payload []byte // the hash of it
	Began   time.Time
	Done    bool
	Answer  []byte // nil until it is done, and of one that is too large
}

// Begin returns the turn to run a request, or the answer that it had before. Who comes while it runs waits for a moment. It fails with a Conflict
// of one of the codes above.
func (r *Requests) Begin(ctx context.Context, q Request) (_ *Turn, answer []byte, err error) {
	t := &Turn{requests: r}
	if t.sealer, t.key, err = open(q); err != nil {
		return nil, nil, err
	}
	payload := sha256.Sum256(q.Payload)
	for began, pause := time.Now(), 20*time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		t.record = record{Payload: payload[:], Began: time.Now()}
		there, err := r.store.Claim(ctx, t.key, t.sealer.seal(t.record), r.keep)
		if err != nil {
			return nil, nil, err
		}
		if there == nil {
			return t, nil, nil
		}
		had, err := t.sealer.unseal(there)
		switch {
		case err != nil:
			return nil, nil, err
		case !bytes.Equal(had.Payload, payload[:]):
			return nil, nil, fault.Conflict("this Idempotency-Key was sent with another request: take another key for this one").WithCode(CodeReused)
		case had.Answer != nil:
			return nil, had.Answer, nil
		case had.Done:
			return nil, nil, fault.Conflict("this was done, and its answer is too large to be kept: fetch what it changed").WithCode(CodeLost)
		case time.Since(had.Began) > Running+apart:
			return nil, nil, fault.Conflict("the server that ran this has not answered: look whether it was done, and send it with another Idempotency-Key if not").
				WithCode(CodeLost)
		case time.Since(began) > patient:
			return nil, nil, fault.Conflict("this request is still running: send it again in a moment").WithCode(CodeInUse).After(time.Second)
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Keep leaves the answer of a request that has run to those who come again. If it cannot, they are told that it is gone.
func (t *Turn) Keep(ctx context.Context, answer []byte) {
	t.record.Done = true
	if len(answer) <= largest {
		t.record.Answer = answer
	}
	t.end(ctx, func(ctx context.Context) error {
		return t.requests.store.Put(ctx, t.key, t.sealer.seal(t.record), t.requests.keep)
	})
}

// Forget has a request that changed nothing run again when it comes again.
func (t *Turn) Forget(ctx context.Context) {
	t.end(ctx, func(ctx context.Context) error { return t.requests.store.Forget(ctx, t.key) })
}

func (t *Turn) end(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	if err := do(ctx); err != nil {
		t.requests.log.WarnContext(ctx, "how a request with an Idempotency-Key ended cannot be kept", "err", err)
	}
}
