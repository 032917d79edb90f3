package sqsqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
	"github.com/rapporthq/rapport/internal/platform/queue/queuetest"
	"github.com/rapporthq/rapport/internal/testkit"
)

// gate counts the calls that pass it, and may answer in SQS's place.
type gate struct {
	mu     sync.Mutex
	calls  map[string]int
	answer func(operation string, in map[string]any) (status int, out any)
}

func (g *gate) Do(r *http.Request) (*http.Response, error) {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	g.mu.Lock()
	if g.calls == nil {
		g.calls = map[string]int{}
	}
	g.calls[operation]++
	var status int
	var out any
	if g.answer != nil {
		var in map[string]any
		if err := json.Unmarshal(raw, &in); err != nil {
			g.mu.Unlock()
			return nil, err
		}
		status, out = g.answer(operation, in)
	}
	g.mu.Unlock()
	if status == 0 {
		return http.DefaultClient.Do(r)
	}
	answer, err := json.Marshal(out)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(answer)), Request: r,
	}, err
}

func (g *gate) count(operation string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[operation]
}

type bundle struct {
	*Queue
	Queues
	gate gate
	log  bytes.Buffer // read after what writes has ended
}

func setup(t *testing.T, visibility time.Duration) *bundle {
	t.Helper()
	b := &bundle{}
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)),
		Credentials: credentials.NewStaticCredentialsProvider("210987654321", "test", ""),
	}
	var err error
	if b.Queues, err = Create(t.Context(), cfg, "q-"+id.New().String()); err != nil {
		t.Fatal(err)
	}
	cfg.HTTPClient = &b.gate
	b.Queue = New(cfg, Options{URL: b.URL, Visibility: visibility, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	t.Cleanup(b.Close)
	return b
}

func some(n int) []queue.Message {
	all := make([]queue.Message, n)
	for i := range all {
		all[i] = queue.Message{Kind: "test", ID: id.New(), TraceContext: fmt.Sprintf("00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01", i+1)}
	}
	return all
}

func (b *bundle) sends(t *testing.T, n int) []queue.Message {
	t.Helper()
	all := some(n)
	if err := b.Send(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (b *bundle) receives(t *testing.T, limit int) []queue.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := b.Receive(ctx, limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, visibility time.Duration) queuetest.Fixture {
		b := setup(t, visibility)
		return queuetest.Fixture{Queue: b, Send: func(n int) []queue.Message { return b.sends(t, n) }}
	})
}

// What travels is a kind and an id, and nothing that somebody said.
func TestWhatTravels(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	m := b.sends(t, 1)[0]
	out, err := b.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &b.URL, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	got := out.Messages[0]
	if want := fmt.Sprintf(`{"kind":"test","id":"%s"}`, m.ID); *got.Body != want {
		t.Errorf("%s, want %s", *got.Body, want)
	}
	if len(got.MessageAttributes) != 1 || aws.ToString(got.MessageAttributes["traceparent"].StringValue) != m.TraceContext {
		t.Errorf("attributes %v", got.MessageAttributes)
	}
}

// Who waits for messages asks once, and SQS holds the answer back.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	asked := make(chan any, 1)
	b.gate.answer = func(operation string, in map[string]any) (int, any) {
		if operation == "ReceiveMessage" {
			asked <- in["WaitTimeSeconds"]
		}
		return 0, nil
	}
	got := make(chan []queue.Delivery)
	go func() { got <- b.receives(t, 10) }()
	if wait := <-asked; wait != 20.0 {
		t.Errorf("waits for %v s", wait)
	}
	sent := b.sends(t, 1)
	if ds := <-got; len(ds) != 1 || ds[0].Message != sent[0] || b.gate.count("ReceiveMessage") != 1 {
		t.Errorf("%v after %d calls", ds, b.gate.count("ReceiveMessage"))
	}
}

