// Package vector is the port to what finds vectors that are near another one.
//
// A store holds copies: the truth is elsewhere, and everything in it can be made again from there. It holds no text. It knows nothing of who may
// see what either: whoever searches puts that into the Filter of a request, so that the nearest are the nearest of what passes it.
package vector

import (
	"context"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/filter"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Limits of records and requests. A larger one is refused as INVALID.
const (
	MaxBatch    = 1000   // records of one Put, ids of one Delete
	MaxCode     = 200    // bytes of an id, a model, a field's name and a value; an id and a model are ASCII
	MaxValues   = 200    // values of one field of a record
	MaxKeywords = 30_000 // bytes of all names and values of a record
	MaxNearest  = 1000   // of a request
	MaxNodes    = 200    // parts of a filter, Terms counting as one however many values it has
	MaxDepth    = 20     // how deeply they nest
	MaxTerms    = 10_000 // values of one Terms
)

// Space is where vectors compare: those that one model has made for one organization. Nothing is ever found in another one.
type Space struct {
	Org   id.UUID
	Model string // with its version
}

// Record is a vector, and what a filter can ask about it.
type Record struct {
	ID       string // unique in its space: its group, a slash, and what it is there
	At       time.Time
	Keywords map[string][]string
	Values   []float32 // of length 1
}

// FieldGroup is the field of Terms that every record has, beside its keywords.
const FieldGroup = "group"

// GroupOf is what the record with the id is a part of, and goes with.
func GroupOf(id string) string {
	group, _, _ := strings.Cut(id, "/")
	return group
}

// Request asks for what is near.
type Request struct {
	Vector  []float32
	Filter  Expr // nil is everything
	Nearest int  // at most so many
}

// Match is what was found.
type Match struct {
	ID    string
	Score float64 // the cosine, 1 for the same direction
}

// Store keeps vectors.
//
// Implementations are safe for concurrent use. Errors are faults: INVALID for what breaks a limit or is of another dimension than its space,
// UNAVAILABLE if the store does not answer, whatever it was asked; then all, some or nothing was done, and doing it again is right. No error holds a value of a record.
type Store interface {
	// Put adds records, or replaces those with the same ids.
	Put(ctx context.Context, s Space, records []Record) error

	// Delete removes records. Those that are not there are no error.
	Delete(ctx context.Context, s Space, ids []string) error

	// DeleteGroup removes the records of a group.
	DeleteGroup(ctx context.Context, s Space, group string) error

	// Drop removes a space.
	Drop(ctx context.Context, s Space) error

	// Search finds the nearest records, the nearest first and the smaller id first of those that are as near.
	Search(ctx context.Context, s Space, r Request) ([]Match, error)

	// Count says how many records there are.
	Count(ctx context.Context, s Space) (int, error)

	// Models are the models that have a space of the organization, in alphabetical order.
	Models(ctx context.Context, org id.UUID) ([]string, error)

	// Fresh says whether every process finds what was written, and no more what was removed, as soon as that has returned. If not, it takes
	// seconds, and Count and Models may be as late.
	Fresh() bool

	// Ready says whether the store can be reached, and keeps vectors of this dimension.
	Ready(ctx context.Context, dimension int) error
}

// Expr is a condition on records: one of package filter. nil holds for every record.
type Expr = filter.Expr

// The conditions of package filter. Those of Between count in seconds, and an Any asks for one at least and no more.
type (
	Terms   = filter.Terms
	Between = filter.Between
	All     = filter.All
	Any     = filter.Any
	Not     = filter.Not
)

// Check says what is wrong with a space and records to be put into it, nil if nothing is: adapters call it first, so that all of them refuse the same.
func Check(s Space, records []Record) error {
	if err := s.check(); err != nil {
		return err
	}
	if len(records) > MaxBatch {
		return fault.Invalid("records", "must be at most %d", MaxBatch)
	}
	seen := map[string]bool{}
	for _, r := range records {
		if group, rest, ok := strings.Cut(r.ID, "/"); !ascii(r.ID) || seen[r.ID] || !ok || group == "" || rest == "" {
			return fault.Invalid("id", "must be a group, a slash and more, at most %d ASCII characters, and unique in a batch", MaxCode)
		}
		seen[r.ID] = true
		if len(r.Values) == 0 || len(r.Values) != len(records[0].Values) {
			return fault.Invalid("values", "must be as many in each record, and some")
		}
		if !direction(r.Values) {
			return fault.Invalid("values", "must be finite, and not all zero")
		}
		size := 0
		for name, values := range r.Keywords {
			if !code(name) || name == FieldGroup || name == "at" || strings.HasPrefix(name, "$") {
				return fault.Invalid("keywords", "have a name that cannot be")
			}
			if len(values) > MaxValues {
				return fault.Invalid("keywords", "must have at most %d values each", MaxValues)
			}
			size += len(name)
			for _, v := range values {
				if !code(v) {
					return fault.Invalid("keywords", "must have values of 1 to %d bytes without control characters", MaxCode)
				}
				size += len(v)
			}
		}
		if size > MaxKeywords {
			return fault.Invalid("keywords", "must have at most %d bytes", MaxKeywords)
		}
	}
	return nil
}

// CheckIDs says what is wrong with ids to be deleted, nil if nothing is.
func CheckIDs(s Space, ids []string) error {
	if err := s.check(); err != nil {
		return err
	}
	if len(ids) > MaxBatch {
		return fault.Invalid("ids", "must be at most %d", MaxBatch)
	}
	for _, v := range ids {
		if !ascii(v) {
			return fault.Invalid("ids", "must be 1 to %d ASCII characters each", MaxCode)
		}
	}
	return nil
}

// CheckRequest says what is wrong with a request, nil if nothing is.
func CheckRequest(s Space, r Request) error {
	if err := s.check(); err != nil {
		return err
	}
	if r.Nearest < 1 || r.Nearest > MaxNearest {
		return fault.Invalid("nearest", "must be from 1 to %d", MaxNearest)
	}
	if !direction(r.Vector) {
		return fault.Invalid("vector", "must have values that are finite, and not all zero")
	}
	nodes := 0
	return checkExpr(r.Filter, 0, &nodes)
}

func checkExpr(e Expr, depth int, nodes *int) error {
	if *nodes++; *nodes > MaxNodes || depth > MaxDepth {
		return fault.Invalid("filter", "must have at most %d parts, and nest at most %d deep", MaxNodes, MaxDepth)
	}
	var parts []Expr
	switch e := e.(type) {
	case Terms:
		if !code(e.Field) || len(e.Values) > MaxTerms {
			return fault.Invalid("filter", "must have a field and at most %d values", MaxTerms)
		}
	case All:
		parts = e
	case Any:
		if e.AtLeast > 1 {
			return fault.Invalid("filter", "cannot ask for more than one of several")
		}
		parts = e.Of
	case Not:
		parts = []Expr{e.Of}
	case Between, nil:
	default:
		return fault.Invalid("filter", "has a part that vectors do not know")
	}
	for _, part := range parts {
		if part == nil {
			return fault.Invalid("filter", "has a part that is nil")
		}
		if err := checkExpr(part, depth+1, nodes); err != nil {
			return err
		}
	}
	return nil
}

func (s Space) check() error {
	if s.Org.IsZero() || !ascii(s.Model) {
		return fault.Invalid("space", "must have an organization and a model")
	}
	return nil
}

// direction says whether there is anything to compare.
func direction(values []float32) bool {
	some := false
	for _, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
		some = some || v != 0
	}
	return some
}

