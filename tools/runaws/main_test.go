package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/testkit"
)

const as = "RAPPORT_TEST_AS"

// The tests run the real program as processes of their own: this binary again, as the server and as the worker.
func TestMain(m *testing.M) {
	if os.Getenv(as) == "main" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// printed is what the processes print.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// home is a home folder with what is installed in the repository's, but no data.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rapport-aws-") // t.TempDir is closed to the user that PostgreSQL runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	installed := testkit.Home(testkit.RepoRoot(t))
	for _, folder := range []string{"postgres", "ministack"} {
		found, _ := filepath.Glob(filepath.Join(installed, folder, "*"))
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, one := range found {
			if info, err := os.Stat(one); err == nil && info.IsDir() && filepath.Base(one) != "data" {
				_ = os.Symlink(one, filepath.Join(dir, folder, filepath.Base(one)))
			}
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// make run-aws: it starts, a file that is uploaded is READY without its sender saying that it was, which the bucket, the queues, the
// database and the worker have to do with, and SIGTERM ends all of it.
func TestRunAWS(t *testing.T) {
	testkit.AWS(t) // installs it, or says that it cannot be had
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), as+"=main", "RAPPORT_HOME="+home(t), "RAPPORT_ADDR=127.0.0.1:0", "DATABASE_URL=", "RAPPORT_MAX_OPERATIONS_PER_USER=0")
	var out printed
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); _ = write.Close() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	go func() {
		for lines := bufio.NewScanner(read); lines.Scan(); {
			out.mu.Lock()
			fmt.Fprintln(&out.text, lines.Text())
			out.mu.Unlock()
		}
	}()
	server, working := regexp.MustCompile(`Rapport is ready after .*: (http://\S+)`), regexp.MustCompile(`worker is ready after`)
	testkit.Eventually(t, 2*time.Minute, func() error {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
		if !server.MatchString(out.String()) || !working.MatchString(out.String()) {
			return errors.New("it is not ready")
		}
		return nil
	})
	url := server.FindStringSubmatch(out.String())[1]
	for _, part := range []string{"secretsmanager:rapport/database#url", "queue      sqs (", "files      s3 (rapport)"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the ready block lacks %q", part)
		}
	}

	post := func(path, token string, body, answer any) {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodPost, url+path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
			t.Fatalf("%s: %d, %v", path, res.StatusCode, err)
		}
	}
	var login struct{ Token string }
	post("/dev/login", "", map[string]string{"email": "coach@harbor.example"}, &login)
	ask := func(query string, variables, data any) {
		t.Helper()
		answer := struct {
			Data   any
			Errors []struct{ Message string }
		}{Data: data}
		post("/graphql", login.Token, map[string]any{"query": query, "variables": variables}, &answer)
		if len(answer.Errors) > 0 {
			t.Fatalf("%s: %+v", query, answer.Errors)
		}
	}
	var sessions struct {
		Sessions struct {
			Nodes []struct {
				ID, Title  string
				Transcript *struct{ Status string }
			}
		}
	}
	ask(`{sessions(first: 50) {nodes {id title transcript {status}}}}`, nil, &sessions)
	session := ""
	for _, s := range sessions.Sessions.Nodes {
		if s.Transcript != nil && s.Transcript.Status == "READY" {
			session = s.ID
		}
	}
	content, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "internal", "app", "demo", "data", "jonas-03-four-hours.vtt"))
	if err != nil {
		t.Fatal(err)
	}
	content = append(content, "\nNOTE another copy\n"...)
	sum := sha256.Sum256(content)
	var announced struct {
		Up struct {
			Transcript struct{ ID string }
			Upload     struct {
				Method, URL string
				Headers     []struct{ Name, Value string }
			}
			UserErrors []struct{ Message string }
		}
	}
	ask(`mutation($in: RequestTranscriptUploadInput!) {up: requestTranscriptUpload(input: $in) {transcript {id} upload {method url headers {name value}} userErrors {message}}}`,
		map[string]any{"in": map[string]any{"sessionId": session, "filename": "talk.vtt", "sizeBytes": len(content), "sha256": hex.EncodeToString(sum[:])}}, &announced)
	if len(announced.Up.UserErrors) > 0 {
		t.Fatalf("announced: %+v", announced.Up.UserErrors)
	}
	put, err := http.NewRequest(announced.Up.Upload.Method, announced.Up.Upload.URL, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range announced.Up.Upload.Headers {
		put.Header.Set(h.Name, h.Value)
	}
	res, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("sent: %s", res.Status)
	}
	testkit.Eventually(t, time.Minute, func() error {
		var now struct{ Transcript struct{ Status string } }
		ask(`query($id: ID!) {transcript(id: $id) {status}}`, map[string]any{"id": announced.Up.Transcript.ID}, &now)
		if s := now.Transcript.Status; s != "READY" && s != "NEEDS_SPEAKERS" {
			return errors.New(s)
		}
		return nil
	})

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
	if strings.Contains(out.String(), "is started again") {
		t.Error("the worker had to be started again")
	}
}

// Whoever has started the worker may die by kill -9, without a word: its end of the pipe is closed by the system, and the worker ends.
func TestTheWorkerIsNoOrphan(t *testing.T) {
	url := testkit.DatabaseURL(t)
	read, write, err := os.Pipe() // another end than exec's, which Wait closes
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "work")
	cmd.Env = append(os.Environ(), as+"=main", "RAPPORT_HOME="+t.TempDir(), "RAPPORT_ADDR=127.0.0.1:0", "DATABASE_URL="+url, "RAPPORT_DEMO=false")
	cmd.Stdin = read
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop()
	_ = read.Close()
	ready := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Ctrl-C stops it") {
			ready = true
			_ = write.Close()
		}
	}
	if err := cmd.Wait(); err != nil || !ready {
		t.Errorf("ready: %t; it ended with %v\n%s", ready, err, &stderr)
	}
}
