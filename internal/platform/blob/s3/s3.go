// Package s3blob is the blob store in a bucket of Amazon S3.
//
// Links are presigned requests. What an upload must be (type, length, SHA-256, and that nothing is there yet) is a part of
// what is signed, so S3 itself refuses anything else.
package s3blob

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

const maxLife = 24 * time.Hour // of a link, as on disk; S3 would allow seven days

// Options say which bucket, and how it is used.
type Options struct {
	Bucket string
	// Owner is the account that must own the bucket, twelve digits; "" asks for none. With it nothing goes to somebody
	// else's bucket of the same name.
	Owner string
	// KMSKey encrypts what is stored (SSE-KMS), by id or ARN; "" leaves it to the bucket's default.
	KMSKey string
}

// Store is the bucket.
type Store struct {
	client  *s3.Client
	presign *s3.PresignClient
	options Options
	now     func() time.Time // when links are signed
}

var _ blob.Store = (*Store)(nil)

// New returns the store in a bucket that exists. cfg says how AWS is reached and as whom. The bucket keeps versions, removes
// what lies under blob.Temporary after a day, and lets the pages of the product PUT and GET (CORS).
func New(cfg aws.Config, o Options) *Store {
	client := s3.NewFromConfig(cfg, func(c *s3.Options) {
		c.UsePathStyle = c.BaseEndpoint != nil // an emulator has no host name for each bucket
		// Two who store under one key at the same moment: S3 asks one of them to come again.
		c.Retryer = retry.AddWithErrorCodes(c.Retryer, "ConditionalRequestConflict")
	})
	s := &Store{client: client, options: o, now: time.Now}
	s.presign = s3.NewPresignClient(client, func(p *s3.PresignOptions) { p.Presigner = clock{v4.NewSigner(unescaped), s} })
	return s
}

// unescaped: S3 signs paths as they are.
func unescaped(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }

// clock signs at the store's time.
type clock struct {
	*v4.Signer
	store *Store
}

func (c clock) PresignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time,
	opts ...func(*v4.SignerOptions)) (string, http.Header, error) {
	return c.Signer.PresignHTTP(ctx, credentials, r, payloadHash, service, region, c.store.now(), opts...)
}

// Reach says whether the bucket is there and may be used. What somebody has to correct is a fault that says so; it names nothing, for
// anybody may hear it.
func (s *Store) Reach(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.options.Bucket, ExpectedBucketOwner: s.owner()})
	var answer interface{ HTTPStatusCode() int }
	if !errors.As(err, &answer) {
		return wrap(err)
	}
	switch answer.HTTPStatusCode() {
	case http.StatusNotFound:
		return fault.Unavailable("there is no such bucket").Because(wrap(err))
	case http.StatusForbidden:
		return fault.Unavailable("the bucket is another account's, or not this role's to use").Because(wrap(err))
	case http.StatusMovedPermanently:
		return fault.Unavailable("the bucket is in another region").Because(wrap(err))
	}
	return wrap(err)
}

// put is what every way to store a file has in common.
func (s *Store) put(key, contentType string, size int64, sum blob.Sum) *s3.PutObjectInput {
	in := &s3.PutObjectInput{
		Bucket: &s.options.Bucket, Key: &key, ExpectedBucketOwner: s.owner(), ContentType: &contentType, ContentLength: &size,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])), IfNoneMatch: aws.String("*"),
	}
	if s.options.KMSKey != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &s.options.KMSKey
	}
	return in
}

func (s *Store) owner() *string {
	if s.options.Owner == "" {
		return nil
	}
	return &s.options.Owner
}

// UploadLink implements blob.Store.
func (s *Store) UploadLink(ctx context.Context, key string, f blob.File, valid time.Duration) (blob.Link, error) {
	if f.Size < 1 || f.Size > blob.MaxBytes {
		return blob.Link{}, fault.Invalid("", "a file holds 1 to %d bytes, this one %d", blob.MaxBytes, f.Size)
	}
	if err := check(key, valid); err != nil {
		return blob.Link{}, err
	}
	r, err := s.presign.PresignPutObject(ctx, s.put(key, f.ContentType, f.Size, f.Sum), s3.WithPresignExpires(valid))
	return s.link(r, valid, err)
}

