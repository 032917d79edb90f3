package insight

import (
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

var insights = page.Table[Insight]{
	From: "insights i JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id",
	ID:   "i.id",
	Columns: "i.id, i.session_id, i.transcript_id, i.run_id, i.kind, i.audience, i.title, i.body, i.original_title, i.original_body, " +
		"i.confidence, i.status, i.reviewed_by, i.reviewed_at, i.retracted_at, i.created_at, i.committed_speaker_id, i.due, i.due_on, s.starts_at, s.client_id",
	Dest: func(i *Insight) []any {
		return []any{&i.Grants, &i.ID, &i.SessionID, &i.TranscriptID, &i.RunID, &i.Kind, &i.Audience, &i.Title, &i.Body, &i.OriginalTitle, &i.OriginalBody,
			&i.Confidence, &i.Status, &i.ReviewedByID, &i.ReviewedAt, &i.RetractedAt, &i.CreatedAt,
			&i.CommittedID, &i.Due, &i.DueOn, &i.saidAt, &i.clientID}
	},
	Key: func(i *Insight) id.UUID { return i.ID.UUID },
}

var (
	keyID   = page.Key[Insight]{SQL: "i.id", Type: "uuid", Of: func(i *Insight) string { return i.ID.UUID.String() }}
	orderBy = map[OrderField]page.Order[Insight]{
		OrderByCreatedAt: {Name: "insight-created", Keys: []page.Key[Insight]{
			{SQL: "i.created_at", Type: "timestamptz", Of: func(i *Insight) string { return page.Time(i.CreatedAt) }}, keyID,
		}},
		OrderBySession: {Name: "insight-session", Keys: []page.Key[Insight]{
			{SQL: "s.starts_at", Type: "timestamptz", Of: func(i *Insight) string { return page.Time(i.saidAt) }}, keyID,
		}},
	}
)

func (o *OrderBy) order() page.Order[Insight] {
	if o == nil {
		return orderBy[OrderByCreatedAt].Directed(page.Descending)
	}
	return orderBy[o.Field].Directed(o.Direction)
}

func (f *Filter) where(v auth.Viewer, scope *page.Scope) (w page.Filter) {
	w.And(standing)
	if f == nil {
		f = &Filter{}
	}
	if f.TranscriptIds == nil {
		w.And(transcript.Counts(v, "i.session_id", "i.transcript_id"))
	} else {
		w.And("i.transcript_id = ANY(?) AND EXISTS (SELECT FROM transcripts t WHERE t.org_id = $1 AND t.id = i.transcript_id AND t.archived_at IS NULL)", f.TranscriptIds)
	}
	if f.SessionIds != nil {
		w.And("i.session_id = ANY(?)", f.SessionIds)
	}
	if f.ClientIds != nil {
		w.And("s.client_id = ANY(?)", f.ClientIds)
	}
	if f.Kinds != nil {
		w.And("i.kind = ANY(?)", f.Kinds)
	}
	if f.Statuses != nil {
		w.And("i.status = ANY(?)", f.Statuses)
	}
	if f.Audiences != nil {
		w.And("i.audience = ANY(?)", f.Audiences)
	}
	if f.MinConfidence != nil {
		w.And("i.confidence >= ? AND "+scope.Through(auth.AsCoach|auth.AsSupervisor), *f.MinConfidence)
	}
	if f.CreatedAfter != nil {
		w.And("i.created_at >= ?", *f.CreatedAfter)
	}
	if f.TagIds != nil {
		w.And(tag.Carries(v, "insight_id", "i.id"), f.TagIds)
	}
	return w
}

var citations = page.Table[Citation]{
	From:    "citations c JOIN insights i ON i.org_id = $1 AND i.id = c.insight_id JOIN sessions s ON s.org_id = $1 AND s.id = i.session_id",
	ID:      "c.id",
	Columns: "c.id, c.insight_id, c.transcript_id, c.first_index, c.last_index, c.quote, c.start_ms, c.end_ms, c.words_changed, s.client_id",
	Dest: func(c *Citation) []any {
		return []any{&c.Grants, &c.ID, &c.InsightID, &c.TranscriptID, &c.First, &c.Last, &c.Quote, &c.StartMs, &c.EndMs, &c.WordsChanged, &c.clientID}
	},
	Key: func(c *Citation) id.UUID { return c.ID.UUID },
}

var citationsInOrder = page.Order[Citation]{Name: "citation", Keys: []page.Key[Citation]{{SQL: "c.ordinal", Type: "int"}}}

var runs = page.Table[Run]{
	From: "analysis_runs r JOIN sessions s ON s.org_id = $1 AND s.id = r.session_id",
	ID:   "r.id",
	Columns: "r.id, r.transcript_id, r.session_id, r.status, r.engine, r.engine_version, r.model, r.prompt_version, r.insight_count, r.rejected_count, " +
		"r.input_tokens, r.output_tokens, r.cost_micros, r.error_code, r.waiting_for, r.resumes_at, r.created_at, r.finished_at",
	Dest: func(r *Run) []any {
		return []any{&r.Grants, &r.ID, &r.TranscriptID, &r.SessionID, &r.Status, &r.Engine, &r.EngineVersion, &r.Model, &r.PromptVersion, &r.InsightCount, &r.RejectedCount,
			&r.InputTokens, &r.OutputTokens, &r.CostMicros, &r.ErrorCode, &r.WaitingFor, &r.ResumesAt, &r.CreatedAt, &r.FinishedAt}
	},
	Key: func(r *Run) id.UUID { return r.ID.UUID },
}

var latestRunFirst = page.Order[Run]{Name: "analysis-created", Keys: []page.Key[Run]{
	{SQL: "r.created_at", Type: "timestamptz", Desc: true, Of: func(r *Run) string { return page.Time(r.CreatedAt) }},
	{SQL: "r.id", Type: "uuid", Desc: true, Of: func(r *Run) string { return r.ID.UUID.String() }},
}}

var measures = page.Table[Metrics]{
	From:    "session_metrics m JOIN sessions s ON s.org_id = $1 AND s.id = m.session_id",
	ID:      "m.id",
	Columns: "m.id, m.transcript_id, m.measures",
	Dest:    func(m *Metrics) []any { return []any{&m.Grants, &m.ID, &m.TranscriptID, &m.Metrics} },
	Key:     func(m *Metrics) id.UUID { return m.ID.UUID },
}

var measuresInOrder = page.Order[Metrics]{Name: "metrics", Keys: []page.Key[Metrics]{{SQL: "m.id", Type: "uuid"}}}
