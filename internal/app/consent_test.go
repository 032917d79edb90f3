package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

type consentRecord struct {
	ID, Scope, Source               string
	TextVersion                     *int
	Outdated, OnBehalf              bool
	GivenAt                         string
	WithdrawnAt                     *string
	Client, RecordedBy, WithdrawnBy *struct{ Name string }
}

const consentFields = `id scope textVersion outdated source onBehalf givenAt withdrawnAt client {name} recordedBy {name} withdrawnBy {name}`

// consents gives or withdraws, and returns the records of the scopes.
func consents(t *testing.T, c *apptest.Client, mutation string, input apptest.Vars) (records []consentRecord, errs []userError) {
	t.Helper()
	kind := strings.ToUpper(mutation[:1]) + mutation[1:] + "Input!"
	var out struct {
		Out struct {
			Subject    *struct{ Consents, ConsentRecords []consentRecord }
			UserErrors []userError
		}
	}
	c.Must(t, `mutation($in: `+kind+`) {out: `+mutation+`(input: $in) {subject {... on Client {consents {`+consentFields+`}} ... on Participant {consentRecords {`+consentFields+`}}} userErrors {code field message}}}`, apptest.Vars{"in": input}, &out)
	if out.Out.Subject == nil {
		return nil, out.Out.UserErrors
	}
	for _, r := range append(out.Out.Subject.Consents, out.Out.Subject.ConsentRecords...) {
		if slices.Contains(input["scopes"].([]string), r.Scope) {
			records = append(records, r)
		}
	}
	return records, out.Out.UserErrors
}

func clientOf(t *testing.T, env *apptest.Env, session string) string {
	t.Helper()
	return one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, session))
}

