package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/sync/errgroup"

	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	"github.com/rapporthq/rapport/internal/platform/config"
	sesmail "github.com/rapporthq/rapport/internal/platform/mail/ses"
	"github.com/rapporthq/rapport/internal/platform/queue"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// Lambda is the life of a function of AWS Lambda. It does what workers do when something has happened: jobs that come through SQS, and
// what S3 and SES tell. What goes by the clock is left to workers, of which there must be one. It returns only with an error.
func Lambda(ctx context.Context, lookup config.Lookup) error {
	cfg, err := config.Load(lookup.With("RAPPORT_ROLE", string(config.Worker)))
	if err != nil {
		return err
	}
	log := NewLogger(cfg, os.Stderr)
	slog.SetDefault(log)
	for _, warning := range config.Unknown(os.Environ()) {
		log.Warn(warning)
	}
	secrets, err := OpenSecrets(ctx, cfg, lookup, log)
	if err != nil {
		return err
	}
	if err := openAll(ctx, cfg, secrets); err != nil {
		return err
	}
	db, closeDB, err := OpenDatabase(ctx, cfg, secrets, Tenant(), func(line string) { log.Info(line) }, func() {})
	if err != nil {
		return err
	}
	a, err := New(ctx, cfg, log, db, WithSecrets(secrets))
	if err != nil {
		return errors.Join(err, closeDB())
	}
	lambda.StartWithOptions(a.Invoke, lambda.WithEnableSIGTERM(func() {
		a.Close()
		_ = closeDB() // the process ends
	}))
	return nil
}

// errStranger says that nobody here knows what an event is. It quotes nothing of it.
var errStranger = errors.New("the event is none of SQS, S3 or SES")

// Invoke takes in an event as AWS Lambda hands it over: a batch of a queue of SQS, a notification of a bucket, or one of SNS with
// what SES tells. Of a batch it returns those messages that are to come again (ReportBatchItemFailures must be on); anything else it
// takes in as a whole, or returns an error, and Lambda tries it again. An error quotes nothing of the event.
func (a *App) Invoke(ctx context.Context, event json.RawMessage) (any, error) {
	var shape struct {
		Records []struct {
			EventSource string // or eventSource
			Sns         json.RawMessage
		}
	}
	if err := json.Unmarshal(event, &shape); err != nil {
		return nil, errStranger
	}
	if len(shape.Records) > 0 && shape.Records[0].EventSource == "aws:sqs" {
		var batch events.SQSEvent
		if err := json.Unmarshal(event, &batch); err != nil {
			return nil, errStranger
		}
		return a.takeBatch(ctx, batch.Records), nil
	}
	if len(shape.Records) > 0 && shape.Records[0].EventSource == "aws:sns" {
		var errs []error
		for _, r := range shape.Records {
			errs = append(errs, a.hearOf(ctx, string(r.Sns)))
		}
		return nil, a.logged(ctx, errors.Join(errs...))
	}
	err := a.stored(ctx, event)
	if errors.Is(err, s3blob.ErrNoNotification) {
		err = errStranger
	}
	return nil, a.logged(ctx, err)
}

// logged is err, told in the log: what Lambda is told is seen by who sent the event, if at all.
func (a *App) logged(ctx context.Context, err error) error {
	if err != nil {
		a.log.WarnContext(ctx, "an event could not be taken in", "err", err)
	}
	return err
}

// hearOf takes in a notification of SNS about a mail.
func (a *App) hearOf(ctx context.Context, envelope string) error {
	if a.mails.hear == nil {
		return errStranger
	}
	return a.mails.hear(ctx, envelope)
}

// takeBatch takes in messages of a queue, whichever of ours it is, and says which of them are to come again. A job is done when its
// outcome is in its row, whatever it is: the row, and not the message, brings it back.
func (a *App) takeBatch(ctx context.Context, messages []events.SQSMessage) events.SQSEventResponse {
	// Lambda ends a function in the middle of a word. What is under way then gives its job back before.
	if end, limited := ctx.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-min(5*time.Second, time.Until(end)/5)))
		defer cancel()
	}
	hands := errgroup.Group{}
	hands.SetLimit(a.config.Jobs.Concurrency)
	failed := make([]error, len(messages))
	for i, m := range messages {
		hands.Go(func() error {
			failed[i] = a.take(ctx, m)
			return nil
		})
	}
	_ = hands.Wait()
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, m := range messages {
		if failed[i] != nil {
			a.log.WarnContext(ctx, "a message is left in the queue", "message", m.MessageId, "err", failed[i])
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out
}

// errUnreadable says the same of a message in one of our queues.
var errUnreadable = errors.New("the message is no job, and no notification of S3 or of SES")

var errNotNow = errors.New("the job has to wait, and there is no RAPPORT_SQS_QUEUE_URL to send it to anew")

func (a *App) take(ctx context.Context, m events.SQSMessage) (err error) {
	defer func() {
		if v := recover(); v != nil { // of a handler of jobs the runner knows; this is for the rest, and for the rest of the batch
			err = errors.New("it made the function panic")
		}
	}()
	var trace string
	if t := m.MessageAttributes[sqsqueue.TraceAttribute].StringValue; t != nil {
		trace = *t
	}
	if d, ok := sqsqueue.Read(m.Body, m.ReceiptHandle, trace); ok {
		h := &handed{queue: a.work.sqs}
		if err := a.runner.Deliver(ctx, h, d); err != nil {
			return err
		}
		return h.err
	}
	if err := a.stored(ctx, []byte(m.Body)); !errors.Is(err, s3blob.ErrNoNotification) {
		return err
	}
	if a.mails.hear == nil {
		return errUnreadable
	}
	if err := a.mails.hear(ctx, m.Body); !errors.Is(err, sesmail.ErrNoEnvelope) {
		return err
	}
	return errUnreadable
}

// handed is the queue of one delivery that Lambda has received, and deletes unless it is told that it failed.
type handed struct {
	queue *sqsqueue.Queue // takes what has to wait; without one it comes again as a failure
	err   error           // of a release
}

var _ queue.Queue = (*handed)(nil)

// Receive implements queue.Queue: nothing more comes.
func (h *handed) Receive(ctx context.Context, _ int) ([]queue.Delivery, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Extend implements queue.Queue: Lambda holds it.
func (h *handed) Extend(context.Context, queue.Delivery, time.Duration) error { return nil }

// Ack implements queue.Queue: Lambda deletes it.
func (h *handed) Ack(context.Context, queue.Delivery) error { return nil }

// Release implements queue.Queue. A job that only has to wait is sent anew: as a failure it would be a dead letter soon.
func (h *handed) Release(ctx context.Context, d queue.Delivery, delay time.Duration) error {
	if h.err = errNotNow; h.queue != nil {
		h.err = h.queue.Release(ctx, d, delay)
	}
	return h.err
}
