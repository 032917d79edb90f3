// Package privacy keeps what people were promised: what is kept of conversations follows their consents and the organization's policy,
// and a client gets a copy of what is kept, or has it erased.
package privacy

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/live"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/personal"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// RequestID identifies a request: request_….
type RequestID struct{ id.UUID }

func (i RequestID) String() string { return id.Format("request", i.UUID) }

// MarshalGQL implements graphql.Marshaler.
func (i RequestID) MarshalGQL(w io.Writer) { id.Write(w, "request", i.UUID) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (i *RequestID) UnmarshalGQL(v any) error { return id.Read(v, "request", &i.UUID) }

// Kind is what is asked for.
type Kind string

// The kinds of request.
const (
	Export  Kind = "EXPORT"
	Erasure Kind = "ERASURE"
)

// Status says how far a request has come.
type Status string

// The states of a request.
const (
	Waiting   Status = "WAITING" // for an owner's or admin's decision
	Running   Status = "RUNNING"
	Completed Status = "COMPLETED"
	Declined  Status = "DECLINED"
	Failed    Status = "FAILED" // its job is dead; replayed, it goes on where it stopped
)

// Request is a client's request for a copy of what is kept, or for its erasure; completed, it is the receipt.
type Request struct {
	auth.Grants
	ID            RequestID
	ClientID      client.ID
	Kind          Kind
	Status        Status
	RequestedByID org.UserID
	DecidedByID   *org.UserID
	CreatedAt     time.Time
	CompletedAt   *time.Time
	ExpiresAt     *time.Time // of a copy
	counts        map[string]int
	clientHasUser bool
	coachID       *id.UUID  // whose conversations are in a copy; nil: all
	copied        bool      // there is a copy, or was until it expired
	transcripts   []id.UUID // in it
}

// IsNode marks a Relay node.
func (*Request) IsNode() {}

// Counts are how many rows or files of each store are in the copy, or were erased.
func (r *Request) Counts() []StoreCount { return sorted(r.counts, nil) }

// StoreCount is how much there is, or was, in a store.
type StoreCount struct {
	Store  string // a table, or transcript.Files
	Count  int
	Oldest *time.Time // nil in receipts
}

func sorted(counts map[string]int, oldest map[string]time.Time) []StoreCount {
	all := []StoreCount{}
	for _, store := range slices.Sorted(maps.Keys(counts)) {
		c := StoreCount{Store: store, Count: counts[store]}
		if at, known := oldest[store]; known {
			c.Oldest = &at
		}
		all = append(all, c)
	}
	return all
}

// The kinds of job. The entity of the first is the organization, of the others the request.
const (
	JobSweep  = "privacy.sweep"
	JobExport = "privacy.export"
	JobErase  = "privacy.erase"
)

// Mails is what keeps mails that were sent, if anything does. Forget removes those with a text, or to an address, of which about is true.
type Mails interface {
	Forget(about func(text string) bool) error
}

// Search is what keeps copies of the rows of an organization so that they can be found. Follow returns when the copies have followed what had changed
// before the call; a snooze says that it takes longer.
type Search interface {
	Follow(ctx context.Context, organization id.UUID) error
}

// Service keeps promises.
type Service struct {
	db          *pgxpool.Pool
	clients     *client.Service
	transcripts *transcript.Service
	insights    *insight.Service
	live        *live.Service
	files       blob.Store
	mails       Mails // nil if nothing keeps them
	search      Search
	stores      []personal.Store
	aged        []personal.Aged
	outbox      *event.Outbox
	now         func() time.Time
}

// NewService returns a Service over db that tells other systems of erasures. stores are what the domains keep of clients beside transcripts and what is derived from them; each
// stands before those that it refers to. aged is what people have written about conversations, each after what refers to it.
func NewService(db *pgxpool.Pool, clients *client.Service, transcripts *transcript.Service, insights *insight.Service, live *live.Service, files blob.Store, mails Mails, search Search,
	stores []personal.Store, aged []personal.Aged, outbox *event.Outbox) *Service {
	return &Service{db: db, clients: clients, transcripts: transcripts, insights: insights, live: live, files: files, mails: mails, search: search, stores: stores, aged: aged, outbox: outbox, now: time.Now}
}

// conversation is all that is kept of a conversation, each after those that refer to it.
var conversation = slices.Concat(live.Kept, insight.Derived, transcript.Kept)

// remove removes a transcript and all that was derived from it, at once and for good; then has a receipt written in the same transaction, so
// that it says no less and no more than what was done, wherever the process dies.
func (s *Service) remove(ctx context.Context, organization id.UUID, key transcript.ID, receipt func(tx pgx.Tx, counts map[string]int) error) error {
	if err := s.transcripts.DeleteFiles(ctx, organization, key); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		counts := map[string]int{}
		if err := transcript.Delete(ctx, tx, organization, key, live.Kept, counts); err != nil {
			return err
		}
		if err := s.insights.ForgetIn(ctx, tx, organization, key, counts); err != nil {
			return err
		}
		if err := s.transcripts.Remove(ctx, tx, organization, key, counts); err != nil {
			return err
		}
		return receipt(tx, counts)
	})
}

// add adds to the counts of a receipt, a row of the given table.
func add(ctx context.Context, tx pgx.Tx, table string, organization, key id.UUID, counts map[string]int) error {
	for _, store := range slices.Sorted(maps.Keys(counts)) {
		if _, err := tx.Exec(ctx, `
			UPDATE `+table+` SET counts = jsonb_set(counts, ARRAY[$3], to_jsonb(coalesce((counts ->> $3)::bigint, 0) + $4::bigint))
			WHERE org_id = $1 AND id = $2`, organization, key, store, counts[store]); err != nil {
			return err
		}
	}
	return nil
}

func enqueue(ctx context.Context, tx pgx.Tx, organization id.UUID, kind string, entity id.UUID) error {
	return jobs.Enqueue(ctx, tx, jobs.Job{Org: organization, Kind: kind, Entity: entity})
}
