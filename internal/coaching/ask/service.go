package ask

import (
	"context"
	"log/slog"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/platform/stream"
)

// What one person may ask.
const (
	maxQuestion = 1000 // characters
	maxMessages = 50   // of a thread, which is read without pages
	atOnce      = 10   // questions that wait for their answers
	anHour      = 120  // questions
)

// Domains are the services that a question and what it is answered from are looked up with.
type Domains struct {
	Clients     *client.Service
	Engagements *engagement.Service
	Sessions    *session.Service
	Transcripts *transcript.Service
	Search      *search.Service
}

// Service takes questions and answers them.
type Service struct {
	db       *pgxpool.Pool
	log      *slog.Logger
	domains  Domains
	answerer Answerer
	limits   insight.Limits
	events   stream.Stream
}

// NewService returns a Service whose answers are the answerer's. limits are what each organization may ask of models.
func NewService(db *pgxpool.Pool, log *slog.Logger, domains Domains, answerer Answerer, limits insight.Limits, events stream.Stream) *Service {
	return &Service{db: db, log: log, domains: domains, answerer: answerer, limits: limits, events: events}
}

// Input is a question: a new thread's, with its scope, or the next one of a thread.
type Input struct {
	Question string
	Scope    *Scope
	ThreadID *ThreadID
}

// RetryInput names a question whose answer is to be tried again.
type RetryInput struct{ MessageID MessageID }

// DeleteThreadInput names a thread that is to be deleted.
type DeleteThreadInput struct{ ID ThreadID }

// Asked is a question that was taken, with its thread; nothing if it was not.
type Asked struct {
	Thread  *Thread
	Message *Message
}

// Ask takes a question. The answer comes later: Events tells of it.
func (s *Service) Ask(ctx context.Context, in Input) (out Asked, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return out, err
	}
	key := MessageID{id.New()}
	defer fault.Wrap(&err, "ask.Ask(%s)", key)
	if !v.Has(auth.RoleCoach, auth.RoleSupervisor, auth.RoleClient) {
		return out, fault.Forbidden("what was said is for those in the conversation and the coach's supervisor")
	}
	var problems check.Input
	question := problems.Text("question", in.Question, maxQuestion)
	if !strings.ContainsFunc(question, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		problems.Fail("question", "must have a word")
	}
	if in.ThreadID != nil && in.Scope != nil {
		problems.Fail("scope", "is that of the thread: it cannot be given with threadId")
	}
	filter := in.Scope.check(&problems)
	if err := problems.Err(); err != nil {
		return out, err
	}
	about, err := s.about(ctx, in.Scope)
	if err != nil {
		return out, err
	}
	thread := ThreadID{id.New()}
	if in.ThreadID != nil {
		thread = *in.ThreadID
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := admit(ctx, tx, v); err != nil {
			return err
		}
		if in.ThreadID == nil {
			err = open(ctx, tx, v, thread, in.Scope, filter)
		} else {
			about, err = s.follow(ctx, tx, v, thread)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO ask_messages (id, org_id, thread_id, ordinal, question)
			SELECT $3, $1, $2, coalesce(max(ordinal), 0) + 1, $4 FROM ask_messages WHERE org_id = $1 AND thread_id = $2`, v.Org, thread, key, question); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, v, audit.Entry{Action: "thread.ask", Kind: "thread", ID: thread.UUID, ClientID: about}); err != nil {
			return err
		}
		if err := jobs.Enqueue(ctx, tx, job(v.Org, key)); err != nil {
			return err
		}
		return s.publish(ctx, tx, v.Org, thread, eventProgressed, subject{Message: key})
	})
	if err != nil {
		return out, err
	}
	if out.Thread, err = s.Get(ctx, thread); err != nil {
		return Asked{}, err
	}
	out.Message, err = s.message(ctx, key)
	return out, err
}

// check checks a scope, and writes its filter as it is kept.
func (s *Scope) check(problems *check.Input) []byte {
	if s == nil {
		return nil
	}
	given := 0
	for _, is := range []bool{s.ClientID != nil, s.EngagementID != nil, s.SessionID != nil, s.Sessions != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		problems.Fail("scope", "must be one thing: a client, an engagement, a session or a filter of sessions")
	}
	if s.Sessions == nil {
		return nil
	}
	return s.Sessions.Store(problems, "scope.sessions")
}

// about is the client whom a scope names, if it names one; what the viewer cannot see is not found.
func (s *Service) about(ctx context.Context, scope *Scope) (none id.UUID, err error) {
	switch {
	case scope == nil:
		return none, nil
	case scope.ClientID != nil:
		c, err := s.domains.Clients.Get(ctx, *scope.ClientID)
		if err != nil {
			return none, err
		}
		return c.ID.UUID, nil
	case scope.EngagementID != nil:
		e, err := s.domains.Engagements.Get(ctx, *scope.EngagementID)
		if err != nil {
			return none, err
		}
		return e.ClientID.UUID, nil
	case scope.SessionID != nil:
		m, err := s.domains.Sessions.Get(ctx, *scope.SessionID)
		if err != nil {
			return none, err
		}
		return m.ClientID.UUID, nil
	}
	return none, nil
}

// admit lets somebody ask who does not ask too much, in an organization that has conversations analysed. The membership's row is the lock.
func admit(ctx context.Context, tx pgx.Tx, v auth.Viewer) error {
	if _, err := tx.Exec(ctx, `SELECT FROM memberships WHERE org_id = $1 AND user_id = $2 FOR NO KEY UPDATE`, v.Org, v.User); err != nil {
		return err
	}
	var enabled bool
	var open, lately int
	if err := tx.QueryRow(ctx, `
		SELECT o.ai_enabled, (SELECT count(*) FROM ask_messages m JOIN ask_threads t ON t.org_id = $1 AND t.id = m.thread_id
				WHERE m.org_id = $1 AND t.owner_id = $2 AND m.status IN ('WAITING', 'ANSWERING')),
			(SELECT count(*) FROM audit_events a WHERE a.org_id = $1 AND a.actor_id = $2 AND a.action = 'thread.ask' AND a.at > now() - interval '1 hour')
		FROM organizations o WHERE o.id = $1`, v.Org, v.User).Scan(&enabled, &open, &lately); err != nil {
		return err
	}
	switch {
	case !enabled:
		return fault.Conflict("the organization does not have its conversations analysed")
	case open >= atOnce:
		return fault.Limited("%d of your questions are being answered: wait for one of them", atOnce).WithCode(CodeAskLimit)
	case lately >= anHour:
		return fault.Limited("you have asked %d questions within an hour: ask again later", anHour).WithCode(CodeAskLimit)
	}
	return nil
}

// CodeAskLimit is the code of the fault that says that somebody asks too much.
const CodeAskLimit = "ASK_LIMIT"

// open begins a thread.
func open(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ThreadID, scope *Scope, filter []byte) error {
	if scope == nil {
		scope = &Scope{}
	}
	if scope.Sessions != nil {
		if err := scope.Sessions.Kept(ctx, tx, v); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO ask_threads (id, org_id, owner_id, client_id, engagement_id, session_id, filter) VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb)`,
		key, v.Org, v.User, scope.ClientID, scope.EngagementID, scope.SessionID, text(filter))
	return err
}

