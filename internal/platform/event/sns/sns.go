// Package snsevent publishes events to a topic of Amazon SNS.
//
// A message is the event's document, with the attributes that filter policies go by: type and organization. A standard topic may deliver
// it more than once and out of order, which subscribers mend by id and sequence. A FIFO topic keeps the order of each subject, and
// drops what is published twice within five minutes.
package snsevent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// What SNS allows.
const maxBatch = 10

// atOnce is how many calls one Publish makes at the same time.
const atOnce = 10

// Options of a topic. All must be set.
type Options struct {
	Topic  string // its ARN
	Source event.Source
}

// Topic implements event.Publisher.
type Topic struct {
	client  *sns.Client
	options Options
	fifo    bool
}

var _ event.Publisher = (*Topic)(nil)

// New returns the topic of the given ARN. cfg says how AWS is reached and as whom.
func New(cfg aws.Config, o Options) *Topic {
	return &Topic{client: sns.NewFromConfig(cfg), options: o, fifo: strings.HasSuffix(o.Topic, ".fifo")}
}

// Reach says whether the topic is there and may be looked at.
func (t *Topic) Reach(ctx context.Context) error {
	_, err := t.client.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &t.options.Topic})
	return wrap(err)
}

// Publish implements event.Publisher: ten events a call, several calls at once.
func (t *Topic) Publish(ctx context.Context, events []event.Event) []error {
	results := make([]error, len(events))
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	var batch []types.PublishBatchRequestEntry
	bytes := 0
	flush := func() {
		if entries := batch; len(entries) > 0 {
			calls.Go(func() error { t.publish(ctx, entries, results); return nil })
		}
		batch, bytes = nil, 0
	}
	for i, e := range events {
		entry, size, err := t.entry(i, e)
		if err != nil {
			results[i] = err
			continue
		}
		if len(batch) == maxBatch || bytes+size > event.MaxBytes {
			flush()
		}
		batch, bytes = append(batch, entry), bytes+size
	}
	flush()
	_ = calls.Wait() // what failed stands in results
	return results
}

// entry is an event as it is handed over, named by its place, and its size as SNS counts it.
func (t *Topic) entry(place int, e event.Event) (entry types.PublishBatchRequestEntry, size int, err error) {
	document, err := e.Document(t.options.Source())
	if err != nil {
		return entry, 0, fmt.Errorf("%w: %w", event.ErrRefused, err)
	}
	entry = types.PublishBatchRequestEntry{Id: aws.String(strconv.Itoa(place)), Message: aws.String(string(document)), MessageAttributes: map[string]types.MessageAttributeValue{}}
	size = len(document)
	for name, value := range map[string]string{"type": e.Type, "organization": e.Organization()} {
		const kind = "String"
		entry.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(kind), StringValue: &value}
		size += len(name) + len(kind) + len(value)
	}
	if size > event.MaxBytes {
		return entry, size, event.ErrTooLarge
	}
	if t.fifo {
		entry.MessageGroupId, entry.MessageDeduplicationId = &e.Subject, aws.String(e.Key())
	}
	return entry, size, nil
}

// publish makes one call, and writes into results what became of each entry. Where SNS blames the call as a whole for what an entry
// holds, each entry is tried by itself, so that one holds up none of the others.
func (t *Topic) publish(ctx context.Context, entries []types.PublishBatchRequestEntry, results []error) {
	all := func(err error) {
		for _, e := range entries {
			results[place(e.Id)] = err
		}
	}
	out, err := t.client.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: &t.options.Topic, PublishBatchRequestEntries: entries})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		all(ctx.Err())
		return
	case !blames(err):
		all(fault.Unavailable("cannot reach the topic").Because(wrap(err)))
		return
	case len(entries) == 1:
		all(fmt.Errorf("%w: %w", event.ErrRefused, wrap(err)))
		return
	default:
		for i := range entries {
			t.publish(ctx, entries[i:i+1], results)
		}
		return
	}
	for _, f := range out.Failed {
		i := place(f.Id)
		if i < 0 || i >= len(results) {
			continue
		}
		// The code alone: a message of SNS may quote what it refuses.
		results[i] = fmt.Errorf("sns: %s", aws.ToString(f.Code))
		if f.SenderFault {
			results[i] = fmt.Errorf("%w: %w", event.ErrRefused, results[i])
		}
	}
}

func place(name *string) int {
	i, err := strconv.Atoi(aws.ToString(name))
	if err != nil {
		return -1
	}
	return i
}

// blames says whether SNS blames what is published, and not who publishes, where or how much.
func blames(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains([]string{
		"InvalidParameter", "InvalidParameterException", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException",
		"BatchRequestTooLong", "BatchRequestTooLongException",
	}, api.ErrorCode())
}

// wrap keeps SNS's code, and not its message, which may quote what it refuses.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("sns: %s", api.ErrorCode())
	}
	return fmt.Errorf("sns: %w", err)
}
