package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/testkit"
)

// thing is an event, with what its listener may see of it.
type thing struct {
	n  int
	as string
}

// tape feeds a subscription with things.
type tape struct {
	ctx  context.Context
	as   string
	in   <-chan int
	out  chan thing
	next *thing
}

// Wait implements Feeder.
func (f *tape) Wait() any {
	f.next = nil
	select {
	case n, ok := <-f.in:
		if ok {
			f.next = &thing{n, f.as}
			return *f.next
		}
	case <-f.ctx.Done():
	}
	return nil
}

// Hand implements Feeder.
func (f *tape) Hand() {
	if f.next == nil {
		close(f.out)
		return
	}
	f.out <- *f.next
}

// theatre is a schema's field told, as generated code would execute it.
type theatre struct {
	executed atomic.Int64
	personal bool // asks who asks

	mu    sync.Mutex
	tapes []chan int
}

func (s *theatre) told(ctx context.Context) graphql.ResponseHandler {
	as, _ := graphql.GetOperationContext(ctx).Variables["as"].(string)
	in := make(chan int, 100)
	f := &tape{ctx: ctx, as: as, in: in, out: make(chan thing, 1)}
	Feed(ctx, f)
	s.mu.Lock()
	s.tapes = append(s.tapes, in)
	s.mu.Unlock()
	return func(ctx context.Context) *graphql.Response {
		e, ok := <-f.out
		if !ok {
			return nil
		}
		s.executed.Add(1)
		if _, err := auth.FromContext(ctx); s.personal && err != nil {
			graphql.AddError(ctx, err)
			return &graphql.Response{Data: json.RawMessage(`{"told":null}`)}
		} else if !s.personal && err == nil {
			panic("an answer to everybody is made for somebody")
		}
		return &graphql.Response{Data: json.RawMessage(fmt.Sprintf(`{"told":"%d, %s"}`, e.n, e.as))}
	}
}

// play has events happen, and each tape end after them.
func (s *theatre) play(events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.tapes {
		for n := range events {
			in <- n
		}
		close(in)
	}
}

// listen opens a socket for each of those listeners, has events happen, and checks that each hears what it may, once and in order.
func (s *theatre) listen(t *testing.T, events int, as []string, query ...string) {
	t.Helper()
	server := serve(t, fields{"told": s.told})
	sockets := make([]*client, len(as))
	for i, who := range as {
		sockets[i] = connect(t, server)
		sockets[i].send(fmt.Sprintf(`{"id":"s\"%d","type":"subscribe","payload":{"query":%q,"variables":{"as":%q,"long":%t}}}`, i, query[i%len(query)], who, i%3 == 0))
		sockets[i].send(ping) // is answered when the subscription has begun, or soon will have
		sockets[i].want(`{"type":"pong"}`)
	}
	await(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.tapes) == len(as) })
	s.play(events)
	for i, who := range as {
		for n := range events {
			sockets[i].want(fmt.Sprintf(`{"id":"s\"%d","type":"next","payload":{"data":{"told":"%d, %s"}}}`, i, n, who))
		}
		sockets[i].want(fmt.Sprintf(`{"id":"s\"%d","type":"complete"}`, i))
	}
}

// Who asks the same of equal events has them executed once; and nobody gets what somebody with other rights does, though they ask the same.
func TestEqualEventsAreToldOnce(t *testing.T) {
	t.Parallel()
	as := []string{}
	for range 6 {
		as = append(as, "coach", "coach", "client", "client")
	}
	for name, c := range map[string]struct {
		queries []string
		each    int64 // executions an event
	}{
		"one question":                {[]string{`subscription($as: String) {told(as: $as) {words}}`}, 2},
		"two":                         {[]string{`subscription($as: String) {told(as: $as) {words}}`, `subscription($as: String) {told(as: $as) {more: words}}`}, 4},
		"a variable of the selection": {[]string{`subscription($as: String, $long: Boolean) {told(as: $as) {...F}} fragment F on Told {words(long: $long)}`}, 4},
		"a directive":                 {[]string{`subscription($as: String, $long: Boolean!) {told(as: $as) {words @include(if: $long)}}`}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &theatre{}
			s.listen(t, 5, as, c.queries...)
			if n := s.executed.Load(); n != 5*c.each {
				t.Errorf("%d executions of 5 events, want %d", n, 5*c.each)
			}
		})
	}
}

// What cannot be answered without knowing who asks is executed for each of them, after one try.
func TestPersonalAnswersAreNotShared(t *testing.T) {
	t.Parallel()
	s := &theatre{personal: true}
	s.listen(t, 3, []string{"coach", "coach", "coach", "coach"}, `subscription($as: String) {told(as: $as) {words}}`)
	if n := s.executed.Load(); n != 3*(1+4) {
		t.Errorf("%d executions", n)
	}
}

// An answer that panics takes nobody with it but its own listeners.
func TestSharedAnswersThatPanic(t *testing.T) {
	t.Parallel()
	exploding := func(ctx context.Context) graphql.ResponseHandler {
		in := make(chan int, 1)
		in <- 1
		f := &tape{ctx: ctx, in: in, out: make(chan thing, 1)}
		Feed(ctx, f)
		return func(context.Context) *graphql.Response { <-f.out; panic("marzipan") }
	}
	c := connect(t, serve(t, fields{"told": exploding, "hello": data(`{"hello":"you"}`)}))
	c.send(`{"id":"2","type":"subscribe","payload":{"query":"subscription {told {words}}"}}`)
	c.want(`{"id":"2","type":"error","payload":[{"message":"it broke"}]}`)
	c.send(hello)
	c.want(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`, `{"id":"1","type":"complete"}`)
}

func await(t *testing.T, is func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if !is() {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}
