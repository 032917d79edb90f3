// Package disk is the blob store of one machine: a folder, and links that are signed with a key that lies beside it.
//
// Several processes may share the folder. Whoever serves it to people mounts Handler at the path that the links begin with.
package disk

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Path is where Handler belongs.
const Path = "/files/"

const (
	keyFile  = "link-signing-key"
	incoming = ".incoming" // half-written files; no key begins with a dot
	maxLife  = 24 * time.Hour
)

// Store is the folder.
type Store struct {
	root   string
	base   func() string // the address that people reach Handler's server by, without a path
	secret []byte
	now    func() time.Time
}

var _ blob.Store = (*Store)(nil)

// Open returns the store in the folder home/files, and makes folder and signing key if they are missing: links outlive a
// restart. base gives the server's address, "https://app.example.com", when a link is made. A key that others can read is
// refused.
func Open(home string, base func() string) (*Store, error) {
	root := filepath.Join(home, "files")
	if err := os.MkdirAll(filepath.Join(root, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	path := filepath.Join(home, keyFile)
	secret, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(home, path); err == nil {
			secret, err = readKey(path) // another process may have been faster: its key is the key
		}
	}
	if err != nil {
		return nil, fmt.Errorf("disk: signing key: %w", err)
	}
	return &Store{root: root, base: base, secret: secret, now: time.Now}, nil
}

// Reach says whether the folder is there.
func (s *Store) Reach(context.Context) error {
	if _, err := os.Stat(s.root); err != nil {
		return fault.Unavailable("the folder is gone").Because(err)
	}
	return nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read %s: chmod 600 it, or remove it for a new one", path)
	}
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) != sha256.Size {
		err = fmt.Errorf("%s is no key: remove it for a new one", path)
	}
	return secret, err
}

// makeKey writes a new key to path unless there is one. The file appears whole, with its final mode.
func makeKey(home, path string) error {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails
	tmp, err := write(home, keyFile+".*", func(w io.Writer) error { _, err := w.Write(secret); return err })
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// write makes a file of what fill writes, on the disk when it returns, and gives its name.
func write(dir, pattern string, fill func(io.Writer) error) (name string, err error) {
	f, err := os.CreateTemp(dir, pattern) // mode 0600
	if err != nil {
		return "", err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// UploadLink implements blob.Store.
func (s *Store) UploadLink(_ context.Context, key string, f blob.File, valid time.Duration) (blob.Link, error) {
	if f.Size < 1 || f.Size > blob.MaxBytes {
		return blob.Link{}, fault.Invalid("", "a file holds 1 to %d bytes, this one %d", blob.MaxBytes, f.Size)
	}
	l, err := s.link("PUT", key, valid, url.Values{
		"size": {strconv.FormatInt(f.Size, 10)}, "sha256": {f.Sum.String()}, "type": {f.ContentType},
	})
	l.Header = map[string]string{"Content-Type": f.ContentType}
	return l, err
}

// DownloadLink implements blob.Store.
func (s *Store) DownloadLink(_ context.Context, key, filename, contentType string, valid time.Duration) (blob.Link, error) {
	return s.link("GET", key, valid, url.Values{"filename": {filename}, "type": {contentType}})
}

func (s *Store) link(method, key string, valid time.Duration, terms url.Values) (blob.Link, error) {
	if !blob.ValidKey(key) {
		return blob.Link{}, fmt.Errorf("disk: %q is no key", key)
	}
	if valid <= 0 || valid > maxLife {
		return blob.Link{}, fmt.Errorf("disk: a link lives up to %s, not %s", maxLife, valid)
	}
	expires := s.now().Add(valid).Truncate(time.Second)
	terms.Set("expires", strconv.FormatInt(expires.Unix(), 10))
	terms.Set("signature", s.sign(method, key, terms))
	return blob.Link{Method: method, URL: s.base() + Path + key + "?" + terms.Encode(), ExpiresAt: expires}, nil
}

// sign covers the method, the key and all the terms but the signature itself. Encode sorts and escapes, so that two
// different links never sign alike.
func (s *Store) sign(method, key string, terms url.Values) string {
	signed := url.Values{}
	for name, values := range terms {
		if name != "signature" {
			signed[name] = values
		}
	}
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s\n%s\n%s", method, key, signed.Encode())
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Put implements blob.Store.
func (s *Store) Put(_ context.Context, key, _ string, content []byte) error {
	if !blob.ValidKey(key) {
		return fmt.Errorf("disk: %q is no key", key)
	}
	if len(content) > blob.MaxBytes {
		return fault.Invalid("", "a file holds at most %d bytes, this one %d", blob.MaxBytes, len(content))
	}
	tmp, err := write(filepath.Join(s.root, incoming), "put-*", func(w io.Writer) error { _, err := w.Write(content); return err })
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return s.keep(tmp, key, sha256.Sum256(content))
}

// keep gives the finished file tmp its key, unless there is one already.
func (s *Store) keep(tmp, key string, sum blob.Sum) error {
	defer func() { _ = os.Remove(tmp) }()
	path := s.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	err := os.Link(tmp, path)
	if errors.Is(err, fs.ErrExist) {
		if before, err := sumOf(path); err != nil {
			return err
		} else if before != sum {
			return blob.ErrExists
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func sumOf(path string) (sum blob.Sum, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, fmt.Errorf("disk: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, fmt.Errorf("disk: %w", err)
	}
	return blob.Sum(h.Sum(nil)), nil
}

// syncDir makes a new name in a folder survive a power cut. Not every file system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}

// Open implements blob.Store.
func (s *Store) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	f, info, err := s.open(key)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (s *Store) open(key string) (*os.File, fs.FileInfo, error) {
	if !blob.ValidKey(key) {
		return nil, nil, fault.NotFound("file")
	}
	f, err := os.Open(s.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.NotFound("file").Because(err)
	} else if err != nil {
		return nil, nil, fmt.Errorf("disk: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fault.NotFound("file")
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, key string) error {
	if !blob.ValidKey(key) {
		return nil
	}
	path := s.path(key)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("disk: %w", err)
	}
	// Folders that are empty now go too; one that is not says so and stays.
	for dir := filepath.Dir(path); dir != s.root && os.Remove(dir) == nil; dir = filepath.Dir(dir) {
	}
	return nil
}

// Sweep removes what has served its time: temporary files, and uploads that broke off. It says how many.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	before := s.now().Add(-24 * time.Hour)
	for _, dir := range []string{incoming, strings.TrimSuffix(blob.Temporary, "/")} {
		var old []string
		err := filepath.WalkDir(filepath.Join(s.root, dir), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // never used, or swept by another process
			} else if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil && info.ModTime().Before(before) {
				old = append(old, path)
			}
			return ctx.Err()
		})
		if err != nil {
			return removed, fmt.Errorf("disk: %w", err)
		}
		for _, path := range slices.Backward(old) {
			if os.Remove(path) == nil {
				removed++
				_ = os.Remove(filepath.Dir(path)) // if that was the last one
			}
		}
	}
	return removed, os.MkdirAll(filepath.Join(s.root, incoming), 0o700)
}

func (s *Store) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }
