// Command chaoslive lets clients listen to two servers behind a balancer while connections are cut, Redis is killed and servers are killed
// with -9, and looks whether each client has received exactly what the database says has happened, in order: `make chaos-live`. It prints what it
// did and found, and fails if an event was lost or came twice.
//
// Everything is real, and runs on this machine: PostgreSQL with fsync, Redis, servers as processes, sockets with graphql-transport-ws.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	"github.com/rapporthq/rapport/internal/testkit/balancer"
	"github.com/rapporthq/rapport/tools/bench/rig"
)

type options struct {
	clients     int
	disconnects int
	restarts    int // of Redis
	kills       int // of servers
	writers     int
	length      time.Duration
	settle      time.Duration
	seed        uint64
}

func main() {
	var o options
	flag.IntVar(&o.clients, "clients", 200, "how many clients listen, each on a socket of its own")
	flag.IntVar(&o.disconnects, "disconnects", 2000, "how many connections are cut at random")
	flag.IntVar(&o.restarts, "restarts", 3, "how often Redis is killed and started again")
	flag.IntVar(&o.kills, "kills", 2, "how often a server is killed with -9 and started again")
	flag.IntVar(&o.writers, "writers", 2, "how many clients make events happen, one after the other each")
	flag.DurationVar(&o.length, "length", time.Minute, "how long things go wrong")
	flag.DurationVar(&o.settle, "settle", time.Minute, "how long clients may take for the rest when all is quiet again")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "whom it hits follows from this number, as far as the machine lets it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos-live:", err)
		os.Exit(1)
	}
}

func progress(line string) { fmt.Fprintln(os.Stderr, "… "+line) }

// chaos is what goes on.
type chaos struct {
	options
	rig      *rig.Rig
	servers  []*rig.Process
	redis    *rig.Redis
	balancer *balancer.Balancer
	random   *rand.Rand
	topic    string
	key      stream.Key
	first    int64 // number of the last event before

	clients []*client
	made    atomic.Int64 // events that a server has acknowledged
	refused atomic.Int64 // attempts to make one that got no answer
}

func run(ctx context.Context, o options, out io.Writer) error {
	fmt.Fprintf(out, "%d clients, %d disconnects, Redis killed %d times, servers %d times, in %s, seed %d\n", o.clients, o.disconnects, o.restarts, o.kills, o.length, o.seed)
	c := &chaos{options: o, random: rand.New(rand.NewPCG(o.seed, 1))}
	closeAll, err := c.start(ctx)
	defer closeAll()
	if err != nil {
		return err
	}
	listening, leave := context.WithCancel(ctx)
	defer leave()
	var all sync.WaitGroup
	for range o.clients {
		l := &client{chaos: c, at: c.first}
		c.clients = append(c.clients, l)
		all.Go(func() { l.listen(listening) })
	}
	if err := c.wait(ctx, o.settle, func() int64 { return int64(c.count(func(l *client) bool { return l.sessions.Load() > 0 })) }, int64(o.clients)); err != nil {
		return fmt.Errorf("clients that listen: %w\n%s", err, c.rig.Log())
	}
	progress("all listen; chaos begins")
	upset, calm := context.WithTimeout(ctx, o.length)
	defer calm()
	var trouble sync.WaitGroup
	failed := make(chan error, 2)
	for range o.writers {
		trouble.Go(func() { c.write(upset) })
	}
	trouble.Go(func() { c.cut(upset) })
	trouble.Go(func() { failed <- c.restartRedis(upset, ctx) })
	trouble.Go(func() { failed <- c.killServers(upset, ctx) })
	trouble.Wait()
	if err := errors.Join(<-failed, <-failed, ctx.Err()); err != nil {
		return err
	}
	progress("all is quiet; clients catch up")
	began := time.Now()
	want, err := c.happened(ctx)
	if err != nil {
		return err
	}
	late := c.wait(ctx, o.settle, func() int64 { return int64(c.count(func(l *client) bool { return l.reached() >= want[len(want)-1] })) }, int64(o.clients))
	caught := time.Since(began)
	leave()
	all.Wait()
	return errors.Join(late, c.judge(out, want, caught))
}

