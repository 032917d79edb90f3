package search

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/llm"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// Model makes vectors of passages and of what is looked for.
type Model struct {
	embed.Embedder

	// Remote says that texts leave the program: not those of organizations that let no model read along, or show models placeholders for names.
	Remote bool
}

// Meaning finds passages of conversations by what they are about.
//
// Vectors are copies: of what was said in transcripts that are finished, where all in the session have consented to analysis. A job brings them in line with
// the transcript after each change, in its own time. What a search returns does not rest on that: it asks the vectors for transcripts that the viewer
// may read at that moment, and for no others.
type Meaning struct {
	db          *pgxpool.Pool
	transcripts *transcript.Service
	store       vector.Store
	model       Model   // makes new vectors
	older       []Model // that may have made those which are searched until the new ones are complete
	slot        chan struct{}
}

// NewMeaning returns the service. older are models that are not used for new vectors any more and can still be asked.
func NewMeaning(db *pgxpool.Pool, transcripts *transcript.Service, store vector.Store, model Model, older ...Model) *Meaning {
	return &Meaning{db: db, transcripts: transcripts, store: store, model: model, older: older, slot: make(chan struct{}, 1)}
}

// JobSwitch is the kind of job that has an organization's conversations searched with the model that is configured, once all of them have its
// vectors. Its entity is the organization.
const JobSwitch = "search.switch"

const (
	batch    = 32              // passages of one call of a model
	patience = 2 * time.Second // how long a job waits for another one that embeds, before it gives its place back
	rest     = 3 * time.Second // and how long it is away then
)

// Embed handles transcript.JobEmbed: it brings the vectors of a transcript in line with what was said in it, or removes them.
//
// It looks at what is so and not at what has changed, and may be repeated at any point. A process embeds one transcript at a time, so that what
// waits for people, or people for it, always finds a worker.
func (m *Meaning) Embed(ctx context.Context, job jobs.Job) (err error) {
	key := transcript.ID{UUID: job.Entity}
	defer fault.Wrap(&err, "search.Embed(%s)", key)
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case m.slot <- struct{}{}:
		defer func() { <-m.slot }()
	case <-wait.C:
		return jobs.Snooze(rest)
	case <-ctx.Done():
		return ctx.Err()
	}
	models, err := m.toFollow(ctx, job.Org)
	if err != nil {
		return err
	}
	for _, model := range models {
		if err := m.embed(ctx, job.Org, key, model); err != nil {
			return err
		}
	}
	return nil
}

// toFollow are the models whose vectors are kept in line: the one that is configured, and the one that is searched until then.
func (m *Meaning) toFollow(ctx context.Context, organization id.UUID) ([]Model, error) {
	searched, err := m.searched(ctx, organization)
	if err != nil || searched.Name() == m.model.Name() {
		return []Model{m.model}, err
	}
	return []Model{searched, m.model}, nil
}

// searched is the model with whose vectors an organization's conversations are searched: the one that was switched to, if it can still be asked.
func (m *Meaning) searched(ctx context.Context, organization id.UUID) (Model, error) {
	var name string
	err := m.db.QueryRow(ctx, `SELECT model FROM search_models WHERE org_id = $1`, organization).Scan(&name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Model{}, err
	}
	if i := slices.IndexFunc(m.older, func(o Model) bool { return o.Name() == name }); i >= 0 && name != m.model.Name() {
		return m.older[i], nil
	}
	return m.model, nil
}

// eligible is the condition that a transcript t of a session s is to have vectors.
func (m Model) eligible() string {
	c := `t.status IN ('READY', 'NEEDS_SPEAKERS') AND ` + string(session.ToAnalyse)
	if m.Remote {
		c += ` AND EXISTS (SELECT FROM organizations o WHERE o.id = $1 AND o.ai_enabled AND o.model_sees <> 'PLACEHOLDERS')`
	}
	return c
}

