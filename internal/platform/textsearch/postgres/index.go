// Package pgsearch finds documents by their words with nothing but PostgreSQL.
//
// A document's words become a tsvector that is made here and not by PostgreSQL's parser, which takes "and/or" for a file and
// forgets what it thinks too common: each word as it stands, and its stem by the language of the document (words.go). A query
// becomes a tsquery, filters become SQL beside it (compile.go). How rare words are is counted in search_words, since
// PostgreSQL's own ranking does not know it.
//
// What it lacks beside a search engine: the languages that PostgreSQL has no stemmer for, near spellings that differ in
// the first letter, and speed where a word is in most of very many documents, for all of them are ranked.
package pgsearch

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Index is a textsearch.Index in PostgreSQL.
type Index struct {
	db     *pgxpool.Pool
	schema textsearch.Schema
	weight map[string]byte // the letter of a text field in a tsvector
	stems  *stems
	making sync.Mutex // held by Rebuild
}

var _ textsearch.Index = (*Index)(nil)

// New returns an index over the tables of the migrations. A tsvector has four weights, and so has a schema four texts at most.
func New(db *pgxpool.Pool, schema textsearch.Schema) (*Index, error) {
	if len(schema.Texts) == 0 || len(schema.Texts) > 4 {
		return nil, errors.New("pgsearch: a schema has one to four texts")
	}
	x := &Index{db: db, schema: schema, weight: map[string]byte{}, stems: newStems(db)}
	for i, t := range schema.Texts {
		x.weight[t.Name] = 'A' + byte(i)
	}
	return x, nil
}

// Capabilities implements textsearch.Index.
func (x *Index) Capabilities() textsearch.Capabilities {
	return textsearch.Capabilities{Name: "postgres", Fuzzy: true, Languages: languages()}
}

// Refresh implements textsearch.Writer: what is committed is found.
func (x *Index) Refresh(context.Context) error { return nil }

// Put implements textsearch.Writer.
func (x *Index) Put(ctx context.Context, org id.UUID, docs []textsearch.Document) error {
	return x.put(ctx, org, docs, false)
}

// entry is a document as it is stored.
type entry struct {
	textsearch.Document
	length                 int
	vector, keywords, text string
	lexemes                []string
}

// put writes into the generation that is being made, or into all.
func (x *Index) put(ctx context.Context, org id.UUID, docs []textsearch.Document, next bool) (err error) {
	defer fault.Wrap(&err, "pgsearch.Put(%s)", org)
	if len(docs) > textsearch.MaxBatch {
		return fault.Invalid("documents", "must be at most %d", textsearch.MaxBatch)
	}
	var rejected textsearch.Rejected
	latest := map[string]textsearch.Document{}
	for _, d := range docs {
		if err := x.schema.Check(d); err != nil {
			rejected.Documents = append(rejected.Documents, textsearch.Rejection{ID: d.ID, Err: err})
		} else if had, twice := latest[d.ID]; !twice || had.Version < d.Version {
			latest[d.ID] = d
		}
	}
	entries, err := x.entries(ctx, org, latest)
	if err != nil {
		return unavailable(ctx, err)
	}
	if len(entries) > 0 {
		err = x.write(ctx, org, next, func(tx pgx.Tx, generation int) error { return x.store(ctx, tx, org, generation, entries) })
	}
	if err == nil && len(rejected.Documents) > 0 {
		return &rejected
	}
	return unavailable(ctx, err)
}

// entries makes what is stored of documents, in the order of their ids.
func (x *Index) entries(ctx context.Context, org id.UUID, docs map[string]textsearch.Document) ([]entry, error) {
	entries := make([]entry, 0, len(docs))
	all := map[string][][]string{}
	for _, d := range docs {
		language := base(d.Language)
		e := entry{Document: d}
		texts := map[string]string{}
		read := make([][]string, len(x.schema.Texts))
		for i, field := range x.schema.Texts {
			if text := clean(d.Texts[field.Name]); text != "" {
				texts[field.Name] = text
				read[i] = words(text, elides[language])
			}
		}
		raw, err := json.Marshal(texts)
		if err != nil {
			return nil, err
		}
		e.text = string(raw)
		values := map[string]any{}
		for _, k := range x.schema.Keywords {
			if v := d.Keywords[k.Name]; len(v) > 0 && k.Many {
				values[k.Name] = v
			} else if len(v) > 0 {
				values[k.Name] = v[0]
			}
		}
		if raw, err = json.Marshal(values); err != nil {
			return nil, err
		}
		e.keywords = string(raw)
		all[d.ID] = read
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.ID, b.ID) })
	wanted := map[string]map[string]bool{}
	for _, e := range entries {
		language := base(e.Language)
		if wanted[language] == nil {
			wanted[language] = map[string]bool{}
		}
		for _, field := range all[e.ID] {
			for _, w := range field {
				wanted[language][w] = true
			}
		}
	}
	stems, err := x.stems.learn(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		e := &entries[i]
		e.vector, e.lexemes, e.length = vector(prefixOf(org), base(e.Language), stems, all[e.ID])
	}
	return entries, nil
}

