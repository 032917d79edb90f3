package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/aws/ministack"
	"github.com/rapporthq/rapport/internal/platform/event"
	snsevent "github.com/rapporthq/rapport/internal/platform/event/sns"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/queue"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// tenants are the organizations whose jobs and events are carried, and ofEach how many of each: as many jobs as one organization may
// have in flight with the default configuration.
const tenants, ofEach = 800, 3

// measureRelays measures how many events and jobs a second one relay carries to an emulator of AWS, beside the same calls without the
// database, which is the emulator's own ceiling, and the same statements without the calls.
func measureRelays(ctx context.Context, b *bench) error {
	emulator, err := ministack.Start(ctx, cmp.Or(os.Getenv("RAPPORT_HOME"), ".rapport"), progress)
	if errors.Is(err, ministack.ErrUnavailable) {
		fmt.Fprintf(b.out, "\nRelays: not measured: %v\n", err)
		return nil
	} else if err != nil {
		return err
	}
	defer emulator.Stop()
	db, err := postgres.Open(ctx, b.url, postgres.WithMaxConns(8), postgres.WithApplicationName("bench"))
	if err != nil {
		return err
	}
	defer db.Close()
	r := relays{db: db, log: slog.New(slog.DiscardHandler), cfg: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(emulator.URL()), Credentials: credentials.NewStaticCredentialsProvider("123456789012", "test", ""),
	}}
	r.listener = postgres.Listen(ctx, db, r.log)
	defer r.listener.Close()
	if err := r.found(ctx); err != nil {
		return err
	}
	defer r.close(context.WithoutCancel(ctx))

	sides := []struct {
		name    string
		measure func(context.Context) (float64, error)
	}{
		{"events: outbox → SNS", func(ctx context.Context) (float64, error) { return r.events(ctx, r.topic) }},
		{"events: SNS alone", r.topicAlone},
		{"events: outbox alone", func(ctx context.Context) (float64, error) { return r.events(ctx, taker{}) }},
		{"jobs: rows → SQS", func(ctx context.Context) (float64, error) { return r.jobs(ctx, r.queue) }},
		{"jobs: SQS alone", r.queueAlone},
		{"jobs: rows alone", func(ctx context.Context) (float64, error) { return r.jobs(ctx, taker{}) }},
	}
	rates := make([][]float64, len(sides))
	for run := -1; run < b.runs; run++ {
		for i := range sides {
			i = (i + max(run, 0)) % len(sides)
			rate, err := sides[i].measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", sides[i].name, err)
			}
			if run >= 0 { // the first time is the connections' and the plans'
				rates[i] = append(rates[i], rate)
				progress(fmt.Sprintf("%s %.0f/s", sides[i].name, rate))
			}
		}
	}
	fmt.Fprintf(b.out, "\nRelays: %d events and as many jobs of %d organizations, by one relay each to an emulator of AWS on this machine\n", tenants*ofEach, tenants)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\ta second\tleast\tmost\t")
	for i, s := range sides {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t\n", s.name, median(rates[i]), slices.Min(rates[i]), slices.Max(rates[i]))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(b.out, "alone: the same calls without the database, which is what the emulator can do, and the same statements without the calls")
	return nil
}

type relays struct {
	db       *pgxpool.Pool
	listener *postgres.Listener
	log      *slog.Logger
	cfg      aws.Config
	topic    *snsevent.Topic
	queue    *sqsqueue.Queue
	orgs     []id.UUID
}

func source() string { return "https://rapport.example" }

// found makes topic, queue and organizations.
func (r *relays) found(ctx context.Context) error {
	arn, err := snsevent.Create(ctx, r.cfg, "bench-events")
	if err != nil {
		return err
	}
	r.topic = snsevent.New(r.cfg, snsevent.Options{Topic: arn, Source: source})
	queues, err := sqsqueue.Create(ctx, r.cfg, "bench-jobs")
	if err != nil {
		return err
	}
	r.queue = sqsqueue.New(r.cfg, sqsqueue.Options{URL: queues.URL, Log: r.log})
	r.orgs = make([]id.UUID, tenants)
	slugs := make([]string, tenants)
	for i := range r.orgs {
		r.orgs[i], slugs[i] = id.New(), "relays-"+strconv.Itoa(i)
	}
	_, err = r.db.Exec(ctx, `INSERT INTO organizations (id, slug, name) SELECT o.id, o.slug, 'Relays' FROM unnest($1::uuid[], $2::text[]) AS o(id, slug)`, r.orgs, slugs)
	return err
}