// Consents are given and withdrawn by the client, and by the coach on the client's behalf; twice is once, and a newer text adds a record.
func TestConsents(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	amara, coach, owner := env.Login(t, apptest.ClientUser), env.Login(t, apptest.Coach), env.Login(t, apptest.Owner)
	her := clientOf(t, env, amara2.id(t, env))
	share := apptest.Vars{"subjectId": her, "scopes": []string{"SHARE_WITH_ORG", "SHARE_WITH_ORG"}}

	first, _ := consents(t, amara, "giveConsent", share)
	again, _ := consents(t, amara, "giveConsent", share)
	if len(first) != 1 || len(again) != 1 || first[0].ID != again[0].ID || first[0].Source != "IN_APP" || first[0].OnBehalf || *first[0].TextVersion != 1 || first[0].Outdated {
		t.Fatalf("given %+v, again %+v", first, again)
	}
	var session struct{ Session struct{ Consents []string } }
	coach.Must(t, `query($id: ID!) {session(id: $id) {consents}}`, apptest.Vars{"id": amara5.id(t, env)}, &session)
	if got := strings.Join(session.Session.Consents, " "); got != "RECORDING TRANSCRIPTION AI_ANALYSIS SUPERVISION SHARE_WITH_ORG" {
		t.Errorf("in force are %s", got)
	}

	// A newer text: what was agreed to holds, as of an older version; the new one is agreed to beside it.
	publish := `mutation($t: String!) {publishConsentText(input: {scope: SHARE_WITH_ORG, text: $t}) {consentText {version text publishedAt} userErrors {code field}}}`
	var published struct {
		PublishConsentText struct{ ConsentText struct{ Version int } }
	}
	for range 2 {
		owner.Must(t, publish, apptest.Vars{"t": "What we share, we share by the house rules."}, &published)
	}
	if got := published.PublishConsentText.ConsentText.Version; got != 2 {
		t.Errorf("version %d", got)
	}
	if r := coach.Do(t, publish, apptest.Vars{"t": "Mine."}); r.Code() != "FORBIDDEN" {
		t.Errorf("a coach publishes: %s", r.Body)
	}
	var refused struct {
		PublishConsentText struct{ UserErrors []userError }
	}
	owner.Must(t, publish, apptest.Vars{"t": " \n"}, &refused)
	if briefly(refused.PublishConsentText.UserErrors) != "INVALID text" {
		t.Errorf("an empty text: %+v", refused)
	}
	share["source"], share["givenAt"] = "FORM", "2026-03-02T09:30:00Z"
	both, _ := consents(t, coach, "giveConsent", share)
	if len(both) != 2 || !both[0].Outdated && !both[1].Outdated {
		t.Fatalf("%+v", both)
	}
	at := slices.IndexFunc(both, func(c consentRecord) bool { return *c.TextVersion == 2 })
	if on := both[at]; !on.OnBehalf || on.Source != "FORM" || on.GivenAt != "2026-03-02T09:30:00Z" || on.RecordedBy.Name != "Ruth Calloway" {
		t.Errorf("on her behalf: %+v", on)
	}
	gone, _ := consents(t, amara, "withdrawConsent", apptest.Vars{"subjectId": her, "scopes": []string{"SHARE_WITH_ORG"}})
	if len(gone) != 2 || gone[0].WithdrawnAt == nil || gone[1].WithdrawnAt == nil || gone[0].WithdrawnBy.Name != "Amara Okafor" {
		t.Errorf("withdrawn: %+v", gone)
	}
	if same, _ := consents(t, coach, "withdrawConsent", apptest.Vars{"subjectId": her, "scopes": []string{"SHARE_WITH_ORG"}}); len(same) != 2 || *same[0].WithdrawnAt != *gone[0].WithdrawnAt {
		t.Errorf("withdrawn again: %+v", same)
	}

	// What cannot be.
	herself := one(t, env, "participant", `SELECT id FROM participants WHERE session_id = $1 AND role = 'CLIENT'`, uuid(t, amara2.id(t, env)))
	ruth := one(t, env, "participant", `SELECT id FROM participants WHERE session_id = $1 AND role = 'COACH'`, uuid(t, amara2.id(t, env)))
	for want, tc := range map[string]struct {
		who   *apptest.Client
		input apptest.Vars
	}{
		"INVALID scopes":      {coach, apptest.Vars{"subjectId": her, "scopes": []string{}}},
		"INVALID source":      {coach, apptest.Vars{"subjectId": her, "scopes": []string{"RECORDING"}, "source": "IN_APP"}},
		"INVALID textVersion": {coach, apptest.Vars{"subjectId": her, "scopes": []string{"RECORDING"}, "textVersion": 2}},
		"INVALID givenAt":     {coach, apptest.Vars{"subjectId": her, "scopes": []string{"RECORDING"}, "givenAt": "2190-01-01T00:00:00Z"}},
		"INVALID subjectId":   {coach, apptest.Vars{"subjectId": herself, "scopes": []string{"RECORDING"}}},
	} {
		if _, errs := consents(t, tc.who, "giveConsent", tc.input); briefly(errs) != want {
			t.Errorf("%+v, want %s", errs, want)
		}
	}
	give := `mutation($id: ID!) {giveConsent(input: {subjectId: $id, scopes: [RECORDING]}) {userErrors {code}}}`
	for subject, code := range map[string]string{ruth: "FORBIDDEN", herself: "FORBIDDEN"} { // she cannot speak for who else is in her session
		if r := amara.Do(t, give, apptest.Vars{"id": subject}); r.Code() != code {
			t.Errorf("the client gives consent of %s: %s", subject, r.Body)
		}
	}
	if got, _ := consents(t, coach, "giveConsent", apptest.Vars{"subjectId": ruth, "scopes": []string{"RECORDING"}}); len(got) != 1 || got[0].OnBehalf || got[0].Client != nil {
		t.Errorf("the coach's own: %+v", got)
	}
}

