package app_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
)

// An organization that asks for it sends no names with a question either: not in it, not in the questions before, not in what was said. The asker
// reads who is meant, and a quote is what was said.
func TestAskWithPlaceholders(t *testing.T) {
	t.Parallel()
	client := regexp.MustCompile(`"name":"([^"]+)","role":"CLIENT"`)
	s := llmtest.Serve(t, func(r llmtest.Request) llmtest.Answer {
		if r.Offers("code_utterances") {
			return good(r)
		}
		said, name := line(r, "never sleeps"), client.FindStringSubmatch(r.Material)
		if name == nil {
			return llmtest.Answer{Status: 500}
		}
		return llmtest.Answer{Calls: []llmtest.Call{says(name[1]+" never sleeps.", said.N, said.N, said.Text), says("[PERSON_97] sleeps.", said.N, said.N, said.Text)}, InputTokens: 500, OutputTokens: 20}
	})
	env := apptest.Demo(t, atOpenAI(s))
	coach, owner, session := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner), amara5.id(t, env)
	does(t, owner, "updateOrganization", "organization", "id", apptest.Vars{"id": one(t, env, "org", `SELECT org_id FROM sessions WHERE id = $1`, uuid(t, session)), "modelSees": "PLACEHOLDERS"})
	imports(t, coach, session, transcriptText(len(introduced), func(i int) string { return introduced[i] }))
	env.Work(t)
	env.Index(t)
	before := len(s.Requests())

	thread, first := asks(t, coach, apptest.Vars{"question": "What did Amara Okafor say about the nights, and Jonas Lindqvist?", "scope": apptest.Vars{"sessionId": session}})
	env.Work(t)
	_, second := asks(t, coach, apptest.Vars{"question": "Who calls Amara at night?", "threadId": thread})
	env.Work(t)
	for _, message := range []string{first, second} {
		got := answer(t, coach, message)
		if got.brief() != "ANSWERED | Amara never sleeps. (1 dropped)" {
			t.Fatalf("the asker sees %s", got.brief())
		}
		if c := got.Sentences[0].Citations[0]; c.Quote != introduced[1] || c.Utterances[0].Text != introduced[1] {
			t.Errorf("the quote is %q", c.Quote)
		}
	}
	sent := s.Requests()[before:]
	if len(sent) != 2 || !strings.Contains(sent[1].Material, `say about the nights`) {
		t.Fatalf("%d requests; the second is without the first question: the test says little", len(sent))
	}
	for _, r := range sent {
		for _, secret := range []string{"amara", "okafor", "jonas", "lindqvist", "ruth", "office.example", "7946"} {
			if strings.Contains(strings.ToLower(r.Material), secret) {
				t.Errorf("%s is sent: %s", secret, r.Material)
			}
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM ask_answers WHERE sentences::text LIKE '%PERSON_9%'`); n > 0 {
		t.Error("a placeholder that stands for nobody is kept")
	}
}

// A client's copy has what the client has asked, been answered and kept to search for; what others ask about the client is theirs.
func TestQuestionsInCopies(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	sql(t, env, `UPDATE transcripts SET shared_with_client = true`)
	env.Index(t)
	amara, coach := env.Login(t, apptest.ClientUser), env.Login(t, apptest.Coach)
	her := clientOf(t, env, amara2.id(t, env))
	_, hers := asks(t, amara, apptest.Vars{"question": "What word did I use for delegation?"})
	_, theirs := asks(t, coach, apptest.Vars{"question": "Does she still rewrite the board papers?", "scope": apptest.Vars{"clientId": her}})
	for _, c := range []*apptest.Client{amara, coach} {
		does(t, c, "createSavedSearch", "savedSearch", "id", apptest.Vars{"name": "Mondays", "query": "monday morning"})
	}
	env.Work(t)
	quoted := answer(t, amara, hers)
	if quoted.Status != "ANSWERED" || len(quoted.Sentences) == 0 || answer(t, coach, theirs).Status != "ANSWERED" {
		t.Fatalf("the answer is %s: the test says little", quoted.brief())
	}
	asked, errs := ask(t, amara, "requestDataExport", apptest.Vars{"clientId": her})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	env.Work(t)
	files := fetched(t, amara, asked.ID)
	for name, want := range map[string]string{"ask_messages.json": "What word did I use", "ask_threads.json": "asked_at", "ask_answers.json": "delegation", "saved_filters.json": "Mondays"} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s is without %q: %.300s", name, want, files[name])
		}
	}
	for name, content := range files {
		if strings.Contains(content, "Does she still rewrite") || strings.Contains(content, uuid(t, theirs).String()) {
			t.Errorf("%s has what somebody else has asked", name)
		}
	}
	if n := strings.Count(files["saved_filters.json"], `"query"`); n != 1 {
		t.Errorf("%d searches are in the copy", n)
	}
}
