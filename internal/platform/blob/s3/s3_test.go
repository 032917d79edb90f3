package s3blob

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/blob/blobtest"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

const account = "210987654321"

func config(t *testing.T) aws.Config {
	t.Helper()
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)),
		Credentials: credentials.NewStaticCredentialsProvider(account, "test", ""),
	}
}

// bucket makes one that keeps versions, as production's does.
func bucket(t *testing.T, change func(*Options)) *Store {
	t.Helper()
	o := Options{Bucket: "b-" + id.New().String(), Owner: account}
	if change != nil {
		change(&o)
	}
	s := New(config(t), o)
	if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &o.Bucket}); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(t.Context(), []string{"https://app.example.com"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) (blob.Store, func(time.Duration) blob.Store) {
		s := bucket(t, nil)
		return s, func(d time.Duration) blob.Store {
			old := New(config(t), s.options)
			old.now = func() time.Time { return time.Now().Add(-d) }
			return old
		}
	})
}

// Deleting removes all versions, and not what begins with the same name.
func TestDeleteLeavesNoVersion(t *testing.T) {
	t.Parallel()
	s := bucket(t, nil)
	ctx := t.Context()
	for _, key := range []string{"a/b", "a/b.txt"} {
		if err := s.Put(ctx, key, "text/plain", []byte("said")); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody deletes by hand, which leaves a marker, and the file is stored anew.
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.options.Bucket, Key: aws.String("a/b")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "a/b", "text/plain", []byte("said again")); err != nil {
		t.Fatal(err)
	}
	versions := func() (all []string) {
		out, err := s.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.options.Bucket})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Versions {
			all = append(all, *v.Key)
		}
		for _, m := range out.DeleteMarkers {
			all = append(all, *m.Key+" deleted")
		}
		return all
	}
	if got := len(versions()); got != 4 {
		t.Fatalf("%d versions before", got)
	}
	if err := s.Delete(ctx, "a/b"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(versions(), ", "); got != "a/b.txt" {
		t.Errorf("left: %s", got)
	}
}

func TestEncryptionAndOwner(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:us-east-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	s := bucket(t, func(o *Options) { o.KMSKey = key })
	if err := s.Put(t.Context(), "a", "text/plain", []byte("said")); err != nil {
		t.Fatal(err)
	}
	out, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.options.Bucket, Key: aws.String("a")})
	if err != nil || out.ServerSideEncryption != types.ServerSideEncryptionAwsKms || aws.ToString(out.SSEKMSKeyId) != key {
		t.Errorf("encrypted by %s %s, %v", out.ServerSideEncryption, aws.ToString(out.SSEKMSKeyId), err)
	}
	l, err := s.UploadLink(t.Context(), "b", blob.File{ContentType: "text/vtt", Size: 1}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": key} {
		signed := ";" + u.Query().Get("X-Amz-SignedHeaders") + ";"
		byHeader := l.Header[name] == want && strings.Contains(signed, ";"+strings.ToLower(name)+";")
		if byURL := u.Query().Get(strings.ToLower(name)) == want; !byHeader && !byURL {
			t.Errorf("%s is not a part of what is signed: %v", name, l)
		}
	}
}

