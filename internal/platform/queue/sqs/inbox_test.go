package sqsqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// What is taken in is deleted. What cannot be comes again, holds up nothing, and is a dead letter in the end; the log says nothing of
// what it says. What fails for a while is not lost.
func TestInbox(t *testing.T) {
	t.Parallel()
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: credentials.NewStaticCredentialsProvider("210987654321", "test", ""),
	}
	queues, err := Create(t.Context(), cfg, "inbox-"+id.New().String())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	heard := map[string]int{}
	var log bytes.Buffer
	b := NewInbox(cfg, InboxOptions{URL: queues.URL, Name: "letters", Log: slog.New(slog.NewTextHandler(&log, nil)), Retry: time.Nanosecond,
		Handle: func(_ context.Context, body string) error {
			mu.Lock()
			defer mu.Unlock()
			heard[body]++
			if body == "poison" || body == "later" && heard[body] < 3 {
				return errors.New("not now")
			}
			return nil
		}})
	if err := b.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	if err := NewInbox(cfg, InboxOptions{URL: queues.URL + "-none"}).Reach(t.Context()); err == nil || fault.KindOf(err) == fault.KindUnavailable {
		t.Errorf("no queue: %v", err)
	}
	if err := NewInbox(cfg, InboxOptions{URL: queues.Dead}).Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("no dead-letter queue: %v", err)
	}
	put := func(bodies ...string) {
		for _, body := range bodies {
			if _, err := b.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queues.URL, MessageBody: &body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("poison", "one", "later", "two")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	testkit.Eventually(t, 40*time.Second, func() error {
		out, err := b.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queues.Dead})
		if err != nil {
			return err
		}
		if len(out.Messages) != 1 || aws.ToString(out.Messages[0].Body) != "poison" {
			return fmt.Errorf("%d dead letters", len(out.Messages))
		}
		return nil
	})
	put("three")
	testkit.Eventually(t, 20*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		// Of what was dealt with SQS may still tell again.
		if got := fmt.Sprint(heard); heard["one"] < 1 || heard["two"] < 1 || heard["three"] < 1 || heard["later"] < 3 || heard["poison"] != MaxReceives {
			return errors.New(got)
		}
		return nil
	})
	cancel()
	running.Wait()
	if strings.Contains(log.String(), "poison") || strings.Count(log.String(), "one of letters is left in the queue") != MaxReceives+2 {
		t.Errorf("log: %s", &log)
	}
}
