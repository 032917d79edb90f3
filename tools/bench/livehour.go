package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"
)

const (
	liveHour = 1_200 // utterances
	livePart = 200   // of which the price is told
)

// measureLive measures what an utterance costs a server at the beginning, in the middle and at the end of an hour, while the coach listens.
func measureLive(ctx context.Context, b *bench) error {
	c, err := b.start(ctx, ours)
	if err != nil {
		return err
	}
	defer c.stop()
	var hours []hour
	for run := -1; run < b.runs; run++ {
		h, err := b.liveHour(ctx, c, run+1)
		if err != nil {
			return err
		}
		if run >= 0 { // the first is the connections' and the plans'
			hours = append(hours, h)
		}
	}
	fmt.Fprintf(b.out, "\nLive hour: %d utterances, each sent alone, to a coach who listens; %d events came of the last, %d of them nudges\n",
		liveHour, hours[len(hours)-1].events, hours[len(hours)-1].nudges)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tserver's CPU ms an utterance\tPostgreSQL's\t")
	for _, part := range []struct {
		name string
		at   int
	}{{"first", 0}, {"middle", liveHour / livePart / 2}, {"last", liveHour/livePart - 1}} {
		var server, database []time.Duration
		for _, h := range hours {
			server, database = append(server, h.server[part.at]/livePart), append(database, h.database[part.at]/livePart)
		}
		fmt.Fprintf(w, "%s %d\t%.2f\t%.2f\t\n", part.name, livePart, ms(median(server)), ms(median(database)))
	}
	return w.Flush()
}

// hour is what a live hour has used, by parts.
type hour struct {
	server, database []time.Duration // CPU
	events, nudges   int
}

func (b *bench) liveHour(ctx context.Context, c *child, number int) (h hour, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	from, err := b.goLive(ctx, c, number)
	if err != nil {
		return h, err
	}
	coach, err := c.dial(ctx, b.token)
	if err != nil {
		return h, err
	}
	defer coach.close()
	if err := coach.listenTo(ctx, from.of); err != nil {
		return h, err
	}
	if _, err := coach.hear(ctx); err != nil { // how it stands: from here on everything comes
		return h, err
	}
	heard, profiled := make(chan error, 1), make(chan error, 1)
	go func() { heard <- h.listen(ctx, coach) }()
	go func() { profiled <- b.profileFor(ctx, c, "live") }()
	for range liveHour / livePart {
		// An hour would be within what a source may send; some seconds are not.
		if _, err := b.db.Exec(ctx, `UPDATE live_sessions SET allowance = NULL WHERE org_id = $1 AND session_id = $2`, b.practice.Viewer.Org, from.of); err != nil {
			return h, err
		}
		if err := h.part(ctx, from); err != nil {
			return h, err
		}
	}
	return h, errors.Join(<-heard, <-profiled)
}

// part has the next part of the hour said.
func (h *hour) part(ctx context.Context, s *scribe) error {
	before, err := s.to.figures(ctx, false)
	if err != nil {
		return err
	}
	database, err := s.databaseCPU(ctx)
	if err != nil {
		return err
	}
	for range livePart {
		if err := s.say(ctx); err != nil {
			return err
		}
	}
	after, err := s.to.figures(ctx, false)
	if err != nil {
		return err
	}
	used, err := s.databaseCPU(ctx)
	h.server, h.database = append(h.server, after.CPU-before.CPU), append(h.database, used-database)
	return err
}

// listen counts what comes, until all that is said has.
func (h *hour) listen(ctx context.Context, s *socket) error {
	for said := 0; said < liveHour; {
		e, err := s.hear(ctx)
		if err != nil {
			return fmt.Errorf("after %d of %d utterances: %w", said, liveHour, err)
		}
		h.events++
		switch e.Typename {
		case words:
			said++
		case "LiveNudgeGiven":
			h.nudges++
		}
	}
	return nil
}
