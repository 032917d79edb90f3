// Package redisstream carries the events of package stream between processes through Redis Streams.
//
// PostgreSQL numbers and keeps the events, and cursors are the same with and without Redis. What has been committed goes into one of a
// few Redis streams, by its topic; each process reads each of them, all topics in one answer. PostgreSQL is then read for resuming, for
// what Redis has lost, and for everything while Redis is away.
package redisstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/redis"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Options of a carrier. The zero value is a good default.
type Options struct {
	// Prefix begins the names of the keys. Default "rapport".
	Prefix string
	// Shards is how many Redis streams there are, each with a reader in each process, on nodes of its own in a cluster. All processes
	// must have the same. Default 4.
	Shards int
	// Length is how many events each Redis stream keeps, about: what a reader may be behind without asking PostgreSQL. Default 10,000.
	Length int64
	// Age is how long each Redis stream keeps an event, about. Default 10 minutes.
	Age time.Duration
}

const (
	waiting  = 1024                   // events for Redis that may wait in this process
	together = 256                    // events that are sent, and read, in one go
	patience = 2 * time.Second        // for an answer of Redis
	blocking = 5 * time.Second        // how long a read waits for news; then it is asked again, so that a dead line shows
	firstTry = 100 * time.Millisecond // after a failure, and then twice as long each time
	lastTry  = 2 * time.Second
)

// Carrier implements stream.Carrier.
type Carrier struct {
	log            *slog.Logger
	writer, reader redis.Lines
	keys           []string
	length         int64
	age            time.Duration
	queue          chan stream.Entry
	lost           chan struct{} // holds a token when Redis has gone away, to wake the writer

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	up      atomic.Bool
}

var _ stream.Carrier = (*Carrier)(nil)

// New returns a carrier over what connect reaches. It calls connect twice, because readers wait on their lines, and closes what it
// gets. Redis need not be there.
func New(connect func() redis.Lines, log *slog.Logger, opts Options) *Carrier {
	c := &Carrier{
		log: log, writer: connect(), reader: connect(), length: opts.Length, age: opts.Age,
		queue: make(chan stream.Entry, waiting), lost: make(chan struct{}, 1),
	}
	if c.length <= 0 {
		c.length = 10_000
	}
	if c.age <= 0 {
		c.age = 10 * time.Minute
	}
	if opts.Prefix == "" {
		opts.Prefix = "rapport"
	}
	if opts.Shards <= 0 {
		opts.Shards = 4
	}
	for i := range opts.Shards {
		c.keys = append(c.keys, fmt.Sprintf("%s:stream:{%d}", opts.Prefix, i)) // in a cluster, {n} says which node
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Start has arrived called with what any process carries from now on, from several goroutines, until Close.
func (c *Carrier) Start(arrived func(stream.Entry)) {
	c.running.Go(c.write)
	for _, key := range c.keys {
		c.running.Go(func() { c.read(key, arrived) })
	}
}

// Close returns when nothing of the carrier runs any more.
func (c *Carrier) Close() {
	c.stop()
	_ = c.reader.Close() // which wakes those that wait for an answer
	c.running.Wait()
	_ = c.writer.Close()
}

// Up implements stream.Carrier.
func (c *Carrier) Up() bool { return c.up.Load() }

// Probe asks Redis, and says for anybody to see if it does not answer: while nothing is sent, a line that hangs seems up.
func (c *Carrier) Probe(ctx context.Context) error {
	away := fault.Unavailable("Redis does not answer; PostgreSQL carries the events")
	if !c.Up() {
		return away
	}
	if err := c.writer.Ping(ctx).Err(); err != nil {
		return away.Because(err)
	}
	return nil
}

// Carry implements stream.Carrier.
func (c *Carrier) Carry(events []stream.Entry) {
	if !c.Up() {
		return
	}
	for _, e := range events {
		select {
		case c.queue <- e:
		default: // Redis is slower than we are; who lacks this one finds it in PostgreSQL
		}
	}
}

// is notes whether Redis answers. Each change is logged once.
func (c *Carrier) is(err error) {
	if c.ctx.Err() != nil {
		return
	}
	if err == nil && c.up.CompareAndSwap(false, true) {
		c.log.InfoContext(c.ctx, "Redis carries the events")
	}
	if err != nil && c.up.CompareAndSwap(true, false) {
		c.log.WarnContext(c.ctx, "Redis is away: PostgreSQL carries the events", "error", err)
		select {
		case c.lost <- struct{}{}:
		default:
		}
	}
}

// write sends what is in the queue, and while Redis is away asks whether it is back.
func (c *Carrier) write() {
	pause := firstTry
	trim := time.NewTicker(c.age / 4)
	defer trim.Stop()
	for c.ctx.Err() == nil {
		if !c.Up() {
			err := c.ask(func(ctx context.Context) error { return c.writer.Ping(ctx).Err() })
			c.is(err)
			if err != nil {
				c.sleep(pause)
				pause = min(2*pause, lastTry)
			}
			continue
		}
		pause = firstTry
		select {
		case <-c.ctx.Done():
		case <-c.lost:
		case e := <-c.queue:
			c.is(c.send(c.together(e)))
		case <-trim.C:
			c.is(c.trim())
		}
	}
}

// together is e and what else waits.
func (c *Carrier) together(e stream.Entry) []stream.Entry {
	events := []stream.Entry{e}
	for len(events) < together {
		select {
		case e := <-c.queue:
			events = append(events, e)
		default:
			return events
		}
	}
	return events
}

func (c *Carrier) send(events []stream.Entry) error {
	return c.ask(func(ctx context.Context) error {
		_, err := c.writer.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for _, e := range events {
				p.XAdd(ctx, &goredis.XAddArgs{Stream: c.key(e), MaxLen: c.length, Approx: true, Values: pack(e)})
			}
			return nil
		})
		return err
	})
}

