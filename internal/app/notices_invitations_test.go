package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/mail/devbox"
)

var linkInMail = regexp.MustCompile(`(http\S+)`)

// mailedToken is the token behind the link of a mail that invites.
func mailedToken(t *testing.T, m devbox.Mail) string {
	t.Helper()
	link, err := url.Parse(linkInMail.FindString(m.Text))
	if err != nil || link.RawQuery != "" {
		t.Fatalf("%s: %v", link, err)
	}
	values, err := url.ParseQuery(link.EscapedFragment())
	if err != nil || !strings.Contains(values.Get("query"), "acceptInvitation(input: {token: $token}") {
		t.Fatalf("%s: %v", link.Fragment, err)
	}
	var variables struct{ Token string }
	if err := json.Unmarshal([]byte(values.Get("variables")), &variables); err != nil {
		t.Fatal(err)
	}
	return variables.Token
}

// Who is invited gets a mail with a token of its own, that is nowhere else.
func TestInvitationsAreMailed(t *testing.T) {
	t.Parallel()
	const noor = "noor@haddad.example"
	o := newOffice(t)
	owner := o.Login(t, apptest.Owner)
	o.at(o.noon.Add(11 * time.Hour)) // quiet hours are of members
	sql(t, o.Env, `UPDATE organizations SET name = 'Harbor <b>' || chr(8238) || 'Coaching' || chr(10) || 'Bcc: x@example.com' WHERE id = $1`, o.org)
	key, shown := invite(t, owner, noor, "COACH")
	deliver := jobs.Job{Org: o.org, Kind: notice.JobDeliver, Entity: value[id.UUID](t, o.Env, `SELECT id FROM email_deliveries WHERE invitation_id = $1`, uuid(t, key))}
	o.work(t)
	got := o.mails(t, noor)
	if len(got) != 1 || got[0].Subject != "You are invited to Harbor <b>Coaching Bcc: x@example.com" || got[0].Headers["List-Unsubscribe"] != "" ||
		!strings.Contains(got[0].Text, "has invited you to Harbor <b>Coaching") || !strings.Contains(got[0].Text, "Sign in as "+noor+" to accept, until ") || strings.Contains(got[0].HTML, "<b>") {
		t.Fatalf("%d mails: %+v", len(got), got)
	}
	token := mailedToken(t, got[0])
	if token == shown || len(token) < 26 {
		t.Errorf("the mail has the token %q, shown was %q", token, shown)
	}
	everywhere := value[string](t, o.Env, `SELECT concat((SELECT string_agg(i::text, ' ') FROM invitations i), (SELECT string_agg(j::text, ' ') FROM jobs j),
		(SELECT string_agg(d::text, ' ') FROM email_deliveries d), (SELECT string_agg(a::text, ' ') FROM audit_events a), (SELECT string_agg(s::text, ' ') FROM stream_events s))`) + o.Log.String()
	for _, secret := range []string{token, shown} {
		if strings.Contains(everywhere, secret) {
			t.Error("a token is kept")
		}
	}

	if _, people := o.Send(t, "GET", "/dev/people", http.Header{}, ""); !strings.Contains(string(people), `"Invited: `+noor) {
		t.Errorf("who is invited cannot be signed in to accept: %s", people)
	}

	// A worker that dies after it has sent sends nothing else, and what was sent still holds; so do attempts at once.
	sql(t, o.Env, `UPDATE email_deliveries SET state = 'QUEUED', finished_at = NULL`)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if err := o.App.Services().Notices.Deliver(t.Context(), deliver); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if again := o.mails(t, noor); len(again) != 1 || mailedToken(t, again[0]) != token {
		t.Errorf("%d mails after a second attempt", len(again))
	}
	if n := value[int](t, o.Env, `SELECT cardinality(mailed_hashes) FROM invitations`); n > 50 {
		t.Errorf("%d tokens hold", n)
	}

	// Who invites sees what has become of the mail, and nobody else does.
	type mails struct {
		Invitations struct {
			Nodes []struct {
				EmailDelivery *struct{ Type, State, Reason, Suppression string }
			}
		}
		Viewer struct {
			EmailDeliveries struct {
				TotalCount int
				Nodes      []struct{ Type, State, Reason string }
			}
		}
	}
	log := func(c *apptest.Client) (m mails) {
		t.Helper()
		c.Must(t, `{invitations {nodes {emailDelivery {type state reason suppression createdAt finishedAt}}} viewer {emailDeliveries(first: 1) {totalCount nodes {type state reason}}}}`, nil, &m)
		return m
	}
	if m := log(owner); len(m.Invitations.Nodes) != 1 || m.Invitations.Nodes[0].EmailDelivery == nil || fmt.Sprint(*m.Invitations.Nodes[0].EmailDelivery) != "{INVITATION SENT  }" || m.Viewer.EmailDeliveries.TotalCount != 0 {
		t.Errorf("%+v", m)
	}
	if m := log(o.Login(t, apptest.Coach)); len(m.Invitations.Nodes) != 0 || m.Viewer.EmailDeliveries.TotalCount != 0 {
		t.Errorf("a coach sees %+v", m)
	}

	// Sent again: a mail that waits and the tokens before are void.
	resend := func() (errs string) {
		t.Helper()
		return briefly(change(t, owner, "resendInvitation", "invitation", "id", apptest.Vars{"id": key}).userErrors)
	}
	resend()
	resend()
	o.work(t)
	got = o.mails(t, noor)
	if len(got) != 2 || !strings.HasPrefix(o.deliveries(t), "INVITATION SENT, INVITATION SUPPRESSED LATE, INVITATION SENT") {
		t.Errorf("%d mails, %s", len(got), o.deliveries(t))
	}
	person := o.Login(t, noor)
	if code := accept(t, person, token); code != "INVITATION_INVALID" {
		t.Errorf("with the token of the mail before the last: %q", code)
	}
	for _, m := range got {
		if last := mailedToken(t, m); last != token {
			if code := accept(t, o.Login(t, apptest.Lumen), last); code != "OTHER_ADDRESS" {
				t.Errorf("by another person: %q", code)
			}
			if code := accept(t, person, last); code != "" {
				t.Errorf("with the token of the last mail: %q", code)
			}
		}
	}

	// What cannot be accepted any more is not sent, nor what the address does not want; and nobody is invited without end.
	for address, happens := range map[string]func(key string){
		"late@haddad.example": func(string) {
			sql(t, o.Env, `UPDATE invitations SET expires_at = now() WHERE email = 'late@haddad.example'`)
		},
		"taken@haddad.example": func(key string) { does(t, owner, "revokeInvitation", "invitation", "id", apptest.Vars{"id": key}) },
		"gone@haddad.example": func(string) {
			if _, err := notice.Suppress(t.Context(), o.DB, []id.UUID{o.org}, "Gone@haddad.example", notice.Bounced, time.Now()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		key, _ := invite(t, owner, address, "COACH")
		happens(key)
		o.work(t)
		if got := o.mails(t, address); len(got) != 0 {
			t.Errorf("%s got %d mails", address, len(got))
		}
	}
	if got := o.deliveries(t); strings.Count(got, "SUPPRESSED LATE") != 3 || strings.Count(got, "SUPPRESSED BOUNCED") != 1 {
		t.Error(got)
	}
	var seen []string
	for _, n := range log(owner).Invitations.Nodes {
		seen = append(seen, fmt.Sprint(*n.EmailDelivery))
	}
	if !slices.Contains(seen, "{INVITATION SUPPRESSED BOUNCED BOUNCED}") {
		t.Errorf("%q", seen)
	}
	o.at(o.noon)
	o.notify(t, notice.SessionCancelled, "a")
	o.work(t)
	if m := log(o.Login(t, apptest.ClientUser)).Viewer.EmailDeliveries; m.TotalCount == 0 || len(m.Nodes) != 1 || m.Nodes[0].Type != "SESSION_CANCELLED" || m.Nodes[0].State != "SENT" {
		t.Errorf("the client sees %+v", m)
	}
	if n := value[int](t, o.Env, `SELECT count(*) FROM invitations WHERE email = 'gone@haddad.example' AND mailed_hashes <> '{}'`); n != 0 {
		t.Error("a token was made for a mail that was not sent")
	}
	key, _ = invite(t, owner, "often@haddad.example", "COACH")
	for range 4 {
		if errs := resend(); errs != "" {
			t.Error(errs)
		}
	}
	if errs := resend(); errs != "INVITED_TOO_OFTEN " {
		t.Errorf("sent for the sixth time: %q", errs)
	}
	does(t, owner, "revokeInvitation", "invitation", "id", apptest.Vars{"id": key})
	if got := change(t, owner, "inviteMember", "invitation", "id", apptest.Vars{"email": "Often@haddad.example", "roles": []string{"COACH"}}); briefly(got.userErrors) != "INVITED_TOO_OFTEN " {
		t.Errorf("invited for the sixth time: %s", got.response.Body)
	}
}
