package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
)

// quotesAll answers with all that it is shown, as far as an answer goes.
func quotesAll(r llmtest.Request) (a llmtest.Answer) {
	for _, l := range r.Lines() {
		a.Calls = append(a.Calls, says("It was said.", l.N, l.N, l.Text))
	}
	if a.Calls == nil {
		a.Calls = []llmtest.Call{{Tool: "insufficient_evidence", Arguments: `{}`}}
	}
	a.InputTokens, a.OutputTokens = 500, 20
	return a
}

// A question that names clients is answered from what was said with them, unless it was asked about something else: another's words would be read as theirs.
func TestAskAboutWhomItNames(t *testing.T) {
	t.Parallel()
	server := llmtest.Serve(t, quotesAll)
	for name, opts := range map[string][]apptest.Option{"extractive": nil, "openai": {atOpenAI(server)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := apptest.Demo(t, opts...)
			env.Index(t)
			ruth := env.Login(t, apptest.Coach)
			who := map[string]string{} // whose a session is
			var all struct {
				Sessions struct {
					Nodes []struct {
						ID     string
						Client struct{ Name string }
					}
				}
			}
			ruth.Must(t, `{sessions(first: 100) {nodes {id client {name}}}}`, nil, &all)
			for _, s := range all.Sessions.Nodes {
				who[s.ID], _, _ = strings.Cut(s.Client.Name, " ")
			}
			// of asks, and says whose words the answer quotes.
			of := func(input apptest.Vars) (thread string, quoted []string) {
				thread, message := asks(t, ruth, input)
				env.Work(t)
				got := answer(t, ruth, message)
				if got.Status != "ANSWERED" || got.InsufficientEvidence != (len(got.Sentences) == 0) {
					t.Fatalf("%v: %s", input, got.brief())
				}
				for _, s := range got.Sentences {
					for _, c := range s.Citations {
						quoted = append(quoted, who[c.Session.ID])
					}
				}
				slices.Sort(quoted)
				return thread, slices.Compact(quoted)
			}
			only := func(question string, allowed ...string) {
				t.Helper()
				_, quoted := of(apptest.Vars{"question": question})
				for _, q := range quoted {
					if !slices.Contains(allowed, q) {
						t.Errorf("%s: quotes %s", question, quoted)
					}
				}
			}
			only("What is Jonas afraid of?", "Jonas")
			only("what is LINDQVIST’s fear?", "Jonas")
			only("What did Jónas say about delegation and rewriting a design document?", "Jonas")
			only("What do Mei and Jonas think about their partners?", "Jonas", "Mei")

			// Who is no client of the viewer's changes nothing, and so it is with a scope that says whom it is about.
			theirs := func(question string, scope apptest.Vars, want string) (thread string) {
				t.Helper()
				input := apptest.Vars{"question": question}
				if scope != nil {
					input["scope"] = scope
				}
				thread, quoted := of(input)
				if !slices.Contains(quoted, want) {
					t.Errorf("%s: quotes %s, not %s", question, quoted, want)
				}
				return thread
			}
			const asked = "What word does she use in her head for delegation?"
			theirs("Sofia, or Priya: what word does she use in her head for delegation?", nil, "Amara")
			her := clientOf(t, env, amara2.id(t, env))
			for _, scope := range []apptest.Vars{{"clientId": her}, {"sessionId": amara2.id(t, env)}, {"sessions": apptest.Vars{"clientIds": []string{her}}}} {
				theirs("What word does she use in her head for delegation, and not Jonas?", scope, "Amara")
			}
			// The thread's scope is what was given: who was named in one question is not in the next.
			thread, _ := of(apptest.Vars{"question": "What does Jonas say about Petter?"})
			if _, quoted := of(apptest.Vars{"question": asked, "threadId": thread}); !slices.Contains(quoted, "Amara") {
				t.Errorf("the next question quotes %s", quoted)
			}
			// Other conditions of a filter hold besides.
			if _, quoted := of(apptest.Vars{"question": "What is Jonas afraid of?", "scope": apptest.Vars{"sessions": apptest.Vars{"startsBefore": "2001-01-01T00:00:00Z"}}}); quoted != nil {
				t.Errorf("from before there were sessions it quotes %s", quoted)
			}
		})
	}
}