func (m *Meaning) embed(ctx context.Context, organization id.UUID, key transcript.ID, model Model) error {
	var there, wanted bool
	err := m.db.QueryRow(ctx, `
		SELECT t.status NOT IN ('PARSED', 'ANALYZING') OR NOT (`+string(session.ToAnalyse)+`), `+model.eligible()+`
		FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id WHERE t.org_id = $1 AND t.id = $2`, organization, key).Scan(&there, &wanted)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && there && !wanted:
		return m.remove(ctx, organization, key)
	case err != nil || !there: // whoever is at work on it enqueues this again at the end
		return err
	}
	content, err := m.transcripts.Read(ctx, organization, key)
	if fault.KindOf(err) == fault.KindNotFound {
		return m.remove(ctx, organization, key)
	} else if err != nil {
		return err
	}
	lines := make([]Line, len(content.Utterances))
	for i, u := range content.Utterances {
		lines[i] = Line{Index: i, Text: u.Text, Question: IsQuestion(u.Text)}
	}
	chunks := Chunks(lines, model.Fits)
	hash, ids := sha256.New(), make([]string, len(chunks))
	for i, c := range chunks {
		ids[i] = key.UUID.String() + "/" + c.Key
		fmt.Fprintf(hash, "%s %d %s\n", c.Key, len(c.Text), c.Text)
	}
	var before []string
	var same bool
	err = m.db.QueryRow(ctx, `SELECT ids, coalesce(hash = $4, false) FROM search_embeddings WHERE org_id = $1 AND transcript_id = $2 AND model = $3`,
		organization, key, model.Name(), hash.Sum(nil)).Scan(&before, &same)
	if same || err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}

	// What may be in the store is written down before it is, so that it can be removed by its ids whatever happens.
	const note = `INSERT INTO search_embeddings (org_id, transcript_id, model, ids, hash) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (org_id, transcript_id, model) DO UPDATE SET ids = excluded.ids, hash = excluded.hash, updated_at = now()`
	both := slices.Concat(before, ids)
	slices.Sort(both)
	both = slices.Compact(both)
	if _, err := m.db.Exec(ctx, note, organization, key, model.Name(), both, nil); err != nil {
		return err
	}
	space := vector.Space{Org: organization, Model: model.Name()}
	for from := 0; from < len(chunks); from += batch {
		if err := m.put(ctx, space, model, content, chunks[from:min(from+batch, len(chunks))], ids[from:]); err != nil {
			return err
		}
	}
	gone := slices.DeleteFunc(slices.Clone(before), func(v string) bool { return slices.Contains(ids, v) })
	if err := m.delete(ctx, space, gone); err != nil {
		return err
	}
	_, err = m.db.Exec(ctx, note, organization, key, model.Name(), ids, hash.Sum(nil))
	return err
}

func (m *Meaning) put(ctx context.Context, space vector.Space, model Model, content *transcript.Content, chunks []Chunk, ids []string) error {
	texts := make([]string, len(chunks))
	for i, c := range chunks {
		texts[i] = c.Text
	}
	vectors, _, err := model.Embed(ctx, texts)
	if failed := llm.Failure(err); failed != nil && failed.After > 0 {
		return jobs.Snooze(failed.After)
	} else if err != nil {
		return err
	}
	var records []vector.Record
	for i, v := range vectors {
		if slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) { // a passage without a word is like none
			records = append(records, vector.Record{ID: ids[i], At: content.On, Values: v})
		}
	}
	return m.store.Put(ctx, space, records)
}

