package sqsqueue

import (
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// InboxOptions say what an inbox is. All but Retry must be set.
type InboxOptions struct {
	URL  string
	Name string // of what comes, for the log
	// Handle takes a message in, which may come more than once, and in any order. What it returns an error for comes again. No error may
	// quote the message.
	Handle func(ctx context.Context, body string) error
	Log    *slog.Logger
	// Retry is when a message comes again that could not be taken in; each time it is twice as long. Whole seconds; default 2 minutes.
	Retry time.Duration
}

// Inbox is a queue that others put messages into, in their own words. Any number of processes may empty one.
type Inbox struct {
	client  *sqs.Client
	options InboxOptions
	refused int // messages that could not be taken in; of Run alone
}

// NewInbox returns the inbox at a URL.
func NewInbox(cfg aws.Config, o InboxOptions) *Inbox {
	o.Retry = cmp.Or(o.Retry, 2*time.Minute)
	return &Inbox{client: sqs.NewFromConfig(cfg), options: o}
}

// Reach says whether the queue is there, may be used, and has a dead-letter queue.
func (b *Inbox) Reach(ctx context.Context) error { return reach(ctx, b.client, b.options.URL) }

// Run takes in what comes until ctx ends; it then returns nil.
//
// A message that cannot be taken in holds up no other: it comes again later, and after MaxReceives times, about half an hour, SQS makes a
// dead letter of it. So what is forged is out of the way, and what came while the database was away can be put back.
func (b *Inbox) Run(ctx context.Context) error {
	const firstPause, lastPause = time.Second, time.Minute
	pause := firstPause
	for ctx.Err() == nil {
		err := b.receive(ctx)
		if err == nil || ctx.Err() != nil {
			pause = firstPause
			continue
		}
		b.options.Log.WarnContext(ctx, "cannot receive "+b.options.Name, "err", err, "retry_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
	return nil
}

// receive waits for messages, and takes in those that come.
func (b *Inbox) receive(ctx context.Context) error {
	const wait, batch, visibility, handling = 20 * time.Second, 10, 5 * time.Minute, 25 * time.Second // batch × handling is within visibility
	call, cancel := context.WithTimeout(ctx, wait+10*time.Second)
	defer cancel()
	out, err := b.client.ReceiveMessage(call, &sqs.ReceiveMessageInput{
		QueueUrl: &b.options.URL, MaxNumberOfMessages: batch, WaitTimeSeconds: seconds(wait, wait), VisibilityTimeout: seconds(visibility, maxVisibility),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil {
		return wrap(err)
	}
	for _, m := range out.Messages {
		each, cancel := context.WithTimeout(ctx, handling)
		err := b.take(each, m)
		cancel()
		if err != nil && ctx.Err() == nil {
			b.options.Log.WarnContext(ctx, "cannot settle one of "+b.options.Name, "message", aws.ToString(m.MessageId), "err", err)
		}
	}
	return nil
}

// take has one message handled, and settles it.
func (b *Inbox) take(ctx context.Context, m types.Message) error {
	err := b.options.Handle(ctx, aws.ToString(m.Body))
	if err == nil {
		_, err = b.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &b.options.URL, ReceiptHandle: m.ReceiptHandle})
		return wrap(err) // it comes again, and changes nothing then
	}
	b.refused++
	times, _ := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	again := b.options.Retry << (min(max(times, 1), MaxReceives) - 1)
	b.options.Log.WarnContext(ctx, "one of "+b.options.Name+" is left in the queue", "message", aws.ToString(m.MessageId), "err", err,
		"received", times, "retry_in", again, "refused", b.refused)
	_, err = b.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &b.options.URL, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds(again, maxVisibility),
	})
	return wrap(err)
}

// reach says whether a queue is there, may be used, and has a dead-letter queue: without one, what nobody can read would come again
// until its retention ends.
func reach(ctx context.Context, client *sqs.Client, url string) error {
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameRedrivePolicy},
	})
	if err != nil {
		return wrap(err)
	}
	if out.Attributes[string(types.QueueAttributeNameRedrivePolicy)] == "" {
		return fault.Unavailable("the queue has no dead-letter queue")
	}
	return nil
}
