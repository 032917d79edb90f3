package app

import (
	"math"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/rapporthq/rapport/internal/platform/page"
)

// shortList is how many values a list of scalars is taken to have.
const shortList = 5

// most is how many things the lists without paging have at most: who changes them or answers them sees to that. A new one needs its place
// here (TestListsAreBounded).
//
// What an answer is made of is the exception. It may have 20 sentences of five quotes of 20 utterances each, and never has: a thread of 50 would
// quote 100,000 utterances of the forty that an answer is looked for in. So these count as they are in a long answer, of 20 quotes in all, each
// of an exchange.
var most = map[string]int{
	"Organization.consentTexts": 5, "Membership.supervisors": 20, "Membership.supervises": 100, "NotificationPreferences.types": 15,
	"Client.tags": 40, "Session.tags": 40, "Insight.tags": 40, "Note.tags": 40, "Query.savedFilters": 50, "Query.savedSearches": 50,
	"Client.consents": 50, "Participant.consentRecords": 50, "Engagement.sponsors": 20, "Engagement.sponsorships": 20,
	"Session.overlaps": 10, "Session.participants": 50, "Session.agenda": 50,
	"Transcript.warnings": 200, "Transcript.speakers": 100, "TranscriptEdit.speakers": 100, "SpeakerQuestion.speakers": 100,
	"SessionMetrics.speakers": 100, "SessionMetrics.timeline": 20,
	"Utterance.cues": 30, "Utterance.revisions": 50, "Utterance.codes": 10, "Passage.utterances": 5, "Citation.utterances": 5,
	"Insight.citations": 10, "Summary.sections": 5, "SummarySection.points": 10, "SummaryPoint.citations": 10,
	"Transcript.skillEvidence": 20, "SkillEvidence.citations": 10,
	"MetricSeries.groups": 10, "MetricGroup.points": 40, // analytics.MaxPoints in all
	"Goal.sessions": 50, "Goal.insights": 50, "ActionItem.assignees": 20, "Note.mentions": 20, "Theme.mergedThemes": 50,
	"ClientBrief.openActions": 20, "ClientBrief.commitments": 10, "ClientBrief.carriedOver": 50, "ClientBrief.slippingGoals": 10,
	"ClientBrief.themes": 5, "ClientBrief.toReview": 5,
	"AuditVerification.problems": 100, "DataRequest.counts": 60, "RetentionReport.stores": 60, "RetentionSweep.stores": 60, "UploadLink.headers": 10,
	"ModelSpending.months": 12, "ModelSpendingMonth.models": 10,
	"LiveSession.speakers": 50, "LiveSession.nudges": 720, "LiveNudge.evidence": 4, "LiveNudge.topics": 50, "LiveUtterancesSaid.utterances": 100,
	"Query.suggest": 20, "AskThread.messages": 50, "AskMessage.sentences": 10, "AskSentence.citations": 2, "SearchResults.nodes": page.MaxSize, "SearchResults.facets": 10, "SearchFacet.buckets": 10, "SearchHit.highlights": 2, "SearchHit.around": 5, "SearchHit.others": 5, "SearchHighlight.segments": 10,
}

// cost estimates how many fields an operation answers at most: each field counts one, times the sizes of the pages and lists
// it lies in. It is what protects the server from pages within pages within pages, which the token limit lets through.
//
// Fragments are weighed once each, so that the walk is linear in the document however often they are spread; a validated
// document has no fragment cycles. The result saturates.
func cost(op *ast.OperationDefinition, vars map[string]any) int {
	w := weigher{vars: vars, fragments: map[*ast.FragmentDefinition]int{}}
	w.widest(op.SelectionSet, map[*ast.FragmentDefinition]bool{})
	return w.set(op.SelectionSet)
}

type weigher struct {
	vars      map[string]any
	fragments map[*ast.FragmentDefinition]int
	hits      int // the most that any search of the operation asks for
}

// widest finds the largest page of a search. What is beside its hits, as counts, is there once, so that the field itself is no list.
func (w *weigher) widest(set ast.SelectionSet, seen map[*ast.FragmentDefinition]bool) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.Definition != nil && s.Definition.Type.Name() == "SearchResults" {
				w.hits = max(w.hits, w.pageSize(s))
			}
		case *ast.InlineFragment:
			w.widest(s.SelectionSet, seen)
		case *ast.FragmentSpread:
			if !seen[s.Definition] {
				seen[s.Definition] = true
				w.widest(s.Definition.SelectionSet, seen)
			}
		}
	}
}

func (w *weigher) set(set ast.SelectionSet) (sum int) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			sum = add(sum, add(1, times(w.size(s), w.set(s.SelectionSet))))
		case *ast.InlineFragment:
			sum = add(sum, w.set(s.SelectionSet))
		case *ast.FragmentSpread:
			weight, known := w.fragments[s.Definition]
			if !known {
				weight = w.set(s.Definition.SelectionSet)
				w.fragments[s.Definition] = weight
			}
			sum = add(sum, weight)
		}
	}
	return sum
}

// size is how many items a field's children are answered for.
func (w *weigher) size(f *ast.Field) int {
	d := f.Definition
	switch {
	case d == nil:
		return 1
	case d.Type.Name() == "SearchResults":
		return 1
	case f.ObjectDefinition.Name == "SearchResults" && f.Name == "nodes":
		return w.hits
	case d.Arguments.ForName("first") != nil: // a connection; its nodes and edges are not counted again
		return w.pageSize(f)
	case d.Arguments.ForName("ids") != nil:
		ids, _ := w.value(f, "ids").([]any)
		return len(ids)
	case d.Type.Elem != nil && f.Name != "nodes" && f.Name != "edges":
		if n, things := most[f.ObjectDefinition.Name+"."+f.Name]; things {
			return n
		}
		return shortList
	}
	return 1
}

func (w *weigher) pageSize(f *ast.Field) int {
	for _, arg := range []string{"first", "last"} {
		switch n := w.value(f, arg).(type) {
		case int64:
			return bounded(int(n))
		case int:
			return bounded(n)
		case float64:
			return bounded(int(n))
		case interface{ Int64() (int64, error) }: // json.Number
			if n, err := n.Int64(); err == nil {
				return bounded(int(n))
			}
		}
	}
	return page.DefaultSize
}

// bounded: a size out of range is refused before anything is read.
func bounded(n int) int { return min(max(n, 0), page.MaxSize) }

func (w *weigher) value(f *ast.Field, arg string) any {
	a := f.Arguments.ForName(arg)
	if a == nil {
		return nil
	}
	v, err := a.Value.Value(w.vars)
	if err != nil {
		return nil
	}
	return v
}

func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

func times(a, b int) int {
	if a != 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}
