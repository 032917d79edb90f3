package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

const (
	followed = 50                     // live sessions
	eachSaid = 500 * time.Millisecond // how often something is said in each
)

// hall is what both sides are measured with: sessions that another process takes down, and who follows them.
type hall struct {
	*bench
	scribes []*scribe
	tokens  []string // of the coach and the supervisors
	key     stream.Key
}

// measureSockets measures what a socket holds on which somebody follows a live session, and how long it takes from what is said to all who
// follow, beside a fan-out by hand.
func measureSockets(ctx context.Context, b *bench) error {
	other, err := b.start(ctx, ours)
	if err != nil {
		return err
	}
	defer other.stop()
	h, err := b.hall(ctx, other)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nSockets: %d live sessions, in each of which an utterance comes twice a second, to another process, and is heard by %d people on several sockets each\n",
		followed, len(h.tokens))
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tresident KB a socket\theap KB\tstacks KB\tp50 ms\tp99 ms\tCPU µs a delivery\tstatements an utterance\tdelivered\tlost\tdoubled\t")
	for _, n := range []int{1000, 5000} {
		for _, side := range []string{ours, fanout} {
			m, err := h.measure(ctx, side, n)
			if err != nil {
				return fmt.Errorf("%s with %d sockets: %w", side, n, err)
			}
			fmt.Fprintf(w, "%s, %d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%.1f\t%d\t%d\t%d\t\n", side, n, m.resident/1e3, m.heap/1e3, m.stacks/1e3, ms(m.at(0.5)), ms(m.at(0.99)),
				float64(m.cpu.Microseconds())/float64(max(1, m.delivered)), m.statements, m.delivered, m.lost, m.doubled)
		}
	}
	return w.Flush()
}

// measured is what was measured of one side.
type measured struct {
	resident, heap, stacks   float64 // bytes a socket
	cpu                      time.Duration
	statements               float64 // an utterance
	delivered, lost, doubled int64
	took                     []time.Duration // sorted
}

func (m *measured) at(p float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	return m.took[min(len(m.took)-1, int(p*float64(len(m.took))))]
}

func (b *bench) hall(ctx context.Context, other *child) (*hall, error) {
	h := &hall{bench: b, tokens: []string{b.token}}
	for n := range seed.Full.Supervisors {
		token, err := b.tokenOf(seed.Supervisor(n))
		if err != nil {
			return nil, err
		}
		h.tokens = append(h.tokens, token)
	}
	for n := range followed {
		r, err := b.goLive(ctx, other, n)
		if err != nil {
			return nil, err
		}
		h.scribes = append(h.scribes, r)
	}
	var err error
	h.key, err = pgstream.Key(ctx, b.db, b.practice.Viewer.Org)
	return h, err
}

// audience are n who are to listen: people who follow all sessions alike.
func (h *hall) audience(n int) audience {
	a := make(audience, n)
	for i := range a {
		a[i] = &listener{of: h.scribes[i%followed].of, token: h.tokens[i/followed%len(h.tokens)], key: h.key}
	}
	return a
}

func (h *hall) measure(ctx context.Context, side string, n int) (m measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	c, err := h.start(ctx, side)
	if err != nil {
		return m, err
	}
	defer c.stop()
	all := h.audience(n)
	defer all.close()
	before, err := h.gather(ctx, c, side, all, 0, 1) // what the first one makes stays
	if err != nil {
		return m, err
	}
	after, err := h.gather(ctx, c, side, all, 1, n)
	if err != nil {
		return m, err
	}
	all.reset()
	profiled := make(chan error, 1)
	go func() { profiled <- h.profileFor(ctx, c, fmt.Sprintf("sockets-%s-%d", side, n)) }()
	each := max(1, int(2*h.length/eachSaid))
	if err := errors.Join(h.talk(ctx, each), <-profiled); err != nil {
		return m, err
	}
	if err := all.await(ctx, func(l *listener) bool { return l.hasHeard(each) }); err != nil {
		progress(side + ": " + err.Error())
	}
	end, err := c.figures(ctx, false)
	if err != nil {
		return m, err
	}
	m = all.heard(each)
	ofOne := func(before, after float64) float64 { return (after - before) / float64(n-1) }
	m.resident = ofOne(float64(before.Resident), float64(after.Resident))
	m.heap = ofOne(float64(before.Heap), float64(after.Heap))
	m.stacks = ofOne(float64(before.Stacks), float64(after.Stacks))
	m.cpu, m.statements = end.CPU-after.CPU, float64(end.Statements-after.Statements)/float64(each*followed)
	return m, nil
}

// gather has those of a place from one to another listen as well, everybody hear an utterance, and returns what the server holds then.
func (h *hall) gather(ctx context.Context, c *child, side string, all audience, from, to int) (figures, error) {
	for _, l := range all[from:to] {
		if err := l.dial(ctx, c, side); err != nil {
			return figures{}, err
		}
	}
	there := all[:to]
	if err := there.await(ctx, (*listener).isListening); err != nil {
		return figures{}, err
	}
	there.reset()
	if err := h.talk(ctx, 1); err != nil {
		return figures{}, err
	}
	if err := there.await(ctx, func(l *listener) bool { return l.hasHeard(1) }); err != nil {
		return figures{}, err
	}
	return atRest(ctx, c)
}

// talk has so many utterances said in each session, twice a second, evenly spread over the sessions. Who is late hurries.
func (h *hall) talk(ctx context.Context, each int) error {
	begin := time.Now()
	failed := make(chan error, followed)
	for i, r := range h.scribes {
		go func() { failed <- r.talk(ctx, begin.Add(time.Duration(i)*eachSaid/followed), each) }()
	}
	var err error
	for range h.scribes {
		err = errors.Join(err, <-failed)
	}
	if late := time.Since(begin) - time.Duration(each)*eachSaid; late > eachSaid {
		progress(fmt.Sprintf("what was to be said was late by %s", late.Round(time.Millisecond)))
	}
	return err
}

func (s *scribe) talk(ctx context.Context, from time.Time, n int) error {
	for i := range n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(from.Add(time.Duration(i) * eachSaid))):
		}
		if err := s.say(ctx); err != nil {
			return err
		}
	}
	return nil
}

// atRest is what a server holds when all garbage is collected; each collection halves the stacks that have become too large.
func atRest(ctx context.Context, c *child) (f figures, err error) {
	for range 6 {
		if f, err = c.figures(ctx, true); err != nil {
			return f, err
		}
	}
	return f, nil
}

// profileFor writes a CPU profile of the server for one length, if that is wanted.
func (b *bench) profileFor(ctx context.Context, c *child, name string) error {
	if b.profile == "" {
		return nil
	}
	raw, err := c.control(ctx, fmt.Sprintf("/profile?seconds=%d", max(1, int(b.length.Seconds()))))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profile, name+".pprof"), raw, 0o600)
}
