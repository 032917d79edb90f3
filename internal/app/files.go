package app

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/blob/disk"
	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

// files is where files are kept: a bucket of S3, or a folder, which the server then serves and sweeps by itself.
type files struct {
	blob.Store
	disk  *disk.Store // nil with S3
	where string      // for people
	check httpx.Check
}

// WithAWS says how AWS is reached; for tests. Otherwise the SDK finds out by itself.
func WithAWS(cfg aws.Config) Option { return func(a *App) { a.aws = &cfg } }

func (a *App) openFiles(ctx context.Context) (f files, err error) {
	c := a.config.Files
	if c.S3Bucket == "" {
		f.disk, err = disk.Open(a.config.Home, func() string { return *a.url.Load() })
		f.Store, f.where = f.disk, "disk ("+a.config.Home+"/files)"
		f.check = httpx.Check{Name: "files", Adapter: "disk", Optional: true, Probe: f.disk.Reach}
		return f, err
	}
	cfg, err := a.reachAWS(ctx, "RAPPORT_S3_BUCKET")
	if err != nil {
		return f, err
	}
	store := s3blob.New(cfg, s3blob.Options{Bucket: c.S3Bucket, Owner: c.S3Owner, KMSKey: c.S3KMSKey})
	f.Store, f.where = store, "s3 ("+c.S3Bucket+")"
	f.check = httpx.Check{Name: "files", Adapter: "s3", Optional: true, Probe: func(ctx context.Context) error {
		if err := store.Reach(ctx); err != nil {
			return fault.Unavailable("cannot reach the bucket").Because(err)
		}
		return nil
	}}
	return f, nil
}

// reachAWS is how AWS is reached, for what the given variable asks for.
func (a *App) reachAWS(ctx context.Context, variable string) (aws.Config, error) {
	if a.aws == nil {
		cfg, err := awsconfig.LoadDefaultConfig(ctx)
		if err != nil {
			return cfg, fmt.Errorf("AWS: %w", err)
		}
		a.aws = &cfg
	}
	if a.aws.Region == "" {
		return *a.aws, fault.Invalid("", "%s needs AWS_REGION", variable)
	}
	return *a.aws, nil
}
