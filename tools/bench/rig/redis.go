package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Redis is a Redis or Valkey server that keeps nothing on disk.
type Redis struct {
	URL string

	port int
	cmd  *exec.Cmd
}

// StartRedis starts the one in the PATH and returns when it answers. It keeps its address when it is killed and started again.
func StartRedis(ctx context.Context) (*Redis, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	r := &Redis{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), port: port}
	return r, errors.Join(l.Close(), r.Start(ctx))
}

// Start starts it again after Kill, empty.
func (r *Redis) Start(ctx context.Context) error {
	program, err := exec.LookPath("valkey-server")
	if err != nil {
		program, err = exec.LookPath("redis-server")
	}
	if err != nil {
		return errors.New("neither valkey-server nor redis-server is in the PATH")
	}
	r.cmd = exec.Command(program, "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", os.TempDir())
	r.cmd.SysProcAttr = orphaned()
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends it as a crash would.
func (r *Redis) Kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}
