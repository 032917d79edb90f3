package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

type people map[string]Person

func (p people) PersonByEmail(_ context.Context, email string) (Person, error) {
	if email == "broken@example.com" {
		return Person{}, errors.New("relation secret_table does not exist")
	}
	if found, ok := p[email]; ok {
		return found, nil
	}
	return Person{}, fault.NotFound("person")
}

func openDev(t *testing.T, home string) *DevIssuer {
	t.Helper()
	d, err := OpenDevIssuer(home)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDevLogin(t *testing.T) {
	t.Parallel()
	d := openDev(t, t.TempDir())
	ana := Person{Subject: "dev|ana", Organization: "acme", Email: "ana@example.com"}
	h := d.LoginHandler(people{ana.Email: ana})

	for name, tc := range map[string]struct {
		change func(r *http.Request)
		body   string
		status int
	}{
		"good":                   {nil, `{"email":" ana@example.com "}`, 200},
		"from IPv6":              {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:5", "[::1]:8080" }, "", 200},
		"by IPv4":                {func(r *http.Request) { r.Host = "127.0.0.1:8080" }, "", 200},
		"by a name of this host": {func(r *http.Request) { r.Host = "rapport.localhost:8080" }, "", 200},
		"from the front end":     {func(r *http.Request) { r.Header.Set("Origin", "http://localhost:3000") }, "", 200},
		"through its proxy":      {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1, ::1") }, "", 200},

		"from the network":          {func(r *http.Request) { r.RemoteAddr = "192.168.1.7:4000" }, "", 403},
		"forwarded from elsewhere":  {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.7") }, "", 403},
		"rebound name":              {func(r *http.Request) { r.Host = "evil.example.com:8080" }, "", 403},
		"name that only looks like": {func(r *http.Request) { r.Host = "localhost.evil.example:8080" }, "", 403},
		"no host":                   {func(r *http.Request) { r.Host = "" }, "", 403},
		"page of another site":      {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, "", 403},
		"page of no site":           {func(r *http.Request) { r.Header.Set("Origin", "null") }, "", 403},
		"cross-site fetch":          {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, "", 403},
		"GET":                       {func(r *http.Request) { r.Method = http.MethodGet }, "", 405},
		"form":                      {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, "", 415},
		"no type":                   {func(r *http.Request) { r.Header.Del("Content-Type") }, "", 415},
		"no JSON":                   {nil, `email=ana@example.com`, 400},
		"no address":                {nil, `{}`, 400},
		"large body":                {nil, `{"email":"` + strings.Repeat("x", devLoginMaxBody) + `"}`, 413},
		"nobody":                    {nil, `{"email":"bob@example.com"}`, 404},
		"broken directory":          {nil, `{"email":"broken@example.com"}`, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.body == "" {
				tc.body = `{"email":"ana@example.com"}`
			}
			r := httptest.NewRequest(http.MethodPost, "/dev/login", strings.NewReader(tc.body))
			r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8080"
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
			if tc.change != nil {
				tc.change(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, tc.status)
			}
			var out struct {
				Token     string
				ExpiresAt time.Time
				Errors    []any
			}
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if tc.status != http.StatusOK {
				if out.Token != "" || len(out.Errors) != 1 || strings.Contains(w.Body.String(), "secret_table") {
					t.Errorf("got %s", w.Body)
				}
				return
			}
			v, err := NewVerifier([]Issuer{d.Issuer()})
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Verify(t.Context(), out.Token)
			if err != nil {
				t.Fatal(err)
			}
			want := Claims{Issuer: "http://rapport.localhost/dev", Subject: "dev|ana", Organization: "acme",
				Email: "ana@example.com", ExpiresAt: out.ExpiresAt}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if left := time.Until(out.ExpiresAt); left < 12*time.Hour-time.Minute || left > 12*time.Hour {
				t.Errorf("valid for %s", left)
			}
		})
	}
}

func TestDevKeyOutlivesARestart(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "new", ".rapport")
	token, _, err := openDev(t, home).Issue(Person{Subject: "a"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(home, devKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file %v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(home, "*")); err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	for name, tc := range map[string]struct {
		home string
		ok   bool
	}{"same folder": {home, true}, "another folder": {t.TempDir(), false}} {
		v, err := NewVerifier([]Issuer{openDev(t, tc.home).Issuer()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), token); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDevKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	kids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range kids {
		wg.Go(func() {
			if d, err := OpenDevIssuer(home); err != nil {
				t.Error(err)
			} else {
				kids[i], _ = d.key.KeyID()
			}
		})
	}
	wg.Wait()
	for _, kid := range kids {
		if kid == "" || kid != kids[0] {
			t.Fatalf("several keys: %v", kids)
		}
	}
}

func TestDevKeyRefusals(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"others can read it": func(p string) error { return os.Chmod(p, 0o644) },
		"not a key":          func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) },
		"another kind of key": func(p string) error {
			body, err := jwk.EncodePEM(rsaOnce())
			return errors.Join(err, os.WriteFile(p, body, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			openDev(t, home)
			if err := spoil(filepath.Join(home, devKeyFile)); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenDevIssuer(home); err == nil || !strings.Contains(err.Error(), devKeyFile) {
				t.Errorf("got %v, want an error that names the file", err)
			}
		})
	}
}