// Without the clients' consent to transcription nothing of a conversation is taken in, in no way, and the error says whose is missing.
func TestImportNeedsConsent(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	her := clientOf(t, env, session)
	file := []byte("WEBVTT\n\n00:00.000 --> 00:04.000\nRuth: What else?\n\n00:05.000 --> 00:09.000\nAmara: I will ask the Hartwell people tomorrow.\n")
	announceFor(t, coach, session, file)
	_, _ = consents(t, coach, "withdrawConsent", apptest.Vars{"subjectId": her, "scopes": []string{"TRANSCRIPTION"}})
	env.Work(t)
	before := rowCounts(t, env)
	if n := before["transcripts"] - value[int](t, env, `SELECT count(*) FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE s.client_id <> $1`, uuid(t, her)); n != 0 {
		t.Errorf("%d of her transcripts are left", n)
	}

	in := importInto(t, coach, session, string(file), nil)
	if briefly(in.UserErrors) != "CONSENT_MISSING sessionId" || !strings.Contains(in.UserErrors[0].Message, her) || !strings.Contains(in.UserErrors[0].Message, "giveConsent") {
		t.Errorf("import: %+v", in.UserErrors)
	}
	var asked struct {
		RequestTranscriptUpload struct{ UserErrors []userError }
	}
	coach.Must(t, `mutation($s: ID!) {requestTranscriptUpload(input: {sessionId: $s, filename: "a.vtt", sizeBytes: 9, sha256: "`+strings.Repeat("ab", 32)+`"}) {userErrors {code field message}}}`,
		apptest.Vars{"s": session}, &asked)
	if briefly(asked.RequestTranscriptUpload.UserErrors) != "CONSENT_MISSING sessionId" {
		t.Errorf("request: %+v", asked)
	}
	sameRows(t, before, rowCounts(t, env))

	// One client of several who has not agreed is enough.
	_, _ = consents(t, coach, "giveConsent", apptest.Vars{"subjectId": her, "scopes": []string{"TRANSCRIPTION"}})
	sql(t, env, `INSERT INTO participants (id, org_id, session_id, name, role) SELECT gen_random_uuid(), org_id, id, 'Tobias', 'CLIENT' FROM sessions WHERE id = $1`, uuid(t, session))
	guest := one(t, env, "participant", `SELECT id FROM participants WHERE name = 'Tobias'`)
	if in := importInto(t, coach, session, string(file), nil); briefly(in.UserErrors) != "CONSENT_MISSING sessionId" || !strings.Contains(in.UserErrors[0].Message, guest) ||
		strings.Contains(in.UserErrors[0].Message, her) {
		t.Errorf("with a guest: %+v", in.UserErrors)
	}
	_, _ = consents(t, coach, "giveConsent", apptest.Vars{"subjectId": guest, "scopes": []string{"TRANSCRIPTION"}, "source": "ON_RECORD"})
	env.Work(t)
	key := imports(t, coach, session, string(file))
	env.Work(t)

	// Without consent to analysis it is there to read, and nothing else is.
	if n := value[int](t, env, `SELECT count(*) FROM analysis_runs WHERE transcript_id = $1`, uuid(t, key)); n != 0 {
		t.Errorf("%d analyses of a conversation in which a guest has not agreed to one", n)
	}
	var got struct {
		Transcript struct {
			Status     string
			Utterances struct{ TotalCount int }
			Metrics    *struct{ ID string }
		}
	}
	read := `query($id: ID!) {transcript(id: $id) {status utterances {totalCount} metrics {id}}}`
	coach.Must(t, read, apptest.Vars{"id": key}, &got)
	if got.Transcript.Status != "READY" || got.Transcript.Utterances.TotalCount != 2 || got.Transcript.Metrics != nil {
		t.Errorf("without consent to analysis: %+v", got)
	}
	// Given later, it is made up for.
	_, _ = consents(t, coach, "giveConsent", apptest.Vars{"subjectId": guest, "scopes": []string{"AI_ANALYSIS"}})
	env.Work(t)
	coach.Must(t, read, apptest.Vars{"id": key}, &got)
	if got.Transcript.Status != "READY" || got.Transcript.Metrics == nil {
		t.Errorf("with consent to analysis: %+v", got)
	}
}

