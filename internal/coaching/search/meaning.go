package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/vector"
)

// Model makes vectors of passages and of what is looked for.
type Model struct {
	embed.Embedder

	// Remote says that texts leave the program, and that it costs the organization: not those of organizations that let no model read along, or show models
	// placeholders for names.
	Remote bool
}

// Meaning finds passages of conversations, and what was found out, noted and agreed, by what it is about.
//
// Vectors are copies: of what was said in transcripts that are finished, of insights, notes, goals and actions, while those whom it concerns consent to
// analysis. A job brings them in line after each change, in its own time (embed.go). What a search returns does not rest on that: it asks the vectors
// for what the viewer may see at that moment, and for nothing else.
type Meaning struct {
	db          *pgxpool.Pool
	transcripts *transcript.Service
	store       vector.Store
	model       Model   // makes new vectors
	older       []Model // that may have made those which are searched until the new ones are complete
	limits      insight.Limits
	slot        chan struct{}
}

// NewMeaning returns the service. older are models that are not used for new vectors any more and can still be asked. What those outside of the program cost is
// within the limits.
func NewMeaning(db *pgxpool.Pool, transcripts *transcript.Service, store vector.Store, limits insight.Limits, model Model, older ...Model) *Meaning {
	return &Meaning{db: db, transcripts: transcripts, store: store, limits: limits, model: model, older: older, slot: make(chan struct{}, 1)}
}

// JobSwitch is the kind of job that has an organization's conversations searched with the model that is configured, once all of them have its
// vectors. Its entity is the organization.
const JobSwitch = "search.switch"

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
	atOnce = 200              // things of each subject that a switch has embedded before it looks again
	again  = 20 * time.Second // when it looks again
)

// Switch handles JobSwitch: it has the transcripts embedded that have no vectors of the configured model; when none is left, the organization is
// searched with it, and the vectors of other models go.
func (m *Meaning) Switch(ctx context.Context, job jobs.Job) (err error) {
	defer fault.Wrap(&err, "search.Switch(%s)", job.Org)
	var missing int
	err = postgres.InTx(ctx, m.db, func(tx pgx.Tx) error {
		work, err := m.missing(ctx, tx, job.Org)
		if err != nil {
			return err
		}
		if missing = len(work); missing == 0 {
			_, err := tx.Exec(ctx, `INSERT INTO search_models (org_id, model) VALUES ($1, $2) ON CONFLICT (org_id) DO UPDATE SET model = excluded.model, since = now()`,
				job.Org, m.model.Name())
			return err
		}
		return jobs.Enqueue(ctx, tx, work...)
	})
	if err != nil {
		return err
	}
	if missing > 0 {
		pause := again
		if waits, err := m.waits(ctx, job.Org); err != nil {
			return err
		} else if waits != nil {
			pause = max(pause, waits.Again())
		}
		return jobs.Snooze(pause)
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

// missing are jobs for what is to have vectors of the configured model and has none yet, the newest first; some of each subject.
func (m *Meaning) missing(ctx context.Context, tx pgx.Tx, organization id.UUID) (work []jobs.Job, err error) {
	for _, of := range subjects {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT x.id FROM %s x WHERE x.org_id = $1 AND %s AND NOT EXISTS (
				SELECT FROM search_embeddings e WHERE e.org_id = $1 AND e.transcript_id = x.id AND e.model = $2 AND e.hash IS NOT NULL)
			ORDER BY x.created_at DESC, x.id LIMIT $3`, tables[of], m.model.eligible(of)), organization, m.model.Name(), atOnce)
		if err != nil {
			return nil, err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[id.UUID])
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			work = append(work, jobs.Job{Org: organization, Kind: of.EmbedJob(), Entity: key})
		}
	}
	return work, nil
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
	if err != nil {
		return nil, err
	}
	may := make(map[id.UUID]bool, len(findable))
	groups := make([]string, len(findable))
	for i, key := range findable {
		may[key.UUID], groups[i] = true, key.UUID.String()
	}
	var filters []vector.Expr
	for some := range slices.Chunk(groups, vector.MaxTerms) {
		filters = append(filters, vector.Terms{Field: vector.FieldGroup, Values: some})
	}
	var matches []vector.Match
	what, err := m.read(ctx, org, text)
	if err == nil {
		matches, err = m.nearest(ctx, what, filters, most)
	}
	if err != nil {
		return nil, err
	}
	var found []Passage
	for _, match := range matches {
		// The store has seen to it. It is looked at once more, because a store of others is not ours to trust with this.
		if p, ok := passage(match); ok && may[p.TranscriptID.UUID] {
			found = append(found, p)
		}
	}
	return found, nil
}

// sought is what a text says, as the model of an organization's vectors understands it.
type sought struct {
	space  vector.Space
	vector []float32
}

// read makes a text what can be sought; nil if it says nothing.
func (m *Meaning) read(ctx context.Context, org id.UUID, text string) (*sought, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	model, err := m.searched(ctx, org)
	if err != nil {
		return nil, err
	}
	if len(text) > embed.MaxText {
		text = strings.ToValidUTF8(text[:embed.MaxText], "")
	}
	vectors, err := m.vectors(ctx, org, model, []string{text})
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(vectors[0], func(x float32) bool { return x != 0 }) {
		return nil, nil
	}
	return &sought{vector.Space{Org: org, Model: model.Name()}, vectors[0]}, nil
}

// nearest finds the vectors that are most about what is sought, the nearest first, of those that pass one of the filters; none for nil.
func (m *Meaning) nearest(ctx context.Context, what *sought, filters []vector.Expr, most int) ([]vector.Match, error) {
	if what == nil {
		return nil, nil
	}
	var found []vector.Match
	for _, filter := range filters {
		matches, err := m.store.Search(ctx, what.space, vector.Request{Vector: what.vector, Nearest: min(most, vector.MaxNearest), Filter: filter})
		if err != nil {
			return nil, err
		}
		found = append(found, matches...)
	}
	slices.SortStableFunc(found, func(a, b vector.Match) int { return cmp.Compare(b.Score, a.Score) })
	seen := map[string]bool{}
	found = slices.DeleteFunc(found, func(x vector.Match) bool { // two filters may let it pass
		twice := seen[x.ID]
		seen[x.ID] = true
		return twice
	})
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

// document reads an id that embed has made of anything else: the name of the document in the index.
func document(m vector.Match) (name string, ok bool) {
	_, rest, _ := strings.Cut(m.ID, "/")
	name, _, _ = strings.Cut(rest, ".")
	_, _, err := id.Parse(name)
	return name, err == nil
}

// Ready says whether the vectors can be reached, and are of the model's dimension.
func (m *Meaning) Ready(ctx context.Context) error { return m.store.Ready(ctx, m.model.Dimension()) }
