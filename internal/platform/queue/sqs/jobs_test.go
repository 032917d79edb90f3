package sqsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/queue"
	pgqueue "github.com/rapporthq/rapport/internal/platform/queue/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// worked is a bundle with jobs that are relayed to it.
type worked struct {
	*bundle
	pool *pgxpool.Pool
	org  id.UUID
	runs atomic.Int32
}

func work(t *testing.T) *worked {
	t.Helper()
	w := &worked{bundle: setup(t, time.Second), pool: testkit.DB(t), org: id.New()}
	if _, err := w.pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, 'test', 'Test')`, w.org); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	l := postgres.Listen(context.Background(), w.pool, log)
	rows := pgqueue.New(w.pool, l, pgqueue.Options{})
	w.background(t, func(ctx context.Context) error { return queue.Relay(ctx, rows, w.Queue, time.Hour, log) })
	t.Cleanup(func() { rows.Close(); l.Close() })
	return w
}

// background runs f until the test ends.
func (w *worked) background(t *testing.T, f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// works starts a worker that receives from q, whose handler counts its runs and then does the rest.
func (w *worked) works(t *testing.T, q queue.Queue, rest func()) {
	r := jobs.NewRunner(jobs.Config{DB: w.pool, Queue: q, Log: slog.New(slog.DiscardHandler)})
	r.Handle("test", func(context.Context, jobs.Job) error {
		w.runs.Add(1)
		rest()
		return nil
	})
	w.background(t, r.Run)
}

func (w *worked) enqueue(t *testing.T, runAt time.Time) (m queue.Message) {
	t.Helper()
	j := jobs.Job{Org: w.org, Kind: "test", Entity: id.New(), RunAt: runAt}
	if err := postgres.InTx(t.Context(), w.pool, func(tx pgx.Tx) error { return jobs.Enqueue(t.Context(), tx, j) }); err != nil {
		t.Fatal(err)
	}
	m.Kind = j.Kind
	if err := w.pool.QueryRow(t.Context(), `SELECT id FROM jobs WHERE entity_id = $1`, j.Entity).Scan(&m.ID); err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *worked) expect(t *testing.T, state string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		var got string
		if err := w.pool.QueryRow(t.Context(), `SELECT state FROM jobs`).Scan(&got); err != nil || got != state {
			return fmt.Errorf("the job is %s, %v", got, err)
		}
		return nil
	})
}

// holds is how many messages are in the queue, held or not.
func (w *worked) holds(t *testing.T) (n int) {
	t.Helper()
	out, err := w.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &w.URL, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range out.Attributes {
		some, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		n += some
	}
	return n
}

// A job that takes longer than its message is held, and whose message is delivered ten times meanwhile, runs once.
func TestASlowJobRunsOnce(t *testing.T) {
	t.Parallel()
	w := work(t)
	finish := make(chan struct{})
	w.works(t, w.Queue, func() { <-finish })
	m := w.enqueue(t, time.Time{})
	w.expect(t, "RUNNING")
	for range 10 {
		if err := w.Send(t.Context(), []queue.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := w.holds(t); n > 0 {
			return fmt.Errorf("%d messages are left", n)
		}
		return nil
	})
	w.expect(t, "RUNNING")
	close(finish)
	w.expect(t, "DONE")
	if n := w.runs.Load(); n != 1 {
		t.Errorf("ran %d times", n)
	}
}

// stalled delivers once, and late, what somebody else has received since.
type stalled struct {
	queue.Queue
	late chan queue.Delivery
}

func (s stalled) Receive(ctx context.Context, _ int) ([]queue.Delivery, error) {
	select {
	case d := <-s.late:
		return []queue.Delivery{d}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A worker stalls between the message and the job until the message is another's, and then goes on as if it were its own.
func TestAStalledWorkerDoesNothingTwice(t *testing.T) {
	t.Parallel()
	for name, finished := range map[string]bool{"while the other runs": false, "after the other has finished": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := work(t)
			w.enqueue(t, time.Time{})
			d := w.receives(t, 1)[0]
			finish := make(chan struct{})
			w.works(t, w.Queue, func() { <-finish })
			w.expect(t, "RUNNING") // once the message is visible again
			if finished {
				close(finish)
				w.expect(t, "DONE")
			}
			s := stalled{Queue: w.Queue, late: make(chan queue.Delivery)}
			w.works(t, s, func() {})
			for range 9 { // more often than it has hands: it is done with the first when it takes the last
				s.late <- d
			}
			if !finished {
				close(finish)
			}
			w.expect(t, "DONE")
			if n := w.runs.Load(); n != 1 {
				t.Errorf("ran %d times", n)
			}
		})
	}
}

// SQS knows no delay beyond fifteen minutes: what is due later waits in its row, and is sent when it is due.
func TestWhatIsDueLaterWaitsInItsRow(t *testing.T) {
	t.Parallel()
	w := work(t)
	w.works(t, w.Queue, func() {})
	m := w.enqueue(t, time.Now().Add(48*time.Hour))
	now := w.enqueue(t, time.Time{})
	testkit.Eventually(t, 20*time.Second, func() error {
		var state string
		if err := w.pool.QueryRow(t.Context(), `SELECT state FROM jobs WHERE id = $1`, now.ID).Scan(&state); err != nil || state != "DONE" {
			return fmt.Errorf("what is due now is %s, %v", state, err)
		}
		return nil
	})
	if n := w.gate.count("SendMessageBatch"); n != 1 {
		t.Errorf("%d calls to send one of two jobs", n)
	}
	if _, err := w.pool.Exec(t.Context(), `WITH due AS (UPDATE jobs SET run_at = now(), due_at = now() WHERE id = $1 RETURNING kind)
		SELECT pg_notify('jobs_due', kind) FROM due`, m.ID); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := w.runs.Load(); n != 2 {
			return fmt.Errorf("%d runs", n)
		}
		return nil
	})
}

// A job takes longer than messages are held, in a queue that makes a dead letter of what is delivered a second time. Its message is not:
// it was deleted when the job was claimed, and from then on the lease in the row says that somebody is at it. What shows that the time is over
// is a message that nobody can read, which came after it.
func TestASlowJobIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	w := work(t)
	var policy map[string]any
	get := func(url string, name types.QueueAttributeName) string {
		t.Helper()
		out, err := w.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes[string(name)]
	}
	if err := json.Unmarshal([]byte(get(w.URL, types.QueueAttributeNameRedrivePolicy)), &policy); err != nil {
		t.Fatal(err)
	}
	policy["maxReceiveCount"] = 1
	once, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: &w.URL, Attributes: map[string]string{string(types.QueueAttributeNameRedrivePolicy): string(once)},
	}); err != nil {
		t.Fatal(err)
	}
	finish := make(chan struct{})
	for range 2 {
		w.works(t, w.Queue, func() { <-finish })
	}
	w.enqueue(t, time.Time{})
	w.expect(t, "RUNNING")
	const poison = "no message of ours"
	if _, err := w.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &w.URL, MessageBody: aws.String(poison)}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := get(w.Dead, types.QueueAttributeNameApproximateNumberOfMessages); n == "0" {
			return errors.New("no dead letter yet")
		}
		return nil
	})
	out, err := w.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &w.Dead, MaxNumberOfMessages: 10})
	if err != nil || len(out.Messages) != 1 || *out.Messages[0].Body != poison {
		t.Errorf("%d dead letters, %v", len(out.Messages), err)
	}
	w.expect(t, "RUNNING")
	close(finish)
	w.expect(t, "DONE")
	if n := w.runs.Load(); n != 1 {
		t.Errorf("ran %d times", n)
	}
}

// counted counts the deliveries of jobs.
type counted struct {
	queue.Queue
	n *atomic.Int32
}

func (c counted) Receive(ctx context.Context, limit int) ([]queue.Delivery, error) {
	ds, err := c.Queue.Receive(ctx, limit)
	c.n.Add(int32(len(ds)))
	return ds, err
}

// The message of a slow job cannot be deleted, so that its visibility really runs out while the job runs, and it comes again, to this worker
// and to another one: the job runs once all the same, and when SQS deletes again, nothing is left.
func TestVisibilityRunsOutDuringAJob(t *testing.T) {
	t.Parallel()
	w := work(t)
	var away atomic.Bool
	away.Store(true)
	w.gate.mu.Lock()
	w.gate.answer = func(operation string, in map[string]any) (int, any) {
		if operation != "DeleteMessageBatch" || !away.Load() {
			return 0, nil
		}
		var failed []map[string]any
		for _, e := range in["Entries"].([]any) {
			failed = append(failed, map[string]any{"Id": e.(map[string]any)["Id"], "Code": "InternalError", "SenderFault": true})
		}
		return http.StatusOK, map[string]any{"Successful": []any{}, "Failed": failed}
	}
	w.gate.mu.Unlock()
	finish := make(chan struct{})
	var deliveries atomic.Int32
	for range 2 {
		w.works(t, counted{w.Queue, &deliveries}, func() { <-finish })
	}
	w.enqueue(t, time.Time{})
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := deliveries.Load(); n < 3 {
			return fmt.Errorf("delivered %d times", n)
		}
		return nil
	})
	w.expect(t, "RUNNING")
	away.Store(false)
	testkit.Eventually(t, 30*time.Second, func() error {
		if n := w.holds(t); n > 0 {
			return fmt.Errorf("%d messages are left", n)
		}
		return nil
	})
	close(finish)
	w.expect(t, "DONE")
	if n := w.runs.Load(); n != 1 {
		t.Errorf("ran %d times", n)
	}
}
