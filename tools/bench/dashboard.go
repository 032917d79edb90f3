package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"
)

// measureDashboard compares the server with the floor, in turns.
func measureDashboard(ctx context.Context, b *bench) error {
	sides := []string{ours, floor, bare}
	children := map[string]*child{}
	for _, side := range sides {
		c, err := b.start(ctx, side)
		if err != nil {
			return err
		}
		defer c.stop()
		children[side] = c
	}
	request := b.dashboardRequest()
	want, err := children[ours].answer(request)
	if err != nil {
		return err
	}
	for _, side := range sides[1:] {
		got, err := children[side].answer(request)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			return fmt.Errorf("%s answers something else from byte %d on: %.200q, the server: %.200q", side, at, got[max(0, at-40):], want[max(0, at-40):])
		}
	}
	progress(fmt.Sprintf("dashboard: %d bytes, the same on every side", len(want)))

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the client; the servers have all cores
	results := map[string][]load{}
	for run := -1; run < b.runs; run++ {
		for i := range sides {
			side := sides[(i+max(run, 0))%len(sides)]
			length := b.length
			if run < 0 {
				length = max(length/3, time.Second) // plans and connections
			}
			result, err := b.run(ctx, children[side], request, b.conns, length)
			if err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
			if run >= 0 {
				results[side] = append(results[side], result)
				progress(fmt.Sprintf("dashboard: %s %.0f/s", side, result.perSecond()))
			}
		}
	}
	if b.profile != "" {
		for _, side := range sides {
			if err := b.profiled(ctx, children[side], side, request); err != nil {
				return err
			}
		}
	}

	fmt.Fprintf(b.out, "\nDashboard: 50 sessions × client × coach × 3 latest insights × citations × tags, %d bytes, %d connections\n", len(want), b.conns)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tp50 ms\tp99 ms\trequests/s\tserver CPU ms\tdatabase CPU ms\tstatements\tour rate beside its\tits CPU beside ours\t")
	for _, side := range sides {
		var p50, p99, cost, database []time.Duration
		var rate, share, beside, statements []float64
		for i, l := range results[side] {
			p50, p99 = append(p50, l.quantile(0.5)), append(p99, l.quantile(0.99))
			rate, cost = append(rate, l.perSecond()), append(cost, l.each(l.cpu))
			database = append(database, l.each(l.database))
			statements = append(statements, l.perRequest())
			own := results[ours][i]
			share = append(share, own.perSecond()/l.perSecond())
			beside = append(beside, float64(l.each(l.cpu+l.database))/float64(max(1, own.each(own.cpu+own.database))))
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.0f\t%.2f\t%.2f\t%.1f\t%.2f\t%.2f\t\n", side, ms(median(p50)), ms(median(p99)), median(rate), ms(median(cost)), ms(median(database)), median(statements), median(share), median(beside))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(b.out, "The last two columns are the ratio to hold against others: of the rates, which suffers when the machine is busy otherwise, and of the")
	fmt.Fprintln(b.out, "processor time of server and database together, which hardly does.")
	fmt.Fprintln(b.out, "floor: a handler written by hand, same bytes, same check of the token, identity and page in one statement; bare: without the check of the token")
	return nil
}

// profiled writes a CPU profile of a server at work.
func (b *bench) profiled(ctx context.Context, c *child, side string, request []byte) error {
	seconds := max(1, int(b.length.Seconds()))
	type answer struct {
		body []byte
		err  error
	}
	profile := make(chan answer, 1)
	go func() {
		body, err := c.control(ctx, fmt.Sprintf("/profile?seconds=%d", seconds))
		profile <- answer{body, err}
	}()
	if _, err := b.run(ctx, c, request, b.conns, time.Duration(seconds)*time.Second); err != nil {
		return err
	}
	p := <-profile
	if p.err != nil {
		return p.err
	}
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return err
	}
	return os.WriteFile(profileFile(b.profile, side), p.body, 0o644)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
