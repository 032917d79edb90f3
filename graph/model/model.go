// Package model holds what the schema needs and no domain owns: connections, payloads, scalars.
package model

import (
	"maps"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/ask"
	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/deadletter"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/notice"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/privacy"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/theme"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// Node is anything with an id that can be fetched by it.
type Node interface{ IsNode() }

// The connections and their edges.
type (
	MembershipConnection     = page.Connection[org.Membership]
	MembershipEdge           = page.Edge[org.Membership]
	InvitationConnection     = page.Connection[org.Invitation]
	InvitationEdge           = page.Edge[org.Invitation]
	AuditEventConnection     = page.Connection[audit.Event]
	AuditEventEdge           = page.Edge[audit.Event]
	DeadLetterConnection     = page.Connection[deadletter.DeadLetter]
	DeadLetterEdge           = page.Edge[deadletter.DeadLetter]
	ClientConnection         = page.Connection[client.Client]
	ClientEdge               = page.Edge[client.Client]
	EngagementConnection     = page.Connection[engagement.Engagement]
	EngagementEdge           = page.Edge[engagement.Engagement]
	SessionConnection        = page.Connection[session.Session]
	SessionEdge              = page.Edge[session.Session]
	TranscriptConnection     = page.Connection[transcript.Transcript]
	TranscriptEdge           = page.Edge[transcript.Transcript]
	UtteranceConnection      = page.Connection[transcript.Utterance]
	UtteranceEdge            = page.Edge[transcript.Utterance]
	LiveUtteranceConnection  = page.Connection[live.Utterance]
	LiveUtteranceEdge        = page.Edge[live.Utterance]
	TranscriptEditConnection = page.Connection[transcript.Edit]
	TranscriptEditEdge       = page.Edge[transcript.Edit]
	InsightConnection        = page.Connection[insight.Insight]
	InsightEdge              = page.Edge[insight.Insight]
	AnalysisRunConnection    = page.Connection[insight.Run]
	AnalysisRunEdge          = page.Edge[insight.Run]
	GoalConnection           = page.Connection[goal.Goal]
	GoalEdge                 = page.Edge[goal.Goal]
	CheckInConnection        = page.Connection[goal.CheckIn]
	CheckInEdge              = page.Edge[goal.CheckIn]
	ActionItemConnection     = page.Connection[goal.ActionItem]
	ActionItemEdge           = page.Edge[goal.ActionItem]
	AskThreadConnection      = page.Connection[ask.Thread]
	AskThreadEdge            = page.Edge[ask.Thread]
	NoteConnection           = page.Connection[note.Note]
	NoteEdge                 = page.Edge[note.Note]
	NoteVersionConnection    = page.Connection[note.Version]
	NoteVersionEdge          = page.Edge[note.Version]
	TagConnection            = page.Connection[tag.Tag]
	TagEdge                  = page.Edge[tag.Tag]
	ThemeConnection          = page.Connection[theme.Theme]
	ThemeEdge                = page.Edge[theme.Theme]
	DataRequestConnection    = page.Connection[privacy.Request]
	DataRequestEdge          = page.Edge[privacy.Request]
	NotificationConnection   = page.Connection[notice.Notification]
	NotificationEdge         = page.Edge[notice.Notification]
	EmailDeliveryConnection  = page.Connection[notice.Delivery]
	EmailDeliveryEdge        = page.Edge[notice.Delivery]
)

// UserError is something the person who called can correct.
type UserError struct {
	Code    string
	Field   *string
	Message string
}

// UserErrors splits an error of a mutation: what a person can correct (INVALID and CONFLICT faults) goes into the
// payload; everything else stays an error. errs is never nil.
func UserErrors(err error) (errs []*UserError, rest error) {
	errs = []*UserError{}
	all := fault.All(err)
	if err != nil && all == nil {
		return errs, err
	}
	for _, e := range all {
		if e.Kind != fault.KindInvalid && e.Kind != fault.KindConflict {
			return []*UserError{}, err
		}
		u := &UserError{Code: string(e.Kind), Message: e.Message}
		if e.Code != "" {
			u.Code = e.Code
		}
		if e.Field != "" {
			u.Field = &e.Field
		}
		errs = append(errs, u)
	}
	return errs, nil
}

// NewUploadLink is the link in the schema's words, its headers in a fixed order; nil for nil.
func NewUploadLink(l *blob.Link) *UploadLink {
	if l == nil {
		return nil
	}
	out := &UploadLink{Method: l.Method, URL: l.URL, ExpiresAt: l.ExpiresAt}
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		out.Headers = append(out.Headers, &HTTPHeader{Name: name, Value: l.Header[name]})
	}
	return out
}