// Who takes part and is no client has a say, too: without their consent nothing is imported or analysed, and what they take back goes.
func TestEverybodyInASessionConsents(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach, ines := env.Login(t, apptest.Coach), env.Login(t, apptest.Supervisor)
	session := amara5.id(t, env)
	const file = "WEBVTT\n\n00:00.000 --> 00:04.000\nRuth Calloway: What else?\n\n00:05.000 --> 00:09.000\nTobias Wren: I will write to the Hartwell people tomorrow.\n"
	scopes := func(names ...string) apptest.Vars { return apptest.Vars{"scopes": names} }
	say := func(mutation, who string, in apptest.Vars) {
		t.Helper()
		in["subjectId"] = who
		if _, errs := consents(t, coach, mutation, in); len(errs) > 0 {
			t.Fatalf("%s: %+v", mutation, errs)
		}
	}
	add := func(name, role string) string {
		t.Helper()
		return does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": name, "role": role})["id"].(string)
	}
	guest := add("Tobias Wren", "OBSERVER")

	in := importInto(t, coach, session, file, nil)
	if briefly(in.UserErrors) != "CONSENT_MISSING sessionId" || !strings.Contains(in.UserErrors[0].Message, guest) || strings.Contains(in.UserErrors[0].Message, "Tobias") {
		t.Fatalf("without the guest's consent: %+v", in.UserErrors)
	}
	var asked struct {
		RequestTranscriptUpload struct{ UserErrors []userError }
	}
	coach.Must(t, `mutation($s: ID!) {requestTranscriptUpload(input: {sessionId: $s, filename: "a.vtt", sizeBytes: 9, sha256: "`+strings.Repeat("ab", 32)+`"}) {userErrors {code field message}}}`,
		apptest.Vars{"s": session}, &asked)
	if briefly(asked.RequestTranscriptUpload.UserErrors) != "CONSENT_MISSING sessionId" {
		t.Errorf("an upload without it: %+v", asked)
	}
	say("giveConsent", guest, scopes("TRANSCRIPTION"))
	key := imports(t, coach, session, file)
	env.Work(t)
	type seen struct{ words, derived int }
	kept := func() seen {
		t.Helper()
		return seen{value[int](t, env, `SELECT count(*) FROM utterances WHERE transcript_id = $1`, uuid(t, key)), value[int](t, env, `SELECT count(*) FROM analysis_runs WHERE transcript_id = $1`, uuid(t, key))}
	}
	shown := func(c *apptest.Client) (n seen) {
		t.Helper()
		var out struct {
			Session struct {
				Insights   struct{ TotalCount int }
				Metrics    *struct{ ID string }
				Transcript *struct{ Utterances struct{ TotalCount int } }
			}
		}
		c.Must(t, `query($id: ID!) {session(id: $id) {insights {totalCount} metrics {id} transcript {utterances {totalCount}}}}`, apptest.Vars{"id": session}, &out)
		if out.Session.Transcript != nil {
			n.words = out.Session.Transcript.Utterances.TotalCount
		}
		if out.Session.Metrics != nil {
			n.derived = 1
		}
		return n
	}
	is := func(when string, wantKept, wantShown, wantToInes seen) {
		t.Helper()
		if got := kept(); got != wantKept {
			t.Errorf("%s: kept are %+v, want %+v", when, got, wantKept)
		}
		if got := shown(coach); got != wantShown {
			t.Errorf("%s: the coach sees %+v, want %+v", when, got, wantShown)
		}
		if got := shown(ines); got != wantToInes {
			t.Errorf("%s: the supervisor sees %+v, want %+v", when, got, wantToInes)
		}
	}
	is("with transcription", seen{2, 0}, seen{2, 0}, seen{})
	say("giveConsent", guest, scopes("AI_ANALYSIS"))
	env.Work(t)
	is("with analysis", seen{2, 1}, seen{2, 1}, seen{})
	say("giveConsent", guest, scopes("SUPERVISION"))
	env.Work(t)
	is("with supervision", seen{2, 1}, seen{2, 1}, seen{2, 1})

	// Somebody was added to it afterwards: all is hidden, whatever else changes nothing is removed, and without them it is as it was.
	late := add("Undine Marsh", "OTHER")
	say("giveConsent", guest, scopes("SHARE_WITH_ORG"))
	env.Work(t)
	is("with somebody who was never asked", seen{2, 1}, seen{}, seen{})
	does(t, coach, "removeParticipant", "session", "id", apptest.Vars{"id": late})
	is("without them", seen{2, 1}, seen{2, 1}, seen{2, 1})

	say("withdrawConsent", guest, scopes("AI_ANALYSIS"))
	is("analysis withdrawn", seen{2, 1}, seen{2, 0}, seen{2, 0})
	if got := change(t, coach, "removeParticipant", "session", "id", apptest.Vars{"id": guest}); briefly(got.userErrors) != "CONFLICT " {
		t.Errorf("who has taken a consent back is removed: %s", got.response.Body)
	}
	env.Work(t)
	is("and removed", seen{2, 0}, seen{2, 0}, seen{2, 0})
	say("withdrawConsent", guest, scopes("TRANSCRIPTION"))
	is("transcription withdrawn", seen{2, 0}, seen{}, seen{})
	env.Work(t)
	is("and removed", seen{}, seen{}, seen{})
	does(t, coach, "removeParticipant", "session", "id", apptest.Vars{"id": guest})
}

