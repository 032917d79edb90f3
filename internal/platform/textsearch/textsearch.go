// Package textsearch is the port to what finds documents by their words.
//
// An index holds copies: the truth is elsewhere, and everything in an index can be made again from it. It knows nothing of
// who may see what either. Whoever searches puts that into the Filter of a request, so that pages, counts, facets and
// suggestions are made of what passes it and of nothing else.
package textsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/filter"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Limits of documents and requests. A larger one is refused as INVALID.
const (
	MaxBatch     = 1000    // documents of one Put
	MaxText      = 200_000 // bytes of one text
	MaxKeyword   = 200     // bytes of a document's id, kind, group, of a value and of what Suggest completes
	MaxValues    = 200     // values of one field of a document
	MaxSize      = 200     // hits of a page, buckets of a facet, hits of a group
	MaxOnce      = 5000    // hits with Once, that are in no groups
	MaxHighlight = 1000    // documents that show at once where words stand
	MaxPieces    = 10      // pieces of one of them
	MaxNodes     = 1000    // parts of a request's expressions, Terms counting as one however many values it has
	MaxDepth     = 12      // how deeply they nest: Elasticsearch takes 30 levels, and needs two of them for one
	MaxTerms     = 100_000 // values of one Terms
	MaxQueryWord = 200     // letters of a Word, and of each word of a Phrase
)

// Schema says which fields documents have, by the names that their domain gives them. An adapter is made for one schema.
type Schema struct {
	// Texts are searched by their words. A Word without a field is looked for in all of them.
	Texts []Text
	// Keywords are compared as they are, counted by facets, and never analysed.
	Keywords []Keyword
}

// Text is a field of words.
type Text struct {
	Name   string
	Weight float64 // how much a word found here counts, compared with other fields; 1 is usual
}

// Keyword is a field of codes and ids.
type Keyword struct {
	Name string
	Many bool // whether a document can have more than one value
}

// The fields that every document has, for Terms, facets and groups beside those of the schema. No schema may name its own so.
const (
	FieldID    = "id"
	FieldKind  = "kind"
	FieldGroup = "group"
	FieldTime  = "time" // for a histogram, and Between
)

// Document is what can be found.
type Document struct {
	ID    string // unique within the organization
	Kind  string
	Group string // what it is a part of: Prune and Groups take the documents of a group together

	// Version orders what is written of one document: an older one never replaces a newer one.
	Version int64

	// Language is the tag of the language that the texts are in ("de", "pt-BR"); "" if nobody knows. It decides which forms of
	// a word are the same word. Of a language that the adapter does not know, a word is only the same as itself.
	Language string

	At       time.Time
	Texts    map[string]string   // by the names of Schema.Texts; what is empty can be left out
	Keywords map[string][]string // by the names of Schema.Keywords
	Complete []string            // what Suggest can complete to: short, and each as it is to be shown
}

// Sum is a checksum of what is found of a document and by what: its kind, time, texts and keywords. How it came to be there, its version, is not in it.
func (d Document) Sum() uint32 {
	texts, keywords := map[string]string{}, map[string][]string{}
	for name, text := range d.Texts {
		if text != "" {
			texts[name] = text
		}
	}
	for name, values := range d.Keywords {
		if len(values) > 0 {
			keywords[name] = slices.Sorted(slices.Values(values))
		}
	}
	raw, _ := json.Marshal([]any{d.ID, d.Kind, d.At.UnixMicro(), texts, keywords}) // maps in the order of their keys
	return crc32.ChecksumIEEE(raw)
}

// Expr is a condition on documents, and, where it has words, a measure of how well they meet it: a Word, a Phrase, or one of package filter, of which All, Any
// and Not may hold words. A nil Expr holds for every document. What is in a Not does not count for how well a document is found.
type Expr = filter.Expr

// The conditions of package filter. The fields of Terms are keyword fields.
type (
	Terms   = filter.Terms
	Between = filter.Between
	All     = filter.All
	Any     = filter.Any
	Not     = filter.Not
)

