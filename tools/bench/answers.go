package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"
)

// uncached is the whole product, but that it keeps no answers.
const uncached = "uncached"

// series are ten measures of two years by month, with the programme's distribution, as a screen of a coach's development asks for them.
const series = `query($from: Date!, $to: Date!) {
  a: metricSeries(metric: SESSIONS_HELD, from: $from, to: $to, interval: MONTH, groupBy: PERSON) { ...s }
  b: metricSeries(metric: COACH_TALK_SHARE, from: $from, to: $to, interval: MONTH, compareTo: PROGRAMME) { ...s }
  c: metricSeries(metric: COACH_QUESTION_RATE, from: $from, to: $to, interval: MONTH, compareTo: PROGRAMME) { ...s }
  d: metricSeries(metric: COACH_OPEN_QUESTION_SHARE, from: $from, to: $to, interval: MONTH, compareTo: PROGRAMME) { ...s }
  e: metricSeries(metric: SILENCE_SHARE, from: $from, to: $to, interval: MONTH, compareTo: PROGRAMME) { ...s }
  f: metricSeries(metric: GOAL_CHECK_IN_SCORE, from: $from, to: $to, interval: MONTH) { ...s }
  g: metricSeries(metric: ACTIONS_DONE, from: $from, to: $to, interval: MONTH) { ...s }
}
fragment s on MetricSeries { unit groups { points { startsAt value n } } }`

// measureAnswers measures how long series take that are computed each time, that are kept, and the first time after something was written.
func measureAnswers(ctx context.Context, b *bench) error {
	fmt.Fprintln(b.out, "\nSeven series of two years by month")
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tms\t")
	vars := map[string]any{"from": "2025-01-01", "to": "2026-12-31"}
	for _, side := range []string{uncached, ours} {
		c, err := b.start(ctx, side)
		if err != nil {
			return err
		}
		defer c.stop()
		ask := func(before string) (time.Duration, error) {
			var took []time.Duration
			for range 10*b.runs + 1 {
				if before != "" {
					if _, err := b.db.Exec(ctx, before, b.practice.Viewer.Org); err != nil {
						return 0, err
					}
				}
				began := time.Now()
				if err := b.mutate(ctx, c, series, vars, &struct{}{}); err != nil {
					return 0, err
				}
				took = append(took, time.Since(began))
			}
			return median(took[1:]), nil // the first one is the connection's and the plans'
		}
		took, err := ask("")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%.1f\t\n", map[string]string{uncached: "computed each time", ours: "kept"}[side], ms(took))
		if side == ours {
			if took, err = ask(`UPDATE sessions SET title = title WHERE org_id = $1 AND id = (SELECT id FROM sessions WHERE org_id = $1 LIMIT 1)`); err != nil {
				return err
			}
			fmt.Fprintf(w, "kept, and a session was written before each\t%.1f\t\n", ms(took))
		}
	}
	return w.Flush()
}
