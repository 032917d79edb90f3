package audit

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Reads are what one response shows of what must not be read unnoticed. A thing is written down once, with the names of
// all that was shown of it, however many fields, lists and fragments lead to it.
type Reads struct {
	mu      sync.Mutex
	entries []read
	places  map[place]int
}

type place struct {
	kind   string
	entity id.UUID
}

type read struct {
	viewer auth.Viewer
	Entry
}

type readsKey struct{}

// WithReads returns a context in which Read gathers, for one response.
func WithReads(ctx context.Context) (context.Context, *Reads) {
	r := &Reads{}
	return context.WithValue(ctx, readsKey{}, r), r
}

// Read says that a viewer is being shown something. A domain calls it where the rows come from, after the scope, so that no
// way to them goes round it. Outside a response, where nobody is shown anything, it does nothing.
func Read(ctx context.Context, v auth.Viewer, e Entry) {
	r, ok := ctx.Value(readsKey{}).(*Reads)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := place{e.Kind, e.ID}
	i, known := r.places[at]
	if !known {
		if r.places == nil { // most responses show nothing that is gathered
			r.places = map[place]int{}
		}
		r.places[at] = len(r.entries)
		r.entries = append(r.entries, read{v, e})
		return
	}
	for _, f := range e.Fields {
		if !slices.Contains(r.entries[i].Fields, f) {
			r.entries[i].Fields = append(slices.Clip(r.entries[i].Fields), f)
		}
	}
}

// ReadLog writes down what responses show, before they are sent: nobody sees words of which the trail does not say so. Responses of one
// moment are written together, so that they wait for one commit and not for one another.
type ReadLog struct {
	db  *pgxpool.Pool
	log *slog.Logger

	mu      sync.Mutex
	changed *sync.Cond
	waiting []line
	added   int // lines ever
	written int // of them
	closed  bool
	done    chan struct{}
}

// line is a row of audit_events on its way.
type line struct {
	ID      id.UUID   `json:"id"`
	Org     id.UUID   `json:"org"`
	At      time.Time `json:"at"`
	Actor   id.UUID   `json:"actor"`
	Request string    `json:"request"`
	Action  string    `json:"action"`
	Kind    string    `json:"kind"`
	Entity  id.UUID   `json:"entity"`
	Client  *id.UUID  `json:"client"`
	Fields  []string  `json:"fields"`
}

const (
	mostWritten  = 1_000           // lines in one statement
	lastPatience = 5 * time.Second // for what waits when the process ends
)

// NewReadLog returns a ReadLog that works until it is closed.
func NewReadLog(db *pgxpool.Pool, log *slog.Logger) *ReadLog {
	l := &ReadLog{db: db, log: log, done: make(chan struct{})}
	l.changed = sync.NewCond(&l.mu)
	go l.run()
	return l
}

// Add takes what a response is about to show, and returns when it is written down, or when nobody waits for the response any more. While the
// database is away it waits, as the response would have. ctx is the response's: it has the id of the request.
func (l *ReadLog) Add(ctx context.Context, r *Reads) {
	r.mu.Lock()
	entries := r.entries
	r.entries, r.places = nil, nil
	r.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	now, request := time.Now(), httpx.RequestIDFrom(ctx)
	lines := make([]line, len(entries))
	for i, e := range entries {
		lines[i] = line{ID: id.New(), Org: e.viewer.Org, At: now, Actor: e.viewer.User, Request: request,
			Action: e.Action, Kind: e.Kind, Entity: e.ID, Fields: e.Fields}
		if !e.ClientID.IsZero() {
			lines[i].Client = &e.ClientID
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, lines...)
	l.added += len(lines)
	mine := l.added
	l.changed.Broadcast()
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})()
	for l.written < mine && !l.closed && ctx.Err() == nil {
		l.changed.Wait()
	}
}

// Close writes down what waits, and ends.
func (l *ReadLog) Close() {
	l.mu.Lock()
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	<-l.done
}

func (l *ReadLog) run() {
	defer close(l.done)
	for {
		l.mu.Lock()
		for len(l.waiting) == 0 && !l.closed {
			l.changed.Wait()
		}
		if len(l.waiting) == 0 {
			l.mu.Unlock()
			return
		}
		n := min(len(l.waiting), mostWritten)
		batch := l.waiting[:n:n]
		l.waiting = l.waiting[n:]
		l.mu.Unlock()

		written := l.insist(batch)

		l.mu.Lock()
		l.written += n
		l.changed.Broadcast()
		l.mu.Unlock()
		if !written {
			return
		}
	}
}

// insist writes a batch, however long the database is away. Only the end of the process ends it: then what could not be
// written goes to the log, by its ids.
func (l *ReadLog) insist(batch []line) bool {
	const firstPause, lastPause = 50 * time.Millisecond, 5 * time.Second
	pause := firstPause
	var deadline time.Time
	for {
		ctx, cancel := context.WithTimeout(context.Background(), lastPatience)
		err := l.write(ctx, batch)
		cancel()
		if err == nil {
			return true
		}
		l.log.Error("reads of transcripts are not written down yet", "reads", len(batch), "err", err, "retry_in", pause)
		l.mu.Lock()
		closed := l.closed
		lost := append(slices.Clone(batch), l.waiting...)
		l.mu.Unlock()
		if closed && deadline.IsZero() {
			deadline = time.Now().Add(lastPatience)
		}
		if closed && time.Now().After(deadline) {
			for _, x := range lost {
				l.log.Error("a read was not written down", "org", x.Org.String(), "user", x.Actor.String(), "request", x.Request,
					"action", x.Action, "entity", x.Entity.String(), "at", x.At)
			}
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, lastPause)
	}
}

// write repeats without doubling. An organization that was erased meanwhile has no trail any more.
func (l *ReadLog) write(ctx context.Context, batch []line) error {
	body, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	_, err = l.db.Exec(ctx, `
		INSERT INTO audit_events (id, org_id, at, actor_id, request_id, action, kind, entity_id, client_id, fields)
		SELECT e.id, e.org, e.at, e.actor, e.request, e.action, e.kind, e.entity, e.client, coalesce(e.fields, '{}')
		FROM jsonb_to_recordset($1::jsonb) AS e(id uuid, org uuid, at timestamptz, actor uuid, request text, action text, kind text,
			entity uuid, client uuid, fields text[])
		JOIN organizations o ON o.id = e.org
		ON CONFLICT (id) DO NOTHING`, string(body))
	return err
}
