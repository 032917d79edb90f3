package app_test

import (
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
)

// What was asked about somebody who is erased goes with what was answered, also by a first name; what was asked about others stays.
func TestErasureTakesQuestions(t *testing.T) {
	t.Parallel()
	server := llmtest.Serve(t, quotesFirst)
	env := apptest.Demo(t, atOpenAI(server))
	env.Index(t)
	coach, owner := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner)
	her := clientOf(t, env, amara2.id(t, env))
	about, hers := asks(t, coach, apptest.Vars{"question": "What does Amara say about delegating and rewriting?"})
	env.Work(t)
	_, his := asks(t, coach, apptest.Vars{"question": "What is Jonas afraid of?", "threadId": about})
	env.Work(t)
	_, failed := asks(t, coach, apptest.Vars{"question": "Why does Amara rewrite everything?"})
	env.Work(t)
	for _, message := range []string{hers, his, failed} {
		if got := answer(t, coach, message); got.brief() != "ANSWERED | It was said." {
			t.Fatalf("%s is %s: the test says little", got.Question, got.brief())
		}
	}
	sql(t, env, `UPDATE ask_messages SET status = 'FAILED', failure_code = 'ASK_REFUSED' WHERE id = $1`, uuid(t, failed)) // with a part of an answer
	requests := len(server.Requests())
	asked, errs := ask(t, owner, "requestErasure", apptest.Vars{"clientId": her, "confirm": "Amara Okafor"})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	env.Work(t)
	done := requested(t, owner, asked.ID)
	if done.Status != "COMPLETED" || done.counts()["ask_messages"] != 0 { // what others ask is theirs to know
		t.Errorf("the receipt says %s %v", done.Status, done.counts())
	}
	for message, want := range map[string]string{hers: "Erased question WITHDRAWN", failed: "Erased question WITHDRAWN", his: "What is Jonas afraid of? ANSWERED | It was said."} {
		if got := answer(t, coach, message); got.Question+" "+got.brief() != want {
			t.Errorf("%s %s is left, want %s", got.Question, got.brief(), want)
		}
	}
	var out struct{ Node struct{ Title string } }
	if coach.Must(t, `query($id: ID!) {node(id: $id) {... on AskThread {title}}}`, apptest.Vars{"id": about}, &out); out.Node.Title != "Erased question" {
		t.Errorf("the thread is called %q", out.Node.Title)
	}
	does(t, coach, "retryAsk", "message", "status", apptest.Vars{"messageId": failed})
	env.Work(t)
	if n := len(server.Requests()); n != requests {
		t.Errorf("a model is asked %d times more", n-requests)
	}
}
