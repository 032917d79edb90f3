// Package blob keeps files outside the database: those that people bring, and those they take away.
//
// The bytes do not pass through GraphQL: a person gets a signed link that is good for one file, for a while, and sends or
// fetches the bytes by it.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"regexp"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// MaxBytes is the most that one file may hold.
const MaxBytes = 32 << 20

// Temporary begins the keys of files that the store removes by itself, a day after they were written.
const Temporary = "temporary/"

// Sum is a SHA-256.
type Sum [sha256.Size]byte

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// ParseSum reads 64 hexadecimal digits.
func ParseSum(s string) (sum Sum, ok bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(sum) {
		return sum, false
	}
	return Sum(raw), true
}

// File is what is announced of an upload.
type File struct {
	ContentType string
	Size        int64 // bytes, 1 to MaxBytes
	Sum         Sum
}

// Link is a request that somebody without an account may send until it expires.
type Link struct {
	Method    string
	URL       string
	Header    map[string]string // to be sent as they stand
	ExpiresAt time.Time
}

// ErrExists says that another file is stored under the key: what is stored is never overwritten.
var ErrExists = fault.Conflict("another file is stored there already").WithCode("FILE_EXISTS")

// Store keeps files by key. A key is one to six names of letters, digits, dots, hyphens and underscores, joined by slashes.
//
// What is stored is never overwritten: storing the same bytes again is no error and changes nothing, storing other bytes
// under the same key is refused. A file appears whole or not at all. Errors that are no faults are the adapter's own and mean
// "try again"; links are signed without asking the store. All methods are safe for concurrent use.
type Store interface {
	// UploadLink lets its holder store a file of exactly the announced type, size and sum under key, and nothing else. Sent
	// again, it is answered 2xx or 412 Precondition Failed, and the file is as it was.
	UploadLink(ctx context.Context, key string, f File, valid time.Duration) (Link, error)

	// DownloadLink lets its holder fetch what is, or will be, stored under key, as a file of the given name and type that a
	// browser saves and does not show.
	DownloadLink(ctx context.Context, key, filename, contentType string, valid time.Duration) (Link, error)

	// Put stores content under key, or returns ErrExists.
	Put(ctx context.Context, key, contentType string, content []byte) error

	// Open returns the bytes under key and how many they are, or a NotFound fault. The caller closes them.
	Open(ctx context.Context, key string) (io.ReadCloser, int64, error)

	// Delete removes what is stored under key; nothing there is no error. Links to it then find nothing.
	Delete(ctx context.Context, key string) error
}

var keys = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,5}$`)

// ValidKey says whether key can name a file.
func ValidKey(key string) bool { return keys.MatchString(key) }
