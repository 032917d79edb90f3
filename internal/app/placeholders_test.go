package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
)

var introduced = []string{
	"Hello Amara, I am Ruth. Will you tell me about the nights?",
	"My name is Amara Okafor. I wrote to Will from amara.o@office.example, and he rang me on +44 20 7946 0958. Amara’s nights, he said: AMARA never sleeps.",
	"So Will Carter calls you at night, [PERSON_1]?",
	"He does. I will call Will on Friday, or write to will@office.example.",
	"Anniversaries are hard.", "They are.",
}

// readsPlaceholders answers as a model that only knows what it is sent: it quotes the texts it sees, and calls people what they are called there.
func readsPlaceholders(r llmtest.Request) llmtest.Answer {
	if r.Offers("code_utterances") {
		return good(r)
	}
	lines := r.Lines()
	var head struct {
		Speakers []struct{ Speaker, Name string }
	}
	first, _, _ := strings.Cut(r.Material, "\n")
	if err := json.Unmarshal([]byte(first), &head); err != nil || len(lines) < 4 || len(head.Speakers) != 2 {
		return llmtest.Answer{Status: 500}
	}
	client := head.Speakers[1].Name
	_, due, _ := strings.Cut(lines[3].Text, "I will call ")
	a := llmtest.Answer{Calls: []llmtest.Call{
		insightCall("THEME", "The nights of "+client, 1, lines[1].Text),
		insightCall("QUESTION_OF_NOTE", "Asked", 2, lines[2].Text),
		insightCall("VALUE", "Somebody else: [PERSON_97]", 5, "They are."),
		insightCall("VALUE", "Misquoted", 1, "My name is [PERSON_97]."),
		{Tool: "record_point", Arguments: fmt.Sprintf(`{"heading":"TOPICS","text":%q,"citations":[{"first":0,"last":0,"quote":%q}]}`, client+" and the nights.", lines[0].Text)},
		{Tool: "record_point", Arguments: fmt.Sprintf(`{"heading":"TOPICS","text":"Of PERSON_98.","citations":[{"first":4,"last":4,"quote":%q}]}`, lines[4].Text)},
		{Tool: "record_skill", Arguments: fmt.Sprintf(`{"skill":"REFLECTIONS","level":"OBSERVED","paragraph":%q,"citations":[{"first":2,"last":2,"quote":%q}]}`, "To "+client+".", lines[2].Text)},
		{Tool: "record_commitment", Arguments: fmt.Sprintf(`{"title":"Call","body":%q,"speaker":%q,"due":"on Friday","confidence":0.9,"citations":[{"first":3,"last":3,"quote":%q}]}`,
			strings.ToLower(client)+" calls "+due, client, lines[3].Text)},
	}, InputTokens: 1000, OutputTokens: 100}
	return a
}

