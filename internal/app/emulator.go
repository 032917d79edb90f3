package app

import (
	"context"
	"fmt"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	snsevent "github.com/rapporthq/rapport/internal/platform/event/sns"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// CreateInAWS makes a bucket, a queue with its dead-letter queue and a topic of the given name, and returns the queue's URL and the
// topic's ARN: for an emulator. Where it is, the SDK finds out from the environment.
func CreateInAWS(ctx context.Context, name string) (queueURL, topicARN string, err error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return "", "", fmt.Errorf("AWS: %w", err)
	}
	if err := s3blob.Create(ctx, cfg, name); err != nil {
		return "", "", err
	}
	queues, err := sqsqueue.Create(ctx, cfg, name+"-jobs")
	if err != nil {
		return "", "", err
	}
	topicARN, err = snsevent.Create(ctx, cfg, name+"-events")
	return queues.URL, topicARN, err
}
