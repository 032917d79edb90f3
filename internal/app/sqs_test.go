package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
	"github.com/rapporthq/rapport/internal/testkit"
)

// outside is a queue of SQS, and the way to it, which can be cut.
type outside struct {
	aws    aws.Config
	queues sqsqueue.Queues

	mu   sync.Mutex
	line context.Context // ends when the way is cut
	cut  func()
}

const account = "123456789012"

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{aws: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: credentials.NewStaticCredentialsProvider(account, "test", ""),
	}}
	var err error
	if o.queues, err = sqsqueue.Create(t.Context(), o.aws, "jobs-"+id.New().String()); err != nil {
		t.Fatal(err)
	}
	o.aws.HTTPClient = o
	o.mend()
	return o
}

func (o *outside) mend() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line, o.cut = context.WithCancel(context.Background())
}

// Do implements aws.HTTPClient. A line that is cut ends what is under way, long polls too.
func (o *outside) Do(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	line := o.line
	o.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(line, cancel)()
	answer, err := http.DefaultClient.Do(r.WithContext(ctx))
	if line.Err() != nil && err != nil {
		return nil, errors.New("the line is cut")
	} else if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

// as are the options of a process in a role.
func (o *outside) as(role config.Role) apptest.Option {
	return apptest.Together(apptest.Running(), apptest.AppOptions(app.WithAWS(o.aws)), apptest.Config(func(c *config.Config) {
		c.Role, c.Jobs.SQSQueueURL = role, o.queues.URL
		c.Jobs.SQSResend, c.Jobs.Lease = 2*time.Second, 5*time.Second
	}))
}

// environment is the same for a process of its own.
func (o *outside) environment(role config.Role) []string {
	return []string{"RAPPORT_ROLE=" + string(role), "RAPPORT_SQS_QUEUE_URL=" + o.queues.URL, "RAPPORT_SQS_RESEND=2s",
		"AWS_REGION=" + o.aws.Region, "AWS_ENDPOINT_URL=" + *o.aws.BaseEndpoint, "AWS_ACCESS_KEY_ID=" + account, "AWS_SECRET_ACCESS_KEY=test"}
}

func readyz(t *testing.T, env *apptest.Env) (status, queue string) {
	t.Helper()
	_, raw := env.Send(t, http.MethodGet, "/readyz", nil, "")
	var out struct {
		Status string
		Checks []struct {
			Name, Adapter, Error string
			OK                   bool
		}
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, c := range out.Checks {
		if c.Name == "queue" {
			queue = strings.TrimSpace(fmt.Sprint(c.Adapter, " ", c.OK, " ", c.Error))
		}
	}
	return out.Status, queue
}

// A server that does no jobs, and a worker that serves no API: what the one takes in the other finishes, through SQS and with files in S3, with
// the outcome that it has everywhere. AWS goes away for a while, messages come ten times and in any order, and the queue is emptied
// by mistake.
func TestServerAndWorkerOverSQS(t *testing.T) {
	t.Parallel()
	o, b := newOutside(t), newBucket(t)
	files := apptest.Config(func(c *config.Config) { c.Files.S3Bucket = b.name })
	env := apptest.Demo(t, o.as(config.Server), files)
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	file := func(n int) string { return conversation(t) + fmt.Sprintf("\nNOTE copy %d\n", n) }

	here := imports(t, coach, session, file(0))
	env.Work(t)
	settled(t, env, here)
	want := outcome(t, env, here)

	// Nobody works yet: the message waits.
	first := imports(t, coach, session, file(1))
	probe := sqsqueue.New(o.aws, sqsqueue.Options{URL: o.queues.URL, Log: slog.New(slog.DiscardHandler), Visibility: time.Second})
	t.Cleanup(probe.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	waiting := value[id.UUID](t, env, `SELECT id FROM jobs WHERE entity_id = $1 AND kind = 'transcript.analyse'`, uuid(t, first))
	for found := false; !found; { // behind what is told of jobs that are done
		got, err := probe.Receive(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		found = got[0].Kind == "transcript.analyse" && got[0].ID == waiting
		if err := probe.Ack(t.Context(), got[0]); err != nil { // by mistake
			t.Fatal(err)
		}
	}
	if status := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, uuid(t, first)); status != "PARSED" {
		t.Errorf("somebody has worked: %s", status)
	}
	worker := env.Another(t, o.as(config.Worker), files)
	settled(t, env, first)
	if got := outcome(t, env, first); got != want {
		t.Errorf("another outcome:\n%s", difference(got, want))
	}
	if code, _ := worker.Send(t, http.MethodPost, "/graphql", coach.Header(), `{"query": "{viewer {user {id}}}"}`); code != http.StatusNotFound {
		t.Errorf("a worker answers a query with %d", code)
	}
	if code, _ := worker.Send(t, http.MethodGet, "/healthz", nil, ""); code != http.StatusOK {
		t.Errorf("a worker's health is %d", code)
	}
	for name, e := range map[string]*apptest.Env{"server": env, "worker": worker} {
		if status, queue := readyz(t, e); status != "ready" || queue != "sqs true" {
			t.Errorf("%s: %s, %s", name, status, queue)
		}
	}

	// AWS is out of reach. Imports are answered, and wait; what needs a file now says so, and works later.
	up := announce(t, coach, session, file(9), nil)
	up.send(t, file(9))
	o.cut()
	r := coach.Do(t, `mutation($id: ID!) {completeTranscriptUpload(input: {transcriptId: $id}) {transcript {status}}}`, apptest.Vars{"id": up.Transcript.ID})
	if r.Code() != "UNAVAILABLE" || r.Status != http.StatusServiceUnavailable {
		t.Errorf("a file that cannot be looked at: %d %s", r.Status, r.Body)
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if status, queue := readyz(t, env); status != "degraded" || !strings.HasPrefix(queue, "sqs false") {
			return fmt.Errorf("%s, %s", status, queue)
		}
		return nil
	})
	second := imports(t, coach, session, file(2))
	testkit.Eventually(t, 20*time.Second, func() error {
		if !strings.Contains(env.Log.String()+worker.Log.String(), "queue relay failed") || !strings.Contains(worker.Log.String(), "receiving jobs failed") {
			return errors.New("nobody has noticed")
		}
		return nil
	})
	if status := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, uuid(t, second)); status != "PARSED" {
		t.Errorf("without a queue: %s", status)
	}
	o.mend()
	settled(t, env, second)
	if got := outcome(t, env, second); got != want {
		t.Errorf("after the outage, another outcome:\n%s", difference(got, want))
	}
	complete(t, coach, up.Transcript.ID)
	settled(t, env, up.Transcript.ID)

	// Ten times each, shuffled, the done ones too, while they are worked on.
	several := []string{first, second}
	for n := range 3 {
		several = append(several, imports(t, coach, session, file(3+n)))
	}
	var messages []queue.Message
	for _, transcript := range several {
		job := value[id.UUID](t, env, `SELECT id FROM jobs WHERE entity_id = $1`, uuid(t, transcript))
		for range 10 {
			messages = append(messages, queue.Message{Kind: "transcript.analyse", ID: job})
		}
	}
	rand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	if err := probe.Send(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	for _, transcript := range several {
		settled(t, env, transcript)
		if got := outcome(t, env, transcript); got != want {
			t.Errorf("delivered ten times, another outcome:\n%s", difference(got, want))
		}
	}

	for name, e := range map[string]*apptest.Env{"server": env, "worker": worker} {
		if err := e.Stop(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A worker is killed in the middle of an analysis. The other one finishes it.
func TestAnotherWorkerFinishes(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	env := apptest.Demo(t, o.as(config.Server))
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	here := imports(t, coach, session, conversation(t))
	env.Work(t)
	settled(t, env, here)
	want := outcome(t, env, here)

	one := startProcess(t, env, o.environment(config.Worker)...)
	const stage = `INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = 2)`
	gate := shut(t, env, stage)
	transcript := imports(t, coach, session, conversation(t)+"\nNOTE copy\n")
	gate.somebody()
	startProcess(t, env, o.environment(config.Worker)...)
	one.kill()
	sql(t, env, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rapport' AND wait_event = 'advisory'`)
	gate.release()
	sql(t, env, `DROP TRIGGER gate ON insights`)
	testkit.Eventually(t, 30*time.Second, func() error { // its lease ends: in a minute, for who has the time
		n := value[int](t, env, `WITH ended AS (UPDATE jobs SET lease_until = now(), due_at = now() WHERE entity_id = $1 AND state = 'RUNNING' RETURNING 1) SELECT count(*) FROM ended`, uuid(t, transcript))
		if n == 0 {
			return errors.New("nobody has left it")
		}
		return nil
	})
	settled(t, env, transcript)
	if got := outcome(t, env, transcript); got != want {
		t.Errorf("another outcome:\n%s", difference(got, want))
	}
	if n := value[int](t, env, `SELECT attempt FROM jobs WHERE entity_id = $1 AND kind = 'transcript.analyse'`, uuid(t, transcript)); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}

// A worker that receives from SQS, and reads and stores files in S3, is killed -9 in each stage of its work, on a file that came by a link and
// on one that was imported. Another worker goes on, and there is nothing to tell it from work that nobody disturbed.
func TestWorkerKilledInEachStage(t *testing.T) {
	t.Parallel()
	o, b := newOutside(t), newBucket(t)
	env := apptest.Demo(t, o.as(config.Server), apptest.Config(func(c *config.Config) { c.Files.S3Bucket = b.name }))
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	worker := func() *process {
		return startProcess(t, env, append(o.environment(config.Worker), "RAPPORT_S3_BUCKET="+b.name)...)
	}
	send := map[string]func(n int) string{
		"by a link": func(n int) string {
			content := conversation(t) + fmt.Sprintf("\nNOTE copy %d by a link\n", n)
			up := announce(t, coach, session, content, nil)
			if code := up.send(t, content); code/100 != 2 {
				t.Fatalf("sent: %d", code)
			}
			complete(t, coach, up.Transcript.ID)
			return up.Transcript.ID
		},
		"imported": func(n int) string {
			return imports(t, coach, session, conversation(t)+fmt.Sprintf("\nNOTE copy %d imported\n", n))
		},
	}
	p := worker()
	want := map[string]string{}
	for how, one := range send {
		undisturbed := one(0)
		settled(t, env, undisturbed)
		want[how] = outcome(t, env, undisturbed)
	}
	last := strings.Count(want["imported"], `["insight"`)
	if last < 4 || last != strings.Count(want["by a link"], `["insight"`) {
		t.Fatalf("not much to compare with:\n%s", want["by a link"])
	}
	const state = `UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = '%s' AND NEW.kind = '%s')`
	for n, stage := range []struct{ how, before string }{
		{"by a link", fmt.Sprintf(state, "RUNNING", "transcript.parse")},
		{"by a link", `UPDATE ON transcripts FOR EACH ROW WHEN (NEW.status = 'PARSING')`},
		{"by a link", `INSERT ON utterances FOR EACH ROW WHEN (NEW.index = 7)`},
		{"by a link", `UPDATE ON transcripts FOR EACH ROW WHEN (OLD.status = 'PARSING' AND NEW.status = 'PARSED')`},
		{"by a link", fmt.Sprintf(state, "DONE", "transcript.parse")},
		{"by a link", fmt.Sprintf(state, "RUNNING", "transcript.analyse")},
		{"by a link", `INSERT ON analysis_runs FOR EACH ROW`},
		{"by a link", fmt.Sprintf(`INSERT ON insights FOR EACH ROW WHEN (NEW.ordinal = %d)`, last)},
		{"by a link", `UPDATE ON transcripts FOR EACH ROW WHEN (NEW.status = 'READY')`},
		{"by a link", fmt.Sprintf(state, "DONE", "transcript.analyse")},
		{"imported", fmt.Sprintf(state, "RUNNING", "transcript.keep")},
		{"imported", `DELETE ON transcript_originals FOR EACH ROW`},
		{"imported", fmt.Sprintf(state, "DONE", "transcript.keep")},
	} {
		if !t.Run(stage.how+", before "+stage.before, func(t *testing.T) {
			gate := shut(t, env, stage.before)
			transcript := send[stage.how](n + 1)
			gate.somebody()
			p.kill()
			gate.release()
			buried(t, env)
			sql(t, env, `DROP TRIGGER gate ON `+strings.Fields(stage.before)[2])
			p = worker()
			settled(t, env, transcript)
			if got := outcome(t, env, transcript); got != want[stage.how] {
				t.Errorf("another outcome:\n%s", difference(got, want[stage.how]))
			}
		}) {
			return // the next ones stand on this one
		}
	}
}

// What is configured wrongly is told when a process is ready, and to whoever asks for its health: by what somebody has to correct. The rest works.
func TestWhatDoesNotAnswerIsTold(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	env := apptest.Demo(t)
	o.queues.URL = o.queues.Dead
	p := startProcess(t, env, append(o.environment(config.Server), "RAPPORT_S3_BUCKET=nowhere-"+id.New().String())...)
	for _, want := range []string{"  attention  files (s3): there is no such bucket\n", "  attention  queue (sqs): the queue has no dead-letter queue\n"} {
		if !strings.Contains(p.block, want) {
			t.Errorf("%q is not in\n%s", want, p.block)
		}
	}
	if status, queue := readyz(t, p.Env); status != "degraded" || queue != "sqs false the queue has no dead-letter queue" {
		t.Errorf("%s, %s", status, queue)
	}
	if _, raw := p.Send(t, http.MethodGet, "/readyz", nil, ""); !strings.Contains(string(raw), `"error":"there is no such bucket"`) {
		t.Errorf("%s", raw)
	}
}
