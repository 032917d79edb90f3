package ask

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight/pseudonym"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// How much is answered from.
const (
	maxHits       = 40 // utterances
	before, after = 2, 2
)

// gather finds the passages that have to do with the question, the likeliest first: what was found, with the utterances around it. It is read with
// the asker's eyes, twice: when it is looked for, and when it is loaded.
func (r *run) gather(ctx context.Context) ([]Passage, error) {
	within, err := r.within(ctx)
	if err != nil {
		return nil, err
	}
	found, degraded, err := r.domains.Search.Evidence(ctx, r.sought(), within, maxHits)
	if err != nil {
		return nil, err
	}
	r.degraded = degraded
	spans := windows(found)
	said, err := r.domains.Transcripts.UtterancesIn(ctx, spans)
	if err != nil {
		return nil, err
	}
	var of []id.UUID
	for _, s := range spans {
		of = append(of, s.TranscriptID.UUID)
	}
	settings, err := r.settings(ctx, of)
	if err != nil {
		return nil, err
	}
	var passages []Passage
	for i, utterances := range said {
		at, known := settings[spans[i].TranscriptID.UUID]
		if !known || len(utterances) == 0 {
			continue // gone meanwhile
		}
		c := &transcript.Content{ID: spans[i].TranscriptID, Speakers: at.speakers}
		for _, u := range utterances {
			c.Utterances = append(c.Utterances, conversation.Utterance{
				Speaker: slices.Index(at.ids, u.SpeakerID), StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text,
			})
			c.Cues = append(c.Cues, u.Cues)
		}
		r.contents, r.offsets = append(r.contents, c), append(r.offsets, utterances[0].Index)
		r.sources = append(r.sources, c.ID.UUID)
		passages = append(passages, Passage{On: at.on, Speakers: c.Speakers, Utterances: c.Utterances})
	}
	return passages, nil
}

// within is the sessions that are looked through, nil for all: those of the scope and, where that leaves open whose they are, of the clients whom the
// question names. What somebody else has said would be read as theirs.
func (r *run) within(ctx context.Context) (*session.Filter, error) {
	given, err := r.scope.Filter()
	if err != nil || given != nil && (given.ClientIds != nil || given.EngagementIds != nil || given.IDs != nil) {
		return given, err
	}
	all, err := r.domains.Clients.All(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	named := pseudonym.Named(r.question, names)
	if len(named) == 0 {
		return given, nil
	}
	narrowed := session.Filter{}
	if given != nil {
		narrowed = *given
	}
	for _, i := range named {
		narrowed.ClientIds = append(narrowed.ClientIds, all[i].ID)
	}
	return &narrowed, nil
}

// sought is what is looked for. What a question refers to stands in the one before it.
func (r *run) sought() string {
	if n := len(r.earlier); n > 0 {
		return r.question + "\n" + r.earlier[n-1]
	}
	return r.question
}

// windows are the utterances with those around them. Those that meet are one, in the place of the best of them.
func windows(found []*transcript.Utterance) (spans []transcript.Span) {
	for _, u := range found {
		s := transcript.Span{TranscriptID: u.TranscriptID, First: max(0, u.Index-before), Last: u.Index + after}
		place := len(spans)
		for i := 0; i < len(spans); {
			o := spans[i]
			if o.TranscriptID != s.TranscriptID || o.First > s.Last+1 || s.First > o.Last+1 {
				i++
				continue
			}
			s.First, s.Last, place = min(s.First, o.First), max(s.Last, o.Last), min(place, i)
			spans, i = slices.Delete(spans, i, i+1), 0 // it has grown: it may meet another now
		}
		spans = slices.Insert(spans, min(place, len(spans)), s)
	}
	return spans
}

// setting is who speaks in a transcript, and when that was.
type setting struct {
	on       time.Time
	speakers []conversation.Speaker
	ids      []transcript.SpeakerID
}

func (r *run) settings(ctx context.Context, transcripts []id.UUID) (map[id.UUID]setting, error) {
	slices.SortFunc(transcripts, func(a, b id.UUID) int { return slices.Compare(a[:], b[:]) })
	transcripts = slices.Compact(transcripts)
	there, err := r.domains.Transcripts.ByIDs(ctx, transcripts)
	if err != nil {
		return nil, err
	}
	var held []id.UUID
	for _, t := range there {
		held = append(held, t.SessionID.UUID)
	}
	sessions, err := r.domains.Sessions.ByIDs(ctx, held)
	if err != nil {
		return nil, err
	}
	speak, err := r.domains.Transcripts.Speakers(ctx, transcripts)
	if err != nil {
		return nil, err
	}
	all := map[id.UUID]setting{}
	for i, key := range transcripts {
		t := there[key]
		if t == nil {
			continue
		}
		s := setting{on: day(sessions[t.SessionID.UUID])}
		for _, p := range speak[i] {
			s.speakers = append(s.speakers, conversation.Speaker{Name: cmp.Or(p.DisplayName, p.Label), Role: p.Role})
			s.ids = append(s.ids, p.ID)
		}
		all[key] = s
	}
	return all, nil
}

func day(of *session.Session) time.Time {
	if of == nil {
		return time.Time{}
	}
	return of.StartsAt.UTC().Truncate(24 * time.Hour)
}
