package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

type searchHit struct {
	Kind, Cursor string
	Score        float64
	Session      *struct{ ID, Title string }
	Entity       struct{ ID, Text, Title, Body string }
	Highlights   []struct {
		Field    string
		Segments []struct {
			Text  string
			Match bool
		}
	}
	Around []struct{ Index int }
	Others []struct{ Kind string }
}

type searchAnswer struct {
	TotalCount     int
	PageInfo       struct{ HasNextPage bool }
	Nodes          []searchHit
	Facets         []searchFacet
	Interpretation struct {
		Query string
		Notes []string
	}
	Degraded *string
}

type searchFacet struct {
	Field   string
	Buckets []struct {
		Value string
		Label *string
		Count int
	}
}

const searchFields = `{totalCount pageInfo {hasNextPage} degraded interpretation {query notes} facets {field buckets {value label count}}
	nodes {kind cursor score session {id title} highlights {field segments {text match}} around {index} others {kind}
		entity {... on Node {id} ... on Utterance {text} ... on Insight {title body: body} ... on Note {body} ... on Goal {title} ... on ActionItem {title} ... on Session {sessionTitle: title}}}}`

// finds searches as somebody; args are written after the query.
func finds(t *testing.T, c *apptest.Client, query, args string) searchAnswer {
	t.Helper()
	var out struct{ Search searchAnswer }
	c.Must(t, `query($q: String!) {search(query: $q`+args+`) `+searchFields+`}`, apptest.Vars{"q": query}, &out)
	return out.Search
}

// everything turns all pages.
func everything(t *testing.T, c *apptest.Client, query, args string) (hits []searchHit, last searchAnswer) {
	t.Helper()
	after := ""
	for {
		last = finds(t, c, query, args+", first: 40"+after)
		hits = append(hits, last.Nodes...)
		if !last.PageInfo.HasNextPage {
			return hits, last
		}
		after = `, after: "` + last.Nodes[len(last.Nodes)-1].Cursor + `"`
	}
}

func ofKinds(hits []searchHit) map[string]int {
	kinds := map[string]int{}
	for _, h := range hits {
		kinds[h.Kind]++
	}
	return kinds
}

// Whoever searches finds what the lists show them, all of it, and nothing else: not in hits, not in counts, not in suggestions. Owners and
// sponsors find nothing.
func TestSearchShowsNobodyMore(t *testing.T) {
	t.Parallel()
	showsNobodyMore(t, apptest.Demo(t))
}