func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// follow goes on with a thread, and says whom it is about.
func (s *Service) follow(ctx context.Context, tx pgx.Tx, v auth.Viewer, key ThreadID) (about id.UUID, err error) {
	t, err := page.Get(ctx, tx, v, threads, scope(), key.UUID, "thread")
	if err != nil {
		return about, err
	}
	var n int
	if err := tx.QueryRow(ctx, `
		WITH t AS (UPDATE ask_threads SET asked_at = now() WHERE org_id = $1 AND id = $2 RETURNING id)
		SELECT count(*) FROM ask_messages m JOIN t ON t.id = m.thread_id WHERE m.org_id = $1`, v.Org, key).Scan(&n); err != nil {
		return about, err
	}
	if n >= maxMessages {
		f := fault.Conflict("a thread has at most %d questions: begin another", maxMessages)
		f.Field = "threadId"
		return about, f
	}
	return s.about(ctx, t.Scope())
}

// Retry has an answer tried again that has failed. Another one is left as it is, so that asking twice is asking once.
func (s *Service) Retry(ctx context.Context, in RetryInput) (_ *Message, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "ask.Retry(%s)", in.MessageID)
	m, err := s.message(ctx, in.MessageID)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := admit(ctx, tx, v); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE ask_messages SET status = 'WAITING', failure_code = NULL, finished_at = NULL WHERE org_id = $1 AND id = $2 AND status = 'FAILED'`, v.Org, m.ID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := audit.Record(ctx, tx, v, audit.Entry{Action: "thread.retry", Kind: "thread", ID: m.ThreadID.UUID}); err != nil {
			return err
		}
		if _, err := jobs.Again(ctx, tx, job(v.Org, m.ID)); err != nil {
			return err
		}
		return s.publish(ctx, tx, v.Org, m.ThreadID, eventProgressed, subject{Message: m.ID})
	})
	if err != nil {
		return nil, err
	}
	return s.message(ctx, in.MessageID)
}

// DeleteThread deletes a thread with its questions and answers, and returns it as it was. An answer that is being made ends.
func (s *Service) DeleteThread(ctx context.Context, in DeleteThreadInput) (was *Thread, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "ask.DeleteThread(%s)", in.ID)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if was, err = page.Get(ctx, tx, v, threads, scope(), in.ID.UUID, "thread"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ask_threads WHERE org_id = $1 AND owner_id = $2 AND id = $3`, v.Org, v.User, in.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "thread.delete", Kind: "thread", ID: in.ID.UUID})
	})
	return was, err
}

// Get returns a thread of the viewer's.
func (s *Service) Get(ctx context.Context, key ThreadID) (*Thread, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, threads, scope(), key.UUID, "thread")
}

// ByIDs returns those of the threads that are the viewer's.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Thread, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, threads, scope(), ids)
}

// List pages through the viewer's threads, the one that was asked last first.
func (s *Service) List(ctx context.Context, args page.Args) (*page.Connection[Thread], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, threads, scope(), page.Filter{}, latestFirst, w)
}

// MessagesOf returns the questions of each thread that is the viewer's, in their order.
func (s *Service) MessagesOf(ctx context.Context, of []id.UUID) ([][]*Message, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.AllChildren(ctx, s.db, v, messages(v), scope(), page.Filter{}, messagesInOrder, "m.thread_id", of, maxMessages)
	for _, all := range found {
		for _, m := range all {
			m.shown(ctx, v)
		}
	}
	return found, err
}

// MessagesByIDs returns those of the questions that are the viewer's.
func (s *Service) MessagesByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Message, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, messages(v), scope(), ids)
	for _, m := range found {
		m.shown(ctx, v)
	}
	return found, err
}

func (s *Service) message(ctx context.Context, key MessageID) (*Message, error) {
	found, err := s.MessagesByIDs(ctx, []id.UUID{key.UUID})
	if m := found[key.UUID]; m != nil || err != nil {
		return m, err
	}
	return nil, fault.NotFound("question")
}

// shown has it written down of what conversations the viewer is shown words.
func (m *Message) shown(ctx context.Context, v auth.Viewer) {
	for _, q := range m.sources {
		transcript.Shown(ctx, v, q.Transcript, q.Client, "answers")
	}
}
