// Package local installs and runs Elasticsearch on this machine, for tests and measurements of the adapter that production uses.
//
// The servers are Elastic's own builds, as they are found on Maven Central: one that has nearly everything (Full), inside another
// program's distribution, and the bare core of the very version that production runs (Core). They need a Java, and Maven to be
// downloaded with. A server listens on loopback only, keeps its data in a temporary folder, and dies with the process that
// started it, whatever kills that process.
package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrUnavailable is in the chain of an error that means: Elasticsearch cannot be had on this machine as it is.
var ErrUnavailable = errors.New("no Elasticsearch can be had here")

// Config says which server to run.
type Config struct {
	// Home is the folder that programs are installed in, normally .rapport in the repository.
	Home string
	// Version is Full unless it is set.
	Version Version
	// Heap is Java's memory: 512m unless it is set. The server takes half as much again.
	Heap string
	// Progress receives lines for the person who waits; nil discards them.
	Progress func(line string)
}

// Server is an Elasticsearch without security, a cluster of its own.
type Server struct {
	cfg     Config
	program string
	java    string
	folder  string // data, configuration and log
	http    int    // port
	as      account
	run     *run
}

// Start installs the server if need be, starts it on a free port and returns once it can be used. ctx limits the start and not
// the server's life.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Version == "" {
		cfg.Version = Full
	}
	if cfg.Heap == "" {
		cfg.Heap = "512m"
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	s := &Server{cfg: cfg}
	if s.program, err = Install(ctx, cfg.Home, cfg.Version, cfg.Progress); err != nil {
		return nil, err
	}
	if s.java, err = findJava(ctx); err != nil {
		return nil, err
	}
	if s.as, err = serverAccount(); err != nil {
		return nil, err
	}
	if s.http, err = freePort(); err != nil {
		return nil, err
	}
	if s.folder, err = s.makeFolder(); err != nil {
		return nil, err
	}
	if err := s.launch(ctx); err != nil {
		_ = os.RemoveAll(s.folder)
		return nil, err
	}
	return s, nil
}

// URL is where the server is reached.
func (s *Server) URL() string { return "http://127.0.0.1:" + strconv.Itoa(s.http) }

// Kill ends the server as kill -9 does. Its data stays.
func (s *Server) Kill() { s.run.end() }

// Freeze stops the server without ending it: connections stay and nothing answers, until Thaw.
func (s *Server) Freeze() error { return s.run.freeze(true) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error { return s.run.freeze(false) }

// Restart starts a server that was killed, at the same address and with its data.
func (s *Server) Restart(ctx context.Context) error { return s.launch(ctx) }

// Stop ends the server, and its data is gone.
func (s *Server) Stop() {
	s.run.end()
	_ = os.RemoveAll(s.folder)
}

const settings = `cluster.name: rapport
node.name: rapport
discovery.type: single-node
network.host: 127.0.0.1
http.port: %d
transport.port: 0
path.data: %s
path.logs: %s
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: false
cluster.max_shards_per_node: 10000
`

const logging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
`

// makeFolder makes the temporary folder with the server's configuration.
func (s *Server) makeFolder() (_ string, err error) {
	dir, err := os.MkdirTemp("/tmp", "rapport-es-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	// As its own distribution: what is known to be garbage still counts for its breaker, which has G1 collect before it refuses a request, and no other collector.
	heap := fmt.Sprintf("-Xms%s\n-Xmx%s\n-XX:+UseG1GC\n-Djava.io.tmpdir=%s\n-XX:+ExitOnOutOfMemoryError\n-XX:-HeapDumpOnOutOfMemoryError\n", s.cfg.Heap, s.cfg.Heap, filepath.Join(dir, "tmp"))
	files := map[string]string{
		"config/elasticsearch.yml":    fmt.Sprintf(settings, s.http, filepath.Join(dir, "data"), filepath.Join(dir, "log")),
		"config/jvm.options":          heap,
		"config/log4j2.properties":    logging,
		"config/jvm.options.d/.empty": "",
		"data/.empty":                 "",
		"log/.empty":                  "",
		"tmp/.empty":                  "",
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if filepath.Base(path) == ".empty" {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	return dir, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return s.as.own(path)
	})
}

// command is what runs the server: the launcher of Elastic's own tools, which starts the server as a process of its own and ends
// when that ends. The scripts around it are not a part of every build, and add nothing.
func (s *Server) command() *exec.Cmd {
	cmd := exec.Command(s.java, "-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dcli.name=server", "-Dcli.script="+filepath.Join(s.program, "bin", "elasticsearch"), "-Dcli.libs=lib/tools/server-cli",
		"-Des.path.home="+s.program, "-Des.path.conf="+filepath.Join(s.folder, "config"), "-Des.distribution.type=zip",
		"-cp", filepath.Join(s.program, "lib", "*")+string(os.PathListSeparator)+filepath.Join(s.program, "lib", "cli-launcher", "*"),
		"org.elasticsearch.launcher.CliToolLauncher")
	cmd.Dir = s.program // where it looks for its tools
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.folder, "LC_ALL=C.UTF-8", "ES_TMPDIR=" + filepath.Join(s.folder, "tmp"), "ES_PATH_CONF=" + filepath.Join(s.folder, "config")}
	return cmd
}

func (s *Server) launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.folder, "output"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := s.command()
	cmd.Stdout, cmd.Stderr = log, log
	if s.run, err = start(cmd, s.as, s.folder); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		s.run.end()
		told, _ := os.ReadFile(log.Name())
		return fmt.Errorf("a server of Elasticsearch %s does not start: %w\n%s", s.cfg.Version, err, tail(told))
	}
	return nil
}

// startsWithin is generous: two cores that do other things, too.
const startsWithin = 3 * time.Minute

// ready waits until the server can make indexes, and the ones that it has can be written.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	last := errors.New("it does not listen")
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/_cluster/health?wait_for_status=yellow&timeout=1s", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			last = fmt.Errorf("it answers %d", answer.StatusCode)
		}
		select {
		case <-s.run.done:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-again.C:
		}
	}
}

// freePort finds a port that nobody listens at, below those that systems hand out by themselves: a server takes seconds until it listens, and by
// then somebody would have been given one of these.
func freePort() (int, error) {
	const first, last, tries = 20_000, 32_000, 100
	for n := 1; ; n++ {
		port := first + rand.IntN(last-first)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, l.Close()
		}
		if n == tries {
			return 0, err
		}
	}
}

// findJava finds a Java that both servers run on: 17 to 21.
func findJava(ctx context.Context) (string, error) {
	var places []string
	for _, variable := range []string{"ES_JAVA_HOME", "JAVA_HOME"} {
		if home := os.Getenv(variable); home != "" {
			places = append(places, filepath.Join(home, "bin", "java"))
		}
	}
	if path, err := exec.LookPath("java"); err == nil {
		places = append(places, path)
	}
	for _, java := range places {
		told, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(told), `version "`)
		major, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(strings.Trim(major, "\" \n")); err == nil && n >= 17 && n <= 21 {
			return java, nil
		}
	}
	return "", fmt.Errorf("%w: it needs Java 17 to 21 (ES_JAVA_HOME, JAVA_HOME or the PATH)", ErrUnavailable)
}

// tail is the end of what a program has said.
func tail(out []byte) []byte {
	out = bytes.TrimSpace(out)
	if len(out) > 3000 {
		out = out[len(out)-3000:]
	}
	return out
}
