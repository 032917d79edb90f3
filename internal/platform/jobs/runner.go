package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
)

// Config of a runner. Only DB and Log must be set, and Queue for Run.
type Config struct {
	DB    *pgxpool.Pool
	Queue queue.Queue
	Log   *slog.Logger

	Concurrency int           // handlers at a time; default 8
	PerOrg      int           // running jobs of one organization at a time, in all processes together; 0 is no limit
	Yielding    []string      // kinds that do not count for PerOrg, and whose handlers Yield to those of the others
	Lease       time.Duration // renewed at a third of it; default 30 s
	Timeout     time.Duration // for one call of a handler; default 15 min
	Drain       time.Duration // what running handlers get to finish when Run's context ends; default 20 s
	Backoff     Backoff       // default DefaultBackoff

	// Around wraps every call of a handler: the place for traces and metrics. Optional.
	Around func(Handler) Handler
	// Died hears of every job that has died, once, after it was written down; what depends on a job is told by OnDead. Optional.
	Died func(ctx context.Context, job Job)
}

// Runner runs jobs.
type Runner struct {
	conf     Config
	store    store
	handlers map[string]registration
	others   others
}

// registration is what is known about a kind.
type registration struct {
	handler Handler
	onDead  func(ctx context.Context, tx pgx.Tx, job Job) error
}

// NewRunner returns a runner without handlers.
//
// If PerOrg is set, let the queue keep the same limit (pgqueue.Options.PerOrg, Lanes): the queue then does not deliver what the
// runner would have to refuse. The runner enforces it in any case.
func NewRunner(conf Config) *Runner {
	if conf.Concurrency <= 0 {
		conf.Concurrency = 8
	}
	if conf.Lease <= 0 {
		conf.Lease = 30 * time.Second
	}
	if conf.Timeout <= 0 {
		conf.Timeout = 15 * time.Minute
	}
	if conf.Drain <= 0 {
		conf.Drain = 20 * time.Second
	}
	if conf.Backoff == nil {
		conf.Backoff = DefaultBackoff
	}
	r := &Runner{conf: conf, handlers: map[string]registration{}}
	r.store = store{db: conf.DB, lease: conf.Lease, perOrg: conf.PerOrg, yielding: append([]string{}, conf.Yielding...), tell: r.tell}
	return r
}

// Option adds to what Handle registers.
type Option func(*registration)

// OnDead has f told of every job of the kind that dies, in the transaction that declares it dead and whatever it dies of:
// the error of its last attempt, Permanent, or the end of a process in its last attempt. So what depends on the job can say
// that it will not happen.
//
// If f fails, the job is not dead yet, and it is told again within a lease. No handler that could still finish the job runs
// meanwhile, but perhaps one that has lost its lease and not noticed. f must be cheap and safe: what killed a process,
// such as reading what is too large, would kill the next one too.
func OnDead(f func(ctx context.Context, tx pgx.Tx, job Job) error) Option {
	return func(r *registration) { r.onDead = f }
}

// Handle registers the handler of a kind. All of it happens before Run and Drain; a kind can be registered once.
func (r *Runner) Handle(kind string, h Handler, opts ...Option) {
	if kind == "" || h == nil || r.handlers[kind].handler != nil {
		panic(fmt.Sprintf("jobs: kind %q needs exactly one handler", kind))
	}
	if r.conf.Around != nil {
		h = r.conf.Around(h)
	}
	reg := registration{handler: h}
	for _, o := range opts {
		o(&reg)
	}
	r.handlers[kind] = reg
}

// tell tells who wants to know that a job is dead.
func (r *Runner) tell(ctx context.Context, tx pgx.Tx, job Job) error {
	onDead := r.handlers[job.Kind].onDead
	if onDead == nil {
		return nil
	}
	return call(ctx, func(ctx context.Context, job Job) error { return onDead(ctx, tx, job) }, job)
}

// Run works until ctx ends. It then takes no more jobs and waits for the running handlers; those that need longer than
// the drain timeout have their context ended and their jobs given back, without counting as an attempt. It returns nil
// if every handler has returned, which a handler that ignores its context can prevent.
func (r *Runner) Run(ctx context.Context) error {
	// Handlers outlive ctx by the drain timeout, so they get a context of their own.
	work, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()

	slots := make(chan struct{}, r.conf.Concurrency)
	var running sync.WaitGroup
	var failures int
	for ctx.Err() == nil {
		free := take(ctx, slots)
		if free == 0 {
			break
		}
		deliveries, err := r.conf.Queue.Receive(ctx, free)
		for range free - len(deliveries) {
			<-slots
		}
		if err != nil {
			if ctx.Err() == nil {
				failures++
				pause := r.pause(failures)
				r.conf.Log.WarnContext(ctx, "receiving jobs failed", "error", err, "retry_in", pause)
				sleep(ctx, pause)
			}
			continue
		}
		failures = 0
		for _, d := range deliveries {
			running.Go(func() {
				defer func() { <-slots }()
				if err := r.Deliver(work, r.conf.Queue, d); err != nil {
					r.settle(work, d, "release", r.conf.Queue.Release(work, d, r.pause(1)))
				}
			})
		}
	}

	finished := make(chan struct{})
	go func() {
		running.Wait()
		close(finished)
	}()
	if waitFor(finished, r.conf.Drain) {
		return nil
	}
	r.conf.Log.WarnContext(ctx, "drain timeout: interrupting the running jobs", "running", len(slots))
	interrupt()
	// Handlers get a moment to notice, and we a moment to give their jobs back.
	if waitFor(finished, 5*time.Second) {
		return nil
	}
	return fmt.Errorf("jobs: %d handlers ignore the end of their context", len(slots))
}

