// Command runaws runs the product as it runs on AWS, on this machine and without an account: files in S3, jobs through SQS, events
// to SNS, the database's address in Secrets Manager, all of an emulator, and a worker in a process of its own. `make run-aws` starts it.
//
// It is the server itself, and starts itself again as the worker (what cmd/worker is, too), and anew if that one dies. Whatever ends the
// server, by kill -9 too, ends the worker and the emulator: their input ends, and there is nobody in between who could be killed.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/platform/aws/ministack"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := serve
	if len(os.Args) > 1 && os.Args[1] == "work" {
		run = work
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "rapport:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	ctx, lost := context.WithCancel(ctx)
	defer lost()
	cfg, err := config.Load(os.LookupEnv)
	if err != nil {
		return err
	}
	home, err := filepath.Abs(cfg.Home)
	if err != nil {
		return err
	}
	// The emulator keeps files from one run to the next, as the database does; what is in its queues the rows know.
	if err := set("S3_PERSIST", "1", "S3_DATA_DIR", filepath.Join(home, "s3")); err != nil {
		return err
	}
	progress := func(line string) { fmt.Println("… " + line) }
	emulator, err := ministack.Start(ctx, home, progress)
	if err != nil {
		return err
	}
	defer emulator.Stop()
	if err := set("AWS_REGION", "us-east-1", "AWS_ENDPOINT_URL", emulator.URL(), "AWS_ACCESS_KEY_ID", "123456789012", "AWS_SECRET_ACCESS_KEY", "test",
		"AWS_SESSION_TOKEN", "", "AWS_PROFILE", ""); err != nil {
		return err
	}
	address, stop, err := database(ctx, cfg, home, progress, lost)
	if err != nil {
		return err
	}
	defer stop()
	made, err := app.CreateInAWS(ctx, app.NewLogger(cfg, os.Stderr), "rapport", address)
	if err != nil {
		return err
	}
	if err := set("DATABASE_URL", made.DatabaseURL, "DATABASE_PASSWORD", "", "RAPPORT_S3_BUCKET", "rapport", "RAPPORT_SQS_QUEUE_URL", made.QueueURL, "RAPPORT_S3_EVENTS_QUEUE_URL", made.EventsURL,
		"RAPPORT_SNS_TOPIC_ARN", made.TopicARN, "RAPPORT_ROLE", string(config.Server),
		// The emulator forgets its queues when it ends: what was sent before is soon sent again.
		"RAPPORT_SQS_RESEND", cmp.Or(os.Getenv("RAPPORT_SQS_RESEND"), "10s")); err != nil {
		return err
	}

	// The server goes last: its database is the worker's too.
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ready := make(chan string, 1)
	failed := make(chan error, 1)
	go func() { failed <- app.Serve(serving, os.LookupEnv, &announced{Writer: os.Stdout, ready: ready}) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	case url := <-ready:
		working, finish := context.WithCancel(ctx)
		worked := make(chan struct{})
		go func() { defer close(worked); keepWorking(working, cmp.Or(cfg.HTTP.PublicURL, url)) }()
		select {
		case err = <-failed:
			failed <- err
		case <-ctx.Done():
		}
		finish()
		<-worked
	}
	end()
	return <-failed
}

// database is the configured database, or the private one of the home folder, which is started; lost is called if that one ends for good.
func database(ctx context.Context, cfg config.Config, home string, progress func(string), lost func()) (url string, stop func(), err error) {
	if cfg.Database.URL != "" {
		return cfg.Database.URL.Reveal(), func() {}, nil
	}
	lock, err := local.Lock(home)
	if err != nil {
		return "", nil, err
	}
	if err := lock.SetAddress(cfg.HTTP.Addr); err != nil {
		lock.Release()
		return "", nil, err
	}
	server, err := local.Start(ctx, local.Config{Home: home, Progress: progress})
	if err != nil {
		lock.Release()
		return "", nil, err
	}
	go func() {
		<-server.Done()
		lost()
	}()
	return server.URL(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "rapport:", err)
		}
		lock.Release()
	}, nil
}

// set sets variables of the environment, by pairs; the SDK of AWS and the worker read them there.
func set(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := os.Setenv(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// announced passes on what the server prints, and says where it is once it says that it is ready.
type announced struct {
	io.Writer
	ready chan<- string
}

var readyAt = regexp.MustCompile(`is ready after .*: (http://\S+)`)

func (a *announced) Write(p []byte) (int, error) {
	if m := readyAt.FindSubmatch(p); m != nil {
		a.ready <- string(bytes.TrimSpace(m[1]))
	}
	return a.Writer.Write(p)
}

// keepWorking runs a worker until ctx ends, and another one whenever it dies.
func keepWorking(ctx context.Context, url string) {
	for ctx.Err() == nil {
		err := worker(ctx, url)
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintln(os.Stderr, "the worker has ended, and is started again:", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func worker(ctx context.Context, url string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "work")
	cmd.Env = append(os.Environ(), "RAPPORT_ADDR=127.0.0.1:0", "RAPPORT_PUBLIC_URL="+url)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = input.Close() })()
	return cmp.Or(cmd.Wait(), errors.New("exit status 0"))
}

// work is the worker: it works until it is told to end, or nobody is left to tell it.
func work(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
	}()
	return app.Work(ctx, os.LookupEnv, os.Stdout)
}
