package jobs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

const (
	victimURL  = "JOBS_TEST_VICTIM_DATABASE"
	shortLease = 500 * time.Millisecond
)

// victim is a worker process that takes a job, says so, and never finishes it.
func victim() {
	ctx := context.Background()
	pool, err := postgres.Open(ctx, os.Getenv(victimURL))
	if err != nil {
		panic(err)
	}
	r := jobs.NewRunner(jobs.Config{DB: pool, Log: slog.Default(), Lease: shortLease})
	r.Handle("test", func(context.Context, jobs.Job) error {
		fmt.Println("running")
		select {}
	})
	_, err = r.Drain(ctx)
	panic(err)
}

func TestAKilledProcessLosesItsJobToAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	b.enqueue(t, j)

	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimURL+"="+b.pool.Config().ConnString())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "running\n" {
		t.Fatalf("the victim says %q, %v", line, err)
	}
	ran := make(chan jobs.Job, 1)
	b.start(t, jobs.Config{}, func(_ context.Context, j jobs.Job) error { ran <- j; return nil })
	select {
	case <-ran:
		t.Fatal("the job was taken from a process that is alive")
	case <-time.After(2 * shortLease):
	}
	if err := cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	_ = cmd.Wait()
	killed := time.Now()
	got := wait(t, "somebody else runs the job", ran)
	if got.Attempt != 2 {
		t.Errorf("runs as attempt %d, want 2", got.Attempt)
	}
	b.expect(t, j.Entity, "DONE 2")
	t.Logf("taken over %s after the kill, with a lease of %s", time.Since(killed).Round(time.Millisecond), shortLease)
}

// orphan makes j look as a process leaves it that died in its n-th attempt, the lease having run out.
func (b *bundle) orphan(t *testing.T, j jobs.Job, n int) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), `
		UPDATE jobs SET state = 'RUNNING', attempt = $2, lease = gen_random_uuid(), lease_until = now() - interval '1 s',
			due_at = now() - interval '1 s'
		WHERE entity_id = $1`, j.Entity, n)
	if err != nil {
		t.Fatal(err)
	}
}

// A job that kills its process would otherwise kill one after the other.
func TestAJobThatKillsEveryProcessDies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	j.MaxAttempts = 2
	b.enqueue(t, j)
	b.orphan(t, j, 2)
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { t.Error("ran"); return nil })
	b.expect(t, j.Entity, "DEAD 2 LEASE_LOST")
}

func TestWhatWaitsBehindAnOrphanRunsAfterIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	b.enqueue(t, j)
	b.orphan(t, j, 1)
	b.enqueue(t, j)
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { return nil })
	b.expect(t, j.Entity, "DONE 2", "DONE 1")
}

func TestWhatWaitsBehindTheDeadRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	j.MaxAttempts = 2
	b.enqueue(t, j)
	b.orphan(t, j, 2)
	b.enqueue(t, j)
	b.start(t, jobs.Config{}, func(context.Context, jobs.Job) error { return nil })
	b.expect(t, j.Entity, "DEAD 2 LEASE_LOST", "DONE 1")
}

func TestTheLeaseIsRenewedWhileTheHandlerRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	var runs atomic.Int32
	finish := make(chan struct{})
	for range 2 { // the second one would take it over
		b.start(t, jobs.Config{Lease: shortLease}, func(ctx context.Context, _ jobs.Job) error {
			runs.Add(1)
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	b.enqueue(t, j)
	testkit.Eventually(t, patience, func() error {
		var kept bool
		err := b.pool.QueryRow(t.Context(), `SELECT lease_until - started_at > $1::interval FROM jobs WHERE state = 'RUNNING'`,
			4*shortLease).Scan(&kept)
		if err == nil && !kept {
			err = errors.New("not renewed for four leases yet")
		}
		return err
	})
	close(finish)
	b.expect(t, j.Entity, "DONE 1")
	if n := runs.Load(); n != 1 {
		t.Errorf("ran %d times", n)
	}
}

func TestAHandlerThatLostItsLeaseIsToldAndCannotFinish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	running, told := make(chan struct{}), make(chan struct{})
	stop := b.start(t, jobs.Config{Lease: shortLease}, func(ctx context.Context, _ jobs.Job) error {
		close(running)
		<-ctx.Done()
		close(told)
		return nil // it thinks that it succeeded
	})
	b.enqueue(t, j)
	wait(t, "the job runs", running)
	thief := id.New()
	_, err := b.pool.Exec(t.Context(), `
		UPDATE jobs SET lease = $1, lease_until = now() + interval '1 h', due_at = now() + interval '1 h'`, thief)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the handler is told", told)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b.expect(t, j.Entity, "RUNNING 1")
}

func TestAHandlerThatFinishesWithoutItsLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{
		"done": nil, "retry": errors.New("boom"), "dead": jobs.Permanent(errors.New("boom"), "NO"), "snooze": jobs.Snooze(0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			j := b.job()
			r := b.runner(jobs.Config{})
			r.Handle("test", func(context.Context, jobs.Job) error {
				_, err := b.pool.Exec(t.Context(), `UPDATE jobs SET lease = gen_random_uuid()`)
				if err != nil {
					t.Error(err)
				}
				return result
			}, jobs.OnDead(func(context.Context, pgx.Tx, jobs.Job) error { t.Error("declared dead"); return nil }))
			b.enqueue(t, j)
			b.drain(t, r)
			b.expect(t, j.Entity, "RUNNING 1")
		})
	}
}

func TestAHandlerThatTakesTooLongIsStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.job()
	j.MaxAttempts = 1
	r := b.runner(jobs.Config{Timeout: 50 * time.Millisecond})
	r.Handle("test", func(ctx context.Context, _ jobs.Job) error { <-ctx.Done(); return ctx.Err() })
	b.enqueue(t, j)
	b.drain(t, r)
	b.expect(t, j.Entity, "DEAD 1 TIMEOUT")
}
