// Package blobtest holds what every blob.Store must do, whatever it is made of.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

const minutes = 5 * time.Minute // nothing here takes as long

// Run runs the suite. setup returns a store whose links can be followed from here, and the same one as it was that long ago:
// its links are as old.
func Run(t *testing.T, setup func(t *testing.T) (store blob.Store, ago func(time.Duration) blob.Store)) {
	for name, test := range map[string]func(*testing.T, blob.Store, func(time.Duration) blob.Store){
		"keeps what is put":                  keepsWhatIsPut,
		"never overwrites":                   neverOverwrites,
		"lets two put at once":               letsTwoPutAtOnce,
		"finds nothing where nothing is":     findsNothing,
		"deletes":                            deletes,
		"takes an upload":                    takesAnUpload,
		"refuses an upload of other bytes":   refusesOtherBytes,
		"refuses to upload over another":     refusesToUploadOver,
		"refuses links that were changed":    refusesChangedLinks,
		"refuses links that have expired":    refusesExpiredLinks,
		"hands out a download":               handsOutADownload,
		"announces no file that is too big":  announcesNoGiant,
		"knows no keys that leave its place": knowsNoStrangeKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, ago := setup(t)
			test(t, store, ago)
		})
	}
}

func newKey() string { return "org-1/things/" + id.New().String() }

func put(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	if err := s.Put(t.Context(), key, "text/plain", []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// read returns what is stored under key, and fails the test if nothing is.
func read(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	r, size, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != size {
		t.Errorf("%d bytes were promised, %d came", size, len(content))
	}
	return string(content)
}

func missing(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if r, _, err := s.Open(t.Context(), key); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("opening %s gives %v, want a NotFound fault", key, err)
		if err == nil {
			r.Close()
		}
	}
}

func upload(t *testing.T, s blob.Store, key, content string) blob.Link {
	t.Helper()
	l, err := s.UploadLink(t.Context(), key, announce(content), minutes)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func announce(content string) blob.File {
	return blob.File{ContentType: "text/vtt", Size: int64(len(content)), Sum: sha256.Sum256([]byte(content))}
}

// follow sends the link's request with the given body, and returns the answer and its body.
func follow(t *testing.T, l blob.Link, body string) (*http.Response, string) {
	t.Helper()
	var content io.Reader
	if l.Method == http.MethodPut {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), l.Method, l.URL, content)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range l.Header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(got)
}

func refused(t *testing.T, l blob.Link, body, why string) {
	t.Helper()
	if answer, got := follow(t, l, body); answer.StatusCode < 400 || answer.StatusCode >= 500 {
		t.Errorf("%s: %s %s", why, answer.Status, got)
	}
}

func keepsWhatIsPut(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key, content := newKey(), "what was said\x00\r\n"+strings.Repeat("é", 70_000)
	put(t, s, key, content)
	if got := read(t, s, key); got != content {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(content))
	}
	empty := newKey()
	put(t, s, empty, "")
	if got := read(t, s, empty); got != "" {
		t.Errorf("an empty file holds %q", got)
	}
}

func neverOverwrites(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key := newKey()
	put(t, s, key, "first")
	put(t, s, key, "first")
	if err := s.Put(t.Context(), key, "text/plain", []byte("second")); !errors.Is(err, blob.ErrExists) {
		t.Errorf("putting other bytes gives %v, want ErrExists", err)
	}
	if got := read(t, s, key); got != "first" {
		t.Errorf("the file is %q now", got)
	}
}

func letsTwoPutAtOnce(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key := newKey()
	contents := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)}
	errs := make([]error, len(contents))
	var both sync.WaitGroup
	for i, content := range contents {
		both.Go(func() { errs[i] = s.Put(t.Context(), key, "text/plain", []byte(content)) })
	}
	both.Wait()
	won := 0
	if errs[0] != nil {
		won = 1
	}
	if errs[won] != nil || !errors.Is(errs[1-won], blob.ErrExists) {
		t.Fatalf("one must win and one be refused: %v", errs)
	}
	if got := read(t, s, key); got != contents[won] {
		t.Error("the file is not the winner's")
	}
}

func findsNothing(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key := newKey()
	missing(t, s, key)
	l, err := s.DownloadLink(t.Context(), key, "x.txt", "text/plain", minutes)
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := follow(t, l, ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a link to nothing answers %s", answer.Status)
	}
}

func deletes(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key, other := newKey(), newKey()
	put(t, s, key, "gone soon")
	put(t, s, other, "stays")
	for range 2 {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		missing(t, s, key)
	}
	if got := read(t, s, other); got != "stays" {
		t.Errorf("the neighbour is %q now", got)
	}
	put(t, s, key, "new")
}

func takesAnUpload(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key, content := newKey(), "WEBVTT\n\n00:00.000 --> 00:01.000\nAda: Hello.\n"
	l := upload(t, s, key, content)
	missing(t, s, key)
	if answer, got := follow(t, l, content); answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s", answer.Status, got)
	}
	// A client that never saw the first answer tries again.
	if answer, got := follow(t, l, content); answer.StatusCode/100 != 2 && answer.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("again: %s %s", answer.Status, got)
	}
	if got := read(t, s, key); got != content {
		t.Errorf("stored %q", got)
	}
}