// Word holds for a document in which the word, or another form of it in the document's language, stands. Case, accents and the
// shape of apostrophes make no difference. What is several words, as "follow-up", is a Phrase; what is none ("…"), as if it were
// left out of the All or Any around it.
type Word struct {
	Text   string
	Field  string // a text field; "" is any of them
	Prefix bool   // the beginning of a word is enough

	// Fuzzy says that a word that is spelled nearly so is enough, too, where the word itself, in any form and whatever field, is in nothing that the filter of
	// the request lets through. It counts less. It has at least four letters, its first, and is none of Common; nor are such of words that are not so themselves,
	// of several words, and of beginnings.
	Fuzzy bool
}

// Phrase holds for a document in which the words stand one after the other, in one field, each in some form. No word is too
// common for it.
type Phrase struct {
	Text  string
	Field string
}

// Filters implements Expr.
func (Word) Filters() {}

// Filters implements Expr.
func (Phrase) Filters() {}

// Order is how hits are ordered. What is equal is ordered by id.
type Order string

// The orders.
const (
	ByScore Order = "SCORE" // the best first; without a word all are equally good
	Newest  Order = "NEWEST"
	Oldest  Order = "OLDEST"
)

// Request is a search.
type Request struct {
	Query Expr // what is looked for
	// Filter is what everything is restricted to: what the viewer may see. It has no words.
	Filter Expr
	// Narrow are further restrictions, each by the field whose facet shows what else there would be: hits meet all of them,
	// and the counts of a facet all but that of its own field. They have no words.
	Narrow map[string]Expr

	Order Order  // "" is ByScore
	Size  int    // how many hits, 0 to MaxSize, or to MaxOnce
	After string // the Cursor of a hit, to go on after it
	Once  bool   // nobody will go on after these hits: they have no Cursor, which in the order of scores costs something

	// GroupBy, if not "", is a keyword field of one value, or FieldKind or FieldGroup: hits are then the best of each of its
	// values, in the order of these, with up to PerGroup of the others in Also. Documents without a value are not found.
	// It goes with neither Newest, Oldest nor After.
	GroupBy  string
	PerGroup int

	Facets []Facet
	Total  bool // whether to count all hits
}

// Facet asks how many hits have each value of a field.
type Facet struct {
	Field string   // a keyword field, FieldKind, or FieldTime with an Interval
	Size  int      // how many values, the most frequent first and equally frequent ones in their order; 1 to MaxSize
	Only  []string // if not nil, no other values are counted
	Every Interval // of FieldTime: the buckets that have hits, the latest Size of them, in the order of time
}

// Interval is the width of the buckets of a histogram. They begin at midnight UTC; weeks on a Monday.
type Interval string

// The intervals.
const (
	Day   Interval = "DAY"
	Week  Interval = "WEEK"
	Month Interval = "MONTH"
	Year  Interval = "YEAR"
)

// Result is what was found.
type Result struct {
	Hits   []Hit
	More   bool // whether there are hits after these
	Total  int  // if asked for: all hits, exactly
	Facets map[string][]Bucket
	Query  Expr // what was looked for: that of the request, with Fuzzy only where near spellings were. It is for Highlight
}

// Hit is a document that was found.
type Hit struct {
	ID     string
	Kind   string
	Group  string
	Score  float64 // comparable within one result; 0 without a word
	Cursor string  // "" in groups, and with Once
	Key    string  // with GroupBy: the value that it is the best of
	Also   []Hit
}

// Highlight is a piece of a text in which something was found.
type Highlight struct {
	Field    string
	Segments []Segment // in their order; joined they are the piece, as the text has it
}

// Segment is a piece of text that was looked for, or one between such.
type Segment struct {
	Text  string
	Match bool
}

// Bucket is how often a value is there.
type Bucket struct {
	Value string // of a histogram the begin of the interval, as 2026-01-31
	Count int
}

// SuggestRequest asks for what begins with the prefix.
type SuggestRequest struct {
	Prefix string // of a word in it; case and accents make no difference
	Filter Expr   // as in Request
	Size   int    // 1 to MaxSize
}

// Suggestion is a completion: what documents have in Complete.
type Suggestion struct {
	Text string
	Kind string // of the documents; of several the first in their order
}

// Tally is what an index holds of a group.
type Tally struct {
	Group          string
	Documents      int
	Oldest, Newest int64 // the versions
}

// Capabilities is what an adapter can do and another may not.
type Capabilities struct {
	Name      string   // of the technology, for logs and readiness
	Fuzzy     bool     // finds words that are spelled nearly so
	Languages []string // whose forms of words it knows, as ISO 639-1, sorted
	// Delay is how long what was written may take to be found, if nobody calls Refresh.
	Delay time.Duration
}