func (c *chaos) start(ctx context.Context) (closeAll func(), err error) {
	var undo []func()
	closeAll = func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	r, closeRig, err := rig.StartAlone(ctx, progress)
	undo = append(undo, closeRig)
	if err != nil {
		return closeAll, err
	}
	c.rig = r
	if c.redis, err = rig.StartRedis(ctx); err != nil {
		return closeAll, err
	}
	undo = append(undo, c.redis.Kill)
	for range 2 {
		p, err := r.Run(ctx, config.Server, "RAPPORT_REDIS_URL="+c.redis.URL, "RAPPORT_MAX_STREAMS_PER_USER=0", "RAPPORT_MAX_SUBSCRIPTIONS_PER_USER=0")
		if err != nil {
			return closeAll, err
		}
		undo = append(undo, p.Kill)
		c.servers = append(c.servers, p)
	}
	if c.balancer, err = balancer.Start(c.servers[0].URL, c.servers[1].URL); err != nil {
		return closeAll, err
	}
	undo = append(undo, c.balancer.Close)
	c.topic = session.SessionTopic(r.Practice.Session)
	if c.key, err = pgstream.Key(ctx, r.DB, r.Practice.Viewer.Org); err != nil {
		return closeAll, err
	}
	return closeAll, r.DB.QueryRow(ctx, `SELECT coalesce(max(last_cursor), 0) FROM stream_topics WHERE org_id = $1 AND topic = $2`, r.Practice.Viewer.Org, c.topic).Scan(&c.first)
}

func (c *chaos) count(what func(*client) bool) (n int) {
	for _, l := range c.clients {
		if what(l) {
			n++
		}
	}
	return n
}

func (c *chaos) wait(ctx context.Context, most time.Duration, n func() int64, want int64) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n() < want {
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d after %s", n(), want, most)
		case <-tick.C:
		}
	}
	return nil
}

// happened are the numbers of all that the database says has happened since the clients began.
func (c *chaos) happened(ctx context.Context) ([]int64, error) {
	rows, err := c.rig.DB.Query(ctx, `SELECT cursor FROM stream_events WHERE org_id = $1 AND topic = $2 AND cursor > $3 ORDER BY cursor`, c.rig.Practice.Viewer.Org, c.topic, c.first)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err == nil && len(all) == 0 {
		err = errors.New("nothing has happened")
	}
	return all, err
}

// judge compares what each client has received with what has happened.
func (c *chaos) judge(out io.Writer, want []int64, caught time.Duration) error {
	var wrong, slow, resumed int
	var cut, lost int64
	var took []time.Duration
	example := ""
	for i, l := range c.clients {
		if !slices.Equal(l.got, want) {
			wrong++
			example = fmt.Sprintf("client %d has %d events, the database %d; %s", i, len(l.got), len(want), difference(l.got, want))
		}
		cut, lost, slow, resumed = cut+l.cuts.Load(), lost+l.sessions.Load()-1, slow+l.slow, resumed+l.resumed
		took = append(took, l.took...)
	}
	slices.Sort(took)
	at := func(p float64) time.Duration {
		if len(took) == 0 {
			return 0
		}
		return took[min(len(took)-1, int(p*float64(len(took))))].Round(10 * time.Microsecond)
	}
	fmt.Fprintf(out, "\n  %d events (%d acknowledged, %d attempts without an answer) to %d clients: %d deliveries\n", len(want), c.made.Load(), c.refused.Load(), len(c.clients), len(want)*len(c.clients))
	fmt.Fprintf(out, "  %d connections cut at random; %d times a client came back, %d times by its cursor; %d times it was too slow\n", cut, lost, resumed, slow)
	fmt.Fprintf(out, "  from publishing to the client, chaos included: p50 %s, p99 %s, most %s; the last client had caught up after %s\n", at(0.5), at(0.99), at(1), caught.Round(time.Millisecond))
	if wrong > 0 {
		return fmt.Errorf("%d of %d clients have another sequence than the database: %s", wrong, len(c.clients), example)
	}
	fmt.Fprintf(out, "  each client's sequence is the database's: 0 lost, 0 doubled, 0 out of order\n")
	return nil
}

func difference(got, want []int64) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("it lacks the end, from %d on", want[i])
		case i >= len(want):
			return fmt.Sprintf("%d is too much", got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("%d stands where %d should", got[i], want[i])
		}
	}
	return "none"
}
