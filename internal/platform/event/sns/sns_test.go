package snsevent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/event/eventtest"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// gate stands between the adapter and SNS, and may answer in its place.
type gate struct {
	mu     sync.Mutex
	calls  []url.Values
	answer func(form url.Values) (status int, xml string)
}

func (g *gate) Do(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.calls = append(g.calls, form)
	answer := g.answer
	g.mu.Unlock()
	if answer != nil {
		if status, xml := answer(form); status != 0 {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(xml)), Request: r}, nil
		}
	}
	return http.DefaultClient.Do(r)
}

// entries are how many messages each call held.
func (g *gate) entries() (n []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, form := range g.calls {
		if form.Get("Action") == "PublishBatch" {
			n = append(n, held(form))
		}
	}
	return n
}

func held(form url.Values) (n int) {
	for form.Has(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", n+1)) {
		n++
	}
	return n
}

type bundle struct {
	*Topic
	cfg  aws.Config
	gate gate
	org  id.UUID
}

func setup(t *testing.T, suffix string) *bundle {
	t.Helper()
	b := &bundle{org: id.New(), cfg: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)),
		Credentials: credentials.NewStaticCredentialsProvider("210987654321", "test", ""),
	}}
	arn, err := Create(t.Context(), b.cfg, "t-"+id.New().String()+suffix)
	if err != nil {
		t.Fatal(err)
	}
	cfg := b.cfg
	cfg.HTTPClient = &b.gate
	b.Topic = New(cfg, Options{Topic: arn, Source: eventtest.Source})
	return b
}

