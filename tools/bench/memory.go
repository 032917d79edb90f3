package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"
)

const subscriptions = 1000

// measureMemory measures what a server holds when nobody asks and when a thousand listen, and how long an event takes to all
// of them.
func measureMemory(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\nResident memory, and one event to %d subscriptions of a session\n", subscriptions)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tresident MB\theap MB\tgoroutines\tfirst ms\tall ms\tserver CPU ms\t")
	for _, sockets := range []int{0, 100, subscriptions} {
		if err := b.listeners(ctx, w, sockets); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (b *bench) listeners(ctx context.Context, w *tabwriter.Writer, sockets int) error {
	c, err := b.start(ctx, ours)
	if err != nil {
		return err
	}
	defer c.stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	// Somebody has asked before: connections and plans are there.
	if _, err := b.run(ctx, c, b.dashboardRequest(), 2, time.Second); err != nil {
		return err
	}
	arrived := make(chan arrival, subscriptions)
	var wg sync.WaitGroup
	defer wg.Wait()
	var open []*socket
	defer func() {
		for _, s := range open {
			s.close()
		}
	}()
	each := subscriptions / max(1, sockets)
	for range sockets {
		s, err := c.dial(ctx, b.token)
		if err != nil {
			return err
		}
		open = append(open, s)
		for n := range each {
			if err := s.subscribe(ctx, n, b.practice.Session.String(), nil); err != nil {
				return err
			}
		}
		wg.Go(func() {
			for {
				raw, err := s.next(ctx)
				arrived <- arrival{raw, time.Now(), err}
				if err != nil {
					return
				}
			}
		})
	}
	if sockets > 0 {
		if err := b.settled(ctx, c); err != nil {
			return err
		}
	}
	time.Sleep(time.Second)
	f, err := c.figures(ctx, true)
	if err != nil {
		return err
	}
	name := "idle"
	if sockets > 0 {
		name = fmt.Sprintf("%d over %d sockets", subscriptions, sockets)
	}
	fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%d\t", name, float64(f.Resident)/1e6, float64(f.Heap)/1e6, f.Goroutines)
	if sockets == 0 {
		fmt.Fprintln(w, "\t\t\t")
		return nil
	}
	var first, all, cost []time.Duration
	for run := range b.runs + 1 {
		before, err := c.figures(ctx, false)
		if err != nil {
			return err
		}
		one, last, err := b.event(ctx, c, arrived)
		if err != nil {
			return err
		}
		after, err := c.figures(ctx, false)
		if err != nil {
			return err
		}
		if run > 0 {
			first, all, cost = append(first, one), append(all, last), append(cost, after.CPU-before.CPU)
		}
	}
	fmt.Fprintf(w, "%.0f\t%.0f\t%.0f\t\n", ms(median(first)), ms(median(all)), ms(median(cost)))
	return nil
}

// arrival is an event that a socket has received, or why it receives no more.
type arrival struct {
	event json.RawMessage
	at    time.Time
	err   error
}

// settled waits until the server has taken in what was sent: the protocol does not confirm a subscription, so that it is seen
// by the goroutines no longer becoming more.
func (b *bench) settled(ctx context.Context, c *child) error {
	last, same := 0, 0
	for same < 10 {
		f, err := c.figures(ctx, false)
		if err != nil {
			return err
		}
		if f.Goroutines == last && last > subscriptions {
			same++
		} else {
			same = 0
		}
		last = f.Goroutines
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("the subscriptions do not settle")
		}
	}
	return nil
}

// event reviews an insight and waits until everybody has heard of it.
func (b *bench) event(ctx context.Context, c *child, arrived <-chan arrival) (first, all time.Duration, err error) {
	begin := time.Now()
	failed := make(chan error, 1)
	go func() {
		var out struct {
			ReviewInsight struct{ UserErrors refusals }
		}
		err := b.mutate(ctx, c, `mutation($in: ReviewInsightInput!) { reviewInsight(input: $in) { userErrors { message } } }`,
			map[string]any{"in": map[string]any{"insightId": b.practice.Insight.String(), "decision": "EDIT", "title": begin.String()[:27]}}, &out)
		if err == nil {
			err = out.ReviewInsight.UserErrors.err()
		}
		failed <- err
	}()
	for n := range subscriptions {
		select {
		case a := <-arrived:
			if a.err != nil {
				return 0, 0, fmt.Errorf("after %d of %d: %w", n, subscriptions, a.err)
			}
			if n == 0 {
				first = a.at.Sub(begin)
			}
			all = a.at.Sub(begin)
		case <-time.After(30 * time.Second):
			return 0, 0, fmt.Errorf("only %d of %d have heard", n, subscriptions)
		}
	}
	return first, all, <-failed
}
