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
	about, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: dead.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return q, wrap(err)
	}
	policy, err := json.Marshal(map[string]any{
		"deadLetterTargetArn": about.Attributes[string(types.QueueAttributeNameQueueArn)], "maxReceiveCount": MaxReceives,
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
	return Queues{URL: aws.ToString(made.QueueUrl), Dead: aws.ToString(dead.QueueUrl)}, nil
}

func days(n int) string { return strconv.Itoa(n * 24 * 60 * 60) }
