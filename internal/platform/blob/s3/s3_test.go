package s3blob

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/blob/blobtest"
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
	if _, err := s.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &o.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
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
	if err != nil || !strings.Contains(l.URL+l.Header["X-Amz-Server-Side-Encryption"], "aws:kms") && !strings.Contains(l.URL, "aws%3Akms") {
		t.Errorf("a link that does not ask for encryption: %v %v", l, err)
	}
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