// take waits for a free slot and takes it and all others that are free. It returns 0 if ctx ends first.
func take(ctx context.Context, slots chan struct{}) int {
	select {
	case <-ctx.Done():
		return 0
	case slots <- struct{}{}:
	}
	for n := 1; ; n++ {
		select {
		case slots <- struct{}{}:
		default:
			return n
		}
	}
}

// Drain works, without a queue, until no job of a registered kind is due that could be claimed, and returns how many runs
// it made. Jobs that come back later (a backoff, a snooze), jobs that others have locked and those of the kinds in later are left. It is for tests and
// for programs that end.
func (r *Runner) Drain(ctx context.Context, later ...string) (runs int, err error) {
	kinds := slices.DeleteFunc(slices.Sorted(maps.Keys(r.handlers)), func(kind string) bool { return slices.Contains(later, kind) })
	// A queue at work elsewhere locks rows for moments: do not take one for the end.
	const patience, pause = 5, 20 * time.Millisecond
	for idle := 0; idle < patience; {
		ids, err := r.store.due(ctx, kinds, r.conf.Concurrency)
		if err != nil || len(ids) == 0 {
			return runs, err
		}
		ran, progress, err := r.drainRound(ctx, ids)
		runs += ran
		if err := errors.Join(err, ctx.Err()); err != nil {
			return runs, err
		}
		if progress {
			idle = 0
			continue
		}
		idle++
		sleep(ctx, pause)
	}
	return runs, ctx.Err()
}

// drainRound runs those of the jobs that can be claimed, at the same time.
func (r *Runner) drainRound(ctx context.Context, ids []id.UUID) (runs int, progress bool, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, jobID := range ids {
		wg.Go(func() {
			c, failed := r.store.claim(ctx, jobID)
			switch {
			case failed != nil:
			case c.claimed:
				r.run(ctx, c)
			case c.lapsed:
				failed = r.bury(ctx, jobID, r.conf.Log.With("job", jobID))
			}
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, failed)
			if failed == nil && (c.claimed || c.lapsed) {
				progress = true
			}
			if failed == nil && c.claimed {
				runs++
			}
		})
	}
	wg.Wait()
	return runs, progress, err
}

// Deliver does what a delivery asks for, and returns when the handler has. For what is handed deliveries and does not receive them;
// Run is for everything else. The delivery itself is settled with q when the handler starts, which does not wait for a
// queue that may be slow: from the claim on, it is the row that knows when it wants a worker again. When ctx ends the handler is
// interrupted, and its job given back. An error says that the row could not be looked at, and that the delivery is not settled.
func (r *Runner) Deliver(ctx context.Context, q queue.Queue, d queue.Delivery) error {
	log := r.conf.Log.With("job", d.ID, "kind", d.Kind)
	settle := func(what string, err error) { r.settle(ctx, d, what, err) }
	if r.handlers[d.Kind].handler == nil {
		// Another version of the program may know it, and this one must not be asked again at once.
		log.WarnContext(ctx, "no handler for this kind of job")
		settle("release", q.Release(ctx, d, time.Minute))
		return nil
	}
	c, err := r.claim(ctx, d.ID, log)
	if err != nil {
		return err
	}
	if c.lapsed && r.bury(ctx, d.ID, log) != nil {
		settle("release", q.Release(ctx, d, r.conf.Lease))
		return nil
	}
	if !c.claimed && c.again > 0 {
		settle("release", q.Release(ctx, d, c.again))
		return nil
	}
	var acking sync.WaitGroup
	acking.Go(func() { settle("ack", q.Ack(ctx, d)) })
	if c.claimed {
		r.run(ctx, c)
	}
	acking.Wait()
	return nil
}

// settle tells of a delivery that could not be settled. There is no harm: it ends by itself, and a claimed row refuses a second claim.
func (r *Runner) settle(ctx context.Context, d queue.Delivery, how string, err error) {
	if err != nil {
		r.conf.Log.WarnContext(ctx, "settling a delivery failed", "job", d.ID, "kind", d.Kind, "how", how, "error", err)
	}
}

// bury declares a job dead whose last attempt's lease has run out.
func (r *Runner) bury(ctx context.Context, jobID id.UUID, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, r.conf.Lease)
	defer cancel()
	buried, job, err := r.store.bury(ctx, jobID, nil, outcome{code: CodeLeaseLost, text: "the lease of the last attempt ran out"})
	switch {
	case err != nil:
		log.ErrorContext(ctx, "declaring a job dead failed", "error", describe(err))
	case buried:
		log.ErrorContext(ctx, "job is dead", "code", CodeLeaseLost)
		r.died(ctx, job)
	}
	return err
}

