package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/live/meter"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// Append takes what a source has heard: all of the chunks, or none. Chunks may come in any order, and again: the later state of a chunk counts,
// but a provisional text that arrives after the final one does not. The source's clock is its own, and is only compared with itself.
func (s *Service) Append(ctx context.Context, in AppendInput) (out Appended, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return out, err
	}
	defer fault.Wrap(&err, "live.Append(%s)", in.SessionID)
	if _, err := s.mine(ctx, in.SessionID); err != nil {
		return out, err
	}
	var problems check.Input
	source := problems.Line("source", in.Source, maxChunkID)
	chunks := checked(&problems, in.Chunks)
	if err := problems.Err(); err != nil {
		return out, err
	}
	hearing, succeeded := s.hearings.enter(in.SessionID), false
	defer func() { s.hearings.leave(in.SessionID, hearing, succeeded) }()
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		out = Appended{}
		if err := session.RequireConsent(ctx, tx, v.Org, in.SessionID, consent.Transcription, "sessionId"); err != nil {
			return err
		}
		l, err := s.going(ctx, tx, v.Org, in.SessionID)
		if err != nil {
			return err
		}
		if l.Source != source {
			return errAnotherSource
		}
		if err := l.spend(len(chunks)); err != nil {
			return err
		}
		return s.take(ctx, tx, v, hearing, l, chunks, &out)
	})
	if err != nil {
		return Appended{}, err
	}
	succeeded = true
	return out, nil
}

// checked are the chunks as they are kept: of several states of one the last.
func checked(problems *check.Input, in []Chunk) []Chunk {
	if len(in) == 0 || len(in) > maxChunks {
		problems.Fail("chunks", "must be 1 to %d, got %d", maxChunks, len(in))
		return nil
	}
	out := make([]Chunk, 0, len(in))
	places := map[ChunkID]int{}
	for i, c := range in {
		at := func(field string) string { return fmt.Sprintf("chunks.%d.%s", i, field) }
		c.ChunkID = ChunkID(problems.Line(at("chunkId"), string(c.ChunkID), maxChunkID))
		c.Speaker = problems.LineOrNil(at("speaker"), c.Speaker, maxLabel)
		c.Text = strings.Join(strings.Fields(problems.Text(at("text"), c.Text, maxText)), " ")
		switch {
		case c.StartMs < 0 || c.StartMs > maxMs:
			problems.Fail(at("startMs"), "must be 0 to %d: milliseconds since the recording began", int64(maxMs))
		case c.EndMs < c.StartMs || c.EndMs > maxMs:
			problems.Fail(at("endMs"), "must not be before startMs, nor after %d", int64(maxMs))
		}
		if place, twice := places[c.ChunkID]; twice {
			if c.Final || !out[place].Final {
				out[place] = c
			}
			continue
		}
		places[c.ChunkID] = len(out)
		out = append(out, c)
	}
	return out
}

// spend takes chunks off what the source may still send.
func (l *row) spend(chunks int) error {
	if short := float64(chunks) - l.allowance; short > 0 {
		wait := time.Duration(math.Ceil(short/perSecond)) * time.Second
		return fault.Limited("the source sends more than people say: at most %d chunks a second in the long run", perSecond).WithCode(CodeRateLimited).After(wait)
	}
	l.allowance -= float64(chunks)
	return nil
}

// take writes down what is new in chunks, and tells of it.
func (s *Service) take(ctx context.Context, tx pgx.Tx, v auth.Viewer, x *hearing, l *row, chunks []Chunk, out *Appended) error {
	news, err := s.compare(ctx, tx, l, chunks, out)
	if err != nil {
		return err
	}
	if l.size > maxSize {
		return fault.Conflict("the live session holds as much as a transcript can: end it, and start another one").WithCode(CodeFull)
	}
	if err := s.cast(ctx, tx, l, news); err != nil {
		return err
	}
	if l.analysis {
		if err := x.catchUp(ctx, tx, l, s.commits); err != nil {
			return err
		}
	}
	if !l.isRecorded() {
		if err := audit.Record(ctx, tx, v, entry("live.append", l.ID, l.ref.ClientID, "utterances")); err != nil {
			return err
		}
	}
	var noticed []meter.Notice
	if l.Metrics = nil; l.analysis {
		noticed = x.hear(l, news, s.commits)
		now := x.meter.Measures()
		l.Metrics = &now
	}
	about := what{Live: l.ID, From: l.Revision + 1, To: l.Revision + int64(len(news))}
	l.Grants, l.Revision, l.HeardAt = auth.AsCoach, about.To, l.now
	if err := write(ctx, tx, l, news); err != nil {
		return err
	}
	if out.LiveSession = &l.Session; len(news) == 0 {
		return nil
	}
	postgres.AfterCommit(tx, func() {
		s.contents.Put(contentKey{v.Org, string(about.data())}, &content{about: about, utterances: news, measures: l.Metrics})
	})
	if err := s.publish(ctx, tx, l.ref, eventSaid, keyOf(news), about); err != nil {
		return err
	}
	return s.nudge(ctx, tx, x, l, noticed)
}

// keyOf is the same for two changes of the same utterances: the later one says all that the earlier one did.
func keyOf(news []*Utterance) string {
	ids := make([]string, len(news))
	for i, u := range news {
		ids[i] = u.ID.UUID.String()
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, " ")))
	return eventSaid + ":" + hex.EncodeToString(sum[:16])
}

