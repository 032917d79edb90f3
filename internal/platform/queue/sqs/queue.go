// Package sqsqueue carries messages through a standard queue of Amazon SQS.
//
// A message is the kind of a job, its id and the trace that it belongs to. A standard queue may deliver it twice, late and in
// any order, and may be emptied by mistake: the row that the id names is the truth (package jobs), and queue.Relay sends again
// what nobody has taken care of.
package sqsqueue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
)

// What SQS allows.
const (
	maxBatch      = 10
	maxBatchBytes = 256 << 10
	maxDelay      = 15 * time.Minute
	maxVisibility = 12 * time.Hour
)

// Options of a queue. URL and Log must be set.
type Options struct {
	URL string
	Log *slog.Logger
	// Visibility is how long a delivery is held unless extended: the time to get from Receive to a claimed row, not the time to
	// do the work. Whole seconds; default 30 s.
	Visibility time.Duration
}

// Queue implements queue.Queue and queue.Sender.
type Queue struct {
	client  *sqs.Client
	options Options

	mu        sync.Mutex
	deletions []deletion // that wait for a call
	deleting  bool       // somebody makes the calls
	calls     sync.WaitGroup
}

var (
	_ queue.Queue  = (*Queue)(nil)
	_ queue.Sender = (*Queue)(nil)
)

// New returns the queue at a URL. cfg says how AWS is reached and as whom. Of a message that is received too often SQS must
// make a dead letter: see Reach.
func New(cfg aws.Config, o Options) *Queue {
	o.Visibility = cmp.Or(o.Visibility, 30*time.Second)
	return &Queue{client: sqs.NewFromConfig(cfg), options: o}
}

// Close waits until what was acknowledged is deleted.
func (q *Queue) Close() { q.calls.Wait() }

// Reach says whether the queue is there, may be used, and has a dead-letter queue.
func (q *Queue) Reach(ctx context.Context) error { return reach(ctx, q.client, q.options.URL) }

// body is a message as it travels; the trace context is an attribute beside it, as W3C has it.
type body struct {
	Kind string  `json:"kind"`
	ID   id.UUID `json:"id"`
}

// TraceAttribute is the attribute of a message that names its trace.
const TraceAttribute = "traceparent"

// Send implements queue.Sender.
func (q *Queue) Send(ctx context.Context, messages []queue.Message) error {
	return q.send(ctx, messages, 0)
}

// atOnce is how many calls one Send makes at the same time.
const atOnce = 10

func (q *Queue) send(ctx context.Context, messages []queue.Message, delay time.Duration) error {
	var (
		calls errgroup.Group
		batch []types.SendMessageBatchRequestEntry
		bytes int
	)
	calls.SetLimit(atOnce)
	flush := func() {
		entries := batch
		batch, bytes = nil, 0
		calls.Go(func() error {
			return errors.Join(attempt(ctx, len(entries), func(todo []int) ([]types.BatchResultErrorEntry, error) {
				out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.options.URL, Entries: pick(entries, todo)})
				if err != nil {
					return nil, err
				}
				return out.Failed, nil
			})...)
		})
	}
	for _, m := range messages {
		text, err := json.Marshal(body{Kind: m.Kind, ID: m.ID})
		if err != nil {
			return errors.Join(err, calls.Wait())
		}
		size := len(text) + len(TraceAttribute) + len("String") + len(m.TraceContext)
		if len(batch) == maxBatch || bytes+size > maxBatchBytes {
			flush()
		}
		e := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(batch))), MessageBody: aws.String(string(text)), DelaySeconds: seconds(delay, maxDelay)}
		if m.TraceContext != "" {
			e.MessageAttributes = map[string]types.MessageAttributeValue{
				TraceAttribute: {DataType: aws.String("String"), StringValue: aws.String(m.TraceContext)},
			}
		}
		batch, bytes = append(batch, e), bytes+size
	}
	if len(batch) > 0 {
		flush()
	}
	return calls.Wait()
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	if limit < 1 {
		return nil, fault.Invalid("limit", "must be at least 1")
	}
	const wait = 20 * time.Second // the longest poll
	for {
		// A connection that has died in silence must not hold a receiver for ever.
		call, cancel := context.WithTimeout(ctx, wait+10*time.Second)
		out, err := q.client.ReceiveMessage(call, &sqs.ReceiveMessageInput{
			QueueUrl: &q.options.URL, MaxNumberOfMessages: int32(min(limit, maxBatch)), WaitTimeSeconds: int32(wait / time.Second),
			VisibilityTimeout: seconds(q.options.Visibility, maxVisibility), MessageAttributeNames: []string{TraceAttribute},
		})
		cancel()
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, wrap(err)
		}
		if got := q.read(ctx, out.Messages); len(got) > 0 {
			return got, nil
		}
	}
}

// read leaves out what is no message of ours. It comes again, for a later version of the program may know how to read it, until
// SQS makes a dead letter of it.
func (q *Queue) read(ctx context.Context, messages []types.Message) []queue.Delivery {
	var got []queue.Delivery
	for _, m := range messages {
		d, ok := Read(aws.ToString(m.Body), aws.ToString(m.ReceiptHandle), aws.ToString(m.MessageAttributes[TraceAttribute].StringValue))
		if !ok {
			q.options.Log.ErrorContext(ctx, "a message in the queue cannot be read", "message", aws.ToString(m.MessageId))
			continue
		}
		got = append(got, d)
	}
	return got
}

