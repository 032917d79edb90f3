// Command chaos imports transcripts while processes are killed, the database crashes, AWS is away, and messages come ten times, and
// looks whether anything was lost, done twice or left lying around: `make chaos`. It prints what it did and found, and fails if
// something is not as if nothing had happened.
//
// Everything is real, and runs on this machine: PostgreSQL with fsync, an emulator of S3 and SQS, servers and workers as processes.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/tools/bench/rig"
)

type options struct {
	imports int
	seed    uint64
	minutes int // of talk in a transcript
	length  time.Duration
	away    time.Duration
	settle  time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.imports, "imports", 500, "how many transcripts are imported")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what happens when follows from this number, as far as the machine lets it")
	flag.IntVar(&o.minutes, "minutes", 10, "how long the conversations are, in minutes")
	flag.DurationVar(&o.length, "length", 3*time.Minute, "over how long the imports are spread")
	flag.DurationVar(&o.away, "away", 30*time.Second, "how long AWS is away, once; a tenth of it several times")
	flag.DurationVar(&o.settle, "settle", 5*time.Minute, "how long nothing more may get done, of what was begun, when all is quiet again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	fmt.Printf("%d imports of %d minutes, seed %d\n", o.imports, o.minutes, o.seed)
	r, closeAll, err := rig.Start(ctx, progress)
	if err != nil {
		return err
	}
	defer closeAll()
	// Whoever takes over from the dead should not have to wait for a minute.
	quick := []string{"RAPPORT_JOB_LEASE=5s", "RAPPORT_SQS_RESEND=5s", "RAPPORT_SHUTDOWN_TIMEOUT=2s"}
	var all []*rig.Process
	for _, role := range []config.Role{config.Server, config.Server, config.Worker, config.Worker} {
		p, err := r.Run(ctx, role, quick...)
		if err != nil {
			return err
		}
		defer p.Kill()
		all = append(all, p)
	}
	c := &client{rig: r, servers: all[:2], minutes: o.minutes, random: rand.New(rand.NewPCG(o.seed, 1))}

	progress("importing in peace, to compare with")
	want, err := c.undisturbed(ctx)
	if err != nil {
		return err
	}
	if err := poison(ctx, r); err != nil {
		return err
	}
	progress("importing in chaos")
	began := time.Now()
	upset, calm := context.WithCancel(ctx)
	m := &mayhem{rig: r, processes: all, random: rand.New(rand.NewPCG(o.seed, 2)), away: o.away, done: map[string]int{}}
	over := make(chan error, 1)
	go func() { over <- m.run(upset) }()
	err = c.imports(ctx, o.imports, o.length)
	calm()
	if err := <-over; err != nil {
		return err
	}
	if err != nil {
		return err
	}
	acknowledged := time.Since(began)
	progress("all is quiet; waiting for what was begun")
	if err := c.settled(ctx, o.imports, o.settle); err != nil {
		return fmt.Errorf("%w\n%s", err, r.Log())
	}
	fmt.Printf("\n%d imports acknowledged after %.0f s, done after %.0f s\n", o.imports, acknowledged.Seconds(), time.Since(began).Seconds())
	m.print()
	return judge(ctx, r, c, want, o.imports)
}

func progress(line string) { fmt.Fprintln(os.Stderr, "… "+line) }
