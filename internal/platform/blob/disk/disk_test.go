package disk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/blob/blobtest"
)

// open returns a store that is served, and what moves its clock.
func open(t *testing.T, home string) (*Store, func(time.Duration)) {
	t.Helper()
	var url string
	s, err := Open(home, func() string { return url })
	if err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int64
	s.now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	url = server.URL
	return s, func(d time.Duration) { passed.Add(int64(d)) }
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) (blob.Store, func(time.Duration) blob.Store) {
		s, _ := open(t, t.TempDir())
		return s, func(d time.Duration) blob.Store {
			old := *s
			old.now = func() time.Time { return time.Now().Add(-d) }
			return &old
		}
	})
}

func files(t *testing.T, home string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(filepath.Join(home, "files")), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A refused or broken upload leaves nothing behind.
func TestNothingHalfWritten(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s, _ := open(t, home)
	l, err := s.UploadLink(t.Context(), "a/b", blob.File{ContentType: "text/plain", Size: 1000}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), l.Method, l.URL, strings.NewReader(strings.Repeat("x", 1000)))
	r.Header.Set("Content-Type", "text/plain")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("other bytes: %s", answer.Status)
	}
	addr := strings.TrimPrefix(l.URL, "http://")
	addr, path, _ := strings.Cut(addr, "/")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("PUT /" + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nhalf")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 12)
	if _, err := conn.Read(buf); err != nil || string(buf) != "HTTP/1.1 400" {
		t.Errorf("a broken upload is answered with %q (%v)", buf, err)
	}
	conn.Close()
	if left := files(t, home); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Who sends far too much, and looks for an answer only then, is told what is wrong.
func TestTooMuchIsAnswered(t *testing.T) {
	t.Parallel()
	s, _ := open(t, t.TempDir())
	l, err := s.UploadLink(t.Context(), "a/b", blob.File{ContentType: "text/plain", Size: 1000}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	const size = 40 << 20
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", at.RequestURI(), at.Host, size); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for range size / len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			t.Fatalf("while it is sent: %v", err)
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "announced with 1000 bytes") {
		t.Errorf("%s %s, %v", answer.Status, body, err)
	}
}

func TestLinksOutliveARestart(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	before, _ := open(t, home)
	if err := before.Put(t.Context(), "a/b", "", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	l, err := before.DownloadLink(t.Context(), "a/b", "b.txt", "text/plain", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(s *Store) int {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", l.URL, nil))
		return w.Code
	}
	after, _ := open(t, home)
	if code := ask(after); code != http.StatusOK {
		t.Errorf("after a restart the link gives %d", code)
	}
	stranger, _ := open(t, t.TempDir())
	if code := ask(stranger); code != http.StatusForbidden {
		t.Errorf("a store with another key gives %d", code)
	}
	if err := os.Chmod(filepath.Join(home, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(home, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s, pass := open(t, home)
	for _, key := range []string{"temporary/org/export.vtt", "kept/original"} {
		if err := s.Put(t.Context(), key, "", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	broken, err := os.CreateTemp(filepath.Join(home, "files", incoming), "upload-*")
	if err != nil {
		t.Fatal(err)
	}
	broken.Close()
	sweep := func(want int) {
		t.Helper()
		if n, err := s.Sweep(t.Context()); err != nil || n != want {
			t.Errorf("swept %d (%v), want %d", n, err, want)
		}
	}
	sweep(0)
	pass(25 * time.Hour)
	sweep(2)
	sweep(0)
	if left := files(t, home); len(left) != 1 || left[0] != "kept/original" {
		t.Errorf("left: %v", left)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(t.Context(), "temporary/again", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(ended); err == nil {
		t.Error("a sweep goes on when its context has ended")
	}
}