func showsNobodyMore(t *testing.T, env *apptest.Env) {
	coach := env.Login(t, apptest.Coach)
	client := one(t, env, "client", `SELECT c.id FROM clients c JOIN users u ON u.id = c.user_id WHERE u.email = $1`, apptest.ClientUser)
	coach.Must(t, `mutation($id: ID!) {createNote(input: {entityId: $id, body: "Quokka, for myself"}) {userErrors {code}}}`, apptest.Vars{"id": client}, nil)
	coach.Must(t, `mutation($id: ID!) {createNote(input: {entityId: $id, body: "Quokka, for the house", visibility: SHARED_WITH_ORG}) {userErrors {code}}}`, apptest.Vars{"id": client}, nil)
	if _, err := env.DB.Exec(t.Context(), `UPDATE transcripts SET shared_with_client = true WHERE id IN (SELECT t.id FROM transcripts t JOIN sessions s ON s.id = t.session_id WHERE s.client_id = $1)`, uuid(t, client)); err != nil {
		t.Fatal(err)
	}
	if _, err := env.DB.Exec(t.Context(), `UPDATE insights SET status = 'ACCEPTED' WHERE session_id IN (SELECT id FROM sessions WHERE client_id = $1) AND ordinal % 2 = 0`, uuid(t, client)); err != nil {
		t.Fatal(err)
	}
	env.Index(t)

	for _, who := range []string{apptest.Owner, apptest.Coach, apptest.Coach2, apptest.Supervisor, apptest.ClientUser, apptest.Sponsor, apptest.Lumen} {
		t.Run(who, func(t *testing.T) {
			c := env.Login(t, who)
			var lists struct {
				Sessions struct {
					Nodes []struct {
						Title      *string
						Transcript *struct{ Utterances struct{ TotalCount int } }
					}
				}
				Insights, Notes, Goals, ActionItems struct{ TotalCount int }
			}
			c.Must(t, `{sessions(first: 100) {nodes {title transcript {utterances(first: 1) {totalCount}}}} insights(filter: {statuses: [PROPOSED, ACCEPTED, EDITED]}) {totalCount}
				notes {totalCount} goals {totalCount} actionItems {totalCount}}`, nil, &lists)
			want := map[string]int{"INSIGHT": lists.Insights.TotalCount, "NOTE": lists.Notes.TotalCount, "GOAL": lists.Goals.TotalCount, "ACTION": lists.ActionItems.TotalCount}
			for _, s := range lists.Sessions.Nodes {
				if s.Title != nil {
					want["SESSION"]++
				}
				if s.Transcript != nil {
					want["UTTERANCE"] += s.Transcript.Utterances.TotalCount
				}
			}
			if who == apptest.Owner || who == apptest.Sponsor {
				want = nil
			}
			hits, last := everything(t, c, "", `, facets: [{field: KIND}, {field: CLIENT, first: 50}]`)
			got := ofKinds(hits)
			for kind, n := range want {
				if got[kind] != n {
					t.Errorf("%d of %s are found, the lists have %d", got[kind], kind, n)
				}
			}
			if last.TotalCount != len(hits) || len(want) == 0 && len(hits) > 0 {
				t.Errorf("%d are counted, %d shown", last.TotalCount, len(hits))
			}
			for _, f := range last.Facets {
				sum := 0
				for _, b := range f.Buckets {
					sum += b.Count
				}
				if sum != len(hits) {
					t.Errorf("%s: the counts make %d of %d", f.Field, sum, len(hits))
				}
			}
			seen := map[string]bool{}
			for _, h := range hits {
				if seen[h.Entity.ID] {
					t.Errorf("%s is there twice", h.Entity.ID)
				}
				seen[h.Entity.ID] = true
			}
			notes := len(finds(t, c, "quokka", "").Nodes)
			if want := map[string]int{apptest.Coach: 2, apptest.Supervisor: 1, apptest.ClientUser: 1}[who]; notes != want {
				t.Errorf("finds %d of the notes, want %d", notes, want)
			}
			var out struct{ Suggest []struct{ Text, Kind string } }
			c.Must(t, `{suggest(prefix: "to") {text kind}}`, nil, &out)
			for _, s := range out.Suggest {
				if s.Kind == "PHRASE" && !slices.ContainsFunc(hits, func(h searchHit) bool {
					return h.Entity.Title == s.Text || h.Session != nil && h.Session.Title == s.Text
				}) {
					t.Errorf("suggests %q, which is nothing of theirs", s.Text)
				}
			}
		})
	}
}