func refusesOtherBytes(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	const content = "these and no other bytes"
	key := newKey()
	l := upload(t, s, key, content)
	refused(t, l, "those", "fewer bytes")
	refused(t, l, content+"!", "more bytes")
	refused(t, l, strings.ToUpper(content), "as many other bytes")
	refused(t, l, "", "no bytes")
	other := l
	other.Header = maps.Clone(l.Header)
	other.Header["Content-Type"] = "text/html"
	refused(t, other, content, "another type")
	missing(t, s, key)
	if answer, got := follow(t, l, content); answer.StatusCode/100 != 2 {
		t.Errorf("afterwards the right bytes are refused: %s %s", answer.Status, got)
	}
}

func refusesToUploadOver(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key := newKey()
	l := upload(t, s, key, "second")
	put(t, s, key, "first")
	refused(t, l, "second", "over another file")
	if got := read(t, s, key); got != "first" {
		t.Errorf("the file is %q now", got)
	}
}

func refusesChangedLinks(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	key, secret := newKey(), newKey()
	put(t, s, secret, "not for everybody")
	download, err := s.DownloadLink(t.Context(), key, "x.txt", "text/plain", minutes)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, key, "for the link's holder")
	for what, change := range map[string]func(blob.Link) blob.Link{
		"another key":    func(l blob.Link) blob.Link { l.URL = strings.Replace(l.URL, key, secret, 1); return l },
		"another method": func(l blob.Link) blob.Link { l.Method = http.MethodPut; return l },
		"no signature":   func(l blob.Link) blob.Link { l.URL, _, _ = strings.Cut(l.URL, "?"); return l },
		"a longer life": func(l blob.Link) blob.Link {
			for _, term := range []string{"expires=", "X-Amz-Expires="} {
				l.URL = strings.Replace(l.URL, term, term+"9", 1)
			}
			return l
		},
	} {
		if answer, got := follow(t, change(download), "x"); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s %s", what, answer.Status, got)
		}
	}
	if got := read(t, s, key); got != "for the link's holder" {
		t.Errorf("the file is %q now", got)
	}
}

func refusesExpiredLinks(t *testing.T, s blob.Store, ago func(time.Duration) blob.Store) {
	key := newKey()
	put(t, s, key, "for a while")
	for _, old := range []bool{false, true} {
		from := s
		if old {
			from = ago(minutes + time.Second)
		}
		up := upload(t, from, newKey(), "in time")
		down, err := from.DownloadLink(t.Context(), key, "x.txt", "text/plain", minutes)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []blob.Link{up, down} {
			if d := time.Until(l.ExpiresAt); (d < 0) != old || d > minutes || !old && d < minutes/2 {
				t.Errorf("a link for %s says it expires in %s", minutes, d)
			}
			if answer, got := follow(t, l, "in time"); old && answer.StatusCode != http.StatusForbidden || !old && answer.StatusCode/100 != 2 {
				t.Errorf("%s, old: %t: %s %s", l.Method, old, answer.Status, got)
			}
		}
	}
}

func handsOutADownload(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	const name = `Zoë “1:1”; notes.vtt`
	key := newKey()
	put(t, s, key, "<script>alert(1)</script>")
	l, err := s.DownloadLink(t.Context(), key, name, "text/vtt; charset=utf-8", minutes)
	if err != nil {
		t.Fatal(err)
	}
	answer, got := follow(t, l, "")
	if answer.StatusCode != http.StatusOK || got != "<script>alert(1)</script>" {
		t.Fatalf("%s %s", answer.Status, got)
	}
	kind, params, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition"))
	if err != nil || kind != "attachment" || params["filename"] != name {
		t.Errorf("Content-Disposition is %q", answer.Header.Get("Content-Disposition"))
	}
	if got := answer.Header.Get("Content-Type"); got != "text/vtt; charset=utf-8" {
		t.Errorf("Content-Type is %q", got)
	}
}

func announcesNoGiant(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	for _, size := range []int64{-1, 0, blob.MaxBytes + 1} {
		if _, err := s.UploadLink(t.Context(), newKey(), blob.File{ContentType: "text/vtt", Size: size}, minutes); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%d bytes: %v, want an Invalid fault", size, err)
		}
	}
	if err := s.Put(t.Context(), newKey(), "text/plain", make([]byte, blob.MaxBytes+1)); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("putting too much: %v, want an Invalid fault", err)
	}
}

func knowsNoStrangeKeys(t *testing.T, s blob.Store, _ func(time.Duration) blob.Store) {
	ctx := context.WithoutCancel(t.Context())
	for _, key := range []string{"", "/", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".hidden", "a/.b", `a\b`, "a b", "é", "a/b/c/d/e/f/g", strings.Repeat("a", 101)} {
		if err := s.Put(ctx, key, "text/plain", []byte("x")); err == nil {
			t.Errorf("%q takes a file", key)
		}
		if _, err := s.UploadLink(ctx, key, announce("x"), minutes); err == nil {
			t.Errorf("%q gets an upload link", key)
		}
		if _, err := s.DownloadLink(ctx, key, "x", "text/plain", minutes); err == nil {
			t.Errorf("%q gets a download link", key)
		}
		missing(t, s, key)
		if err := s.Delete(ctx, key); err != nil {
			t.Errorf("deleting %q, which cannot be there: %v", key, err)
		}
	}
	if !bytes.Equal([]byte(fmt.Sprint(announce("x").Sum)), []byte("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")) {
		t.Error("a sum does not print as its hexadecimal digits")
	}
}
