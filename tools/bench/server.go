package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// The sides.
const (
	ours  = "rapport" // the whole product
	floor = "floor"   // by hand: verifies the token, one statement
	bare  = "bare"    // by hand, and believes everybody
)

// place is where a child serves, in a line on its standard output.
type place struct{ Addr, Control string }

// figures are what a child says about itself.
type figures struct {
	CPU        time.Duration
	Statements int64
	Resident   int64
	Heap       uint64
	Stacks     uint64
	Goroutines int
}

// counter is a tracer that counts statements.
type counter struct{ atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// serve is the child: it serves until its standard input ends, which it does when the parent dies.
func serve(ctx context.Context, o options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); stop() }()

	app.TuneMemory()
	statements := &counter{}
	db, err := postgres.Open(ctx, o.url, postgres.WithTracer(statements))
	if err != nil {
		return err
	}
	defer db.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/figures", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("settle") {
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = json.NewEncoder(w).Encode(figures{cpu(), statements.Load(), resident(), m.HeapAlloc, m.StackInuse, runtime.NumGoroutine()})
	})
	mux.HandleFunc("/profile", pprof.Profile)
	mux.HandleFunc("/heap", pprof.Handler("heap").ServeHTTP)
	go func() { _ = http.Serve(control, mux) }()
	if err := json.NewEncoder(os.Stdout).Encode(place{ln.Addr().String(), control.Addr().String()}); err != nil {
		return err
	}
	if o.serve == ours || o.serve == uncached {
		return serveApp(ctx, o, db, ln)
	}
	h, err := byHand(ctx, o, db)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h}
	go func() { <-ctx.Done(); _ = srv.Close() }()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// byHand is the side's handler that stands beside the product.
func byHand(ctx context.Context, o options, db *pgxpool.Pool) (http.Handler, error) {
	if o.serve == fanout {
		return newFanout(ctx, db), nil
	}
	return newFloor(o.home, db, o.serve == floor)
}

// serveApp serves as the program does, with its log into nowhere.
func serveApp(ctx context.Context, o options, db *pgxpool.Pool, ln net.Listener) error {
	kept := "10m"
	if o.serve == uncached {
		kept = "0s"
	}
	cfg, err := o.config(map[string]string{"RAPPORT_HOME": o.home, "RAPPORT_DEMO": "false", "RAPPORT_SHUTDOWN_TIMEOUT": "1s",
		"RAPPORT_MAX_STREAMS_PER_USER": "0", "RAPPORT_MAX_SUBSCRIPTIONS_PER_USER": "0",
		"RAPPORT_ANSWERS_KEPT": kept, "RAPPORT_MAX_OPERATIONS_PER_USER": "0", "RAPPORT_MAX_OPERATIONS_PER_ORGANIZATION": "0"})
	if err != nil {
		return err
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer nowhere.Close()
	a, err := app.New(ctx, cfg, app.NewLogger(cfg, nowhere), db)
	if err != nil {
		return err
	}
	defer a.Close()
	_ = a.Run(ctx, ln) // what is cut off at the end is the bench's own
	return nil
}

// config is the product's with these variables, and those of how it searches.
func (o options) config(variables map[string]string) (config.Config, error) {
	if o.elastic != "" {
		variables["RAPPORT_ELASTICSEARCH_URL"] = o.elastic
	}
	if o.vectors > 0 {
		variables["RAPPORT_VECTOR_MEMORY_MIB"] = strconv.Itoa(o.vectors)
	}
	return config.Load(func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	})
}

// child is a running server.
type child struct {
	place
	cmd *exec.Cmd
	in  io.Closer
}

// start runs a side in a process of its own.
func (b *bench) start(ctx context.Context, side string) (*child, error) {
	return startAs(ctx, side, b.options)
}

func startAs(ctx context.Context, side string, o options) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", side, "-database", o.url, "-home", o.home, "-elastic", o.elastic, "-vectors", strconv.Itoa(o.vectors))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, in: in}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.place)
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("the server of %s does not start: %w", side, err)
	}
	return c, nil
}

func (c *child) stop() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

// figures asks the child about itself; settle lets it return what memory it can before.
func (c *child) figures(ctx context.Context, settle bool) (f figures, err error) {
	path := "/figures"
	if settle {
		path += "?settle"
	}
	body, err := c.control(ctx, path)
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	return f, err
}

func (c *child) control(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Control+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}