// An organization that asks for it sends placeholders, and sees who is meant all the same.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	s := llmtest.Serve(t, readsPlaceholders)
	env := apptest.Demo(t, atOpenAI(s))
	coach, owner, session := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner), amara5.id(t, env)
	organization := one(t, env, "org", `SELECT org_id FROM sessions WHERE id = $1`, uuid(t, session))
	guest := does(t, coach, "addParticipant", "participant", "id", apptest.Vars{"sessionId": session, "name": "Will Carter"})["id"]
	does(t, coach, "giveConsent", "subject", "__typename", apptest.Vars{"subjectId": guest, "scopes": []string{"TRANSCRIPTION", "AI_ANALYSIS"}})

	// An owner decides, no admin, and nobody else.
	sql(t, env, `UPDATE memberships SET roles = roles || '{ADMIN}' WHERE user_id = (SELECT coach_id FROM sessions WHERE id = $1)`, uuid(t, session))
	setting := apptest.Vars{"id": organization, "modelSees": "PLACEHOLDERS"}
	for _, c := range []*apptest.Client{coach, env.Login(t, apptest.ClientUser)} {
		if got := change(t, c, "updateOrganization", "organization", "id", setting); got.response.Code() != "FORBIDDEN" {
			t.Errorf("changed by no owner: %s", got.response.Body)
		}
	}
	content := transcriptText(len(introduced), func(i int) string { return introduced[i] })
	named := imports(t, coach, session, content)
	env.Work(t)
	asked := len(s.Requests())
	if all := s.Requests()[0].Material; !strings.Contains(all, "Amara Okafor") {
		t.Errorf("without the setting, names are sent as they were said: %s", all)
	}
	has(t, does(t, owner, "updateOrganization", "organization", "modelSees", setting), apptest.Vars{"modelSees": "PLACEHOLDERS"})

	hidden := imports(t, coach, session, content+"NOTE another\n")
	env.Work(t)
	if n := len(s.Requests()); n != asked+2 {
		t.Fatalf("%d requests", n-asked)
	}
	for _, r := range s.Requests()[asked:] {
		for _, line := range strings.Split(r.Material, "\n") {
			for _, secret := range []string{"amara", "okafor", "ruth", "carter", "office.example", "7946", "call will", "to will"} {
				if strings.Contains(strings.ToLower(line), secret) {
					t.Errorf("%s is sent: %s", secret, line)
				}
			}
		}
		if !strings.Contains(r.Material, "Anniversaries are hard.") || !strings.Contains(r.Material, ". Will you tell me about the nights?") {
			t.Errorf("a word is taken for a name: %s", r.Material)
		}
	}
	type view struct {
		Insights struct {
			Nodes []struct {
				Title, Body string
				Citations   []struct {
					Quote      string
					StartMs    *int
					Utterances []struct{ Index int }
				}
				Commitment *struct {
					Due     *string
					Speaker struct{ DisplayName string }
				}
			}
		}
	}
	got := seen(t, coach, hidden)
	if got.brief() != "READY, SUCCEEDED 3/3" {
		t.Errorf("%s", got.brief())
	}
	var out struct{ Node view }
	coach.Must(t, `query($id: ID!) {node(id: $id) {... on Session {insights(first: 20) {nodes {title body citations {quote startMs utterances {index}}
		commitment {due speaker {displayName}}}}}}}`, apptest.Vars{"id": session}, &out)
	whole := map[string]string{}
	for _, i := range out.Node.Insights.Nodes {
		c := i.Citations[0]
		if c.Quote != introduced[c.Utterances[0].Index] || *c.StartMs != 3000*c.Utterances[0].Index {
			t.Errorf("%s cites %q at %d", i.Title, c.Quote, *c.StartMs)
		}
		if strings.Contains(i.Title+i.Body+c.Quote, "PERSON_9") {
			t.Errorf("%s: %s", i.Title, i.Body)
		}
		whole[i.Title] = i.Body
		if i.Commitment != nil && (*i.Commitment.Due != "on Friday" || i.Commitment.Speaker.DisplayName != "Amara") {
			t.Errorf("commitment: %+v", i.Commitment)
		}
	}
	if whole["Call"] != "Amara calls Will on Friday, or write to will@office.example." || whole["The nights of Amara"] == "" {
		t.Errorf("insights: %v", whole)
	}
	var digest struct {
		Node struct {
			Summary struct {
				Sections []struct{ Points []struct{ Text string } }
			}
			SkillEvidence []struct{ Paragraph string }
		}
	}
	coach.Must(t, `query($id: ID!) {node(id: $id) {... on Transcript {summary {sections {points {text}}} skillEvidence {paragraph}}}}`, apptest.Vars{"id": hidden}, &digest)
	if text := fmt.Sprint(digest.Node); !strings.Contains(text, "Amara and the nights.") || !strings.Contains(text, "To Amara.") || strings.Contains(text, "PERSON") {
		t.Errorf("summary and evidence: %s", text)
	}
	if n := value[int](t, env, `SELECT count(*) FROM model_answers WHERE transcript_id = $1 AND calls::text ~* 'amara|carter|office'`, uuid(t, hidden)); n > 0 {
		t.Error("the kept answers hold names")
	}
	sound(t, env)

	// The setting belongs to what an analysis is known by: the same conversation, seen with other eyes, is analysed anew.
	setRole := apptest.Vars{"speakerId": one(t, env, "speaker", `SELECT id FROM speakers WHERE transcript_id = $1 AND display_name = 'Ruth'`, uuid(t, named)), "role": "COACH"}
	does(t, coach, "setSpeakerRole", "speaker", "id", setRole)
	env.Work(t)
	if n := len(s.Requests()); n != asked+4 {
		t.Errorf("%d more requests after the setting was changed", n-asked-2)
	}
}