func (r *relays) close(ctx context.Context) {
	r.queue.Close()
	_, _ = r.db.Exec(ctx, `DELETE FROM organizations WHERE id = ANY($1)`, r.orgs) // the database goes anyway
}

// taker takes everything, and does nothing with it.
type taker struct{}

func (taker) Publish(_ context.Context, events []event.Event) []error {
	return make([]error, len(events))
}

func (taker) Send(context.Context, []queue.Message) error { return nil }

func perSecond(began time.Time) float64 { return tenants * ofEach / time.Since(began).Seconds() }

// events fills the outbox and has it carried.
func (r *relays) events(ctx context.Context, to event.Publisher) (float64, error) {
	for _, org := range r.orgs {
		news := make([]event.News, ofEach)
		for i := range news {
			s := id.Any{Prefix: "session", UUID: id.New()}
			news[i] = event.News{Type: "session.held", Subject: s, Data: event.Data{"sessionId": s, "clientId": s, "coachId": s}}
		}
		if err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) error { return new(event.Outbox).Add(ctx, tx, org, news...) }); err != nil {
			return 0, err
		}
	}
	relay := event.NewRelay(r.db, r.listener, to, r.log, event.Options{})
	defer relay.Close()
	began := time.Now()
	n, err := relay.Drain(ctx)
	if err == nil && n != tenants*ofEach {
		err = fmt.Errorf("%d of %d events were published", n, tenants*ofEach)
	}
	return perSecond(began), err
}

func (r *relays) topicAlone(ctx context.Context) (float64, error) {
	all := make([]event.Event, tenants*ofEach)
	for i := range all {
		s := id.Format("session", id.New())
		all[i] = event.Event{ID: id.New(), Org: r.orgs[i%tenants], Type: "session.held", Subject: s, At: time.Now(), Sequence: int64(i),
			Data: fmt.Appendf(nil, `{"clientId":%q,"coachId":%q,"sessionId":%q}`, s, s, s)}
	}
	began := time.Now()
	for batch := range slices.Chunk(all, 100) {
		if err := errors.Join(r.topic.Publish(ctx, batch)...); err != nil {
			return 0, err
		}
	}
	return perSecond(began), nil
}

// counted tells when all has been sent.
type counted struct {
	queue.Sender
	left atomic.Int64
	done func()
}

func (c *counted) Send(ctx context.Context, messages []queue.Message) error {
	err := c.Sender.Send(ctx, messages)
	if err == nil && c.left.Add(-int64(len(messages))) <= 0 {
		c.done()
	}
	return err
}

// jobs enqueues jobs and has them carried.
func (r *relays) jobs(ctx context.Context, to queue.Sender) (float64, error) {
	if _, err := r.db.Exec(ctx, `DELETE FROM jobs WHERE kind = 'bench'`); err != nil {
		return 0, err
	}
	for _, org := range r.orgs {
		all := make([]jobs.Job, ofEach)
		for i := range all {
			all[i] = jobs.Job{Org: org, Kind: "bench", Entity: id.New()}
		}
		if err := postgres.InTx(ctx, r.db, func(tx pgx.Tx) error { return jobs.Enqueue(ctx, tx, all...) }); err != nil {
			return 0, err
		}
	}
	rows := pgqueue.New(r.db, r.listener, pgqueue.Options{Kinds: []string{"bench"}, PerOrg: ofEach})
	defer rows.Close()
	working, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var took float64
	began := time.Now()
	c := &counted{Sender: to, done: func() { took = perSecond(began); stop() }}
	c.left.Store(tenants * ofEach)
	if err := queue.Relay(working, rows, c, time.Minute, r.log); err != nil {
		return 0, err
	}
	if left := c.left.Load(); left > 0 {
		return 0, fmt.Errorf("%d jobs were not sent", left)
	}
	return took, nil
}

func (r *relays) queueAlone(ctx context.Context) (float64, error) {
	all := make([]queue.Message, tenants*ofEach)
	for i := range all {
		all[i] = queue.Message{Kind: "bench", ID: id.New()}
	}
	began := time.Now()
	for batch := range slices.Chunk(all, 100) {
		if err := r.queue.Send(ctx, batch); err != nil {
			return 0, err
		}
	}
	return perSecond(began), nil
}
