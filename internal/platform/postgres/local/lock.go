package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// errLocked is returned by tryLock when another open file holds the lock.
var errLocked = errors.New("locked")

// HeldError says who holds a lock. What is not known is zero.
type HeldError struct {
	PID       int       `json:"pid"`
	Address   string    `json:"address,omitempty"`
	StartedAt time.Time `json:"startedAt"`
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "another process is running here"
	}
	s := fmt.Sprintf("process %d is running here since %s", e.PID, e.StartedAt.Local().Format(time.DateTime))
	if e.Address != "" {
		s += " at " + e.Address
	}
	return s
}

// HomeLock is the right to run in a home folder. It ends with Release, and with the process however that ends.
type HomeLock struct {
	mu    sync.Mutex
	file  *os.File // nil once released
	claim HeldError
}

// Lock claims home for this process, or fails with a *HeldError. It makes the folder if it is missing.
func Lock(home string) (*HomeLock, error) {
	if err := makeAll(home); err != nil {
		return nil, err
	}
	return acquire(filepath.Join(home, "lock"), "")
}

// SetAddress lets the next process that wants the lock know where this one is reached.
func (l *HomeLock) SetAddress(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return os.ErrClosed
	}
	l.claim.Address = address
	return l.writeLocked()
}

// Release gives the home back. It may be called more than once.
func (l *HomeLock) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	// The file stays: were it removed, a process that has just opened it could lock a file that nobody else sees.
	_ = l.file.Truncate(0)
	unlock(l.file)
	_ = l.file.Close()
	l.file = nil
}

func acquire(path, address string) (*HomeLock, error) {
	f, err := tryLock(path)
	if errors.Is(err, errLocked) {
		held := &HeldError{}
		if content, err := os.ReadFile(path); err == nil {
			// The holder may be writing this very moment: then we know less.
			if json.Unmarshal(content, held) != nil {
				held = &HeldError{}
			}
		}
		return nil, held
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w (was Rapport run by another user before? Run it as that user again, or set RAPPORT_HOME to a folder of your own)", err)
	}
	if err != nil {
		return nil, err
	}
	l := &HomeLock{file: f, claim: HeldError{PID: os.Getpid(), Address: address, StartedAt: time.Now().UTC().Truncate(time.Second)}}
	if err := l.writeLocked(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return l, nil
}

func (l *HomeLock) writeLocked() error {
	content, err := json.Marshal(&l.claim)
	if err != nil {
		return err
	}
	content = append(content, '\n')
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(content, 0)
	return err
}

const urlFileName = "postgres.url"

// RunningURL returns the connection string of the server that runs in home, after connecting to it. It fails when
// none runs.
func RunningURL(ctx context.Context, home string) (string, error) {
	content, err := os.ReadFile(filepath.Join(home, urlFileName))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("no PostgreSQL of Rapport runs in %s", home)
	}
	if err != nil {
		return "", err
	}
	url := strings.TrimSpace(string(content))
	if _, err := ask(ctx, url, "SELECT ''"); err != nil {
		return "", fmt.Errorf("no PostgreSQL of Rapport answers in %s: %w", home, err)
	}
	return url, nil
}
