//go:build unix

package local

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// account is whom the server runs as. PostgreSQL refuses to run as root, so root lends it another account.
type account struct {
	uid, gid int
	lent     bool
}

// serverAccount chooses the account for the data folder (missing or "" when there is none yet): its owner, or else
// ourselves, or else, as root, nobody.
func serverAccount(data string) (account, error) {
	me := os.Geteuid()
	if data != "" {
		info, err := os.Stat(data)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return account{}, err
		}
		if err == nil {
			owner := info.Sys().(*syscall.Stat_t)
			switch {
			case me != 0 && int(owner.Uid) != me:
				return account{}, fmt.Errorf("%s belongs to user %d (was Rapport run as root before?): run it as that user again, or move the folder away to start afresh", data, owner.Uid)
			case me == 0 && owner.Uid != 0:
				return account{uid: int(owner.Uid), gid: int(owner.Gid), lent: true}, nil
			}
		}
	}
	if me != 0 {
		return account{}, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL does not run as root, and there is no user to run it as: %w", err)
	}
	uid, err1 := strconv.ParseInt(nobody.Uid, 10, 64)
	gid, err2 := strconv.ParseInt(nobody.Gid, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return account{}, err
	}
	return account{uid: int(uint32(uid)), gid: int(uint32(gid)), lent: true}, nil // macOS writes nobody as -2
}

// own gives path to the account.
func (a account) own(path string) error {
	if !a.lent {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// owns says whether dir is a folder of the account's.
func (a account) owns(dir string) bool {
	uid := os.Geteuid()
	if a.lent {
		uid = a.uid
	}
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && int(info.Sys().(*syscall.Stat_t).Uid) == uid
}

// prepare makes cmd run as the account, with the server's lock open as the first file after those that cmd has, and in a
// group of its own: Ctrl-C in the terminal is for us, and we need the database until we have drained.
func (in *instance) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if in.as.lent {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(in.as.uid), Gid: uint32(in.as.gid)}
	}
	if in.lock != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, in.lock)
	}
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	}
}

// baseFolder returns the folder for everything of home's server. A server that root lends an account must be able to
// get there, which a clone under /root does not allow: then it is a folder of our own in /var/tmp.
func baseFolder(home string, progress func(string)) (string, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return "", err
	}
	base := filepath.Join(home, "postgres")
	if err := makeAll(base); err != nil {
		return "", err
	}
	if base, err = filepath.EvalSymlinks(base); err != nil {
		return "", err
	}
	if os.Geteuid() != 0 || openToAll(base) {
		return base, nil
	}
	sum := sha256.Sum256([]byte(home))
	elsewhere := "/var/tmp/rapport-" + hex.EncodeToString(sum[:6])
	if err := ownFolder(elsewhere); err != nil {
		return "", err
	}
	progress(fmt.Sprintf("PostgreSQL does not run as root, and no other user can reach %s: using %s instead", base, elsewhere))
	return elsewhere, nil
}

// ownFolder makes dir, in a folder where anybody may make one, and refuses one that is not ours alone.
func ownFolder(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; !info.IsDir() || int(owner) != os.Geteuid() {
		return fmt.Errorf("%s was made by somebody else (user %d): refused; remove it", dir, owner)
	}
	return os.Chmod(dir, 0o755)
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

// tempDir is where throw-away servers go. In memory, a test's database is copied in 20 ms instead of 300.
func tempDir(a account) string {
	if dir := memoryDir(); dir != "" {
		return dir
	}
	if dir := os.TempDir(); !a.lent || openToAll(dir) {
		return dir
	}
	return "/tmp"
}

// tryLock takes the lock of the file at path for as long as the returned file, or a copy of it in another process, is
// open.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if err == syscall.EWOULDBLOCK {
			err = errLocked
		}
		return nil, err
	}
	return f, nil
}

// unlock gives back what tryLock took, though a child that is being started may hold a copy of the file for a moment.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// listenIn arranges for a socket in dir, or in a folder of /tmp where dir's name cannot be a socket's.
func (in *instance) listenIn(dir string) (err error) {
	if !fitsSocket(dir) {
		if dir, err = os.MkdirTemp("/tmp", "rapport-"); err != nil {
			return err
		}
		in.undo = append(in.undo, func() { _ = os.RemoveAll(dir) })
		in.scrap = cmp.Or(in.scrap, dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	in.sockets = dir
	return in.as.own(dir)
}

// fitsSocket says whether a socket can live in dir: the kernel's limit is about 100 bytes, and PostgreSQL and pgx both
// take a comma for a list.
func fitsSocket(dir string) bool {
	return len(dir)+len("/.s.PGSQL.5432") <= 100 && !strings.ContainsFunc(dir, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+@", r))
	})
}

// guard is a shell script, because a shell is on every machine, is tiny and survives us; see there.
//
//go:embed guard.sh
var guard string

// The ways to shut PostgreSQL down.
const (
	fast      = "INT"
	immediate = "QUIT"
)

// process is a guard with its server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read after done

	mu   sync.Mutex
	line *os.File // the guard's pipe: we are alive as long as it is open
}

// launch starts in's server under a guard. When both have ended, done is closed.
func launch(in *instance, log *os.File) (*process, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	last := fast
	if in.cfg.Throwaway {
		last = immediate
	}
	cmd := exec.Command("/bin/sh", append([]string{"-s", last, in.scrap}, in.command()...)...)
	cmd.Stdin = strings.NewReader(guard)
	cmd.Env = environment()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs}
	in.prepare(cmd)
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{}), line: ours}
	go func() {
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = errors.New("it was shut down")
		}
		// Closed even now: if it was the guard that somebody killed, its watcher still ends the server.
		p.mu.Lock()
		_ = p.line.Close()
		p.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

// signal asks the guard, who knows the server's number for certain, to send it a signal.
func (p *process) signal(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.line.WriteString(name + "\n") // fails when the guard is gone, and so is the server
}

// kill ends guard and server at once.
func (p *process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
