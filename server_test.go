package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/testkit"
)

// The tests run the real server as a process of its own: this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("SERVER_TEST_CHILD") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a server at work in a home of its own, with its own PostgreSQL.
type process struct {
	*exec.Cmd
	address string // host:port
	done    chan error
	mu      sync.Mutex
	printed bytes.Buffer
}

var readyLine = regexp.MustCompile(`Rapport is ready after .*: http://(\S+)`)

// start starts a server; with wait it returns when the server is ready, and fails the test if it ends instead.
func start(t *testing.T, home string, wait bool, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), done: make(chan error, 1)}
	p.Env = append(os.Environ(), "SERVER_TEST_CHILD=1", "DATABASE_URL=", "RAPPORT_HOME="+home, "RAPPORT_ADDR=127.0.0.1:0")
	p.Env = append(p.Env, env...)
	out, in := io.Pipe()
	p.Stdout, p.Stderr = in, in
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.mu.Lock()
			fmt.Fprintln(&p.printed, lines.Text())
			p.mu.Unlock()
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				p.address = m[1]
			}
			if strings.Contains(lines.Text(), "Ctrl-C stops it") { // the block's last line
				close(ready)
			}
		}
	}()
	go func() {
		err := p.Wait()
		_ = in.Close()
		p.done <- err
	}()
	if wait {
		select {
		case <-ready:
		case err := <-p.done:
			t.Fatalf("the server ended: %v\n%s", err, p.output())
		case <-time.After(2 * time.Minute):
			t.Fatalf("the server is not ready\n%s", p.output())
		}
	}
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.printed.String()
}

// end waits until the process has ended and returns its exit code.
func (p *process) end(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("the server still runs after %s\n%s", within, p.output())
		return -1
	}
}

// home is a home folder that shares the installed PostgreSQL with the repository's, but no data.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rapport-server-") // t.TempDir is closed to the user that PostgreSQL runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	installed, _ := filepath.Glob(filepath.Join(testkit.Home(testkit.RepoRoot(t)), "postgres", "*-*-*"))
	if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, programs := range installed {
		_ = os.Symlink(programs, filepath.Join(dir, "postgres", filepath.Base(programs)))
	}
	return dir
}

func (p *process) post(t *testing.T, path, token string, body any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+p.address+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return answer
}

func (p *process) sessions(t *testing.T) string {
	t.Helper()
	token, _ := p.post(t, "/dev/login", "", map[string]string{"email": "coach@harbor.example"})["token"].(string)
	answer, _ := json.Marshal(p.post(t, "/graphql", token, map[string]string{
		"query": `{ sessions(first: 50, orderBy: {direction: ASC}) { nodes { id title transcript { status } insights { totalCount } } } }`,
	}))
	return string(answer)
}

