package privacy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/event"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// ExportInput says of whom a copy is wanted.
type ExportInput struct{ ClientID client.ID }

// ErasureInput says who is to be erased. Confirm is the client's name, typed again.
type ErasureInput struct {
	ClientID client.ID
	Confirm  string
}

// Decision is what an owner or admin decides about a request.
type Decision string

// The decisions.
const (
	Approve Decision = "APPROVE"
	Decline Decision = "DECLINE"
)

// DecideInput decides about a request that waits.
type DecideInput struct {
	RequestID RequestID
	Decision  Decision
}

// HoldInput puts a client's data on hold, or ends that.
type HoldInput struct {
	ClientID client.ID
	Hold     bool
}

// ByIDs returns those of the requests that the viewer may see.
func (s *Service) ByIDs(ctx context.Context, ids []id.UUID) (map[id.UUID]*Request, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.ByIDs(ctx, s.db, v, requests, scope(v), ids)
}

// List pages through the requests that the viewer may see, latest first.
func (s *Service) List(ctx context.Context, args page.Args) (*page.Connection[Request], error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	w, err := args.Window()
	if err != nil {
		return nil, err
	}
	return page.List(ctx, s.db, v, requests, scope(v), page.Filter{}, latestFirst, w)
}

// RequestExport has a copy made of what is kept of a client, for the client or whoever answers for the practice. Asking again while one is
// made is asking once.
func (s *Service) RequestExport(ctx context.Context, in ExportInput) (_ *Request, err error) {
	v, c, err := s.about(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "privacy.RequestExport(%s)", in.ClientID)
	if !c.Any(auth.AsClient | auth.AsCoach | auth.AsAdmin) {
		return nil, fault.Forbidden("only the client, the coach, an owner or an admin can ask for a copy of what is kept of a client")
	}
	return s.ask(ctx, v, c, Export, Running)
}

// RequestErasure asks for the erasure of a client. Of an owner or admin it begins at once; of the client it waits for their decision.
func (s *Service) RequestErasure(ctx context.Context, in ErasureInput) (_ *Request, err error) {
	v, c, err := s.about(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "privacy.RequestErasure(%s)", in.ClientID)
	if !c.Any(auth.AsClient | auth.AsAdmin) {
		return nil, fault.Forbidden("only the client, an owner or an admin can ask for a client's erasure")
	}
	if strings.TrimSpace(in.Confirm) != c.Name {
		return nil, fault.Invalid("confirm", "type the client's name as it is shown: an erasure cannot be undone")
	}
	status := Waiting
	if c.Any(auth.AsAdmin) {
		status = Running
	}
	return s.ask(ctx, v, c, Erasure, status)
}

func (s *Service) about(ctx context.Context, key client.ID) (auth.Viewer, *client.Client, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, nil, err
	}
	c, err := s.clients.Get(ctx, key)
	return v, c, err
}

var jobOf = map[Kind]string{Export: JobExport, Erasure: JobErase}

func (s *Service) ask(ctx context.Context, v auth.Viewer, c *client.Client, kind Kind, status Status) (*Request, error) {
	var key RequestID
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if kind == Erasure {
			if err := free(ctx, tx, v.Org, c.ID); err != nil {
				return err
			}
		}
		err := tx.QueryRow(ctx, `
			INSERT INTO data_requests (id, org_id, client_id, kind, status, requested_by, coach_id)
			VALUES ($1, $2, $3, $4, $5, $6, (SELECT c.coach_id FROM clients c WHERE c.org_id = $2 AND c.id = $3 AND c.user_id IS NULL AND $4 = 'EXPORT'))
			ON CONFLICT (org_id, client_id, kind, requested_by) WHERE status IN ('WAITING', 'RUNNING') DO NOTHING RETURNING id`,
			id.New(), v.Org, c.ID, kind, status, v.User).Scan(&key)
		if errors.Is(err, pgx.ErrNoRows) {
			return tx.QueryRow(ctx, `
				SELECT id FROM data_requests WHERE org_id = $1 AND client_id = $2 AND kind = $3 AND requested_by = $4 AND status IN ('WAITING', 'RUNNING')`,
				v.Org, c.ID, kind, v.User).Scan(&key)
		} else if err != nil {
			return err
		}
		action, record := "privacy.requestExport", audit.Record
		if kind == Erasure {
			action, record = "privacy.requestErasure", audit.RecordErasing
		}
		if err := record(ctx, tx, v, audit.Entry{Action: action, Kind: "request", ID: key.UUID, ClientID: c.ID.UUID}); err != nil || status != Running {
			return err
		}
		return enqueue(ctx, tx, v.Org, jobOf[kind], key.UUID)
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, requests, scope(v), key.UUID, "request")
}

