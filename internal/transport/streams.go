package transport

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/limit"
)

// Streams are the responses that do not end by themselves: WebSockets, and event streams of subscriptions. net/http does not
// wait for the first and waits for ever for the second.
type Streams struct {
	stopping context.Context
	stop     context.CancelFunc
	limit    context.Context // Close's, once stopping
	window   time.Duration   // Close's as well: within which streams are told to end
	open     atomic.Int64
	none     chan struct{} // receives when the last one has ended after stop

	limits   Limits
	tellings *tellings

	mu       sync.Mutex
	signed   map[*signedIn]struct{}
	guards   map[id.UUID]map[*guard]struct{} // by what they are about
	lost     time.Time                       // when somebody may have lost sight of something last
	reviewed time.Time                       // when viewers were last looked at
	joined   chan struct{}                   // receives when somebody has come who may have signed in before that
}

// signedIn is a stream with somebody behind it.
type signedIn struct {
	viewer auth.Viewer
	end    func(Standing)
}

// Standing is what has become of a viewer since a stream was opened.
type Standing int

// What can have become of a viewer.
const (
	Stays   Standing = iota // what they were
	Changed                 // something else: the stream ends, and the client comes back
	Gone                    // nobody: the stream ends, and the client is refused
)

// signIn has a stream known as the viewer's until forget is called. end is called, in a goroutine of its own, when the viewer
// is no longer what they were.
func (s *Streams) signIn(v auth.Viewer, end func(Standing)) (forget func()) {
	in := &signedIn{v, end}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed[in] = struct{}{}
	if time.Since(s.reviewed) < time.Minute {
		select {
		case s.joined <- struct{}{}:
		default:
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.signed, in)
	}
}

// Joined receives when a stream was opened so soon after Viewers that its viewer may have been identified before. Call Viewers
// again then.
func (s *Streams) Joined() <-chan struct{} { return s.joined }

// Viewers returns whose streams are open.
func (s *Streams) Viewers() []auth.Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reviewed = time.Now()
	all := make([]auth.Viewer, 0, len(s.signed))
	for in := range s.signed {
		all = append(all, in.viewer)
	}
	return all
}

// Review ends the streams of those who are no longer what they were.
func (s *Streams) Review(judge func(auth.Viewer) Standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for in := range s.signed {
		if now := judge(in.viewer); now != Stays {
			delete(s.signed, in)
			go in.end(now)
		}
	}
}

// NewStreams returns streams of which none is open.
func NewStreams(limits Limits) *Streams {
	if limits.Limiter == nil {
		limits.Limiter = limit.NewLocal()
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Streams{
		stopping: ctx, stop: stop, none: make(chan struct{}, 1), signed: map[*signedIn]struct{}{}, guards: map[id.UUID]map[*guard]struct{}{}, joined: make(chan struct{}, 1),
		limits: limits, tellings: newTellings(),
	}
}

// Close tells all streams to end, those that begin from now on too, and returns when they have ended, or ctx has. They are told
// one after the other, in no order, so that their clients do not all come back elsewhere in the same instant: some 200 in a
// second, and all within a quarter of the time that there is. Sockets close with 1001, after the queries and mutations under way have been answered; what ctx does not wait for is given up. To
// be called once.
func (s *Streams) Close(ctx context.Context) {
	s.limit = ctx
	s.window = time.Duration(s.open.Load())*5*time.Millisecond + 1
	if end, ok := ctx.Deadline(); ok {
		s.window = min(s.window, max(time.Until(end)/4, 1))
	}
	s.stop()
	for s.open.Load() > 0 {
		select {
		case <-s.none:
		case <-ctx.Done():
			return
		}
	}
}

// begin counts one more stream until end is called; stop is called, in a goroutine of its own, when the stream should end,
// with the context that ends when it must.
func (s *Streams) begin(stop func(limit context.Context)) (end func()) {
	s.open.Add(1)
	left := make(chan struct{})
	forget := context.AfterFunc(s.stopping, func() {
		select {
		case <-time.After(rand.N(s.window)):
			stop(s.limit)
		case <-left:
		}
	})
	return func() {
		close(left)
		forget()
		if s.open.Add(-1) == 0 && s.stopping.Err() != nil {
			select {
			case s.none <- struct{}{}:
			default:
			}
		}
	}
}