// One life of an installation: first start, a second one that must not begin, the operator's commands beside the server,
// an orderly end, a second life with the same data, a violent end, and a third life.
func TestServerLives(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL several times")
	}
	dir := home(t)
	first := start(t, dir, true)
	// What it prints is what the README shows: the same lines, whatever a machine puts into them.
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := func(text string) (names []string) {
		_, block, _ := strings.Cut(text, "Rapport is ready after")
		block, _, whole := strings.Cut(block, "Ctrl-C stops it.")
		for _, m := range regexp.MustCompile(`(?m)^ +(\S+) {2,}\S`).FindAllStringSubmatch(block, -1) {
			names = append(names, m[1])
		}
		if !whole {
			t.Errorf("no ready block in\n%s", text)
		}
		return names
	}
	if got, want := lines(first.output()), lines(string(readme)); !slices.Equal(got, want) || !slices.Contains(got, "coach@harbor.example") {
		t.Errorf("the ready block says %q, in the README %q", got, want)
	}
	demo := first.sessions(t)
	if strings.Count(demo, `"READY"`) < 6 {
		t.Errorf("the demo has fewer than six analysed sessions: %s", demo)
	}

	second := start(t, dir, false)
	if code := second.end(t, time.Minute); code == 0 || !strings.Contains(second.output(), fmt.Sprintf("process %d is running here", first.Process.Pid)) ||
		!strings.Contains(second.output(), first.address) {
		t.Errorf("a second server ended with %d and said %q", code, second.output())
	}

	measured := false
	operate := func(args ...string) (string, error) {
		var out, errs bytes.Buffer
		lookup := func(name string) (string, bool) {
			value, set := map[string]string{"RAPPORT_HOME": dir, "RAPPORT_METRICS": "emf"}[name]
			return value, set
		}
		err := app.Operate(context.Background(), lookup, args, &out, &errs)
		if strings.Contains(out.String(), "CloudWatchMetrics") {
			t.Errorf("rapport %s mixes measures with what people read:\n%s", args[0], &out)
		}
		measured = measured || strings.Contains(errs.String(), "CloudWatchMetrics")
		return out.String(), err
	}
	if out, err := operate("init", "--organization", "acme", "--owner", "owner@acme.example"); err != nil || !strings.Contains(out, "org_") {
		t.Errorf("rapport init: %v\n%s", err, out)
	}
	if _, err := operate("init", "--organization", "acme", "--owner", "owner@acme.example"); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("rapport init again: %v", err)
	}
	token, _ := first.post(t, "/dev/login", "", map[string]string{"email": "owner@acme.example"})["token"].(string)
	if answer := fmt.Sprint(first.post(t, "/graphql", token, map[string]string{"query": "{ viewer { organization { slug } membership { roles } } }"})); !strings.Contains(answer, "acme") || !strings.Contains(answer, "OWNER") {
		t.Errorf("the new owner sees %s", answer)
	}
	session := regexp.MustCompile(`session_\w+`).FindString(demo)
	file := filepath.Join(t.TempDir(), "talk.txt")
	if err := os.WriteFile(file, []byte("Ruth Calloway: What will you do?\nAmara Okafor: I will write to Marcus by Friday.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := operate("import", file, "--session", session); err != nil || !strings.Contains(out, "READY") {
		t.Errorf("rapport import beside a server: %v\n%s", err, out)
	}
	if out, err := operate("import", file, "--session", session); err != nil || !strings.Contains(out, "nothing was changed") {
		t.Errorf("rapport import again: %v\n%s", err, out)
	}

	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := first.end(t, 10*time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d\n%s", code, first.output())
	}
	if err := os.WriteFile(file, []byte("Ruth Calloway: And then?\nAmara Okafor: I will call Priya on Monday.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := operate("import", file, "--session", session); err != nil || !strings.Contains(out, "READY") {
		t.Errorf("rapport import without a server: %v\n%s", err, out)
	}
	if !measured {
		t.Error("what the command has analysed by itself is not measured")
	}

	again := start(t, dir, true)
	after := again.sessions(t)
	if err := again.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	again.end(t, 10*time.Second)
	third := start(t, dir, true)
	if now := third.sessions(t); now != after || !strings.Contains(now, session) {
		t.Errorf("kill -9 changed what is there:\nbefore %s\nafter  %s", after, now)
	}
	if err := third.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := third.end(t, 10*time.Second); code != 0 {
		t.Errorf("Ctrl-C: exit code %d\n%s", code, third.output())
	}
}

// The private PostgreSQL dies under the server: it is started again, and the server goes on; where that cannot be, the server
// says so and ends.
func TestPrivatePostgreSQLDies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	dir := home(t)
	p := start(t, dir, true)
	before := p.sessions(t)
	data := filepath.Join(dir, "postgres", "data")
	kill := func() {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(content), "\n")
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		postmaster, err := os.FindProcess(pid)
		if err == nil {
			err = postmaster.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	kill()
	testkit.Eventually(t, time.Minute, func() error {
		if now := p.sessions(t); now != before {
			return errors.New(now)
		}
		if out := p.output(); !strings.Contains(out, "PostgreSQL is back") {
			return errors.New(out)
		}
		return nil
	})

	if err := os.Rename(filepath.Join(data, "global"), filepath.Join(data, "lost")); err != nil {
		t.Fatal(err)
	}
	kill()
	if code := p.end(t, time.Minute); code != 1 || !strings.Contains(p.output(), "has ended by itself and does not start again") {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
}
