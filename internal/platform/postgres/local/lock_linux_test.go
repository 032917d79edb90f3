package local

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Who ran make run as root first, and then as themselves, is told what to do.
func TestLockOfAnotherUser(t *testing.T) {
	t.Parallel()
	home, err := os.MkdirTemp("", "rapport-lock-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "lock"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	told := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, which may not go on as it is, ends with the goroutine
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				told <- err
				return
			}
		}
		_, err := Lock(home)
		told <- err
	}()
	if err := <-told; err == nil || !strings.Contains(err.Error(), "permission denied (was Rapport run by another user") {
		t.Errorf("got %v", err)
	}
}
