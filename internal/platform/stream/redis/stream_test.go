package redisstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/redis"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	redisstream "github.com/rapporthq/rapport/internal/platform/stream/redis"
	"github.com/rapporthq/rapport/internal/platform/stream/streamtest"
	"github.com/rapporthq/rapport/internal/testkit"
)

const patience = 20 * time.Second

type bundle struct {
	pool  *pgxpool.Pool
	redis *testkit.RedisServer
	org   id.UUID
	log   io.Writer
}

func setup(t *testing.T) *bundle {
	b := &bundle{pool: testkit.DB(t), redis: testkit.Redis(t), log: io.Discard}
	b.org = b.addOrg(t)
	return b
}

func (b *bundle) addOrg(t *testing.T) id.UUID {
	t.Helper()
	org := id.New()
	_, err := b.pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, $2, 'Test')`, org, "o-"+org.String())
	if err != nil {
		t.Fatal(err)
	}
	return org
}

func (b *bundle) connect(t *testing.T) func() redis.Lines {
	t.Helper()
	connect, err := redis.Connect(t.Context(), func(context.Context) string { return b.redis.URL() })
	if err != nil {
		t.Fatal(err)
	}
	return connect
}

// process is the stream of one more process, and what carries it.
type process struct {
	*pgstream.Stream
	*redisstream.Carrier
}

func (p process) Close() {
	p.Stream.Close()
	p.Carrier.Close()
}

func (b *bundle) open(t *testing.T, db postgres.DB, buffer int, opts redisstream.Options) process {
	t.Helper()
	log := slog.New(slog.NewTextHandler(b.log, nil))
	l := postgres.Listen(context.Background(), b.pool, slog.New(slog.DiscardHandler))
	t.Cleanup(l.Close)
	c := redisstream.New(b.connect(t), log, opts)
	p := process{pgstream.New(db, l, log, pgstream.Options{Buffer: buffer, Carrier: c}), c}
	c.Start(p.Arrived)
	t.Cleanup(p.Close)
	return p
}

func (b *bundle) up(t *testing.T, all ...process) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		for _, p := range all {
			if !p.Up() {
				return errors.New("Redis does not carry")
			}
		}
		return nil
	})
}

func (b *bundle) publish(t *testing.T, s process, topic string, n int) {
	t.Helper()
	err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		return s.Publish(t.Context(), tx, b.org, stream.Event{Kind: "test", Data: json.RawMessage(fmt.Sprint(n))}, topic)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) subscribe(t *testing.T, s process, topic string) stream.Subscription {
	t.Helper()
	sub, err := s.Subscribe(t.Context(), b.org, topic, "")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func expect(t *testing.T, sub stream.Subscription, want ...int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, n := range want {
		if d, err := sub.Next(ctx); err != nil || string(d.Data) != fmt.Sprint(n) {
			t.Fatalf("received %s, %v, want %d", d.Data, err, n)
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Fixture {
		b := setup(t)
		return streamtest.Fixture{
			Pool: b.pool, Org: b.org, Org2: b.addOrg(t),
			Open: func(buffer int) stream.Stream {
				s := b.open(t, b.pool, buffer, redisstream.Options{})
				b.up(t, s)
				return s
			},
			Cursor: func(topic string, n int64) stream.Cursor {
				secret, err := pgstream.Key(t.Context(), b.pool, b.org)
				if err != nil {
					t.Fatal(err)
				}
				return secret.Cursor(topic, n)
			},
		}
	})
}

// counting counts the reads of a stream's events.
type counting struct {
	postgres.DB
	reads atomic.Int64
}

func (c *counting) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if strings.Contains(sql, "FROM stream_events") {
		c.reads.Add(1)
	}
	return c.DB.Query(ctx, sql, args...)
}

func TestAnotherProcessHearsWithoutReadingTheTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	here := b.open(t, b.pool, 0, redisstream.Options{})
	db := &counting{DB: b.pool}
	there := b.open(t, db, 0, redisstream.Options{})
	b.up(t, here, there)
	const topics, events = 20, 30
	var subs []stream.Subscription
	for i := range topics {
		subs = append(subs, b.subscribe(t, there, fmt.Sprint(i)))
		b.publish(t, here, fmt.Sprint(i), 0)
		expect(t, subs[i], 0)
	}
	before := db.reads.Load()
	for n := range events {
		for i, sub := range subs {
			b.publish(t, here, fmt.Sprint(i), n)
			expect(t, sub, n)
		}
	}
	if n := db.reads.Load() - before; n > topics*events/20 { // where a sweep was quicker
		t.Errorf("%d events cost %d reads", topics*events, n)
	}
}

// Redis is killed and comes back empty, twice; and is not there when the second process begins.
func TestEventsComeWhileRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	here := b.open(t, b.pool, 0, redisstream.Options{})
	b.up(t, here)
	b.redis.Kill()
	there := b.open(t, b.pool, 0, redisstream.Options{})
	sub := b.subscribe(t, there, "a")
	n := 0
	say := func() {
		t.Helper()
		b.publish(t, here, "a", n)
		expect(t, sub, n)
		n++
	}
	for range 2 {
		say() // which may be the one that finds out
		say()
		testkit.Eventually(t, patience, func() error {
			if here.Up() || there.Up() {
				return errors.New("it seems up")
			}
			return nil
		})
		say()
		b.redis.Start(t)
		b.up(t, here, there)
		say()
		say()
		b.redis.Kill()
	}
	say()
}

func TestEventsComeWhileRedisHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	here, there := b.open(t, b.pool, 0, redisstream.Options{}), b.open(t, b.pool, 0, redisstream.Options{})
	b.up(t, here, there)
	sub := b.subscribe(t, there, "a")
	b.publish(t, here, "a", 0)
	expect(t, sub, 0)
	goOn := b.redis.Hang(t)
	defer goOn()
	asked, enough := context.WithTimeout(t.Context(), time.Second)
	defer enough()
	if err := here.Probe(asked); err == nil {
		t.Error("nothing was sent since, and the probe says that Redis answers")
	}
	for n := 1; n < 5; n++ {
		b.publish(t, here, "a", n)
		expect(t, sub, n)
	}
	testkit.Eventually(t, patience, func() error {
		if here.Up() {
			return errors.New("it seems up")
		}
		return nil
	})
	b.publish(t, here, "a", 5)
	expect(t, sub, 5)
	goOn()
	b.up(t, here, there)
	b.publish(t, here, "a", 6)
	expect(t, sub, 6)
}

// Whoever can write to Redis cannot stop the stream, and what they wrote is not logged.
func TestWhatIsNoEventIsPassedOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	log := &testkit.Log{}
	b.log = log
	s, there := b.open(t, b.pool, 0, redisstream.Options{Shards: 1}), b.open(t, b.pool, 0, redisstream.Options{Shards: 1})
	b.up(t, s, there)
	sub := b.subscribe(t, there, "a")
	client := b.connect(t)()
	defer func() { _ = client.Close() }()
	full := map[string]any{"org": b.org.String(), "topic": "a", "n": "1", "kind": "private", "data": "{}", "at": "1"}
	for name, value := range map[string]any{"org": "private", "n": "private", "at": "private", "data": "private{"} {
		wrong := map[string]any{}
		for k, v := range full {
			wrong[k] = v
		}
		wrong[name] = value
		for _, values := range []any{wrong, map[string]any{"private": "private"}} {
			if err := client.XAdd(t.Context(), &goredis.XAddArgs{Stream: "rapport:stream:{0}", Values: values}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.publish(t, s, "a", 1)
	expect(t, sub, 1)
	testkit.Eventually(t, patience, func() error {
		if n := strings.Count(log.String(), "no event"); n != 2*8 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	if strings.Contains(log.String(), "private") {
		t.Errorf("the log tells what it was: %s", log)
	}
}

func TestRedisKeepsABoundedPart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.open(t, b.pool, 0, redisstream.Options{Shards: 2, Length: 100, Age: 200 * time.Millisecond})
	b.up(t, s)
	sub := b.subscribe(t, s, "a")
	for n := range 500 {
		b.publish(t, s, "a", n)
		expect(t, sub, n)
	}
	client := b.connect(t)()
	defer func() { _ = client.Close() }()
	length := func() (n int64) {
		for shard := range 2 {
			n += client.XLen(t.Context(), fmt.Sprintf("rapport:stream:{%d}", shard)).Val()
		}
		return n
	}
	// Redis drops whole nodes of a hundred entries.
	testkit.Eventually(t, patience, func() error {
		if n := length(); n == 0 || n > 200 {
			return fmt.Errorf("it keeps %d", n)
		}
		return nil
	})
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")) // testkit's server, which is for the process
}
