// Package ministack runs MiniStack, an emulator of AWS in one process, on this machine: for the tests of the adapters that
// production uses, and for trying Rapport on them without an account.
//
// It is a Python program. Its packages are pinned with their sums in requirements.txt and are installed once, into a virtual
// environment in RAPPORT_HOME.
package ministack

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

//go:embed requirements.txt
var requirements []byte

// services are what is emulated of AWS: what Rapport uses.
const services = "s3,sqs,sns,ses,secretsmanager,cloudwatch,logs,iam,sts,kms"

// main runs the emulator until its input ends, which is when the process that started it ends, however it does.
const main = `
import os, sys, threading
def orphaned():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=orphaned, daemon=True).start()
sys.argv[0] = "ministack"
from ministack.app import main
main()
`

// ErrUnavailable says that the emulator cannot be had on this machine, and why.
var ErrUnavailable = errors.New("MiniStack cannot be had")

// Server is an emulator that runs.
type Server struct {
	url   string
	cmd   *exec.Cmd
	input io.Closer
	done  chan struct{}
	log   bytes.Buffer // read after done
}

// URL is where all its services are reached: http://127.0.0.1:PORT. Any twelve digits are a valid access key, and an account
// of its own.
func (s *Server) URL() string { return s.url }

// Start installs the emulator in home if need be and starts it on a free port of the loopback interface. progress hears of
// what takes long. Stop ends it; so does the end of this process.
func Start(ctx context.Context, home string, progress func(string)) (_ *Server, err error) {
	python, err := install(ctx, home, progress)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{url: "http://127.0.0.1:" + strconv.Itoa(port), done: make(chan struct{})}
	s.cmd = exec.Command(python, "-c", main)
	s.cmd.Dir = home
	s.cmd.Env = append(os.Environ(),
		"GATEWAY_PORT="+strconv.Itoa(port), "BIND_HOST=127.0.0.1", "MINISTACK_HOST=127.0.0.1", "SERVICES="+services,
		"AUTH=true", "SFTP_ENABLED=0", "DOCKER_HOST=unix:///nonexistent", "PYTHONDONTWRITEBYTECODE=1")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("MiniStack does not start: %w\n%s", err, s.log.String())
	}
	return s, nil
}

// Stop ends the emulator, and everything in it is gone.
func (s *Server) Stop() {
	_ = s.input.Close()
	<-s.done
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/_ministack/health", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = answer.Body.Close()
			return nil
		}
		select {
		case <-s.done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// freePort finds one that nobody uses now. Somebody else may take it before the emulator does; then the start fails.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// install makes a virtual environment for these requirements, unless there is one, and returns its Python. It appears whole
// or not at all, also when several processes install at once.
func install(ctx context.Context, home string, progress func(string)) (python string, err error) {
	home, err = filepath.Abs(home)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(requirements)
	dir := filepath.Join(home, "ministack", hex.EncodeToString(sum[:6]))
	python = filepath.Join(dir, "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(dir, "Scripts", "python.exe")
	}
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return python, nil
	}
	system, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(complete); err == nil { // another process was faster
		return python, nil
	}
	progress("installing MiniStack, an emulator of AWS (once, 25 MB)")
	list := dir + ".txt"
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return "", err
	}
	for _, command := range [][]string{
		{system, "-m", "venv", "--clear", dir}, // paths are written into it, so it is made where it stays
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", list},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s: %w: %s", ErrUnavailable, strings.Join(command[1:3], " "), err, lastLine(out))
		}
	}
	return python, os.WriteFile(complete, nil, 0o644)
}

// lock waits until this process alone installs. A lock that somebody left behind ten minutes ago does not count.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			_ = f.Close()
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > 10*time.Minute {
			_ = os.Remove(path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}

// findPython finds Python 3.11 or later with its venv module.
func findPython(ctx context.Context) (string, error) {
	const fits = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
	for _, name := range []string{"python3", "python3.13", "python3.12", "python3.11", "python"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.CommandContext(ctx, path, "-c", fits).Run() == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: it needs Python 3.11 or later, with its module venv", ErrUnavailable)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