// announceFor announces an upload that will not come.
func announceFor(t *testing.T, c *apptest.Client, session string, file []byte) {
	t.Helper()
	c.Must(t, `mutation($s: ID!, $n: Int!) {requestTranscriptUpload(input: {sessionId: $s, filename: "a.vtt", sizeBytes: $n, sha256: "`+strings.Repeat("cd", 32)+`"}) {transcript {id}}}`,
		apptest.Vars{"s": session, "n": len(file)}, nil)
}

// A consent to analysis that is withdrawn hides what was derived at once, from everybody; a job removes it, and who listens is told.
func TestWithdrawalOfAnalysis(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	amara, coach := env.Login(t, apptest.ClientUser), env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	key := uuid(t, one(t, env, "transcript", `SELECT id FROM transcripts WHERE session_id = $1`, uuid(t, session)))
	derived := func() (n int) {
		for _, rows := range insight.Derived {
			n += derivedRows(t, env, rows, key)
		}
		return n
	}
	accepted := value[int](t, env, `SELECT count(*) FROM insights WHERE transcript_id = $1 AND retracted_at IS NULL AND audience <> 'COACH_ONLY' AND status IN ('ACCEPTED', 'EDITED')`, key)
	all := value[int](t, env, `SELECT count(*) FROM insights WHERE transcript_id = $1 AND retracted_at IS NULL`, key)
	if accepted == 0 || accepted == all || derived() == 0 {
		t.Fatalf("the test says little: %d of %d insights are the client's", accepted, all)
	}

	ready := func() (n int) {
		for _, told := range notices(t, env.Login(t, apptest.Coach), "types: [INSIGHTS_READY]").Viewer.Notifications.Nodes {
			if told.Session != nil && told.Session.ID == session {
				n++
			}
		}
		return n
	}
	if ready() != 1 {
		t.Fatalf("the coach is told %d times", ready())
	}

	_, _ = consents(t, amara, "withdrawConsent", apptest.Vars{"subjectId": clientOf(t, env, session), "scopes": []string{"AI_ANALYSIS"}})
	if n := ready(); n != 0 {
		t.Errorf("the coach is still told %d times of insights that are not there", n)
	}
	var seen struct {
		Session struct {
			InsightCount *int
			Insights     struct{ TotalCount int }
			Metrics      *struct{ ID string }
			Transcript   *struct {
				Summary       *struct{ Sections []struct{ Heading string } }
				SkillEvidence []struct{ Skill string }
				AnalysisRuns  struct{ TotalCount int }
			}
		}
	}
	query := `query($id: ID!) {session(id: $id) {insightCount insights {totalCount} metrics {id} transcript {summary {sections {heading}} skillEvidence {skill} analysisRuns {totalCount}}}}`
	for _, who := range []string{apptest.Coach, apptest.ClientUser, apptest.Supervisor, apptest.Owner} {
		env.Login(t, who).Must(t, query, apptest.Vars{"id": session}, &seen)
		s := seen.Session
		if s.InsightCount != nil && *s.InsightCount > 0 || s.Insights.TotalCount > 0 || s.Metrics != nil ||
			s.Transcript != nil && (s.Transcript.Summary != nil || len(s.Transcript.SkillEvidence) > 0 || s.Transcript.AnalysisRuns.TotalCount > 0) {
			t.Errorf("%s still sees %+v", who, s)
		}
	}
	if derived() == 0 {
		t.Error("it was not the scope that hid it")
	}
	env.Work(t)
	if n := derived(); n != 0 {
		t.Errorf("%d derived rows are left", n)
	}
	for _, tc := range []struct {
		who  *apptest.Client
		want int
	}{{coach, all}, {amara, accepted}, {env.Login(t, apptest.Owner), 0}} {
		sub, heard := tc.who.Subscribe(t, everyEvent, apptest.Vars{"session": session, "after": env.Beginning(t, session)}), 0
		for heard < tc.want {
			if r := sub.Next(t); strings.Contains(string(r.Data), "InsightRetracted") {
				heard++
			}
		}
		sub.Close()
		for _, r := range sub.End(t) {
			if strings.Contains(string(r.Data), "InsightRetracted") {
				t.Errorf("more was heard of than there was to see: %s", r.Data)
			}
		}
	}
	coach.Must(t, `query($id: ID!) {session(id: $id) {transcript {utterances {totalCount}}}}`, apptest.Vars{"id": session}, nil)

	// Given again, it is found again.
	_, _ = consents(t, coach, "giveConsent", apptest.Vars{"subjectId": clientOf(t, env, session), "scopes": []string{"AI_ANALYSIS"}})
	env.Work(t)
	if derived() == 0 {
		t.Error("nothing was found again")
	}
}

