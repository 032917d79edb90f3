//go:build windows

package local

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// account is always ourselves.
type account struct{}

func serverAccount(string) (account, error) { return account{}, nil }

func (account) own(string) error { return nil }

func (account) owns(string) bool { return true }

func baseFolder(home string, _ func(string)) (string, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return "", err
	}
	base := filepath.Join(home, "postgres")
	return base, makeAll(base)
}

func tempDir(account) string { return os.TempDir() }

// unlock has nothing to do: children inherit no files.
func unlock(*os.File) {}

// tryLock takes the lock of the file at path for as long as the returned file is open. It locks a byte far behind the
// content, which others may read.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if err != nil {
		_ = f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			err = errLocked
		}
		return nil, err
	}
	return f, nil
}

// listenIn chooses a free loopback port. Somebody may take it before the server does: then the start fails and can be
// repeated.
func (in *instance) listenIn(string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	in.port = l.Addr().(*net.TCPAddr).Port
	return l.Close()
}

// prepare keeps Ctrl-C in the console from the command: it is for us, and we need the database until we have drained.
func (in *instance) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &windows.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// The ways to shut PostgreSQL down, as pg_ctl names them.
const (
	fast      = "fast"
	immediate = "immediate"
)

// process is a server in a job object, which Windows ends with the last handle to it: ours.
type process struct {
	in   *instance
	cmd  *exec.Cmd
	job  windows.Handle
	done chan struct{}
	err  error // how it ended; read after done
	once sync.Map
}

func launch(in *instance, log *os.File) (*process, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		_ = windows.CloseHandle(job)
		return nil, err
	}
	args := in.command()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	in.prepare(cmd)
	if err := cmd.Start(); err != nil {
		_ = windows.CloseHandle(job)
		return nil, err
	}
	p := &process{in: in, cmd: cmd, job: job, done: make(chan struct{})}
	if err := p.join(); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = windows.CloseHandle(job)
		return nil, err
	}
	go func() {
		if p.err = cmd.Wait(); p.err == nil {
			p.err = errors.New("it was shut down")
		}
		_ = windows.CloseHandle(job)
		if in.scrap != "" {
			_ = os.RemoveAll(in.scrap)
		}
		close(p.done)
	}()
	return p, nil
}

func (p *process) join() error {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(h) }()
	return windows.AssignProcessToJobObject(p.job, h)
}

// signal asks pg_ctl, which knows how to signal on Windows, to shut the server down. It does not wait.
func (p *process) signal(mode string) {
	if _, sent := p.once.LoadOrStore(mode, true); sent {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = exec.CommandContext(ctx, p.in.program("pg_ctl"), "stop", "-D", p.in.data, "-m", mode, "-W").Run()
	}()
}

// kill ends the server's processes at once.
func (p *process) kill() { _ = windows.TerminateJobObject(p.job, 1) }
