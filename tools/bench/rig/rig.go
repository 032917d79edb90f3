// Package rig is the product as it runs on AWS, on this machine: a PostgreSQL that keeps what it has committed, an emulator of S3, SQS
// and SNS behind a line that can be counted and cut, a Redis, and servers and workers as processes that can be killed, behind a balancer. For
// `make chaos`, `make chaos-live` and `make bench`.
package rig

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/aws/ministack"
	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	"github.com/rapporthq/rapport/internal/platform/config"
	snsevent "github.com/rapporthq/rapport/internal/platform/event/sns"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// Durable are the settings of a PostgreSQL that must not lose a commit, with a little memory.
var Durable = map[string]string{
	"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica", "max_wal_senders": "10",
	"shared_buffers": "256MB", "effective_cache_size": "1GB", "max_wal_size": "1GB", "checkpoint_timeout": "5min", "autovacuum": "on",
	"max_connections": "100",
}

const (
	account = "123456789012"
	region  = "us-east-1"
	bucket  = "rapport"
)

// Rig is what runs.
type Rig struct {
	AWS      aws.Config // through the Line
	Line     *Line
	Bucket   string
	Queues   sqsqueue.Queues
	Topic    string
	DB       *pgxpool.Pool // the rig's own, not the processes'
	Practice *seed.Practice
	Token    string // of the practice's coach

	installed, home, url, program string
	progress                      func(string)
}

// Start brings up everything but servers and workers, with a small practice in it. closeAll ends it all, the processes too.
func Start(ctx context.Context, progress func(string)) (r *Rig, closeAll func(), err error) {
	r, closeRest, err := StartAlone(ctx, progress)
	closeAll = closeRest
	undo := func(f func()) {
		before := closeAll
		closeAll = func() { f(); before() }
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	if err != nil {
		return nil, closeAll, err
	}
	emulator, err := ministack.Start(ctx, r.installed, progress)
	if err != nil {
		return nil, closeAll, err
	}
	undo(emulator.Stop)
	if r.Line, err = newLine(emulator.URL()); err != nil {
		return nil, closeAll, err
	}
	undo(r.Line.close)
	r.AWS = aws.Config{Region: region, BaseEndpoint: aws.String(r.Line.URL), Credentials: credentials.NewStaticCredentialsProvider(account, "test", "")}
	if err := s3blob.Create(ctx, r.AWS, bucket); err != nil {
		return nil, closeAll, err
	}
	if r.Queues, err = sqsqueue.Create(ctx, r.AWS, "rapport-jobs"); err != nil {
		return nil, closeAll, err
	}
	r.Topic, err = snsevent.Create(ctx, r.AWS, "rapport-events")
	return r, closeAll, err
}

// StartAlone is Start without AWS: PostgreSQL does what that would.
func StartAlone(ctx context.Context, progress func(string)) (r *Rig, closeAll func(), err error) {
	closeAll = func() {}
	undo := func(f func()) {
		before := closeAll
		closeAll = func() { f(); before() }
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	r = &Rig{Bucket: bucket, installed: cmp.Or(os.Getenv("RAPPORT_HOME"), ".rapport"), progress: progress}
	if r.home, err = os.MkdirTemp("", "rapport-rig-"); err != nil {
		return nil, closeAll, err
	}
	undo(func() { _ = os.RemoveAll(r.home) })
	if err := os.Chmod(r.home, 0o755); err != nil { // PostgreSQL's own account, when started as root
		return nil, closeAll, err
	}
	r.program = filepath.Join(r.home, "rapport-server")
	progress("building the server")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", r.program, ".").CombinedOutput(); err != nil {
		return nil, closeAll, fmt.Errorf("go build: %w\n%s", err, out)
	}

	binaries, err := local.Install(ctx, r.installed, progress)
	if err != nil {
		return nil, closeAll, err
	}
	database, err := local.Start(ctx, local.Config{Home: r.home, Binaries: binaries, Settings: Durable, Progress: progress})
	if err != nil {
		return nil, closeAll, err
	}
	undo(func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = database.Stop(stop)
	})
	r.url = database.URL()
	if r.DB, err = postgres.Open(ctx, r.url, postgres.WithMaxConns(8), postgres.WithApplicationName("rig")); err != nil {
		return nil, closeAll, err
	}
	undo(r.DB.Close)
	if err := postgres.Migrate(ctx, r.DB); err != nil {
		return nil, closeAll, err
	}
	issuer, err := auth.OpenDevIssuer(r.home)
	if err != nil {
		return nil, closeAll, err
	}
	if r.Practice, err = seed.Load(ctx, r.DB, issuer.Issuer().Name, seed.Small); err != nil {
		return nil, closeAll, err
	}
	r.Token, _, err = issuer.Issue(auth.Person{Subject: seed.Coach, Email: seed.Coach})
	return r, closeAll, err
}

