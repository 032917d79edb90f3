package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/testkit"
)

// make clean in a folder whose name has a space, as people's folders have: it removes what was installed there, and neither
// the data nor what happens to be named like one half of the path.
func TestCleanInAFolderWithASpace(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		testkit.RequireComponent(t, "make", "there is no make")
	}
	parent := t.TempDir()
	repo := filepath.Join(parent, "my work", "rapport")
	const installed, data, stranger = "my work/rapport/.rapport/postgres/16.1-linux-x64", "my work/rapport/.rapport/postgres/data", "my"
	for _, dir := range []string{installed, data, stranger, "my work/rapport/graphiql/dist"} {
		if err := os.MkdirAll(filepath.Join(parent, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "Makefile"), makefile, 0o644); err != nil {
		t.Fatal(err)
	}
	clean := exec.Command("make", "-C", repo, "clean", "RAPPORT_HOME="+filepath.Join(repo, ".rapport"))
	if out, err := clean.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(parent, installed)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was installed is still there: %v", err)
	}
	for _, dir := range []string{data, stranger} {
		if _, err := os.Stat(filepath.Join(parent, dir)); err != nil {
			t.Errorf("%s is gone: %v", dir, err)
		}
	}
}

// make demo-live plays into the server that PORT says.
func TestDemoLiveGoesToThePort(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		testkit.RequireComponent(t, "make", "there is no make")
	}
	for port, url := range map[string]string{"PORT=8391": "http://localhost:8391", "PORT=": "http://localhost:8080"} {
		dry := exec.Command("make", "-n", "demo-live")
		dry.Env = append(os.Environ(), port)
		if out, err := dry.CombinedOutput(); err != nil || !strings.Contains(string(out), "-url "+url+"\n") {
			t.Errorf("%s: %v\n%s", port, err, out)
		}
	}
}