// free checks that nothing forbids to erase a client, whose row stays locked.
func free(ctx context.Context, tx pgx.Tx, organization id.UUID, key client.ID) error {
	var held bool
	if err := tx.QueryRow(ctx, `SELECT legal_hold FROM clients WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE`, organization, key).Scan(&held); err != nil {
		return err
	}
	if held {
		return fault.Conflict("the client's data is on legal hold and cannot be erased until that ends").WithCode("LEGAL_HOLD")
	}
	return nil
}

// Decide approves or declines an erasure that a client has asked for. The same decision again is made once.
func (s *Service) Decide(ctx context.Context, in DecideInput) (_ *Request, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	r, err := page.Get(ctx, s.db, v, requests, scope(v), in.RequestID.UUID, "request")
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "privacy.Decide(%s)", in.RequestID)
	if !r.Any(auth.AsAdmin) {
		return nil, fault.Forbidden("only an owner or an admin decides about an erasure")
	}
	to, action := Running, "privacy.approve"
	if in.Decision == Decline {
		to, action = Declined, "privacy.decline"
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if to == Running {
			if err := free(ctx, tx, v.Org, r.ClientID); err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, `
			UPDATE data_requests SET status = $3, decided_by = $4, completed_at = CASE WHEN $3 = 'DECLINED' THEN now() END
			WHERE org_id = $1 AND id = $2 AND status = 'WAITING'`, v.Org, in.RequestID, to, v.User)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			if r.Status == to || to == Running && r.Status == Completed {
				return nil
			}
			return fault.Conflict("the request is %s", r.Status)
		}
		if err := audit.RecordErasing(ctx, tx, v, audit.Entry{Action: action, Kind: "request", ID: r.ID.UUID, ClientID: r.ClientID.UUID}); err != nil || to != Running {
			return err
		}
		return enqueue(ctx, tx, v.Org, JobErase, r.ID.UUID)
	})
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, requests, scope(v), in.RequestID.UUID, "request")
}

