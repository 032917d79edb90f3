package seed

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Houses says how many organizations of one coach each there are to be, and how much is said in all of them together.
type Houses struct {
	Organizations, Utterances int

	// Model made the vectors of the passages: directions by chance, of so many numbers. What is near what says nothing, and comparing takes as long as ever.
	Model     string
	Dimension int
}

// House is one of them.
type House struct {
	Org        id.UUID
	Coach      string // subject and address
	Engagement engagement.ID
	Utterances int
	Passages   int
}

// the least: ten clients with one session each.
var house = Size{Clients: 10, Sessions: 1, Utterances: 200, Insights: 4, Goals: 1, Actions: 4}

// Load fills a migrated, empty database, one organization after the other. The people sign in by tokens of issuer.
func (h Houses) Load(ctx context.Context, db *pgxpool.Pool, issuer string) ([]House, error) {
	size := house
	each := h.Utterances / h.Organizations
	size.Utterances = max(1, min(house.Utterances, each/(size.Clients+9))) // the latest session has ten times as many
	size.Sessions = max(1, (each-9*size.Utterances)/(size.Clients*size.Utterances))
	var all []House
	for n := range h.Organizations {
		b := &builder{words: NewTalk(uint64(n)), ids: rand.New(rand.NewPCG(3, uint64(n))), issuer: issuer}
		coach := fmt.Sprintf("coach@house%d.example", n)
		org := b.organization(fmt.Sprintf("house%d", n), fmt.Sprintf("House %d", n))
		p := b.coach(org, coach, b.words.Name(), size)
		passages := b.passages(org, h.Model, h.Dimension)
		if err := b.copy(ctx, db); err != nil {
			return nil, err
		}
		all = append(all, House{Org: org, Coach: coach, Engagement: p.Engagement, Utterances: len(b.rows["utterances"]), Passages: passages})
	}
	return all, analyze(ctx, db)
}

// vectorTables are what package vector/exact stands on.
var vectorTables = []table{
	{"vector_spaces", []string{"org_id", "model", "dimension", "vectors"}},
	{"vector_groups", []string{"org_id", "model", "group_id", "changed", "vectors"}},
	{"vectors", []string{"org_id", "model", "id", "group_id", "at", "keywords", "numbers"}},
}

// passages adds a vector for each passage of what is said, cut as search cuts it.
func (b *builder) passages(org id.UUID, model string, dimension int) (n int) {
	said := map[id.UUID][]search.Line{}
	for _, u := range b.rows["utterances"] {
		key, text := u[2].(id.UUID), u[7].(string)
		said[key] = append(said[key], search.Line{Index: u[3].(int), Text: text, Question: search.IsQuestion(text)})
	}
	for _, t := range b.rows["transcripts"] { // in their order, so that chance is the same each time
		key, at := t[0].(id.UUID), t[12].(time.Time)
		chunks := search.Chunks(said[key], func(string) bool { return true })
		b.add("vector_groups", org, model, key.String(), 1, len(chunks))
		for _, c := range chunks {
			b.add("vectors", org, model, key.String()+"/"+c.Key, key.String(), at, map[string][]string{}, b.direction(dimension))
		}
		n += len(chunks)
	}
	b.add("vector_spaces", org, model, dimension, n)
	return n
}

// direction is a vector of length 1 as vector/exact keeps it.
func (b *builder) direction(dimension int) []byte {
	values, sum := make([]float64, dimension), 0.0
	for i := range values {
		values[i] = b.ids.NormFloat64()
		sum += values[i] * values[i]
	}
	raw := make([]byte, 0, 4*dimension)
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v/math.Sqrt(sum))))
	}
	return raw
}
