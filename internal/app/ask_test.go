package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
)

// asked is a question as its asker sees it.
type asked struct {
	ID, Question, Status        string
	FailureCode, FailureMessage *string
	InsufficientEvidence        bool
	Sentences                   []sentenceSeen
	DroppedCount                int
	Answerer                    *struct {
		Name       string
		Model      *string
		Extractive bool
	}
}

type sentenceSeen struct {
	Index     int
	Text      string
	Citations []struct {
		Quote      string
		Session    *struct{ ID string }
		Utterances []struct{ ID, Text string }
	}
}

const (
	sentenceFields = `index text citations {quote session {id} utterances {id text}}`
	askedFields    = `id question status failureCode failureMessage insufficientEvidence droppedCount answerer {name model extractive} sentences {` + sentenceFields + `}`
)

// brief is the state with all that matters.
func (a asked) brief() string {
	s := a.Status
	if a.FailureCode != nil {
		s += " " + *a.FailureCode
	}
	if a.InsufficientEvidence {
		s += " insufficient"
	}
	for _, x := range a.Sentences {
		s += " | " + x.Text
	}
	if a.DroppedCount > 0 {
		s += fmt.Sprintf(" (%d dropped)", a.DroppedCount)
	}
	return s
}

// asks asks, and returns the thread and the question.
func asks(t testing.TB, c *apptest.Client, input apptest.Vars) (thread, message string) {
	t.Helper()
	var out struct {
		Ask struct {
			Thread, Message struct{ ID string }
			UserErrors      []struct{ Message string }
		}
	}
	c.Must(t, `mutation($input: AskInput!) {ask(input: $input) {thread {id} message {id status} userErrors {message}}}`, apptest.Vars{"input": input}, &out)
	if len(out.Ask.UserErrors) > 0 {
		t.Fatalf("%v: %v", input, out.Ask.UserErrors)
	}
	return out.Ask.Thread.ID, out.Ask.Message.ID
}

func answer(t testing.TB, c *apptest.Client, message string) asked {
	t.Helper()
	var out struct{ Node asked }
	c.Must(t, `query($id: ID!) {node(id: $id) {... on AskMessage {`+askedFields+`}}}`, apptest.Vars{"id": message}, &out)
	return out.Node
}

// Without a key the answer is what was said, quoted, and it says so; follow-ups keep the scope; where nothing was said it says that.
func TestAskExtractive(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	env.Index(t)
	ruth := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	thread, message := asks(t, ruth, apptest.Vars{"question": "What word does she use in her head for delegation?", "scope": apptest.Vars{"clientId": clientOf(t, env, session)}})
	if got := answer(t, ruth, message); got.brief() != "WAITING" || got.Answerer != nil {
		t.Errorf("before its job the question is %s", got.brief())
	}
	env.Work(t)
	got := answer(t, ruth, message)
	if got.Status != "ANSWERED" || got.InsufficientEvidence || got.Answerer == nil || !got.Answerer.Extractive || got.Answerer.Name != "extractive" || got.Answerer.Model != nil {
		t.Fatalf("the answer is %+v", got)
	}
	verbatim(t, got)
	if c := got.Sentences[0].Citations[0]; c.Session == nil || c.Session.ID != session {
		t.Errorf("the answer cites %+v", c)
	}

	again, follow := asks(t, ruth, apptest.Vars{"question": "And what did Jonas say about holding on?", "threadId": thread})
	env.Work(t)
	if again != thread {
		t.Errorf("a follow-up is in another thread")
	}
	for _, s := range answer(t, ruth, follow).Sentences {
		if of := clientOf(t, env, s.Citations[0].Session.ID); of != clientOf(t, env, session) {
			t.Errorf("a follow-up leaves the scope: %+v", s)
		}
	}
	_, none := asks(t, ruth, apptest.Vars{"question": "Which submarine did the admiral sink near Gibraltar?"})
	env.Work(t)
	if got := answer(t, ruth, none); got.brief() != "ANSWERED insufficient" {
		t.Errorf("what nobody spoke of is %s", got.brief())
	}

	for _, question := range []string{ // in scripts that do not part words, and no words at all
		"先週のセッションで彼女が上司との関係について話したときに本当に言いたかったことは何だったのか教えてくださいそして次回までにやると約束したことも知りたいです",
		strings.Repeat("日", 1000), strings.Repeat("x", 1000), "ʼ",
	} {
		thread, message := asks(t, ruth, apptest.Vars{"question": question})
		env.Work(t)
		if got := answer(t, ruth, message); got.Status != "ANSWERED" {
			t.Errorf("%.30s: %s", question, got.brief())
		}
		does(t, ruth, "deleteAskThread", "thread", "id", apptest.Vars{"id": thread})
	}
	// Read as a whole, with the utterances of what is quoted, and listed with what was answered.
	var whole struct{ Node struct{ Messages []asked } }
	ruth.Must(t, `query($id: ID!) {node(id: $id) {... on AskThread {id title messages {`+strings.Replace(askedFields, "id text", "id text startMs speaker {displayName role}", 1)+`}}}}`, apptest.Vars{"id": thread}, &whole)
	if m := whole.Node.Messages; len(m) != 2 || len(m[0].Sentences[0].Citations[0].Utterances) == 0 {
		t.Errorf("the thread is %+v", m)
	}
	ruth.Must(t, `{askThreads(first: 20) {nodes {id title messages {id question status sentences {text citations {quote session {id}}}}}}}`, nil, nil)

	// Listed, the last first, and deleted with all that is in it.
	var list struct {
		AskThreads struct {
			Nodes      []struct{ ID, Title string }
			TotalCount int
		}
	}
	ruth.Must(t, `{askThreads(first: 5) {nodes {id title} totalCount}}`, nil, &list)
	if n := list.AskThreads; n.TotalCount != 2 || n.Nodes[1].ID != thread || !strings.HasPrefix(n.Nodes[1].Title, "What word") {
		t.Errorf("the threads are %+v", n)
	}
	does(t, ruth, "deleteAskThread", "thread", "id title", apptest.Vars{"id": thread})
	if n := value[int](t, env, `SELECT count(*) FROM ask_messages WHERE id = $1 OR thread_id = $2`, uuid(t, message), uuid(t, thread)); n != 0 {
		t.Errorf("%d questions are left", n)
	}
}

