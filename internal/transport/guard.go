package transport

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// guard watches over the right to one subscription.
type guard struct {
	ctx   context.Context // the subscription's
	check func(context.Context) error
	end   func(Standing) // the stream that carries it
}

// bearer is the stream that carries an operation.
type bearer struct {
	streams *Streams
	end     func(Standing)
}

type bearerKey struct{}

func carriedBy(ctx context.Context, s *Streams, end func(Standing)) context.Context {
	return context.WithValue(ctx, bearerKey{}, bearer{s, end})
}

// Guard has check asked, for as long as the subscription of ctx lasts, whenever the viewer may have lost sight of one of the things that it
// is about. If check says NOT_FOUND or FORBIDDEN the stream that carries the subscription ends as that of a viewer who is nobody any more; what
// else goes wrong is no answer, and check is asked again. A resolver calls Guard once the subscription is open; outside of a stream
// it does nothing.
func Guard(ctx context.Context, about []id.UUID, check func(context.Context) error) {
	b, ok := ctx.Value(bearerKey{}).(bearer)
	if !ok {
		return
	}
	g := &guard{ctx, check, b.end}
	if b.streams.guard(about, g) { // it may have been lost between the first look and now
		go g.look()
	}
	context.AfterFunc(ctx, func() { b.streams.unguard(about, g) })
}

// Forbid ends the stream that carries the subscription of ctx as that of a viewer who is nobody any more, and returns when it is over; false outside of
// a stream. It is for a source that finds out by itself, before Guard's check does, that the right to it is lost.
func Forbid(ctx context.Context) bool {
	b, ok := ctx.Value(bearerKey{}).(bearer)
	if ok {
		go b.end(Gone)
		<-ctx.Done()
	}
	return ok
}

// justNow is how long ago something may have been looked at that has not been seen by who has begun meanwhile.
const justNow = 5 * time.Second

// guard adds g, and says whether anything was lost just now.
func (s *Streams) guard(about []id.UUID, g *guard) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, thing := range about {
		if s.guards[thing] == nil {
			s.guards[thing] = map[*guard]struct{}{}
		}
		s.guards[thing][g] = struct{}{}
	}
	return time.Since(s.lost) < justNow
}

func (s *Streams) unguard(about []id.UUID, g *guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, thing := range about {
		delete(s.guards[thing], g)
		if len(s.guards[thing]) == 0 {
			delete(s.guards, thing)
		}
	}
}

// Lost has the right to each subscription looked at that is about one of the things, or, without any, to all of them; and returns when that is
// done.
func (s *Streams) Lost(things ...id.UUID) {
	concerned := map[*guard]struct{}{}
	s.mu.Lock()
	if len(things) > 0 || len(s.guards) > 0 {
		s.lost = time.Now()
	}
	if len(things) == 0 {
		for thing := range s.guards {
			things = append(things, thing)
		}
	}
	for _, thing := range things {
		for g := range s.guards[thing] {
			concerned[g] = struct{}{}
		}
	}
	s.mu.Unlock()
	var looking errgroup.Group
	looking.SetLimit(4) // of the connections to the database that others wait for
	for g := range concerned {
		looking.Go(func() error { g.look(); return nil })
	}
	_ = looking.Wait() // none fails
}

// look asks until there is an answer.
func (g *guard) look() {
	for pause := 50 * time.Millisecond; g.ctx.Err() == nil; pause = min(2*pause, 5*time.Second) {
		err := g.check(g.ctx)
		if err == nil {
			return
		}
		if kind := fault.KindOf(err); kind == fault.KindNotFound || kind == fault.KindForbidden {
			if g.ctx.Err() == nil {
				go g.end(Gone)
			}
			return
		}
		select {
		case <-g.ctx.Done():
		case <-time.After(pause):
		}
	}
}
