package app

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/blob/disk"
	s3blob "github.com/rapporthq/rapport/internal/platform/blob/s3"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
)

// files is where files are kept: a bucket of S3, or a folder, which the server then serves and sweeps by itself.
type files struct {
	blob.Store
	disk  *disk.Store // nil with S3
	s3    *s3blob.Store
	inbox *sqsqueue.Inbox // of what the bucket tells; nil where it does not
	where string          // for people
	check httpx.Check
	tells httpx.Check // of the inbox
}

func (a *App) openFiles(ctx context.Context) (f files, err error) {
	c := a.config.Files
	if c.S3Bucket == "" {
		f.disk, err = disk.Open(a.config.Home, func() string { return *a.url.Load() })
		f.Store, f.where = reached{f.disk}, "disk ("+a.config.Home+"/files)"
		f.check = httpx.Check{Name: "files", Adapter: "disk", Optional: true, Probe: f.disk.Reach}
		return f, err
	}
	cfg, err := a.reachAWS(ctx, "RAPPORT_S3_BUCKET")
	if err != nil {
		return f, err
	}
	store := s3blob.New(cfg, s3blob.Options{Bucket: c.S3Bucket, Owner: c.S3Owner, KMSKey: c.S3KMSKey})
	f.Store, f.s3, f.where = reached{store}, store, "s3 ("+c.S3Bucket+")"
	f.check = httpx.Check{Name: "files", Adapter: "s3", Optional: true, Probe: func(ctx context.Context) error {
		err := store.Reach(ctx)
		if err != nil && fault.KindOf(err) != fault.KindUnavailable {
			err = fault.Unavailable("cannot reach the bucket").Because(err)
		}
		return err
	}}
	if c.S3EventsQueueURL != "" {
		f.inbox = sqsqueue.NewInbox(cfg, sqsqueue.InboxOptions{
			URL: c.S3EventsQueueURL, Name: "what the bucket tells of files", Log: a.log, Retry: 30 * time.Second,
			Handle: func(ctx context.Context, body string) error { return a.stored(ctx, []byte(body)) },
		})
		f.tells = httpx.Check{Name: "files-events", Adapter: "sqs", Optional: true, Probe: queueIsThere(f.inbox.Reach)}
	}
	return f, nil
}

// reached is a store of which people are told that it is out of reach, where it is, and not that we have made a mistake.
type reached struct{ blob.Store }

func away(err error) error {
	if err == nil || fault.KindOf(err) != fault.KindInternal || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Unavailable("files are out of reach now: try again later").Because(err)
}

// UploadLink implements blob.Store.
func (r reached) UploadLink(ctx context.Context, key string, f blob.File, valid time.Duration) (blob.Link, error) {
	l, err := r.Store.UploadLink(ctx, key, f, valid)
	return l, away(err)
}

// DownloadLink implements blob.Store.
func (r reached) DownloadLink(ctx context.Context, key, filename, contentType string, valid time.Duration) (blob.Link, error) {
	l, err := r.Store.DownloadLink(ctx, key, filename, contentType, valid)
	return l, away(err)
}

// Put implements blob.Store.
func (r reached) Put(ctx context.Context, key, contentType string, content []byte) error {
	return away(r.Store.Put(ctx, key, contentType, content))
}

// Open implements blob.Store.
func (r reached) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	file, size, err := r.Store.Open(ctx, key)
	return file, size, away(err)
}

// Delete implements blob.Store.
func (r reached) Delete(ctx context.Context, key string) error { return away(r.Store.Delete(ctx, key)) }

// inboxChecks is what else can fail, where the bucket tells of files.
func (f files) inboxChecks() []httpx.Check {
	if f.inbox == nil {
		return nil
	}
	return []httpx.Check{f.tells}
}

// stored takes in what the bucket tells of files that were stored in it.
func (a *App) stored(ctx context.Context, notification []byte) error {
	if a.files.s3 == nil {
		return s3blob.ErrNoNotification
	}
	keys, err := a.files.s3.Created(notification)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range keys {
		errs = append(errs, a.services.Transcripts.Arrived(ctx, key))
	}
	return errors.Join(errs...)
}

// hearOfFiles takes in what the bucket tells until ctx ends.
func (a *App) hearOfFiles(ctx context.Context) error {
	if a.files.inbox == nil {
		return nil
	}
	return a.files.inbox.Run(ctx)
}