// What is done to a thing is found by its new words once it is indexed, and what is no longer to be seen is gone at once.
func TestSearchFollows(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	coach, viewer := env.Login(t, apptest.Coach), env.Login(t, apptest.ClientUser)
	client := one(t, env, "client", `SELECT c.id FROM clients c JOIN users u ON u.id = c.user_id WHERE u.email = $1`, apptest.ClientUser)
	count := func(c *apptest.Client, query string) int {
		t.Helper()
		a := finds(t, c, query, "")
		if a.TotalCount != len(a.Nodes) && !a.PageInfo.HasNextPage {
			t.Errorf("%s: %d are counted, %d shown", query, a.TotalCount, len(a.Nodes))
		}
		return a.TotalCount
	}
	is := func(what string, c *apptest.Client, query string, want int) {
		t.Helper()
		if got := count(c, query); got != want {
			t.Errorf("%s: %q finds %d, want %d", what, query, got, want)
		}
	}

	// Words that are corrected.
	var lines struct {
		Search struct {
			Nodes []struct{ Entity struct{ ID, Text string } }
		}
	}
	coach.Must(t, `{search(query: "kind:utterance", first: 1, orderBy: OLDEST) {nodes {entity {... on Utterance {id text}}}}}`, nil, &lines)
	line := lines.Search.Nodes[0].Entity
	coach.Must(t, `mutation($id: ID!, $text: String!) {reviseUtterance(input: {utteranceId: $id, text: $text}) {userErrors {message}}}`, apptest.Vars{"id": line.ID, "text": line.Text + " Xylophone."}, nil)
	env.Index(t)
	is("revised", coach, "xylophones", 1)
	is("misspelled", coach, "xylofone", 1)
	is("another coach", env.Login(t, apptest.Coach2), "xylophone", 0)

	// A note that is shared, and no longer: the second takes effect before anything is indexed.
	var made struct {
		CreateNote struct{ Note struct{ ID string } }
	}
	coach.Must(t, `mutation($id: ID!) {createNote(input: {entityId: $id, body: "Wombats, privately"}) {note {id}}}`, apptest.Vars{"id": client}, &made)
	save := func(version int, visibility string) {
		t.Helper()
		coach.Must(t, fmt.Sprintf(`mutation($id: ID!) {saveNote(input: {id: $id, expectedVersion: %d, body: "Wombats", visibility: %s}) {userErrors {message}}}`, version, visibility), apptest.Vars{"id": made.CreateNote.Note.ID}, nil)
	}
	env.Index(t)
	is("private", coach, "wombat", 1)
	is("private", viewer, "wombat", 0)
	save(1, "SHARED_WITH_CLIENT")
	env.Index(t)
	is("shared", viewer, "wombat", 1)
	save(2, "PRIVATE")
	is("private again", viewer, "wombat", 0)
	env.Index(t)
	is("private again, indexed", coach, "wombat", 1)
	is("private again, indexed", viewer, "wombat", 0)
	coach.Must(t, `mutation($id: ID!) {archiveNote(input: {id: $id}) {userErrors {message}}}`, apptest.Vars{"id": made.CreateNote.Note.ID}, nil)
	is("archived", coach, "wombat", 0)

	// Tags: of the session for what was said in it, of the client for everything; nobody else's.
	session := one(t, env, "session", `SELECT s.id FROM sessions s JOIN transcripts t ON t.session_id = s.id WHERE s.client_id = $1 ORDER BY s.starts_at LIMIT 1`, uuid(t, client))
	coach.Must(t, `mutation($id: ID!) {tag(input: {entityId: $id, name: "Turning point"}) {userErrors {message}}}`, apptest.Vars{"id": session}, nil)
	env.Index(t)
	hits, answer := everything(t, coach, `tag:"turning point"`, `, facets: [{field: TAG}]`)
	if kinds := ofKinds(hits); kinds["UTTERANCE"] < 5 || kinds["SESSION"] != 1 {
		t.Errorf("by the tag are found %v", kinds)
	}
	turning := -1
	for _, b := range answer.Facets[0].Buckets {
		if *b.Label == "Turning point" {
			turning = b.Count
		}
	}
	if turning != len(hits) {
		t.Errorf("%d are counted by the tag, %d found", turning, len(hits))
	}
	is("another's tag", env.Login(t, apptest.Coach2), `tag:"turning point"`, 0)
	coach.Must(t, `mutation($id: ID!) {untag(input: {entityId: $id, name: "Turning point"}) {userErrors {message}}}`, apptest.Vars{"id": session}, nil)
	env.Index(t)
	is("untagged", coach, `tag:"turning point"`, 0)

	// A transcript that is shared, and no longer: at once.
	read := count(viewer, "kind:utterance")
	key := one(t, env, "transcript", `SELECT t.id FROM transcripts t WHERE t.session_id = $1 ORDER BY t.version DESC LIMIT 1`, uuid(t, session))
	share := func(shared bool) {
		t.Helper()
		coach.Must(t, fmt.Sprintf(`mutation($id: ID!) {updateTranscript(input: {id: $id, sharedWithClient: %t}) {userErrors {message}}}`, shared), apptest.Vars{"id": key}, nil)
	}
	share(false)
	less := count(viewer, "kind:utterance")
	share(true)
	if more := count(viewer, "kind:utterance"); more <= less || more < read {
		t.Errorf("shared, %d are found, and not shared %d", more, less)
	}

	// Consent to analysis, and then to the words: at once, for everybody.
	mine := `kind:insight client:"` + nameOf(t, env, client) + `"`
	if count(coach, mine) == 0 {
		t.Fatal("there are no insights to hide")
	}
	coach.Must(t, `mutation($id: ID!) {withdrawConsent(input: {subjectId: $id, scopes: [AI_ANALYSIS]}) {userErrors {code}}}`, apptest.Vars{"id": client}, nil)
	is("without analysis", coach, mine, 0)
	is("without analysis", coach, `code:REFLECTION client:"`+nameOf(t, env, client)+`"`, 0)
	said := strings.Replace(mine, "insight", "utterance", 1)
	if count(coach, said) == 0 {
		t.Error("the words are hidden, too")
	}
	coach.Must(t, `mutation($id: ID!) {withdrawConsent(input: {subjectId: $id, scopes: [TRANSCRIPTION, RECORDING]}) {userErrors {code}}}`, apptest.Vars{"id": client}, nil)
	is("without transcription", coach, said, 0)
	env.Index(t)
	is("what is left", viewer, "kind:utterance", 0)
	// Made anew, the index finds the same.
	before := count(coach, "")
	if err := env.App.Services().Search.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := count(coach, ""); after != before || before == 0 {
		t.Errorf("made anew, the index finds %d, before %d", after, before)
	}
	if lag, meaning, err := env.App.Services().Search.Lag(t.Context()); err != nil || lag != 0 || meaning != 0 {
		t.Errorf("the lag is %s, %v", lag, err)
	}
}