// claim tries a few times: after a failover every connection of the pool may have to fail once, and giving up means
// waiting for the end of the delivery.
func (r *Runner) claim(ctx context.Context, jobID id.UUID, log *slog.Logger) (c claim, err error) {
	for range 10 {
		if c, err = r.store.claim(ctx, jobID); err == nil || ctx.Err() != nil {
			break
		}
		log.WarnContext(ctx, "claiming a job failed", "error", err)
		sleep(ctx, r.pause(1))
	}
	return c, err
}

// run calls the handler of a claimed job and records the outcome.
func (r *Runner) run(ctx context.Context, c claim) {
	job := c.job
	log := r.conf.Log.With("job", job.ID, "org", job.Org, "kind", job.Kind, "entity", job.Entity, "attempt", job.Attempt)
	started := time.Now()

	hctx, cancel := context.WithTimeout(ctx, r.conf.Timeout)
	defer cancel()
	hctx, lose := context.WithCancelCause(hctx)
	beat, stopBeat := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeat() // also if the handler ends its goroutine: the lease then runs out
	var heart sync.WaitGroup
	heart.Go(func() { r.heartbeat(beat, job, c.lease, started, lose, log) })
	err := r.call(hctx, job)
	stopBeat()
	heart.Wait()

	if context.Cause(hctx) == errLeaseLost {
		log.WarnContext(ctx, "job lost its lease while it ran", "took", time.Since(started))
		return
	}
	o := judge(job, err, ctx.Err() != nil, r.conf.Backoff)
	held, err := r.finish(ctx, job, c.lease, o)
	took := time.Since(started)
	switch {
	case err != nil: // the lease runs out and the job runs again
		log.ErrorContext(ctx, "recording the outcome of a job failed", "error", describe(err), "took", took)
	case !held:
		log.WarnContext(ctx, "job lost its lease while it ran", "took", took)
	case o.verdict == done:
		log.DebugContext(ctx, "job is done", "took", took)
	case o.verdict == dead:
		log.ErrorContext(ctx, "job is dead", "code", o.code, "took", took, stack(o))
		r.died(context.WithoutCancel(ctx), job)
	case o.verdict == snooze:
		log.DebugContext(ctx, "job comes back", "delay", o.delay, "took", took)
	default:
		log.WarnContext(ctx, "job failed", "code", o.code, "retry_in", o.delay, "took", took, stack(o))
	}
}

// call calls the handler of a job, which others can see at work, or which sees the others.
func (r *Runner) call(ctx context.Context, job Job) error {
	if slices.Contains(r.conf.Yielding, job.Kind) {
		ctx = context.WithValue(ctx, othersKey{}, &r.others)
	} else {
		defer r.others.enter()()
	}
	return call(ctx, r.handlers[job.Kind].handler, job)
}

func (r *Runner) died(ctx context.Context, job Job) {
	if r.conf.Died != nil {
		r.conf.Died(ctx, job)
	}
}

func stack(o outcome) slog.Attr {
	if o.stack == nil {
		return slog.Attr{}
	}
	return slog.String("stack", string(o.stack))
}

// call calls h and turns a panic into an error.
func call(ctx context.Context, h Handler, job Job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return h(ctx, job)
}

// finish records an outcome even if ctx has ended, and tries for as long as the lease can last.
func (r *Runner) finish(ctx context.Context, job Job, lease id.UUID, o outcome) (held bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.conf.Lease)
	defer cancel()
	for failures := 1; ; failures++ {
		held, err = r.store.finish(ctx, job, lease, o)
		if err == nil || ctx.Err() != nil {
			return held, err
		}
		sleep(ctx, r.pause(failures))
	}
}

// heartbeat renews the lease until ctx ends. When the lease is taken, or could not be renewed in time, it calls lose.
func (r *Runner) heartbeat(
	ctx context.Context, job Job, lease id.UUID, renewed time.Time, lose context.CancelCauseFunc, log *slog.Logger,
) {
	for {
		// Three chances a lease: a failed renewal is tried again at the next.
		sleep(ctx, r.conf.Lease/3)
		if ctx.Err() != nil {
			return
		}
		asked := time.Now()
		attempt, cancel := context.WithDeadline(ctx, renewed.Add(r.conf.Lease))
		held, err := r.store.renew(attempt, job.ID, lease)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && held:
			renewed = asked
			continue
		case err == nil, time.Since(renewed) >= r.conf.Lease:
			lose(errLeaseLost)
			return
		}
		log.WarnContext(ctx, "renewing a lease failed", "error", err)
	}
}

// pause is how long to wait after so many failures in a row to reach the database or the queue.
func (r *Runner) pause(failures int) time.Duration {
	d := min(100*time.Millisecond<<min(failures-1, 10), 2*time.Second)
	return d/2 + rand.N(d)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func waitFor(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
