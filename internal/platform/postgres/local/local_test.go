//go:build unix

package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/postgres/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

// patience is how long anything here may take on a busy machine; nothing waits that long when all is well.
const patience = time.Minute

// TestMain lets a test run this binary again as a process that starts a server and is then killed.
func TestMain(m *testing.M) {
	if home := os.Getenv("RAPPORT_LOCAL_TEST_CHILD"); home != "" {
		child(home)
	}
	os.Exit(m.Run())
}

func child(home string) {
	s, err := local.Start(context.Background(), local.Config{
		Home: home, Binaries: os.Getenv("RAPPORT_LOCAL_TEST_BINARIES"), Throwaway: os.Getenv("RAPPORT_LOCAL_TEST_THROWAWAY") != "",
	})
	if err != nil {
		fmt.Println("failed: " + err.Error())
		os.Exit(1)
	}
	if _, err := local.Lock(home); err != nil {
		fmt.Println("failed: " + err.Error())
		os.Exit(1)
	}
	fmt.Println(s.URL())
	<-s.Done()
	os.Exit(0)
}

var installed struct {
	sync.Mutex
	dir string
}

func binaries(t *testing.T) string {
	t.Helper()
	installed.Lock()
	defer installed.Unlock()
	if installed.dir == "" {
		dir, err := local.Install(t.Context(), testkit.Home(testkit.RepoRoot(t)), func(line string) { t.Log(line) })
		if errors.Is(err, local.ErrUnavailable) {
			testkit.RequireComponent(t, "postgresql", err.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
		installed.dir = dir
	}
	return installed.dir
}

// newHome is a home that every user can reach, which a t.TempDir is not.
func newHome(t *testing.T) string {
	t.Helper()
	home, err := os.MkdirTemp("", "rapport-home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	return home
}

func start(t *testing.T, cfg local.Config) *local.Server {
	t.Helper()
	cfg.Binaries = binaries(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := local.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *local.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func ask[T any](t *testing.T, url, sql string) (answer T) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func postmaster(t *testing.T, base string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(base, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func gone(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there (%v)", path, err)
	}
	return nil
}

func TestFreshStartAndRestart(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	binaries(t)
	began := time.Now()
	s := start(t, local.Config{Home: home})
	version := ask[string](t, s.URL(), "SHOW server_version")
	t.Logf("fresh start to first answer: %s", time.Since(began))
	if version != "16.1" {
		t.Errorf("server_version = %q, want 16.1", version)
	}
	for sql, want := range map[string]string{
		"SHOW listen_addresses": "",
		"SHOW server_encoding":  "UTF8",
		"SHOW timezone":         "UTC",
		"SHOW fsync":            "on",
		"SELECT current_user || '/' || current_database()":                   "rapport/rapport",
		"SELECT usesuper::text FROM pg_user WHERE usename = current_user":    "false",
		"SELECT lower('ÀÉÎ') || upper('ß')":                                  "àéîß",
		"SELECT string_agg(v, '' ORDER BY v) FROM (VALUES ('b'),('B')) x(v)": "Bb",
	} {
		if got := ask[string](t, s.URL(), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if url, err := local.RunningURL(t.Context(), home); err != nil || url != s.URL() {
		t.Errorf("RunningURL = %q, %v", url, err)
	}
	for _, name := range []string{"postgres.url", "postgres/password"} {
		info, err := os.Stat(filepath.Join(home, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 600", name, info, err)
		}
	}
	wrong, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword("rapport", "guess")
	if conn, err := pgx.Connect(t.Context(), wrong.String()); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password was accepted")
	}
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")

	stop(t, s)
	stop(t, s) // again is fine
	select {
	case <-s.Done():
	default:
		t.Error("stopped but not done")
	}
	if err := gone(filepath.Join(home, "postgres.url")); err != nil {
		t.Error(err)
	}
	if _, err := local.RunningURL(t.Context(), home); err == nil {
		t.Error("RunningURL found a stopped server")
	}

	began = time.Now()
	s = start(t, local.Config{Home: home})
	if n := ask[int](t, s.URL(), "SELECT n FROM kept"); n != 42 {
		t.Errorf("after the restart n = %d, want 42", n)
	}
	t.Logf("restart to first answer: %s", time.Since(began))
}

// spawn runs child in a process of its own and returns the URL of the server that it started.
func spawn(t *testing.T, home string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "RAPPORT_LOCAL_TEST_CHILD="+home, "RAPPORT_LOCAL_TEST_BINARIES="+binaries(t)), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "failed") {
		t.Fatalf("child: %q, %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

func TestServerDiesWithAKilledProcess(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	cmd, url := spawn(t, home)
	exec1(t, url, "CREATE TABLE kept AS SELECT 42 AS n")
	pid := postmaster(t, filepath.Join(home, "postgres"))
	if !alive(pid) {
		t.Fatalf("no postmaster %d", pid)
	}
	_, err := local.Start(t.Context(), local.Config{Home: home, Binaries: binaries(t)})
	if held := (*local.HeldError)(nil); !errors.As(err, &held) || held.PID != cmd.Process.Pid {
		t.Errorf("a second start beside process %d: %v", cmd.Process.Pid, err)
	}
	_, err = local.Lock(home)
	if held := (*local.HeldError)(nil); !errors.As(err, &held) || held.PID != cmd.Process.Pid {
		t.Errorf("a second lock beside process %d: %v", cmd.Process.Pid, err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	// At once: the next start waits for the dying server by itself.
	s := start(t, local.Config{Home: home})
	if alive(pid) {
		t.Errorf("postmaster %d outlived its process", pid)
	}
	if n := ask[int](t, s.URL(), "SELECT n FROM kept"); n != 42 {
		t.Errorf("n = %d, want 42", n)
	}
	lock, err := local.Lock(home)
	if err != nil {
		t.Fatalf("the lock outlived its process: %v", err)
	}
	lock.Release()
}

func TestThrowawayServerVanishesWithAKilledProcess(t *testing.T) {
	t.Parallel()
	cmd, raw := spawn(t, newHome(t), "RAPPORT_LOCAL_TEST_THROWAWAY=1")
	dir := socketFolder(t, raw)
	pid := postmaster(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() error {
		if alive(pid) {
			return fmt.Errorf("postmaster %d is alive", pid)
		}
		return gone(dir)
	})
}

func socketFolder(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host")
}

func TestThrowawayServers(t *testing.T) {
	t.Parallel()
	binaries(t)
	began := time.Now()
	a := start(t, local.Config{Home: newHome(t), Throwaway: true})
	t.Logf("throw-away start: %s", time.Since(began))
	b := start(t, local.Config{Home: newHome(t), Throwaway: true, Settings: map[string]string{"max_connections": "17"}})
	exec1(t, a.URL(), "CREATE TABLE only_a ()")
	if ask[bool](t, b.URL(), "SELECT to_regclass('only_a') IS NOT NULL") {
		t.Error("two throw-away servers are one")
	}
	if got := ask[string](t, a.URL(), "SHOW fsync"); got != "off" {
		t.Errorf("fsync = %s, want off", got)
	}
	if got := ask[string](t, b.URL(), "SHOW max_connections"); got != "17" {
		t.Errorf("max_connections = %s, want the configured 17", got)
	}
	dir := socketFolder(t, a.URL())
	stop(t, a)
	if err := gone(dir); err != nil {
		t.Error(err)
	}
}

func TestLeftoversOfThrowawayServersAreSwept(t *testing.T) {
	t.Parallel()
	living := start(t, local.Config{Home: newHome(t), Throwaway: true})
	dir := socketFolder(t, living.URL())
	owner, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	uid := int(owner.Sys().(*syscall.Stat_t).Uid)
	leave := func(name string, uid int) string {
		left, err := os.MkdirTemp(filepath.Dir(dir), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(left) })
		if err := errors.Join(os.WriteFile(filepath.Join(left, "server.lock"), nil, 0o644), os.Chown(left, uid, -1)); err != nil {
			t.Fatal(err)
		}
		return left
	}
	dead, other := leave("rapport-pg-", uid), leave("rapport-other-", uid)
	start(t, local.Config{Home: newHome(t), Throwaway: true})
	if err := gone(dead); err != nil {
		t.Error(err)
	}
	if gone(other) == nil {
		t.Errorf("%s, which is not ours, is gone", other)
	}
	if one := ask[int](t, living.URL(), "SELECT 1"); one != 1 {
		t.Error("a living server was swept")
	}
}

// told is what a server has told the person at the terminal.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (p *told) progress(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
}

func (p *told) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// back waits until another postmaster than the given one answers.
func back(t *testing.T, s *local.Server, home string, before int) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		conn, err := pgx.Connect(t.Context(), s.URL())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(t.Context()) }()
		if now := postmaster(t, filepath.Join(home, "postgres")); now == before {
			return fmt.Errorf("postmaster %d still answers", now)
		}
		return conn.Ping(t.Context())
	})
}

func TestServerThatEndsByItselfComesBack(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"in its home": "", "where the name is too long for a socket": strings.Repeat("long/", 20)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := filepath.Join(newHome(t), folder)
			told := &told{}
			s := start(t, local.Config{Home: home, Progress: told.progress})
			exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
			for range 2 {
				old := connect(t, s.URL()) // a backend that outlives its postmaster for a moment
				pid := postmaster(t, filepath.Join(home, "postgres"))
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				back(t, s, home, pid)
				if n := ask[int](t, s.URL(), "SELECT n FROM kept"); n != 42 {
					t.Errorf("n = %d, want 42", n)
				}
				if err := old.Ping(t.Context()); err == nil {
					t.Error("a connection outlived its server")
				}
			}
			if url, err := local.RunningURL(t.Context(), home); err != nil || url != s.URL() {
				t.Errorf("RunningURL = %q, %v", url, err)
			}
			testkit.Eventually(t, patience, func() error { // it answers a moment before that is told
				// Who is killed again before they have told that they are back tells it once.
				if got := told.String(); strings.Count(got, "ended by itself") != 2 || !strings.HasSuffix(got, "PostgreSQL is back") {
					return fmt.Errorf("the person at the terminal was told:\n%s", got)
				}
				return nil
			})
			pid := postmaster(t, filepath.Join(home, "postgres"))
			stop(t, s)
			if alive(pid) {
				t.Errorf("postmaster %d outlived its stop", pid)
			}
			if err := gone(filepath.Join(home, "postgres.url")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerThatCannotComeBackSaysSo(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	s, err := local.Start(t.Context(), local.Config{Home: home, Binaries: binaries(t)})
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(home, "postgres", "data")
	if err := os.Rename(filepath.Join(data, "global"), filepath.Join(data, "lost")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(postmaster(t, filepath.Join(home, "postgres")), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("it is still being tried")
	}
	if err := gone(filepath.Join(home, "postgres.url")); err != nil {
		t.Error(err)
	}
	if err := s.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "global/pg_control") {
		t.Errorf("err = %v, want the server's own words", err)
	}
}

func TestStopWhileItComesBack(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	again := make(chan struct{}, 8)
	s := start(t, local.Config{Home: home, Progress: func(line string) {
		if strings.Contains(line, "ended by itself") {
			again <- struct{}{}
		}
	}})
	if err := syscall.Kill(postmaster(t, filepath.Join(home, "postgres")), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-again
	stop(t, s)
	if _, err := local.RunningURL(t.Context(), home); err == nil {
		t.Error("it came back after it was stopped")
	}
	start(t, local.Config{Home: home}) // nothing is held
}

func TestServerDoesNotOutliveItsGuard(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	s := start(t, local.Config{Home: home})
	pid := postmaster(t, filepath.Join(home, "postgres"))
	guard, err := syscall.Getpgid(pid)
	if err != nil || guard == pid {
		t.Fatalf("group of %d is %d, %v; want its guard's", pid, guard, err)
	}
	if err := syscall.Kill(guard, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() error {
		if alive(pid) {
			return fmt.Errorf("postmaster %d is alive", pid)
		}
		return nil
	})
	back(t, s, home, pid)
}

func TestForcedStop(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	s := start(t, local.Config{Home: home})
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(over); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	<-s.Done()
	s = start(t, local.Config{Home: home})
	if n := ask[int](t, s.URL(), "SELECT n FROM kept"); n != 42 {
		t.Errorf("n = %d, want 42", n)
	}
}

func TestOnlyOneOfTwoStartersGetsTheServer(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	cfg := local.Config{Home: home, Binaries: binaries(t)}
	type result struct {
		s   *local.Server
		err error
	}
	results := make(chan result)
	for range 2 {
		go func() {
			s, err := local.Start(t.Context(), cfg)
			results <- result{s, err}
		}()
	}
	a, b := <-results, <-results
	if a.s == nil {
		a, b = b, a
	}
	if a.err != nil {
		t.Fatal(a.err)
	}
	defer stop(t, a.s)
	if held := (*local.HeldError)(nil); !errors.As(b.err, &held) {
		t.Errorf("the second starter got %v, want a HeldError", b.err)
	}
	if one := ask[int](t, a.s.URL(), "SELECT 1"); one != 1 {
		t.Error("the loser harmed the winner")
	}
	if _, err := local.RunningURL(t.Context(), home); err != nil {
		t.Errorf("the loser removed the winner's url: %v", err)
	}
}

// A pid file from before a reboot may name a process that lives, and has nothing to do with PostgreSQL.
func TestStartWithTheNumberOfALivingProcessInThePidFile(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	s := start(t, local.Config{Home: home})
	pidFile := filepath.Join(home, "postgres", "data", "postmaster.pid")
	content, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(home, "postgres", "data"))
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)

	// PostgreSQL is suspicious only of processes of its own user.
	other := exec.Command("/bin/sh", "-c", "read line")
	other.Dir = "/"
	owner := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 {
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	hold, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Close(); _ = other.Wait() }()
	_, rest, _ := strings.Cut(string(content), "\n")
	if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n%s", other.Process.Pid, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(pidFile, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	start(t, local.Config{Home: home})
}

// Somebody may start PostgreSQL on the folder by hand. Then there must never be two servers on it.
func TestStartBesideAServerStartedByHand(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	s := start(t, local.Config{Home: home})
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	stop(t, s)
	base := filepath.Join(home, "postgres")
	info, err := os.Stat(filepath.Join(base, "data"))
	if err != nil {
		t.Fatal(err)
	}
	byHand := exec.Command(filepath.Join(binaries(t), "bin", "postgres"), "-D", filepath.Join(base, "data"),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+filepath.Join(base, "run"))
	byHand.Dir = "/"
	if os.Geteuid() == 0 {
		owner := info.Sys().(*syscall.Stat_t)
		byHand.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	if err := byHand.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = byHand.Process.Signal(syscall.SIGINT); _ = byHand.Wait() }()
	testkit.Eventually(t, patience, func() error {
		conn, err := pgx.Connect(t.Context(), s.URL())
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})

	refused := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		second, err := local.Start(ctx, local.Config{Home: home, Binaries: binaries(t)})
		if err == nil {
			stop(t, second)
			t.Fatal("two servers on one folder")
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q in it", err, want)
		}
		if n := ask[int](t, s.URL(), "SELECT n FROM kept"); n != 42 {
			t.Errorf("n = %d, want 42", n)
		}
	}
	refused("Rapport did not start")
	// Even where its pid file is lost.
	if err := os.Remove(filepath.Join(base, "data", "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	refused("shared memory block")
}

func TestSocketFolderWhereHomesNameIsTooLong(t *testing.T) {
	t.Parallel()
	home := filepath.Join(newHome(t), strings.Repeat("long/", 20))
	s := start(t, local.Config{Home: home})
	dir := socketFolder(t, s.URL())
	if strings.HasPrefix(dir, home) {
		t.Errorf("socket in %s: too long", dir)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v; want mode 700", dir, info, err)
	}
	stop(t, s)
	if err := gone(dir); err != nil {
		t.Error(err)
	}
}

func TestRootUsesVarTmpWhereNobodyElseCanGo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root lends the server another account")
	}
	t.Parallel()
	home := filepath.Join(newHome(t), "private", "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(home), 0o700); err != nil {
		t.Fatal(err)
	}
	var lines []string
	s := start(t, local.Config{Home: home, Progress: func(line string) { lines = append(lines, line) }})
	base := filepath.Dir(socketFolder(t, s.URL()))
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	if !strings.HasPrefix(base, "/var/tmp/rapport-") {
		t.Fatalf("the server is in %s", base)
	}
	if told := strings.Join(lines, "\n"); !strings.Contains(told, base) {
		t.Errorf("nobody was told of %s: %s", base, told)
	}
	if url, err := local.RunningURL(t.Context(), home); err != nil || url != s.URL() {
		t.Errorf("RunningURL = %q, %v", url, err)
	}
	stop(t, s)

	// The name can be guessed, so a folder that is there already must be ours.
	if err := os.Chown(base, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Start(t.Context(), local.Config{Home: home, Binaries: binaries(t)}); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("err = %v, want a refusal of somebody else's folder", err)
	}
}

func TestLogTellsNothingThatPeopleSaid(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	s := start(t, local.Config{Home: home})
	conn := connect(t, s.URL())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE said (words text CHECK (words <> 'sesame'))"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"INSERT INTO said VALUES ('sesame')", "SELECT 'sesame' FROM missing"} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: no error", sql)
		}
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO said VALUES ($1)", "sesame"); err == nil {
		t.Error("no error")
	}
	log, err := os.ReadFile(filepath.Join(home, "postgres", "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "missing") {
		t.Error("the log does not tell of the errors at all")
	}
	if strings.Contains(string(log), "sesame") {
		t.Errorf("the log tells content:\n%s", log)
	}
}

func TestStartTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	cfg := local.Config{Home: home, Binaries: binaries(t), Settings: map[string]string{"shared_buffers": "plenty"}}
	_, err := local.Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("err = %v, want the server's own words", err)
	}
	if err := gone(filepath.Join(home, "postgres.url")); err != nil {
		t.Error(err)
	}
	// Nothing is held or half made, as soon as the guard of the one that failed has noticed.
	cfg = local.Config{Home: home, Binaries: binaries(t)}
	testkit.Eventually(t, patience, func() error {
		s, err := local.Start(t.Context(), cfg)
		if err == nil {
			t.Cleanup(func() { stop(t, s) })
		}
		return err
	})
}

func TestLostPasswordIsExplained(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	stop(t, start(t, local.Config{Home: home}))
	if err := os.Remove(filepath.Join(home, "postgres", "password")); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Start(t.Context(), local.Config{Home: home, Binaries: binaries(t)}); err == nil || !strings.Contains(err.Error(), "password is missing") {
		t.Errorf("err = %v", err)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "new", "home")
	lock, err := local.Lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.SetAddress("http://127.0.0.1:8080"); err != nil {
		t.Fatal(err)
	}
	_, err = local.Lock(home)
	held := (*local.HeldError)(nil)
	if !errors.As(err, &held) {
		t.Fatalf("err = %v, want a HeldError", err)
	}
	if held.PID != os.Getpid() || held.Address != "http://127.0.0.1:8080" || time.Since(held.StartedAt) > patience {
		t.Errorf("held by %+v", held)
	}
	for _, part := range []string{strconv.Itoa(os.Getpid()), "http://127.0.0.1:8080", "since"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not tell %s", err, part)
		}
	}
	content, err := os.ReadFile(filepath.Join(home, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(content, &fields); err != nil || fields["pid"] == nil || fields["address"] == nil || fields["startedAt"] == nil {
		t.Errorf("lock file %s: %v", content, err)
	}

	lock.Release()
	lock.Release()
	if err := lock.SetAddress("x"); err == nil {
		t.Error("a released lock took an address")
	}
	lock, err = local.Lock(home)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	lock.Release()
}
