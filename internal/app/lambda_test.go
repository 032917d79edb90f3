package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// sqsEvent is a batch as Lambda hands it over, of messages by their ids. One that is really held names its receipt: held.
func sqsEvent(t testing.TB, messages ...[2]string) []byte {
	t.Helper()
	var records []any
	for _, m := range messages {
		body, receipt, held := strings.Cut(m[1], " held by ")
		if !held {
			receipt = "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a"
		}
		records = append(records, map[string]any{
			"messageId": m[0], "receiptHandle": receipt, "body": body,
			"attributes": map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
				"ApproximateFirstReceiveTimestamp": "1545082649185"},
			"messageAttributes": map[string]any{"traceparent": map[string]any{"stringValue": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
				"stringListValues": []string{}, "binaryListValues": []string{}, "dataType": "String"}},
			"md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:rapport-jobs", "awsRegion": "us-east-1",
		})
	}
	raw, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// held puts a message into the queue and receives it, as Lambda does.
func (o *outside) held(t testing.TB, body string) string {
	t.Helper()
	client := sqs.NewFromConfig(o.aws)
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &o.queues.URL, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &o.queues.URL, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	return body + " held by " + *out.Messages[0].ReceiptHandle
}

// s3Event is a notification as S3 hands it to Lambda.
func s3Event(bucket, key string) string {
	return fmt.Sprintf(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-03-02T09:12:41.107Z","eventName":"ObjectCreated:Put",
		"userIdentity":{"principalId":"EXAMPLE"},"requestParameters":{"sourceIPAddress":"192.0.2.7"},"responseElements":{"x-amz-request-id":"EXAMPLE123456789","x-amz-id-2":"EXAMPLE123"},
		"s3":{"s3SchemaVersion":"1.0","configurationId":"rapport","bucket":{"name":%q,"ownerIdentity":{"principalId":"EXAMPLE"},"arn":"arn:aws:s3:::rapport"},
		"object":{"key":%q,"size":1024,"eTag":"0123456789abcdef0123456789abcdef","sequencer":"0A1B2C3D4E5F678901"}}}]}`, bucket, key)
}

// jobOf is the message about the job of a kind and a transcript.
func jobOf(t testing.TB, env *apptest.Env, kind, transcript string) string {
	t.Helper()
	return fmt.Sprintf(`{"kind":%q,"id":%q}`, kind, value[id.UUID](t, env, `SELECT id FROM jobs WHERE kind = $1 AND entity_id = $2 ORDER BY id DESC`, kind, uuid(t, transcript)))
}

func stateOf(t testing.TB, env *apptest.Env, kind, transcript string) string {
	t.Helper()
	return value[string](t, env, `SELECT state FROM jobs WHERE kind = $1 AND entity_id = $2`, kind, uuid(t, transcript))
}

// failures are the messages that are to come again.
func failures(t testing.TB, answer any) string {
	t.Helper()
	out, is := answer.(events.SQSEventResponse)
	if !is {
		t.Fatalf("answered %+v", answer)
	}
	var ids []string
	for _, f := range out.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return strings.Join(ids, " ")
}

// A batch of SQS: what is done, or only has to wait, is over; what nobody can read comes again, and nothing else does. The same batch again
// does nothing twice. Without a database all of it comes again.
func TestLambdaTakesABatch(t *testing.T) {
	t.Parallel()
	o, b := newOutside(t), newBucket(t)
	env := apptest.Demo(t, b.told(), apptest.Config(func(c *config.Config) { c.Role, c.Jobs.SQSQueueURL = config.Worker, o.queues.URL }))
	server := env.Another(t, b.told())
	coach, session := server.Login(t, apptest.Coach), amara5.id(t, env)
	here := imports(t, coach, session, conversation(t))
	server.Work(t)
	want := outcome(t, env, here)

	there := imports(t, coach, session, conversation(t)+"\nNOTE copy\n")
	up := announce(t, coach, session, "A: Hello.\nB: Well, hello to you.\n", nil)
	up.send(t, "A: Hello.\nB: Well, hello to you.\n")
	unknown := fmt.Sprintf(`{"kind":"moon.landing","id":%q}`, id.New())
	gone := fmt.Sprintf(`{"kind":"transcript.analyse","id":%q}`, id.New())
	batch := sqsEvent(t, [2]string{"poison", "something private"}, [2]string{"job", jobOf(t, env, "transcript.analyse", there)}, [2]string{"unknown", o.held(t, unknown)},
		[2]string{"gone", gone}, [2]string{"file", s3Event(b.name, keyOf(t, env, up))}, [2]string{"empty", ""})
	for range 2 {
		answer, err := env.App.Invoke(t.Context(), batch)
		if err != nil || failures(t, answer) != "poison empty" {
			t.Fatalf("%+v, %v", answer, err)
		}
	}
	if got := stateOf(t, env, "transcript.analyse", there); got != "DONE" {
		t.Errorf("the job is %s", got)
	}
	if n := value[int](t, env, `SELECT attempt FROM jobs WHERE kind = 'transcript.analyse' AND entity_id = $1`, uuid(t, there)); n != 1 {
		t.Errorf("%d attempts", n)
	}
	if got := once(t, env, up); got != "1 read, system" {
		t.Errorf("the file: %s", got)
	}
	// What a worker does not know yet was sent anew, to come a minute later.
	out, err := sqs.NewFromConfig(o.aws).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &o.queues.URL, AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessagesDelayed"}})
	if err != nil || out.Attributes["ApproximateNumberOfMessagesDelayed"] != "1" {
		t.Errorf("sent anew: %v, %v", out.Attributes, err)
	}

	answer, err := env.App.Invoke(t.Context(), sqsEvent(t, [2]string{"parse", jobOf(t, env, "transcript.parse", up.Transcript.ID)}))
	if err != nil || failures(t, answer) != "" {
		t.Errorf("%+v, %v", answer, err)
	}
	answer, err = env.App.Invoke(t.Context(), sqsEvent(t, [2]string{"analyse", jobOf(t, env, "transcript.analyse", up.Transcript.ID)}))
	if got := look(t, coach, up.Transcript.ID).Transcript; err != nil || failures(t, answer) != "" || got.Status != "NEEDS_SPEAKERS" {
		t.Errorf("%+v, %v, %+v", answer, err, got)
	}
	server.Work(t) // on what was not in the batch
	if got := outcome(t, env, there); got != want {
		t.Errorf("another outcome:\n%s", difference(got, want))
	}
	if log := env.Log.String(); strings.Contains(log, "something private") || strings.Count(log, `err="the message is no job, and no notification of S3 or of SES"`) != 4 {
		t.Errorf("the log quotes a message, or does not say what is wrong with it: %s", log)
	}
	env.DB.Close()
	answer, err = env.App.Invoke(t.Context(), batch)
	if err != nil || failures(t, answer) != "poison job gone file empty" {
		t.Errorf("without a database: %+v, %v", answer, err)
	}
}

// patient is an analyser that needs longer than there is.
type patient struct {
	rules.Analyser
	began chan struct{}
}

func (p patient) Analyse(ctx context.Context, _ insight.Conversation, _ insight.Report) error {
	p.began <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// A function ends in the middle of a word. Before it does, a job that is not done is given back, without having lost an attempt.
func TestLambdaRunsOutOfTime(t *testing.T) {
	t.Parallel()
	server := apptest.Demo(t)
	p := patient{began: make(chan struct{}, 1)}
	env := server.Another(t, apptest.AppOptions(app.WithAnalyser(p)))
	transcript := imports(t, server.Login(t, apptest.Coach), amara5.id(t, env), conversation(t))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	answer, err := env.App.Invoke(ctx, sqsEvent(t, [2]string{"job", jobOf(t, env, "transcript.analyse", transcript)}))
	if err != nil || failures(t, answer) != "" || ctx.Err() != nil {
		t.Errorf("%+v, %v, %v", answer, err, ctx.Err())
	}
	<-p.began
	if got := value[string](t, env, `SELECT concat(state, ' ', attempt) FROM jobs WHERE kind = 'transcript.analyse' AND entity_id = $1`, uuid(t, transcript)); got != "PENDING 0" {
		t.Errorf("the job is %s", got)
	}
}

// S3 and SES tell a function directly, too. What is nobody's is an error that quotes nothing.
func TestLambdaIsTold(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	env := apptest.Demo(t, b.told())
	coach := env.Login(t, apptest.Coach)
	up := announce(t, coach, amara5.id(t, env), "A: Hello.\n", nil)
	up.send(t, "A: Hello.\n")
	for range 2 {
		if answer, err := env.App.Invoke(t.Context(), []byte(s3Event(b.name, keyOf(t, env, up)))); answer != nil || err != nil {
			t.Errorf("%v, %v", answer, err)
		}
	}
	if got := once(t, env, up); got != "1 read, system" {
		t.Errorf("the file: %s", got)
	}
	for _, event := range []string{"", "private", "{}", `{"Records":[]}`, `{"Records":[{"eventSource":"aws:dynamodb","private":1}]}`, `{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"private"}}]}`, `{"Records":"private"}`} {
		answer, err := env.App.Invoke(t.Context(), []byte(event))
		if event == `{"Records":[]}` {
			if err != nil {
				t.Errorf("no records: %v", err)
			}
		} else if answer != nil || err == nil || strings.Contains(err.Error(), "private") {
			t.Errorf("%s: %v, %v", event, answer, err)
		}
	}
}

// SES tells of a bounce by way of SNS, which calls the function or puts it into a queue of which the function reads.
func TestLambdaHearsOfBounces(t *testing.T) {
	t.Parallel()
	f := newFeedback(t)
	for n, invoke := range []func(envelope string) (any, error){
		func(envelope string) (any, error) {
			envelope = strings.Replace(envelope, `"SigningCertURL"`, `"SigningCertUrl"`, 1) // as Lambda spells it
			return f.App.Invoke(t.Context(), []byte(`{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"`+f.ARN+`:21be56ed","Sns":`+envelope+`}]}`))
		},
		func(envelope string) (any, error) {
			return f.App.Invoke(t.Context(), sqsEvent(t, [2]string{"feedback", envelope}))
		},
	} {
		mail := f.tells(t, fmt.Sprint("mail ", n), "SENT")
		said := f.said(mail.String(), apptest.ClientUser, hardBounce)
		answer, err := invoke(f.Forged(t, "{}", func(p map[string]string) { p["Message"] = said }))
		if out, batch := answer.(events.SQSEventResponse); err == nil && (!batch || len(out.BatchItemFailures) != 1) {
			t.Errorf("forged: %+v", answer)
		}
		f.becomes(t, mail, "SENT")
		if answer, err := invoke(f.Envelope(t, "1", said, nil)); err != nil || answer != nil && failures(t, answer) != "" {
			t.Errorf("%+v, %v", answer, err)
		}
		f.becomes(t, mail, "BOUNCED BOUNCED")
		sql(t, f.Env, `UPDATE mail_suppressions SET lifted_at = now()`)
	}
}

// lambdaService is AWS Lambda as a function sees it: its Runtime API.
type lambdaService struct {
	*httptest.Server
	next    chan []byte // events
	answers chan string // what became of each, as METHOD body
}

func newLambdaService(t *testing.T) *lambdaService {
	t.Helper()
	s := &lambdaService{next: make(chan []byte), answers: make(chan string, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case event := <-s.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:rapport")
			_, _ = w.Write(event)
		case <-r.Context().Done():
		}
	})
	for _, what := range []string{"invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response", "invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error", "init/error"} {
		mux.HandleFunc("POST /2018-06-01/runtime/"+what, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.answers <- what[strings.LastIndex(what, "/")+1:] + " " + string(body)
			w.WriteHeader(http.StatusAccepted)
		})
	}
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Lambda-Extension-Identifier", "1") })
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *lambdaService) invoke(t *testing.T, event []byte) string {
	t.Helper()
	limit := time.After(30 * time.Second)
	select {
	case s.next <- event:
	case a := <-s.answers:
		t.Fatalf("before the event: %s", a)
	case <-limit:
		t.Fatal("nobody asks for an event")
	}
	select {
	case a := <-s.answers:
		return a
	case <-limit:
		t.Fatal("nobody answers")
	}
	return ""
}

// The function as a process of its own, at the Runtime API: batches, what it cannot take in, and its end.
func TestLambdaProcess(t *testing.T) {
	t.Parallel()
	s, o, b := newLambdaService(t), newOutside(t), newBucket(t)
	env := apptest.Demo(t, b.told())
	coach := env.Login(t, apptest.Coach)
	transcript := imports(t, coach, amara5.id(t, env), conversation(t))

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asServer+"=lambda", "DATABASE_URL="+env.DatabaseURL, "RAPPORT_HOME="+env.Config.Home, "RAPPORT_DEMO=false", "DATABASE_MAX_CONNS=2",
		"RAPPORT_WORKER_CONCURRENCY=2", "RAPPORT_S3_BUCKET="+b.name, "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(s.URL, "http://"))
	cmd.Env = append(cmd.Env, o.environment(config.Server)...) // it is none
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if _ = cmd.Wait(); t.Failed() || strings.Contains(log.String(), "something private") {
			t.Errorf("log of the function: %s", log.String())
		}
	})
	got := s.invoke(t, sqsEvent(t, [2]string{"one", jobOf(t, env, "transcript.analyse", transcript)}, [2]string{"two", "something private"}))
	if got != `response {"batchItemFailures":[{"itemIdentifier":"two"}]}` {
		t.Errorf("a batch: %s", got)
	}
	if got := stateOf(t, env, "transcript.analyse", transcript); got != "DONE" {
		t.Errorf("the job is %s", got)
	}
	if got := s.invoke(t, []byte(`{"Records":[{"eventSource":"something private"}]}`)); !strings.HasPrefix(got, "error ") || !strings.Contains(got, "the event is none of SQS, S3 or SES") || strings.Contains(got, "private") {
		t.Errorf("a stranger: %s", got)
	}
	up := announce(t, coach, amara5.id(t, env), "A: Hello.\n", nil)
	up.send(t, "A: Hello.\n")
	if got := s.invoke(t, []byte(s3Event(b.name, keyOf(t, env, up)))); got != "response null" || once(t, env, up) != "1 read, system" {
		t.Errorf("a file: %s, %s", got, once(t, env, up))
	}
	if got := s.invoke(t, sqsEvent(t, [2]string{"one", jobOf(t, env, "transcript.analyse", transcript)})); got != `response {"batchItemFailures":[]}` {
		t.Errorf("the job again: %s", got)
	}
	connected := func() int {
		return value[int](t, env, `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'rapport%'`)
	}
	if connected() == 0 {
		t.Error("the function is not connected")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, func() error {
		if n := connected(); n > 0 {
			return fmt.Errorf("%d connections are left", n)
		}
		return nil
	})
}
