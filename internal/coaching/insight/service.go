package insight

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// Service finds insights and keeps them.
type Service struct {
	db          *pgxpool.Pool
	transcripts *transcript.Service
	sessions    *session.Service
	clients     *client.Service
	goals       *goal.Service
	analyser    Analyser
	limits      Limits
	themes      Themes
	events      stream.Stream
	looks       stream.Looks[Event]
	outbox      *event.Outbox
}

// Themes groups the insights of kind THEME by their topics.
type Themes interface {
	// Of returns the theme of a topic in the conversations of a session's coach with its client, and makes it if there is none; nil if the
	// topic is none. Nobody merges or removes it before the transaction ends.
	Of(ctx context.Context, tx pgx.Tx, ref session.Ref, topic string) (*id.UUID, error)
	// Hold keeps the themes of these conversations as they are until the transaction ends: none gets an insight that it had not.
	Hold(ctx context.Context, tx pgx.Tx, ref session.Ref) error
}

// NewService returns a Service over db that looks for insights with analyser, which may ask models within limits, groups them by themes
// and tells events, and other systems, what it finds.
func NewService(db *pgxpool.Pool, transcripts *transcript.Service, sessions *session.Service, clients *client.Service, goals *goal.Service, analyser Analyser, limits Limits, themes Themes, events stream.Stream, outbox *event.Outbox) *Service {
	return &Service{db: db, transcripts: transcripts, sessions: sessions, clients: clients, goals: goals, analyser: analyser, limits: limits, themes: themes, events: events, outbox: outbox}
}

// ByIDs returns those of the insights that the viewer may see, also retracted ones.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Insight, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, insights, scope(v, "i.org_id"), ids)
}

// Get returns one insight, or NotFound.
func (s *Service) Get(ctx context.Context, key ID) (*Insight, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, insights, scope(v, "i.org_id"), key.UUID, "insight")
}

// List pages through the insights that the viewer may see.
func (s *Service) List(ctx context.Context, f *Filter, o *OrderBy, args page.Args) (*page.Connection[Insight], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	visible := scope(v, "i.org_id")
	return page.List(ctx, s.db, v, insights, visible, f.where(v, visible), o.order(), w)
}

// Parent is what insights are children of.
type Parent string

// The parents of insights, by their column.
const (
	OfSession Parent = "i.session_id"
	OfClient  Parent = "s.client_id"
	// OfTheme are those of a theme and of what was merged into it, but what was dismissed: k is the parents.
	OfTheme Parent = "i.status <> 'DISMISSED' AND i.theme_id IN (SELECT g.id FROM themes g WHERE g.org_id = $1 AND (g.id = k.parent OR g.merged_into_id = k.parent)) AND k.parent"
)

// Children returns a page of each parent's insights, in the order of the parents.
func (s *Service) Children(ctx context.Context, of Parent, parents []id.UUID, f *Filter, o *OrderBy, w page.Window) ([]*page.Connection[Insight], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	visible := scope(v, "i.org_id")
	return page.Children(ctx, s.db, v, insights, visible, f.where(v, visible), o.order(), w, string(of), parents)
}

// CountChildren counts what Children pages through.
func (s *Service) CountChildren(ctx context.Context, of Parent, parents []id.UUID, f *Filter) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	visible := scope(v, "i.org_id")
	return page.CountChildren(ctx, s.db, v, insights, visible, f.where(v, visible), string(of), parents)
}

// CountOfSessions counts the insights of the transcript of each session that counts, whoever may read them, in the order of
// the sessions. The ids are of sessions that the viewer has been shown; who may read the count is the schema's to say.
func (s *Service) CountOfSessions(ctx context.Context, sessions []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `
		SELECT (SELECT count(*) FROM insights i
			WHERE i.org_id = $1 AND i.session_id = k.id AND i.retracted_at IS NULL AND i.kind <> 'COACH_SKILL' AND `+string(session.ToAnalyse)+` AND `+transcript.Counts(v, "i.session_id", "i.transcript_id")+`)
		FROM unnest($3::uuid[]) WITH ORDINALITY AS k(id, ord) LEFT JOIN sessions s ON s.org_id = $1 AND s.id = k.id AND $2::uuid IS NOT NULL
		ORDER BY k.ord`, v.Org, v.User, sessions)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// maxCitations is how many an insight has at most: they are read without pages.
const maxCitations = 10

// Citations returns what each insight rests on, in the order of the insights.
func (s *Service) Citations(ctx context.Context, insights []id.UUID) ([][]*Citation, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.AllChildren(ctx, s.db, v, citations, scope(v, "c.org_id"), page.Filter{}, citationsInOrder, "c.insight_id", insights, maxCitations)
	for _, of := range found {
		for _, c := range of {
			c.shown(ctx, v)
		}
	}
	return found, err
}

// CitationsByIDs returns those of the citations that the viewer may see.
func (s *Service) CitationsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Citation, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, citations, scope(v, "c.org_id"), ids)
	for _, c := range found {
		c.shown(ctx, v)
	}
	return found, err
}

func (c *Citation) shown(ctx context.Context, v auth.Viewer) {
	transcript.Shown(ctx, v, c.TranscriptID, c.clientID, "citations")
}

// RunsByIDs returns those of the analysis runs that the viewer may see.
func (s *Service) RunsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Run, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, runs, CoachScope(v, "r.org_id"), ids)
}

