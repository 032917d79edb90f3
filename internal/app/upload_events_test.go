package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
	"github.com/rapporthq/rapport/internal/testkit"
)

// bucket is one of the test's own that tells a queue of what is stored in it.
type bucket struct {
	aws    aws.Config
	name   string
	queues sqsqueue.Queues
}

func newBucket(t testing.TB) bucket {
	t.Helper()
	b := bucket{name: "files-" + id.New().String(), aws: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: credentials.NewStaticCredentialsProvider(account, "test", ""),
	}}
	err := s3blob.Create(t.Context(), b.aws, b.name)
	if err == nil {
		b.queues, err = sqsqueue.Create(t.Context(), b.aws, b.name)
	}
	if err == nil {
		err = sqsqueue.Admit(t.Context(), b.aws, b.queues, b.name)
	}
	if err == nil {
		err = s3blob.Announce(t.Context(), b.aws, b.name, b.queues.ARN)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b bucket) client() *s3.Client {
	return s3.NewFromConfig(b.aws, func(o *s3.Options) { o.UsePathStyle = true })
}

// told keeps files in the bucket and hears what it tells.
func (b bucket) told() apptest.Option {
	return apptest.Together(apptest.AppOptions(app.WithAWS(b.aws)), apptest.Config(func(c *config.Config) {
		c.Files.S3Bucket, c.Files.S3EventsQueueURL = b.name, b.queues.URL
	}))
}

// keyOf is where the file of an upload is stored.
func keyOf(t testing.TB, env *apptest.Env, up uploaded) string {
	t.Helper()
	return value[string](t, env, `SELECT blob_key FROM transcripts WHERE id = $1`, uuid(t, up.Transcript.ID))
}

// once says whether an upload was completed and read once, and by whom it was completed.
func once(t testing.TB, env *apptest.Env, up uploaded) string {
	t.Helper()
	return value[string](t, env, `SELECT concat_ws(' ',
		(SELECT count(*) FROM jobs WHERE kind = 'transcript.parse' AND entity_id = $1), 'read,',
		(SELECT string_agg(CASE WHEN actor_id IS NULL THEN 'system' ELSE 'coach' END, ' ') FROM audit_events WHERE action = 'transcript.complete' AND entity_id = $1))`,
		uuid(t, up.Transcript.ID))
}

// A file is sent, and nobody says so but the bucket: the upload is complete all the same. If its sender says so too, it is read once.
func TestTheBucketTells(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	env := apptest.Demo(t, apptest.Running(), b.told())
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	text := func(n int) string { return sample(t, "zoom.vtt") + fmt.Sprintf("\nNOTE copy %d\n", n) }
	finished := func(up uploaded) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, func() error {
			if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" && got.Status != "READY" {
				return fmt.Errorf("%+v", got)
			}
			return nil
		})
	}
	forgotten := announce(t, coach, session, text(0), nil)
	if code := forgotten.send(t, text(0)); code != http.StatusOK {
		t.Fatalf("sent: %d", code)
	}
	finished(forgotten)
	if got := once(t, env, forgotten); got != "1 read, system" {
		t.Errorf("forgotten: %s", got)
	}
	for n := range 3 {
		both := announce(t, coach, session, text(1+n), nil)
		both.send(t, text(1+n))
		if done := complete(t, coach, both.Transcript.ID); len(done.UserErrors) > 0 {
			t.Errorf("completed: %+v", done)
		}
		finished(both)
		if got := once(t, env, both); got != "1 read, coach" && got != "1 read, system" {
			t.Errorf("both: %s", got)
		}
	}
	if status, body := env.Send(t, http.MethodGet, "/readyz", nil, ""); status != http.StatusOK || !strings.Contains(string(body), `"files-events","adapter":"sqs","ok":true`) {
		t.Errorf("%d %s", status, body)
	}
	if log := env.Log.String(); strings.Contains(log, "is left in the queue") {
		t.Error("something of what the bucket has told was left in the queue")
	}
}

// What the store tells may come twice, at the same moment as the sender's word, too early, or of something else. The file may be gone or
// be another one when it is read: then the transcript says so, and it can be sent again.
func TestArrived(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	env := apptest.Demo(t, b.told())
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	transcripts := env.App.Services().Transcripts
	arrives := func(key string) {
		t.Helper()
		if err := transcripts.Arrived(context.Background(), key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	content := sample(t, "zoom.vtt") + "\n"
	up := announce(t, coach, session, content, nil)
	key := keyOf(t, env, up)
	for _, other := range []string{key, "", "x", "temporary/x", strings.Replace(key, "original", "export", 1), strings.Repeat("-", 36) + "/transcripts/" + strings.Repeat("-", 36) + "/original",
		id.New().String() + "/transcripts/" + id.New().String() + "/original", id.New().String() + key[36:]} {
		arrives(other)
	}
	if got := look(t, coach, up.Transcript.ID).Transcript.Status + " " + once(t, env, up); got != "UPLOADING 0 read," {
		t.Errorf("before it came: %s", got)
	}
	up.send(t, content)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { arrives(key) })
		all.Go(func() { complete(t, coach, up.Transcript.ID) })
	}
	all.Wait()
	if got := once(t, env, up); got != "1 read, coach" && got != "1 read, system" {
		t.Errorf("told at once: %s", got)
	}

	for code, harm := range map[string]func() error{
		"FILE_CHANGED": func() error {
			_, err := b.client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: strings.NewReader(strings.ToUpper(content))})
			return err
		},
		"FILE_MISSING": func() error {
			_, err := b.client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
			return err
		},
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		env.Work(t)
		if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "FAILED" || got.Failure == nil || got.Failure.Code != code {
			t.Errorf("want %s: %+v", code, got)
		}
		arrives(key)
		if up = announce(t, coach, session, content, nil); up.Upload == nil || up.Transcript.Failure != nil {
			t.Fatalf("announced again: %+v", up)
		}
		if code := up.send(t, content); code/100 != 2 {
			t.Fatalf("sent again: %d", code)
		}
		arrives(key)
	}
	env.Work(t)
	if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" {
		t.Errorf("in the end: %+v", got)
	}
}
