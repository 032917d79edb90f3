package testkit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a Redis of one test.
type RedisServer struct {
	port int
	cmd  *exec.Cmd
}

// Redis starts a Redis or Valkey server of the PATH for this test, empty and on loopback. It keeps nothing on disk.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	r := &RedisServer{port: port}
	t.Cleanup(r.Kill)
	r.Start(t)
	return r
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// URL is where it is, also while it is not there.
func (r *RedisServer) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

// Start starts it again after Kill, empty.
func (r *RedisServer) Start(t testing.TB) {
	t.Helper()
	program, err := exec.LookPath("valkey-server")
	if err != nil {
		program, err = exec.LookPath("redis-server")
	}
	if err != nil {
		RequireComponent(t, "redis", "neither valkey-server nor redis-server is in the PATH")
	}
	r.cmd = exec.Command(program, "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", os.TempDir())
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)))
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write([]byte("PING\r\n")); err != nil {
			return err
		}
		answer := make([]byte, 7)
		if _, err := conn.Read(answer); err != nil || string(answer) != "+PONG\r\n" {
			return errors.Join(err, fmt.Errorf("it answers %q", answer))
		}
		return nil
	})
}

// Kill ends it as a crash would. Nothing happens if it does not run.
func (r *RedisServer) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// Hang keeps it from answering, its lines open, until the function is called.
func (r *RedisServer) Hang(t testing.TB) (goOn func()) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() { _ = r.cmd.Process.Signal(syscall.SIGCONT) }
}