func code(v string) bool {
	return v != "" && len(v) <= MaxCode && utf8.ValidString(v) && !strings.ContainsFunc(v, unicode.IsControl)
}

func ascii(v string) bool {
	return code(v) && !strings.ContainsFunc(v, func(r rune) bool { return r > unicode.MaxASCII })
}

// Holder is a filter that is asked about many records.
type Holder func(r *Record) bool

// Compile prepares a filter; values are looked up and not compared one by one.
func Compile(e Expr) Holder {
	switch e := e.(type) {
	case Terms:
		values := make(map[string]struct{}, len(e.Values))
		for _, v := range e.Values {
			values[v] = struct{}{}
		}
		return func(r *Record) bool {
			if e.Field == FieldGroup {
				_, in := values[GroupOf(r.ID)]
				return in
			}
			for _, v := range r.Keywords[e.Field] {
				if _, in := values[v]; in {
					return true
				}
			}
			return false
		}
	case Between:
		return func(r *Record) bool {
			at := r.At.Unix()
			return (e.From.IsZero() || at >= e.From.Unix()) && (e.To.IsZero() || at < e.To.Unix())
		}
	case All:
		parts := compiled(e)
		return func(r *Record) bool {
			for _, holds := range parts {
				if !holds(r) {
					return false
				}
			}
			return true
		}
	case Any:
		parts := compiled(e.Of)
		return func(r *Record) bool {
			for _, holds := range parts {
				if holds(r) {
					return true
				}
			}
			return false
		}
	case Not:
		holds := Compile(e.Of)
		return func(r *Record) bool { return !holds(r) }
	}
	return func(*Record) bool { return true }
}

func compiled(all []Expr) []Holder {
	parts := make([]Holder, len(all))
	for i, e := range all {
		parts[i] = Compile(e)
	}
	return parts
}
