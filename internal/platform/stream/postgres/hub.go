package pgstream

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// A topic has one reader, which lives as long as it has subscribers.
//
// Locks: Stream.mu before topic.mu before subscription.mu.
type topic struct {
	stream *Stream
	key    key
	secret stream.Key
	stop   context.CancelFunc
	wake   chan struct{} // holds one token when there is something below to look at

	mu       sync.Mutex
	position int64 // what every subscriber has been handed; only the reader changes it
	subs     map[*subscription]struct{}
	fresh    []stream.Entry // arrived, beyond position
	upTo     int64          // there are events up to this one
	look     bool           // the table knows more, perhaps
}

// poke has the reader look into the table.
func (t *topic) poke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look = true
	t.rouse()
}

func (t *topic) rouse() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// reached says that there are events up to n.
func (t *topic) reached(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n > max(t.position, t.upTo) {
		t.upTo = n
		t.rouse()
	}
}

// stands is reached, from the table itself: which has lost something if it knows less.
func (t *topic) stands(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n != t.position {
		t.look = true
		t.rouse()
	}
}

func (t *topic) arrived(e stream.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.N <= t.position {
		return
	}
	t.upTo = max(t.upTo, e.N)
	if len(t.fresh) < t.stream.buffer { // else, that is while the table cannot be read, it is read once more
		t.fresh = append(t.fresh, e)
	}
	t.rouse()
}

// next takes what has arrived and comes after position without a gap, and says whether the table has to be asked for the rest.
func (t *topic) next() (page []event, look bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortFunc(t.fresh, func(a, b stream.Entry) int { return cmp.Compare(a.N, b.N) })
	at := t.position
	for _, e := range t.fresh {
		if e.N == at+1 {
			at = e.N
			page = append(page, event{e.N, stream.Delivery{Event: e.Event, Cursor: t.secret.Cursor(t.key.name, e.N), At: e.At}})
		}
	}
	look = t.look || at < t.upTo
	t.fresh, t.look = nil, false
	return page, look
}

// run hands out what is new whenever it is woken, until ctx ends.
func (t *topic) run(ctx context.Context) {
	const firstPause, lastPause = 20 * time.Millisecond, 5 * time.Second
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		}
		page, look := t.next()
		t.hand(page)
		for look {
			page, err := t.stream.read(ctx, t.key, t.position)
			var known *fault.Error
			switch {
			case ctx.Err() != nil:
				return
			case errors.As(err, &known):
				// The table has lost what comes next, or went back in time. Every subscriber has to start anew.
				t.fail(stream.ErrWindowLost)
				return
			case err != nil:
				t.stream.log.WarnContext(ctx, "reading a stream failed", "org", t.key.org, "topic", t.key.name,
					"error", err, "retry_in", pause)
				sleep(ctx, pause/2+rand.N(pause))
				pause = min(2*pause, lastPause)
				continue
			}
			pause = firstPause
			t.hand(page)
			look = len(page) == pageSize
		}
	}
}

// hand gives page to every subscriber and lets go of those who are too slow for it.
func (t *topic) hand(page []event) {
	if len(page) == 0 {
		return
	}
	var slow []*subscription
	t.mu.Lock()
	t.position = page[len(page)-1].n
	for sub := range t.subs {
		if !sub.push(page) {
			slow = append(slow, sub)
		}
	}
	t.mu.Unlock()
	for _, sub := range slow {
		sub.end(stream.ErrSlow)
	}
}

// fail retires the topic, so that whoever joins from now on gets a new reader, and ends its subscriptions.
func (t *topic) fail(err error) {
	t.stream.mu.Lock()
	delete(t.stream.topics, t.key)
	t.mu.Lock()
	subs := slices.Collect(maps.Keys(t.subs))
	t.mu.Unlock()
	t.stream.mu.Unlock()
	for _, sub := range subs {
		sub.end(err)
	}
}

