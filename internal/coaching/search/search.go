// Package search finds what was said, found out, noted, agreed and planned, by its words, as far as the viewer may see it.
//
// What can be found are copies in a textsearch.Index. They follow PostgreSQL: triggers note what has changed, whoever changes it
// (migration 00048), a relay makes jobs of that (index.go), and a job writes anew all that belongs to one thing (feed.go). Who
// may see what is asked of PostgreSQL with every search and becomes the filter inside the index (scope.go); what comes back
// is loaded through the scopes of its domain once more.
package search

import (
	"time"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Kind is what can be found.
type Kind string

// The kinds.
const (
	Utterance Kind = "UTTERANCE"
	Insight   Kind = "INSIGHT"
	Note      Kind = "NOTE"
	Goal      Kind = "GOAL"
	Action    Kind = "ACTION"
	Session   Kind = "SESSION"
)

// Mode is how it is looked for.
type Mode string

// Keyword looks for words.
const Keyword Mode = "KEYWORD"

// Order is how hits are ordered.
type Order string

// The orders.
const (
	Relevance Order = "RELEVANCE"
	Newest    Order = "NEWEST"
	Oldest    Order = "OLDEST"
)

// GroupBy is what hits are put together by.
type GroupBy string

// BySession puts together what belongs to one session.
const BySession GroupBy = "SESSION"

// FacetField is what hits can be counted by.
type FacetField string

// The fields of facets.
const (
	FacetClient      FacetField = "CLIENT"
	FacetCoach       FacetField = "COACH"
	FacetEngagement  FacetField = "ENGAGEMENT"
	FacetTag         FacetField = "TAG"
	FacetSpeakerRole FacetField = "SPEAKER_ROLE"
	FacetInsightKind FacetField = "INSIGHT_KIND"
	FacetCode        FacetField = "UTTERANCE_CODE"
	FacetKind        FacetField = "KIND"
	FacetMonth       FacetField = "MONTH"
	FacetWeek        FacetField = "WEEK"
)

// The fields of documents.
const (
	fieldTitle, fieldText = "title", "text"

	fieldClient, fieldCoach, fieldEngagement, fieldSession, fieldTranscript = "client", "coach", "engagement", "session", "transcript"

	fieldSpeaker, fieldCode, fieldTag = "speaker", "code", "tag"

	fieldInsightKind, fieldAudience, fieldStatus, fieldVisibility, fieldAuthor, fieldAssignee = "insightKind", "audience", "status", "visibility", "author", "assignee"
)

// Schema is what documents have.
var Schema = textsearch.Schema{
	Texts: []textsearch.Text{{Name: fieldTitle, Weight: 2}, {Name: fieldText, Weight: 1}},
	Keywords: []textsearch.Keyword{
		{Name: fieldClient}, {Name: fieldCoach}, {Name: fieldEngagement}, {Name: fieldSession}, {Name: fieldTranscript},
		{Name: fieldSpeaker}, {Name: fieldCode, Many: true}, {Name: fieldTag, Many: true},
		{Name: fieldInsightKind}, {Name: fieldAudience}, {Name: fieldStatus}, {Name: fieldVisibility}, {Name: fieldAuthor}, {Name: fieldAssignee, Many: true},
	},
}

// facets are the fields of documents that hits are counted by.
var facets = map[FacetField]textsearch.Facet{
	FacetClient: {Field: fieldClient}, FacetCoach: {Field: fieldCoach}, FacetEngagement: {Field: fieldEngagement}, FacetTag: {Field: fieldTag},
	FacetSpeakerRole: {Field: fieldSpeaker}, FacetInsightKind: {Field: fieldInsightKind}, FacetCode: {Field: fieldCode}, FacetKind: {Field: textsearch.FieldKind},
	FacetMonth: {Field: textsearch.FieldTime, Every: textsearch.Month}, FacetWeek: {Field: textsearch.FieldTime, Every: textsearch.Week},
}

// Request is a search as somebody asks for it.
type Request struct {
	Query   string
	Filter  *session.Filter
	Kinds   []Kind
	Facets  []*FacetInput
	Mode    Mode
	GroupBy *GroupBy
	Order   Order
	First   *int
	After   *string
}

// FacetInput asks for counts.
type FacetInput struct {
	Field FacetField
	First int
}

// Result is what was found.
type Result struct {
	Hits           []*Hit
	HasNextPage    bool
	TotalCount     *int
	Facets         []*Facet
	Interpretation *Interpretation
	Degraded       *string
}

// PageInfo says where the page lies. Only the next one is known of.
func (r *Result) PageInfo() *page.Info {
	info := &page.Info{HasNextPage: r.HasNextPage}
	if n := len(r.Hits); n > 0 {
		info.StartCursor, info.EndCursor = &r.Hits[0].Cursor, &r.Hits[n-1].Cursor
	}
	return info
}

// Entity is what was found: an utterance, insight, note, goal, action or session.
type Entity interface{ IsNode() }

// Around is which utterances stand around the one that was found; false if none was.
func (h *Hit) Around() (transcript.Span, bool) {
	const before, after = 2, 2
	u, ok := h.Entity.(*transcript.Utterance)
	if !ok {
		return transcript.Span{}, false
	}
	return transcript.Span{TranscriptID: u.TranscriptID, First: max(0, u.Index-before), Last: u.Index + after}, true
}

// Hit is one of them.
type Hit struct {
	Kind       Kind
	Entity     Entity // of the type that Kind says
	SessionID  *session.ID
	Score      float64
	Rank       int // from 1, on this page
	Highlights []*Highlight
	Cursor     string
	Engine     string
	Others     []*Hit // with GroupBy
	place      *ranks // in the lists that were merged, if any were
	document   string // in the index
}

// Explanation is why a hit is where it is.
type Explanation struct {
	KeywordRank  int
	KeywordScore float64
	SemanticRank *int     // nil if it was not found by meaning
	FusedScore   *float64 // nil if no lists were merged
	Engine       string
}

// Explain says why the hit is where it is.
func (h *Hit) Explain() *Explanation {
	if h.place == nil {
		return &Explanation{KeywordRank: h.Rank, KeywordScore: h.Score, Engine: h.Engine}
	}
	e := &Explanation{KeywordRank: h.place.keyword, KeywordScore: h.place.keywordScore, FusedScore: &h.Score, Engine: h.Engine}
	if h.place.semantic > 0 {
		e.SemanticRank = &h.place.semantic
	}
	return e
}

// Highlight is a piece of text with what was looked for in it.
type Highlight struct {
	Field    TextField
	Segments []*Segment
}

// TextField is where words stand: TITLE or TEXT.
type TextField string

// Segment is a part of a highlight.
type Segment struct {
	Text  string
	Match bool
}

// Facet is how many hits there are by one field.
type Facet struct {
	Field   FacetField
	Buckets []*Bucket
}

// Bucket is how many hits have one value.
type Bucket struct {
	Value string  // an id, a code, or a date
	Label *string // a name for people; nil where the value says it
	Count int
}

// Interpretation is how a query was read.
type Interpretation struct {
	Query string
	Notes []string
}

// Suggestion completes what somebody types.
type Suggestion struct {
	Text string
	Kind SuggestionKind
}

// SuggestionKind is what a suggestion is.
type SuggestionKind string

// The kinds of suggestions.
const (
	SuggestTag    SuggestionKind = "TAG"
	SuggestClient SuggestionKind = "CLIENT"
	SuggestPhrase SuggestionKind = "PHRASE"
)

// pendingAtMost is how many things that wait to be indexed anew a search leaves out.
const pendingAtMost = 2000

// soon is how long a search may take in one index.
const soon = 5 * time.Second

// quiet is how long nothing is logged after it was that the fallback is asked.
const quiet = 10 * time.Second
