package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

func membership(t testing.TB, env *apptest.Env, email, tenant string) string {
	t.Helper()
	return one(t, env, "member", `SELECT m.id FROM memberships m JOIN users u ON u.id = m.user_id JOIN organizations o ON o.id = m.org_id
		WHERE u.email = $1 AND o.slug = $2`, email, tenant)
}

// invite invites somebody, and returns the invitation and its token.
func invite(t testing.TB, c *apptest.Client, email, role string) (invitation, token string) {
	t.Helper()
	var out struct {
		InviteMember struct {
			Invitation *struct{ ID string }
			Token      string
			UserErrors []userError
		}
	}
	c.Must(t, `mutation($e: String!, $r: [Role!]!) {inviteMember(input: {email: $e, roles: $r}) {invitation {id status expiresAt invitedBy {id}} token userErrors {code field message}}}`,
		apptest.Vars{"e": email, "r": []string{role}}, &out)
	if out.InviteMember.Invitation == nil {
		t.Fatalf("inviting %s: %v", email, out.InviteMember.UserErrors)
	}
	return out.InviteMember.Invitation.ID, out.InviteMember.Token
}

// accept accepts an invitation, and returns the codes of what is wrong with that.
func accept(t testing.TB, c *apptest.Client, token string) string {
	t.Helper()
	var out struct {
		AcceptInvitation struct {
			Membership *struct {
				Roles []string
				User  struct{ Name string }
			}
			UserErrors []userError
		}
	}
	r := c.Do(t, `mutation($t: String!) {acceptInvitation(input: {token: $t, name: "Noor Haddad", timeZone: "Asia/Amman"}) {membership {roles user {name}} userErrors {code field message}}}`,
		apptest.Vars{"t": token})
	if len(r.Errors) > 0 {
		return r.Code()
	}
	r.Into(t, &out)
	if out.AcceptInvitation.Membership != nil {
		return ""
	}
	return out.AcceptInvitation.UserErrors[0].Code
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	owner := env.Login(t, apptest.Owner)
	for email, want := range map[string]string{apptest.Coach: "ALREADY_MEMBER email", "RUTH": "INVALID email"} {
		if got := change(t, owner, "inviteMember", "invitation", "id", apptest.Vars{"email": email, "roles": []string{"COACH"}}); briefly(got.userErrors) != want {
			t.Errorf("inviting %s: %s", email, got.response.Body)
		}
	}
	if got := change(t, owner, "inviteMember", "invitation", "id", apptest.Vars{"email": "noor@haddad.example", "roles": []string{}}); briefly(got.userErrors) != "INVALID roles" {
		t.Errorf("as nothing: %s", got.response.Body)
	}
	key, token := invite(t, owner, "noor@haddad.example", "COACH")
	if got := change(t, owner, "inviteMember", "invitation", "id", apptest.Vars{"email": "Noor@Haddad.example", "roles": []string{"ADMIN"}}); briefly(got.userErrors) != "ALREADY_INVITED email" {
		t.Errorf("twice: %s", got.response.Body)
	}
	if n := value[int](t, env, `SELECT count(*) FROM invitations i WHERE i::text LIKE '%' || $1 || '%'`, token); n != 0 {
		t.Error("the token itself is stored")
	}

	// Whoever is invited can sign in, and do nothing else than accept.
	noor := env.Login(t, "noor@haddad.example")
	for _, query := range []string{`{viewer {user {id}}}`, `mutation {updateProfile(input: {name: "x"}) {user {id}}}`,
		`mutation {acceptInvitation(input: {token: "x"}) {membership {id}} updateProfile(input: {name: "x"}) {user {id}}}`,
		`mutation {...all} fragment all on Mutation {updateProfile(input: {name: "x"}) {user {id}}}`} {
		if r := noor.Do(t, query, nil); r.Code() != "UNAUTHENTICATED" || r.Status != 401 {
			t.Errorf("%s: %d %s", query, r.Status, r.Body)
		}
	}
	if got := accept(t, env.Anonymous(), token); got != "UNAUTHENTICATED" {
		t.Errorf("accepted by nobody: %s", got)
	}
	if got := accept(t, env.Login(t, apptest.Lumen), token); got != "OTHER_ADDRESS" {
		t.Errorf("accepted by somebody else: %s", got)
	}
	var again struct{ ResendInvitation struct{ Token string } }
	owner.Must(t, `mutation($id: ID!) {resendInvitation(input: {id: $id}) {token userErrors {message}}}`, apptest.Vars{"id": key}, &again)
	if got := accept(t, noor, token); got != "INVITATION_INVALID" || again.ResendInvitation.Token == token {
		t.Errorf("with the token before the last: %s", got)
	}
	sql(t, env, `UPDATE invitations SET expires_at = now() - interval '1 second'`)
	if got := accept(t, noor, again.ResendInvitation.Token); got != "INVITATION_INVALID" {
		t.Errorf("too late: %s", got)
	}
	owner.Must(t, `mutation($id: ID!) {resendInvitation(input: {id: $id}) {token userErrors {message}}}`, apptest.Vars{"id": key}, &again)
	if got := accept(t, noor, again.ResendInvitation.Token); got != "" {
		t.Fatalf("not accepted: %s", got)
	}
	if got := accept(t, noor, again.ResendInvitation.Token); got != "INVITATION_INVALID" {
		t.Errorf("accepted twice: %s", got)
	}
	var me struct {
		Viewer struct {
			User       struct{ Name, Email, TimeZone string }
			Membership struct{ Roles []string }
		}
	}
	noor.Must(t, `{viewer {user {name email timeZone} membership {roles}}}`, nil, &me)
	if got := fmt.Sprint(me.Viewer); got != "{{Noor Haddad noor@haddad.example Asia/Amman} {[COACH]}}" {
		t.Errorf("became %s", got)
	}
	has(t, does(t, noor, "updateProfile", "user", "name timeZone", apptest.Vars{"name": " Noor H. "}), apptest.Vars{"name": "Noor H.", "timeZone": "Asia/Amman"})
	has(t, does(t, noor, "updateProfile", "user", "name timeZone", apptest.Vars{"timeZone": "Europe/Riga"}), apptest.Vars{"name": "Noor H.", "timeZone": "Europe/Riga"})
	if got := change(t, noor, "updateProfile", "user", "name", apptest.Vars{"name": nil, "timeZone": "Mars/Olympus"}); briefly(got.userErrors) != "INVALID name, INVALID timeZone" {
		t.Errorf("a profile: %s", got.response.Body)
	}
	for _, name := range []string{"resendInvitation", "revokeInvitation"} {
		if got := change(t, owner, name, "invitation", "id", apptest.Vars{"id": key}); !strings.HasPrefix(briefly(got.userErrors), "CONFLICT") {
			t.Errorf("%s of what was accepted: %s", name, got.response.Body)
		}
	}
	// Taken back.
	key, token = invite(t, owner, "late@haddad.example", "COACH")
	late := env.Login(t, "late@haddad.example")
	does(t, owner, "revokeInvitation", "invitation", "id status", apptest.Vars{"id": key})
	if got := accept(t, late, token); got != "INVITATION_INVALID" {
		t.Errorf("accepted what was taken back: %s", got)
	}
	// A client finds what is theirs.
	sql(t, env, `UPDATE clients SET email = 'felix@warren.example', user_id = NULL WHERE name = 'Jonas Lindqvist'`)
	_, token = invite(t, owner, "felix@warren.example", "CLIENT")
	felix := env.Login(t, "felix@warren.example")
	if got := accept(t, felix, token); got != "" {
		t.Fatal(got)
	}
	var mine struct{ Clients struct{ TotalCount int } }
	felix.Must(t, `{clients {totalCount}}`, nil, &mine)
	if mine.Clients.TotalCount != 1 {
		t.Errorf("a client who has accepted sees %d clients", mine.Clients.TotalCount)
	}
	// And so does who is a member before a coach notes the address, or gets the role after it; everywhere where they take part.
	coach, dan := env.Login(t, apptest.Coach), env.Login(t, apptest.Coach2)
	seen := func(c *apptest.Client, want int, when string) {
		t.Helper()
		if c.Must(t, `{clients {totalCount}}`, nil, &mine); mine.Clients.TotalCount != want {
			t.Errorf("%s: a client sees %d clients, want %d", when, mine.Clients.TotalCount, want)
		}
	}
	has(t, does(t, dan, "createClient", "client", "user {name}", apptest.Vars{"name": "Felix again", "email": "FELIX@warren.example"}), apptest.Vars{"user": apptest.Vars{"name": "Noor Haddad"}})
	seen(felix, 2, "noted by another coach")
	third := does(t, coach, "createClient", "client", "id user {name}", apptest.Vars{"name": "Felix, once more"})
	has(t, third, apptest.Vars{"user": nil})
	if got := change(t, coach, "updateClient", "client", "id", apptest.Vars{"id": third["id"], "email": "felix@warren.example"}); briefly(got.userErrors) != "EMAIL_TAKEN email" {
		t.Errorf("the address of two clients of one coach: %s", got.response.Body)
	}
	does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "Noor herself", "email": "noor@haddad.example"})
	has(t, does(t, coach, "updateClient", "client", "user {name}", apptest.Vars{"id": third["id"], "email": "nobody@haddad.example"}), apptest.Vars{"user": nil})
	before := value[int](t, env, `SELECT count(*) FROM audit_events WHERE action = 'client.link'`)
	noor = env.Login(t, "noor@haddad.example")
	seen(noor, 0, "a coach, no client")
	does(t, owner, "updateMember", "membership", "roles", apptest.Vars{"id": membership(t, env, "noor@haddad.example", "harbor"), "roles": []string{"CLIENT"}})
	seen(noor, 1, "with the role")
	if after := value[int](t, env, `SELECT count(*) FROM audit_events WHERE action = 'client.link'`); before != 2 || after != 3 {
		t.Errorf("client.link is in the trail %d and %d times, want 2 and 3", before, after)
	}
	for _, zone := range []string{"right/UTC", "posixrules", "Factory"} {
		if got := change(t, noor, "updateProfile", "user", "id", apptest.Vars{"timeZone": zone}); briefly(got.userErrors) != "INVALID timeZone" {
			t.Errorf("%s: %s", zone, got.response.Body)
		}
	}
}

