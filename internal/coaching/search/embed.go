package search

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// EmbedJob is the kind of the jobs that bring the vectors of a subject in line with it.
func (s Subject) EmbedJob() string {
	if s == SubjectTranscript {
		return transcript.JobEmbed
	}
	return "embed." + string(s)
}

// vectorGroup is the group of a subject's vectors.
func (s Subject) vectorGroup(key id.UUID) string {
	if s == SubjectTranscript {
		return key.String()
	}
	return s.group(key)
}

// tables are where the subjects are kept.
var tables = map[Subject]string{SubjectTranscript: "transcripts", SubjectSession: "sessions", SubjectNote: "notes", SubjectGoal: "goals", SubjectAction: "action_items"}

const (
	batch = 32 // texts in one call of a model
	// stint is how many batches a job makes before others have their turn: more than an ordinary conversation has, in some ten seconds.
	stint = 20
)

// Handle registers the jobs with r.
func (m *Meaning) Handle(r *jobs.Runner) {
	for _, of := range subjects {
		r.Handle(of.EmbedJob(), func(ctx context.Context, job jobs.Job) error { return m.Embed(ctx, of, job) })
	}
	r.Handle(JobSwitch, m.Switch)
}

// Embed handles EmbedJob: it brings the vectors of a subject in line with what stands in it, or removes them.
//
// It looks at what is so and not at what has changed, and may be repeated at any point. A process makes the vectors of one batch at a time, and before
// each batch lets go first what people wait for. After a stint it comes back behind those that wait as well, and goes on where it was.
func (m *Meaning) Embed(ctx context.Context, of Subject, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "search.Embed(%s)", of.group(job.Entity))
	models, err := m.toFollow(ctx, job.Org)
	if err != nil {
		return err
	}
	for _, model := range models {
		if err := m.embed(ctx, job.Org, of, job.Entity, model); err != nil {
			return m.wait(ctx, job.Org, err)
		}
	}
	return nil
}

// eligible are the conditions that a subject x is to have vectors: those of everything that is derived from conversations and clients. What is about a client has them while
// the client agrees to analysis; what belongs to a session, while all in it do.
var eligible = map[Subject]string{
	SubjectTranscript: `x.status IN ('READY', 'NEEDS_SPEAKERS') AND EXISTS (SELECT FROM sessions s WHERE s.org_id = $1 AND s.id = x.session_id AND ` + string(session.ToAnalyse) + `)`,
	SubjectSession:    strings.ReplaceAll(string(session.ToAnalyse), "s.", "x."),
	SubjectNote:       agrees,
	SubjectGoal:       agrees,
	SubjectAction:     agrees,
}

const agrees = `EXISTS (SELECT FROM consents k WHERE k.org_id = $1 AND k.client_id = x.client_id AND k.participant_id IS NULL AND k.scope = 'AI_ANALYSIS' AND k.withdrawn_at IS NULL)`

func (m Model) eligible(of Subject) string {
	if m.Remote {
		return eligible[of] + ` AND EXISTS (SELECT FROM organizations o WHERE o.id = $1 AND ` + readAlong + `)`
	}
	return eligible[of]
}

// piece is what one vector is made of.
type piece struct {
	ID       string // of the record
	Text     string
	At       time.Time
	Keywords map[string][]string
}

func (m *Meaning) embed(ctx context.Context, organization id.UUID, of Subject, key id.UUID, model Model) error {
	busy := "false"
	if of == SubjectTranscript { // whoever is at work on it enqueues this again at the end
		busy = `x.status IN ('PARSED', 'ANALYZING') AND EXISTS (SELECT FROM sessions s WHERE s.org_id = $1 AND s.id = x.session_id AND ` + string(session.ToAnalyse) + `)`
	}
	var waits, wanted bool
	err := m.db.QueryRow(ctx, fmt.Sprintf(`SELECT %s, %s FROM %s x WHERE x.org_id = $1 AND x.id = $2`, busy, model.eligible(of), tables[of]), organization, key).Scan(&waits, &wanted)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && !waits && !wanted:
		return m.remove(ctx, organization, of, key)
	case err != nil || waits:
		return err
	}
	pieces, err := m.pieces(ctx, organization, of, key, model)
	if fault.KindOf(err) == fault.KindNotFound {
		return m.remove(ctx, organization, of, key)
	} else if err != nil {
		return err
	}
	return m.bring(ctx, organization, of, key, model, pieces)
}

// pieces cuts what stands in a subject into what gets vectors.
func (m *Meaning) pieces(ctx context.Context, organization id.UUID, of Subject, key id.UUID, model Model) ([]piece, error) {
	if of == SubjectTranscript {
		return m.passages(ctx, organization, transcript.ID{UUID: key}, model)
	}
	docs, err := read(ctx, m.db, organization, of, key, 1)
	if err != nil {
		return nil, err
	}
	var all []piece
	for _, d := range docs {
		keywords := map[string][]string{textsearch.FieldKind: {d.Kind}}
		for field, values := range d.Keywords {
			if len(values) > 0 {
				keywords[field] = values
			}
		}
		for i, text := range split(strings.TrimSpace(d.Texts[fieldTitle]+"\n"+d.Texts[fieldText]), room(model.Fits)) {
			all = append(all, piece{ID: of.group(key) + "/" + d.ID + "." + strconv.Itoa(i+1), Text: text, At: d.At, Keywords: keywords})
		}
	}
	return all, nil
}

