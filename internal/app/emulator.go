package app

import (
	"context"
	"fmt"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// CreateInAWS makes a bucket and a queue with its dead-letter queue of the given name, and returns the queue's URL: for an emulator.
// Where it is, the SDK finds out from the environment.
func CreateInAWS(ctx context.Context, name string) (queueURL string, err error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return "", fmt.Errorf("AWS: %w", err)
	}
	if err := s3blob.Create(ctx, cfg, name); err != nil {
		return "", err
	}
	queues, err := sqsqueue.Create(ctx, cfg, name+"-jobs")
	return queues.URL, err
}