// maxWords is how many words of a field are found; a tsvector has its limits.
const maxWords = 12_000

// vector writes a tsvector: 'abc=word':1A,7D 'abcen:stem':1A,7D.
func vector(prefix, language string, stems known, fields [][]string) (vector string, lexemes []string, length int) {
	places := map[string][]string{}
	at := 0
	for i, field := range fields {
		letter := string('A' + rune(i))
		for n, w := range field {
			if n == maxWords {
				break
			}
			at++
			place := strconv.Itoa(min(at, 16383)) + letter
			exact := prefix + "=" + w
			places[exact] = append(places[exact], place)
			if stem, ok := stems.of(language, w); ok {
				key := prefix + language + ":" + stem
				places[key] = append(places[key], place)
			}
		}
		length += len(field)
		at++ // no phrase goes from one field into the next
	}
	var b strings.Builder
	for lexeme, where := range places {
		lexemes = append(lexemes, lexeme)
		b.WriteString(quote(lexeme) + ":" + strings.Join(where, ",") + " ")
	}
	return b.String(), lexemes, length
}

// write runs change for the generation in use and, while one is being made, for that, too; with next only for the latter. Writers of one
// organization take turns, because they count words together.
func (x *Index) write(ctx context.Context, org id.UUID, next bool, change func(tx pgx.Tx, generation int) error) error {
	return postgres.InTx(ctx, x.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM search_generations WHERE NOT (live AND $1) ORDER BY id FOR SHARE`, next)
		if err != nil {
			return err
		}
		generations, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			return err
		}
		if next && len(generations) == 0 {
			return errors.New("no index is being made")
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('search:' || $1::text, 0))`, org.String()); err != nil {
			return err
		}
		for _, g := range generations {
			if err := change(tx, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// store writes entries over older versions of them.
func (x *Index) store(ctx context.Context, tx pgx.Tx, org id.UUID, generation int, entries []entry) error {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	rows, err := tx.Query(ctx, `SELECT id, version FROM search_documents WHERE org_id = $1 AND generation = $2 AND id = ANY($3)`, org, generation, ids)
	if err != nil {
		return err
	}
	there := map[string]int64{}
	var key string
	var version int64
	if _, err = pgx.ForEachRow(rows, []any{&key, &version}, func() error { there[key] = version; return nil }); err != nil {
		return err
	}
	counts := map[string]int{}
	var replaced []string
	var write []entry
	for _, e := range entries {
		v, old := there[e.ID]
		if old && v >= e.Version {
			continue
		}
		if old {
			replaced = append(replaced, e.ID)
		}
		write = append(write, e)
		counts[""]++
		for _, l := range e.lexemes {
			counts[l]++
		}
	}
	if err := x.remove(ctx, tx, counts, `id = ANY($3)`, org, generation, replaced); err != nil || len(write) == 0 {
		return err
	}
	n := len(write)
	var (
		keys, kinds, groups, langs  = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		keywords, texts, vectors    = make([]string, n), make([]string, n), make([]string, n)
		versions, lengths, times    = make([]int64, n), make([]int32, n), make([]time.Time, n)
		completes, rests, completed []string
	)
	for i, e := range write {
		keys[i], kinds[i], groups[i], langs[i] = e.ID, e.Kind, e.Group, base(e.Language)
		keywords[i], texts[i], vectors[i] = e.keywords, e.text, e.vector
		versions[i], lengths[i], times[i] = e.Version, int32(e.length), e.At
		for _, text := range e.Complete {
			text = strings.TrimSpace(clean(text))
			w := textsearch.Words(text)
			for from := range w {
				completes, rests, completed = append(completes, text), append(rests, strings.Join(w[from:], " ")), append(completed, e.ID)
			}
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO search_documents (org_id, generation, id, kind, group_key, version, language, at, length, keywords, texts, words)
		SELECT $1, $2, d.* FROM (
			SELECT id, kind, group_key, version, language, at, length, keywords::jsonb, texts::jsonb, words::tsvector
			FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::timestamptz[], $9::int[], $10::text[], $11::text[], $12::text[])
				AS u(id, kind, group_key, version, language, at, length, keywords, texts, words)) d`,
		org, generation, keys, kinds, groups, versions, langs, times, lengths, keywords, texts, vectors)
	if len(completes) > 0 {
		batch.Queue(`
			INSERT INTO search_completions (org_id, generation, document_id, rest, text)
			SELECT $1, $2, u.* FROM unnest($3::text[], $4::text[], $5::text[]) u`, org, generation, completed, rests, completes)
	}
	count(batch, org, generation, counts)
	return tx.SendBatch(ctx, batch).Close()
}

// remove deletes documents, and takes their words off counts.
func (x *Index) remove(ctx context.Context, tx pgx.Tx, counts map[string]int, which string, org id.UUID, generation int, args ...any) error {
	if ids, ok := args[0].([]string); ok && len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		WITH gone AS (DELETE FROM search_documents WHERE org_id = $1 AND generation = $2 AND `+which+` RETURNING words)
		SELECT w.lexeme, count(*) FROM gone, unnest(gone.words) w GROUP BY 1 UNION ALL SELECT '', count(*) FROM gone`, append([]any{org, generation}, args...)...)
	if err != nil {
		return err
	}
	var lexeme string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&lexeme, &n}, func() error { counts[lexeme] -= n; return nil })
	return err
}

// count adds to how many documents have a word, and forgets the words that none has any more.
func count(batch *pgx.Batch, org id.UUID, generation int, counts map[string]int) {
	var words, fewer []string
	var changes []int32
	for w, n := range counts {
		if n != 0 {
			words = append(words, w)
		}
		if n < 0 {
			fewer = append(fewer, w)
		}
	}
	slices.Sort(words)
	for _, w := range words {
		changes = append(changes, int32(counts[w]))
	}
	if len(words) > 0 {
		batch.Queue(`
			INSERT INTO search_words (org_id, generation, word, documents)
			SELECT $1, $2, u.word, u.change FROM unnest($3::text[], $4::int[]) u(word, change)
			ON CONFLICT (org_id, generation, word) DO UPDATE SET documents = search_words.documents + excluded.documents`, org, generation, words, changes)
	}
	if len(fewer) > 0 {
		batch.Queue(`DELETE FROM search_words WHERE org_id = $1 AND generation = $2 AND word = ANY($3) AND documents <= 0`, org, generation, fewer)
	}
}

// Prune implements textsearch.Writer.
func (x *Index) Prune(ctx context.Context, org id.UUID, before int64, groups ...string) error {
	return x.prune(ctx, org, before, groups, false)
}

func (x *Index) prune(ctx context.Context, org id.UUID, before int64, groups []string, next bool) (err error) {
	defer fault.Wrap(&err, "pgsearch.Prune(%s)", org)
	if len(groups) == 0 {
		return nil
	}
	err = x.write(ctx, org, next, func(tx pgx.Tx, generation int) error {
		counts := map[string]int{}
		if err := x.remove(ctx, tx, counts, `group_key = ANY($3) AND version < $4`, org, generation, groups, before); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		count(batch, org, generation, counts)
		return tx.SendBatch(ctx, batch).Close()
	})
	return unavailable(ctx, err)
}

// Groups implements textsearch.Index.
func (x *Index) Groups(ctx context.Context, org id.UUID, after string, limit int) (_ []textsearch.Tally, err error) {
	defer fault.Wrap(&err, "pgsearch.Groups(%s)", org)
	if limit < 1 || limit > textsearch.MaxBatch {
		return nil, fault.Invalid("limit", "must be from 1 to %d", textsearch.MaxBatch)
	}
	rows, err := x.db.Query(ctx, `
		SELECT group_key, count(*), min(version), max(version) FROM search_documents
		WHERE org_id = $1 AND generation = `+live+` AND group_key > $2 GROUP BY 1 ORDER BY 1 LIMIT $3`, org, after, limit)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[textsearch.Tally])
	return found, unavailable(ctx, err)
}

