package app

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/telemetry"
)

// WithMetrics has measures written to w instead of standard output.
func WithMetrics(w io.Writer) Option { return func(a *App) { a.measures = w } }

// openMetrics returns what writes measures, nil where none are wanted.
func (a *App) openMetrics() *telemetry.Metrics {
	if a.config.Metrics.Format != config.MetricsEMF {
		return nil
	}
	if a.measures == nil {
		a.measures = os.Stdout
	}
	return telemetry.NewMetrics(a.measures, a.config.Metrics.Namespace)
}

// measure tells every minute, until ctx ends, how the jobs stand.
func (a *App) measure(ctx context.Context) error {
	if a.metrics == nil {
		return nil
	}
	every := time.NewTicker(time.Minute)
	defer every.Stop()
	for {
		if err := a.MeasureJobs(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot measure the jobs", "err", err)
		}
		if err := a.MeasureSearch(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot measure the search", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// MeasureJobs tells how the jobs stand, over all kinds and organizations. Every worker tells the same, so of these the maximum counts.
func (a *App) MeasureJobs(ctx context.Context) error {
	kinds, err := jobs.Stats(ctx, a.db)
	if err != nil {
		return err
	}
	var pending, running, dead int
	var age time.Duration
	for _, k := range kinds {
		pending, running, dead, age = pending+k.Pending, running+k.Running, dead+k.Dead, max(age, k.Lag)
	}
	return a.metrics.Emit(nil,
		telemetry.Measure{Name: "JobAge", Unit: telemetry.Seconds, Value: age.Seconds()},
		telemetry.Measure{Name: "PendingJobs", Unit: telemetry.Count, Value: float64(pending)},
		telemetry.Measure{Name: "RunningJobs", Unit: telemetry.Count, Value: float64(running)},
		telemetry.Measure{Name: "DeadJobs", Unit: telemetry.Count, Value: float64(dead)},
	)
}

// measured tells of each analysis that a job has finished how long somebody has waited for it.
func (a *App) measured(h jobs.Handler) jobs.Handler {
	if a.metrics == nil {
		return h
	}
	return func(ctx context.Context, job jobs.Job) error {
		began := time.Now()
		err := h(ctx, job)
		if job.Kind == transcript.JobAnalyse && err == nil {
			if err := a.measureAnalysis(ctx, job, time.Since(began)); err != nil {
				a.log.WarnContext(ctx, "cannot measure an analysis", "err", err)
			}
		}
		return err
	}
}

func (a *App) measureAnalysis(ctx context.Context, job jobs.Job, took time.Duration) error {
	var engine string
	var waited float64
	// A job that found its run done has no news. The time is the database's; a second covers the way there and back.
	err := a.db.QueryRow(ctx, `
		SELECT engine, extract(epoch FROM finished_at - $3::timestamptz)::float8 FROM analysis_runs
		WHERE org_id = $1 AND transcript_id = $2 AND finished_at > clock_timestamp() - $4::interval - interval '1 second'
		ORDER BY created_at DESC, id DESC LIMIT 1`, job.Org, job.Entity, job.CreatedAt, took).Scan(&engine, &waited)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	return a.metrics.Emit(map[string]string{"Engine": engine},
		telemetry.Measure{Name: "AnalysisLatency", Unit: telemetry.Seconds, Value: max(waited, 0)},
	)
}

// measuredDeath tells of each analysis that was given up, by the code that people see. A job that dies when all was done is none.
func (a *App) measuredDeath(ctx context.Context, job jobs.Job) {
	if a.metrics == nil || job.Kind != transcript.JobAnalyse {
		return
	}
	var code string
	err := a.db.QueryRow(ctx, `SELECT failure_code FROM transcripts WHERE org_id = $1 AND id = $2 AND status = 'FAILED'`, job.Org, job.Entity).Scan(&code)
	if errors.Is(err, pgx.ErrNoRows) {
		return
	}
	if err == nil {
		err = a.metrics.Emit(map[string]string{"Engine": a.analyser.Engine().Name, "Code": code},
			telemetry.Measure{Name: "FailedAnalyses", Unit: telemetry.Count, Value: 1})
	}
	if err != nil {
		a.log.WarnContext(ctx, "cannot measure a failed analysis", "err", err)
	}
}

// metered is a model that tells what each of its answers has cost, whatever became of it and of the analysis that asked.
type metered struct {
	llm.Model
	app    *App
	engine string
}

// Answer implements llm.Model.
func (m metered) Answer(ctx context.Context, q llm.Request, call func(llm.Call) error) (llm.Usage, error) {
	used, failed := m.Model.Answer(ctx, q, call)
	if used.CostMicros > 0 {
		if err := m.app.metrics.Emit(map[string]string{"Engine": m.engine}, telemetry.Measure{Name: "AnalysisCost", Unit: telemetry.None, Value: float64(used.CostMicros)}); err != nil {
			m.app.log.WarnContext(ctx, "cannot measure what an answer has cost", "err", err)
		}
	}
	return used, failed
}