// queue subscribes a queue as docs/guides/events.md says, and returns a function that says what has arrived there.
func (b *bundle) queue(t *testing.T, policy, scope string) func(t *testing.T) []types.Message {
	t.Helper()
	client := sqs.NewFromConfig(b.cfg)
	name, attributes := "q-"+id.New().String(), map[string]string{}
	if b.fifo {
		name, attributes = name+".fifo", map[string]string{"FifoQueue": "true"}
	}
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	about, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	if err != nil {
		t.Fatal(err)
	}
	arn := about.Attributes["QueueArn"]
	if _, err := client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{
		"Policy": fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",
			"Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, b.options.Topic),
	}}); err != nil {
		t.Fatal(err)
	}
	with := map[string]string{"RawMessageDelivery": "true"}
	if policy != "" {
		with["FilterPolicy"] = policy
	}
	if scope != "" {
		with["FilterPolicyScope"] = scope
	}
	if _, err := sns.NewFromConfig(b.cfg).Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: &b.options.Topic, Protocol: aws.String("sqs"), Endpoint: &arn, Attributes: with,
	}); err != nil {
		t.Fatal(err)
	}
	var all []types.Message
	return func(t *testing.T) []types.Message {
		t.Helper()
		for {
			out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
				QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Messages) == 0 {
				return all
			}
			all = append(all, out.Messages...)
			for _, m := range out.Messages {
				if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func bodies(all []types.Message) []json.RawMessage {
	out := make([]json.RawMessage, len(all))
	for i, m := range all {
		out[i] = json.RawMessage(aws.ToString(m.Body))
	}
	return out
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", ".fifo"} {
		t.Run("topic"+suffix, func(t *testing.T) {
			t.Parallel()
			eventtest.Run(t, func(t *testing.T) eventtest.Fixture {
				b := setup(t, suffix)
				queue := b.queue(t, "", "")
				return eventtest.Fixture{Org: b.org, Publisher: b, Arrived: func(t *testing.T) []json.RawMessage { return bodies(queue(t)) }}
			})
		})
	}
}

// Ten go in a call, and by their attributes subscribers choose: a queue gets exactly what its policy asks for.
func TestFilterPolicies(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	other := id.New()
	held, cancelled, ready, theirs := eventtest.Events(b.org, 10), eventtest.Events(b.org, 10), eventtest.Events(b.org, 4), eventtest.Events(other, 1)
	for i := range cancelled {
		cancelled[i].Type = "session.cancelled"
	}
	for i := range ready {
		ready[i].Type = "transcript.ready"
	}
	queues := map[string]struct {
		policy, scope string
		want          int
		arrived       func(*testing.T) []types.Message
	}{
		"everything":            {"", "", 25, nil},
		"a type":                {`{"type":["transcript.ready"]}`, "", 4, nil},
		"types of a domain":     {`{"type":[{"prefix":"session."}]}`, "", 21, nil},
		"all but a type":        {`{"type":[{"anything-but":["session.cancelled"]}]}`, "", 15, nil},
		"all but a domain":      {`{"type":[{"anything-but":{"prefix":"session."}}]}`, "", 4, nil},
		"of an organization":    {fmt.Sprintf(`{"type":[{"prefix":"session."}],"organization":[%q]}`, id.Format("org", other)), "", 1, nil},
		"what is in the event":  {fmt.Sprintf(`{"subject":[%q]}`, held[3].Subject), "MessageBody", 1, nil},
		"what is in its data":   {`{"type":["session.held"],"data":{"n":[{"numeric":["<",3]}]}}`, "MessageBody", 4, nil},
		"nothing that there is": {`{"type":["session.dreamt"]}`, "", 0, nil},
	}
	for name, q := range queues {
		q.arrived = b.queue(t, q.policy, q.scope)
		queues[name] = q
	}
	all := append(append(append(held, cancelled...), ready...), theirs...)
	if err := errors.Join(b.Publish(t.Context(), all)...); err != nil {
		t.Fatal(err)
	}
	if n := b.gate.entries(); len(n) != 3 || n[0]+n[1]+n[2] != 25 || max(n[0], n[1], n[2]) > 10 {
		t.Errorf("25 events went in calls of %v", n)
	}
	for name, q := range queues {
		// The emulator delivers before it answers.
		got := q.arrived(t)
		if len(got) != q.want {
			t.Errorf("%s: %d arrived, want %d", name, len(got), q.want)
		}
		for _, m := range got {
			d := eventtest.Read(t, []byte(*m.Body))
			if at := m.MessageAttributes; len(at) != 2 || aws.ToString(at["type"].StringValue) != d.Type || aws.ToString(at["organization"].StringValue) != d.Organization {
				t.Errorf("%s: attributes %v of %s", name, at, *m.Body)
			}
		}
	}
}

func TestFIFO(t *testing.T) {
	t.Parallel()
	b := setup(t, ".fifo")
	queue := b.queue(t, "", "")
	all := eventtest.Events(b.org, 3)
	for range 2 {
		if err := errors.Join(b.Publish(t.Context(), all)...); err != nil {
			t.Fatal(err)
		}
	}
	got := queue(t)
	if len(got) != 3 {
		t.Fatalf("%d arrived, of 3 that were published twice", len(got))
	}
	for i, m := range got {
		if m.Attributes["MessageGroupId"] != all[i].Subject || eventtest.Read(t, []byte(*m.Body)).ID != all[i].Key() {
			t.Errorf("%d: %v in group %s", i, *m.Body, m.Attributes["MessageGroupId"])
		}
	}
}

const failedXML = `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful></Successful><Failed>%s</Failed></PublishBatchResult></PublishBatchResponse>`

func errorXML(code string) string {
	return `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>` + code + `</Code><Message>what she said</Message></Error></ErrorResponse>`
}

// Of a call a part may fail, by its own fault or by SNS's; a call may fail as a whole, for one event in it or for none. What the relay
// needs to know of each is told apart, and nothing that SNS says is passed on but its code.
func TestFailures(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	b.client = sns.New(b.client.Options(), func(o *sns.Options) { o.RetryMaxAttempts = 1 })
	all := eventtest.Events(b.org, 5)
	taken := func(err error) bool { return err == nil }
	refused := func(err error) bool { return errors.Is(err, event.ErrRefused) }
	away := func(err error) bool { return fault.KindOf(err) == fault.KindUnavailable }
	later := func(err error) bool { return err != nil && !refused(err) && !away(err) }
	for name, test := range map[string]struct {
		answer func(form url.Values) (int, string)
		want   []func(error) bool
		calls  int
	}{
		"a part": {func(url.Values) (int, string) {
			const entry = `<member><Id>%d</Id><Code>%s</Code><Message>what she said</Message><SenderFault>%t</SenderFault></member>`
			return http.StatusOK, fmt.Sprintf(failedXML, fmt.Sprintf(entry, 1, "InternalError", false)+fmt.Sprintf(entry, 3, "InvalidParameter", true))
		}, []func(error) bool{taken, later, taken, refused, taken}, 1},
		"one that spoils the call": {func(form url.Values) (int, string) {
			if strings.Contains(fmt.Sprint(form), all[2].Subject) {
				return http.StatusBadRequest, errorXML("InvalidParameter")
			}
			return 0, ""
		}, []func(error) bool{taken, taken, refused, taken, taken}, 6},
		"no topic":  {func(url.Values) (int, string) { return http.StatusNotFound, errorXML("NotFound") }, []func(error) bool{away, away, away, away, away}, 1},
		"no rights": {func(url.Values) (int, string) { return http.StatusForbidden, errorXML("AuthorizationError") }, []func(error) bool{away, away, away, away, away}, 1},
		"too fast":  {func(url.Values) (int, string) { return http.StatusTooManyRequests, errorXML("Throttled") }, []func(error) bool{away, away, away, away, away}, 1},
	} {
		b.gate.mu.Lock()
		b.gate.answer, b.gate.calls = test.answer, nil
		b.gate.mu.Unlock()
		results := b.Publish(t.Context(), all)
		for i, err := range results {
			if !test.want[i](err) {
				t.Errorf("%s: event %d: %v", name, i, err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "what she said") {
					t.Errorf("%s: %v says what SNS said", name, e)
				}
			}
		}
		if n := len(b.gate.entries()); n != test.calls {
			t.Errorf("%s: %d calls, want %d", name, n, test.calls)
		}
	}
}

// From the outbox to a queue, by two relays at once, while SNS is away and fails some: nothing is lost, nothing but what failed comes
// twice, and nothing is left.
func TestFromTheOutbox(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	queue := b.queue(t, "", "")
	pool := testkit.DB(t)
	if _, err := pool.Exec(t.Context(), `INSERT INTO organizations (id, slug, name) VALUES ($1, 'test', 'Test')`, b.org); err != nil {
		t.Fatal(err)
	}
	calls := 0
	b.gate.answer = func(form url.Values) (int, string) {
		b.gate.mu.Lock()
		defer b.gate.mu.Unlock()
		switch calls++; calls {
		case 1, 4:
			return http.StatusServiceUnavailable, errorXML("ServiceUnavailable")
		case 2:
			var failed strings.Builder
			for i := range held(form) {
				fmt.Fprintf(&failed, `<member><Id>%s</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>`, form.Get(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", i+1)))
			}
			return http.StatusOK, fmt.Sprintf(failedXML, failed.String())
		}
		return 0, ""
	}
	log := slog.New(slog.DiscardHandler)
	listener := postgres.Listen(t.Context(), pool, log)
	t.Cleanup(listener.Close)
	var relays sync.WaitGroup
	t.Cleanup(relays.Wait)
	for range 2 {
		r := event.NewRelay(pool, listener, b, log, event.Options{Batch: 25, Pause: 10 * time.Millisecond})
		relays.Go(func() {
			defer r.Close()
			if err := r.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	const n = 60
	for i := range n {
		if err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			return new(event.Outbox).Add(t.Context(), tx, b.org, event.News{Type: "session.held", Subject: id.Any{Prefix: "session", UUID: id.New()}, Data: event.Data{"n": i}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		if s, err := event.StatusOf(t.Context(), pool); err != nil || s.Waiting+s.Refused > 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	ids := map[string]bool{}
	for _, raw := range bodies(queue(t)) {
		if key := eventtest.Read(t, raw).ID; ids[key] {
			t.Errorf("%s arrived twice", key)
		} else {
			ids[key] = true
		}
	}
	if len(ids) != n || calls < 5 {
		t.Errorf("%d of %d arrived, in %d calls", len(ids), n, calls)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	if err := b.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	b.options.Topic += "-gone"
	if err := b.Reach(t.Context()); err == nil {
		t.Error("there is no such topic")
	}
}
