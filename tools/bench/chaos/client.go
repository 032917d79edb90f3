package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/tools/bench/rig"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// conversations is how many different ones are imported; each import is a file of its own.
const conversations = 8

// client imports, and tries again until it knows that it has.
type client struct {
	rig     *rig.Rig
	servers []*rig.Process
	minutes int
	random  *rand.Rand

	mu       sync.Mutex
	imported map[string]int // conversation by transcript
}

// file is a conversation, with a comment that makes another file of it.
func (c *client) file(conversation, n int) []byte {
	return fmt.Appendf(seed.NewWords(uint64(conversation)).Zoom(c.minutes), "\nNOTE copy %d\n", n)
}

// undisturbed imports each conversation once and returns what came of each.
func (c *client) undisturbed(ctx context.Context) (map[int]string, error) {
	c.imported = map[string]int{}
	var keys []string
	for n := range conversations {
		key, err := c.one(ctx, n, -1, n%2 == 0)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	want := map[int]string{}
	for n, key := range keys {
		if err := c.wait(ctx, time.Minute, func() (bool, error) {
			status, err := c.status(ctx, key)
			return status == "READY", err
		}); err != nil {
			return nil, fmt.Errorf("in peace: %w", err)
		}
		got, err := outcome(ctx, c.rig.DB, key)
		if err != nil {
			return nil, err
		}
		want[n] = got
	}
	return want, nil
}

// imports sends so many files over a time, eight at once if they have to wait: half of them by a mutation, half by a link.
func (c *client) imports(ctx context.Context, n int, over time.Duration) error {
	work, failed := make(chan int), make(chan error, 8)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range work {
				if _, err := c.one(ctx, i%conversations, i, i%2 == 0); err != nil {
					failed <- err
					cancel()
					return
				}
			}
		})
	}
	next := time.NewTicker(over / time.Duration(n))
	defer next.Stop()
	for i := range n {
		select {
		case work <- i:
		case <-ctx.Done():
		}
		select {
		case <-next.C:
		case <-ctx.Done():
		}
	}
	close(work)
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

// one makes a session and imports a file into it, whatever it takes, and returns the transcript's id.
func (c *client) one(ctx context.Context, conversation, n int, byLink bool) (key string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	file := c.file(conversation, n)
	var session string
	for try := 0; ; try++ {
		err := func() (err error) {
			at := c.servers[(n+try+len(c.servers))%len(c.servers)].Client()
			if session == "" {
				if session, err = at.Session(ctx); err != nil {
					return err
				}
			}
			if byLink {
				key, err = at.Upload(ctx, session, file)
			} else {
				key, err = at.Paste(ctx, session, file)
			}
			return err
		}()
		var refused rig.Refused
		switch {
		case err == nil:
			c.mu.Lock()
			defer c.mu.Unlock()
			if n >= 0 {
				c.imported[key] = conversation
			}
			return key, nil
		case errors.As(err, &refused), ctx.Err() != nil:
			return "", fmt.Errorf("import %d: %w", n, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *client) status(ctx context.Context, key string) (status string, err error) {
	_, u, err := id.Parse(key)
	if err != nil {
		return "", err
	}
	err = c.rig.DB.QueryRow(ctx, `SELECT status FROM transcripts WHERE id = $1`, u).Scan(&status)
	return status, err
}

// settled waits until every import is READY, and no job and no event is left: one that a relay held when it was killed is held for a minute.
// How long that takes is the machine's business; it gives up when for so long nothing more has been done.
func (c *client) settled(ctx context.Context, n int, patience time.Duration) error {
	var ready, busy, held int
	most, least := 0, math.MaxInt
	for done := false; !done; {
		if err := c.wait(ctx, patience, func() (bool, error) {
			if err := c.rig.DB.QueryRow(ctx, `SELECT (SELECT count(*) FROM transcripts WHERE status = 'READY' AND blob_key IS NOT NULL),
				(SELECT count(*) FROM jobs WHERE state IN ('PENDING', 'RUNNING') AND run_at < now() + interval '1 minute'),
				(SELECT count(*) FROM outbox WHERE due_at IS NOT NULL)`).Scan(&ready, &busy, &held); err != nil {
				return false, nil // PostgreSQL is restarted
			}
			done = ready >= n+conversations && busy+held == 0
			progress := ready > most || busy+held < least
			most, least = max(most, ready), min(least, busy+held)
			return done || progress, nil
		}); err != nil {
			return fmt.Errorf("%d READY, %d jobs to do, %d events to publish: %w", ready-conversations, busy, held, err)
		}
	}
	return nil
}

func (c *client) wait(ctx context.Context, most time.Duration, until func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		if done, err := until(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("that takes too long")
		case <-time.After(200 * time.Millisecond):
		}
	}
}
