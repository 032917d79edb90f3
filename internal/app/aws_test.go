package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// What the SDK of AWS has to say stands in the log as everything does, so that a machine can read each line.
func TestTheSDKSpeaksThroughTheLog(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	at, bucket := testkit.AWS(t), "log-"+id.New().String() // and a file that came without a checksum, which the SDK remarks upon
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &at, Credentials: credentials.NewStaticCredentialsProvider("123456789012", "test", "")}
	store := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle, o.RequestChecksumCalculation = true, aws.RequestChecksumCalculationWhenRequired
	})
	if _, err := store.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, env, "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL="+at, "AWS_ACCESS_KEY_ID=123456789012", "AWS_SECRET_ACCESS_KEY=test",
		"RAPPORT_S3_BUCKET="+bucket, "RAPPORT_LOG_FORMAT=json", "RAPPORT_LOG_LEVEL=debug")
	coach, content := p.Login(t, apptest.Coach), sample(t, "zoom.vtt")+"\n"
	up := announce(t, coach, amara5.id(t, env), content, nil)
	key := keyOf(t, env, up)
	if _, err := store.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
	complete(t, coach, up.Transcript.ID)
	quiet(t, env, up.Transcript.ID)
	p.kill()
	whole := p.log.String()
	whole = whole[:strings.LastIndexByte(whole, '\n')+1] // it may have died in the middle of a line
	for line := range strings.Lines(whole) {
		var fields struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields.Msg == "" {
			t.Errorf("not of the log: %s", line)
		}
	}
	if !strings.Contains(whole, `"msg":"AWS SDK"`) {
		t.Errorf("the SDK has said nothing, and the test shows nothing: %s", whole)
	}
}