// RunsOfTranscripts returns a page of each transcript's analysis runs, latest first, in the order of the transcripts.
func (s *Service) RunsOfTranscripts(ctx context.Context, transcripts []id.UUID, w page.Window) ([]*page.Connection[Run], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Children(ctx, s.db, v, runs, CoachScope(v, "r.org_id"), page.Filter{}, latestRunFirst, w, "r.transcript_id", transcripts)
}

// CountRunsOfTranscripts counts what RunsOfTranscripts pages through.
func (s *Service) CountRunsOfTranscripts(ctx context.Context, transcripts []id.UUID) ([]int, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.CountChildren(ctx, s.db, v, runs, CoachScope(v, "r.org_id"), page.Filter{}, "r.transcript_id", transcripts)
}

// MetricsByIDs returns those of the measures that the viewer may see.
func (s *Service) MetricsByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Metrics, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, measures, CoachScope(v, "m.org_id"), ids)
}

// MetricsOfTranscripts returns the measures of the given transcripts, by transcript; those not yet measured, and those
// not the viewer's to see, are missing.
func (s *Service) MetricsOfTranscripts(ctx context.Context, transcripts []id.UUID) (map[id.UUID]*Metrics, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := page.AllChildren(ctx, s.db, v, measures, CoachScope(v, "m.org_id"), page.Filter{}, measuresInOrder, "m.transcript_id", transcripts, page.MaxSize)
	if err != nil {
		return nil, err
	}
	found := make(map[id.UUID]*Metrics, len(rows))
	for _, row := range rows {
		for _, m := range row {
			found[m.TranscriptID.UUID] = m
		}
	}
	return found, nil
}

// Review records what a person has decided about an insight. A later decision replaces an earlier one; what the analyser
// said first is kept.
func (s *Service) Review(ctx context.Context, in ReviewInput) (_ *Insight, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	i, err := s.Get(ctx, in.InsightID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "insight.Review(%s)", in.InsightID)
	if !i.Any(auth.AsCoach) {
		return nil, fault.Forbidden("only the coach can review an insight")
	}
	if i.RetractedAt != nil {
		return nil, fault.Conflict("a later analysis no longer finds this insight").WithCode("RETRACTED")
	}
	title, body, status, err := in.decide(i)
	if err != nil {
		return nil, err
	}
	meeting, err := s.sessions.Get(ctx, i.SessionID)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE insights SET
				original_title = CASE WHEN $5 THEN coalesce(original_title, title) END,
				original_body = CASE WHEN $5 THEN coalesce(original_body, body) END,
				title = CASE WHEN $5 THEN $3 ELSE coalesce(original_title, title) END,
				body = CASE WHEN $5 THEN $4 ELSE coalesce(original_body, body) END,
				status = $6, reviewed_by = $7, reviewed_at = now()
			WHERE org_id = $1 AND id = $2 AND retracted_at IS NULL`,
			v.Org, in.InsightID, title, body, status == Edited, status, v.User)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.Conflict("a later analysis no longer finds this insight").WithCode("RETRACTED")
		}
		if err := audit.Record(ctx, tx, v, audit.Entry{
			Action: "insight.review", Kind: "insight", ID: in.InsightID.UUID, ClientID: meeting.ClientID.UUID,
			Fields: append(audit.Given(in), "status"),
		}); err != nil {
			return err
		}
		i.Status = status
		if err := s.announce(ctx, tx, meeting.Ref(v.Org), i.reviewed()...); err != nil {
			return err
		}
		return s.publish(ctx, tx, meeting.Ref(v.Org), eventRevised, subject{Insight: &in.InsightID})
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, in.InsightID)
}

// decide checks a decision and returns what the insight says after an edit, and its status.
func (in ReviewInput) decide(i *Insight) (title, body string, status Status, err error) {
	var problems check.Input
	if in.Decision != Edit {
		if in.Title != nil {
			problems.Fail("title", "goes only with the decision EDIT")
		}
		if in.Body != nil {
			problems.Fail("body", "goes only with the decision EDIT")
		}
		status = map[Decision]Status{Accept: Accepted, Dismiss: Dismissed}[in.Decision]
		return "", "", status, problems.Err()
	}
	title, body = i.Title, i.Body
	if in.Title == nil && in.Body == nil {
		problems.Fail("title", "or body must be given with the decision EDIT")
	}
	if in.Title != nil {
		title = problems.Line("title", *in.Title, 200)
	}
	if in.Body != nil {
		body = problems.Text("body", *in.Body, 4000)
	}
	return title, body, Edited, problems.Err()
}

// The kinds of event.
const (
	eventAdded      = "insight.added"
	eventRevised    = "insight.revised"
	eventRetracted  = "insight.retracted"
	eventRemoved    = "insight.removed"
	eventProgressed = "analysis.progressed"
)

// subject is the data of an event: what it is about.
type subject struct {
	Insight *ID    `json:"insightId,omitempty"`
	Run     *RunID `json:"runId,omitempty"`
	// Of an insight that is no more, and so cannot be asked who may hear of it: its session, and what somebody had to be to the session
	// to see it.
	Session *session.ID `json:"sessionId,omitempty"`
	SeenBy  auth.Grants `json:"seenBy,omitempty"`
}

func (s *Service) publish(ctx context.Context, tx pgx.Tx, ref session.Ref, kind string, about subject) error {
	data, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return s.events.Publish(ctx, tx, ref.Org, stream.Event{Kind: kind, Data: data}, ref.Topics()...)
}
