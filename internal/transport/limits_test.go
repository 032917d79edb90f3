package transport

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/limit"
)

// Who sends more operations than a person may is told so, and when to come back: over HTTP by a 429, on a socket within it, which stays
// open. A colleague is not to blame.
func TestFloods(t *testing.T) {
	t.Parallel()
	s := serve(t, standard(), func(ws *WebSocket, web *HTTP) {
		ws.Streams.limits.Operations.User = limit.Rate{Count: 5, Per: time.Minute}
	})
	as := func(user byte, accept string) *http.Response {
		t.Helper()
		// The middleware would have put the viewer into the context.
		r, err := http.NewRequest(http.MethodGet, s.URL+"/?query=%7Bhello%7D", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Viewer", strconv.Itoa(int(user)))
		r.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	for range 5 {
		if res := as(1, jsonType); res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
	}
	for _, accept := range []string{jsonType, resultType, streamType} {
		res := as(1, accept)
		if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); res.StatusCode != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 12 {
			t.Errorf("%s: %s, Retry-After: %q", accept, res.Status, res.Header.Get("Retry-After"))
		}
	}
	if res := as(2, jsonType); res.StatusCode != http.StatusOK {
		t.Errorf("a colleague gets %s", res.Status)
	}

	c := connect(t, s)
	for n := range 7 {
		c.send(`{"id":"` + strconv.Itoa(n) + `","type":"subscribe","payload":{"query":"{hello}"}}`)
		if n < 5 {
			c.want(fmt.Sprintf(`{"id":"%d","type":"next","payload":{"data":{"hello":"you"}}}`, n), fmt.Sprintf(`{"id":"%d","type":"complete"}`, n))
		} else if got := c.read(); !strings.Contains(got, `"type":"error"`) || !strings.Contains(got, "5 operations in 1m0s") {
			t.Errorf("the %d. gets %s", n+1, got)
		}
	}
}

// viewers puts the viewer that a test names into the context, as middleware does.
func viewers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.Atoi(r.Header.Get("Viewer")); err == nil {
			r = r.WithContext(auth.WithViewer(r.Context(), auth.Viewer{Org: id.UUID{1}, User: id.UUID{byte(n)}}))
		}
		h.ServeHTTP(w, r)
	})
}