// TestMembers lets everybody try everything with members.
func TestMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	coach2, ines := id.Format("user", w.person(t, apptest.Coach2)), id.Format("user", w.person(t, apptest.Supervisor))
	plain, boss := membership(t, w.env, "sponsor2@harbor.example", "harbor"), membership(t, w.env, "ownercoach@harbor.example", "harbor")
	supervision := fmt.Sprintf("supervisorId: %q, coachId: %q", ines, coach2)
	type try struct{ name, input string }
	tries := []try{
		{"inviteMember", `email: "x%d@harbor.example", roles: [COACH, ADMIN]`}, {"inviteMember", `email: "y%d@harbor.example", roles: [OWNER]`},
		{"updateMember", fmt.Sprintf(`id: %q, roles: [SPONSOR, ADMIN]`, plain)}, {"updateMember", fmt.Sprintf(`id: %q, roles: [OWNER]`, plain)},
		{"revokeMember", fmt.Sprintf(`id: %q`, plain)}, {"reinstateMember", fmt.Sprintf(`id: %q`, plain)},
		{"updateMember", fmt.Sprintf(`id: %q, roles: [SPONSOR]`, plain)},
		{"updateMember", fmt.Sprintf(`id: %q, roles: [COACH]`, boss)}, {"revokeMember", fmt.Sprintf(`id: %q`, boss)}, {"reinstateMember", fmt.Sprintf(`id: %q`, boss)},
		{"assignSupervisor", supervision}, {"unassignSupervisor", supervision},
	}
	for i, v := range w.viewers {
		for n, m := range tries {
			touchesOwner := strings.Contains(m.input, "[OWNER]") || strings.Contains(m.input, boss)
			want := "FORBIDDEN"
			switch {
			case v.tenant != "harbor" && m.name != "inviteMember":
				want = "NOT_FOUND"
			case v.is("OWNER") && v.who != "ownercoach@harbor.example", v.is("ADMIN") && !touchesOwner:
				want = ""
			case v.who == "ownercoach@harbor.example":
				continue // would end as an owner by these very tries
			case v.is("ADMIN"):
			case m.name != "inviteMember" && v.who != "sponsor2@harbor.example" || v.who == "sponsor2@harbor.example" && !strings.Contains(m.input, plain) && m.name != "inviteMember":
				want = "NOT_FOUND"
			}
			input := m.input
			if m.name == "inviteMember" {
				input = fmt.Sprintf(m.input, i)
			}
			if strings.HasSuffix(m.name, "Supervisor") && v.who == apptest.Coach2 {
				want = "FORBIDDEN" // their own membership, which they see
			}
			r := v.client.Do(t, fmt.Sprintf("mutation {%s(input: {%s}) {userErrors {code message}}}", m.name, input), nil)
			if r.Code() != want || want == "" && !strings.Contains(string(r.Body), `"userErrors":[]`) {
				t.Errorf("%d: %s, try %d: %s(%s): %s, want %q", i, v.who, n, m.name, input, r.Body, want)
			}
			// An owner who was made by the tries is none for the next.
			sql(t, w.env, `UPDATE memberships SET roles = '{OWNER,COACH}', status = 'ACTIVE' WHERE id = $1 AND NOT $2`, w.uuid(t, boss), m.name != "reinstateMember" && touchesOwner)
		}
	}
	// Roles need the person to have them.
	owner := w.env.Login(t, apptest.Owner)
	sql(t, w.env, `UPDATE memberships SET status = 'ACTIVE'`)
	for input, want := range map[string]string{
		fmt.Sprintf(`supervisorId: %q, coachId: %q`, coach2, ines): "INVALID supervisorId",
		fmt.Sprintf(`supervisorId: %q, coachId: %q`, ines, ines):   "INVALID coachId",
	} {
		var out struct {
			AssignSupervisor struct {
				Membership *struct{ ID string }
				UserErrors []userError
			}
		}
		owner.Must(t, `mutation {assignSupervisor(input: {`+input+`}) {membership {id} userErrors {code field message}}}`, nil, &out)
		if briefly(out.AssignSupervisor.UserErrors) != want || out.AssignSupervisor.Membership != nil {
			t.Errorf("%s: %v", input, out)
		}
	}
	does(t, owner, "assignSupervisor", "membership", "id", apptest.Vars{"supervisorId": ines, "coachId": coach2})
	var both struct {
		Coach, Supervisor struct{ Supervisors, Supervises []struct{ ID string } }
	}
	supervisor := membership(t, w.env, apptest.Supervisor, "harbor")
	look := func() {
		owner.Must(t, `query($c: ID!, $s: ID!) {coach: node(id: $c) {... on Membership {supervisors {id} supervises {id}}} supervisor: node(id: $s) {... on Membership {supervisors {id} supervises {id}}}}`,
			apptest.Vars{"c": membership(t, w.env, apptest.Coach2, "harbor"), "s": supervisor}, &both)
	}
	look()
	if s := fmt.Sprint(both.Coach.Supervisors); !strings.Contains(s, ines) || !strings.Contains(fmt.Sprint(both.Supervisor.Supervises), coach2) {
		t.Errorf("%+v", both)
	}
	// Who is no supervisor any more supervises nobody.
	does(t, owner, "updateMember", "membership", "id", apptest.Vars{"id": supervisor, "roles": []string{"ADMIN"}})
	look()
	if strings.Contains(fmt.Sprint(both.Coach.Supervisors), ines) || len(both.Supervisor.Supervises) != 0 {
		t.Errorf("without the role: %+v", both)
	}
	does(t, owner, "updateMember", "membership", "id", apptest.Vars{"id": supervisor, "roles": []string{"SUPERVISOR"}})
	look()
	if len(both.Supervisor.Supervises) != 0 {
		t.Errorf("with the role again: %+v", both)
	}
}

