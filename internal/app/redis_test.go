package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