// Read reads a message by its body, its receipt handle and its attribute TraceAttribute, wherever it was received. ok is false for what is
// no message of ours.
func Read(content, receipt, trace string) (d queue.Delivery, ok bool) {
	var b body
	if err := json.Unmarshal([]byte(content), &b); err != nil || b.Kind == "" || b.ID.IsZero() {
		return d, false
	}
	return queue.Delivery{Message: queue.Message{Kind: b.Kind, ID: b.ID, TraceContext: trace}, Receipt: receipt}, true
}

// Extend implements queue.Queue.
func (q *Queue) Extend(ctx context.Context, d queue.Delivery, by time.Duration) error {
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.options.URL, ReceiptHandle: &d.Receipt, VisibilityTimeout: seconds(by, maxVisibility),
	})
	if lost(code(err)) {
		return queue.ErrLost
	}
	return wrap(err)
}

// Release implements queue.Queue. It sends a new message in place of the one that was held: each delivery of a message counts
// towards its becoming a dead letter, and one that had to wait for its turn is not to become one. Should the process die
// between the two, the relay sends it once more.
func (q *Queue) Release(ctx context.Context, d queue.Delivery, delay time.Duration) error {
	if err := q.delete(ctx, d.Receipt); errors.Is(err, queue.ErrLost) {
		return nil
	} else if err != nil {
		return err
	}
	return q.send(ctx, []queue.Message{d.Message}, max(delay, 0))
}

// Ack implements queue.Queue.
func (q *Queue) Ack(ctx context.Context, d queue.Delivery) error {
	if err := q.delete(ctx, d.Receipt); !errors.Is(err, queue.ErrLost) {
		return err
	}
	return nil
}

type deletion struct {
	receipt string
	done    chan<- error
}

// delete deletes a message, with all that others delete meanwhile: while one call is under way the next gathers, so that an
// idle queue does not wait and a busy one is asked for ten at a time.
func (q *Queue) delete(ctx context.Context, receipt string) error {
	done := make(chan error, 1)
	q.mu.Lock()
	q.deletions = append(q.deletions, deletion{receipt, done})
	if !q.deleting {
		q.deleting = true
		q.calls.Go(func() { q.deleteWaiting(context.WithoutCancel(ctx)) })
	}
	q.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *Queue) deleteWaiting(ctx context.Context) {
	for {
		q.mu.Lock()
		n := min(len(q.deletions), maxBatch)
		batch := q.deletions[:n:n]
		q.deletions = q.deletions[n:]
		q.deleting = n > 0
		q.mu.Unlock()
		if n == 0 {
			return
		}
		for i, err := range q.deleteBatch(ctx, batch) {
			batch[i].done <- err
		}
	}
}

func (q *Queue) deleteBatch(ctx context.Context, batch []deletion) []error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	entries := make([]types.DeleteMessageBatchRequestEntry, len(batch))
	for i, d := range batch {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &d.receipt}
	}
	return attempt(ctx, len(entries), func(todo []int) ([]types.BatchResultErrorEntry, error) {
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.options.URL, Entries: pick(entries, todo)})
		if err != nil {
			return nil, err
		}
		return out.Failed, nil
	})
}

// attempt makes a call for n entries, whose ids are their numbers, and makes it again for those that have failed and are not to
// blame. It returns what became of each.
func attempt(ctx context.Context, n int, call func(todo []int) (failed []types.BatchResultErrorEntry, err error)) []error {
	const attempts, pause = 3, 100 * time.Millisecond
	errs, todo := make([]error, n), make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	for try := 1; ; try++ {
		failed, err := call(todo)
		for _, i := range todo {
			errs[i] = wrap(err)
		}
		todo = nil
		for _, f := range failed {
			i, err := strconv.Atoi(aws.ToString(f.Id))
			if err != nil || i < 0 || i >= n {
				continue
			}
			errs[i] = fmt.Errorf("sqs: %s", aws.ToString(f.Code))
			if lost(aws.ToString(f.Code)) {
				errs[i] = queue.ErrLost
			} else if !f.SenderFault {
				todo = append(todo, i)
			}
		}
		if len(todo) == 0 || try == attempts {
			return errs
		}
		timer := time.NewTimer(pause << try)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errs
		case <-timer.C:
		}
	}
}

func pick[E any](all []E, which []int) []E {
	picked := make([]E, len(which))
	for i, n := range which {
		picked[i] = all[n]
	}
	return picked
}

// seconds is a duration as SQS takes it: no shorter, and no longer than it allows.
func seconds(d, most time.Duration) int32 {
	return int32((min(d, most) + time.Second - 1) / time.Second)
}

// lost says that a receipt is no longer good: SQS has several words for it.
func lost(code string) bool {
	switch code {
	case "ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue":
		return true
	}
	return false
}

// code is SQS's word for what went wrong, "" if it has none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqs: %w", err)
}