// compare finds what is new in chunks.
func (s *Service) compare(ctx context.Context, tx pgx.Tx, l *row, chunks []Chunk, out *Appended) (news []*Utterance, err error) {
	keys := make([]ChunkID, len(chunks))
	for i, c := range chunks {
		keys[i] = c.ChunkID
	}
	known, err := said(ctx, tx, l.ref.Org, l.ID, "u.chunk_id = ANY($3)", keys)
	if err != nil {
		return nil, err
	}
	before := make(map[ChunkID]*Utterance, len(known))
	for _, u := range known {
		before[u.ChunkID] = u
	}
	for _, c := range chunks {
		next := l.Revision + int64(len(news)) + 1
		is := &Utterance{ID: UtteranceID{id.New()}, ChunkID: c.ChunkID, ordinal: next, Revision: next, Speaker: c.Speaker, Text: c.Text, StartMs: c.StartMs, EndMs: c.EndMs, Final: c.Final}
		switch was := before[c.ChunkID]; {
		case was == nil && l.Status == Paused:
			return nil, fault.Conflict("the live session is paused: only what was begun before can be brought to its end").WithCode(CodePaused)
		case was == nil:
			out.Added++
		case was.is(c) || was.Final && !c.Final:
			out.Unchanged++
			continue
		default:
			out.Revised++
			l.size -= int64(len(was.Text))
			is.ID, is.ordinal = was.ID, was.ordinal
		}
		l.size += int64(len(c.Text))
		news = append(news, is)
	}
	return news, nil
}

// is tells whether a chunk says nothing new.
func (u *Utterance) is(c Chunk) bool {
	same := (u.Speaker == nil) == (c.Speaker == nil) && (u.Speaker == nil || *u.Speaker == *c.Speaker)
	return same && u.Text == c.Text && u.StartMs == c.StartMs && u.EndMs == c.EndMs && u.Final == c.Final
}

// cast makes room for voices that were not heard before, and finds out who they are. Who is known stays who they are.
func (s *Service) cast(ctx context.Context, tx pgx.Tx, l *row, news []*Utterance) error {
	before := len(l.Speakers)
	for _, u := range news {
		if u.Speaker != nil && l.place(*u.Speaker) < 0 {
			l.Speakers = append(l.Speakers, Speaker{Label: *u.Speaker, Role: conversation.RoleUnknown})
		}
	}
	if len(l.Speakers) > maxSpeakers {
		return fault.Invalid("chunks", "name more than %d speakers: a label stands for a person, not for an utterance", maxSpeakers)
	}
	if len(l.Speakers) > before {
		voices := make([]conversation.Speaker, len(l.Speakers))
		for i, sp := range l.Speakers {
			voices[i] = conversation.Speaker{Name: sp.Label, Role: sp.Role}
		}
		roles, err := s.transcripts.Recognise(ctx, tx, l.ref, voices)
		if err != nil {
			return err
		}
		for i := range l.Speakers {
			if l.Speakers[i].Role == conversation.RoleUnknown {
				l.Speakers[i].Role = roles[i]
			}
		}
	}
	for _, u := range news {
		if u.Role = conversation.RoleUnknown; u.Speaker != nil {
			u.Role = l.Speakers[l.place(*u.Speaker)].Role
		}
	}
	return nil
}

// place of a label among the speakers, -1 if it is not there.
func (l *row) place(label string) int {
	return slices.IndexFunc(l.Speakers, func(sp Speaker) bool { return sp.Label == label })
}

// write writes down what is new and how the live session stands with it, in one go, if anything may be written about the client.
func write(ctx context.Context, tx pgx.Tx, l *row, news []*Utterance) error {
	b := &pgx.Batch{}
	kept := audit.QueueKept(b, l.ref.Org, l.ref.ClientID.UUID)
	if len(news) > 0 {
		l.queue(b, news)
	}
	b.Queue(`
		UPDATE live_sessions SET revision = $3, size = $4, allowance = $5, speakers = $6, heard_at = $7, measures = $8 WHERE org_id = $1 AND id = $2`,
		l.ref.Org, l.ID, l.Revision, l.size, l.allowance, l.Speakers, l.HeardAt, l.Metrics)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return kept()
}

func (l *row) queue(b *pgx.Batch, news []*Utterance) {
	n := len(news)
	ids, keys, speakers, texts := make([]UtteranceID, n), make([]ChunkID, n), make([]*int16, n), make([]string, n)
	revisions, starts, ends, finals := make([]int64, n), make([]int64, n), make([]int64, n), make([]bool, n)
	for i, u := range news {
		ids[i], keys[i], texts[i], revisions[i], starts[i], ends[i], finals[i] = u.ID, u.ChunkID, u.Text, u.Revision, u.StartMs, u.EndMs, u.Final
		if u.Speaker != nil {
			place := int16(l.place(*u.Speaker))
			speakers[i] = &place
		}
	}
	b.Queue(`
		INSERT INTO live_utterances (id, org_id, live_session_id, chunk_id, ordinal, revision, speaker, text, start_ms, end_ms, final)
		SELECT c.id, $1, $2, c.key, c.revision, c.revision, c.speaker, c.text, c.start_ms, c.end_ms, c.final
		FROM unnest($3::uuid[], $4::text[], $5::bigint[], $6::smallint[], $7::text[], $8::bigint[], $9::bigint[], $10::bool[])
			AS c (id, key, revision, speaker, text, start_ms, end_ms, final)
		ON CONFLICT (org_id, live_session_id, chunk_id) DO UPDATE SET revision = excluded.revision, speaker = excluded.speaker, text = excluded.text,
			start_ms = excluded.start_ms, end_ms = excluded.end_ms, final = excluded.final`,
		l.ref.Org, l.ID, ids, keys, revisions, speakers, texts, starts, ends, finals)
}

// isRecorded says whether the audit trail has it already that a source has sent something in this minute.
func (l *row) isRecorded() bool {
	return l.Revision > 0 && l.HeardAt.Truncate(time.Minute).Equal(l.now.Truncate(time.Minute))
}