func (m *Meaning) passages(ctx context.Context, organization id.UUID, key transcript.ID, model Model) ([]piece, error) {
	content, err := m.transcripts.Read(ctx, organization, key)
	if err != nil {
		return nil, err
	}
	lines := make([]Line, len(content.Utterances))
	for i, u := range content.Utterances {
		lines[i] = Line{Index: i, Text: u.Text, Question: IsQuestion(u.Text)}
	}
	var all []piece
	for _, c := range Chunks(lines, model.Fits) {
		all = append(all, piece{ID: key.UUID.String() + "/" + c.Key, Text: c.Text, At: content.On})
	}
	return all, nil
}

// bring makes the vectors of a subject those of the pieces.
func (m *Meaning) bring(ctx context.Context, organization id.UUID, of Subject, key id.UUID, model Model, pieces []piece) error {
	described, err := json.Marshal(pieces)
	if err != nil {
		return err
	}
	hash, ids, wanted := sha256.Sum256(described), make([]string, len(pieces)), make(map[string]bool, len(pieces))
	for i, p := range pieces {
		ids[i], wanted[p.ID] = p.ID, true
	}
	var before []string
	var same bool
	var made int
	err = m.db.QueryRow(ctx, `SELECT ids, coalesce(hash = $4, false), CASE WHEN making = $4 THEN made ELSE 0 END
		FROM search_embeddings WHERE org_id = $1 AND transcript_id = $2 AND model = $3`,
		organization, key, model.Name(), hash[:]).Scan(&before, &same, &made)
	if same || err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}

	space := vector.Space{Org: organization, Model: model.Name()}
	if made == 0 {
		// What may be in the store is written down before it is, so that it can be removed by its ids whatever happens.
		both := append(slices.Clone(ids), before...)
		slices.Sort(both)
		if _, err := m.db.Exec(ctx, `INSERT INTO search_embeddings (org_id, transcript_id, model, subject, ids, making) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (org_id, transcript_id, model) DO UPDATE SET ids = excluded.ids, hash = NULL, making = excluded.making, made = 0, updated_at = now()`,
			organization, key, model.Name(), of, slices.Compact(both), hash[:]); err != nil {
			return err
		}
		// What is gone goes first: it does not wait for a model that is away.
		if err := m.delete(ctx, space, slices.DeleteFunc(before, func(v string) bool { return wanted[v] })); err != nil {
			return err
		}
	}
	done := 0
	for some := range slices.Chunk(pieces[made:], batch) {
		if done++; done > stint {
			return jobs.Snooze(0)
		}
		jobs.Yield(ctx)
		if err := m.put(ctx, space, model, some); err != nil {
			return err
		}
		made += len(some)
		if _, err := m.db.Exec(ctx, `UPDATE search_embeddings SET made = $4 WHERE org_id = $1 AND transcript_id = $2 AND model = $3`,
			organization, key, model.Name(), made); err != nil {
			return err
		}
	}
	_, err = m.db.Exec(ctx, `UPDATE search_embeddings SET ids = $4, hash = making, making = NULL, made = 0, updated_at = now()
		WHERE org_id = $1 AND transcript_id = $2 AND model = $3`, organization, key, model.Name(), ids)
	return err
}

func (m *Meaning) put(ctx context.Context, space vector.Space, model Model, pieces []piece) error {
	texts := make([]string, len(pieces))
	for i, p := range pieces {
		texts[i] = p.Text
	}
	vectors, err := m.made(ctx, space.Org, model, texts)
	if err != nil {
		return err
	}
	var records []vector.Record
	for i, v := range vectors {
		if slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) { // a text without a word is like none
			records = append(records, vector.Record{ID: pieces[i].ID, At: pieces[i].At, Keywords: pieces[i].Keywords, Values: v})
		}
	}
	if err := m.store.Put(ctx, space, records); err != nil {
		return err
	}
	return m.goesOn(ctx, space.Org)
}

// made makes vectors, one batch at a time. Who has to wait notes it before the next one asks.
func (m *Meaning) made(ctx context.Context, organization id.UUID, model Model, texts []string) ([][]float32, error) {
	select {
	case m.slot <- struct{}{}:
		defer func() { <-m.slot }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if waits, err := m.waits(ctx, organization); err != nil {
		return nil, err
	} else if waits != nil {
		return nil, waits
	}
	vectors, err := m.vectors(ctx, organization, model, texts)
	if err != nil {
		return nil, m.wait(ctx, organization, err)
	}
	return vectors, nil
}

func (m *Meaning) delete(ctx context.Context, space vector.Space, ids []string) error {
	for some := range slices.Chunk(ids, vector.MaxBatch) {
		if err := m.store.Delete(ctx, space, some); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the vectors of a subject, whichever models have made them.
func (m *Meaning) remove(ctx context.Context, organization id.UUID, of Subject, key id.UUID) error {
	rows, err := m.db.Query(ctx, `SELECT model, ids FROM search_embeddings WHERE org_id = $1 AND transcript_id = $2 ORDER BY model`, organization, key)
	if err != nil {
		return err
	}
	type noted struct {
		Model string
		IDs   []string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[noted])
	if err != nil {
		return err
	}
	for _, n := range all {
		space := vector.Space{Org: organization, Model: n.Model}
		if err := m.delete(ctx, space, n.IDs); err != nil {
			return err
		}
		if err := m.store.DeleteGroup(ctx, space, of.vectorGroup(key)); err != nil {
			return err
		}
		if _, err := m.db.Exec(ctx, `DELETE FROM search_embeddings WHERE org_id = $1 AND transcript_id = $2 AND model = $3`, organization, key, n.Model); err != nil {
			return err
		}
	}
	return nil
}
