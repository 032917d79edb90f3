// Command testrun runs a command, normally go test, beside one throw-away PostgreSQL:
//
//	go run ./tools/testrun -- go test -race ./...
//
// Without it each package's tests start a server of their own, which works and takes longer. It installs PostgreSQL if
// need be, sets RAPPORT_TEST_DATABASE_URL for the command, passes signals on, ends with the command's exit code, and at
// last prints every component that tests asked for and did not find. With RAPPORT_REQUIRE=all, as in CI, such a test
// fails instead. A RAPPORT_TEST_DATABASE_URL that is already set is used and no server is started.
//
// An Elasticsearch, which takes longer to start and most tests do without, is started when the first of them asks for it,
// at the address in RAPPORT_TEST_SERVERS, unless RAPPORT_TEST_ELASTICSEARCH_URL is set.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rapporthq/rapport/internal/platform/postgres/local"
)

func main() {
	command := os.Args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: go run ./tools/testrun -- command [arguments]")
		os.Exit(2)
	}
	code, err := run(command)
	if err != nil {
		say("%v", err)
	}
	os.Exit(code)
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "testrun: "+format+"\n", args...)
}

func run(command []string) (code int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	report, err := os.CreateTemp("", "rapport-missing-")
	if err != nil {
		return 1, err
	}
	_ = report.Close()
	defer func() { _ = os.Remove(report.Name()) }()

	env := append(os.Environ(), "RAPPORT_MISSING_REPORT="+report.Name())
	if os.Getenv("RAPPORT_TEST_DATABASE_URL") == "" {
		url, stop, err := startServer(signals)
		switch {
		case errors.Is(err, local.ErrUnavailable) && os.Getenv("RAPPORT_REQUIRE") == "":
			say("going on without PostgreSQL: %v", err)
			addMissing(report.Name(), "postgresql, so no test that needs it can run: "+firstLine(err))
		case err != nil:
			return 1, err
		default:
			defer stop()
			env = append(env, "RAPPORT_TEST_DATABASE_URL="+url)
		}
	}
	lend, err := startLender(home())
	if err != nil {
		return 1, err
	}
	defer lend.stop()
	env = append(env, "RAPPORT_TEST_SERVERS="+lend.url)
	code, err = runCommand(command, env, signals)
	tellMissing(report.Name())
	return code, err
}

func startServer(signals <-chan os.Signal) (url string, stop func(), err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	started := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			cancel(fmt.Errorf("received %s", s))
		case <-started:
		}
	}()
	defer func() { close(started); <-watched; cancel(nil) }()
	s, err := local.Start(ctx, local.Config{
		Home:      home(),
		Throwaway: true,
		Progress:  func(line string) { say("%s", line) },
	})
	if err != nil {
		return "", nil, err
	}
	return s.URL(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			say("%v", err)
		}
	}, nil
}

// home is testkit.Home for a program: RAPPORT_HOME, or .rapport beside the nearest go.mod.
func home() string {
	if home := os.Getenv("RAPPORT_HOME"); home != "" {
		return home
	}
	start, err := os.Getwd()
	if err != nil {
		start = "."
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".rapport")
		}
		if dir == filepath.Dir(dir) {
			return filepath.Join(start, ".rapport")
		}
	}
}

func runCommand(command, env []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	separate(cmd)
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			forward(cmd, s)
		case err := <-ended:
			exit := (*exec.ExitError)(nil)
			if errors.As(err, &exit) {
				return exitCode(exit), nil
			}
			if err != nil {
				return 1, err
			}
			return 0, nil
		}
	}
}

func addMissing(path, what string) {
	if f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err == nil {
		_, _ = fmt.Fprintln(f, "MISSING "+what)
		_ = f.Close()
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// tellMissing prints the report where nobody can overlook it: after everything else.
func tellMissing(path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		say("%v", err)
		return
	}
	lines := slices.DeleteFunc(strings.Split(string(content), "\n"), func(l string) bool { return l == "" })
	if len(lines) == 0 {
		return
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	rule := strings.Repeat("*", 100)
	fmt.Fprintf(os.Stderr, "\n%s\n*** NOT EVERYTHING WAS TESTED (RAPPORT_REQUIRE=all makes this a failure):\n", rule)
	for _, line := range lines {
		fmt.Fprintf(os.Stderr, "***   %s\n", line)
	}
	fmt.Fprintln(os.Stderr, rule)
}