// derivedRows counts the rows of a table that are derived from a transcript alone.
func derivedRows(t *testing.T, env *apptest.Env, rows transcript.Rows, key id.UUID) int {
	t.Helper()
	return value[int](t, env, `SELECT count(*) FROM (SELECT id, org_id AS org FROM transcripts WHERE id = $2) d JOIN `+rows.Table+` x ON x.org_id = d.org AND d.org = $1 AND `+rows.On,
		value[id.UUID](t, env, `SELECT org_id FROM transcripts WHERE id = $1`, key), key)
}

func demoFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(testkit.RepoRoot(t), "internal/app/demo/data", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// slow waits after the first insight of each analysis.
type slow struct {
	insight.Analyser
	found, goOn chan struct{}
}

func (s slow) Analyse(ctx context.Context, c insight.Conversation, r insight.Report) error {
	return s.Analyser.Analyse(ctx, c, slowReport{r, s})
}

type slowReport struct {
	insight.Report
	slow
}

func (r slowReport) Insight(f insight.Finding) error {
	err := r.Report.Insight(f)
	select {
	case r.found <- struct{}{}:
		<-r.goOn
	default:
	}
	return err
}

// An analysis that runs while consent is withdrawn leaves nothing behind, whether the removal comes in its midst or after it.
func TestWithdrawalDuringAnAnalysis(t *testing.T) {
	t.Parallel()
	analyser := slow{rules.Analyser{}, make(chan struct{}), make(chan struct{})}
	env := apptest.Demo(t, apptest.AppOptions(app.WithAnalyser(analyser)), apptest.Running())
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	her := clientOf(t, env, session)
	key := imports(t, coach, session, demoFile(t, "jonas-03-four-hours.vtt"))
	<-analyser.found
	if n := value[int](t, env, `SELECT count(*) FROM insights WHERE transcript_id = $1`, uuid(t, key)); n == 0 {
		t.Fatal("nothing was found yet")
	}
	_, _ = consents(t, coach, "withdrawConsent", apptest.Vars{"subjectId": her, "scopes": []string{"AI_ANALYSIS"}})
	none := func(sql string, args ...any) {
		t.Helper()
		testkit.Eventually(t, 20*time.Second, func() error {
			if n := value[int](t, env, sql, args...); n > 0 {
				return fmt.Errorf("%d: %s", n, sql)
			}
			return nil
		})
	}
	none(`SELECT count(*) FROM insights WHERE transcript_id = $1`, uuid(t, key))
	close(analyser.goOn)
	none(`SELECT count(*) FROM jobs WHERE state IN ('PENDING', 'RUNNING') AND kind IN ('transcript.analyse', 'consent.follow')`)
	for _, rows := range insight.Derived {
		if n := derivedRows(t, env, rows, uuid(t, key)); n != 0 {
			t.Errorf("%d rows in %s", n, rows.Table)
		}
	}
	if status := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, uuid(t, key)); status != "READY" {
		t.Errorf("the transcript is %s", status)
	}
}
