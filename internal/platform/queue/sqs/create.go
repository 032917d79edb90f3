package sqsqueue

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// MaxReceives is how often a message is delivered that nobody settles before it becomes a dead letter.
const MaxReceives = 5

// Queues are what Create has made.
type Queues struct {
	URL  string // of the queue
	Dead string // URL of its dead-letter queue
	ARN  string // of the queue
}

// Create makes a queue and its dead-letter queue, as production has them made by whoever looks after its account: for
// development and tests. It may be called again for the same name.
func Create(ctx context.Context, cfg aws.Config, name string) (q Queues, err error) {
	client := sqs.NewFromConfig(cfg)
	const sse = string(types.QueueAttributeNameSqsManagedSseEnabled)
	const retention = string(types.QueueAttributeNameMessageRetentionPeriod)
	dead, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: aws.String(name + "-dead"), Attributes: map[string]string{retention: days(14), sse: "true"},
	})
	if err != nil {
		return q, wrap(err)
	}
	deadARN, err := arnOf(ctx, client, dead.QueueUrl)
	if err != nil {
		return q, err
	}
	policy, err := json.Marshal(map[string]any{
		"deadLetterTargetArn": deadARN, "maxReceiveCount": MaxReceives,
	})
	if err != nil {
		return q, err
	}
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		retention: days(4), sse: "true", string(types.QueueAttributeNameRedrivePolicy): string(policy),
	}})
	if err != nil {
		return q, wrap(err)
	}
	arn, err := arnOf(ctx, client, made.QueueUrl)
	return Queues{URL: aws.ToString(made.QueueUrl), Dead: aws.ToString(dead.QueueUrl), ARN: arn}, err
}

func arnOf(ctx context.Context, client *sqs.Client, url *string) (string, error) {
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", wrap(err)
	}
	return out.Attributes[string(types.QueueAttributeNameQueueArn)], nil
}

// Admit lets a bucket of S3 put messages into a queue that Create has made.
func Admit(ctx context.Context, cfg aws.Config, q Queues, bucket string) error {
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": q.ARN,
		"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": "arn:aws:s3:::" + bucket}},
	}}})
	if err != nil {
		return err
	}
	_, err = sqs.NewFromConfig(cfg).SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &q.URL, Attributes: map[string]string{string(types.QueueAttributeNamePolicy): string(policy)},
	})
	return wrap(err)
}

func days(n int) string { return strconv.Itoa(n * 24 * 60 * 60) }