func (m *Meaning) delete(ctx context.Context, space vector.Space, ids []string) error {
	for some := range slices.Chunk(ids, vector.MaxBatch) {
		if err := m.store.Delete(ctx, space, some); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the vectors of a transcript, whichever models have made them.
func (m *Meaning) remove(ctx context.Context, organization id.UUID, key transcript.ID) error {
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
		if err := m.store.DeleteGroup(ctx, space, key.UUID.String()); err != nil {
			return err
		}
		if _, err := m.db.Exec(ctx, `DELETE FROM search_embeddings WHERE org_id = $1 AND transcript_id = $2 AND model = $3`, organization, key, n.Model); err != nil {
			return err
		}
	}
	return nil
}

// Review enqueues JobSwitch for the organizations that are not searched with the model that is configured: all, when this is new, and those whose
// vectors another model has made. It is for the start of a process.
func (m *Meaning) Review(ctx context.Context) error {
	rows, err := m.db.Query(ctx, `SELECT o.id FROM organizations o
		WHERE NOT EXISTS (SELECT FROM search_models k WHERE k.org_id = o.id AND k.model = $1) ORDER BY o.id`, m.model.Name())
	if err != nil {
		return err
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
	if err != nil {
		return err
	}
	for _, o := range orgs {
		if err := postgres.InTx(ctx, m.db, func(tx pgx.Tx) error {
			return jobs.Enqueue(ctx, tx, jobs.Job{Org: o, Kind: JobSwitch, Entity: o})
		}); err != nil {
			return err
		}
	}
	return nil
}

const (
	atOnce = 200              // transcripts that a switch has embedded before it looks again
	again  = 20 * time.Second // when it looks again
)

// Switch handles JobSwitch: it has the transcripts embedded that have no vectors of the configured model; when none is left, the organization is
// searched with it, and the vectors of other models go.
func (m *Meaning) Switch(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "search.Switch(%s)", job.Org)
	var missing int
	err = postgres.InTx(ctx, m.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.id FROM transcripts t JOIN sessions s ON s.org_id = $1 AND s.id = t.session_id
			WHERE t.org_id = $1 AND `+m.model.eligible()+` AND NOT EXISTS (
				SELECT FROM search_embeddings e WHERE e.org_id = $1 AND e.transcript_id = t.id AND e.model = $2 AND e.hash IS NOT NULL)
			ORDER BY t.created_at DESC, t.id LIMIT $3`, job.Org, m.model.Name(), atOnce)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
		if err != nil {
			return err
		}
		if missing = len(keys); missing == 0 {
			_, err := tx.Exec(ctx, `INSERT INTO search_models (org_id, model) VALUES ($1, $2) ON CONFLICT (org_id) DO UPDATE SET model = excluded.model, since = now()`,
				job.Org, m.model.Name())
			return err
		}
		work := make([]jobs.Job, len(keys))
		for i, k := range keys {
			work[i] = jobs.Job{Org: job.Org, Kind: transcript.JobEmbed, Entity: k}
		}
		return jobs.Enqueue(ctx, tx, work...)
	})
	if err != nil {
		return err
	}
	if missing > 0 {
		return jobs.Snooze(again)
	}
	models, err := m.store.Models(ctx, job.Org)
	if err != nil {
		return err
	}
	for _, other := range models {
		if other != m.model.Name() {
			if err := m.store.Drop(ctx, vector.Space{Org: job.Org, Model: other}); err != nil {
				return err
			}
		}
	}
	_, err = m.db.Exec(ctx, `DELETE FROM search_embeddings WHERE org_id = $1 AND model <> $2`, job.Org, m.model.Name())
	return err
}

// Passage is what was found: utterances of a transcript, and how near they are to what was looked for, from -1 to 1. Scores only compare within one
// search.
type Passage struct {
	transcript.Span
	Score float64
}

// Near finds the passages that are most about what the text says, the nearest first, in the conversations that the viewer may read: of sessions
// within the filter, nil for all, in the transcript of each that counts. It finds those that may be analysed.
func (m *Meaning) Near(ctx context.Context, text string, within *session.Filter, most int) (_ []Passage, err error) {
	defer fault.Wrap(&err, "search.Near")
	findable, org, err := m.transcripts.Findable(ctx, within)
	if err != nil || len(findable) == 0 || strings.TrimSpace(text) == "" {
		return nil, err
	}
	model, err := m.searched(ctx, org)
	if err != nil {
		return nil, err
	}
	if len(text) > embed.MaxText {
		text = strings.ToValidUTF8(text[:embed.MaxText], "")
	}
	vectors, _, err := model.Embed(ctx, []string{text})
	if failed := llm.Failure(err); failed != nil {
		return nil, fault.Unavailable("search by meaning does not answer now").Because(err)
	} else if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(vectors[0], func(x float32) bool { return x != 0 }) {
		return nil, nil
	}
	may := make(map[id.UUID]bool, len(findable))
	groups := make([]string, len(findable))
	for i, key := range findable {
		may[key.UUID], groups[i] = true, key.UUID.String()
	}
	var found []Passage
	for some := range slices.Chunk(groups, vector.MaxTerms) {
		matches, err := m.store.Search(ctx, vector.Space{Org: org, Model: model.Name()}, vector.Request{
			Vector: vectors[0], Nearest: min(most, vector.MaxNearest), Filter: vector.Terms{Field: vector.FieldGroup, Values: some},
		})
		if err != nil {
			return nil, err
		}
		for _, match := range matches {
			// The store has seen to it. It is looked at once more, because a store of others is not ours to trust with this.
			if p, ok := passage(match); ok && may[p.TranscriptID.UUID] {
				found = append(found, p)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Passage) int { return cmp.Compare(b.Score, a.Score) })
	return found[:min(most, len(found))], nil
}

// passage reads an id that embed has made.
func passage(m vector.Match) (p Passage, ok bool) {
	var key id.UUID
	err := key.UnmarshalText([]byte(vector.GroupOf(m.ID)))
	_, rest, _ := strings.Cut(m.ID, "/")
	first, last, _ := strings.Cut(rest, "-")
	number := func(s string) int {
		s, _, _ = strings.Cut(s, ".")
		n, failed := strconv.Atoi(s)
		err = cmp.Or(err, failed)
		return n
	}
	p = Passage{transcript.Span{TranscriptID: transcript.ID{UUID: key}, First: number(first), Last: number(last)}, m.Score}
	return p, err == nil
}

// Ready says whether the vectors can be reached, and are of the model's dimension.
func (m *Meaning) Ready(ctx context.Context) error { return m.store.Ready(ctx, m.model.Dimension()) }
