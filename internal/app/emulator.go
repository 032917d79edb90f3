package app

import (
	"context"
	"encoding/json"
	"log/slog"

	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	snsevent "github.com/rapporthq/rapport/internal/platform/event/sns"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/secret/secretsmanager"
)

// Made is what CreateInAWS has made, as the configuration names it.
type Made struct {
	QueueURL    string
	EventsURL   string // of the queue that the bucket tells of files
	TopicARN    string
	DatabaseURL string // refers to the secret
}

// CreateInAWS makes a bucket, a queue for jobs and one that the bucket tells of files, each with its dead-letter queue, a topic, and a
// secret that holds the database's address: for an emulator. Where it is, the SDK finds out from the environment.
func CreateInAWS(ctx context.Context, log *slog.Logger, name, databaseURL string) (m Made, err error) {
	cfg, err := loadAWS(ctx, log)
	if err != nil {
		return m, err
	}
	if err := s3blob.Create(ctx, cfg, name); err != nil {
		return m, err
	}
	queues, err := sqsqueue.Create(ctx, cfg, name+"-jobs")
	if err != nil {
		return m, err
	}
	events, err := sqsqueue.Create(ctx, cfg, name+"-files")
	if err != nil {
		return m, err
	}
	if err := sqsqueue.Admit(ctx, cfg, events, name); err != nil {
		return m, err
	}
	if err := s3blob.Announce(ctx, cfg, name, events.ARN); err != nil {
		return m, err
	}
	topic, err := snsevent.Create(ctx, cfg, name+"-events")
	if err != nil {
		return m, err
	}
	ref := secret.Ref{Source: secret.SecretsManager, Name: name + "/database", Key: "url"}
	content, err := json.Marshal(map[string]string{ref.Key: databaseURL})
	if err != nil {
		return m, err
	}
	return Made{QueueURL: queues.URL, EventsURL: events.URL, TopicARN: topic, DatabaseURL: ref.String()}, secretsmanager.Put(ctx, cfg, ref.Name, string(content))
}