// A revoked member's streams close at once, also those of other processes; whose roles change comes back.
func TestRevocationClosesStreams(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	other := env.Another(t)
	owner, coach := env.Login(t, apptest.Owner), other.Login(t, apptest.Coach)
	key := membership(t, env, apptest.Coach, "harbor")
	const listen = `subscription {insightEvents {__typename}}`
	open := func() (*apptest.Socket, *apptest.Subscription) {
		socket := coach.Socket(t)
		began := other.Statements.Ended("stream_topics")
		socket.Subscribe(t, listen, nil)
		other.Statements.Await(t, "stream_topics", began)
		return socket, coach.SubscribeSSE(t, listen, nil)
	}
	socket, events := open()
	does(t, owner, "updateMember", "membership", "roles", apptest.Vars{"id": key, "roles": []string{"COACH", "SUPERVISOR"}})
	if code := socket.Closed(t); code != 1001 {
		t.Errorf("with other roles the socket closes with %d", code)
	}
	if events.End(t); events.Completed() {
		t.Error("with other roles the events are said to be complete")
	}
	socket, events = open()
	idle := coach.Socket(t)
	bystander := other.Login(t, apptest.Coach2).Socket(t)
	does(t, owner, "revokeMember", "membership", "status", apptest.Vars{"id": key})
	for name, s := range map[string]*apptest.Socket{"listening": socket, "idle": idle} {
		if code := s.Closed(t); code != 4403 {
			t.Errorf("%s: a revoked member's socket closes with %d", name, code)
		}
	}
	if events.End(t); events.Completed() {
		t.Error("a revoked member's events are said to be complete")
	}
	if r := coach.Do(t, `{viewer {user {id}}}`, nil); r.Code() != "UNAUTHENTICATED" {
		t.Errorf("a revoked member's token: %s", r.Body)
	}
	bystander.Subscribe(t, `subscription($s: ID) {insightEvents(sessionId: $s) {__typename}}`, apptest.Vars{"s": jonas3.id(t, env)}).End(t) // not theirs: answered, so open
	does(t, owner, "reinstateMember", "membership", "status", apptest.Vars{"id": key})
	if r := coach.Do(t, `{viewer {user {id}}}`, nil); r.Code() != "" {
		t.Errorf("reinstated: %s", r.Body)
	}
}