// Hold keeps a client's data from being swept and erased, or ends that.
func (s *Service) Hold(ctx context.Context, in HoldInput) (_ *client.Client, err error) {
	v, c, err := s.about(ctx, in.ClientID)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "privacy.Hold(%s)", in.ClientID)
	if !c.Any(auth.AsAdmin) {
		return nil, fault.Forbidden("only an owner or an admin puts a client's data on hold")
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE clients SET legal_hold = $3, updated_at = now() WHERE org_id = $1 AND id = $2 AND legal_hold <> $3`, v.Org, in.ClientID, in.Hold)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit.Record(ctx, tx, v, audit.Entry{Action: "client.hold", Kind: "client", ID: c.ID.UUID, ClientID: c.ID.UUID, Fields: []string{"legalHold"}})
	})
	if err != nil {
		return nil, err
	}
	return s.clients.Get(ctx, in.ClientID)
}

// DownloadInput names a copy.
type DownloadInput struct{ RequestID RequestID }

// Link is where a copy can be fetched for a while.
type Link struct {
	URL       string
	Filename  string
	ExpiresAt time.Time
}

// Download returns a link to a copy, for the client; of a client without a login for the coach whose conversations are in it, to hand it on.
// Nobody else gets it, whoever has asked: it holds what neither owners nor, of others, the coach may see. It is recorded as an export of each
// transcript in it.
func (s *Service) Download(ctx context.Context, in DownloadInput) (_ *Link, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	r, err := page.Get(ctx, s.db, v, requests, scope(v), in.RequestID.UUID, "request")
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "privacy.Download(%s)", in.RequestID)
	if !r.Any(auth.AsClient) && (!r.Any(auth.AsCoach) || r.clientHasUser || r.coachID == nil || *r.coachID != v.User) {
		return nil, fault.Forbidden("only the client can fetch the copy, or the coach of a client without a login")
	}
	if r.Kind != Export || r.Status != Completed {
		return nil, fault.Conflict("there is no copy: the request is of kind %s and %s", r.Kind, r.Status)
	}
	if s.now().After(*r.ExpiresAt) || !r.copied {
		return nil, errExpired
	}
	name := "rapport-copy-" + r.CreatedAt.UTC().Format(time.DateOnly) + ".zip"
	l, err := s.files.DownloadLink(ctx, copyKey(v.Org, r.ID.UUID), name, "application/zip", linkValid)
	if err != nil {
		return nil, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := audit.Record(ctx, tx, v, audit.Entry{Action: "privacy.download", Kind: "request", ID: r.ID.UUID, ClientID: r.ClientID.UUID}); err != nil {
			return err
		}
		return s.transcripts.RecordExport(ctx, tx, v, r.transcripts)
	})
	if why := (*fault.Error)(nil); errors.As(err, &why) && why.Code == audit.CodeErased {
		return nil, errExpired // the copy went with the client
	} else if err != nil {
		return nil, err
	}
	return &Link{URL: l.URL, Filename: name, ExpiresAt: l.ExpiresAt}, nil
}

var errExpired = fault.Conflict("the copy has expired: ask for another").WithCode("EXPIRED")

const linkValid = 15 * time.Minute

// Died tells on a request that its job is dead; for jobs.OnDead.
func (s *Service) Died(ctx context.Context, tx pgx.Tx, job jobs.Job) error {
	var client id.UUID
	err := tx.QueryRow(ctx, `UPDATE data_requests SET status = 'FAILED' WHERE org_id = $1 AND id = $2 AND status = 'RUNNING' RETURNING client_id`, job.Org, job.Entity).Scan(&client)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	return audit.RecordSystem(ctx, tx, job.Org, audit.Entry{Action: "privacy.fail", Kind: "request", ID: job.Entity, ClientID: client})
}

// running locks a request whose job is at work; false if there is nothing to do. One that had failed runs again.
func (s *Service) running(ctx context.Context, job jobs.Job) (r *Request, ok bool, err error) {
	r = &Request{}
	err = s.db.QueryRow(ctx, `
		UPDATE data_requests SET status = 'RUNNING', begun_at = coalesce(begun_at, now()) WHERE org_id = $1 AND id = $2 AND status IN ('RUNNING', 'FAILED')
		RETURNING id, client_id, requested_by`, job.Org, job.Entity).Scan(&r.ID, &r.ClientID, &r.RequestedByID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	return r, err == nil, err
}

// complete closes a request, whose row stays locked, and tells other systems what has happened.
func (s *Service) complete(ctx context.Context, tx pgx.Tx, organization id.UUID, r *Request, action string, happened ...event.News) error {
	tag, err := tx.Exec(ctx, `UPDATE data_requests SET status = 'COMPLETED', completed_at = now() WHERE org_id = $1 AND id = $2 AND status = 'RUNNING'`, organization, r.ID)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := audit.RecordSystem(ctx, tx, organization, audit.Entry{Action: action, Kind: "request", ID: r.ID.UUID, ClientID: r.ClientID.UUID}); err != nil {
		return err
	}
	return s.outbox.Add(ctx, tx, organization, happened...)
}
