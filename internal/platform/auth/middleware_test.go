package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// directory knows coach-1, unless err is set.
type directory struct {
	viewer Viewer
	err    error
	asked  int
}

func (d *directory) Identify(_ context.Context, c Claims) (Viewer, error) {
	d.asked++
	if d.err != nil {
		return Viewer{}, d.err
	}
	if c.Subject != "coach-1" || c.Organization != "acme" {
		return Viewer{}, fault.Unauthenticated("nobody here has this account")
	}
	return d.viewer, nil
}

type bench struct {
	*Authenticator
	dir   *directory
	token string
	clock *clock
	log   *bytes.Buffer
}

func newBench(t *testing.T) bench {
	t.Helper()
	s := newSigner(t, "k", "ES256")
	v, _, c := setup(t, newProvider(t, s))
	dir := &directory{viewer: Viewer{Org: id.New(), User: id.New(), Roles: []Role{RoleCoach}}}
	var log bytes.Buffer
	return bench{NewAuthenticator(v, dir, slog.New(slog.NewTextHandler(&log, nil))), dir, s.token(t, claimsAt(c, nil), nil), c, &log}
}

func (b bench) get(headers ...string) (*httptest.ResponseRecorder, Viewer, bool) {
	var seen Viewer
	called := false
	h := b.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		seen, _ = FromContext(r.Context())
	}))
	r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
	r.Header["Authorization"] = headers
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, seen, called
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	t.Run("no token goes on without a viewer", func(t *testing.T) {
		b := newBench(t)
		w, seen, called := b.get()
		if !called || w.Code != http.StatusOK || seen.User != (id.UUID{}) || b.dir.asked != 0 {
			t.Errorf("called %t, status %d, viewer %v, %d identified", called, w.Code, seen, b.dir.asked)
		}
	})
	t.Run("a good token carries its viewer", func(t *testing.T) {
		b := newBench(t)
		for _, header := range []string{"Bearer " + b.token, "bearer  " + b.token} {
			b.dir.asked = 0
			w, seen, called := b.get(header)
			if !called || w.Code != http.StatusOK || seen.User != b.dir.viewer.User || b.dir.asked != 1 {
				t.Errorf("called %t, status %d, viewer %v, %d identified", called, w.Code, seen, b.dir.asked)
			}
		}
	})
	t.Run("a good token of nobody known goes on with its claims and why", func(t *testing.T) {
		b := newBench(t)
		b.dir.err = fault.Unauthenticated("nobody here has this account")
		called := false
		h := b.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			if _, err := FromContext(r.Context()); !errors.Is(err, b.dir.err) {
				t.Errorf("a viewer, or another reason: %v", err)
			}
			if c, err := ClaimsFrom(r.Context()); err != nil || c.Subject == "" {
				t.Errorf("claims %v, %v", c, err)
			}
			member := Viewer{Org: id.New(), User: id.New()}
			Become(r.Context(), member)
			if v, err := FromContext(r.Context()); err != nil || v.User != member.User || v.Until.IsZero() {
				t.Errorf("became %v, %v", v, err)
			}
		}))
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		r.Header.Set("Authorization", "Bearer "+b.token)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if !called || strings.Contains(b.log.String(), b.token[:20]) || b.log.Len() == 0 {
			t.Errorf("called %t, log %s", called, b.log)
		}
	})
	t.Run("a viewer becomes nobody else", func(t *testing.T) {
		b := newBench(t)
		ctx, _, err := b.Authenticate(t.Context(), b.token)
		if err != nil {
			t.Fatal(err)
		}
		Become(ctx, Viewer{Org: id.New(), User: id.New()})
		if v, err := FromContext(ctx); err != nil || v.User != b.dir.viewer.User {
			t.Errorf("became %v, %v", v, err)
		}
	})

	for name, tc := range map[string]struct {
		headers   func(b bench) []string
		directory error
		status    int
		code      string
	}{
		"changed token":   {func(b bench) []string { return []string{"Bearer " + tamper(b.token, 2)} }, nil, 401, "UNAUTHENTICATED"},
		"no scheme":       {func(b bench) []string { return []string{b.token} }, nil, 401, "UNAUTHENTICATED"},
		"scheme alone":    {func(bench) []string { return []string{"Bearer "} }, nil, 401, "UNAUTHENTICATED"},
		"empty":           {func(bench) []string { return []string{""} }, nil, 401, "UNAUTHENTICATED"},
		"another scheme":  {func(b bench) []string { return []string{"Basic " + b.token} }, nil, 401, "UNAUTHENTICATED"},
		"two headers":     {func(b bench) []string { return []string{"Bearer " + b.token, "Bearer x"} }, nil, 401, "UNAUTHENTICATED"},
		"no place in it":  {nil, fault.Forbidden("you are not a member of this organization"), 403, "FORBIDDEN"},
		"database down":   {nil, fault.Unavailable("the database cannot be reached"), 503, "UNAVAILABLE"},
		"wrong kind":      {nil, fault.Invalid("secret_table", "of no concern to the caller"), 500, "INTERNAL"},
		"database broken": {nil, errors.New("relation secret_table does not exist"), 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.dir.err = tc.directory
			headers := []string{"Bearer " + b.token}
			if tc.headers != nil {
				headers = tc.headers(b)
			}
			w, _, called := b.get(headers...)
			if called {
				t.Error("the request went on")
			}
			var body struct {
				Errors []struct {
					Message    string
					Extensions struct{ Code string }
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Errors) != 1 {
				t.Fatalf("not an error in GraphQL's shape: %s", w.Body)
			}
			if w.Code != tc.status || body.Errors[0].Extensions.Code != tc.code || body.Errors[0].Message == "" {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tc.status, tc.code)
			}
			if got := w.Header().Get("WWW-Authenticate"); (got != "") != (tc.status == 401) {
				t.Errorf("WWW-Authenticate %q beside %d", got, w.Code)
			}
			if strings.Contains(w.Body.String(), "secret_table") || strings.Contains(w.Body.String(), "no concern") {
				t.Error("the answer tells what broke")
			}
			if strings.Contains(b.log.String(), b.token[:20]) || b.log.Len() == 0 {
				t.Errorf("log: %s", b.log)
			}
		})
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, expires, err := b.Authenticate(t.Context(), PayloadBearer(map[string]any{"authorization": "Bearer " + b.token}))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := FromContext(ctx); err != nil || v.User != b.dir.viewer.User {
		t.Errorf("viewer %v, %v", v, err)
	}
	if want := b.clock.now().Add(time.Hour); !expires.Equal(want) {
		t.Errorf("expires %s, want %s", expires, want)
	}
	if _, _, err := b.Authenticate(t.Context(), b.token); err != nil {
		t.Errorf("a token alone: %v", err)
	}
	ctx, _, err = b.Authenticate(t.Context(), "")
	if fault.KindOf(err) != fault.KindUnauthenticated {
		t.Errorf("nothing: %v", err)
	}
	if _, err := FromContext(ctx); err == nil {
		t.Error("a viewer beside the refusal")
	}
}

func TestPayloadBearer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		payload map[string]any
		want    string
	}{
		{nil, ""},
		{map[string]any{"Authorization": "Bearer x"}, "Bearer x"},
		{map[string]any{"authorization": "Bearer x", "other": 1}, "Bearer x"},
		{map[string]any{"Authorization": []any{"Bearer x"}}, ""},
		{map[string]any{"Authorization": "Bearer x", "authorization": "Bearer y"}, ""},
	} {
		if got := PayloadBearer(tc.payload); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.payload, got, tc.want)
		}
	}
}

func TestLogAttrs(t *testing.T) {
	t.Parallel()
	if got := LogAttrs(t.Context()); got != nil {
		t.Errorf("nobody: %v", got)
	}
	v := Viewer{Org: id.New(), User: id.New()}
	got := LogAttrs(WithViewer(t.Context(), v))
	if len(got) != 2 || got[0].Key != "org" || got[1].Key != "user" || got[0].Value.String() == got[1].Value.String() {
		t.Errorf("got %v", got)
	}
}
