package app_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

func TestCreateSession(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	engagement := one(t, env, "engagement", `SELECT id FROM engagements WHERE title = 'Two founders, one company'`)
	type participant struct{ Name, Role string }
	var out struct {
		CreateSession struct {
			Session struct {
				Number       int
				Status       string
				Participants []participant
			}
			UserErrors []userError
		}
	}
	env.Login(t, apptest.Coach).Must(t, `mutation($engagement: ID!) {
		createSession(input: {engagementId: $engagement, startsAt: "2027-01-11T10:00:00Z"}) {
			session { number status participants { name role } } userErrors { code field message } } }`,
		apptest.Vars{"engagement": engagement}, &out)
	got := out.CreateSession
	if got.Session.Number != 7 || got.Session.Status != "SCHEDULED" || len(got.UserErrors) > 0 {
		t.Errorf("got %+v", got)
	}
	if d := cmp.Diff([]participant{{"Ruth Calloway", "COACH"}, {"Jonas Lindqvist", "CLIENT"}}, got.Session.Participants); d != "" {
		t.Error(d)
	}
}
