package secretsmanager

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/secret"
	"github.com/rapporthq/rapport/internal/platform/secret/secrettest"
	"github.com/rapporthq/rapport/internal/testkit"
)

func reach(t *testing.T, url string) aws.Config {
	t.Helper()
	return aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("123456789012", "test", "")}
}

func TestSource(t *testing.T) {
	t.Parallel()
	cfg := reach(t, testkit.AWS(t))
	secrettest.Run(t, func(t *testing.T) (secret.Source, func(*testing.T, string, string)) {
		return New(cfg), func(t *testing.T, name, text string) {
			t.Helper()
			if err := Put(t.Context(), cfg, name, text); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A rotation writes the next version beside the current one, tries it, and then makes it current: until then it is nobody's.
func TestOnlyTheCurrentVersionCounts(t *testing.T) {
	t.Parallel()
	cfg := reach(t, testkit.AWS(t))
	name, binary := "rotation/"+rand.Text(), "rotation/"+rand.Text()
	client, s := api.NewFromConfig(cfg), New(cfg)
	fetch := func(name string) string {
		text, err := s.Fetch(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	made, err := client.CreateSecret(t.Context(), &api.CreateSecretInput{Name: aws.String(name), SecretString: aws.String("one")})
	if err != nil {
		t.Fatal(err)
	}
	next, err := client.PutSecretValue(t.Context(), &api.PutSecretValueInput{
		SecretId: aws.String(name), SecretString: aws.String("two"), VersionStages: []string{"AWSPENDING"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(*made.ARN); got != "one" {
		t.Errorf("while it is pending: %q", got)
	}
	if _, err := client.UpdateSecretVersionStage(t.Context(), &api.UpdateSecretVersionStageInput{SecretId: aws.String(name),
		VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: next.VersionId, RemoveFromVersionId: made.VersionId}); err != nil {
		t.Fatal(err)
	}
	if got := fetch(name); got != "two" {
		t.Errorf("afterwards: %q", got)
	}
	if _, err := client.CreateSecret(t.Context(), &api.CreateSecretInput{Name: aws.String(binary), SecretBinary: []byte{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), binary); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("bytes that are no text: %v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	cfg := reach(t, "http://127.0.0.1:1")
	cfg.RetryMaxAttempts = 1
	if _, err := New(cfg).Fetch(t.Context(), "x"); err == nil || fault.KindOf(err) == fault.KindNotFound || !strings.HasPrefix(err.Error(), "secretsmanager: ") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := New(cfg).Fetch(ctx, "x"); err != context.DeadlineExceeded {
		t.Errorf("out of time: %v", err)
	}
}
