package app

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/deadletter"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/queue"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// work is how jobs are handed out: by PostgreSQL, whose rows they are, or through a queue of SQS that they are relayed to.
type work struct {
	rows  *pgqueue.Queue
	sqs   *sqsqueue.Queue // nil without SQS
	where string          // for people
	check httpx.Check
}

func (a *App) openWork(ctx context.Context) (w work, err error) {
	w.where = "postgres"
	w.check = httpx.Check{Name: "queue", Adapter: "postgres", Optional: true, Probe: connects(a.jobsAnswer)}
	if url := a.config.Jobs.SQSQueueURL; url != "" {
		cfg, err := a.reachAWS(ctx, "RAPPORT_SQS_QUEUE_URL")
		if err != nil {
			return w, err
		}
		w.sqs = sqsqueue.New(cfg, sqsqueue.Options{URL: url, Log: a.log})
		w.where = "sqs (" + url + ")"
		w.check.Adapter = "sqs"
		w.check.Probe = queueIsThere(w.sqs.Reach)
	}
	w.rows = pgqueue.New(a.db, a.listener, pgqueue.Options{
		PerOrg: perOrg(a.config),
		Lanes:  lanes(a.config),
	})
	return w, nil
}

// queueIsThere is reach, saying in few words to anybody what is wrong with a queue.
func queueIsThere(reach func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := reach(ctx)
		if err != nil && fault.KindOf(err) != fault.KindUnavailable {
			err = fault.Unavailable("cannot reach the queue").Because(err)
		}
		return err
	}
}

// queue is where the process's runner hears of jobs.
func (w work) queue() queue.Queue {
	if w.sqs != nil {
		return w.sqs
	}
	return w.rows
}

func (w work) close() {
	if w.sqs != nil {
		w.sqs.Close()
	}
	w.rows.Close()
}

// relay carries what is due to SQS. Every process does, so that jobs reach their workers whichever process is left.
func (a *App) relay(ctx context.Context) error {
	if a.work.sqs == nil {
		return nil
	}
	return queue.Relay(ctx, a.work.rows, a.work.sqs, a.config.Jobs.SQSResend, a.log)
}

// aboutJobs says what the kinds of jobs are about, for who looks at those that were given up. A mail (notice.JobDeliver) has no id that
// anybody would know it by, and a sweep is about the organization, which every kind may be.
var aboutJobs = []deadletter.About{
	{Kind: transcript.JobParse, Prefix: "transcript", Table: "transcripts"},
	{Kind: transcript.JobAnalyse, Prefix: "transcript", Table: "transcripts"},
	{Kind: transcript.JobEmbed, Prefix: "transcript", Table: "transcripts"},
	{Kind: transcript.JobKeep, Prefix: "transcript", Table: "transcripts"},
	{Kind: transcript.JobUnlink, Prefix: "transcript", Table: "transcripts"},
	{Kind: live.JobWatch, Prefix: "live", Table: "live_sessions"},
	{Kind: consent.JobFollow, Prefix: "client", Table: "clients"},
	{Kind: consent.JobFollow, Prefix: "participant", Table: "participants"},
	{Kind: privacy.JobExport, Prefix: "request", Table: "data_requests"},
	{Kind: privacy.JobErase, Prefix: "request", Table: "data_requests"},
	{Kind: search.SubjectTranscript.Job(), Prefix: "transcript", Table: "transcripts"},
	{Kind: search.SubjectSession.Job(), Prefix: "session", Table: "sessions"},
	{Kind: search.SubjectNote.Job(), Prefix: "note", Table: "notes"},
	{Kind: search.SubjectGoal.Job(), Prefix: "goal", Table: "goals"},
	{Kind: search.SubjectAction.Job(), Prefix: "action", Table: "action_items"},
	{Kind: search.SubjectSession.EmbedJob(), Prefix: "session", Table: "sessions"},
	{Kind: search.SubjectNote.EmbedJob(), Prefix: "note", Table: "notes"},
	{Kind: search.SubjectGoal.EmbedJob(), Prefix: "goal", Table: "goals"},
	{Kind: search.SubjectAction.EmbedJob(), Prefix: "action", Table: "action_items"},
	{Kind: ask.JobAnswer, Prefix: "message", Table: "ask_messages"},
	{Kind: notice.JobAnnounce, Prefix: "notification", Table: "notifications"},
}

// lanes are the kinds that follow what people have done, who wait for none of it: copies for searching, and notices. Copies of whole conversations leave
// everything else before; what is small comes after a second or a few, also while hundreds of conversations are analysed.
func lanes(cfg config.Config) []pgqueue.Lane {
	n := cfg.Jobs.Indexing
	small := func(kind func(search.Subject) string) []string {
		return []string{kind(search.SubjectSession), kind(search.SubjectNote), kind(search.SubjectGoal), kind(search.SubjectAction)}
	}
	return []pgqueue.Lane{
		{Kinds: []string{search.SubjectTranscript.Job()}, Room: 2 * n}, // one of which a very long conversation may take
		{Kinds: []string{transcript.JobEmbed}, Room: n},
		{Kinds: small(search.Subject.Job), Room: 2 * n, Patience: time.Second},
		{Kinds: small(search.Subject.EmbedJob), Room: n, Patience: 5 * time.Second},
		{Kinds: []string{notice.JobAnnounce}, Room: 2 * n, Patience: time.Second},
	}
}

// yielding are all kinds of the lanes.
func yielding(cfg config.Config) (kinds []string) {
	for _, l := range lanes(cfg) {
		kinds = append(kinds, l.Kinds...)
	}
	return kinds
}

// perOrg keeps one organization's bulk import from taking every worker.
func perOrg(cfg config.Config) int { return max(1, cfg.Jobs.Concurrency-1) }

func (a *App) jobsAnswer(ctx context.Context) error {
	_, err := jobs.Stats(ctx, a.db)
	return err
}