// DownloadLink implements blob.Store.
func (s *Store) DownloadLink(ctx context.Context, key, filename, contentType string, valid time.Duration) (blob.Link, error) {
	if err := check(key, valid); err != nil {
		return blob.Link{}, err
	}
	r, err := s.presign.PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.options.Bucket, Key: &key, ExpectedBucketOwner: s.owner(), ResponseContentType: &contentType,
		ResponseContentDisposition: aws.String(mime.FormatMediaType("attachment", map[string]string{"filename": filename})),
	}, s3.WithPresignExpires(valid))
	return s.link(r, valid, err)
}

func check(key string, valid time.Duration) error {
	if !blob.ValidKey(key) {
		return fmt.Errorf("s3: %q is no key", key)
	}
	if valid <= 0 || valid > maxLife {
		return fmt.Errorf("s3: a link lives up to %s, not %s", maxLife, valid)
	}
	return nil
}

// link is the signed request without the headers that every client sets by itself, and may not set.
func (s *Store) link(r *v4.PresignedHTTPRequest, valid time.Duration, err error) (blob.Link, error) {
	if err != nil {
		return blob.Link{}, fmt.Errorf("s3: %w", err)
	}
	l := blob.Link{Method: r.Method, URL: r.URL, ExpiresAt: s.now().Add(valid).Truncate(time.Second)}
	for name := range r.SignedHeader {
		if name != "Host" && name != "Content-Length" {
			if l.Header == nil {
				l.Header = map[string]string{}
			}
			l.Header[name] = r.SignedHeader.Get(name)
		}
	}
	return l, nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key, contentType string, content []byte) error {
	if !blob.ValidKey(key) {
		return fmt.Errorf("s3: %q is no key", key)
	}
	if len(content) > blob.MaxBytes {
		return fault.Invalid("", "a file holds at most %d bytes, this one %d", blob.MaxBytes, len(content))
	}
	sum := blob.Sum(sha256.Sum256(content))
	in := s.put(key, contentType, int64(len(content)), sum)
	in.Body = strings.NewReader(string(content))
	_, err := s.client.PutObject(ctx, in)
	if code(err) != "PreconditionFailed" {
		return wrap(err)
	}
	there, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.options.Bucket, Key: &key, ExpectedBucketOwner: s.owner(), ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return wrap(err)
	}
	if aws.ToString(there.ChecksumSHA256) != *in.ChecksumSHA256 {
		return blob.ErrExists
	}
	return nil
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if !blob.ValidKey(key) {
		return nil, 0, fault.NotFound("file")
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.options.Bucket, Key: &key, ExpectedBucketOwner: s.owner()})
	if code(err) == "NoSuchKey" {
		return nil, 0, fault.NotFound("file").Because(err)
	} else if err != nil {
		return nil, 0, wrap(err)
	}
	return out.Body, aws.ToInt64(out.ContentLength), nil
}

// Delete implements blob.Store. In a bucket that keeps versions it removes them all: what is erased is gone.
func (s *Store) Delete(ctx context.Context, key string) error {
	if !blob.ValidKey(key) {
		return nil
	}
	pages := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{Bucket: &s.options.Bucket, Prefix: &key, ExpectedBucketOwner: s.owner()})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap(err)
		}
		var gone []types.ObjectIdentifier
		for _, v := range page.Versions {
			if *v.Key == key { // and not a longer one that begins with it
				gone = append(gone, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
			}
		}
		for _, m := range page.DeleteMarkers {
			if *m.Key == key {
				gone = append(gone, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
			}
		}
		if len(gone) == 0 {
			continue
		}
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &s.options.Bucket, Delete: &types.Delete{Objects: gone, Quiet: aws.Bool(true)}, ExpectedBucketOwner: s.owner(),
		})
		if err != nil {
			return wrap(err)
		}
		for _, e := range out.Errors {
			return fmt.Errorf("s3: delete: %s", aws.ToString(e.Code))
		}
	}
	return nil
}

// code is S3's word for what went wrong, "" if it has none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("s3: %w", err)
}
