//go:build unix

package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// account is whom the server runs as. Elasticsearch refuses to run as root, so root lends it another account.
type account struct{ credential *syscall.Credential }

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return account{}, fmt.Errorf("%w: it does not run as root, and there is no user to run it as: %w", ErrUnavailable, err)
	}
	uid, err1 := strconv.ParseInt(nobody.Uid, 10, 64)
	gid, err2 := strconv.ParseInt(nobody.Gid, 10, 64)
	return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, errors.Join(err1, err2) // macOS writes nobody as -2
}

// own gives path to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Lchown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// baseFolder is where servers are installed. One that root lends an account must be able to get there, which a clone under
// /root does not allow: then it is a folder of our own in /var/tmp.
func baseFolder(home string) (string, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return "", err
	}
	base := filepath.Join(home, "elasticsearch")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", err
	}
	if os.Geteuid() != 0 || openToAll(base) {
		return base, nil
	}
	sum := sha256.Sum256([]byte(home))
	elsewhere := "/var/tmp/rapport-es-" + hex.EncodeToString(sum[:6])
	if err := os.Mkdir(elsewhere, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(elsewhere)
	if err != nil {
		return "", err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; !info.IsDir() || int(owner) != os.Geteuid() {
		return "", fmt.Errorf("%s was made by somebody else (user %d): refused; remove it", elsewhere, owner)
	}
	return elsewhere, os.Chmod(elsewhere, 0o755)
}

// openToAll says whether every user can get to dir.
func openToAll(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// lock waits until this process alone installs. The lock ends with the process, however that ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			_ = f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-again.C:
		}
	}
}

// guard waits until its input ends, which is when we end, and then ends the group of processes and removes its folder. It is a
// process of its own, so that it survives whatever ends us.
const guard = `cat >/dev/null; kill -s KILL -- "-$1" 2>/dev/null && { sleep 1; rm -rf -- "$2"; }`

// run is a server's processes, a group of their own.
type run struct {
	group int
	line  io.Closer // the guard's input
	done  chan struct{}
	once  sync.Once
}

func start(cmd *exec.Cmd, as account, folder string) (*run, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as.credential}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &run{group: cmd.Process.Pid, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(r.done) }()
	watch := exec.Command("/bin/sh", "-c", guard, "guard", strconv.Itoa(r.group), folder)
	watch.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	line, err := watch.StdinPipe()
	if err == nil {
		err = watch.Start()
	}
	if err != nil {
		_ = syscall.Kill(-r.group, syscall.SIGKILL)
		<-r.done
		return nil, err
	}
	go func() { _ = watch.Wait() }()
	r.line = line
	return r, nil
}

// end ends the group. The guard finds nothing left to do, so that the folder stays.
func (r *run) end() {
	r.once.Do(func() {
		_ = syscall.Kill(-r.group, syscall.SIGKILL)
		<-r.done
		for syscall.Kill(-r.group, 0) == nil { // the server itself is a child of the launcher, whose end we have seen
			time.Sleep(time.Millisecond)
		}
		_ = r.line.Close()
	})
}

func (r *run) freeze(on bool) error {
	if on {
		return syscall.Kill(-r.group, syscall.SIGSTOP)
	}
	return syscall.Kill(-r.group, syscall.SIGCONT)
}
