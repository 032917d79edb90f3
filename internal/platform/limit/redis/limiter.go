// Package redislimit counts over all processes, in Redis.
//
// Rates are redis_rate's. Of what is held, each process keeps its own count and writes it down beside those of the others, so that nothing
// has to be counted down by somebody who has died: a count that is not renewed is over after half a minute. A Redis that has lost
// everything is told again within ten seconds.
package redislimit

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/limit"
	"github.com/rapporthq/rapport/internal/platform/redis"
)

// Options of a limiter. The zero value is a good default.
type Options struct {
	// Prefix begins the names of the keys. Default "rapport".
	Prefix string
	// Refuse has nothing allowed while Redis is away. Otherwise this process counts alone, for itself.
	Refuse bool
	// Lease is how long a process's counts hold that does not renew them. Default 30 s.
	Lease time.Duration
}

// together is how many counts are written down in one go.
const together = 500

// Limiter implements limit.Limiter.
type Limiter struct {
	server *redis.Server
	opts   Options
	alone  *limit.Local // while Redis is away
	me     string

	stop    context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // holds a token when there are counts to write down

	mu      sync.Mutex
	held    map[string]count
	changed map[string]struct{} // and not written down
}

// count is how many this process holds, and how often that has changed: a later count is not overwritten by an earlier one.
type count struct {
	n   int
	seq int64
}

var _ limit.Limiter = (*Limiter)(nil)

// New returns a limiter over server. It runs until Close.
func New(server *redis.Server, opts Options) *Limiter {
	if opts.Prefix == "" {
		opts.Prefix = "rapport"
	}
	if opts.Lease <= 0 {
		opts.Lease = 30 * time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Limiter{
		server: server, opts: opts, alone: limit.NewLocal(), me: id.New().String(), stop: stop,
		wake: make(chan struct{}, 1), held: map[string]count{}, changed: map[string]struct{}{},
	}
	l.running.Go(func() { l.run(ctx) })
	return l
}

// Close forgets nothing that is held: the lease does.
func (l *Limiter) Close() {
	l.stop()
	l.running.Wait()
}

// Allow implements limit.Limiter.
func (l *Limiter) Allow(ctx context.Context, key string, r limit.Rate) (wait time.Duration, err error) {
	if !r.Limits() {
		return 0, nil
	}
	err = l.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) error {
		res, err := redis_rate.NewLimiter(rates{lines, l.opts.Prefix}).Allow(ctx, key, redis_rate.Limit{Rate: r.Count, Burst: r.Count, Period: r.Per})
		if err == nil && res.Allowed == 0 {
			wait = max(res.RetryAfter, time.Millisecond)
		}
		return err
	})
	switch {
	case err == nil:
		return wait, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case l.opts.Refuse:
		return 0, err
	}
	return l.alone.Allow(ctx, key, r)
}

// rates are lines on which redis_rate's keys, which begin with "rate:", begin with the prefix.
type rates struct {
	redis.Lines
	prefix string
}

func (r rates) Eval(ctx context.Context, script string, keys []string, args ...any) *goredis.Cmd {
	return r.Lines.Eval(ctx, script, r.named(keys), args...)
}

func (r rates) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *goredis.Cmd {
	return r.Lines.EvalSha(ctx, sha, r.named(keys), args...)
}

func (r rates) named(keys []string) []string { return []string{r.prefix + ":" + keys[0]} }

// noted writes down what a process holds of a key, unless a later count stands there already, and says whether that and what the others hold
// is no more than the most, which is below 0 if nobody asks. Of many who ask at once each goes by the count with itself and those before it.
var noted = goredis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local me, seq, mine, most, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local others, later = 0, false
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
	local s, n, ends = string.match(all[i + 1], '(%d+):(%d+):(%d+)')
	if all[i] == me then
		later = tonumber(s) > seq
	elseif tonumber(ends) <= now then
		redis.call('HDEL', KEYS[1], all[i])
	else
		others = others + tonumber(n)
	end
end
if not later then
	if mine == 0 then
		redis.call('HDEL', KEYS[1], me)
	else
		redis.call('HSET', KEYS[1], me, string.format('%d:%d:%d', seq, mine, now + lease))
	end
end
redis.call('PEXPIRE', KEYS[1], lease)
if most >= 0 and others + mine > most then return 0 end
return 1`)

// Hold implements limit.Limiter.
func (l *Limiter) Hold(ctx context.Context, key string, most int) (release func(), err error) {
	now := l.add(key, 1)
	release = sync.OnceFunc(func() { l.giveBack(key) })
	fits := false
	err = l.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) error {
		answer, err := noted.Run(ctx, lines, []string{l.key(key)}, l.args(now, most)...).Int()
		fits = answer == 1
		return err
	})
	if err != nil && ctx.Err() == nil && !l.opts.Refuse {
		fits, err = now.n <= most, nil
	}
	if err != nil || !fits {
		release()
		return nil, err
	}
	return release, nil
}

func (l *Limiter) key(key string) string { return l.opts.Prefix + ":held:" + key }

func (l *Limiter) args(c count, most int) []any {
	return []any{l.me, c.seq, c.n, most, l.opts.Lease.Milliseconds()}
}

func (l *Limiter) add(key string, n int) count {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.held[key]
	c.n, c.seq = c.n+n, max(c.seq+1, time.Now().UnixMicro()) // a key that is forgotten and comes again goes on from there
	l.held[key] = c
	return c
}

// giveBack counts one less and has that written down soon.
func (l *Limiter) giveBack(key string) {
	l.add(key, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed[key] = struct{}{}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes down what was given back, and everything now and then, before its lease is over.
func (l *Limiter) run(ctx context.Context) {
	renew := time.NewTicker(l.opts.Lease / 3)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			l.write(ctx, l.take(false))
		case <-renew.C:
			l.write(ctx, l.take(true))
		}
	}
}

// take returns the keys whose count is to be written down.
func (l *Limiter) take(all bool) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := slices.Collect(maps.Keys(l.changed))
	if all {
		keys = slices.Collect(maps.Keys(l.held))
	}
	clear(l.changed)
	return keys
}

// write writes down counts. Those that Redis does not take are written down with all the others, later.
func (l *Limiter) write(ctx context.Context, keys []string) {
	for some := range slices.Chunk(keys, together) {
		l.mu.Lock()
		counts := make([]count, len(some))
		for i, key := range some {
			counts[i] = l.held[key]
		}
		l.mu.Unlock()
		err := l.server.Ask(ctx, func(ctx context.Context, lines redis.Lines) error {
			err := l.send(ctx, lines, some, counts)
			if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") { // it was started anew
				if err = noted.Load(ctx, lines).Err(); err == nil {
					err = l.send(ctx, lines, some, counts)
				}
			}
			return err
		})
		if err != nil {
			return
		}
		l.mu.Lock()
		for i, key := range some {
			if c := l.held[key]; c.n == 0 && c == counts[i] {
				delete(l.held, key)
			}
		}
		l.mu.Unlock()
	}
}

func (l *Limiter) send(ctx context.Context, lines redis.Lines, keys []string, counts []count) error {
	_, err := lines.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, key := range keys {
			noted.EvalSha(ctx, p, []string{l.key(key)}, l.args(counts[i], -1)...)
		}
		return nil
	})
	return err
}