func nameOf(t *testing.T, env *apptest.Env, client string) string {
	t.Helper()
	var name string
	if err := env.DB.QueryRow(t.Context(), `SELECT name FROM clients WHERE id = $1`, uuid(t, client)).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSearchAnswers(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	coach := env.Login(t, apptest.Coach)

	a := finds(t, coach, `delegating speaker:client`, `, first: 5, facets: [{field: SPEAKER_ROLE}, {field: MONTH}, {field: UTTERANCE_CODE}]`)
	if len(a.Nodes) == 0 || a.TotalCount != len(a.Nodes) || a.Degraded != nil || a.Interpretation.Query != "delegating speaker:client" || len(a.Interpretation.Notes) != 0 {
		t.Fatalf("got %+v", a)
	}
	for _, h := range a.Nodes {
		marked := ""
		for _, l := range h.Highlights {
			for _, s := range l.Segments {
				if s.Match {
					marked += s.Text
				}
			}
		}
		if h.Kind != "UTTERANCE" || h.Session == nil || h.Score <= 0 || !strings.Contains(strings.ToLower(marked), "delegat") || len(h.Around) < 3 || len(h.Around) > 5 {
			t.Errorf("hit %+v", h)
		}
	}
	// The facet of what is restricted shows what else there would be; the others obey.
	var roles []string
	for _, b := range a.Facets[0].Buckets {
		roles = append(roles, b.Value)
	}
	if !slices.Contains(roles, "CLIENT") || a.Facets[0].Buckets[slices.Index(roles, "CLIENT")].Count != a.TotalCount {
		t.Errorf("roles are %+v of %d", a.Facets[0], a.TotalCount)
	}

	// By session, page by page, each once.
	seen := map[string]bool{}
	after, others := "", 0
	for {
		page := finds(t, coach, "time", `, groupBy: SESSION, first: 2`+after)
		for _, h := range page.Nodes {
			if seen[h.Session.ID] {
				t.Errorf("session %s is there twice", h.Session.ID)
			}
			seen[h.Session.ID] = true
			others += len(h.Others)
		}
		if !page.PageInfo.HasNextPage {
			break
		}
		after = `, after: "` + page.Nodes[len(page.Nodes)-1].Cursor + `"`
	}
	flat, _ := everything(t, coach, "time", "")
	sessions := map[string]bool{}
	for _, h := range flat {
		if h.Session != nil {
			sessions[h.Session.ID] = true
		}
	}
	if len(seen) != len(sessions) || len(seen) < 3 || others == 0 {
		t.Errorf("%d sessions by groups with %d others, %d flat", len(seen), others, len(sessions))
	}

	// Filters of sessions.
	clientID := flat[0].Session.ID
	if got := finds(t, coach, "time", `, filter: {statuses: [SCHEDULED]}`); got.TotalCount != 0 {
		t.Errorf("in sessions to come %d were said", got.TotalCount)
	}
	if got := finds(t, coach, "time", `, filter: {clientIds: ["`+one(t, env, "client", `SELECT client_id FROM sessions WHERE id = $1`, uuid(t, clientID))+`"]}, facets: [{field: CLIENT}]`); got.TotalCount == 0 || len(got.Facets[0].Buckets) < 2 {
		t.Errorf("with one client: %d, clients %+v", got.TotalCount, got.Facets)
	}

	// What cannot be read is said, and what cannot be asked refused.
	a = finds(t, coach, `"delegating speaker:nobody after:soon a:delegating`, "")
	if a.TotalCount == 0 || len(a.Interpretation.Notes) != 4 {
		t.Errorf("read as %+v, %d found", a.Interpretation, a.TotalCount)
	}
	for query, want := range map[string]string{
		`{search(query: "***") {totalCount}}`:                                                                            "INVALID",
		`{search(query: "x", first: 101) {totalCount}}`:                                                                  "INVALID",
		`{search(query: "x", after: "nonsense") {totalCount}}`:                                                           "CURSOR_LOST",
		`{search(query: "x", groupBy: SESSION, after: "nonsense") {totalCount}}`:                                         "CURSOR_LOST",
		`{search(query: "x", groupBy: SESSION, orderBy: NEWEST) {totalCount}}`:                                           "INVALID",
		`{search(query: "x", facets: [{field: WEEK}, {field: MONTH}]) {totalCount}}`:                                     "INVALID",
		`{search(query: "x", facets: [{field: TAG, first: 51}]) {totalCount}}`:                                           "INVALID",
		`{search(query: "` + strings.Repeat("tag:x ", 500) + `") {totalCount}}`:                                          "INVALID",
		`{search(query: "` + strings.Repeat("x", 10_000) + `") {totalCount}}`:                                            "INVALID",
		`{suggest(prefix: "xx", limit: 21) {text}}`:                                                                      "INVALID",
		`{search(query: "(a+)+$ \u0000 \u202e .* [a-z]{1,99} ' OR 1=1 --") {totalCount}}`:                                "",
		`{search(query: "` + strings.Repeat("(", 2000) + `x") {totalCount interpretation {notes}}}`:                      "",
		`{search(query: "` + strings.Repeat("(", 2000) + `x` + strings.Repeat(")", 1900) + ` time") {totalCount}}`:       "",
		`{search(query: "` + strings.Repeat("abc* ", 90) + `") {totalCount}}`:                                            "",
		`{search(query: "` + strings.Repeat("delegatin managment ", 50) + `", facets: [{field: TAG}]) {totalCount}}`:     "",
		`{search(query: "-speaker:client -delegating", first: 3) {totalCount nodes {kind}} suggest(prefix: "%") {text}}`: "",
	} {
		if r := coach.Do(t, query, nil); r.Code() != want {
			t.Errorf("%.80s: %s", query, r.Body)
		}
	}
	if r := env.Anonymous().Do(t, `{search(query: "x") {totalCount}}`, nil); r.Code() != "UNAUTHENTICATED" {
		t.Errorf("nobody got %s", r.Body)
	}
}

// Conditions and words mean what somebody means by them, and what is refused is so in words that somebody knows.
func TestSearchIsUnderstood(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	jose := does(t, coach, "createClient", "client", "id", apptest.Vars{"name": "José Álvarez-Nuñez"})["id"].(string)
	does(t, coach, "createNote", "note", "id", apptest.Vars{"entityId": jose, "body": "Likes the quokka.", "visibility": "PRIVATE"})
	env.Index(t)
	same := func(query, other string) {
		t.Helper()
		a, b := finds(t, coach, query, ""), finds(t, coach, other, "")
		if a.TotalCount == 0 || a.TotalCount != b.TotalCount || len(b.Interpretation.Notes) > 0 {
			t.Errorf("%.60q finds %d, %.60q %d, with notes %q", query, a.TotalCount, other, b.TotalCount, b.Interpretation.Notes)
		}
	}
	same("thursday", "Thursdays")
	for _, h := range finds(t, coach, "Theo", "").Nodes {
		t.Errorf("Theo finds %+v", h.Highlights)
	}

	same("speaker:client delegating", strings.Repeat("speaker:client delegating ", 20))
	same("speaker:client", strings.Repeat("speaker:client ", 100))
	same("client:amara delegating", strings.Repeat("client:amara ", 60)+"delegating")

	for _, part := range []string{"jose", "JOSÉ", "álva", "nunez", `"jose alvarez"`} {
		same("quokka", "quokka client:"+part)
	}
	same("client:amara", "client:ámara")
	same("client:amara", "client:okafor")
	for _, none := range []string{"ose", "lvarez", "%", "_"} {
		if got := finds(t, coach, "quokka client:"+none, ""); got.TotalCount != 0 || len(got.Interpretation.Notes) != 1 {
			t.Errorf("client:%s finds %+v", none, got)
		}
	}
	for prefix, want := range map[string]string{"oka": "Amara Okafor", "alv": "José Álvarez-Nuñez", "nuñ": "José Álvarez-Nuñez"} {
		if r := coach.Do(t, `query($p: String!) {suggest(prefix: $p) {kind text}}`, apptest.Vars{"p": prefix}); !strings.Contains(string(r.Data), `{"kind":"CLIENT","text":"`+want+`"}`) {
			t.Errorf("%s: suggests %s", prefix, r.Body)
		}
	}

	// What there is not is left out, and it is said what there is.
	all := finds(t, coach, "delegating", "").TotalCount
	for condition, known := range map[string]string{"insight:blockers": "blocker, ", "code:foo": "reflection, ", "kind:notes": "note, ", "speaker:me": "client, "} {
		got := finds(t, coach, "delegating "+condition, "")
		if got.TotalCount != all || len(got.Interpretation.Notes) != 1 || !strings.Contains(got.Interpretation.Notes[0], condition) || !strings.Contains(got.Interpretation.Notes[0], known) {
			t.Errorf("%s: %d found, %q", condition, got.TotalCount, got.Interpretation.Notes)
		}
	}
	for enum, condition := range map[string]string{"InsightKind": "insight:", "SearchKind": "kind:", "SpeakerRole": "speaker:"} {
		var out struct {
			Type struct{ EnumValues []struct{ Name string } }
		}
		coach.Must(t, `query($name: String!) {Type: __type(name: $name) {EnumValues: enumValues {Name: name}}}`, apptest.Vars{"name": enum}, &out)
		if len(out.Type.EnumValues) == 0 {
			t.Fatalf("%s has no values", enum)
		}
		for _, v := range out.Type.EnumValues {
			if got := finds(t, coach, condition+v.Name, ", first: 0"); len(got.Interpretation.Notes) > 0 {
				t.Errorf("%s: %q", v.Name, got.Interpretation.Notes)
			}
		}
	}

	for _, code := range value[[]string](t, env, `SELECT array_agg(DISTINCT lower(code)) FROM utterance_codes`) {
		if got := finds(t, coach, "code:"+code, ", first: 1"); got.TotalCount == 0 || len(got.Interpretation.Notes) > 0 {
			t.Errorf("%s: %d found, %q", code, got.TotalCount, got.Interpretation.Notes)
		}
	}

	for query, want := range map[string]string{
		`{suggest(prefix: "xx", limit: 0) {text}}`:                                                 "limit: must be from 1 to 20",
		`{suggest(prefix: "` + strings.Repeat("x", 201) + `") {text}}`:                             "at most 200 bytes, has 201",
		`{search(query: "x", facets: [{field: WEEK}, {field: MONTH}]) {totalCount}}`:               "names WEEK and MONTH",
		`{search(query: "x", facets: [{field: MONTH}, {field: MONTH}]) {totalCount}}`:              "names MONTH twice",
		`{search(query: "x", kinds: [` + strings.Repeat("NOTE ", 11) + `]) {totalCount}}`:          "at most 10 kinds, names 11",
		`{search(query: "x", facets: [` + strings.Repeat("{field: TAG} ", 11) + `]) {totalCount}}`: "at most 10 counts, asks for 11",
	} {
		if r := coach.Do(t, query, nil); r.Code() != "INVALID" || !strings.Contains(string(r.Body), want) {
			t.Errorf("%.80s: %s, want %q", query, r.Body, want)
		}
	}

	// What one refuses the other does, for the same reason.
	for i, query := range []string{
		"***", "", "notes --", strings.Repeat("x", 1000), strings.Repeat("ö", 2000) + strings.Repeat(" ö", 90), strings.Repeat("x ", 2000) + "xx", strings.Repeat("tag:x ", 101), strings.Repeat("tag:x ", 100),
		"client:a client:b client:c client:d client:e coach:a coach:b coach:c coach:d coach:e coach:f", strings.Repeat("speaker:client thursday ", 20),
		"a" + strings.Repeat(" -(b OR c", 60), strings.Repeat("(", 60) + "a", "x" + strings.Repeat(" (-(a OR b) OR (c", 12),
	} {
		searched := coach.Do(t, `query($q: String!) {search(query: $q) {totalCount}}`, apptest.Vars{"q": query})
		saved := change(t, coach, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": fmt.Sprint("search ", i), "query": query})
		if refused := len(searched.Errors) > 0; refused != (len(saved.userErrors) > 0) || refused && !strings.Contains(string(searched.Body), saved.userErrors[0].Message) {
			t.Errorf("%.60q: searched %.300s, saved %.300s", query, searched.Body, saved.response.Body)
		}
	}
}