// Process is a server or a worker.
type Process struct {
	URL string

	rig     *Rig
	role    config.Role
	address string
	more    []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// Run starts a process in a role, with further variables of the environment, and returns when it is ready. It keeps its address when
// it is killed and started again.
func (r *Rig) Run(ctx context.Context, role config.Role, more ...string) (*Process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Process{rig: r, role: role, address: l.Addr().String(), more: more}
	p.URL = "http://" + p.address
	return p, errors.Join(l.Close(), p.Start(ctx))
}

var ready = regexp.MustCompile(`is ready after`)

// Start starts the process again after Kill or Stop.
func (p *Process) Start(ctx context.Context) error {
	cmd := exec.Command(p.rig.program)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+p.rig.url, "DATABASE_MAX_CONNS=12", "RAPPORT_HOME="+p.rig.home, "RAPPORT_DEMO=false", "RAPPORT_ADDR="+p.address,
		"RAPPORT_ROLE="+string(p.role), "RAPPORT_LOG_LEVEL=error", "RAPPORT_MAX_OPERATIONS_PER_USER=0")
	if p.rig.Line != nil {
		cmd.Env = append(cmd.Env, "RAPPORT_S3_BUCKET="+bucket, "RAPPORT_SQS_QUEUE_URL="+p.rig.Queues.URL, "RAPPORT_SNS_TOPIC_ARN="+p.rig.Topic,
			"AWS_REGION="+region, "AWS_ENDPOINT_URL="+p.rig.Line.URL, "AWS_ACCESS_KEY_ID="+account, "AWS_SECRET_ACCESS_KEY=test", "AWS_SESSION_TOKEN=", "AWS_PROFILE=")
	}
	cmd.Env = append(cmd.Env, p.more...)
	log, err := os.OpenFile(filepath.Join(p.rig.home, "processes.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.SysProcAttr = orphaned()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.done = cmd, done
	p.mu.Unlock()
	up := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for first := true; lines.Scan(); {
			if first && ready.Match(lines.Bytes()) {
				first = false
				close(up)
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case <-up:
		return nil
	case <-done:
		return fmt.Errorf("the %s does not start: %s", p.role, p.rig.Log())
	case <-ctx.Done():
		p.Kill()
		return ctx.Err()
	}
}

// Role is what the process is for.
func (p *Process) Role() config.Role { return p.role }

// Kill is kill -9.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop lets the process finish what it is doing.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(how syscall.Signal) {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	_ = cmd.Process.Signal(how)
	<-done
}

// Pid is the process's, for who looks at its memory.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Log is the end of what the processes have logged.
func (r *Rig) Log() string {
	raw, err := os.ReadFile(filepath.Join(r.home, "processes.log"))
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-3000):])
}

// CrashDatabase ends PostgreSQL at once, as if its machine had failed; it is started again by itself, with what was committed.
func (r *Rig) CrashDatabase() error {
	found, err := filepath.Glob(filepath.Join(r.home, "*", "data", "postmaster.pid"))
	if err != nil || len(found) == 0 {
		return errors.Join(err, errors.New("no PostgreSQL is running"))
	}
	raw, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGQUIT)
}