// verbatim checks that every sentence cites, and that what it cites stands in the utterances.
func verbatim(t testing.TB, a asked) {
	t.Helper()
	if len(a.Sentences) == 0 {
		t.Errorf("no sentence in %s", a.brief())
	}
	for i, s := range a.Sentences {
		if s.Index != i || len(s.Citations) == 0 {
			t.Errorf("sentence %d: %+v", i, s)
		}
		for _, c := range s.Citations {
			var text []string
			for _, u := range c.Utterances {
				text = append(text, u.Text)
			}
			if c.Quote == "" || !strings.Contains(strings.Join(text, " "), c.Quote) {
				t.Errorf("%q does not stand in %q", c.Quote, text)
			}
		}
	}
}

// says is a call that answers with a sentence, citing lines of the material.
func says(text string, first, last int, quote string) llmtest.Call {
	b, err := json.Marshal(map[string]any{"text": text, "citations": []any{map[string]any{"first": first, "last": last, "quote": quote}}})
	if err != nil {
		panic(err)
	}
	return llmtest.Call{Tool: "answer_sentence", Arguments: string(b)}
}

// line finds a line of the material by words in it.
func line(r llmtest.Request, words string) llmtest.Line {
	all := r.Lines()
	if i := slices.IndexFunc(all, func(l llmtest.Line) bool { return strings.Contains(l.Text, words) }); i >= 0 {
		return all[i]
	}
	return llmtest.Line{N: -1}
}

