package live

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/session"
)

// hearing is what this process remembers of a live session from one call of its source to the next: it would have to read the whole session anew
// otherwise. It is as good as the revision it knows; what another process has written since is read.
type hearing struct {
	mu       sync.Mutex // a source's calls come one after the other
	callers  int        // who hold or wait for mu; of hearings
	used     time.Time
	of       ID
	revision int64
	meter    *meter.Meter
	topics   []topic // of the agenda
}

// topic is what is to be talked about, and the words by which one knows that it is.
type topic struct {
	id    session.TopicID
	stems []string
}

// hearings are those of all live sessions that this process has heard of lately.
type hearings struct {
	mu  sync.Mutex
	all map[session.ID]*hearing
}

// maxHearings bounds what is remembered: an hour of talk is some 200 KB.
const maxHearings = 1000

// enter waits for the call before, and returns what is remembered of a session until leave.
func (h *hearings) enter(key session.ID) *hearing {
	h.mu.Lock()
	x := h.all[key]
	if x == nil {
		x = &hearing{}
		h.all[key] = x
	}
	x.callers++
	h.mu.Unlock()
	x.mu.Lock()
	return x
}

// leave ends a call. What a call that has failed was about to remember is forgotten.
func (h *hearings) leave(key session.ID, x *hearing, succeeded bool) {
	if !succeeded {
		x.meter = nil
	}
	x.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	x.callers--
	x.used = time.Now()
	if len(h.all) <= maxHearings {
		return
	}
	oldest := session.ID{}
	for other, y := range h.all {
		if y.callers == 0 && (oldest.IsZero() || y.used.Before(h.all[oldest].used)) {
			oldest = other
		}
	}
	delete(h.all, oldest)
}

// catchUp brings what is remembered to where the locked row stands.
func (x *hearing) catchUp(ctx context.Context, tx pgx.Tx, l *row, commits func(string) bool) error {
	if x.meter == nil || x.of != l.ID || x.revision > l.Revision {
		if err := x.begin(ctx, tx, l); err != nil {
			return err
		}
	}
	x.meter.Cast(l.roles())
	if x.revision == l.Revision {
		return nil
	}
	missed, err := said(ctx, tx, l.ref.Org, l.ID, "u.final AND u.revision > $3", x.revision)
	if err != nil {
		return err
	}
	for _, u := range missed {
		x.meter.Put(x.read(l, u, commits))
	}
	x.revision = l.Revision
	return nil
}

// begin remembers nothing but what is to be talked about.
func (x *hearing) begin(ctx context.Context, tx pgx.Tx, l *row) error {
	open, err := session.OpenTopics(ctx, tx, l.ref.Org, l.ref.ID)
	if err != nil {
		return err
	}
	x.topics = nil
	var r meter.Rules
	if l.rules != nil {
		r = *l.rules
	}
	for _, t := range open[:min(len(open), 64)] {
		if stems := stemsOf(t.Title); len(stems) > 0 {
			r.Topics |= 1 << len(x.topics)
			x.topics = append(x.topics, topic{t.ID, stems})
		}
	}
	x.of, x.revision, x.meter = l.ID, 0, meter.New(r)
	return nil
}

// stemsOf are the beginnings of the words that say what a text is about: "pricing" is known by "priced", and not by "prize".
func stemsOf(text string) (stems []string) {
	for _, w := range conversation.ContentWords(text) {
		r := []rune(w)
		stems = append(stems, string(r[:min(len(r), 5)]))
	}
	slices.Sort(stems)
	return slices.Compact(stems)
}

// touches is which topics an utterance has at least half the words of.
func (x *hearing) touches(text string) (touched uint64) {
	if len(x.topics) == 0 {
		return 0
	}
	said := stemsOf(text)
	for i, t := range x.topics {
		n := 0
		for _, stem := range t.stems {
			if slices.Contains(said, stem) {
				n++
			}
		}
		if 2*n >= len(t.stems) {
			touched |= 1 << i
		}
	}
	return touched
}

// read is an utterance as the meter takes it, with what there is to notice of it.
func (x *hearing) read(l *row, u *Utterance, commits func(string) bool) meter.Utterance {
	out := l.read(u)
	if l.rules != nil && l.english() {
		out.Topics = x.touches(u.Text)
		out.Commits = u.Role == conversation.RoleClient && slices.Contains(l.kinds, meter.Commitment) && commits(u.Text)
	}
	return out
}

// hear goes on with what is new.
func (x *hearing) hear(l *row, news []*Utterance, commits func(string) bool) (noticed []meter.Notice) {
	x.meter.Cast(l.roles())
	for _, u := range news {
		if u.Final {
			noticed = append(noticed, x.meter.Put(x.read(l, u, commits))...)
		}
	}
	x.revision += int64(len(news))
	return noticed
}

// measured are the measures of all that was said.
func (l *row) measured(all []*Utterance) *meter.Measures {
	if !l.analysis {
		return nil
	}
	m := meter.New(meter.Rules{})
	m.Cast(l.roles())
	for _, u := range all {
		m.Put(l.read(u))
	}
	out := m.Measures()
	return &out
}

func (l *row) roles() []conversation.Role {
	roles := make([]conversation.Role, len(l.Speakers))
	for i, sp := range l.Speakers {
		roles[i] = sp.Role
	}
	return roles
}

// read is an utterance as the meter takes it. Wording is read in English only.
func (l *row) read(u *Utterance) meter.Utterance {
	out := meter.Utterance{Key: string(u.ChunkID), Order: u.ordinal, Speaker: -1, StartMs: u.StartMs, EndMs: u.EndMs}
	if u.Speaker != nil {
		out.Speaker = l.place(*u.Speaker)
	}
	if out.Line = conversation.ReadLine(u.Text); !l.english() {
		out.Line = conversation.Line{Words: out.Line.Words}
	}
	return out
}

func (l *row) english() bool {
	return l.Language == nil || *l.Language == "en" || strings.HasPrefix(strings.ToLower(*l.Language), "en-")
}