// What a bucket is to do is what the guide tells people to set, and a bucket does it; twice is once.
func TestConfigure(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "docs", "guides", "aws.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := func(name string, into any) {
		t.Helper()
		for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(guide, -1) {
			if bytes.HasPrefix(m[1], []byte(`{"`+name+`": [`)) && !bytes.Contains(m[1], []byte("QueueArn")) {
				if err := json.Unmarshal(m[1], into); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		t.Fatalf("the guide has no %s", name)
	}
	var rules types.BucketLifecycleConfiguration
	var cors types.CORSConfiguration
	told("Rules", &rules)
	told("CORSRules", &cors)
	if diff := cmp.Diff(&rules, Lifecycle(), ignoreUnexported); diff != "" {
		t.Errorf("the guide's lifecycle: %s", diff)
	}
	origins := []string{"https://app.example.com"}
	if diff := cmp.Diff(&cors, CORS(origins), ignoreUnexported); diff != "" {
		t.Errorf("the guide's CORS: %s", diff)
	}
	link, err := New(config(t), Options{Bucket: "files", Owner: account, KMSKey: "key"}).UploadLink(t.Context(), "a", blob.File{ContentType: "text/vtt", Size: 1}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name := range link.Header {
		if !slices.ContainsFunc(cors.CORSRules[0].AllowedHeaders, func(allowed string) bool { return strings.EqualFold(allowed, name) }) {
			t.Errorf("a page must send %s, and may not", name)
		}
	}

	s, ctx := bucket(t, nil), t.Context()
	if err := s.Configure(ctx, origins); err != nil {
		t.Fatal(err)
	}
	b := &s.options.Bucket
	if out, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: b}); err != nil || out.Status != types.BucketVersioningStatusEnabled {
		t.Errorf("versions: %v, %v", out, err)
	}
	if out, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: b}); err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(Lifecycle().Rules, out.Rules, ignoreUnexported); diff != "" {
		t.Errorf("lifecycle: %s", diff)
	}
	if out, err := s.client.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: b}); err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(CORS(origins).CORSRules, out.CORSRules, ignoreUnexported); diff != "" {
		t.Errorf("CORS: %s", diff)
	}
	if out, err := s.client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: b}); err != nil || !aws.ToBool(out.PublicAccessBlockConfiguration.BlockPublicPolicy) {
		t.Errorf("public: %v, %v", out, err)
	}
}

// unexported fields are the SDK's own.
var ignoreUnexported = cmp.FilterPath(func(p cmp.Path) bool {
	f, is := p.Last().(cmp.StructField)
	return is && f.Name() == "noSmithyDocumentSerde"
}, cmp.Ignore())

// A bucket that cannot be used is told by what somebody has to correct.
func TestReach(t *testing.T) {
	t.Parallel()
	s := bucket(t, nil)
	if err := s.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	nowhere := New(config(t), Options{Bucket: s.options.Bucket + "-none"})
	if err := nowhere.Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable || !strings.HasPrefix(err.Error(), "there is no such bucket") {
		t.Errorf("no bucket: %v", err)
	}
	for status, want := range map[int]string{403: "the bucket is another account's, or not this role's to use", 301: "the bucket is in another region"} {
		cfg := config(t)
		cfg.HTTPClient = answering(status)
		if err := New(cfg, s.options).Reach(t.Context()); fault.KindOf(err) != fault.KindUnavailable || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// answering answers in S3's place, as the emulator does not: it looks at no owner.
type answering int

func (a answering) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// recorder keeps the requests that are sent.
type recorder struct {
	mu   sync.Mutex
	sent []*http.Request
}

func (r *recorder) Do(q *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.sent = append(r.sent, q)
	r.mu.Unlock()
	return http.DefaultClient.Do(q)
}

// The emulator does not look at the bucket's owner, S3 does: each request names it.
func TestEveryRequestNamesTheOwner(t *testing.T) {
	t.Parallel()
	s, ctx := bucket(t, nil), t.Context()
	var r recorder
	cfg := config(t)
	cfg.HTTPClient = &r
	s = New(cfg, s.options)
	for range 2 {
		if err := s.Put(ctx, "a", "text/plain", []byte("said")); err != nil {
			t.Fatal(err)
		}
	}
	f, _, err := s.Open(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := s.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if len(r.sent) < 6 {
		t.Errorf("only %d requests", len(r.sent))
	}
	for _, q := range r.sent {
		if got := q.Header.Get("X-Amz-Expected-Bucket-Owner"); got != account {
			t.Errorf("%s %s names the owner %q", q.Method, q.URL, got)
		}
	}
	for what, sign := range map[string]func() (blob.Link, error){
		"upload": func() (blob.Link, error) {
			return s.UploadLink(ctx, "b", blob.File{ContentType: "text/vtt", Size: 1}, time.Minute)
		},
		"download": func() (blob.Link, error) { return s.DownloadLink(ctx, "b", "b.vtt", "text/vtt", time.Minute) },
	} {
		l, err := sign()
		if err != nil {
			t.Fatal(err)
		}
		if u, err := url.Parse(l.URL); err != nil || u.Query().Get("x-amz-expected-bucket-owner") != account {
			t.Errorf("the link to %s names no owner: %v", what, l)
		}
	}
}
