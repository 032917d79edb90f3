package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/tools/bench/rig"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// measurePipeline sends transcripts of an hour by links to an emulator of S3 and waits for what workers make of them, whom an emulator
// of SQS tells: all at once, and then as many a minute as they manage with ease. One worker and two have a rig each, so that neither
// has to do what the other one left for later.
func measurePipeline(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\n%d transcripts of an hour through S3, SQS and PostgreSQL, both of AWS emulated on this machine; built-in analyser\n", b.transcripts)
	for n := b.workers; n <= 2; n++ {
		if err := b.pipelineOf(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) pipelineOf(ctx context.Context, n int) error {
	r, closeAll, err := rig.Start(ctx, progress)
	if err != nil {
		return err
	}
	defer closeAll()
	server, err := r.Run(ctx, config.Server)
	if err != nil {
		return err
	}
	defer server.Kill()
	var workers []*rig.Process
	for range n {
		w, err := r.Run(ctx, config.Worker)
		if err != nil {
			return err
		}
		defer w.Kill()
		workers = append(workers, w)
	}
	return b.pipeline(ctx, r, server, workers)
}

func (b *bench) pipeline(ctx context.Context, r *rig.Rig, server *rig.Process, workers []*rig.Process) error {
	watching, enough := context.WithCancel(ctx)
	memory := make(chan []int64, 1)
	go func() { memory <- watchMemory(watching, workers) }()
	r.Line.Counts()
	began := time.Now()
	sent, err := b.send(ctx, r, server, b.transcripts, 0)
	if err != nil {
		enough()
		return err
	}
	done, err := b.ready(ctx, r, sent)
	enough()
	if err != nil {
		return err
	}
	counts := r.Line.Counts()
	calls := 0
	var which []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if op, ok := strings.CutPrefix(what, "AmazonSQS."); ok {
			calls += counts[what]
			which = append(which, fmt.Sprintf("%s %d", op, counts[what]))
		}
	}
	took := done.Sub(began)
	perMinute := float64(b.transcripts) / took.Minutes()
	few := min(b.transcripts, 60)
	calm, err := b.send(ctx, r, server, few, time.Duration(float64(time.Minute)/perMinute*2))
	if err != nil {
		return err
	}
	if _, err := b.ready(ctx, r, calm); err != nil {
		return err
	}
	firsts, err := first(ctx, r, calm)
	if err != nil {
		return err
	}
	held := <-memory
	third := max(1, len(held)/3)
	fmt.Fprintf(b.out, "  %d workers: %.0f transcripts/minute; at half of that, from the upload to the first insight %.0f ms (p95 %.0f)\n",
		len(workers), perMinute, ms(median(firsts)), ms(firsts[len(firsts)*95/100]))
	waiting, err := unsure(ctx, r, slices.Collect(maps.Keys(sent)))
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "    %d of them wait for somebody to say who the coach is; searching and vectors of all come afterwards\n", waiting)
	fmt.Fprintf(b.out, "    %.2f calls of SQS for each transcript (%s)\n", float64(calls)/float64(b.transcripts), strings.Join(which, ", "))
	fmt.Fprintf(b.out, "    memory of a worker %d MB in the first third, %d MB in the last, %d MB at most\n",
		median(held[:third])>>20, median(held[len(held)-third:])>>20, slices.Max(held)>>20)
	return nil
}

// send uploads so many files, eight at once, each pause one if there is a pause; it returns when each upload began, by transcript.
func (b *bench) send(ctx context.Context, r *rig.Rig, server *rig.Process, n int, pause time.Duration) (map[id.UUID]time.Time, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	at := map[id.UUID]time.Time{}
	var mu sync.Mutex
	var all sync.WaitGroup
	work := make(chan []byte)
	for range 8 {
		all.Go(func() {
			for file := range work {
				began := time.Now()
				key, err := upload(ctx, server.Client(), file)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				at[key] = began
				mu.Unlock()
			}
		})
	}
	for range n {
		b.files++
		select {
		case work <- seed.NewWords(b.files).Zoom(60):
		case <-ctx.Done():
		}
		if pause > 0 {
			time.Sleep(pause)
		}
	}
	close(work)
	all.Wait()
	return at, context.Cause(ctx)
}

