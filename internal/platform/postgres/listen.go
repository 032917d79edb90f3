package postgres

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A Listener shares one LISTEN connection among all who wait for notifications in this process.
//
// A notification is a hint, never the message: PostgreSQL forgets it if nobody is connected. So a subscriber keeps its
// state in a table, reads the table whenever it is woken, and is also woken, with the empty payload, whenever
// notifications may have been missed.
type Listener struct {
	conf *pgxpool.Config
	log  *slog.Logger
	stop context.CancelFunc
	done chan struct{}

	mu        sync.Mutex
	closed    bool
	subs      map[string]map[*subscription]struct{} // by channel; never an empty set
	interrupt context.CancelFunc                    // ends the current wait, because subs has changed
}

type subscription struct{ wake chan string }

const (
	// A subscriber that is this many notifications behind is told once that it missed some, instead of all of them.
	backlog = 64
	// A connection whose other end has vanished without a word looks like a quiet one. Ask after this long.
	quietFor = 30 * time.Second

	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Listen starts a listener on a connection of its own to pool's database. It runs, reconnecting as often as needed,
// until ctx ends or Close is called. log tells of lost connections and never of payloads.
func Listen(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) *Listener {
	ctx, stop := context.WithCancel(ctx)
	l := &Listener{
		conf: pool.Config(),
		log:  log,
		stop: stop,
		done: make(chan struct{}),
		subs: map[string]map[*subscription]struct{}{},
	}
	l.conf.ConnConfig.RuntimeParams["application_name"] += " listener"
	go l.run(ctx)
	return l
}

// Subscribe wakes the caller for every notification on channel, with its payload. The empty payload means "look at
// everything": it is sent at once, again from the moment on that no notification can be missed, after each reconnect,
// and to a subscriber who fell far behind. The returned channel is closed by cancel (which may be called more than once) and
// when the listener ends; subscribing to an ended listener gives a closed channel.
func (l *Listener) Subscribe(channel string) (wake <-chan string, cancel func()) {
	s := &subscription{wake: make(chan string, backlog)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		close(s.wake)
		return s.wake, func() {}
	}
	if l.subs[channel] == nil {
		l.subs[channel] = map[*subscription]struct{}{}
		l.interruptLocked()
	}
	l.subs[channel][s] = struct{}{}
	s.wake <- ""
	return s.wake, func() { l.unsubscribe(channel, s) }
}

func (l *Listener) unsubscribe(channel string, s *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.subs[channel][s]; !ok {
		return
	}
	close(s.wake)
	delete(l.subs[channel], s)
	if len(l.subs[channel]) == 0 {
		delete(l.subs, channel)
		l.interruptLocked()
	}
}

func (l *Listener) interruptLocked() {
	if l.interrupt != nil {
		l.interrupt()
	}
}

// Close ends the listener, closes all subscribers' channels and returns when its connection is closed.
func (l *Listener) Close() {
	l.stop()
	<-l.done
}

func (l *Listener) run(ctx context.Context) {
	defer close(l.done)
	defer l.stop()
	defer l.closeAll()
	backoff := firstBackoff
	for {
		connected, err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			backoff = firstBackoff
		}
		// Jitter, so that all servers do not come back in the same instant.
		pause := backoff/2 + rand.N(backoff)
		l.log.WarnContext(ctx, "listen connection lost", "error", err, "retry_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

func (l *Listener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, set := range l.subs {
		for s := range set {
			close(s.wake)
		}
	}
	clear(l.subs)
}

// session connects, and delivers until the connection is lost.
func (l *Listener) session(ctx context.Context) (connected bool, err error) {
	conf := l.conf.ConnConfig.Copy()
	if err := l.conf.BeforeConnect(ctx, conf); err != nil {
		return false, err
	}
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // says goodbye if it can; the socket is closed in any case
	}()
	listening := map[string]bool{}
	for {
		n, err := l.next(ctx, conn, listening)
		if err != nil {
			return true, err
		}
		if n != nil {
			l.deliver(n.Channel, n.Payload)
		}
	}
}

// next makes conn listen to what is subscribed and waits for a notification. It returns (nil, nil) when it is time to
// look at the subscriptions again.
func (l *Listener) next(ctx context.Context, conn *pgx.Conn, listening map[string]bool) (*pgconn.Notification, error) {
	wait, interrupt := context.WithTimeout(ctx, quietFor)
	defer interrupt()
	start, end := l.plan(listening, interrupt)
	for _, channel := range start {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return nil, err
		}
		listening[channel] = true
		l.deliver(channel, "")
	}
	for _, channel := range end {
		if _, err := conn.Exec(ctx, "UNLISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return nil, err
		}
		delete(listening, channel)
	}
	n, err := conn.WaitForNotification(wait)
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil || conn.IsClosed() || wait.Err() == nil:
		return nil, err
	case wait.Err() == context.DeadlineExceeded:
		ping, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return nil, conn.Ping(ping)
	default: // interrupted
		return nil, nil
	}
}

// plan tells which channels to begin and to end listening to, and arranges that later changes call interrupt.
func (l *Listener) plan(listening map[string]bool, interrupt context.CancelFunc) (start, end []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interrupt = interrupt
	for channel := range l.subs {
		if !listening[channel] {
			start = append(start, channel)
		}
	}
	for channel := range listening {
		if l.subs[channel] == nil {
			end = append(end, channel)
		}
	}
	return start, end
}

// deliver never blocks: one slow subscriber must not hold up the others.
func (l *Listener) deliver(channel, payload string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.subs[channel] {
		select {
		case s.wake <- payload:
			continue
		default:
		}
		for emptied := false; !emptied; {
			select {
			case <-s.wake:
			default:
				emptied = true
			}
		}
		s.wake <- "" // cannot block: only deliver sends, under the lock
	}
}
