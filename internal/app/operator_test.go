package app_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Whoever asks for help gets it, whatever the configuration; whoever is wrong learns what is wrong and how it is said.
func TestOperatorUsage(t *testing.T) {
	t.Parallel()
	everything := []string{"rapport init --organization SLUG", "rapport import FILE", "rapport audit verify", "rapport unsuppress ADDRESS", "rapport migrate", "Exit status: 0 done, 1 failed, 2 wrong usage"}
	flags := []string{"--organization ", "--owner ", "--name ", "--owner-name ", "--coach ", "--issuer ", "--subject ", "Exit status"}
	for _, tc := range []struct {
		args string
		help bool // asked for
		says []string
	}{
		{"-h", true, everything},
		{"--help", true, everything},
		{"help", true, everything},
		{"", false, everything},
		{"unit", false, append(everything, `no command "unit"`)},
		{"init -h", true, flags},
		{"init --owner x --help", true, flags},
		{"help init", true, flags},
		{"import -h", true, []string{"--session ", "--format ", "FILE"}},
		{"migrate -h", true, []string{"usage: rapport migrate\n"}},
		{"init", false, []string{"rapport init: --organization is missing", "usage: rapport init", "rapport init -h"}},
		{"init --organization acme", false, []string{"--owner is missing"}},
		{"init --organization acme --owner", false, []string{"flag needs an argument"}},
		{"init --organisation acme", false, []string{"not defined: -organisation"}},
		{"init acme", false, []string{`what is "acme"?`}},
		{"import --session session_x", false, []string{"FILE is missing"}},
		{"import talk.vtt", false, []string{"--session is missing"}},
		{"import talk.vtt more.vtt --session session_x", false, []string{`what is "more.vtt"?`}},
		{"import --session client_x talk.vtt", false, []string{"--session: "}},
		{"import --session session_01h455vb4pex5vsknk084sn02q talk.vtt --format word", false, []string{"--format: there is no word"}},
		{"audit", false, []string{"verify is missing"}},
		{"audit erase", false, []string{`what is "erase"?`}},
		{"audit verify --after 1:x", false, []string{"--after goes with --organization"}},
		{"audit verify --organization harbor --after 1:x", false, []string{"--after: "}},
		{"events -h", true, []string{"usage: rapport events [--retry | --discard]\n", "--retry", "--discard"}},
		{"events --retry --discard", false, []string{"--retry or --discard"}},
		{"config", false, []string{"show is missing"}},
		{"config print", false, []string{`what is "print"?`}},
		{"unsuppress", false, []string{"ADDRESS is missing"}},
		{"unsuppress garbage", false, []string{`rapport unsuppress: "garbage" is no e-mail address`, "usage: rapport unsuppress ADDRESS"}},
		{"bucket", false, []string{"configure is missing"}},
		{"bucket drop", false, []string{`what is "drop"?`}},
		{"migrate now", false, []string{`what is "now"?`}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{"RAPPORT_HOME": t.TempDir()}
			if tc.help {
				settings["RAPPORT_MODE"] = "nonsense"
			}
			lookup := func(name string) (string, bool) { v, ok := settings[name]; return v, ok }
			var out, errs bytes.Buffer
			err := app.Operate(t.Context(), lookup, strings.Fields(tc.args), &out, &errs)
			said, silent := &errs, &out
			if tc.help {
				said, silent = &out, &errs
			}
			if wrong := errors.Is(err, app.ErrUsage); wrong == tc.help || tc.help && err != nil || silent.Len() > 0 {
				t.Errorf("err = %v, out %q, errs %q", err, &out, &errs)
			}
			for _, part := range tc.says {
				if !strings.Contains(said.String(), part) {
					t.Errorf("%q is not said in\n%s", part, said)
				}
			}
		})
	}
}

func TestOperatorTellsWhatIsMisconfigured(t *testing.T) {
	t.Parallel()
	lookup := func(name string) (string, bool) { return "nonsense", name == "RAPPORT_MODE" }
	var out bytes.Buffer
	if err := app.Operate(t.Context(), lookup, []string{"migrate"}, &out, &out); err == nil || errors.Is(err, app.ErrUsage) || !strings.Contains(err.Error(), "RAPPORT_MODE") {
		t.Errorf("err = %v, printed %q", err, &out)
	}
}

// A bucket that somebody has made is configured by a command, for the pages that the configuration names.
func TestOperatorConfiguresTheBucket(t *testing.T) {
	endpoint := testkit.AWS(t)
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value) // for the SDK
	}
	settings := map[string]string{"RAPPORT_HOME": t.TempDir(), "RAPPORT_CORS_ORIGINS": "https://app.example.com"}
	lookup := func(name string) (string, bool) { v, ok := settings[name]; return v, ok }
	operate := func() (string, error) {
		var out bytes.Buffer
		err := app.Operate(t.Context(), lookup, []string{"bucket", "configure"}, &out, &out)
		return out.String(), err
	}
	if _, err := operate(); err == nil || err.Error() != "RAPPORT_S3_BUCKET: must be set" {
		t.Errorf("without a bucket: %v", err)
	}
	settings["RAPPORT_S3_BUCKET"] = "made-by-hand-" + id.New().String()
	if _, err := operate(); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("one that there is not: %v", err)
	}
	client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(account, "test", "")})
	bucket := aws.String(settings["RAPPORT_S3_BUCKET"])
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	settings["RAPPORT_PUBLIC_URL"] = "https://api.example.com"
	if out, err := operate(); err != nil || !strings.Contains(out, "is configured for pages of https://api.example.com, https://app.example.com") {
		t.Errorf("%v: %s", err, out)
	}
	cors, err := client.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: bucket})
	if err != nil || strings.Join(cors.CORSRules[0].AllowedOrigins, " ") != "https://api.example.com https://app.example.com" {
		t.Errorf("%+v, %v", cors, err)
	}
	if rules, err := client.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket}); err != nil || len(rules.Rules) != 3 {
		t.Errorf("%+v, %v", rules, err)
	}
}
