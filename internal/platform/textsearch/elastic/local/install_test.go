package local

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// archive writes a zip and returns its path and sum.
func archive(t *testing.T, files map[string]string) (path, sum string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "package.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for name, content := range files {
		entry, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(content)
	return path, hex.EncodeToString(s[:])
}

// newInstaller serves the archive as if Maven had downloaded it, beside other things, and counts the downloads.
func newInstaller(t *testing.T, path, sum string) (installer, *atomic.Int32) {
	t.Helper()
	fetched := &atomic.Int32{}
	return installer{
		base: t.TempDir(), version: Full, build: build{artifact: "a:b:1:zip", file: "a/b.zip", sum: sum, folder: "b-1/elasticsearch/"},
		fetch: func(_ context.Context, _, repository string) error {
			fetched.Add(1)
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(repository, "a"), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(repository, "a", "plugin.jar"), nil, 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(repository, "a", "b.zip"), content, 0o600)
		},
		progress: func(string) {},
	}, fetched
}

func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "install.lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestInstall(t *testing.T) {
	t.Parallel()
	path, sum := archive(t, map[string]string{"b-1/elasticsearch/lib/server.jar": "server", "b-1/elasticsearch/config/": "", "b-1/web/page.html": "not ours"})
	i, fetched := newInstaller(t, path, sum)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			dir, err := i.install(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if content, err := os.ReadFile(filepath.Join(dir, "lib", "server.jar")); err != nil || string(content) != "server" {
				t.Errorf("%q, %v", content, err)
			}
			if info, err := os.Stat(filepath.Join(dir, "lib")); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("the server, which may be somebody else, cannot read lib: %v, %v", info, err)
			}
		})
	}
	wait.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
	if names := left(t, i.base); len(names) != 1 || names[0] != string(Full) {
		t.Errorf("left %v, and only the server should stay: neither the archive nor what Maven needed", names)
	}
	if names := left(t, filepath.Join(i.base, string(Full))); strings.Join(names, " ") != "lib plugins" {
		t.Errorf("unpacked %v", names)
	}
}

func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		spoil bool
		want  string
	}{
		{"another download", map[string]string{"b-1/elasticsearch/lib/server.jar": "server"}, true, "refused"},
		{"a way out", map[string]string{"b-1/elasticsearch/../../../evil": "evil"}, false, "unexpected entry"},
		{"no server", map[string]string{"b-1/web/page.html": "page"}, false, "there is no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, sum := archive(t, c.files)
			if c.spoil {
				sum = strings.Repeat("0", 64)
			}
			i, _ := newInstaller(t, path, sum)
			if _, err := i.install(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if names := left(t, i.base); len(names) != 0 {
				t.Errorf("left %v", names)
			}
		})
	}
}