// join adds sub to its topic's reader and returns the position from which the reader will hand events to it. A subscriber
// that is not there yet fetches what lies between by itself. Without a reader, one starts at the subscriber's position.
func (s *Stream) join(sub *subscription, position int64) (*topic, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[sub.key]
	if t == nil {
		t = &topic{
			stream:   s,
			key:      sub.key,
			secret:   sub.secret,
			wake:     make(chan struct{}, 1),
			position: position,
			subs:     map[*subscription]struct{}{},
		}
		ctx, stop := context.WithCancel(s.ctx)
		t.stop = stop
		t.poke() // what has arrived so far was not for us
		s.topics[sub.key] = t
		if s.ctx.Err() == nil {
			s.running.Go(func() { t.run(ctx) })
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs[sub] = struct{}{}
	return t, t.position
}

// leave undoes join. The last one stops the reader.
func (s *Stream) leave(t *topic, sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.subs, sub)
	if len(t.subs) == 0 {
		t.stop()
		if s.topics[t.key] == t {
			delete(s.topics, t.key)
		}
	}
}

// subscription is first ahead of the reader's knowledge and pulls pages from the table, then joins the reader, fetches the
// few events between, and from there on is handed what it gets.
type subscription struct {
	stream *Stream
	key    key
	secret stream.Key
	ctx    context.Context // Subscribe's
	arrive chan struct{}   // holds one token when events were handed over
	ended  chan struct{}

	// Of the goroutine that calls Next.
	position int64 // of the last event returned
	cursor   stream.Cursor
	page     []event // to be returned next, where beyond position
	live     bool    // has joined
	joinedAt int64   // the reader hands over what comes after this

	mu      sync.Mutex
	topic   *topic   // once joined
	queue   []*event // handed over, shared with other subscribers
	err     error    // why it ended
	release func() bool
}

// Next implements stream.Subscription.
func (sub *subscription) Next(ctx context.Context) (stream.Delivery, error) {
	const firstPause, lastPause = 20 * time.Millisecond, 5 * time.Second
	pause := firstPause
	for {
		if err := sub.over(ctx); err != nil {
			return stream.Delivery{}, err
		}
		for len(sub.page) > 0 {
			e := sub.page[0]
			sub.page = sub.page[1:]
			if e.n > sub.position {
				sub.position, sub.cursor = e.n, e.Cursor
				return e.Delivery, nil
			}
		}
		if sub.live && sub.position >= sub.joinedAt {
			if e := sub.take(); e != nil {
				sub.position, sub.cursor = e.n, e.Cursor
				return e.Delivery, nil
			}
			select {
			case <-sub.arrive:
			case <-sub.ended:
			case <-sub.stream.ctx.Done():
			case <-ctx.Done():
			}
			continue
		}
		err := sub.turnPage(ctx)
		var known *fault.Error
		switch {
		case err == nil:
			pause = firstPause
		case errors.As(err, &known):
			sub.end(stream.ErrWindowLost)
		case sub.over(ctx) == nil:
			sub.stream.log.WarnContext(ctx, "reading a stream failed", "org", sub.key.org, "topic", sub.key.name,
				"error", err, "retry_in", pause)
			select {
			case <-time.After(pause/2 + rand.N(pause)):
			case <-sub.ended:
			case <-sub.stream.ctx.Done():
			case <-ctx.Done():
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// over says whether Next must not go on, and why.
func (sub *subscription) over(ctx context.Context) error {
	select {
	case <-sub.ended:
		sub.mu.Lock()
		defer sub.mu.Unlock()
		return sub.err
	default:
	}
	if err := sub.ctx.Err(); err != nil {
		return err
	}
	if sub.stream.ctx.Err() != nil {
		return stream.ErrClosed
	}
	return ctx.Err()
}

// turnPage fetches the next page from the table. If that is the last one it joins the reader, and if the reader is
// further already, the next calls fetch what lies between.
func (sub *subscription) turnPage(ctx context.Context) error {
	page, err := sub.stream.read(ctx, sub.key, sub.position)
	if err != nil {
		return err
	}
	last, at := len(page) < pageSize, sub.position
	if len(page) > 0 {
		at = page[len(page)-1].n
	}
	sub.page = latest(page)
	if !sub.live && last {
		sub.join(at)
	}
	return nil
}

func (sub *subscription) join(position int64) {
	t, at := sub.stream.join(sub, position)
	sub.live, sub.joinedAt = true, at
	sub.mu.Lock()
	sub.topic = t
	ended := sub.err != nil
	sub.mu.Unlock()
	if ended { // before it could know what to leave
		sub.stream.leave(t, sub)
	}
}

// latest is page without the events that a later one in it makes superfluous.
func latest(page []event) []event {
	seen := map[string]bool{}
	for i := len(page) - 1; i >= 0; i-- {
		switch key := page[i].Key; {
		case key == "":
		case seen[key]:
			page = slices.Delete(page, i, i+1)
		default:
			seen[key] = true
		}
	}
	return page
}

// take takes over the next event that was handed to sub, nil if there is none.
func (sub *subscription) take() *event {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for len(sub.queue) > 0 {
		e := sub.queue[0]
		sub.queue[0] = nil
		sub.queue = sub.queue[1:]
		if e.n > sub.position {
			return e
		}
	}
	sub.queue = nil // a long one is not kept for ever
	return nil
}

// push hands a page to sub, and takes back what is superfluous by it. It is false if sub has not even taken enough of what was handed to it
// before.
func (sub *subscription) push(page []event) bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	waiting := len(sub.queue)
	for i := range page {
		e := &page[i]
		if e.Key != "" {
			sub.queue = slices.DeleteFunc(sub.queue, func(w *event) bool { return w.Key == e.Key })
		}
		sub.queue = append(sub.queue, e)
	}
	if waiting >= sub.stream.buffer && len(sub.queue) > waiting {
		return false
	}
	select {
	case sub.arrive <- struct{}{}:
	default:
	}
	return true
}

// end ends sub for the given reason, unless it has ended already.
func (sub *subscription) end(reason error) {
	sub.mu.Lock()
	if sub.err != nil {
		sub.mu.Unlock()
		return
	}
	sub.err = reason
	sub.queue = nil
	t, release := sub.topic, sub.release
	close(sub.ended)
	sub.mu.Unlock()
	if release != nil {
		release() // the context may live on for long
	}
	if t != nil {
		sub.stream.leave(t, sub)
	}
}

// Cursor implements stream.Subscription.
func (sub *subscription) Cursor() stream.Cursor { return sub.cursor }

// Close implements stream.Subscription.
func (sub *subscription) Close() { sub.end(stream.ErrClosed) }

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
