package main

import (
	"context"
	"fmt"
	"time"
)

// write has one thing happen after the other: the practice's coach revises an insight. Whether an attempt without an answer has done
// something the database knows.
func (c *chaos) write(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		var out struct {
			ReviewInsight struct{ UserErrors []struct{ Message string } }
		}
		err := c.servers[n%len(c.servers)].Client().Ask(ctx, `mutation($in: ReviewInsightInput!) { reviewInsight(input: $in) { userErrors { message } } }`,
			map[string]any{"in": map[string]any{"insightId": c.rig.Practice.Insight.String(), "decision": "EDIT", "title": fmt.Sprintf("Revision %d", time.Now().UnixNano())}}, &out)
		if err != nil || len(out.ReviewInsight.UserErrors) > 0 {
			c.refused.Add(1)
			pause(ctx, 20*time.Millisecond)
			continue
		}
		c.made.Add(1)
		pause(ctx, 10*time.Millisecond)
	}
}

// cut cuts connections at random, evenly over the time.
func (c *chaos) cut(ctx context.Context) {
	every := time.NewTicker(c.length * 95 / 100 / time.Duration(max(1, c.disconnects)))
	defer every.Stop()
	for left := c.disconnects; left > 0; {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if c.clients[c.random.IntN(len(c.clients))].cut() {
			left--
		}
	}
}

// restartRedis kills Redis, each time for a while, and has it running in the end.
func (c *chaos) restartRedis(upset, ctx context.Context) error {
	for range c.restarts {
		pause(upset, c.length/time.Duration(c.restarts+1))
		c.redis.Kill()
		pause(upset, min(2*time.Second, c.length/10))
		if err := c.redis.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// killServers kills the servers in turn with -9, and has them running in the end.
func (c *chaos) killServers(upset, ctx context.Context) error {
	for n := range c.kills {
		pause(upset, c.length/time.Duration(c.kills+2))
		p := c.servers[n%len(c.servers)]
		p.Kill()
		pause(upset, min(time.Second, c.length/10))
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
