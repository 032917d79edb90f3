package app_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

type deadLetters struct {
	DeadLetters struct {
		Nodes []deadLetter
	}
}

type deadLetter struct {
	ID, Kind, ErrorCode, Since string
	EntityID                   *string
	Attempts                   int
}

// dead are those that a person sees, of those that a filter lets through.
func dead(t *testing.T, c *apptest.Client, filter string) []deadLetter {
	t.Helper()
	var out deadLetters
	c.Must(t, `{deadLetters(first: 50, filter: {`+filter+`}) {nodes {id kind entityId attempts errorCode since}}}`, nil, &out)
	return out.DeadLetters.Nodes
}

type settlement struct {
	Done struct {
		Count      *int
		UserErrors []struct{ Code, Field string }
	}
}

// settle replays or discards.
func settle(t *testing.T, c *apptest.Client, how string, ids ...string) (done settlement, code string) {
	t.Helper()
	r := c.Do(t, `mutation($ids: [ID!]!) {done: `+how+`(input: {ids: $ids}) {count userErrors {code field}}}`, apptest.Vars{"ids": ids})
	if code = r.Code(); code == "" {
		r.Into(t, &done)
	}
	return done, code
}

// poison is an analyser that brings down whatever reads a transcript, until it is mended.
type poison struct {
	rules.Analyser
	mended atomic.Bool
}

func (p *poison) Analyse(ctx context.Context, c insight.Conversation, to insight.Report) error {
	if !p.mended.Load() {
		panic("what she said")
	}
	return p.Analyser.Analyse(ctx, c, to)
}

// An analysis that brings down its worker again and again is given up, with either queue, and holds up no other. The owner sees it,
// and has it done once the cause is mended, or forgets it.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for name, sqs := range map[string]bool{"postgres": false, "sqs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &poison{}
			opts := []apptest.Option{apptest.Running(), apptest.AppOptions(app.WithAnalyser(p))}
			if sqs {
				opts = append(opts, newOutside(t).as(config.All))
			}
			env := apptest.Demo(t, opts...)
			oneAttempt(t, env)
			coach, owner, session := env.Login(t, apptest.Coach), env.Login(t, apptest.Owner), amara5.id(t, env)
			file := func(n int) string { return conversation(t) + fmt.Sprintf("\nNOTE copy %d\n", n) }
			var failed []string
			for n := range 3 {
				failed = append(failed, imports(t, coach, session, file(n)))
			}
			three := func() []deadLetter {
				t.Helper()
				var found []deadLetter
				testkit.Eventually(t, 30*time.Second, func() error {
					if found = dead(t, owner, ""); len(found) != 3 {
						return fmt.Errorf("the owner sees %+v", found)
					}
					return nil
				})
				slices.SortFunc(found, func(a, b deadLetter) int {
					return slices.Index(failed, *a.EntityID) - slices.Index(failed, *b.EntityID)
				})
				return found
			}
			found := three()
			for i, d := range found {
				if status := look(t, coach, failed[i]).Transcript.Status; status != "FAILED" {
					t.Errorf("a transcript is %s", status)
				}
				if d.Kind != transcript.JobAnalyse || d.EntityID == nil || *d.EntityID != failed[i] || d.Attempts != 1 || d.ErrorCode != "PANIC" || d.Since == "" {
					t.Errorf("%+v", d)
				}
			}
			for filter, want := range map[string]int{
				`kinds: ["transcript.analyse"]`: 3, `kinds: []`: 0, `kinds: ["transcript.parse"]`: 0, `errorCodes: ["PANIC"], kinds: ["transcript.analyse"]`: 3, `errorCodes: ["TIMEOUT"]`: 0,
				fmt.Sprintf(`entityIds: [%q, %q]`, failed[0], failed[2]): 2,
			} {
				if got := dead(t, owner, filter); len(got) != want {
					t.Errorf("%s finds %d, want %d", filter, len(got), want)
				}
			}
			if got := dead(t, coach, ""); len(got) != 0 {
				t.Errorf("a coach sees %+v", got)
			}

			// What is refused changes nothing.
			for what, try := range map[string]struct {
				who        *apptest.Client
				ids        []string
				code, user string
			}{
				"a coach": {coach, []string{found[0].ID}, "NOT_FOUND", ""}, "another organization": {env.Login(t, apptest.Lumen), []string{found[0].ID}, "NOT_FOUND", ""},
				"one that there is not": {owner, []string{found[0].ID, "deadletter_01h455vb4pex5vsknk084sn02q"}, "NOT_FOUND", ""},
				"none":                  {owner, []string{}, "", "ids"}, "too many": {owner, slices.Repeat([]string{found[0].ID}, 101), "", "ids"},
			} {
				for _, how := range []string{"replayDeadLetters", "discardDeadLetters"} {
					done, code := settle(t, try.who, how, try.ids...)
					if code != try.code || try.user != "" && (len(done.Done.UserErrors) != 1 || done.Done.UserErrors[0].Field != try.user || done.Done.Count != nil) {
						t.Errorf("%s by %s: %s, %+v", how, what, code, done)
					}
				}
			}
			if got := dead(t, owner, ""); len(got) != 3 {
				t.Errorf("afterwards there are %d", len(got))
			}

			// It is replayed too early, and is given up again; then in time.
			if done, code := settle(t, owner, "replayDeadLetters", found[0].ID); code != "" || *done.Done.Count != 1 {
				t.Fatalf("replayed: %s %+v", code, done)
			}
			again := three()
			if _, code := settle(t, owner, "replayDeadLetters", found[0].ID); code != "NOT_FOUND" {
				t.Errorf("replayed twice: %s", code)
			}
			p.mended.Store(true)
			if done, code := settle(t, owner, "discardDeadLetters", again[2].ID, again[2].ID); code != "" || *done.Done.Count != 1 {
				t.Fatalf("discarded: %s %+v", code, done)
			}
			if done, code := settle(t, owner, "replayDeadLetters", again[0].ID, again[1].ID); code != "" || *done.Done.Count != 2 {
				t.Fatalf("replayed: %s %+v", code, done)
			}
			settled(t, env, failed[0])
			settled(t, env, failed[1])
			if got := dead(t, owner, ""); len(got) != 0 {
				t.Errorf("at last there are %+v", got)
			}
			if got := value[string](t, env, `SELECT status FROM transcripts WHERE id = $1`, uuid(t, failed[2])); got != "FAILED" {
				t.Errorf("what was discarded is %s", got)
			}
			if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE kind = 'deadletter'`); n != 4 {
				t.Errorf("%d lines in the trail, want 4", n)
			}
		})
	}
}
