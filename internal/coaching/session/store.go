package session

import (
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var sessions = page.Table[Session]{
	From:    "sessions s",
	ID:      "s.id",
	Columns: "s.id, s.engagement_id, s.client_id, s.coach_id, s.number, s.type, s.status, s.title, s.starts_at, s.duration_minutes, s.consents, s.uses_session, s.cancelled_at, s.cancelled_by, s.cancelled_late, s.cancellation_reason, s.archived_at, s.created_at, s.updated_at",
	Dest: func(s *Session) []any {
		return []any{&s.Grants, &s.ID, &s.EngagementID, &s.ClientID, &s.CoachID, &s.Number, &s.Type, &s.Status, &s.Title, &s.StartsAt, &s.DurationMinutes, &s.Consents, &s.Counts,
			&s.CancelledAt, &s.CancelledBy, &s.CancelledLate, &s.CancellationReason, &s.ArchivedAt, &s.CreatedAt, &s.UpdatedAt}
	},
	Key: func(s *Session) id.UUID { return s.ID.UUID },
}

var (
	keyID   = page.Key[Session]{SQL: "s.id", Type: "uuid", Of: func(s *Session) string { return s.ID.UUID.String() }}
	orderBy = map[OrderField]page.Order[Session]{
		OrderByStartsAt: {Name: "session-starts", Keys: []page.Key[Session]{
			{SQL: "s.starts_at", Type: "timestamptz", Of: func(s *Session) string { return page.Time(s.StartsAt) }}, keyID,
		}},
		OrderByCreatedAt: {Name: "session-created", Keys: []page.Key[Session]{
			{SQL: "s.created_at", Type: "timestamptz", Of: func(s *Session) string { return page.Time(s.CreatedAt) }}, keyID,
		}},
	}
)

func (o *OrderBy) order() page.Order[Session] {
	if o == nil {
		return orderBy[OrderByStartsAt].Directed(page.Descending)
	}
	return orderBy[o.Field].Directed(o.Direction)
}

func (f *Filter) where(v auth.Viewer) (w page.Filter) {
	f.add(&w, v)
	return w
}

// add adds the conditions to those of w.
func (f *Filter) add(w *page.Filter, v auth.Viewer) {
	if f == nil || !f.IncludeArchived {
		w.And("s.archived_at IS NULL")
	}
	if f == nil {
		return
	}
	if f.IDs != nil {
		w.And("s.id = ANY(?)", f.IDs)
	}
	if f.ClientIds != nil {
		w.And("s.client_id = ANY(?)", f.ClientIds)
	}
	if f.CoachIds != nil {
		w.And("s.coach_id = ANY(?)", f.CoachIds)
	}
	if f.EngagementIds != nil {
		w.And("s.engagement_id = ANY(?)", f.EngagementIds)
	}
	if f.Types != nil {
		w.And("s.type = ANY(?)", f.Types)
	}
	if f.Statuses != nil {
		w.And("s.status = ANY(?)", f.Statuses)
	}
	if f.StartsAfter != nil {
		w.And("s.starts_at >= ?", *f.StartsAfter)
	}
	if f.StartsBefore != nil {
		w.And("s.starts_at < ?", *f.StartsBefore)
	}
	if f.TagIds != nil {
		w.And(tag.Carries(v, "session_id", "s.id"), f.TagIds)
	}
	if f.ParticipantUserIds != nil {
		w.And("EXISTS (SELECT FROM participants p WHERE p.session_id = s.id AND p.user_id = ANY(?) AND "+innerScope(v, "p.org_id").Where()+")", f.ParticipantUserIds)
	}
	if f.HasTranscript != nil {
		visible := ConversationScope(v, "tr.org_id", ToRead, "true", "tr.shared_with_client").Where()
		w.And("EXISTS (SELECT FROM transcripts tr WHERE tr.session_id = s.id AND tr.archived_at IS NULL AND "+visible+") = ?", *f.HasTranscript)
	}
}

// overlapping are the sessions s that a coach has at the same time as a session o, both still to be held or going on.
var overlapping = func() page.Table[Session] {
	t := sessions
	t.From = `sessions o JOIN sessions s ON s.org_id = $1 AND s.coach_id = o.coach_id AND s.id <> o.id
		AND s.archived_at IS NULL AND s.status IN ('SCHEDULED', 'IN_PROGRESS') AND o.status IN ('SCHEDULED', 'IN_PROGRESS')
		AND s.starts_at < o.starts_at + o.duration_minutes * interval '1 minute' AND s.starts_at > o.starts_at - interval '1 day'
		AND s.starts_at + s.duration_minutes * interval '1 minute' > o.starts_at`
	return t
}()

var participants = page.Table[Participant]{
	From:    "participants p JOIN sessions s ON s.org_id = $1 AND s.id = p.session_id",
	ID:      "p.id",
	Columns: "p.id, p.session_id, p.user_id, p.client_id, p.name, p.role, p.consents, p.created_at",
	Dest: func(p *Participant) []any {
		return []any{&p.Grants, &p.ID, &p.SessionID, &p.UserID, &p.ClientID, &p.Name, &p.Role, &p.Consents, &p.CreatedAt}
	},
	Key: func(p *Participant) id.UUID { return p.ID.UUID },
}

var participantsInOrder = page.Order[Participant]{Name: "participant", Keys: []page.Key[Participant]{
	{SQL: "p.created_at", Type: "timestamptz", Of: func(p *Participant) string { return page.Time(p.CreatedAt) }},
	{SQL: "p.id", Type: "uuid", Of: func(p *Participant) string { return p.ID.UUID.String() }},
}}

// Where are the conditions of the filter, for a statement of another domain that joins sessions s.
func (f *Filter) Where(v auth.Viewer) page.Filter { return f.where(v) }
