package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLocalOnly(t *testing.T) {
	t.Parallel()
	h := LocalOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for name, tc := range map[string]struct {
		change func(r *http.Request)
		status int
	}{
		"here":                     {func(*http.Request) {}, http.StatusNoContent},
		"from the network":         {func(r *http.Request) { r.RemoteAddr = "192.168.1.7:4000" }, http.StatusForbidden},
		"forwarded from elsewhere": {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.7") }, http.StatusForbidden},
		"rebound name":             {func(r *http.Request) { r.Host = "evil.example.com" }, http.StatusForbidden},
		"page of another site":     {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/dev/people", nil)
			r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8080"
			tc.change(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, tc.status)
			}
			if w.Code == http.StatusForbidden && !strings.Contains(w.Body.String(), "this machine only") {
				t.Errorf("no reason in %s", w.Body)
			}
		})
	}
}