func TestCallsAreBatched(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	b.sends(t, 25)
	if n := b.gate.count("SendMessageBatch"); n != 3 {
		t.Errorf("25 messages in %d calls, want 3", n)
	}
	// The first call to delete waits until the others are acknowledged too.
	held := b.receives(t, 10)
	for len(held) < 10 {
		held = append(held, b.receives(t, 10-len(held))...)
	}
	first, rest := make(chan struct{}), make(chan struct{})
	b.gate.mu.Lock()
	b.gate.answer = func(operation string, _ map[string]any) (int, any) {
		if operation == "DeleteMessageBatch" && b.gate.calls[operation] == 1 {
			b.gate.mu.Unlock()
			close(first)
			<-rest
			b.gate.mu.Lock()
		}
		return 0, nil
	}
	b.gate.mu.Unlock()
	var acks sync.WaitGroup
	ack := func(d queue.Delivery) {
		acks.Go(func() {
			if err := b.Ack(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	ack(held[0])
	<-first
	for _, d := range held[1:] {
		ack(d)
	}
	testkit.Eventually(t, 10*time.Second, func() error {
		b.Queue.mu.Lock()
		defer b.Queue.mu.Unlock()
		if n := len(b.deletions); n != 9 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	close(rest)
	acks.Wait()
	if n := b.gate.count("DeleteMessageBatch"); n != 2 {
		t.Errorf("10 acknowledgements in %d calls, want 2", n)
	}
}

// Of a batch a part may fail: that part is tried again, and what does not work then is an error.
func TestPartialFailures(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	var asked []string
	failing := func(tries int) func(string, map[string]any) (int, any) {
		return func(operation string, in map[string]any) (int, any) {
			if !strings.HasSuffix(operation, "Batch") {
				return 0, nil
			}
			var ids []string
			var ok, failed []map[string]any
			for _, e := range in["Entries"].([]any) {
				name := e.(map[string]any)["Id"].(string)
				ids = append(ids, name)
				if tries > 0 && (name == "1" || name == "3") {
					failed = append(failed, map[string]any{"Id": name, "Code": "InternalError", "SenderFault": false})
				} else {
					ok = append(ok, map[string]any{"Id": name, "MessageId": "m", "MD5OfMessageBody": ""})
				}
			}
			tries--
			asked = append(asked, strings.Join(ids, ""))
			return http.StatusOK, map[string]any{"Successful": ok, "Failed": failed}
		}
	}
	for name, test := range map[string]struct {
		tries int
		want  string
		fails bool
	}{"once": {1, "01234 13", false}, "always": {9, "01234 13 13", true}} {
		t.Run(name, func(t *testing.T) {
			for what, call := range map[string]func() error{
				"send": func() error { return b.Send(t.Context(), some(5)) },
				"delete": func() error {
					return errors.Join(b.deleteBatch(t.Context(), make([]deletion, 5))...)
				},
			} {
				asked, b.gate.answer = nil, failing(test.tries)
				// The answers here are made up, and have no sums of what was sent.
				b.client = sqs.New(b.client.Options(), func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
				err := call()
				if got := strings.Join(asked, " "); got != test.want || (err != nil) != test.fails {
					t.Errorf("%s asked %q and returned %v, want %q", what, got, err, test.want)
				}
			}
		})
	}
}

// A message that nobody can read holds up none, is not shown to the log, and ends as a dead letter. One that had to wait for its
// turn more often than that does not.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Second)
	const secret = "what she said"
	for _, poison := range []string{secret, `{"kind":"", "id":"` + id.New().String() + `"}`} {
		if _, err := b.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &b.URL, MessageBody: &poison}); err != nil {
			t.Fatal(err)
		}
	}
	m := b.sends(t, 1)[0]
	for range 2 * MaxReceives {
		d := b.receives(t, 10)[0]
		if d.Message != m {
			t.Fatalf("received %v", d)
		}
		if err := b.Release(t.Context(), d, 0); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	reader := make(chan struct{})
	go func() { // somebody has to ask, for a message to have been received
		defer close(reader)
		for ctx.Err() == nil {
			if got, err := b.Receive(ctx, 10); err == nil {
				_ = b.Release(ctx, got[0], time.Second)
			}
		}
	}()
	var dead []types.Message
	testkit.Eventually(t, 30*time.Second, func() error {
		out, err := b.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &b.Dead, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			return err
		}
		if dead = append(dead, out.Messages...); len(dead) < 2 {
			return fmt.Errorf("%d dead letters", len(dead))
		}
		return nil
	})
	cancel()
	<-reader
	for _, d := range dead {
		if strings.Contains(*d.Body, m.ID.String()) {
			t.Errorf("%s is dead", *d.Body)
		}
	}
	if !strings.Contains(b.log.String(), "cannot be read") || strings.Contains(b.log.String(), secret) {
		t.Errorf("logged %s", b.log.String())
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	b := setup(t, time.Minute)
	if err := b.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	if again, err := Create(t.Context(), aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: b.client.Options().Credentials,
	}, b.URL[strings.LastIndex(b.URL, "/")+1:]); err != nil || again != b.Queues {
		t.Errorf("made again: %v, %v", again, err)
	}
	b.options.URL = b.Dead
	if err := b.Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("a queue without a dead-letter queue: %v", err)
	}
	b.options.URL += "-gone"
	if err := b.Reach(t.Context()); err == nil {
		t.Error("there is no such queue")
	}
}