// Index keeps and finds documents. All methods are safe for concurrent use, and every one but Refresh and Rebuild concerns one
// organization.
//
// Errors: a fault of the kind UNAVAILABLE means that the index cannot be asked now, or not all was done, and that the same may
// succeed later; INVALID that the request or the document will never be taken; and ErrCursor what it says. Errors of ctx are
// handed on. Whatever else is a mistake of the program's. No error quotes a text or a query.
type Index interface {
	Writer

	// Search finds documents. Hits are stable: who follows the cursors sees each document that was there at the first page,
	// and has not been written since, once and in its place, whatever is written and removed meanwhile. What comes in
	// meanwhile may be seen or not. Filter and Narrow may change from page to page, Query and Order may not.
	Search(ctx context.Context, org id.UUID, r Request) (Result, error)

	// Highlight shows where the words of a query stand in documents (at most MaxHighlight), by up to most pieces of each (1 to MaxPieces). It takes Fuzzy as it
	// is, for it is asked of the Query of a Result; what is spelled only nearly so is marked at least where nothing else is. A document without a mark is not in the answer. It costs more for each document than a
	// search does: ask for those that are shown.
	Highlight(ctx context.Context, org id.UUID, query Expr, most int, documents []string) (map[string][]Highlight, error)

	// Suggest returns completions, those of most documents first, each once whatever the case of its letters.
	Suggest(ctx context.Context, org id.UUID, r SuggestRequest) ([]Suggestion, error)

	// Groups returns what is held, by the names of groups, from the first after the given one, at most limit (1 to MaxBatch).
	// It is for checking the index against the truth, after a Refresh.
	Groups(ctx context.Context, org id.UUID, after string, limit int) ([]Tally, error)

	// Sums returns the Sum of each document that is held of a group, by id, made of what is held. It is for checking the index against the truth, after a
	// Refresh.
	Sums(ctx context.Context, org id.UUID, group string) (map[string]uint32, error)

	// Rebuild makes the index anew, in which fill writes everything, and then replaces the one in use by it. Until then
	// searches find what they found before. What is written to the Index meanwhile is in both, so fill may meet newer
	// documents, which stay. When it or fill fails, the index in use stays what it is. One Rebuild at a time.
	Rebuild(ctx context.Context, fill func(ctx context.Context, w Writer) error) error

	Capabilities() Capabilities
}

// Writer changes an index.
type Writer interface {
	// Put writes documents, at most MaxBatch. One that is there with a newer version stays as it is, and that is no error;
	// with the same version, it may be either. If some documents are not taken, the others are written, and the error is
	// a *Rejected. Texts may hold anything: control characters separate words.
	Put(ctx context.Context, org id.UUID, docs []Document) error

	// Prune removes what the groups have of older versions than the given one. Who writes a whole group anew therefore Puts
	// it all with a version and Prunes it with the same one; without a Put before, it removes the group. What is not there
	// is no error.
	Prune(ctx context.Context, org id.UUID, before int64, groups ...string) error

	// Refresh returns when all that was written before can be found.
	Refresh(ctx context.Context) error
}

// ErrCursor means that a cursor does not lead on: it is none, belongs to another query or order, or is too old.
var ErrCursor = fault.Invalid("after", "is not a cursor of this search, or is too old: search again").WithCode("CURSOR_LOST")

// Unavailable is an error that means: not now.
func Unavailable(cause error) error {
	return fault.Unavailable("the search index cannot be reached now").WithCode("SEARCH_UNAVAILABLE").Because(cause)
}

// Rejected are the documents of a Put that were not taken; the others were. Writing it again has the same result unless
// the reason is an UNAVAILABLE fault.
type Rejected struct{ Documents []Rejection }

// Rejection is why a document was not taken.
type Rejection struct {
	ID  string
	Err error
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("%d documents were not taken, the first of them %q: %v", len(r.Documents), r.Documents[0].ID, r.Documents[0].Err)
}

// Unwrap gives the reasons.
func (r *Rejected) Unwrap() []error {
	errs := make([]error, len(r.Documents))
	for i, d := range r.Documents {
		errs[i] = d.Err
	}
	return errs
}
