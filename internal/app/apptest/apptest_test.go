package apptest_test

import (
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

func TestHarness(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]*apptest.Env{
		"development": apptest.Demo(t), "production": apptest.Demo(t, apptest.Production(t)), "running": apptest.Demo(t, apptest.Running()),
	} {
		t.Run(name, func(t *testing.T) {
			var out struct {
				Viewer struct{ User struct{ Name string } }
			}
			coach := env.Login(t, apptest.Coach)
			ran := env.Statements.Of(func() { coach.Must(t, `{viewer{user{name}}}`, nil, &out) })
			if out.Viewer.User.Name != "Ruth Calloway" {
				t.Errorf("got %+v", out)
			}
			if len(ran) == 0 || len(ran) > 8 {
				t.Errorf("%d statements: %q", len(ran), ran)
			}
			if r := env.Anonymous().Do(t, `{viewer{user{name}}}`, nil); r.Code() != "UNAUTHENTICATED" {
				t.Errorf("nobody got %s", r.Body)
			}
		})
	}
}