// Sums implements textsearch.Index.
func (x *Index) Sums(ctx context.Context, org id.UUID, group string) (_ map[string]uint32, err error) {
	defer fault.Wrap(&err, "pgsearch.Sums(%s)", group)
	rows, err := x.db.Query(ctx, `SELECT id, kind, at, keywords, texts FROM search_documents WHERE org_id = $1 AND generation = `+live+` AND group_key = $2 ORDER BY id`, org, group)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	sums := map[string]uint32{}
	var d textsearch.Document
	var keywords map[string]any
	_, err = pgx.ForEachRow(rows, []any{&d.ID, &d.Kind, &d.At, &keywords, &d.Texts}, func() error {
		d.Keywords = map[string][]string{}
		for name, value := range keywords {
			switch value := value.(type) {
			case string:
				d.Keywords[name] = []string{value}
			case []any:
				for _, v := range value {
					d.Keywords[name] = append(d.Keywords[name], fmt.Sprint(v))
				}
			}
		}
		sums[d.ID] = d.Sum()
		keywords, d.Texts = nil, nil
		return nil
	})
	return sums, unavailable(ctx, err)
}

// unavailable is err as the port says it.
func unavailable(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case postgres.Unavailable(err):
		return textsearch.Unavailable(err)
	}
	return err
}

// prefixOf begins the lexemes of an organization. Two may have the same: the rows say whose they are.
func prefixOf(org id.UUID) string {
	sum := sha256.Sum256(org[:])
	return base64.RawURLEncoding.EncodeToString(sum[:])[:3]
}

// quote writes a lexeme as tsvector and tsquery read it.
func quote(lexeme string) string {
	return "'" + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(lexeme) + "'"
}

// clean makes a text one that PostgreSQL can hold.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, " "), "\x00", " ")
}
