package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// RequireComponent is called by a test that lacks a component, such as "redis". It never returns: it fails the test if
// RAPPORT_REQUIRE is "all" or lists the name (comma separated), as in CI, and otherwise skips it loudly. The line also
// goes to the file named by RAPPORT_MISSING_REPORT, which tools/testrun prints at the end, so that a skip is seen even
// where go test prints only "ok".
func RequireComponent(t testing.TB, name, why string) {
	t.Helper()
	required := strings.Split(os.Getenv("RAPPORT_REQUIRE"), ",")
	if slices.Contains(required, "all") || slices.Contains(required, name) {
		t.Fatalf("MISSING %s, which RAPPORT_REQUIRE demands: %s", name, why)
	}
	line := fmt.Sprintf("MISSING %s, so %s did not run: %s", name, t.Name(), strings.Join(strings.Fields(why), " "))
	if path := os.Getenv("RAPPORT_MISSING_REPORT"); path != "" {
		if err := appendLine(path, line); err != nil {
			t.Errorf("RAPPORT_MISSING_REPORT: %v", err)
		}
	}
	fmt.Fprintln(os.Stderr, "\n*** "+line)
	t.Skip(line)
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// Eventually waits until done returns nil, asking every few milliseconds, and fails the test with done's last error
// after timeout.
func Eventually(t testing.TB, timeout time.Duration, done func() error) {
	t.Helper()
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not so within %s: %v", timeout, err)
		}
	}
}

// RepoRoot is the folder of go.mod.
func RepoRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("testkit: no go.mod above the working directory")
		}
		dir = parent
	}
}

// SharedData is the folder of example transcripts beside the repository, or a loud skip.
func SharedData(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(RepoRoot(t), "..", "shared", "data")
	if _, err := os.Stat(dir); err != nil {
		RequireComponent(t, "shared-data", dir+" is not there")
	}
	return dir
}
