//go:build unix

package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic/local"
	"github.com/rapporthq/rapport/internal/testkit"
)

// TestMain lets a test run this binary again as a process that starts a server and is then killed.
func TestMain(m *testing.M) {
	if home := os.Getenv("RAPPORT_ELASTIC_TEST_CHILD"); home != "" {
		s, err := local.Start(context.Background(), local.Config{Home: home, Version: local.Core})
		if err != nil {
			fmt.Println("failed: " + err.Error())
			os.Exit(1)
		}
		fmt.Println(s.URL())
		select {}
	}
	os.Exit(m.Run())
}

func call(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// The exact version that production runs is lent the module of analyzers, keeps what it has been given when it is killed, and
// ends with whoever started it.
func TestServer(t *testing.T) {
	t.Parallel()
	home := testkit.Home(testkit.RepoRoot(t))
	if _, err := local.Install(t.Context(), home, local.Core, func(line string) { t.Log(line) }); errors.Is(err, local.ErrUnavailable) {
		testkit.RequireComponent(t, "elasticsearch", err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "RAPPORT_ELASTIC_TEST_CHILD="+home)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil || !strings.HasPrefix(url, "http") {
		t.Fatalf("%q, %v", url, err)
	}
	// Elasticsearch's breaker looks at the memory that is used, and lets only G1 free some before it refuses a request.
	if status, answer := call(t, "GET", url+"/_nodes/jvm", ""); status != 200 || !strings.Contains(answer, `"G1 Young Generation"`) {
		t.Errorf("it collects garbage otherwise: %d %s", status, answer)
	}
	if status, answer := call(t, "POST", url+"/_analyze", `{"tokenizer":"standard","filter":[{"type":"stemmer","language":"english"}],"text":"walking"}`); status != 200 || !strings.Contains(answer, `"walk"`) {
		t.Errorf("the core has no analyzers: %d %s", status, answer)
	}
	if _, answer := call(t, "GET", url+"/_nodes/_local?filter_path=nodes.*.version", ""); !strings.Contains(answer, string(local.Core)) {
		t.Errorf("it is not %s: %s", local.Core, answer)
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	testkit.Eventually(t, time.Minute, func() error {
		if status, _ := call(t, "GET", url+"/_cluster/health", ""); status != 0 {
			return fmt.Errorf("it has outlived its owner: %d", status)
		}
		return nil
	})
}

func TestKilledAndBack(t *testing.T) {
	t.Parallel()
	s := testkit.OwnElasticsearch(t, local.Core)
	if status, answer := call(t, "PUT", s.URL()+"/kept/_doc/1", `{"a":1}`); status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	s.Kill()
	if status, _ := call(t, "GET", s.URL()+"/kept/_doc/1", ""); status != 0 {
		t.Fatalf("killed, and answers %d", status)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, answer := call(t, "GET", s.URL()+"/kept/_doc/1", ""); status != 200 {
		t.Errorf("what was written is gone: %d %s", status, answer)
	}
}