func upload(ctx context.Context, c rig.Client, file []byte) (key id.UUID, err error) {
	session, err := c.Session(ctx)
	if err != nil {
		return key, err
	}
	transcript, err := c.Upload(ctx, session, file)
	if err != nil {
		return key, err
	}
	_, key, err = id.Parse(transcript)
	return key, err
}

// ready waits until all are, or wait for a person, and returns since when.
func (b *bench) ready(ctx context.Context, r *rig.Rig, sent map[id.UUID]time.Time) (last time.Time, err error) {
	const patience = 3 * time.Minute
	keys := slices.Collect(maps.Keys(sent))
	for before, moved := 0, time.Now(); ; {
		var n int
		if err := r.DB.QueryRow(ctx, `
			SELECT count(*), coalesce(max(r.finished_at), now()) FROM transcripts t LEFT JOIN analysis_runs r ON r.transcript_id = t.id
			WHERE t.id = ANY($1) AND (t.status = 'READY' AND r.status = 'SUCCEEDED' OR t.status = 'NEEDS_SPEAKERS')`, keys).Scan(&n, &last); err != nil {
			return last, err
		}
		if n == len(keys) {
			return last, nil
		}
		if n > before {
			before, moved = n, time.Now()
		} else if time.Since(moved) > patience {
			return last, fmt.Errorf("%d of %d are ready, and none more since %s: %s", n, len(keys), patience, stuck(ctx, r, keys))
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("%d of %d are ready: %w", n, len(keys), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unsure is how many wait for somebody to say who is the coach: the words are made up, and a few hours of them leave that open.
func unsure(ctx context.Context, r *rig.Rig, keys []id.UUID) (n int, err error) {
	err = r.DB.QueryRow(ctx, `SELECT count(*) FROM transcripts WHERE id = ANY($1) AND status = 'NEEDS_SPEAKERS'`, keys).Scan(&n)
	return n, err
}

// stuck tells of what is not ready, and of its jobs.
func stuck(ctx context.Context, r *rig.Rig, keys []id.UUID) (what string) {
	err := r.DB.QueryRow(ctx, `
		SELECT coalesce(string_agg(concat_ws(' ', t.id, t.status, t.failure_code, j.kind, j.state, 'attempt', j.attempt, j.last_error_code, 'due in', j.due_at - now(), 'held', j.receipt IS NOT NULL), '; '), '')
		FROM transcripts t LEFT JOIN jobs j ON j.entity_id = t.id AND j.state <> 'DONE' AND j.kind LIKE 'transcript.%'
		WHERE t.id = ANY($1) AND t.status <> 'NEEDS_SPEAKERS' AND NOT EXISTS (SELECT FROM analysis_runs r WHERE r.transcript_id = t.id AND t.status = 'READY' AND r.status = 'SUCCEEDED')`, keys).Scan(&what)
	if err != nil {
		return err.Error()
	}
	return what
}

// first are the times from the beginning of an upload to its first insight, sorted.
func first(ctx context.Context, r *rig.Rig, sent map[id.UUID]time.Time) (all []time.Duration, err error) {
	rows, err := r.DB.Query(ctx, `SELECT transcript_id, min(created_at) FROM insights WHERE transcript_id = ANY($1) GROUP BY 1`, slices.Collect(maps.Keys(sent)))
	if err != nil {
		return nil, err
	}
	var key id.UUID
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&key, &at}, func() error {
		all = append(all, at.Sub(sent[key]))
		return nil
	}); err != nil {
		return nil, err
	}
	waiting, err := unsure(ctx, r, slices.Collect(maps.Keys(sent)))
	if err != nil {
		return nil, err
	}
	if len(all)+waiting < len(sent) {
		return nil, fmt.Errorf("%d of %d transcripts have no insight", len(sent)-waiting-len(all), len(sent))
	}
	slices.Sort(all)
	return all, nil
}

// watchMemory looks each second at the memory of the first worker, until ctx ends.
func watchMemory(ctx context.Context, workers []*rig.Process) (held []int64) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		held = append(held, residentOf(workers[0].Pid()))
		select {
		case <-ctx.Done():
			return held
		case <-every.C:
		}
	}
}
