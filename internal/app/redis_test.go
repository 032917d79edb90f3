package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

// What one server takes in is seen on a socket of another, whether Redis carries it or is away; and a client that comes back to the other
// server goes on where it was.
func TestServersTellEachOtherThroughRedis(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	through := apptest.Config(func(c *config.Config) { c.Stream.RedisURL = config.Secret(redis.URL()) })
	here := apptest.Demo(t, apptest.Running(), through)
	there := here.Another(t, through)
	stream := func(env *apptest.Env) (ok bool) {
		_, raw := env.Send(t, http.MethodGet, "/readyz", nil, "")
		var out struct {
			Status string
			Checks []struct {
				Name, Adapter string
				OK            bool
			}
		}
		if err := json.Unmarshal(raw, &out); err != nil || out.Status == "unready" {
			t.Fatalf("%v: %s", err, raw)
		}
		for _, c := range out.Checks {
			if c.Name == "stream" && c.Adapter == "redis" {
				return c.OK
			}
		}
		t.Fatalf("no stream through Redis: %s", raw)
		return false
	}
	both := func(up bool) {
		t.Helper()
		testkit.Eventually(t, recovery, func() error {
			if stream(here) != up || stream(there) != up {
				return errors.New("readyz does not say so")
			}
			return nil
		})
	}
	both(true)

	session := amara5.id(t, here)
	vars := apptest.Vars{"session": session, "after": here.Beginning(t, session)}
	sub := there.Login(t, apptest.Coach).Subscribe(t, listen, vars)
	before := published(t, here, session)
	all := several(t, sub, before)
	coach := here.Login(t, apptest.Coach)
	n := 0
	imported := func() {
		t.Helper()
		n++
		ready(t, here, imports(t, coach, session, conversation(t)+fmt.Sprintf("\nNOTE copy %d\n", n)))
		now := published(t, here, session)
		all = append(all, several(t, sub, now-len(all))...)
	}
	imported()
	redis.Kill()
	imported()
	both(false)
	imported()
	redis.Start(t)
	both(true)
	imported()

	again := several(t, here.Login(t, apptest.Coach).Subscribe(t, listen, apptest.Vars{"session": session, "after": all[before].Cursor}), len(all)-before-1)
	for i, e := range again {
		if want := all[before+1+i]; e.Cursor != want.Cursor || e.Typename != want.Typename {
			t.Errorf("event %d was %s %s, and is %s %s on the other server", i, want.Typename, want.Cursor, e.Typename, e.Cursor)
		}
	}
}

// With Redis a person's share is one of all servers together, and of operations as of streams; each counts for itself while Redis is away.
func TestLimitsHoldOverAllServers(t *testing.T) {
	t.Parallel()
	redis := testkit.Redis(t)
	through := apptest.Config(func(c *config.Config) {
		c.Stream.RedisURL = config.Secret(redis.URL())
		c.HTTP.MaxStreamsPerUser, c.HTTP.MaxOperationsPerUser = 2, 6
	})
	here := apptest.Demo(t, through)
	there := here.Another(t, through)
	token := here.Login(t, apptest.Coach).Token
	opened := func(env *apptest.Env) bool {
		s := env.Dial(t, nil)
		if s.Init(t, map[string]string{"Authorization": "Bearer " + token}) == nil {
			return true
		}
		if code := s.Closed(t); code != 4429 {
			t.Errorf("closed with %d", code)
		}
		return false
	}
	ask := func(env *apptest.Env) (status int, retry string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, env.URL+"/graphql", strings.NewReader(`{"query":"{viewer{user{name}}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode, res.Header.Get("Retry-After")
	}
	if !opened(here) || !opened(there) || opened(here) || opened(there) {
		t.Error("two servers do not count together")
	}
	for n := range 8 {
		status, retry := ask([]*apptest.Env{here, there}[n%2])
		if want := n >= 6; want != (status == http.StatusTooManyRequests) || want != (retry != "") {
			t.Errorf("the %d. of 6 operations: %d, Retry-After: %q", n+1, status, retry)
		}
	}
	redis.Kill()
	if !opened(there) || opened(there) { // of the two it knows of its own
		t.Error("a server does not count for itself while Redis is away")
	}
	if status, _ := ask(there); status != http.StatusOK {
		t.Errorf("while Redis is away: %d", status)
	}
}
