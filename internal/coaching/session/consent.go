package session

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// CodeConsentMissing is the code of the fault that says that somebody has to consent first.
const CodeConsentMissing = "CONSENT_MISSING"

// GuestOf returns somebody who takes part in a session and is no client, and what the viewer is to them: AsClient is the person. The consents of
// clients are standing, and given for the client.
func (s *Service) GuestOf(ctx context.Context, key ParticipantID) (consent.Subject, auth.Grants, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, 0, err
	}
	p, err := page.Get(ctx, s.db, v, participants, innerScope(v, "p.org_id"), key.UUID, "participant")
	if err != nil {
		return nil, 0, err
	}
	is := p.Grants &^ auth.AsClient
	if p.ClientID != nil && is.Any(auth.AsCoach) {
		return nil, 0, fault.Invalid("subjectId", "this participant is a client, whose consents hold for all sessions: give the client's id")
	}
	if p.ClientID == nil && p.UserID != nil && p.UserID.UUID == v.User {
		is |= auth.AsClient
	}
	return p, is, nil
}

// RequireConsent checks, for the system and not for a viewer, that everybody in a session but its coach has given a consent that is in
// force. If not, the fault for field names who has not, and what to do.
//
// The session's row is locked until the transaction ends: who withdraws the consent waits for what rests on it to be written, and then
// finds it.
func RequireConsent(ctx context.Context, tx pgx.Tx, organization id.UUID, key ID, scope consent.Scope, field string) error {
	var given bool
	err := tx.QueryRow(ctx, `SELECT $3 = ANY(consents) FROM sessions WHERE org_id = $1 AND id = $2 FOR SHARE`, organization, key, scope).Scan(&given)
	if err == pgx.ErrNoRows {
		return fault.NotFound("session")
	} else if err != nil || given {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT id, client_id FROM participants
		WHERE org_id = $1 AND session_id = $2 AND role <> 'COACH' AND NOT $3 = ANY(consents) ORDER BY created_at, id`, organization, key, scope)
	if err != nil {
		return err
	}
	var who []string
	var participant ParticipantID
	var is *client.ID
	if _, err := pgx.ForEachRow(rows, []any{&participant, &is}, func() error {
		subject := participant.String()
		if is != nil {
			subject += " (" + is.String() + ")"
		}
		who, is = append(who, subject), nil
		return nil
	}); err != nil {
		return err
	}
	if who == nil {
		return fault.Invalid(field, "no client takes part in the session, so nobody has consented to %s", scope).WithCode(CodeConsentMissing)
	}
	return fault.Invalid(field, "consent to %s is missing of %s: record it with giveConsent, its subjectId being the client, or the participant who is no client",
		scope, strings.Join(who, ", ")).WithCode(CodeConsentMissing)
}
