package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/testkit"
)

// patience is how long a test waits for what must come. Nothing waits for it to pass unless something is wrong.
const patience = 20 * time.Second

// fields are the root fields of the test's schema, and what they answer.
type fields map[string]func(ctx context.Context) graphql.ResponseHandler

var schema = gqlparser.MustLoadSchema(&ast.Source{Input: `
	type Query { hello(name: String): String  slow: String  broken: String }
	type Mutation { change: String }
	type Subscription { count: Int!  forever: Int!  failing: Int!  refused: Int!  told(as: String): Told }
	type Told { words(long: Boolean): String }`})

// Schema implements graphql.ExecutableSchema.
func (fields) Schema() *ast.Schema { return schema }

// Complexity implements graphql.ExecutableSchema.
func (fields) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

// Exec implements graphql.ExecutableSchema.
func (f fields) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx).Operation
	return f[op.SelectionSet[0].(*ast.Field).Name](ctx)
}

// data answers data.
func data(text string) func(context.Context) graphql.ResponseHandler {
	return func(context.Context) graphql.ResponseHandler {
		return graphql.OneShot(&graphql.Response{Data: json.RawMessage(text)})
	}
}

// each answers what comes out of a channel that produce writes to, as generated code does.
func each(produce func(ctx context.Context, out chan<- string)) func(context.Context) graphql.ResponseHandler {
	return func(ctx context.Context) graphql.ResponseHandler {
		out := make(chan string)
		go func() { defer close(out); produce(ctx, out) }()
		return func(ctx context.Context) *graphql.Response {
			select {
			case data, ok := <-out:
				if !ok {
					return nil
				}
				return &graphql.Response{Data: json.RawMessage(data)}
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// emit writes until ctx ends.
func emit(ctx context.Context, out chan<- string, data string) bool {
	select {
	case out <- data:
		return true
	case <-ctx.Done():
		return false
	}
}

// standard is a field of each kind.
func standard() fields {
	return fields{
		"hello":  data(`{"hello":"you"}`),
		"change": data(`{"change":"done"}`),
		"broken": func(context.Context) graphql.ResponseHandler { panic("marzipan") },
		"count": each(func(ctx context.Context, out chan<- string) {
			_ = emit(ctx, out, `{"count":1}`) && emit(ctx, out, `{"count":2}`)
		}),
		"forever": each(func(ctx context.Context, out chan<- string) {
			for emit(ctx, out, `{"forever":1}`) {
			}
		}),
		"failing": each(func(ctx context.Context, out chan<- string) {
			if emit(ctx, out, `{"failing":1}`) {
				Fail(ctx, fault.Limited("too slow"))
				Fail(ctx, fault.Limited("the second reason"))
			}
		}),
		"refused": func(ctx context.Context) graphql.ResponseHandler {
			graphql.AddError(ctx, fault.NotFound("it"))
			return func(context.Context) *graphql.Response { return nil }
		},
	}
}

// server is a server of the fields, with both transports.
type server struct {
	*httptest.Server
	streams *Streams
	log     *testkit.Log
}

func serve(t *testing.T, f fields, change ...func(*WebSocket, *HTTP)) server {
	t.Helper()
	streams, log := NewStreams(Limits{}), &testkit.Log{}
	ws := &WebSocket{SignIn: signIn, Streams: streams, MaxMessage: 1000, MaxSubscriptions: 3, Log: slog.New(slog.NewTextHandler(log, nil))}
	web := &HTTP{Streams: streams}
	for _, c := range change {
		c(ws, web)
	}
	h := handler.New(f)
	h.SetRecoverFunc(func(context.Context, any) error { return errors.New("it broke") })
	h.AddTransport(ws)
	h.AddTransport(web)
	s := server{httptest.NewServer(viewers(h)), streams, log}
	t.Cleanup(func() {
		if streams.stopping.Err() == nil {
			go streams.Close(context.Background())
		}
		testkit.Eventually(t, patience, streams.ended)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// ended says whether no stream is left.
func (s *Streams) ended() error {
	if n := s.open.Load(); n > 0 {
		return fmt.Errorf("%d streams are open", n)
	}
	return nil
}

func signIn(ctx context.Context, payload map[string]any) (auth.Viewer, error) {
	switch payload["token"] {
	case "bad":
		return auth.Viewer{}, fault.Unauthenticated("who are you?")
	case "unlucky":
		return auth.Viewer{}, context.DeadlineExceeded
	case "slow":
		<-ctx.Done()
		return auth.Viewer{}, ctx.Err()
	case "panic":
		panic("marzipan")
	case "brief":
		return auth.Viewer{Until: time.Now().Add(50 * time.Millisecond)}, nil
	}
	return auth.Viewer{}, nil
}

// A resolver may fail while its client leaves: neither may see the other half-way.
func TestFailWhileLeaving(t *testing.T) {
	t.Parallel()
	exec := executor(fields{"failing": each(func(ctx context.Context, _ chan<- string) { Fail(ctx, fault.Limited("too slow")) })})
	for range 500 {
		ctx, leave := context.WithCancel(t.Context())
		op, errs := exec.CreateOperationContext(graphql.StartOperationTrace(ctx), &graphql.RawParams{Query: `subscription {failing}`})
		if errs != nil {
			t.Fatal(errs)
		}
		go leave()
		refused := execute(ctx, exec, op, func(result) { t.Error("a result") })
		if refused != nil && !strings.Contains(refused.Error(), "too slow") {
			t.Errorf("got %v", refused)
		}
	}
	Fail(t.Context(), fault.Limited("outside of a subscription")) // does nothing
}

// executor is the one that a handler has inside.
func executor(f fields) graphql.GraphExecutor {
	var exec graphql.GraphExecutor
	h := handler.New(f)
	h.AddTransport(thief(func(e graphql.GraphExecutor) { exec = e }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	return exec
}

type thief func(graphql.GraphExecutor)

// Supports implements graphql.Transport.
func (thief) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (f thief) Do(_ http.ResponseWriter, _ *http.Request, exec graphql.GraphExecutor) { f(exec) }

// Who is sent away comes back elsewhere, and not with all others at once.
func TestDrainIsSpread(t *testing.T) {
	t.Parallel()
	streams := NewStreams(Limits{})
	const n = 60
	told := make(chan time.Time, n)
	for range n {
		var end func()
		begun := make(chan struct{})
		end = streams.begin(func(context.Context) {
			<-begun
			told <- time.Now()
			end()
		})
		close(begun)
	}
	limit, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	streams.Close(limit)
	close(told)
	first := <-told
	last := first
	for at := range told {
		last = at
	}
	if limit.Err() != nil || last.Sub(first) < 100*time.Millisecond {
		t.Errorf("all within %s", last.Sub(first))
	}
}

// One that leaves by itself is not waited for.
func TestDrainWaitsForNobodyWhoHasLeft(t *testing.T) {
	t.Parallel()
	streams := NewStreams(Limits{})
	for range 1000 {
		defer streams.begin(func(context.Context) {})()
	}
	limit, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
	defer cancel()
	streams.Close(limit)
	if streams.window > 10*time.Millisecond {
		t.Errorf("streams end within %s of 40 ms", streams.window)
	}
}

// Nobody holds more than their share, in their organization nor by themselves, and what is closed can be opened again.
func TestShares(t *testing.T) {
	t.Parallel()
	one, two := id.UUID{1}, id.UUID{2}
	l := NewStreams(Limits{Streams: Share{User: 2, Organization: 3}}).limits
	take := func(org, user id.UUID) (func(), error) {
		return l.stream(t.Context(), auth.Viewer{Org: org, User: user})
	}
	must := func(give func(), err error) func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return give
	}
	refused := func(org, user id.UUID, whose string) {
		t.Helper()
		if _, err := take(org, user); fault.KindOf(err) != fault.KindLimited || !strings.Contains(err.Error(), whose) || fault.RetryAfter(err) == 0 {
			t.Errorf("got %v", err)
		}
	}
	first := must(take(one, one))
	must(take(one, one))
	refused(one, one, "a person")
	other := must(take(one, two))
	refused(one, two, "an organization")
	must(take(two, one)) // the same person elsewhere
	first()
	must(take(one, two))
	refused(one, one, "an organization")
	other()
	must(take(one, one))
	if _, err := l.subscription(t.Context(), auth.Viewer{}); err != nil {
		t.Error(err)
	}
}
