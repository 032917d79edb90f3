package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rapporthq/rapport/docs/events"
	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	outward "github.com/rapporthq/rapport/internal/platform/event"
	eventbox "github.com/rapporthq/rapport/internal/platform/event/devbox"
	snsevent "github.com/rapporthq/rapport/internal/platform/event/sns"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

const envelope = "cloudevent"

// eventSchemas are the published schemas, by what they are of: a type, or the envelope.
func eventSchemas(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	names, err := fs.Glob(events.Files, "*")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*jsonschema.Schema{}
	for _, name := range names {
		raw, err := events.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.AddResource("file:///"+name, doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		what := strings.TrimSuffix(name, outward.SchemaSuffix)
		if all[what], err = c.Compile("file:///" + name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if title := all[what].Title; title != what && what != envelope || all[what].Description == "" {
			t.Errorf("%s: its title is %q, its description %q", name, title, all[what].Description)
		}
	}
	return all
}

// announced are all events that were written so far, in their order. Each fits the schema of its type, and holds nothing beside what
// that names: nothing that somebody has said or is called fits the patterns there.
func announced(t testing.TB, env *apptest.Env) []outward.Event {
	t.Helper()
	rows, err := env.DB.Query(t.Context(), `SELECT id, org_id, type, subject, data, created_at, seq FROM outbox ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	schemas := eventSchemas(t)
	var all []outward.Event
	for rows.Next() {
		var e outward.Event
		if err := rows.Scan(&e.ID, &e.Org, &e.Type, &e.Subject, &e.Data, &e.At, &e.Sequence); err != nil {
			t.Fatal(err)
		}
		document, err := e.Document("https://rapport.example")
		if err != nil {
			t.Fatal(err)
		}
		if err := fits(schemas, document); err != nil {
			t.Errorf("%s: %v", document, err)
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func fits(schemas map[string]*jsonschema.Schema, document []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	whole := doc.(map[string]any)
	of := schemas[fmt.Sprint(whole["type"])]
	if of == nil {
		return errors.New("there is no schema of its type")
	}
	data, ok := whole["data"].(map[string]any)
	if !ok {
		return errors.New("its data are no object")
	}
	for name := range data {
		if of.Properties[name] == nil {
			return fmt.Errorf("the schema of its type knows no %s", name)
		}
	}
	return errors.Join(schemas[envelope].Validate(doc), of.Validate(whole["data"]))
}

// Everything that other systems are told of happens here once, and is told as its schema says. A type without an event, or an event
// without a type, fails.
func TestEventsOfAPractice(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	ruth, owner := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner)
	before := len(announced(t, env))
	key := func(c *apptest.Client, mutation, entity string, in apptest.Vars) string {
		t.Helper()
		return does(t, c, mutation, entity, "id", in)["id"].(string)
	}
	type vars = apptest.Vars

	nia := key(ruth, "createClient", "client", vars{"name": "Nia Roberts"})
	for _, archived := range []bool{true, true, false} { // what changes nothing is not told
		key(ruth, "archiveClient", "client", vars{"id": nia, "archived": archived})
	}
	key(ruth, "updateClient", "client", vars{"id": nia, "name": "Nia R. Roberts"})

	course := key(ruth, "createEngagement", "engagement", vars{"clientId": nia, "title": "A word about nothing"})
	to := func(status string) { key(ruth, "updateEngagement", "engagement", vars{"id": course, "status": status}) }
	for _, status := range []string{"ACTIVE", "PAUSED", "ACTIVE", "ACTIVE"} {
		to(status)
	}

	soon, past := time.Now().Add(30*time.Minute), time.Now().Add(-48*time.Hour)
	plan := func(at time.Time) string {
		return key(ruth, "createSession", "session", vars{"engagementId": course, "startsAt": at.UTC().Format(time.RFC3339)})
	}
	held := plan(soon)
	key(ruth, "rescheduleSession", "session", vars{"id": held, "startsAt": soon.Add(5 * time.Minute).UTC().Format(time.RFC3339)})
	key(ruth, "updateSession", "session", vars{"id": held, "title": "What was never said"})
	key(ruth, "startSession", "session", vars{"id": held})
	key(ruth, "completeSession", "session", vars{"id": held})
	key(ruth, "markSessionMissed", "session", vars{"id": plan(past)})
	off := plan(soon)
	key(ruth, "cancelSession", "session", vars{"id": off, "by": "CLIENT", "reason": "Her secret reason"})

	goal := key(ruth, "createGoal", "goal", vars{"clientId": nia, "title": "A goal without words", "engagementId": course})
	version := func(table, key string) int {
		return value[int](t, env, `SELECT version FROM `+table+` WHERE id = $1`, uuid(t, key))
	}
	for _, status := range []string{"ACHIEVED", "OPEN", "ABANDONED", "OPEN", "OPEN"} {
		key(ruth, "updateGoal", "goal", vars{"id": goal, "expectedVersion": version("goals", goal), "status": status})
	}
	key(ruth, "addCheckIn", "checkIn", vars{"goalId": goal, "score": 4, "note": "Her secret note"})

	action := key(ruth, "createActionItem", "actionItem", vars{"clientId": nia, "title": "Do not tell", "status": "PROPOSED", "assigneeIds": []string{nia}})
	for _, status := range []string{"OPEN", "DONE", "OPEN", "WONT_DO"} {
		key(ruth, "updateActionItem", "actionItem", vars{"id": action, "expectedVersion": version("action_items", action), "status": status})
	}
	key(ruth, "createNote", "note", vars{"entityId": held, "body": "A private note", "visibility": "PRIVATE"})

	for _, mutation := range []string{"giveConsent", "giveConsent"} {
		ruth.Must(t, `mutation($id: ID!) {`+mutation+`(input: {subjectId: $id, scopes: [RECORDING, TRANSCRIPTION, AI_ANALYSIS]}) {userErrors {code}}}`, vars{"id": nia}, nil)
	}
	guest := key(ruth, "addParticipant", "participant", vars{"sessionId": held, "name": "A guest"})
	ruth.Must(t, `mutation($id: ID!) {giveConsent(input: {subjectId: $id, scopes: [RECORDING, TRANSCRIPTION, AI_ANALYSIS]}) {userErrors {code}}}`, vars{"id": guest}, nil)

	unsure := imports(t, ruth, held, "A: Sent.\nB: Read.\n")
	env.Work(t)
	talk := imports(t, ruth, held, strings.ReplaceAll(conversation(t), "Jonas", "Nia"))
	env.Work(t)
	broken := announce(t, ruth, held, "\x00\x01\x02 is no text \xff\xfe", nil)
	if status := broken.send(t, "\x00\x01\x02 is no text \xff\xfe"); status >= 300 {
		t.Fatalf("the file was refused: %d", status)
	}
	complete(t, ruth, broken.Transcript.ID)
	env.Work(t)
	found := value[id.UUID](t, env, `SELECT id FROM insights WHERE transcript_id = $1 AND kind NOT IN ('COACH_SKILL', 'RISK_FLAG') ORDER BY ordinal LIMIT 1`, uuid(t, talk))
	key(ruth, "reviewInsight", "insight", vars{"insightId": id.Format("insight", found), "decision": "EDIT", "title": "In other words"})
	ruth.Must(t, `mutation($id: ID!) {withdrawConsent(input: {subjectId: $id, scopes: [AI_ANALYSIS]}) {userErrors {code}}}`, vars{"id": nia}, nil)
	env.Work(t)
	ruth.Must(t, `mutation($id: ID!) {withdrawConsent(input: {subjectId: $id, scopes: [TRANSCRIPTION, RECORDING]}) {userErrors {code}}}`, vars{"id": nia}, nil)
	env.Work(t)

	plan(soon)
	to("CANCELLED") // and with it what was planned
	key(ruth, "reopenEngagement", "engagement", vars{"id": course, "reason": "Her secret reason"})
	to("COMPLETED")
	owner.Must(t, `mutation($id: ID!) {requestErasure(input: {clientId: $id, confirm: "Nia R. Roberts"}) {userErrors {code message}}}`, vars{"id": nia}, nil)
	env.Work(t)

	all := announced(t, env)[before:]
	seen := map[string]int{}
	for _, e := range all {
		seen[e.Type]++
		if e.Subject == "" || !strings.Contains(string(e.Data), e.Subject) {
			t.Errorf("%s of %s holds %s", e.Type, e.Subject, e.Data)
		}
	}
	delete(seen, "insight.added")
	delete(seen, "insight.retracted")
	want := map[string]int{
		"client.created": 1, "client.archived": 1, "client.restored": 1, "client.erased": 1,
		"engagement.created": 1, "engagement.activated": 2, "engagement.paused": 1, "engagement.cancelled": 1, "engagement.reopened": 1, "engagement.completed": 1,
		"session.scheduled": 4, "session.rescheduled": 1, "session.started": 1, "session.held": 1, "session.missed": 1, "session.cancelled": 2,
		"goal.created": 1, "goal.achieved": 1, "goal.reopened": 2, "goal.abandoned": 1, "goal.checked_in": 1,
		"action.created": 1, "action.assigned": 1, "action.completed": 1, "action.reopened": 1, "action.abandoned": 1,
		"consent.given": 2, "consent.withdrawn": 2,
		"transcript.ready": seen["transcript.ready"], "transcript.needs_speakers": seen["transcript.needs_speakers"], "transcript.failed": 1, "transcript.removed": 3,
		"insight.reviewed": 1,
	}
	if !maps.Equal(seen, want) {
		for _, typ := range slices.Sorted(maps.Keys(want)) {
			if seen[typ] != want[typ] {
				t.Errorf("%s happened %d times, want %d", typ, seen[typ], want[typ])
			}
		}
		for _, typ := range slices.Sorted(maps.Keys(seen)) {
			if want[typ] == 0 {
				t.Errorf("%s happened, which nobody expects", typ)
			}
		}
	}
	for typ := range eventSchemas(t) {
		if typ != envelope && !slices.ContainsFunc(all, func(e outward.Event) bool { return e.Type == typ }) {
			t.Errorf("%s never happened", typ)
		}
	}
	// What is for the coach alone is not told, though it was found.
	for _, transcript := range []string{unsure, talk} {
		for _, e := range all {
			if strings.HasPrefix(e.Type, "insight.") && strings.Contains(string(e.Data), transcript) && (strings.Contains(string(e.Data), "COACH_SKILL") || strings.Contains(string(e.Data), "RISK_FLAG")) {
				t.Errorf("%s tells %s", e.Type, e.Data)
			}
		}
	}
}

// The guide has each type, with an example that its schema fits, and an event as a whole.
func TestTheGuideOfEvents(t *testing.T) {
	t.Parallel()
	guide, schemas := read(t, "docs", "guides", "events.md"), eventSchemas(t)
	_, whole, _ := strings.Cut(guide, "```json\n")
	whole, _, _ = strings.Cut(whole, "```")
	if err := fits(schemas, []byte(whole)); err != nil {
		t.Errorf("the event of the guide: %v", err)
	}
	_, list, _ := strings.Cut(guide, "## The types")
	for typ, schema := range schemas {
		if typ == envelope {
			continue
		}
		_, about, found := strings.Cut(list, "**[`"+typ+"`](../events/"+typ+outward.SchemaSuffix+")** "+schema.Description)
		_, example, _ := strings.Cut(about, "```json\n")
		example, _, _ = strings.Cut(example, "```")
		data, err := jsonschema.UnmarshalJSON(strings.NewReader(example))
		if err == nil {
			err = schema.Validate(data)
		}
		if !found || err != nil {
			t.Errorf("%s: in the guide: %t, %v", typ, found, err)
		}
	}
	if n := strings.Count(list, "](../events/"); n != len(schemas)-1 {
		t.Errorf("%d types in the guide, %d there are", n, len(schemas)-1)
	}
}

// Of what was found in the demo, other systems hear of what they may, once each, and of nothing else.
func TestInsightsThatAreAnnounced(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	added := map[string]int{}
	for _, e := range announced(t, env) {
		if e.Type == "insight.added" {
			added[e.Subject]++
		}
	}
	rows, err := env.DB.Query(t.Context(), `SELECT id, kind FROM insights`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	hidden, shown := 0, 0
	for rows.Next() {
		var key id.UUID
		var kind string
		if err := rows.Scan(&key, &kind); err != nil {
			t.Fatal(err)
		}
		want := 1
		if kind == "COACH_SKILL" || kind == "RISK_FLAG" {
			want = 0
			hidden++
		} else {
			shown++
		}
		if got := added[id.Format("insight", key)]; got != want {
			t.Errorf("an insight of kind %s was announced %d times, want %d", kind, got, want)
		}
	}
	if err := rows.Err(); err != nil || hidden == 0 || shown < 10 {
		t.Errorf("%d hidden and %d shown insights, %v", hidden, shown, err)
	}
}

// In development what happens is on a page a moment later, whichever process has done it, and the outbox is empty again. The schema is
// where the event says it is.
func TestThePageOfEvents(t *testing.T) {
	t.Parallel()
	env := apptest.New(t, apptest.Running())
	founded(t, env)
	coach := env.Login(t, "owner@acme.example")
	client := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "Nia Roberts"})["id"].(string)
	var page string
	testkit.Eventually(t, 20*time.Second, func() error {
		status, body := env.Send(t, http.MethodGet, eventbox.Path, nil, "")
		if page = string(body); status != http.StatusOK || !strings.Contains(page, client) {
			return fmt.Errorf("%d: %s", status, body)
		}
		return nil
	})
	testkit.Eventually(t, 20*time.Second, func() error {
		if s, err := outward.StatusOf(t.Context(), env.DB); err != nil || s.Waiting+s.Refused > 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	if strings.Contains(page, "Nia") {
		t.Errorf("the page tells a name: %s", page)
	}
	var d struct{ Source, DataSchema string }
	if err := json.Unmarshal(value[[]byte](t, env, `SELECT document FROM dev_events`), &d); err != nil || d.Source != env.URL {
		t.Errorf("%+v, %v", d, err)
	}
	status, schema := env.Send(t, http.MethodGet, strings.TrimPrefix(d.DataSchema, env.URL), nil, "")
	if want, err := events.Files.ReadFile("client.created.schema.json"); err != nil || status != http.StatusOK || !bytes.Equal(schema, want) {
		t.Errorf("%s: %d %s", d.DataSchema, status, schema)
	}
	for _, path := range []string{"/events/", "/events/events.go", "/events/nothing.schema.json"} {
		if status, body := env.Send(t, http.MethodGet, path, nil, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// founded makes an organization whose owner coaches.
func founded(t *testing.T, env *apptest.Env) {
	t.Helper()
	var out, errs strings.Builder
	if err := operateOn(t, env, &out, &errs, "init", "--organization", "acme", "--owner", "owner@acme.example", "--coach"); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
}

func operateOn(t *testing.T, env *apptest.Env, out, errs *strings.Builder, args ...string) error {
	t.Helper()
	return app.Operate(t.Context(), func(name string) (string, bool) {
		v, ok := map[string]string{"DATABASE_URL": env.DatabaseURL, "RAPPORT_HOME": env.Config.Home}[name]
		return v, ok
	}, args, out, errs)
}

// Without a topic nothing is written in production: nobody would read it.
func TestNothingIsWrittenWithoutATopic(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Production(t))
	sql(t, env, `DELETE FROM outbox`)
	does(t, env.Login(t, apptest.Coach), "createClient", "client", "id", apptest.Vars{"name": "Nia Roberts"})
	if n := len(announced(t, env)); n != 0 {
		t.Errorf("%d events wait for nobody", n)
	}
	if status, _ := env.Send(t, http.MethodGet, eventbox.Path, nil, ""); status != http.StatusNotFound {
		t.Errorf("the page of events is there: %d", status)
	}
}

// Through SNS, with a server and a worker that both carry: a queue that has subscribed to a type gets each of these events once, while
// the line is cut and mended; the outbox is empty at rest, and what was given up an operator finds.
func TestEventsThroughSNS(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	line := o.aws
	line.HTTPClient = nil // the test's own does not end when it is cut
	arn, err := snsevent.Create(t.Context(), line, "events-"+id.New().String())
	if err != nil {
		t.Fatal(err)
	}
	queue := subscribed(t, line, arn, `{"type":["client.created"]}`)
	as := func(role config.Role) apptest.Option {
		return apptest.Together(apptest.Running(), apptest.AppOptions(app.WithAWS(o.aws)), apptest.Config(func(c *config.Config) {
			c.Role, c.Events.SNSTopicARN = role, arn
		}))
	}
	env := apptest.New(t, as(config.Server))
	founded(t, env)
	env.Another(t, as(config.Worker))
	coach := env.Login(t, "owner@acme.example")
	want := map[string]bool{}
	create := func() {
		t.Helper()
		for range 5 {
			client := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "Nia Roberts"})["id"].(string)
			does(t, coach, "archiveClient", "client", "id", apptest.Vars{"id": client, "archived": true})
			want[client] = true
		}
	}
	rest := func() {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, func() error {
			if s, err := outward.StatusOf(t.Context(), env.DB); err != nil || s.Waiting > 0 {
				return fmt.Errorf("%+v, %w", s, err)
			}
			return nil
		})
	}
	create()
	rest()
	o.cut()
	create()
	testkit.Eventually(t, 20*time.Second, func() error {
		if !strings.Contains(env.Log.String(), "events are not published") {
			return errors.New("nobody has noticed")
		}
		_, raw := env.Send(t, http.MethodGet, "/readyz", nil, "")
		if !strings.Contains(string(raw), `"degraded"`) || !strings.Contains(string(raw), "cannot reach the topic") {
			return fmt.Errorf("ready: %s", raw)
		}
		return nil
	})
	if s, err := outward.StatusOf(t.Context(), env.DB); err != nil || s.Waiting != 10 {
		t.Errorf("while SNS is away: %+v, %v", s, err)
	}
	o.mend()
	rest()
	got, schemas := map[string]int{}, eventSchemas(t)
	for _, body := range queue(t) {
		var d struct{ Type, Subject string }
		if err := errors.Join(json.Unmarshal(body, &d), fits(schemas, body)); err != nil || d.Type != "client.created" {
			t.Errorf("%s: %v", body, err)
		}
		got[d.Subject]++
	}
	for client := range want {
		if got[client] < 1 { // twice only if the line was cut after SNS had taken it
			t.Errorf("%s has not arrived", client)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d clients arrived, want %d", len(got), len(want))
	}

	sql(t, env, `INSERT INTO outbox (id, org_id, type, subject, data, due_at, failed_at, attempts, error_code)
		SELECT gen_random_uuid(), id, 'client.created', 'client_x', '{}', NULL, now(), 10, 'FAILED' FROM organizations`)
	for _, step := range []struct{ args, says string }{
		{"events", "0 wait to be published, the first for 0s; 1 were given up"}, {"events", "client_x"}, {"events", "FAILED"},
		{"events --retry", "1 events are tried anew"}, {"events --discard", "0 events are forgotten"},
	} {
		var out, errs strings.Builder
		if err := operateOn(t, env, &out, &errs, strings.Fields(step.args)...); err != nil || !strings.Contains(out.String(), step.says) {
			t.Errorf("rapport %s: %v, %s%s", step.args, err, &out, &errs)
		}
	}
	rest()
}

// subscribed makes a queue that gets what a filter policy says, and returns a function that empties it.
func subscribed(t *testing.T, cfg aws.Config, topic, policy string) func(t *testing.T) [][]byte {
	t.Helper()
	queues := sqs.NewFromConfig(cfg)
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q-" + id.New().String())})
	if err != nil {
		t.Fatal(err)
	}
	about, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	if err != nil {
		t.Fatal(err)
	}
	arn := about.Attributes["QueueArn"]
	if _, err := queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{
		"Policy": fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",
			"Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, topic),
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := sns.NewFromConfig(cfg).Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &arn, Attributes: map[string]string{"RawMessageDelivery": "true", "FilterPolicy": policy},
	}); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) (all [][]byte) {
		t.Helper()
		for {
			out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Messages) == 0 {
				return all
			}
			for _, m := range out.Messages {
				all = append(all, []byte(aws.ToString(m.Body)))
			}
		}
	}
}