func (c *Carrier) trim() error {
	oldest := strconv.FormatInt(time.Now().Add(-c.age).UnixMilli(), 10) // ids begin with Redis's clock; if ours is another, more or less is kept
	return c.ask(func(ctx context.Context) error {
		_, err := c.writer.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for _, key := range c.keys {
				p.XTrimMinIDApprox(ctx, key, oldest, 0)
			}
			return nil
		})
		return err
	})
}

func (c *Carrier) ask(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	return do(ctx)
}

// key is the Redis stream of e's topic.
func (c *Carrier) key(e stream.Entry) string {
	h := fnv.New32a()
	_, _ = h.Write(e.Org[:])
	_, _ = h.Write([]byte(e.Topic))
	return c.keys[h.Sum32()%uint32(len(c.keys))]
}

// read hands on what comes into the Redis stream of that key. What it misses while it cannot read is found by the stream's sweep.
func (c *Carrier) read(key string, arrived func(stream.Entry)) {
	at, pause := "", firstTry
	for c.ctx.Err() == nil {
		if at == "" {
			var err error
			if at, err = c.last(key); err != nil {
				c.is(err)
				c.sleep(pause)
				pause = min(2*pause, lastTry)
				continue
			}
		}
		answer, err := c.reader.XRead(c.ctx, &goredis.XReadArgs{Streams: []string{key, at}, Count: together, Block: blocking}).Result()
		switch {
		case errors.Is(err, goredis.Nil): // nothing new
		case err != nil:
			// It may have come back without what it had, and with another idea of the time.
			at = ""
			c.is(err)
			c.sleep(pause)
			pause = min(2*pause, lastTry)
		default:
			pause = firstTry
			for _, m := range answer[0].Messages {
				at = m.ID
				if e, err := unpack(m.Values); err == nil {
					arrived(e)
				} else {
					c.log.WarnContext(c.ctx, "what stands in Redis is no event", "key", key, "id", m.ID, "error", err)
				}
			}
		}
	}
}

// last is the id that the next one comes after.
func (c *Carrier) last(key string) (at string, err error) {
	err = c.ask(func(ctx context.Context) error {
		newest, err := c.reader.XRevRangeN(ctx, key, "+", "-", 1).Result()
		if err == nil && len(newest) > 0 {
			at = newest[0].ID
		} else {
			at = "0-0"
		}
		return err
	})
	return at, err
}

func (c *Carrier) sleep(d time.Duration) {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-c.ctx.Done():
	case <-timer.C:
	}
}

func pack(e stream.Entry) []any {
	return []any{"org", e.Org.String(), "topic", e.Topic, "n", e.N, "kind", e.Kind, "data", string(e.Data), "key", e.Key, "at", e.At.UnixMicro()}
}

func unpack(values map[string]any) (e stream.Entry, err error) {
	text := func(name string) string {
		s, ok := values[name].(string)
		if !ok {
			err = errors.Join(err, fmt.Errorf("it has no %s", name))
		}
		return s
	}
	number := func(name string) int64 {
		n, wrong := strconv.ParseInt(text(name), 10, 64)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("its %s is no number", name))
		}
		return n
	}
	var org id.UUID
	if org.UnmarshalText([]byte(text("org"))) != nil {
		err = errors.Join(err, errors.New("its org is no id"))
	}
	key, _ := values["key"].(string) // which those of an older version lack
	e = stream.Entry{
		Org: org, Topic: text("topic"), N: number("n"), At: time.UnixMicro(number("at")).UTC(),
		Event: stream.Event{Kind: text("kind"), Data: json.RawMessage(text("data")), Key: key},
	}
	if err == nil && !json.Valid(e.Data) {
		err = errors.New("its data is not JSON")
	}
	return e, err
}