// What the asker sees of whatever a model's service does. An answer streams; a sentence that quotes what nobody said is dropped; what cannot be
// answered ends in a state that says why.
func TestAskAtOpenAI(t *testing.T) {
	t.Parallel()
	const quote = "It's not the word I use in my head."
	good := func(r llmtest.Request) llmtest.Answer {
		return llmtest.Answer{Calls: []llmtest.Call{says("She has another word for it.", line(r, quote).N, line(r, quote).N, quote)}, InputTokens: 900, OutputTokens: 40}
	}
	twice := func(r llmtest.Request) []llmtest.Call {
		return []llmtest.Call{good(r).Calls[0], says("It was fine.", line(r, quote).N, line(r, quote).N, "not the word")}
	}
	// Each event is a whole call, after one that begins: the first sentence is out, and the second never comes; the next time all is well.
	interrupted := func(how llmtest.Stop) func(llmtest.Request) llmtest.Answer {
		return func(r llmtest.Request) llmtest.Answer {
			a := llmtest.Answer{Calls: twice(r)}
			if r.N == 1 {
				a.Stop, a.At = how, 3
			}
			return a
		}
	}
	const two = "ANSWERED | She has another word for it. | It was fine."
	const fine = "ANSWERED | She has another word for it."
	for name, tc := range map[string]struct {
		script func(llmtest.Request) llmtest.Answer
		want   string
		asked  int // requests
	}{
		"good": {good, fine, 1},
		"hallucinated": {func(r llmtest.Request) llmtest.Answer {
			a := good(r)
			n := line(r, quote).N
			a.Calls = append([]llmtest.Call{says("She hates it.", n, n, "I hate delegation more than anything."), says("Elsewhere.", n+900, n+900, quote), says("No citation.", n, n, "")}, a.Calls...)
			a.Calls = append(a.Calls, says(`She said “I will resign on Monday”.`, n, n, quote))
			return a
		}, fine + " (4 dropped)", 1},
		"all hallucinated": {func(llmtest.Request) llmtest.Answer {
			return llmtest.Answer{Calls: []llmtest.Call{says("She won a medal.", 0, 0, "I won a medal in Oslo last year.")}}
		}, "ANSWERED insufficient (1 dropped)", 1},
		"no evidence": {func(llmtest.Request) llmtest.Answer {
			return llmtest.Answer{Calls: []llmtest.Call{{Tool: "insufficient_evidence", Arguments: `{}`}}}
		}, "ANSWERED insufficient", 1},
		"malformed arguments": {func(r llmtest.Request) llmtest.Answer {
			a := good(r)
			a.Calls = append([]llmtest.Call{{Tool: "answer_sentence", Arguments: `["no object"]`}, {Tool: "delete_everything", Arguments: `{}`}}, a.Calls...)
			return a
		}, fine + " (2 dropped)", 1},
		"words instead of calls": {func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Text: "Certainly! She says…"} }, "FAILED ASK_REFUSED", 1},
		"refusal":                {func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Refusal: "I cannot help with that."} }, "FAILED ASK_REFUSED", 1},
		"length after a sentence": {func(r llmtest.Request) llmtest.Answer {
			a := good(r)
			a.Calls, a.Finish = append(a.Calls, llmtest.Call{Tool: "answer_sentence", Arguments: `{"text":"and th`}), "length"
			return a
		}, fine, 1},
		"length at once": {func(r llmtest.Request) llmtest.Answer {
			if r.N > 1 {
				return good(r)
			}
			return llmtest.Answer{Calls: []llmtest.Call{{Tool: "answer_sentence", Arguments: `{"text":"and th`}}, Finish: "length"}
		}, fine, 2},
		"busy": {func(llmtest.Request) llmtest.Answer {
			return llmtest.Answer{Status: http.StatusTooManyRequests, RetryAfter: "600"}
		}, "FAILED ASK_UNAVAILABLE", 1},
		"a wrong key": {func(llmtest.Request) llmtest.Answer {
			return llmtest.Answer{Status: http.StatusUnauthorized, RetryAfter: "600"}
		}, "WAITING", 3},
		"drop after a sentence":    {interrupted(llmtest.Drop), two, 2},
		"hang after a sentence":    {interrupted(llmtest.Hang), two, 2},
		"garbage after a sentence": {interrupted(llmtest.Garbage), two, 2},
		"always garbage": {func(r llmtest.Request) llmtest.Answer {
			return llmtest.Answer{Calls: twice(r), Stop: llmtest.Garbage, At: 1}
		}, "FAILED ASK_UNREADABLE", 3},
		"over the limit": {good, "FAILED ASK_SPENDING_LIMIT", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := llmtest.Serve(t, tc.script)
			patience := time.Minute
			if strings.HasPrefix(name, "hang") { // which is waited for
				patience = 3 * time.Second
			}
			env := apptest.Demo(t, atOpenAI(server, func(a *config.Analysis) { a.OpenAITimeout = patience }))
			env.Index(t)
			ruth := env.Login(t, apptest.Coach)
			if name == "over the limit" {
				sql(t, env, `UPDATE organizations SET model_monthly_limit_micros = 1`)
			}
			thread, message := asks(t, ruth, apptest.Vars{"question": "What word does she use in her head for delegation?", "scope": apptest.Vars{"sessionId": amara2.id(t, env)}})
			sub := ruth.Subscribe(t, `subscription($id: ID!) {askEvents(threadId: $id) {__typename cursor ... on AskProgressed {message {`+askedFields+`}} ... on AskSentenceAdded {messageId sentence {`+sentenceFields+`}}}}`, apptest.Vars{"id": thread})
			sub.Next(t)
			for range 3 {
				env.Work(t)
				sql(t, env, `UPDATE jobs SET run_at = now() WHERE kind = 'ask.answer' AND state = 'PENDING'`) // somebody waited
			}
			got := answer(t, ruth, message)
			if n := len(server.Requests()); tc.asked != n {
				t.Errorf("%d requests, want %d", n, tc.asked)
			}
			if got.brief() != tc.want {
				t.Errorf("the asker sees %s, want %s", got.brief(), tc.want)
			}
			if got.Status == "FAILED" && *got.FailureMessage == "" {
				t.Errorf("no words for %s", *got.FailureCode)
			}
			if strings.Contains(env.Log.Tail(100000), "in my head") {
				t.Errorf("words of a conversation are in the log")
			}
		})
	}
}