// However two owners go about it, one of them stays.
func TestLastOwner(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	first, second := membership(t, env, apptest.Owner, "harbor"), membership(t, env, apptest.Supervisor, "harbor")
	a, b := env.Login(t, apptest.Owner), env.Login(t, apptest.Supervisor)
	for round, how := range []struct{ name, input string }{{"revokeMember", `id: %q`}, {"updateMember", `id: %q, roles: [COACH]`}, {"revokeMember", `id: %q`}} {
		sql(t, env, `UPDATE memberships SET roles = '{OWNER}', status = 'ACTIVE' WHERE id = ANY($1)`, []id.UUID{uuid(t, first), uuid(t, second)})
		var wg sync.WaitGroup
		answers := make([]apptest.Response, 2)
		for i, c := range []*apptest.Client{a, b} { // each the other, or, in the last round, oneself
			target := []string{second, first}[(i+round/2)%2]
			wg.Go(func() {
				answers[i] = c.Do(t, fmt.Sprintf("mutation {%s(input: {%s}) {userErrors {code}}}", how.name, fmt.Sprintf(how.input, target)), nil)
			})
		}
		wg.Wait()
		if n := value[int](t, env, `SELECT count(*) FROM memberships WHERE 'OWNER' = ANY(roles) AND status = 'ACTIVE' AND id = ANY($1)`, []id.UUID{uuid(t, first), uuid(t, second)}); n != 1 {
			t.Errorf("round %d: %d owners stay: %s, %s", round, n, answers[0].Body, answers[1].Body)
		}
	}
	sql(t, env, `UPDATE memberships SET roles = '{COACH}' WHERE id = $1`, uuid(t, second))
	sql(t, env, `UPDATE memberships SET roles = '{OWNER,COACH}', status = 'ACTIVE' WHERE id = $1`, uuid(t, first))
	if got := change(t, a, "updateMember", "membership", "id", apptest.Vars{"id": first, "roles": []string{"COACH"}}); !strings.HasPrefix(briefly(got.userErrors), "LAST_OWNER") {
		t.Errorf("the last owner steps down: %s", got.response.Body)
	}
}
